"""Sparse weights in a model, from the plan to the plain weights: sparsify, refresh, freeze, finalize."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Optional, TypeVar, Union

import torch
from torch.nn.utils import parametrize

from . import sharding
from .forms import soft_values
from .linear24 import Linear24
from .masks import Edge
from .parametrization import TransposableSparsity, check_pattern, found_in, insert
from .plan import Plan, make_plan, masks_given
from .state import FIND, Clock, Masked
from .targets import TYPES


Model = TypeVar("Model", bound=torch.nn.Module)
Select = Callable[[str, torch.nn.Module], Any]
Importance = Union[Callable[[str, torch.Tensor], Optional[torch.Tensor]], Mapping[str, torch.Tensor]]


class SparseLayer(NamedTuple):
    """A sparse weight of a model."""

    name: str  # of the weight: 'layers.0.up.weight'
    module: torch.nn.Module  # that multiplies by it
    tensor: str
    sparsity: Masked

    def stored(self):
        """The dense parameter."""
        return self.sparsity.stored()


def sparse_layers(model):
    """All sparse weights of a model. The one place that knows; it walks over all modules."""
    found = []
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        if isinstance(module, Linear24):
            found.append(SparseLayer(f"{prefix}weight", module, "weight", module))
        elif parametrize.is_parametrized(module):
            for tensor, stages in module.parametrizations.items():
                if sparsity := found_in(module, tensor):
                    sparsity.attach(stages) if sparsity.owner is None else None
                    found.append(SparseLayer(prefix + tensor, module, tensor, sparsity))
    return found


def one_clock(layers):
    """The clock of a model's layers, which they share from here on."""
    clocks = {id(layer.sparsity.clock): layer.sparsity.clock for layer in layers}.values()
    clock = max(clocks, key=lambda c: c.steps, default=Clock())
    for layer in layers:
        layer.sparsity.clock = clock
    return clock


def sparsify(
    model: torch.nn.Module, n: Optional[int] = None, m: Optional[int] = None, *,
    patterns: Optional[Mapping[str, Any]] = None, exclude: Union[str, Iterable[str], None] = (),
    select: Optional[Select] = None, mask: Union[torch.Tensor, Mapping[str, torch.Tensor], str, None] = None,
    dry_run: bool = False, edge: Edge = "reject", **arguments: Any,
) -> Plan:
    """Makes weights of ``model`` transposable n:m sparse, in place. Returns the plan, which prints as a table.

    >>> plan = tsenor_torch.sparsify(model, 8, 16)

    By default it takes the weights that :func:`tsenor_torch.targets.targets` yields without a reason: linear layers,
    Conv1D, attention projections and expert batches; not embeddings, output heads, routers and tied weights. Weights
    whose sides are no multiple of m stay dense, and the plan says so. Weights that are sparse already get the new
    pattern and arguments.

    Arguments:
        n, m: the pattern for all weights that ``patterns`` does not name. Without it, only named weights become sparse.
        patterns: pattern by name, ``{"*.mlp.*": (8, 16), "lm_head": "2:4", "*.k_proj": None}``. Names are those of
            parameters or of modules, with ``*``, ``?`` and ``[..]``; the first that matches counts. None means dense. A
            name without wildcards overrules the default: its weight is pruned even if it would stay dense, and it is an
            error if it cannot be pruned.
        exclude: names of weights or modules that stay dense.
        select: ``select(name, module)`` picks modules, also those that would stay dense by default.
        mask: masks that stay from now on, as after :func:`freeze`: ``{name: tensor}``; one tensor, if only one weight
            becomes sparse; or 'zeros', the zeros that the weights have.
        dry_run: only return the plan; the masks found for it are discarded.
        edge, arguments: those of :class:`TransposableSparsity`: gradient, method, constraint.

    Raises a ValueError that lists everything wrong: a name that matches nothing, a weight named without wildcards that
    cannot be pruned, a mask that breaks its pattern, or no weight to make sparse. The model then stays as it was.
    """
    default = _default(n, m, patterns)
    plan, problems = make_plan(model, default, patterns, exclude, select, edge)
    if not plan.sparse and not problems:
        none = "no weight was selected" + (":" if plan else ": the model has no matrices")
        problems = [none, *(f"  {e.name}: {e.reason}" for e in plan)]
    masks = masks_given(plan, mask, problems)
    _raise(problems)
    made = [_make(entry, masks.get(entry.name), {"edge": edge, **arguments}, problems) for entry in plan.sparse]
    _raise(problems)
    if not dry_run:
        for entry, sparsity in zip(plan.sparse, made):
            insert(entry.target.module, entry.target.tensor, sparsity)
            accept_dense_states(entry.target.module)
        one_clock(sparse_layers(model)).changes += 1
    for entry in plan:
        entry.target = None  # plans are kept, models may go
    return plan


