"""The plan of sparsify: what it will do with each weight of a model, patterns by name, and all problems at once."""

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

import torch
from torch._subclasses.fake_tensor import is_fake

from . import sharding
from .masks import check_mask
from .parametrization import check_pattern, found_in
from .targets import Target, misfit, targets


@dataclass
class Entry:
    """A weight that was considered."""

    name: str  # of the parameter
    shape: tuple[int, ...]
    n: Optional[int] = None  # None where it stays dense
    m: Optional[int] = None
    reason: str = ""  # why it stays dense
    kept: Optional[torch.Tensor] = None  # share of the importance that the mask keeps, 0-dim, where it is known
    target: Optional[Target] = None

    @property
    def pattern(self) -> str:
        return f"{self.n}:{self.m}" if self.n else "dense"


class Plan(list[Entry]):
    """One entry for each weight. It prints as a table, in which equal layers of a stack share a line."""

    @property
    def sparse(self) -> list[Entry]:
        return [entry for entry in self if entry.n]

    def __repr__(self):
        groups = {}
        for entry in self:
            key = re.sub(r"\d+", "*", entry.name), entry.shape, entry.pattern, re.sub(r"\d+", "*", entry.reason)
            groups.setdefault(key, []).append(entry)
        rows = [("weight", "count", "shape", "pattern", "kept, or why dense")]
        for (name, shape, pattern, reason), alike in groups.items():
            name = alike[0].name if len(alike) == 1 else name
            reason = alike[0].reason if len({entry.reason for entry in alike}) == 1 else reason
            rows.append((name, str(len(alike)), " x ".join(map(str, shape)), pattern, reason or _range(alike)))
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def _range(entries):
    """The shares kept: '0.691', or '0.688 to 0.694'."""
    kept = [float(e.kept) for e in entries if e.kept is not None and not is_fake(e.kept)]
    bounds = {f"{k:.3f}" for k in (min(kept), max(kept))} if kept else {"not known yet"}
    return " to ".join(sorted(bounds))


def pattern_of(value):
    """(n, m) of '8:16' or a pair, None for None."""
    if value is None:
        return None
    pair = tuple(map(int, value.split(":"))) if isinstance(value, str) and re.fullmatch(r"\d+:\d+", value) else value
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise TypeError(f"a pattern is a pair (N, M) or 'N:M', not {value!r}")
    return check_pattern(*pair)


class Names:
    """Globs and exact names, of parameters or of modules, and which of them have matched."""

    def __init__(self, what, names):
        self.what, self.names, self.matched = what, list(names), set()

    def find(self, target):
        """The first name that fits, or None."""
        fits = [k for k in self.names if any(fnmatch.fnmatchcase(it, k) for it in (target.name, target.module_name))]
        self.matched |= set(fits)
        return fits[0] if fits else None

    def problems(self):
        return [f"{self.what}: no weight or module is called {k!r}" for k in self.names if k not in self.matched]


def patterns_of(given):
    """name -> (n, m) or None; an error that lists all that are none."""
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"tsenor: patterns must be a dictionary, name -> (N, M), not {given!r}")
    found, wrong = {}, {}
    for name, value in (given or {}).items():
        try:
            found[name] = pattern_of(value)
        except (TypeError, ValueError) as error:
            wrong[name] = error
    if wrong:
        kind = TypeError if any(isinstance(error, TypeError) for error in wrong.values()) else ValueError
        raise kind("tsenor: patterns:\n  " + "\n  ".join(f"{name}: {error}" for name, error in wrong.items()))
    return found


