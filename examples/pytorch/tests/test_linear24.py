import pytest
import torch
from oracle import all_tiles24, counts_of

import tsenor_torch
from tsenor_torch import Linear24, MaskRefresh, compress24, dense_phases, finalize, plans, sparsify24
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
    with pytest.raises(ValueError, match="none to find"):
        mask = torch.ones(64, 64, dtype=torch.bool, device=device)
        ops.sparse24_compress_(None, None, torch.ones(64, 64, device=device).half(), keep=mask, mask=mask.clone())


def test_operators_pass_opcheck(device):
    weight = torch.randn(64, 128, device=device).half()
    outputs = [torch.empty(64 * 128 // 8 * 9, dtype=torch.uint8, device=device) for _ in range(2)]
    torch.library.opcheck(ops.sparse24_compress_.default, (*outputs, weight))
    pruned = torch.empty_like(weight)
    torch.library.opcheck(ops.sparse24_compress_.default, (None, None, weight), {"pruned": pruned})
    compressed, transposed, mask = compress24(weight)
    pruned = torch.where(mask, weight, 0)
    x, dy = torch.randn(64, 128, device=device).half(), torch.randn(64, 64, device=device).half()
    torch.library.opcheck(ops.linear24_forward.default, (x, pruned, compressed, 64))
    torch.library.opcheck(ops.linear24_input_gradient.default, (dy, pruned, transposed, 128))


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
    assert torch.equal(other(x), layer(x)) and torch.equal(other.mask, layer.mask) and not torch.equal(other.mask, found)


def decoder(device):
    block = [torch.nn.Linear(128, 64), torch.nn.ReLU(), torch.nn.Linear(64, 128, bias=False), torch.nn.Linear(128, 10)]
    return torch.nn.ModuleDict({"block": torch.nn.Sequential(*block)}).to(device, torch.bfloat16)


def test_sparsify24_takes_the_layers_that_gain(device, monkeypatch):
    model = decoder(device)
    parameters = dict(model.named_parameters())
    gains = plans.Choice(Plan(True, True), sparse_step_ms=1.0, dense_step_ms=2.0, linear_step_ms=1.5)
    loses = gains._replace(linear_step_ms=0.9)  # than Linear, though sparse products are faster than dense ones
    for shape, choice in (((64, 128), gains), ((128, 64), loses)):
        monkeypatch.setitem(plans.known, (model["block"][0].weight.device, torch.bfloat16, *shape, 256, False), choice)
    assert sparsify24(model, 256, gradient="masked") == ["block.0"]
    kinds = [Linear24, torch.nn.ReLU, torch.nn.Linear, torch.nn.Linear]
    assert [type(m) for m in model["block"]] == kinds and not model["block"][0].straight_through
    assert all(parameters[name] is p for name, p in model.named_parameters())


def test_sparsify24_leaves_layers_alone_where_dense_is_faster(device):
    model = decoder(device)
    names = sparsify24(model, 64)
    assert names == [] and not any(isinstance(m, Linear24) for m in model.modules())
    if device == "cuda":
        choice = Linear24.of(model["block"][0]).choice(64)
        assert not choice.beats_linear


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
