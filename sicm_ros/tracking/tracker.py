# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The tracker: one stream of detections in, tracks out.

Tracks are kept in the camera's frame of the last pair. Where somebody knows how the camera moves they are carried
along, and velocities are over ground; where nobody does they are relative to the camera, and what stands still moves as
the scene does: a new track starts with the velocity that the others have.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from sicm_ros.errors import InputError
from sicm_ros.geometry import Detections
from sicm_ros.geometry.boxes import CLASSES, PEOPLE, wrap_angle
from sicm_ros.geometry.pose import FramePose, covariances, to_pose
from sicm_ros.geometry.suppression import Grounds
from sicm_ros.tracking import existence, motion
from sicm_ros.tracking.association import assign, crowded
from sicm_ros.tracking.config import MotionConfig, TrackingConfig
from sicm_ros.tracking.tracks import CameraMotion, Tracks

BACK = 0.5  # seconds: a stamp that lies further back is a recording that begins anew
STEADY = 2.0  # m/s: a velocity that is known better than this tells how the scene moves
LEAST_SHARE = 0.1  # of the last detection in the means of size and classes
MOVING, STANDING = 0, 1  # what a track may do
NEVER = -50.0  # log odds
_PEOPLE = np.isin(CLASSES, PEOPLE)  # of each class


@dataclass
class Track:
    """What is remembered of one object, beside its state.

    Attributes:
        id: of it.
        size: height, width, length, metres: the mean of what was measured.
        chances: of each class, mean.
        heading, spread: rotation_y in radians, and its variance.
        front: how many detections more said that the front is where the track has it, than that it is behind.
        odds: log odds that the object exists.
        score: log odds that its box is right: the mean of its detections', the last ones above all.
        hits: detections.
        born, seen: stamps of the first and the last one.
        image_box: of the last one.
        lasting: covariance (3, 3) of what its place and those before it are all off by.
        trail: positions after each pair, oldest first.
        standing: log odds that it stands on the ground; NEVER where nobody knows how the camera moves.
    """

    id: int
    size: np.ndarray
    chances: np.ndarray
    heading: float
    spread: float
    odds: float
    score: float
    born: float
    seen: float
    image_box: np.ndarray
    lasting: np.ndarray
    trail: deque[np.ndarray]
    standing: float = NEVER
    front: int = 1
    hits: int = 1

    @property
    def kind(self) -> int:
        """The likeliest class."""
        return int(self.chances.argmax())


@dataclass(frozen=True)
class Tracking:
    """What a tracker made of one pair.

    Attributes:
        detections: all that came in, in their order, with the scores that the past gives them.
        ids: int (N,), the track of each; -1 for one that is of none.
        tracks: all that are alive, likeliest first.
    """

    detections: Detections
    ids: np.ndarray
    tracks: Tracks


@dataclass(frozen=True)
class _Measured:
    """N detections whose errors are all known, the covariances of their locations (N, 3, 3), their log odds (N,)."""

    detections: Detections
    errors: np.ndarray
    odds: np.ndarray


@dataclass
class _Memory:
    """N tracks: states (N, 2, 6), covariances (N, 2, 6, 6), and the rest.

    Of the two states of each, MOVING and STANDING, the latter has no velocity. `Track.standing` says which is likelier.
    """

    means: np.ndarray = field(default_factory=lambda: np.zeros((0, 2, 6)))
    covariances: np.ndarray = field(default_factory=lambda: np.zeros((0, 2, 6, 6)))
    tracks: list[Track] = field(default_factory=list)

    def weights(self) -> np.ndarray:
        """Return (N, 2): how likely each state is."""
        standing = existence.chances_of(np.array([track.standing for track in self.tracks]))
        return np.stack([1 - standing, standing], 1)

    def mixed(self) -> tuple[np.ndarray, np.ndarray]:
        """Return means (N, 6) and covariances (N, 6, 6) of both states together."""
        weights = self.weights()
        means = (weights[..., None] * self.means).sum(1)
        apart = self.means - means[:, None]
        spread = self.covariances + apart[..., None] * apart[..., None, :]
        return means, (weights[..., None, None] * spread).sum(1)

    def keep(self, kept: np.ndarray) -> None:
        self.means, self.covariances = self.means[kept], self.covariances[kept]
        self.tracks = [track for track, stays in zip(self.tracks, kept) if stays]


