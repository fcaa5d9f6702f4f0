"""The README's script, sharded pruning with processes of its own, and timed training."""

import json
import os
import random
import re
import subprocess
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


def test_the_report_is_what_the_newest_records_give(monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(EXAMPLES)
    import report

    def newest(name):
        records = sorted((EXAMPLES.parent.parent / "bench" / "results").glob(f"{name}-*.json"))
        return [json.loads(path.read_text()) for path in records[-1:]]

    records = [record for name in ("linear24", "sharded", "training") for record in newest(name)]
    assert (EXAMPLES / "REPORT.md").read_text() == report.markdown(*records)


def prune(folder, ranks, *arguments):
    # By address: on a machine without a network its own name may have none.
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    command += ["--nproc-per-node", str(ranks)]
    command += [EXAMPLES / "prune_sharded.py", "--out", folder, "--device", "cpu", "--digest", *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=200, cwd=folder.parent,
                          env=os.environ | {"GLOO_SOCKET_IFNAME": "lo"})
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return done, lines


def test_masks_do_not_depend_on_the_ranks_and_resume_after_a_kill(tmp_path):
    done, one = prune(tmp_path / "one", 1)
    assert done.returncode == 0, done.stderr
    done, _ = prune(tmp_path / "two", 2, "--stop-after", "5")
    assert done.returncode != 0
    finished = {p: p.stat().st_mtime_ns for p in (tmp_path / "two").glob("*.pt")}
    assert 5 <= len(finished) <= 10
    done, two = prune(tmp_path / "two", 2)
    assert done.returncode == 0, done.stderr
    assert all(p.stat().st_mtime_ns == t for p, t in finished.items())
    assert two[-1]["digest"] == one[-1]["digest"] and one[-1]["digest"]["tensors"] == 14
    assert sum(r["weights"] for r in two[:-1]) < one[0]["weights"]


@pytest.mark.parametrize("ranks, pattern", [(3, "8:16")])
def test_shards_that_cut_tiles_are_refused(tmp_path, ranks, pattern):
    done, _ = prune(tmp_path / "cut", ranks, "--pattern", pattern)
    assert done.returncode != 0 and "no multiple of M = 16" in done.stderr
    assert not list((tmp_path / "cut").glob("*.pt"))


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
    lines = time_to_loss.answer(whole) + time_to_loss.section(whole, lambda head, rows: [str(row) for row in rows])
    assert lines[0].startswith(("- Yes: ", "- No: ")) and sum(names[2] in line for line in lines) >= 2
    with pytest.raises(SystemExit, match="another text"):
        trained(tmp_path / "whole")


@pytest.mark.parametrize("kind", ["mvue", "both"])
def test_sparse_weight_gradients_go_on_with_their_random_numbers_and_end_dense(tmp_path, words, monkeypatch, kind):
    from tsenor_torch import linear24, plans

    def choose(layer, tokens):
        return plans.Choice(plans.Plan(weight_gradient=layer.may_be_sparse.weight_gradient))

    dense = trained(tmp_path / "dense", "--text", words, "--kinds", "dense" if kind == "mvue" else "masks")
    monkeypatch.setattr(linear24, "choose", choose)
    arguments = "--text", words, "--kinds", kind, "--recipe", "dense_end=0.34"
    whole = trained(tmp_path / "whole", *arguments)
    with pytest.raises(SystemExit, match="stopped after step 3"):
        trained(tmp_path / "again", *arguments, "--checkpoint-every", 2, "--stop-after", 3)
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


def test_the_time_to_a_loss_is_between_evaluations(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    from time_to_loss import first_time

    curve = [(1, 10.0, 3.0), (2, 20.0, 2.0), (3, 30.0, 2.5), (4, 40.0, 1.0)]
    times = [first_time(curve, loss) for loss in (4, 2.5, 2.0, 1.5, 0.5)]
    assert times == [10.0, 15.0, 20.0, pytest.approx(36.6667), None]
