"""2:4 transposable linear layers: forward and input gradient on sparse tensor cores, where that is faster."""

import torch

from .forms import Forms, compressed_size
from .plans import choose
from .state import Masked, state_of

_ops = torch.ops.tsenor


def compress24(weight, scale=None, transposed_scale=None):
    """The optimal 2:4 transposable mask of a 16-bit ``weight`` ``[rows, cols]``, multiples of 64, and the compressed
    operands of it and of its transpose: ``(compressed, transposed, mask)``, by one kernel.

    With a ``scale`` the operands are of float8 (e4m3fn), as ``torch._cslt_compress`` has them on compute capability
    9.0, for ``torch._cslt_sparse_mm``; the weight may be float32 too. They hold ``weight.float() * scale``, clamped to
    448 and cast; the mask is that of the weight as it is. ``scale`` is a float32 tensor of one number or ``[rows]``,
    and ``transposed_scale`` of one number or ``[cols]``, for the transpose. Without it the transpose has ``scale`` too,
    which is then one number."""
    mask = weight.new_empty(weight.shape, dtype=torch.bool)
    if scale is None:
        size = compressed_size(*weight.shape)
        compressed, transposed = (weight.new_empty(size, dtype=torch.uint8) for _ in range(2))
        _ops.sparse24_compress_(compressed, transposed, weight, mask=mask)
    else:
        rows, cols = weight.shape
        sizes = (rows, cols // 8 * 5), (cols, rows // 8 * 5)
        compressed, transposed = (weight.new_empty(size, dtype=torch.float8_e4m3fn) for size in sizes)
        _ops.sparse24_compress_float8_(compressed, transposed, weight, scale, transposed_scale, mask=mask)
    return compressed, transposed, mask


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
    """

    shardable = False

    def __init__(
        self, in_features, out_features, *, bias=True, gradient="straight_through", captured=False, device=None,
        dtype=None
    ):
        if gradient not in ("straight_through", "masked"):
            raise ValueError(f"gradient must be 'straight_through' or 'masked', not {gradient!r}")
        dense = torch.nn.Linear(in_features, out_features, bias=bias, device=device, dtype=dtype)
        super().__init__(dense.weight.shape, 2, 4, dense.weight.device)
        self.weight, self.bias, self.straight_through = dense.weight, dense.bias, gradient == "straight_through"
        self.captured = captured
        self.type = torch.bfloat16 if self.weight.dtype == torch.float32 else self.weight.dtype
        self._forget()
        self.compress()

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
        return _ops.linear24(x, self.weight, self.bias, *self.arguments, mask, self.type)

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


def sparsify24(model, tokens, *, select=lambda name, module: type(module) is torch.nn.Linear, **arguments):
    """Puts :class:`Linear24` in the place of those linear layers whose steps are faster so, masks found in each.

    The others are left as they are, dense, so that no step becomes slower. Each new shape is measured, which takes a
    few seconds. ``tokens`` is the number of rows that a layer sees in a step; ``select(name, module)`` picks the layers
    to try, all linear ones by default; further arguments are Linear24's. Parameters stay the same tensors, so
    optimizers go on. Returns the names of the layers replaced: none on the CPU.
    """
    replaced = []
    for name, module in list(model.named_modules()):
        if not name or not select(name, module) or module.weight.shape[0] % 64 or module.weight.shape[1] % 64:
            continue
        layer = Linear24.of(module, **arguments)
        if layer.choice(tokens).beats_linear:
            model.set_submodule(name, layer)
            replaced.append(name)
    return replaced
