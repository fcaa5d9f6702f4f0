"""What of a sparse model is saved, loaded, copied, averaged and moved."""

import copy
import warnings

import pytest
import torch
from models import sparsity_of, train, two_layers
from oracle import counts_of
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn, get_ema_multi_avg_fn

import tsenor_torch
from tsenor_torch import (
    Linear24,
    MaskRefresh,
    TransposableSparsity,
    finalize,
    freeze,
    plain_state_dict,
    refresh,
    sparsify,
)


def sparse(device="cpu", n=8, m=16, **arguments):
    model = two_layers(device)
    sparsify(model, n, m, **arguments)
    return model


def masks(model):
    return [sparsity_of(layer).mask.clone() for layer in model[::2]]


def trained(device="cpu", steps=5, every=2):
    model = sparse(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    train(model, optimizer, steps) if not every else None
    if every:
        handle = MaskRefresh(model, optimizer, every=every)
        train(model, optimizer, steps)
        handle.remove()
    return model


def equal(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second))


def test_state_survives_a_round_trip(device, tmp_path):
    model, x = trained(device), torch.randn(4, 32, device=device)
    torch.save(model.state_dict(), tmp_path / "state.pt")
    other = sparse(device)
    assert not torch.equal(other(x), model(x))
    other.load_state_dict(torch.load(tmp_path / "state.pt"))
    assert torch.equal(other(x), model(x)) and equal(masks(other), masks(model))
    assert sparsity_of(other[0]).clock.steps == sparsity_of(other[2]).clock.steps == 5


def test_assigned_states_load_as_well():
    model, x = trained(), torch.randn(4, 32)
    with torch.device("meta"):
        other = two_layers()
    plan = sparsify(other, 8, 16)
    assert [e.pattern for e in plan] == ["8:16"] * 2 and "not known yet" in repr(plan)
    other.load_state_dict(model.state_dict(), assign=True)
    assert torch.equal(other(x), model(x))


def test_a_model_from_meta_finds_its_masks_when_the_weights_are_there():
    with torch.device("meta"):
        model = two_layers()
    sparsify(model, 8, 16)
    model.to_empty(device="cpu")
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    for action in (lambda: model(torch.randn(4, 32)), lambda: finalize(model)):
        with pytest.raises((RuntimeError, ValueError), match="refresh"):
            action()
    refresh(model)
    assert (counts_of(model[0].weight != 0, 16) == 8).all()
    loaded = copy.deepcopy(model)
    with torch.device("meta"):
        other = two_layers()
    sparsify(other, 8, 16)
    other.to_empty(device="cpu").load_state_dict(loaded.state_dict())
    assert torch.equal(other[0].weight, model[0].weight)


@pytest.mark.parametrize("saved, loading", [((12, 16), (8, 16)), ((8, 16), (4, 8)), ((2, 4), (4, 8))])
def test_a_state_of_another_pattern_is_refused(saved, loading):
    state, model = sparse(n=saved[0], m=saved[1]).state_dict(), sparse(n=loading[0], m=loading[1])
    before = masks(model)
    with pytest.raises(RuntimeError) as error:
        model.load_state_dict(state)
    assert str(error.value).count(f"masks of {saved[0]}:{saved[1]}, but the model has {loading[0]}:{loading[1]}") == 2
    assert equal(before, masks(model))


def test_states_go_both_ways(device):
    model, x = trained(device), torch.randn(4, 32, device=device)
    dense = two_layers(device)
    dense.load_state_dict(plain_state_dict(model.state_dict()))
    assert torch.equal(dense(x), model(x))
    other = sparse(device)
    other.load_state_dict(dense.state_dict())
    assert torch.equal(other(x), dense(x))
    unpruned = two_layers(device)
    other.load_state_dict(unpruned.state_dict())
    assert torch.equal(sparsity_of(other[0]).mask, TransposableSparsity(unpruned[0].weight, 8, 16).mask)


def test_an_incomplete_state_is_one_with_missing_keys():
    state = sparse().state_dict()
    del state["0.parametrizations.weight.0.mask"], state["2.parametrizations.weight.0.pattern"]
    with pytest.raises(RuntimeError, match="0.mask.*0.pattern"):
        sparse().load_state_dict(state)


