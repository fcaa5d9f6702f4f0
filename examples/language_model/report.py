"""The report: tables, two figures, and what holds of the paper's orders, from what the stages left."""

import statistics

import figures
from findings import Results, errors, log_errors, verdict

NAMES = {"row-wise": "standard", "transposable": "transposable", "published": "transposable, published", "row-then-column": "row then column"}


def perplexity_text(r):
    return f"{r['perplexity']:.3f} ({r['low']:.3f}-{r['high']:.3f})"


def quotient_text(q, digits=3):
    return "-" if q is None else "{:.{d}f} ({:.{d}f}-{:.{d}f})".format(*q, d=digits)


def answer(q, digits=3):
    return "-" if q is None else f"{verdict(q)}: {quotient_text(q, digits)}"


def answers(r, pairs):
    """Whether the first of each pair of runs has the lower perplexity."""
    return [answer(r.perplexities(a, b), 4) for a, b in pairs]


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def perplexity_tables(r):
    lines = ["## Perplexity a byte on held-out documents", "", f"Dense: {perplexity_text(r.dense)}; in brackets 95 % intervals from resampling the documents.", ""]
    for structure in r.structures:
        runs = [[r.run(m, p, structure) for m in r.methods] for p in r.patterns]
        rows = [[p] + ["-" if x is None else perplexity_text(x) for x in row] for p, row in zip(r.patterns, runs)]
        lines += [f"### {NAMES[structure]}", ""] + table(["pattern"] + r.methods, rows)
    return lines


def better_than(r):
    """alps against the other methods, by perplexity."""
    others = [m for m in r.methods if m != "alps"]
    if others == r.methods:
        return []
    rows = []
    for p in r.patterns:
        for x in ("row-wise", "transposable"):
            rows.append([p, NAMES[x]] + answers(r, [(r.run("alps", p, x), r.run(m, p, x)) for m in others]))
    return ["alps is better than:", ""] + table(["pattern", "structure"] + others, rows)


def larger_and_transposable(r):
    """The largest transposable pattern of each density against the smallest standard one."""
    rows = []
    for p in r.families().values():
        pairs = [(r.run(m, p[-1], "transposable"), r.run(m, p[0], "row-wise")) for m in r.methods]
        rows.append([f"{p[-1]}, {p[0]}"] + answers(r, pairs))
    return ["Transposable with the first pattern is better than standard with the second:", ""] + table(["patterns"] + r.methods, rows)


def optimal_and_published(r):
    rows = []
    for p in r.patterns:
        pairs = [(r.run(m, p, "transposable"), r.run(m, p, "published")) for m in r.methods]
        rows.append([p] + answers(r, pairs))
    return ["The optimal transposable mask is better than the published method's:", ""] + table(["pattern"] + r.methods, rows)


def perplexity_orders(r):
    lines = ["## Where the paper's orders hold: perplexity", "", "Quotients of perplexities, with 95 % intervals from resampling the documents, paired; 'open' where the interval holds 1.", ""]
    return lines + better_than(r) + larger_and_transposable(r) + optimal_and_published(r)


def order_of_methods(r):
    """Cases in which the errors are in the order alps, sparsegpt, wanda."""
    cases, held, clear, rows = 0, 0, 0, []
    for p in r.patterns:
        for x in r.structures:
            alps, sparsegpt, wanda = (r.run(m, p, x) for m in ("alps", "sparsegpt", "wanda"))
            both = [errors([alps], [sparsegpt]), errors([sparsegpt], [wanda])]
            if None in both:
                continue
            cases += 1
            held += all(q[0] <= 1 for q in both)
            clear += all(verdict(q) == "yes" for q in both)
            rows.append([p, NAMES[x]] + [answer(q) for q in both])
    lines = [f"alps <= sparsegpt <= wanda: in {held} of {cases} cases, in {clear} of them with both intervals below 1.", ""]
    return lines + table(["pattern", "structure", "alps / sparsegpt", "sparsegpt / wanda"], rows)


