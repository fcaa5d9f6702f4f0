"""What 2:4 transposable masks cost and gain in training, on a GPU: one JSON, and a table.

    python bench.py --out folder [--quick]

Kernel times are medians of device-event timings with a filled stream; buffers are larger than the L2 or rotated beyond it.
Steps are timed as runs of them by the wall, the host's time included, beside runs of dense ones; nothing is put together from
parts.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import torch

from fp8 import fp8_layer
from text import Text
from training import Recipe, Training

from tsenor_torch import Linear24, build_info, compress24, plans, sparsify24

ops = torch.ops.tsenor
TYPE = torch.bfloat16
# Out and in features with numbers of tokens: the layers of decoders of 4096, 5120 and 8192.
DECODERS = [
    ((4096, 4096), (8192, 32768)),
    ((4096, 14336), (8192, 16384, 32768)),
    ((14336, 4096), (8192, 16384, 32768)),
    ((5120, 5120), (8192,)),
    ((5120, 13824), (16384,)),
    ((13824, 5120), (16384,)),
    ((8192, 8192), (8192, 16384)),
    ((28672, 8192), (8192,)),
    ((8192, 28672), (8192,)),
]
SMALL = [(2048, 2048, 4096), (1024, 1024, 2048), (512, 512, 1024)]
DECODER = {"hidden": 1024, "heads": 16, "layers": 4, "batch": 16, "length": 256, "rate": 3e-4}
LARGE_DECODER = {"hidden": 4096, "heads": 32, "layers": 2, "batch": 8, "length": 2048, "rate": 3e-4}
FP8 = [(4096, 14336, 16384), (14336, 4096, 16384), (8192, 8192, 16384)]
QUICK = [(4096, 4096, 8192), (4096, 14336, 16384), (14336, 4096, 16384), (1024, 1024, 2048)]


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
    weight = layer.weight.detach()
    record = {"out": out_features, "in": in_features, "tokens": tokens}
    for name in ("forward", "input_gradient"):
        record[name] = getattr(choice, name)._asdict()
    record["layer_is_sparse"] = choice.plan != plans.DENSE
    record["beats_linear"] = choice.beats_linear
    record["probed_step_ms"] = {k: getattr(choice, f"{k}_step_ms") for k in ("sparse", "dense", "linear")}
    return record | {
        "torch_forward_ms": device_ms(lambda: x @ weight.t()),
        "torch_input_gradient_ms": device_ms(lambda: dy @ weight),
        "torch_weight_gradient_ms": device_ms(lambda: dy.t() @ x),
    }


def run_ms(steps, rounds=3):
    """Wall time a step, the host's time included, of runs of each kind of step, given as {kind: (call, every)} where the call
    finds masks once in so many steps. Runs of the kinds take turns, so that the GPU's clock is the same for all, and of each the
    least counts."""
    times = {kind: [] for kind in steps}
    for _ in range(rounds):
        for kind, (step, every) in steps.items():
            count = max(every, 8)
            torch.cuda.synchronize()
            begin = time.perf_counter()
            for k in range(count):
                step((k + 1) % every != 0)
            torch.cuda.synchronize()
            times[kind].append((time.perf_counter() - begin) / count * 1e3)
    return {kind: min(mine) for kind, mine in times.items()}


def both_layers(out_features, in_features, tokens, **arguments):
    """A dense layer, a 2:4 one of the same weights, an input, and a gradient of the output."""
    x = torch.randn(tokens, in_features, device="cuda").to(TYPE).requires_grad_()
    dy = torch.randn(tokens, out_features, device="cuda").to(TYPE)
    dense = torch.nn.Linear(in_features, out_features, bias=False, device="cuda", dtype=TYPE)
    return dense, Linear24.of(dense, **arguments), x, dy


def layer_step_times(out_features, in_features, tokens):
    """The whole step of a layer, three products: dense, and with masks never found anew or every so many steps."""
    dense, layer, x, dy = both_layers(out_features, in_features, tokens)

    def step(module):
        x.grad = module.weight.grad = None
        module(x).backward(dy)

    def refreshed(keep_mask):
        layer.compress(keep_mask=keep_mask)
        step(layer)

    step(layer)  # measures
    kinds = {"dense": (lambda _: step(dense), 1), "no_refresh": (lambda _: step(layer), 1)}
    kinds |= {f"every_{every}": (refreshed, every) for every in (1, 16, 100)}
    own, what = torch_semi_structured(dense, x, dy)
    record = {"out": out_features, "in": in_features, "tokens": tokens, "torch_semi_structured": what}
    return record | {"step_ms": run_ms(kinds | ({"torch_every_1": (own, 1)} if own else {}))}


def captured_step_times(out_features, in_features, tokens):
    """The whole step of a layer replayed from a CUDA graph: dense, and 2:4 with masks found in each step."""
    dense, layer, x, dy = both_layers(out_features, in_features, tokens, captured=True)

    def step(module):
        torch.autograd.grad(module(x), (x, module.weight), dy)

    def refreshed():
        layer.compress()
        step(layer)

    replays = {kind: plans.replay_of(call) for kind, call in (("dense", lambda: step(dense)), ("every_1", refreshed))}
    record = {"out": out_features, "in": in_features, "tokens": tokens, "layer_is_sparse": layer.plan != plans.DENSE,
              "beats_linear": layer.choice(tokens).beats_linear}
    return record | {"step_ms": run_ms({kind: (lambda _, r=r: r(), 100) for kind, r in replays.items()})}


def torch_semi_structured(dense, x, dy):
    """The same step by PyTorch's own semi-structured training path: the step, or None, and whether its result is right or why
    it does not run."""
    try:
        from torch.sparse import SparseSemiStructuredTensorCUSPARSELT

        def step(_):
            sparse = SparseSemiStructuredTensorCUSPARSELT.prune_dense_static_sort(dense.weight.detach())
            y = torch.nn.functional.linear(x.detach(), sparse)
            return y, dy @ sparse, dy.t() @ x.detach()

        y = step(False)[0]
        pruned = SparseSemiStructuredTensorCUSPARSELT.prune_dense_static_sort(dense.weight.detach()).to_dense()
        expected = x.detach() @ pruned.t()
        error = float((y - expected).abs().max() / expected.abs().max())
        return step, {"relative_error": error, "right": error < 0.05}
    except Exception as error:  # what it says is the result
        torch.cuda.synchronize()
        return None, {"error": f"{type(error).__name__}: {str(error)[:200]}"}


class Turn(Training):
    """A training that takes turns with others: 'dense', 'sparse' in all layers, or in those that are 'faster' so, from
    step `switch_at` on. Its rate is constant. `captured`: steps are replayed from a CUDA graph."""

    def __init__(self, text, size, steps, name, every=1, switch_at=0, captured=False):
        self.name, self.switch_at, self.captured, self.losses, self.times = name, switch_at, captured, [], []
        self.graph, self.stream = None, torch.cuda.Stream() if captured else None
        recipe = Recipe(every=every, dense_start=switch_at / steps, dense_end=0.0)
        super().__init__(text, size, "dense" if name == "dense" else "masks", recipe, steps, captured=captured)

    def make_sparse(self, blocks, **arguments):
        if self.name == "faster":
            sparsify24(blocks, self.size["batch"] * self.size["length"], **arguments)
        else:
            super().make_sparse(blocks, **arguments)

    def rate(self):
        return 1.0

    def step(self):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        loss = super().step()
        torch.cuda.synchronize()
        self.times.append(1e3 * (time.perf_counter() - begin))
        self.losses.append(float(loss))

    def learn(self, tokens):
        """From a graph, once some steps have been taken without."""
        if not self.captured:
            return super().learn(tokens)
        if self.done < 3:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                return super().learn(tokens)
        if self.graph is None:
            self.graph, self.tokens = torch.cuda.CUDAGraph(), tokens.clone()
            with torch.cuda.graph(self.graph):
                self.result = super().learn(self.tokens)
        self.tokens.copy_(tokens)
        self.graph.replay()
        return self.result

    def record(self):
        sparse_layers = sum(isinstance(module, Linear24) for module in self.model.modules())
        means = [round(statistics.mean(self.losses[k : k + 50]), 6) for k in range(0, len(self.losses), 50)]
        return {"kind": self.name, "every": self.recipe.every, "switch_at": self.switch_at, "captured": self.captured,
                "steps": len(self.losses), "sparse_layers": sparse_layers, "losses": means,
                "median_step_ms": statistics.median(self.times[self.switch_at + 5 :])}


def turns(text, size, steps, *runs):
    """Records of the runs, each given as Turn's arguments. They take turns step by step: the GPU's clock is the same for
    all."""
    trainings = [Turn(text, size, steps, *run) for run in runs]
    for _ in range(steps):
        for training in trainings:
            training.step()
    return [training.record() for training in trainings]


def training_runs(quick):
    """Runs of the small decoder for the losses, and of the large one for the step times."""
    steps, text = 60 if quick else 1000, Text.of(None, "cuda")
    runs = [("dense",), ("sparse", 1), ("sparse", 16), ("sparse", 1, steps // 3), ("faster", 1)]
    runs += [(kind, 1, 0, True) for kind in ("dense", "sparse", "faster")]
    large = ("dense",), ("sparse", 1), ("sparse", 16), ("sparse", 100)
    return {"text": text.record["name"], "size": DECODER, "runs": turns(text, DECODER, steps, *runs),
            "large_size": LARGE_DECODER, "large_runs": turns(text, LARGE_DECODER, 30, *large)}


def call_overhead_us():
    """Host time of one find_mask_ call on small weights, and of the library's own call in it."""
    weight, mask = torch.randn(64, 64, device="cuda"), torch.empty(64, 64, dtype=torch.bool, device="cuda")
    calls, through_pytorch, library = 50, [], []
    for _ in range(20):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(calls):
            ops.find_mask_(mask, weight, 2, 4)
        through_pytorch.append((time.perf_counter() - begin) / calls * 1e6)
        torch.cuda.synchronize()
        library.append(ops.find_mask_host_seconds(mask, weight, 2, 4, calls) / calls * 1e6)
    return {"through_pytorch": statistics.median(through_pytorch), "library": statistics.median(library)}


