"""The forms of a 2:4 weight, and of a gradient's estimate, that sparse products read."""

import functools
import itertools
from typing import NamedTuple, Optional

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
    """Bytes of a compressed operand of 16-bit values, see tsenor/sparse24/layout.hpp."""
    return rows * cols // 8 * 9


def compress24(
    weight: torch.Tensor, scale: Optional[torch.Tensor] = None, transposed_scale: Optional[torch.Tensor] = None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Returns ``(compressed, transposed, mask)``: the optimal 2:4 transposable mask of a 16-bit ``weight``
    ``[rows, cols]``, multiples of 64, and the compressed operands of the weight and of its transpose. One kernel.

    With a ``scale`` the operands are in float8 (e4m3fn), for ``torch._cslt_sparse_mm``, in the form of
    ``torch._cslt_compress`` on compute capability 9.0. They hold ``weight.float() * scale``, clamped to 448 and cast.
    The mask is that of the unscaled weight, which may then be float32 too. ``scale`` is a float32 tensor, one number
    or ``[rows]``. ``transposed_scale``, one number or ``[cols]``, is for the transpose; without it, both operands have
    ``scale``, which is then one number. A weight whose rows are not contiguous is copied first."""
    if weight.dim() != 2:
        raise ValueError(f"tsenor: weight must be [rows, cols], not {list(weight.shape)}")
    weight = weight if weight.stride(1) == 1 else weight.contiguous()
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


def mvue24(
    gradient: torch.Tensor, *, generator: Optional[torch.Generator] = None, seed: Optional[int] = None
) -> torch.Tensor:
    """Returns a compressed 2:4 estimate of the transpose of a 16-bit ``gradient`` ``[tokens, features]``, multiples
    of 64. A weight gradient on sparse tensor cores reads it.

    >>> gradient = torch.randn(64, 128).bfloat16()
    >>> mvue24(gradient).shape  # bytes: 64 * 128 / 2 values, and their places
    torch.Size([9216])

    Of each four tokens it keeps two at random and scales them up. So each entry is correct on average, with the least
    variance there is (MVUE, arXiv 2203.10991). Random numbers come from ``generator``, by default PyTorch's for the
    device; replays of a CUDA graph draw new ones. With ``seed`` the bits are the same on every device. NaN and
    infinities are kept first, so the product is not finite where the dense one is not. On a GPU the call enqueues one
    kernel. Raises TypeError and ValueError for other types and shapes.
    """
    return _ops.sparse24_mvue(gradient, generator=generator, seed=seed)


@functools.cache
def patterns24(device):
    """The pairs of columns that a row may keep, ``[6, 2]``; for all 90 masks of a 4x4 tile with two in each row and
    column, the pair of each row, ``[90, 4]``; for each entry the 45 masks that do not keep it, ``[16, 45]``."""
    pairs = list(itertools.combinations(range(4), 2))
    columns = ([k for pair in choice for k in pairs[pair]] for choice in itertools.product(range(6), repeat=4))
    choices = itertools.product(range(6), repeat=4)
    found = [c for c, kept in zip(choices, columns) if all(kept.count(k) == 2 for k in range(4))]
    without = [[p for p, c in enumerate(found) if k % 4 not in pairs[c[k // 4]]] for k in range(16)]
    return tuple(torch.tensor(numbers, device=device) for numbers in (pairs, found, without))


def soft24(weight, chunk=2**16):
    """Returns what the best 2:4 transposable mask would lose without each entry, float32, of the shape of ``weight``.

    That is the most that a mask of the entry's 4x4 tile keeps, less the most that a mask without this entry keeps, but
    at most the entry's magnitude; with the weight's sign. Entries outside of the best mask are 0. So it is continuous:
    an entry is 0 when the best mask is about to drop it. For a single row it would be S-STE's soft threshold
    (2409.09099), the magnitude less the third largest one. Exact up to the rounding of sums of eight float32. It takes
    PyTorch's operations far longer than finding a mask; they work on ``chunk`` tiles at a time.
    """
    rows, cols = weight.shape
    tiles = weight.float().view(rows // 4, 4, cols // 4, 4).permute(1, 3, 0, 2).reshape(16, -1)
    soft = torch.cat([_soft_tiles(part) for part in tiles.split(chunk, 1)], 1)
    return soft.view(4, 4, rows // 4, cols // 4).permute(2, 0, 3, 1).reshape(rows, cols)


def _soft_tiles(tiles):
    """Of tiles ``[16, count]``, entries first."""
    columns, choices, without = patterns24(tiles.device)
    pairs = tiles.abs().view(4, 4, -1)[:, columns].sum(2)  # [4, 6, count]
    kept = sum(pairs[row, choices[:, row]] for row in range(4))  # [90, count]
    rest = torch.stack([kept[those].amax(0) for those in without])
    return torch.minimum(kept.amax(0) - rest, tiles.abs()).copysign(tiles)


def product_type(dtype):
    """The type of the products of weights of a type."""
    return torch.bfloat16 if dtype == torch.float32 else dtype


def is_autocast(device):
    """Whether products on a type of device are under autocast; compilers know it too."""
    return device in ("cpu", "cuda") and torch.is_autocast_enabled(device)


def soft_values(weight, scale):
    """What a layer with ``pruning='soft'`` multiplies by, in the weight's type, before the products round it."""
    return (scale * soft24(weight.to(product_type(weight.dtype)))).to(weight.dtype)


@torch.no_grad()
def best_scale(weight):
    """The multiple of ``soft24(weight)`` that is closest to the weights, float32; 1 where all of it is 0."""
    if weight.is_meta:
        return torch.ones((), device=weight.device)
    soft = soft24(weight)
    squares = soft.square().sum()
    return torch.where(squares > 0, (soft * weight.float()).sum() / squares, 1.0)


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
