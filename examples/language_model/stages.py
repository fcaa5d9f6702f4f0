"""The stages of the experiment. Each leaves files in the work folder, and does nothing where they are there already."""

import collections
import concurrent.futures
import itertools
import json
import math
import subprocess
import time

import torch

import data
import evaluate
import tensors
from model import CONTEXT, Decoder, mean_loss

DENSE = ("dense",)  # a configuration to retrain


def seconds_since(start, device):
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.monotonic() - start


def optimizer_for(model, rate):
    matrices = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), fused=True)


def train_step(model, optimizer, windows, device, rate):
    for group in optimizer.param_groups:
        group["lr"] = rate
    with torch.autocast(device.type, dtype=torch.bfloat16):
        loss = mean_loss(model, windows)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss


def fp16_of(model):
    return {name: t.detach().half() for name, t in model.state_dict().items()}


def new_model(s):
    return Decoder(**s.shape).to(s.device)


def load_into(model, path, device):
    model.load_state_dict(tensors.load(path, device))
    return model


def train(s):
    """model.safetensors (fp16) and train.json; goes on from training.pt where it was interrupted."""
    target, state_file = s.work / "model.safetensors", s.work / "training.pt"
    if target.exists():
        return
    torch.manual_seed(0)
    model = new_model(s)
    optimizer, step, elapsed = optimizer_for(model, s.rate), 0, 0.0
    if state_file.exists():
        state = torch.load(state_file, map_location=s.device)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, elapsed = state["step"], state["elapsed"]
    text = data.read(s.corpus, "train").to(s.device)
    generator = torch.Generator().manual_seed(1 + step)
    start, saved, losses = time.monotonic() - elapsed, elapsed, []
    while elapsed < s.train_seconds:
        warm = min(1.0, (step + 1) / 100)
        rate = s.rate * warm * (1 - min(1.0, elapsed / s.train_seconds)) ** 0.5
        loss = train_step(model, optimizer, data.random_windows(text, s.batch, generator), s.device, rate)
        step += 1
        if step % 20 == 0:
            losses.append([step, float(loss.detach())])
            elapsed = seconds_since(start, s.device)
            if elapsed - saved > 60:
                torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "elapsed": elapsed}, state_file)
                saved = elapsed
    tensors.save(target, fp16_of(model))
    bytes_seen = step * s.batch * CONTEXT
    write(s.work / "train.json", {"steps": step, "seconds": elapsed, "bytes": bytes_seen, "losses": losses, "parameters": sum(p.numel() for p in model.parameters())})
    state_file.unlink(missing_ok=True)


def write(path, value):
    path.write_text(json.dumps(value) + "\n")


