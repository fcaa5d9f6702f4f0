"""The record of a run: one JSON file with the machine, the day, the commit, the command and a row for each result."""

import datetime
import json
import os
import platform
import re
import shlex
import subprocess
import sys

import numpy as np

from .arrays import torch
from .library import ROOT
from .timing import time_calls


def git(*arguments):
    """What git prints; empty where there is no repository."""
    try:
        done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def processor():
    """The processor's name."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return re.search(r"^model name\s*:\s*(.*)$", file.read(), re.MULTILINE)[1]
    except (OSError, TypeError):
        return platform.processor() or platform.machine()


def usable_cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def copy_bandwidth():
    """Bytes read plus written a second by a copy from one buffer on the GPU to another."""
    sources = [torch.ones(1 << 26, device="cuda") for _ in range(2)]
    target = torch.empty_like(sources[0])
    seconds = time_calls(target.copy_, sources).summary()["milliseconds"] / 1e3
    return 2 * target.nbytes / seconds


def machine(device):
    about = {
        "device": device,
        "name": processor(),
        "cores": usable_cores(),
        "load_average": os.getloadavg()[0],  # when the run began: programs that were running beside it
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": None if torch is None else torch.__version__,
        "environment": {key: value for key, value in os.environ.items() if key.startswith(("OMP_", "OPENBLAS_"))},
    }
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        about |= {
            "processor": about["name"],
            "name": properties.name,
            "multiprocessors": properties.multi_processor_count,
            "cuda": torch.version.cuda,
            "copy_bytes_per_second": copy_bandwidth(),
        }
    return about


class Record:
    """Rows of results; a row that could not be had says why, as "skipped" or "failed"."""

    def __init__(self, device, commit=None):
        self.started = datetime.datetime.now(datetime.timezone.utc)
        self.about = {
            "date": self.started.isoformat(timespec="seconds"),
            "commit": commit or git("rev-parse", "HEAD"),
            "uncommitted_changes": bool(git("status", "--porcelain", "--untracked-files=no")),
            "command": shlex.join([os.path.relpath(sys.argv[0], ROOT), *sys.argv[1:]]),
            "machine": machine(device),
        }
        self.rows = []

    def add(self, row):
        self.rows.append(row)
        print(line_of(row), flush=True)

    def save(self, path):
        """Writes the file whole or not at all."""
        passed = datetime.datetime.now(datetime.timezone.utc) - self.started
        content = {**self.about, "seconds": round(passed.total_seconds()), "rows": self.rows}
        draft = path.with_suffix(".part")
        rows = ",\n".join(json.dumps(row) for row in content.pop("rows"))
        draft.write_text(json.dumps(content, indent=1)[:-2] + ',\n "rows": [\n' + rows + "\n]}\n", encoding="utf-8")
        draft.replace(path)


def line_of(row):
    """A row for people."""
    what = " ".join(str(row[k]) for k in ("experiment", "pattern", "weights", "size", "method") if k in row)
    if "skipped" in row or "failed" in row:
        word = "skipped" if "skipped" in row else "failed"
        return f"{what}: {word}: {row[word]}"
    numbers = [f"{row[k]:.4g} {unit}" for k, unit in (("milliseconds", "ms"), ("gap", "gap")) if k in row]
    if row.get("violations"):
        numbers.append(f"{row['violations']} VIOLATIONS")
    return f"{what}: " + ", ".join(numbers)