def make_plan(model, default, patterns, exclude, select, edge):
    """The plan, and a list of problems."""
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"tsenor: model must be a torch.nn.Module, not a {type(model).__name__}")
    if select is not None and not callable(select):
        raise TypeError(f"tsenor: select must be a function select(name, module), not {select!r}")
    patterns, exclude = patterns_of(patterns), [exclude] if isinstance(exclude, str) else exclude or ()
    named, excluded = Names("patterns", patterns), Names("exclude", exclude)
    plan, problems = Plan(), []
    for target in targets(model):
        if target.obstacle == "no matrix":
            if (name := named.find(target)) == target.name:
                problems.append(f"{target.name}: is not a matrix")
            excluded.find(target)
            continue
        name, out = named.find(target), excluded.find(target)
        meant = name is not None and not re.search(r"[*?\[]", name)
        picked = select is not None and select(target.module_name, target.module)
        pattern = patterns[name] if name is not None else default
        reason = _choose(target, pattern, name, out, select is None or picked, meant or picked)
        entry, problem = _entry(target, pattern, reason, edge)
        if not problem and meant and pattern and not out:
            problem = entry.reason
        problems += [f"{target.name}: {problem}"] if problem else []
        plan.append(entry)
    return plan, problems + named.problems() + excluded.problems()


def _choose(target, pattern, name, out, picked, meant):
    """Why a weight stays dense whatever its shape, or an empty string."""
    if target.obstacle:
        return target.obstacle
    if out:
        return f"excluded by {out!r}"
    if not picked:
        return "not selected"
    if pattern is None:
        return "not named" if name is None else f"dense by {name!r}"
    return "" if meant else target.custom


def _entry(target, pattern, reason, edge):
    """The entry of a weight that stays dense for a reason, or else gets a pattern, if its shape has one; and a
    problem."""
    sparsity = found_in(target.module, target.tensor)
    weight = target.weight if sparsity is None else sparsity.mask
    shape = () if torch.nn.parameter.is_lazy(weight) else tuple(weight.shape)
    entry, problem = Entry(target.name, shape, reason=reason, target=target), ""
    if not reason and sharding.is_sharded(weight):
        problem = "is a DTensor already: call sparsify before fully_shard (tensor parallel layers are not supported)"
    elif not reason and weight.numel() == 0:
        problem = "has no elements: if something has partitioned it, call sparsify before that"
    elif not reason:
        entry.reason = misfit(entry.shape, pattern[1], edge)
    if sparsity is not None and entry.reason:
        entry.reason += f", stays {sparsity.n}:{sparsity.m}"
    elif not entry.reason:
        entry.n, entry.m = pattern
    return entry, problem


def masks_given(plan, mask, problems):
    """name -> the mask to be kept."""
    if mask is None or not plan.sparse:
        return {}
    if not isinstance(mask, (torch.Tensor, Mapping)) and not (isinstance(mask, str) and mask == "zeros"):
        problems.append(f"mask must be 'zeros', a tensor or a dictionary, not {mask!r}")
        return {}
    if isinstance(mask, str):
        mask = {e.name: e.target.weight.detach() != 0 for e in plan.sparse}
    elif isinstance(mask, torch.Tensor):
        if len(plan.sparse) > 1:
            problems.append(f"there is one mask for {len(plan.sparse)} weights: give a dictionary, name -> mask")
            return {}
        mask = {plan.sparse[0].name: mask}
    sparse = {e.name: e for e in plan.sparse}
    problems += [f"mask: {name!r} is not one of the weights to make sparse" for name in mask if name not in sparse]
    known = {name: it for name, it in mask.items() if name in sparse}
    problems += [f"{name}: {why}" for name, it in known.items() if (why := _broken(it, sparse[name]))]
    return known


def _broken(mask, entry):
    """Why a mask cannot be the one of an entry."""
    if not isinstance(mask, torch.Tensor):
        return f"the mask must be a tensor, not {type(mask).__name__}"
    if mask.is_meta:
        return "the mask is on 'meta', where it has no values"
    if tuple(mask.shape) != entry.shape:
        return f"the mask has shape {tuple(mask.shape)}, but the weight {entry.shape}"
    if broken := sum(check_mask(mask, entry.n, entry.m, constraint="at_most", edge="partial")):
        return f"the mask keeps more than {entry.n} in {broken} rows and columns of {entry.m} x {entry.m} tiles"
    return ""
