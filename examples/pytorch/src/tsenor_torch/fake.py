"""The shapes and types of what the operators return, without running them: torch.compile and export ask for these."""

import torch


@torch.library.register_fake("tsenor::find_mask")
def _(weight, n, m, *, method="optimal", constraint="exactly", edge="reject", column_norms=None, with_report=False):
    *batch, rows, cols = weight.shape
    tiles = -(-rows // m) * -(-cols // m) * (batch[0] if batch else 1)
    mask = weight.new_empty(weight.shape, dtype=torch.bool)
    return mask, weight.new_empty((tiles if with_report else 0, 4), dtype=torch.float64)


@torch.library.register_fake("tsenor::find_mask_")
def _(mask, weight, n, m, **options):
    return None


@torch.library.register_fake("tsenor::prune_")
def _(weight, n, m, **options):
    return None


@torch.library.register_fake("tsenor::sparse24_compress_")
def _(compressed, transposed, weight, **outputs):
    return None


@torch.library.register_fake("tsenor::linear24_forward")
def _(x, pruned, compressed, out_features):
    return x.new_empty((x.shape[0], out_features))


@torch.library.register_fake("tsenor::linear24_input_gradient")
def _(dy, pruned, transposed, in_features):
    return dy.new_empty((dy.shape[0], in_features))
