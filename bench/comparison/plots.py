"""The plots of a record. Each function draws one figure, or returns None where the record has nothing for it."""

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

from .labels import ABLATIONS, LABELS, METHODS, WEIGHTS
from .labels import distinct, in_order, label, select, side, weights_in, weights_label, with_all_threads

PROVED = 1e-5  # percent: where a gap of 0, but for rounding, is drawn
STYLE = {
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 9,
    "legend.frameon": False,
    "svg.hashsalt": "tsenor",
}
CYCLE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"]
MARKERS = ["o", "s", "^", "D"]


def percent(row):
    return max(100 * row["gap"], PROVED)


def panels(count, columns, width=3.6, height=2.9):
    """A figure with `count` axes."""
    columns = min(columns, count)
    lines = -(-count // columns)
    figure, axes = pyplot.subplots(lines, columns, figsize=(width * columns, height * lines), squeeze=False)
    for axis in axes.flat[count:]:
        axis.set_visible(False)
    return figure, list(axes.flat[:count])


def gap_axis(set_scale, set_ticks):
    """A logarithmic axis of gaps in percent; its lowest tick stands for a proved optimum."""
    set_scale("log")
    ticks = [PROVED, 1e-3, 1e-2, 0.1, 1, 10]
    set_ticks(ticks, ["optimal", "0.001", "0.01", "0.1", "1", "10"])


def legend_below(figure, axes, columns=3):
    """One legend for all axes."""
    entries = {}
    for axis in axes:
        handles, names = axis.get_legend_handles_labels()
        entries |= dict(zip(names, handles))
    order = in_order(entries, LABELS.values())
    lines = -(-len(order) // columns)
    figure.tight_layout()
    room = 0.22 * lines + 0.15  # inches
    height = figure.get_figheight() + room
    figure.set_figheight(height)
    figure.subplots_adjust(bottom=(room + 0.45) / height)
    figure.legend([entries[x] for x in order], order, loc="lower center", ncol=columns, fontsize=8)


def style_of(method):
    _, colour, marker = METHODS.get(method, (method, "#000000", "o"))
    ours = method.startswith("tsenor")
    return {"color": colour, "marker": marker, "markersize": 7 if ours else 6, "zorder": 3 if ours else 2}


def time_against_gap(rows):
    """A panel a pattern: how long a method takes and how far it stays below the optimum."""
    timed = with_all_threads(select(rows, "speed"))
    patterns = distinct(timed, "pattern")
    if not patterns:
        return None
    figure, axes = panels(len(patterns), 3)
    for axis, pattern in zip(axes, patterns):
        for row in (x for x in timed if x["pattern"] == pattern):
            style = style_of(row["method"])
            axis.plot(row["milliseconds"], percent(row), linestyle="", label=label(row["method"]), **style)
        axis.set_xscale("log")
        gap_axis(axis.set_yscale, axis.set_yticks)
        axis.set_ylim(PROVED / 3, 60)
        axis.set_title(f"{pattern}, {timed[0]['size']}", fontsize=9)
        axis.set_xlabel("milliseconds")
        axis.set_ylabel("gap to the optimum, %")
    legend_below(figure, axes)
    return figure


def speed_by_pattern(rows):
    """Weights a second of each method."""
    timed = with_all_threads(select(rows, "speed"))
    patterns = distinct(timed, "pattern")
    if not patterns:
        return None
    figure, (axis,) = panels(1, 1, 7.2, 4)
    for method in in_order(distinct(timed, "method"), METHODS):
        mine = [x for x in timed if x["method"] == method]
        at = [patterns.index(x["pattern"]) for x in mine]
        axis.plot(at, [weights_in(x) / x["milliseconds"] * 1e3 for x in mine], label=label(method), **style_of(method))
    axis.set_yscale("log")
    axis.set_xticks(range(len(patterns)), patterns)
    axis.set_ylabel("weights a second")
    legend_below(figure, [axis])
    return figure


def scaling(rows):
    """Time by size of the matrix."""
    small = select(rows, "scaling")
    if not small:
        return None
    pattern = small[0]["pattern"]
    methods = in_order(distinct(small, "method"), METHODS)
    timed = small + with_all_threads(select(rows, "speed", pattern=pattern))
    figure, (axis,) = panels(1, 1, 7.2, 4)
    for method in methods:
        mine = sorted((x for x in timed if x["method"] == method), key=side)
        axis.plot([side(x) for x in mine], [x["milliseconds"] for x in mine], label=label(method), **style_of(method))
    sides = sorted({side(x) for x in timed})
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xticks(sides, [str(x) for x in sides])
    axis.set_xlabel(f"side of the matrix, {pattern}")
    axis.set_ylabel("milliseconds")
    legend_below(figure, [axis])
    return figure


def errors(rows):
    """A panel for each kind of weights: gap by pattern and method."""
    found = select(rows, "errors")
    kinds = in_order(distinct(found, "weights"), WEIGHTS)
    if not kinds:
        return None
    patterns = distinct(found, "pattern")
    figure, axes = panels(len(kinds), 2, 5.4, 3.1)
    for axis, kind in zip(axes, kinds):
        for method in in_order(distinct(found, "method"), METHODS):
            mine = select(rows, "errors", weights=kind, method=method)
            at = [patterns.index(x["pattern"]) for x in mine]
            axis.plot(at, [percent(x) for x in mine], label=label(method), linewidth=0.8, **style_of(method))
        axis.set_xticks(range(len(patterns)), patterns, rotation=45)
        gap_axis(axis.set_yscale, axis.set_yticks)
        axis.set_title(weights_label(kind), fontsize=9)
        axis.set_ylabel("gap to the optimum, %")
    legend_below(figure, axes)
    return figure


def ablation(rows):
    """A panel for each kind of weights: what the parts of the published algorithm leave of the gap."""
    found = select(rows, "ablation")
    kinds = in_order(distinct(found, "weights"), WEIGHTS)
    if not kinds:
        return None
    parts = in_order(distinct(found, "method"), ABLATIONS)
    figure, axes = panels(len(kinds), 2, 5.4, 2.6)
    for axis, kind in zip(axes, kinds):
        for k, pattern in enumerate(distinct(found, "pattern")):
            mine = select(rows, "ablation", weights=kind, pattern=pattern)
            at = [parts.index(x["method"]) for x in mine]
            axis.plot([percent(x) for x in mine], at, linestyle="", color=CYCLE[k], marker=MARKERS[k], label=pattern)
        axis.set_yticks(range(len(parts)), [ABLATIONS.get(x, x) for x in parts], fontsize=8)
        axis.invert_yaxis()
        gap_axis(axis.set_xscale, axis.set_xticks)
        axis.set_title(weights_label(kind), fontsize=9)
        axis.set_xlabel("gap to the optimum, %")
    legend_below(figure, axes)
    return figure


def sensitivity_to(rows, title, axis_of, line_of, lines, x_label):
    """Panels of weights x pattern; gap over one parameter, a line for each value of another."""
    found = [x for x in select(rows, "sensitivity") if line_of(x) in lines]
    pairs = list(dict.fromkeys((x["weights"], x["pattern"]) for x in found))
    if not pairs:
        return None
    figure, axes = panels(len(pairs), 2, 4.6, 2.7)
    for axis, (kind, pattern) in zip(axes, pairs):
        for k, line in enumerate(lines):
            mine = [x for x in found if (x["weights"], x["pattern"], line_of(x)) == (kind, pattern, line)]
            mine.sort(key=axis_of)
            at = [axis_of(x) for x in mine]
            gaps = [percent(x) for x in mine]
            axis.plot(at, gaps, color=CYCLE[k], marker=MARKERS[k], markersize=4, label=title(line))
        axis.set_yscale("log")
        axis.set_title(f"{weights_label(kind)}, {pattern}", fontsize=9)
        axis.set_xlabel(x_label)
        axis.set_ylabel("gap to the optimum, %")
    return figure, axes


def sensitivity_tau(rows):
    """The published method over tau, for several T."""
    drawn = sensitivity_to(
        [x for x in rows if x.get("local_search_steps") == 10],
        lambda t: f"T = {t}", lambda x: x["tau"], lambda x: x["iterations"], [100, 300, 1000, 3000],
        "tau, as a fraction of the tile's largest importance",
    )  # fmt: skip
    if drawn is None:
        return None
    for axis in drawn[1]:
        axis.set_xscale("log")
    legend_below(*drawn, columns=4)
    return drawn[0]


def sensitivity_steps(rows):
    """The published method over L, at the paper's T and tau."""
    paper = [x for x in rows if (x.get("iterations"), x.get("tau")) == (300, 0.005)]
    drawn = sensitivity_to(
        paper, lambda t: f"T = {t}, tau = 0.005", lambda x: x["local_search_steps"], lambda x: x["iterations"], [300],
        "L, swaps tried in a tile",
    )  # fmt: skip
    if drawn is None:
        return None
    for axis in drawn[1]:
        axis.set_xscale("symlog", linthresh=1)
        axis.set_xticks([0, 1, 3, 10, 30, 100], ["0", "1", "3", "10", "30", "100"])
    legend_below(*drawn, columns=4)
    return drawn[0]


ALL = {
    "time-against-gap": time_against_gap,
    "speed-by-pattern": speed_by_pattern,
    "scaling": scaling,
    "errors": errors,
    "ablation": ablation,
    "sensitivity-tau": sensitivity_tau,
    "sensitivity-steps": sensitivity_steps,
}


def draw(rows, folder, stem):
    """Writes the figures `folder/stem-NAME.png` that the rows have results for; returns their names and files."""
    written = {}
    with matplotlib.rc_context(STYLE):
        for name, plot in ALL.items():
            figure = plot(rows)
            if figure is not None:
                written[name] = folder / f"{stem}-{name}.png"
                figure.savefig(written[name], dpi=110, metadata={"Software": None})
                pyplot.close(figure)
    return written
