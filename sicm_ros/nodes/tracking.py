# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""One vehicle's tracker behind the decoder, and its tracks as messages.

`tracks` are Autoware's TrackedObjects where its messages are installed, else ours, which have the same fields.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from geometry_msgs.msg import Twist, TwistWithCovariance, Vector3
from std_msgs.msg import Header
from unique_identifier_msgs.msg import UUID

import sicm_ros.msg as own
from sicm_ros.geometry import Detections
from sicm_ros.geometry.pose import FramePose, rotations
from sicm_ros.nodes import messages
from sicm_ros.tracking import Odometry, Tracker, Tracks
from sicm_ros.tracking.tracks import CameraMotion

if TYPE_CHECKING:
    from sicm_ros.model import Result

# The package that `tracks` speaks: an older Autoware may lack the type.
SPEECH: Any = messages.autoware if hasattr(messages.autoware, "TrackedObjects") else own
STILL = 0.5  # m/s over ground below which an object stands
FARTHEST = 1.0  # seconds beyond which nothing is extrapolated: a clock that is another's, or a recording without one


@dataclass(frozen=True)
class Followed:
    """What is published of one pair.

    Attributes:
        detections: likely ones, with the ids of their tracks.
        tracks: all that are alive; None where nothing is tracked.
    """

    detections: Detections
    ids: list[str] | None = None
    tracks: Tracks | None = None


class Follower:
    """Follows one vehicle's objects.

    Attributes:
        session: 8 bytes that no other follower has: ids begin with them, their numbers follow.
    """

    def __init__(self) -> None:
        self.session = uuid.uuid4().bytes[:8]
        self._tracker = Tracker()
        self._odometry = Odometry()
        self._last: tuple[float, FramePose] | None = None

    def follow(
        self,
        found: Detections,
        stamp: float,
        camera: FramePose | None,
        least: float,
        rescore: bool = False,
        result: Result | None = None,
    ) -> Followed:
        """Take in what a pair shows.

        Args:
            found: the unlikely too.
            stamp: of the pair, seconds.
            camera: its pose in a frame that stands still, if known.
            least: score of the detections that are published, as `Detections.likely` takes it.
            rescore: whether their scores heed the past.
            result: what the camera's motion is told from where its pose isn't known; None if it shall not be.
        """
        motion = None
        if camera is None and result is not None:
            motion = self._odometry.update(result.left_features, result.disparity, result.view, stamp, found)
        tracking = self._tracker.update(found, stamp, camera, motion)
        found = tracking.detections if rescore else found
        likely = np.flatnonzero(found.likely(least))
        ids = [str(number) if number >= 0 else "" for number in tracking.ids[likely].tolist()]
        return Followed(found.take(likely), ids, tracking.tracks)

    def placed(self, camera: FramePose, stamp: float, seconds: float) -> FramePose:
        """Return the camera's pose in the frame of the results, some seconds after the pair.

        It goes on as it did since the pair before, which is not at all where that frame is the vehicle's own.
        """
        last, self._last = self._last, (stamp, camera)
        if last is None or not 0 < stamp - last[0] <= FARTHEST or not seconds:
            return camera
        return camera @ CameraMotion.between(last[1], camera, stamp - last[0]).over(seconds)


def tracked_objects(
    tracks: Tracks, camera: FramePose, session: bytes, header: Header, other_classes: float = 1.0
) -> Any:
    """Return TrackedObjects of SPEECH's package.

    Args:
        tracks: in the left camera's optical frame.
        camera: its pose in the header's frame.
        session: first 8 bytes of each object_id; the track's number, big-endian, is the rest.
        other_classes: score from which an object's other classes are named too.
    """
    ids = [str(number) for number in tracks.ids.tolist()]
    boxes = messages.placed(tracks.boxes, camera, ids, tracks.covariance[:, :3, :3])
    twists = _twists(tracks, camera, boxes)
    kinematics, shape = SPEECH.TrackedObjectKinematics, SPEECH.Shape
    message = SPEECH.TrackedObjects(header=header)
    over_ground = tracks.camera is not None
    speeds = np.linalg.norm(tracks.velocity, axis=1)
    for index, (number, pose, size, twist) in enumerate(zip(tracks.ids.tolist(), boxes.poses, boxes.sizes, twists)):
        message.objects.append(
            SPEECH.TrackedObject(
                object_id=UUID(uuid=np.frombuffer(session + number.to_bytes(8, "big"), np.uint8)),
                existence_probability=float(tracks.boxes.scores[index]),
                classification=messages.classification(
                    SPEECH.ObjectClassification, boxes.hypotheses(index, other_classes)
                ),
                kinematics=kinematics(
                    pose_with_covariance=pose,
                    orientation_availability=kinematics.AVAILABLE,
                    twist_with_covariance=twist,
                    is_stationary=bool(over_ground and speeds[index] < STILL),
                ),
                shape=shape(type=shape.BOUNDING_BOX, dimensions=size),
            )
        )
    return message


def _twists(tracks: Tracks, camera: FramePose, boxes: messages.PlacedBoxes) -> list[TwistWithCovariance]:
    """Return velocities with their covariances along each object's own axes: forward, left, up."""
    orientations = [box.pose.orientation for box in boxes.poses]
    quaternions = np.array([[q.x, q.y, q.z, q.w] for q in orientations]).reshape(-1, 4)
    to_own = rotations(quaternions).transpose(0, 2, 1) @ camera.rotation
    velocity = (to_own @ tracks.velocity[..., None])[..., 0]
    spread = np.zeros((len(tracks), 6, 6))
    spread[:, :3, :3] = to_own @ tracks.covariance[:, 3:, 3:] @ to_own.transpose(0, 2, 1)
    return [
        TwistWithCovariance(twist=Twist(linear=Vector3(**dict(zip("xyz", v)))), covariance=matrix.reshape(-1))
        for v, matrix in zip(velocity.tolist(), spread)
    ]
