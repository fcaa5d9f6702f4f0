"""The operators on DTensors: each rank solves the tiles that it has, without communication.

Shards have to consist of whole tiles. Then the local masks are, bit for bit, the parts of the mask that one process
would find.
"""

import functools

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor, Replicate, Shard

from .masks import TileReports, tile_count, tile_reports

_ops = torch.ops.tsenor


def _local(tensor):
    if not isinstance(tensor, DTensor):
        return tensor
    with torch.no_grad():
        return tensor.to_local()


@functools.lru_cache(maxsize=16)
def _ranks_of(mesh):
    """The ranks along each dimension of a mesh, which PyTorch works out anew in each call."""
    return tuple(mesh.shape)


def require_whole_tiles(weight, m):
    """ValueError unless each rank's part of ``weight`` ``[..., rows, cols]`` consists of whole m x m tiles."""
    if not isinstance(weight, DTensor):
        raise RuntimeError("tsenor: got mixed torch.Tensor and DTensor: make the weight and its mask DTensors as well")
    left = list(weight.shape)
    for ranks, placement in zip(_ranks_of(weight.device_mesh), weight.placements):
        if type(placement) is Replicate:
            continue
        if type(placement) is not Shard:
            raise ValueError(f"tsenor: a weight that is {placement} has no values to rank: redistribute it to Shard(0)")
        dim = placement.dim
        shard = -(-left[dim] // ranks)
        if dim >= weight.dim() - 2 and shard % m and shard < left[dim]:
            raise ValueError(
                f"tsenor: {placement} of a weight {tuple(weight.shape)} cuts through tiles: {left[dim]} over {ranks} "
                f"ranks gives shards of {shard}, which is no multiple of M = {m}: choose a number of ranks that gives "
                "whole tiles, or redistribute the weight to Replicate()"
            )
        left[dim] = shard


def _require_placed(name, tensor, weight, placements):
    """A DTensor has to lie as the weight does; a plain one is taken as this rank's part."""
    if isinstance(tensor, DTensor) and (tensor.device_mesh != weight.device_mesh or tensor.placements != placements):
        raise ValueError(f"tsenor: {name} must have the placements {placements} on the weight's mesh, not "
                         f"{tensor.placements}: redistribute it")


def _norms_placements(weight):
    last = weight.dim() - 1
    return tuple(Shard(0) if p == Shard(last) else Replicate() for p in weight.placements)


def _tiles_placements(weight, what):
    """Where the rows ``[tiles, ...]`` are: in the order of the tiles, which sharded columns would mix."""
    if any(p.is_shard() and p.dim != 0 for p in weight.placements):
        raise NotImplementedError(
            f"tsenor: {what} of a weight with {weight.placements} is not supported: only its first dimension may be "
            "sharded"
        )
    return weight.placements


def tile_reports_of(report: Tensor) -> TileReports:
    """The fields of a report that is a DTensor. DTensors of PyTorch 2.6 to 2.9 lack what taking them apart needs."""

    def placed(field):
        return DTensor.from_local(
            field, report.device_mesh, report.placements, run_check=False, shape=report.shape[:1], stride=field.stride()
        )

    return TileReports(*map(placed, tile_reports(_local(report))))


def _check(weight, m, importance, column_norms):
    require_whole_tiles(weight, m)
    _require_placed("importance", importance, weight, weight.placements)
    _require_placed("column_norms", column_norms, weight, _norms_placements(weight))


def _find_mask(weight, n, m, importance=None, column_norms=None, *, with_report=False, **options):
    _check(weight, m, importance, column_norms)
    mesh, placements = weight.device_mesh, weight.placements
    by_tile = _tiles_placements(weight, "the report") if with_report else [Replicate()] * mesh.ndim
    mask, report = _ops.find_mask(
        *map(_local, (weight, n, m, importance, column_norms)), with_report=with_report, **options
    )
    shape = (tile_count(weight, m) if with_report else 0, 4)
    return (
        DTensor.from_local(mask, mesh, placements, run_check=False, shape=weight.shape, stride=weight.stride()),
        DTensor.from_local(report, mesh, by_tile, run_check=False, shape=torch.Size(shape), stride=(4, 1)),
    )


def _find_mask_(mask, weight, n, m, importance=None, column_norms=None, prices=None, **options):
    _check(weight, m, importance, column_norms)
    _require_placed("mask", mask, weight, weight.placements)
    if isinstance(prices, DTensor):
        _require_placed("prices", prices, weight, _tiles_placements(weight, "prices"))
    _ops.find_mask_(*map(_local, (mask, weight, n, m, importance, column_norms, prices)), **options)


def _prune_(weight, n, m, importance=None, column_norms=None, mask=None, **options):
    _check(weight, m, importance, column_norms)
    _require_placed("mask", mask, weight, weight.placements)
    _ops.prune_(*map(_local, (weight, n, m, importance, column_norms, mask)), **options)


def _keep(weight, mask, gradient="straight_through"):
    return weight.masked_fill(mask.logical_not(), 0)


def _refuse(name):
    def refuse(*args, **kwargs):
        raise NotImplementedError(
            f"tsenor: {name} takes whole matrices, not DTensors: pass full_tensor() of each, or use find_mask or "
            "prune_, which take DTensors"
        )

    return refuse


_WHOLE = "gram_", "magnitude_", "wanda_", "sparsegpt_", "alps_inputs", "alps_"

for name, rule in (
    ("find_mask", _find_mask),
    ("find_mask_", _find_mask_),
    ("prune_", _prune_),
    ("keep", _keep),
    *((name, _refuse(name)) for name in _WHOLE),
):
    torch.library.register_torch_dispatch(
        f"tsenor::{name}", DTensor, lambda cls, func, types, args, kwargs, rule=rule: rule(*args, **kwargs)
    )
