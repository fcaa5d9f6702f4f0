import pytest
import torch
from oracle import counts_of, optimum24

import tsenor_torch

ops = torch.ops.tsenor
TYPES = [torch.float32, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("n, m", [(2, 4), (3, 8), (8, 16), (5, 12)])
def test_keeps_n_in_rows_and_columns(device, dtype, n, m):
    weight = torch.randn(4 * m, 6 * m, device=device).to(dtype)
    mask, report = ops.find_mask(weight, n, m)
    assert mask.dtype == torch.bool and mask.shape == weight.shape and report.shape == (0, 4)
    assert (counts_of(mask, m) == n).all()


@pytest.mark.parametrize("dtype", TYPES)
def test_finds_the_optimum_of_two_in_four(device, dtype):
    weight = torch.randn(64, 96, device=device).to(dtype)
    mask, _ = ops.find_mask(weight, 2, 4)
    kept = (weight.abs().double() * mask).sum().cpu()
    torch.testing.assert_close(kept, optimum24(weight.abs()), rtol=1e-6, atol=0)


def test_reports_prove_the_optimum(device):
    weight = torch.randn(64, 96, device=device)
    mask, report = ops.find_mask(weight, 8, 16, with_report=True)
    reports = tsenor_torch.tile_reports(report)
    assert report.shape == (4 * 6, 4)
    torch.testing.assert_close(reports.value.sum(), (weight.abs().double() * mask).sum())
    torch.testing.assert_close(reports.value, reports.bound, rtol=1e-5, atol=0)
    assert (reports.replaced == 0).all() and (reports.flags == 0).all()


def test_reads_strided_rows_and_batches(device):
    wide = torch.randn(3, 40, 100, device=device)
    view = wide[:, :32, 8:72]
    mask, _ = ops.find_mask(view, 4, 8)
    expected = torch.stack([ops.find_mask(w.contiguous(), 4, 8)[0] for w in view])
    assert torch.equal(mask, expected)


def test_writes_into_strided_masks_and_leaves_the_rest(device):
    weight, wide = torch.randn(32, 32, device=device), torch.zeros(32, 50, dtype=torch.bool, device=device)
    ops.find_mask_(wide[:, 8:40], weight, 8, 16)
    assert torch.equal(wide[:, 8:40], ops.find_mask(weight, 8, 16)[0])
    assert not wide[:, :8].any() and not wide[:, 40:].any()


@pytest.mark.parametrize("dtype", TYPES)
def test_prunes_in_place(device, dtype):
    weight = torch.randn(32, 64, device=device).to(dtype)
    expected = torch.where(ops.find_mask(weight, 8, 16)[0], weight, 0)
    mask = torch.empty(weight.shape, dtype=torch.bool, device=device)
    ops.prune_(weight, 8, 16, mask=mask)
    assert torch.equal(weight, expected) and torch.equal(mask, expected != 0)


def test_warm_starts_keep_as_much_as_cold_ones(device):
    weight, mask = torch.randn(64, 64, device=device), torch.empty(64, 64, dtype=torch.bool, device=device)
    prices = torch.empty(tsenor_torch.tile_count(weight, 16), 2, 16, device=device)
    ops.find_mask_(mask, weight, 8, 16, prices=prices)
    changed = weight + 0.01 * torch.randn_like(weight)
    ops.find_mask_(mask, changed, 8, 16, prices=prices, warm=True)
    kept = (changed.abs().double() * mask).sum()
    best = (changed.abs().double() * ops.find_mask(changed, 8, 16)[0]).sum()
    torch.testing.assert_close(kept, best, rtol=1e-6, atol=0)


def test_weighs_columns_as_wanda_does(device):
    weight, norms = torch.randn(32, 32, device=device), torch.rand(32, device=device) + 0.1
    mask, _ = ops.find_mask(weight, 8, 16, column_norms=norms)
    assert torch.equal(mask, ops.find_mask(weight.abs() * norms, 8, 16)[0])


def test_at_most_keeps_no_zeros_and_partial_takes_any_size(device):
    weight = torch.randn(30, 45, device=device).relu()
    mask, _ = ops.find_mask(weight, 4, 8, constraint="at_most", edge="partial")
    assert (weight[mask] > 0).all() and mask.any()


def test_same_masks_on_all_devices(device):
    weight = torch.randn(64, 64)
    assert torch.equal(ops.find_mask(weight.to(device), 2, 4)[0].cpu(), ops.find_mask(weight, 2, 4)[0])


@pytest.mark.parametrize(
    "arguments, options, error, words",
    [
        ((9, 8), {}, ValueError, "unsupported pattern"),
        ((2, 5), {}, ValueError, "multiples of M"),
        ((2, 4), {"method": "best"}, ValueError, "'optimal' or 'published'"),
        ((2, 4), {"column_norms": lambda: torch.ones(3)}, ValueError, "column_norms"),
    ],
)
def test_says_what_is_wrong(device, arguments, options, error, words):
    with pytest.raises(error, match=words):
        with torch.device(device):
            ops.find_mask(torch.randn(16, 16), *arguments, **{k: v() if callable(v) else v for k, v in options.items()})


def test_refuses_tensors_it_cannot_take(device):
    weight = torch.randn(16, 16, device=device)
    with pytest.raises(TypeError, match="float32 or float64, not"):
        ops.find_mask(weight.int(), 2, 4)
    with pytest.raises(ValueError, match="rows, cols"):
        ops.find_mask(weight[0], 2, 4)
    with pytest.raises(ValueError, match="mask must have the weight's shape"):
        ops.find_mask_(torch.empty(16, 12, dtype=torch.bool, device=device), weight, 2, 4)
    with pytest.raises(NotImplementedError, match="Sparse"):
        ops.find_mask(weight.to_sparse(), 2, 4)


def test_compiles(device):
    def kept(weight):
        return torch.where(torch.ops.tsenor.find_mask(weight, 2, 4)[0], weight, 0).sum()

    weight = torch.randn(32, 32, device=device)
    compiled = torch.compile(kept, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(weight), kept(weight))
