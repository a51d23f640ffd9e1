# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Boxes of single pairs made into tracks: identity, velocity, and where things are now. NumPy alone.

`tracker` is the whole; `motion` is its Kalman filter, `association` says which box continues which track, `existence`
what a track makes of its scores, `tracks` what comes out, `ego_motion` tells the camera's own motion from features.
`following` is what is published of a stream's pairs. `config` holds every figure that was chosen.
"""

from sicm_ros.tracking.config import TrackingConfig
from sicm_ros.tracking.ego_motion import Odometry
from sicm_ros.tracking.following import Followed, Follower
from sicm_ros.tracking.tracker import Tracker, Tracking
from sicm_ros.tracking.tracks import Tracks

__all__ = ["Followed", "Follower", "Odometry", "Tracker", "Tracking", "TrackingConfig", "Tracks"]
