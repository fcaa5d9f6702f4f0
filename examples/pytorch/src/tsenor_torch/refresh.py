"""When masks are found anew."""

from torch.nn.utils import parametrize

from .linear24 import Linear24
from .sparsity import TransposableSparsity


class MaskRefresh:
    """Finds a model's masks anew after every ``every`` steps of an optimizer.

    >>> refresh = MaskRefresh(model, optimizer, every=16)

    Registers itself with the optimizer; :meth:`remove` undoes that. ``state_dict()`` holds the steps counted.
    2:4 layers (:class:`Linear24`) are compressed again after every step, as their weights have changed.
    """

    def __init__(self, model, optimizer, *, every=1):
        if every < 1:
            raise ValueError(f"every must be at least 1, not {every}")
        self.model, self.every, self.steps = model, every, 0
        self.handle = optimizer.register_step_post_hook(lambda *_: self.step())

    def step(self):
        """Counts a step, and refreshes if it is time."""
        self.steps += 1
        if self.steps % self.every == 0:
            self.refresh()
        else:
            for module in self.model.modules():
                if isinstance(module, Linear24):
                    module.compress(keep_mask=True)

    def refresh(self):
        """Finds all masks anew, now."""
        for module in self.model.modules():
            if isinstance(module, Linear24):
                module.compress()
            elif parametrize.is_parametrized(module):
                for parametrization in module.parametrizations.values():
                    for sparsity in parametrization:
                        if isinstance(sparsity, TransposableSparsity):
                            sparsity.refresh(parametrization.original)

    def remove(self):
        self.handle.remove()

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state):
        self.steps = state["steps"]
