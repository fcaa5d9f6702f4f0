"""The layer-wise pruners as operators, in ``torch.ops.tsenor``.

The pruners take a float32 ``weight`` ``[out, in]`` and a pattern ``n``, ``m``. They prune the weight in place, and
return the bool mask:

    gram_(gram, inputs)                           adds inputs^T inputs to ``gram`` ``[in, in]``; inputs ``[tokens, in]``
    magnitude_(weight, n, m, *, structure='transposable', method='optimal', constraint='exactly', edge='reject') -> mask
    wanda_(weight, gram, n, m, *, ...) -> mask
    sparsegpt_(weight, gram, n, m, *, tokens=1, damping=0.01, ...) -> mask
    alps_inputs(gram, damping=0.01) -> inputs     for alps_: call it once for a gram matrix, for all patterns
    alps_(weight, inputs, n, m, *, iterations=300, ...) -> (mask, iterations taken, int64 [])

``structure`` is 'transposable', 'row-wise' or 'row-then-column'; the next three options are find_mask's. An input of
the layer is dead if it has no activations, or NaN or infinite ones. Weights of dead inputs rank below all others, and
among each other by magnitude. The operators have no derivative. They refuse a ``weight`` that requires grad, except
under ``torch.no_grad()``. They do not take DTensors.

On a GPU these are the pruners of ``tsenor/prune/``. They run on the current stream, with PyTorch's handles of cuBLAS
and cuSOLVER, and with memory of PyTorch's allocator. ``alps_`` waits for the stream in every third iteration. The
others do not wait, except where cuSOLVER does. On the CPU the same algorithms run in PyTorch's operations, below.
Rounding differs there, so near ties may be decided differently. Wrong arguments raise ValueError and leave the weight
as it was.
"""

import torch
from torch.nn.functional import pad

STRUCTURES = ("transposable", "row-wise", "row-then-column")
_RULE = "str structure='transposable', str method='optimal', str constraint='exactly', str edge='reject'"
_TAGS = (torch.Tag.pt2_compliant_tag, torch.Tag.needs_fixed_stride_order)  # the strides decide between equals
_ops = torch.ops.tsenor
_library = torch.library.Library("tsenor", "FRAGMENT")
for _schema in (
    "gram_(Tensor(a!) gram, Tensor inputs) -> ()",
    f"magnitude_(Tensor(a!) weight, int n, int m, *, {_RULE}) -> Tensor mask",
    f"wanda_(Tensor(a!) weight, Tensor gram, int n, int m, *, {_RULE}) -> Tensor mask",
    f"sparsegpt_(Tensor(a!) weight, Tensor gram, int n, int m, *, int tokens=1, float damping=0.01, {_RULE}) "
    "-> Tensor mask",
    "alps_inputs(Tensor gram, float damping=0.01) -> Tensor inputs",
    f"alps_(Tensor(a!) weight, Tensor inputs, int n, int m, *, int iterations=300, {_RULE}) "
    "-> (Tensor mask, Tensor iterations)",
):
    _library.define(_schema, tags=_TAGS)


def is_live(gram):
    """Whether each input had activations, and no NaN or infinite ones."""
    squares = gram.diagonal()
    return squares.isfinite() & (squares > 0)


def clean_gram(gram):
    """``gram`` without the contributions of dead inputs, and without NaN and infinities."""
    live = is_live(gram)
    return torch.where(live[:, None] & live & gram.isfinite(), gram, 0)


class _Rule:
    """The structure of a mask, and how it is searched for: the CPU's counterpart of prune::sparsity."""

    def __init__(self, n, m, structure="transposable", **options):
        self.n, self.m, self.structure, self.options = n, m, structure, options

    def mask(self, importance, dead):
        """The best mask of ``importance`` ``[rows, cols]``; in rows, those of the columns ``dead`` come after all
        others."""
        importance = torch.nan_to_num(importance, nan=0.0)
        if self.structure == "transposable":
            return torch.ops.tsenor.find_mask(importance.contiguous(), self.n, self.m, **self.options)[0]
        rank = torch.where(dead, -1 / importance.clamp(min=torch.finfo(importance.dtype).tiny), importance)
        rows = _best_of_lines(rank, self.n, self.m)
        if self.structure == "row-wise":
            return rows
        return rows & _best_of_lines(torch.where(rows, rank, -torch.inf).T, self.n, self.m).T


