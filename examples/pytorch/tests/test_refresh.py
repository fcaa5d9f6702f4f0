"""When masks are found anew: by steps of optimizers, wrapped ones too, in the phase of a run that goes on."""

import time
import warnings

import pytest
import torch
from models import sparsity_of, train, two_layers

import tsenor_torch
from tsenor_torch import (
    Linear24,
    MaskRefresh,
    TransposableSparsity,
    decreasing_n,
    dense_phases,
    finalize,
    freeze,
    refresh,
    sparsify,
)


def sparse(device="cpu", **arguments):
    model = two_layers(device)
    sparsify(model, 8, 16, **arguments)
    return model


def mask_of(model):
    return sparsity_of(model[0]).mask.clone()


@pytest.mark.parametrize("every", [1, 3])
def test_masks_follow_the_weights_every_so_many_steps(device, every):
    model = sparse(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)  # large steps, which change masks
    handle, before = MaskRefresh(model, optimizer, every=every), mask_of(model)
    for step in range(1, 2 * every + 1):
        train(model, optimizer, 1)
        assert torch.equal(before, mask_of(model)) == (step < every)
        if step % every == 0:
            weight = sparsity_of(model[0]).stored().detach()
            fresh = TransposableSparsity(weight, 8, 16).mask
            torch.testing.assert_close((weight.abs() * mask_of(model)).sum(), (weight.abs() * fresh).sum())
    assert handle.state_dict() == {"steps": 2 * every}
    handle.remove()
    optimizer.step()
    assert handle.steps == 2 * every


def test_trains(device):
    model = sparse(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    MaskRefresh(model, optimizer, every=4)
    x = torch.randn(256, 32, device=device)
    target = torch.tanh(x @ torch.randn(32, 32, device=device) / 6)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = (model(x) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("stop", [1, 2, 3, 4])
def test_a_run_that_goes_on_has_the_masks_of_one_that_did_not_stop(stop):
    def start():
        torch.manual_seed(5)
        model = sparse()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        return model, optimizer, MaskRefresh(model, optimizer, every=3)

    batches = torch.randn(7, 16, 32)
    whole, its_optimizer, _handle = start()
    for x in batches:
        train(whole, its_optimizer, 1, x)
    first, optimizer, _first = start()
    for x in batches[:stop]:
        train(first, optimizer, 1, x)
    second, other, handle = start()
    second.load_state_dict(first.state_dict())  # nothing but what everybody saves
    other.load_state_dict(optimizer.state_dict())
    assert handle.steps == stop
    for x in batches[stop:]:
        train(second, other, 1, x)
    assert torch.equal(second[0].weight, whole[0].weight) and handle.steps == 7


class Wrapper(torch.optim.Optimizer):
    """As accelerate's: an optimizer without its own state."""

    def __init__(self, optimizer):
        self.optimizer = optimizer

    def step(self):
        self.optimizer.step()


def test_wrapped_optimizers_are_unwrapped():
    accelerate = pytest.importorskip("accelerate")
    for wrap in (accelerate.Accelerator(cpu=True).prepare, lambda o: Wrapper(Wrapper(o))):
        model = sparse()
        wrapped = wrap(torch.optim.SGD(model.parameters(), lr=0.1))
        handle = MaskRefresh(model, wrapped, every=2)
        wrapped.step()
        assert handle.steps == 1


def test_steps_can_be_counted_by_hand_and_other_optimizers_say_so():
    model = sparse()
    handle, before = MaskRefresh(model, None, every=2), mask_of(model)
    with torch.no_grad():
        sparsity_of(model[0]).stored().uniform_()
    handle.step()
    assert torch.equal(before, mask_of(model))
    handle.step()
    assert not torch.equal(before, mask_of(model))
    with pytest.raises(TypeError, match="optimizer=None"):
        MaskRefresh(model, object())


@pytest.mark.parametrize("every", [0, -1, 1.5, "16", float("nan"), float("inf")])
def test_what_makes_no_sense_is_refused(every):
    with pytest.raises(ValueError, match="every"):
        MaskRefresh(sparse(), None, every=every)
    with pytest.raises(ValueError, match="sparsify"):
        MaskRefresh(two_layers(), None)
    with pytest.raises(ValueError, match="sparsify"):
        refresh(two_layers())
    with pytest.raises(ValueError, match="keeps 17 of 16"):
        MaskRefresh(sparse(), None, schedule=lambda step, n, m: 17)


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"decay": -1.0}, "decay must be"),
        ({"decay": "0.1"}, "decay must be"),
        ({"decay": float("nan")}, "decay must be"),
        ({"every": 0, "schedule": 8, "decay": None}, "(?s)every must be.*schedule must be.*decay must be"),
        ({"importance": 3}, "importance must be"),
        ({"importance": {"2.weigth": torch.ones(32, 64)}}, "2.weigth is not a sparse weight"),
        ({"importance": {"0.weight": 3}}, "0.weight is a int"),
        ({"schedule": lambda step, n, m: None}, "0.weight: the schedule keeps None of 16"),
        ({"schedule": lambda step, n, m: 8.5}, "0.weight: the schedule keeps 8.5 of 16"),
    ],
)
def test_wrong_arguments_are_refused_at_once_and_leave_the_optimizer_alone(wrong, says):
    model = sparse()
    optimizer, before = torch.optim.SGD(model.parameters(), lr=0.1), mask_of(model)
    with pytest.raises((ValueError, TypeError), match=says):
        MaskRefresh(model, optimizer, **wrong)
    train(model, optimizer, 1)
    assert torch.equal(before, mask_of(model)) and sparsity_of(model[0]).now == 8
    assert not optimizer._optimizer_step_post_hooks


