# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The message types that we read and write, for `rosbags`: ROS 2 Jazzy's own, vision_msgs', those of videos, ours."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

# What rosbags doesn't carry: vision_msgs 4 (the same fields on Humble, Jazzy and later), and what videos come in.
_OTHERS = {
    "vision_msgs/msg/ObjectHypothesis": "string class_id\nfloat64 score\n",
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose\n"
    ),
    "vision_msgs/msg/BoundingBox3D": "geometry_msgs/Pose center\ngeometry_msgs/Vector3 size\n",
    "vision_msgs/msg/Detection3D": (
        "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
        "vision_msgs/BoundingBox3D bbox\nstring id\n"
    ),
    "vision_msgs/msg/Detection3DArray": "std_msgs/Header header\nvision_msgs/Detection3D[] detections\n",
    "vision_msgs/msg/VisionInfo": (
        "std_msgs/Header header\nstring method\nstring database_location\nint32 database_version\n"
    ),
    "vision_msgs/msg/VisionClass": "uint16 class_id\nstring class_name\n",
    "vision_msgs/msg/LabelInfo": ("std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold\n"),
    "ffmpeg_image_transport_msgs/msg/FFMPEGPacket": (
        "std_msgs/Header header\nint32 width\nint32 height\nstring encoding\nuint64 pts\nuint8 flags\n"
        "bool is_bigendian\nuint8[] data\n"
    ),
    "foxglove_msgs/msg/CompressedVideo": (
        "builtin_interfaces/Time timestamp\nstring frame_id\nuint8[] data\nstring format\n"
    ),
}


def definitions_folder() -> Path | None:
    """Return the folder of our own *.msg files: beside the package in a checkout, in share/ where it is installed."""
    package = Path(__file__).resolve().parents[1]
    places = [package.parent / "msg", *(parent / "share" / "sicm_ros" / "msg" for parent in package.parents)]
    return next((place for place in places if any(place.glob("*.msg"))), None)


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """Return every type that appears in our bags."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore  # nodes import this module and read no file

    store = get_typestore(Stores.ROS2_JAZZY)
    added = {}
    for name, text in _OTHERS.items():
        added.update(get_types_from_msg(text, name))
    folder = definitions_folder()
    for path in sorted(folder.glob("*.msg")) if folder else []:
        added.update(get_types_from_msg(path.read_text(), f"sicm_ros/msg/{path.stem}"))
    store.register(added)
    return store