def _best_of_lines(rank, n, m):
    """Keeps the n largest of each m in a row, and the first of equal ones."""
    lines = pad(rank, (0, -rank.shape[1] % m), value=-torch.inf).unflatten(1, (-1, m))
    order = lines.argsort(dim=2, descending=True, stable=True)
    kept = torch.zeros_like(lines, dtype=torch.bool).scatter_(2, order[..., :n], True)
    return kept.flatten(1)[:, : rank.shape[1]]


def _rank_dead(factors, live, squares):
    """Factors of columns. Those of dead columns rank below all others; see tsenor/prune/detail/saliency.hpp."""
    share = 2.0**-7 if squares else 2.0**-14
    smallest = factors[live].min() * share if live.any() else torch.ones((), dtype=factors.dtype)
    return torch.where(live, factors, smallest)


def _keep(weight, mask):
    weight.copy_(torch.where(mask, weight, 0))
    return mask.contiguous()


def gram_cpu(gram, inputs):
    _ops.check_gram(gram, inputs)
    gram.addmm_(inputs.float().T, inputs.float())


def magnitude_cpu(weight, n, m, **rule):
    _ops.check_prune(weight, None, n, m, **rule)
    return _keep(weight, _Rule(n, m, **rule).mask(weight.abs(), torch.zeros(weight.shape[1], dtype=torch.bool)))


def wanda_cpu(weight, gram, n, m, **rule):
    _ops.check_prune(weight, gram, n, m, **rule)
    live = is_live(gram)
    norms = _rank_dead(gram.diagonal().sqrt(), live, squares=False)
    return _keep(weight, _Rule(n, m, **rule).mask(weight.abs() * norms, ~live))


def sparsegpt_cpu(weight, gram, n, m, *, tokens=1, damping=0.01, **rule):
    _ops.check_prune(weight, gram, n, m, tokens=tokens, damping=damping, **rule)
    search = _Rule(n, m, **rule)
    live = is_live(gram)
    factor = _inverse_factor(gram, live, tokens, damping)
    ranks = _rank_dead(1 / factor.diagonal(), live, squares=True)
    w = torch.nan_to_num(weight, nan=0.0, posinf=0.0, neginf=0.0)
    mask = torch.empty(weight.shape, dtype=torch.bool)
    for left in range(0, w.shape[1], m):
        panel = slice(left, min(left + m, w.shape[1]))
        mask[:, panel] = search.mask((w[:, panel] * ranks[panel]).square(), ~live[panel])
        errors = _prune_panel(w[:, panel], mask[:, panel], factor[panel, panel])
        w[:, panel.stop :] -= errors @ factor[panel, panel.stop :]
    weight.copy_(w)
    return mask


def _inverse_factor(gram, live, tokens, damping):
    """U, upper triangular with U^T U = H^-1, H = 2 gram / tokens damped. With J the reversal of order and L the
    Cholesky factor of J H J, U is J L^-1 J."""
    h = clean_gram(gram).double() * (2 / tokens)
    h.diagonal().copy_(torch.where(live, h.diagonal(), 1))
    h.diagonal().add_(damping * h.diagonal().mean())
    lower, info = torch.linalg.cholesky_ex(h.flip(0, 1))
    if info:  # no gram matrix, or too little damping: its diagonal alone
        return h.diagonal().rsqrt().diag().float()
    return torch.linalg.solve_triangular(lower, torch.eye(len(h), dtype=h.dtype), upper=False).flip(0, 1).float()


def _prune_panel(w, mask, u):
    """Prunes the panel column by column, and passes each error on to the columns after it. Returns the errors."""
    errors = torch.zeros_like(w)
    for k in range(w.shape[1]):
        errors[:, k] = torch.where(mask[:, k], 0, w[:, k] / u[k, k])
        w[:, k + 1 :] -= errors[:, k, None] * u[k, k + 1 :]
    w.copy_(torch.where(mask, w, 0))
    return errors


for _name, _kernel in (
    ("gram_", gram_cpu),
    ("magnitude_", magnitude_cpu),
    ("wanda_", wanda_cpu),
    ("sparsegpt_", sparsegpt_cpu),
):
    _library.impl(_name, _kernel, "CPU")
