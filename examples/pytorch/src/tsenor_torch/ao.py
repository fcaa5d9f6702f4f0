"""The calls of ``torch.ao.pruning``'s sparsifiers, on :func:`sparsify`, :func:`refresh` and :func:`finalize`."""

from collections.abc import Mapping, Sequence
from typing import Any, Optional

import torch

from .parametrization import check_pattern
from .plan import Plan
from .sparsify import finalize, refresh, sparsify


class TransposableSparsifier:
    """A sparsifier as in ``torch.ao.pruning``, of transposable n:m masks.

    >>> sparsifier = TransposableSparsifier(8, 16)
    >>> sparsifier.prepare(model, config=[{"tensor_fqn": "layers.0.up.weight"}])  # None: what sparsify takes by default
    >>> sparsifier.step()  # finds new masks, after optimizer.step()
    >>> sparsifier.squash_mask()  # plain, pruned parameters

    Each dictionary of ``config`` has ``tensor_fqn`` or ``module_fqn``, and ``n`` and ``m`` if they differ. Further
    arguments are sparsify's. The model has the whole state: save ``model.state_dict()``.
    """

    def __init__(self, n: int, m: int, **arguments: Any) -> None:
        self.n, self.m = check_pattern(n, m)
        self.arguments, self.model = arguments, None

    def prepare(self, model: torch.nn.Module, config: Optional[Sequence[Mapping[str, Any]]] = None) -> Plan:
        """Makes the weights sparse, and returns the plan. Errors are those of sparsify."""
        if config is not None and (not isinstance(config, Sequence) or not all(isinstance(k, Mapping) for k in config)):
            raise TypeError(f"tsenor: config must be a list of dictionaries of tensor_fqn or module_fqn, not {config}")
        if config is None:
            plan = sparsify(model, self.n, self.m, **self.arguments)
        else:
            plan = sparsify(model, patterns=dict(map(self._pattern, config)), **self.arguments)
        self.model = model
        return plan

    def step(self) -> None:
        """Finds new masks. Every 16 steps of the optimizer is often enough."""
        refresh(self._prepared())

    def squash_mask(self) -> None:
        """Removes the masks, and leaves pruned weights."""
        finalize(self._prepared())
        self.model = None

    def _pattern(self, entry):
        entry = dict(entry)
        name = entry.pop("tensor_fqn", None) or entry.pop("module_fqn", None)
        pattern = entry.pop("n", self.n), entry.pop("m", self.m)
        if name is None or entry:
            raise ValueError(
                "tsenor: an entry of config needs tensor_fqn or module_fqn, and may have n and m, not "
                f"{', '.join(entry) or 'nothing'}"
            )
        return name, pattern

    def _prepared(self):
        if self.model is None:
            raise RuntimeError("tsenor: call prepare(model) first")
        return self.model