@pytest.mark.parametrize("make", [lambda: decreasing_n(0, 0), lambda: decreasing_n(0, -5), lambda: dense_phases(-5),
                                  lambda: decreasing_n(0, 5, shape=-1), lambda: dense_phases(0)])
def test_schedules_of_no_steps_are_refused(make):
    with pytest.raises(ValueError, match="at least 1"):
        make()


def test_a_schedule_that_fails_for_a_layer_changes_none():
    model = sparse()
    handle = MaskRefresh(model, None)
    handle.schedule = lambda step, n, m: 12 if step < 2 else 17
    handle.step()
    layers = [sparsity_of(model[0]), sparsity_of(model[2])]
    layers[1].m = 17  # of one layer the schedule is right
    with pytest.raises(ValueError, match="0.weight: the schedule keeps 17 of 16"):
        handle.step()
    assert [layer.now for layer in layers] == [12, 12]


def test_a_second_refresh_takes_the_place_of_the_first():
    model = sparse()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    MaskRefresh(model, optimizer)
    with pytest.warns(UserWarning, match="replaces"):
        handle = MaskRefresh(model, optimizer, every=2)
    train(model, optimizer, 3)
    assert handle.steps == 3


def test_layers_may_come_and_go():
    model = sparse()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    handle = MaskRefresh(model, optimizer)
    sparsify(model, 2, 4)
    train(model, optimizer, 1)
    assert torch.equal(mask_of(model), TransposableSparsity(sparsity_of(model[0]).stored(), 2, 4).mask)
    finalize(model)
    train(model, optimizer, 1)
    assert handle.layers == []


def test_frozen_masks_stay():
    model = sparse()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
    MaskRefresh(model, optimizer)
    freeze(model)
    before = mask_of(model)
    train(model, optimizer, 2)
    assert torch.equal(before, mask_of(model))


