# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Detections and depth as ROS messages.

Detections are in the left camera's optical frame; messages are in it too, or in another frame whose pose is known. The
pose of a box is stated once, in `sicm_ros.geometry.pose`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

from sicm_ros.geometry import Detections
from sicm_ros.geometry.boxes import CLASSES
from sicm_ros.geometry.pose import FramePose, covariances, to_pose

try:
    import autoware_perception_msgs.msg as autoware
except ImportError:
    autoware = None

try:
    from sensor_msgs_py import point_cloud2
except ImportError:
    point_cloud2 = None

COLOURS = {  # RGB, 0 to 1
    "Car": (0.89, 0.16, 0.17),
    "Pedestrian": (0.95, 0.6, 0.1),
    "Cyclist": (0.75, 0.25, 0.85),
    "Van": (0.9, 0.4, 0.5),
    "Truck": (0.55, 0.2, 0.15),
}
OTHER = (0.5, 0.5, 0.5)  # the colour of a class that has none of its own
# Class -> constant of autoware_perception_msgs/ObjectClassification; UNKNOWN for any other.
AUTOWARE = {"Car": "CAR", "Van": "CAR", "Truck": "TRUCK", "Pedestrian": "PEDESTRIAN", "Cyclist": "BICYCLE"}
OPACITY = 0.45
TEXT_HEIGHT = 0.7  # metres
TRAIL_WIDTH = 0.08  # metres


@dataclass(frozen=True)
class PlacedBoxes:
    """Detections as messages see them, N in one frame, best first.

    Attributes:
        detections: that they are.
        poses: of the middles, with covariances.
        sizes: length, width, height.
        up: (3,) the frame's coordinates of the camera's upward direction.
        known: bool (N,), whether the covariance is.
        ids: of the track of each, empty for one that is of none; None where nothing is tracked.
    """

    detections: Detections
    poses: list[PoseWithCovariance]
    sizes: list[Vector3]
    up: np.ndarray
    known: np.ndarray
    ids: list[str] | None = None

    @classmethod
    def of(
        cls,
        detections: Detections,
        frame: FramePose | None = None,
        ids: list[str] | None = None,
        places: np.ndarray | None = None,
    ) -> PlacedBoxes:
        """Return detections in the camera's optical frame, or in one in which `frame` is the optical frame's pose.

        Args:
            ids: of their tracks; None where nothing is tracked.
            places: covariances (N, 3, 3) of their locations, if they are known better than `Detections.errors` says.
        """
        frame = frame or FramePose.identity()
        centres, quaternions, sizes = to_pose(detections.location, detections.dimensions, detections.rotation_y)
        matrices = covariances(centres, quaternions, sizes, detections.errors)
        if places is not None:
            matrices[:, :3, :3] = places
        matrices = frame.covariances(matrices)
        poses = [
            PoseWithCovariance(
                pose=Pose(position=Point(**dict(zip("xyz", c))), orientation=Quaternion(**dict(zip("xyzw", q)))),
                covariance=matrix.reshape(-1),
            )
            for c, q, matrix in zip(
                frame.points(centres).tolist(), frame.quaternions(quaternions).tolist(), matrices, strict=True
            )
        ]
        vectors = [Vector3(**dict(zip("xyz", s))) for s in sizes.tolist()]
        return cls(detections, poses, vectors, frame.rotation @ [0.0, -1.0, 0.0], matrices.any((1, 2)), ids)

    def hypotheses(self, index: int, least: float) -> list[tuple[str, float]]:
        """Return class and score of what a box may be: what it is first, then what else has a score
        of at least `least`.
        """
        found = self.detections
        own = int(found.classes[index])
        order = [int(c) for c in np.argsort(-found.chances[index], kind="stable") if c != own]
        others = [(CLASSES[c], float(found.chances[index, c])) for c in order]
        return [
            (CLASSES[own], float(found.scores[index])),
            *((name, score) for name, score in others if score >= max(least, 1e-6)),
        ]


