"""REPORT.md: text, tables and plots of the newest record of each device. Every number in it comes from a record."""

import argparse
import json
import re
from pathlib import Path

from .check import complaints
from .labels import ABLATIONS, LABELS, WEIGHTS, distinct, in_order, label, select, weights_label, with_all_threads
from .library import ROOT

BENCH = ROOT / "bench"
QUALITY = ("errors", "ablation", "sensitivity")  # experiments whose masks hardly depend on the machine: shown once
INTRODUCTION = """\
# Report

This page compares the time and the quality of masks for this library and its peers. [README.md](README.md) explains the
experiments and the methods. `bench/report` makes this page from the records in [results](results); do not edit it.

- **gap**: the share of the optimum that a mask misses, in percent. You need not trust this library for the optimum: the
  checker that judges all masks computes an upper bound of it, from prices that anyone can check. `0` is a gap below
  0.00001 %. Methods that keep at most N are compared with the optimum with at most N, methods that keep exactly N with
  the optimum with exactly N.
- **Times** are medians, for weights and mask in memory. On a GPU they are device time, and the inputs rotate over more
  matrices than the cache holds. On a CPU they are processor time for one thread, and the wall clock for several.
- **Error, ablation and sensitivity** are shown only for the first machine, because the mask that a method finds hardly
  depends on the machine. The records have them for each machine.
"""


def number(x):
    """Three digits, without an exponent."""
    digits = 3 - len(str(int(abs(x)))) if abs(x) >= 1 else 3
    return f"{x:.{max(0, digits)}f}" if abs(x) >= 0.01 else f"{x:.2g}"


def gap_text(row):
    percent = 100 * row["gap"]
    return "0" if percent < 1e-5 else number(percent)


def table(head, lines):
    """A Markdown table; the first column is text, the others are numbers."""
    marks = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, marks, *lines]) + "\n"


def grid(rows, column, text_of, names=LABELS):
    """A table with a line for each method, as `names` has them, and a column for each value of the field `column`; a
    cell without a result is empty."""
    columns = distinct(rows, column)
    cells = {(x["method"], x[column]): text_of(x) for x in rows}
    methods = in_order(distinct(rows, "method"), names)
    lines = [[names.get(x, x), *(cells.get((x, c), "") for c in columns)] for x in methods]
    return table(["method", *columns], lines)


def time_text(row):
    return number(row["milliseconds"])


def time_and_gap_text(row):
    return f"{time_text(row)} / {gap_text(row)}"


def speed_text(rows):
    timed = select(rows, "speed")
    if not timed:
        return ""
    text = "### Time and gap by pattern\n\n"
    for threads in distinct(timed, "threads") or [None]:
        mine = [x for x in timed if x.get("threads") == threads]
        types = ", ".join(f"{p} {t}" for p, t in dict.fromkeys((x["pattern"], x["dtype"]) for x in mine))
        where = "" if threads is None else f" {threads} thread{'s' if threads > 1 else ''},"
        text += f"Milliseconds / gap in %,{where} {mine[0]['size']} Gaussian weights ({types}):\n\n"
        text += grid(mine, "pattern", time_and_gap_text) + "\n"
    return text


def scaling_text(rows):
    small = select(rows, "scaling")
    if not small:
        return ""
    pattern, methods = small[0]["pattern"], distinct(small, "method")
    large = with_all_threads(select(rows, "speed", pattern=pattern))
    timed = small + [x for x in large if x["method"] in methods]
    return f"### Time by size\n\nMilliseconds at {pattern}:\n\n" + grid(timed, "size", time_text)


def gaps_text(rows, experiment, title, names=LABELS):
    """A table of gaps for each kind of weights."""
    found = select(rows, experiment)
    if not found:
        return ""
    text = f"### {title}\n\n"
    for kind in in_order(distinct(found, "weights"), WEIGHTS):
        mine = [x for x in found if x["weights"] == kind]
        text += f"Gap in %, {weights_label(kind)} weights, {mine[0]['size']}:\n\n"
        text += grid(mine, "pattern", gap_text, names) + "\n"
    return text


def best_parameters(rows, kind, pattern):
    """A line: the gap at the paper's parameters, and where the least gap of all was found."""
    mine = select(rows, "sensitivity", weights=kind, pattern=pattern)
    paper = [x for x in mine if (x["tau"], x["iterations"], x["local_search_steps"]) == (0.005, 300, 10)]
    best = min(mine, key=lambda x: x["gap"])
    worst = max(mine, key=lambda x: x["gap"])
    where = f"{best['tau']:g}, {best['iterations']}, {best['local_search_steps']}"
    papers = gap_text(paper[0]) if paper else ""
    return [f"{weights_label(kind)}, {pattern}", papers, gap_text(best), where, gap_text(worst)]


def sensitivity_text(rows):
    found = select(rows, "sensitivity")
    if not found:
        return ""
    pairs = dict.fromkeys((x["weights"], x["pattern"]) for x in found)
    taus = [x["tau"] for x in found]
    papers = "gap at the paper's tau = 0.005, T = 300, L = 10"
    head = ["weights, pattern", papers, "least gap", "at tau, T, L", "largest gap"]
    return (
        "### Sensitivity to tau, T and L\n\n"
        f"Gap of the published method in %, for tau from {min(taus):g} to {max(taus):g}, and for "
        "several T and L. The optimal method has none of these parameters, and no gap.\n\n"
        + table(head, [best_parameters(rows, *pair) for pair in pairs])
    )


