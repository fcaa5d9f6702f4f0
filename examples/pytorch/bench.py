"""What 2:4 transposable masks cost and gain in training, on a GPU: one JSON, and a table.

    python bench.py --out folder [--quick]

Kernel times are medians of device-event timings with a filled stream; buffers are larger than the L2 or rotated beyond it.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch

from tsenor_torch import Linear24, MaskRefresh, compress24

ops = torch.ops.tsenor
TYPE = torch.bfloat16


def device_ms(call, repeats=9):
    """The median device time of a call. Calls before it keep the stream filled, so that launching is hidden."""
    for _ in range(3):
        call()
    times = []
    for _ in range(repeats):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        call()
        begin.record()
        call()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


def compress_times(rows, cols):
    """The mask and both operands of one weight, what it adds over the mask alone, and the vendor's compress of one operand."""
    copies = 1 + 3 * 60 * 2**20 // (rows * cols * 2)  # beyond the L2
    weights = [torch.randn(rows, cols, device="cuda").to(TYPE) for _ in range(copies)]
    compressed, transposed, mask = compress24(weights[0])
    turn = iter(range(10**9))

    def rotated(call):
        return device_ms(lambda: call(weights[next(turn) % copies]), 31)

    copied = torch.empty_like(weights[0])
    traffic = rows * cols * 2 * (1 + 2 * 9 / 16)
    ms = rotated(lambda w: ops.sparse24_compress_(compressed, transposed, w))
    return {
        "rows": rows,
        "cols": cols,
        "mask_and_both_operands_ms": ms,
        "bytes_per_second": traffic / ms * 1e3,
        "and_mask_ms": rotated(lambda w: ops.sparse24_compress_(compressed, transposed, w, mask=mask)),
        "kept_mask_ms": rotated(lambda w: ops.sparse24_compress_(compressed, transposed, w, keep=mask)),
        "mask_alone_ms": rotated(lambda w: ops.find_mask_(mask, w, 2, 4)),
        "copy_ms": rotated(copied.copy_),
    }


def product_times(out_features, in_features, tokens):
    """Each product of a layer by itself: what linear24 measured, and PyTorch's own dense products in the same run."""
    layer = Linear24(in_features, out_features, bias=False, device="cuda", dtype=TYPE)
    choice = layer.choice(tokens)
    x, dy = (torch.randn(tokens, k, device="cuda").to(TYPE) for k in (in_features, out_features))
    names = ("sparse", "own_form", "sparse_ms", "dense_ms", "vendors_compress_ms")
    weight = layer.weight.detach()
    pruned, compressed, transposed = layer._forms(tokens)
    return {
        "out": out_features,
        "in": in_features,
        "tokens": tokens,
        "forward": dict(zip(names, choice[:5])),
        "input_gradient": dict(zip(names, choice[5:])),
        "torch_forward_ms": device_ms(lambda: x @ weight.t()),
        "torch_input_gradient_ms": device_ms(lambda: dy @ weight),
        "torch_weight_gradient_ms": device_ms(lambda: dy.t() @ x),
        "linear24_forward_ms": device_ms(lambda: ops.linear24_forward(x, pruned, compressed, out_features)),
        "linear24_input_gradient_ms": device_ms(
            lambda: ops.linear24_input_gradient(dy, pruned, transposed, in_features)
        ),
    }


def layer_step_times(out_features, in_features, tokens):
    """The whole step of a layer, three products: dense, and with masks refreshed every so many steps."""
    x = torch.randn(tokens, in_features, device="cuda").to(TYPE).requires_grad_()
    dy = torch.randn(tokens, out_features, device="cuda").to(TYPE)
    dense = torch.nn.Linear(in_features, out_features, bias=False, device="cuda", dtype=TYPE)
    layer = Linear24.of(dense)
    layer(x)  # measures

    def step(module):
        x.grad = module.weight.grad = None
        module(x).backward(dy)

    def sparse_step(keep_mask):
        layer.compress(keep_mask=keep_mask)
        step(layer)

    times = {"dense_ms": device_ms(lambda: step(dense)), "no_refresh_ms": device_ms(lambda: step(layer))}
    refresh, keep = device_ms(lambda: sparse_step(False)), device_ms(lambda: sparse_step(True))
    for every in (1, 16, 100):
        times[f"every_{every}_ms"] = (refresh + (every - 1) * keep) / every
    torch_path = torch_semi_structured_ms(dense, x, dy)
    return {"out": out_features, "in": in_features, "tokens": tokens, **times, "torch_semi_structured": torch_path}