def detection_array(boxes: PlacedBoxes, header: Header, other_classes: float = 1.0) -> Detection3DArray:
    """Return one detection per box; class_id is the class's name, the best hypothesis first.

    The id is that of its track, or, where nothing is tracked, the number in the array.

    Args:
        other_classes: score from which a box's other classes are named too.
    """
    array = Detection3DArray(header=header)
    for index, (pose, size) in enumerate(zip(boxes.poses, boxes.sizes)):
        detection = Detection3D(header=header, id=str(index) if boxes.ids is None else boxes.ids[index])
        detection.results = [
            ObjectHypothesisWithPose(hypothesis=ObjectHypothesis(class_id=name, score=score), pose=pose)
            for name, score in boxes.hypotheses(index, other_classes)
        ]
        detection.bbox.center = pose.pose
        detection.bbox.size = size
        array.detections.append(detection)
    return array


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


def classification(kinds: Any, hypotheses: list[tuple[str, float]]) -> list[Any]:
    """Return classes and scores as Autoware has them: `kinds` is its ObjectClassification, or ours."""
    chances: dict[int, float] = {}
    for name, score in hypotheses:
        label = getattr(kinds, AUTOWARE.get(name, "UNKNOWN"))
        chances[label] = max(chances.get(label, 0.0), score)
    return [kinds(label=label, probability=chance) for label, chance in chances.items()]


def marker_array(
    boxes: PlacedBoxes, header: Header, lifetime: float, note: str = "", trails: Sequence[np.ndarray] = ()
) -> MarkerArray:
    """Return markers for RViz: everything before is deleted, then a box and a line of text (class, id, score,
    note) per detection.

    Namespaces are the classes' names, so that each can be hidden; `lifetime` in seconds clears what isn't renewed.

    Args:
        trails: where objects have been, (M, 3) each, in the header's frame; they are drawn as lines.
    """
    array = MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])
    keep = Duration(sec=int(lifetime), nanosec=int(lifetime % 1 * 1e9))
    named = zip(boxes.poses, boxes.sizes, boxes.detections.names, boxes.detections.scores.tolist())
    for index, (with_covariance, size, name, score) in enumerate(named):
        pose, colour = with_covariance.pose, dict(zip("rgb", COLOURS.get(name, OTHER)))
        box = Marker(header=header, ns=name, id=2 * index, type=Marker.CUBE, pose=pose, scale=size, lifetime=keep)
        box.color = ColorRGBA(a=OPACITY, **colour)
        text = Marker(header=header, ns=name, id=2 * index + 1, type=Marker.TEXT_VIEW_FACING, lifetime=keep)
        words = (name, boxes.ids[index] if boxes.ids else "", f"{score:.2f}", note)
        text.text = " ".join(word for word in words if word)
        above = boxes.up * (size.z / 2 + TEXT_HEIGHT)
        text.pose.position = Point(**{k: getattr(pose.position, k) + float(d) for k, d in zip("xyz", above)})
        text.pose.orientation.w = 1.0
        text.scale.z = TEXT_HEIGHT
        text.color = ColorRGBA(a=1.0, **colour)
        array.markers += [box, text]
    for number, trail in enumerate(trails):
        if len(trail) < 2:  # RViz complains of a line of one point
            continue
        line = Marker(header=header, ns="trails", id=number, type=Marker.LINE_STRIP, lifetime=keep)
        line.pose.orientation.w, line.scale.x = 1.0, TRAIL_WIDTH
        line.color = ColorRGBA(a=OPACITY, r=1.0, g=1.0, b=1.0)
        line.points = [Point(x=x, y=y, z=z) for x, y, z in trail.tolist()]
        array.markers.append(line)
    return array


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
    cloud = PointCloud2(header=header, height=1, width=len(data), point_step=12, row_step=12 * len(data), is_dense=True)
    cloud.fields = [PointField(name=n, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, n in enumerate("xyz")]
    cloud.data.frombytes(data.tobytes())
    return cloud