def environment():
    device = torch.cuda.get_device_properties(0)
    return {"gpu": device.name, "torch": torch.__version__, "cuda": torch.version.cuda,
            "cusparselt": build_info()["sparse24"], "time": time.strftime("%Y-%m-%d %H:%M")}


def table(record):
    lines = [record["environment"]["gpu"]]
    for c in record["compress"]:
        lines.append(
            f"mask + both operands {c['rows']}x{c['cols']}: {c['mask_and_both_operands_ms']:.3f} ms "
            f"({c['bytes_per_second'] / 1e12:.2f} TB/s), with mask {c['and_mask_ms']:.3f}, given mask {c['kept_mask_ms']:.3f}, "
            f"mask alone {c['mask_alone_ms']:.3f}, copy {c['copy_ms']:.3f}"
        )
    lines.append("out x in, tokens: forward, input gradient sparse over dense; whole steps, times dense")
    for p, s in zip(record["products"], record["steps"]):
        f, g, ms = p["forward"], p["input_gradient"], s["step_ms"]
        gains = " ".join(f"{kind} {ms['dense'] / ms[kind]:.3f}" for kind in ms if kind != "dense")
        lines.append(
            f"{p['out']}x{p['in']}, {p['tokens']}: {f['dense_ms'] / f['sparse_ms']:.3f} {g['dense_ms'] / g['sparse_ms']:.3f} "
            f"own form {bool(f['own_form'] and g['own_form'])}, layer {'sparse' if p['layer_is_sparse'] else 'dense'}, "
            f"{'beats' if p['beats_linear'] else 'does not beat'} Linear; dense {ms['dense']:.3f} ms; {gains}"
        )
    for s in record["captured"]:
        lines.append("captured " + json.dumps(s))
    for f in record["fp8"]:
        lines.append("fp8 " + json.dumps(f))
    training = record["training"]
    for r in training["runs"] + training["large_runs"]:
        lines.append(f"{r['kind']} every {r['every']} from {r['switch_at']}: loss {r['losses'][-1]:.4f}, "
                     f"{r['median_step_ms']:.2f} ms a step, {r['sparse_layers']} sparse layers, captured {r['captured']}")
    host = record["call_overhead_us"]
    lines.append(f"find_mask_ host time: {host['through_pytorch']:.1f} us, of it the library's call {host['library']:.1f} us")
    return "\n".join(lines)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, required=True, help="folder for linear24.json")
    arguments.add_argument("--quick", action="store_true", help="fewer shapes and steps")
    given = arguments.parse_args()
    if not torch.cuda.is_available():
        sys.exit("bench.py needs a CUDA device")
    shapes = QUICK if given.quick else [(out, into, tokens) for (out, into), counts in DECODERS for tokens in counts] + SMALL
    given.out.mkdir(parents=True, exist_ok=True)
    record = {"environment": environment()}
    sections = {
        "call_overhead_us": call_overhead_us,
        "compress": lambda: [compress_times(*s) for s in ((4096, 14336), (4096, 4096), (8192, 8192))],
        "products": lambda: [product_times(*s) for s in shapes],
        "steps": lambda: [layer_step_times(*s) for s in shapes],
        "captured": lambda: [captured_step_times(*s) for s in SMALL],
        "fp8": lambda: [fp8_layer(*s, device_ms, run_ms) for s in FP8],
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
