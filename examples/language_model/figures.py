"""The report's figures."""

from matplotlib.figure import Figure

from findings import errors, m_of


def bars(quotients, scale=1.0):
    """Values of (value, low, high), and their bars, for errorbar."""
    values = [scale * q[0] for q in quotients]
    return values, [[scale * (q[0] - q[1]) for q in quotients], [scale * (q[2] - q[0]) for q in quotients]]


def axes_of(plot, r, title):
    plot.set_xscale("log", base=2)
    ticks = sorted({m_of(p) for p in r.patterns})
    plot.set_xticks(ticks, [str(t) for t in ticks])
    plot.set_xlim(ticks[0] / 1.2, ticks[-1] * 1.2)
    plot.set_xlabel("M")
    plot.set_title(title)


def log_ticks(plot):
    """Plain numbers at even distances, however small the range."""
    low, high = plot.get_ylim()
    ticks = [low * (high / low) ** ((i + 0.5) / 5) for i in range(5)]
    plot.set_yticks(ticks, [f"{t:#.4g}" for t in ticks])
    plot.set_yticks([], minor=True)
    plot.set_ylim(low, high)


def perplexities(r, path):
    """A column for each method, a row for each density; bars: 95 % of the difference from the dense model."""
    families, dense = r.families(), r.dense["perplexity"]
    figure = Figure(figsize=(3.2 * len(r.methods), 2.9 * len(families)))
    rows = figure.subplots(len(families), len(r.methods), squeeze=False, sharex=True)
    for row, (density, patterns) in zip(rows, families.items()):
        for plot, method in zip(row, r.methods):
            for structure, style, shift in (("transposable", "o-C0", 0.98), ("row-wise", "x--C1", 1.02)):
                runs = [p for p in patterns if r.run(method, p, structure)]
                values, yerr = bars([r.perplexities(r.run(method, p, structure), r.dense) for p in runs], dense)
                label = "standard" if structure == "row-wise" else structure
                plot.errorbar([m_of(p) * shift for p in runs], values, yerr=yerr, fmt=style, capsize=3, label=label)
            plot.axhline(dense, color="gray", linewidth=0.8, label="dense")
            plot.set_yscale("log")
            axes_of(plot, r, f"{method}, {density:.0%} kept")
            log_ticks(plot)
        row[0].set_ylabel("perplexity a byte")
    rows[0][-1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def error_quotients(plot, r, density, patterns):
    """What being transposable costs in the layers' errors."""
    for number, method in enumerate(r.methods):
        points = [(m_of(p), errors([r.run(method, p, "transposable")], [r.run(method, p, "row-wise")])) for p in patterns]
        points = [x for x in points if x[1] is not None]
        values, yerr = bars([q for _, q in points])
        plot.errorbar([m * 1.02 ** (number - 1.5) for m, _ in points], values, yerr=yerr, fmt=f"o-C{number}", capsize=3, label=method)
    plot.axhline(1, color="gray", linewidth=0.8)
    plot.set_ylabel("error, transposable / standard")
    axes_of(plot, r, f"{density:.0%} kept")
    plot.legend(fontsize=8)


def above_dense(plot, r):
    """What retraining leaves of the loss: perplexity against that of the dense model, retrained as long."""
    dense = next((x for x in r.retrained if x["name"] == "dense"), {"before": r.dense, "after": r.dense})
    for number, run in enumerate(x for x in r.retrained if x is not dense):
        above = [100 * (run[x]["perplexity"] / dense[x]["perplexity"] - 1) for x in ("before", "after")]
        plot.plot([0, run["steps"]], above, f"o-C{number}", label=run["name"])
    plot.set_yscale("log")
    plot.yaxis.set_major_formatter("{x:g}")
    plot.set_xlabel("steps of retraining")
    plot.set_ylabel("perplexity above dense, %")
    plot.set_title("Retraining with the mask fixed")
    plot.legend(fontsize=8)


def transposable(r, path):
    families = r.families()
    figure = Figure(figsize=(4.5 * (len(families) + 1), 4))
    plots = figure.subplots(1, len(families) + 1)
    for plot, (density, patterns) in zip(plots, families.items()):
        error_quotients(plot, r, density, patterns)
    above_dense(plots[-1], r)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
