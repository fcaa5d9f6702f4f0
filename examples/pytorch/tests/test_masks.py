"""The typed functions: layouts, types and importances of all kinds."""

import doctest
import sys
from pathlib import Path

import pytest
import torch
from oracle import optimum24

import tsenor_torch
from tsenor_torch import apply_mask, check_mask, find_mask, prune_

ops = torch.ops.tsenor


def test_keywords_are_checked():
    weight = torch.randn(16, 16)
    for call in (find_mask, prune_):
        with pytest.raises(TypeError, match="unexpected keyword"):
            call(weight, 2, 4, methode="optimal")
        with pytest.raises(TypeError, match="positional"):
            call(weight, 2, 4, weight)
    with pytest.raises(TypeError, match="unexpected keyword"):
        check_mask(weight > 0, 2, 4, constraints="exactly")


TIES = {
    "random": lambda *shape: torch.randn(shape),
    "small integers": lambda *shape: torch.randint(-2, 3, shape).float(),
    "zeros": lambda *shape: torch.zeros(shape),
    "not finite": lambda *shape: torch.tensor([1.0, float("nan"), float("inf"), -2.0, 0.0])[torch.randint(5, shape)],
}


@pytest.mark.parametrize("values", TIES)
@pytest.mark.parametrize("n, m", [(2, 4), (3, 8), (8, 16), (16, 16), (1, 12), (20, 64)])
def test_the_mask_of_the_transpose_is_the_transposed_mask(device, values, n, m):
    weight = TIES[values](2 * m, 3 * m).to(device)
    mask, reports = find_mask(weight, n, m, with_report=True)
    for view in (weight.t(), weight.mT, weight.t().view(3 * m, 2 * m)):
        transposed, transposed_reports = find_mask(view, n, m, with_report=True)
        assert torch.equal(transposed, mask.t())
        for ours, theirs in zip(transposed_reports, reports):
            assert torch.equal(ours.view(3, 2).t().flatten(), theirs)
    target, pruned = torch.empty_like(mask), weight.clone()
    ops.find_mask_(target.t(), weight.t(), n, m)
    assert torch.equal(target, mask)
    prune_(pruned.t(), n, m)
    torch.testing.assert_close(pruned, torch.where(mask, weight, 0), rtol=0, atol=0, equal_nan=True)
    assert check_mask(mask.t(), n, m) == (0, 0)


@pytest.mark.parametrize("rows, cols", [(5, 7), (1, 9), (9, 1), (16, 3)])
def test_the_mask_of_a_ragged_transpose(device, rows, cols):
    weight = torch.randint(0, 3, (rows, cols), device=device).float()
    mask = find_mask(weight, 2, 4, edge="partial")
    assert torch.equal(find_mask(weight.t(), 2, 4, edge="partial"), mask.t())
    assert check_mask(mask, 2, 4, edge="partial") == (0, 0)


def test_prices_of_a_transpose_are_those_of_its_rows_and_columns(device):
    weight, mask = torch.randn(32, 48, device=device), torch.empty(32, 48, dtype=torch.bool, device=device)
    prices, of_transpose = (torch.zeros(6, 2, 16, device=device) for _ in range(2))
    ops.find_mask_(mask, weight, 8, 16, prices=prices)
    ops.find_mask_(mask.t(), weight.t(), 8, 16, prices=of_transpose)
    assert torch.equal(of_transpose.view(3, 2, 2, 16).transpose(0, 1).flip(2), prices.view(2, 3, 2, 16))
    changed = weight + 0.01 * torch.randn_like(weight)
    ops.find_mask_(mask.t(), changed.t(), 8, 16, prices=of_transpose, warm=True)
    best = (changed.abs().double() * find_mask(changed, 8, 16)).sum()
    torch.testing.assert_close((changed.abs().double() * mask).sum(), best, rtol=1e-6, atol=0)


