"""The peers that take a few array operations: `[tiles, m, m]` importances -> masks."""

import itertools
import random

import numpy as np

from .arrays import bool_zeros, count_to, dense, descending, from_numpy, int32_zeros, is_tensor
from .published import round_greedily, round_simply

TILES_AT_A_TIME = 1 << 17  # a score for each tile and candidate is held at a time


def all_masks(n, m):
    """Every mask with exactly n in each row and column, `[masks, m * m]`; for m = 4 alone, where 2:4 has 90."""
    rows = [[int(k in kept) for k in range(m)] for kept in itertools.combinations(range(m), n)]
    masks = [sum(choice, []) for choice in itertools.product(rows, repeat=m)]
    return np.array([x for x in masks if all(sum(x[c::m]) == n for c in range(m))], np.float32)


def random_masks(n, m, count=1000, seed=2505):
    """Masks with exactly n in each row and column: a band, its rows and columns permuted."""
    rng = random.Random(seed)
    band = np.array([[(c - r) % m < n for c in range(m)] for r in range(m)])
    shuffled = [band[rng.sample(range(m), m)][:, rng.sample(range(m), m)].reshape(-1) for _ in range(count)]
    return np.array(shuffled, np.float32)


def best_candidate(importance, candidates):
    """Of `candidates` `[masks, m * m]` the one that keeps most of each tile, by a matrix product."""
    tiles, m = importance.shape[0], importance.shape[1]
    flat = importance.reshape(tiles, m * m)
    chosen = bool_zeros((tiles, m * m), importance)
    as_masks, as_columns = candidates > 0, dense(candidates.swapaxes(0, 1))
    for first in range(0, tiles, TILES_AT_A_TIME):
        part = slice(first, first + TILES_AT_A_TIME)
        chosen[part] = as_masks[(flat[part] @ as_columns).argmax(1)]
    return chosen.reshape(tiles, m, m)


def candidate_search(candidates):
    """best_candidate with `candidates` brought once to where the importances are, in their precision."""
    brought = {}

    def search(importance, n):
        if "there" not in brought:
            there = from_numpy(candidates, str(importance.device), True) if is_tensor(importance) else candidates
            brought["there"] = there.to(importance.dtype) if is_tensor(importance) else there
        return best_candidate(importance, brought["there"])

    return search


def greedy(importance, n):
    """By falling importance while row and column have room: at least half of the optimum."""
    return round_greedily(importance, n)


def row_then_column(importance, n):
    """N:M in each row, then in each column of what is left."""
    return round_simply(importance, n)


def two_approximation(importance, n):
    """Hubara et al., arXiv 2102.08124: prunes by rising importance each entry whose row or column still has to lose
    one, so that at most twice the least possible importance is pruned."""
    tiles, m = importance.shape[0], importance.shape[1]
    order = dense(descending(-importance.reshape(tiles, m * m)).swapaxes(0, 1))
    row_pruned, col_pruned = int32_zeros((tiles, m), importance), int32_zeros((tiles, m), importance)
    pruned = bool_zeros((tiles, m * m), importance)
    t = count_to(tiles, importance)
    for entry in order:
        rows, cols = entry // m, entry % m
        goes = (row_pruned[t, rows] < m - n) | (col_pruned[t, cols] < m - n)
        row_pruned[t, rows] += goes
        col_pruned[t, cols] += goes
        pruned[t, entry] = goes
    return ~pruned.reshape(tiles, m, m)
