"""Linear layers on 2:4 sparse tensor cores, where that is faster: forward and input gradient with 2:4 transposable
weights, the weight gradient with an estimate of the output gradient."""

import torch

from .forms import Forms, Plan, compressed_size
from .plans import choose
from .state import Masked, state_of

_ops = torch.ops.tsenor


def compress24(weight):
    """The optimal 2:4 transposable mask of a 16-bit ``weight`` ``[rows, cols]``, multiples of 64, and the compressed
    operands of it and of its transpose: ``(compressed, transposed, mask)``."""
    size = compressed_size(*weight.shape)
    compressed, transposed = (weight.new_empty(size, dtype=torch.uint8) for _ in range(2))
    mask = weight.new_empty(weight.shape, dtype=torch.bool)
    _ops.sparse24_compress_(compressed, transposed, weight, mask=mask)
    return compressed, transposed, mask


def mvue24(gradient, *, generator=None, seed=None):
    """The compressed 2:4 estimate, by tokens, of the transpose of a 16-bit ``gradient`` ``[tokens, features]``,
    multiples of 64: what a weight gradient on sparse tensor cores reads.

    >>> gradient = torch.randn(64, 128).bfloat16()
    >>> mvue24(gradient).shape  # bytes: 64 * 128 / 2 values, and their places
    torch.Size([9216])

    Two of each four tokens are drawn and made larger, so that each entry is right in the mean, and the variance is the
    least there is (MVUE, arXiv 2203.10991). Random numbers are those of ``generator``, by default PyTorch's for the
    device: replays of a CUDA graph draw anew. With ``seed`` they are that seed's, and the bits the same on every
    device. What is NaN or infinite is kept first, so that the product is not finite where the dense one is not. On a
    GPU one kernel, enqueued; TypeError and ValueError for other types and shapes.
    """
    return _ops.sparse24_mvue(gradient, generator=generator, seed=seed)


