"""This library, and the peers that have to be compiled, through ctypes; built by CMake on first use."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

from .arrays import is_tensor, on_gpu, pointer, torch

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "compare"
METHODS = {"optimal": 0, "published": 1}  # as the library numbers them
CONSTRAINTS = {"exactly": 0, "at_most": 1}


class Skipped(Exception):
    """A method or weights that are not there, or not for this pattern or machine; its text says why."""


class Request(ctypes.Structure):
    """compare_library/interface.hpp has the same fields in the same order."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("weights", "mask", "pruned", "prices")),
        *((name, ctypes.c_int64) for name in ("batch", "rows", "cols")),
        ("tau", ctypes.c_double),
        *((name, ctypes.c_int32) for name in ("format", "n", "m", "method", "constraint")),
        *((name, ctypes.c_int32) for name in ("iterations", "local_search_steps")),
    ]


def build(with_cuda, log=sys.stderr):
    """Configures and builds libtsenor_compare; fast where it is up to date. Returns its path."""
    site_packages = ";".join(p for p in sys.path if p.endswith(("site-packages", "dist-packages")))
    options = {
        "CMAKE_BUILD_TYPE": "Release",
        "TSENOR_BENCH": "ON",
        "TSENOR_BENCH_PROGRAMS": "OFF",
        "TSENOR_TESTS": "OFF",
        "TSENOR_EXAMPLES": "OFF",
        "TSENOR_CUDA": "ON" if with_cuda else "OFF",
        "CMAKE_PREFIX_PATH": site_packages,  # for cuSPARSELt from pip
    }
    if with_cuda:
        options["CMAKE_CUDA_ARCHITECTURES"] = "{}{}".format(*torch.cuda.get_device_capability())
    print(f"building {BUILD}/lib/libtsenor_compare.so (minutes, the first time)", file=log, flush=True)
    definitions = [f"-D{key}={value}" for key, value in options.items()]
    first_time = not (BUILD / "CMakeCache.txt").exists()
    generator = ["-G", "Ninja"] if first_time and shutil.which("ninja") else []
    subprocess.run(["cmake", "-S", ROOT, "-B", BUILD, *generator, *definitions], check=True, stdout=subprocess.DEVNULL)
    cores = str(os.cpu_count() or 1)
    subprocess.run(
        ["cmake", "--build", BUILD, "--target", "tsenor_compare", "--parallel", cores], check=True, stdout=log
    )
    return BUILD / "lib" / "libtsenor_compare.so"


class Library:
    """The shared library at `path`; its functions return None or what was wrong, as bytes."""

    def __init__(self, path):
        self.path = Path(path)
        self.functions = ctypes.CDLL(str(path))

    def function(self, name, *arguments, result=ctypes.c_char_p):
        """The C function `name`; Skipped where the library was built without it."""
        try:
            found = getattr(self.functions, name)
        except AttributeError:
            raise Skipped(f"{self.path.name} was built without {name}") from None
        found.restype, found.argtypes = result, arguments
        return found

    def find_mask(
        self, weights, nm, method, constraint, *, mask=None, pruned=None, prices=None, threads=0, **parameters
    ):
        """One call of find_mask on dense `[rows, cols]` or `[batch, rows, cols]` weights: on the GPU, on the current
        stream, if they are there. `parameters`: iterations, tau, local_search_steps."""
        request = make_request(weights, nm, method, constraint, mask, pruned, prices, **parameters)
        if on_gpu(weights):
            call = self.function("find_mask_on_cuda", ctypes.POINTER(Request), ctypes.c_void_p)
            error = call(request, torch.cuda.current_stream().cuda_stream)
        else:
            call = self.function("find_mask_on_cpu", ctypes.POINTER(Request), ctypes.c_int32)
            error = call(request, threads)
        require(error)

    def solve_with_lemon(self, weights, nm, constraint, mask):
        call = self.function("find_mask_with_lemon", ctypes.POINTER(Request))
        require(call(make_request(weights, nm, "optimal", constraint, mask)))


def make_request(
    weights, nm, method, constraint, mask=None, pruned=None, prices=None, iterations=300, tau=0.005,
    local_search_steps=10
):
    rows, cols = weights.shape[-2:]
    batch = weights.shape[0] if weights.ndim == 3 else 1
    pointers = [pointer(x) for x in (weights, mask, pruned, prices)]
    numbers = (format_of(weights), *nm, METHODS[method], CONSTRAINTS[constraint], iterations, local_search_steps)
    return Request(*pointers, batch, rows, cols, tau, *numbers)


def format_of(weights):
    """weight_format in interface.hpp."""
    name = str(weights.dtype).removeprefix("torch.") if is_tensor(weights) else weights.dtype.name
    return ["float32", "float16", "bfloat16"].index(name)


def require(error):
    if error is not None:
        raise RuntimeError(error.decode())
