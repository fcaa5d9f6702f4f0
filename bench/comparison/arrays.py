"""Arrays as tiles and back, and the few operations that NumPy and PyTorch name differently, so that every peer is
written once for both.

An "array" is a numpy.ndarray or a torch.Tensor, on the CPU or a GPU. Only this module asks which.
"""

import numpy as np

try:
    import torch
except ImportError:  # everything but the GPU works without it
    torch = None


def is_tensor(x):
    return torch is not None and isinstance(x, torch.Tensor)


def on_gpu(x):
    return is_tensor(x) and x.is_cuda


def from_numpy(x, device, use_torch=True):
    """`x` as the array that computations on `device` ("cpu" or "cuda") use."""
    return torch.from_numpy(x).to(device) if torch is not None and use_torch else x


def to_numpy(x):
    return x.cpu().numpy() if is_tensor(x) else x


def pointer(x):
    """The address of a dense array's first element; None stands for "not wanted"."""
    if x is None:
        return None
    return x.data_ptr() if is_tensor(x) else x.ctypes.data


def bytes_like(x, fill):
    """Bytes of the same shape and place, all `fill`."""
    if is_tensor(x):
        return torch.full(x.shape, fill, dtype=torch.uint8, device=x.device)
    return np.full(x.shape, fill, np.uint8)


def float32_zeros(shape, like):
    if is_tensor(like):
        return torch.zeros(shape, dtype=torch.float32, device=like.device)
    return np.zeros(shape, np.float32)


def int32_zeros(shape, like):
    if is_tensor(like):
        return torch.zeros(shape, dtype=torch.int32, device=like.device)
    return np.zeros(shape, np.int32)


def bool_zeros(shape, like):
    if is_tensor(like):
        return torch.zeros(shape, dtype=torch.bool, device=like.device)
    return np.zeros(shape, bool)


def count_to(n, like):
    """0, 1, ..., n - 1, where `like` is."""
    return torch.arange(n, device=like.device) if is_tensor(like) else np.arange(n)


def dense(x):
    return x.contiguous() if is_tensor(x) else np.ascontiguousarray(x)


def to_float(x):
    return x.float() if is_tensor(x) else x.astype(np.float32, copy=False)


def to_double(x):
    return x.double() if is_tensor(x) else x.astype(np.float64)


def to_bytes(x):
    return x.to(torch.uint8) if is_tensor(x) else x.astype(np.uint8)


def counts(mask, axis):
    """How many elements along `axis` are not 0, as 32-bit integers."""
    return (mask != 0).sum(axis, dtype=torch.int32 if is_tensor(mask) else np.int32)


def largest(x, axis):
    return torch.amax(x, axis) if is_tensor(x) else np.amax(x, axis)


def where(condition, x, otherwise):
    return torch.where(condition, x, otherwise) if is_tensor(x) else np.where(condition, x, np.float32(otherwise))


def log_sum_exp(x, axis):
    """Along `axis`, which is kept with length 1."""
    if is_tensor(x):
        return torch.logsumexp(x, axis, keepdim=True)
    top = x.max(axis, keepdims=True)
    return top + np.log(np.exp(x - top).sum(axis, keepdims=True))


def descending(x):
    """The order in which elements along the last axis fall."""
    return torch.argsort(x, dim=-1, descending=True) if is_tensor(x) else np.argsort(-x, axis=-1)


def mask_of_largest(x, n):
    """True for the n largest elements along the last axis."""
    mask = bool_zeros(x.shape, x)
    if is_tensor(x):
        return mask.scatter_(-1, torch.topk(x, n, dim=-1, sorted=False).indices, True)
    np.put_along_axis(mask, np.argpartition(-x, n - 1, axis=-1)[..., :n], True, axis=-1)
    return mask


def tiles_of(matrix, m):
    """`[rows, cols]` -> `[tiles, m, m]`, tiles row-major."""
    rows, cols = matrix.shape
    return matrix.reshape(rows // m, m, cols // m, m).swapaxes(1, 2).reshape(-1, m, m)


def matrix_of(tiles, rows, cols):
    """The inverse of tiles_of."""
    m = tiles.shape[-1]
    return tiles.reshape(rows // m, cols // m, m, m).swapaxes(1, 2).reshape(rows, cols)
