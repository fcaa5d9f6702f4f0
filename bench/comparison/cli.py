"""The command line of bench/compare."""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from . import experiments, library, self_test
from .arrays import torch
from .check import complaints
from .record import Record
from .scale import scale

EXPERIMENTS = {
    "speed": experiments.speed,
    "scaling": experiments.scaling,
    "errors": experiments.errors,
    "ablation": experiments.ablation,
    "sensitivity": experiments.sensitivity,
    "scale": scale,
}

DESCRIPTION = """\
Runs this library and the installed peers on the same weights. One checker judges all masks. The result is one JSON
file; bench/report makes plots and REPORT.md of it. bench/README.md explains what is compared and how it is timed.

experiments:
  speed        time and gap to the optimum of every method, by pattern
  scaling      time by size
  errors       gap by pattern and method, on Gaussian, heavy-tailed and real weights
  ablation     what the parts of the published algorithm contribute
  sensitivity  gap of the published method by its parameters tau, T and L
  scale        time for all linear layers of an 8-billion-parameter decoder (GPU)
"""

EPILOG = """\
examples:
  bench/compare                                    everything; on the GPU if there is one, else on the CPU
  bench/compare --only speed --pattern 8:16        one pattern
  bench/compare --only speed --check               fail if a peer is faster at equal or better quality
  bench/compare --matrix layer=weights.npy         also your own weights, in errors, ablation and sensitivity

exit status: 0 done, 1 --check found a problem, 2 the command line is wrong or something needed is missing
"""


def pattern(text):
    found = re.fullmatch(r"(\d+):(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]) <= 64 or int(found[2]) < 2:
        raise argparse.ArgumentTypeError(f"'{text}' is not a pattern N:M with 1 <= N <= M and 2 <= M <= 64")
    return int(found[1]), int(found[2])


def named_matrix(text):
    name, _, path = text.partition("=")
    if not re.fullmatch(r"\w+", name) or not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=FILE.npy with an existing file")
    return name, path


def parser():
    p = argparse.ArgumentParser(
        "bench/compare", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where to run (default: auto)")
    p.add_argument("--only", nargs="+", choices=EXPERIMENTS, metavar="EXPERIMENT", help="run these (default: all)")
    p.add_argument("--pattern", nargs="+", type=pattern, metavar="N:M", help="patterns of speed (default: six)")
    p.add_argument("--size", type=int, help="side of the matrices in speed (default: GPU 8192, CPU 1024)")
    p.add_argument("--quality-size", type=int, help="side of the matrices in errors, ablation and sensitivity "
                   "(default: GPU 1024, CPU 512)")  # fmt: skip
    p.add_argument("--matrix", action="append", type=named_matrix, default=[], metavar="NAME=FILE.npy",
                   help="also compare on this matrix")  # fmt: skip
    p.add_argument("--out", type=Path, default=Path("."), help="folder for compare-DEVICE-DATE.json (default: here)")
    p.add_argument("--library", type=Path, help="libtsenor_compare.so (default: build it in build/compare)")
    p.add_argument("--no-torch", action="store_true", help="array operations in NumPy even if PyTorch is installed")
    p.add_argument("--commit", help="commit to name in the record (default: ask git)")
    p.add_argument("--check", action="store_true", help="exit with 1 if a peer is faster at equal or better quality, "
                   "a mask breaks its pattern, or a call of this library fails")  # fmt: skip
    p.add_argument("--self-test", action="store_true", help="test this program itself, in seconds, without a build")
    return p


def stop(reason):
    """Ends the program: there is nothing to run with."""
    print(f"bench/compare: {reason}", file=sys.stderr)
    sys.exit(2)


def chosen_device(wanted):
    """Where to run; exits where that is impossible."""
    has_gpu = torch is not None and torch.cuda.is_available()
    if wanted == "cuda" and not has_gpu:
        stop("--device cuda needs PyTorch with a CUDA device")
    return "cuda" if has_gpu and wanted != "cpu" else "cpu"


def check_sizes(options):
    for side in (options.size, options.quality_size):
        if side < 64 or side % 64 != 0:
            stop(f"{side} is not a multiple of 64")
    for n, m in options.pattern:
        if options.size % m != 0:
            stop(f"{n}:{m} does not divide {options.size}; choose another --size")


def file_name(record):
    """compare-h100-2026-01-31.json"""
    name = record.about["machine"]["name"].lower()
    words = re.sub(r"nvidia|amd|intel|geforce|\d+gb|hbm\d*|\(r\)|\(tm\)|cpu|processor|@.*", " ", name)
    short = re.sub(r"[^a-z0-9]+", "-", words).strip("-") or "cpu"
    return f"compare-{short}-{record.started:%Y-%m-%d}.json"


def built_library(device):
    try:
        return library.build(with_cuda=device == "cuda")
    except (OSError, subprocess.CalledProcessError) as error:
        return stop(f"CMake did not build the library: {error}")


def run(options):
    device = chosen_device(options.device)
    options.size = options.size or (8192 if device == "cuda" else 1024)
    options.quality_size = options.quality_size or (1024 if device == "cuda" else 512)
    options.pattern = options.pattern or experiments.SPEED_PATTERNS
    check_sizes(options)
    path = options.library or built_library(device)
    record = Record(device, options.commit)
    bench = experiments.Bench(
        device, library.Library(path), record, options.pattern, options.size, options.quality_size,
        not options.no_torch, dict(options.matrix),
    )  # fmt: skip
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.only or EXPERIMENTS:
        EXPERIMENTS[name](bench)
        record.save(options.out / file_name(record))  # after each, so that nothing is lost
    print(f"wrote {options.out / file_name(record)}")
    return record.rows


def main():
    options = parser().parse_args()
    if options.self_test:
        return self_test.run()
    found = complaints(run(options))
    for complaint in found:
        print(f"check: {complaint}")
    print("check: passed" if not found else f"check: {len(found)} complaints")
    return 1 if found and options.check else 0
