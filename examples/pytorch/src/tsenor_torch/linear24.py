"""Linear layers on 2:4 sparse tensor cores: forward pass and input gradient with 2:4 transposable weights, the weight
gradient with an estimate of the output gradient. Each is used only where it is faster."""

import numbers
from collections.abc import Callable
from typing import Any, Optional

import torch

from . import sharding
from .forms import Forms, Plan, best_scale, is_autocast, product_type, soft24, soft_values
from .plans import choose
from .state import Masked, state_of

_ops = torch.ops.tsenor


class Linear24(Masked):
    """A linear layer with a 2:4 transposable weight. Its features are multiples of 64.

    The layer multiplies in bfloat16 if its weight is bfloat16 or float32. In float16 its products are dense. The result
    has the type of the input, or under autocast the type of the products. ``weight`` is the dense parameter. All of it
    learns (straight-through); with ``gradient='masked'`` only kept weights learn. :class:`MaskRefresh` finds new masks;
    without it the mask stays. :meth:`compress` writes the operands of the products, with a new mask, in one kernel.
    The first product after a change of the weight writes them with the old mask. Replays of a CUDA graph run no Python,
    so a captured step has to call :meth:`compress`.

    The first product with a new number of tokens measures a whole step sparse and dense, and keeps the faster way: see
    :meth:`choice`. If dense is faster, the weight is still 2:4, and a step still finds a mask; :func:`sparsify24` skips
    such layers. ``captured`` says that steps are replayed from a CUDA graph, and measures them so.

    With ``weight_gradient='mvue'`` the weight gradient may be sparse too, if that is faster and tokens are a multiple
    of 64: the product with :func:`mvue24` of the output gradient. It costs loss, and draws from PyTorch's generator.
    Second derivatives, and those under ``torch.func.vmap``, are dense. The attribute may be changed between steps.

    ``pruning='soft'`` is S-STE's continuous pruning (2409.09099) for transposable masks: the products read
    ``scale * soft24(weight)`` instead of the kept weights, so a weight is 0 when its mask flips. The buffer ``scale``
    is the one that fits the first weights best, and stays. These values take far longer to compute than a mask.

    Under ``fully_shard`` every rank finds the same mask, of the whole weight that it has for the next forward pass.
    Nothing is sent, and each rank keeps the mask and the operands, 3.25 bytes for each weight if all is sparse. A
    schedule of :class:`MaskRefresh` may keep 2 of 4, or all: then all three products are dense, in their type.
    """

    def __init__(
        self, in_features: int, out_features: int, *, bias: bool = True, gradient: str = "straight_through",
        weight_gradient: str = "dense", pruning: str = "hard", captured: bool = False, device: Any = None,
        dtype: Optional[torch.dtype] = None,
    ) -> None:
        if gradient not in ("straight_through", "masked"):
            raise ValueError(f"gradient must be 'straight_through' or 'masked', not {gradient!r}")
        if pruning not in ("hard", "soft"):
            raise ValueError(f"pruning must be 'hard' or 'soft', not {pruning!r}")
        dense = torch.nn.Linear(in_features, out_features, bias=bias, device=device, dtype=dtype)
        super().__init__(dense.weight.shape, 2, 4, dense.weight.device)
        self.weight, self.bias, self.straight_through = dense.weight, dense.bias, gradient == "straight_through"
        self.captured, self.type = captured, product_type(self.weight.dtype)
        self.due = None  # 'found' or 'kept': the mask that the next product writes the forms of, of a sharded weight
        self.soft = pruning == "soft"
        self.register_buffer("scale", best_scale(self.weight) if self.soft else None)
        self._forget()
        self.weight_gradient = weight_gradient
        self.compress()

    @property
    def weight_gradient(self):
        return "mvue" if self.may_be_sparse.weight_gradient else "dense"

    @weight_gradient.setter
    def weight_gradient(self, value):
        if value not in ("dense", "mvue"):
            raise ValueError(f"weight_gradient must be 'dense' or 'mvue', not {value!r}")
        self.may_be_sparse = Plan(True, True, weight_gradient=value == "mvue")
        self.tokens = None  # the next product chooses anew

    @classmethod
    def of(cls, linear, **arguments):
        """A layer with the weights of a ``torch.nn.Linear``."""
        layer = cls(
            linear.in_features, linear.out_features, bias=linear.bias is not None, device=linear.weight.device,
            dtype=linear.weight.dtype, **arguments
        )
        layer.weight, layer.bias = linear.weight, linear.bias
        layer.scale = best_scale(layer.weight) if layer.soft else None
        layer.compress()
        return layer

    def compress(self, keep_mask=False):
        """Writes the operands for the present weight, with its optimal mask, or with the old mask if ``keep_mask`` or
        if it is frozen. Operands for another number of tokens are written when they are needed."""
        self.forms.outdate()
        keep_mask = keep_mask or self.frozen
        if sharding.is_sharded(self.weight):
            self.due = "kept" if keep_mask and self.due != "found" else "found"
        else:
            self._write(keep_mask)

    def stored(self):
        """The dense parameter."""
        return self.weight

    def refresh(self, importance=None):
        """Calls :meth:`compress`. The importance is always the magnitude."""
        if importance is not None:
            raise ValueError("tsenor: Linear24 takes no importance, only magnitudes: use sparsify(model, 2, 4)")
        self.compress()

    def unkept(self, now):
        problem = f"a Linear24 keeps {self.n} of {self.m}, or all: the schedule keeps {now!r}"
        return "" if now in (self.n, self.m) else problem

    def pruned(self):
        """The weights that the products stand for, in the type of the parameter."""
        weight = self.weight.detach()
        values = soft_values(weight, self.scale) if self.soft and self.now != self.m else weight
        return torch.where(self.mask, values, 0)

    def plain(self):
        """A ``torch.nn.Linear`` with the same parameters, the weight pruned."""
        linear = torch.nn.Linear(*reversed(self.weight.shape), bias=self.bias is not None, device="meta")
        linear.train(self.training)
        self.weight.data = self.pruned()
        linear.weight, linear.bias = self.weight, self.bias
        return linear

    def choice(self, tokens):
        """Returns how products of so many tokens are computed, and the measured times (plans.Choice)."""
        return choose(self, tokens)

    def forward(self, x):
        self._usable(self.weight)
        tokens = x.numel() // x.shape[-1]
        if self.due:
            self._write(keep_mask=self.due == "kept")
        elif not torch.compiler.is_compiling() and state_of(self.weight) not in (self.written, None):
            self.compress(keep_mask=True)
        if torch.compiler.is_compiling() and not self.weight.is_cuda:
            plan, arguments = self._traced(tokens)
        else:
            if tokens != self.tokens:
                self.tokens, self.plan = tokens, choose(self, tokens).plan
                self._write(keep_mask=True)
            plan, arguments = self.plan, self.arguments
        if is_autocast(x.device.type):
            x = x.to(self.type)  # once, and where compilers see it
        mask = None if self.straight_through else self.mask
        mvue = plan.weight_gradient and self.now != self.m
        return _ops.linear24(x, self.weight, self.bias, *arguments, mask, self.type, mvue)

    def _traced(self, tokens):
        """The plan and its operands, which a graph for the CPU writes itself: the layer keeps nothing of tracing."""
        plan, weight = choose(self, tokens).plan, self.weight.detach().to(self.type)
        if self.now == self.m or weight.is_meta:
            return plan, (weight, None, None)
        values = (self.scale * soft24(weight)).to(self.type) if self.soft else weight
        return plan, self.operands(values, tokens)(plan)

    def operands(self, weight, tokens):
        """A function of a plan: writes what its products read of a weight, and returns that."""
        forms = Forms()

        def write(plan):
            forms.outdate()
            forms.write(plan, weight.to(self.type), self.mask, tokens=tokens, keep_mask=True)
            return forms.arguments(plan)

        return write

    def __setstate__(self, state):
        super().__setstate__(state)
        if self.found and not self.mask.is_meta:
            self._note()  # loaded parameters have other versions

    @torch.no_grad()
    def _write(self, keep_mask):
        weight = self.weight.detach().to(self.type)
        if weight.is_meta:  # it has a shape, and nothing to write
            self.arguments = weight, None, None
            return
        if self.now == self.m:
            self.mask.fill_(True)
            self.arguments = weight, None, None
        else:
            self._write_forms(weight, keep_mask)
            self.arguments = self.forms.arguments(self.plan) if self.plan else None
        self.written, self.due = state_of(self.weight), None
        if not keep_mask:
            self._note()

    def _write_forms(self, weight, keep_mask):
        if self.soft:  # the best mask of the weights has all entries that are not 0
            if not keep_mask:
                self.forms.write(None, weight, self.mask, tokens=None, keep_mask=False)
            weight, keep_mask = (self.scale * soft24(weight)).to(self.type), True
        self.forms.write(self.plan, weight, self.mask, tokens=self.tokens, keep_mask=keep_mask)

    def _load_from_state_dict(self, state_dict, prefix, *rest):
        if self.soft and prefix + "mask" not in state_dict and prefix + "weight" in state_dict:  # of a dense layer
            state_dict[prefix + "scale"] = best_scale(state_dict[prefix + "weight"])
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _take(self, mask, pattern):
        super()._take(mask, pattern)
        self.due = "kept" if self.due else None

    def _forget(self):
        """As if there had been no product yet."""
        self.forms, self.tokens, self.plan, self.arguments, self.written = Forms(), None, None, None, None

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        if self.weight.dtype != torch.float32:
            self.type = self.weight.dtype
        self._forget()
        return self

    def extra_repr(self):
        return f"in_features={self.weight.shape[1]}, out_features={self.weight.shape[0]}, bias={self.bias is not None}"


