"""What every sparse layer has: a mask, the pattern that it obeys, and a share in the model's clock."""

import numbers
import warnings
import weakref

import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from . import sharding

_optimizer_steps = 0  # of all optimizers; fused ones change parameters without changing their version


def _count(*_):
    global _optimizer_steps
    _optimizer_steps += 1


register_optimizer_step_pre_hook(_count)


def state_of(weight):
    """A value that differs after every change of a parameter; None for a tensor of torch.func, which has no storage."""
    try:
        pointer = weight.data_ptr()
    except RuntimeError:
        return None
    return pointer, 0 if weight.is_inference() else weight._version, _optimizer_steps


def empty(shape, device, dtype):
    """A tensor that can be written in and outside of ``inference_mode``, wherever it was made."""
    with torch.inference_mode(False):
        return torch.empty(shape, device=device, dtype=dtype)


def _is_blurred(mask):
    """Whether a mask has values between 0 and 1, as an average of masks has."""
    return mask.is_floating_point() and not mask.is_meta and bool(((mask != 0) & (mask != 1)).any())


FIND = object()  # in the place of a mask in a state_dict: find it, from the weights that come with it


class Clock:
    """What the sparse layers of a model share. A copy has the steps, but nobody counts them."""

    def __init__(self, steps=0):
        self.steps = steps  # of the optimizer
        self.changes = 0  # of which layers are sparse
        self.driver = lambda: None  # the MaskRefresh that counts the steps, or None
        self.left = None  # the steps of all optimizers when it went
        self.warned = False

    def __reduce__(self):
        return Clock, (self.steps,)

    def drive(self, refresh):
        """``refresh`` counts the steps from here on."""
        if self.driver() is not None:
            warnings.warn("tsenor: this model already had a MaskRefresh; the new one replaces it", stacklevel=3)
            self.driver().remove()
        self.driver = weakref.ref(refresh, lambda _: self.leave())

    def leave(self):
        """Nobody counts the steps from here on. The steps until now call for no warning."""
        self.driver, self.left = lambda: None, _optimizer_steps

    def warn(self):
        self.warned = True
        warnings.warn(
            "tsenor: sparse weights have changed since their masks were found, and the model has no MaskRefresh "
            "(copies of a model have none): call MaskRefresh(model, optimizer), or refresh(model) now and then, or "
            "freeze(model)",
            stacklevel=3,
        )


class Seen:
    """The version of a parameter when its mask was found, None where it has none, and the steps of all optimizers until
    then. A copied parameter begins at 0."""

    def __init__(self, version=0):
        self.version, self.steps = version, _optimizer_steps

    def __reduce__(self):
        return Seen, ()


