"""Pruning a whole model layer by layer: :func:`prune_model`."""

import numbers
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Optional, Union

import torch
from tqdm.auto import tqdm

from .calibration import Chain, prepared
from .masks import Constraint, Edge, Method
from .parametrization import check_pattern
from .plan import make_plan
from .prune_folder import PruneFolder
from .pruners import STRUCTURES, clean_gram, is_live
from .pruning_report import LayerReport, PruneReport
from .targets import targets

METHODS = ("magnitude", "wanda", "sparsegpt", "alps")
ENOUGH = 0.25  # tokens for each input of a layer; with fewer it is pruned by magnitude


class Settings(NamedTuple):
    method: str
    structure: str
    damping: float
    iterations: int
    search: dict  # find_mask's options


class Matrix(NamedTuple):
    """A matrix to prune: a view of a parameter, ``[out, in]``."""

    name: str
    view: torch.Tensor
    n: int
    m: int
    transposed: bool  # the parameter is [in, out]


def prune_model(
    model: torch.nn.Module,
    batches: Optional[Iterable[Any]] = None,
    *,
    method: str = "alps",
    n: int = 16,
    m: int = 32,
    structure: str = "transposable",
    patterns: Optional[Mapping[str, Any]] = None,
    exclude: Union[str, Iterable[str], None] = (),
    select: Optional[Callable[[str, torch.nn.Module], Any]] = None,
    blocks: Optional[Iterable[torch.nn.Module]] = None,
    resume: Union[str, os.PathLike[str], None] = None,
    progress: bool = True,
    damping: float = 0.01,
    iterations: int = 300,
    mask_method: Method = "optimal",
    constraint: Constraint = "exactly",
    edge: Edge = "reject",
) -> PruneReport:
    """Prunes the linear layers of a model in place, block by block. Each block is calibrated on the outputs of the
    pruned blocks before it.

    :mod:`tsenor_torch.targets` has the rule for the weights that are pruned by default: those of linear layers, Conv1D
    and experts in the model's blocks, but not embeddings, heads, ties and routers. Each expert is pruned by itself.

    Arguments:
        model: on one device, in any type of 16 bits or more. Pruners compute in float32, and round kept weights back.
        batches: calibration data without padding: an iterable of token ids ``[sequences, tokens]``, of tuples, or of
            dictionaries for the model. 128 sequences of 2048 tokens are usual. 'magnitude' works without them, and
            then reports no errors.
        method: 'magnitude', 'wanda', 'sparsegpt' or 'alps'.
        n, m: the pattern: n of m weights are kept; 1 <= n <= m, 2 <= m <= 64.
        structure: 'transposable' (n in the rows and columns of every m x m tile), 'row-wise' (standard n:m: n of m
            inputs of every output) or 'row-then-column' (transposable, chosen greedily).
        patterns, exclude, select: which weights get which pattern, as in :func:`sparsify`: ``patterns={"*.mlp.*": (8,
            16)}``, ``exclude="*.layers.0.*"``.
        blocks: the modules that the model runs one after the other, each on what the one before it returned. Default:
            the longest list of layers in the model.
        resume: a folder, in which each finished block is stored. A call with the same model, data and settings
            continues from there, with the same bits on the same machine.
        progress: whether to show a progress bar.
        damping: number added to the diagonal of a gram matrix, relative to its mean, 1e-6 to 1e6.
        iterations: limit for the iterations of alps.
        mask_method, constraint, edge: how to search for a transposable mask, as in find_mask.

    Returns a :class:`PruneReport`, a list of :class:`LayerReport` that prints as a table. For each layer it has the
    error of its outputs, the share of the magnitude kept, the seconds, or why the layer stayed dense. Some layers see
    less than a quarter token for each of their inputs, such as experts that were rarely chosen. They are pruned by
    magnitude, and the report names them.

    Raises ValueError for wrong arguments, and for calibration data that is empty, too short, padded, or gives NaN.
    Nothing has been changed then, unless a NaN appears in a later block. The call takes memory for one block's inputs
    and their gram matrices, and time for three runs of the model and the pruning itself.
    """
    settings = Settings(
        method, structure, damping, iterations, {"method": mask_method, "constraint": constraint, "edge": edge}
    )
    _check(model, settings, batches, blocks, (n, m))
    blocks = list(blocks) if blocks is not None else _find_blocks(model)
    plan, report = _plan(model, blocks, settings, (n, m), (patterns, exclude, select))
    batches = None if batches is None else list(batches)
    with prepared(model):
        chain = None if batches is None else Chain(model, blocks, batches)
        _check_tokens(chain, plan)
        folder = None if resume is None else PruneFolder(resume, model, batches, plan, settings)
        shown = tqdm(range(len(blocks)), desc=f"{method} {n}:{m}", unit="block", disable=not progress)
        report.update(_prune_blocks(shown, plan, chain, folder, settings))
    return PruneReport(report.values())


