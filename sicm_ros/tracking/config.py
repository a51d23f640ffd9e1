# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What a tracker assumes of the world, and how scores become the chance that a track exists."""

from __future__ import annotations

from dataclasses import dataclass

from sicm_ros.config import Config, limited


@dataclass(frozen=True, kw_only=True)
class MotionConfig(Config):
    """How things of one kind move.

    Attributes:
        speed: standard deviation of a new object's velocity from that of the scene, m/s along its heading.
        aside: the same across its heading.
        standing: chance that a new object stands.
        acceleration: density of the white noise that changes a velocity, m^2/s^3.
        turn: the same of the heading, rad^2/s.
    """

    speed: float = limited(gt=0)
    aside: float = limited(gt=0)
    standing: float = limited(gt=0, lt=1)
    acceleration: float = limited(gt=0)
    turn: float = limited(gt=0)


@dataclass(frozen=True, kw_only=True)
class StandingConfig(Config):
    """How a track is told to stand or to move, where the camera's own motion is known.

    Attributes:
        weight: share of a detection's log likelihood ratio that counts as news: pairs that follow each other are off
            alike.
        most: log odds beyond which nothing counts any more, so that what starts, or stops, is soon seen to.
        wander: density of the noise of a standing object's place, m^2/s: the camera's motion isn't known exactly.
    """

    weight: float = limited(0.3, gt=0, le=1)
    most: float = limited(4.0, gt=0)
    wander: float = limited(0.2, ge=0)


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
class OdometryConfig(Config):
    """How a camera's own motion is told from features.

    Attributes:
        apart: seconds between the two pairs that are laid on each other, at most; the longer, the less does what stands
            still in all features (`ego_motion.APART`) say.
        sure: share of `apart` from which the motion before is a start that is good enough.
        longest: seconds between two pairs after which all begins anew.
        far: metres beyond which nothing is looked at.
        spread: standard deviations of turns about x, y and z, rad/s, and of velocities, m/s, around no motion but the
            turn about y and the forward speed of before.
        alike: how many of the features' differences say the same.
        steps, least_step: of Gauss-Newton at most, and the change, radians or metres, below which there is no other.
        first, gain: how many times longer the first of them is, and the others at most.
        body: score from which what is detected may move by itself.
        usual: share of a pair in the running mean of features that is taken off, and
        moves: speed, m/s, below which nothing is added to it: a standing vehicle's view is not what streets are like.
        points: that have to be seen in both pairs.
        misfit: root mean square difference of features above which two pairs don't fit each other; unrelated ones have
            1.4.
        deviation: of the forward speed, m/s, above which it is not known.
    """

    apart: float = limited(0.35, gt=0)
    sure: float = limited(0.7, ge=0)
    longest: float = limited(1.0, gt=0)
    far: float = limited(80.0, gt=0)
    spread: tuple[float, float, float, float, float, float] = (0.1, 0.2, 0.05, 0.2, 0.2, 3.0)
    alike: float = limited(30.0, gt=0)
    steps: int = limited(4, ge=1)
    least_step: float = limited(1e-4, ge=0)
    first: float = limited(2.0, ge=1)
    gain: float = limited(6.0, ge=1)
    body: float = limited(0.3, ge=0, le=1)
    usual: float = limited(0.1, ge=0, le=1)
    moves: float = limited(1.0, ge=0)
    points: int = limited(200, ge=10)
    misfit: float = limited(1.1, gt=0)
    deviation: float = limited(1.0, gt=0)


@dataclass(frozen=True, kw_only=True)
class TrackingConfig(Config):
    """A tracker's figures.

    Attributes:
        vehicles, people: how they move.
        standing: how what stands is told from what moves.
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

    vehicles: MotionConfig = MotionConfig(speed=8.0, aside=1.0, standing=0.7, acceleration=3.0, turn=0.3)
    people: MotionConfig = MotionConfig(speed=2.5, aside=1.0, standing=0.3, acceleration=2.0, turn=1.0)
    standing: StandingConfig = StandingConfig()
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
