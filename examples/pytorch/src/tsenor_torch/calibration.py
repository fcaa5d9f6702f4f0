"""Runs a model block by block, and adds up what its layers see."""

import contextlib
from typing import NamedTuple

import torch
from torch.overrides import TorchFunctionMode


class Gram(NamedTuple):
    """What a layer saw: the sum of x x^T over its inputs x, and how many there were."""

    matrix: torch.Tensor
    tokens: int


class Chain:
    """A model's blocks. Each runs on the outputs of the one before. Only one block's inputs are in memory at a time.

    ``batches`` are run through the dense model once, to see with which arguments it calls its blocks.
    """

    def __init__(self, model, blocks, batches):
        self.blocks, self.position = blocks, 0
        self.hidden, self.calls = [], []
        for number, batch in enumerate(batches):
            hidden, calls = _capture(model, blocks, _arguments(model, batch, number))
            _check_hidden(hidden, f"calibration batch {number}")
            self.hidden.append(hidden)
            self.calls.append(calls)
        if not self.hidden:
            raise ValueError(
                "tsenor: no calibration batches: give at least one tensor of token ids, [sequences, tokens]"
            )

    @property
    def tokens(self):
        return sum(h.shape[:-1].numel() for h in self.hidden)

    def see(self, matrices):
        """Runs the next block without moving on. Returns {name: Gram} for the matrices that received inputs."""
        with _Watch(matrices) as watch:
            for number in range(len(self.hidden)):
                watch.inputs.clear()
                self._run(number)
        return watch.grams()

    def go_on(self):
        """Runs the block as it is now, and replaces its inputs by its outputs."""
        for number in range(len(self.hidden)):
            self.hidden[number] = self._run(number)
            _check_hidden(self.hidden[number], f"after block {self.position}, calibration batch {number}")
        self.position += 1

    @torch.no_grad()
    def _run(self, number):
        arguments, named = self.calls[number][self.position]
        hidden = self.hidden[number]
        if "hidden_states" in named:
            result = self.blocks[self.position](*arguments, **{**named, "hidden_states": hidden})
        else:
            result = self.blocks[self.position](hidden, *arguments[1:], **named)
        return result[0] if isinstance(result, tuple) else result


@contextlib.contextmanager
def prepared(model):
    """Sets the model up for calibration: in evaluation mode, and with experts one by one, so that the inputs of each
    are seen."""
    was_training = model.training
    settable = hasattr(model, "set_experts_implementation")
    experts = getattr(model.config, "_experts_implementation", None) if settable else None
    model.eval()
    if experts is not None:
        model.set_experts_implementation("eager")
    try:
        yield
    finally:
        model.train(was_training)
        if experts is not None:
            model.set_experts_implementation(experts)


class _Captured(Exception):
    pass


@torch.no_grad()
def _capture(model, blocks, arguments):
    """The inputs of the first block, and every block's other arguments."""
    hidden, calls = [], []

    def before(module, args, named):
        by_name = "hidden_states" in named
        if not hidden:
            hidden.append(named["hidden_states"] if by_name else args[0])
        others = (args, {**named, "hidden_states": None}) if by_name else ((None, *args[1:]), named)
        calls.append((module, others))
        if len(calls) == len(blocks):
            raise _Captured

    hooks = [block.register_forward_pre_hook(before, with_kwargs=True) for block in blocks]
    try:
        model(*arguments[0], **arguments[1])
    except _Captured:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    if [call[0] for call in calls] != list(blocks):
        raise ValueError(
            f"tsenor: the model ran {len(calls)} of its {len(blocks)} blocks, or did not run them one after the other: "
            "name them with blocks="
        )
    return hidden[0], [others for _, others in calls]


def _arguments(model, batch, number):
    """A batch as the model's arguments: a tensor, a tuple of them, or a dictionary, all on the model's device."""
    device = next(model.parameters()).device
    named = {"use_cache": False} if hasattr(getattr(model, "config", None), "use_cache") else {}
    if hasattr(batch, "keys"):
        mask = batch["attention_mask"] if "attention_mask" in batch else None
        if mask is not None and not mask.bool().all():
            raise ValueError(
                f"tsenor: calibration batch {number} has padding: calibrate on windows of one length, without padding"
            )
        return (), {**{k: batch[k].to(device) for k in batch.keys()}, **named}
    batch = batch if isinstance(batch, (tuple, list)) else (batch,)
    if not all(isinstance(t, torch.Tensor) for t in batch):
        raise TypeError(
            f"tsenor: calibration batch {number} must be a tensor, a tuple of tensors or a dictionary, "
            f"not {type(batch[0]).__name__}"
        )
    if any(t.numel() == 0 for t in batch):
        raise ValueError(f"tsenor: calibration batch {number} is empty: {[list(t.shape) for t in batch]}")
    if any(t.dim() == 1 and not t.is_floating_point() for t in batch):
        raise ValueError(
            f"tsenor: calibration batch {number} is {[list(t.shape) for t in batch]}: "
            "token ids must be [sequences, tokens]"
        )
    return tuple(t.to(device) for t in batch), named


def _check_hidden(hidden, where):
    wrong = int((~hidden.isfinite()).sum())
    if wrong:
        raise ValueError(
            f"tsenor: {where}: {wrong} of {hidden.numel()} values are NaN or infinite: check the calibration data, "
            "and that the model runs in a type with enough range"
        )


class _Watch(TorchFunctionMode):
    """Adds up the inputs of products with some weights. Layers with the same input tensor share their sum."""

    def __init__(self, matrices):
        super().__init__()
        self.by_address = {matrix.view.data_ptr(): matrix for matrix in matrices}
        self.sums, self.tokens, self.owner, self.inputs = {}, {}, {}, []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.nn.functional.linear and len(args) > 1:
            self._see(args[0], args[1], False)
        elif func is torch.addmm and len(args) > 2:
            self._see(args[1], args[2], True)
        elif func in (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__):
            self._see(args[0], args[1], True)
        return func(*args, **(kwargs or {}))

    def grams(self):
        return {name: Gram(self.sums[owner], self.tokens[owner]) for name, owner in self.owner.items()}

    def _see(self, x, weight, transposed):
        matrix = self.by_address.get(weight.data_ptr())
        if matrix is None or matrix.transposed != transposed or weight.dim() != 2:
            return
        name = matrix.name
        owner = next((other for other, seen in self.inputs if seen is x), name)
        if self.owner.setdefault(name, owner) != owner:
            raise RuntimeError(f"tsenor: {name} shares its inputs with {owner} in some batches only")
        if owner != name:
            return
        self.inputs.append((name, x))  # which keeps it alive, so that no other tensor takes its place
        rows = x.detach().reshape(-1, x.shape[-1])
        if name not in self.sums:
            self.sums[name] = torch.zeros(x.shape[-1], x.shape[-1], device=x.device)
        torch.ops.tsenor.gram_(self.sums[name], rows)
        self.tokens[name] = self.tokens.get(name, 0) + len(rows)
