#!/usr/bin/env python3
"""Tests that the program tsenor takes memory only for blocks of tensors, and leaves no output when it is killed.

    large_model.py build/quickstart/bin/tsenor --megabytes 8192

makes a sharded model of that size in a new folder. It consists mostly of zeros, which take no room on the disk. The
script runs mask, check and apply on it, kills apply once half-way, and prints seconds and peak memory. A run may take
--limit megabytes of memory.
"""

import argparse
import json
import os
import pathlib
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time

COLS, ROWS = 4096, 4096
TENSOR = 2 * ROWS * COLS  # bytes, BF16
PATTERN = "4:8"


def write_shard(path, names):
    """One matrix a name, of zeros but for some rows at its beginning."""
    header = {
        name: {"dtype": "BF16", "shape": [ROWS, COLS], "data_offsets": [k * TENSOR, (k + 1) * TENSOR]}
        for k, name in enumerate(names)
    }
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        begin = file.tell()
        for k in range(len(names)):
            file.seek(begin + k * TENSOR)
            file.write(random.Random(k).randbytes(2 * 8 * COLS).replace(b"\xff", b"\x3f").replace(b"\x7f", b"\x3f"))
        file.truncate(begin + len(names) * TENSOR)


def make_model(folder, megabytes):
    folder.mkdir()
    count = max(2, megabytes * 2**20 // TENSOR)
    names = [f"model.layers.{k}.mlp.up_proj.weight" for k in range(count)]
    shards = [names[k : k + 8] for k in range(0, count, 8)]
    places = {}
    for k, shard in enumerate(shards):
        file = f"model-{k + 1:05}-of-{len(shards):05}.safetensors"
        write_shard(folder / file, shard)
        places.update(dict.fromkeys(shard, file))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return count


def run(tool, *arguments):
    """Exit status, seconds and peak memory in megabytes."""
    begin = time.monotonic()
    process = subprocess.Popen([tool, *map(str, arguments)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds, memory = time.monotonic() - begin, usage.ru_maxrss / 1024
    print(f"{arguments[0]:6} exit {os.waitstatus_to_exitcode(status)}  {seconds:7.1f} s  {memory:7.1f} MB", flush=True)
    return os.waitstatus_to_exitcode(status), memory


def kill_half_way(tool, folder, how):
    """Apply, killed as soon as some of its output is on the disk. SIGKILL leaves a temporary folder, and no output."""
    paths = [folder / name for name in ("model", "masks.safetensors", "killed")]
    process = subprocess.Popen([tool, "apply", *paths], stdout=subprocess.DEVNULL)
    while process.poll() is None and not any(folder.glob("killed.??????/*")):
        time.sleep(0.001)
    process.send_signal(how)
    if process.wait() != -how:
        return f"apply ended with {process.returncode} before it was killed"
    if (folder / "killed").exists():
        return "a killed run has left its output"
    left = list(folder.glob("killed*"))
    if left and how != signal.SIGKILL:
        return f"an interrupted run has left {left}"
    print(f"apply, ended by {how.name}: no output")
    return None


def problems(tool, folder, megabytes, limit):
    count = make_model(folder / "model", megabytes)
    print(f"{count} tensors of {TENSOR / 2**20:.0f} MB")
    model, masks, out = folder / "model", folder / "masks.safetensors", folder / "out"
    find = ("mask", model, masks, "--pattern", PATTERN, "--constraint", "at-most", "--device", "cpu")
    steps = [find, ("check", masks, "--pattern", PATTERN)]
    steps += [("apply", model, masks, out), ("check", out, "--pattern", PATTERN)]
    for step in steps:
        status, memory = run(tool, *step)
        if status != 0:
            yield f"{step[0]} ended with {status}"
        if memory > limit:
            yield f"{step[0]} took {memory:.0f} MB, more than {limit}"
    for how in (signal.SIGTERM, signal.SIGQUIT, signal.SIGKILL):
        if problem := kill_half_way(tool, folder, how):
            yield problem


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("tool", help="the program tsenor")
    p.add_argument("--megabytes", type=int, default=128, help="size of the model [default: %(default)s]")
    p.add_argument("--limit", type=int, default=400, help="limit of memory, in megabytes [default: %(default)s]")
    p.add_argument("--folder", help="where to make the model [default: a temporary folder]")
    a = p.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(dir=a.folder) as folder:
        found = list(problems(pathlib.Path(a.tool).resolve(), pathlib.Path(folder), a.megabytes, a.limit))
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
