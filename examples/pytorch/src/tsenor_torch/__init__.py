"""Transposable N:M sparse masks for PyTorch: ``torch.ops.tsenor``, and helpers for training with them.

``torch.ops.tsenor.find_mask(weight, n, m, *, method='optimal', constraint='exactly', edge='reject', column_norms=None,
with_report=False) -> (mask, report)`` keeps, in every m x m tile of ``weight`` ``[rows, cols]`` or ``[batch, rows, cols]``,
n weights in each row and each column, those with the largest sum of magnitudes (times ``column_norms``). Weights are
float32, float16 or bfloat16, on the CPU or on a GPU, rows strided as they like; the work is enqueued on the current stream,
without synchronisation. ``mask`` is bool. ``report`` is ``[tiles, 4]`` float64 for :func:`tile_reports`, or ``[0, 4]``.

``find_mask_(mask, weight, n, m, ..., prices=None, warm=False)`` writes into ``mask``; ``prices`` ``[tiles, 2, m]`` float32
are written, and under ``warm`` read first, which makes masks of slightly changed weights cheaper.
``prune_(weight, n, m, ..., mask=None)`` sets what is not kept to zero in place.

Wrong arguments raise ValueError or TypeError and leave everything as it was; what the device reports is a RuntimeError.
"""

from pathlib import Path

import torch

_libraries = list(Path(__file__).parent.glob("_ops*.so"))
if not _libraries:
    raise ImportError("tsenor_torch has no operators: install it, with `pip install --no-build-isolation` on its folder")
torch.ops.load_library(_libraries[0])

from . import fake  # noqa: E402,F401  the operators' shapes, for torch.compile
from .linear24 import Linear24, compress24, sparsify24  # noqa: E402
from .parametrization import TransposableSparsity, tile_count  # noqa: E402
from .reports import tile_reports  # noqa: E402
from .schedules import MaskRefresh, decreasing_n  # noqa: E402
from .sparsify import finalize, freeze, plain_state_dict, refresh, sparsify  # noqa: E402

__all__ = [
    "Linear24",
    "MaskRefresh",
    "TransposableSparsity",
    "compress24",
    "decreasing_n",
    "finalize",
    "freeze",
    "plain_state_dict",
    "refresh",
    "sparsify",
    "sparsify24",
    "tile_count",
    "tile_reports",
]
