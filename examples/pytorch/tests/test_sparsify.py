"""The plan, and what sparsify makes of it: all or nothing."""

import pytest
import torch
from models import gpt2, gpt_oss, llama, mixtral, sparsity_of, two_layers, vit
from oracle import counts_of
from torch.nn.utils import parametrize

import tsenor_torch
from tsenor_torch import TransposableSparsity, sparsify


def sparse(plan):
    return {entry.name for entry in plan.sparse}


def dense(plan):
    return {entry.name: entry.reason for entry in plan if not entry.n}


def layers_of(model):
    return {name for name, module in model.named_modules() if parametrize.is_parametrized(module)}


def test_weights_obey_the_pattern(device):
    model = two_layers(device)
    sparsify(model, 8, 16)
    for layer in model[::2]:
        assert (counts_of(layer.weight != 0, 16) == 8).all()


@pytest.mark.parametrize("make, pruned", [(llama, 7), (gpt2, 4), (mixtral, 6), (vit, 6), (gpt_oss, 6)])
def test_real_models(make, pruned):
    model = make()
    plan = sparsify(model, 8, 16)
    assert len(plan.sparse) == pruned
    for entry in plan.sparse:
        module, _, tensor = entry.name.rpartition(".")
        weight = getattr(model.get_submodule(module), tensor)
        assert (counts_of(weight != 0, 16) == 8).all() and 0.6 < entry.kept < 0.8
    assert not any("head" in name or "embed" in name or "gate.weight" in name for name in sparse(plan))
    if make is not vit:
        ids = torch.arange(32).reshape(2, 16)
        model(input_ids=ids, labels=ids).loss.backward()


def test_every_weight_is_in_the_plan_with_its_reason():
    plan = sparsify(llama(tie_word_embeddings=True, num_hidden_layers=2), 8, 16)
    assert len(plan.sparse) == 14
    assert dense(plan) == {
        "model.embed_tokens.weight": "tied to lm_head.weight", "lm_head.weight": "tied to model.embed_tokens.weight"
    }
    lines = repr(plan).splitlines()
    assert len(lines) == 1 + 7 + 2 and any(
        line.split()[:6] == ["model.layers.*.mlp.up_proj.weight", "2", "64", "x", "32", "8:16"] for line in lines
    )


def test_of_zeros_nothing_is_lost():
    model = torch.nn.Sequential(torch.nn.Linear(16, 16))
    torch.nn.init.zeros_(model[0].weight)
    assert float(sparsify(model, 8, 16)[0].kept) == 1


def test_a_dry_run_changes_nothing():
    model = two_layers()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plan = sparsify(model, 8, 16, dry_run=True)
    assert sparse(plan) == {"0.weight", "2.weight"} and all(entry.kept is not None for entry in plan.sparse)
    assert not layers_of(model) and all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_patterns_by_name():
    model = llama()
    plan = sparsify(model, patterns={"*.mlp.down_proj": None, "*.mlp.*": (4, 8), "lm_head": "2:4"})
    patterns = {entry.name.split(".")[-2]: entry.pattern for entry in plan}
    assert patterns["gate_proj"] == patterns["up_proj"] == "4:8" and patterns["lm_head"] == "2:4"
    assert patterns["down_proj"] == patterns["q_proj"] == patterns["embed_tokens"] == "dense"
    assert (counts_of(model.lm_head.weight != 0, 4) == 2).all()
    plan = sparsify(llama(), 8, 16, patterns={"*.q_proj.weight": (2, 4)}, exclude=["*.k_proj"])
    assert {e.pattern for e in plan if "q_proj" in e.name} == {"2:4"} and len(plan.sparse) == 6
    assert dense(plan)["model.layers.0.self_attn.k_proj.weight"] == "excluded by '*.k_proj'"


def test_parameters_can_be_named():
    layer = torch.nn.TransformerEncoderLayer(32, 2, 64, batch_first=True)
    sparsify(layer, patterns={"self_attn.in_proj_weight": (8, 16)})
    assert (counts_of(layer.self_attn.in_proj_weight != 0, 16) == 8).all()
    layer(torch.randn(2, 5, 32)).sum().backward()
    assert sparsity_of(layer.self_attn, "in_proj_weight").stored().grad is not None
    layer = torch.nn.TransformerEncoderLayer(32, 2, 64, batch_first=True)
    plan = sparsify(layer, 8, 16, select=lambda name, module: isinstance(module, torch.nn.MultiheadAttention))
    assert sparse(plan) == {"self_attn.in_proj_weight"}
    layer.eval()(torch.randn(2, 5, 32))


