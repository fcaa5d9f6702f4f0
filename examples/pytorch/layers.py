"""Times of a layer's products and of its whole step on a GPU, for bench.py: dense and 2:4 by turns, in bfloat16,
in float8 and from a CUDA graph; and whether products in float16 are right.

Kernel times are medians of device-event timings with a filled stream. Steps are timed as runs of them by the wall, the
host's time included.
"""

import functools
import math
import statistics
import sys
import time

import torch

from tsenor_torch import Linear24, MvueLinear, compress24, mvue24, plans

ops = torch.ops.tsenor
FLOAT8 = torch.float8_e4m3fn


def normal(*shape, dtype=torch.bfloat16):
    return torch.randn(*shape, device="cuda").to(dtype)


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


def run_ms(steps, rounds=4):
    """The wall time of a step of each kind, given as {kind: (call, every)}, where the call finds masks in every so many
    steps. The kinds take turns, so that the GPU's clock is the same for all. The shortest run of each counts."""
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


class Layer:
    """A dense layer, a layer of each kind with the same weights, an input and an output gradient."""

    def __init__(self, out_features, in_features, tokens, captured=False):
        self.x, self.dy = normal(tokens, in_features).requires_grad_(), normal(tokens, out_features)
        self.dense = torch.nn.Linear(in_features, out_features, bias=False, device="cuda", dtype=torch.bfloat16)
        self.kinds = {
            "masks": Linear24.of(self.dense, captured=captured),
            "both": Linear24.of(self.dense, weight_gradient="mvue", captured=captured),
            "mvue": MvueLinear.of(self.dense, captured=captured),
        }
        self.choices = {kind: layer.choice(tokens) for kind, layer in self.kinds.items()}
        self.record = {
            "out": out_features, "in": in_features, "tokens": tokens,
            "plans": {kind: choice.plan._asdict() for kind, choice in self.choices.items()},
            "beats_linear": {kind: bool(choice.beats_linear) for kind, choice in self.choices.items()},
        }

    def step(self, module):
        """All three products."""
        return torch.autograd.grad(module(self.x), (self.x, module.weight), self.dy)

    def refreshed(self, kind, keep_mask=False):
        """The same, with the mask found before."""
        layer = self.kinds[kind]
        if kind != "mvue":
            layer.compress(keep_mask=keep_mask)
        self.step(layer)


def layer_times(out_features, in_features, tokens):
    """Each product by itself, sparse and dense, and whole steps of each kind: with masks found in every step, in every
    16th, or never."""
    layer = Layer(out_features, in_features, tokens)
    layer.step(layer.kinds["masks"])
    steps = {"dense": (lambda _: layer.step(layer.dense), 1)}
    steps |= {kind: (lambda _, kind=kind: layer.refreshed(kind), 1) for kind in layer.kinds}
    steps["no_refresh"] = lambda _: layer.step(layer.kinds["masks"]), 1
    steps["masks_16"] = functools.partial(layer.refreshed, "masks"), 16
    own, what = torch_semi_structured(layer.dense, layer.x.detach(), layer.dy)
    steps |= {"torch": (own, 1)} if own else {}
    record = layer.record | product_times(layer) | {"torch_semi_structured": what}
    return record | {"step_ms": run_ms(steps)}


def product_times(layer):
    """The layer's measurements of each product. The weight gradient's are with compressing the output gradient, and
    without."""
    choice, x, dy = layer.choices["both"], layer.x.detach(), layer.dy
    names = "forward", "input_gradient", "weight_gradient"
    record = {name: getattr(choice, name)._asdict() for name in names}
    compressed = mvue24(dy)
    return record | {
        "weight_gradient_product_ms": device_ms(
            lambda: ops.linear24_weight_gradient(x, None, compressed, dy.shape[1])),
        "torch_weight_gradient_ms": device_ms(lambda: dy.t() @ x),
    }


