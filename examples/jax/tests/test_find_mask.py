"""The masks inside JAX: what JAX's transformations make of them, and the same bits however they are asked for."""

import functools
import itertools
import re
import shutil
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import tsenor_jax

HERE = Path(__file__).parent
TYPES = ("float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")


def gaussian(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def sums(mask, m):
    """What rows and columns of the tiles keep."""
    rows, cols = mask.shape
    tiles = np.asarray(mask).reshape(rows // m, m, cols // m, m)
    return tiles.sum(3), tiles.sum(1)


def best_of_all(tile, n):
    """The largest sum of a 4 x 4 tile's masks, by trying all of them."""
    rows = [np.isin(np.arange(4), kept) for kept in itertools.combinations(range(4), n)]
    masks = (np.stack(choice) for choice in itertools.product(rows, repeat=4))
    return max((tile * mask).sum() for mask in masks if (mask.sum(0) == n).all())


@pytest.mark.parametrize("n, m", [(1, 2), (2, 4), (3, 6), (8, 16), (8, 32), (32, 64)])
def test_keeps_n_in_every_row_and_column(n, m):
    rows, cols = sums(tsenor_jax.find_mask(gaussian(2 * m, 3 * m), n, m), m)
    assert (rows == n).all() and (cols == n).all()


@pytest.mark.parametrize("dtype", TYPES)
def test_no_mask_of_a_tile_keeps_more(dtype):
    weight = gaussian(4, 4, seed=3).astype(dtype)
    kept = np.abs(np.asarray(weight, np.float64)) * np.asarray(tsenor_jax.find_mask(weight, 2, 4))
    assert kept.sum() == pytest.approx(best_of_all(np.abs(np.asarray(weight, np.float64)), 2), rel=1e-6)


@pytest.mark.skipif(not shutil.which("c++"), reason="needs a C++ compiler")
def test_same_bits_as_the_cpp_call(tmp_path):
    include = HERE.parents[2] / "include"
    program = tmp_path / "mask_of"
    flags = ["-std=c++17", "-O1", "-pthread", "-I", include]
    subprocess.run(["c++", *flags, HERE / "mask_of.cpp", "-o", program], check=True)
    weight = jnp.round(4 * gaussian(96, 160))  # ties
    weights = np.asarray(weight).tobytes()
    found = subprocess.run([program, "96", "160"], input=weights, capture_output=True, check=True)
    assert (np.frombuffer(found.stdout, np.bool_).reshape(96, 160) == tsenor_jax.find_mask(weight, 8, 16)).all()


def test_the_readme_s_example_learns():
    [example] = re.findall(r"```python\n(.*?)```", (HERE.parent / "README.md").read_text(), re.DOTALL)
    names = {}
    exec(example, names)
    first = jnp.mean((names["x"] @ names["teacher"]) ** 2)
    assert names["value"] < 0.7 * first
    assert jnp.mean(tsenor_jax.find_mask(names["weight"], 8, 16)) == 0.5


def test_float64_where_jax_has_it():
    with jax.enable_x64(True):
        weight = jnp.asarray(np.random.default_rng(1).standard_normal((32, 32)))
        assert weight.dtype == np.float64
        rows, _ = sums(tsenor_jax.find_mask(weight, 8, 16), 16)
    assert (rows == 8).all()


def test_same_bits_under_jit_and_in_a_loop():
    weight = gaussian(64, 64)
    mask = tsenor_jax.find_mask(weight, 8, 16)
    assert (jax.jit(lambda w: tsenor_jax.find_mask(w, 8, 16))(weight) == mask).all()
    found = jax.lax.fori_loop(0, 3, lambda _, w: tsenor_jax.prune(w, 8, 16), weight)
    assert (found == jnp.where(mask, weight, 0)).all()


def test_vmap_is_a_batch():
    weights = gaussian(2, 3, 32, 48)
    find = functools.partial(tsenor_jax.find_mask, n=8, m=16)
    mask = find(weights)
    assert (jax.vmap(jax.vmap(find))(weights) == mask).all()
    assert (jax.vmap(find, in_axes=2, out_axes=2)(jnp.moveaxis(weights, 1, 2)) == jnp.moveaxis(mask, 1, 2)).all()
    assert (mask[1, 2] == find(weights[1, 2])).all()


def test_vmap_over_the_weight_alone():
    weights, importance = gaussian(3, 16, 16), jnp.abs(gaussian(16, 16, seed=9))
    masks = jax.vmap(lambda w: tsenor_jax.find_mask(w, 8, 16, importance=importance))(weights)
    assert masks.shape == weights.shape
    assert (masks == tsenor_jax.find_mask(weights[0], 8, 16, importance=importance)).all()


def find_by_shards(weight):
    """By rows on four devices, which are the CPU's."""
    mesh, rows = jax.make_mesh((4,), ("rows",), devices=jax.devices("cpu")), jax.sharding.PartitionSpec("rows", None)
    find = jax.shard_map(lambda w: tsenor_jax.find_mask(w, 8, 16), mesh=mesh, in_specs=rows, out_specs=rows)
    return np.asarray(jax.jit(find)(jax.device_put(weight, jax.sharding.NamedSharding(mesh, rows))))


def test_shard_map_finds_the_mask_of_the_whole():
    weight = gaussian(4 * 32, 64)
    assert (find_by_shards(weight) == np.asarray(tsenor_jax.find_mask(weight, 8, 16))).all()


def test_a_shard_that_cuts_a_tile_is_an_error():
    with pytest.raises(ValueError, match=r"\(8, 64\).*multiples of 16"):
        find_by_shards(gaussian(32, 64))


@pytest.mark.parametrize("gradient, where_pruned", [("straight_through", 3.0), ("masked", 0.0)])
def test_gradient(gradient, where_pruned):
    weight = gaussian(16, 16)
    mask = tsenor_jax.find_mask(weight, 4, 8)
    loss = lambda w: 3 * tsenor_jax.prune(w, 4, 8, gradient=gradient).sum()  # noqa: E731
    for found in (jax.grad(loss)(weight), jax.jit(jax.grad(loss))(weight)):
        assert (found == jnp.where(mask, 3.0, where_pruned)).all()
    per_example = jax.vmap(jax.grad(loss))(jnp.stack([weight, 2 * weight]))
    assert (per_example == jnp.where(mask, 3.0, where_pruned)).all()


def test_importance_decides_and_not_the_weight():
    weight, importance = gaussian(16, 16), jnp.abs(gaussian(16, 16, seed=5))
    mask = tsenor_jax.find_mask(weight, 8, 16, importance=importance)
    assert (mask == tsenor_jax.find_mask(importance, 8, 16)).all()
    assert not (mask == tsenor_jax.find_mask(weight, 8, 16)).all()


def test_negative_importance_counts_as_nothing():
    importance = jnp.asarray(-np.abs(np.random.default_rng(2).standard_normal((4, 4))), jnp.float32).at[0, 0].set(1)
    mask = tsenor_jax.find_mask(importance, 2, 4, importance=importance, constraint="at_most")
    assert mask.sum() == 1 and mask[0, 0]


def test_options_reach_the_solver():
    weight = gaussian(20, 20, seed=7)
    partial = tsenor_jax.find_mask(weight, 8, 16, edge="partial")
    assert partial.shape == weight.shape and (np.asarray(partial)[16:, 16:].sum(0) <= 8).all()
    sparse = weight[:16, :16].at[0].set(0)
    assert not tsenor_jax.find_mask(sparse, 8, 16, constraint="at_most")[0].any()
    published = tsenor_jax.find_mask(gaussian(64, 64), 8, 16, method="published", constraint="at_most")
    assert not (published == tsenor_jax.find_mask(gaussian(64, 64), 8, 16)).all()


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda w: tsenor_jax.find_mask(w, 80, 16), ValueError, "80:16"),
        (lambda w: tsenor_jax.find_mask(w, 0, 16), ValueError, "0:16"),
        (lambda w: tsenor_jax.find_mask(w, 8.0, 16), TypeError, "n must be a Python integer"),
        (lambda w: tsenor_jax.find_mask(w[:20], 8, 16), ValueError, "multiples of 16"),
        (lambda w: tsenor_jax.find_mask(w[0], 8, 16), ValueError, r"\[..., rows, cols\]"),
        (lambda w: tsenor_jax.find_mask(w.astype(jnp.int32), 8, 16), TypeError, "int32"),
        (lambda w: tsenor_jax.find_mask(w, 8, 16, method="best"), ValueError, "'best'"),
        (lambda w: tsenor_jax.find_mask(w, 8, 16, importance=w[:16]), ValueError, r"\(16, 32\)"),
        (lambda w: tsenor_jax.find_mask(w, 8, 16, importence=w), TypeError, "importence"),
        (lambda w: tsenor_jax.prune(w, 8, 16, gradient="none"), ValueError, "gradient"),
    ],
)
def test_wrong_arguments_are_errors_while_tracing(call, error, message):
    with pytest.raises(error, match=message):
        jax.eval_shape(call, jax.ShapeDtypeStruct((32, 32), jnp.float32))


def test_a_traced_pattern_names_static_argnames():
    with pytest.raises(TypeError, match="static_argnames"):
        jax.jit(tsenor_jax.find_mask)(gaussian(16, 16), 8, 16)


def test_no_elements():
    assert tsenor_jax.find_mask(jnp.zeros((0, 16)), 8, 16).shape == (0, 16)


def test_ml_dtypes_arrays():
    weight = np.random.default_rng(4).standard_normal((16, 16)).astype(ml_dtypes.bfloat16)
    assert (tsenor_jax.find_mask(weight, 8, 16) == tsenor_jax.find_mask(jnp.asarray(weight), 8, 16)).all()