def _prune_blocks(places, plan, chain, folder, settings):
    """The reports of the blocks at these places, by name; what the folder has is loaded."""
    report = {}
    for k in places:
        found = folder.load(k, plan[k]) if folder else None
        if found is None:
            found = _prune_block(plan[k], chain, settings)
            if folder:
                folder.save(k, plan[k], found)
        report.update({row.name: row for row in found})
        if chain is not None and k + 1 < len(plan):
            chain.go_on()
    return report


def _check(model, settings, batches, blocks, pattern):
    problems = [
        f"{name} must be one of {', '.join(words)}, not {value!r}"
        for name, words, value in _choices(settings)
        if value not in words
    ]
    try:
        check_pattern(*pattern)
    except (TypeError, ValueError) as error:
        problems.append(str(error))
    if batches is None and settings.method != "magnitude":
        problems.append(f"{settings.method} needs calibration batches")
    if isinstance(batches, torch.Tensor):
        problems.append("batches must be a list of batches, not one tensor: write [batches]")
    if isinstance(blocks, torch.nn.Module) and not isinstance(blocks, (torch.nn.ModuleList, torch.nn.Sequential)):
        problems.append(f"blocks must be a list of modules, not one {type(blocks).__name__}: write [blocks]")
    devices = {str(p.device) for p in model.parameters()}
    if len(devices) != 1:
        problems.append(f"the model must be on one device, not on {', '.join(sorted(devices)) or 'none'}")
    if not (isinstance(settings.damping, numbers.Real) and 1e-6 <= settings.damping <= 1e6):
        problems.append(f"damping must be 1e-6 to 1e6, not {settings.damping!r}")
    if not (isinstance(settings.iterations, numbers.Integral) and 1 <= settings.iterations <= 100000):
        problems.append(f"iterations must be an integer from 1 to 100000, not {settings.iterations!r}")
    if problems:
        raise ValueError("tsenor: prune_model: " + "; ".join(problems))


def _choices(settings):
    """The names of options, what they may be, and what they are."""
    search = settings.search
    return (
        ("method", METHODS, settings.method),
        ("structure", STRUCTURES, settings.structure),
        ("mask_method", ("optimal", "published"), search["method"]),
        ("constraint", ("exactly", "at_most"), search["constraint"]),
        ("edge", ("reject", "partial"), search["edge"]),
    )


def _find_blocks(model):
    """The list of modules that holds the most matrices, the outermost of several."""
    names = [t.module_name for t in targets(model) if not t.reason]
    lists = {
        k: m for k, m in model.named_modules() if isinstance(m, (torch.nn.ModuleList, torch.nn.Sequential)) and len(m)
    }
    counts = {k: sum(name.startswith(f"{k}." if k else "") for name in names) for k in lists}
    best = max(counts, key=counts.get, default=None)
    if best is None or counts[best] == 0:
        raise ValueError("tsenor: the model has no list of layers to prune; name them with blocks=")
    return list(lists[best])


def _plan(model, blocks, settings, default, selection):
    """The matrices of each block, and the report so far, {name: LayerReport}, in the model's order."""
    block_of = {id(module): k for k, block in enumerate(blocks) for module in block.modules()}
    # In rows alone, the outputs need not fill tiles: _obstacle looks at the inputs.
    edge = "partial" if settings.structure == "row-wise" else settings.search["edge"]
    entries, problems = make_plan(model, default, *selection, edge)
    plan, report = [[] for _ in blocks], {}
    for entry in entries:
        reason = entry.reason or _obstacle(entry.target, entry.m, block_of, settings)
        for matrix in _matrices(entry.target, entry.n, entry.m):
            report[matrix.name] = LayerReport(matrix.name, tuple(matrix.view.shape), reason=reason)
            if not reason:
                plan[block_of[id(entry.target.module)]].append(matrix)
    if not problems and not any(plan):
        problems = ["nothing can be pruned: " + "; ".join(sorted({row.reason for row in report.values()}))]
    if problems:
        raise ValueError("tsenor: prune_model changed nothing: " + "; ".join(problems))
    return plan, report


