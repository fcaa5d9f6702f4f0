"""What only a GPU can show: streams, graphs, the vendor's compressed form, and what a call costs."""

import statistics
import time

import pytest
import torch

from tsenor_torch import (
    Linear24, MaskRefresh, MvueLinear, compress24, find_mask, keep, mvue24, plans, prune_, sparsify
)
from tsenor_torch.forms import Plan

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
ops = torch.ops.tsenor


def test_runs_on_the_current_stream():
    weight, stream = torch.randn(4096, 4096, device="cuda"), torch.cuda.Stream()
    expected = ops.find_mask(weight, 8, 16)[0]
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(100_000_000)  # tens of milliseconds: work on another stream would be done long before
        weight.neg_().mul_(torch.arange(4096, device="cuda"))
        mask = ops.find_mask(weight, 8, 16)[0]
    stream.synchronize()
    assert torch.equal(mask, ops.find_mask(weight, 8, 16)[0]) and not torch.equal(mask, expected)


def test_calls_do_not_wait_for_the_gpu():
    weight, mask = torch.randn(1024, 1024, device="cuda"), torch.empty(1024, 1024, dtype=torch.bool, device="cuda")
    ops.find_mask_(mask, weight, 8, 16)
    torch.cuda.synchronize()
    torch.cuda._sleep(1_000_000_000)  # half a second
    begin = time.perf_counter()
    ops.find_mask_(mask, weight, 8, 16)
    assert time.perf_counter() - begin < 0.1
    torch.cuda.synchronize()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("layout", [lambda w: w, lambda w: w.t(), lambda w: w[:, ::2], lambda w: w.expand(3, -1, -1)])
def test_typed_functions_are_captured(dtype, layout):
    """Graphs read the weights and importances of their replay, whatever the layout; in-place ones write every time."""
    memory, scores = (torch.randn(128, 128, device="cuda").to(dtype) for _ in range(2))
    target = torch.empty(128, 128, device="cuda", dtype=dtype)

    def calls():
        weight = layout(memory)
        mask, reports = find_mask(weight, 8, 16, with_report=True)
        ranked = find_mask(weight, 8, 16, importance=layout(scores).abs())
        target.copy_(memory)
        kept = torch.empty_like(target.t(), dtype=torch.bool)
        prune_(target.t(), 8, 16, mask_out=kept)
        return mask, reports.value, ranked, kept, keep(weight, mask), target

    calls()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = calls()
    for t in (memory, scores):
        t.copy_(torch.randn_like(t))
    graph.replay()
    captured = [t.clone() for t in captured]
    for got, expected in zip(captured, calls()):
        assert torch.equal(got, expected)


def test_masks_of_the_gpu_of_their_weights():
    """With another stream and, where there are two, another device current."""
    last = torch.device("cuda", torch.cuda.device_count() - 1)
    weight = torch.randn(64, 64, device=last)
    with torch.cuda.device(0):
        mask, reports = find_mask(weight.t(), 8, 16, importance=weight.t().abs(), with_report=True)
    assert mask.device == reports.value.device == last and torch.equal(mask.t(), find_mask(weight, 8, 16))


def test_a_captured_training_step_refreshes_masks():
    def make():
        torch.manual_seed(3)
        model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 64)).cuda()
        sparsify(model, 8, 16)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        MaskRefresh(model, optimizer)
        return model, optimizer

    def step(model, optimizer, x):
        optimizer.zero_grad(set_to_none=False)
        model(x).square().mean().backward()
        optimizer.step()

    batches = torch.randn(8, 32, 64, device="cuda")
    eager, captured = make(), make()
    x = batches[0].clone()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for k in range(3):
            step(*captured, batches[k])
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(*captured, x)
    for k in range(3, 8):
        x.copy_(batches[k])
        graph.replay()
    for k in range(8):
        step(*eager, batches[k])
    for (name, ours), theirs in zip(captured[0].state_dict().items(), eager[0].state_dict().values()):
        if not name.endswith("pattern"):  # replays run no Python, which counts the steps
            torch.testing.assert_close(ours, theirs)
    zeros, before = ([layer.weight == 0 for layer in model] for model in (captured[0], make()[0]))
    assert not torch.equal(zeros[0], before[0])  # else a graph that refreshes nothing passes, too