def captured_times(out_features, in_features, tokens):
    """Whole steps replayed from a CUDA graph, masks found in each."""
    layer = Layer(out_features, in_features, tokens, captured=True)
    calls = {"dense": lambda: layer.step(layer.dense)}
    calls |= {kind: functools.partial(layer.refreshed, kind) for kind in layer.kinds}
    replays = {kind: plans.replay_of(call) for kind, call in calls.items()}
    return layer.record | {"step_ms": run_ms({kind: (lambda _, r=r: r(), 100) for kind, r in replays.items()})}


def torch_semi_structured(dense, x, dy):
    """The same step with PyTorch's own semi-structured training: the step, or None, and whether its result is right, or
    why it does not run."""
    try:
        from torch.sparse import SparseSemiStructuredTensorCUSPARSELT

        def step(_):
            sparse = SparseSemiStructuredTensorCUSPARSELT.prune_dense_static_sort(dense.weight.detach())
            y = torch.nn.functional.linear(x, sparse)
            return y, dy @ sparse, dy.t() @ x

        y = step(False)[0]
        pruned = SparseSemiStructuredTensorCUSPARSELT.prune_dense_static_sort(dense.weight.detach()).to_dense()
        error = relative_error(y, x @ pruned.t())
        return step, {"relative_error": error, "right": error < 0.05}
    except Exception as error:  # what it says is the result
        torch.cuda.synchronize()
        return None, {"error": f"{type(error).__name__}: {str(error)[:200]}"}


def relative_error(got, expected):
    """The relative error; the largest number if the result is not finite."""
    error = float((got.float() - expected.float()).abs().max() / expected.float().abs().max())
    return error if math.isfinite(error) else sys.float_info.max


@functools.cache
def one():
    return torch.ones((), device="cuda")


def dense_float8(factor, matrix):
    """factor @ matrix.T in bfloat16, both in float8 with contiguous rows."""
    named = {"scale_a": one(), "scale_b": one(), "out_dtype": torch.bfloat16, "use_fast_accum": True}
    return torch._scaled_mm(factor, matrix.t(), **named)


class SparseProduct:
    """The same with a compressed matrix, by the library's fastest algorithm for these shapes. The result of 16-bit
    factors has their type."""

    def __init__(self, compressed, factor):
        narrow = {"out_dtype": torch.bfloat16} if factor.dtype == FLOAT8 else {}
        self.named = {"transpose_result": True} | narrow
        self.algorithm = torch._cslt_sparse_mm_search(compressed, factor.t(), **self.named)

    def __call__(self, factor, compressed):
        return torch._cslt_sparse_mm(compressed, factor.t(), alg_id=self.algorithm, **self.named)


def float8_compress_times(weight, scale):
    """Times of one kernel that finds the mask and writes both operands in float8, of the vendor's compress of a pruned
    float8 weight and of its transpose, and of a copy of the weight."""
    compressed, transposed, mask = compress24(weight, scale)
    cast = torch.where(mask, weight, 0).to(FLOAT8)
    pairs = (compressed, cast), (transposed, cast.t().contiguous())
    copied = torch.empty_like(weight)
    return {
        "own_ms": device_ms(lambda: ops.sparse24_compress_float8_(compressed, transposed, weight, scale, mask=mask)),
        "vendors_ms": sum(device_ms(lambda m=matrix: torch._cslt_compress(m)) for _, matrix in pairs),
        "copy_ms": device_ms(lambda: copied.copy_(weight)),
        "own_form": all(torch.equal(own.view(torch.uint8), torch._cslt_compress(matrix).view(torch.uint8))
                        for own, matrix in pairs),
    }


def float8_product_times(weight, tokens, scale):
    """Times of each product alone, dense and sparse, and the difference of their results."""
    compressed, transposed, mask = compress24(weight, scale)
    pruned = torch.where(mask, weight, 0).to(FLOAT8)
    record = {}
    operands = ("forward", compressed, pruned), ("input_gradient", transposed, pruned.t().contiguous())
    for name, operand, matrix in operands:
        factor = normal(tokens, matrix.shape[1]).to(FLOAT8)
        sparse = SparseProduct(operand, factor)
        record[name] = {
            "sparse_ms": device_ms(lambda: sparse(factor, operand)),
            "dense_ms": device_ms(lambda: dense_float8(factor, matrix)),
            "relative_error": relative_error(sparse(factor, operand), dense_float8(factor, matrix)),
        }
    return record


