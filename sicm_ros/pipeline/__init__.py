# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Nodes as processes: started, watched and ended from Python.

`processes` starts and ends them, `run` plays a drive through all of them and records what they say.
"""