@pytest.mark.parametrize("rows, cols", [(64, 64), (64, 192), (320, 128), (1024, 4096)])
def test_compressed_form_is_the_vendors(rows, cols):
    weight = torch.randn(rows, cols, device="cuda").bfloat16()  # float16 has no sparse products
    weight[weight == 0] = 1  # of zeros the vendor keeps others
    compressed, transposed, mask = compress24(weight)
    ops.linear24_measure(weight, rows, cols, 256)
    pruned = torch.where(mask, weight, 0)
    theirs = ops.linear24_vendors_compress(pruned, rows, cols, 256, False)
    assert torch.equal(compressed, theirs)
    theirs = ops.linear24_vendors_compress(pruned.t().contiguous(), rows, cols, 256, True)
    assert torch.equal(transposed, theirs)


def test_a_captured_layer_is_measured_from_graphs_and_right_in_one():
    layer = Linear24(2048, 2048, bias=False, captured=True, device="cuda", dtype=torch.bfloat16)
    x = torch.randn(4096, 2048).cuda().bfloat16()
    choice = layer.choice(len(x))
    assert plans.key_of(layer, len(x))[-1] is True and choice.forward.sparse_ms > 0
    layer(x)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        layer.compress()
        y = layer(x)
    with torch.no_grad():
        layer.weight.neg_().add_(0.01 * torch.randn_like(layer.weight))
    graph.replay()
    expected = x.float() @ torch.where(ops.find_mask(layer.weight, 2, 4)[0], layer.weight, 0).float().t()
    torch.testing.assert_close(y.float(), expected, rtol=2e-2, atol=2e-2 * float(expected.abs().max()))


def test_large_products_are_sparse_and_in_the_own_form():
    layer = Linear24(4096, 4096, bias=False, device="cuda", dtype=torch.bfloat16)
    choice = layer.choice(8192)
    assert choice.forward.own_form and choice.input_gradient.own_form, choice
    if torch.cuda.get_device_capability() == (9, 0):
        assert choice.plan == Plan(True, True) and choice.sparse_step_ms < choice.dense_step_ms, choice


def test_slower_steps_are_not_chosen_and_measuring_leaves_no_trace():
    layer = Linear24(64, 64, bias=False, device="cuda", dtype=torch.bfloat16)
    mask, state = layer.mask.clone(), torch.cuda.get_rng_state()
    choice = layer.choice(64)
    assert choice.forward is not None  # it has been measured
    assert torch.equal(torch.cuda.get_rng_state(), state) and torch.equal(layer.mask, mask)
    assert layer.weight.grad is None and not layer.forms.memory
    faster = choice.sparse_step_ms is not None and choice.sparse_step_ms < choice.dense_step_ms
    assert (choice.plan != plans.DENSE) == faster


def test_the_vendors_compress_is_a_fallback(monkeypatch):
    layer = Linear24(4096, 4096, bias=False, device="cuda", dtype=torch.bfloat16)
    x = torch.randn(8192, 4096, device="cuda").bfloat16()
    choice = layer.choice(8192)
    if not choice.forward.sparse or not choice.input_gradient.sparse:
        pytest.skip("dense products are faster here")
    monkeypatch.setitem(plans.known, plans.key_of(layer, 8192), choice._replace(plan=Plan(True, True, own_form=False)))
    y = layer(x).float()
    pruned = torch.where(layer.mask, layer.weight.detach(), 0)
    assert torch.equal(layer.arguments[1], ops.linear24_vendors_compress(pruned, 4096, 4096, 8192, False))
    expected = x.float() @ pruned.float().t()
    torch.testing.assert_close(y, expected, rtol=2e-2, atol=2e-2 * float(expected.abs().max()))


def test_pytorch_adds_at_most_15_us_to_a_call():
    weight, mask = torch.randn(64, 64, device="cuda"), torch.empty(64, 64, dtype=torch.bool, device="cuda")
    calls, through_pytorch, library = 50, [], []
    for _ in range(30):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(calls):
            ops.find_mask_(mask, weight, 2, 4)
        through_pytorch.append((time.perf_counter() - begin) / calls)
        torch.cuda.synchronize()
        library.append(ops.find_mask_host_seconds(mask, weight, 2, 4, calls) / calls)
    added = statistics.median(through_pytorch) - statistics.median(library)
    assert added <= 15e-6, f"{1e6 * added:.1f} us on top of {1e6 * statistics.median(library):.1f} us"


def test_linear24_steps_can_be_captured():
    layer = Linear24(256, 256, bias=False, device="cuda", dtype=torch.bfloat16)
    x = torch.randn(256, 256, device="cuda").bfloat16()
    with torch.no_grad():
        expected = layer(x)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            layer.compress()
            y = layer(x)
        layer.weight.mul_(2)
        graph.replay()
    torch.testing.assert_close(y, 2 * expected)


