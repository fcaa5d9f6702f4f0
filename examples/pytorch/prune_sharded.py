"""Prunes a model whose weights are DTensors, on any number of GPUs or CPUs. Each rank finds the masks of its shards.

    torchrun --nproc-per-node 2 prune_sharded.py --out folder [--preset 8b] [--pattern 8:16] [--stacked] [--digest]

The weights are synthetic, a function of tensor and row, so they do not depend on the number of ranks. Ranks do not
communicate: a shard consists of whole tiles, so its mask is its part of the whole tensor's mask, bit for bit. Each rank
writes its shard's mask to `folder`, whole or not at all. If a rank was killed, run the same command again; it skips
finished masks. With --digest, rank 0 prints one hash of all masks. It is the same for any number of ranks.
"""

import argparse
import functools
import hashlib
import itertools
import json
import os
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard

import tsenor_torch


def shapes_of(preset):
    """The matrices of a decoder: name -> (rows, cols)."""
    hidden, ffn, key_value, layers = {"8b": (4096, 14336, 1024, 32), "tiny": (256, 512, 128, 2)}[preset]
    layer = {"q": (hidden, hidden), "k": (key_value, hidden), "v": (key_value, hidden), "o": (hidden, hidden),
             "gate": (ffn, hidden), "up": (ffn, hidden), "down": (hidden, ffn)}
    return {f"layers.{k}.{name}": shape for k in range(layers) for name, shape in layer.items()}


