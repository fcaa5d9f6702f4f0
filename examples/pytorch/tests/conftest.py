"""Every test runs on each device there is."""

import pytest
import torch

import tsenor_torch  # noqa: F401  registers the operators

DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])


@pytest.fixture(params=DEVICES)
def device(request):
    return request.param


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(1)
