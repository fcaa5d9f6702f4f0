"""Plots and REPORT.md of what bench.py and prune_sharded.py measured: report.py linear24.json sharded.json FOLDER"""

import json
import statistics
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


RANDOM_TEXT = "a random chain in which a token depends on the two before it, which runs this short do not learn"


def plot_products(record, path):
    """Sparse over dense: both products by themselves, and the whole step of the layer."""
    labels = [f"{p['out']}x{p['in']}\n{p['tokens']}" for p in record["products"]]
    series = {
        "forward": [p["forward"]["dense_ms"] / p["forward"]["sparse_ms"] for p in record["products"]],
        "input gradient": [p["input_gradient"]["dense_ms"] / p["input_gradient"]["sparse_ms"] for p in record["products"]],
    }
    for every in (1, 16, 100):
        series[f"step, masks every {every}"] = [gain(beside_dense(s, f"every_{every}")) for s in record["steps"]]
    figure, axes = plt.subplots(figsize=(max(9, 1.5 + 1.3 * len(labels)), 4), layout="constrained")
    width = 0.8 / len(series)
    for k, (name, values) in enumerate(series.items()):
        axes.bar([i + (k - 2) * width for i in range(len(labels))], values, width, label=name)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(labels)), labels, fontsize=8)
    axes.set_ylabel("times dense")
    axes.set_xlabel("weights, tokens")
    axes.legend(fontsize=8, ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1))
    figure.savefig(path, dpi=100)


def plot_losses(record, path):
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for run in record["training"]["runs"]:
        axes.plot(smooth(run["losses"]), linewidth=1, label=name_of(run))
    axes.set_xlabel("step")
    axes.set_ylabel("loss, mean of 10 steps")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=100)


def smooth(losses, window=10):
    return [sum(losses[k : k + window]) / window for k in range(len(losses) - window + 1)]


def gain(times):
    return times["dense_ms"] / times["ms"]


def beside_dense(step, kind):
    """The times of a kind of step; the records of 2026-11-25 have one dense time, from before the others."""
    return step[kind] if kind in step else {"ms": step[f"{kind}_ms"], "dense_ms": step["dense_ms"]}


def name_of(run):
    if run["kind"] == "dense":
        return "dense"
    start = f", dense for {run['switch_at']} steps" if run["switch_at"] else ""
    return f"2:4, masks every {run['every']}{start}"


