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
        arguments, named, key = self.calls[number][self.position]
        block, hidden = self.blocks[self.position], self.hidden[number]
        if key:
            return _hidden_of(block, block(*arguments, **{**named, key: hidden}))
        return _hidden_of(block, block(hidden, *arguments[1:], **named))


@contextlib.contextmanager
def prepared(model):
    """Sets the model up for calibration: in evaluation mode, and with experts one by one, so that the inputs of each
    are seen."""
    modes = [(module, module.training) for module in model.modules()]
    settable = hasattr(model, "set_experts_implementation")
    experts = getattr(model.config, "_experts_implementation", None) if settable else None
    model.eval()
    if experts is not None:
        model.set_experts_implementation("eager")
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        if experts is not None:
            model.set_experts_implementation(experts)


class _Captured(Exception):
    pass


_WRONG = "tsenor: {}: name blocks that the model runs one on the other with blocks="


@torch.no_grad()
def _capture(model, blocks, arguments):
    """The inputs of the first block, and every block's other arguments."""
    inputs, results, calls = [], [], []

    def before(module, args, named):
        key = _key_of_input(module, args, named)
        given = named[key] if key else args[0]
        if results and not _same(given, results.pop()):
            raise ValueError(_WRONG.format(f"block {len(calls)} is not given what the block before it returned"))
        if not inputs:
            inputs.append(given)
        others = (args, {**named, key: None}) if key else ((None, *args[1:]), named)
        calls.append((module, (*others, key)))
        if len(calls) == len(blocks):
            raise _Captured

    hooks = [block.register_forward_pre_hook(before, with_kwargs=True) for block in blocks]
    hooks += [block.register_forward_hook(lambda it, _, y: results.append(_hidden_of(it, y))) for block in blocks]
    try:
        model(*arguments[0], **arguments[1])
    except _Captured:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    if [call[0] for call in calls] != list(blocks):
        ran = f"the model ran {len(calls)} of its {len(blocks)} blocks, or did not run them one after the other"
        raise ValueError(_WRONG.format(ran))
    return inputs[0], [others for _, others in calls]


def _key_of_input(module, args, named):
    """The keyword that gives a block its hidden states; None for its first positional argument."""
    if "hidden_states" in named or not args:
        tensors = (name for name, value in named.items() if isinstance(value, torch.Tensor))
        key = "hidden_states" if "hidden_states" in named else next(tensors, None)
        if key is None:
            raise TypeError(f"tsenor: a block, {type(module).__name__}, is called without a tensor")
        return key
    return None


def _hidden_of(block, result):
    """The hidden states among what a block returned."""
    hidden = result[0] if isinstance(result, (tuple, list)) and result else result
    if not isinstance(hidden, torch.Tensor):
        raise TypeError(
            f"tsenor: a block, {type(block).__name__}, returns a {type(result).__name__}, and not a tensor or a tuple "
            "that begins with one: name other blocks with blocks="
        )
    return hidden


def _same(tensor, other):
    return tensor is other or (tensor.shape == other.shape and torch.equal(tensor, other))


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
        moved = {k: batch[k].to(device) if isinstance(batch[k], torch.Tensor) else batch[k] for k in batch.keys()}
        return (), {**moved, **named}
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
            self.sums[name] = torch.zeros(x.shape[-1], x.shape[-1], dtype=torch.float32, device=x.device)
        torch.ops.tsenor.gram_(self.sums[name], rows)
        self.tokens[name] = self.tokens.get(name, 0) + len(rows)
