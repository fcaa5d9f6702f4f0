"""Transposable masks as a parametrization of a module's weight."""

import torch
from torch.nn.utils import parametrize

from .masks import keep, tile_count


class TransposableSparsity(torch.nn.Module):
    """Keeps n of m weights in the rows and columns of each tile; for ``torch.nn.utils.parametrize``.

    The dense weight stays the parameter, under ``parametrizations.weight.original``. The mask is a buffer and part of the
    state_dict; it changes when :meth:`refresh` is called, which :class:`MaskRefresh` does. The prices that warm starts
    begin from are no part of the state_dict: after loading, the next refresh is a cold one.

    Arguments:
        weight: the tensor that will be parametrized, for shape, type and device; its mask is found at once.
        n, m: the pattern, 1 <= n <= m, 2 <= m <= 64.
        gradient: 'straight_through' (all weights learn, so that those pruned may return) or 'masked' (only those kept).
        options: ``method``, ``constraint`` and ``edge`` of ``find_mask``.
    """

    def __init__(self, weight, n, m, *, gradient="straight_through", **options):
        super().__init__()
        if gradient not in ("straight_through", "masked"):
            raise ValueError(f"gradient must be 'straight_through' or 'masked', not {gradient!r}")
        self.n, self.m, self.gradient, self.options = n, m, gradient, options
        self.warm = False
        self.register_buffer("mask", torch.empty(weight.shape, dtype=torch.bool, device=weight.device))
        # 4x4 tiles are solved whole, and optimal masks alone have prices.
        starts_warm = m != 4 and options.get("method", "optimal") == "optimal"
        prices = torch.empty((tile_count(weight, m), 2, m), device=weight.device) if starts_warm else None
        self.register_buffer("prices", prices, persistent=False)
        self.refresh(weight)

    @torch.no_grad()
    def refresh(self, weight):
        """Finds the mask of ``weight`` as it is now, in place, on the current stream."""
        weight = weight.detach()
        torch.ops.tsenor.find_mask_(
            self.mask, weight, self.n, self.m, prices=self.prices, warm=self.warm, **self.options
        )
        self.warm = self.prices is not None

    def forward(self, weight):
        return keep(weight, self.mask, self.gradient)

    def right_inverse(self, weight):
        return weight

    def _load_from_state_dict(self, *arguments, **named):
        super()._load_from_state_dict(*arguments, **named)
        self.warm = False

    def _apply(self, fn, recurse=True):
        self.warm = False  # prices change type or device with the module
        super()._apply(fn, recurse)
        if self.prices is not None:
            self.prices = self.prices.float()
        return self

    def extra_repr(self):
        return f"{self.n}:{self.m}, gradient={self.gradient}"


def sparsify(model, n, m, *, select=lambda name, module: isinstance(module, torch.nn.Linear), **arguments):
    """Parametrizes the weight of every module that ``select(name, module)`` picks, all linear layers by default.

    Returns ``model``. Further arguments are those of :class:`TransposableSparsity`.
    """
    for name, module in list(model.named_modules()):
        if select(name, module) and not parametrize.is_parametrized(module, "weight"):
            sparsity = TransposableSparsity(module.weight, n, m, **arguments)
            parametrize.register_parametrization(module, "weight", sparsity)
    return model