def rows_of(record):
    for p, s in zip(record["products"], record["steps"]):
        own = s["torch_semi_structured"]
        wrong = "" if own.get("right") else " (wrong result)"
        torch_path = f"{gain(beside_dense(s, 'every_1') | own):.2f}{wrong}" if own["ms"] else "fails"
        yield [
            f"{p['out']} x {p['in']}",
            p["tokens"],
            *(f"{p[d]['dense_ms'] / p[d]['sparse_ms']:.2f}" for d in ("forward", "input_gradient")),
            how(p),
            f"{beside_dense(s, 'every_1')['dense_ms']:.3f}",
            *(f"{gain(beside_dense(s, key)):.3f}" for key in ("no_refresh", "every_1", "every_16", "every_100")),
            torch_path,
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


def compress_lines(record):
    keys = ("and_mask_ms", "kept_mask_ms", "mask_alone_ms", "copy_ms")
    rows = [
        [f"{c['rows']} x {c['cols']}", f"{c['mask_and_both_operands_ms']:.3f}", f"{c['bytes_per_second'] / 1e12:.2f}",
         *(f"{c[k]:.3f}" for k in keys)]
        for c in record["compress"]
    ]
    return [
        "## Mask and both operands", "",
        "Device time of one kernel that reads the weights and writes both compressed operands, in ms; with the mask written "
        "too; with the mask given instead of found; the mask alone; and a copy of the weights, for comparison.", "",
    ] + table(["weights", "ms", "TB/s", "mask too", "given mask", "mask alone", "copy"], rows)


def step_lines(record):
    same = all(p[d]["own_form"] for p in record["products"] for d in ("forward", "input_gradient"))
    form = ("The compressed form was the vendor's, byte for byte, for all of these." if same
            else "**For some of these the compressed form was not the vendor's**, and its own compress was used.")
    head = ["weights (out x in)", "tokens", "forward", "input gradient", "layer used", "dense step, ms", "no compress",
            "every 1", "every 16", "every 100", "PyTorch's own, every 1"]
    slower = [(s, t) for s in record["steps"] if gain(t := beside_dense(s, "every_1")) < 1 / 1.02]
    dense = "**The dense steps ran first, at a higher clock.**"
    if "every_1" in record["steps"][0]:
        dense = "Runs of dense steps take turns with them, since the GPU's clock falls under load."
    lines = [
        "## Times dense", "",
        "Above 1 is faster than PyTorch's dense layer. Forward and input gradient are the products alone; a step is the mask, "
        "the operands, and all three products, of which the weight gradient is dense in any case. Wall time of runs of steps, "
        "in which every step, or every 16th or 100th, finds its masks anew; in between they are kept, and the operands written "
        "anew. " + dense, "", form, "",
    ] + table(head, rows_of(record)) + ["![times dense](products.png)", ""]
    if slower:
        names = "; ".join(
            f"{s['out']} x {s['in']} with {s['tokens']} tokens, {t['ms']:.3f} ms against {t['dense_ms']:.3f}" for s, t in slower
        )
        lines += [f"**Slower than dense by more than 2 %**, with masks in every step: {names}. Steps this short are bound by "
                  "what the host does to launch them, and finding a mask is a launch more.", ""]
    return lines


def training_lines(record):
    training = record["training"]
    lines = ["## Training", ""]
    for title, size, runs in (("The small", "size", "runs"), ("The large", "large_size", "large_runs")):
        if runs not in training:
            continue
        s, dense = training[size], training[runs][0]["median_step_ms"]
        lines += [f"{title} decoder: hidden {s['hidden']}, {s['layers']} layers, {s['batch'] * s['length']} tokens a step.", ""]
        rows = [[name_of(r), f"{r['losses'][-1]:.4f}", r["steps"], f"{r['median_step_ms']:.2f}",
                 f"{dense / r['median_step_ms']:.2f}"] for r in training[runs]]
        lines += table(["run", "last loss", "steps", "ms a step", "times dense"], rows)
    lines += ["![losses](losses.png)", "", f"The text: {training.get('text', RANDOM_TEXT)}.", ""]
    return lines


def sharded_lines(record):
    runs = record["runs"]
    masks = {json.dumps(r["digests"]) for r in runs if "digests" in r}
    times = {n: statistics.median(max(x["find"] for x in r["of_rank"]) for r in runs
                                  if r["ranks"] == n and not r["resumed_after_a_kill"]) for n in (1, 2)}
    weights = sum(x["weights"] for x in runs[0]["of_rank"])
    again = sum(x["weights"] for r in runs if r["resumed_after_a_kill"] for x in r["of_rank"])
    return [
        "## Many GPUs", "",
        f"A synthetic decoder of {weights / 1e9:.2f} billion weights in bfloat16 ({record['environment']['command']}), pruned to "
        f"{record['pattern']} on one and on two {record['environment']['gpu']} of one host; from the first to the last mask, "
        "weights resident, the slower rank.", "",
    ] + table(["GPUs", "ms", "billion weights a second", "times one"],
              [[n, f"{1e3 * t:.1f}", f"{weights / t / 1e9:.0f}", f"{times[1] / t:.2f}"] for n, t in times.items()]) + [
        f"The masks of {len(runs[0]['digests'])} tensors on one GPU, on two, and on two after a rank was killed in between are "
        f"{'the same bit for bit' if len(masks) == 1 else '**not the same**'}. The run that went on after the kill found masks "
        f"for {again / 1e9:.2f} billion weights, those not written before.", "",
    ]


def markdown(record, sharded):
    environment = record["environment"]
    lines = [f"# 2:4 transposable training on {environment['gpu']}", ""]
    lines += [f"PyTorch {environment['torch']}, CUDA {environment['cuda']}, {environment['time']}; one run of "
              "[bench.py](bench.py), written by [report.py](report.py).", ""]
    return "\n".join(lines + compress_lines(record) + step_lines(record) + training_lines(record)
                     + sharded_lines(sharded))


def main(source, sharded, folder):
    record, sharded, folder = json.loads(Path(source).read_text()), json.loads(Path(sharded).read_text()), Path(folder)
    plot_products(record, folder / "products.png")
    plot_losses(record, folder / "losses.png")
    (folder / "REPORT.md").write_text(markdown(record, sharded))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
