"""The report's figures."""

import re

from matplotlib.figure import Figure

from findings import by_kind, m_of

STYLES = {
    "row-wise": ("standard (rows only)", "C1", "x--"),
    "transposable": ("transposable, optimal", "C0", "o-"),
    "published": ("transposable, published method", "C2", "s:"),
    "row-then-column": ("rows, then columns (Bi-NM)", "C3", "v:"),
}


def perplexity_line(plot, r, method, structure, patterns, shift):
    label, color, style = STYLES[structure]
    runs = [(m_of(p), r.run(method, p, structure)) for p in patterns if r.run(method, p, structure)]
    if not runs:
        return
    values = [r.dense["perplexity"] * q for _, run in runs for q in r.perplexities(run, r.dense)]
    middle, low, high = values[::3], values[1::3], values[2::3]
    bars = [[a - b for a, b in zip(middle, low)], [b - a for a, b in zip(middle, high)]]
    plot.errorbar(
        [m * shift for m, _ in runs], middle, yerr=bars, fmt=style, color=color, capsize=2, markersize=4, label=label
    )


def perplexities(r, path):
    """A column for each method, a row for each density."""
    families = r.families()
    figure = Figure(figsize=(3.1 * len(r.methods), 3 * len(families)))
    rows = figure.subplots(len(families), len(r.methods), squeeze=False, sharey="row")
    for row, (density, patterns) in zip(rows, families.items()):
        for plot, method in zip(row, r.methods):
            for k, structure in enumerate(r.structures):
                perplexity_line(plot, r, method, structure, patterns, 1.02 ** (k - 1.5))
            plot.axhline(r.dense["perplexity"], color="gray", linewidth=0.8)
            plot.set_xscale("log", base=2)
            plot.set_yscale("log")
            plot.set_xticks([m_of(p) for p in patterns], patterns)
            plot.set_title(f"{method}, {density:.0%} kept")
        row[0].set_ylabel("perplexity (dense: gray)")
    rows[0][-1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def cost_by_kind(plot, r, pattern):
    """What being transposable costs, by kind of layer."""
    runs = [(m, r.run(m, pattern, "transposable"), r.run(m, pattern, "row-wise")) for m in r.methods]
    quotients = {m: by_kind(a, b) for m, a, b in runs if a and b}
    kinds = list(next(iter(quotients.values()), {}))
    for k, (method, values) in enumerate(quotients.items()):
        plot.bar(
            [x + 0.2 * k - 0.3 for x in range(len(kinds))], [values.get(kind, 0) for kind in kinds], 0.2, label=method
        )
    plot.set_xticks(range(len(kinds)), [re.sub(r"^.*\.|_proj", "", kind) for kind in kinds])
    plot.axhline(1, color="gray", linewidth=0.8)
    plot.set_ylabel("error, transposable / standard")
    plot.set_title(f"{pattern}: by kind of layer")
    plot.legend(fontsize=8)


def errors_by_depth(plot, r, pattern):
    for method in r.methods:
        run = r.run(method, pattern, "transposable")
        if run:
            blocks = {}
            for name, error in run["layers"].items():
                blocks.setdefault(int(re.search(r"\.(\d+)\.", name)[1]), []).append(error)
            plot.semilogy(list(blocks), [sum(v) / len(v) for v in blocks.values()], "o-", markersize=3, label=method)
    plot.set_xlabel("block")
    plot.set_ylabel("error of the outputs, mean of the block's layers")
    plot.set_title(f"{pattern} transposable: by depth")
    plot.legend(fontsize=8)


def layers(r, path):
    pattern = "16:32" if "16:32" in r.patterns else r.patterns[-1]
    figure = Figure(figsize=(11, 4))
    left, right = figure.subplots(1, 2)
    cost_by_kind(left, r, pattern)
    errors_by_depth(right, r, pattern)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
