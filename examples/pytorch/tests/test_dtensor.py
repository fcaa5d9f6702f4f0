"""Two processes, and what one would find; prune_sharded.py with one, two and three."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

EXAMPLES = Path(__file__).resolve().parent.parent
SHARDED = """
    import os, sys, torch, torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
    import tsenor_torch
    rank = int(sys.argv[1])
    dist.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    torch.manual_seed(0)
    weight, norms, scores = torch.randn(64, 96), torch.rand(96) + 0.1, torch.rand(64, 96)
    batch = torch.randn(4, 32, 48)
    def put(t, placement):
        return distribute_tensor(t, mesh, [placement])
    def same(ours, expected, placement):
        assert isinstance(ours, DTensor) and ours.placements == (placement,), ours.placements
        assert ours.shape == expected.shape and torch.equal(ours.full_tensor(), expected)
    def refuses(error, words, call):
        try:
            call()
        except error as e:
            assert words in str(e), e
        else:
            raise AssertionError(words)
    find = tsenor_torch.find_mask
    for p in (Shard(0), Shard(1), Replicate()):
        same(find(put(weight, p), 8, 16), find(weight, 8, 16), p)
        same(find(put(weight, p), 8, 16, importance=put(scores, p)), find(weight, 8, 16, importance=scores), p)
        same(find(put(batch, p), 8, 16), find(batch, 8, 16), p)
        same(find(put(batch.double(), p), 8, 16), find(batch.double(), 8, 16), p)
        pruned, mask = put(weight, p), put(torch.zeros(64, 96, dtype=torch.bool), p)
        assert tsenor_torch.prune_(pruned, 8, 16, mask_out=mask) is pruned
        same(mask, find(weight, 8, 16), p)
        same(pruned, torch.where(find(weight, 8, 16), weight, 0), p)
        expected = find(weight, 8, 16, column_norms=norms)
        of_columns = put(norms, Shard(0) if p == Shard(1) else Replicate())
        same(find(put(weight, p), 8, 16, column_norms=of_columns), expected, p)
        again, prices = torch.zeros_like(mask), None if p == Shard(1) else put(torch.zeros(24, 2, 16), p)
        torch.ops.tsenor.find_mask_(again, put(weight, p), 8, 16, prices=prices)
        same(again, find(weight, 8, 16), p)
        for gradient in ("straight_through", "masked"):
            learns = put(weight, p).requires_grad_()
            kept = tsenor_torch.keep(learns, mask, gradient)
            same(kept.detach(), torch.where(find(weight, 8, 16), weight, 0), p)
            (kept * put(scores, p)).sum().backward()
            same(learns.grad, scores if gradient == "straight_through" else scores * find(weight, 8, 16), p)
    for p in (Shard(0), Replicate()):
        expected = find(weight, 8, 16, with_report=True)[1].value
        same(find(put(weight, p), 8, 16, with_report=True)[1].value, expected, p)
    refuses(ValueError, "cuts through tiles", lambda: find(put(weight[:48], Shard(0)), 8, 16))
    refuses(ValueError, "cuts through tiles", lambda: tsenor_torch.prune_(put(weight[:, :80], Shard(1)), 8, 16))
    refuses(ValueError, "no values to rank", lambda: find(DTensor.from_local(weight, mesh, [Partial()]), 8, 16))
    refuses(ValueError, "importance", lambda: find(put(weight, Shard(0)), 8, 16, importance=put(scores, Replicate())))
    refuses(NotImplementedError, "report", lambda: find(put(weight, Shard(1)), 8, 16, with_report=True))
    replicated = put(scores, Replicate())
    refuses(RuntimeError, "mixed torch.Tensor and DTensor", lambda: find(weight, 8, 16, importance=replicated))
    ops, gram = torch.ops.tsenor, torch.eye(96)
    for call in (lambda t: ops.magnitude_(t, 8, 16), lambda t: ops.wanda_(t, gram, 8, 16),
                 lambda t: ops.sparsegpt_(weight, t, 8, 16), lambda t: ops.alps_inputs(t),
                 lambda t: ops.alps_(t, ops.alps_inputs(gram), 8, 16), lambda t: ops.gram_(gram, t)):
        refuses(NotImplementedError, "takes whole matrices, not DTensors", lambda: call(put(weight, Replicate())))
    dist.barrier()
    dist.destroy_process_group()
    print("done", flush=True)
    os._exit(0)  # a thread of gloo may still drop a tensor, which aborts while Python takes itself down
"""


@pytest.mark.skipif(not torch.distributed.is_available(), reason="no torch.distributed")
def test_shards_of_whole_tiles_stay_where_they_are(tmp_path):
    script = tmp_path / "sharded.py"
    script.write_text(textwrap.dedent(SHARDED))
    ranks = [
        subprocess.Popen([sys.executable, script, str(rank), tmp_path / "store"], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    for rank in ranks:
        out, err = rank.communicate(timeout=240)
        assert rank.returncode == 0 and "done" in out, err


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
    done, stacked = prune(tmp_path / "stacked", 2, "--stacked")
    assert done.returncode == 0, done.stderr
    assert stacked[-1]["digest"] == one[-1]["digest"]


@pytest.mark.parametrize("ranks, pattern", [(3, "8:16")])
def test_shards_that_cut_tiles_are_refused(tmp_path, ranks, pattern):
    done, _ = prune(tmp_path / "cut", ranks, "--pattern", pattern)
    assert done.returncode != 0 and "no multiple of M = 16" in done.stderr
    assert not list((tmp_path / "cut").glob("*.pt"))
