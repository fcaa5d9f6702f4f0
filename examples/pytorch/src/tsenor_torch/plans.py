"""Whether a 2:4 layer's products are done sparse or dense: by what a whole step takes, measured once for each shape."""

import functools
import time
from typing import NamedTuple, Optional

import torch

from .forms import Forms, Plan

_ops = torch.ops.tsenor
DENSE = Plan()


class Product(NamedTuple):
    """The measurements of one product by linear24_measure, in milliseconds of device time."""

    sparse: float  # whether sparse is faster
    own_form: float  # whether compress24's form is the library's
    sparse_ms: float
    dense_ms: float
    vendors_compress_ms: float


class Choice(NamedTuple):
    """The plan for a shape, and its measurements. Times are wall times of consecutive steps."""

    plan: Plan
    forward: Optional[Product] = None
    input_gradient: Optional[Product] = None
    sparse_step_ms: Optional[float] = None  # with writing the forms; None where no product was faster sparse
    dense_step_ms: Optional[float] = None  # the same with dense products of the pruned weights
    linear_step_ms: Optional[float] = None  # of a torch.nn.Linear

    @property
    def beats_linear(self):
        """Whether the layer's steps are faster than those of a ``torch.nn.Linear``. Their times cover finding the mask:
        writing the forms of a given mask takes as long."""
        return self.plan != DENSE and self.sparse_step_ms < self.linear_step_ms


known = {}  # (device, type, out features, in features, tokens, captured) -> Choice


def key_of(layer, tokens):
    return (layer.weight.device, layer.type, *layer.weight.shape, tokens, layer.captured)


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
            f"tsenor: Linear24 has not been measured with {tokens} tokens: run a step before the capture"
        )
    shape = (layer.mask.new_empty(0, dtype=layer.type), *layer.weight.shape, tokens)
    numbers = _ops.linear24_choice(*shape) or _ops.linear24_measure(*shape)
    products = Product(*numbers[:5]), Product(*numbers[5:])
    own_form = all(p.own_form or not p.sparse for p in products)
    plan = Plan(*(bool(p.sparse) for p in products), own_form)
    if plan == DENSE:
        return Choice(DENSE, *products)
    times = _wall_ms(_steps(layer, (plan, DENSE), tokens), layer.weight.device, layer.captured)
    return Choice(plan if times[0] < times[1] else DENSE, *products, *times)


def _steps(layer, plans, tokens):
    """A step by each plan, and that of a torch.nn.Linear, on tensors of their own. A step is the forms, and the three
    products through autograd."""
    generator = torch.Generator(layer.weight.device).manual_seed(0)  # the program's random numbers stay as they are
    with torch.inference_mode(False):
        weight = layer.weight.detach().clone().requires_grad_()
        x, dy = (
            torch.randn(tokens, k, device=weight.device, dtype=layer.type, generator=generator)
            for k in reversed(weight.shape)
        )
        x.requires_grad_()
    forms = Forms()

    def by_plan(plan):
        forms.outdate()
        forms.write(plan, weight.detach().to(layer.type), layer.mask, tokens=tokens, keep_mask=True)
        return _ops.linear24(x, weight, None, *forms.arguments(plan), None, layer.type)

    def linear():
        return torch.nn.functional.linear(x, weight.to(layer.type))

    products = [functools.partial(by_plan, plan) for plan in plans] + [linear]
    return [lambda y=y: torch.autograd.grad(y(), (x, weight), dy) for y in products]


def replay_of(step):
    """The step from a CUDA graph: what launching costs the host is gone."""
    step()  # what a first step allocates and measures is none of the graph's business
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def _wall_ms(steps, device, captured, rounds=8, least_ms=10, most_calls=50):
    """The least wall time of each step: the longer of the host's time and the GPU's. Steps take turns, a few calls in a
    row. Where they are `captured`, it is the time of their replays."""

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
