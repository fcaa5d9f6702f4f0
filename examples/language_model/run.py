#!/usr/bin/env python3
"""The whole experiment: trains a model, prunes it in every way, judges it, retrains, and writes a report.

    run.py --corpus FOLDER --tool build/.../tsenor --work FOLDER

FOLDER of --corpus is what corpus.py leaves. Every stage resumes: run the same line again after an interruption. The stages
need PyTorch and one CUDA device, the report needs matplotlib; --stages picks some of them.
"""

import argparse
import pathlib
import time
import types

ALL_STAGES = ["train", "gram", "dense", "grid", "retrain", "report"]
ALL_PATTERNS = ["2:4", "4:8", "8:16", "16:32", "1:4", "2:8", "4:16", "8:32"]
RETRAINED = [
    ("dense",),
    ("alps", "2:4", "row-wise"),
    ("alps", "2:4", "transposable"),
    ("alps", "16:32", "transposable"),
    ("magnitude", "16:32", "transposable"),
]


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--corpus", type=pathlib.Path, required=True)
    p.add_argument("--tool", type=pathlib.Path, required=True, help="the program tsenor")
    p.add_argument("--work", type=pathlib.Path, required=True, help="folder for all that is made")
    p.add_argument("--stages", default=",".join(ALL_STAGES))
    p.add_argument("--train-seconds", type=float, default=400)
    p.add_argument("--batch", type=int, default=96)
    p.add_argument("--patterns", default=",".join(ALL_PATTERNS))
    p.add_argument("--methods", default="magnitude,wanda,sparsegpt,alps")
    p.add_argument("--structures", default="row-wise,transposable,published,row-then-column")
    p.add_argument("--iterations", type=int, default=300, help="of alps, at most")
    p.add_argument("--calibration-windows", type=int, default=256)
    p.add_argument("--test-bytes", type=int, default=1_000_000)
    p.add_argument("--retrain-steps", type=int, default=300)
    p.add_argument("--jobs", type=int, default=4, help="prune so many at once; with 1 nothing else runs while the tool is timed")
    p.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    p.add_argument("--blocks", type=int, default=8, help="of the model; fewer for a trial")
    p.add_argument("--width", type=int, default=512, help="of the model; a multiple of 256")
    return p.parse_args()


def settings(a):
    import torch

    a.work.mkdir(parents=True, exist_ok=True)
    return types.SimpleNamespace(
        corpus=a.corpus, work=a.work, tool=a.tool.resolve(), device=torch.device(a.device), tool_device=a.device, jobs=a.jobs,
        train_seconds=a.train_seconds, batch=a.batch, rate=1.5e-3, shape={"blocks": a.blocks, "width": a.width},
        patterns=a.patterns.split(","), methods=a.methods.split(","), structures=a.structures.split(","),
        iterations=a.iterations, calibration_windows=a.calibration_windows, test_bytes=a.test_bytes,
        retrained=[r for r in RETRAINED if r[0] in ["dense", *a.methods.split(",")]], retrain_steps=a.retrain_steps, retrain_rate=3e-4,
    )


def main():
    a = parse()
    chosen = a.stages.split(",")
    for name in ALL_STAGES:
        if name not in chosen:
            continue
        start = time.monotonic()
        if name == "report":
            import report

            report.write(a.work)
        else:
            import stages

            getattr(stages, name)(settings(a))
        print(f"{name}: {time.monotonic() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
