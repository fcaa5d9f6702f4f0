"""The stages of the experiment. Each leaves files in the work folder, and does nothing where they are there already."""

import json
import math
import time
from functools import partial

import torch

import assets
import evaluate
from tsenor_torch import prune_model

# How each is asked for.
STRUCTURES = {
    "row-wise": {"structure": "row-wise"},
    "transposable": {"structure": "transposable"},
    "published": {"structure": "transposable", "mask_method": "published", "constraint": "at_most"},
    "row-then-column": {"structure": "row-then-column"},
}


def write(path, value):
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value) + "\n")
    partial.replace(path)


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def append(path, value):
    with open(path, "a") as file:
        file.write(json.dumps(value) + "\n")


def prepare(s):
    """model/ and text.pt."""
    if not (s.work / "model" / "model.safetensors").exists():
        assets.write_model(s.gguf or assets.gguf_file(), s.work / "model")
    if not (s.work / "text.pt").exists():
        from transformers import AutoTokenizer

        texts = assets.read_articles(s.articles) if s.articles else assets.articles()
        assets.write_text(texts, AutoTokenizer.from_pretrained(s.work / "model"), s.work / "text.pt")


def load_text(s):
    """The held-out articles, and the tokens to calibrate and tune on."""
    text = torch.load(s.work / "text.pt")
    return assets.TestWindows(text["test"], s.context, s.test_tokens), text["train"]


def load_model(s, dtype=None):
    return assets.load_model(s.work / "model", s.device, dtype or s.dtype, s.blocks)


def dense(s):
    """dense.json: the model as it is, and under which conditions all was done."""
    target = s.work / "dense.json"
    if target.exists():
        return
    test, train = load_text(s)
    model = load_model(s)
    layers = [w for name, w in model.named_parameters() if w.dim() == 2 and "layers" in name]
    conditions = {
        "device": torch.cuda.get_device_name() if s.device.type == "cuda" else "CPU",
        "dtype": str(s.dtype).removeprefix("torch."),
        "torch": torch.__version__,
        "context": s.context,
        "calibration_tokens": s.calibration * s.context,
        "tokens": test.tokens,
        "train_tokens": len(train),
        "parameters": sum(p.numel() for p in model.parameters()),
        "pruned": sum(w.numel() for w in layers),
        "layers": len(layers),
    }
    write(target, {**conditions, **evaluate.score(model, test, s.device)})


def new_cell(s, model, batches, method, pattern, structure):
    """Prunes the model; what grid.jsonl says of that."""
    n, m = map(int, pattern.split(":"))
    begin = time.monotonic()
    report = prune_model(
        model, batches, method=method, n=n, m=m, progress=False, iterations=s.iterations, **STRUCTURES[structure]
    )
    if s.device.type == "cuda":
        torch.cuda.synchronize()
    return {
        "method": method,
        "pattern": pattern,
        "structure": structure,
        "seconds": time.monotonic() - begin,
        "pruning_seconds": sum(x.seconds for x in report.pruned),
        "dead_inputs": sum(x.dead_inputs for x in report.pruned),
        "layers": {x.name: x.error for x in report.pruned},
        "fallen_back": [x.name for x in report.fallen_back],
    }


def grid(s):
    """grid.jsonl: a line for each method, pattern and structure."""
    target, begin = s.work / "grid.jsonl", time.monotonic()
    done = {(r["method"], r["pattern"], r["structure"]) for r in read_lines(target)}
    missing = [c for c in cells(s) if c not in done]
    if not missing:
        return
    test, train = load_text(s)
    model, batches = load_model(s), assets.calibration(train, s.calibration, s.context, s.batch)
    weights = {name: w.clone() for name, w in model.state_dict().items()}
    new_cell(s, model, batches, "wanda", "2:4", "row-wise")  # what starts up once is nobody's time
    for cell in missing:
        if time.monotonic() - begin > s.seconds:
            raise SystemExit(
                f"grid: the {s.seconds:.0f} s are over; run the same line again to continue with {' '.join(cell)}"
            )
        model.load_state_dict(weights)
        found = {**new_cell(s, model, batches, *cell), **evaluate.score(model, test, s.device)}
        append(target, found)
        print(f"{' '.join(cell)}: perplexity {found['perplexity']:.3f}, {found['seconds']:.2f} s", flush=True)


def cells(s):
    """Those that most is to be learnt from first."""
    first, last = [x for x in s.structures if x in ("row-wise", "transposable")], s.structures
    order = [(m, p, x) for xs in (first, last) for p in s.patterns for x in xs for m in reversed(s.methods)]
    return list(dict.fromkeys(order))


def speed(s):
    """speed.json: masks of one large matrix, in seconds, beside what the authors publish."""
    target = s.work / "speed.json"
    if target.exists() or s.device.type != "cuda":
        return
    weight, seconds = torch.randn(8192, 8192, device=s.device), {}
    mask = torch.empty_like(weight, dtype=torch.bool)
    for method, constraint in (("optimal", "exactly"), ("published", "at_most")):
        call = partial(torch.ops.tsenor.find_mask_, mask, weight, 8, 16, method=method, constraint=constraint)
        call()
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(10):
            call()
        end.record()
        end.synchronize()
        seconds[method] = begin.elapsed_time(end) / 10 / 1000
    write(target, seconds)


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))
