"""Runs a script under `accelerate launch` with FSDP2 where there is no GPU, for which accelerate has no choice: gloo on
the CPU.

    accelerate launch --num_processes 2 --use_fsdp --fsdp_version 2 .. cpu_fsdp.py SCRIPT ARGUMENTS
"""

import os
import runpy
import sys

from accelerate.state import PartialState
from accelerate.utils import DistributedType

os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
PartialState._prepare_backend = lambda *_: ("gloo", DistributedType.MULTI_GPU)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
