"""Trains a decoder of bytes dense and with 2:4 products, on the same text in the same order. Writes how long each took
to reach the final loss of dense training to FOLDER/training.json, for report.py.

    python training.py --text text.xz --out FOLDER --seconds 60 --kinds dense masks mvue both
    python training.py --text text.xz --out FOLDER --size small --steps 1000 --seeds 0 1 2
    torchrun --nproc-per-node 4 training.py --text text.xz --out FOLDER --steps 1000 [--fsdp]

Kinds: 'masks' has 2:4 transposable weights; 'mvue' has dense weights and a 2:4 weight gradient; 'both' has both. Each
kind except dense is trained with each recipe, or with those whose names begin with the kind, such as both:time=0.9. A
recipe names its changes to every=1, decay=0, dense_start=0, dense_end=0.1667, pruning=hard, dense_weights=0, time=1:
of the steps, the first and last shares are dense, and in the share before the last the weights are dense, but not the
weight gradient of 'both'. With --seconds a run has as many steps as fit into that time, or into a recipe's share of it.
Runs that are in FOLDER already are not repeated; an interrupted run resumes from its last checkpoint. Under torchrun
the ranks share the batch.
Each finds its own masks, and the script checks that they are the same. Give --batch to keep the number of pieces for
each GPU. text.py makes the text.
"""

import argparse
import functools
import gc
import hashlib
import json
import math
import os
import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple

import torch
import torch.distributed as dist
from text import Text
from time_to_loss import HEAD, groups, row

from tsenor_torch import Linear24, MaskRefresh, MvueLinear, dense_phases

SIZES = {
    "tiny": {"hidden": 64, "heads": 2, "layers": 1, "batch": 4, "length": 64, "rate": 3e-3},
    "small": {"hidden": 768, "heads": 12, "layers": 6, "batch": 32, "length": 512, "rate": 6e-4},
    "decoder": {"hidden": 2048, "heads": 16, "layers": 4, "batch": 32, "length": 512, "rate": 3e-4},
    "large": {"hidden": 4096, "heads": 32, "layers": 2, "batch": 32, "length": 512, "rate": 2e-4},
}
KINDS = {"dense": (False, False), "masks": (True, False), "mvue": (False, True), "both": (True, True)}
EVALUATIONS = (0.1, 0.25, 0.5, 0.6, 0.7, 0.75, 0.8, 0.84, 0.88, 0.92, 0.96, 1.0)  # shares of a run
FLIPS_EVERY = 10  # refreshes


class Recipe(NamedTuple):
    """What MaskRefresh and Linear24 are told."""

    every: int = 1
    decay: float = 0.0
    dense_start: float = 0.0
    dense_end: float = 1 / 6
    pruning: str = "hard"
    dense_weights: float = 0.0  # share of the steps before the dense end
    time: float = 1.0  # of --seconds or --steps

    @classmethod
    def of(cls, text):
        """'both:decay=1e-4,dense_end=0' -> the kind, or None where it names none, and the Recipe."""
        kind, _, rest = text.rpartition(":")
        given = dict(item.split("=", 1) for item in rest.split(",") if item)
        if kind and kind not in KINDS:
            raise argparse.ArgumentTypeError(f"a recipe is for one of {', '.join(KINDS)}, not {kind}")
        if unknown := given.keys() - set(cls._fields):
            raise argparse.ArgumentTypeError(f"a recipe has {', '.join(cls._fields)}, not {', '.join(sorted(unknown))}")
        recipe = cls(**{name: type(cls._field_defaults[name])(value) for name, value in given.items()})
        if recipe.dense_start + recipe.dense_weights + recipe.dense_end > 1:
            raise argparse.ArgumentTypeError(f"{text}: dense shares are more than all of the steps")
        return kind or None, recipe


