# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The ROS side: thin nodes around `sicm_ros.load(...)`. The only folder that imports ROS.

`encoder`, `decoder`, `link`, `replay` are nodes, `managed`, `mailbox`, `health`, `parameters` what they share; `tools`
are those of tests, benchmarks and the demo.
"""
