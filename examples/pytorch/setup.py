"""Builds the operators with PyTorch's own builder, against the headers of the repository that this folder is in.

TSENOR_TORCH_CUDA=0 leaves the CUDA sources out; TORCH_CUDA_ARCH_LIST names the GPUs (default: those of this machine).
"""

import importlib.util
import os
from pathlib import Path

from setuptools import setup
from torch.utils.cpp_extension import CUDA_HOME, TORCH_LIB_PATH, BuildExtension, CppExtension, CUDAExtension

HERE = Path(__file__).resolve().parent
INCLUDE = HERE.parent.parent / "include"
TYPES = ("f32", "f64", "f16", "bf16")


def cusparselt():
    """The folders of cuSPARSELt's header and library: pip's, which PyTorch brings along, or the CUDA toolkit's."""
    found = importlib.util.find_spec("nvidia.cusparselt") if importlib.util.find_spec("nvidia") else None
    roots = [Path(p) for p in found.submodule_search_locations] if found else []
    roots += [Path(p) for p in (CUDA_HOME, "/usr/local/cuda", "/usr") if p]
    for root in roots:
        header = root / "include" / "cusparseLt.h"
        for folder in ("lib", "lib64", "lib/x86_64-linux-gnu"):
            libraries = sorted((root / folder).glob("libcusparseLt.so*")) if header.exists() else []
            if libraries:
                return header.parent, libraries[0]
    return None


def cpp_runtime():
    """The libstdc++ that PyTorch has loaded into this process, to be linked by name. Where the compiler has no shared one of
    its own, it would put a second, static libstdc++ into the extension, and streams of two of them in a process break:
    messages come out cut off, or the process crashes."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    return sorted({line.split(maxsplit=5)[-1] for line in lines if "/libstdc++.so" in line})[:1]


def extension():
    names = ("arguments", "arguments24", "autograd", "find_ops", "keep", "linear24_step", "sparse24_ops")
    sources = [f"csrc/{name}.cpp" for name in names]
    sources += [f"csrc/cpu_{t}.cpp" for t in TYPES]
    cxx = ["-O3", "-std=c++17", "-Wno-psabi"]
    if os.environ.get("TSENOR_TORCH_CUDA", "1") == "0" or CUDA_HOME is None:
        return CppExtension(
            "tsenor_torch._ops", sources, include_dirs=[str(INCLUDE)], extra_compile_args={"cxx": cxx},
            extra_link_args=cpp_runtime()
        )
    sources += [f"csrc/cuda_{t}.cu" for t in TYPES] + ["csrc/prune_ops.cpp", "csrc/prune_cuda.cu"]
    cxx.append("-DTSENOR_TORCH_CUDA")
    arguments = {"include_dirs": [str(INCLUDE)], "libraries": ["cublas"], "extra_link_args": cpp_runtime()}
    # The pruners take PyTorch's handle of cuSOLVER, which is in a library that PyTorch itself loads late; that brings cuSOLVER.
    arguments["libraries"].append("torch_cuda_linalg")
    arguments["extra_link_args"].append(f"-Wl,-rpath,{TORCH_LIB_PATH}")
    if library := cusparselt():
        header, shared = library
        sources.append("csrc/linear.cu")
        cxx.append("-DTSENOR_TORCH_SPARSE24")
        arguments["include_dirs"].append(str(header))
        arguments["extra_link_args"] += [str(shared), f"-Wl,-rpath,{shared.parent}"]
    else:
        print("tsenor-torch: cuSPARSELt not found, so the 2:4 products are left out")
    return CUDAExtension(
        "tsenor_torch._ops", sources, extra_compile_args={"cxx": cxx, "nvcc": ["-O3", "-std=c++17"]}, **arguments
    )


setup(ext_modules=[extension()], cmdclass={"build_ext": BuildExtension})
