"""What two processes do in test_sharding.py: ``torchrun --nproc-per-node 2 ranks.py FOLDER``. Each rank writes what it
saw."""

import json
import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, set_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import Shard, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

import tsenor_torch
from tsenor_torch import plain_state_dict
from tsenor_torch.sparsify import sparse_layers


class Model(torch.nn.Module):
    """Two linear layers and a batch of experts."""

    def __init__(self, rows=64):
        super().__init__()
        self.first, self.last = torch.nn.Linear(32, rows), torch.nn.Linear(rows, 32)
        self.experts = Experts(rows)

    def forward(self, x):
        return self.last(self.experts(torch.relu(self.first(x))))


class Experts(torch.nn.Module):
    def __init__(self, rows):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(3, rows, rows) / 8)

    def forward(self, x):
        return torch.einsum("eoi,bi->bo", self.weight, x)


def model_of(seed, **arguments):
    torch.manual_seed(seed)
    model = Model(**arguments)
    tsenor_torch.sparsify(model, 8, 16)
    return model


def shard(model):
    for module in (model.first, model.last, model):
        fully_shard(module)
    return model


def train(model, steps, start=0, width=32, **arguments):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    refresh = tsenor_torch.MaskRefresh(model, optimizer, **{"every": 2, "measure_flips": True} | arguments)
    for step in range(start, start + steps):
        x = torch.randn(16, width, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    return refresh


def masks(model):
    return {layer.name.removeprefix("module."): layer.sparsity.mask.clone() for layer in sparse_layers(model)}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def refused(action):
    try:
        action()
    except (ValueError, RuntimeError) as error:
        return str(error)
    return "accepted"


def ddp(folder):
    model = torch.nn.parallel.DistributedDataParallel(model_of(dist.get_rank()))  # rank 0's weights are everyone's
    train(model, 3)
    alone = model_of(0)
    train(alone, 3)
    return {"buffers": len(model.modules_buffers), "masks": same(masks(model), masks(alone))}


def fsdp2(folder):
    alone, model = model_of(0), shard(model_of(0))
    refreshes = [train(it, 5) for it in (alone, model)]
    full = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
    result = {
        "masks": same(masks(alone), masks(model)), "weights": same(alone.state_dict(), full),
        "flips": all(torch.equal(refreshes[0].flips[k], refreshes[1].flips[k]) for k in refreshes[0].flips),
        "plain": same(plain_state_dict(alone.state_dict()), whole(plain_state_dict(model.state_dict()))),
        "finalize": refused(lambda: tsenor_torch.finalize(model)),
    }
    tsenor_torch.sparsify(alone, 4, 8)
    tsenor_torch.sparsify(model, 4, 8)
    return result | {"other pattern": same(masks(alone), masks(model))}


def whole(state):
    return {name: it.full_tensor() if hasattr(it, "full_tensor") else it for name, it in state.items()}


def decay(folder):
    alone, model = model_of(0), shard(model_of(0))
    schedule = tsenor_torch.decreasing_n(0, 4)
    for it in (alone, model):
        train(it, 4, decay=0.1, schedule=schedule, importance=lambda name, weight: weight * weight)
    full = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
    return {"masks": same(masks(alone), masks(model)), "weights": same(alone.state_dict(), full)}


def checkpoints(folder):
    model = shard(model_of(0))
    train(model, 3)
    state = get_model_state_dict(model)
    dcp.save(state, checkpoint_id=folder / "checkpoint")
    other = shard(model_of(1))
    loaded = get_model_state_dict(other)
    dcp.load(loaded, checkpoint_id=folder / "checkpoint")
    set_model_state_dict(other, loaded)
    full = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
    third = shard(model_of(2))
    set_model_state_dict(third, full, options=StateDictOptions(full_state_dict=True))
    fourth = shard(model_of(2))
    fourth_refused = refused(lambda: fourth.load_state_dict(plain_state_dict(model.state_dict())))
    return {
        "sharded": same(masks(model), masks(other)), "steps": sparse_layers(other)[0].sparsity.clock.steps,
        "full": same(masks(model), masks(third)), "dense": [fourth_refused, same(masks(model), masks(fourth))],
        "other pattern": refused(lambda: load_other_pattern(state)),
    }


def load_other_pattern(state):
    torch.manual_seed(0)
    model = Model()
    tsenor_torch.sparsify(model, 4, 8)
    set_model_state_dict(shard(model), state)


def fsdp1(model):
    """Looks like FSDP1's wrapper, which itself wants a GPU."""
    wrapper = FullyShardedDataParallel.__new__(FullyShardedDataParallel)
    torch.nn.Module.__init__(wrapper)
    wrapper._modules["_fsdp_wrapped_module"] = model
    return wrapper


def linear24(folder):
    """2:4 layers find the masks of whole weights; the phases, decay and soft pruning are those of one process."""
    result = {}
    for pruning in ("hard", "soft"):
        alone, model, other = layers24(pruning), shard24(layers24(pruning)), shard24(layers24(pruning, seed=1))
        phases = tsenor_torch.dense_phases(6, end=1 / 3)
        for it in (alone, model):
            train(it, 3, width=64, measure_flips=False, decay=0.1, schedule=phases)
        set_model_state_dict(other, get_model_state_dict(model))
        result[pruning] = same(masks(alone), masks(model)) and same(masks(model), masks(other))
        for it in (alone, model):
            train(it, 3, 3, width=64, measure_flips=False, decay=0.1, schedule=phases)
        x = torch.randn(16, 64)
        full = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
        result[f"{pruning}, dense end"] = torch.equal(alone(x), model(x)) and same(alone.state_dict(), full)
    flips = train(shard24(layers24("hard")), 0, width=64)
    return result | {"flips": refused(flips.refresh)}


def layers24(pruning, seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(*(tsenor_torch.Linear24(64, 64, pruning=pruning) for _ in range(2)))


def shard24(model):
    for module in (*model, model):
        fully_shard(module)
    return model


TINY = ["--size", "tiny", "--steps", "6", "--tests", "2", "--kinds", "dense", "masks"]


def training(folder):
    """What training.py records by DDP and by FSDP2, but for the clock."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    import training as script

    script.Ranks.end = lambda _: dist.barrier()
    result = {}
    for how in ("ddp", "fsdp"):
        sys.argv = ["training.py", "--out", str(folder / how), *TINY, *(["--fsdp"] if how == "fsdp" else [])]
        script.main()
        runs = json.loads((folder / how / "training.json").read_text())["parts"][0]["runs"]
        result[how] = [[loss for *_, loss in run["curve"]] for run in runs], [run["masks_sha256"] for run in runs]
    return result


def refusals(folder):
    mesh = init_device_mesh("cpu", (2,))
    sharded = fully_shard(Model())
    cut = model_of(0, rows=48)
    shard(cut)
    late = model_of(0, rows=48)
    refresh = tsenor_torch.MaskRefresh(late, None, every=1)
    shard(late)
    by_hand = model_of(0)
    stages = by_hand.first.parametrizations.weight
    stages.original = torch.nn.Parameter(distribute_tensor(stages.original.detach(), mesh, [Shard(1)]))
    return {
        "after fully_shard": refused(lambda: tsenor_torch.sparsify(sharded, 8, 16)),
        "cut": refused(lambda: tsenor_torch.MaskRefresh(cut, None)), "cut late": refused(refresh.step),
        "cut refresh": refused(lambda: tsenor_torch.refresh(cut)),
        "fsdp1": refused(lambda: tsenor_torch.MaskRefresh(fsdp1(model_of(0)), None)),
        "tensor parallel": refused(
            lambda: tsenor_torch.sparsify(parallelize_module(Model(), mesh, {"first": ColwiseParallel()}), 8, 16)
        ),
        "by hand": refused(lambda: tsenor_torch.MaskRefresh(by_hand, None)),
        "by hand forward": refused(lambda: by_hand(torch.randn(4, 32))),
    }


def main(folder):
    dist.init_process_group("gloo")
    seen = {case.__name__: case(folder) for case in (ddp, fsdp2, decay, linear24, training, checkpoints, refusals)}
    (folder / f"rank{dist.get_rank()}.json").write_text(json.dumps(seen))
    dist.barrier()
    dist.destroy_process_group()
    os._exit(0)  # a thread of gloo may still drop a tensor, which aborts while Python takes itself down


if __name__ == "__main__":
    main(Path(sys.argv[1]))