class Tracker:
    """Follows the objects of one vehicle's stream.

    Args:
        config: what is assumed.
    """

    def __init__(self, config: TrackingConfig | None = None) -> None:
        self.config = config or TrackingConfig()
        self._next = 1
        self._forget()

    def _forget(self) -> None:
        self._memory = _Memory()
        self._stamp: float | None = None
        self._camera: FramePose | None = None
        self._ego: CameraMotion | None = None
        self._known = -math.inf  # stamp of the last pair whose camera pose was known

    def update(
        self,
        found: Detections,
        stamp: float,
        camera: FramePose | None = None,
        camera_motion: CameraMotion | None = None,
    ) -> Tracking:
        """Take in the detections of one pair.

        A pair that is older than the last one (a late packet) changes no track, but its detections get their ids.
        One that lies further back begins anew, with new ids.

        Args:
            found: in the left camera's optical frame, the unlikely ones too.
            stamp: of the pair, seconds.
            camera: the camera's pose in a frame that stands still, at that time; None where nobody knows.
            camera_motion: how it moves, as `Odometry` tells; heeded where no pose says it. Where neither is known, but
                was a moment ago, the camera goes on as it did.

        Raises:
            InputError: the stamp is no number.
        """
        if not math.isfinite(stamp):
            raise InputError(f"a pair's stamp is {stamp}; expected seconds")
        if self._stamp is not None and not -BACK <= stamp - self._stamp <= self.config.existence.longest:
            self._forget()
        late = self._stamp is not None and stamp <= self._stamp
        if late:
            return self._late(found, stamp)
        self._advance(stamp, camera, camera_motion)
        measured = self._measured(found)
        rows, columns = self._continued(measured, self._memory)
        ids, hits, of_tracks = np.full(len(found), -1), np.zeros(len(found)), np.zeros(len(found))
        continued = [self._memory.tracks[row] for row in rows]
        ids[columns] = [track.id for track in continued]
        hits[columns] = [track.hits for track in continued]
        of_tracks[columns] = [track.score for track in continued]
        odds = existence.rescored(measured.odds, of_tracks, hits, self.config.rescoring)
        self._continue(measured, odds, rows, columns, stamp)
        born = self._births(found, odds, hits > 0, rows)
        ids[born] = self._begin(measured, odds, born, stamp)
        self._end(stamp)
        ids[~np.isin(ids, [track.id for track in self._memory.tracks])] = -1  # begun in a likelier one's body
        for track, mean in zip(self._memory.tracks, self._memory.mixed()[0]):
            track.trail.append(mean[:3].copy())
        return Tracking(_scored(found, existence.chances_of(odds)), ids, self.tracks())

    def tracks(self) -> Tracks:
        """Return the tracks that are alive, at the stamp of the last pair, likeliest first."""
        memory, count = self._memory, len(self._memory.tracks)
        if not count or self._stamp is None:
            nothing = np.zeros(0)
            return Tracks(
                nothing.astype(int), Detections.empty(), np.zeros((0, 3)), np.zeros((0, 6, 6)), nothing, nothing,
                nothing, (), self._ego,
            )  # fmt: skip
        tracks = memory.tracks
        means, covariance = memory.mixed()
        covariance[:, :3, :3] += [track.lasting for track in tracks]
        order = np.argsort([-track.score for track in tracks], kind="stable")
        deviations = np.sqrt(covariance[:, [2, 0, 1], [2, 0, 1]])
        scores = existence.chances_of([track.score for track in tracks])
        chances = np.array([track.chances for track in tracks])
        chances *= (scores / np.maximum(chances.max(1), 1e-9))[:, None]
        boxes = Detections(
            classes=np.array([track.kind for track in tracks]),
            scores=scores,
            location=means[:, :3],
            dimensions=np.array([track.size for track in tracks]),
            rotation_y=np.array([track.heading for track in tracks]),
            image_boxes=np.array([track.image_box for track in tracks]),
            errors=np.column_stack([deviations, np.sqrt([track.spread for track in tracks])]),
            chances=chances,
        )
        return Tracks(
            np.array([track.id for track in tracks]),
            boxes,
            means[:, 3:],
            covariance,
            memory.weights()[:, MOVING] * self._accelerations(),
            np.array([self._stamp - track.born for track in tracks]),
            np.array([self._stamp - track.seen for track in tracks]),
            tuple(np.array(track.trail).reshape(-1, 3) for track in tracks),
            self._ego,
        ).take(order)

    # -- one pair, step by step ---------------------------------------------------------------------------------------

    def _late(self, found: Detections, stamp: float) -> Tracking:
        assert self._stamp is not None
        memory = self._memory
        means, spread = motion.predict(memory.means, memory.covariances, stamp - self._stamp, *self._noises())
        rows, columns = self._continued(self._measured(found), _Memory(means, spread, memory.tracks))
        ids = np.full(len(found), -1)
        ids[columns] = [memory.tracks[row].id for row in rows]
        return Tracking(found, ids, self.tracks())

    def _advance(self, stamp: float, camera: FramePose | None, camera_motion: CameraMotion | None) -> None:
        """Carry all tracks to a new pair's time, and into its camera's frame."""
        seconds = 0.0 if self._stamp is None else stamp - self._stamp
        before = self._camera
        if seconds and camera is not None and before is not None:
            ego: CameraMotion | None = CameraMotion.between(before, camera, seconds)
        else:
            ego = camera_motion
        if camera is not None or ego is not None:
            self._known = stamp
        elif stamp - self._known <= self.config.existence.longest:
            ego = self._ego  # its pose came too late, or not at all
        if camera is None and before is not None and ego is not None:
            camera = before @ ego.over(seconds)
        if seconds:
            self._predict(seconds, ego)
        self._stamp, self._camera = stamp, camera

    def _predict(self, seconds: float, ego: CameraMotion | None) -> None:
        memory, before, self._ego = self._memory, self._ego, ego
        if before is None and ego is not None:
            self._see_over_ground(ego, 1)
        elif before is not None and ego is None:
            self._see_over_ground(before, -1)
        memory.means, memory.covariances = motion.predict(memory.means, memory.covariances, seconds, *self._noises())
        for track in memory.tracks:
            track.spread += seconds * self._motion_of(track.kind).turn
        if ego is not None:
            self._carry(ego.over(seconds))

    def _see_over_ground(self, ego: CameraMotion, sign: int) -> None:
        """Make velocities that are relative to the camera those over ground (sign 1), or the other way round (-1)."""
        memory = self._memory
        moving = memory.means[:, MOVING]
        moving[:, 3:] += sign * (ego.velocity + np.cross(ego.turn, moving[:, :3]))
        if sign > 0:  # what was seen once has no velocity yet: things stand, at first
            moving[[track.hits == 1 for track in memory.tracks], 3:] = 0.0
        memory.means[:, STANDING], memory.covariances[:, STANDING] = _standing(moving, memory.covariances[:, MOVING])
        for track in memory.tracks:
            track.standing = self._standing_odds(track.kind) if sign > 0 else NEVER

    def _carry(self, step: FramePose) -> None:
        memory = self._memory
        memory.means, memory.covariances = motion.moved(memory.means, memory.covariances, step)
        headings = motion.turned(np.array([track.heading for track in memory.tracks]), step)
        back = step.inverse()
        for track, heading in zip(memory.tracks, headings):
            track.heading = float(heading)
            track.trail = deque((back.points(place) for place in track.trail), track.trail.maxlen)

    def _continued(self, measured: _Measured, memory: _Memory) -> tuple[np.ndarray, np.ndarray]:
        """Which track (rows) goes on with which detection (columns).

        Detections that could begin a track come first; what they leave may continue with a weaker one (Zhang et al.,
        ByteTrack, ECCV 2022), so that a shadow of a good detection takes no track from it.
        """
        found = measured.detections
        people = _PEOPLE[[track.kind for track in memory.tracks]]
        squared, costs = self._distances(memory, found.location, measured.errors)
        allowed = (squared < self.config.gate) & (people[:, None] == _PEOPLE[found.classes][None])
        strong = found.scores >= self.config.birth
        rows, columns = assign(costs, allowed & strong[None])
        allowed[rows] = False
        more_rows, more_columns = assign(costs, allowed & (~strong & (found.scores >= self.config.least))[None])
        return np.concatenate([rows, more_rows]), np.concatenate([columns, more_columns])

    def _continue(
        self, measured: _Measured, odds: np.ndarray, rows: np.ndarray, columns: np.ndarray, stamp: float
    ) -> None:
        memory, config, found = self._memory, self.config.existence, measured.detections
        places, errors = found.location[columns], self.config.fresh**2 * measured.errors[columns]
        likelihoods = motion.likelihoods(memory.means[rows], memory.covariances[rows], places[:, None], errors[:, None])
        news = self.config.standing.weight * (likelihoods[:, STANDING] - likelihoods[:, MOVING])
        memory.means[rows], memory.covariances[rows] = motion.update(
            memory.means[rows], memory.covariances[rows], places[:, None], errors[:, None]
        )
        if self._ego is not None:
            for row, more in zip(rows, news.tolist()):
                track, most = memory.tracks[row], self.config.standing.most
                track.standing = min(max(track.standing + more, -most), most)
        continued = dict(zip(rows.tolist(), columns.tolist()))
        for row, track in enumerate(memory.tracks):
            if row not in continued:
                track.odds = existence.missed(track.odds, config)
                track.score -= config.unseen
                continue
            column = continued[row]
            track.hits += 1
            track.seen, track.image_box = stamp, found.image_boxes[column]
            track.lasting = (1 - self.config.fresh**2) * measured.errors[column]
            track.odds = existence.seen(track.odds, float(measured.odds[column]), config)
            track.score += config.latest * (float(odds[column]) - track.score)
            share = max(1 / track.hits, LEAST_SHARE)
            track.size = track.size + share * (found.dimensions[column] - track.size)
            track.chances = track.chances + share * (found.chances[column] - track.chances)
            self._turn(track, float(found.rotation_y[column]), float(found.errors[column, 3]) ** 2)

    @staticmethod
    def _turn(track: Track, measured: float, variance: float) -> None:
        """Take in a measured heading. One that is the wrong way round is turned, until most say so."""
        off = float(wrap_angle(measured - track.heading))
        if abs(off) > np.pi / 2:
            off = float(wrap_angle(off + np.pi))
            track.front -= 1
        else:
            track.front = min(track.front + 1, 5)
        gain = track.spread / (track.spread + variance)
        track.heading += gain * off
        track.spread *= 1 - gain
        if track.front < 0:
            track.heading, track.front = track.heading + np.pi, 1
        track.heading = float(wrap_angle(track.heading))

    def _births(self, found: Detections, odds: np.ndarray, known: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The detections that begin tracks: likely ones, where no other body is; int (K,), best first."""
        memory = self._memory
        finite = np.isfinite(found.location).all(1) & np.isfinite(found.dimensions).all(1)
        wanted = np.flatnonzero(~known & finite & (found.scores >= self.config.birth))
        places = list(memory.mixed()[0][rows, :3])
        widths = [float(memory.tracks[row].size[1]) for row in rows]
        born = []
        for index in wanted[np.argsort(-odds[wanted], kind="stable")]:
            place, width = found.location[index], found.dimensions[index, 1]
            if (
                places
                and crowded(
                    place[None], np.array([width]), np.array(places), np.array(widths), self.config.closest
                ).any()
            ):
                continue
            born.append(index)
            places.append(place)
            widths.append(width)
        return np.array(born, np.int64)

    def _begin(self, measured: _Measured, odds: np.ndarray, born: np.ndarray, stamp: float) -> np.ndarray:
        """Begin tracks; their ids, int (K,)."""
        if not len(born):
            return np.zeros(0, np.int64)
        memory, velocity, found = self._memory, self._scene(), measured.detections
        means = np.concatenate([found.location[born], np.repeat(velocity[None], len(born), 0)], 1)
        spread = np.zeros((len(born), 6, 6))
        spread[:, :3, :3] = self.config.fresh**2 * measured.errors[born]
        for i, index in enumerate(born.tolist()):
            kind = int(found.classes[index])
            spread[i, 3:, 3:] = self._speeds(kind, float(found.rotation_y[index]), float(found.errors[index, 3]))
            memory.tracks.append(
                Track(
                    id=self._next + i,
                    size=found.dimensions[index],
                    chances=found.chances[index],
                    heading=float(found.rotation_y[index]),
                    spread=float(found.errors[index, 3]) ** 2,
                    odds=min(float(odds[index]), self.config.existence.most),
                    score=float(odds[index]),
                    born=stamp,
                    seen=stamp,
                    image_box=found.image_boxes[index],
                    lasting=(1 - self.config.fresh**2) * measured.errors[index],
                    trail=deque(maxlen=self.config.trail),
                    standing=self._standing_odds(kind) if self._ego is not None else NEVER,
                )
            )
        still, still_spread = _standing(means, spread)
        memory.means = np.concatenate([memory.means, np.stack([means, still], 1)])
        memory.covariances = np.concatenate([memory.covariances, np.stack([spread, still_spread], 1)])
        ids = self._next + np.arange(len(born))
        self._next += len(born)
        return ids

    def _end(self, stamp: float) -> None:
        config = self.config.existence
        places = self._memory.mixed()[0][:, :3]
        alive = np.array(
            [
                track.odds >= config.end and stamp - track.seen <= config.longest and place[2] > 0
                for track, place in zip(self._memory.tracks, places)
            ],
            bool,
        )
        self._memory.keep(alive)
        self._memory.keep(self._apart(places[alive], stamp))

    def _apart(self, places: np.ndarray, stamp: float) -> np.ndarray:
        """Return bool (N,): tracks but for vehicles that stand in a likelier one's body, where one of the two is
        not seen now: they are one object, which was missed or a little off for a moment.
        """
        tracks = self._memory.tracks
        sizes, headings = np.array([track.size for track in tracks]), np.array([track.heading for track in tracks])
        grounds = Grounds(places, sizes.reshape(-1, 3), headings)
        apart = np.ones(len(tracks), bool)
        for pair in grounds.meeting():
            worse, better = sorted(pair, key=lambda row: tracks[row].score)
            people = any(_PEOPLE[tracks[row].kind] for row in pair)
            told_apart = tracks[worse].seen == tracks[better].seen == stamp
            if apart[better] and not people and not told_apart and grounds.shared(better, worse):
                apart[worse] = False
        return apart

    # -- what is assumed ----------------------------------------------------------------------------------------------

    def _motion_of(self, kind: int) -> MotionConfig:
        return self.config.people if _PEOPLE[kind] else self.config.vehicles

    def _accelerations(self) -> np.ndarray:
        return np.array([self._motion_of(track.kind).acceleration for track in self._memory.tracks])

    def _noises(self) -> tuple[np.ndarray, np.ndarray]:
        """Return densities (N, 2) of the noise of both states of each track: accelerations, and places."""
        accelerations = self._accelerations()
        nothing = np.zeros_like(accelerations)
        wander = np.full_like(accelerations, self.config.standing.wander)
        return np.stack([accelerations, nothing], 1), np.stack([nothing, wander], 1)

    def _standing_odds(self, kind: int) -> float:
        return float(existence.log_odds(self._motion_of(kind).standing))

    def _speeds(self, kind: int, heading: float, spread: float) -> np.ndarray:
        """Return the covariance (3, 3) of a new object's velocity: most of it is along its heading."""
        config = self._motion_of(kind)
        across = np.hypot(config.aside, config.speed * min(spread, 1.0))
        forward, aside = (
            np.array([np.cos(heading), 0, -np.sin(heading)]),
            np.array([np.sin(heading), 0, np.cos(heading)]),
        )
        return (
            config.speed**2 * np.outer(forward, forward)
            + min(across, config.speed) ** 2 * np.outer(aside, aside)
            + np.diag([0, motion.CLIMB**2, 0])
        )

    @staticmethod
    def _distances(memory: _Memory, places: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return squared Mahalanobis distances (N, M) from what is nearer of the two states, and costs (N, M): -2 log
        of the likelihood of both together."""
        count = len(memory.tracks)
        weights = np.log(np.maximum(memory.weights(), 1e-9))[..., None]
        with np.errstate(invalid="ignore"):  # a box that is nowhere is near nothing
            squared, determinants = (
                values.reshape(count, 2, len(places))
                for values in motion.innovations(
                    memory.means.reshape(-1, 6), memory.covariances.reshape(-1, 6, 6), places, errors
                )
            )
            costs = -2 * np.logaddexp.reduce(weights - (squared + determinants) / 2, axis=1)
        never = memory.weights() < 1e-6
        return np.where(never[..., None], np.inf, squared).min(1), costs

    def _scene(self) -> np.ndarray:
        """The velocity (3,) of what stands still: 0 if the camera's motion is known, else the median of the tracks'."""
        memory = self._memory
        if self._ego is not None:
            return np.zeros(3)
        steady = memory.covariances[:, MOVING, 5, 5] < STEADY**2
        return np.median(memory.means[steady, MOVING, 3:], axis=0) if steady.any() else np.zeros(3)

    def _measured(self, found: Detections) -> _Measured:
        """Detections as measurements, with errors that are assumed where nobody knows them."""
        share, *rest = self.config.unknown_errors
        assumed = np.column_stack([share * np.abs(found.location[:, 2]), *(np.full(len(found), v) for v in rest)])
        found = replace(found, errors=np.where(np.isfinite(found.errors) & (found.errors > 0), found.errors, assumed))
        centres, quaternions, sizes = to_pose(found.location, found.dimensions, found.rotation_y)
        with np.errstate(invalid="ignore"):  # a box that is nowhere is near nothing
            errors = covariances(centres, quaternions, sizes, found.errors)[:, :3, :3]
        return _Measured(found, errors, existence.log_odds(found.scores))


def _standing(means: np.ndarray, covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return states (N, 6) and covariances (N, 6, 6) of the same places without a velocity."""
    still, spread = np.zeros_like(means), np.zeros_like(covariances)
    still[:, :3], spread[:, :3, :3] = means[:, :3], covariances[:, :3, :3]
    return still, spread


def _scored(found: Detections, scores: np.ndarray) -> Detections:
    """The same detections with other scores; those of other classes are never above that of their own."""
    chances = np.minimum(found.chances, scores[:, None])
    chances[np.arange(len(found)), found.classes] = scores
    return replace(found, scores=scores, chances=chances)
