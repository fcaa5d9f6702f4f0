"""The README's script, and sharded pruning with processes of its own."""

import json
import os
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
    assert "14 pruned, 0 of them by magnitude" in capsys.readouterr().out


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
        return json.loads(sorted((EXAMPLES.parent.parent / "bench" / "results").glob(f"{name}-*.json"))[-1].read_text())

    assert (EXAMPLES / "REPORT.md").read_text() == report.markdown(newest("linear24"), newest("sharded"))


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
