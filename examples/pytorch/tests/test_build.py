"""What the package says about its build, and what a build for the CPU alone says to CUDA tensors."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import tsenor_torch

VERSION = Path(__file__).resolve().parents[3] / "include" / "tsenor" / "version.hpp"
without_cuda = pytest.mark.skipif(tsenor_torch.build_info()["cuda"] is not None, reason="built with CUDA")


def operators(key):
    names = torch._C._dispatch_get_registrations_for_dispatch_key(key)
    return {name for name in names if name.startswith("tsenor::")}


def test_the_build_says_what_it_is():
    info = tsenor_torch.build_info()
    assert set(info) == {"version", "torch", "cuda", "sparse24"}
    assert torch.__version__.split("+")[0] == info["torch"].split("+")[0]
    if info["cuda"]:
        assert re.fullmatch(r"\d+\.\d+", info["cuda"]["version"])
        assert info["cuda"]["architectures"] and all(float(a) >= 7 for a in info["cuda"]["architectures"])
    else:
        assert not info["sparse24"]


@pytest.mark.skipif(not VERSION.exists(), reason="not in the repository")
def test_the_version_is_the_headers():
    numbers = re.findall(r"TSENOR_VERSION_\w+ (\d+)", VERSION.read_text())
    assert tsenor_torch.__version__ == ".".join(numbers)


def test_the_version_is_the_installed_one():
    try:
        installed = importlib.metadata.version("tsenor-torch")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("not installed")
    assert tsenor_torch.__version__ == installed


def imported_from(folder):
    """What a new process says that imports the package from a folder."""
    code, environment = "import tsenor_torch; print(tsenor_torch.__file__)", {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run([sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True, text=True)


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(Path(tsenor_torch.__file__).parent, tmp_path / "tsenor_torch")
    return tmp_path


def test_it_loads_from_a_folder_without_pytorch(copy):
    """As `pip install --target` puts it."""
    ran = imported_from(copy)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(str(copy))


def test_what_the_loader_says_is_in_the_error(copy):
    for library in (copy / "tsenor_torch").glob("_ops*.so"):
        library.write_bytes(b"no library")
    ran = imported_from(copy)
    assert ran.returncode != 0
    assert re.search("cannot be loaded into PyTorch .*: (file too short|invalid ELF header)", ran.stderr), ran.stderr


@without_cuda
def test_every_operator_of_the_cpu_refuses_cuda_tensors():
    assert operators("CPU") and operators("CPU") <= operators("CUDA")


@without_cuda
def test_the_refusal_says_how_to_build_again():
    cuda = torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA)
    with pytest.raises(RuntimeError, match="find_mask: the tensors are on a GPU.*TSENOR_TORCH_CUDA=1 pip install"):
        torch.ops.tsenor.find_mask.default.redispatch(cuda, torch.ones(8, 8), 4, 8)
