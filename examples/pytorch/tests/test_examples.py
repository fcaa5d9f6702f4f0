"""The README's scripts, the report and the measurements behind it, and timed training."""

import json
import random
import re
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent


def readme_scripts():
    """Training, then pruning."""
    return re.findall(r"```python\n(.*?)```", (EXAMPLES.parent.parent / "README.md").read_text(), re.DOTALL)


def test_readme_script_runs_and_is_short(capsys):
    script, _ = readme_scripts()
    assert len(script.splitlines()) <= 40
    exec(compile(script, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    losses = [float(line.split()[1]) for line in printed.splitlines() if line[0].isdigit()]
    assert losses[-1] < 0.5 * losses[0]
    assert "kept: 0.5" in printed


def test_readme_prunes_a_model(capsys):
    pytest.importorskip("transformers")
    _, script = readme_scripts()
    exec(compile(script, "README.md", "exec"), {})
    assert "14 pruned; 2 dense" in capsys.readouterr().out


@pytest.mark.parametrize("page", ["README.md", "COMING_FROM.md", "LINEAR24.md"])
def test_the_pages_snippets_run_and_the_readme_is_short(page):
    text = (EXAMPLES / page).read_text()
    for snippet in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(snippet, page, "exec"), {})
    assert len(text.splitlines()) <= 100  # two screens


@pytest.fixture
def report(monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(EXAMPLES)
    import report

    return report


def test_the_report_is_what_the_newest_records_give(report):
    assert (EXAMPLES / "REPORT.md").read_text() == report.markdown(**report.newest())


def measured_layer(of, both):
    """What bench.py records of a layer, with made-up times."""
    product = {"sparse": 1.0, "own_form": 1.0, "sparse_ms": 2.0, "dense_ms": 3.0, "vendors_compress_ms": 2.0}
    ms = {"dense": 8.4, "masks": 7.0, "both": 8.4 / both, "mvue": 8.0, "no_refresh": 6.9, "masks_16": 6.9, "torch": 9.0}
    return {
        "of": list(of), "out": of[0], "in": of[1], "tokens": of[2], "step_ms": ms,
        "beats_linear": {"masks": True, "both": both > 1, "mvue": True}, "torch_semi_structured": {"right": True},
        **dict.fromkeys(("forward", "input_gradient", "weight_gradient"), product),
        "torch_weight_gradient_ms": 3.0, "weight_gradient_product_ms": 1.8,
    }


def measured(both, decoder, float8):
    """A record of bench.py."""
    shapes = [(4096, 14336, 16384), (14336, 4096, 16384), (8192, 8192, 16384), (512, 512, 1024)]
    run = {"faster": False, "captured": False, "sparse_layers": 10}
    steps = {"dense": 100.0, "masks": 90.0, "mvue": 95.0, "both": 100 / decoder}
    eight = {"sparse_ms": 1.0, "dense_ms": 1.5, "relative_error": 1e-3}
    compress = {"own_ms": 0.1, "vendors_ms": 2.0, "copy_ms": 0.1, "own_form": True}
    return {
        "environment": {"gpu": "a GPU", "torch": "2", "cuda": "13", "cusparselt": "0.8.0", "time": "today"},
        "layers": [measured_layer(of, both if of[0] > 512 else 0.8) for of in shapes],
        "captured": [measured_layer((512, 512, 1024), 0.9)],
        "decoders": [{"name": "large", "compiled": True, "size": {"hidden": 64, "layers": 2, "batch": 2, "length": 8},
                      "runs": [run | {"kind": kind, "median_step_ms": ms} for kind, ms in steps.items()]}],
        "mvue": [{"tokens": 64, "features": 64, "ms": 1.0, "copy_ms": 0.65, "bytes_per_second": 2e12,
                  "half_zeros_ms": 1.0, "infinities_ms": 1.0}],
        "float8": [{"out": 64, "in": 64, "tokens": 64, "forward": eight, "input_gradient": eight, "compress": compress,
                    "step_ms": {"dense": gain, "masks": 1.0}} for gain in float8],
        "float16": [{"out": 64, "in": 64, "tokens": 64, "relative_error": {"algorithm 1, zeros": 1e-3, "ones": 0.5}}],
    }


def trained_to(loss, name, kind, seconds):
    """A run of training.py that ends at a loss."""
    recipe = {"name": f"{name}, seed 0", "kind": kind, "seed": 0, "steps": 10, "parameters": 10**8, "seconds": seconds}
    products = {"layers": 5, "forward": 5, "input_gradient": 5, "weight_gradient": 5}
    curve = [(1, seconds / 2, 2 * loss), (2, seconds, loss)]
    return recipe | {"products": products, "curve": curve, "flips": [(1, 0.1), (2, 0.01)], "masks_sha256": None}


def training_record(*runs):
    settings = {"size": "large", "hidden": 64, "layers": 2, "batch": 2, "length": 8, "ranks": 1, "fsdp": False,
                "rate": 1e-4, "compiled": True, "seconds": 10, "steps": None, "device": "a GPU", "torch": "2"}
    text = {"name": "words", "bytes": 10**6, "held_out_documents": 2, "held_out_bytes": 10**4, "sha256": "0" * 64}
    return {"text": text, "parts": [{"settings": settings, "step_ms": {}, "runs": list(runs)}]}


def test_the_report_begins_with_the_answer_and_says_what_misses_the_goals(report, tmp_path):
    dense = trained_to(1.0, "dense", "dense", 10.0)
    good = training_record(dense, trained_to(0.9, "both, time=0.8", "both", 8.0))
    page = report.markdown(measured(1.5, 1.31, (1.2, 1.1, 0.9)), None, good)
    lines = [line for line in page.splitlines() if line]
    first = lines.index("## Does training get faster?") + 1
    assert lines[first].startswith("- **Time to loss**, goal 0.90: reached in 1 of 1 settings")
    assert "'both, time=0.8' takes 0.756 of dense's time (1 seed)" in " ".join(lines)
    assert " ".join(page.split()).count("for dense and sparse alike") == 2 and "8 bytes, compiled: 'both" in page
    assert page.count("| reached |") == 6  # the estimate's kernel misses its goal
    assert "missed: 512 x 512" not in page and "missed by 0.05" in page
    bad = training_record(dense, trained_to(1.02, "both", "both", 10.0), trained_to(1.01, "mvue", "mvue", 10.0))
    bad["parts"] += good["parts"]
    page = " ".join(report.markdown(measured(1.3, 1.2, (1.2, 1.0, 0.9)), None, bad).split())
    for part in ("| missed by 0.10 |", "reached in 1 of 2 settings", "mvue: +0.0100 nats above dense after 1.00",
                 "'mvue'", "not right in all", "10.00 to 1.00"):
        assert part in page, part
    report.plot(measured(1.3, 1.2, (1.2,)), bad, tmp_path / "report.png")
    assert (tmp_path / "report.png").stat().st_size > 10_000


def test_the_report_of_an_unfinished_record_says_what_was_not_measured(report):
    page = report.markdown({"environment": measured(1.5, 1.3, ())["environment"]}, None, None)
    assert "time to dense's loss has not been measured" in page and page.count("Not measured.") > 5


@pytest.fixture
def bench(monkeypatch):
    """bench.py with measurements that only count."""
    monkeypatch.syspath_prepend(EXAMPLES)
    import bench

    calls, machine = [], {"gpu": "a GPU", "time": "now"}
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: None)
    monkeypatch.setattr(bench, "environment", lambda: dict(machine))

    def measure(*given):
        calls.append(given)
        if given == (2,) and calls.count(given) == 1:
            raise RuntimeError("out of memory")
        return {"step_ms": {"dense": 2.0, "both": 1.0}}

    todo = [("layers", measure, (k,)) for k in range(3)] + [("mvue", measure, ())]
    monkeypatch.setattr(bench, "measurements", lambda: todo)
    return lambda folder, *arguments: bench_run(bench, calls, folder, *arguments), machine


def bench_run(bench, calls, folder, *arguments):
    """What one call measured."""
    begin = len(calls)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["bench.py", "--out", str(folder), *arguments])
        bench.main()
    return calls[begin:]


