"""Transposable N:M sparse masks for PyTorch.

:func:`find_mask`, :func:`prune_`, :func:`check_mask` and :func:`apply_mask` are for tensors. :func:`sparsify` and
:class:`MaskRefresh` are for models that train. :class:`Linear24` and :class:`MvueLinear` run 2:4 products on sparse
tensor cores.

>>> import torch, tsenor_torch
>>> mask = tsenor_torch.find_mask(torch.randn(64, 128), 8, 16)
>>> mask.sum(1).unique()
tensor([64])

The operators are in ``torch.ops.tsenor``:

- ``find_mask(weight, n, m, importance=None, column_norms=None, *, method='optimal', constraint='exactly',
  edge='reject', with_report=False)`` returns ``(mask, report)``. ``report`` is ``[tiles, 4]`` float64, for
  :func:`tile_reports`, or ``[0, 4]`` without one.
- ``find_mask_(mask, weight, n, m, ..., prices=None, warm=False)`` writes into ``mask``, bool or uint8. It writes
  ``prices`` ``[tiles, 2, m]`` float32 too. With ``warm`` it reads them first; that makes masks of slightly changed
  weights cheaper.
- The functions ``prune_`` and ``keep`` call ``prune_(weight, n, m, ..., mask=None)`` and
  ``keep(weight, mask, gradient)``.
- ``sparse24_mvue(dy, *, generator=None, seed=None)`` is what :func:`mvue24` calls.
  ``linear24_weight_gradient(x, dy, compressed, out_features)`` multiplies ``compressed``, such an estimate, by ``x``
  ``[tokens, in]``; without one, the transpose of ``dy``.
- ``tsenor_torch.pruners`` describes the pruners' operators.

They behave like PyTorch's own operators: under autograd, inference mode, torch.compile, export, torch.func and CUDA
graphs, and with meta tensors. The four operators above take DTensors too, if their shards are whole tiles.
"""

from pathlib import Path

import torch

_libraries = list(Path(__file__).parent.glob("_ops*.so"))
if not _libraries:
    raise ImportError(
        "tsenor_torch has no operators: run `pip install --no-build-isolation` on its folder"
    )
try:
    torch.ops.load_library(_libraries[0])
except OSError as error:
    raise ImportError(
        f"tsenor_torch's operators cannot be loaded into PyTorch {torch.__version__}: {error.__cause__ or error}. If "
        "they were built for another one, build them again: pip install --no-build-isolation --force-reinstall "
        "--no-deps on tsenor_torch's folder"
    ) from error

from . import alps, pruners  # noqa: E402,F401  the pruners' operators
from . import fake, vmap  # noqa: E402,F401  what the operators are to torch.compile, export and torch.func
from .ao import TransposableSparsifier  # noqa: E402
from .build import build_info  # noqa: E402
from .forms import compress24, mvue24  # noqa: E402
from .linear24 import Linear24, MvueLinear, sparsify24  # noqa: E402
from .masks import (  # noqa: E402
    MaskViolations,
    TileReports,
    apply_mask,
    check_mask,
    find_mask,
    keep,
    prune_,
    tile_count,
    tile_reports,
)
from .parametrization import TransposableSparsity  # noqa: E402
from .pruning import prune_model  # noqa: E402
from .pruning_report import LayerReport, PruneReport  # noqa: E402
from .schedules import MaskRefresh, decreasing_n, dense_phases  # noqa: E402
from .sparsify import finalize, freeze, plain_state_dict, refresh, sparsify  # noqa: E402

if torch.distributed.is_available():
    from . import dtensor  # noqa: F401  and to DTensor

__version__ = build_info()["version"]

__all__ = [
    "LayerReport",
    "Linear24",
    "MaskRefresh",
    "MaskViolations",
    "MvueLinear",
    "PruneReport",
    "TileReports",
    "TransposableSparsifier",
    "TransposableSparsity",
    "apply_mask",
    "build_info",
    "check_mask",
    "compress24",
    "decreasing_n",
    "dense_phases",
    "finalize",
    "find_mask",
    "freeze",
    "keep",
    "mvue24",
    "plain_state_dict",
    "prune_",
    "prune_model",
    "refresh",
    "sparsify",
    "sparsify24",
    "tile_count",
    "tile_reports",
]
