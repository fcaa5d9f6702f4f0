"""Plots and REPORT.md of what bench.py, prune_sharded.py and training.py measured, the last if it is there:

    report.py linear24.json sharded.json [training.json] FOLDER
"""

import json
import statistics
import sys
import textwrap
from pathlib import Path

import matplotlib
import time_to_loss

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


def plot_products(record, path):
    """Sparse over dense: both products by themselves, and the whole step of the layer."""
    labels = [f"{p['out']}x{p['in']}\n{p['tokens']}" for p in record["products"]]
    series = {
        "forward": [p["forward"]["dense_ms"] / p["forward"]["sparse_ms"] for p in record["products"]],
        "input gradient": [p["input_gradient"]["dense_ms"] / p["input_gradient"]["sparse_ms"] for p in record["products"]],
    }
    for every in (1, 16, 100):
        series[f"step, masks every {every}"] = [gain(s, f"every_{every}") for s in record["steps"]]
    figure, axes = plt.subplots(figsize=(14, 4.5), layout="constrained")
    width = 0.8 / len(series)
    for k, (name, values) in enumerate(series.items()):
        axes.bar([i + (k - 2) * width for i in range(len(labels))], values, width, label=name)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(labels)), labels, fontsize=7)
    axes.margins(x=0.01)
    axes.set_ylabel("times dense")
    axes.set_xlabel("weights, tokens")
    axes.legend(fontsize=8, ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1))
    figure.savefig(path, dpi=100)


def gain(step, kind):
    """How many times as fast as dense a kind of step is."""
    return step["step_ms"]["dense"] / step["step_ms"][kind]


def name_of(run):
    if run["kind"] == "dense":
        return "dense, captured" if run["captured"] else "dense"
    start = f", dense for {run['switch_at']} steps" if run["switch_at"] else ""
    where = "" if run["kind"] == "sparse" else " where that is faster"
    return f"2:4{where}, masks every {run['every']}{start}{', captured' if run['captured'] else ''}"


def rows_of(record):
    for p, s in zip(record["products"], record["steps"]):
        own = s["torch_semi_structured"]
        wrong = "" if own.get("right") else " (wrong result)"
        yield [
            f"{p['out']} x {p['in']}",
            p["tokens"],
            *(f"{p[d]['dense_ms'] / p[d]['sparse_ms']:.2f}" for d in ("forward", "input_gradient")),
            how(p),
            f"{s['step_ms']['dense']:.3f}",
            *(f"{gain(s, kind):.3f}" for kind in ("no_refresh", "every_1", "every_16", "every_100")),
            f"{gain(s, 'torch_every_1'):.2f}{wrong}" if "torch_every_1" in s["step_ms"] else "fails",
            "yes" if p["beats_linear"] else "no",
        ]


def how(product):
    """What the layer used."""
    if not product["layer_is_sparse"]:
        return "dense"
    sparse = [bool(product[d]["sparse"]) for d in ("forward", "input_gradient")]
    return "sparse" if all(sparse) else "one sparse, one dense"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows] + [""]


def summary_lines(record, training):
    """The answer, in a few lines: the time to the loss first."""
    first = time_to_loss.answer(training) if training else []
    return ["## Does training get faster?", "", *first, *large_answer(record), *small_answer(record["training"]),
            *fp8_answer(record), ""]


def large_answer(record):
    taken = [s for p, s in zip(record["products"], record["steps"]) if p["beats_linear"]]
    if not taken:
        return ["- No: `sparsify24` takes no shape."]
    steps, large = [gain(s, "every_1") for s in taken], record["training"]["large_runs"]
    own = [gain(s, "torch_every_1") for s in taken if "torch_every_1" in s["step_ms"]]
    beside = f" PyTorch's own semi-structured path has {min(own):.2f} to {max(own):.2f}." if own else ""
    return [
        f"- `sparsify24` takes {len(taken)} of {len(record['steps'])} shapes. Their steps, with new masks in every step, are "
        f"{min(steps):.2f} to {max(steps):.2f} times as fast as dense steps; the median is {statistics.median(steps):.2f}."
        f"{beside} A decoder of large layers has {large[0]['median_step_ms'] / large[1]['median_step_ms']:.2f}."
    ]