def shard_rows(rows, m, rank, ranks):
    """The rows of a shard as DTensor's Shard(0) cuts them. ValueError if that cuts through a tile."""
    size = -(-rows // ranks)
    if size % m and size < rows:
        raise ValueError(f"{rows} rows over {ranks} ranks give shards of {size} rows, which is no multiple of M = {m}: "
                         "choose a number of ranks that divides rows / M")
    begin = min(rank * size, rows)
    return begin, min(begin + size, rows)


def synthetic_rows(index, begin, end, cols, device, block=64):
    """Rows of tensor `index`, drawn in blocks with a seed each."""
    blocks = []
    for first in range(begin - begin % block, end, block):
        generator = torch.Generator(device).manual_seed(index * 1_000_003 + first)
        blocks.append(torch.randn(block, cols, device=device, generator=generator).to(torch.bfloat16))
    skipped = begin % block
    if not blocks:
        return torch.empty(0, cols, device=device).bfloat16()
    return torch.cat(blocks)[skipped : skipped + end - begin]


def write_whole(path, mask):
    """The file is there with all of its bytes, or it is not there."""
    partial = path.with_suffix(f".{os.getpid()}.partial")
    torch.save(mask.to("cpu", copy=True), partial)
    os.replace(partial, path)


def missing(shapes, m, mesh, folder, stacked, stop_after):
    """What this rank has to find: a list of tensors as (shape of a matrix, {path: (number, begin, end)}). A tensor is
    one matrix or, `stacked`, one of all layers."""
    shards = [shard_rows(rows, m, mesh.get_rank(), mesh.size()) for rows, _ in shapes.values()]  # before any is written
    tensors = {}
    for number, ((name, shape), (begin, end)) in enumerate(zip(shapes.items(), shards)):
        path = folder / f"{name}.{begin}-{end}.pt"
        if not path.exists() and (stop_after is None or number < stop_after):
            _, matrices = tensors.setdefault(name.split(".")[-1] if stacked else name, (shape, {}))
            matrices[path] = number, begin, end
    return list(tensors.values())


def sharded_weight(shape, matrices, mesh):
    """A DTensor ``[matrices, rows, cols]``, of which each rank has the same rows of every matrix."""
    rows, cols = shape
    local = torch.stack([synthetic_rows(*matrix, cols, mesh.device_type) for matrix in matrices])
    whole = {"shape": (len(local), rows, cols), "stride": (rows * cols, cols, 1)}
    return DTensor.from_local(local, mesh, [Shard(1)], run_check=False, **whole)


def prune_all(shapes, pattern, mesh, folder, stacked=False, stop_after=None):
    """Finds the masks of all matrices that are not finished yet. Returns how many seconds each part took. All weights
    are in memory before the first mask is found, and until the last one is."""
    n, m = pattern
    device, tensors = mesh.device_type, missing(shapes, m, mesh, folder, stacked, stop_after)
    clock = timer(device)
    weights = [sharded_weight(shape, matrices.values(), mesh) for shape, matrices in tensors]
    masks = [torch.empty(weight.to_local().shape, dtype=torch.bool, device=device) for weight in weights]
    in_turn = itertools.cycle(turns(device))  # PyTorch's first stream makes all of its pool
    seconds = {"make": clock()}
    for weight, mask, turn in zip(weights, masks, in_turn):
        turn()
        tsenor_torch.prune_(weight, n, m, mask_out=mask)  # this rank's tiles, without a word to the others
    seconds["find"] = clock()
    for (_, matrices), mask in zip(tensors, masks):
        for path, matrix in zip(matrices, mask):
            write_whole(path, matrix)
    seconds["save"] = clock()
    if stop_after is not None:
        os._exit(1)  # as if killed
    return {"rank": mesh.get_rank(), "weights": sum(mask.numel() for mask in masks), **seconds}


def turns(device):
    """Calls that choose one of two streams on a GPU: a tensor's last tiles and the next one's first share it."""
    if device != "cuda":
        return [lambda: None]
    return [functools.partial(torch.cuda.set_stream, torch.cuda.Stream()) for _ in range(2)]


def timer(device):
    """Seconds since the last call, the device's work included."""
    last = time.perf_counter()

    def lap():
        nonlocal last
        if device == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        last, passed = now, now - last
        return passed

    return lap


def digest(shapes, folder):
    """The number of masks, and one hash of all. Each mask is put together from the shards in the folder."""
    whole = hashlib.sha256()
    for name in shapes:
        parts = sorted(folder.glob(f"{name}.*-*.pt"), key=lambda p: int(p.name[len(name) + 1 :].split("-")[0]))
        mask = torch.cat([torch.load(p) for p in parts])
        assert tuple(mask.shape) == tuple(shapes[name]), f"{name}: shards of {tuple(mask.shape)}"
        whole.update(f"{name} {hashlib.sha256(mask.numpy().tobytes()).hexdigest()[:16]}\n".encode())
    return {"tensors": len(shapes), "sha256": whole.hexdigest()[:16]}


def mesh_of(device):
    """All ranks in a row, each with a GPU of its own."""
    if device == "cuda":
        own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(own)
        dist.init_process_group("nccl", device_id=own)
    else:
        dist.init_process_group("gloo")
    return init_device_mesh(device, (dist.get_world_size(),))


def warm_up(mesh, n, m):
    """Loads the kernels and whatever else a first call does."""
    local = torch.zeros(1, 8 * m, 8 * m, device=mesh.device_type, dtype=torch.bfloat16)
    weight = DTensor.from_local(local, mesh, [Shard(1)], run_check=False)
    tsenor_torch.prune_(weight, n, m, mask_out=torch.empty_like(local, dtype=torch.bool))


def say(record):
    """A line in one write, so that those of several ranks do not mix."""
    sys.stdout.write(json.dumps(record) + "\n")
    sys.stdout.flush()


def section(record, table):
    """Lines of report.py; ``table(head, rows)`` makes lines of one."""
    runs, e = record["runs"], record["environment"]
    times = {}
    for run in runs:
        if not run["resumed_after_a_kill"]:
            slowest = max(rank["find"] for rank in run["of_rank"])
            times.setdefault((run["pattern"], run["stacked"], run["ranks"]), []).append(slowest)
    times = {key: statistics.median(seconds) for key, seconds in sorted(times.items())}
    weights = sum(rank["weights"] for rank in runs[0]["of_rank"])
    rows = [[pattern, "one of all layers" if stacked else "each matrix", ranks, f"{1e3 * t:.1f}",
             f"{weights / t / 1e9:.0f}", f"{times[pattern, stacked, 1] / t:.2f}"]
            for (pattern, stacked, ranks), t in times.items()]
    return [
        "## Many GPUs", "",
        f"A synthetic decoder of {weights / 1e9:.2f} billion weights in bfloat16 ({e['command']}) was pruned on "
        f"{e['gpus']} {e['gpu']} of one host. The times go from the first to the last mask of the slowest rank; the "
        "weights were already on the GPUs. A tensor is one matrix, or one matrix of all layers (--stacked), which "
        "needs fewer calls.", "",
        *table(["pattern", "a tensor is", "GPUs", "ms", "billion weights a second", "times one"], rows),
        equal(runs), "",
    ]


def equal(runs):
    """A sentence about the masks of all runs."""
    masks = {}
    for run in runs:
        if "digest" in run:
            masks.setdefault(run["pattern"], set()).add(run["digest"]["sha256"])
    same = "the same bit for bit" if all(len(hashes) == 1 for hashes in masks.values()) else "**not the same**"
    killed = sorted(f"{run['pattern']} on {run['ranks']}" for run in runs if run["resumed_after_a_kill"])
    return (f"The masks of {runs[0]['digest']['tensors']} matrices are {same} on any number of GPUs, in one tensor or "
            f"in many, and after ranks were killed half-way ({', '.join(killed)} GPUs), when a second run found what "
            "was missing.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the masks")
    parser.add_argument("--preset", choices=("tiny", "8b"), default="tiny", help="size of the model (default: tiny)")
    parser.add_argument("--pattern", default="8:16", help="N:M (default: 8:16)")
    parser.add_argument("--stacked", action="store_true",
                        help="hold a matrix of all layers in one tensor, as models that scan their layers do")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu",
                        help="default: cuda if there is a device")
    parser.add_argument("--digest", action="store_true", help="print one hash of all masks")
    parser.add_argument("--stop-after", type=int, help="for tests: exit silently before this tensor")
    given = parser.parse_args()
    pattern = tuple(int(k) for k in given.pattern.split(":"))
    mesh = mesh_of(given.device)
    given.out.mkdir(parents=True, exist_ok=True)
    shapes = shapes_of(given.preset)
    warm_up(mesh, *pattern)
    say(prune_all(shapes, pattern, mesh, given.out, given.stacked, given.stop_after))
    dist.barrier()
    if given.digest and mesh.get_rank() == 0:
        say({"digest": digest(shapes, given.out)})
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
