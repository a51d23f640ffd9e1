"""`python -m sicm_ros.cli`: the same as `sicm`, for launchers such as torchrun that want a module."""

import sys

from sicm_ros.cli import main

sys.exit(main())
