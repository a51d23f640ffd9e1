# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""config/pipeline.rviz: its views and topics, as RViz reads them."""

from __future__ import annotations

from math import cos, sin
from pathlib import Path

import pytest
import yaml

CONFIG = yaml.safe_load((Path(__file__).resolve().parents[1] / "config" / "pipeline.rviz").read_text())
VIEWS = CONFIG["Visualization Manager"]["Views"]


def eye(view: dict) -> tuple[float, float, float]:
    """Where the viewer stands relative to what he looks at, in an optical frame (x right, y down, z forward), as unit.

    As rviz_default_plugins' Orbit places it, which turns about z.
    """
    yaw, pitch = view["Yaw"], view["Pitch"]
    return cos(yaw) * cos(pitch), sin(yaw) * cos(pitch), sin(pitch)


def test_the_first_view_is_from_behind_the_camera_and_a_little_above():
    view = VIEWS["Current"]
    assert view["Class"] == "rviz_default_plugins/Orbit"  # ThirdPersonFollower takes z for up
    right, down, forward = eye(view)
    assert right == pytest.approx(0, abs=1e-3)
    assert forward < -0.9
    assert -0.5 < down < -0.1
    assert view["Distance"] * forward + view["Focal Point"]["Z"] < 0  # behind the camera itself, too
    assert {k: v for k, v in view.items() if k != "Name"} == {k: v for k, v in VIEWS["Saved"][0].items() if k != "Name"}


def test_a_saved_view_looks_from_above():
    above = next(view for view in VIEWS["Saved"] if view["Name"] == "From above")
    assert above["Class"] == "rviz_default_plugins/Orbit"
    assert eye(above) == pytest.approx((0, -1, 0), abs=1e-3)


def test_every_display_shows_one_of_our_topics():
    displays = CONFIG["Visualization Manager"]["Displays"]
    topics = {d["Topic"]["Value"] for d in displays if "Topic" in d}
    assert topics == {"markers", "points", "bev_image", "left/image_rect_color"}
