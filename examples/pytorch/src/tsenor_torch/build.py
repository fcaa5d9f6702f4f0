"""What this installation was built for."""

from typing import Any

import torch


def build_info() -> dict[str, Any]:
    """Returns what the operators were built for, as a dict of

    - ``version``: tsenor's,
    - ``torch``: the PyTorch version that they were built against,
    - ``cuda``: None if they run on the CPU alone, else ``{"version": "13.0", "architectures": ["8.0", "9.0"]}``,
    - ``sparse24``: None if the 2:4 products of :class:`Linear24` are not there, else the version of cuSPARSELt that is
      loaded, such as ``"0.8.0"``.

    >>> tsenor_torch.build_info()["version"] == tsenor_torch.__version__
    True
    """
    version, torch_version, cuda, architectures, cusparselt = torch.ops.tsenor.build_info()
    names = [f"{int(a) // 100}.{int(a) % 100 // 10}" for a in architectures.split(",") if a]
    return {
        "version": version,
        "torch": torch_version,
        "cuda": {"version": cuda, "architectures": names} if cuda else None,
        "sparse24": cusparselt or None,
    }
