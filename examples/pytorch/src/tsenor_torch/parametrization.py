"""Transposable masks as a parametrization of a weight."""

import torch
from torch.nn.utils import parametrize

from . import sharding
from .masks import keep, require_integers, tile_count
from .state import Masked, empty

GRADIENTS = ("straight_through", "masked")


def check_pattern(n, m):
    """(n, m) as Python's integers; ValueError or TypeError if n:m is not a pattern."""
    require_integers(n, m)
    if not (2 <= m <= 64 and 1 <= n <= m):
        raise ValueError(f"unsupported pattern {n}:{m}: M must be 2 to 64, and N must be 1 to M")
    return int(n), int(m)


class TransposableSparsity(Masked):
    """Keeps n of m weights in the rows and columns of each tile; for ``torch.nn.utils.parametrize``.

    :func:`sparsify` makes these. The dense weight stays the parameter, under ``parametrizations.weight.original``. The
    mask is part of the state_dict (see :class:`Masked`). It changes when :meth:`refresh` is called, for example by
    :class:`MaskRefresh`. The prices for warm starts are not part of the state_dict, so the first refresh after loading
    is a cold one.

    Arguments:
        weight: the tensor that will be parametrized. It gives shape, type and device. Its mask is found at once, unless
            it is on 'meta'.
        n, m: the pattern, 1 <= n <= m, 2 <= m <= 64.
        gradient: 'straight_through' (all weights learn, so pruned ones may return) or 'masked' (only kept ones learn).
        mask: a mask of the weight's shape that stays from now on, instead of the best one.
        method, constraint, edge: as in ``find_mask``.
    """

    def __init__(
        self, weight, n, m, *, gradient="straight_through", mask=None, method="optimal", constraint="exactly",
        edge="reject"
    ):
        n, m = check_pattern(n, m)
        if gradient not in GRADIENTS:
            raise ValueError(f"gradient must be 'straight_through' or 'masked', not {gradient!r}")
        super().__init__(weight.shape, n, m, weight.device)
        self.gradient = gradient
        self.options = {"method": method, "constraint": constraint, "edge": edge}
        self.prices, self.warm, self.owner = None, False, None
        if mask is None:
            self._find(weight.detach())
        else:
            self.mask.copy_(mask)
            self.found = self.frozen = True

    def attach(self, owner):
        """Stores the ``ParametrizationList`` that holds this module, in a tuple, so that it does not become a child."""
        self.owner = (owner,)
        if self.found and not self.mask.is_meta:
            self._note()

    def stored(self):
        """The parameter behind the weight, the first of several. None before :meth:`attach`."""
        return next(self.owner[0].parameters(recurse=False), None) if self.owner else None

    def arriving(self):
        """The input of this parametrization: the parameter, or the output of the parametrizations before this one."""
        *before, _ = self._until_this()
        originals = list(self.owner[0].parameters(recurse=False))
        if not before:
            return originals[0].detach()
        value = before[0](*(o.full_tensor() if sharding.is_sharded(o) else o for o in originals))
        for stage in before[1:]:
            value = stage(value)
        return value.detach()

    @property
    def first(self):
        """Whether no other parametrization comes before."""
        return len(self._until_this()) == 1

    def _until_this(self):
        if not self.owner:
            raise RuntimeError("tsenor: refresh() needs a weight, because sparsify did not make this parametrization")
        stages = list(self.owner[0])
        return stages[: stages.index(self) + 1]

    @torch.no_grad()
    def refresh(self, weight=None, importance=None):
        """Finds a new mask of ``weight``, in place, on the current stream. By default the weight is the input of this
        parametrization. ``importance``, of the weight's shape, replaces the magnitudes. Frozen masks stay."""
        if self.frozen:
            return
        weight = self.arriving() if weight is None else weight.detach()
        if importance is not None and importance.shape != weight.shape:
            raise ValueError(f"tsenor: importance has shape {(*importance.shape,)}, but the weight {(*weight.shape,)}")
        self._find(weight if importance is None else sharding.placed(importance.detach(), weight).relu())
        if not weight.is_meta:
            self._note()

    def _find(self, weight):
        """Finds the mask by the magnitudes of ``weight``. If it is sharded, all ranks have to call this."""
        if why := sharding.problem(weight, self.m):
            raise ValueError(f"tsenor: {why}")
        self.found = not weight.is_meta
        if weight.is_meta:
            return
        part = sharding.local(weight)
        sharded = part is not weight
        if self.mask.device != part.device:
            self.mask = empty(self.mask.shape, part.device, torch.bool)
        mask = torch.empty(part.shape, dtype=torch.bool, device=part.device) if sharded else self.mask
        self._make_room_for_prices(part)
        torch.ops.tsenor.find_mask_(mask, part, self.now, self.m, prices=self.prices, warm=self.warm, **self.options)
        self.warm = self.prices is not None
        if sharded:
            self.mask.copy_(sharding.whole(mask, weight))

    def _make_room_for_prices(self, part):
        """Only optimal masks have prices, and 4x4 tiles do not read any."""
        if self.m == 4 or self.options["method"] != "optimal":
            return
        shape = (tile_count(part, self.m), 2, self.m)
        if self.prices is None or self.prices.shape != shape or self.prices.device != part.device:
            self.prices, self.warm = empty(shape, part.device, torch.float32), False

    def forward(self, weight):
        self._usable(weight)
        return keep(weight, self.mask, self.gradient)

    def right_inverse(self, weight):
        return weight

    def _take(self, mask, pattern):
        super()._take(mask, pattern)
        self.warm = False

    def _apply(self, fn, recurse=True):
        self.prices, self.warm = None, False
        return super()._apply(fn, recurse)

    def extra_repr(self):
        return f"{self.n}:{self.m}, gradient={self.gradient}"


def insert(module, tensor, sparsity):
    """Makes ``sparsity`` the parametrization of a module's tensor, in the place of the one of this kind if there is
    one."""
    old = found_in(module, tensor)
    sparsity.order = old.order if old else list(module._parameters)
    if old:
        stages = module.parametrizations[tensor]
        stages[[stage is old for stage in stages].index(True)] = sparsity
    else:
        parametrize.register_parametrization(module, tensor, sparsity, unsafe=True)
    sparsity.attach(module.parametrizations[tensor])


def found_in(module, tensor):
    """The sparsity of a module's tensor, or None."""
    if not parametrize.is_parametrized(module, tensor):
        return None
    return next((stage for stage in module.parametrizations[tensor] if isinstance(stage, TransposableSparsity)), None)
