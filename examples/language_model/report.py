"""The report: tables, two figures, and what holds of the paper's orders, from what the stages left."""

import json

import evaluate
from stages import read_lines

METHODS = ["magnitude", "wanda", "sparsegpt", "alps"]
STRUCTURES = ["row-wise", "transposable", "published", "row-then-column"]
NAMES = {"row-wise": "standard", "transposable": "transposable", "published": "transposable, published", "row-then-column": "row then column"}


def m_of(pattern):
    return int(pattern.split(":")[1])


def density_of(pattern):
    n, m = map(int, pattern.split(":"))
    return n / m


class Results:
    def __init__(self, work):
        self.dense = json.loads((work / "dense.json").read_text())
        self.train = json.loads((work / "train.json").read_text())
        self.grid = {(r["method"], r["pattern"], r["structure"]): r for r in read_lines(work / "grid.jsonl")}
        self.retrained = read_lines(work / "retrain.jsonl")
        self.patterns = sorted({k[1] for k in self.grid}, key=lambda p: (-density_of(p), m_of(p)))
        self.methods = [m for m in METHODS if any(k[0] == m for k in self.grid)]
        self.structures = [x for x in STRUCTURES if any(k[2] == x for k in self.grid)]

    def better(self, a, b):
        """Whether a has the lower loss: 'yes', 'no', or 'open' where the 95 % interval of the paired difference holds 0."""
        sizes = self.dense["bytes"]
        low, high = evaluate.interval(evaluate.resampled(self.grid[a]["losses"], sizes) - evaluate.resampled(self.grid[b]["losses"], sizes))
        return "yes" if high < 0 else "no" if low > 0 else "open"


def perplexity_text(r):
    return f"{r['perplexity']:.3f} ({r['low']:.3f}-{r['high']:.3f})"


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def perplexity_tables(r):
    lines = ["## Perplexity a byte on held-out documents", "", f"Dense: {perplexity_text(r.dense)}; in brackets 95 % intervals from resampling the documents.", ""]
    for structure in r.structures:
        lines += [f"### {NAMES[structure]}", ""]
        rows = [[p] + [perplexity_text(r.grid[m, p, structure]) if (m, p, structure) in r.grid else "-" for m in r.methods] for p in r.patterns]
        lines += table(["pattern"] + r.methods, rows)
    return lines


def error_tables(r):
    """Relative errors of the layers' outputs (geometric means), and transposable against standard."""
    lines = ["## Error of the layers' outputs", "", "Squared error / square of the outputs on the calibration text, geometric mean over layers; then transposable / standard.", ""]
    rows = []
    for p in r.patterns:
        for structure in r.structures:
            errors = [r.grid.get((m, p, structure), {}).get("error") for m in r.methods]
            rows.append([p, NAMES[structure]] + ["-" if e is None else f"{e:.4g}" for e in errors])
        ratios = [ratio(r, m, p) for m in r.methods]
        rows.append([p, "*transposable / standard*"] + ["-" if x is None else f"{x:.3f}" for x in ratios])
    return lines + table(["pattern", "structure"] + r.methods, rows)


def ratio(r, method, pattern):
    errors = [r.grid.get((method, pattern, x), {}).get("error") for x in ("transposable", "row-wise")]
    return None if None in errors else errors[0] / errors[1]


def order_of_errors(r):
    """Patterns and structures, layer by layer, where alps <= sparsegpt <= wanda does not hold."""
    broken, count = [], 0
    for p in r.patterns:
        for structure in r.structures:
            runs = [r.grid.get((m, p, structure)) for m in ("alps", "sparsegpt", "wanda")]
            if None in runs or any(x["error"] is None for x in runs):
                continue
            count += 1
            if not runs[0]["error"] <= runs[1]["error"] <= runs[2]["error"]:
                broken.append(f"{p} {NAMES[structure]}")
    return f"- alps <= sparsegpt <= wanda in the error of the layers' outputs: in {count - len(broken)} of {count} cases" + (f"; not for {', '.join(broken)}." if broken else ".")


