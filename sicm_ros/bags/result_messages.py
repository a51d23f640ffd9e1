# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Detections and depth as messages: what the decoder node publishes, and what an expanded bag holds.

Detections are in the left camera's optical frame; messages are in it too, or in another frame whose pose is known. The
pose of a box is stated once, in `sicm_ros.geometry.pose`. The messages are made of `kinds`: ROS' own classes in a node,
those of rosbags where there is no ROS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sicm_ros.geometry import Detections
from sicm_ros.geometry.boxes import CLASSES
from sicm_ros.geometry.pose import FramePose, covariances, rotations, to_pose

if TYPE_CHECKING:
    from sicm_ros.tracking import Tracks

COLOURS = {  # RGB, 0 to 1
    "Car": (0.89, 0.16, 0.17),
    "Pedestrian": (0.95, 0.6, 0.1),
    "Cyclist": (0.75, 0.25, 0.85),
    "Van": (0.9, 0.4, 0.5),
    "Truck": (0.55, 0.2, 0.15),
}
OTHER = (0.5, 0.5, 0.5)  # the colour of a class that has none of its own
OPACITY = 0.45
TEXT_HEIGHT = 0.7  # metres
TRAIL_WIDTH = 0.08  # metres
CUBE, LINE_STRIP, TEXT_VIEW_FACING, DELETEALL = 1, 4, 9, 3  # of visualization_msgs/Marker
FLOAT32 = 7  # of sensor_msgs/PointField
# Class -> label of Autoware's ObjectClassification, and of ours; UNKNOWN for any other.
LABELS = {"Car": 1, "Van": 1, "Truck": 2, "Cyclist": 6, "Pedestrian": 7}
UNKNOWN = 0
AVAILABLE = 2  # of TrackedObjectKinematics: the orientation
BOUNDING_BOX = 0  # of Shape
STILL = 0.5  # m/s over ground below which an object stands


