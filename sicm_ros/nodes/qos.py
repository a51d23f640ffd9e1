# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Quality of service of every topic, in one place. Each can be overridden by parameters (qos_overrides)."""

from __future__ import annotations

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions


def overridable() -> QoSOverridingOptions:
    """Let history, depth and reliability be set by parameters: the value of `qos_overriding_options=`."""
    return QoSOverridingOptions.with_default_policies()


def sensor(reliable: bool) -> QoSProfile:
    """Return the profile of images and their camera_info: the newest one alone; a queue would only hold stale ones.

    Best effort is what camera drivers offer. An image is some twenty datagrams, though, and one that is lost loses it
    all: where the sender offers reliable (a replayed bag), asking for it keeps every image.
    """
    reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1, reliability=reliability)


def features() -> QoSProfile:
    """Return the profile of feature messages: reliable, but not for longer than they are of use.

    The lifespan counts at the sender alone, so that clocks of two machines needn't agree.
    """
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=2, reliability=ReliabilityPolicy.RELIABLE, lifespan=Duration(seconds=1)
    )


def features_received() -> QoSProfile:
    """Return the same at the decoder: no lifespan there."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=2, reliability=ReliabilityPolicy.RELIABLE)


def acknowledgements() -> QoSProfile:
    """Return the profile of `decoded_pairs`: each message repeats the last ones, so a lost one is no matter."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)


def results() -> QoSProfile:
    """Return the profile of detections, markers, points: reliable, which RViz and most listeners ask for."""
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.RELIABLE)


def latched() -> QoSProfile:
    """Return the profile of the codec's description: whoever comes later gets the last one."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )
