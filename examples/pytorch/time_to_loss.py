"""Evaluates training.json of training.py: how long each kind of training took to reach the final loss of dense
training. report.py uses it, and training.py prints it."""

import statistics


def first_time(curve, target):
    """Seconds until the held-out loss reached ``target``, interpolated between evaluations; None if it never did."""
    before = None
    for _, seconds, loss in curve:
        if loss <= target:
            if before is None or before[1] <= target:
                return seconds
            share = (before[1] - target) / (before[1] - loss)
            return before[0] + share * (seconds - before[0])
        before = seconds, loss
    return None


def of_dense(run, dense):
    """A run against the dense run of its seed: the time to dense's final loss as a share of dense's time, and the loss
    above dense."""
    target = dense["curve"][-1][2]
    seconds = first_time(run["curve"], target)
    return None if seconds is None else seconds / dense["seconds"], run["curve"][-1][2] - target


def groups(part):
    """[(title, runs, the dense runs of their seeds)], one of each kind and recipe; dense first."""
    dense = {run["seed"]: run for run in part["runs"] if run["kind"] == "dense"}
    found = {}
    for run in part["runs"]:
        if run["seed"] in dense:
            found.setdefault(run["name"].rsplit(", ", 1)[0], []).append(run)
    return [(title, runs, [dense[run["seed"]] for run in runs])
            for title, runs in sorted(found.items(), key=lambda item: item[0] != "dense")]


def with_noise(values, form="+.4f"):
    """The mean over seeds, and the standard deviation if there are several."""
    spread = f" ± {statistics.stdev(values):{form.lstrip('+')}}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{form}}{spread}"


def to_dense_loss(runs, dense):
    """The time to dense's loss as a share of dense's time, over all seeds; and how many did not reach it, if any."""
    shares = [share for share, _ in map(of_dense, runs, dense) if share is not None]
    if len(shares) < len(runs):
        return "not reached" + (f" by {len(runs) - len(shares)} of {len(runs)}" if len(runs) > 1 else "")
    return with_noise(shares, ".3f")


def speed(part, runs):
    """How many times as fast as dense a sparse step is, when steps take turns; None if that was not measured."""
    measured = [part["step_ms"][run["name"]] for run in runs if run["name"] in part["step_ms"]]
    return statistics.mean(ms["dense"] / ms["own"] for ms in measured) if measured else None


def flip_rate(runs):
    """The share of entries that flipped, in percent, at the first and the last refresh that measured it."""
    rates = [run["flips"] for run in runs if run["flips"]]
    return " to ".join(f"{100 * statistics.mean(f[k][1] for f in rates):.2f}" for k in (0, -1)) if rates else "-"


def products(run):
    """In how many layers forward pass, input gradient and weight gradient are sparse."""
    counts = run["products"]
    numbers = [counts[name] for name in ("forward", "input_gradient", "weight_gradient")]
    return f"{'/'.join(map(str, numbers))} of {counts['layers']}" if counts["layers"] else "-"


def row(part, title, runs, dense):
    faster = speed(part, runs)
    return [title, f"{statistics.mean(run['steps'] for run in runs):.0f}",
            f"{statistics.mean(run['seconds'] for run in runs):.1f}", products(runs[0]),
            "-" if faster is None else f"{faster:.2f}",
            with_noise([run["curve"][-1][2] for run in runs], ".4f"),
            with_noise([above for _, above in map(of_dense, runs, dense)]), to_dense_loss(runs, dense), flip_rate(runs)]


HEAD = ["run", "steps", "seconds", "sparse products", "sparse step, times dense", "held-out loss", "above dense",
        "time to dense's loss", "flips, %"]


def compiled(settings):
    """What the report says of it."""
    said = "; what is between the linear layers is compiled by torch.compile, for dense and sparse alike"
    return said if settings.get("compiled") else ""


def setting(part):
    s, parameters = part["settings"], part["runs"][0]["parameters"]
    how = f", {s['ranks']} ranks ({'FSDP2' if s['fsdp'] else 'DDP'})" if s["ranks"] > 1 else ""
    length = f"{s['steps']} steps" if s["steps"] else f"{s['seconds']:.0f} s"
    return (f"a decoder of {parameters / 1e6:.1f} million parameters (hidden {s['hidden']}, {s['layers']} layers), "
            f"{s['batch']} x {s['length']} bytes a step, rate {s['rate']:g}, {length} a run, on {s['device']}{how}, "
            f"PyTorch {s['torch']}{compiled(s)}")


