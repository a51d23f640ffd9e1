# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""sicm_ros: stereo cameras to 3D detections, by way of a few hundred bytes (SICM / MVSFC-Net, arXiv 2502.14190)."""

from __future__ import annotations

import os
from pkgutil import extend_path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers; see __getattr__
    from sicm_ros.errors import BitstreamError
    from sicm_ros.model import load


def _processor_flags(path: str = "/proc/cpuinfo") -> set[str]:
    """Return what the first processor says that it can; nothing where that isn't Linux on x86."""
    try:
        with open(path) as file:
            return set(next((line for line in file if line.startswith("flags")), "").split())
    except OSError:
        return set()


def _kernels(flags: set[str]) -> str:
    """Return OpenBLAS' name of the best kernels for a processor, by its flags; empty if its own choice is as good."""
    if {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"} <= flags:
        return "Cooperlake" if "avx512_bf16" in flags else "SkylakeX"
    return "Haswell" if {"avx2", "fma"} <= flags else ""


# Read by OpenMP when torch is loaded: its threads sleep while they wait instead of burning a processor that another
# process needs. With encoder, decoder and others on two cores a pair took 1.2 s so, 15 s otherwise.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Read when NumPy is loaded: the prior's products take a tenth of a millisecond each. A second thread gains nothing, and
# where another process keeps its core busy, each product waits for the scheduler: ten times as long was measured.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Read by NumPy's OpenBLAS when it is loaded: NumPy 1.26's takes a processor that it doesn't know for one of 2004,
# without AVX, where the prior's products take four times as long. What they give is the same with all kernels.
if "OPENBLAS_CORETYPE" not in os.environ and (kernels := _kernels(_processor_flags())):
    os.environ["OPENBLAS_CORETYPE"] = kernels

# Read by OpenCV when it is loaded: 64 megapixels are more than a camera's, and less than a memory's (its own limit is
# 1024, 3 GB). A few kB of an image may stand for any number.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 26))

# Where this source tree comes before the ROS workspace, the generated messages (sicm_ros.msg) are found there still.
__path__ = extend_path(__path__, __name__)

__version__ = "0.9.0"
__all__ = ["BitstreamError", "load"]


def __getattr__(name: str) -> Any:
    # Late, so that `import sicm_ros` costs nothing on a machine that only wants messages or geometry.
    if name == "BitstreamError":
        from sicm_ros.errors import BitstreamError

        return BitstreamError
    if name == "load":
        from sicm_ros.model import load

        return load
    raise AttributeError(f"module 'sicm_ros' has no attribute {name!r}")
