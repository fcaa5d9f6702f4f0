"""The shapes and types of what the operators return, without running them, for torch.compile, export and meta
tensors, which refuse what the operators refuse."""

import torch

from .forms import compressed_size

_ops = torch.ops.tsenor


@torch.library.register_fake("tsenor::find_mask")
def _(weight, n, m, importance=None, column_norms=None, *, with_report=False, **options):
    _ops.check_arguments(weight, n, m, importance, column_norms, **options)
    *batch, rows, cols = weight.shape
    tiles = -(-rows // m) * -(-cols // m) if with_report else 0
    for size in batch:
        tiles = tiles * size
    return torch.empty_like(weight, dtype=torch.bool), weight.new_empty((tiles, 4), dtype=torch.float64)


@torch.library.register_fake("tsenor::find_mask_")
def _(mask, weight, n, m, importance=None, column_norms=None, prices=None, **options):
    _ops.check_arguments(weight, n, m, importance, column_norms, mask, prices, **options)


@torch.library.register_fake("tsenor::prune_")
def _(weight, n, m, importance=None, column_norms=None, mask=None, **options):
    _ops.check_arguments(weight, n, m, importance, column_norms, mask, **options)
    _ops.check_in_place(weight)


@torch.library.register_fake("tsenor::keep")
def _(weight, mask, gradient="straight_through"):
    _ops.check_keep(weight, mask, gradient)
    return torch.where(mask, weight, 0)


@torch.library.register_fake("tsenor::sparse24_compress_")
def _(compressed, transposed, weight, keep=None, mask=None, pruned=None):
    _ops.check_compress(compressed, transposed, weight, keep, mask, pruned)


@torch.library.register_fake("tsenor::sparse24_compress_float8_")
def _(compressed, transposed, weight, scale, transposed_scale=None, keep=None, mask=None, pruned=None):
    _ops.check_compress_float8(compressed, transposed, weight, scale, transposed_scale, keep, mask, pruned)


@torch.library.register_fake("tsenor::linear24")
def _(x, weight, bias, pruned, compressed, transposed, mask, type, mvue=False):
    _ops.check_linear24(x, weight, bias, pruned, compressed, transposed, mask, type, mvue)
    return x.new_empty((*x.shape[:-1], weight.shape[0]))


@torch.library.register_fake("tsenor::linear24_backward")
def _(dy, x, weight, pruned, transposed, mask, wanted, mvue=False):
    _ops.check_linear24_backward(dy, x, weight, pruned, transposed, mask, mvue)
    shapes = x.shape, weight.shape, weight.shape[:1]
    return tuple(dy.new_empty(shape if want else (0,)) for shape, want in zip(shapes, wanted))


@torch.library.register_fake("tsenor::linear24_forward")
def _(x, pruned, compressed, out_features):
    _ops.check_product(x, pruned, compressed, out_features, False)
    return x.new_empty((x.shape[0], out_features))


@torch.library.register_fake("tsenor::linear24_input_gradient")
def _(dy, pruned, transposed, in_features):
    _ops.check_product(dy, pruned, transposed, in_features, True)
    return dy.new_empty((dy.shape[0], in_features))


@torch.library.register_fake("tsenor::linear24_weight_gradient")
def _(x, dy, compressed, out_features):
    _ops.check_weight_gradient(x, dy, compressed, out_features)
    return x.new_empty((out_features, x.shape[1]))


@torch.library.register_fake("tsenor::sparse24_mvue")
def _(dy, *, generator=None, seed=None):
    _ops.check_mvue(dy)
    return dy.new_empty((compressed_size(*dy.shape),), dtype=torch.uint8)


@torch.library.register_fake("tsenor::gram_")
def _(gram, inputs):
    _ops.check_gram(gram, inputs)


@torch.library.register_fake("tsenor::magnitude_")
def _(weight, n, m, **rule):
    _ops.check_prune(weight, None, n, m, **rule)
    return weight.new_empty(weight.shape, dtype=torch.bool)


@torch.library.register_fake("tsenor::wanda_")
@torch.library.register_fake("tsenor::sparsegpt_")
def _(weight, gram, n, m, **options):
    _ops.check_prune(weight, gram, n, m, **options)
    return weight.new_empty(weight.shape, dtype=torch.bool)


@torch.library.register_fake("tsenor::alps_inputs")
def _(gram, damping=0.01):
    _ops.check_alps_inputs(gram, damping)
    return gram.new_empty(_ops.alps_inputs_bytes(gram.shape[0]), dtype=torch.uint8)


@torch.library.register_fake("tsenor::alps_")
def _(weight, inputs, n, m, **options):
    _ops.check_alps(weight, inputs, n, m, **options)
    return weight.new_empty(weight.shape, dtype=torch.bool), weight.new_empty((), dtype=torch.int64)