def agreement(parts):
    masks = [run for part in parts for run in part["runs"] if run["masks_sha256"]]
    if not masks:
        return []
    return ["Each rank found its own masks, without communication. All ranks had the same hashes of masks at each "
            f"evaluation of all {len(masks)} runs on several GPUs, as long as there were masks.", ""]


def on_ranks(record, table):
    """Lines of the report about steps and losses on one GPU and on several."""
    rows = []
    for part in record["parts"]:
        s = part["settings"]
        gpus = f"{s['ranks']}, {'FSDP2' if s['fsdp'] else 'DDP'}" if s["ranks"] > 1 else "1"
        of = {run["kind"]: run for run in part["runs"]}
        ms = part["step_ms"][of["both"]["name"]]
        rows.append([s["hidden"], s["batch"], gpus, f"{ms['dense']:.1f}", f"{ms['own']:.1f}",
                     f"{ms['dense'] / ms['own']:.2f}", products(of["both"]), of["both"]["steps"],
                     *(f"{of[kind]['curve'][-1][2]:.4f}" for kind in ("dense", "both"))])
    head = ["hidden", "pieces a step", "GPUs", "dense step, ms", "sparse", "times dense", "sparse products", "steps",
            "held-out loss, dense", "sparse"]
    return ["## Training on many GPUs", "",
            f"Decoders on one and on several {record['parts'][0]['settings']['device']} of one host, with data in "
            "parallel. 'Sparse' has all three products sparse, and finds its masks in every step. With as many pieces "
            "a step, losses on one and on several GPUs can be compared; with as many pieces a GPU, steps can.", "",
            *table(head, rows), *agreement(record["parts"])]


def section(record, table):
    """Lines of the report; ``table(head, rows)`` makes lines of one."""
    text = record["text"]
    lines = ["## Time to dense's loss", "",
             f"The text: {text['name']}, {text['bytes'] / 1e6:.1f} MB, and {text['held_out_documents']} documents of "
             f"{text['held_out_bytes'] / 1e6:.2f} MB held out; sha256 {text['sha256'][:16]}. Losses are nats a byte, "
             "with several seeds means and standard deviations. All kinds of a seed begin with the same weights and "
             "see the same text. 'masks' has 2:4 transposable weights, 'mvue' dense weights and a 2:4 weight "
             "gradient, 'both' both. Seconds are wall time of the training only. \"Time to dense's loss\" is the time "
             "until the held-out loss reaches the final loss of dense training with the same seed, divided by the "
             "time of dense training. Runs with time=0.9 have 0.9 of dense's time, in which their learning rate falls "
             "as far. \"Sparse products\" counts the layers with sparse forward, input gradient and weight "
             "gradient.", ""]
    for part in record["parts"]:
        rows = [row(part, *group) for group in groups(part)]
        lines += [setting(part)[0].upper() + setting(part)[1:] + ".", ""] + table(HEAD, rows) + agreement([part])
    return lines


GOAL = 0.90  # of dense's time


def dense_loss(part):
    return statistics.mean(run["curve"][-1][2] for run in groups(part)[0][1])


def main_parts(record):
    """Those of the largest model (within a tenth of its weights) on one GPU in the same time, where there are some; the
    lowest loss of dense first."""
    parts = [part for part in record["parts"] if len(groups(part)) > 1]
    timed = [part for part in parts if part["settings"]["ranks"] == 1 and part["settings"]["steps"] is None]
    most = max((part["runs"][0]["parameters"] for part in timed), default=0)
    return sorted([part for part in timed if part["runs"][0]["parameters"] > 0.9 * most] or parts, key=dense_loss)


def best(part):
    """(title, runs, dense runs, share of dense's time) of the recipe that reached dense's loss first. If none did, the
    share is None, and the recipe is the one with the least loss."""
    scored = [(group, *zip(*map(of_dense, *group[1:]))) for group in groups(part)[1:]]
    reached = [(statistics.mean(shares), group) for group, shares, _ in scored if None not in shares]
    if reached:
        share, group = min(reached, key=lambda it: it[0])
        return *group, share
    return *min(scored, key=lambda it: statistics.mean(it[2]))[0], None