def strided(device):
    """Views of memory of all kinds, each with at least 32 x 48 elements."""
    return {
        "columns apart": torch.randn(32, 96, device=device)[:, ::2],
        "rows apart": torch.randn(64, 48, device=device)[::2],
        "transposed, columns apart": torch.randn(48, 64, device=device).t()[::2],
        "transposed, rows apart": torch.randn(96, 32, device=device).t()[:, ::2],
        "one row for all": torch.randn(48, device=device).expand(32, 48),
        "one column for all": torch.randn(32, 1, device=device).expand(32, 48),
        "one value": torch.ones((), device=device).expand(32, 48),
        "overlapping windows": torch.randn(79, device=device).unfold(0, 48, 1),
        "offset": torch.randn(33 * 48 + 5, device=device)[5 : 5 + 32 * 48].view(32, 48),
        "batch": torch.randn(2, 32, 48, device=device).transpose(0, 1).contiguous().transpose(0, 1),
        "one matrix for all": torch.randn(32, 48, device=device).expand(3, 32, 48),
        "batch last": torch.randn(32, 48, 3, device=device).permute(2, 0, 1),
        "batch of transposes": torch.randn(3, 48, 32, device=device).mT,
        "two batch dimensions": torch.randn(2, 3, 32, 48, device=device),
        "batch dimensions that do not merge": torch.randn(3, 2, 32, 48, device=device).transpose(0, 1),
        "transposed ones": torch.randn(3, 2, 48, 32, device=device).transpose(0, 1).mT,
        "experts": torch.randn(32, 2, 48, device=device).movedim(1, 0),
    }


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("kind", list(strided("cpu")))
def test_takes_any_strides(device, kind, dtype):
    view = strided(device)[kind].to(dtype)
    if dtype == torch.float32:
        view = strided(device)[kind]  # conversions may have packed it
    before, expected = view.clone(), find_mask(view.contiguous(), 8, 16)
    mask, reports = find_mask(view, 8, 16, with_report=True)
    assert mask.shape == view.shape and check_mask(mask, 8, 16) == (0, 0) and torch.equal(view, before)
    assert mask.stride() == torch.empty_like(view).stride()
    worth = (view.double().abs() * mask).sum(), (view.double().abs() * expected).sum()
    torch.testing.assert_close(*worth, rtol=1e-6, atol=0)
    torch.testing.assert_close(reports.value.sum(), worth[0])
    target = torch.empty_like(mask.contiguous())
    ops.find_mask_(target, view, 8, 16)
    assert torch.equal(target, mask)


ELEMENTS_SHARED = ["one row for all", "one column for all", "one value", "one matrix for all"]


@pytest.mark.parametrize("kind", sorted(set(strided("cpu")) - {*ELEMENTS_SHARED, "overlapping windows"}))
def test_prunes_any_strides_in_place(device, kind):
    view = strided(device)[kind]
    mask, before = torch.empty(view.shape, dtype=torch.bool, device=device), view.clone()
    kept = find_mask(view, 8, 16)
    assert prune_(view, 8, 16, mask_out=mask) is view
    assert torch.equal(mask, kept) and torch.equal(view, torch.where(kept, before, 0))


@pytest.mark.parametrize("kind", ELEMENTS_SHARED)
def test_prune_refuses_elements_that_share_memory(device, kind):
    view = strided(device)[kind]
    with pytest.raises(RuntimeError) as pytorchs:
        view.mul_(2)
    with pytest.raises(RuntimeError) as ours:
        prune_(view, 8, 16)
    assert str(ours.value) == str(pytorchs.value)


def test_writes_only_its_part_of_memory(device):
    memory = torch.full((40, 100), 7, dtype=torch.uint8, device=device)
    weight = torch.randn(32, 32, device=device)
    ops.find_mask_(memory[4:36, 2:66:2], weight, 8, 16)
    assert torch.equal(memory[4:36, 2:66:2].bool(), find_mask(weight, 8, 16))
    memory[4:36, 2:66:2] = 7
    assert (memory == 7).all()


def test_reads_leave_memory_that_is_copied_on_write(device):
    weight = torch.randn(32, 32, device=device)
    before, lazy = weight.clone(), torch._lazy_clone(weight)
    find_mask(lazy, 8, 16)
    assert torch._C._is_cow_tensor(lazy)
    prune_(lazy, 8, 16)
    assert torch.equal(weight, before) and (lazy != 0).sum() == 512


def test_float64_is_not_rounded(device):
    """Weights that float32 cannot tell apart, and tiles beyond its range."""
    better = torch.eye(4, dtype=torch.float64, device=device) * 2.0**-24 + 1
    for scale in (1.0, 1e-300, 1e300):
        weight = (torch.randn(64, 64, dtype=torch.float64, device=device).abs() + 1) * scale
        expected = find_mask((weight / scale).float(), 2, 4)
        kept = (weight / scale * find_mask(weight, 2, 4)).sum()
        torch.testing.assert_close(kept, (weight / scale * expected).sum(), rtol=1e-6, atol=0)
        mask, reports = find_mask(weight, 8, 16, with_report=True)
        torch.testing.assert_close(reports.value.sum() / scale, (weight / scale * mask).sum(), rtol=1e-12, atol=0)
    assert find_mask(better, 1, 4).diagonal().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("n, m", [(2, 4), (8, 16)])
