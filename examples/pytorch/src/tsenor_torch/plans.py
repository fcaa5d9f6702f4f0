"""Decides whether a layer's products are sparse or dense, by the time of a whole step, measured once for each shape."""

import functools
import time
from typing import NamedTuple, Optional

import torch

from .forms import Plan

_ops = torch.ops.tsenor
DENSE = Plan()


class Product(NamedTuple):
    """The measurements of one product by linear24_measure, in milliseconds of device time."""

    sparse: float  # whether sparse is faster
    own_form: float  # whether compress24's form is the library's
    sparse_ms: float  # of the weight gradient with compressing the output gradient
    dense_ms: float
    vendors_compress_ms: float


class Choice(NamedTuple):
    """The plan for a shape, and its measurements. Times are wall times of consecutive steps."""

    plan: Plan
    forward: Optional[Product] = None
    input_gradient: Optional[Product] = None
    weight_gradient: Optional[Product] = None
    sparse_step_ms: Optional[float] = None  # with writing the forms; None where no product was faster sparse
    dense_step_ms: Optional[float] = None  # the same with dense products of the pruned weights
    linear_step_ms: Optional[float] = None  # of a torch.nn.Linear

    @property
    def beats_linear(self):
        """Whether the layer's steps are faster than those of a ``torch.nn.Linear``. Their times cover finding the mask:
        writing the forms of a given mask takes as long."""
        return self.plan != DENSE and self.sparse_step_ms < self.linear_step_ms


known = {}  # (device, type, out features, in features, tokens, products that may be sparse, captured) -> Choice


def key_of(layer, tokens):
    return (layer.weight.device, layer.type, *layer.weight.shape, tokens, layer.may_be_sparse, layer.captured)


def choose(layer, tokens):
    """The choice for so many tokens. A new one is measured, which takes a few seconds and waits for the GPU."""
    key = key_of(layer, tokens)
    if key not in known:
        known[key] = _measure(layer, tokens)
    return known[key]


def _measure(layer, tokens):
    if not layer.weight.is_cuda or tokens == 0:
        return Choice(DENSE)
    if torch.cuda.is_current_stream_capturing():
        raise RuntimeError(
            f"tsenor: {type(layer).__name__} has not been measured with {tokens} tokens: run a step before the capture"
        )
    shape = (layer.weight.detach().new_empty(0, dtype=layer.type), *layer.weight.shape, tokens)
    numbers = _ops.linear24_choice(*shape) or _ops.linear24_measure(*shape)
    products = [Product(*numbers[k : k + 5]) for k in (0, 5, 10)]
    plans = candidates(products, layer.may_be_sparse)
    if not plans:
        return Choice(DENSE, *products)
    device = layer.weight.device
    with torch.random.fork_rng([device]):  # estimated weight gradients draw from PyTorch's generator
        *sparse, dense, linear = _wall_ms(_steps(layer, (*plans, DENSE), tokens), device, layer.captured)
    least = min(sparse)
    return Choice(plans[sparse.index(least)] if least < dense else DENSE, *products, least, dense, linear)


def candidates(products, may_be_sparse):
    """The plans to try: sparse for each product that may be sparse and is faster so by itself, and the same with a
    dense weight gradient."""
    forward, input_gradient, weight_gradient = (bool(p.sparse) for p in products)
    forward, input_gradient = forward and may_be_sparse.forward, input_gradient and may_be_sparse.input_gradient
    own_form = all(p.own_form or not sparse for p, sparse in zip(products, (forward, input_gradient)))
    plan = Plan(forward, input_gradient, own_form, weight_gradient and may_be_sparse.weight_gradient)
    return [p for p in dict.fromkeys((plan, plan._replace(weight_gradient=False))) if p != DENSE]


def _steps(layer, plans, tokens):
    """A step for each plan, and one of a torch.nn.Linear, on their own tensors. A step writes what the products read,
    and runs all three products through autograd."""
    generator = torch.Generator(layer.weight.device).manual_seed(0)  # the program's random numbers stay as they are
    with torch.inference_mode(False):
        weight = layer.weight.detach().clone().requires_grad_()
        x, dy = (
            torch.randn(tokens, k, device=weight.device, dtype=layer.type, generator=generator)
            for k in reversed(weight.shape)
        )
        x.requires_grad_()
    operands_of = layer.operands(weight.detach(), tokens)

    def by_plan(plan):
        return _ops.linear24(x, weight, None, *operands_of(plan), None, layer.type, plan.weight_gradient)

    def linear():
        return torch.nn.functional.linear(x, weight.to(layer.type))

    products = [functools.partial(by_plan, plan) for plan in plans] + [linear]
    return [lambda y=y: torch.autograd.grad(y(), (x, weight), dy) for y in products]


def replay_of(step):
    """The step as a replay of a CUDA graph, in which the host launches no kernels."""
    step()  # what a first step allocates and measures is none of the graph's business
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def _wall_ms(steps, device, captured, rounds=8, least_ms=10, most_calls=50):
    """The least wall time of each step: the longer of the host's time and the GPU's. Steps take turns, a few calls in a
    row. If they are `captured`, this is the time of their replays."""

    def ms(step, calls):
        torch.cuda.synchronize(device)
        begin = time.perf_counter()
        for _ in range(calls):
            step()
        torch.cuda.synchronize(device)
        return (time.perf_counter() - begin) / calls * 1e3

    with torch.inference_mode(False), torch.enable_grad(), torch.autocast("cuda", enabled=False):
        if captured:
            steps = [replay_of(step) for step in steps]
        for step in steps:
            step()
        calls = max(2, min(most_calls, int(least_ms / ms(steps[0], 1))))
        times = [[ms(step, calls) for step in steps] for _ in range(rounds)]
    return [min(column) for column in zip(*times)]
