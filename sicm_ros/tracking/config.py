# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What a tracker assumes of the world, and how scores become the chance that a track exists."""

from __future__ import annotations

from dataclasses import dataclass

from sicm_ros.config import Config, limited


@dataclass(frozen=True, kw_only=True)
class MotionConfig(Config):
    """How things of one kind move.

    Attributes:
        speed: standard deviation of a new object's velocity from that of the scene, m/s along the ground.
        acceleration: density of the white noise that changes a velocity, m^2/s^3.
        turn: the same of the heading, rad^2/s.
    """

    speed: float = limited(gt=0)
    acceleration: float = limited(gt=0)
    turn: float = limited(gt=0)


@dataclass(frozen=True, kw_only=True)
class ExistenceConfig(Config):
    """How detections and misses move the log odds of a track.

    Attributes:
        usual: score whose detection says neither yes nor no about the track that it continues.
        weight: share of a detection's log odds, less those of `usual`, that counts as news: frames that follow each
            other mistake the same things.
        miss: log odds that a pair without a detection takes away.
        latest: share of the last detection in a track's own score.
        unseen: log odds that a pair without a detection takes from a track's score.
        most: log odds above which nothing counts any more, so that an object that has left is given up.
        end: log odds below which a track ends.
        longest: seconds without a detection after which it ends in any case.
    """

    usual: float = limited(0.15, gt=0, lt=1)
    weight: float = limited(0.5, gt=0, le=1)
    miss: float = limited(0.7, ge=0)
    latest: float = limited(0.5, gt=0, le=1)
    unseen: float = limited(1.0, ge=0)
    most: float = limited(3.0, gt=0)
    end: float = limited(-1.5)
    longest: float = limited(1.0, gt=0)


@dataclass(frozen=True, kw_only=True)
class RescoringConfig(Config):
    """How the past changes a detection's chance: a logistic regression of which are right on what is known of them.

    Attributes:
        own: weight of the detection's own log odds.
        track: of the score, as log odds, that the track which it continues had before.
        hits: of the logarithm of 1 + the detections that the track had; 0 of one that continues nothing.
        shift: log odds of all.
    """

    own: float = limited(0.75, ge=0)
    track: float = limited(0.2, ge=0)
    hits: float = limited(0.45, ge=0)
    shift: float = limited(-0.35)


@dataclass(frozen=True, kw_only=True)
class TrackingConfig(Config):
    """A tracker's figures.

    Attributes:
        vehicles, people: how they move.
        existence, rescoring: what scores do.
        least: detections below this score are not looked at.
        birth: score from which a detection that continues nothing begins a track.
        gate: squared Mahalanobis distance beyond which a detection doesn't continue a track.
        fresh: share of a box's standard deviations that is new in each pair: pairs that follow each other are off
            alike, so that velocities are known better than places.
        unknown_errors: standard deviations of boxes whose errors nobody knows: depth, as a share of it, and the rest in
            metres and radians, as `Detections.errors`.
        closest: share of the mean width of two boxes, seen from above, below which their centres can't lie apart.
        trail: positions that are remembered of a track.
    """

    vehicles: MotionConfig = MotionConfig(speed=8.0, acceleration=3.0, turn=0.3)
    people: MotionConfig = MotionConfig(speed=2.5, acceleration=2.0, turn=1.0)
    existence: ExistenceConfig = ExistenceConfig()
    rescoring: RescoringConfig = RescoringConfig()
    least: float = limited(0.1, ge=0, le=1)
    birth: float = limited(0.3, ge=0, le=1)
    gate: float = limited(30.0, gt=0)
    fresh: float = limited(0.6, gt=0, le=1)
    unknown_errors: tuple[float, float, float, float] = (0.05, 0.3, 0.15, 0.3)
    closest: float = limited(1.0, ge=0)
    trail: int = limited(30, ge=1)

    def check(self) -> None:
        if self.birth < self.least:
            raise ValueError(f"birth is {self.birth:g}, below least, {self.least:g}; expected at least that")