SCALE_WAYS = {
    "stream": "a call for each matrix",
    "graph": "the same calls as one CUDA graph",
    "batches": "a call for each shape, as a batch",
    "graph_of_batches": "the batches as one CUDA graph",
}


def scale_text(rows):
    found = select(rows, "scale")
    if not found:
        return ""
    first = found[0]
    lines = [
        [SCALE_WAYS.get(x["method"], x["method"]), number(x["milliseconds"]), str(x["violations"]), gap_text(x)]
        for x in found
    ]
    return (
        "### All linear layers of a decoder with 8 billion parameters\n\n"
        f"{first['matrices']} matrices, {first['parameters'] / 1e9:.2f} "
        f"billion {first['dtype']} weights, {first['pattern']}, on one stream:\n\n"
        + table(["how", "milliseconds", "violations", "gap, %"], lines)
    )


def left_out_text(rows):
    """What failed, and what was skipped everywhere, with the reason, each once."""
    there = {row.get("method") for row in rows if "value" in row}
    failed = [(name_of(row), "failed", row["failed"]) for row in rows if "failed" in row]
    skipped = [
        (name_of(row), "skipped", row["skipped"]) for row in rows if "skipped" in row and row.get("method") not in there
    ]
    lines = dict.fromkeys(f"- {name}, {word}: {reason}" for name, word, reason in failed + skipped)
    return "### Without a result\n\n" + "\n".join(lines) + "\n" if lines else ""


def name_of(row):
    """The method of a row, or the weights that it has no method for."""
    return label(row["method"]) if "method" in row else weights_label(row["weights"])


def check_text(rows):
    found = complaints(rows)
    if not found:
        return "`--check` passes: no peer is faster at equal or better quality, and every mask obeys its pattern.\n"
    return "`--check` fails:\n\n" + "\n".join(f"- {x}" for x in found) + "\n"


def machine_text(record):
    machine = record["machine"]
    load = f"load average at the start {machine['load_average']:.1f}"
    parts = [f"{machine['cores']} cores ({load})", f"NumPy {machine['numpy']}"]
    if machine["torch"]:
        parts.append(f"PyTorch {machine['torch']}")
    if machine.get("copy_bytes_per_second"):
        parts.append(f"a device copy moves {machine['copy_bytes_per_second'] / 1e9:.0f} GB/s")
    changes = ", with uncommitted changes" if record["uncommitted_changes"] else ""
    return (
        f"{record['date'][:10]}, commit {record['commit'][:12]}{changes}, "
        f"`{record['command']}`, {record['seconds']} s; "
        f"{', '.join(parts)}.\n"
    )


def section(record, rows, plots):
    """What `rows`, of one record, show; `plots` are paths relative to REPORT.md, by name."""
    parts = [
        f"## {record['machine']['name']}\n",
        machine_text(record),
        check_text(record["rows"]),
        speed_text(rows),
        picture(plots, "time-against-gap", "speed-by-pattern"),
        scaling_text(rows),
        picture(plots, "scaling"),
        scale_text(rows),
        gaps_text(rows, "errors", "Error by pattern and method"),
        picture(plots, "errors"),
        gaps_text(rows, "ablation", "Ablation: what entropy, greedy rounding and local search contribute", ABLATIONS),
        picture(plots, "ablation"),
        sensitivity_text(rows),
        picture(plots, "sensitivity-tau", "sensitivity-steps"),
        left_out_text(rows),
    ]
    return "\n".join(part.strip("\n") + "\n" for part in parts if part)


def rows_to_show(records):
    """Of each record the rows that its section shows: of the experiments QUALITY the first record's that has them."""
    shown = set()
    for _, record in records:
        yield [row for row in record["rows"] if row["experiment"] not in shown]
        shown |= {row["experiment"] for row in record["rows"] if "value" in row} & set(QUALITY)


def picture(plots, *names):
    return "\n".join(f"![{name}]({plots[name]})\n" for name in names if name in plots)


def newest_records(folder):
    """The latest compare-DEVICE-DATE.json of each device, GPUs first."""
    newest = {}
    for path in sorted(folder.glob("compare-*.json")):
        device = re.fullmatch(r"compare-(.*)-\d{4}-\d{2}-\d{2}", path.stem)
        if device:
            newest[device[1]] = path
    loaded = [(device, json.loads(path.read_text(encoding="utf-8"))) for device, path in newest.items()]
    return sorted(loaded, key=lambda x: (x[1]["machine"]["device"] != "cuda", x[0]))


def main():
    p = argparse.ArgumentParser("bench/report", description=__doc__)
    p.add_argument("--records", type=Path, default=BENCH / "results",
                   help="folder with compare-*.json (default: %(default)s)")
    p.add_argument("--out", type=Path, default=BENCH, help="folder for REPORT.md and plots/ (default: %(default)s)")
    options = p.parse_args()
    from .plots import draw  # so that --help works without matplotlib

    records = newest_records(options.records)
    if not records:
        p.error(f"{options.records} has no compare-DEVICE-DATE.json; bench/compare --out {options.records} makes one")
    folder = options.out / "plots"
    folder.mkdir(parents=True, exist_ok=True)
    sections = []
    for (device, record), rows in zip(records, rows_to_show(records)):
        plots = {k: f.relative_to(options.out) for k, f in draw(rows, folder, device).items()}
        sections.append(section(record, rows, plots))
    (options.out / "REPORT.md").write_text(INTRODUCTION + "\n" + "\n".join(sections), encoding="utf-8")
    print(f"wrote {options.out / 'REPORT.md'} and {folder}")
    return 0
