"""Fine-tuning with the masks fixed: transposable against row-wise masks, at equal steps and at equal seconds."""

import time

import torch

import assets
import evaluate
from stages import append, load_model, load_text, new_cell, read_lines

# Method, pattern, structure, and what the backward pass multiplies by: 'exact' is what the forward pass does; 'bi-nm'
# also leaves out what breaks the pattern in the columns, so that sparse hardware could do it, and the gradient of the
# inputs is approximate.
CONFIGURATIONS = [
    ("dense", "", "", "exact"),
    ("alps", "16:32", "transposable", "exact"),
    ("alps", "16:32", "row-wise", "exact"),
    ("alps", "16:32", "row-wise", "bi-nm"),
    ("alps", "2:4", "transposable", "exact"),
    ("alps", "2:4", "row-wise", "exact"),
    ("alps", "2:4", "row-wise", "bi-nm"),
]


class _Masked(torch.autograd.Function):
    """x W^T with the gradient of x taken through another mask of W."""

    @staticmethod
    def forward(ctx, x, weight, backward_weight):
        ctx.save_for_backward(x, backward_weight)
        return torch.nn.functional.linear(x, weight)

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        rows = gradient.flatten(0, -2)
        return gradient @ weight, rows.T @ x.flatten(0, -2), None


class Masks:
    """Keeps what is 0 in a model's linear layers at 0, and gives them their backward pass."""

    def __init__(self, model, pattern, backward):
        self.kept = {w: w.detach() != 0 for name, w in model.named_parameters() if "layers" in name and w.dim() == 2}
        if backward == "exact":
            return
        n, m = map(int, pattern.split(":"))
        for module in model.model.layers.modules():
            if isinstance(module, torch.nn.Linear):
                mask = torch.ops.tsenor.magnitude_(module.weight.detach().clone(), n, m, structure="row-then-column")
                module.forward = lambda x, module=module, mask=mask: _approximate(x, module.weight, mask)

    @torch.no_grad()
    def apply(self):
        for weight, kept in self.kept.items():
            weight.mul_(kept)


def _approximate(x, weight, mask):
    weight = weight.bfloat16()  # as autocast would have it
    return _Masked.apply(x.bfloat16(), weight, torch.where(mask, weight, 0).detach())


def train_step(s, model, optimizer, windows, step):
    optimizer.param_groups[0]["lr"] = s.rate * min(1.0, (step + 1) / 10)
    with torch.autocast(s.device.type, dtype=torch.bfloat16):
        logits = model(windows[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), windows[:, 1:].flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def windows_of(s, train, generator):
    starts = torch.randint(len(train) - s.context - 1, (s.batch,), generator=generator)
    return train[starts[:, None] + torch.arange(s.context + 1)].to(s.device)


def train(s, model, masks, text, test):
    """Runs `tune_steps` steps, and goes on until `tune_seconds` have passed; scores at both, the scoring not in the
    seconds."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=s.rate, betas=(0.9, 0.95), weight_decay=0.0)
    generator, scores, seconds, step = torch.Generator().manual_seed(3), {}, 0.0, 0
    while "steps" not in scores or "seconds" not in scores:
        begin = time.monotonic()
        model.train()
        train_step(s, model, optimizer, windows_of(s, text, generator), step)
        masks.apply()
        if s.device.type == "cuda":
            torch.cuda.synchronize()
        seconds, step = seconds + time.monotonic() - begin, step + 1
        for name, over in (("steps", step >= s.tune_steps), ("seconds", seconds >= s.tune_seconds)):
            if over and name not in scores:
                scores[name] = {"steps": step, "seconds": seconds, **score(s, model, test)}
    return scores


def score(s, model, test):
    with torch.autocast(s.device.type, dtype=torch.bfloat16):
        return evaluate.score(model, test, s.device)


def tune(s):
    """tune.jsonl: a line for each configuration, before and after."""
    target = s.work / "tune.jsonl"
    done = {tuple(r["configuration"]) for r in read_lines(target)}
    test, text = load_text(s)
    batches = assets.calibration(text, s.calibration, s.context, s.batch)
    for configuration in CONFIGURATIONS:
        method, pattern, structure, backward = configuration
        if configuration in done or (pattern and pattern not in s.patterns):
            continue
        model = load_model(s, torch.float32)
        if method != "dense":
            new_cell(s, model, batches, method, pattern, structure)
        before, masks = score(s, model, test), Masks(model, pattern, backward)
        if method == "dense":
            masks.kept = {}
        found = {"configuration": configuration, "before": before, **train(s, model, masks, text, test)}
        append(target, found)
        print(
            f"{' '.join(configuration)}: {before['perplexity']:.3f} to {found['steps']['perplexity']:.3f}", flush=True
        )
