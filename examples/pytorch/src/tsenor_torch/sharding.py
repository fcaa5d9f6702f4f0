"""Sharded weights: each rank finds the masks of its tiles, and then the ranks exchange them.

A weight is sharded if it is a DTensor, as ``fully_shard`` (FSDP2) makes it. Its layer multiplies by the whole weight,
so every rank keeps the whole mask, one byte for each weight. Masks are exchanged only in the steps that find new ones.
"""

import torch


def is_sharded(weight):
    return hasattr(weight, "placements")


def problem(weight, m):
    """Why the mask of a weight cannot be found part by part; empty where it can. The same on every rank, without
    communication."""
    if not is_sharded(weight):
        return ""
    from .dtensor import require_whole_tiles

    try:
        require_whole_tiles(weight, m)
    except ValueError as error:
        return str(error).removeprefix("tsenor: ")
    return ""


def whole(part, weight):
    """The whole bool tensor of which this rank's ``part`` lies where its part of ``weight`` does. All ranks have to
    call it."""
    if not is_sharded(weight):
        return part
    from torch.distributed.tensor import DTensor

    sharded = DTensor.from_local(
        part.to(torch.uint8), weight.device_mesh, weight.placements, run_check=False, shape=weight.shape,
        stride=weight.stride()
    )
    return sharded.full_tensor().bool()


def placed(tensor, weight):
    """A tensor that every rank has, as a DTensor placed like ``weight``, or replicated where its shape is another
    one."""
    if not is_sharded(weight):
        return tensor
    from torch.distributed.tensor import Replicate, distribute_tensor

    placements = weight.placements if tensor.shape == weight.shape else [Replicate()] * weight.device_mesh.ndim
    return distribute_tensor(tensor, weight.device_mesh, placements, src_data_rank=None)


def local(tensor):
    """This rank's part."""
    return tensor.to_local() if is_sharded(tensor) else tensor


def refusals(model, layers):
    """Why new masks cannot be found for a model, one line for each weight; see :class:`tsenor_torch.MaskRefresh`."""
    flat = [name for name, module in model.named_modules() if _is(module, "FullyShardedDataParallel")]
    if flat:
        what = flat[0] or "the model"
        return [f"{what} is wrapped by FullyShardedDataParallel (FSDP1), which flattens weights: use fully_shard"]
    fully_sharded = any(_is(module, "FSDPModule") for module in model.modules())
    found = []
    for layer in layers:
        weight = layer.stored()
        if is_sharded(weight) and not fully_sharded:
            found.append(f"{layer.name} is a DTensor without fully_shard: tensor parallel layers are not supported")
        elif why := problem(weight, layer.sparsity.m):
            found.append(f"{layer.name}: {why}")
        elif layer.sparsity.first and weight.shape != layer.sparsity.mask.shape:
            shapes = f"{tuple(weight.shape)}, but its mask has {tuple(layer.sparsity.mask.shape)}"
            found.append(f"{layer.name} has shape {shapes}: was the weight partitioned, as by DeepSpeed's ZeRO-3?")
    return found


def _is(module, name):
    return any(c.__name__ == name for c in type(module).__mro__)


def agree(layers):
    """Gives every rank the masks of rank 0, as DDP's constructor does with the weights."""
    for layer in layers:
        mask = layer.sparsity.mask.to(torch.uint8)
        torch.distributed.broadcast(mask, 0)
        layer.sparsity.mask.copy_(mask)
