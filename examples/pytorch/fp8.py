"""2:4 products in float8, through PyTorch's own operators for cuSPARSELt, for bench.py.

The weights are pruned to the optimal transposable mask, cast, and compressed by the vendor, since compress24 writes the form
of 16-bit types alone.
"""

import torch

FLOAT8 = torch.float8_e4m3fn


def sparse_product(matrix, factor):
    """A call of (matrix @ factor.T).T in bfloat16, `matrix` 2:4, by the library's fastest algorithm."""
    compressed = torch._cslt_compress(matrix)
    named = {"out_dtype": torch.bfloat16, "transpose_result": True}
    algorithm = torch._cslt_sparse_mm_search(compressed, factor.t(), **named)
    return lambda: torch._cslt_sparse_mm(compressed, factor.t(), alg_id=algorithm, **named)


def dense_product(matrix, factor):
    """The same with a dense matrix."""
    one = torch.ones((), device="cuda")
    return lambda: torch._scaled_mm(factor, matrix.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16, use_fast_accum=True)


def fp8_products(out_features, in_features, tokens, device_ms):
    """Times of both sparse products of a layer in float8, of the dense ones, and of the vendor's compress; or why not."""
    weight = torch.randn(out_features, in_features, device="cuda").bfloat16()
    torch.ops.tsenor.prune_(weight, 2, 4)
    record = {"out": out_features, "in": in_features, "tokens": tokens}
    try:
        for name, matrix in (("forward", weight), ("input_gradient", weight.t().contiguous())):
            matrix = matrix.to(FLOAT8)
            factor = torch.randn(tokens, matrix.shape[1], device="cuda").to(FLOAT8)
            sparse, dense = sparse_product(matrix, factor), dense_product(matrix, factor)
            got, expected = sparse().float(), dense().float()
            record[name] = {
                "sparse_ms": device_ms(sparse), "dense_ms": device_ms(dense),
                "vendors_compress_ms": device_ms(lambda: torch._cslt_compress(matrix)),
                "relative_error": float((got - expected).abs().max() / expected.abs().max()),
            }
    except (RuntimeError, AttributeError, TypeError) as error:  # what it says is the result
        torch.cuda.synchronize()
        record["error"] = f"{type(error).__name__}: {str(error)[:200]}"
    return record