def cost_of_transposable(r):
    """Transposable / standard by pattern, and from each M to the next."""
    rows, steps = [], []
    for patterns in r.families().values():
        for p in patterns:
            rows.append([p] + [quotient_text(errors([r.run(m, p, "transposable")], [r.run(m, p, "row-wise")])) for m in r.methods])
        for p, q in zip(patterns, patterns[1:]):
            changes = [errors([r.run(m, q, "transposable"), r.run(m, p, "row-wise")], [r.run(m, q, "row-wise"), r.run(m, p, "transposable")]) for m in r.methods]
            steps.append([f"{p}, {q}"] + [answer(x) for x in changes])
    lines = ["Transposable / standard:", ""] + table(["pattern"] + r.methods, rows)
    return lines + ["That quotient falls from the first pattern to the second (second / first):", ""] + table(["patterns"] + r.methods, steps)


def cost_by_layer(r):
    """Transposable / standard with alps, of the layer in the middle and of those where it is largest."""
    rows = []
    for p in r.patterns:
        runs = r.run("alps", p, "transposable"), r.run("alps", p, "row-wise")
        if None in [log_errors(x) for x in runs]:
            continue
        quotients = {name: runs[0]["layers"][name] / runs[1]["layers"][name] for name in runs[0]["layers"]}
        largest = sorted(quotients, key=quotients.get, reverse=True)[:3]
        names = ", ".join(f"{name.removesuffix('.weight')} {quotients[name]:.2f}" for name in largest)
        rows.append([p, f"{statistics.median(quotients.values()):.3f}", names])
    if not rows:
        return []
    return ["The same by layer, with alps: what a transposable mask costs is concentrated in few layers.", ""] + table(["pattern", "median", "largest"], rows)


def error_orders(r):
    lines = ["## Where the paper's orders hold: error of the layers' outputs", "", "Quotients of errors, geometric mean over layers, with 95 % intervals from resampling the layers, paired; 'open' where the interval holds 1.", ""]
    return lines + cost_of_transposable(r) + cost_by_layer(r) + order_of_methods(r)


def error_tables(r):
    lines = ["## Error of the layers' outputs", "", "Squared error / square of the outputs on the calibration text, geometric mean over layers.", ""]
    rows = []
    for p in r.patterns:
        for x in r.structures:
            values = [(r.run(m, p, x) or {}).get("error") for m in r.methods]
            rows.append([p, NAMES[x]] + ["-" if e is None else f"{e:.4g}" for e in values])
    return lines + table(["pattern", "structure"] + r.methods, rows)


def iterations(r):
    """Of alps: mean and most over layers, where the stages noted them."""
    runs = [[(r.run("alps", p, x) or {}).get("iterations") for x in r.structures] for p in r.patterns]
    rows = [[p] + [f"{sum(n) / len(n):.0f} ({max(n)})" if n else "-" for n in row] for p, row in zip(r.patterns, runs)]
    if all(n is None for row in runs for n in row):
        return []
    return ["## Iterations of alps", "", "Mean over layers, in brackets the most.", ""] + table(["pattern"] + [NAMES[x] for x in r.structures], rows)


def retraining(r):
    lines = ["## Retraining with the mask fixed", ""]
    dense = next((x["after"] for x in r.retrained if x["name"] == "dense"), None)
    rows = [[x["name"], str(x["steps"]), perplexity_text(x["before"]), perplexity_text(x["after"]), quotient_text(r.perplexities(x["after"], dense), 4)]
            for x in r.retrained]
    return lines + table(["configuration", "steps", "before", "after", "after / dense after"], rows)


def write(work):
    r = Results(work)
    t = r.train
    lines = ["# Pruning a small language model", "", f"A byte-level decoder of {t['parameters'] / 1e6:.1f} M parameters, trained for {t['seconds']:.0f} s on {t['bytes'] / 1e6:.0f} MB of text; "
             f"its test: {len(r.dense['bytes'])} held-out documents, {sum(r.dense['bytes']) / 1e6:.2f} MB.", "",
             "![Perplexity against M](perplexity.png)", "", "Bars: 95 % intervals of the difference from the dense model, from resampling the documents.", "",
             "![Transposable against standard, and retraining](transposable.png)", "", "Bars: 95 % intervals from resampling the layers.", ""]
    lines += perplexity_orders(r) + error_orders(r) + perplexity_tables(r) + error_tables(r) + iterations(r) + retraining(r)
    figures.perplexities(r, work / "perplexity.png")
    figures.transposable(r, work / "transposable.png")
    (work / "report.md").write_text("\n".join(lines))
