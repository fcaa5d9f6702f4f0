"""When new masks are found, and how sparse they are."""

import math
import numbers
import warnings
from collections.abc import Callable
from typing import Any, Optional

import torch

from . import sharding
from .linear24 import Linear24
from .sparsify import Importance, checked, one_clock, raise_refusals, refresh_layers, sparse_layers

Schedule = Callable[[int, int, int], int]  # of the step, n and m


def decreasing_n(start: int, steps: int, shape: float = 3) -> Schedule:
    """A schedule of N: it falls from M at step ``start`` to the layer's own N at ``start + steps``. ``shape`` 1 falls
    evenly; 3, the usual choice for pruning, falls quickly at first.

    >>> MaskRefresh(model, optimizer, every=16, schedule=decreasing_n(100, 1000))
    """
    if not (steps >= 1 and shape > 0):
        raise ValueError(f"tsenor: decreasing_n needs steps of at least 1 and a shape above 0, not {steps} and {shape}")

    def schedule(step, n, m):
        left = 1 - min(max((step - start) / steps, 0), 1)
        return n + round((m - n) * left**shape)

    return schedule


def dense_phases(steps: int, *, start: float = 0.0, end: float = 1 / 6) -> Schedule:
    """A schedule of N for a training of so many ``steps``. The first share of the steps (``start``) and the last one
    (``end``) are dense; the steps between keep the layer's own N. A dense end regains most of the loss from masks.

    >>> MaskRefresh(model, optimizer, schedule=dense_phases(1000))
    """
    if not steps >= 1:
        raise ValueError(f"tsenor: dense_phases needs the number of steps of the training, at least 1, not {steps}")
    if not (0 <= start and 0 <= end and start + end <= 1):
        raise ValueError(f"tsenor: start and end must be shares of at most 1 together, not {start} and {end}")
    first, last = round(start * steps), round((1 - end) * steps)
    return lambda step, n, m: m if step < first or last <= step and last < steps else n


