"""What 2:4 products and masks cost and gain in training, on a GPU: FOLDER/linear24.json, for report.py.

    python bench.py --out FOLDER [--only SECTION ...] [--seconds 200]

Sections are measured in order of their importance: layers (whole steps), decoders, mvue and compress (kernels), float8,
captured (CUDA graphs), call_overhead, float16. Each measurement is written at once. A second call with the same folder
measures what is not there yet or did not run. After --seconds no further measurement begins.
"""

import argparse
import json
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch
from decoder import KINDS, Recipe, Training
from layers import captured_times, device_ms, float8_times, float16_errors, layer_times, normal
from text import Text

from tsenor_torch import Linear24, MvueLinear, build_info, compress24, mvue24, sparsify24

ops = torch.ops.tsenor
# Out and in features and tokens: first those that the goals are set for.
GOALS = [(4096, 14336, 16384), (14336, 4096, 16384), (8192, 8192, 16384)]
SMALL = [(2048, 2048, 4096), (1024, 1024, 2048), (512, 512, 1024)]
OTHERS = [
    (4096, 4096, 8192), (4096, 4096, 32768), (5120, 5120, 8192), (5120, 13824, 16384), (13824, 5120, 16384),
    (8192, 8192, 8192), (28672, 8192, 8192), (8192, 28672, 8192), (4096, 14336, 8192), (14336, 4096, 8192),
    (4096, 14336, 32768), (14336, 4096, 32768),
]
DECODERS = {
    "large": {"hidden": 4096, "heads": 32, "layers": 2, "batch": 8, "length": 2048, "rate": 3e-4},
    "small": {"hidden": 1024, "heads": 16, "layers": 4, "batch": 16, "length": 256, "rate": 3e-4},
}
STEPS = 24  # of each decoder


def compress_times(rows, cols):
    """Kernels of the masks and both operands of one weight, and a copy of the weight."""
    copies = 1 + 3 * 60 * 2**20 // (rows * cols * 2)  # beyond the L2
    weights = [normal(rows, cols) for _ in range(copies)]
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