def test_n_may_change_over_time():
    schedule = decreasing_n(2, 4)
    assert [schedule(k, 8, 16) for k in range(8)] == [16, 16, 16, 11, 9, 8, 8, 8]
    model = sparse()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    MaskRefresh(model, optimizer, every=2, schedule=schedule)
    kept = []
    for _ in range(7):
        kept.append(int(mask_of(model).sum()) // 128)
        train(model, optimizer, 1)
    assert kept == [16, 16, 16, 16, 9, 9, 8]
    other = sparse()
    other.load_state_dict(model.state_dict())
    assert sparsity_of(other[0]).now == 8 and sparsity_of(other[0]).n == 8


def test_sr_ste_decays_what_is_pruned(device):
    model = sparse(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    MaskRefresh(model, optimizer, every=10, decay=0.25)
    weight, mask = sparsity_of(model[0]).stored(), mask_of(model)
    before = weight.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.where(mask, before, 0.75 * before))


def test_flips_are_measured(device):
    model = sparse(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    handle = MaskRefresh(model, optimizer, every=2, measure_flips=True)
    before = mask_of(model)
    train(model, optimizer, 2)
    flipped = (before != mask_of(model)).float().mean()
    assert torch.equal(handle.flips["0.weight"], flipped) and flipped > 0
    share = handle.flips["2.weight"].double()
    assert torch.equal(handle.flip_rate, (flipped.double() * 64 * 32 + share * 64 * 32) / (2 * 64 * 32))
    handle.measure_flips = False
    train(model, optimizer, 2)
    assert handle.flip_rate is None


def test_decay_goes_through_the_gradient_and_so_through_adam(device):
    """2404.01847 adds the decay to the gradient: Adam's first step is then the rate whatever the decay."""
    model = sparse(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, eps=1e-12)
    MaskRefresh(model, optimizer, every=10, decay=1e-3)
    weight, mask = sparsity_of(model[0]).stored(), mask_of(model)
    before = weight.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    expected = torch.where(mask, before, before - 0.01 * before.sign())
    torch.testing.assert_close(weight.detach(), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD, torch.optim.Adagrad])
def test_decay_is_the_same_with_a_gradient_scaler_and_a_fused_optimizer(kind):
    """A fused optimizer gets gradients that are not unscaled yet."""
    models = [sparse(), sparse()]
    models[1].load_state_dict(models[0].state_dict())
    x = torch.randn(16, 32)
    for model, fused in zip(models, (False, True)):
        optimizer = kind(model.parameters(), lr=0.1, fused=fused)
        MaskRefresh(model, optimizer, every=10, decay=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        for _ in range(3):
            optimizer.zero_grad()
            scaler.scale(model(x).square().mean()).backward()
            scaler.step(optimizer)
            scaler.update()
    plain, fused = (sparsity_of(model[0]).stored() for model in models)
    torch.testing.assert_close(fused, plain, rtol=1e-4, atol=1e-5)


def test_the_dense_end_begins_on_time_whatever_the_pattern(device):
    model = sparse(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    MaskRefresh(model, optimizer, every=5, schedule=dense_phases(8))
    dense = []
    for _ in range(8):
        dense.append(bool(mask_of(model).all()))
        train(model, optimizer, 1)
    assert dense == [step >= 7 for step in range(8)]  # round(8 * 5 / 6)
    steps = (1, 2, 6, 7, 9, 10, 11)
    kept = [dense_phases(10, start=0.2, end=share)(step, 2, 4) for share in (0, 0.01, 0.3) for step in steps]
    assert kept == [4, 2, 2, 2, 2, 2, 2] * 2 + [4, 2, 2, 4, 4, 4, 4]  # a training without a dense end ends sparse


def test_importance_of_ones_own(device):
    model = sparse(device)
    score = torch.rand(64, 32, device=device)
    refresh(model, importance={"0.weight": score})
    assert torch.equal(mask_of(model), TransposableSparsity(score, 8, 16).mask)
    assert torch.equal(sparsity_of(model[2]).mask, TransposableSparsity(sparsity_of(model[2]).stored(), 8, 16).mask)
    model(torch.randn(4, 32, device=device)).sum().backward()
    refresh(model, importance=lambda name, weight: (weight * weight.grad).square())
    weight = sparsity_of(model[2]).stored().detach()
    score = (weight * sparsity_of(model[2]).stored().grad).square().double()
    best = TransposableSparsity(score.float(), 8, 16).mask
    torch.testing.assert_close((score * sparsity_of(model[2]).mask).sum(), (score * best).sum())
    with pytest.raises(ValueError, match="'?typo"):
        refresh(model, importance={"typo": score})
    with pytest.raises(ValueError, match="shape"):
        refresh(model, importance={"0.weight": score})
    right = torch.rand(64, 32, device=device)
    for wrong in (right[:32], right.to("meta"), right.int(), right > 0, 3.0, right.tolist()):
        for importance in ({"2.weight": score, "0.weight": wrong}, lambda name, weight: wrong):
            before = mask_of(model)
            with pytest.raises(ValueError, match="(?s)importance:.*0.weight"):
                refresh(model, importance=importance)
            assert torch.equal(before, mask_of(model)) and sparsity_of(model[0]).found
    refresh(model, importance={"0.weight": right.double().requires_grad_()})
    assert torch.equal(mask_of(model), TransposableSparsity(right.double(), 8, 16).mask)


def test_a_step_without_refresh_walks_over_nothing():
    model = torch.nn.Sequential(*(torch.nn.Linear(16, 16) for _ in range(500)))
    sparsify(model, 2, 4)
    handle = MaskRefresh(model, None, every=1000)
    handle.step()
    walked, modules = [], torch.nn.Module.named_modules
    torch.nn.Module.named_modules = lambda *a, **k: walked.append(1) or modules(*a, **k)
    try:
        begin = time.perf_counter()
        for _ in range(100):
            handle.step()
        assert (time.perf_counter() - begin) / 100 < 1e-3 and not walked
    finally:
        torch.nn.Module.named_modules = modules


def test_linear24_is_refreshed_and_refuses_an_importance():
    model = torch.nn.Sequential(Linear24(64, 64))
    with torch.no_grad():
        model[0].weight.normal_()
    refresh(model)
    assert torch.equal(model[0].mask, tsenor_torch.compress24(model[0].weight.bfloat16())[2])
    with pytest.raises(ValueError, match="magnitude"):
        refresh(model, importance={"0.weight": torch.ones(64, 64)})


@pytest.mark.parametrize("fullgraph", [True])
def test_compiled_models_train_as_others(fullgraph):
    eager, x = sparse(), torch.randn(16, 32)
    compiled = sparse()
    compiled.load_state_dict(eager.state_dict())
    run = torch.compile(compiled, backend="aot_eager", fullgraph=fullgraph)
    for model, call in ((eager, eager), (compiled, run)):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        handle = MaskRefresh(call, optimizer, every=2)
        for _ in range(5):
            optimizer.zero_grad()
            call(x).square().mean().backward()
            optimizer.step()
        handle.remove()
    assert torch.equal(mask_of(eager), mask_of(compiled))
    torch.testing.assert_close(eager[0].weight, compiled[0].weight)


def test_functional_transforms_see_through_masks():
    model = sparse()
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    x = torch.randn(4, 32)

    def loss(p):
        return torch.func.functional_call(model, p, (x,)).square().mean()

    gradient = torch.func.grad(loss)(parameters)
    model(x).square().mean().backward()
    torch.testing.assert_close(gradient["0.parametrizations.weight.original"], sparsity_of(model[0]).stored().grad)


@pytest.mark.parametrize("moved", [False, True])
def test_masks_made_under_inference_mode_are_found_anew_outside(moved):
    model = two_layers("cpu")
    with torch.inference_mode(not moved):
        sparsify(model, 8, 16)
    if moved:
        model.double()  # the prices go
    with torch.inference_mode():
        refresh(model)
    with torch.no_grad():
        model[0].parametrizations.weight.original.normal_()
    before = mask_of(model)
    refresh(model)
    assert not torch.equal(before, mask_of(model))


def test_an_optimizer_of_another_model_is_told():
    model, other = sparse(), sparse()
    with pytest.warns(UserWarning, match="none of the model's sparse weights"):
        MaskRefresh(model, torch.optim.SGD(other.parameters(), lr=0.1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MaskRefresh(other, torch.optim.SGD(other[0].parameters(), lr=0.1))


def test_an_optimizer_of_some_of_the_weights_is_told():
    model, x = sparse(), torch.randn(4, 32)
    first, last = (torch.optim.SGD(model[k].parameters(), lr=0.1) for k in (0, 2))
    MaskRefresh(model, first)
    model(x).sum().backward()
    with pytest.warns(UserWarning, match="lacks 1 of 2 sparse weights, such as 2.weight"):
        first.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first.step()  # once is enough
        grown = sparse()
        optimizer = torch.optim.SGD([grown[0].bias], lr=0.1)
        MaskRefresh(grown, optimizer)
        optimizer.add_param_group({"params": [sparsity_of(layer).stored() for layer in grown[::2]]})
        grown(x).sum().backward()
        optimizer.step()
        partly = sparse()
        partly[2].requires_grad_(False)
        optimizer = torch.optim.SGD(partly[0].parameters(), lr=0.1)
        MaskRefresh(partly, optimizer)
        partly(x).sum().backward()
        optimizer.step()
