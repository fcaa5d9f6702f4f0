"""The adapter for those who know torch.ao.pruning."""

import pytest
import torch
from models import sparsity_of, train, two_layers
from oracle import counts_of

from tsenor_torch import TransposableSparsifier, TransposableSparsity


def test_prepare_step_squash():
    model, sparsifier = two_layers(), TransposableSparsifier(8, 16, gradient="masked")
    sparsifier.prepare(model, config=[{"tensor_fqn": "0.weight"}, {"module_fqn": "2", "n": 2, "m": 4}])
    train(model, torch.optim.Adam(model.parameters(), lr=0.1), 2)
    sparsifier.step()
    assert torch.equal(sparsity_of(model[0]).mask, TransposableSparsity(sparsity_of(model[0]).stored(), 8, 16).mask)
    sparsifier.squash_mask()
    assert [type(layer) for layer in model[::2]] == [torch.nn.Linear] * 2
    assert (counts_of(model[0].weight != 0, 16) == 8).all() and (counts_of(model[2].weight != 0, 4) == 2).all()


def test_everything_by_default():
    model, sparsifier = two_layers(), TransposableSparsifier(8, 16)
    assert len(sparsifier.prepare(model).sparse) == 2


@pytest.mark.parametrize(
    "config", [[{"tensor_fqn": "1.weight"}], [{"fqn": "0.weight"}], [{"tensor_fqn": "0.weight", "k": 1}], []]
)
def test_wrong_entries_are_errors(config):
    sparsifier = TransposableSparsifier(8, 16)
    with pytest.raises((ValueError, TypeError)):
        sparsifier.prepare(two_layers(), config)
    with pytest.raises(RuntimeError, match="prepare"):
        sparsifier.step()


def test_wrong_arguments_are_refused_at_once():
    with pytest.raises(ValueError, match="17:16"):
        TransposableSparsifier(17, 16)
    sparsifier = TransposableSparsifier(8, 16)
    for config in ({"tensor_fqn": "0.weight"}, "0.weight", ["0.weight"], 3):
        with pytest.raises(TypeError, match="list of dictionaries"):
            sparsifier.prepare(torch.nn.Sequential(torch.nn.Linear(32, 32)), config=config)