def mvue_times(tokens, features):
    """The estimate's kernel on data larger than the L2 cache, and a copy that reads and writes as many bytes."""
    dy = normal(tokens, features)
    traffic = dy.numel() * 2 * 25 // 16
    source, copied = (torch.zeros(traffic // 2, dtype=torch.uint8, device="cuda") for _ in range(2))
    ms, copy_ms = device_ms(lambda: mvue24(dy), 31), device_ms(lambda: copied.copy_(source), 31)
    zeros = dy * (torch.rand_like(dy) < 0.5)
    dy[::4096, ::64] = float("inf")
    return {
        "tokens": tokens, "features": features, "ms": ms, "copy_ms": copy_ms, "bytes_per_second": traffic / ms * 1e3,
        "half_zeros_ms": device_ms(lambda: mvue24(zeros)), "infinities_ms": device_ms(lambda: mvue24(dy)),
    }


class Turn(Training):
    """A training of a kind that takes turns with others, at a constant rate. `faster`: only the layers that sparsify24
    takes. `captured`: steps are replayed from a CUDA graph."""

    def __init__(self, text, size, kind, faster=False, captured=False):
        self.faster, self.captured, self.times, self.graph = faster, captured, [], None
        self.stream = torch.cuda.Stream() if captured else None
        super().__init__(text, size, kind, Recipe(dense_end=0.0), STEPS, captured=captured)

    def make_sparse(self, blocks, **arguments):
        if not self.faster:
            return super().make_sparse(blocks, **arguments)
        masks, mvue = KINDS[self.kind]
        arguments |= {"weight_gradient": "mvue"} if masks and mvue else {}
        weights = "sparse" if masks else "dense"
        sparsify24(blocks, self.size["batch"] * self.size["length"], weights=weights, **arguments)

    def rate(self):
        return 1.0

    def step(self):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        super().step()
        torch.cuda.synchronize()
        self.times.append(1e3 * (time.perf_counter() - begin))

    def learn(self, tokens):
        """Takes some steps, and then replays them from a graph."""
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
        sparse = sum(isinstance(module, (Linear24, MvueLinear)) for module in self.model.modules())
        return {"kind": self.kind, "faster": self.faster, "captured": self.captured, "sparse_layers": sparse,
                "products": self.products(), "median_step_ms": statistics.median(self.times[6:])}


def decoder_times(name):
    """Steps of a decoder of each kind. They take turns: the GPU's clock is the same for all."""
    ways = [(False, False)] if name == "large" else [(True, False), (True, True)]
    text, size = Text.of(None, "cuda"), DECODERS[name]
    trainings = [Turn(text, size, kind, *way) for way in ways for kind in KINDS]
    for _ in range(STEPS):
        for training in trainings:
            training.step()
    return {"name": name, "size": size, "steps": STEPS - 6, "compiled": trainings[0].compiled,
            "runs": [training.record() for training in trainings]}


def float16_in_a_process(*given):
    """In a process of its own: an illegal instruction, which float16 products of cuSPARSELt 0.8 end in, is its last."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(float16_errors, *given).result()


def call_overhead():
    """Host time of one find_mask_ call on small weights, and of the library's own call in it, in microseconds."""
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


def measurements():
    """(section, function, its arguments), the most important first."""
    of = {
        layer_times: GOALS, decoder_times: [("large",)], mvue_times: [(16384, 4096), (16384, 14336), (16384, 8192)],
        float8_times: GOALS, compress_times: [(4096, 14336), (4096, 4096), (8192, 8192)],
        captured_times: SMALL, call_overhead: [()],
    }
    named = {"layers": layer_times, "decoders": decoder_times, "mvue": mvue_times, "float8": float8_times,
             "compress": compress_times, "captured": captured_times, "call_overhead": call_overhead}
    first = [(section, function, given) for section, function in named.items() for given in of[function]]
    rest = [("layers", layer_times, given) for given in SMALL + OTHERS] + [("decoders", decoder_times, ("small",))]
    return first + rest + [("float16", float16_in_a_process, given) for given in GOALS]


SECTIONS = list(dict.fromkeys(section for section, *_ in measurements()))


def environment():
    device = torch.cuda.get_device_properties(0)
    return {"gpu": device.name, "torch": torch.__version__, "cuda": torch.version.cuda,
            "cusparselt": build_info()["sparse24"], "time": time.strftime("%Y-%m-%d %H:%M")}


class Record:
    """FOLDER/linear24.json. A second call continues it."""

    def __init__(self, folder, environment):
        self.path = folder / "linear24.json"
        self.whole = json.loads(self.path.read_text()) if self.path.exists() else {"environment": environment}
        before = self.whole["environment"]
        if before | {"time": None} != environment | {"time": None}:
            raise SystemExit(f"bench.py: {self.path} is of {before}, this is {environment}: give another --out")

    def has(self, section, given):
        return any(item["of"] == list(given) and "error" not in item for item in self.whole.get(section, []))

    def add(self, section, given, result):
        others = [item for item in self.whole.get(section, []) if item["of"] != list(given)]
        self.whole[section] = [*others, {"of": list(given)} | result]
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.whole, indent=1))
        new.replace(self.path)


def brief(result):
    """One line about a measurement: the step's times and gains, or all of it."""
    ms = result.get("step_ms")
    shown = result if ms is None else {kind: f"{ms[kind]:.3f} ms = {ms['dense'] / ms[kind]:.3f} x" for kind in ms}
    shown = [run | {"products": None} for run in shown["runs"]] if "runs" in shown else shown
    return json.dumps(json.loads(json.dumps(shown), parse_float=lambda text: float(f"{float(text):.4g}")))


def measure(record, todo, seconds):
    """Measures what the record lacks, until the seconds are over. Returns what failed."""
    failed, begin = [], time.perf_counter()
    for section, function, given in todo:
        name, started = f"{section} {' x '.join(map(str, given))}", time.perf_counter()
        if record.has(section, given):
            continue
        if started - begin > seconds:
            print(f"{name}: left for another call", flush=True)
            continue
        try:
            result = function(*given)
        except Exception as error:  # the others may run
            failed.append(name)
            print(f"{name} failed: {type(error).__name__}: {str(error)[:500]}", flush=True)
            continue
        record.add(section, given, result)
        print(f"{name} ({time.perf_counter() - started:.1f} s): {brief(result)}", flush=True)
        torch.cuda.empty_cache()
    return failed


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, required=True, help="folder for linear24.json")
    arguments.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="sections (default: all)")
    arguments.add_argument("--seconds", type=float, default=float("inf"), help="when to stop (default: never)")
    given = arguments.parse_args()
    if not torch.cuda.is_available():
        sys.exit("bench.py needs a CUDA device")
    given.out.mkdir(parents=True, exist_ok=True)
    record = Record(given.out, environment())
    failed = measure(record, [it for it in measurements() if it[0] in given.only], given.seconds)
    if failed:
        sys.exit(f"bench.py: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
