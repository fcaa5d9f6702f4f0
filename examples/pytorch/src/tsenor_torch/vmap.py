"""Rules for torch.vmap: the operators take batches, so a vmapped dimension becomes a leading one."""

import torch

_ops = torch.ops.tsenor


def _leading(tensor, dim, size):
    """The vmapped dimension first; a tensor that is not vmapped is the same for all."""
    if tensor is None:
        return None
    return tensor.movedim(dim, 0) if dim is not None else tensor.expand(size, *tensor.shape)


def _values(info, in_dims, weight, importance, column_norms):
    """The weights and what they are worth, with a leading dimension. Norms that differ within the batch become importances."""
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
    return (mask, report.unflatten(0, (info.batch_size, -1)) if len(report) else report), (0, 0 if len(report) else None)


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
def _(info, in_dims, x, *layer):
    if any(dim is not None for dim in in_dims[1:]):
        raise NotImplementedError("tsenor: vmap over the weights of linear24: only over x; several layers are a loop")
    return _ops.linear24(x.movedim(in_dims[0], 0), *layer), 0


def _require_batched(name, **dims):
    """In the words of PyTorch's own in-place operators."""
    for tensor, dim in dims.items():
        if dim is None:
            raise RuntimeError(f"vmap: tsenor::{name} writes to {tensor}, which is not vmapped: it would have to hold the "
                               "results of the whole batch")
