"""The README's script, sharded pruning and timed training with processes of their own."""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

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
    assert "14 pruned, 0 of them by magnitude" in capsys.readouterr().out


@pytest.mark.parametrize("page", ["README.md", "COMING_FROM.md"])
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


def launched(ranks, script, folder, *arguments):
    # By address: on a machine without a network its own name may have none.
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    command = command + ["--nproc-per-node", ranks] if ranks else [sys.executable]
    command += [EXAMPLES / script, "--out", folder, *arguments]
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=200, cwd=folder.parent, env=environment
    )


def prune(folder, ranks, *arguments):
    done = launched(ranks, "prune_sharded.py", folder, "--device", "cpu", "--digest", *arguments)
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
    """A packed text of 300 documents."""
    monkeypatch.syspath_prepend(EXAMPLES)
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


@pytest.mark.skipif(
    not hasattr(torch.cpu.Stream, "record_event"), reason="fully_shard of this PyTorch runs on GPUs only"
)
@pytest.mark.parametrize("how", [[], ["--fsdp"]])
def test_ranks_find_the_same_masks_and_train_as_one_process(tmp_path, words, how):
    one = trained(tmp_path / "one", "--text", words)
    done = launched(2, "training.py", tmp_path / "two", *TINY, *how, "--text", words)
    assert done.returncode == 0, done.stderr
    two = json.loads((tmp_path / "two" / "training.json").read_text())
    for alone, together in zip(one["parts"][0]["runs"], two["parts"][0]["runs"]):
        losses = [[loss for *_, loss in run["curve"]] for run in (alone, together)]
        assert losses[0] == pytest.approx(losses[1], rel=3e-3)
    assert [bool(run["masks_sha256"]) for run in two["parts"][0]["runs"]] == [False, True]


def test_the_time_to_a_loss_is_between_evaluations(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    from time_to_loss import first_time

    curve = [(1, 10.0, 3.0), (2, 20.0, 2.0), (3, 30.0, 2.5), (4, 40.0, 1.0)]
    times = [first_time(curve, loss) for loss in (4, 2.5, 2.0, 1.5, 0.5)]
    assert times == [10.0, 15.0, 20.0, pytest.approx(36.6667), None]
