"""What the package says about its build, and what a build for the CPU alone says to CUDA tensors."""

import importlib.metadata
import re
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


@without_cuda
def test_every_operator_of_the_cpu_refuses_cuda_tensors():
    assert operators("CPU") and operators("CPU") <= operators("CUDA")


@without_cuda
def test_the_refusal_says_how_to_build_again():
    cuda = torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA)
    with pytest.raises(RuntimeError, match="find_mask: the tensors are on a GPU.*TSENOR_TORCH_CUDA=1 pip install"):
        torch.ops.tsenor.find_mask.default.redispatch(cuda, torch.ones(8, 8), 4, 8)
