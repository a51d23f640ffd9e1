"""Detections, depth and pictures as ROS messages. The frame is the header's: the left camera's optical frame.

The pose of a box is stated once, in `sicm_ros.geometry.pose`.
"""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from sensor_msgs.msg import Image, PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose
from visualization_msgs.msg import Marker, MarkerArray

from sicm_ros.geometry import Detections
from sicm_ros.geometry.boxes import CLASSES
from sicm_ros.geometry.pose import to_pose

COLOURS = {  # RGB, 0 to 1
    "Car": (0.89, 0.16, 0.17),
    "Pedestrian": (0.95, 0.6, 0.1),
    "Cyclist": (0.75, 0.25, 0.85),
    "Van": (0.9, 0.4, 0.5),
    "Truck": (0.55, 0.2, 0.15),
}
OPACITY = 0.45
TEXT_HEIGHT = 0.7  # metres


def _poses(detections: Detections) -> list[tuple[Pose, Vector3]]:
    centres, quaternions, sizes = to_pose(detections.location, detections.dimensions, detections.rotation_y)
    return [
        (
            Pose(position=Point(**dict(zip("xyz", c))), orientation=Quaternion(**dict(zip("xyzw", q)))),
            Vector3(**dict(zip("xyz", s))),
        )
        for c, q, s in zip(centres.tolist(), quaternions.tolist(), sizes.tolist())
    ]


def detection_array(detections: Detections, header: Header) -> Detection3DArray:
    """One hypothesis per box; class_id is the class's name; id stays empty, since nothing is tracked."""
    array = Detection3DArray(header=header)
    for (pose, size), name, score in zip(_poses(detections), detections.names, detections.scores.tolist()):
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = name
        hypothesis.hypothesis.score = score
        hypothesis.pose.pose = pose
        detection = Detection3D(header=header, results=[hypothesis])
        detection.bbox.center = pose
        detection.bbox.size = size
        array.detections.append(detection)
    return array


def marker_array(detections: Detections, header: Header, lifetime: float, note: str = "") -> MarkerArray:
    """For RViz: everything before is deleted, then a box and a line of text (class, score, note) per detection.

    Namespaces are the classes' names, so that each can be hidden; `lifetime` in seconds clears what isn't renewed.
    """
    array = MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])
    keep = Duration(sec=int(lifetime), nanosec=int(lifetime % 1 * 1e9))
    named = zip(_poses(detections), detections.names, detections.scores.tolist())
    for index, ((pose, size), name, score) in enumerate(named):
        colour = dict(zip("rgb", COLOURS[name]))
        box = Marker(header=header, ns=name, id=2 * index, type=Marker.CUBE, pose=pose, scale=size, lifetime=keep)
        box.color = ColorRGBA(a=OPACITY, **colour)
        text = Marker(header=header, ns=name, id=2 * index + 1, type=Marker.TEXT_VIEW_FACING, lifetime=keep)
        text.text = f"{name} {score:.2f} {note}".rstrip()
        above = pose.position.y - size.z / 2 - TEXT_HEIGHT
        text.pose.position = Point(x=pose.position.x, y=above, z=pose.position.z)
        text.pose.orientation.w = 1.0
        text.scale.z = TEXT_HEIGHT
        text.color = ColorRGBA(a=1.0, **colour)
        array.markers += [box, text]
    return array


def point_cloud(points: np.ndarray, header: Header) -> PointCloud2:
    """sensor_msgs/PointCloud2 of float (N, 3) points: unordered, x, y, z as little-endian float32, metres."""
    data = np.ascontiguousarray(points, "<f4")
    cloud = PointCloud2(header=header, height=1, width=len(data), point_step=12, row_step=12 * len(data), is_dense=True)
    cloud.fields = [PointField(name=n, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, n in enumerate("xyz")]
    cloud.data.frombytes(data.tobytes())
    return cloud


def picture(rgb: np.ndarray, header: Header) -> Image:
    """sensor_msgs/Image, rgb8, of uint8 (height, width, 3)."""
    height, width = rgb.shape[:2]
    image = Image(header=header, height=height, width=width, encoding="rgb8", step=3 * width)
    image.data.frombytes(memoryview(np.ascontiguousarray(rgb)).cast("B"))
    return image


assert set(COLOURS) == set(CLASSES)
