"""Plots and a Markdown report of what bench.py measured: report.py linear24.json FOLDER"""

import json
import sys
from pathlib import Path

import matplotlib

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
        series[f"step, masks every {every}"] = [s["dense_ms"] / s[f"every_{every}_ms"] for s in record["steps"]]
    figure, axes = plt.subplots(figsize=(max(9, 1.5 + 1.3 * len(labels)), 4), layout="constrained")
    width = 0.8 / len(series)
    for k, (name, values) in enumerate(series.items()):
        axes.bar([i + (k - 2) * width for i in range(len(labels))], values, width, label=name)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xticks(range(len(labels)), labels, fontsize=8)
    axes.set_ylabel("times dense")
    axes.set_xlabel("weights, tokens")
    axes.legend(fontsize=8, ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1))
    figure.savefig(path, dpi=120)


def plot_losses(record, path):
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for run in record["training"]["runs"]:
        axes.plot(run["losses"], linewidth=1, label=name_of(run))
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def name_of(run):
    if run["kind"] == "dense":
        return "dense"
    start = f", dense for {run['switch_at']} steps" if run["switch_at"] else ""
    return f"2:4, masks every {run['every']}{start}"


def rows_of(record):
    for p, s in zip(record["products"], record["steps"]):
        own = s["torch_semi_structured"]
        torch_path = f"{s['dense_ms'] / own['ms']:.2f}" + ("" if own["right"] else " (wrong result)") if own["ms"] else "fails"
        yield [
            f"{p['out']} x {p['in']}",
            p["tokens"],
            *(f"{p[d]['dense_ms'] / p[d]['sparse_ms']:.2f}{'' if p[d]['sparse'] else ' (dense used)'}"
              for d in ("forward", "input_gradient")),
            *(f"{s['dense_ms'] / s[f'every_{k}_ms']:.3f}" for k in (1, 16, 100)),
            torch_path,
        ]


def markdown(record):
    environment = record["environment"]
    lines = [f"# 2:4 transposable training on {environment['gpu']}", ""]
    lines += [f"PyTorch {environment['torch']}, CUDA {environment['cuda']}, {environment['time']}.", ""]
    lines += ["## Mask and both operands", "", "| weights | ms | TB/s | mask too | given mask | mask alone | copy |", "|---|---|---|---|---|---|---|"]
    for c in record["compress"]:
        numbers = [c[k] for k in ("and_mask_ms", "kept_mask_ms", "mask_alone_ms", "copy_ms")]
        lines.append(f"| {c['rows']} x {c['cols']} | {c['mask_and_both_operands_ms']:.3f} | {c['bytes_per_second'] / 1e12:.2f} | "
                     + " | ".join(f"{x:.3f}" for x in numbers) + " |")
    lines += ["", "## Times dense", "", "Forward and input gradient are the products alone; a step is three products, with mask and operands.",
              "", "| weights | tokens | forward | input gradient | step, every 1 | every 16 | every 100 | PyTorch's own, every 1 |",
              "|---|---|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows_of(record)]
    lines += ["", "![times dense](products.png)", "", "## Training", "", "| run | last loss | ms a step |", "|---|---|---|"]
    for run in record["training"]["runs"]:
        lines.append(f"| {name_of(run)} | {run['losses'][-1]:.4f} | {run['median_step_ms']:.2f} |")
    return "\n".join(lines + ["", "![losses](losses.png)", ""])


def main(source, folder):
    record, folder = json.loads(Path(source).read_text()), Path(folder)
    plot_products(record, folder / "products.png")
    plot_losses(record, folder / "losses.png")
    (folder / "report.md").write_text(markdown(record))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
