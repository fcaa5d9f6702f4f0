"""Trains a decoder of bytes dense and with 2:4 products, on the same text in the same order. Writes how long each took
to reach the final loss of dense training to FOLDER/training.json, for report.py.

    python training.py --text text.xz --out FOLDER --seconds 60 --kinds dense masks mvue both
    python training.py --text text.xz --out FOLDER --size small --steps 1000 --seeds 0 1 2
    torchrun --nproc-per-node 4 training.py --text text.xz --out FOLDER --steps 1000 [--fsdp]

Kinds: 'masks' has 2:4 transposable weights; 'mvue' has dense weights and a 2:4 weight gradient; 'both' has both. Each
kind except dense is trained with each recipe, or with those whose names begin with the kind, such as both:time=0.9. A
recipe names its changes to every=1, decay=0, dense_start=0, dense_end=0.1667, pruning=hard, dense_weights=0, time=1.
dense_start and dense_end are the shares of the first and of the last steps, which are dense. In the share dense_weights
before the end, the weights are dense, and only the weight gradient of 'both' is sparse. With --seconds a run has as
many steps as fit into that time, or into the recipe's share of it (time). Runs that are in FOLDER already are not
repeated. An interrupted run resumes from its last checkpoint. Under torchrun the ranks share the batch. Each finds its
own masks, and the script checks that they are the same. Give --batch to keep the number of pieces for each GPU. On a
GPU, torch.compile makes what is between the linear layers, in the same way for all kinds. A run's time does not include
compiling and measuring. text.py makes the text.
"""

import argparse
import gc
import json
import statistics
import time
from pathlib import Path

import torch
from decoder import KINDS, SIZES, Ranks, Recipe, Training
from text import Text
from time_to_loss import HEAD, groups, row

EVALUATIONS = (0.1, 0.25, 0.5, 0.6, 0.7, 0.75, 0.8, 0.84, 0.88, 0.92, 0.96, 1.0)  # shares of a run
FLIPS_EVERY = 50  # refreshes: it takes time, which is the run's


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
        raise SystemExit(
            f"training.py: a batch of {size['batch']} cannot be divided among {ranks.count} ranks: change --batch"
        )
    return size


def settings_of(given, size, ranks):
    """What runs that are compared have in common."""
    cuda = ranks.device.type == "cuda"
    return {"size": given.size, **size, "seconds": None if given.steps else given.seconds,
            "steps": given.steps, "tests": given.tests, "ranks": ranks.count, "fsdp": ranks.fsdp, "compiled": cuda,
            "torch": torch.__version__, "device": torch.cuda.get_device_name(ranks.device) if cuda else "CPU"}


def measured_ms(text, size, kind, recipe, ranks):
    """Milliseconds of a dense step, of a sparse one of this kind, and of one with dense weights where the recipe has
    them; the slowest rank's. What first steps compile and measure has been done before the run then."""
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
        ms = None if given.steps and ranks.device.type == "cpu" else measured_ms(text, size, kind, recipe, ranks)
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
