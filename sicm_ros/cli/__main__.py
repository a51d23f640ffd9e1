# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`python -m sicm_ros.cli`: the same as `sicm`, for launchers such as torchrun that want a module."""

import sys

from sicm_ros.cli import main

sys.exit(main())