@pytest.mark.parametrize(
    "arguments, says",
    [
        ({"select": lambda module, name: isinstance(module, torch.nn.Linear)}, "no weight was selected"),
        ({"select": lambda name, module: False}, "no weight was selected"),
        ({"exclude": "*"}, "no weight was selected"),
        ({"exclude": ["*.nothing"]}, "'\\*.nothing'"),
        ({"patterns": {"*.typo.*": (2, 4)}}, "'\\*.typo.\\*'"),
        ({"patterns": {"0.bias": (2, 4)}}, "0.bias: is not a matrix"),
        ({"patterns": {"0": (5, 24)}}, "0.weight: 64 x 32 is not made of whole 24 x 24 tiles"),
        ({"mask": "ones"}, "'ones'"),
        ({"mask": torch.ones(64, 32)}, "one mask for 2 weights"),
        ({"mask": {"0.weight": torch.ones(64, 32)}}, "0.weight: the mask keeps more than 8 in 256 rows and columns"),
        ({"mask": {"0.weight": torch.ones(32, 64)}}, "shape"),
        ({"mask": {"weight": torch.ones(32, 64)}}, "'weight' is not one of the weights"),
        ({"mask": "zeros"}, "2.weight: the mask keeps more"),
        ({"mask": [torch.ones(64, 32)]}, "mask must be 'zeros'"),
        ({"mask": {"0.weight": [1], "2.weight": torch.ones(32, 64, device="meta")}}, "(?s)0.w.*list.*2.w.*'meta'"),
        ({"gradient": "none"}, "gradient"),
        ({"method": "best"}, "best"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_changed(arguments, says):
    model = two_layers()
    with pytest.raises(ValueError, match=says):
        sparsify(model, 8, 16, **arguments)
    assert not layers_of(model)


def test_all_problems_come_in_one_error():
    model = two_layers()
    with pytest.raises(ValueError) as error:
        sparsify(model, patterns={"0": (12, 24), "2": (12, 24), "3": (8, 16)}, exclude=["4"])
    assert all(f"{k}" in str(error.value) for k in ("0.weight", "2.weight", "'3'", "'4'")) and not layers_of(model)
    with pytest.raises(ValueError, match=r"(?s)patterns:.*0: unsupported pattern 17:16.*\*: unsupported pattern 8:65"):
        sparsify(model, patterns={"0": (17, 16), "2": (8, 16), "*": (8, 65)})
    with pytest.raises(TypeError, match=r"(?s)0: unsupported pattern 17:16.*2: a pattern is a pair"):
        sparsify(model, patterns={"0": (17, 16), "2": 8})


@pytest.mark.parametrize("n, m", [(0, 4), (5, 4), (8, 65), (1, 1), (2.0, 4), (True, 4), (None, 4)])
def test_patterns_that_are_none(n, m):
    with pytest.raises((ValueError, TypeError)):
        sparsify(two_layers(), n, m)
    with pytest.raises((ValueError, TypeError)):
        sparsify(two_layers(), patterns={"0": (n, m)})


def test_misspelt_arguments_are_errors():
    with pytest.raises(TypeError):
        sparsify(two_layers(), 8, 16, gradients="masked")
    with pytest.raises(TypeError):
        sparsify(two_layers())
    with pytest.raises(TypeError):
        sparsify(two_layers(), patterns={"0": "8/16"})


@pytest.mark.parametrize(
    "model, arguments, says",
    [
        (torch.randn(64, 64), {}, "model must be a torch.nn.Module, not a Tensor"),
        (two_layers(), {"patterns": ["0.weight"]}, "patterns must be a dictionary"),
        (two_layers(), {"patterns": "0.weight"}, "patterns must be a dictionary"),
        (two_layers(), {"select": ["0"]}, "select must be a function"),
        (torch.nn.ReLU(), {}, "no weight was selected: the model has no matrices"),
    ],
)
def test_arguments_of_another_kind_are_named(model, arguments, says):
    with pytest.raises((TypeError, ValueError), match=says):
        sparsify(model, 8, 16, **arguments)


def test_integers_of_numpy_are_integers():
    numpy = pytest.importorskip("numpy")
    model = two_layers()
    sparsify(model, numpy.int64(8), numpy.int32(16), patterns={"2": tuple(numpy.array([4, 8]))}, exclude=None)
    patterns = [sparsity_of(layer).extra_repr() for layer in model[::2]]
    assert patterns == ["8:16, gradient=straight_through", "4:8, gradient=straight_through"]
    assert type(sparsity_of(model[0]).n) is int


def test_a_plan_prints_what_it_knows_of_fake_weights():
    with torch._subclasses.FakeTensorMode():
        plan = str(sparsify(two_layers(), 8, 16))
    assert plan.count("not known yet") == 2


def test_shapes_without_tiles_stay_dense_and_are_named():
    model = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.Linear(64, 10))
    plan = sparsify(model, 8, 16)
    assert dense(plan) == {"1.weight": "10 x 64 is not made of whole 16 x 16 tiles"}
    assert sparse(sparsify(model, 8, 16, edge="partial")) == {"0.weight", "1.weight"}


def test_a_second_pattern_takes_the_place_of_the_first():
    model = two_layers()
    sparsify(model, 12, 16)
    plan = sparsify(model, 8, 16, patterns={"2": None})
    assert dense(plan) == {"2.weight": "dense by '2', stays 12:16"}
    assert (counts_of(model[0].weight != 0, 16) == 8).all() and (counts_of(model[2].weight != 0, 16) == 12).all()
    assert len(model[0].parametrizations.weight) == 1
    sparsify(model, 2, 4, gradient="masked")
    assert (counts_of(model[0].weight != 0, 4) == 2).all() and sparsity_of(model[2]).gradient == "masked"


@pytest.mark.parametrize("gradient", ["straight_through", "masked"])
def test_gradients_reach_what_they_should(device, gradient):
    model = two_layers(device)
    sparsify(model, 8, 16, gradient=gradient)
    mask = sparsity_of(model[0]).mask
    model(torch.randn(8, 32, device=device)).square().sum().backward()
    gradient_of_dense = model[0].parametrizations.weight.original.grad
    assert (gradient_of_dense[mask] != 0).float().mean() > 0.9
    assert bool((gradient_of_dense[~mask] != 0).any()) == (gradient == "straight_through")


def test_a_mask_that_exists_is_kept():
    model = two_layers()
    sparsify(model, 8, 16)
    tsenor_torch.finalize(model)
    zeros = {name: model.get_parameter(name) != 0 for name in ("0.weight", "2.weight")}
    plan = sparsify(model, 8, 16, mask="zeros")
    assert all(float(entry.kept) == 1 for entry in plan.sparse)
    with torch.no_grad():
        sparsity_of(model[0]).stored().uniform_(-1, 1)
    tsenor_torch.refresh(model)
    assert torch.equal(sparsity_of(model[0]).mask, zeros["0.weight"]) and sparsity_of(model[0]).frozen
    other = two_layers()
    sparsify(other, 8, 16, mask=zeros)
    assert torch.equal(other[2].weight != 0, zeros["2.weight"])
    lone = torch.nn.Sequential(torch.nn.Linear(32, 64))
    sparsify(lone, 8, 16, mask=zeros["0.weight"])
    assert torch.equal(lone[0].weight != 0, zeros["0.weight"])


class Doubled(torch.nn.Module):
    """A parametrization that changes what is large."""

    def __init__(self, shape):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.rand(shape) ** 4)

    def forward(self, weight):
        return weight * self.factor


def test_masks_are_those_of_what_reaches_the_parametrization():
    model = two_layers()
    parametrize.register_parametrization(model[0], "weight", Doubled((64, 32)))
    sparsify(model, 8, 16)
    sparsity = sparsity_of(model[0])
    for _ in range(2):
        reaches = model[0].parametrizations.weight.original * model[0].parametrizations.weight[0].factor
        best = TransposableSparsity(reaches, 8, 16).mask
        assert torch.equal(sparsity.mask, best) and torch.equal(model[0].weight, torch.where(best, reaches, 0))
        with torch.no_grad():
            model[0].parametrizations.weight[0].factor.uniform_()
        tsenor_torch.refresh(model)
    parametrize.register_parametrization(model[2], "weight", Doubled((32, 64)))  # after ours
    tsenor_torch.refresh(model)
    expected = model(torch.ones(1, 32))
    tsenor_torch.finalize(model)
    assert torch.allclose(model(torch.ones(1, 32)), expected) and not layers_of(model)


def test_parametrizations_of_several_parameters_may_come_before():
    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(32, 32))
    reaches = layer.weight.detach().clone()
    sparsify(torch.nn.Sequential(layer), 8, 16)
    assert torch.equal(layer.weight, torch.where(TransposableSparsity(reaches, 8, 16).mask, reaches, 0))
    model = torch.nn.Sequential(layer)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    tsenor_torch.MaskRefresh(model, optimizer)
    model(torch.randn(4, 32)).square().sum().backward()
    optimizer.step()
    reaches = layer.parametrizations.weight[0](*layer.parametrizations.weight.parameters(recurse=False)).detach()
    assert torch.equal(sparsity_of(layer).mask, TransposableSparsity(reaches, 8, 16).mask)
    tsenor_torch.finalize(model)
    assert (counts_of(layer.weight != 0, 16) == 8).all()


def test_refuses_what_makes_no_sense():
    with pytest.raises(ValueError, match="straight_through"):
        TransposableSparsity(torch.randn(16, 16), 2, 4, gradient="none")
    with pytest.raises(RuntimeError, match="refresh"):
        TransposableSparsity(torch.randn(16, 16), 2, 4).refresh()


def test_lazy_layers_stay_dense_and_say_so():
    model = torch.nn.Sequential(torch.nn.LazyLinear(64), torch.nn.Linear(64, 32))
    plan = sparsify(model, 8, 16)
    assert [entry.name for entry in plan.sparse] == ["1.weight"] and "of no shape yet" in str(plan)
    with pytest.raises(ValueError, match="0.weight: of no shape yet"):
        sparsify(model, patterns={"0.weight": (8, 16)})
