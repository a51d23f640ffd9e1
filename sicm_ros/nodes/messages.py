# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Detections and depth as ROS messages: `bags.result_messages` of ROS' own classes, and what only a node says."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, PoseWithCovariance, Quaternion, Vector3
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from vision_msgs.msg import (
    Detection3D,
    Detection3DArray,
    LabelInfo,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
    VisionClass,
    VisionInfo,
)
from visualization_msgs.msg import Marker, MarkerArray

from sicm_ros.bags.result_messages import PlacedBoxes, classification, cloud_of

try:
    import autoware_perception_msgs.msg as autoware
except ImportError:
    autoware = None

try:
    from sensor_msgs_py import point_cloud2
except ImportError:
    point_cloud2 = None

KINDS = SimpleNamespace(
    **{
        kind.__name__: kind
        for kind in (
            *(ColorRGBA, Detection3D, Detection3DArray, Duration, Marker, MarkerArray, ObjectHypothesis),
            *(ObjectHypothesisWithPose, Point, PointCloud2, PointField, Pose, PoseWithCovariance, Quaternion, Vector3),
        )
    }
)
placed = partial(PlacedBoxes.of, KINDS)


def detected_objects(boxes: PlacedBoxes, header: Header, other_classes: float = 1.0) -> Any:
    """Return autoware_perception_msgs/DetectedObjects of the same; needs that package (`autoware` is
    None without it).
    """
    kinds = autoware.ObjectClassification
    message = autoware.DetectedObjects(header=header)
    for index, (pose, size) in enumerate(zip(boxes.poses, boxes.sizes)):
        shape = autoware.Shape(type=autoware.Shape.BOUNDING_BOX, dimensions=size)
        kinematics = autoware.DetectedObjectKinematics(
            pose_with_covariance=pose,
            has_position_covariance=bool(boxes.known[index]),
            orientation_availability=autoware.DetectedObjectKinematics.AVAILABLE,
        )
        message.objects.append(
            autoware.DetectedObject(
                existence_probability=float(boxes.detections.scores[index]),
                classification=classification(kinds, boxes.hypotheses(index, other_classes)),
                kinematics=kinematics,
                shape=shape,
            )
        )
    return message


def vision_info(model: str, fingerprint: bytes, labels: str, header: Header) -> VisionInfo:
    """Return what the detections were found by; `labels` is the topic of the classes' names."""
    return VisionInfo(header=header, method=f"sicm_ros {model} {fingerprint.hex()}", database_location=labels)


def label_info(classes: list[str], threshold: float, header: Header) -> LabelInfo:
    """Return the classes that a model names, by number, and the score that its detections have at least."""
    pairs = [VisionClass(class_id=number, class_name=name) for number, name in enumerate(classes)]
    return LabelInfo(header=header, class_map=pairs, threshold=threshold)


def point_cloud(points: np.ndarray, header: Header) -> PointCloud2:
    """Return sensor_msgs/PointCloud2 of float (N, 3) points: unordered, finite, x, y, z as float32, metres."""
    points = np.ascontiguousarray(points, np.float32)
    if point_cloud2 is None or not len(points):  # of which sensor_msgs_py makes an error
        return own_point_cloud(points, header)
    cloud = point_cloud2.create_cloud_xyz32(header, points)
    cloud.is_dense = True
    return cloud


def own_point_cloud(points: np.ndarray, header: Header) -> PointCloud2:
    """Return what `sensor_msgs_py` makes of float32 (N, 3) points, for where it isn't installed."""
    data = points.astype("<f4", copy=False)
    cloud = cloud_of(KINDS, data, header)
    cloud.data.frombytes(data.tobytes())
    return cloud
