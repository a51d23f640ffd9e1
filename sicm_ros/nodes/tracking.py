# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Tracks as messages of ROS' own classes: Autoware's TrackedObjects where it is installed, else ours."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from geometry_msgs.msg import Twist, TwistWithCovariance
from std_msgs.msg import Header
from unique_identifier_msgs.msg import UUID

import sicm_ros.msg as own
from sicm_ros.bags import result_messages
from sicm_ros.geometry.pose import FramePose
from sicm_ros.nodes import messages

if TYPE_CHECKING:
    from sicm_ros.tracking import Tracks

# The package that `tracks` speaks: an older Autoware may lack the type.
SPEECH: Any = messages.autoware if hasattr(messages.autoware, "TrackedObjects") else own


def tracked_objects(
    tracks: Tracks, camera: FramePose, session: bytes, header: Header, other_classes: float = 1.0
) -> Any:
    """Return TrackedObjects of SPEECH's package; arguments as of `result_messages.tracked_objects`."""
    names = ("TrackedObjects", "TrackedObject", "TrackedObjectKinematics", "ObjectClassification", "Shape")
    others = {"Twist": Twist, "TwistWithCovariance": TwistWithCovariance, "UUID": UUID}
    kinds = SimpleNamespace(**vars(messages.KINDS), **others, **{name: getattr(SPEECH, name) for name in names})
    return result_messages.tracked_objects(kinds, tracks, camera, session, header, other_classes)
