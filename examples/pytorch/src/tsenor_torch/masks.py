"""Masks of tensors: finding, checking and applying them. ``torch.ops.tsenor`` is underneath."""

import numbers
from typing import Any, Literal, NamedTuple, Optional, Union, overload

import torch
from torch import Tensor

_ops = torch.ops.tsenor

Method = Literal["optimal", "published"]
Constraint = Literal["exactly", "at_most"]
Edge = Literal["reject", "partial"]
Gradient = Literal["straight_through", "masked"]


class TileReports(NamedTuple):
    """What is known about each tile, ``[tiles]`` each, tiles in row-major order; see tsenor/report.hpp."""

    value: Tensor  # float64: importance kept
    bound: Tensor  # float64: no mask of the tile keeps more
    iterations: Tensor  # int32, as the next three
    moves: Tensor
    replaced: Tensor  # NaN, negative and infinite importances that were replaced
    flags: Tensor


class MaskViolations(NamedTuple):
    """How often a mask breaks its pattern; ``(0, 0)`` if it does not."""

    rows: int  # rows of tiles that keep too many, or under 'exactly' too few
    cols: int  # columns of tiles that do


def tile_reports(report: Tensor) -> TileReports:
    """The fields of a ``report`` ``[tiles, 4]`` float64, as the operator ``find_mask`` returns it. Views, no copies."""
    if hasattr(report, "to_local"):
        from .dtensor import tile_reports_of  # which imports this module

        return tile_reports_of(report)
    if not isinstance(report, Tensor) or report.dim() != 2 or report.shape[1] != 4 or report.dtype != torch.float64:
        raise ValueError("tsenor: a report is a float64 tensor [tiles, 4], as the operator find_mask returns it")
    integers = report.view(torch.int32)
    return TileReports(report[:, 0], report[:, 1], *(integers[:, k] for k in range(4, 8)))