@dataclass(frozen=True)
class PlacedBoxes:
    """Detections as messages see them, N in one frame, best first.

    Attributes:
        kinds: classes of messages by name, `kinds.Pose` and so on.
        detections: that they are.
        poses: of the middles, with covariances.
        sizes: length, width, height.
        up: (3,) the frame's coordinates of the camera's upward direction.
        known: bool (N,), whether the covariance is.
        ids: of the track of each, empty for one that is of none; None where nothing is tracked.
    """

    kinds: Any
    detections: Detections
    poses: list[Any]
    sizes: list[Any]
    up: np.ndarray
    known: np.ndarray
    ids: list[str] | None = None

    @classmethod
    def of(
        cls,
        kinds: Any,
        detections: Detections,
        frame: FramePose | None = None,
        ids: list[str] | None = None,
        places: np.ndarray | None = None,
    ) -> PlacedBoxes:
        """Return detections in the camera's optical frame, or in one in which `frame` is the optical frame's pose.

        Args:
            kinds: classes of messages.
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
            kinds.PoseWithCovariance(
                pose=kinds.Pose(
                    position=kinds.Point(**dict(zip("xyz", c))), orientation=kinds.Quaternion(**dict(zip("xyzw", q)))
                ),
                covariance=matrix.reshape(-1),
            )
            for c, q, matrix in zip(
                frame.points(centres).tolist(), frame.quaternions(quaternions).tolist(), matrices, strict=True
            )
        ]
        vectors = [kinds.Vector3(**dict(zip("xyz", s))) for s in sizes.tolist()]
        return cls(kinds, detections, poses, vectors, frame.rotation @ [0.0, -1.0, 0.0], matrices.any((1, 2)), ids)

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


def detection_array(boxes: PlacedBoxes, header: Any, other_classes: float = 1.0) -> Any:
    """Return vision_msgs/Detection3DArray, one detection per box.

    class_id is the class's name, the best hypothesis first. The id is that of its track, or, where nothing is tracked,
    the number in the array.

    Args:
        other_classes: score from which a box's other classes are named too.
    """
    kinds = boxes.kinds
    array = kinds.Detection3DArray(header=header)
    for index, (pose, size) in enumerate(zip(boxes.poses, boxes.sizes)):
        detection = kinds.Detection3D(header=header, id=str(index) if boxes.ids is None else boxes.ids[index])
        detection.results = [
            kinds.ObjectHypothesisWithPose(hypothesis=kinds.ObjectHypothesis(class_id=name, score=score), pose=pose)
            for name, score in boxes.hypotheses(index, other_classes)
        ]
        detection.bbox.center = pose.pose
        detection.bbox.size = size
        array.detections.append(detection)
    return array


def marker_array(
    boxes: PlacedBoxes, header: Any, lifetime: float, note: str = "", trails: Sequence[np.ndarray] = ()
) -> Any:
    """Return visualization_msgs/MarkerArray for RViz.

    Everything before is deleted, then a box and a line of text (class, id, score, note) follow per detection.

    Namespaces are the classes' names, so that each can be hidden; `lifetime` in seconds clears what isn't renewed.

    Args:
        trails: where objects have been, (M, 3) each, in the header's frame; they are drawn as lines.
    """
    kinds = boxes.kinds
    array = kinds.MarkerArray(markers=[kinds.Marker(header=header, action=DELETEALL)])
    keep = kinds.Duration(sec=int(lifetime), nanosec=int(lifetime % 1 * 1e9))
    named = zip(boxes.poses, boxes.sizes, boxes.detections.names, boxes.detections.scores.tolist())
    for index, (with_covariance, size, name, score) in enumerate(named):
        pose, colour = with_covariance.pose, dict(zip("rgb", COLOURS.get(name, OTHER)))
        box = kinds.Marker(header=header, ns=name, id=2 * index, type=CUBE, pose=pose, scale=size, lifetime=keep)
        box.color = kinds.ColorRGBA(a=OPACITY, **colour)
        text = kinds.Marker(header=header, ns=name, id=2 * index + 1, type=TEXT_VIEW_FACING, lifetime=keep)
        words = (name, boxes.ids[index] if boxes.ids else "", f"{score:.2f}", note)
        text.text = " ".join(word for word in words if word)
        above = boxes.up * (size.z / 2 + TEXT_HEIGHT)
        text.pose.position = kinds.Point(**{k: getattr(pose.position, k) + float(d) for k, d in zip("xyz", above)})
        text.pose.orientation.w = 1.0
        text.scale.z = TEXT_HEIGHT
        text.color = kinds.ColorRGBA(a=1.0, **colour)
        array.markers += [box, text]
    for number, trail in enumerate(trails):
        if len(trail) < 2:  # RViz complains of a line of one point
            continue
        line = kinds.Marker(header=header, ns="trails", id=number, type=LINE_STRIP, lifetime=keep)
        line.pose.orientation.w, line.scale.x = 1.0, TRAIL_WIDTH
        line.color = kinds.ColorRGBA(a=OPACITY, r=1.0, g=1.0, b=1.0)
        line.points = [kinds.Point(x=x, y=y, z=z) for x, y, z in trail.tolist()]
        array.markers.append(line)
    return array


def classification(kind: Any, hypotheses: list[tuple[str, float]]) -> list[Any]:
    """Return classes and scores as Autoware has them: `kind` is its ObjectClassification, or ours."""
    chances: dict[int, float] = {}
    for name, score in hypotheses:
        label = LABELS.get(name, UNKNOWN)
        chances[label] = max(chances.get(label, 0.0), score)
    return [kind(label=label, probability=chance) for label, chance in chances.items()]


def tracked_objects(
    kinds: Any, tracks: Tracks, camera: FramePose, session: bytes, header: Any, other_classes: float = 1.0
) -> Any:
    """Return TrackedObjects, Autoware's or ours.

    Args:
        kinds: classes of messages.
        tracks: in the left camera's optical frame.
        camera: its pose in the header's frame.
        session: first 8 bytes of each object_id; the track's number, big-endian, is the rest.
        other_classes: score from which an object's other classes are named too.
    """
    ids = [str(number) for number in tracks.ids.tolist()]
    boxes = PlacedBoxes.of(kinds, tracks.boxes, camera, ids, tracks.covariance[:, :3, :3])
    twists = _twists(kinds, tracks, camera, boxes)
    message = kinds.TrackedObjects(header=header)
    over_ground = tracks.camera is not None
    speeds = np.linalg.norm(tracks.velocity, axis=1)
    for index, (number, pose, size, twist) in enumerate(zip(tracks.ids.tolist(), boxes.poses, boxes.sizes, twists)):
        message.objects.append(
            kinds.TrackedObject(
                object_id=kinds.UUID(uuid=np.frombuffer(session + number.to_bytes(8, "big"), np.uint8)),
                existence_probability=float(tracks.boxes.scores[index]),
                classification=classification(kinds.ObjectClassification, boxes.hypotheses(index, other_classes)),
                kinematics=kinds.TrackedObjectKinematics(
                    pose_with_covariance=pose,
                    orientation_availability=AVAILABLE,
                    twist_with_covariance=twist,
                    is_stationary=bool(over_ground and speeds[index] < STILL),
                ),
                shape=kinds.Shape(type=BOUNDING_BOX, dimensions=size),
            )
        )
    return message


def _twists(kinds: Any, tracks: Tracks, camera: FramePose, boxes: PlacedBoxes) -> list[Any]:
    """Return velocities with their covariances along each object's own axes: forward, left, up."""
    orientations = [box.pose.orientation for box in boxes.poses]
    quaternions = np.array([[q.x, q.y, q.z, q.w] for q in orientations]).reshape(-1, 4)
    to_own = rotations(quaternions).transpose(0, 2, 1) @ camera.rotation
    velocity = (to_own @ tracks.velocity[..., None])[..., 0]
    spread = np.zeros((len(tracks), 6, 6))
    spread[:, :3, :3] = to_own @ tracks.covariance[:, 3:, 3:] @ to_own.transpose(0, 2, 1)
    return [
        kinds.TwistWithCovariance(
            twist=kinds.Twist(linear=kinds.Vector3(**dict(zip("xyz", v)))), covariance=matrix.reshape(-1)
        )
        for v, matrix in zip(velocity.tolist(), spread)
    ]


def cloud_of(kinds: Any, points: np.ndarray, header: Any) -> Any:
    """Return sensor_msgs/PointCloud2 of float (N, 3) points, but for its data: x, y, z as float32."""
    fields = [kinds.PointField(name=n, offset=4 * i, datatype=FLOAT32, count=1) for i, n in enumerate("xyz")]
    size = len(points)
    return kinds.PointCloud2(
        header=header, height=1, width=size, fields=fields, point_step=12, row_step=12 * size, is_dense=True
    )
