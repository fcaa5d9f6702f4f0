"""REPORT.md and report.png of what bench.py, training.py and prune_sharded.py measured.

    python report.py [RECORD.json ...] [--out FOLDER]

Without records these are the newest ones of bench/results. A record's name begins with linear24, training or sharded.
"""

import argparse
import json
import statistics
import textwrap
from pathlib import Path

import matplotlib
import prune_sharded
import time_to_loss

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

HERE = Path(__file__).resolve().parent
KINDS = {"masks": "masks", "both": "masks + mvue", "mvue": "mvue alone"}
PRODUCTS = {"forward": "forward", "input_gradient": "input gradient", "weight_gradient": "weight gradient"}
GOALS = {"layer": 1.40, "decoder": 1.30, "float8": 1.10, "bandwidth": 0.70}
GOAL_LAYERS = [[4096, 14336, 16384], [8192, 8192, 16384]]


def newest(paths=()):
    """The records by name: those given, else the newest of bench/results."""
    found = {}
    for name in ("linear24", "sharded", "training"):
        stored = sorted((HERE.parent.parent / "bench" / "results").glob(f"{name}-*.json"))
        chosen = stored[-1:] + [path for path in paths if path.name.startswith(name)]
        found[name] = json.loads(chosen[-1].read_text()) if chosen else None
    return found


def gain(item, kind):
    """How many times as fast as dense a kind of step is."""
    return item["step_ms"]["dense"] / item["step_ms"][kind]


def shape(item):
    return f"{item['out']} x {item['in']}"


def span(values):
    return " to ".join(dict.fromkeys(f"{value:.2f}" for value in (min(values), max(values))))


def verdict(value, goal):
    return "reached" if value >= goal else f"missed by {goal - value:.2f}"


def layers_of(record):
    return [item for item in record.get("layers", []) if item["of"] in GOAL_LAYERS]


def decoder_gains(record, name):
    """(run, times dense) for each run. A captured run is compared with the captured dense one."""
    for item in record.get("decoders", []):
        if item["name"] == name:
            dense = {run["captured"]: run["median_step_ms"] for run in item["runs"] if run["kind"] == "dense"}
            yield from ((run, dense[run["captured"]] / run["median_step_ms"]) for run in item["runs"])


def float8_gains(record):
    return sorted((gain(item, "masks") for item in record.get("float8", []) if "step_ms" in item), reverse=True)


def goals(record, training):
    """(what, the goal, what was measured, whether it was reached)."""
    found = time_to_loss.goals(training) if training else []
    for item in layers_of(record):
        best = gain(item, "both")
        found.append((f"layer step, {shape(item)}, {item['tokens']} tokens, masks + mvue",
                      f"{GOALS['layer']:.2f} x dense", f"{best:.2f}", verdict(best, GOALS["layer"])))
    large = {run["kind"]: value for run, value in decoder_gains(record, "large")}
    if large:
        found.append(("large decoder, masks + mvue", f"{GOALS['decoder']:.2f} x dense", f"{large['both']:.2f}",
                      verdict(large["both"], GOALS["decoder"])))
    eight = float8_gains(record)
    if eight:
        found.append(("float8 layer step, the second best shape", f"{GOALS['float8']:.2f} x dense on two of three",
                      ", ".join(f"{value:.2f}" for value in eight), verdict(eight[:2][-1], GOALS["float8"])))
    slow = [item for name in ("layers", "captured") for item in record.get(name, []) for kind in KINDS
            if item["beats_linear"][kind] and gain(item, kind) < 1]
    found.append(("layers that sparsify24 takes and that are slower than dense", "0", str(len(slow)),
                  "missed: " + ", ".join(f"{shape(it)}, {it['tokens']} tokens" for it in slow) if slow else "reached"))
    shares = [item["copy_ms"] / item["ms"] for item in record.get("mvue", [])]
    if shares:
        found.append(("the estimate's kernel, of a copy's bandwidth", f"{GOALS['bandwidth']:.2f}", span(shares),
                      verdict(min(shares), GOALS["bandwidth"])))
    return found