def torch_semi_structured_ms(dense, x, dy):
    """The same step by PyTorch's own semi-structured training path, or why it does not run."""
    try:
        from torch.sparse import SparseSemiStructuredTensorCUSPARSELT

        def step():
            w = dense.weight.detach()
            sparse = SparseSemiStructuredTensorCUSPARSELT.prune_dense_static_sort(w)
            y = torch.nn.functional.linear(x.detach(), sparse)
            return y, dy @ sparse, dy.t() @ x.detach()

        y = step()[0]
        pruned = SparseSemiStructuredTensorCUSPARSELT.prune_dense_static_sort(dense.weight.detach()).to_dense()
        expected = x.detach() @ pruned.t()
        error = float((y - expected).abs().max() / expected.abs().max())
        return {"ms": device_ms(step), "relative_error": error, "right": error < 0.05}
    except Exception as error:  # what it says is the result
        torch.cuda.synchronize()
        return {"ms": None, "error": f"{type(error).__name__}: {str(error)[:200]}"}


def call_overhead_us():
    """Host time of one find_mask_ call on small weights: PyTorch's part is this less the C++ call's few microseconds."""
    weight, mask = torch.randn(64, 64, device="cuda"), torch.empty(64, 64, dtype=torch.bool, device="cuda")
    ops.find_mask_(mask, weight, 2, 4)
    torch.cuda.synchronize()
    times = []
    for _ in range(20):
        begin = time.perf_counter()
        for _ in range(50):
            ops.find_mask_(mask, weight, 2, 4)
        times.append((time.perf_counter() - begin) / 50 * 1e6)
        torch.cuda.synchronize()
    return statistics.median(times)


class Block(torch.nn.Module):
    """A decoder block: attention and a gated MLP."""

    def __init__(self, hidden, heads):
        super().__init__()
        linear, ffn = lambda a, b: torch.nn.Linear(a, b, bias=False), 4 * hidden
        self.heads, self.norms = heads, torch.nn.ModuleList(torch.nn.RMSNorm(hidden) for _ in range(2))
        self.qkv, self.out = linear(hidden, 3 * hidden), linear(hidden, hidden)
        self.gate, self.up, self.down = linear(hidden, ffn), linear(hidden, ffn), linear(ffn, hidden)

    def forward(self, x):
        q, k, v = self.qkv(self.norms[0](x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attention = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attention.transpose(1, 2).flatten(2))
        h = self.norms[1](x)
        return x + self.down(torch.nn.functional.silu(self.gate(h)) * self.up(h))


class Decoder(torch.nn.Module):
    def __init__(self, vocabulary, hidden, heads, layers):
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary, hidden)
        self.blocks = torch.nn.Sequential(*(Block(hidden, heads) for _ in range(layers)))
        self.norm, self.head = torch.nn.RMSNorm(hidden), torch.nn.Linear(hidden, vocabulary, bias=False)

    def forward(self, tokens):
        return self.head(self.norm(self.blocks(self.embedding(tokens))))


def use_linear24(model):
    """Replaces the linear layers of the blocks."""
    for block in model.blocks:
        for name, module in list(block.named_children()):
            if isinstance(module, torch.nn.Linear):
                setattr(block, name, Linear24.of(module))


def markov_batches(vocabulary, batch, length, seed):
    """A language whose next token depends on the last two, by a fixed random table: its entropy is what can be learnt."""
    generator = torch.Generator("cuda").manual_seed(seed)
    table = torch.randint(vocabulary, (vocabulary, vocabulary, 4), device="cuda",
                          generator=torch.Generator("cuda").manual_seed(0))
    while True:
        tokens = torch.randint(vocabulary, (batch, length), device="cuda", generator=generator)
        picks = torch.randint(4, (batch, length), device="cuda", generator=generator)
        for k in range(2, length):
            tokens[:, k] = table[tokens[:, k - 2], tokens[:, k - 1], picks[:, k]]
        yield tokens


def train(kind, every, size, steps, switch_at=0):
    """Losses and step time of a training run: 'dense', or 'sparse' from step `switch_at` on."""
    torch.manual_seed(0)
    model = Decoder(size["vocabulary"], size["hidden"], size["heads"], size["layers"]).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.01, fused=True)
    batches, losses, times = markov_batches(size["vocabulary"], size["batch"], size["length"], 1), [], []
    for step in range(steps):
        if kind == "sparse" and step == switch_at:
            use_linear24(model)  # parameters stay the same tensors, so the optimizer goes on
            MaskRefresh(model, optimizer, every=every)
        tokens = next(batches)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        with torch.autocast("cuda", torch.bfloat16):
            logits = model(tokens[:, :-1])
            loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        end.record()
        losses.append(loss.detach())
        times.append((begin, end))
    torch.cuda.synchronize()
    ms = [a.elapsed_time(b) for a, b in times][switch_at + 5 :]
    return {"kind": kind, "every": every, "switch_at": switch_at, "steps": steps,
            "losses": [round(float(x), 4) for x in losses], "median_step_ms": statistics.median(ms)}


