"""torch.compile and torch.export of the operators and of sparsified models."""

import copy
from pathlib import Path

import pytest
import torch
from test_transforms import layer24, model_on

import tsenor_torch
from tsenor_torch import find_mask, keep

ops = torch.ops.tsenor


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiles_whole(device, dynamic, backend):
    def all_of_them(weight, scores):
        mask = find_mask(weight, 8, 16, importance=scores)
        mask_only, reports = find_mask(weight, 8, 16, with_report=True)
        target = torch.empty_like(mask)
        ops.find_mask_(target, weight, 8, 16)
        pruned = tsenor_torch.prune_(weight * 2, 8, 16)
        return keep(weight, mask).sum() + (pruned * target).sum() + reports.value.sum() + mask_only.sum()

    torch._dynamo.reset()
    compiled = torch.compile(all_of_them, fullgraph=True, dynamic=dynamic, backend=backend)
    for rows in (32, 48, 64):
        weight, scores = torch.randn(rows, 32, device=device, requires_grad=True), torch.rand(rows, 32, device=device)
        other = weight.detach().clone().requires_grad_()
        ours, expected = compiled(weight, scores), all_of_them(other, scores)
        ours.backward(), expected.backward()
        torch.testing.assert_close(ours, expected)
        torch.testing.assert_close(weight.grad, other.grad)
    with pytest.raises(Exception, match="multiples of M"):
        compiled(torch.randn(36, 32, device=device), torch.rand(36, 32, device=device))


@pytest.mark.parametrize("dynamic", [False, True])
def test_pruners_compile_whole(device, dynamic):
    def all_of_them(weight, x):
        gram = torch.zeros(x.shape[1], x.shape[1], device=x.device)
        ops.gram_(gram, x)
        by_magnitude, by_wanda, by_sparsegpt, by_alps = (weight.clone() for _ in range(4))
        masks = ops.magnitude_(by_magnitude, 4, 8), ops.wanda_(by_wanda, gram, 4, 8)
        masks = *masks, ops.sparsegpt_(by_sparsegpt, gram, 4, 8, tokens=40)
        masks = *masks, *ops.alps_(by_alps, ops.alps_inputs(gram), 4, 8)
        return gram, by_magnitude, by_wanda, by_sparsegpt, by_alps, *masks

    torch._dynamo.reset()
    compiled = torch.compile(all_of_them, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for rows, cols in ((16, 32), (24, 48)):
        weight, x = torch.randn(rows, cols, device=device), torch.randn(40, cols, device=device)
        for ours, expected in zip(compiled(weight, x), all_of_them(weight, x)):
            assert torch.equal(ours, expected)
    with pytest.raises(Exception, match="multiples of M"):
        compiled(torch.randn(12, 32, device=device), torch.randn(40, 32, device=device))


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compilers_leave_the_layout_that_decides_between_equals(device, backend):
    weight = torch.randint(-2, 3, (32, 48), device=device).float()
    torch._dynamo.reset()
    compiled = torch.compile(lambda w: find_mask((w + 0).t(), 8, 16), fullgraph=True, backend=backend)
    assert torch.equal(compiled(weight), find_mask(weight, 8, 16).t())


@pytest.mark.parametrize("gradient", ["straight_through", "masked"])
def test_compiled_models_learn_the_same(device, gradient):
    torch._dynamo.reset()
    model, x = model_on(device, gradient), torch.randn(4, 32, device=device)
    other = copy.deepcopy(model)
    torch.compile(model, fullgraph=True, backend="aot_eager")(x).square().mean().backward()
    other(x).square().mean().backward()
    for ours, theirs in zip(model.parameters(), other.parameters()):
        torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiled_layers_of_24_have_the_products_type_under_autocast(device, backend):
    layer, x = layer24(device), torch.randn(64, 128, device=device)

    def step(call):
        layer.zero_grad()
        with torch.autocast(device, torch.bfloat16):
            y = call(x)
        y.float().square().mean().backward()
        return y, layer.weight.grad

    def normed(x):
        return layer(torch.nn.functional.layer_norm(x, (128,))) * 2  # of float32

    torch._dynamo.reset()
    expected, ours = step(normed), step(torch.compile(normed, fullgraph=True, backend=backend))
    assert ours[0].dtype == expected[0].dtype == torch.bfloat16
    for one, other in zip(ours, expected):
        torch.testing.assert_close(one, other, rtol=2e-2, atol=1e-3 * float(other.detach().abs().max()))


@pytest.mark.parametrize("gradient", ["straight_through", "masked"])
@pytest.mark.parametrize("strict", [False, True])
def test_exported_graphs_learn_the_same(device, gradient, strict):
    model, x = model_on(device, gradient), torch.randn(4, 32, device=device)
    exported = torch.export.export(model, (x,), strict=strict).module()
    exported(x).square().mean().backward()
    model(x).square().mean().backward()
    expected = dict(model.named_parameters())
    for name, parameter in exported.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name].grad)
    pruned = ~model[0].parametrizations.weight[0].mask
    of_pruned = expected["0.parametrizations.weight.original"].grad[pruned]
    assert bool((of_pruned != 0).any()) == (gradient == "straight_through")


def test_exported_layers_of_24_learn_the_same(device):
    layer, x = layer24(device), torch.randn(4, 128, device=device)
    exported = torch.export.export(layer, (x,)).module()
    exported(x).square().mean().backward()
    layer(x).square().mean().backward()
    expected = dict(layer.named_parameters())
    for name, parameter in exported.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name].grad)


@pytest.fixture
def loss_and_gradients(monkeypatch):
    """Of the decoder that training.py trains, with layers of a kind; `change` is done to the model before."""
    monkeypatch.syspath_prepend(Path(__file__).parent.parent)
    from decoder import SIZES, Recipe, Training

    def call(kind, compiled, change=lambda model: None):
        training = Training(None, SIZES["tiny"] | {"layers": 2}, kind, Recipe(), 10, compiled=compiled)
        tokens = torch.randint(256, (4, 65), generator=torch.Generator().manual_seed(1)).to(training.ranks.device)
        training.loss(tokens)  # products that have been chosen need no graph of their own
        change(training.model)
        loss = training.loss(tokens)
        loss.backward()
        return loss.detach(), *(p.grad for p in training.model.parameters())

    return call


def test_the_decoder_compiles_once_for_all_kinds_what_is_between_its_linear_layers(loss_and_gradients):
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    for kind in ("dense", "both"):
        for ours, eager in zip(loss_and_gradients(kind, True), loss_and_gradients(kind, False)):
            torch.testing.assert_close(ours, eager, rtol=2e-2, atol=2e-2 * float(eager.abs().max()))
        assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 3  # the first sum, the others, and the gate


@pytest.mark.parametrize("kind", ["both", "mvue"])
def test_blocks_with_sparse_layers_compile_whole(loss_and_gradients, kind):
    torch._dynamo.reset()

    def compile_blocks(model):
        for block in model.blocks:
            block.compile(dynamic=False, fullgraph=True, backend="aot_eager")

    for ours, eager in zip(loss_and_gradients(kind, False, compile_blocks), loss_and_gradients(kind, False)):
        torch.testing.assert_close(ours, eager, rtol=2e-2, atol=2e-2 * float(eager.abs().max()))
