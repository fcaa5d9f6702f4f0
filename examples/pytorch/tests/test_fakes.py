"""Meta and fake tensors are refused what real ones are refused, in the same words."""

import contextlib

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import tsenor_torch
from tsenor_torch.forms import compressed_size

ops = torch.ops.tsenor
WEIGHT = (32, 32)
WRONG = {
    "pattern": ((WEIGHT, 80, 16), {}),
    "negative": ((WEIGHT, -1, 16), {}),
    "wide": ((WEIGHT, 8, 128), {}),
    "method": ((WEIGHT, 8, 16), {"method": "zzz"}),
    "constraint": ((WEIGHT, 8, 16), {"constraint": "zzz"}),
    "edge": ((WEIGHT, 8, 16), {"edge": "zzz"}),
    "rows": (((30, 32), 8, 16), {}),
    "cols": (((32, 33), 8, 16), {}),
    "vector": (((32,), 8, 16), {}),
    "integers": ((WEIGHT, 8, 16), {"dtype": torch.int32}),
    "complex": ((WEIGHT, 8, 16), {"dtype": torch.complex64}),
    "norms": ((WEIGHT, 8, 16), {"column_norms": (31,)}),
    "norms of rows": ((WEIGHT, 8, 16), {"column_norms": WEIGHT}),
    "importance": ((WEIGHT, 8, 16), {"importance": (32, 16)}),
    "both": ((WEIGHT, 8, 16), {"importance": WEIGHT, "column_norms": (32,)}),
}
WRONG_IN_PLACE = {
    "mask": {"mask": (32, 16)},
    "mask type": {"mask": WEIGHT, "mask_dtype": torch.float32},
    "prices": {"prices": (4, 2, 8)},
    "prices type": {"prices": (4, 2, 16), "prices_dtype": torch.float64},
    "warm": {"warm": True},
    "published": {"warm": True, "method": "published", "prices": (4, 2, 16)},
}


def worlds(device):
    """Real, meta and fake tensors."""
    return [(device, contextlib.nullcontext()), ("meta", contextlib.nullcontext()), (device, FakeTensorMode())]


def message_of(call):
    with pytest.raises((ValueError, TypeError)) as error:
        call()
    return type(error.value), str(error.value)


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("name", ["find_mask", "find_mask_", "prune_"])
def test_fakes_refuse_what_operators_refuse(device, name, what):
    (shape, n, m), options = WRONG[what]
    messages = []
    for where, mode in worlds(device):
        with mode:
            given = {k: torch.ones(v, device=where) if isinstance(v, tuple) else v for k, v in options.items()}
            weight = torch.ones(shape, device=where, dtype=given.pop("dtype", torch.float32))
            target = (torch.empty(shape, dtype=torch.bool, device=where),) if name == "find_mask_" else ()
            messages.append(message_of(lambda: getattr(ops, name)(*target, weight, n, m, **given)))
    assert len(set(messages)) == 1, messages


@pytest.mark.parametrize("what", WRONG_IN_PLACE)
def test_fakes_refuse_outputs_that_operators_refuse(device, what):
    messages = []
    for where, mode in worlds(device):
        options = dict(WRONG_IN_PLACE[what])
        with mode:
            mask = torch.empty(options.pop("mask", WEIGHT), dtype=options.pop("mask_dtype", torch.bool), device=where)
            dtype = options.pop("prices_dtype", torch.float32)
            if "prices" in options:
                options["prices"] = torch.ones(options["prices"], dtype=dtype, device=where)
            weight = torch.ones(WEIGHT, device=where)
            messages.append(message_of(lambda: ops.find_mask_(mask, weight, 8, 16, **options)))
    assert len(set(messages)) == 1, messages