def small_answer(training):
    runs = {(r["kind"], r["every"], r["switch_at"], r["captured"]): r for r in training["runs"]}
    dense, sparse = (runs[kind, 1, 0, True]["median_step_ms"] for kind in ("dense", "sparse"))
    first = runs["dense", 1, 0, False]
    losses = "; ".join(f"{r['losses'][-1] - first['losses'][-1]:+.2f} with {name_of(r)}" for r in runs.values()
                       if r["kind"] == "sparse" and not r["captured"])
    return [
        f"- A small decoder of width {training['size']['hidden']} is {dense / sparse:.2f} times as fast as dense if a CUDA graph replays "
        f"its steps. Without a graph, launching kernels limits the steps, and `sparsify24` takes "
        f"{runs['faster', 1, 0, False]['sparse_layers']} of its {runs['sparse', 1, 0, False]['sparse_layers']} layers.",
        f"- The loss of the small decoder after {first['steps']} steps, less that of the dense one: {losses}.",
    ]


def fp8_answer(record):
    steps = [gain(f, "every_1") for f in record["fp8"] if "step_ms" in f]
    if not steps:
        return []
    return [f"- In float8 a layer's steps with masks found in every one are {min(steps):.2f} to {max(steps):.2f} times as fast as "
            "PyTorch's dense ones in float8."]


def compress_lines(record):
    keys = ("and_mask_ms", "kept_mask_ms", "mask_alone_ms", "copy_ms")
    rows = [
        [f"{c['rows']} x {c['cols']}", f"{c['mask_and_both_operands_ms']:.3f}", f"{c['bytes_per_second'] / 1e12:.2f}",
         *(f"{c[k]:.3f}" for k in keys)]
        for c in record["compress"]
    ]
    return [
        "## Mask and both operands", "",
        "One kernel reads the weights, finds the mask, and writes both compressed operands. The table gives its device time in ms. "
        "\"Mask too\" also writes the mask. \"Given mask\" takes a mask instead of finding it. \"Mask alone\" writes only the mask. "
        "\"Copy\" copies the weights, for comparison.", "",
    ] + table(["weights", "ms", "TB/s", "mask too", "given mask", "mask alone", "copy"], rows)


def step_lines(record):
    same = all(p[d]["own_form"] for p in record["products"] for d in ("forward", "input_gradient"))
    form = ("For all shapes, the compressed form was the vendor's, byte for byte." if same
            else "**For some shapes the compressed form was not the vendor's**; there the vendor's compress was used.")
    head = ["weights (out x in)", "tokens", "forward", "input gradient", "products", "dense step, ms", "no refresh", "every 1",
            "every 16", "every 100", "PyTorch's own, every 1", "taken by sparsify24"]
    return [
        "## Times dense", "",
        "A number above 1 is faster than PyTorch's dense layer. \"Forward\" and \"input gradient\" time the products alone. A step "
        "finds the mask, writes the operands, and computes all three products; the product for the weight gradient is always dense. "
        "Steps are timed in runs, in wall time. \"No refresh\" finds no mask and writes no operand. \"Every 16\" finds a new mask in "
        "every 16th step; the steps in between keep the mask, and write new operands. Runs of all kinds, also dense ones, take turns, "
        "because the GPU's clock falls under load.", "", form, "",
    ] + table(head, rows_of(record)) + ["![times dense](products.png)", ""]


