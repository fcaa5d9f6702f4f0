import pytest
import torch
from oracle import counts_of
from torch.nn.utils import parametrize

from tsenor_torch import MaskRefresh, TransposableSparsity, sparsify


def sparsity_of(module):
    return module.parametrizations.weight[0]


def model_on(device, **arguments):
    model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 32)).to(device)
    return sparsify(model, 8, 16, **arguments)


def test_weights_obey_the_pattern(device):
    for layer in model_on(device)[::2]:
        assert (counts_of(layer.weight != 0, 16) == 8).all()


@pytest.mark.parametrize("gradient", ["straight_through", "masked"])
def test_gradients_reach_what_they_should(device, gradient):
    layer = model_on(device, gradient=gradient)[0]
    mask = sparsity_of(layer).mask
    layer(torch.randn(8, 32, device=device)).square().sum().backward()
    gradient_of_dense = layer.parametrizations.weight.original.grad
    assert (gradient_of_dense[mask] != 0).float().mean() > 0.9
    assert bool((gradient_of_dense[~mask] != 0).any()) == (gradient == "straight_through")


@pytest.mark.parametrize("every", [1, 3])
def test_masks_follow_the_weights_every_so_many_steps(device, every):
    model = model_on(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)  # large steps, which change masks
    refresh = MaskRefresh(model, optimizer, every=every)
    before = sparsity_of(model[0]).mask.clone()
    for step in range(1, 2 * every + 1):
        optimizer.zero_grad()
        model(torch.randn(64, 32, device=device)).square().sum().backward()
        optimizer.step()
        changed = not torch.equal(before, sparsity_of(model[0]).mask)
        assert changed == (step >= every)
        if step % every == 0:
            fresh = TransposableSparsity(model[0].parametrizations.weight.original, 8, 16).mask
            weight = model[0].parametrizations.weight.original.abs().double()
            torch.testing.assert_close((weight * sparsity_of(model[0]).mask).sum(), (weight * fresh).sum())
    assert refresh.state_dict() == {"steps": 2 * every}
    refresh.remove()
    optimizer.step()
    assert refresh.steps == 2 * every


def test_state_survives_a_round_trip(device, tmp_path):
    model, x = model_on(device), torch.randn(4, 32, device=device)
    torch.save(model.state_dict(), tmp_path / "state.pt")
    other = model_on(device)
    assert not torch.equal(other(x), model(x))
    other.load_state_dict(torch.load(tmp_path / "state.pt"))
    assert torch.equal(other(x), model(x))
    assert torch.equal(sparsity_of(other[0]).mask, sparsity_of(model[0]).mask)
    sparsity_of(other[0]).refresh(other[0].parametrizations.weight.original)
    assert torch.equal(sparsity_of(other[0]).mask, sparsity_of(model[0]).mask)


def test_parametrization_can_be_made_permanent(device):
    model, x = model_on(device), torch.randn(4, 32, device=device)
    expected = model(x)
    parametrize.remove_parametrizations(model[0], "weight")
    assert torch.equal(model(x), expected) and (counts_of(model[0].weight != 0, 16) == 8).all()


def test_refuses_what_makes_no_sense():
    with pytest.raises(ValueError, match="straight_through"):
        TransposableSparsity(torch.randn(16, 16), 2, 4, gradient="none")
    with pytest.raises(ValueError, match="every"):
        MaskRefresh(torch.nn.Linear(4, 4), torch.optim.SGD([torch.nn.Parameter(torch.ones(1))]), every=0)


def test_trains(device):
    model = model_on(device)
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