def test_importance_ranks_the_weights(device, dtype, n, m):
    weight, scores = torch.randn(64, 96, device=device), torch.rand(64, 96, device=device).to(dtype)
    mask, reports = find_mask(weight, n, m, importance=scores, with_report=True)
    assert torch.equal(mask, find_mask(scores.abs(), n, m))
    torch.testing.assert_close(reports.value.sum(), (scores.double() * mask).sum())
    if m == 4:
        torch.testing.assert_close((scores.double() * mask).sum().cpu(), optimum24(scores), rtol=1e-6, atol=0)
    assert not torch.equal(mask, find_mask(weight, n, m))
    pruned, kept = weight.clone(), torch.empty_like(mask)
    prune_(pruned, n, m, importance=scores, mask_out=kept)
    assert torch.equal(pruned, torch.where(mask, weight, 0)) and torch.equal(kept, mask)
    ops.find_mask_(kept.logical_not_(), weight, n, m, importance=scores)
    assert torch.equal(kept, mask)


def test_importance_may_be_laid_out_otherwise(device):
    weight, scores = torch.randn(32, 48, device=device), torch.rand(48, 32, device=device)
    mask = find_mask(weight, 8, 16, importance=scores.t())
    assert torch.equal(mask, find_mask(weight.t(), 8, 16, importance=scores).t())
    assert torch.equal(mask, find_mask(scores, 8, 16).t()) and mask.is_contiguous()
    same = torch.rand(48, device=device).expand(32, 48)
    assert check_mask(find_mask(weight, 8, 16, importance=same), 8, 16) == (0, 0)
    batch = torch.randn(3, 2, 32, 48, device=device)
    assert torch.equal(find_mask(batch, 8, 16, importance=batch.abs()), find_mask(batch, 8, 16))


def test_importances_that_are_no_numbers_are_replaced_and_counted(device):
    scores = torch.rand(16, 32, device=device) + 1
    scores[0, 0], scores[1, 1], scores[3, 3], scores[2, 18] = float("nan"), -5.0, -float("inf"), float("inf")
    mask, reports = find_mask(torch.ones(16, 32, device=device), 8, 16, importance=scores, with_report=True)
    assert reports.replaced.tolist() == [3, 1] and mask[2, 18]
    assert not mask[0, 0] and not mask[1, 1] and not mask[3, 3]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_column_norms_of_a_transpose_are_those_of_its_columns(device, dtype):
    weight = torch.randn(32, 48, device=device).to(dtype)
    norms = torch.rand(32, device=device, dtype=torch.float64) + 0.1
    mask = find_mask(weight.t(), 8, 16, column_norms=norms)
    assert torch.equal(mask, find_mask(weight.t().contiguous(), 8, 16, column_norms=norms.float()))
    worth = weight.t().abs().double() * norms
    best = (worth * find_mask(worth, 8, 16)).sum()
    torch.testing.assert_close((worth * mask).sum(), best, rtol=1e-5, atol=0)


@pytest.mark.parametrize("constraint", ["exactly", "at_most"])
def test_check_mask_counts_what_breaks_a_pattern(device, constraint):
    mask = find_mask(torch.randn(2, 18, 21, device=device), 3, 8, edge="partial")
    assert check_mask(mask, 3, 8, constraint=constraint, edge="partial") == (0, 0)
    mask[0, 0, :8] = False  # a row of the first tile, and so three of its columns
    expected = (1, 3) if constraint == "exactly" else (0, 0)
    assert check_mask(mask, 3, 8, constraint=constraint, edge="partial") == expected
    mask[1, 16:, 16:] = True  # a tile of 2 x 5: rows of five
    assert check_mask(mask, 3, 8, constraint=constraint, edge="partial") == (expected[0] + 2, expected[1])
    with pytest.raises(ValueError, match="multiples of M"):
        check_mask(mask, 3, 8)
    with pytest.raises(ValueError, match="unsupported pattern"):
        check_mask(mask, 9, 8, edge="partial")
    with pytest.raises(ValueError, match="constraint"):
        check_mask(mask, 3, 8, constraint="most", edge="partial")
    assert check_mask(mask[:0, :16, :16].byte(), 3, 8) == (0, 0)


def test_apply_mask_copies_bits(device):
    nan, inf = float("nan"), float("inf")
    weight = torch.tensor([[-0.0, nan, inf, 1e-45], [nan, inf, -1.0, -0.0]], device=device)
    mask = torch.tensor([[True, True, False, True], [False, False, True, False]], device=device)
    pruned = apply_mask(weight, mask)
    bits = weight.view(torch.int32) * mask
    assert torch.equal(pruned.view(torch.int32), bits)
    assert apply_mask(weight.half(), mask).dtype == torch.float16


def test_tensors_without_elements(device):
    for shape in ((0, 16), (16, 0), (0, 16, 16), (2, 0, 16)):
        weight = torch.empty(shape, device=device)
        mask, reports = find_mask(weight, 8, 16, with_report=True)
        assert mask.shape == shape and reports.value.shape == (0,)
        assert prune_(weight, 8, 16) is weight and check_mask(mask, 8, 16) == (0, 0)


