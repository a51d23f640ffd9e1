# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""ROS messages made and serialised without ROS: what a stereo bag holds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from rosbags.interfaces import Nodetype

from sicm_ros.bags.camera_info import camera_info_fields
from sicm_ros.bags.images import compress
from sicm_ros.bags.types import typestore
from sicm_ros.errors import InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.pose import from_pose, to_pose

if TYPE_CHECKING:
    from sicm_ros.kitti import Labels

_PACKAGES = (
    *("geometry_msgs", "std_msgs", "builtin_interfaces", "vision_msgs", "visualization_msgs", "sensor_msgs"),
    *("unique_identifier_msgs", "sicm_ros"),
)
LEFT_FRAME, RIGHT_FRAME, BODY_FRAME = "stereo_left_optical", "stereo_right_optical", "stereo_link"


def serialize(message: Any) -> bytes:
    """Return a message object as CDR."""
    return bytes(typestore().serialize_cdr(message, message.__msgtype__))


def deserialize(data: bytes, type: str) -> Any:
    """Read CDR as a message object of `package/msg/Name`; InputError if the bytes are no such message."""
    try:
        return typestore().deserialize_cdr(data, type)
    except Exception as error:  # whatever rosbags meets in bytes that it wasn't made for
        raise InputError(f"{len(data)} bytes are not a {type} ({error.__class__.__name__}: {error})") from None


def _new(type: str, /, **fields: Any) -> Any:
    return typestore().types[type](**fields)


class MessageKinds:
    """Message classes by name, `kinds.Pose(...)`, for `bags.result_messages`; what isn't given is as in ROS."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        names = (f"{package}/msg/{name}" for package in _PACKAGES)
        return partial(filled, next(name for name in names if name in typestore().types))


def filled(type: str, /, **fields: Any) -> Any:
    """Return a message of `package/msg/Name`; fields that aren't given are as ROS has them: zero or empty, but for
    orientations, which turn by nothing.
    """
    if type == "geometry_msgs/msg/Quaternion":
        fields.setdefault("w", 1.0)
    _, definitions = typestore().fielddefs[type]
    return _new(type, **{name: _zero(kind) for name, kind in definitions if name not in fields}, **fields)


def _zero(kind: Any) -> Any:
    """Return the default of a field, of rosbags' description of its type."""
    node, about = kind
    if node == Nodetype.NAME:
        return filled(about)
    if node == Nodetype.BASE:
        return {"string": "", "bool": False}.get(about[0], 0.0 if about[0].startswith("float") else 0)
    element, size = about
    count = size if node == Nodetype.ARRAY else 0
    if element[0] == Nodetype.BASE and element[1][0] != "string":
        return np.zeros(count, element[1][0])
    return [_zero(element) for _ in range(count)]