class Block(torch.nn.Module):
    """A decoder block: attention and a gated MLP."""

    def __init__(self, hidden, heads):
        super().__init__()
        linear, ffn = lambda a, b: torch.nn.Linear(a, b, bias=False), 4 * hidden
        self.heads, self.norms = heads, torch.nn.ModuleList(torch.nn.RMSNorm(hidden) for _ in range(2))
        self.qkv, self.out = linear(hidden, 3 * hidden), linear(hidden, hidden)
        self.gate, self.up, self.down = linear(hidden, ffn), linear(hidden, ffn), linear(ffn, hidden)

    def forward(self, x):
        q, k, v = self.qkv(self.norms[0](x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attention = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attention.transpose(1, 2).flatten(2))
        h = self.norms[1](x)
        return x + self.down(torch.nn.functional.silu(self.gate(h)) * self.up(h))


class Decoder(torch.nn.Module):
    """Of bytes."""

    def __init__(self, size):
        super().__init__()
        hidden = size["hidden"]
        self.embedding, self.position = torch.nn.Embedding(256, hidden), torch.nn.Embedding(size["length"], hidden)
        self.blocks = torch.nn.Sequential(*(Block(hidden, size["heads"]) for _ in range(size["layers"])))
        self.norm, self.head = torch.nn.RMSNorm(hidden), torch.nn.Linear(hidden, 256, bias=False)

    def forward(self, tokens):
        x = self.embedding(tokens) + self.position.weight[: tokens.shape[1]]
        return self.head(self.norm(self.blocks(x)))


def layer_of(kind, recipe, **arguments):
    """What makes a kind's layer of a linear one."""
    masks, mvue = KINDS[kind]
    if not masks:
        return functools.partial(MvueLinear.of, **arguments)
    arguments |= {"pruning": recipe.pruning} | ({"weight_gradient": "mvue"} if mvue else {})
    return functools.partial(Linear24.of, **arguments)


class Ranks:
    """The processes that train together, one alone without torchrun."""

    def __init__(self, fsdp=False):
        self.count, self.rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        cuda, self.fsdp = torch.cuda.is_available(), fsdp
        self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
        if cuda:
            torch.cuda.set_device(self.device)
        if self.count > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if cuda else "gloo")
        if fsdp and self.count == 1:
            raise SystemExit("training.py: --fsdp is for torchrun")

    @property
    def part(self):
        """Of a batch."""
        return slice(self.rank, None, self.count)

    def wrapped(self, model):
        if self.count == 1:
            return model
        if not self.fsdp:
            return torch.nn.parallel.DistributedDataParallel(model)
        from torch.distributed.fsdp import fully_shard

        for module in (*model.blocks, model):
            fully_shard(module)
        return model

    def mean(self, value):
        if self.count > 1:
            dist.all_reduce(value)
        return float(value) / self.count

    def agreed(self, value):
        """That of rank 0."""
        values = [value]
        if self.count > 1:
            dist.broadcast_object_list(values)
        return values[0]

    def same(self, what, value):
        """The value that all ranks have; RuntimeError if they differ."""
        values = [None] * self.count
        dist.all_gather_object(values, value)
        if len(set(values)) > 1:
            raise RuntimeError(f"training.py: {what} differ between ranks: {values}")
        return value

    def synchronize(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def end(self):
        if self.count > 1:
            dist.barrier()
            dist.destroy_process_group()
            sys.stdout.flush()
            os._exit(0)  # a thread of gloo may still drop a tensor, which aborts while Python takes itself down


class Training:
    """A model, its optimizer and masks: of a kind, by a recipe, in so many steps."""

    warm_up = 60

    def __init__(self, text, size, kind, recipe, steps, seed=0, ranks=None, captured=False):
        self.text, self.size, self.kind, self.recipe, self.seed = text, size, kind, recipe, seed
        self.steps, self.done, self.ranks, self.refresh = steps, 0, ranks or Ranks(), None
        self.before = None  # the products while weights were sparse, once they have become dense
        self.dense_weights_at = steps - round((recipe.dense_weights + recipe.dense_end) * steps)
        torch.manual_seed(seed)
        with self.ranks.device:
            model = Decoder(size)
        if kind != "dense":
            self.make_sparse(model.blocks, captured=captured)
        self.mvue = [it for it in model.modules() if isinstance(it, MvueLinear)]
        self.phases = dense_phases(steps, start=recipe.dense_start, end=recipe.dense_end)
        self.model = self.ranks.wrapped(model)
        torch.manual_seed(seed + 1000 * self.ranks.rank)  # estimates of gradients are each rank's own
        fused = {"fused": True, "capturable": captured} if self.ranks.device.type == "cuda" else {}
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=size["rate"], betas=(0.9, 0.95), weight_decay=0.1, **fused
        )
        if any(isinstance(module, Linear24) for module in model.modules()):
            self.refresh = MaskRefresh(
                self.model, self.optimizer, every=recipe.every, decay=recipe.decay, schedule=self.phases
            )

    def make_sparse(self, blocks, **arguments):
        """All linear layers of the blocks."""
        make = layer_of(self.kind, self.recipe, **arguments)
        for name, module in list(blocks.named_modules()):
            if isinstance(module, torch.nn.Linear):
                blocks.set_submodule(name, make(module))

    def make_weights_dense(self):
        """What is left of 'both' is 'mvue', and of 'masks' nothing."""
        self.before = self.products()
        for name, module in list(self.model.named_modules()):
            if isinstance(module, Linear24):
                out_features, in_features = module.weight.shape
                layer = MvueLinear(in_features, out_features, module.bias is not None, device="meta")
                layer.weight, layer.bias = module.weight, module.bias
                layer.weight_gradient = module.weight_gradient
                self.model.set_submodule(name, layer)
                self.mvue += [layer] if layer.weight_gradient == "mvue" else []
        self.refresh.remove()
        self.refresh = None

    @property
    def sparse(self):
        """Whether the next step is."""
        return self.kind != "dense" and self.phases(self.done, 2, 4) == 2

    def rate(self):
        """Of the next step: up in some steps, and down a cosine to a tenth."""
        return min(1, (self.done + 1) / self.warm_up) * (0.55 + 0.45 * math.cos(math.pi * self.done / self.steps))

    def loss(self, tokens):
        with torch.autocast(self.ranks.device.type, torch.bfloat16):
            logits = self.model(tokens[:, :-1])
        return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())

    def learn(self, tokens):
        loss = self.loss(tokens)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss.detach()

    def step(self):
        """Its loss, of this rank's part of the batch."""
        if self.recipe.dense_weights and self.refresh and self.done >= self.dense_weights_at:
            self.make_weights_dense()
        for group in self.optimizer.param_groups:
            group["lr"] = self.size["rate"] * self.rate()
        for layer in self.mvue:
            layer.weight_gradient = "mvue" if self.sparse else "dense"
        loss = self.learn(self.text.batch(self.size, self.seed, self.done, self.ranks.part))
        self.done += 1
        return loss

    @torch.no_grad()
    def held_out(self, batches):
        """The mean loss in nats a byte."""
        losses = [self.loss(tokens) for tokens in self.text.tests(self.size, batches, self.ranks.part)]
        return self.ranks.mean(torch.stack(losses).mean())

    def products(self):
        """Of how many layers which products are sparse while the phase is."""
        if self.before:
            return self.before
        plans = [it.plan for it in self.model.modules() if getattr(it, "plan", None) is not None]
        fields = ("forward", "input_gradient", "weight_gradient")
        return {"layers": len(plans), **{name: sum(getattr(plan, name, False) for plan in plans) for name in fields}}

    def digest(self):
        """Of all masks."""
        found = hashlib.sha256()
        for layer in self.refresh.layers:
            found.update(layer.sparsity.mask.cpu().numpy().tobytes())
        return found.hexdigest()


