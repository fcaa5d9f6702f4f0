"""What masks are checked against: a linear program solved by brute force over all 2:4 tiles, and counts."""

import itertools

import torch


def counts_of(mask, m):
    """Kept weights in each row and each column of each tile, ``[tiles, 2, m]``."""
    rows, cols = mask.shape[-2:]
    tiles = mask.reshape(-1, rows // m, m, cols // m, m).transpose(2, 3).reshape(-1, m, m).int()
    return torch.stack([tiles.sum(2), tiles.sum(1)], 1)


def all_tiles24():
    """The 90 masks of a 4x4 tile with two in each row and column, ``[90, 16]``."""
    rows = [r for r in itertools.product((0, 1), repeat=4) if sum(r) == 2]
    masks = [m for m in itertools.product(rows, repeat=4) if all(sum(c) == 2 for c in zip(*m))]
    return torch.tensor(masks, dtype=torch.float64).reshape(-1, 16)


def optimum24(importance):
    """The largest importance that a 2:4 transposable mask keeps, by comparing all."""
    rows, cols = importance.shape
    tiles = importance.double().cpu().reshape(rows // 4, 4, cols // 4, 4).transpose(1, 2).reshape(-1, 16)
    return (tiles @ all_tiles24().T).max(1).values.sum()
