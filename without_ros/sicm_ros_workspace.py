# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Lets every Python of this environment find the workspace beside it (../ws), as `source ws/install/setup.bash` would.

Copied into .venv by the Makefile and imported by a .pth file whose name sorts before that of the ROS wheels: they start
Python once more with the LD_LIBRARY_PATH that they find, so what is added here is seen by the loader.
"""

import os
import sys
from pathlib import Path

for prefix in sorted((Path(sys.prefix).parent / "ws" / "install").glob("*/share/ament_index")):
    prefix = prefix.parents[1]
    for name, folder in (("AMENT_PREFIX_PATH", prefix), ("LD_LIBRARY_PATH", prefix / "lib")):
        folders = [f for f in os.environ.get(name, "").split(os.pathsep) if f]
        if str(folder) not in folders:
            os.environ[name] = os.pathsep.join([str(folder), *folders])
    modules = str(prefix / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages")
    if modules not in sys.path:
        sys.path.append(modules)  # last: the checkout's own modules come first