class MvueLinear(torch.nn.Linear):
    """A ``torch.nn.Linear`` whose weight gradient may be sparse, as that of :class:`Linear24` with
    ``weight_gradient='mvue'``. The weights and the other products are dense.

    The gradient is sparse if products are in bfloat16 (by the weight or by autocast), tokens and features are multiples
    of 64, and a whole step is faster so, as measured for each new number of tokens. In all other cases, on the CPU, and
    while the attribute ``weight_gradient`` is 'dense', this is ``torch.nn.Linear``. ``captured`` is Linear24's.
    """

    weight_gradient = "mvue"
    may_be_sparse, type = Plan(weight_gradient=True), torch.bfloat16

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, captured: bool = False, device: Any = None,
        dtype: Optional[torch.dtype] = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        self.captured, self.tokens, self.plan = captured, None, None

    @classmethod
    def of(cls, linear, **arguments):
        """A layer with the parameters of a ``torch.nn.Linear``."""
        layer = cls(linear.in_features, linear.out_features, linear.bias is not None, device="meta", **arguments)
        layer.weight, layer.bias = linear.weight, linear.bias
        return layer.train(linear.training)

    def choice(self, tokens):
        """Returns how products of so many tokens are computed, and the measured times (plans.Choice)."""
        return choose(self, tokens)

    def forward(self, x):
        weight, autocast = self.weight, is_autocast(x.device.type)
        dtype = torch.get_autocast_dtype(x.device.type) if autocast else weight.dtype
        learns = self.weight_gradient == "mvue" and weight.requires_grad and torch.is_grad_enabled()
        if dtype != self.type or not learns:
            return super().forward(x)
        tokens = x.numel() // x.shape[-1]
        if tokens != self.tokens:
            self.tokens, self.plan = tokens, choose(self, tokens).plan
        if not self.plan.weight_gradient:
            return super().forward(x)
        x = x.to(dtype) if autocast else x
        return _ops.linear24(x, weight, self.bias, weight.detach().to(dtype), None, None, None, dtype, True)

    def operands(self, weight, tokens):
        """A function of a plan: what its products read of a weight."""
        return lambda plan: (weight.to(self.type), None, None)

    def _apply(self, fn, recurse=True):
        self.tokens = None  # on another device the choice may be another one
        return super()._apply(fn, recurse)