def summary_lines(record, training):
    """The answer in three lines, the time to the loss first; then whether the goals were reached."""
    first = time_to_loss.answer(training or {"parts": []})
    last = [*time_to_loss.costs(training), time_to_loss.noise_line(training), ""] if training else [""]
    lines = ["## Does training get faster?", "", first, layer_answer(record), float8_answer(record), *last]
    lines += table(["what", "goal", "measured", ""], goals(record, training))
    return lines + ["![held-out loss over time, and times dense](report.png)", ""]


def layer_answer(record):
    items = layers_of(record)
    if not items:
        return "- Layer steps have not been measured."
    steps = ", ".join(f"{name} {span([gain(item, kind) for item in items])}" for kind, name in KINDS.items())
    large = ", ".join(f"{KINDS[run['kind']]} {value:.2f}" for run, value in decoder_gains(record, "large")
                      if run["kind"] != "dense")
    return (f"- **Steps, times dense**, masks found in every one: of a large layer {steps} (goal {GOALS['layer']:.2f})"
            + (f"; of a large decoder {large} (goal {GOALS['decoder']:.2f})." if large else "."))


def float8_answer(record):
    steps = ", ".join(f"{value:.2f}" for value in float8_gains(record))
    goal = f"goal {GOALS['float8']:.2f} on two of three"
    return "- **float8**: " + (f"layer steps {steps} times dense in float8 ({goal})." if steps else "not measured.")


def layer_lines(record):
    items = record.get("layers", [])
    names = ["weights (out x in)", "tokens", "dense step, ms", *KINDS.values(), "no refresh", "masks every 16",
             "PyTorch's own", "taken by sparsify24"]
    kinds = (*KINDS, "no_refresh", "masks_16")
    rows = [[shape(it), it["tokens"], f"{it['step_ms']['dense']:.3f}", *(f"{gain(it, kind):.3f}" for kind in kinds),
             own_path(it), taken(it)] for it in items]
    same = all(it[name]["own_form"] or not it[name]["sparse"] for it in items for name in PRODUCTS)
    form = ("Wherever a product was sparse, the compressed form was the vendor's, byte for byte." if same
            else "**For some shapes the compressed form was not the vendor's**; there the vendor's compress was used.")
    return ["## Layer steps, times dense", "",
            "A step finds the mask, writes the operands, and computes all three products, in bfloat16. \"Masks\" has "
            "2:4 transposable weights and a dense weight gradient, \"masks + mvue\" all three products sparse, \"mvue "
            "alone\" dense weights and a sparse weight gradient. \"No refresh\" is \"masks\" without finding masks or "
            "writing operands; \"masks every 16\" finds them in every 16th step. A number above 1 is faster than "
            "PyTorch's dense layer. All kinds of steps take turns, because the GPU's clock falls under load. Times are "
            "wall times. Layers that `sparsify24` does not take have dense products here. For them \"mvue alone\" is "
            "the dense layer, and differs from it only in the host's time, which varies.", "",
            form, "", *table(names, rows), *product_lines(items)]


def taken(item):
    return ", ".join(name for kind, name in KINDS.items() if item["beats_linear"][kind]) or "-"


def failures(items):
    said = [f"Does not run: {shape(it)} with {it['tokens']} tokens: {it['error']}." for it in items if "error" in it]
    return [line for it in said for line in (it, "")]


def own_path(item):
    wrong = "" if item["torch_semi_structured"].get("right") else " (wrong result)"
    return f"{gain(item, 'torch'):.2f}{wrong}" if "torch" in item["step_ms"] else "fails"


def product_lines(items):
    rows = [[shape(it), it["tokens"], *(f"{it[n]['dense_ms'] / it[n]['sparse_ms']:.2f}" for n in PRODUCTS),
             f"{it['torch_weight_gradient_ms']:.3f}", f"{it['weight_gradient_product_ms']:.3f}",
             f"{it['weight_gradient']['sparse_ms']:.3f}"] for it in items]
    return ["The products alone: dense time divided by sparse time. Then the weight gradient in ms: dense, sparse, and "
            "sparse with compressing the output gradient, which its ratio includes.", "",
            *table(["weights (out x in)", "tokens", *PRODUCTS.values(), "dense, ms", "sparse, ms", "with compress, ms"],
                   rows)]


