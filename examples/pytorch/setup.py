"""Builds the operators with PyTorch's builder, against tsenor's headers: those of the repository, or in a source
distribution the copy in it. It prints what it builds, and why (pip shows that under -v). tsenor_torch.build_info() says
it later.

TSENOR_TORCH_CUDA: 0 leaves the CUDA sources out; 1 makes it an error if they cannot be built; unset, they are built if
possible. TORCH_CUDA_ARCH_LIST: the GPUs, such as "9.0" or "8.0;9.0+PTX"; unset, those of this machine, or ARCHITECTURES
if it has none.
"""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import torch
from setuptools import setup
from setuptools.command.sdist import sdist
from torch.utils.cpp_extension import CUDA_HOME, BuildExtension, CppExtension, CUDAExtension, get_cxx_compiler

ARCHITECTURES = "8.0;9.0+PTX"  # GPUs from Ampere to Hopper; later ones compile the PTX when a kernel is first used

HERE = Path(__file__).resolve().parent
INCLUDE = next(folder for folder in (HERE / "include", HERE.parent.parent / "include") if folder.exists())


def version():
    text = (INCLUDE / "tsenor" / "version.hpp").read_text()
    return ".".join(re.search(rf"TSENOR_VERSION_{part} (\d+)", text)[1] for part in ("MAJOR", "MINOR", "PATCH"))


def why_no_cuda():
    """Why CUDA sources are not built; None if they are."""
    if os.environ.get("TSENOR_TORCH_CUDA") == "0":
        return "TSENOR_TORCH_CUDA=0"
    if torch.version.cuda is None:
        return f"PyTorch {torch.__version__} has no CUDA"
    if CUDA_HOME is None or not (Path(CUDA_HOME) / "bin" / "nvcc").exists():
        return "no nvcc found; if there is one, set CUDA_HOME to the folder of its toolkit"
    nvcc = subprocess.run([Path(CUDA_HOME) / "bin" / "nvcc", "--version"], capture_output=True, text=True).stdout
    release = re.search(r"release (\d+)(\.\d+)", nvcc)
    if release and release[1] != torch.version.cuda.split(".")[0]:
        return f"nvcc has CUDA {release[1]}{release[2]}, but PyTorch has {torch.version.cuda}, another major version"
    return None


def choose_architectures():
    """Sets TORCH_CUDA_ARCH_LIST where PyTorch's builder would look for a GPU and find none."""
    if os.environ.get("TORCH_CUDA_ARCH_LIST"):
        return os.environ["TORCH_CUDA_ARCH_LIST"]
    if torch.cuda.is_available():
        return "the GPUs of this machine"
    os.environ["TORCH_CUDA_ARCH_LIST"] = ARCHITECTURES
    return f"{ARCHITECTURES} (no GPU here; TORCH_CUDA_ARCH_LIST names others)"


def run_path(beside, folder):
    """The linker argument for a library that is found beside this package, where pip puts it, and else in the folder
    where it is now (pip install --target, --user)."""
    return f"-Wl,-rpath,$ORIGIN/../{beside}:{folder}"


def cusparselt():
    """Arguments of the compiler and the linker for cuSPARSELt, from pip (it comes with PyTorch) or the CUDA toolkit."""
    found = importlib.util.find_spec("nvidia.cusparselt") if importlib.util.find_spec("nvidia") else None
    roots = [Path(p) for p in found.submodule_search_locations] if found else []
    roots += [Path(p) for p in (CUDA_HOME, "/usr/local/cuda", "/usr") if p]
    for root in roots:
        for folder in ("lib", "lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu"):
            libraries = sorted((root / folder).glob("libcusparseLt.so.*"))
            if libraries and (root / "include" / "cusparseLt.h").exists():
                # Where PyTorch has loaded it, it is found by its name.
                runpath = run_path("nvidia/cusparselt/lib", root / folder)
                return [str(root / "include")], [f"-L{root / folder}", f"-l:{libraries[0].name}", runpath]
    return None


def cpp_runtime():
    """Linker arguments for the shared libstdc++, if the compiler has no libstdc++.so (as in some images) and would link
    a static one. With two libstdc++ in a process, symbols of one resolve to the other. That breaks streams and locales:
    messages are cut off, or the process crashes. If the shared one comes first, nothing comes from the static one."""
    if sys.platform != "linux":
        return []
    compiler = shlex.split(get_cxx_compiler())

    def has(name):
        found = subprocess.run([*compiler, f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
        return os.path.isabs(found)

    if has("libstdc++.so"):
        return []
    loaded = re.findall(r"(/\S+)/libstdc\+\+\.so", Path("/proc/self/maps").read_text())
    return [f"-L{folder}" for folder in loaded[:1] if not has("libstdc++.so.6")] + ["-l:libstdc++.so.6"]


def sources(pattern):
    return sorted(str(path.relative_to(HERE)) for path in (HERE / "csrc").glob(pattern))


def say(built):
    print(f"tsenor-torch {version()} for PyTorch {torch.__version__}: {built}", flush=True)


def extension():
    cxx = ["-O2", "-g0", "-fvisibility=hidden", "-Wno-psabi"]
    arguments = {"include_dirs": [str(INCLUDE)], "extra_link_args": ["-Wl,-s", *cpp_runtime()]}
    reason = why_no_cuda()
    if not reason:
        return cuda_extension(cxx, arguments)
    if os.environ.get("TSENOR_TORCH_CUDA") == "1":
        sys.exit(f"tsenor-torch: TSENOR_TORCH_CUDA=1, but {reason}")
    say(f"CPU only ({reason})")
    # On the CPU the pruners are Python's.
    cpp = [source for source in sources("*.cpp") if source != "csrc/prune_ops.cpp"]
    return CppExtension("tsenor_torch._ops", cpp, extra_compile_args={"cxx": cxx}, **arguments)


def cuda_extension(cxx, arguments):
    cxx.append("-DTSENOR_TORCH_CUDA")
    cuda = sources("*.cu")
    # The pruners take PyTorch's handle of cuSOLVER, from a library that PyTorch itself loads late.
    arguments["libraries"] = ["cublas", "torch_cuda_linalg"]
    arguments["extra_link_args"].append(run_path("torch/lib", Path(torch.__file__).parent / "lib"))
    library = cusparselt()
    if library:
        cxx.append("-DTSENOR_TORCH_SPARSE24")
        arguments["include_dirs"] += library[0]
        arguments["extra_link_args"] += library[1]
    else:
        cuda.remove("csrc/linear.cu")
    products = "with 2:4 products" if library else "without 2:4 products, as there is no cuSPARSELt"
    say(f"CPU, and CUDA for {choose_architectures()}, {products}")
    # Compressed, the GPUs' code takes half of the room; PyTorch's own is, too.
    compile_args = {"cxx": cxx, "nvcc": ["-O2", "-Xfatbin=-compress-all", "-Xcompiler", "-fvisibility=hidden"]}
    return CUDAExtension("tsenor_torch._ops", sources("*.cpp") + cuda, extra_compile_args=compile_args, **arguments)


class SourceDistribution(sdist):
    """Includes the headers, so the archive can be built anywhere."""

    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        shutil.copytree(INCLUDE / "tsenor", Path(base_dir) / "include" / "tsenor", dirs_exist_ok=True)


setup(version=version(), ext_modules=[extension()], cmdclass={"build_ext": BuildExtension, "sdist": SourceDistribution})