class Masked(torch.nn.Module):
    """A module with a mask of ``shape``. The mask is not a buffer, so DDP does not broadcast it, and averages of models
    do not mix it. It moves with the module. Its state_dict has ``mask``, and ``pattern``, the integers (N, M, N of this
    mask, steps of the optimizer, whether the mask is frozen)."""

    def __init__(self, shape, n, m, device):
        super().__init__()
        self.n, self.m, self.now, self.frozen, self.clock = n, m, n, False, Clock()
        self.mask = empty(shape, device, torch.bool)
        self.found = False  # whether the mask holds anything
        self.seen = Seen()

    def stored(self):
        """The parameter behind the weight; None where it is not known."""
        raise NotImplementedError

    @property
    def pattern(self):
        values = self.n, self.m, self.now, self.clock.steps, int(self.frozen)
        return torch.tensor(values, device=self.mask.device)

    first = True  # nothing changes the parameter before the mask does

    def unkept(self, now):
        """Why masks cannot keep so many of M; empty where they can."""
        if isinstance(now, numbers.Integral) and 1 <= now <= self.m:
            return ""
        return f"the schedule keeps {now!r} of {self.m}: it has to return an integer from 1 to M"

    def keep(self, now):
        """N of the masks found from here on, which a schedule may have on its way to n."""
        self.now = self.now if self.frozen else now

    def _note(self):
        """The mask belongs to the weights as they are now."""
        self.found, weight = True, self.stored()
        counts = weight is not None and not sharding.is_sharded(weight) and not weight.is_inference()
        self.seen = Seen(weight._version if counts else None)

    def _usable(self, weight):
        """Raises or warns if the mask cannot be used. Moves it to the weight's device if only the weight was moved."""
        if not self.found and not weight.is_meta:
            raise RuntimeError(
                "tsenor: a weight has no mask yet, because it was on 'meta': give it values, then call "
                "tsenor_torch.refresh(model), or load a state_dict"
            )
        if sharding.is_sharded(weight):
            raise RuntimeError("tsenor: a layer multiplies by a DTensor; tensor parallel layers cannot be sparse")
        if self.mask.device != weight.device:
            self.mask = self.mask.to(weight.device)
        if not (torch.compiler.is_compiling() or self.frozen or self.clock.warned) and self._outdated(weight):
            self.clock.warn()

    def _outdated(self, weight):
        """Whether a parameter has changed since its mask was found, with no MaskRefresh that will see to it."""
        if self.clock.driver() or self.clock.left == _optimizer_steps:
            return False
        if weight.is_meta or self.seen.version is None:
            return False
        if not isinstance(weight, torch.nn.Parameter) or weight.is_inference():
            return False
        learning = self.training and weight.requires_grad and torch.is_grad_enabled()
        return weight._version != self.seen.version or (learning and self.seen.steps != _optimizer_steps)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name in ("mask", "pattern"):
            destination[prefix + name] = sharding.placed(getattr(self, name), self.stored())

    def _load_from_state_dict(self, state_dict, prefix, metadata, strict, missing_keys, unexpected_keys, error_msgs):
        mask, pattern = (state_dict.pop(prefix + name, None) for name in ("mask", "pattern"))
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, missing_keys, unexpected_keys, error_msgs)
        if mask is FIND or (mask is pattern is None and prefix + "weight" in state_dict):  # a dense layer's state
            self.refresh()
        elif mask is None or pattern is None:
            missing_keys += [prefix + name for name, it in (("mask", mask), ("pattern", pattern)) if it is None]
        elif why := self._mismatch(mask, sharding.local(pattern)):
            error_msgs.append(f"{prefix.rstrip('.')}: {why}")
        else:
            self._take(mask, pattern)

    def _mismatch(self, mask, pattern):
        values = (self.n, self.m, self.n, 0, 0) if pattern.is_meta else pattern.flatten().tolist()
        if len(values) != 5 or any(k != int(k) for k in values) or _is_blurred(sharding.local(mask)):
            return "the state_dict has no mask of 0 and 1 with five integers: average what plain_state_dict returns"
        n, m = map(int, values[:2])
        if (n, m) != (self.n, self.m):
            what = f"the state_dict has masks of {n}:{m}, but the model has {self.n}:{self.m}"
            return f"{what}: call sparsify(model, {n}, {m}) before loading"
        if mask.shape != self.mask.shape:
            return f"the mask in the state_dict has shape {tuple(mask.shape)}, but the weight {tuple(self.mask.shape)}"
        return ""

    @torch.no_grad()
    def _take(self, mask, pattern):
        mask = mask.full_tensor() if sharding.is_sharded(mask) else mask
        if self.mask.is_meta or mask.is_meta:
            self.mask = mask.bool()
        else:
            self.mask.copy_(mask)
        if not mask.is_meta:
            now, steps, frozen = map(int, sharding.local(pattern).tolist()[2:])
            self.now, self.clock.steps, self.frozen = now, steps, bool(frozen)
            self._note()

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        moved = fn(self.mask)
        self.found = self.found and not (self.mask.is_meta and not moved.is_meta)  # what leaves 'meta' holds nothing
        self.mask = moved.bool()
        if self.found and not self.mask.is_meta:
            self._note()
        return self
