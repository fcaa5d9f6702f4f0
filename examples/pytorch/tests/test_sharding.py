"""Two processes, gloo: masks are those of one process, and what cannot be is refused. See ranks.py."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import tsenor_torch

pytestmark = pytest.mark.skipif(
    not hasattr(torch.cpu.Stream, "record_event"), reason="fully_shard of this PyTorch runs on GPUs only"
)
HERE = Path(__file__).parent


def launched(*command, folder):
    """Two processes of a script; what went wrong, if something did."""
    package = Path(tsenor_torch.__file__).parent.parent
    source = os.pathsep.join([str(package), str(HERE), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": source, "CUDA_VISIBLE_DEVICES": ""}
    environment |= {"GLOO_SOCKET_IFNAME": "lo"}
    arguments = [sys.executable, *command]
    ended = subprocess.run(arguments, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-6000:]
    return ended.stdout


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    launched(
        "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2",
        str(HERE / "ranks.py"), str(folder), folder=folder
    )
    first, second = (json.loads((folder / f"rank{k}.json").read_text()) for k in (0, 1))
    assert first == second
    return first


def test_ddp_broadcasts_no_masks_and_has_those_of_rank_0(seen):
    assert seen["ddp"] == {"buffers": 0, "masks": True}


def test_fully_sharded_models_have_the_masks_of_one_process(seen):
    finalize = seen["fsdp2"].pop("finalize")
    assert "plain_state_dict" in finalize
    assert seen["fsdp2"] == dict.fromkeys(["masks", "weights", "flips", "plain", "other pattern"], True)


def test_decay_schedule_and_importance_are_the_same_in_parts(seen):
    assert seen["decay"] == {"masks": True, "weights": True}


def test_checkpoints_of_sharded_models(seen):
    result = seen["checkpoints"]
    assert result["sharded"] and result["full"] and result["steps"] == 3 and result["dense"] == ["accepted", True]
    assert result["other pattern"].count("masks of 8:16, but the model has 4:8") == 3


def test_sharded_2_4_layers_find_the_masks_of_one_process_in_their_products(seen):
    assert "measure_flips of 0.weight" in seen["linear24"].pop("flips")
    assert seen["linear24"] == dict.fromkeys(["hard", "soft", "hard, dense end", "soft, dense end"], True)


def test_ranks_train_as_one_process_with_the_same_masks(seen, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(HERE.parent)
    import training
    from ranks import TINY

    monkeypatch.setattr("torch.cuda.is_available", lambda: False)  # as for the ranks
    monkeypatch.setattr(sys, "argv", ["training.py", "--out", str(tmp_path), *TINY])
    training.main()
    runs = json.loads((tmp_path / "training.json").read_text())["parts"][0]["runs"]
    assert all(run["masks_sha256"] is None for run in runs)
    for losses, masks in seen["training"].values():
        for run, curve in zip(runs, losses):
            assert [loss for *_, loss in run["curve"]] == pytest.approx(curve, rel=3e-3)
        assert masks[0] is None and len(masks[1]) == 64  # of the dense run, and of the other


@pytest.mark.parametrize(
    "case, says",
    [
        ("after fully_shard", "before fully_shard"),
        ("cut", "first.weight: .*cuts through tiles: 48 over 2 ranks .* shards of 24"),
        ("cut late", "shards of 24"),
        ("cut refresh", "shards of 24"),
        ("fsdp1", "FSDP1"),
        ("tensor parallel", "tensor parallel"),
        ("by hand", "tensor parallel"),
        ("by hand forward", "tensor parallel"),
    ],
)
def test_what_cannot_be_is_refused(seen, case, says):
    assert re.search(says, seen["refusals"][case])