def wrong24(where):
    """Wrong calls of the operators of 2:4."""
    def half(*shape):
        return torch.ones(shape, dtype=torch.half, device=where)

    def room(size):
        return torch.empty(size, dtype=torch.uint8, device=where)

    def number(size):
        return torch.ones(size, device=where)

    full = compressed_size(64, 64)
    return {
        "size": lambda: ops.sparse24_compress_(room(full), room(5), half(64, 64)),
        "shape": lambda: ops.sparse24_compress_(None, None, half(64, 96)),
        "type": lambda: ops.sparse24_compress_(None, None, half(64, 64).float()),
        "rows": lambda: ops.sparse24_compress_(None, None, half(64, 128)[:, ::2]),
        "float8 size": lambda: ops.sparse24_compress_float8_(room(64 * 40), None, half(64, 64), number(1)),
        "float8 shape": lambda: ops.sparse24_compress_float8_(None, None, half(96, 64), number(1)),
        "float8 type": lambda: ops.sparse24_compress_float8_(None, None, half(64, 64).double(), number(1)),
        "scale": lambda: ops.sparse24_compress_float8_(None, None, half(64, 128), number(128)),
        "scale type": lambda: ops.sparse24_compress_float8_(None, None, half(64, 128), half(64)),
        "transposed scale": lambda: ops.sparse24_compress_float8_(None, None, half(64, 128), number(1), number(64)),
        "nothing": lambda: ops.linear24_forward(half(4, 64), None, None, 64),
        "features": lambda: ops.linear24_forward(half(4, 64), half(64, 128), None, 64),
        "gradient": lambda: ops.linear24_input_gradient(half(4, 128), half(64, 64), None, 64),
        "layer": lambda: ops.linear24(half(4, 32), half(64, 64), None, half(64, 64), None, None, None, torch.half),
        "forms": lambda: ops.linear24(half(4, 64), half(64, 64), None, None, room(full), None, None, torch.half),
        "tokens": lambda: ops.sparse24_mvue(half(48, 64)),
        "gradient's features": lambda: tsenor_torch.mvue24(half(64, 96)),
        "gradient's type": lambda: tsenor_torch.mvue24(half(64, 64).float()),
        "gradient's rows": lambda: tsenor_torch.mvue24(half(64, 128)[:, ::2]),
        "batch": lambda: tsenor_torch.mvue24(half(2, 64, 64)),
        "no gradient": lambda: ops.linear24_weight_gradient(half(64, 64), None, None, 64),
        "gradient's form": lambda: ops.linear24_weight_gradient(half(64, 64), None, room(5), 64),
        "tokens of a step": lambda: ops.linear24(
            half(4, 64), half(64, 64), None, half(64, 64), None, None, None, torch.half, True
        ),
        "keep": lambda: tsenor_torch.keep(half(64, 64), half(64, 64) > 0, "zzz"),
        "mask": lambda: tsenor_torch.apply_mask(half(64, 64), half(64, 32) > 0),
        "bytes": lambda: tsenor_torch.apply_mask(half(64, 64), half(64, 64)),
    }


@pytest.mark.parametrize("what", list(wrong24("cpu")))
def test_fakes_refuse_what_operators_of_24_refuse(device, what):
    messages = []
    for where, mode in worlds(device):
        with mode:
            messages.append(message_of(wrong24(where)[what]))
    assert len(set(messages)) == 1, messages


def wrong_pruning(where):
    """Wrong calls of the pruners, each with a weight and a gram matrix that fit but for what is wrong."""
    def ones(*shape, dtype=torch.float32):
        return torch.ones(shape, dtype=dtype, device=where)

    weight, gram = ones(16, 32), ones(32, 32)
    inputs = ops.alps_inputs(ones(8, 8))
    return {
        "pattern": lambda: ops.magnitude_(weight, 9, 8),
        "wide": lambda: ops.wanda_(weight, gram, 8, 128),
        "structure": lambda: ops.wanda_(weight, gram, 4, 8, structure="both"),
        "method": lambda: ops.sparsegpt_(weight, gram, 4, 8, method="zzz"),
        "method in rows": lambda: ops.magnitude_(weight, 4, 8, structure="row-wise", method="zzz"),
        "constraint": lambda: ops.magnitude_(weight, 4, 8, constraint="zzz"),
        "edge in rows": lambda: ops.magnitude_(weight, 4, 8, structure="row-wise", edge="zzz"),
        "rows": lambda: ops.magnitude_(ones(15, 32), 4, 8),
        "cols": lambda: ops.magnitude_(ones(16, 33), 4, 8, structure="row-wise"),
        "batch": lambda: ops.magnitude_(ones(2, 16, 32), 4, 8),
        "type": lambda: ops.magnitude_(weight.double(), 4, 8),
        "gram": lambda: ops.wanda_(weight, ones(16, 32), 4, 8),
        "gram's type": lambda: ops.sparsegpt_(weight, gram.double(), 4, 8),
        "damping": lambda: ops.sparsegpt_(weight, gram, 4, 8, damping=0.0),
        "no number": lambda: ops.sparsegpt_(weight, gram, 4, 8, damping=float("nan")),
        "tokens": lambda: ops.sparsegpt_(weight, gram, 4, 8, tokens=0),
        "inputs": lambda: ops.alps_(weight, inputs, 4, 8),
        "inputs' type": lambda: ops.alps_(weight, gram, 4, 8),
        "iterations": lambda: ops.alps_(weight, ops.alps_inputs(gram), 4, 8, iterations=0),
        "not square": lambda: ops.alps_inputs(weight),
        "alps's damping": lambda: ops.alps_inputs(gram, 1e7),
        "sum": lambda: ops.gram_(gram, ones(3, 5)),
        "sum of vectors": lambda: ops.gram_(gram, ones(32)),
        "sum of integers": lambda: ops.gram_(gram, ones(3, 32, dtype=torch.int32)),
        "sum's type": lambda: ops.gram_(gram.half(), ones(3, 32)),
    }


@pytest.mark.parametrize("what", list(wrong_pruning("cpu")))
def test_fakes_refuse_what_pruners_refuse(device, what):
    messages = []
    for where, mode in worlds(device):
        with mode:
            messages.append(message_of(wrong_pruning(where)[what]))
    assert len(set(messages)) == 1, messages