def sparsify24(
    model: torch.nn.Module, tokens: int, *,
    select: Callable[[str, torch.nn.Module], Any] = lambda name, module: type(module) is torch.nn.Linear,
    weights: str = "sparse", **arguments: Any,
) -> list[str]:
    """Replaces linear layers by :class:`Linear24` if that makes their steps faster, with a new mask in each step. With
    ``weights='dense'`` by :class:`MvueLinear`, whose weight gradient alone is sparse.

    ``tokens`` is the number of rows that a layer sees in a step. ``select(name, module)`` picks the layers to try, by
    default each ``torch.nn.Linear``, also an output head. Further arguments are those of the layer. Each new shape is
    measured, for a few seconds; layers that become no faster stay dense. A small model can become slower all the same.
    Parameters stay the same tensors, so optimizers keep working. Returns the replaced layers' names, none on a CPU.
    """
    if not isinstance(tokens, numbers.Integral) or tokens < 1:
        raise ValueError(f"tsenor: tokens must be an integer of at least 1, not {tokens!r}")
    if weights not in ("sparse", "dense"):
        raise ValueError(f"weights must be 'sparse' or 'dense', not {weights!r}")
    kind = Linear24 if weights == "sparse" else MvueLinear
    replaced = []
    for name, module in list(model.named_modules()):
        if not name or not select(name, module) or module.weight.shape[0] % 64 or module.weight.shape[1] % 64:
            continue
        layer = kind.of(module, **arguments)
        if layer.choice(tokens).beats_linear:
            model.set_submodule(name, layer)
            replaced.append(name)
    return replaced
