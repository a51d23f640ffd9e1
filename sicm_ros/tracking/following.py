# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""One vehicle's stream, followed: what is published of each pair, by the decoder node and into bags."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sicm_ros.geometry import Detections, ModelView
from sicm_ros.geometry.pose import FramePose
from sicm_ros.tracking.ego_motion import Odometry
from sicm_ros.tracking.tracker import Tracker
from sicm_ros.tracking.tracks import CameraMotion, Tracks

FARTHEST = 1.0  # seconds beyond which nothing is extrapolated: a clock that is another's, or a recording without one


class Decoded(Protocol):
    """What the camera's motion is told from, of `sicm_ros.model.Result`: features (C, h, w), disparities (h, w)."""

    @property
    def left_features(self) -> np.ndarray: ...
    @property
    def disparity(self) -> np.ndarray: ...
    @property
    def view(self) -> ModelView: ...


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

    Args:
        session: if it shall not be by chance.

    Attributes:
        session: 8 bytes that no other follower has: ids begin with them, their numbers follow.
    """

    def __init__(self, session: bytes = b"") -> None:
        self.session = session or uuid.uuid4().bytes[:8]
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
        result: Decoded | None = None,
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