@pytest.mark.parametrize("n, m", [(True, 4), (8.0, 16), ("8", 16), (None, 4), (torch.tensor(2.0), 4)])
def test_patterns_are_two_integers(n, m):
    mask = torch.ones(16, 16, dtype=torch.bool)
    for call in (find_mask, prune_, check_mask):
        with pytest.raises(TypeError, match="two integers"):
            call(mask if call is check_mask else torch.randn(16, 16), n, m)


def test_what_is_no_tensor_is_named():
    weight, other = torch.randn(16, 16), [[1.0]]
    calls = {
        "weight": [lambda: find_mask(other, 2, 4), lambda: prune_(other, 2, 4), lambda: apply_mask(other, weight > 0)],
        "importance": [lambda: find_mask(weight, 2, 4, importance=other), lambda: prune_(weight, 2, 4, importance=3)],
        "column_norms": [lambda: find_mask(weight, 2, 4, column_norms=other)],
        "mask_out": [lambda: prune_(weight, 2, 4, mask_out=other)],
        "mask": [lambda: apply_mask(weight, other), lambda: check_mask(other, 2, 4)],
    }
    for name, wrong in calls.items():
        for call in wrong:
            with pytest.raises(TypeError, match=f"{name} must be a tensor, not (list|int)"):
                call()


def test_reports_and_tiles_of_another_shape_are_refused():
    for report in (torch.zeros(3, 4), torch.zeros(3, 3).double(), torch.zeros(4).double(), [1]):
        with pytest.raises(ValueError, match="report is a float64 tensor"):
            tsenor_torch.tile_reports(report)
    for weight, m in ((torch.zeros(4), 4), (torch.zeros(4, 4), 0)):
        with pytest.raises(ValueError, match="rows, cols"):
            tsenor_torch.tile_count(weight, m)


def test_integers_of_numpy_are_integers():
    numpy = pytest.importorskip("numpy")
    weight = torch.randn(16, 16)
    assert torch.equal(find_mask(weight, numpy.int64(2), numpy.int32(4)), find_mask(weight, 2, 4))


def test_docstrings_run():
    assert doctest.testmod(tsenor_torch).failed == 0
    assert doctest.testmod(tsenor_torch.forms, extraglobs={"torch": torch}) == (0, 2)  # failed, attempted
    done = doctest.testmod(tsenor_torch.masks, extraglobs={"torch": torch})
    assert done.failed == 0 and done.attempted >= 8


PROGRAM = """
import torch, tsenor_torch as t
w = torch.randn(64, 64)
def report(wanted: bool) -> None:
    t.find_mask(w, 8, 16, with_report=wanted)
mask: torch.Tensor = t.find_mask(w, 8, 16)
value: torch.Tensor = t.find_mask(w, 8, 16, with_report=True)[1].value
rows: int = t.check_mask(t.apply_mask(t.prune_(w, 8, 16, mask_out=mask), mask), 8, 16).rows
model = torch.nn.Sequential(torch.nn.Linear(64, 64))
kept: list[str] = [e.name for e in t.sparsify(model, 8, 16, patterns={"0": "8:16"}, exclude=["x"], dry_run=True).sparse]
refresh = t.MaskRefresh(model, None, every=2, schedule=t.decreasing_n(0, 9), importance=lambda name, p: p.square())
refresh.step()
steps: int = refresh.steps
t.refresh(model, importance={"0.weight": w})
t.freeze(model)
plain: torch.nn.Sequential = t.finalize(model)
model.load_state_dict(t.plain_state_dict(model.state_dict()))
names: list[str] = [x.name for x in t.prune_model(model, [w], method="wanda", n=8, m=16, schedule=t).pruned]
layer = t.Linear24(64, 64, bias=False)
compressed: torch.Tensor = t.mvue24(w) + t.compress24(w)[0]
replaced: list[str] = t.sparsify24(model, 64)
t.TransposableSparsifier(8, 16).prepare(model, config=[{"tensor_fqn": "0.weight"}])
print(t.build_info()["version"], t.dense_phases(9)(1, 2, 4), t.MvueLinear(64, 64), t.tile_count(w, 4))
"""


def test_types(tmp_path):
    """mypy's view of the public functions, as a user's program has it."""
    api = pytest.importorskip("mypy.api")
    package, program = Path(tsenor_torch.__file__).parent, tmp_path / "program.py"
    program.write_text(PROGRAM)
    options = ["--strict", "--follow-imports=silent", "--no-incremental", "--python-executable", sys.executable]
    out, err, _ = api.run([*options, str(package / "masks.py"), str(program)])
    assert [line for line in out.splitlines() if ": error:" in line] == [
        f'{program}:18: error: Unexpected keyword argument "schedule" for "prune_model"  [call-arg]'
    ], out + err
    assert (package / "py.typed").exists()