def orders(r):
    lines = ["## Where the paper's orders hold", "", "By perplexity; 'open' where the 95 % interval of the paired difference holds 0.", ""]
    lines.append(order_of_errors(r))
    rows = []
    for p in r.patterns:
        for structure in ("row-wise", "transposable"):
            row = [r.better(("alps", p, structure), (m, p, structure)) for m in r.methods if m != "alps" and ("alps", p, structure) in r.grid and (m, p, structure) in r.grid]
            if row:
                rows.append([p, NAMES[structure]] + row)
    if rows:
        lines += ["", "alps is better than:", ""] + table(["pattern", "structure"] + [m for m in r.methods if m != "alps"], rows)
    for m in r.methods:
        a, b = (m, "16:32", "transposable"), (m, "2:4", "row-wise")
        if a in r.grid and b in r.grid:
            lines.append(f"- {m}: transposable 16:32 better than standard 2:4: {r.better(a, b)}.")
    for m in r.methods:
        for p in r.patterns:
            a, b = (m, p, "transposable"), (m, p, "published")
            if a in r.grid and b in r.grid and r.better(a, b) != "open":
                lines.append(f"- {m} {p}: the optimal mask is better than the published method's: {r.better(a, b)}.")
    return lines + [""]


def retraining(r):
    lines = ["## Retraining with the mask fixed", ""]
    rows = [[x["name"], str(x["steps"]), perplexity_text(x["before"]), perplexity_text(x["after"])] for x in r.retrained]
    return lines + table(["configuration", "steps", "before", "after"], rows)


def axes_of(plot, r, title):
    plot.set_xscale("log", base=2)
    ticks = sorted({m_of(p) for p in r.patterns})
    plot.set_xticks(ticks, [str(t) for t in ticks])
    plot.set_xlabel("M")
    plot.set_title(title)


def draw_perplexities(r, path):
    import matplotlib.pyplot as pyplot

    densities = sorted({density_of(p) for p in r.patterns}, reverse=True)
    figure, plots = pyplot.subplots(1, len(densities), figsize=(5 * len(densities), 4), squeeze=False)
    for plot, density in zip(plots[0], densities):
        for number, method in enumerate(r.methods):
            for structure, style in (("transposable", "o-"), ("row-wise", "x--")):
                runs = [(m_of(p), r.grid[method, p, structure]) for p in r.patterns if density_of(p) == density and (method, p, structure) in r.grid]
                values = [x["perplexity"] for _, x in runs]
                bars = [[v - x["low"] for v, (_, x) in zip(values, runs)], [x["high"] - v for v, (_, x) in zip(values, runs)]]
                plot.errorbar([m for m, _ in runs], values, yerr=bars, fmt=style, color=f"C{number}", capsize=3, label=f"{method}, {NAMES[structure]}")
        plot.axhline(r.dense["perplexity"], color="gray", linewidth=0.8, label="dense")
        plot.set_yscale("log")
        plot.set_ylabel("perplexity a byte")
        axes_of(plot, r, f"{density:.0%} of the weights kept")
    plots[0][-1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def draw_ratios(r, path):
    import matplotlib.pyplot as pyplot

    figure, (errors, after) = pyplot.subplots(1, 2, figsize=(10, 4))
    for number, method in enumerate(r.methods):
        for density, style in ((0.5, "o-"), (0.25, "s--")):
            points = [(m_of(p), ratio(r, method, p)) for p in r.patterns if density_of(p) == density]
            points = [x for x in points if x[1] is not None]
            if points:
                errors.plot(*zip(*points), style, color=f"C{number}", label=f"{method}, {density:.0%} kept")
    errors.axhline(1, color="gray", linewidth=0.8)
    errors.set_ylabel("error, transposable / standard")
    axes_of(errors, r, "What being transposable costs")
    if errors.lines[1:]:
        errors.legend(fontsize=7)
    for number, run in enumerate(r.retrained):
        after.plot([0, run["steps"]], [run[x]["perplexity"] for x in ("before", "after")], "o-", color=f"C{number}", label=run["name"])
    after.axhline(r.dense["perplexity"], color="gray", linewidth=0.8, label="dense")
    after.set_xlabel("steps of retraining")
    after.set_ylabel("perplexity a byte")
    after.set_title("Retraining with the mask fixed")
    after.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def write(work):
    import matplotlib

    matplotlib.use("Agg")
    r = Results(work)
    t = r.train
    lines = ["# Pruning a small language model", "", f"A byte-level decoder of {t['parameters'] / 1e6:.1f} M parameters, trained for {t['seconds']:.0f} s on {t['bytes'] / 1e6:.0f} MB of text; "
             f"its test: {len(r.dense['bytes'])} held-out documents, {sum(r.dense['bytes']) / 1e6:.2f} MB.", "",
             "![Perplexity against M](perplexity.png)", "", "![Transposable against standard, and retraining](transposable.png)", ""]
    lines += orders(r) + perplexity_tables(r) + error_tables(r) + retraining(r)
    draw_perplexities(r, work / "perplexity.png")
    draw_ratios(r, work / "transposable.png")
    (work / "report.md").write_text("\n".join(lines))
