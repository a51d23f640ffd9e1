# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`python -m sicm_ros.nodes encoder --ros-args ...`: what the installed executables do."""

import sys

from sicm_ros.nodes.process import start

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ("encoder", "decoder", "replay", "link"):
        sys.exit("usage: python -m sicm_ros.nodes encoder|decoder|replay|link [--ros-args ...]")
    sys.exit(start(sys.argv.pop(1)))
