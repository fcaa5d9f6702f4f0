"""Each operator against what PyTorch's own operators do: PyTorch's checklist for custom operators, point by point."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode, UnsupportedOperatorException

import tsenor_torch
from tsenor_torch.forms import compressed_size

ops = torch.ops.tsenor
OUT, IN = 64, 128


def leaf(*shape, device, dtype=torch.float32):
    return torch.randn(*shape, device=device, dtype=dtype, requires_grad=True)


def not_leaf(*shape, device, dtype=torch.float32):
    return leaf(*shape, device=device, dtype=dtype) * 1


def layer24(device):
    """Of linear24 on dense products, which every machine has."""
    weight = leaf(OUT, IN, device=device)
    mask = ops.find_mask(weight.detach(), 2, 4)[0]
    pruned = torch.where(mask, weight.detach(), 0).bfloat16()
    return weight, leaf(OUT, device=device), pruned, None, None, mask, torch.bfloat16


def pruner_arguments(name, device):
    """Of the pruners, whose weights may not require grad. Rows of a larger matrix, so that strides count."""
    weight = torch.randn(16, 48, device=device)[:, :32]
    gram = torch.randn(64, 32, device=device)
    gram = (gram.T @ gram).requires_grad_()
    return {
        "gram_": lambda: (gram.detach().clone(), leaf(5, 32, device=device, dtype=torch.bfloat16)),
        "magnitude_": lambda: (weight, 4, 8),
        "wanda_": lambda: (weight, gram, 4, 8),
        "sparsegpt_": lambda: (weight, gram, 4, 8),
        "alps_inputs": lambda: (gram,),
        "alps_": lambda: (weight, ops.alps_inputs(gram), 4, 8),
    }[name]()


def check_arguments_of(name, device):
    """Of the checks, which the fakes call as well."""
    f32, bf16 = {"device": device}, {"device": device, "dtype": torch.bfloat16}
    mask, dense = torch.ones(OUT, IN, dtype=torch.bool, device=device), torch.ones(OUT, IN, **bf16)
    gram = torch.eye(32, device=device)
    return {
        "check_pattern": lambda: (mask, 8, 16),
        "check_arguments": lambda: (leaf(32, 32, **f32), 8, 16),
        "check_keep": lambda: (leaf(OUT, IN, **f32), mask, "masked"),
        "check_in_place": lambda: (leaf(32, 32, **f32),),
        "check_compress": lambda: (None, None, leaf(OUT, IN, **bf16)),
        "check_compress_float8": lambda: (None, None, leaf(OUT, IN, **bf16), leaf(1, **f32)),
        "check_product": lambda: (leaf(4, IN, **bf16), dense, None, OUT, False),
        "check_mvue": lambda: (leaf(64, OUT, **bf16),),
        "check_weight_gradient": lambda: (leaf(64, IN, **bf16), leaf(64, OUT, **bf16), None, OUT),
        "check_linear24": lambda: (leaf(4, IN, **f32), *layer24(device)),
        "check_linear24_backward": lambda: (
            dense[:4, :OUT].contiguous(), dense[:4], leaf(OUT, IN, **f32), dense, None, None
        ),
        "check_prune": lambda: (torch.ones(16, 32, device=device), gram, 4, 8),
        "check_alps": lambda: (torch.ones(16, 32, device=device), ops.alps_inputs(gram), 4, 8),
        "check_gram": lambda: (gram, leaf(5, 32, **f32)),
        "check_alps_inputs": lambda: (gram,),
    }[name]()


def arguments_of(name, device):
    """A call of the operator, with everything that may require grad doing so."""
    if name in PRUNERS:
        return pruner_arguments(name, device)
    if name.startswith("check_"):
        return check_arguments_of(name, device)
    f32, bf16 = {"device": device}, {"device": device, "dtype": torch.bfloat16}
    mask, prices = torch.empty(32, 32, dtype=torch.bool, device=device), torch.empty(4, 2, 16, device=device)
    room = (torch.empty(compressed_size(OUT, IN), dtype=torch.uint8, device=device) for _ in range(2))
    return {
        "find_mask": lambda: (leaf(32, 32, **f32), 8, 16, leaf(32, 32, **f32)),
        "find_mask_": lambda: (mask, leaf(32, 32, **f32), 8, 16, None, leaf(32, **f32), prices),
        "prune_": lambda: (not_leaf(32, 32, **f32), 8, 16, None, leaf(32, **f32), mask),
        "keep": lambda: (leaf(32, 32, **f32), torch.randn(32, 32, device=device) > 0),
        "sparse24_compress_": lambda: (
            *room, leaf(OUT, IN, **bf16), None, torch.empty(OUT, IN, dtype=torch.bool, device=device)
        ),
        "sparse24_compress_float8_": lambda: (  # without operands, for opcheck cannot compare float8 tensors
            None, None, leaf(OUT, IN, **bf16), leaf(1, **f32), None, None,
            torch.empty(OUT, IN, dtype=torch.bool, device=device)
        ),
        "linear24": lambda: (leaf(4, IN, **f32), *layer24(device)),
        "linear24_backward": lambda: (
            leaf(4, OUT, **bf16), leaf(4, IN, **bf16), leaf(OUT, IN, **f32), torch.ones(OUT, IN, **bf16), None,
            torch.rand(OUT, IN, device=device) > 0.5, [True, True, True]
        ),
        "linear24_forward": lambda: (leaf(64, IN, **bf16), leaf(OUT, IN, **bf16), next(room).zero_(), OUT),
        "linear24_input_gradient": lambda: (leaf(64, OUT, **bf16), leaf(OUT, IN, **bf16), next(room).zero_(), IN),
        "linear24_weight_gradient": lambda: (
            leaf(64, IN, **bf16), leaf(64, OUT, **bf16), ops.sparse24_mvue(torch.ones(64, OUT, **bf16)), OUT
        ),
        "sparse24_mvue": lambda: (leaf(64, OUT, **bf16),),
    }[name]()


PRUNERS = ["gram_", "magnitude_", "wanda_", "sparsegpt_", "alps_inputs", "alps_"]
FUNCTIONAL = ["find_mask", "keep", "linear24", "linear24_backward", "linear24_forward", "linear24_input_gradient"]
FUNCTIONAL += ["linear24_weight_gradient", "sparse24_mvue", "alps_inputs"]
IN_PLACE = ["find_mask_", "prune_", "sparse24_compress_", "sparse24_compress_float8_"]
IN_PLACE += ["gram_", "magnitude_", "wanda_", "sparsegpt_", "alps_"]
CHECKS = ["check_pattern", "check_arguments", "check_keep", "check_in_place", "check_compress", "check_product"]
CHECKS += ["check_compress_float8", "check_mvue", "check_weight_gradient"]
CHECKS += ["check_linear24", "check_linear24_backward", "check_prune", "check_alps", "check_gram", "check_alps_inputs"]
# Clocks, and what cuSPARSELt makes of a weight: no graph may hold them, so that they have no fakes.
MEASURES = {
    "find_mask_host_seconds": lambda like: (like > 0, like, 4, 8, 1),
    "linear24_measure": lambda like: (like, 64, 64, 64),
    "linear24_choice": lambda like: (like, 64, 64, 64),
    "linear24_vendors_compress": lambda like: (like, 64, 64, 64, False),
}
OF_NO_TENSOR = {"build_info", "alps_inputs_bytes"}


def overload(name):
    return getattr(ops, name).default


def written_by(name, arguments):
    schema = overload(name)._schema.arguments
    written = [s.alias_info is not None and s.alias_info.is_write for s in schema]
    return [a for a, is_written in zip(arguments, written) if is_written and a is not None]


def test_every_operator_is_among_those_tested_here():
    registered = {n.removeprefix("tsenor::") for n in torch._C._dispatch_get_all_op_names() if n.startswith("tsenor::")}
    assert registered == {*FUNCTIONAL, *IN_PLACE, *CHECKS, *MEASURES, *OF_NO_TENSOR}


def test_what_is_written_to_is_in_the_schema():
    for name in FUNCTIONAL + IN_PLACE + CHECKS:
        assert overload(name)._schema.is_mutable == (name in IN_PLACE)


@pytest.mark.parametrize("name", MEASURES)
def test_measurements_are_not_traced(device, name):
    like = torch.ones(64, 64, dtype=torch.half if name.startswith("linear24") else torch.float32, device=device)
    with pytest.raises(NotImplementedError):
        overload(name)(*MEASURES[name](like.to("meta")))
    with FakeTensorMode() as mode, pytest.raises(UnsupportedOperatorException):
        overload(name)(*MEASURES[name](mode.from_tensor(like)))


@pytest.mark.parametrize("name", FUNCTIONAL + IN_PLACE + CHECKS)
@pytest.mark.parametrize("learns", [False, True])
def test_opcheck(device, name, learns):
    arguments = arguments_of(name, device)
    if not learns:
        arguments = tuple(a.detach() if isinstance(a, torch.Tensor) else a for a in arguments)
    torch.library.opcheck(overload(name), arguments)


@pytest.mark.parametrize("with_report", [False, True])
def test_opcheck_of_a_report(device, with_report):
    arguments = leaf(32, 48, device=device), 8, 16
    torch.library.opcheck(ops.find_mask.default, arguments, {"with_report": with_report})
    assert not any(t.requires_grad for t in ops.find_mask(*arguments, with_report=with_report))


@pytest.mark.parametrize("name", IN_PLACE)
def test_versions_are_counted(device, name):
    arguments = arguments_of(name, device)
    with torch.no_grad():
        written = written_by(name, arguments)
        before = [t._version for t in written]
        overload(name)(*arguments)
        assert written and [t._version - v for t, v in zip(written, before)] == [1] * len(written)


def test_a_mask_that_the_backward_pass_needs_may_not_change_before_it(device):
    weight, mask = leaf(32, 32, device=device), torch.ones(32, 32, dtype=torch.bool, device=device)
    loss = tsenor_torch.keep(weight, mask, "masked").sum()
    ops.find_mask_(mask, weight.detach(), 8, 16)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_forms_that_the_backward_pass_needs_may_not_change_before_it(device):
    x, *layer = arguments_of("linear24", device)
    loss = ops.linear24(x, *layer).sum()
    room = [torch.empty(compressed_size(OUT, IN), dtype=torch.uint8, device=device) for _ in range(2)]
    ops.sparse24_compress_(*room, layer[0].detach().bfloat16(), layer[5], pruned=layer[2])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_inputs_that_the_backward_pass_needs_may_not_change_before_it(device):
    _, *layer = arguments_of("linear24", device)
    x = torch.randn(4, IN, device=device, dtype=torch.bfloat16)
    loss = ops.linear24(x, *layer).sum()
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("view", [False, True])
def test_prune_on_leaves_says_what_pytorch_says(device, view):
    weight = leaf(32, 32, device=device)
    target = weight[:16] if view else weight
    before, mask = weight.detach().clone(), torch.zeros(target.shape, dtype=torch.bool, device=device)
    with pytest.raises(RuntimeError) as pytorchs:
        target.mul_(2)
    with pytest.raises(RuntimeError) as ours:
        tsenor_torch.prune_(target, 8, 16, mask_out=mask)
    assert str(ours.value) == str(pytorchs.value)
    assert torch.equal(weight, before) and not mask.any()
    with torch.no_grad():
        assert tsenor_torch.prune_(target, 8, 16) is target
    assert (weight[:16] == 0).sum() == 256


def test_operators_without_a_derivative_do_not_write_to_what_has_a_history(device):
    mask, prices = torch.empty(32, 32, dtype=torch.bool, device=device), leaf(4, 2, 16, device=device)
    weight = torch.randn(32, 32, device=device)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        ops.find_mask_(mask, weight, 8, 16, prices=prices)
    with pytest.raises(RuntimeError, match="no derivative"):
        ops.find_mask_(mask, weight, 8, 16, prices=prices * 1)
    with torch.no_grad():
        ops.find_mask_(mask, weight, 8, 16, prices=prices)


def test_prune_has_the_gradient_of_what_is_kept(device):
    x, gradient = leaf(32, 64, device=device), torch.randn(32, 64, device=device)
    mask = tsenor_torch.find_mask(x, 8, 16)
    weight = x * 3
    base_view = weight[16:]
    tsenor_torch.prune_(weight[:16], 8, 16)  # a view, through which the gradient of its base changes
    (weight * gradient).sum().backward()
    expected = 3 * gradient
    expected[:16] *= mask[:16]
    assert torch.equal(x.grad, expected) and base_view.requires_grad
    assert torch.equal(weight[:16] != 0, mask[:16])


def test_inference_mode(device):
    with torch.inference_mode():
        weight = torch.randn(32, 32, device=device)
        mask, report = ops.find_mask(weight, 8, 16, with_report=True)
        assert mask.is_inference() and report.is_inference()
        tsenor_torch.prune_(weight, 8, 16)
        assert torch.equal(weight != 0, mask)
    before = weight.clone()
    for in_place in (weight.mul_, lambda two: ops.prune_(weight, two, 16)):
        with pytest.raises(RuntimeError, match="[Ii]nplace update to inference tensor outside InferenceMode"):
            in_place(2)
    normal = torch.randn(32, 32, device=device)
    with torch.inference_mode():
        tsenor_torch.prune_(normal, 8, 16)
    assert normal._version == 1 and (normal != 0).sum() == 512 and torch.equal(weight != 0, before != 0)


@pytest.mark.parametrize("name", ["gram_", "magnitude_", "wanda_", "sparsegpt_", "alps_"])
def test_pruners_are_in_place_as_pytorchs_operators_are(device, name):
    def refuses(pattern):
        before = target.detach().clone()
        with pytest.raises(RuntimeError, match=pattern):
            overload(name)(target, *others)
        assert torch.equal(target, before)

    target, *others = arguments_of(name, device)
    target.requires_grad_()
    refuses("leaf Variable that requires grad")
    target = target * 1
    refuses("no derivative")
    with torch.no_grad():
        results = overload(name)(target, *others)
    assert not any(t.requires_grad for t in ([results] if isinstance(results, torch.Tensor) else results or []))
    target = target[:1].detach().expand(target.shape)
    refuses("more than one element of the written-to tensor")
    with torch.inference_mode():
        target = arguments_of(name, device)[0].clone()
        overload(name)(target, *others)
    refuses("[Ii]nplace update to inference tensor outside InferenceMode")


def test_gradients_that_need_the_gram_matrix_before_it_grows(device):
    gram, x = torch.zeros(8, 8, device=device), leaf(8, 8, device=device)
    loss = (gram * x).sum()
    ops.gram_(gram, x)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("name", FUNCTIONAL + IN_PLACE)
def test_meta_tensors(device, name):
    arguments = arguments_of(name, device)
    with torch.no_grad():
        on_meta = [a.detach().to("meta") if isinstance(a, torch.Tensor) else a for a in arguments]
        real, meta = overload(name)(*arguments), overload(name)(*on_meta)
    if real is None:
        assert meta is None
        return
    for r, m in zip(*((t if isinstance(t, tuple) else (t,)) for t in (real, meta))):
        assert (m.device.type, m.shape, m.dtype, m.stride()) == ("meta", r.shape, r.dtype, r.stride())


@pytest.mark.parametrize("name", FUNCTIONAL + IN_PLACE)
def test_meta_and_real_tensors_do_not_mix(device, name):
    arguments = [a.detach() if isinstance(a, torch.Tensor) else a for a in arguments_of(name, device)]
    tensors = [k for k, a in enumerate(arguments) if isinstance(a, torch.Tensor)]
    for k in tensors if len(tensors) > 1 else []:
        mixed = list(arguments)
        mixed[k] = mixed[k].to("meta")
        with pytest.raises(RuntimeError, match="[Ee]xpected all tensors to be on the same device"):
            overload(name)(*mixed)


def test_what_is_written_shares_no_memory_with_what_is_read(device):
    """Else the call would read what it has written."""
    weight = torch.randn(32, 64, device=device)
    before = weight.clone()
    mask = weight.view(torch.uint8).flatten()[: weight.numel()].view(weight.shape)
    prices, other = weight.view(-1)[:256].view(8, 2, 16), torch.randn(32, 64, device=device)
    calls = [
        lambda: ops.find_mask_(mask, weight, 8, 16),
        lambda: ops.find_mask_(mask, other, 8, 16, weight),
        lambda: ops.find_mask_(mask, other, 8, 16, None, weight[0]),
        lambda: ops.find_mask_(torch.empty_like(mask), weight, 8, 16, None, None, prices),
        lambda: ops.find_mask_(torch.empty_like(mask), other, 8, 16, None, weight[0], prices),
        lambda: ops.prune_(weight, 8, 16, None, None, mask),
        lambda: ops.prune_(weight, 8, 16, None, weight[0]),
        lambda: ops.prune_(weight.mT, 8, 16, None, weight.view(-1)[5:37]),
    ]
    for call in calls:
        with pytest.raises((ValueError, RuntimeError), match="shares? memory|single memory location"):
            call()
    assert torch.equal(weight, before)
    half, rest = weight.chunk(2)  # of one storage, but apart
    ops.prune_(half, 8, 16, None, rest[0].abs())
    assert torch.equal(rest, before[16:]) and (half != 0).sum() == half.numel() / 2
