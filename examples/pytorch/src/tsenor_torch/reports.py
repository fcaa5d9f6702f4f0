"""What the solver says about each tile."""

from typing import NamedTuple

import torch


class TileReports(NamedTuple):
    """What is known about each tile, tiles in row-major order; see tsenor/report.hpp."""

    value: torch.Tensor  # float64: importance kept
    bound: torch.Tensor  # float64: no mask of the tile keeps more
    iterations: torch.Tensor  # int32, as the next three
    moves: torch.Tensor
    replaced: torch.Tensor  # NaN, negative and infinite importances that were replaced
    flags: torch.Tensor


def tile_reports(report):
    """The fields of ``find_mask``'s ``report``."""
    integers = report.view(torch.int32)
    return TileReports(report[:, 0], report[:, 1], *(integers[:, k] for k in range(4, 8)))