class Linear24(Masked):
    """A linear layer with a 2:4 transposable weight, features multiples of 64.

    Products are in the weight's type, float16 or bfloat16, and in bfloat16 where the weight is float32; those in
    float16 are dense. The result has the type of the input, and under autocast that of the products. ``weight`` is the
    dense parameter, which learns straight-through (``gradient='masked'``: only what is kept learns). :meth:`compress`
    finds the mask and writes what the products read in one kernel. Masks are found anew by :class:`MaskRefresh`;
    without one, the mask stays, and a product after a change of the weight first writes again what it reads. (Replays
    of a CUDA graph run no Python: a captured step has to compress.) The first product of each number of tokens measures
    a whole step sparse and dense, and stays with the faster: see :meth:`choice`. Where dense is faster the weight is
    still 2:4, and finding its mask costs time on top; :func:`sparsify24` leaves such layers alone. ``captured`` says
    that steps are replayed from a CUDA graph and are to be measured so. Small layers gain only where launches are free.

    With ``weight_gradient='mvue'`` the weight gradient may be sparse too, where that is faster and tokens are a
    multiple of 64: it is the product with :func:`mvue24` of the output gradient. That is right in the mean, with a
    variance that costs some loss, and uses random numbers of PyTorch's generator in the backward pass. Second
    derivatives, and those under ``torch.func.vmap``, are dense. The attribute may be changed between steps.
    """

    shardable = False

    def __init__(
        self, in_features, out_features, *, bias=True, gradient="straight_through", weight_gradient="dense",
        captured=False, device=None, dtype=None
    ):
        if gradient not in ("straight_through", "masked"):
            raise ValueError(f"gradient must be 'straight_through' or 'masked', not {gradient!r}")
        dense = torch.nn.Linear(in_features, out_features, bias=bias, device=device, dtype=dtype)
        super().__init__(dense.weight.shape, 2, 4, dense.weight.device)
        self.weight, self.bias, self.straight_through = dense.weight, dense.bias, gradient == "straight_through"
        self.captured = captured
        self.type = torch.bfloat16 if self.weight.dtype == torch.float32 else self.weight.dtype
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
        layer.compress()
        return layer

    def compress(self, keep_mask=False):
        """Follows the weight as it is now, with its optimal mask, or with the mask that it has: writes what the last
        products read. The forms for another number of tokens are written when those come. Frozen masks stay."""
        self.forms.outdate()
        self._write(keep_mask or self.frozen)

    def stored(self):
        """The dense parameter."""
        return self.weight

    def refresh(self, importance=None):
        """:meth:`compress`, which knows no importance but the magnitudes."""
        if importance is not None:
            raise ValueError("tsenor: masks of Linear24 are found by magnitude: use sparsify(model, 2, 4)")
        self.compress()

    def plain(self):
        """A ``torch.nn.Linear`` with the same parameters, the weight pruned."""
        linear = torch.nn.Linear(*reversed(self.weight.shape), bias=self.bias is not None, device="meta")
        linear.train(self.training)
        self.weight.data = torch.where(self.mask, self.weight.data, 0)
        linear.weight, linear.bias = self.weight, self.bias
        return linear

    def choice(self, tokens):
        """How the products of so many tokens are done, and the times that follows from (plans.Choice)."""
        return choose(self, tokens)

    def forward(self, x):
        self._usable(self.weight)
        tokens = x.numel() // x.shape[-1]
        if not torch.compiler.is_compiling() and state_of(self.weight) not in (self.written, None):
            self.compress(keep_mask=True)
        if tokens != self.tokens:
            plan = choose(self, tokens).plan
            self.tokens, self.plan = tokens, plan
            self._write(keep_mask=True)
        mask = None if self.straight_through else self.mask
        mvue = self.plan.weight_gradient
        return _ops.linear24(x, self.weight, self.bias, *self.arguments, mask, self.type, mvue)

    def operands(self, weight, tokens):
        """A function of a plan: writes what its products read of a weight, and returns that."""
        forms = Forms()

        def write(plan):
            forms.outdate()
            forms.write(plan, weight.to(self.type), self.mask, tokens=tokens, keep_mask=True)
            return forms.arguments(plan)

        return write

    @torch.no_grad()
    def _write(self, keep_mask):
        if self.weight.is_meta:
            return
        weight = self.weight.detach().to(self.type)
        self.forms.write(self.plan, weight, self.mask, tokens=self.tokens, keep_mask=keep_mask)
        self.arguments, self.written = self.forms.arguments(self.plan) if self.plan else None, state_of(self.weight)
        if not keep_mask:
            self._note()

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
    ``weight_gradient='mvue'``; the weights and the other products are dense.

    It is sparse where products are in bfloat16, because the weight is or under autocast; tokens and features are
    multiples of 64; and a whole step, measured at the first product of each number of tokens, is faster so. Elsewhere,
    on the CPU and where the weight needs no gradient, it is ``torch.nn.Linear`` as it is. ``captured`` is Linear24's.
    """

    may_be_sparse, type = Plan(weight_gradient=True), torch.bfloat16

    def __init__(self, in_features, out_features, bias=True, *, captured=False, device=None, dtype=None):
        super().__init__(in_features, out_features, bias, device, dtype)
        self.captured, self.tokens, self.plan = captured, None, None

    @classmethod
    def of(cls, linear, **arguments):
        """A layer with the parameters of a ``torch.nn.Linear``."""
        layer = cls(linear.in_features, linear.out_features, linear.bias is not None, device="meta", **arguments)
        layer.weight, layer.bias = linear.weight, linear.bias
        return layer.train(linear.training)

    def choice(self, tokens):
        """How the products of so many tokens are done, and the times that follows from (plans.Choice)."""
        return choose(self, tokens)

    def forward(self, x):
        device, weight = x.device.type, self.weight
        autocast = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if autocast else weight.dtype
        if dtype != self.type or not (weight.requires_grad and torch.is_grad_enabled()):
            return super().forward(x)
        tokens = x.numel() // x.shape[-1]
        if tokens != self.tokens:
            self.tokens, self.plan = tokens, choose(self, tokens).plan
        if not self.plan.weight_gradient:
            return super().forward(x)
        return _ops.linear24(x, weight, self.bias, weight.detach().to(dtype), None, None, None, dtype, True)

    def operands(self, weight, tokens):
        """A function of a plan: what its products read of a weight."""
        return lambda plan: (weight.to(self.type), None, None)

    def _apply(self, fn, recurse=True):
        self.tokens = None  # on another device the choice may be another one
        return super()._apply(fn, recurse)


def sparsify24(
    model, tokens, *, select=lambda name, module: type(module) is torch.nn.Linear, weights="sparse", **arguments
):
    """Puts :class:`Linear24` in the place of those linear layers whose steps are faster so, masks found in each; or
    with ``weights='dense'`` :class:`MvueLinear`, whose weight gradient alone is sparse.

    The others are left as they are, dense, so that no step becomes slower. Each new shape is measured, which takes a
    few seconds. ``tokens`` is the number of rows that a layer sees in a step; ``select(name, module)`` picks the layers
    to try, all linear ones by default; further arguments are those of the layer. Parameters stay the same tensors, so
    optimizers go on. Returns the names of the layers replaced: none on the CPU.
    """
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