def test_measurements_go_on_where_a_call_ended(bench, tmp_path, capsys):
    run, machine = bench
    assert run(tmp_path, "--seconds", "-1") == [] and "left for another call" in capsys.readouterr().out
    assert run(tmp_path, "--only", "mvue") == [()]
    with pytest.raises(SystemExit, match="failed: layers 2"):
        run(tmp_path)
    record = json.loads((tmp_path / "linear24.json").read_text())
    assert [item["of"] for item in record["layers"]] == [[0], [1]] and record["mvue"][0]["of"] == []
    assert run(tmp_path) == [(2,)] and run(tmp_path) == []
    machine["time"] = "later"
    assert run(tmp_path) == []
    machine["gpu"] = "another GPU"
    with pytest.raises(SystemExit, match="give another --out"):
        run(tmp_path)


@pytest.fixture
def words(tmp_path, monkeypatch):
    """A packed text of 300 documents; training on it is the CPU's, where all sums come out the same."""
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    import text

    (tmp_path / "words").mkdir()
    chance = random.Random(0)
    for k in range(300):
        words = " ".join(chance.choice(["sparse", "dense", "mask", "tile", "step"]) for _ in range(300))
        (tmp_path / "words" / f"{k}.txt").write_text(words)
    (tmp_path / "words" / "not_text").write_bytes(b"\0" * 2000)
    documents, size = text.pack(tmp_path / "words", tmp_path / "words.xz", 1.0)
    assert documents == 300 and size > 300_000
    assert text.pack(tmp_path / "words", tmp_path / "half.xz", 0.5)[0] in range(100, 200)
    return tmp_path / "words.xz"


TINY = "--size", "tiny", "--steps", "6", "--tests", "2", "--kinds", "dense", "masks"


def trained(folder, *arguments):
    """What training.py records, in this process."""
    import training

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["training.py", "--out", str(folder), *TINY, *map(str, arguments)])
        training.main()
    return json.loads((folder / "training.json").read_text())


