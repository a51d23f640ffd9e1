# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Says what this machine lacks for the set-up, and the one command that brings it. Needs nothing but Python itself."""

import importlib.util
import os
import platform
import shutil
import sys
import sysconfig


def missing() -> list[str]:
    """One line for each thing that has to be there before `make demo` or `make test` can start."""
    lacks = []
    if not (3, 10) <= sys.version_info[:2] <= (3, 12):
        version = platform.python_version()
        lacks.append(f"Python 3.10, 3.11 or 3.12; {sys.executable} is {version}: make PYTHON=/path/to/python3.12 ...")
    if not os.environ.get("AMENT_PREFIX_PATH") and (sys.platform, platform.machine()) != ("linux", "x86_64"):
        lacks.append(
            f"Linux on x86-64 (this is {sys.platform} on {platform.machine()}), or a sourced ROS 2 installation"
        )
    packages = []
    if importlib.util.find_spec("ensurepip") is None:
        packages.append("python3-venv")
    if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
        packages.append("python3-dev")
    if shutil.which("c++") is None or shutil.which("cc") is None:
        packages.append("g++")
    if packages:
        lacks.append(f"{', '.join(packages)}: sudo apt-get install {' '.join(packages)}")
    return lacks


if __name__ == "__main__":
    lacks = missing()
    for line in lacks:
        print(f"This set-up needs {line}", file=sys.stderr)
    sys.exit(1 if lacks else 0)