def tile_count(weight: Tensor, m: int) -> int:
    """The number of m x m tiles in ``weight`` ``[..., rows, cols]``, with the smaller ones at the edge."""
    if weight.dim() < 2 or m < 1:
        raise ValueError(f"tsenor: weight must be [..., rows, cols] and m 1 or more, not {list(weight.shape)} and {m}")
    *batch, rows, cols = weight.shape
    count = -(-rows // m) * -(-cols // m)
    for size in batch:
        count *= size
    return count


@overload
def find_mask(
    weight: Tensor, n: int, m: int, *, importance: Optional[Tensor] = None, column_norms: Optional[Tensor] = None,
    method: Method = "optimal", constraint: Constraint = "exactly", edge: Edge = "reject",
    with_report: Literal[False] = False,
) -> Tensor: ...


@overload
def find_mask(
    weight: Tensor, n: int, m: int, *, importance: Optional[Tensor] = None, column_norms: Optional[Tensor] = None,
    method: Method = "optimal", constraint: Constraint = "exactly", edge: Edge = "reject", with_report: Literal[True],
) -> tuple[Tensor, TileReports]: ...


@overload
def find_mask(
    weight: Tensor, n: int, m: int, *, importance: Optional[Tensor] = None, column_norms: Optional[Tensor] = None,
    method: Method = "optimal", constraint: Constraint = "exactly", edge: Edge = "reject", with_report: bool,
) -> Union[Tensor, tuple[Tensor, TileReports]]: ...


def find_mask(
    weight: Tensor, n: int, m: int, *, importance: Optional[Tensor] = None, column_norms: Optional[Tensor] = None,
    method: Method = "optimal", constraint: Constraint = "exactly", edge: Edge = "reject", with_report: bool = False,
) -> Union[Tensor, tuple[Tensor, TileReports]]:
    """The transposable n:m mask of ``weight``: in every m x m tile, n are kept in each row and each column, those that
    together are worth the most.

    >>> weight = torch.randn(64, 128)
    >>> mask = find_mask(weight, 8, 16)
    >>> check_mask(mask, 8, 16)
    MaskViolations(rows=0, cols=0)

    Arguments:
        weight: ``[..., rows, cols]``, float16, bfloat16, float32 or float64, with any strides; leading dimensions are a
            batch. A transposed view is solved as it lies in memory: ``find_mask(W.t())`` is ``find_mask(W).t()``.
        n, m: the pattern, 1 <= n <= m, 2 <= m <= 64.
        importance: the importance of each weight, a floating tensor of the weight's shape, such as a Fisher diagonal.
            By default it is the magnitude. NaN and negative importances count as 0, infinite ones as the largest
            finite number; the report counts them.
        column_norms: ``[cols]``, not negative. The importance is then the magnitude times the column's norm, as in
            Wanda.
        method: 'optimal', or 'published', the approximation of arXiv 2505.23949, for comparison.
        constraint: each row and column keeps 'exactly' n, or 'at_most' n.
        edge: what to do if rows or columns are no multiple of m: 'reject' the weight, or use 'partial' tiles at the
            edge, which keep n or fewer.
        with_report: return ``(mask, TileReports)``. A tile's ``bound`` proves how good its ``value`` is.

    Returns a bool tensor of the weight's shape, on its device and with its memory layout. It has no gradient.

    Raises ValueError for a pattern, shape or option that is not supported, TypeError for another type, dtype or a
    misspelt keyword, and RuntimeError for tensors on several devices or an error of the device. Then nothing is written.

    The result is deterministic, bit for bit, on machines with the same instruction set. On a GPU the call enqueues the
    work on the current stream, and does not wait for it. It costs one pass over the weights and some work in each tile,
    see the README. It takes memory for the mask, 32 bytes a tile for the report, and a copy of the weights if neither
    their rows nor their columns are contiguous.
    """
    _require_types(n, m, weight=weight, importance=importance, column_norms=column_norms)
    mask, report = _ops.find_mask(
        weight, n, m, method=method, constraint=constraint, edge=edge, column_norms=column_norms,
        importance=importance, with_report=with_report,
    )
    return (mask, tile_reports(report)) if with_report else mask


def prune_(
    weight: Tensor, n: int, m: int, *, importance: Optional[Tensor] = None, column_norms: Optional[Tensor] = None,
    method: Method = "optimal", constraint: Constraint = "exactly", edge: Edge = "reject",
    mask_out: Optional[Tensor] = None,
) -> Tensor:
    """Sets to +0.0, in place, the weights that :func:`find_mask` with the same arguments drops. Returns ``weight``.

    >>> weight = torch.randn(64, 128)
    >>> pruned = prune_(weight, 8, 16)
    >>> pruned is weight, (weight != 0).float().mean().item()
    (True, 0.5)

    ``mask_out``, bool or uint8 of the weight's shape, receives the mask. Like any in-place operator of PyTorch, the
    function counts the weight's version, has a gradient (of the kept weights), and refuses a leaf that requires grad
    except under ``torch.no_grad()``. Errors, determinism and cost are find_mask's. One kernel reads and writes the
    weights if there is no importance, the weight's layout allows it, and no gradient is needed.
    """
    _require_types(n, m, weight=weight, importance=importance, column_norms=column_norms, mask_out=mask_out)
    _ops.prune_(
        weight, n, m, method=method, constraint=constraint, edge=edge, column_norms=column_norms, mask=mask_out,
        importance=importance,
    )
    return weight


def apply_mask(weight: Tensor, mask: Tensor) -> Tensor:
    """A new tensor: ``weight`` where ``mask`` keeps it, bit for bit, else +0.0. Only kept weights get a gradient.

    >>> apply_mask(torch.tensor([[1.0, float("nan")]]), torch.tensor([[True, False]]))
    tensor([[1., 0.]])

    ``mask`` is bool and has the weight's shape, else TypeError or ValueError. One kernel reads both.
    """
    return keep(weight, mask, "masked")


def keep(weight: Tensor, mask: Tensor, gradient: Gradient = "straight_through") -> Tensor:
    """:func:`apply_mask` with a choice of gradient. 'straight_through' reaches all weights, so pruned ones may return.
    'masked' reaches only kept weights.

    >>> weight = torch.tensor([[1.0, 2.0]], requires_grad=True)
    >>> keep(weight, torch.tensor([[True, False]])).sum().backward()
    >>> weight.grad
    tensor([[1., 1.]])

    Works with torch.compile, torch.export (an exported graph keeps the gradient), torch.func and forward-mode
    differentiation, where tangents are treated as gradients are.
    """
    _require_tensors(weight=weight, mask=mask)
    result: Tensor = _ops.keep(weight, mask, gradient)
    return result


def check_mask(
    mask: Tensor, n: int, m: int, *, constraint: Constraint = "exactly", edge: Edge = "reject"
) -> MaskViolations:
    """Counts the rows and columns of m x m tiles where ``mask`` ``[..., rows, cols]`` breaks its pattern.

    >>> check_mask(torch.ones(8, 8, dtype=torch.bool), 2, 4)
    MaskViolations(rows=16, cols=16)

    Any value but 0 means kept. Under 'at_most', more than n breaks the pattern; under 'exactly', any number but n does.
    Smaller tiles at the edge, which 'partial' allows, may keep at most n. ValueError as in :func:`find_mask`. The
    counts are Python numbers, so the call waits for the device. It costs a few passes over the mask, and memory for
    two copies of it.
    """
    tile_rows, tile_cols = _counts_in_tiles(mask, n, m, constraint, edge)
    *_, rows, cols = mask.shape

    def broken(counts: Tensor) -> int:
        wrong = counts > n
        if constraint == "exactly":
            wrong[..., : rows // m, :, : cols // m] |= counts[..., : rows // m, :, : cols // m] < n
        return int(wrong.sum())

    return MaskViolations(broken(tile_rows), broken(tile_cols))


def _counts_in_tiles(mask: Tensor, n: int, m: int, constraint: str, edge: str) -> tuple[Tensor, Tensor]:
    """Kept weights in the rows ``[..., R, m, C]``, and in the columns ``[..., R, m, C]``, of the R x C tiles."""
    _require_types(n, m, mask=mask)
    _ops.check_pattern(mask, n, m, constraint=constraint, edge=edge)
    *batch, rows, cols = mask.shape
    padding = (0, -cols % m, 0, -rows % m)
    whole = torch.nn.functional.pad(mask != 0, padding)
    tiles = whole.reshape(*batch, whole.shape[-2] // m, m, whole.shape[-1] // m, m)
    return tiles.sum(-1, dtype=torch.int32), tiles.sum(-3, dtype=torch.int32).transpose(-1, -2)


def require_integers(n: Any, m: Any) -> None:
    """TypeError unless a pattern is two integers, of Python, NumPy or a graph with symbolic sizes."""
    if not all(isinstance(k, (numbers.Integral, torch.SymInt)) and not isinstance(k, bool) for k in (n, m)):
        raise TypeError(f"a pattern is two integers N and M, not {n!r} and {m!r}")


def _require_tensors(**given: Any) -> None:
    for name, it in given.items():
        if it is not None and not hasattr(type(it), "__torch_function__"):
            raise TypeError(f"tsenor: {name} must be a tensor, not {type(it).__name__}")


def _require_types(n: Any, m: Any, **given: Any) -> None:
    require_integers(n, m)
    _require_tensors(**given)