def untimed(part):
    """Of each run what does not depend on the clock."""
    return [run | {"seconds": 0, "curve": [(step, loss) for step, _, loss in run["curve"]]} for run in part["runs"]]


def test_training_is_recorded_resumed_and_reported(tmp_path, words):
    import time_to_loss

    arguments = "--text", words, "--recipe", "dense_end=0.3", "decay=1e-3,pruning=soft,every=2"
    whole = trained(tmp_path / "whole", *arguments)
    (part,) = whole["parts"]
    assert whole["text"]["name"] == "words" and whole["text"]["bytes"] > 300_000
    names = ["dense", "masks, dense_end=0.3", "masks, every=2, decay=0.001, pruning=soft"]
    assert [run["name"] for run in part["runs"]] == [f"{name}, seed 0" for name in names]
    stops = ("dense", "", 2, 3), ("masks", arguments[3], 4, 5), ("masks", arguments[4], 3, 4)
    for kind, recipe, saved, stop in stops:
        which = "--text", words, "--kinds", kind, "--recipe", recipe, "--checkpoint-every", saved
        with pytest.raises(SystemExit, match=f"stopped after step {stop}"):
            trained(tmp_path / "parts", *which, "--stop-after", stop)
        if kind == "dense":
            with pytest.raises(SystemExit, match="is of .*'steps': 6.* remove it"):
                trained(tmp_path / "parts", *which, "--steps", 5)
        again = trained(tmp_path / "parts", *which)
    assert untimed(again["parts"][0]) == untimed(part)
    assert not list((tmp_path / "parts").glob("*.pt"))
    section = time_to_loss.section(whole, lambda head, rows: [str(row) for row in rows])
    lines = [time_to_loss.answer(whole), *time_to_loss.costs(whole), *section]
    assert lines[0].startswith("- **Time to loss**") and sum(names[2] in line for line in lines) >= 2
    with pytest.raises(SystemExit, match="another text"):
        trained(tmp_path / "whole")


@pytest.mark.parametrize("kind, recipe, saved", [
    ("mvue", "dense_end=0.34", 2), ("both", "dense_end=0.34", 2), ("both", "both:dense_end=0.17,dense_weights=0.34", 4)
])
def test_sparse_weight_gradients_go_on_with_their_random_numbers(tmp_path, words, monkeypatch, kind, recipe, saved):
    from tsenor_torch import linear24, plans

    def choose(layer, tokens):
        return plans.Choice(plans.Plan(weight_gradient=layer.may_be_sparse.weight_gradient))

    dense = trained(tmp_path / "dense", "--text", words, "--kinds", "dense" if kind == "mvue" else "masks")
    monkeypatch.setattr(linear24, "choose", choose)
    arguments = "--text", words, "--kinds", kind, "--recipe", recipe
    whole = trained(tmp_path / "whole", *arguments)
    with pytest.raises(SystemExit, match=f"stopped after step {saved + 1}"):
        trained(tmp_path / "again", *arguments, "--checkpoint-every", saved, "--stop-after", saved + 1)
    again = trained(tmp_path / "again", *arguments)
    (run,), (other,) = (untimed(record["parts"][0]) for record in (whole, dense))
    assert untimed(again["parts"][0]) == [run] and run["products"]["weight_gradient"] == 5
    assert run["curve"][0] != other["curve"][0]  # what it estimates is another gradient


def test_the_dense_end_of_a_training_is_dense(words):
    import training

    text = training.Text.of(words)
    run = training.Training(text, training.SIZES["tiny"], "mvue", training.Recipe(dense_end=0.5), 4)
    seen = [(run.sparse, run.step() is not None, {layer.weight_gradient for layer in run.mvue}) for _ in range(4)]
    assert seen == [(True, True, {"mvue"})] * 2 + [(False, True, {"dense"})] * 2


def test_weights_become_dense_before_the_end(words):
    import training

    text, recipe = training.Text.of(words), training.Recipe(dense_end=0.25, dense_weights=0.5)
    run, seen = training.Training(text, training.SIZES["tiny"], "both", recipe, 8), []
    weights = [id(p) for p in run.model.parameters()]
    for _ in range(8):
        run.step()
        seen.append((run.refresh is None, {layer.weight_gradient for layer in run.mvue}))
    assert seen == [(False, set())] * 2 + [(True, {"mvue"})] * 4 + [(True, {"dense"})] * 2
    assert weights == [id(p) for p in run.model.parameters()] and run.products()["layers"] == 5
    ms = {"dense": 4.0, "own": 2.0, "mvue": 3.0}
    assert training.steps_in(1.3, ms, "both", recipe._replace(time=0.5)) == 217
    assert training.Recipe.of("both:time=0.5") == ("both", training.Recipe(time=0.5))


def test_the_time_to_a_loss_is_between_evaluations(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    from time_to_loss import first_time

    curve = [(1, 10.0, 3.0), (2, 20.0, 2.0), (3, 30.0, 2.5), (4, 40.0, 1.0)]
    times = [first_time(curve, loss) for loss in (4, 2.5, 2.0, 1.5, 0.5)]
    assert times == [10.0, 15.0, 20.0, pytest.approx(36.6667), None]