def test_new_shapes_say_that_they_cannot_be_captured():
    layer = Linear24(256, 320, bias=False, device="cuda", dtype=torch.bfloat16)
    x = torch.randn(128, 256, device="cuda").bfloat16()
    with pytest.raises(RuntimeError, match="measured"):
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            layer(x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("tokens, features", [(64, 64), (192, 128), (1024, 1344)])
def test_an_estimate_has_the_bits_of_the_cpus(dtype, tokens, features):
    gradient = torch.randn(tokens, features, dtype=torch.float64).exp().sub(1).to(dtype)
    gradient[torch.rand(tokens, features) < 0.3] = 0
    for value in (float("inf"), float("nan"), torch.finfo(dtype).max, torch.finfo(dtype).smallest_normal / 16):
        gradient[torch.rand(tokens, features) < 0.01] = value
    assert torch.equal(mvue24(gradient.cuda(), seed=5).cpu(), mvue24(gradient, seed=5))
    generator = torch.Generator("cuda").manual_seed(5)
    first, second = (mvue24(gradient.cuda(), generator=generator).cpu() for _ in range(2))
    assert torch.equal(first, mvue24(gradient, seed=5)) and not torch.equal(first, second)


def test_replays_draw_anew_as_eager_steps_do():
    gradient = torch.randn(256, 192, device="cuda").bfloat16()
    graph, generator = torch.cuda.CUDAGraph(), torch.cuda.default_generators[torch.cuda.current_device()]
    with torch.cuda.graph(graph):
        first, second = mvue24(gradient), mvue24(gradient)
    torch.manual_seed(3)
    replayed = []
    for _ in range(2):
        graph.replay()
        replayed += [first.clone(), second.clone()]
    torch.manual_seed(3)
    eager = [mvue24(gradient) for _ in range(4)]
    assert all(torch.equal(r, e) for r, e in zip(replayed, eager)) and generator.get_offset() > 0
    assert len({tuple(e.flatten().tolist()) for e in eager}) == 4


def test_the_weight_gradients_product_is_that_of_the_estimate():
    dy, x = (torch.randn(4096, k, device="cuda").bfloat16() for k in (1024, 2048))
    estimate = mvue24(dy, seed=1)
    for _ in range(2):  # the second time in other memory
        got = ops.linear24_weight_gradient(x, None, estimate, 1024)
        dense = ops.linear24_weight_gradient(x.cpu(), None, estimate.cpu(), 1024)  # decompressed
        torch.testing.assert_close(got.cpu().float(), dense.float(), rtol=2e-2, atol=2e-2 * float(dense.abs().max()))
    exact = ops.linear24_weight_gradient(x, dy, None, 1024)
    torch.testing.assert_close(exact.float(), dy.float().t() @ x.float(), rtol=2e-2, atol=2.0)


@pytest.mark.parametrize("kind", [Linear24, MvueLinear])
def test_large_layers_have_a_sparse_weight_gradient(kind):
    arguments = {"weight_gradient": "mvue"} if kind is Linear24 else {}
    layer = kind(4096, 4096, bias=False, device="cuda", dtype=torch.bfloat16, **arguments)
    x, dy = (torch.randn(16384, 4096, device="cuda").bfloat16() for _ in range(2))
    state, choice = torch.cuda.get_rng_state(), layer.choice(len(x))
    assert torch.equal(torch.cuda.get_rng_state(), state)
    if not choice.plan.weight_gradient:
        pytest.skip(f"dense is faster here: {choice}")

    def gradient(seed):
        layer.weight.grad = None
        torch.manual_seed(seed)
        layer(x).backward(dy)
        return layer.weight.grad.float()

    exact, drawn = dy.float().t() @ x.float(), [gradient(seed) for seed in range(9)]
    one, mean = (float((g - exact).norm()) for g in (drawn[0], sum(drawn) / len(drawn)))
    assert torch.equal(gradient(0), drawn[0]) and 2.5 < one / mean < 3.5  # independent, and right in the mean


def test_a_captured_layer_draws_anew_in_each_replay():
    layer = Linear24(256, 256, bias=False, weight_gradient="mvue", device="cuda", dtype=torch.bfloat16)
    x, dy = (torch.randn(256, 256, device="cuda").bfloat16() for _ in range(2))
    plans.known[plans.key_of(layer, 256)] = layer.choice(256)._replace(plan=Plan(weight_gradient=True))
    layer(x).backward(dy)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        gradient = torch.autograd.grad(layer(x), layer.weight, dy)[0]
    graph.replay()
    first = gradient.clone()
    graph.replay()
    del plans.known[plans.key_of(layer, 256)]
    assert not torch.equal(gradient, first)