def captured_lines(record):
    rows = [[shape(it), it["tokens"], f"{it['step_ms']['dense']:.3f}", *(f"{gain(it, kind):.3f}" for kind in KINDS),
             taken(it)] for it in record.get("captured", [])]
    return ["Launching kernels takes most of a small layer's step. With a CUDA graph (`captured=True`):", "",
            *table(["weights (out x in)", "tokens", "dense step, ms", *KINDS.values(), "taken by sparsify24"], rows)]


def kernel_lines(record):
    keys = ("and_mask_ms", "kept_mask_ms", "mask_alone_ms", "copy_ms")
    rows = [[f"{c['rows']} x {c['cols']}", f"{c['mask_and_both_operands_ms']:.3f}",
             f"{c['bytes_per_second'] / 1e12:.2f}", *(f"{c[k]:.3f}" for k in keys)] for c in record.get("compress", [])]
    estimates = [[f"{e['tokens']} x {e['features']}", f"{e['ms']:.3f}", f"{e['bytes_per_second'] / 1e12:.2f}",
                  f"{e['copy_ms']:.3f}", f"{100 * e['copy_ms'] / e['ms']:.0f}", f"{e['half_zeros_ms']:.3f}",
                  f"{e['infinities_ms']:.3f}"] for e in record.get("mvue", [])]
    return ["## Kernels", "",
            "One kernel reads the weights, finds the mask, and writes both compressed operands. The table has its "
            "device time. \"Mask too\" also writes the mask. \"Given mask\" takes a mask instead of finding it. \"Mask "
            "alone\" writes only the mask. \"Copy\" copies the weights.", "",
            *table(["weights", "ms", "TB/s", "mask too", "given mask", "mask alone", "copy"], rows),
            "The estimate of the output gradient, beside a copy that reads and writes as many bytes. The last two "
            "columns are for gradients with half of the entries 0, and with infinities.", "",
            *table(["tokens x features", "ms", "TB/s", "copy, ms", "of the copy's bandwidth, %", "half zeros, ms",
                    "infinities, ms"], estimates)]


def decoder_lines(record):
    lines = ["## Decoders", "", "Whole steps, which take turns; medians of wall times.", ""]
    for item in record.get("decoders", []):
        s = item["size"]
        where = "; only the layers that `sparsify24` takes" if item["runs"][0]["faster"] else ""
        lines += [f"The {item['name']} decoder: hidden {s['hidden']}, {s['layers']} layers, "
                  f"{s['batch'] * s['length']} tokens a step{where}{time_to_loss.compiled(item)}.", ""]
        rows = [[KINDS.get(run["kind"], "dense") + (", captured" if run["captured"] else ""),
                 f"{run['median_step_ms']:.2f}", f"{value:.2f}", run["sparse_layers"]]
                for run, value in decoder_gains(record, item["name"])]
        lines += table(["run", "ms a step", "times dense", "sparse layers"], rows)
        if item["runs"][0]["faster"] and any(float(row[2]) < 1 and row[3] for row in rows):
            lines += ["**Here `sparsify24` makes steps slower**, though each layer alone was faster when measured.", ""]
    return lines


def float8_row(f):
    times, compress, ms = (f["forward"], f["input_gradient"]), f["compress"], f["step_ms"]
    return [shape(f), f["tokens"], *(f"{t['dense_ms'] / t['sparse_ms']:.2f}" for t in times),
            f"{sum(t['dense_ms'] - t['sparse_ms'] for t in times):.2f}", f"{compress['own_ms']:.3f}",
            f"{compress['vendors_ms']:.2f}", f"{compress['copy_ms']:.3f}", f"{ms['dense']:.2f}",
            f"{gain(f, 'masks'):.2f}", "yes" if compress["own_form"] else "**no**",
            "yes" if all(t["relative_error"] < 0.02 for t in times) else "**no**"]