def _default(n, m, patterns):
    if (n is None) != (m is None) or (n is None and not patterns):
        raise TypeError("sparsify(model, n, m) or sparsify(model, patterns={...}): no pattern was given")
    if n is None:
        return None
    return check_pattern(n, m)


def _raise(problems):
    if problems:
        raise ValueError("tsenor: nothing was changed:\n  " + "\n  ".join(problems))


@torch.no_grad()
def _make(entry, mask, arguments, problems):
    """The sparsity of an entry, of what reaches it now, with the share that it keeps."""
    old = found_in(entry.target.module, entry.target.tensor)
    weight = old.arriving() if old else entry.target.weight
    try:
        sparsity = TransposableSparsity(weight, entry.n, entry.m, mask=mask, **arguments)
    except (ValueError, RuntimeError) as error:
        problems.append(f"{entry.name}: {error}")
        return None
    if sparsity.found and not sharding.is_sharded(weight):
        size = weight.abs().double()
        lost = torch.where(sparsity.mask, 0, size).sum()
        entry.kept = 1 - lost / size.sum().clamp(min=torch.finfo(torch.double).tiny)  # of zeros alone nothing is lost
    if old:
        sparsity.clock = old.clock
    return sparsity


def refresh(model: torch.nn.Module, importance: Optional[Importance] = None) -> None:
    """Finds new masks for all sparse weights of a model, except frozen ones.

    ``importance`` replaces the weights' magnitudes. It is a function ``importance(name, parameter)`` that returns a
    tensor of the weight's shape or None, or a dictionary name -> tensor. Negative importances count as 0. If the model
    is sharded, all ranks have to call this. Raises ValueError, with the weight's name, for an importance of another
    shape, device or kind; a dictionary is checked before any mask changes.
    """
    layers = _some_layers(model)
    raise_refusals(model, layers)
    refresh_layers(layers, importance)


def _some_layers(model):
    layers = sparse_layers(model)
    if not layers:
        raise ValueError("tsenor: the model has no sparse weights: call sparsify(model, n, m) first")
    return layers


def raise_refusals(model, layers):
    if found := sharding.refusals(model, layers):
        raise ValueError("tsenor: new masks cannot be found:\n  " + "\n  ".join(found))


def refresh_layers(layers, importance=None):
    """``importance`` is a function, a dictionary, or None."""
    given = checked(importance, layers)
    for layer in layers:
        scores = given(layer.name, layer.stored())
        if problem := _misfit(scores, layer):
            raise ValueError(f"tsenor: importance: {problem}")
        layer.sparsity.refresh(importance=scores)


def checked(importance, layers):
    """The importance as a function of name and parameter; an error that names everything wrong with it."""
    if importance is None or callable(importance):
        return importance or (lambda *_: None)
    if not isinstance(importance, Mapping):
        raise TypeError(f"tsenor: importance must be a function or a dictionary, not {importance!r}")
    known = {layer.name: layer for layer in layers}
    problems = [f"{name} is not a sparse weight" for name in importance if name not in known]
    problems += [why for name, it in importance.items() if name in known and (why := _misfit(it, known[name]))]
    if problems:
        raise ValueError("tsenor: importance:\n  " + "\n  ".join(problems))
    return lambda name, _: importance.get(name)


def _misfit(scores, layer):
    """Why a tensor cannot be the importance of a layer's weights; empty where it can."""
    name, mask = layer.name, layer.sparsity.mask
    if scores is None:
        return ""
    if not isinstance(scores, torch.Tensor):
        return f"{name} is a {type(scores).__name__}, not a tensor"
    if scores.shape != mask.shape:
        return f"{name} has shape {tuple(scores.shape)}, but the weight {tuple(mask.shape)}"
    if scores.dtype not in TYPES:
        return f"{name} is of type {scores.dtype}: make it floating point of 16 bits or more"
    device = layer.stored().device
    return "" if scores.device == device else f"{name} is on {scores.device}, but the weight on {device}"