def training_runs(quick):
    size = {"vocabulary": 512, "hidden": 1024, "heads": 16, "layers": 4, "batch": 16, "length": 256}
    steps = 60 if quick else 300
    runs = [train("dense", 1, size, steps)]
    runs += [train("sparse", every, size, steps) for every in ((1,) if quick else (1, 16))]
    runs.append(train("sparse", 1, size, steps, switch_at=steps // 3))
    return {"size": size, "runs": runs}


def environment():
    device = torch.cuda.get_device_properties(0)
    return {"gpu": device.name, "torch": torch.__version__, "cuda": torch.version.cuda,
            "time": time.strftime("%Y-%m-%d %H:%M")}


def table(record):
    lines = [record["environment"]["gpu"]]
    for c in record["compress"]:
        lines.append(
            f"mask + both operands {c['rows']}x{c['cols']}: {c['mask_and_both_operands_ms']:.3f} ms "
            f"({c['bytes_per_second'] / 1e12:.2f} TB/s), with mask {c['and_mask_ms']:.3f}, given mask {c['kept_mask_ms']:.3f}, "
            f"mask alone {c['mask_alone_ms']:.3f}, copy {c['copy_ms']:.3f}"
        )
    lines.append("out x in, tokens: forward, input gradient sparse over dense; step every 1, 16, 100 over dense; torch's own")
    for p, s in zip(record["products"], record["steps"]):
        f, g = p["forward"], p["input_gradient"]
        gains = " ".join(f"{s['dense_ms'] / s[f'every_{k}_ms']:.3f}" for k in (1, 16, 100))
        own = s["torch_semi_structured"]
        other = f"{s['dense_ms'] / own['ms']:.3f}{'' if own['right'] else ' (wrong)'}" if own["ms"] else own["error"][:40]
        lines.append(
            f"{p['out']}x{p['in']}, {p['tokens']}: {f['dense_ms'] / f['sparse_ms']:.3f} {g['dense_ms'] / g['sparse_ms']:.3f} "
            f"own form {bool(f['own_form'])} {bool(g['own_form'])} sparse {bool(f['sparse'])} {bool(g['sparse'])}; "
            f"dense {s['dense_ms']:.3f} ms; {gains}; {other}"
        )
    for r in record["training"]["runs"]:
        lines.append(f"{r['kind']} every {r['every']} from {r['switch_at']}: loss {r['losses'][-1]:.4f}, "
                     f"{r['median_step_ms']:.2f} ms a step")
    lines.append(f"find_mask_ host time: {record['call_overhead_us']:.1f} us")
    return "\n".join(lines)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, required=True, help="folder for linear24.json")
    arguments.add_argument("--quick", action="store_true", help="fewer shapes and steps")
    given = arguments.parse_args()
    if not torch.cuda.is_available():
        sys.exit("bench.py needs a CUDA device")
    shapes = [(4096, 4096, 8192), (4096, 14336, 16384), (14336, 4096, 16384), (1024, 1024, 2048)]
    if not given.quick:
        shapes += [(5120, 5120, 8192), (13824, 5120, 16384), (8192, 8192, 16384), (28672, 8192, 8192),
                   (4096, 14336, 32768), (512, 512, 1024)]
    given.out.mkdir(parents=True, exist_ok=True)
    record = {"environment": environment()}
    sections = {
        "call_overhead_us": call_overhead_us,
        "compress": lambda: [compress_times(*s) for s in ((4096, 14336), (4096, 4096), (8192, 8192))],
        "products": lambda: [product_times(*s) for s in shapes],
        "steps": lambda: [layer_step_times(*s) for s in shapes],
        "training": lambda: training_runs(given.quick),
    }
    for name, measure in sections.items():
        begin = time.perf_counter()
        record[name] = measure()
        print(f"{name}: {time.perf_counter() - begin:.0f} s", flush=True)
        # After each section, so that what follows cannot lose it.
        (given.out / "linear24.json").write_text(json.dumps(record, indent=1))
    print(table(record))


if __name__ == "__main__":
    main()