def float8_steps(weight, tokens, scale):
    """A step, dense and sparse: it casts x, dy and the weight from bfloat16 with a scale of one, and computes all three
    products. The weight gradient is dense in both."""
    out_features, in_features = weight.shape
    x, dy = normal(tokens, in_features), normal(tokens, out_features)
    compressed, transposed, mask = compress24(weight, scale)
    forward, input_gradient = SparseProduct(compressed, x.to(FLOAT8)), SparseProduct(transposed, dy.to(FLOAT8))

    def weight_gradient(x8, dy8):
        return dense_float8(dy8.t().contiguous(), x8.t().contiguous())

    def dense(_):
        x8, dy8, weight8 = x.to(FLOAT8), dy.to(FLOAT8), weight.to(FLOAT8)
        return dense_float8(x8, weight8), dense_float8(dy8, weight8.t().contiguous()), weight_gradient(x8, dy8)

    def masks(_):
        x8, dy8 = x.to(FLOAT8), dy.to(FLOAT8)
        ops.sparse24_compress_float8_(compressed, transposed, weight, scale, mask=mask)
        return forward(x8, compressed), input_gradient(dy8, transposed), weight_gradient(x8, dy8)

    return {"dense": (dense, 1), "masks": (masks, 1)}


def float8_times(out_features, in_features, tokens):
    """Times of a layer's parts and of its whole step in float8, or why it does not run."""
    weight, scale = normal(out_features, in_features), torch.ones(1, device="cuda")
    weight += weight.sign()  # none is cast to 0: the vendor's compress tells by that what is kept
    record = {"out": out_features, "in": in_features, "tokens": tokens}
    try:
        record["compress"] = float8_compress_times(weight, scale)
        record |= float8_product_times(weight, tokens, scale)
        record["step_ms"] = run_ms(float8_steps(weight, tokens, scale))
    except (RuntimeError, AttributeError, TypeError) as error:  # what it says is the result
        torch.cuda.synchronize()
        record["error"] = f"{type(error).__name__}: {str(error)[:200]}"
    return record


def leave_in_free_memory(value):
    """Fills free memory with these bytes, in blocks of all sizes, so that workspaces begin with them."""
    torch.cuda.empty_cache()
    blocks = [torch.full((2**k,), value, dtype=torch.uint8, device="cuda") for k in range(9, 28) for _ in range(2)]
    torch.cuda.synchronize()
    del blocks


def float16_errors(out_features, in_features, tokens):
    """The error of the vendor's sparse product of the vendor's own operand, with its fastest and its first algorithm,
    and with zeros and other bytes in the workspace."""
    weight, factor = (normal(k, in_features, dtype=torch.float16) for k in (out_features, tokens))
    pruned = torch.where(ops.find_mask(weight, 2, 4)[0], weight, 0)
    record = {"out": out_features, "in": in_features, "tokens": tokens}
    try:
        compressed, expected = torch._cslt_compress(pruned), factor @ pruned.t()
        product = SparseProduct(compressed, factor)
        record["sparse_ms"] = device_ms(lambda: product(factor, compressed))
        record["dense_ms"] = device_ms(lambda: factor @ pruned.t())
        record["algorithm"], record["relative_error"] = product.algorithm, {}
        for algorithm in dict.fromkeys((product.algorithm, 0)):
            product.algorithm = algorithm
            for name, value in (("zeros", 0), ("other bytes", 0x5A), ("ones", 0xFF)):
                leave_in_free_memory(value)
                errors = [relative_error(product(factor, compressed), expected) for _ in range(3)]
                record["relative_error"][f"algorithm {algorithm}, {name}"] = max(errors)
    except (RuntimeError, AttributeError, TypeError) as error:  # what it says is the result
        record["error"] = f"{type(error).__name__}: {str(error)[:200]}"
    return record
