"""Transposable N:M sparse masks for JAX, inside ``jit``, ``vmap``, ``grad`` and ``shard_map``.

>>> mask = tsenor_jax.find_mask(weight, 8, 16)      # bool, 8 of 16 in the rows and columns of each 16 x 16 tile
>>> pruned = tsenor_jax.prune(weight, 8, 16)        # in a loss: the gradient reaches all weights
"""

import ctypes
import functools
import operator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["find_mask", "prune"]

WEIGHTS = ("float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
CHOICES = {"method": ("optimal", "published"), "constraint": ("exactly", "at_most"), "edge": ("reject", "partial"),
           "gradient": ("straight_through", "masked")}


def _register():
    """Hands the libraries that were built to JAX."""
    for library, platform in (("cpu", "cpu"), ("cuda", "CUDA")):
        path = Path(__file__).parent / f"tsenor_jax_{library}.so"
        if path.exists():
            symbol = ctypes.CDLL(str(path)).tsenor_jax_find_mask
            jax.ffi.register_ffi_target("tsenor_find_mask", jax.ffi.pycapsule(symbol), platform=platform)


_register()


def find_mask(weight, n, m, *, importance=None, method="optimal", constraint="exactly", edge="reject"):
    """The transposable n:m mask that keeps the most importance in every m x m tile.

    Args:
        weight: ``[..., rows, cols]``, float32, float64, float16, bfloat16, float8_e4m3fn or float8_e5m2.
        n, m: the pattern, 1 <= n <= m and 2 <= m <= 64; Python integers.
        importance: the importance of each weight, an array of the weight's shape in one of the types above. By default
            it is ``|weight|``. NaN and negative importances count as 0.
        method: 'optimal', the best mask, or 'published', the approximation of arXiv 2505.23949.
        constraint: each row and column of a tile keeps 'exactly' n, or 'at_most' n.
        edge: what to do if rows or columns are no multiple of m: 'reject' the weight, or use 'partial' tiles at the
            edge, with at most n.

    Returns:
        A bool array of the weight's shape. It has no gradient. The same input gives the same bits.

    Raises TypeError or ValueError while JAX traces. It runs on the CPU's threads or on XLA's stream, and needs no
    synchronisation and no workspace. For sharded weights call it in ``shard_map``, with shards of whole tiles.
    """
    n, m = (_static(name, value) for name, value in (("n", n), ("m", m)))
    _check_choices(method=method, constraint=constraint, edge=edge)
    values = _values(jnp.asarray(weight), importance)
    _check_shape(values.shape, n, m, edge)
    mask = jax.ShapeDtypeStruct(values.shape, jnp.bool_)
    call = jax.ffi.ffi_call("tsenor_find_mask", mask, vmap_method="expand_dims")
    return call(jax.lax.stop_gradient(values), n=np.int64(n), m=np.int64(m), published=method == "published",
                at_most=constraint == "at_most", partial=edge == "partial", as_it_is=importance is not None)


def prune(weight, n, m, *, gradient="straight_through", **options):
    """The weight, with zeros where its mask drops it. ``options`` are those of :func:`find_mask`.

    With 'straight_through' the gradient reaches all weights, so pruned ones may return. With 'masked' it reaches only
    kept weights.
    """
    _check_choices(gradient=gradient)
    return _keep(weight, find_mask(weight, n, m, **options), gradient)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _keep(weight, mask, gradient):
    return jnp.where(mask, weight, jnp.zeros_like(weight))


def _keep_forward(weight, mask, gradient):
    return _keep(weight, mask, gradient), mask


def _keep_backward(gradient, mask, cotangent):
    of_weight = cotangent if gradient == "straight_through" else jnp.where(mask, cotangent, jnp.zeros_like(cotangent))
    return of_weight, np.zeros(mask.shape, jax.dtypes.float0)


_keep.defvjp(_keep_forward, _keep_backward)


def _static(name, value):
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"tsenor: {name} must be a Python integer that is known while tracing, not {value!r}: "
                        f"name it in static_argnames") from None


def _check_choices(**given):
    for name, word in given.items():
        if word not in CHOICES[name]:
            raise ValueError(f"tsenor: {name} must be one of {CHOICES[name]}, not {word!r}")


def _values(weight, importance):
    """What decides: importances, or the weights, whose magnitudes are taken."""
    for name, array in (("weight", weight), ("importance", importance)):
        if array is not None and str(array.dtype) not in WEIGHTS:
            raise TypeError(f"tsenor: {name} must be one of {', '.join(WEIGHTS)}, not {array.dtype}")
    if importance is None:
        return weight
    if importance.shape != weight.shape:
        raise ValueError(f"tsenor: importance must have the weight's shape {weight.shape}, not {importance.shape}")
    return jnp.asarray(importance)


def _check_shape(shape, n, m, edge):
    if not (2 <= m <= 64 and 1 <= n <= m):
        raise ValueError(f"tsenor: unsupported pattern {n}:{m}: choose 1 <= n <= m and 2 <= m <= 64")
    if len(shape) < 2:
        raise ValueError(f"tsenor: weight must be [..., rows, cols], not {shape}")
    if edge == "reject" and (shape[-2] % m or shape[-1] % m):
        raise ValueError(f"tsenor: rows and cols of {shape} must be multiples of {m}: pad the weight, or use "
                         "edge='partial'. In shard_map this is the shape of a shard")