def freeze(model: torch.nn.Module, frozen: bool = True) -> None:
    """Keeps all masks, also in checkpoints, until ``freeze(model, False)``. ValueError if there are none."""
    for layer in _some_layers(model):
        layer.sparsity.frozen = frozen


def finalize(model: Model) -> Model:
    """Makes every sparse weight a plain, pruned parameter: without parametrization or mask, with zeros in the weights.

    The parameters stay the same tensors. Ties and other parameters stay as they are. A sharded model cannot be
    finalized in place: see :func:`plain_state_dict`.
    """
    layers = sparse_layers(model)
    if sharded := [layer.name for layer in layers if sharding.is_sharded(layer.stored())]:
        raise ValueError(f"tsenor: {sharded[0]} is sharded: load plain_state_dict(whole state_dict) into a plain model")
    _raise_if_unfound(layers)
    if any(layer.module is model for layer in layers if isinstance(layer.module, Linear24)):
        raise ValueError("tsenor: the model itself is a Linear24 and cannot be replaced in place: use its plain()")
    if layers:
        one_clock(layers).changes += 1
    for layer in layers:
        if isinstance(layer.module, Linear24):
            model.set_submodule(layer.name.rpartition(".")[0], layer.module.plain())
        else:
            parametrize.remove_parametrizations(layer.module, layer.tensor, leave_parametrized=True)
            accept_dense_states(layer.module, parametrize.is_parametrized(layer.module))
            parameters = layer.module._parameters
            parameters.update({name: parameters.pop(name) for name in layer.sparsity.order if name in parameters})
    return model


def _raise_if_unfound(layers):
    if unfound := [layer.name for layer in layers if not layer.sparsity.found]:
        raise ValueError(f"tsenor: call refresh(model) first, these weights have no mask yet: {', '.join(unfound)}")


KEY = re.compile(r"(?P<module>.*?)parametrizations\.(?P<tensor>\w+)\.(?P<stage>\d+)\.$")


def plain_state_dict(state: Mapping[str, Any]) -> dict[str, Any]:
    """Turns the state_dict of a sparse model into the one that ``finalize`` would give: plain names, pruned weights, no
    masks.

    The function changes nothing in ``state``, and does not copy tensors that are not pruned. It also takes the
    state_dict of a sharded model; then all ranks have to call it.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"tsenor: plain_state_dict takes model.state_dict(), not a {type(state).__name__}")
    plain = dict(state)
    for key in [k for k in state if k.endswith("mask") and k[: -len("mask")] + "pattern" in state]:
        base = key[: -len("mask")]
        match = KEY.match(base)
        stored = f"{match['module']}parametrizations.{match['tensor']}.original" if match else f"{base}weight"
        if match and (match["stage"] != "0" or stored not in state):
            raise ValueError(f"tsenor: {base[:-1]} has other parametrizations before it: finalize the model instead")
        del plain[stored], plain[key], plain[base + "pattern"]
        plain.pop(base + "scale", None)
        plain[match["module"] + match["tensor"] if match else stored] = _pruned(state, base, state[stored])
    return type(state)(plain)


def _pruned(state, base, weight):
    """The pruned weight that a sparse layer's part of a state_dict describes."""
    scale, (_, m, now, *_) = state.get(base + "scale"), sharding.local(state[base + "pattern"]).tolist()
    if scale is not None and now != m:
        whole = weight.full_tensor() if sharding.is_sharded(weight) else weight
        weight = sharding.placed(soft_values(whole, scale), weight)
    return torch.where(state[base + "mask"], weight, 0)


def accept_dense_states(module, accept=True):
    """Makes a module load weights under the plain name too, and find their masks; or ends that."""
    handle = module.__dict__.pop("_tsenor_dense_states", None)
    if handle is not None:
        handle.remove()
    if accept and any(found_in(module, tensor) for tensor in module.parametrizations):
        module.__dict__["_tsenor_dense_states"] = module.register_load_state_dict_pre_hook(_rename_dense)


def _rename_dense(module, state_dict, prefix, *_):
    stages_of = module.parametrizations if parametrize.is_parametrized(module) else {}  # others may have removed them
    for tensor, stages in stages_of.items():
        stored, sparsity = f"{prefix}parametrizations.{tensor}.original", found_in(module, tensor)
        if sparsity is not None and prefix + tensor in state_dict and stored not in state_dict and len(stages) == 1:
            state_dict[stored] = state_dict.pop(prefix + tensor)
            state_dict[f"{prefix}parametrizations.{tensor}.0.mask"] = FIND
