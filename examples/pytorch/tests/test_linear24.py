import warnings

import pytest
import torch
from oracle import all_tiles24, counts_of

import tsenor_torch
from tsenor_torch import (
    Linear24,
    MaskRefresh,
    MvueLinear,
    compress24,
    dense_phases,
    finalize,
    plans,
    sparsify24,
)
from tsenor_torch.forms import Forms, Plan, soft24

ops = torch.ops.tsenor
TYPES = [torch.float16, torch.bfloat16]


def decompressed(compressed, rows, cols, dtype):
    """The matrix of a compressed operand, by the nibble's place as bits of an address; see sparse24/layout.hpp."""
    compressed = compressed.cpu()
    values = compressed[: rows * cols].view(dtype).reshape(rows, cols // 4, 2)
    row, group = torch.meshgrid(torch.arange(rows), torch.arange(cols // 4), indexing="ij")

    def bit(x, k):
        return x >> k & 1

    tile = row // 64 * (cols // 32) + group // 8
    bits = [bit(row, 3), bit(group, 2), bit(group, 0), bit(group, 1)] + [bit(row, k) for k in (0, 1, 2, 4, 5)]
    address = tile * 512 + sum(b << k for k, b in enumerate(bits))  # in nibbles
    nibble = compressed[rows * cols :].int()[address // 2] >> address % 2 * 4
    places = torch.stack([nibble & 3, nibble >> 2 & 3], 2).long()
    return torch.zeros(rows, cols // 4, 4, dtype=dtype).scatter_(2, places, values).reshape(rows, cols)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("rows, cols", [(64, 64), (192, 128), (128, 448)])
def test_operands_hold_what_the_mask_keeps(device, dtype, rows, cols):
    weight = torch.randn(rows, cols, device=device).to(dtype)
    compressed, transposed, mask = compress24(weight)
    assert torch.equal(mask, ops.find_mask(weight, 2, 4)[0])
    pruned = torch.where(mask, weight, 0).cpu()
    assert torch.equal(decompressed(compressed, rows, cols, dtype), pruned)
    assert torch.equal(decompressed(transposed, cols, rows, dtype), pruned.t())


def decompressed_float8(compressed, rows, cols):
    """The same of a float8 operand, its shape [rows, cols // 8 * 5]."""
    assert compressed.shape == (rows, cols // 8 * 5) and compressed.dtype == torch.float8_e4m3fn
    stored = compressed.cpu().view(torch.uint8).flatten()
    values = stored[: rows * cols // 2].reshape(rows, cols // 4, 2)
    row, group = torch.meshgrid(torch.arange(rows), torch.arange(cols // 4), indexing="ij")
    places = [(group, 0), (row, 3), (group, 3), (group, 1), (group, 2)] + [(row, k) for k in (0, 1, 2, 4, 5)]
    tile = row // 64 * (cols // 64) + group // 16
    address = tile * 1024 + sum((x >> bit & 1) << k for k, (x, bit) in enumerate(places))
    nibble = stored[rows * cols // 2 :].int()[address // 2] >> address % 2 * 4
    kept = torch.stack([nibble & 3, nibble >> 2 & 3], 2).long()
    return torch.zeros(rows, cols // 4, 4, dtype=torch.uint8).scatter_(2, kept, values).reshape(rows, cols)


def cast_float8(weight, scale, mask):
    """The bytes of what is kept, scaled, clamped and cast by PyTorch, 0 elsewhere."""
    cast = (weight.cpu().float() * scale.cpu()).clamp(-448, 448).to(torch.float8_e4m3fn)
    return torch.where(mask.cpu(), cast.view(torch.uint8), 0)


@pytest.mark.parametrize("dtype", TYPES + [torch.float32])
@pytest.mark.parametrize("rows, cols", [(64, 64), (192, 128), (128, 448)])
@pytest.mark.parametrize("wise", ["tensor", "rows", "mixed"])
def test_float8_operands_hold_what_the_mask_keeps(device, dtype, rows, cols, wise):
    weight = torch.randn(rows, cols, device=device).to(dtype)
    weight[5:9, 8:12] *= 1e4  # beyond 448
    weight[20:24, 4:8] *= 1e-4  # below the least
    scale = torch.rand(rows if wise == "rows" else 1, device=device) + 0.5
    transposed_scale = None if wise == "tensor" else torch.rand(cols, device=device) + 0.5
    compressed, transposed, mask = compress24(weight, scale, transposed_scale)
    assert torch.equal(mask, ops.find_mask(weight, 2, 4)[0])
    assert torch.equal(decompressed_float8(compressed, rows, cols), cast_float8(weight, scale[:, None], mask))
    by = scale if transposed_scale is None else transposed_scale
    assert torch.equal(decompressed_float8(transposed, cols, rows), cast_float8(weight, by, mask).t())


def test_float8_keeps_a_given_mask_and_has_the_same_outputs(device):
    weight, other = (torch.randn(128, 192, device=device) for _ in range(2))
    scale = torch.tensor(3.0, device=device)
    mask, pruned = compress24(other.half())[2], torch.empty_like(weight)
    compressed, transposed = torch.empty_like(compress24(weight, scale)[0]), None
    ops.sparse24_compress_float8_(compressed, transposed, weight, scale, keep=mask, pruned=pruned)
    assert torch.equal(decompressed_float8(compressed, 128, 192), cast_float8(weight, scale, mask))
    assert torch.equal(pruned, torch.where(mask, weight, 0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("rows, cols", [(64, 64), (192, 320), (1024, 512), (4096, 14336)])
def test_float8_operands_are_the_vendors_byte_for_byte(rows, cols):
    if torch.cuda.get_device_capability() != (9, 0):
        pytest.skip("the form is that of compute capability 9.0")
    weight = torch.randn(rows, cols, device="cuda").bfloat16()
    weight += weight.sign()  # none is cast to 0, for the vendor finds what is kept by that
    compressed, transposed, mask = compress24(weight, torch.ones(1, device="cuda"))
    pruned = torch.where(mask, weight, 0).to(torch.float8_e4m3fn)
    for own, matrix in ((compressed, pruned), (transposed, pruned.t().contiguous())):
        assert torch.equal(own.view(torch.uint8), torch._cslt_compress(matrix).view(torch.uint8))


def test_keeps_a_given_mask(device):
    weight = torch.randn(128, 64, device=device).half()
    mask = compress24(weight)[2]
    changed = torch.randn(128, 64, device=device).half()
    compressed, transposed = (torch.empty(128 * 64 // 8 * 9, dtype=torch.uint8, device=device) for _ in range(2))
    ops.sparse24_compress_(compressed, transposed, changed, keep=mask)
    kept = torch.where(mask, changed, 0).cpu()
    assert torch.equal(decompressed(compressed, 128, 64, torch.half), kept)
    assert torch.equal(decompressed(transposed, 64, 128, torch.half), kept.t())


def test_strided_weights_and_pruned_output(device):
    wide = torch.randn(64, 200, device=device).bfloat16()
    weight = wide[:, 4:132]
    outputs = [torch.empty(64 * 128 // 8 * 9, dtype=torch.uint8, device=device) for _ in range(2)]
    pruned = torch.empty(64, 128, device=device, dtype=torch.bfloat16)
    ops.sparse24_compress_(*outputs, weight, pruned=pruned)
    for got, expected in zip(outputs, compress24(weight.contiguous())):
        assert torch.equal(got, expected)
    assert torch.equal(pruned, torch.where(ops.find_mask(weight, 2, 4)[0], weight, 0))


def test_says_what_is_wrong(device):
    def call(rows, cols, dtype=torch.half, size=None):
        size = size or rows * cols // 8 * 9
        outputs = [torch.empty(size, dtype=torch.uint8, device=device) for _ in range(2)]
        ops.sparse24_compress_(*outputs, torch.randn(rows, cols, device=device).to(dtype))

    with pytest.raises(ValueError, match="multiples of 64"):
        call(64, 96)
    with pytest.raises(TypeError, match="float16 or bfloat16"):
        call(64, 64, torch.float32)
    with pytest.raises(ValueError, match="compressed must be"):
        call(64, 64, size=100)
    with pytest.raises(TypeError, match="float32, float16 or bfloat16"):
        compress24(torch.randn(64, 64, device=device).double(), torch.ones(1, device=device))
    with pytest.raises(ValueError, match="give transposed_scale"):
        compress24(torch.randn(64, 64, device=device), torch.ones(64, device=device))
    with pytest.raises(ValueError, match="none to find"):
        mask = torch.ones(64, 64, dtype=torch.bool, device=device)
        ops.sparse24_compress_(None, None, torch.ones(64, 64, device=device).half(), keep=mask, mask=mask.clone())


def test_float8_operands_pass_opcheck(device):
    weight, scale = torch.randn(64, 128, device=device).half(), torch.ones(64, device=device)
    float8 = torch.empty(64, 80, dtype=torch.float8_e4m3fn, device=device)
    tests = "test_autograd_registration", "test_faketensor"  # others compare results, which float8 tensors cannot
    torch.library.opcheck(ops.sparse24_compress_float8_.default, (float8, None, weight, scale), test_utils=tests)


def test_forms_are_written_once_and_stay_where_they_are(device):
    weight, forms = torch.randn(64, 128, device=device).half(), Forms()
    mask = torch.empty(64, 128, dtype=torch.bool, device=device)
    forms.write(None, weight, mask, tokens=64, keep_mask=False)
    assert torch.equal(mask, compress24(weight)[2]) and not forms.memory
    forms.write(Plan(True, True), weight, mask, tokens=64, keep_mask=True)
    addresses = {name: form.data_ptr() for name, form in forms.memory.items()}
    for form in forms.memory.values():
        form.fill_(0xA5)  # whoever writes the form anew covers this up
    changed = torch.randn_like(weight)
    forms.write(Plan(True, False), changed, mask, tokens=64, keep_mask=True)  # only pruned is new
    assert torch.equal(forms.memory["pruned"], torch.where(mask, changed, 0))
    forms.memory["pruned"].fill_(7)
    for plan in (Plan(True, True), Plan(False, True), Plan(), None):
        forms.write(plan, changed, mask, tokens=64, keep_mask=True)
    assert all((forms.memory[name] == 0xA5).all() for name in addresses) and (forms.memory["pruned"] == 7).all()
    for keep_mask in (True, False):
        forms.outdate()
        forms.write(Plan(True, True), changed, mask, tokens=64, keep_mask=keep_mask)
        forms.write(Plan(), changed, mask, tokens=64, keep_mask=True)
        kept = torch.where(mask, changed, 0)
        assert torch.equal(forms.memory["pruned"], kept)
        assert torch.equal(decompressed(forms.memory["compressed"], 64, 128, torch.half), kept.cpu())
        assert torch.equal(decompressed(forms.memory["transposed"], 128, 64, torch.half), kept.cpu().t())
        assert all(forms.memory[name].data_ptr() == at for name, at in addresses.items())
    assert torch.equal(mask, compress24(changed)[2])


@pytest.mark.parametrize("dtype", TYPES + [torch.float32])
@pytest.mark.parametrize("gradient", ["straight_through", "masked"])
@pytest.mark.parametrize("tokens", [64, 1024])
def test_products_are_those_of_the_pruned_weights(device, dtype, gradient, tokens):
    dense = torch.nn.Linear(256, 192, device=device, dtype=dtype)
    layer = Linear24.of(dense, gradient=gradient)
    x = torch.randn(2, tokens // 2, 256, device=device, dtype=dtype, requires_grad=True)
    dy = torch.randn(2, tokens // 2, 192, device=device, dtype=dtype)
    layer(x).backward(dy)
    got = x.grad, layer.weight.grad, layer.bias.grad
    pruned = torch.where(layer.mask, layer.weight.detach(), 0).double()
    x64, dy64 = x.detach().double().reshape(-1, 256), dy.double().reshape(-1, 192)
    dw = dy64.t() @ x64
    expected = (dy64 @ pruned).view(x.shape), dw if gradient == "straight_through" else dw * layer.mask, dy64.sum(0)
    for g, e in zip(got, expected):
        torch.testing.assert_close(g.double(), e, rtol=2e-2, atol=2e-2 * float(e.abs().max()))
    y = x64 @ pruned.t() + layer.bias.detach().double()
    torch.testing.assert_close(layer(x).double().reshape(-1, 192), y, rtol=2e-2, atol=2e-2 * float(y.abs().max()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("dtype", TYPES)
def test_large_products_are_right_and_of_bfloat16_sparse(dtype):
    out, into, tokens = 4096, 2048, 4096
    weight, x, dy = (torch.randn(*s, device="cuda").to(dtype) for s in ((out, into), (tokens, into), (tokens, out)))
    compressed, transposed, mask = compress24(weight)
    pruned = torch.where(mask, weight, 0)
    for _ in range(2):  # the second time in other memory
        y = ops.linear24_forward(x, pruned, compressed, out)
        dx = ops.linear24_input_gradient(dy, pruned, transposed, into)
        for got, expected in ((y, x.float() @ pruned.float().t()), (dx, dy.float() @ pruned.float())):
            torch.testing.assert_close(got.float(), expected, rtol=2e-2, atol=2e-2 * float(expected.abs().max()))
    choice = ops.linear24_choice(x, out, into, tokens)
    assert [bool(choice[k]) for k in (0, 5)] == [dtype == torch.bfloat16] * 2


@pytest.mark.parametrize("every", [1, 3])
def test_follows_the_weights(device, every):
    layer = Linear24(128, 64, device=device, dtype=torch.float32)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)  # large steps, which change masks
    MaskRefresh(layer, optimizer, every=every)
    mask = layer.mask.clone()
    for step in range(1, 4):
        optimizer.zero_grad()
        layer(torch.randn(64, 128, device=device)).square().sum().backward()
        optimizer.step()
        assert (counts_of(layer.mask, 4) == 2).all()
        assert torch.equal(layer.mask, mask) == (step < every)
        x, kept = torch.randn(64, 128, device=device), torch.where(layer.mask, layer.weight.detach().bfloat16(), 0)
        y = (x.bfloat16().double() @ kept.double().t()) + layer.bias.detach().double()
        torch.testing.assert_close(layer(x).double(), y, rtol=2e-2, atol=2e-2 * float(y.abs().max()))


def test_results_have_the_types_of_linear(device):
    dense = torch.nn.Linear(128, 64, device=device)
    layer, x = Linear24.of(dense), torch.randn(3, 5, 128, device=device)
    assert layer(x).dtype == dense(x).dtype == torch.float32 and layer(x).shape == (3, 5, 64)
    assert layer(x[0, 0]).shape == (64,) and layer(x[:0]).shape == (0, 5, 64)
    with torch.autocast(device, torch.bfloat16):
        y = layer(x.requires_grad_())
        assert y.dtype == dense(x).dtype == torch.bfloat16
    y.sum().backward()
    assert x.grad.dtype == layer.weight.grad.dtype == torch.float32


@pytest.mark.parametrize("kind", [Linear24, MvueLinear])
def test_autocast_casts_an_input_once(device, monkeypatch, kind):
    layer, x = kind(128, 64, device=device), torch.randn(2, 96, 128, device=device)
    monkeypatch.setitem(plans.known, plans.key_of(layer, 192), plans.Choice(Plan(weight_gradient=kind is MvueLinear)))
    for _ in range(2):  # the first call may write operands
        with torch.autocast(device, torch.bfloat16), torch.profiler.profile(record_shapes=True) as profile:
            layer(x)
    casts = [it for it in profile.events() if it.name == "aten::_to_copy" and it.input_shapes[0][-2:] == [96, 128]]
    flat = [it for it in profile.events() if it.name == "aten::_to_copy" and it.input_shapes[0] == [192, 128]]
    assert len(casts) + len(flat) == 1


def test_gradients_are_only_where_they_are_asked_for(device):
    layer = Linear24(64, 64, device=device)
    x = torch.randn(64, 64, device=device)
    layer(x).sum().backward()
    expected = layer.weight.grad.clone()
    layer.requires_grad_(False)
    x.requires_grad_()
    layer(x).sum().backward()
    assert x.grad is not None and torch.equal(layer.weight.grad, expected)
    with torch.inference_mode():
        assert not layer(x).requires_grad


def test_numbers_of_tokens_may_change_within_a_step(device):
    layer = Linear24(128, 64, device=device, dtype=torch.bfloat16)
    x = torch.randn(192, 128, device=device).bfloat16()
    y = sum(layer(x[:k]).float().sum() for k in (64, 128, 64, 192))
    y.backward()
    rows = torch.cat([x[:k] for k in (64, 128, 64, 192)]).double()
    expected = rows.sum(0).expand(64, 128)
    torch.testing.assert_close(layer.weight.grad.double(), expected, rtol=2e-2, atol=2e-2 * float(expected.abs().max()))


def test_state_survives_a_round_trip(device):
    layer, other = (Linear24(128, 64, device=device, dtype=torch.bfloat16) for _ in range(2))
    x = torch.randn(64, 128, device=device).bfloat16()
    layer.mask.copy_(layer.mask.roll(4, 0))  # not the one that would be found
    layer.compress(keep_mask=True)
    found = ops.find_mask(layer.weight, 2, 4)[0]
    other(x)  # with forms of its own
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(x), layer(x)) and torch.equal(other.mask, layer.mask)
    assert not torch.equal(other.mask, found)


def decoder(device):
    block = [torch.nn.Linear(128, 64), torch.nn.ReLU(), torch.nn.Linear(64, 128, bias=False), torch.nn.Linear(128, 10)]
    return torch.nn.ModuleDict({"block": torch.nn.Sequential(*block)}).to(device, torch.bfloat16)


@pytest.mark.parametrize("kind, arguments", [(Linear24, {"gradient": "masked"}), (MvueLinear, {"weights": "dense"})])
def test_sparsify24_takes_the_layers_that_gain(device, monkeypatch, kind, arguments):
    model = decoder(device)
    parameters = dict(model.named_parameters())
    gains = plans.Choice(Plan(True, True), sparse_step_ms=1.0, dense_step_ms=2.0, linear_step_ms=1.5)
    loses = gains._replace(linear_step_ms=0.9)  # than Linear, though sparse products are faster than dense ones
    for layer, choice in ((model["block"][0], gains), (model["block"][2], loses)):
        monkeypatch.setitem(plans.known, plans.key_of(kind.of(layer), 256), choice)
    assert sparsify24(model, 256, **arguments) == ["block.0"]
    assert [type(m) for m in model["block"]] == [kind, torch.nn.ReLU, torch.nn.Linear, torch.nn.Linear]
    assert kind is MvueLinear or not model["block"][0].straight_through
    assert all(parameters[name] is p for name, p in model.named_parameters())


def test_sparsify24_leaves_layers_alone_where_dense_is_faster(device):
    model = decoder(device)
    names = sparsify24(model, 64)
    assert names == [] and not any(isinstance(m, Linear24) for m in model.modules())
    if device == "cuda":
        choice = Linear24.of(model["block"][0]).choice(64)
        assert not choice.beats_linear


def test_what_is_faster_by_itself_and_may_be_sparse_is_tried():
    fast, slow = plans.Product(1, 1, 1.0, 2.0, 9.0), plans.Product(0, 1, 2.0, 1.0, 9.0)
    vendors, everything = fast._replace(own_form=0), Plan(True, True, weight_gradient=True)
    cases = [
        ((fast, fast, fast), everything, [everything, Plan(True, True)]),
        ((fast, fast, fast), Plan(True, True), [Plan(True, True)]),
        ((slow, slow, fast), everything, [Plan(weight_gradient=True)]),
        ((vendors, slow, fast), Plan(weight_gradient=True), [Plan(weight_gradient=True)]),
        ((vendors, slow, slow), everything, [Plan(True, own_form=False)]),
        ((slow, slow, slow), everything, []),
    ]
    for products, may_be_sparse, expected in cases:
        assert plans.candidates(products, may_be_sparse) == expected


def estimating(monkeypatch, layer, tokens):
    """The layer, as if its weight gradient alone had been found faster sparse."""
    monkeypatch.setitem(plans.known, plans.key_of(layer, tokens), plans.Choice(Plan(weight_gradient=True)))
    return layer


@pytest.mark.parametrize("kind", [Linear24, MvueLinear])
def test_estimated_weight_gradients_are_right_in_the_mean(device, monkeypatch, kind):
    arguments = {"weight_gradient": "mvue"} if kind is Linear24 else {}
    layer = estimating(monkeypatch, kind(128, 64, device=device, **arguments), 128)
    x, dy = torch.randn(2, 64, 128, device=device), torch.randn(2, 64, 64, device=device)

    def gradients(seed):
        torch.manual_seed(seed)
        with torch.autocast(device, torch.bfloat16):
            y = layer(x.requires_grad_())
        return torch.autograd.grad(y, (layer.weight, x, layer.bias), dy.to(y.dtype))

    drawn = torch.stack([gradients(seed)[0] for seed in range(100)])
    exact = torch.einsum("bto,bti->oi", dy.bfloat16().float(), x.detach().bfloat16().float())
    error, deviation = (drawn.mean(0) - exact).abs(), drawn.std(0)
    assert (error <= 5.5 * deviation / 10 + 0.01 * exact.abs().max()).all() and (deviation > 0).all()
    dx, db = gradients(0)[1:]
    if kind is Linear24:  # all weights are kept
        layer.keep(4)
        layer.compress()
        assert torch.equal(gradients(0)[0], gradients(1)[0])
        layer.keep(2)
        layer.compress()
        assert not torch.equal(gradients(0)[0], gradients(1)[0])
    layer.weight_gradient = "dense"
    assert torch.equal(gradients(0)[0], gradients(1)[0])
    assert torch.equal(gradients(2)[1], dx) and torch.equal(gradients(2)[2], db)


def test_estimates_are_those_of_the_seed_whatever_recomputes_the_layer(device, monkeypatch):
    layer = Linear24(128, 64, weight_gradient="mvue", gradient="masked", device=device, dtype=torch.bfloat16)
    estimating(monkeypatch, layer, 128)
    x, checkpoint = torch.randn(128, 128, device=device).bfloat16().requires_grad_(), torch.utils.checkpoint.checkpoint

    def gradient(call):
        layer.weight.grad = None
        torch.manual_seed(5)
        call(x).sum().backward()
        return layer.weight.grad

    eager = gradient(layer)
    assert (eager[~layer.mask] == 0).all()
    assert torch.equal(gradient(lambda x: checkpoint(layer, x, use_reentrant=False)), eager)
    assert torch.equal(gradient(torch.compile(layer, backend="aot_eager", fullgraph=True)), eager)


def test_a_mvue_linear_is_torchs_where_dense_is_faster(device):
    dense = torch.nn.Linear(64, 64, device=device)
    layer, x = MvueLinear.of(dense), torch.randn(3, 64, device=device)
    assert torch.equal(layer(x), dense(x)) and layer.state_dict().keys() == dense.state_dict().keys()
    assert layer.weight is dense.weight
    with pytest.raises(ValueError, match="weights must be"):
        sparsify24(torch.nn.Sequential(dense), 64, weights="mvue")
    with pytest.raises(ValueError, match="weight_gradient must be"):
        Linear24(64, 64, weight_gradient="sparse", device=device)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_sparsify24_goes_by_the_times_of_whole_steps():
    dense = torch.nn.Linear(4096, 8192, bias=False, device="cuda", dtype=torch.bfloat16)
    model, x = torch.nn.Sequential(dense), torch.randn(16384, 4096, device="cuda").bfloat16()
    names, choice = sparsify24(model, len(x)), Linear24.of(dense).choice(len(x))
    assert choice.sparse_step_ms > 0 and choice.linear_step_ms > 0
    assert (names == ["0"]) == (choice.sparse_step_ms < min(choice.linear_step_ms, choice.dense_step_ms))
    mask = ops.find_mask(dense.weight, 2, 4)[0] if names else torch.ones_like(dense.weight, dtype=torch.bool)
    expected = x.float() @ torch.where(mask, dense.weight, 0).float().t()
    torch.testing.assert_close(model(x).float(), expected, rtol=2e-2, atol=2e-2 * float(expected.detach().abs().max()))


def soft_by_comparing_all(weight):
    """What the best mask of each tile keeps less what the best one without the entry keeps; at most the magnitude."""
    masks = all_tiles24()
    soft = torch.zeros_like(weight, dtype=torch.float64)
    for i in range(0, weight.shape[0], 4):
        for j in range(0, weight.shape[1], 4):
            tile = weight[i : i + 4, j : j + 4].double()
            kept = masks @ tile.abs().reshape(16)
            for k in range(16):
                loss = kept.max() - kept[masks[:, k] == 0].max()
                entry = tile.flatten()[k]
                soft[i + k // 4, j + k % 4] = min(loss, entry.abs()) * entry.sign()
    return soft


def tied(rows, cols):
    return torch.randint(-2, 3, (rows, cols)).float()


@pytest.mark.parametrize("make", [torch.randn, tied, torch.zeros, lambda *s: 1e30 * torch.randn(*s)])
def test_soft_values_are_what_a_mask_loses_without_an_entry(device, make):
    weight = make(32, 64)
    soft, expected = soft24(weight.to(device), chunk=10).cpu(), soft_by_comparing_all(weight)
    torch.testing.assert_close(soft.double(), expected, rtol=0, atol=4e-6 * float(weight.abs().max()))
    mask = ops.find_mask(weight, 2, 4)[0]
    assert not soft[~mask].any()


def test_soft_pruning_is_continuous_where_masks_flip():
    first, last = torch.randn(2, 64, 64, dtype=torch.float64).unbind()
    steps = torch.linspace(0, 1, 2001, dtype=torch.float64)
    path = [(first + t * (last - first)).float() for t in steps[:400]]
    moved = max(float((a - b).abs().max()) for a, b in zip(path, path[1:]))
    jumps = [float((soft24(a) - soft24(b)).abs().max()) for a, b in zip(path, path[1:])]
    assert max(jumps) < 20 * moved  # at most the changes of what two masks of eight keep, and the entry's own
    hard = [torch.where(ops.find_mask(w, 2, 4)[0], w, 0) for w in path]
    assert max(float((a - b).abs().max()) for a, b in zip(hard, hard[1:])) > 100 * moved


def soft_product(layer, x, scale):
    pruned = (scale * soft24(layer.weight.detach().bfloat16())).bfloat16().double()
    return x.double() @ pruned.t() + layer.bias.detach().double()


def test_a_soft_layer_multiplies_by_soft_weights_with_the_scale_it_began_with(device):
    dense = torch.nn.Linear(128, 64, device=device)
    layer, x = Linear24.of(dense, pruning="soft"), torch.randn(64, 128, device=device).bfloat16()
    soft, weight = soft_by_comparing_all(dense.weight.detach().cpu()), dense.weight.detach().cpu().double()
    scale = layer.scale.clone()
    torch.testing.assert_close(float(scale), float((soft * weight).sum() / soft.square().sum()), rtol=1e-4, atol=0)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    refresh = MaskRefresh(layer, optimizer)
    y = layer(x)
    y.float().square().sum().backward()
    expected = (2 * y.detach().float()).to(y.dtype).double().t() @ x.double()  # straight through, of all weights
    torch.testing.assert_close(layer.weight.grad.double(), expected, rtol=2e-2, atol=2e-2 * float(expected.abs().max()))
    optimizer.step()
    assert refresh.steps == 1 and torch.equal(layer.scale, scale)
    expected = soft_product(layer, x, scale)
    for y in (layer(x), layer.plain()(x.float())):
        torch.testing.assert_close(y.double(), expected, rtol=2e-2, atol=2e-2 * float(expected.abs().max()))
    with pytest.raises(ValueError, match="'hard' or 'soft'"):
        Linear24(64, 64, pruning="none")


def test_the_scale_of_a_soft_layer_is_in_its_state(device):
    layer, other = (Linear24(128, 64, device=device, pruning="soft") for _ in range(2))
    x = torch.randn(64, 128, device=device)
    assert not torch.equal(layer.scale, other.scale)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other.scale, layer.scale) and torch.equal(other(x), layer(x))
    dense = torch.nn.Linear(128, 64, device=device)
    other.load_state_dict(dense.state_dict())
    assert torch.equal(other.scale, Linear24.of(dense, pruning="soft").scale)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("pruning", ["hard", "soft"])
def test_plain_state_dicts_have_the_weights_of_finalized_models(device, pruning, dense):
    model = torch.nn.Sequential(Linear24(128, 64, device=device, pruning=pruning))
    handle = MaskRefresh(model, None, schedule=lambda step, n, m: m if dense else n)
    plain = tsenor_torch.plain_state_dict(model.state_dict())
    x, weight = torch.randn(64, 128, device=device), model[0].weight.detach().clone()
    y = model(x)
    handle.remove()
    finalize(model)
    assert plain.keys() == model.state_dict().keys() == {"0.weight", "0.bias"}
    assert torch.equal(plain["0.weight"], model[0].weight) and torch.equal(weight, model[0].weight) == dense
    torch.testing.assert_close(model(x), y, rtol=2e-2, atol=2e-2 * float(y.detach().abs().max()))


@pytest.mark.parametrize("pruning", ["hard", "soft"])
@pytest.mark.parametrize("every", [1, 4])
def test_dense_phases_are_dense_and_a_run_that_goes_on_stays_in_them(device, pruning, every):
    def start():
        torch.manual_seed(3)
        layer = Linear24(64, 64, device=device, pruning=pruning)
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
        phases = dense_phases(12, start=1 / 6, end=1 / 4)
        return layer, optimizer, MaskRefresh(layer, optimizer, every=every, schedule=phases)

    x, found = torch.randn(32, 64, device=device).bfloat16(), []
    layer, optimizer, _refresh = start()
    for step in range(12):
        y = layer(x)
        dense = torch.nn.functional.linear(x, layer.weight.bfloat16(), layer.bias.bfloat16())
        found.append(bool((y - dense).abs().max() <= 1e-2 * dense.abs().max()))
        optimizer.zero_grad()
        y.float().square().mean().backward()
        optimizer.step()
        if step in (5, 10):
            other, its, handle = start()
            other.load_state_dict(layer.state_dict())
            its.load_state_dict(optimizer.state_dict())
            assert handle.steps == step + 1 and torch.equal(other(x), layer(x))
            layer, optimizer, _refresh = other, its, handle
    begins = 2 if every == 1 else 4  # masks come at a refresh, the end on time
    assert found == [step < begins or step >= 9 for step in range(12)]
    assert torch.equal(layer.plain().weight, layer.weight)


def test_a_schedule_that_a_2_4_layer_cannot_keep_is_refused():
    with pytest.raises(ValueError, match="2 of 4, or all: the schedule keeps 3"):
        MaskRefresh(Linear24(64, 64), None, schedule=lambda step, n, m: 3)
    with pytest.raises(ValueError, match="shares"):
        dense_phases(10, start=0.7, end=0.7)


@pytest.mark.parametrize("arguments", [{}, {"gradient": "masked"}, {"pruning": "soft"}, {"weight_gradient": "mvue"}])
def test_a_layer_is_compiled_before_its_first_product(arguments):
    torch._dynamo.reset()
    layer = Linear24(64, 64, **arguments)
    run = torch.compile(layer, backend="aot_eager", fullgraph=True)
    for tokens in (64, 128, 64):
        x = torch.randn(tokens, 64)
        y = run(x)
        y.square().mean().backward()
        assert torch.equal(y, layer(x))
        with torch.no_grad():
            layer.weight.normal_()
        layer.compress()
    assert layer.weight.grad.isfinite().all()


@pytest.mark.parametrize("strict", [True, False])
def test_an_export_leaves_nothing_in_the_layer(strict):
    layer, x = Linear24(64, 64), torch.randn(32, 64)
    exported = torch.export.export(torch.nn.Sequential(layer), (x,), strict=strict).module()
    assert torch.equal(exported(x), layer(x)) and type(layer(x)) is torch.Tensor


def test_a_layer_on_meta_has_shapes_and_takes_weights():
    layer, other = Linear24(64, 128, device="meta"), Linear24(64, 128)
    x = torch.randn(4, 64)
    assert layer(x.to("meta")).shape == (4, 128)
    layer.load_state_dict(other.state_dict(), assign=True)
    assert torch.equal(layer(x), other(x))


def test_a_loaded_layer_is_no_changed_one(tmp_path):
    torch.save(Linear24(64, 64), tmp_path / "layer")
    layer = torch.load(tmp_path / "layer", weights_only=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer(torch.randn(4, 64))
    with torch.no_grad():
        layer.weight.normal_()
    with pytest.warns(UserWarning, match="have changed"):
        layer(torch.randn(4, 64))


@pytest.mark.parametrize("scale", [None, 2.0])
def test_rows_need_not_be_contiguous(scale):
    scale = scale and torch.tensor(scale)
    dense = torch.randn(64, 128).bfloat16()
    for weight in (dense.t(), dense[:, :1].expand(64, 64), dense[:, ::2], torch.randn(64, 2, 128).bfloat16()[:, 0]):
        for part, expected in zip(compress24(weight, scale), compress24(weight.contiguous(), scale)):
            assert torch.equal(part.view(torch.uint8), expected.view(torch.uint8))
    with pytest.raises(ValueError, match=r"\[rows, cols\]"):
        compress24(dense[0], scale)


@pytest.mark.parametrize("tokens", [0, -1, None, 64.0])
def test_tokens_are_a_number(tokens):
    with pytest.raises(ValueError, match="tokens must be an integer of at least 1"):
        sparsify24(torch.nn.Sequential(torch.nn.Linear(64, 64)), tokens)
