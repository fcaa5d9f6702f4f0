"""What :func:`prune_model` says of each layer."""

from typing import NamedTuple, Optional


class LayerReport(NamedTuple):
    """A weight of the model, or one expert's matrix in a batch of experts."""

    name: str
    shape: tuple[int, ...]  # out features, in features
    pattern: Optional[str] = None  # 'n:m'; None: it stays dense
    method: Optional[str] = None
    reason: str = ""  # why it stays dense, or was pruned by magnitude although another method was asked for
    tokens: int = 0  # seen by the layer
    dead_inputs: int = 0  # without activations, or with NaN or infinite ones
    error: Optional[float] = None  # of the outputs, squared, relative to their square on the calibration data
    kept: Optional[float] = None  # share of the sum of |w| that the mask keeps
    seconds: float = 0.0


class PruneReport(list[LayerReport]):
    """A list of :class:`LayerReport`, in the model's order, that prints as a table."""

    @property
    def pruned(self) -> list[LayerReport]:
        return [x for x in self if x.pattern]

    @property
    def dense(self) -> list[LayerReport]:
        return [x for x in self if not x.pattern]

    @property
    def fallen_back(self) -> list[LayerReport]:
        """Pruned by magnitude although another method was asked for."""
        return [x for x in self.pruned if x.reason]

    def __str__(self):
        rows = [_row(x) for x in self]
        head = ("layer", "shape", "pattern", "method", "error", "kept", "dead inputs", "s", "")
        widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [head, *rows]]
        few = f", {len(self.fallen_back)} of them by magnitude because of too few tokens" if self.fallen_back else ""
        return "\n".join([*lines, f"{len(self.pruned)} pruned{few}; {len(self.dense)} dense"])


def _row(x):
    number = lambda value, digits: "-" if value is None else f"{value:.{digits}f}"  # noqa: E731
    shape = " x ".join(map(str, x.shape))
    if not x.pattern:
        return x.name, shape, "dense", "", "", "", "", "", x.reason
    return (
        x.name,
        shape,
        x.pattern,
        x.method,
        number(x.error, 4),
        number(x.kept, 4),
        str(x.dead_inputs),
        f"{x.seconds:.2f}",
        x.reason,
    )
