"""The forms of a 2:4 weight that its products read."""

from typing import NamedTuple

import torch

_ops = torch.ops.tsenor


class Plan(NamedTuple):
    """How the products of a layer are done."""

    forward: bool = False  # on sparse tensor cores; else dense, with the pruned weights
    input_gradient: bool = False
    own_form: bool = True  # the operands are compress24's; else the vendor's compress makes them
    weight_gradient: bool = False  # on sparse tensor cores, with the output gradient's estimate (mvue24)

    @property
    def takes_pruned(self):
        return not (self.forward and self.input_gradient)


def compressed_size(rows, cols):
    """Bytes of a compressed operand, see tsenor/sparse24/layout.hpp."""
    return rows * cols // 8 * 9


class Forms:
    """Written when a plan asks for them, each once until the weight changes, in memory that stays where it is."""

    def __init__(self):
        self.memory, self.fresh = {}, set()

    def outdate(self):
        """The weight or its mask has changed."""
        self.fresh.clear()

    def write(self, plan, weight, mask, *, tokens, keep_mask):
        """Writes in one kernel the forms that the plan takes and that are not there yet.

        With ``keep_mask`` they are those of ``mask``; else the optimal mask is found, and written to ``mask``. Without
        a plan only the mask is found."""
        wanted = self._wanted(plan) - self.fresh if plan else set()
        if not wanted and keep_mask:
            return
        own = wanted if not plan or plan.own_form else wanted & {"pruned"}
        to = {name: self._room(name, weight) for name in own}
        found = {"keep": mask} if keep_mask else {"mask": mask}
        _ops.sparse24_compress_(to.get("compressed"), to.get("transposed"), weight, pruned=to.get("pruned"), **found)
        for name in wanted - own:
            pruned, of_transposed = self.memory["pruned"], name == "transposed"
            dense = pruned.t().contiguous() if of_transposed else pruned
            self.memory[name] = _ops.linear24_vendors_compress(dense, *weight.shape, tokens, of_transposed)
        self.fresh |= wanted

    def arguments(self, plan):
        """``(pruned, compressed, transposed)`` for the operator linear24, None for what the plan does not take."""
        taken = plan.takes_pruned, plan.forward, plan.input_gradient
        return tuple(self.memory[k] if take else None for k, take in zip(("pruned", "compressed", "transposed"), taken))

    @staticmethod
    def _wanted(plan):
        pruned = plan.takes_pruned or not plan.own_form
        wanted = {"pruned": pruned, "compressed": plan.forward, "transposed": plan.input_gradient}
        return {name for name, take in wanted.items() if take}

    def _room(self, name, weight):
        if name not in self.memory:
            pruned = name == "pruned"
            size = weight.shape if pruned else compressed_size(*weight.shape)
            dtype = weight.dtype if pruned else torch.uint8
            self.memory[name] = torch.empty(size, dtype=dtype, device=weight.device)
        return self.memory[name]
