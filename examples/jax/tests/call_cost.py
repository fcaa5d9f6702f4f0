"""What a call inside a jitted loop costs on a GPU, beside the C++ call: call_cost.py PROGRAM, call_cost.cu compiled.

Uniform float weights, 512 x 512, 16:32. An iteration of the loop also flips the signs of what is pruned, so that XLA
cannot take the call out of the loop; that is one more kernel.
"""

import functools
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import tsenor_jax


@functools.partial(jax.jit, static_argnames="calls")
def loop(weight, calls):
    flip = lambda _, w: jnp.where(tsenor_jax.find_mask(w, 16, 32), w, -w)  # noqa: E731
    return jax.lax.fori_loop(0, calls, flip, weight)


def microseconds(weight, calls):
    begin = time.perf_counter()
    loop(weight, calls).block_until_ready()
    return 1e6 * (time.perf_counter() - begin) / calls


weight = jax.random.uniform(jax.random.key(0), (512, 512), minval=-1)
microseconds(weight, 2000)
jitted = sorted(microseconds(weight, 2000) for _ in range(5))[2]
called = float(subprocess.run([sys.argv[1]], capture_output=True, text=True, check=True).stdout)
print(f"{jax.devices()[0].device_kind}: jitted loop {jitted:.1f} us an iteration, C++ call {called:.1f} us")
