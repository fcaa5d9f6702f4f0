"""Rules for torch.vmap: the operators take batches, so a vmapped dimension becomes a leading one."""

import torch

_ops = torch.ops.tsenor


def _leading(tensor, dim, size):
    """The vmapped dimension first; a tensor that is not vmapped is the same for all."""
    if tensor is None:
        return None
    return tensor.movedim(dim, 0) if dim is not None else tensor.expand(size, *tensor.shape)


def _values(info, in_dims, weight, importance, column_norms):
    """The weights and their importances, with a leading dimension. Norms that differ in it become importances."""
    size = info.batch_size
    norms_dim = in_dims[-1]
    if norms_dim is not None:
        norms = column_norms.movedim(norms_dim, 0)
        norms = norms.reshape(size, *(1,) * (weight.dim() - (in_dims[0] is not None) - 1), norms.shape[-1])
        weight = _leading(weight, in_dims[0], size)
        return weight, weight.abs() * norms.to(torch.promote_types(weight.dtype, torch.float32)), None
    return _leading(weight, in_dims[0], size), _leading(importance, in_dims[1], size), column_norms


@torch.library.register_vmap("tsenor::find_mask")
def _(info, in_dims, weight, n, m, importance=None, column_norms=None, **options):
    dims = (*in_dims, None, None)
    values = _values(info, (dims[0], dims[3], dims[4]), weight, importance, column_norms)
    mask, report = _ops.find_mask(values[0], n, m, *values[1:], **options)
    if not len(report):
        return (mask, report), (0, None)
    return (mask, report.unflatten(0, (info.batch_size, -1))), (0, 0)


@torch.library.register_vmap("tsenor::find_mask_")
def _(info, in_dims, mask, weight, n, m, importance=None, column_norms=None, prices=None, **options):
    dims = (*in_dims, None, None, None)
    _require_batched("find_mask_", mask=dims[0], prices=0 if prices is None else dims[6])
    values = _values(info, (dims[1], dims[4], dims[5]), weight, importance, column_norms)
    starts = None if prices is None else prices.movedim(dims[6], 0).flatten(0, 1)
    _ops.find_mask_(mask.movedim(dims[0], 0), values[0], n, m, *values[1:], starts, **options)
    if starts is not None:
        prices.copy_(starts.view(info.batch_size, -1, *starts.shape[1:]).movedim(0, dims[6]))
    return None, None


@torch.library.register_vmap("tsenor::prune_")
def _(info, in_dims, weight, n, m, importance=None, column_norms=None, mask=None, **options):
    dims = (*in_dims, None, None, None)
    _require_batched("prune_", weight=dims[0], mask=0 if mask is None else dims[5])
    pruned = weight.movedim(dims[0], 0)
    values = _values(info, (dims[0], dims[3], dims[4]), weight, importance, column_norms)
    _ops.prune_(pruned, n, m, *values[1:], None if mask is None else mask.movedim(dims[5], 0), **options)
    return None, None


@torch.library.register_vmap("tsenor::keep")
def _(info, in_dims, weight, mask, *gradient):
    tensors = (_leading(t, dim, info.batch_size) for t, dim in zip((weight, mask), in_dims))
    return _ops.keep(*tensors, *gradient), 0


@torch.library.register_vmap("tsenor::linear24")
def _(info, in_dims, x, weight, bias, pruned, compressed, transposed, mask, type, mvue=False):
    x = _leading(x, in_dims[0], info.batch_size)
    if _is_one_layer(in_dims[1:]):
        return _ops.linear24(x, weight, bias, pruned, compressed, transposed, mask, type, mvue), 0
    size = info.batch_size
    operand = _dense(size, (in_dims[1], in_dims[3], in_dims[6]), weight, pruned, mask)
    y = x.to(type).reshape(size, -1, x.shape[-1]) @ operand.mT
    if bias is not None:
        y = y + _leading(bias, in_dims[2], size).to(type).unsqueeze(1)
    return y.to(x.dtype).view(*x.shape[:-1], -1), 0


@torch.library.register_vmap("tsenor::linear24_backward")
def _(info, in_dims, dy, x, weight, pruned, transposed, mask, wanted, mvue=False):
    size = info.batch_size  # of weight gradients, which are dense: what is right is also right in the mean
    dy, x = (_leading(t, dim, size) for t, dim in zip((dy, x), in_dims))
    dx, dw, db = (dy.new_empty(size, 0) for _ in range(3))
    if wanted[0] and _is_one_layer(in_dims[2:]):
        rows = (t.flatten(0, 1) for t in (dy, x))
        dx = _ops.linear24_backward(*rows, weight, pruned, transposed, mask, [True, False, False])[0].view(x.shape)
    elif wanted[0]:
        dx = dy @ _dense(size, (in_dims[2], in_dims[3], in_dims[5]), weight, pruned, mask)
    if wanted[1]:
        dw = dy.mT @ x
        dw = dw if mask is None else torch.where(_leading(mask, in_dims[5], size), dw, 0)
    return (dx, dw, dy.sum(1) if wanted[2] else db), (0, 0, 0)


def _one_by_one(name, written, returned):
    """The pruners take one matrix at a time."""

    def rule(info, in_dims, *args, **options):
        if written:
            _require_batched(name, **{written: in_dims[0]})
        dims = (*in_dims, *[None] * (len(args) - len(in_dims)))
        results = [
            getattr(_ops, name)(*(a if d is None else a.select(d, k) for a, d in zip(args, dims)), **options)
            for k in range(info.batch_size)
        ]
        if returned == 0:
            return None, None
        if returned == 1:
            return torch.stack(results), 0
        return tuple(torch.stack(r) for r in zip(*results)), (0,) * returned

    torch.library.register_vmap(f"tsenor::{name}", rule)


for _pruner in ("magnitude_", "wanda_", "sparsegpt_"):
    _one_by_one(_pruner, "weight", 1)
_one_by_one("alps_", "weight", 2)
_one_by_one("alps_inputs", None, 1)
_one_by_one("gram_", "gram", 0)


def _is_one_layer(in_dims):
    return all(dim is None for dim in in_dims)


def _dense(size, dims, weight, pruned, mask):
    """What autograd takes for the weights of the layers, ``[size, out, in]``: the pruned ones as values."""
    if pruned is None:
        raise NotImplementedError(
            "tsenor: vmap over layers of linear24 needs the pruned weights, which a layer with sparse products in both "
            "passes does not have"
        )
    weight, pruned, mask = (_leading(t, dim, size) for t, dim in zip((weight, pruned, mask), dims))
    learns = weight if mask is None else torch.where(mask, weight, 0)
    return pruned + (learns - learns.detach()).to(pruned.dtype)


def _require_batched(name, **dims):
    """In the words of PyTorch's own in-place operators."""
    for tensor, dim in dims.items():
        if dim is None:
            raise RuntimeError(
                f"vmap: tsenor::{name} writes to {tensor}, which is not vmapped: it would have to hold the results of "
                "the whole batch"
            )