class MaskRefresh:
    """Finds new masks for a model after every ``every`` steps of an optimizer.

    >>> refresh = MaskRefresh(model, optimizer, every=16)

    Arguments:
        model: a sparse model, already wrapped for training (DDP, ``fully_shard``, accelerate, torch.compile).
        optimizer: whose steps count, plain or wrapped (accelerate). None: call :meth:`step` after each step yourself,
            where an engine owns the optimizer (DeepSpeed).
        schedule: ``schedule(step, n, m)`` returns how many of m are kept from that step on, such as
            :func:`decreasing_n` or :func:`dense_phases`. None: always n. It is called at each refresh. At a step where
            it turns to m, the masks keep all weights at once, without waiting for the next refresh.
        importance: see :func:`tsenor_torch.refresh`; called at each refresh.
        decay: SR-STE: before each step, ``decay`` times every pruned weight is added to its gradient, so Adam scales
            it like the gradient (2404.01847). With ``optimizer=None`` call :meth:`decay_gradients` before the
            step.
        measure_flips: measure the share of mask entries that a refresh changes: :attr:`flips` by name, 0-dim tensors,
            and :attr:`flip_rate` for all layers together.

    The model counts the steps, and its state_dict has their number. So a resumed training refreshes at the same steps.
    Frozen masks stay. If the model is sharded, all ranks take part in a refresh. :meth:`remove` ends the refreshes.
    Raises ValueError if an argument is wrong, the model has no sparse weights, or its wrapper is not supported (FSDP1,
    tensor parallel, shards that cut tiles). Warns in the first step if the optimizer lacks some of the sparse weights.
    """

    def __init__(
        self, model: torch.nn.Module, optimizer: Any = None, *, every: int = 1, schedule: Optional[Schedule] = None,
        importance: Optional[Importance] = None, decay: float = 0.0, measure_flips: bool = False,
    ) -> None:
        _check(every, schedule, decay)
        self.model, self.every, self.schedule, self.importance, self.decay = model, every, schedule, importance, decay
        self.flips, self.measure_flips, self.handles, self.checked = {}, measure_flips, [], False
        self._collect()
        checked(importance, self.layers)
        begins_otherwise = schedule and any(self._now(layer) != layer.sparsity.now for layer in self.layers)
        if isinstance(model, torch.nn.parallel.DistributedDataParallel):
            sharding.agree(self.layers)
        if optimizer is not None:
            self._register(inner(optimizer))
        self.clock.drive(self)
        if begins_otherwise:
            self.refresh()

    @property
    def steps(self) -> int:
        """Steps of the optimizer so far."""
        return self.clock.steps

    def step(self) -> None:
        """Counts a step, and refreshes after every ``every`` steps."""
        self.clock.steps += 1
        if self.clock.changes != self.changes or not self.checked:
            self._collect()
            self.checked = True  # once after the model may have been sharded
        if self.clock.steps % self.every == 0 or self._turns_dense():
            self.refresh()
        else:
            for layer in self.compressed:
                layer.compress(keep_mask=True)

    @torch.no_grad()
    def refresh(self) -> None:
        """Finds all masks now. A sharded Linear24 finds its mask with its next product."""
        if self.measure_flips and (late := self._found_late()):
            raise ValueError(f"tsenor: measure_flips of {late[0]}: a sharded Linear24 finds its mask too late for it")
        before = [layer.sparsity.mask.clone() for layer in self.layers] if self.measure_flips else []
        for layer, now in [(layer, self._now(layer)) for layer in self.layers] if self.schedule else []:
            layer.sparsity.keep(now)
        refresh_layers(self.layers, self.importance)
        self.flips = {
            layer.name: (old != layer.sparsity.mask).float().mean() for layer, old in zip(self.layers, before)
        }

    @property
    def flip_rate(self) -> Optional[torch.Tensor]:
        """The share of all mask entries that the last refresh changed, a 0-dim tensor; None if it was not measured."""
        if not self.flips:
            return None
        sizes = {layer.name: layer.sparsity.mask.numel() for layer in self.layers}
        changed = sum(share.double() * sizes[name] for name, share in self.flips.items())
        return changed / sum(sizes[name] for name in self.flips)

    @torch.no_grad()
    def decay_gradients(self, scale: Optional[torch.Tensor] = None) -> None:
        """Adds ``decay`` times the pruned weights to their gradients (SR-STE), which are ``scale`` times what they
        stand for, a 0-dim tensor, where a gradient scaler leaves that to the optimizer."""
        for layer in self.layers:
            weight = layer.stored()
            if weight.grad is not None:
                kept = sharding.local(sharding.placed(layer.sparsity.mask, weight))
                value = sharding.local(weight)
                pruned = torch.where(kept, 0, value).to(value.dtype)
                pruned = pruned if scale is None else pruned * scale.to(value.device, non_blocking=True)
                sharding.local(weight.grad).add_(pruned, alpha=self.decay)

    def remove(self) -> None:
        """Ends the refreshes: masks stay as they are."""
        for handle in self.handles:
            handle.remove()
        self.clock.leave()

    def state_dict(self) -> dict[str, int]:
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.clock.steps = state["steps"]

    def _collect(self):
        """The layers; nothing walks over the modules until some have become sparse or dense."""
        self.layers = sparse_layers(self.model)
        if not self.layers and not self.checked:
            raise ValueError("tsenor: the model has no sparse weights: call sparsify(model, n, m) first")
        raise_refusals(self.model, self.layers)
        self.clock = one_clock(self.layers) if self.layers else self.clock
        self.changes = self.clock.changes
        self.compressed = [layer.module for layer in self.layers if isinstance(layer.module, Linear24)]
        if self.decay and (late := [k.name for k in self.layers if not k.sparsity.first]):
            raise ValueError(
                f"tsenor: decay needs the masks directly on the parameters, but {late[0]} has another parametrization "
                "before its mask"
            )

    def _register(self, optimizer):
        if not hasattr(optimizer, "register_step_post_hook"):
            kind = type(optimizer).__name__
            raise TypeError(f"{kind} has no step hooks: pass optimizer=None, and call step() after each step")
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if not any(id(p) in held for layer in self.layers for p in layer.module.parameters()):
            warnings.warn(
                "tsenor: the optimizer of MaskRefresh has none of the model's sparse weights: make it from "
                "model.parameters() of this model, unless it keeps copies of them",
                stacklevel=4,
            )
        self.handles.append(optimizer.register_step_post_hook(lambda it, *_: is_rehearsal(it) or self._stepped(it)))
        if self.decay:  # fused optimizers divide by grad_scale themselves
            decay = lambda it, *_: self.decay_gradients(getattr(it, "grad_scale", None))  # noqa: E731
            self.handles.append(optimizer.register_step_pre_hook(decay))

    def _stepped(self, optimizer):
        first = not self.checked
        self.step()
        held = {id(p) for group in optimizer.param_groups for p in group["params"]} if first else ()
        others = [k.name for k in self.layers if first and k.stored().requires_grad and id(k.stored()) not in held]
        if 0 < len(others) < len(self.layers):
            warnings.warn(
                f"tsenor: the optimizer of MaskRefresh lacks {len(others)} of {len(self.layers)} sparse weights, such "
                f"as {others[0]}: if another optimizer changes them, pass optimizer=None, and call step() after both",
                stacklevel=5,
            )

    def _found_late(self):
        return [k.name for k in self.layers if isinstance(k.module, Linear24) and sharding.is_sharded(k.stored())]

    def _turns_dense(self):
        """Whether the schedule now keeps all of a layer that has been sparse until now."""
        sparse = (k for k in self.layers if not k.sparsity.frozen and k.sparsity.now != k.sparsity.m)
        return bool(self.schedule) and any(self._now(layer) == layer.sparsity.m for layer in sparse)

    def _now(self, layer):
        """N for a layer at this step. All layers are asked before any changes."""
        sparsity = layer.sparsity
        now = self.schedule(self.clock.steps, sparsity.n, sparsity.m) if self.schedule else sparsity.n
        if why := sparsity.unkept(now):
            raise ValueError(f"tsenor: {layer.name}: {why}")
        return int(now)


def _check(every, schedule, decay):
    problems = []
    if not (isinstance(every, numbers.Real) and every >= 1 and every == every // 1):
        problems.append(f"every must be an integer of at least 1, not {every!r}")
    if schedule is not None and not callable(schedule):
        problems.append(f"schedule must be a function schedule(step, n, m), not {schedule!r}")
    if not (isinstance(decay, numbers.Real) and 0 <= decay < math.inf):
        problems.append(f"decay must be a number of at least 0, not {decay!r}")
    if problems:
        raise ValueError("tsenor: MaskRefresh: " + "; ".join(problems))


def is_rehearsal(optimizer):
    """Whether a step has rate 0 and gradients 0. With such a step ``torch.distributed.checkpoint`` makes an optimizer's
    state before it loads it. It is no training, and the count of steps has been loaded already."""
    if any(float(group.get("lr", 1)) for group in optimizer.param_groups):
        return False
    gradients = (p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None)
    return not any(bool(sharding.local(gradient).any()) for gradient in gradients)


def inner(optimizer):
    """PyTorch's optimizer inside of wrappers such as accelerate's."""
    while isinstance(getattr(optimizer, "optimizer", None), torch.optim.Optimizer):
        optimizer = optimizer.optimizer
    return optimizer