def _obstacle(target, m, block_of, settings):
    """Why a weight that could be sparse cannot be pruned here, or an empty string."""
    if torch.nn.utils.parametrize.is_parametrized(target.module, target.tensor):
        return "parametrized: finalize the model first"
    if id(target.module) not in block_of:
        return "outside the blocks"
    inputs = target.weight.shape[-2 if target.transposed else -1]
    if settings.search["edge"] == "reject" and inputs % m:
        return f"its {inputs} inputs are not a multiple of {m}"
    return ""


def _matrices(target, n, m):
    weight = target.weight.detach()
    matrices = (
        [(target.name, weight)] if weight.dim() < 3 else [(f"{target.name}[{k}]", w) for k, w in enumerate(weight)]
    )
    flip = target.transposed
    return [Matrix(name, w.mT if flip else w, n, m, flip) for name, w in matrices if w.dim() == 2]


def _check_tokens(chain, plan):
    if chain is None:
        return
    widest = max((matrix for block in plan for matrix in block), key=lambda matrix: matrix.view.shape[1])
    if chain.tokens < ENOUGH * widest.view.shape[1]:
        raise ValueError(
            f"tsenor: {chain.tokens} tokens of calibration data are too few for {widest.name} with its "
            f"{widest.view.shape[1]} inputs: "
            f"give at least {int(ENOUGH * widest.view.shape[1])} tokens, better a hundred times as many"
        )


def _prune_block(matrices, chain, settings):
    grams = chain.see(matrices) if chain is not None and matrices else {}
    spectra = {}  # of gram matrices, which layers share
    return [_prune(matrix, grams.get(matrix.name), settings, spectra) for matrix in matrices]


@torch.no_grad()
def _prune(matrix, gram, settings, spectra):
    inputs, method, reason = matrix.view.shape[1], settings.method, ""
    tokens = gram.tokens if gram else 0
    if method != "magnitude" and tokens < ENOUGH * inputs:
        method, reason = "magnitude", f"saw {tokens} tokens, too few for its {inputs} inputs"
    before = matrix.view.to(torch.float32, copy=True).contiguous()
    weight = before.clone()
    start = _now(weight)
    mask = _call(method, weight, matrix, gram, settings, spectra)
    seconds = _now(weight) - start
    matrix.view.copy_(weight)
    magnitudes = before.abs()
    kept = float(torch.where(mask, magnitudes, 0).sum() / magnitudes.sum().clamp(min=torch.finfo(torch.float32).tiny))
    return LayerReport(
        matrix.name,
        tuple(matrix.view.shape),
        f"{matrix.n}:{matrix.m}",
        method,
        reason,
        tokens,
        inputs - int(is_live(gram.matrix).sum()) if gram else 0,
        _error(before, matrix.view, gram),
        kept,
        seconds,
    )


def _call(method, weight, matrix, gram, settings, spectra):
    """Prunes ``weight`` in place, and returns its mask."""
    ops, rule = torch.ops.tsenor, {"structure": settings.structure, **settings.search}
    pattern = matrix.n, matrix.m
    if method == "magnitude":
        return ops.magnitude_(weight, *pattern, **rule)
    if method == "wanda":
        return ops.wanda_(weight, gram.matrix, *pattern, **rule)
    if method == "sparsegpt":
        return ops.sparsegpt_(weight, gram.matrix, *pattern, tokens=gram.tokens, damping=settings.damping, **rule)
    key = id(gram.matrix)
    if key not in spectra:
        spectra[key] = ops.alps_inputs(gram.matrix, settings.damping)
    return ops.alps_(weight, spectra[key], *pattern, iterations=settings.iterations, **rule)[0]


def _error(before, after, gram):
    """Squared error of the outputs, relative to their square."""
    if gram is None:
        return None
    g, difference = clean_gram(gram.matrix), after.float() - before
    error, norm = (float(((w @ g) * w).sum(dtype=torch.float64)) for w in (difference, before))
    return error / norm if norm > 0 else 0.0


def _now(tensor):
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)
    return time.perf_counter()