def refresh_lines(record):
    """What finding masks and writing operands add to steps of large layers."""
    pairs = [("every_100", "no_refresh"), ("every_16", "every_100"), ("every_1", "every_100"), ("every_1", "no_refresh")]
    wide = [s for s in record["steps"] if 8192 in (s["out"], s["in"])]
    rows = [[f"{s['out']} x {s['in']}", s["tokens"], *(f"{100 * (gain(s, b) / gain(s, a) - 1):.1f}" for a, b in pairs)]
            for s in wide]
    text = ("This table shows the time that masks and operands add to a step, in percent, for hidden size 8192. \"Operands\" is the "
            "time to write the operands of changed weights in every step. \"+ masks\" is the further time to find masks in every 16th or "
            "every step. \"All\" compares with a step whose weights stay as they are.")
    return [text, ""] + table(
        ["weights (out x in)", "tokens", "operands", "+ masks every 16", "+ masks every 1", "all"], rows)


def slower_lines(record):
    """Layers that are slower than dense, and what sparsify24 does with them."""
    slower = [(p, s) for p, s in zip(record["products"], record["steps"]) if gain(s, "every_1") < 1 / 1.02]
    if not slower:
        return []
    names = "; ".join(f"{s['out']} x {s['in']} with {s['tokens']} tokens, {s['step_ms']['every_1']:.3f} ms instead of "
                      f"{s['step_ms']['dense']:.3f}" for _, s in slower)
    taken = sum(p["beats_linear"] for p, _ in slower)
    return [f"**Some Linear24 are slower than dense by more than 2 %**, with new masks in every step: {names}. In such short steps, the "
            f"host's work to launch kernels takes most of the time, and finding a mask is one more launch. `sparsify24` takes {taken} of "
            f"these {len(slower)} layers; the others stay `torch.nn.Linear`.", ""]


def captured_lines(record):
    """Small layers without the cost of launching."""
    rows = [[f"{s['out']} x {s['in']}", s["tokens"], f"{s['step_ms']['dense']:.3f}", f"{gain(s, 'every_1'):.3f}",
             "sparse" if s["layer_is_sparse"] else "dense", "yes" if s["beats_linear"] else "no"] for s in record["captured"]]
    text = "The same small layers, with a CUDA graph that replays whole steps (`captured=True`), and new masks in each step:"
    return [text, ""] + table(
        ["weights (out x in)", "tokens", "dense step, ms", "times dense", "products", "taken by sparsify24"], rows)


def fp8_row(f):
    times, compress, ms = (f["forward"], f["input_gradient"]), f["compress"], f["step_ms"]
    return [f"{f['out']} x {f['in']}", f["tokens"], *(f"{t['dense_ms'] / t['sparse_ms']:.2f}" for t in times),
            f"{sum(t['dense_ms'] - t['sparse_ms'] for t in times):.2f}", f"{compress['own_ms']:.3f}",
            f"{compress['vendors_ms']:.2f}", f"{compress['copy_ms']:.3f}", f"{ms['dense']:.2f}", f"{gain(f, 'every_1'):.2f}",
            "yes" if compress["own_form"] else "**no**",
            "yes" if all(t["relative_error"] < 0.02 for t in times) else "**no**"]


def fp8_lines(record):
    """A layer in float8."""
    rows = [fp8_row(f) for f in record["fp8"] if "step_ms" in f]
    fails = [f"{f['out']} x {f['in']} with {f['tokens']} tokens: {f['error']}" for f in record["fp8"] if "error" in f]
    head = ["weights (out x in)", "tokens", "forward", "input gradient", "saved by both, ms", "mask and both operands, ms",
            "vendor's compress of both, ms", "copy, ms", "dense step, ms", "step, times dense", "the vendor's form",
            "results agree"]
    return ["## float8", "",
            "The same in e4m3 against PyTorch's dense products in e4m3. One kernel reads the weights in bfloat16, finds the mask, "
            "casts, and writes both operands; beside it the vendor's two compressions of a weight that is pruned and cast "
            "already, and a copy of the weights. A step is the casts of weights, input and output gradient and all three "
            "products, of which the weight gradient is dense in both; masks are found in every step, and steps of both kinds "
            "take turns.", ""] + (table(head, rows) if rows else []) + [f"Does not run: {x}.\n" for x in fails]