@pytest.mark.parametrize(
    "what, change",
    [
        ("mask", lambda mask: 0.5 * (mask.float() + mask.roll(1, 0))),
        ("pattern", lambda pattern: pattern[:2]),
        ("pattern", lambda pattern: pattern + 0.5),
    ],
)
def test_a_state_that_was_averaged_or_cut_is_refused(what, change):
    """An average of masks is not 0 where one of them keeps, and so keeps too much."""
    state, model = sparse().state_dict(), sparse()
    key, before = f"0.parametrizations.weight.0.{what}", masks(model)
    state[key] = change(state[key])
    with pytest.raises(RuntimeError, match="0.parametrizations.weight.0: .* no mask of 0 and 1 with five integers"):
        model.load_state_dict(state)
    assert torch.equal(before[0], masks(model)[0])


def test_a_state_in_another_type_loads():
    model = sparse()
    saved = {name: it.half() for name, it in model.state_dict().items()}
    other = sparse()
    other.load_state_dict(saved)
    assert equal(masks(other), masks(model)) and type(sparsity_of(other[0]).clock.steps) is int


def test_a_module_without_its_parametrization_loads_a_dense_state():
    model, dense = sparse(), two_layers()
    torch.nn.utils.parametrize.remove_parametrizations(model[0], "weight", leave_parametrized=False)
    model.load_state_dict(dense.state_dict())
    assert torch.equal(model[0].weight, dense[0].weight)
    assert torch.equal(sparsity_of(model[2]).mask, TransposableSparsity(dense[2].weight, 8, 16).mask)


def test_what_has_no_masks_is_told():
    with pytest.raises(ValueError, match="call sparsify"):
        freeze(two_layers())
    with pytest.raises(TypeError, match="state_dict"):
        plain_state_dict(two_layers())


def test_frozen_masks_stay_also_after_loading():
    model = sparse()
    freeze(model)
    before, other = masks(model), sparse()
    other.load_state_dict(model.state_dict())
    for it in (model, other):
        with torch.no_grad():
            sparsity_of(it[0]).stored().uniform_()
        refresh(it)
        assert equal(before, masks(it))
        it.load_state_dict(two_layers().state_dict())
        assert equal(before, masks(it))
    freeze(model, False)
    refresh(model)
    assert not equal(before, masks(model))


def test_finalized_models_are_plain(device):
    model, x = trained(device), torch.randn(4, 32, device=device)
    parameters, expected = [sparsity_of(layer).stored() for layer in model[::2]], model(x)
    assert finalize(model) is model and torch.equal(model(x), expected)
    assert [type(layer) for layer in model] == [torch.nn.Linear, torch.nn.ReLU, torch.nn.Linear]
    assert all(layer.weight is parameter for layer, parameter in zip(model[::2], parameters))
    assert list(model.state_dict()) == list(two_layers().state_dict())
    two_layers(device).load_state_dict(model.state_dict())
    model.load_state_dict(two_layers(device).state_dict())
    assert not torch.equal(model(x), expected) and not model[0]._load_state_dict_pre_hooks
    sparsify(model, 2, 4)


def test_finalize_keeps_ties_and_takes_linear24_out():
    shared = torch.nn.Linear(64, 64)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), shared, torch.nn.Linear(64, 64))
    model[2].bias = shared.bias
    model[0] = Linear24.of(model[0])
    sparsify(model, patterns={"1": (8, 16), "2": (8, 16)})
    x, weight = torch.randn(4, 64), torch.where(model[0].mask, model[0].weight, 0)
    finalize(model)
    assert [type(layer) for layer in model] == [torch.nn.Linear] * 3 and model[2].bias is model[1].bias
    assert torch.equal(model[0].weight, weight) and model(x).shape == (4, 64)


