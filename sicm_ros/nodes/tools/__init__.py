# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Nodes for measuring the others: `recorder` and `monitor` listen, `load` sends what a fleet would send."""
