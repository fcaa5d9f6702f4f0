"""The algorithm of arXiv 2505.23949 in array operations, batched over tiles as the paper proposes; written from the
paper.

Algorithm 1 projects a plan in turn onto the row sums, the column sums and the capacities (Dykstra, in logarithms);
Algorithm 2 rounds it: greedily, then by swaps that gain. Masks keep at most N.
"""

import math
from dataclasses import dataclass

from .arrays import (
    bool_zeros, count_to, counts, dense, descending, int32_zeros, largest, log_sum_exp, mask_of_largest, where
)


@dataclass(frozen=True)
class Parameters:
    iterations: int = 300  # T
    tau: float = 0.005  # as a fraction of the tile's largest importance
    local_search_steps: int = 10  # L


def dykstra_step(log_plan, log_dual, log_n):
    """One round of the three projections."""
    log_plan = log_plan + (log_n - log_sum_exp(log_plan, 2))
    log_plan = log_plan + (log_n - log_sum_exp(log_plan, 1))
    uncapped = log_plan + log_dual
    log_plan = uncapped.clip(None, 0)
    return log_plan, uncapped - log_plan


def entropic_plan(importance, n, parameters, step=dykstra_step):
    """The logarithm of the plan, `[tiles, m, m]`."""
    scale = largest(importance, (1, 2)).reshape(-1, 1, 1).clip(1e-30, None)
    log_plan = importance / (scale * parameters.tau)
    log_dual = log_plan * 0
    for _ in range(parameters.iterations):
        log_plan, log_dual = step(log_plan, log_dual, math.log(n))
    return log_plan


def greedy_step(row_counts, col_counts, rows, cols, n):
    """Keeps the entries (rows[t], cols[t]) of tiles t where there is room, and says where."""
    t = count_to(rows.shape[0], rows)
    kept = (row_counts[t, rows] < n) & (col_counts[t, cols] < n)
    row_counts[t, rows] += kept
    col_counts[t, cols] += kept
    return kept


def round_greedily(score, n, step=greedy_step):
    """Takes entries by falling score while their row and column have room."""
    tiles, m = score.shape[0], score.shape[1]
    order = dense(descending(score.reshape(tiles, m * m)).swapaxes(0, 1))  # [m * m, tiles]
    row_counts, col_counts = int32_zeros((tiles, m), score), int32_zeros((tiles, m), score)
    mask = bool_zeros((tiles, m * m), score)
    t = count_to(tiles, score)
    for entry in order:
        mask[t, entry] = step(row_counts, col_counts, entry // m, entry % m, n)
    return mask.reshape(tiles, m, m)


def round_simply(score, n):
    """The N largest of each row, then of what is left the N largest of each column."""
    in_rows = mask_of_largest(score, n)
    left = where(in_rows, score, -math.inf)
    return in_rows & mask_of_largest(left.swapaxes(1, 2), n).swapaxes(1, 2)


def swap_once(importance, mask, n):
    """In each tile with a deficient row i and column j: gives up the kept (k, l), and keeps (i, l) and (k, j), where
    that gains most, and gains."""
    tiles, m = mask.shape[0], mask.shape[1]
    t = count_to(tiles, mask)
    deficient_rows, deficient_cols = counts(mask, 2) < n, counts(mask, 1) < n
    i, j = (deficient_rows * 1).argmax(1), (deficient_cols * 1).argmax(1)
    gain = importance[t, i, :][:, None, :] + importance[t, :, j][:, :, None] - importance
    legal = mask & ~mask[t, i, :][:, None, :] & ~mask[t, :, j][:, :, None]
    gain = where(legal, gain, -math.inf).reshape(tiles, m * m)
    best = gain.argmax(1)
    swaps = (deficient_rows.sum(1) > 0) & (gain[t, best] > 0)
    t, i, j, k, l = t[swaps], i[swaps], j[swaps], best[swaps] // m, best[swaps] % m
    mask[t, k, l] = False
    mask[t, i, l] = True
    mask[t, k, j] = True


def search_locally(importance, mask, n, steps):
    for _ in range(steps):
        swap_once(importance, mask, n)
    return mask


def published_mask(importance, n, parameters=Parameters(), dykstra=dykstra_step, greedy=greedy_step):
    """`[tiles, m, m]` importances -> masks."""
    plan = entropic_plan(importance, n, parameters, dykstra)
    return search_locally(importance, round_greedily(plan, n, greedy), n, parameters.local_search_steps)
