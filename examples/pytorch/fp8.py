"""A layer's step in float8 (e4m3), for bench.py: the weight 2:4, its operands from compress24, the sparse products through
PyTorch's own operators for cuSPARSELt; and the same in PyTorch's dense float8."""

import functools

import torch

from tsenor_torch import compress24

ops = torch.ops.tsenor
FLOAT8 = torch.float8_e4m3fn


def normal(*shape):
    return torch.randn(*shape, device="cuda").to(torch.bfloat16)


@functools.cache
def one():
    return torch.ones((), device="cuda")


def dense_product(factor, matrix):
    """factor @ matrix.T in bfloat16, both with contiguous rows."""
    named = {"scale_a": one(), "scale_b": one(), "out_dtype": torch.bfloat16, "use_fast_accum": True}
    return torch._scaled_mm(factor, matrix.t(), **named)


class SparseProduct:
    """The same with a compressed matrix, by the library's fastest algorithm for these shapes."""

    named = {"out_dtype": torch.bfloat16, "transpose_result": True}

    def __init__(self, compressed, factor):
        self.algorithm = torch._cslt_sparse_mm_search(compressed, factor.t(), **self.named)

    def __call__(self, factor, compressed):
        return torch._cslt_sparse_mm(compressed, factor.t(), alg_id=self.algorithm, **self.named)


def compress_times(weight, scale, device_ms):
    """Mask and both operands in float8 by one kernel; the vendor's compress of a pruned and cast weight and of its transpose;
    and a copy of the weight."""
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


def product_times(weight, tokens, scale, device_ms):
    """Each product by itself, dense and sparse, and how far their results are apart."""
    compressed, transposed, mask = compress24(weight, scale)
    pruned = torch.where(mask, weight, 0).to(FLOAT8)
    record = {}
    operands = ("forward", compressed, pruned), ("input_gradient", transposed, pruned.t().contiguous())
    for name, operand, matrix in operands:
        factor = normal(tokens, matrix.shape[1]).to(FLOAT8)
        sparse = SparseProduct(operand, factor)
        got, expected = sparse(factor, operand).float(), dense_product(factor, matrix).float()
        record[name] = {
            "sparse_ms": device_ms(lambda: sparse(factor, operand)),
            "dense_ms": device_ms(lambda: dense_product(factor, matrix)),
            "relative_error": float((got - expected).abs().max() / expected.abs().max()),
        }
    return record


def steps(weight, tokens, scale):
    """A step, dense and sparse: all that follows from x, dy and the weight in bfloat16, which are cast by a scale of one. The
    weight gradient is dense in both."""
    out_features, in_features = weight.shape
    x, dy = normal(tokens, in_features), normal(tokens, out_features)
    compressed, transposed, mask = compress24(weight, scale)
    forward, input_gradient = SparseProduct(compressed, x.to(FLOAT8)), SparseProduct(transposed, dy.to(FLOAT8))

    def weight_gradient(x8, dy8):
        return dense_product(dy8.t().contiguous(), x8.t().contiguous())

    def dense(_):
        x8, dy8, weight8 = x.to(FLOAT8), dy.to(FLOAT8), weight.to(FLOAT8)
        return dense_product(x8, weight8), dense_product(dy8, weight8.t().contiguous()), weight_gradient(x8, dy8)

    def sparse(_):
        x8, dy8 = x.to(FLOAT8), dy.to(FLOAT8)
        ops.sparse24_compress_float8_(compressed, transposed, weight, scale, mask=mask)
        return forward(x8, compressed), input_gradient(dy8, transposed), weight_gradient(x8, dy8)

    return {"dense": (dense, 1), "every_1": (sparse, 1)}


def fp8_layer(out_features, in_features, tokens, device_ms, run_ms):
    """Times of a layer's parts and of its whole step in float8; or why not."""
    weight, scale = normal(out_features, in_features), torch.ones(1, device="cuda")
    weight += weight.sign()  # none is cast to 0: the vendor's compress tells by that what is kept
    record = {"out": out_features, "in": in_features, "tokens": tokens}
    try:
        record["compress"] = compress_times(weight, scale, device_ms)
        record |= product_times(weight, tokens, scale, device_ms)
        record["step_ms"] = run_ms(steps(weight, tokens, scale))
    except (RuntimeError, AttributeError, TypeError) as error:  # what it says is the result
        torch.cuda.synchronize()
        record["error"] = f"{type(error).__name__}: {str(error)[:200]}"
    return record