def float8_lines(record):
    rows = [float8_row(f) for f in record.get("float8", []) if "step_ms" in f]
    head = ["weights (out x in)", "tokens", "forward", "input gradient", "saved by both, ms",
            "mask and both operands, ms", "vendor's compress of both, ms", "copy, ms", "dense step, ms",
            "step, times dense", "the vendor's form", "results agree"]
    return ["## float8", "",
            "Products in e4m3 against PyTorch's dense products in e4m3. One kernel reads bfloat16 weights, finds the "
            "mask, casts, and writes both operands. Beside it are the vendor's two compressions of a pruned weight in "
            "float8, and a copy of the weights. A step casts weights, input and output gradient, finds the mask, and "
            "computes all three products. The weight gradient is dense in both.", "",
            *table(head, rows), *failures(record.get("float8", []))]


def float16_lines(record):
    items, errors = record.get("float16", []), {}
    for name, error in (found for it in items for found in it.get("relative_error", {}).items()):
        errors.setdefault(name, []).append(error)
    rows = [[name, len(them), sum(error < 0.02 for error in them), f"{max(them):.1e}"] for name, them in errors.items()]
    right = "right in all" if all(row[1] == row[2] for row in rows) else "not right in all"
    return ["## float16", "",
            f"cuSPARSELt {record['environment']['cusparselt']} was loaded. `Linear24` uses dense products in float16."
            + (f" Its results were {right} cases below. The table counts layers whose sparse product, of the vendor's "
               "own operand, is within 2 % of dense. Rows differ in algorithm and workspace." if rows else ""), "",
            *table(["algorithm and workspace", "layers", "right", "largest relative error"], rows), *failures(items)]


def table(head, rows):
    if not rows:
        return ["Not measured.", ""]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows] + [""]


def wrapped(line):
    """Lines of 120 columns, but for tables."""
    if line.startswith("|"):
        return line
    indent = "  " if line.startswith("- ") else ""
    return textwrap.fill(line, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def plot(record, training, path):
    """Held-out loss over time, and the layers' steps times dense."""
    figure, (above, below) = plt.subplots(2, figsize=(13, 9), layout="constrained")
    if training:
        time_to_loss.plot(training, above)
    items = record.get("layers", [])
    for k, (kind, name) in enumerate(KINDS.items()):
        below.bar([i + (k - 1) * 0.27 for i in range(len(items))], [gain(it, kind) for it in items], 0.27, label=name)
    below.axhline(1, color="black", linewidth=0.8)
    below.set_xticks(range(len(items)), [f"{it['out']}x\n{it['in']}\n{it['tokens']}" for it in items], fontsize=7)
    below.margins(x=0.01)
    below.set(ylabel="step, times dense", xlabel="weights (out x in), tokens")
    below.legend(ncols=3, fontsize=8)
    figure.savefig(path, dpi=90)


def markdown(linear24, sharded, training):
    e = linear24["environment"]
    lines = [f"# 2:4 training on {e['gpu']}", "",
             f"PyTorch {e['torch']}, CUDA {e['cuda']}, cuSPARSELt {e['cusparselt'] or 'unknown'}, {e['time']}. Written "
             "by `python report.py` from the newest [records](../../bench/results) of [bench.py](bench.py), "
             "[training.py](training.py) and [prune_sharded.py](prune_sharded.py).", ""]
    lines += summary_lines(linear24, training) + (time_to_loss.section(training, table) if training else [])
    parts = layer_lines, captured_lines, decoder_lines, float8_lines, float16_lines, kernel_lines
    lines += sum((part(linear24) for part in parts), [])
    more = prune_sharded.section(sharded, table) + time_to_loss.on_ranks(sharded["training"], table) if sharded else []
    return "\n".join(map(wrapped, lines + more))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("records", nargs="*", type=Path, metavar="RECORD.json")
    arguments.add_argument("--out", type=Path, default=HERE, help="folder (default: this one)")
    given = arguments.parse_args()
    records = newest(given.records)
    given.out.mkdir(parents=True, exist_ok=True)
    plot(records["linear24"], records["training"], given.out / "report.png")
    (given.out / "REPORT.md").write_text(markdown(**records))


if __name__ == "__main__":
    main()