class Run:
    """Trains to the end; what report.py reads of it, and the checkpoint that it goes on from."""

    def __init__(self, training, checkpoint, saved, settings, options):
        self.training, self.ranks, self.options, self.checkpoint = training, training.ranks, options, checkpoint
        self.what = settings | {"steps": training.steps}
        self.curve, self.flips, self.seconds, self.masks = [], [], 0.0, None
        self.points = {max(1, round(share * training.steps)) for share in EVALUATIONS}
        if saved:
            self._load(saved)

    def go(self):
        training, begin = self.training, self._now()
        while training.done < training.steps:
            self._step()
            done = training.done
            if done in self.points or done == self.options.stop_after or done % self.options.checkpoint_every == 0:
                self.seconds += self._now() - begin
                self._pause(done)
                begin = self._now()
        return self.record()

    def _step(self):
        training, every = self.training, self.training.recipe.every
        sampled = training.done // every % FLIPS_EVERY == 0 and training.sparse
        measured = sampled and training.refresh is not None and not self.ranks.fsdp
        if training.refresh:
            training.refresh.measure_flips = measured
        self.loss = training.step()
        if measured and training.refresh and training.done % every == 0 and training.sparse:
            self.flips.append((training.done, training.refresh.flip_rate))

    def _pause(self, done):
        if done in self.points:
            self.curve.append((done, round(self.seconds, 3), self.training.held_out(self.options.tests)))
            if self.ranks.count > 1 and self.training.refresh and self.training.sparse:
                self.masks = self.ranks.same("masks", self.training.digest())
            if self.ranks.rank == 0:
                print(f"  step {done} of {self.training.steps}, {self.seconds:.1f} s: loss {float(self.loss):.4f}, "
                      f"held out {self.curve[-1][2]:.4f}", flush=True)
        if done % self.options.checkpoint_every == 0:
            self._save()
        if done == self.options.stop_after:
            raise SystemExit(f"stopped after step {done}, as --stop-after says")

    def record(self):
        training, self.flips = self.training, [(step, float(rate)) for step, rate in self.flips]
        parameters = sum(p.numel() for p in training.model.parameters())
        return {"kind": training.kind, "recipe": training.recipe._asdict(), "seed": training.seed,
                "steps": training.steps, "parameters": parameters, "products": training.products(),
                "seconds": round(self.seconds, 3), "curve": self.curve, "flips": self.flips,
                "masks_sha256": self.masks}

    def _now(self):
        self.ranks.synchronize()
        return time.perf_counter()

    def _save(self):
        self.flips = [(step, float(rate)) for step, rate in self.flips]
        model, optimizer = self.training.model.state_dict(), self.training.optimizer.state_dict()
        state = {"what": self.what, "model": model, "optimizer": optimizer,
                 "done": self.training.done, "before": self.training.before, "random": torch.get_rng_state(),
                 "mine": self._mine()}
        if self.ranks.device.type == "cuda":
            state["random_cuda"] = torch.cuda.get_rng_state()
        new = self.checkpoint.with_suffix(".new")
        torch.save(state, new)
        new.replace(self.checkpoint)

    def _load(self, state):
        if state["what"] != self.what:
            raise SystemExit(f"training.py: {self.checkpoint} is of {state['what']}, not of {self.what}: remove it")
        self.training.done = state["done"]
        if state["before"]:
            self.training.make_weights_dense()
            self.training.before = state["before"]
        self.training.model.load_state_dict(state["model"])
        self.training.optimizer.load_state_dict(state["optimizer"])
        self.curve, self.flips, self.seconds, self.masks = state["mine"]
        torch.set_rng_state(state["random"].cpu())
        if "random_cuda" in state:
            torch.cuda.set_rng_state(state["random_cuda"].cpu())

    def _mine(self):
        return self.curve, self.flips, self.seconds, self.masks