def seeds(runs):
    return f"{len(runs)} seed{'s' if len(runs) > 1 else ''}"


def goals(record):
    """(what, the goal, what was measured, whether it was reached), of each setting."""
    found = []
    for part in main_parts(record):
        title, runs, dense, share = best(part)
        missed = "missed" if share is None else f"missed by {share - GOAL:.2f}"
        found.append((f"time to dense's loss, {dense_loss(part):.2f} nats a byte, '{title}'", f"{GOAL:.2f} of dense's",
                      f"{outcome(runs, dense)}, {seeds(runs)}",
                      "reached" if share is not None and share <= GOAL else missed))
    return found


def answer(record):
    """The first line of the report: how long the best recipe takes in each setting."""
    parts, found = main_parts(record), []
    if not parts:
        return "- The time to dense's loss has not been measured."
    reached = sum(verdict == "reached" for *_, verdict in goals(record))
    for part in parts:
        title, runs, dense, share = best(part)
        size = part["settings"]
        read = dense[0]["steps"] * size["batch"] * size["length"] / 1e6
        found.append(f"{dense_loss(part):.2f} nats a byte, by dense after {read:.0f} MB of text in pieces of "
                     f"{size['length']} bytes{', compiled' * size.get('compiled', False)}: '{title}' "
                     f"{'ends' if share is None else 'takes'} {outcome(runs, dense)} "
                     f"({seeds(runs)})")
    return (f"- **Time to loss**, goal {GOAL:.2f}: reached in {reached} of {len(parts)} settings "
            f"({parts[0]['runs'][0]['parameters'] / 1e6:.0f} M weights). {'. '.join(found)}.")


def costs(record):
    """What each recipe and kind costs, for each setting with more than one."""
    return [f"- What each part costs, {dense_loss(part):.2f} nats a byte: "
            + "; ".join(f"{name}: {outcome(runs, dense)}" for name, runs, dense in groups(part)[1:]) + "."
            for part in main_parts(record) if len(groups(part)) > 2]


def outcome(runs, dense):
    """The share of dense's time, or how far above dense's loss the run ended and when."""
    reached = to_dense_loss(runs, dense)
    if not reached.startswith("not"):
        return f"{reached} of dense's time"
    above = with_noise([above for _, above in map(of_dense, runs, dense)])
    share = statistics.mean(run["seconds"] / other["seconds"] for run, other in zip(runs, dense))
    return f"{above} nats above dense after {share:.2f} of its time"


def plot(record, axes):
    """The held-out loss of one seed's runs over wall time, for each setting."""
    later = []
    for part in main_parts(record):
        for title, runs, _ in groups(part):
            curve, dense = runs[0]["curve"], title == "dense"
            axes.plot([seconds for _, seconds, _ in curve], [loss for *_, loss in curve], marker=".",
                      linewidth=2.5 if dense else 1, color="black" if dense else None,
                      label=f"{title}, seed {runs[0]['seed']}, pieces of {part['settings']['length']}")
            later += [loss for _, _, loss in curve[2:] or curve]
            if dense:
                axes.axhline(curve[-1][2], color="black", linewidth=0.7, linestyle=":")
    axes.set(xlabel="seconds of training", ylabel="held-out loss, nats a byte")
    axes.set_ylim(0.98 * min(later), 1.02 * max(later))
    axes.legend(fontsize=7)


def noise_line(record):
    spreads = [(part, [run["curve"][-1][2] for run in groups(part)[0][1]]) for part in record["parts"] if groups(part)]
    spreads = [f"{with_noise(losses, '.4f')} ({part['settings']['size']}, pieces of {part['settings']['length']}, "
               f"{seeds(losses)})" for part, losses in spreads if len(losses) > 2]
    if not spreads:
        return "- The noise of a seed was not measured: that takes three seeds."
    return (f"- The noise of seeds, as the standard deviation of dense's loss: {'; '.join(spreads)}. Smaller "
            "differences say nothing.")