def training_lines(record):
    training = record["training"]
    lines = ["## Training", ""]
    for title, size, runs in (("The small", "size", "runs"), ("The large", "large_size", "large_runs")):
        s, dense = training[size], {r["captured"]: r["median_step_ms"] for r in training[runs] if r["kind"] == "dense"}
        lines += [f"{title} decoder: hidden {s['hidden']}, {s['layers']} layers, {s['batch'] * s['length']} tokens a step.", ""]
        rows = [[name_of(r), f"{r['losses'][-1]:.4f}" if r["steps"] > 50 else "-", r["steps"],
                 f"{r['median_step_ms']:.2f}", f"{dense[r['captured']] / r['median_step_ms']:.2f}", r["sparse_layers"]]
                for r in training[runs]]
        lines += table(["run", "loss, last 50 steps", "steps", "ms a step", "times dense", "2:4 layers"], rows)
    lines += ["Runs take turns, step by step; times are wall times. A run in which `sparsify24` took no layer is the dense model again: "
              "its difference from dense shows how much the host's work in small steps varies. A CUDA graph replays the steps of the "
              "captured runs.", "", f"The training text: {training['text']}.", ""]
    return lines


def sharded_lines(record):
    runs = record["runs"]
    masks = {r["digest"]["sha256"] for r in runs if "digest" in r}
    times = {n: statistics.median(max(x["find"] for x in r["of_rank"]) for r in runs
                                  if r["ranks"] == n and not r["resumed_after_a_kill"]) for n in (1, 2)}
    weights = sum(x["weights"] for x in runs[0]["of_rank"])
    again = sum(x["weights"] for r in runs if r["resumed_after_a_kill"] for x in r["of_rank"])
    return [
        "## Many GPUs", "",
        f"A synthetic decoder of {weights / 1e9:.2f} billion weights in bfloat16 ({record['environment']['command']}) was pruned to "
        f"{record['pattern']} on one and on two {record['environment']['gpu']} of one host. The times go from the first to the last "
        "mask of the slower rank; the weights were already on the GPUs.", "",
    ] + table(["GPUs", "ms", "billion weights a second", "times one"],
              [[n, f"{1e3 * t:.1f}", f"{weights / t / 1e9:.0f}", f"{times[1] / t:.2f}"] for n, t in times.items()]) + [
        f"The masks of {runs[0]['digest']['tensors']} tensors on one GPU, on two, and on two after a rank was killed half-way are "
        f"{'the same bit for bit' if len(masks) == 1 else '**not the same**'}. The run that resumed after the kill found the missing "
        f"masks, for {again / 1e9:.2f} billion weights.", "",
    ]


def wrapped(line):
    """Lines of 120 columns, but for tables."""
    if line.startswith("|"):
        return line
    indent = "  " if line.startswith("- ") else ""
    return textwrap.fill(line, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def markdown(record, sharded, training=None):
    environment = record["environment"]
    lines = [f"# 2:4 transposable training on {environment['gpu']}", ""]
    lines += [f"PyTorch {environment['torch']}, CUDA {environment['cuda']}, cuSPARSELt {environment.get('cusparselt', 'unknown')}, "
              f"{environment['time']}; one run of "
              "[bench.py](bench.py), written by [report.py](report.py).", ""]
    lines += summary_lines(record, training) + (time_to_loss.section(training, table) if training else [])
    parts = compress_lines, step_lines, refresh_lines, slower_lines, captured_lines, fp8_lines, training_lines
    lines += [line for part in parts for line in part(record)]
    return "\n".join(map(wrapped, lines + sharded_lines(sharded)))


def main(*records, folder):
    record, sharded, *training = (json.loads(Path(path).read_text()) for path in records)
    plot_products(record, folder / "products.png")
    (folder / "REPORT.md").write_text(markdown(record, sharded, *training))


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:-1], folder=Path(sys.argv[-1]))