@pytest.mark.parametrize("use_buffers", [True, False])
@pytest.mark.parametrize("average", [{}, {"avg_fn": get_ema_avg_fn(0.9)}, {"multi_avg_fn": get_ema_multi_avg_fn(0.9)}])
def test_masks_survive_averaging(use_buffers, average):
    model = sparse()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    ema = AveragedModel(model, use_buffers=use_buffers, **average)
    MaskRefresh(model, optimizer)
    for _ in range(4):
        train(model, optimizer, 1)
        ema.update_parameters(model)
    with pytest.warns(UserWarning, match="no MaskRefresh"):
        ema(torch.randn(4, 32))
    assert (counts_of(sparsity_of(ema.module[0]).mask, 16) == 8).all()
    refresh(ema)
    average = sparsity_of(ema.module[0]).stored()
    assert torch.equal(sparsity_of(ema.module[0]).mask, TransposableSparsity(average, 8, 16).mask)
    assert equal(masks(model), [TransposableSparsity(sparsity_of(k).stored(), 8, 16).mask for k in model[::2]])


def test_nothing_is_a_buffer():
    model = sparse()
    model.append(Linear24(64, 64))
    assert not list(model.buffers())


def test_copies_say_that_nobody_refreshes_them():
    model = sparse()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    MaskRefresh(model, optimizer, every=2)
    train(model, optimizer, 3)
    other, its_optimizer = copy.deepcopy((model, optimizer))
    with pytest.warns(UserWarning, match="no MaskRefresh"):
        train(other, its_optimizer, 2)
    MaskRefresh(other, its_optimizer, every=2)
    before = masks(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(other, its_optimizer, 1)
        assert sparsity_of(other[0]).clock.steps == 4 and sparsity_of(model[0]).clock.steps == 3
        train(model, optimizer, 1)
    assert not equal(before, masks(model))


def test_no_word_where_masks_are_followed_or_frozen():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = sparse()
        model(torch.randn(4, 32))
        model.double().float()(torch.randn(4, 32))
        model.load_state_dict(sparse().state_dict())
        copy.deepcopy(model)(torch.randn(4, 32))
        copy.deepcopy(model).to("meta")(torch.randn(4, 32, device="meta"))
        freeze(model)
        train(model, torch.optim.Adam(model.parameters(), foreach=True), 2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_masks_move_with_the_model(device, dtype):
    model = sparse()
    before = masks(model)
    model.to(device, dtype)
    assert sparsity_of(model[0]).mask.device.type == device and sparsity_of(model[0]).mask.dtype == torch.bool
    model.float().type(torch.float32)
    assert equal(before, [k.cpu() for k in masks(model)]) and sparsity_of(model[0]).mask.dtype == torch.bool
    refresh(model)


def test_states_of_linear24_go_round_and_are_noticed(device):
    layer = Linear24(128, 64, device=device, dtype=torch.bfloat16)
    other, x = torch.nn.Sequential(Linear24(128, 64, device=device)), torch.randn(64, 128, device=device).bfloat16()
    model = torch.nn.Sequential(layer)
    other.bfloat16().load_state_dict(model.state_dict())
    assert torch.equal(other(x), model(x)) and torch.equal(other[0].mask, layer.mask)
    dense = torch.nn.Sequential(torch.nn.Linear(128, 64, device=device, dtype=torch.bfloat16))
    other.load_state_dict(dense.state_dict())
    assert torch.equal(other[0].mask, tsenor_torch.compress24(dense[0].weight)[2])
    dense.load_state_dict(plain_state_dict(other.state_dict()))
    torch.testing.assert_close(dense(x), other(x))


@pytest.mark.parametrize("how", ["optimizer", "foreach", "fused", "load", "assign", "data"])
def test_linear24_notices_that_its_weight_has_changed(device, how):
    layer, x = Linear24(128, 64, device=device), torch.randn(64, 128, device=device)
    layer(x).sum().backward()
    freeze(torch.nn.Sequential(layer))
    if how in ("load", "assign"):
        state = {name: value.clone() for name, value in layer.state_dict().items()}
        layer.load_state_dict(state | {"weight": torch.randn(64, 128, device=device)}, assign=how == "assign")
    elif how == "data":
        layer.weight.data = torch.randn(64, 128, device=device)
    else:
        flags = {} if how == "optimizer" else {how: True}
        torch.optim.Adam(layer.parameters(), lr=0.5, **flags).step()
    pruned = torch.where(layer.mask, layer.weight.detach(), 0).bfloat16().double()
    expected = x.bfloat16().double() @ pruned.t() + layer.bias.double()
    torch.testing.assert_close(layer(x).double(), expected, rtol=2e-2, atol=2e-2 * float(expected.detach().abs().max()))