def step_ms(trainings, rounds=8, warm=3):
    """The median wall time of a step of each, which take turns: for all the GPU's clock is the same."""
    times = [[] for _ in trainings]
    for _ in range(warm + rounds):
        for training, mine in zip(trainings, times):
            training.ranks.synchronize()
            begin = time.perf_counter()
            training.step()
            training.ranks.synchronize()
            mine.append(1e3 * (time.perf_counter() - begin))
    return [statistics.median(mine[warm:]) for mine in times]


class Record:
    """FOLDER/training.json: parts, each of the runs with the same settings."""

    def __init__(self, folder, text, settings, ranks):
        self.path, self.ranks = folder / "training.json", ranks
        self.whole = json.loads(self.path.read_text()) if self.path.exists() else {"text": text.record, "parts": []}
        if self.whole["text"] != text.record:
            raise SystemExit(f"training.py: {self.path} is of another text, {self.whole['text']}: give another --out")
        parts = [part for part in self.whole["parts"] if part["settings"] == settings]
        self.part = parts[0] if parts else {"settings": settings, "step_ms": {}, "runs": []}
        if not parts:
            self.whole["parts"].append(self.part)

    def add(self, name, run, step_ms):
        self.part["runs"].append({"name": name} | run)
        self.part["step_ms"].update({name: step_ms} if step_ms else {})
        if self.ranks.rank == 0:
            new = self.path.with_suffix(".new")
            new.write_text(json.dumps(self.whole, indent=1))
            new.replace(self.path)

    def has(self, name):
        return any(run["name"] == name for run in self.part["runs"])


def size_of(given, ranks):
    size = SIZES[given.size] | {k: v for k, v in (("batch", given.batch), ("rate", given.rate)) if v}
    if size["batch"] % ranks.count:
        raise SystemExit(f"training.py: a batch of {size['batch']} cannot be divided among {ranks.count} ranks: --batch")
    return size


def settings_of(given, size, ranks):
    """What runs that are compared have in common."""
    cuda = ranks.device.type == "cuda"
    return {"size": given.size, **size, "seconds": None if given.steps else given.seconds,
            "steps": given.steps, "tests": given.tests, "ranks": ranks.count, "fsdp": ranks.fsdp,
            "torch": torch.__version__, "device": torch.cuda.get_device_name(ranks.device) if cuda else "CPU"}


def measured_ms(text, size, kind, recipe, ranks):
    """Milliseconds of a dense step, of a sparse one of this kind, and of one with dense weights where the recipe has
    them; the slowest rank's."""
    always = recipe._replace(dense_start=0.0, dense_end=0.0, dense_weights=0.0)
    kinds = {"dense": "dense", "own": kind} | ({"mvue": "mvue"} if recipe.dense_weights and KINDS[kind][1] else {})
    of = {it: Training(text, size, it, always, 10**9, ranks=ranks) for it in dict.fromkeys(kinds.values())}
    times = dict(zip(of, ranks.agreed(step_ms(list(of.values())))))
    return {name: times[it] for name, it in kinds.items()}


