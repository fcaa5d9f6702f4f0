"""The one judge of all masks; array operations only, so that it shares no code with what it judges."""

from dataclasses import dataclass

from .arrays import counts, tiles_of, to_double


@dataclass(frozen=True)
class Verdict:
    """What a mask was found to be."""

    violations: int  # rows and columns of tiles that keep more than N, or under "exactly" another number
    value: float  # importance kept, summed in double


def violations(mask, n, m, constraint):
    rows, cols = mask.shape
    in_rows = counts(mask.reshape(rows, cols // m, m), 2)
    in_cols = counts(mask.reshape(rows // m, m, cols), 1)
    broken = (in_rows != n, in_cols != n) if constraint == "exactly" else (in_rows > n, in_cols > n)
    return int(sum(x.sum() for x in broken))


def judge(weights, mask, n, m, constraint):
    """`weights` and `mask` are `[rows, cols]`; a mask byte that is not 0 keeps its weight."""
    value = (to_double(abs(weights)) * (mask != 0)).sum()
    return Verdict(violations(mask, n, m, constraint), float(value))


def certified_bound(weights, prices, n, m, constraint):
    """No mask under `constraint` keeps more importance; `prices` are `[tiles, 2, m]`, any prices give a bound.

    Any mask S obeys sum w S <= sum max(0, w + u + v) - N (sum u + sum v); where rows and columns may keep fewer than N,
    prices above 0 are taken as 0.
    """
    p = to_double(prices).reshape(-1, 2, m)
    if constraint == "at_most":
        p = p.clip(None, 0)
    w = tiles_of(to_double(abs(weights)), m)
    surplus = (w + p[:, 0, :, None] + p[:, 1, None, :]).clip(0, None)
    return float(surplus.sum() - n * p.sum())


def gap(value, bound):
    """What a mask misses of the bound, relative to the bound; never below 0 by rounding."""
    return max(0.0, (bound - value) / bound) if bound > 0 else 0.0