def header(stamp: int, frame: str) -> Any:
    """Return std_msgs/Header of a stamp in nanoseconds."""
    time = _new("builtin_interfaces/msg/Time", sec=stamp // 10**9, nanosec=stamp % 10**9)
    return _new("std_msgs/msg/Header", stamp=time, frame_id=frame)


def nanoseconds(stamp: Any) -> int:
    """Return builtin_interfaces/Time as nanoseconds since 1970."""
    return stamp.sec * 10**9 + stamp.nanosec


def stamp_of(message: Any) -> int:
    """Return header stamp of a message, nanoseconds."""
    return nanoseconds(message.header.stamp)


def number(value: float) -> Any:
    """Return std_msgs/Float64."""
    return _new("std_msgs/msg/Float64", data=float(value))


def image(rgb: np.ndarray, stamp: int, frame: str) -> Any:
    """Return sensor_msgs/Image, rgb8, of uint8 (height, width, 3)."""
    height, width = rgb.shape[:2]
    data = np.ascontiguousarray(rgb).reshape(-1)
    return _new(
        "sensor_msgs/msg/Image",
        header=header(stamp, frame),
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
        data=data,
    )


def compressed_image(rgb: np.ndarray, stamp: int, frame: str, format: str, quality: int = 95) -> Any:
    """Return sensor_msgs/CompressedImage of uint8 (height, width, 3), `jpeg` or `png`."""
    data = np.frombuffer(compress(rgb, format, quality), np.uint8)
    # As image_transport's compressed plugin writes it: the encoding before, then what was compressed.
    words = f"rgb8; {format} compressed bgr8"
    return _new("sensor_msgs/msg/CompressedImage", header=header(stamp, frame), format=words, data=data)


def camera_info(calibration: StereoCalibration, side: str, stamp: int, frame: str) -> Any:
    """Return sensor_msgs/CameraInfo of the `left` or the `right` camera, conformant to ROS stereo."""
    fields = camera_info_fields(calibration, side)
    for name in "dkrp":
        fields[name] = np.array(fields[name])
    roi = _new("sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    return _new("sensor_msgs/msg/CameraInfo", header=header(stamp, frame), binning_x=0, binning_y=0, roi=roi, **fields)


def camera_frames(baseline: float, stamp: int) -> Any:
    """Return tf2_msgs/TFMessage: a body frame (x forward, z up) at the left camera, both optical frames below it."""

    def transform(parent: str, child: str, translation: tuple, rotation: tuple) -> Any:
        t = _new("geometry_msgs/msg/Vector3", **dict(zip("xyz", translation)))
        r = _new("geometry_msgs/msg/Quaternion", **dict(zip("xyzw", rotation)))
        pose = _new("geometry_msgs/msg/Transform", translation=t, rotation=r)
        return _new(
            "geometry_msgs/msg/TransformStamped", header=header(stamp, parent), child_frame_id=child, transform=pose
        )

    optical = (-0.5, 0.5, -0.5, 0.5)  # REP 103: optical z is the body's x, optical x its -y
    return _new(
        "tf2_msgs/msg/TFMessage",
        transforms=[
            transform(BODY_FRAME, LEFT_FRAME, (0.0, 0.0, 0.0), optical),
            transform(LEFT_FRAME, RIGHT_FRAME, (baseline, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)),
        ],
    )


def labels_message(labels: Labels, stamp: int, frame: str) -> Any:
    """Return vision_msgs/Detection3DArray of the labelled objects that have a 3D box, each with score 1."""
    labels = labels[labels.has_box]
    centres, quaternions, sizes = to_pose(labels.location, labels.dimensions, labels.rotation_y)
    detections = []
    for name, centre, quaternion, size in zip(labels.names, centres, quaternions, sizes):
        pose = _new(
            "geometry_msgs/msg/Pose",
            position=_new("geometry_msgs/msg/Point", **dict(zip("xyz", map(float, centre)))),
            orientation=_new("geometry_msgs/msg/Quaternion", **dict(zip("xyzw", map(float, quaternion)))),
        )
        hypothesis = _new(
            "vision_msgs/msg/ObjectHypothesisWithPose",
            hypothesis=_new("vision_msgs/msg/ObjectHypothesis", class_id=str(name), score=1.0),
            pose=_new("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=np.zeros(36)),
        )
        box = _new(
            "vision_msgs/msg/BoundingBox3D",
            center=pose,
            size=_new("geometry_msgs/msg/Vector3", **dict(zip("xyz", map(float, size)))),
        )
        detections.append(
            _new("vision_msgs/msg/Detection3D", header=header(stamp, frame), results=[hypothesis], bbox=box, id="")
        )
    return _new("vision_msgs/msg/Detection3DArray", header=header(stamp, frame), detections=detections)


class Boxes:
    """Boxes of a Detection3DArray in KITTI's terms, in the frame of its header.

    Attributes:
        names: list of N class names.
        scores: float (N,), 0 to 1.
        ids: list of N ids, as they were given.
        location, dimensions, rotation_y: (N, 3), (N, 3), (N,) as in `geometry.boxes`.
    """

    def __init__(self, message: Any) -> None:
        found = message.detections
        best = [max((r.hypothesis for r in d.results), key=lambda h: h.score, default=None) for d in found]
        self.names = [h.class_id if h else "" for h in best]
        self.scores = np.array([h.score if h else 0.0 for h in best])
        self.ids = [d.id for d in found]
        centre = np.array([[getattr(d.bbox.center.position, k) for k in "xyz"] for d in found]).reshape(-1, 3)
        quaternion = np.array([[getattr(d.bbox.center.orientation, k) for k in "xyzw"] for d in found]).reshape(-1, 4)
        size = np.array([[getattr(d.bbox.size, k) for k in "xyz"] for d in found]).reshape(-1, 3)
        self.location, self.dimensions, self.rotation_y = from_pose(centre, quaternion, size)

    def __len__(self) -> int:
        return len(self.names)