@torch.no_grad()
def gram(s):
    """gram.safetensors: of each linear layer the sum of x x^T over its inputs, in fp32."""
    target = s.work / "gram.safetensors"
    if target.exists():
        return
    model = load_into(new_model(s), s.work / "model.safetensors", s.device).eval()
    sums = {}

    def add(name):
        def hook(module, inputs):
            x = inputs[0].reshape(-1, inputs[0].shape[-1]).float()
            sums[name] = sums.get(name, 0) + x.T @ x

        return hook

    torch.backends.cuda.matmul.allow_tf32 = False
    hooks = [m.register_forward_pre_hook(add(name)) for name, m in model.linear_layers().items()]
    text = data.read(s.corpus, "train")
    generator = torch.Generator().manual_seed(2)
    for _ in range(s.calibration_windows // 32):
        model(data.random_windows(text, 32, generator).to(s.device)[:, :-1])
    for h in hooks:
        h.remove()
    tensors.save(target, sums)


def test_documents(s):
    return data.TestDocuments(data.read(s.corpus, "test"), s.test_bytes)


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append(path, value):
    with open(path, "a") as file:
        file.write(json.dumps(value) + "\n")


def score(s, documents, model):
    """What the report needs to know of a model."""
    losses = evaluate.document_losses(model, documents, s.device)
    ppl, low, high = evaluate.perplexity(losses, documents.bytes)
    return {"perplexity": ppl, "low": low, "high": high, "losses": [round(x, 4) for x in losses.tolist()]}


def dense(s):
    target = s.work / "dense.json"
    if not target.exists():
        documents, model = test_documents(s), load_into(new_model(s), s.work / "model.safetensors", s.device)
        write(target, {**score(s, documents, model), "bytes": documents.bytes.tolist()})


def prune(s, method, pattern, structures):
    """Runs the tool for one pattern; of each structure what it reports of the layers, and the file that it left."""
    out = f"{s.work}/pruned-{method}-{{pattern}}-{{structure}}.safetensors"
    command = [s.tool, "prune", s.work / "model.safetensors", out, "--method", method, "--pattern", pattern]
    command += ["--structure", ",".join(structures), "--gram", s.work / "gram.safetensors", "--device", s.tool_device]
    command += ["--tokens", s.calibration_windows * CONTEXT, "--iterations", s.iterations, "--json"]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{method} {pattern} {','.join(structures)}: the tool ended with {done.returncode}: {done.stderr.strip()}")
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    layers = [report for report in reports if "pattern" in report]  # the others say what stayed dense
    files = {x: s.work / f"pruned-{method}-{pattern.replace(':', 'x')}-{x}.safetensors" for x in structures}
    return {x: ([line for line in layers if line["structure"] == x], files[x]) for x in structures}


def in_advance(work, items, jobs):
    """Each item and work(item), in order; at any time `jobs` items are being worked on, wait, or are with the caller."""
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        items = iter(items)
        waiting = collections.deque((item, pool.submit(work, item)) for item in itertools.islice(items, jobs))
        while waiting:
            item, result = waiting.popleft()
            yield item, result.result()
            waiting.extend((item, pool.submit(work, item)) for item in itertools.islice(items, 1))


def mean_error(layers):
    """The geometric mean over layers; nothing where the tool has none (CPU)."""
    errors = [line["error"] for line in layers]
    if any(e is None or e <= 0 for e in errors):
        return None
    return math.exp(sum(map(math.log, errors)) / len(errors))


def summary(layers):
    """What a line of grid.jsonl says of the tool's report."""
    return {
        "error": mean_error(layers),
        "seconds": sum(x["seconds"] + x["prepare_seconds"] for x in layers),
        "iterations": [x["iterations"] for x in layers],
        "layers": {x["name"]: x["error"] for x in layers},
    }


def grid(s):
    """grid.jsonl: one line for each method, pattern and structure. "seconds" are the pruning's own where "jobs" is 1."""
    target = s.work / "grid.jsonl"
    done = {(r["method"], r["pattern"], r["structure"]) for r in read_lines(target)}
    groups = [(m, p, [x for x in s.structures if (m, p, x) not in done]) for m in s.methods for p in s.patterns]
    missing = [group for group in groups if group[2]]
    if not missing:
        return
    documents, model = test_documents(s), new_model(s)
    for (method, pattern, _), pruned in in_advance(lambda group: prune(s, *group), missing, s.jobs):
        for structure, (layers, file) in pruned.items():
            load_into(model, file, s.device)
            file.unlink()
            append(target, {"method": method, "pattern": pattern, "structure": structure, "jobs": s.jobs,
                            **summary(layers), **score(s, documents, model)})


def train_masked(s, model, text):
    """Trains on for a given number of steps; what is 0 in the linear layers stays 0."""
    masks = {module: module.weight.detach() != 0 for module in model.linear_layers().values()}
    optimizer = optimizer_for(model, s.retrain_rate)
    generator = torch.Generator().manual_seed(3)
    for step in range(s.retrain_steps):
        rate = s.retrain_rate * min(1.0, (step + 1) / 20) * (1 - step / s.retrain_steps)
        train_step(model, optimizer, data.random_windows(text, s.batch, generator), s.device, rate)
        with torch.no_grad():
            for module, mask in masks.items():
                module.weight.mul_(mask)


def weights_of(s, configuration):
    """The file of a configuration's weights, pruned if it says how."""
    if configuration == DENSE:
        return s.work / "model.safetensors"
    method, pattern, structure = configuration
    return prune(s, method, pattern, [structure])[structure][1]


def retrain(s):
    """retrain.jsonl: some configurations, before and after training on with their masks fixed; dense too, to compare with."""
    target = s.work / "retrain.jsonl"
    done = {r["name"] for r in read_lines(target)}
    missing = [r for r in s.retrained if " ".join(r) not in done]
    if not missing:
        return
    documents, model = test_documents(s), new_model(s)
    text = data.read(s.corpus, "train").to(s.device)
    for configuration, file in in_advance(lambda r: weights_of(s, r), missing, s.jobs):
        load_into(model, file, s.device)
        if configuration != DENSE:
            file.unlink()
        before = score(s, documents, model)
        train_masked(s, model, text)
        model.load_state_dict(fp16_of(model))
        append(target, {"name": " ".join(configuration), "steps": s.retrain_steps, "before": before, "after": score(s, documents, model)})
