"""2:4 transposable linear layers: forward and input gradient on sparse tensor cores, where that is faster."""

import torch

_ops = torch.ops.tsenor


def compressed_size(rows, cols):
    """Bytes of a compressed operand, see tsenor/sparse24/layout.hpp."""
    return rows * cols // 8 * 9


def compress24(weight):
    """The optimal 2:4 transposable mask of a 16-bit ``weight`` ``[rows, cols]``, multiples of 64, and the compressed operands
    of it and of its transpose: ``(compressed, transposed, mask)``."""
    size = compressed_size(*weight.shape)
    compressed, transposed = (weight.new_empty(size, dtype=torch.uint8) for _ in range(2))
    mask = weight.new_empty(weight.shape, dtype=torch.bool)
    _ops.sparse24_compress_(compressed, transposed, weight, mask=mask)
    return compressed, transposed, mask


class _Product(torch.autograd.Function):
    """x w^T, w in the layer's forms; the weight gradient is dense."""

    @staticmethod
    def forward(ctx, x, weight, pruned, compressed, transposed, mask):
        ctx.save_for_backward(x, pruned, transposed, mask)
        ctx.weight_type = weight.dtype
        return _ops.linear24_forward(x, pruned, compressed, weight.shape[0])

    @staticmethod
    def backward(ctx, dy):
        x, pruned, transposed, mask = ctx.saved_tensors
        dy = dy.contiguous()
        dx = dw = None
        if ctx.needs_input_grad[0]:
            dx = _ops.linear24_input_gradient(dy, pruned, transposed, x.shape[1])
        if ctx.needs_input_grad[1]:
            dw = (dy.t() @ x).to(ctx.weight_type)
            if mask is not None:
                dw = torch.where(mask, dw, 0)
        return dx, dw, None, None, None, None


class Linear24(torch.nn.Module):
    """A linear layer with a 2:4 transposable weight, features multiples of 64.

    Products are in the weight's type, float16 or bfloat16, and in bfloat16 where the weight is float32.
    ``weight`` is the dense parameter, which learns straight-through (``gradient='masked'``: only what is kept learns).
    :meth:`compress` finds the mask and writes the compressed operands in one kernel; it has to follow every change of the
    weight, which :class:`MaskRefresh` sees to. The first product of each number of tokens measures sparse against dense, and
    stays with the faster. Where the compressed form is not the installed cuSPARSELt's, the vendor's compress is used.
    """

    def __init__(self, in_features, out_features, *, bias=True, gradient="straight_through", device=None, dtype=None):
        super().__init__()
        if gradient not in ("straight_through", "masked"):
            raise ValueError(f"gradient must be 'straight_through' or 'masked', not {gradient!r}")
        dense = torch.nn.Linear(in_features, out_features, bias=bias, device=device, dtype=dtype)
        self.weight, self.bias, self.straight_through = dense.weight, dense.bias, gradient == "straight_through"
        self.type = torch.bfloat16 if self.weight.dtype == torch.float32 else self.weight.dtype
        size = compressed_size(out_features, in_features)
        for name in ("compressed", "transposed"):
            empty = torch.empty(size, dtype=torch.uint8, device=self.weight.device)
            self.register_buffer(name, empty, persistent=False)
        self.register_buffer("mask", torch.empty_like(self.weight, dtype=torch.bool))
        self.choices = {}  # by number of tokens
        self.vendors = {}  # operands by the vendor's compress, where those have to be used
        self.pruned = None  # the dense weights that are kept, where a product takes them
        self.takes_pruned = not self.weight.is_cuda
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

    @torch.no_grad()
    def compress(self, keep_mask=False):
        """Writes all forms of the weight as it is now, with its optimal mask, or with the mask that it has."""
        weight = self.weight.detach().to(self.type)
        self.vendors, self.pruned = {}, None
        if keep_mask:
            _ops.sparse24_compress_(self.compressed, self.transposed, weight, keep=self.mask)
            return
        if self.takes_pruned:
            self.pruned = torch.empty_like(weight)
        _ops.sparse24_compress_(self.compressed, self.transposed, weight, mask=self.mask, pruned=self.pruned)

    def choice(self, tokens):
        """What linear24_measure says for so many tokens: sparse, own form, sparse ms, dense ms, vendor's compress ms, for the
        forward product and then for the input gradient. Measured at the first call; on the CPU both are dense."""
        if tokens not in self.choices:
            shape = (self.mask.new_empty(0, dtype=self.type), *self.weight.shape, tokens)
            on_gpu = self.weight.is_cuda
            measured = (_ops.linear24_choice(*shape) or _ops.linear24_measure(*shape)) if on_gpu else [0.0] * 10
            self.choices[tokens] = measured
        return self.choices[tokens]

    @torch.no_grad()
    def _forms(self, tokens):
        """The pruned weights and both compressed operands, those of them that the products of so many tokens take."""
        forward, gradient = self.choice(tokens)[:2], self.choice(tokens)[5:7]
        self.takes_pruned = not all((*forward, *gradient))
        if self.takes_pruned and self.pruned is None:
            self.pruned = torch.where(self.mask, self.weight, 0).to(self.type)
        operands = []
        for own, (sparse, own_form), of_transposed in (
            (self.compressed, forward, False),
            (self.transposed, gradient, True),
        ):
            operands.append(own if own_form or not sparse else self._by_vendor(tokens, of_transposed))
        return self.pruned, *operands

    def _by_vendor(self, tokens, of_transposed):
        if of_transposed not in self.vendors:
            dense = self.pruned.t().contiguous() if of_transposed else self.pruned
            self.vendors[of_transposed] = _ops.linear24_vendors_compress(
                dense, *self.weight.shape, tokens, of_transposed
            )
        return self.vendors[of_transposed]

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1]).to(self.type).contiguous()
        mask = None if self.straight_through else self.mask
        y = _Product.apply(flat, self.weight, *self._forms(flat.shape[0]), mask)
        y = y.view(*x.shape[:-1], -1).to(x.dtype)
        return y if self.bias is None else y + self.bias

    def _load_from_state_dict(self, *arguments, **named):
        super()._load_from_state_dict(*arguments, **named)
        self.compress(keep_mask=True)

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        if self.weight.dtype != torch.float32:
            self.type = self.weight.dtype
        self.choices, self.takes_pruned = {}, not self.weight.is_cuda
        if not self.weight.is_meta:
            self.compress(keep_mask=True)
        return self

    def extra_repr(self):
        return f"in_features={self.weight.shape[1]}, out_features={self.weight.shape[0]}, bias={self.bias is not None}"