def steps_in(seconds, ms, kind, recipe):
    dense = 1.0 if kind == "dense" else recipe.dense_start + recipe.dense_end
    weights = 0.0 if kind == "dense" else recipe.dense_weights
    mean = dense * ms["dense"] + weights * ms.get("mvue", ms["dense"]) + (1 - dense - weights) * ms["own"]
    return max(10, round(1e3 * seconds * recipe.time / mean))


def steps_of(given, saved, ms, kind, recipe):
    if given.steps:
        return max(1, round(recipe.time * given.steps))
    return saved["what"]["steps"] if saved else steps_in(given.seconds, ms, kind, recipe)


def name_of(kind, recipe, seed):
    changed = [f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in recipe._asdict().items()
               if v != Recipe._field_defaults[k]]
    return ", ".join([kind, *(changed if kind != "dense" else []), f"seed {seed}"])


def recipes_of(given, kind):
    """Those for this kind and for all; the default one where there is none."""
    found = [recipe for only, recipe in given.recipe if kind != "dense" and only in (kind, None)]
    return found or [Recipe()]


def wanted_runs(given):
    """(name, kind, recipe, seed); of dense one for each seed, first."""
    runs = {}
    for seed in given.seeds:
        for kind in sorted(given.kinds, key=lambda kind: kind != "dense"):
            for recipe in recipes_of(given, kind):
                runs[name_of(kind, recipe, seed)] = kind, recipe, seed
    return [(name, *run) for name, run in runs.items()]


def options():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = arguments.add_argument
    add("--out", type=Path, required=True, help="folder for training.json and checkpoints")
    add("--text", type=Path, help="file that text.py wrote (default: the sources of Python's standard library)")
    add("--size", choices=SIZES, default="decoder", help="size of the model and its batches (default: %(default)s)")
    add("--batch", type=int, help="pieces of text in a step, of all ranks together (default: that of --size)")
    add("--rate", type=float, help="the highest learning rate (default: that of --size)")
    add("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="default: all")
    add("--recipe", nargs="+", type=Recipe.of, default=[], help="recipes, such as decay=1e-4,dense_end=0")
    add("--seeds", nargs="+", type=int, default=[0], help="seeds (default: 0)")
    length = arguments.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, default=60.0, help="training time of a run (default: %(default)s)")
    length.add_argument("--steps", type=int, help="steps of a run, instead of --seconds")
    add("--tests", type=int, default=8, help="batches of held-out text (default: %(default)s)")
    add("--fsdp", action="store_true", help="use fully_shard instead of DDP")
    add("--checkpoint-every", type=int, default=1000, help="steps between checkpoints (default: %(default)s)")
    add("--stop-after", type=int, help="stop a run after so many steps, to try resuming")
    return arguments.parse_args()


def main():
    given = options()
    runs, ranks = wanted_runs(given), Ranks(given.fsdp)
    size = size_of(given, ranks)
    if given.fsdp and any(recipe.dense_weights for _, _, recipe, _ in runs):
        raise SystemExit("training.py: --fsdp shards the layers that dense_weights would replace: leave one out")
    given.out.mkdir(parents=True, exist_ok=True)
    text = Text.of(given.text, ranks.device)
    record = Record(given.out, text, settings_of(given, size, ranks), ranks)
    for number, (name, kind, recipe, seed) in enumerate(runs):
        if record.has(name):
            continue
        gc.collect()  # the runs before are in cycles
        ms = None if given.steps else measured_ms(text, size, kind, recipe, ranks)
        checkpoint = given.out / f"{given.size}, {name}, rank {ranks.rank}.pt"
        saved = torch.load(checkpoint, map_location="cpu", weights_only=False) if checkpoint.exists() else None
        steps = steps_of(given, saved, ms, kind, recipe)
        gc.collect()
        if ranks.rank == 0:
            print(f"{number + 1} of {len(runs)}: {name}, {steps} steps", flush=True)
        training = Training(text, size, kind, recipe, steps, seed, ranks)
        run = Run(training, checkpoint, saved, record.part["settings"], given)
        record.add(name, run.go(), ms if kind != "dense" else None)
        checkpoint.unlink(missing_ok=True)
    if ranks.rank == 0:
        rows = HEAD, *(row(record.part, *group) for group in groups(record.part))
        print("\n".join(" | ".join(map(str, line)) for line in rows))
    ranks.end()


if __name__ == "__main__":
    main()
