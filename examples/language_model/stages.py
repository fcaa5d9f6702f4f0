"""The stages of the experiment. Each leaves files in the work folder, and does nothing where they are there already."""

import json
import math
import subprocess
import time

import torch

import data
import evaluate
import tensors
from model import CONTEXT, Decoder, mean_loss


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


def load_model(path, device, **shape):
    model = Decoder(**shape).to(device)
    model.load_state_dict({name: t.float() for name, t in tensors.load(path).items()})
    return model


def train(s):
    """model.safetensors (fp16) and train.json; goes on from training.pt where it was interrupted."""
    target, state_file = s.work / "model.safetensors", s.work / "training.pt"
    if target.exists():
        return
    torch.manual_seed(0)
    model = Decoder(**s.shape).to(s.device)
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
    model = load_model(s.work / "model.safetensors", s.device, **s.shape).eval()
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


def score(s, documents, path):
    """What the report needs to know of a checkpoint."""
    model = load_model(path, s.device, **s.shape)
    losses = evaluate.document_losses(model, documents, s.device)
    ppl, low, high = evaluate.perplexity(losses, documents.bytes)
    return {"perplexity": ppl, "low": low, "high": high, "losses": [round(x, 4) for x in losses.tolist()]}


def dense(s):
    target = s.work / "dense.json"
    if not target.exists():
        documents = test_documents(s)
        write(target, {**score(s, documents, s.work / "model.safetensors"), "bytes": documents.bytes.tolist()})


def prune(s, method, pattern, structures):
    """Runs the tool for one pattern; what it reports, by structure, and the files that it left."""
    out = str(s.work / "pruned-{pattern}-{structure}.safetensors")
    command = [s.tool, s.work / "model.safetensors", out, "--method", method, "--pattern", pattern]
    command += ["--structure", ",".join(structures), "--gram", s.work / "gram.safetensors", "--device", s.tool_device]
    command += ["--tokens", str(s.calibration_windows * CONTEXT), "--iterations", str(s.iterations), "--json"]
    done = subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True)
    layers = [json.loads(line) for line in done.stdout.splitlines()]
    names = {x: s.work / f"pruned-{pattern.replace(':', 'x')}-{x}.safetensors" for x in structures}
    return {x: [line for line in layers if line["structure"] == x] for x in structures}, names


def mean_error(layers):
    """The geometric mean over layers; nothing where the tool has none (CPU)."""
    errors = [line["error"] for line in layers]
    if any(e is None or e <= 0 for e in errors):
        return None
    return math.exp(sum(map(math.log, errors)) / len(errors))


def grid(s):
    """grid.jsonl: one line for each method, pattern and structure."""
    target = s.work / "grid.jsonl"
    done = {(r["method"], r["pattern"], r["structure"]) for r in read_lines(target)}
    documents = test_documents(s)
    for method in s.methods:
        for pattern in s.patterns:
            missing = [x for x in s.structures if (method, pattern, x) not in done]
            if not missing:
                continue
            layers, files = prune(s, method, pattern, missing)
            for structure in missing:
                append(target, {"method": method, "pattern": pattern, "structure": structure, "error": mean_error(layers[structure]),
                                "seconds": sum(x["seconds"] + x["prepare_seconds"] for x in layers[structure]),
                                "layers": {x["name"]: x["error"] for x in layers[structure]}, **score(s, documents, files[structure])})
                files[structure].unlink()


def retrain(s):
    """retrain.jsonl: some configurations, trained on with their masks fixed for a given number of steps."""
    target = s.work / "retrain.jsonl"
    done = {r["name"] for r in read_lines(target)}
    documents = test_documents(s)
    text = data.read(s.corpus, "train").to(s.device)
    for method, pattern, structure in s.retrained:
        name = f"{method} {pattern} {structure}"
        if name in done:
            continue
        _, files = prune(s, method, pattern, [structure])
        before = score(s, documents, files[structure])
        model = load_model(files[structure], s.device, **s.shape)
        masks = {module: module.weight.detach() != 0 for module in model.linear_layers().values()}
        optimizer = optimizer_for(model, s.retrain_rate)
        generator = torch.Generator().manual_seed(3)
        for step in range(s.retrain_steps):
            rate = s.retrain_rate * min(1.0, (step + 1) / 20) * (1 - step / s.retrain_steps)
            train_step(model, optimizer, data.random_windows(text, s.batch, generator), s.device, rate)
            with torch.no_grad():
                for module, mask in masks.items():
                    module.weight.mul_(mask)
        tensors.save(files[structure], fp16_of(model))
        append(target, {"name": name, "steps": s.retrain_steps, "before": before, "after": score(s, documents, files[structure])})
        files[structure].unlink()
