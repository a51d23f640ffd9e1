# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""KITTI's official object evaluation: average precision in the image, from above and in 3D, and orientation similarity.

The figures are those of the official program (Geiger et al., CVPR 2012; 40 recall points: Simonelli et al., ICCV 2019);
docs/evaluation.md lists the rules. How they become array operations:

- Labels take their detection greedily, in file order. Which of its candidates a label prefers does not depend on the
  score threshold, so each label has one list of preferences, and `_assign` walks the lists of all frames at once.
- The at most 41 score thresholds are the 41 lowest bits of an integer: bit t of a detection says that it is there, and
  not taken, at threshold t. One walk serves all thresholds, and a second axis serves resampled sets of frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sicm_ros.errors import InputError
from sicm_ros.kitti import overlap
from sicm_ros.kitti.labels import Labels

CLASSES = ("Car", "Pedestrian", "Cyclist")  # that KITTI evaluates
DIFFICULTIES = ("easy", "moderate", "hard")
MIN_HEIGHT = (40, 25, 25)  # pixels
MAX_OCCLUSION = (0, 1, 2)
MAX_TRUNCATION = (0.15, 0.3, 0.5)
NEIGHBOURS = {"Car": "van", "Pedestrian": "person_sitting"}  # neither hit nor miss when found
STRICT = {"Car": 0.7, "Pedestrian": 0.5, "Cyclist": 0.5}
LOOSE = {"Car": 0.5, "Pedestrian": 0.25, "Cyclist": 0.25}
METRICS = {"bbox": (STRICT,), "bev": (STRICT, LOOSE), "3d": (STRICT, LOOSE)}
RECALL_POINTS = 41
NO_ANGLE = -10.0  # an alpha that says: no orientation
NO_PLACE = -1000.0  # a coordinate that says: no 3D box
LOWEST_SCORE = -1e7  # detections at or below it are never taken

_BITS = np.arange(RECALL_POINTS, dtype=np.uint64)
_ALL = np.uint64((1 << RECALL_POINTS) - 1)

Figures = dict[str, dict[str, dict[str, dict[str, list]]]]


def evaluate(labels: Sequence[Labels], detections: Sequence[Labels]) -> Figures:
    """Evaluate scored detections against labels of the same frames: {class: {metric: {overlap: {"R40": [...], "R11":
    [...]}}}}.

    Metrics are "bbox", "bev", "3d" and, unless some detection has no alpha, "aos" (orientation similarity at bbox's
    overlap); overlaps are written "0.70"; figures are per cent for easy, moderate and hard. A class that was never
    detected has 0. Both sides must be measured from the same camera. Raises InputError if they don't belong together.
    """
    figures: Figures = {}
    for key, curves in _all_curves(labels, detections, None):
        _put(figures, key, "R40", [100 * float(_average_40(curve)[0]) for curve in curves])
        _put(figures, key, "R11", [100 * float(_average_11(curve)[0]) for curve in curves])
    return figures


def bootstrap(
    labels: Sequence[Labels],
    detections: Sequence[Labels],
    replicates: int = 200,
    level: float = 0.95,
    seed: int = 0,
    progress: Callable[[Iterator], Iterator] = iter,
) -> Figures:
    """Return confidence intervals of evaluate's figures: the same form with [low, high] in each figure's place.

    Frames are drawn with replacement, the whole evaluation, thresholds included, repeated on each draw, and the
    percentiles of its figures taken (Efron, 1979). progress wraps the iteration over curves (tqdm).
    """
    rng = np.random.default_rng(seed)
    frames = len(labels)
    weights = rng.multinomial(frames, np.full(frames, 1 / max(frames, 1)), size=replicates).T
    ends = [50 * (1 - level), 50 * (1 + level)]
    figures: Figures = {}
    for key, curves in progress(_all_curves(labels, detections, weights)):
        for name, average in (("R40", _average_40), ("R11", _average_11)):
            _put(figures, key, name, [(100 * np.percentile(average(curve), ends)).tolist() for curve in curves])
    return figures


CURVES = sum(len(limits) for limits in METRICS.values()) * len(CLASSES) + len(CLASSES)  # with aos: for progress bars


def _put(figures: Figures, key: tuple[str, str, str], name: str, values: list) -> None:
    of_class, metric, limit = key
    figures.setdefault(of_class, {}).setdefault(metric, {}).setdefault(limit, {})[name] = values


def _average_40(curve: np.ndarray) -> np.ndarray:
    return curve[:, 1:].mean(1)


def _average_11(curve: np.ndarray) -> np.ndarray:
    return curve[:, ::4].mean(1)


# ---------------------------------------------------------------------------------------------------------------------
# All frames as one table


@dataclass(frozen=True)
class _Objects:
    """Labels or detections of all frames, in file order, one after the other."""

    frame: np.ndarray
    objects: Labels
    kind: np.ndarray  # lower-case class names

    @classmethod
    def of(cls, files: Sequence[Labels], scored: bool) -> _Objects:
        def join(values: list, *shape: int) -> np.ndarray:
            return np.concatenate([np.zeros((0, *shape)), *values])

        names = np.concatenate([np.zeros(0, np.str_), *(file.names for file in files)])
        objects = Labels(
            names,
            join([file.truncated for file in files]),
            join([file.occluded for file in files]),
            join([file.alpha for file in files]),
            join([file.image_boxes for file in files], 4),
            join([file.dimensions for file in files], 3),
            join([file.location for file in files], 3),
            join([file.rotation_y for file in files]),
            join([file.scores for file in files]) if scored else None,
        )
        frame = np.repeat(np.arange(len(files)), [len(file) for file in files])
        return cls(frame, objects, np.char.lower(names))

    @property
    def height(self) -> np.ndarray:
        return self.objects.image_boxes[:, 3] - self.objects.image_boxes[:, 1]


@dataclass(frozen=True)
class _Pairs:
    """Pairs of a detection and a label of one frame, with one overlap each."""

    detection: np.ndarray
    label: np.ndarray
    overlap: np.ndarray

    def where(self, mask: np.ndarray) -> _Pairs:
        return _Pairs(self.detection[mask], self.label[mask], self.overlap[mask])


def _all_pairs(detections: _Objects, labels: _Objects) -> tuple[np.ndarray, np.ndarray]:
    """Return index arrays of every detection with every label of its frame."""
    frames = max(detections.frame[-1:].max(initial=-1), labels.frame[-1:].max(initial=-1)) + 1
    counts = np.bincount(labels.frame, minlength=frames)
    starts = np.cumsum(counts) - counts
    repeats = counts[detections.frame]
    detection = np.repeat(np.arange(len(detections.frame)), repeats)
    within = np.arange(len(detection)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    return detection, starts[detections.frame[detection]] + within


def _overlaps(detections: _Objects, labels: _Objects) -> tuple[dict[str, _Pairs], _Pairs]:
    """Return metric -> pairs that overlap, as intersection over union; and detections in DontCare regions, over the
    detection.

    DontCare acts in the image alone: its regions have no 3D box, and what stands in its place must not be read as one.
    """
    detection, label = _all_pairs(detections, labels)
    d, g = detections.objects, labels.objects
    dont_care = labels.kind[label] == "dontcare"
    result: dict[str, _Pairs] = {}

    intersection = overlap.image_intersections(d.image_boxes[detection], g.image_boxes[label])
    hit = intersection > 0
    own, other = overlap.image_areas(d.image_boxes)[detection[hit]], overlap.image_areas(g.image_boxes)[label[hit]]
    intersection, stuff = intersection[hit], dont_care[hit]
    ratio = intersection / np.where(stuff, own, own + other - intersection)
    in_image = _Pairs(detection[hit], label[hit], ratio)
    result["bbox"] = in_image.where(~stuff)

    detection, label = detection[~dont_care], label[~dont_care]
    area = overlap.ground_intersections(
        d.location[detection],
        d.dimensions[detection],
        d.rotation_y[detection],
        g.location[label],
        g.dimensions[label],
        g.rotation_y[label],
    )
    hit = area > 0
    detection, label, area = detection[hit], label[hit], area[hit]
    d_size, g_size = d.dimensions[detection], g.dimensions[label]
    union = d_size[:, 1] * d_size[:, 2] + g_size[:, 1] * g_size[:, 2] - area
    result["bev"] = _Pairs(detection, label, area / union)

    volume = area * overlap.height_overlaps(d.location[detection], d_size, g.location[label], g_size)
    union = d_size.prod(1) + g_size.prod(1) - volume
    hit = volume > 0
    result["3d"] = _Pairs(detection[hit], label[hit], volume[hit] / union[hit])
    return result, in_image.where(stuff)


def _all_curves(
    labels: Sequence[Labels], detections: Sequence[Labels], weights: np.ndarray | None
) -> Iterator[tuple[tuple[str, str, str], list[np.ndarray]]]:
    """Yield ((class, metric, overlap), [(replicates, 41) precision or similarity of each difficulty])."""
    if len(labels) != len(detections):
        raise InputError(
            f"{len(labels)} frames of labels and {len(detections)} of detections; expected the same frames"
        )
    if any(file.scores is None for file in detections):
        raise InputError("a detection without a score; expected a 16th column")
    if weights is None:
        weights = np.ones((len(labels), 1), np.int64)
    g, d = _Objects.of(labels, scored=False), _Objects.of(detections, scored=True)
    overlaps, stuff = _overlaps(d, g)
    oriented = not (d.objects.alpha == NO_ANGLE).any()
    for of_class in CLASSES:
        ours = d.kind == of_class.lower()
        placed = ours & (d.objects.location != NO_PLACE).all(1) & (d.objects.dimensions[:, 1:] > 0).all(1)
        detected = {
            "bbox": (ours & (d.objects.image_boxes[:, 0] >= 0)).any(),
            "bev": placed.any(),
            "3d": (placed & (d.objects.dimensions[:, 0] > 0)).any(),
        }
        for metric, limits in METRICS.items():
            for limit in (table[of_class] for table in limits):
                key = f"{limit:.2f}"
                pairs = overlaps[metric].where(overlaps[metric].overlap > limit)
                spared = np.zeros(len(ours), bool)
                if metric == "bbox":
                    spared[stuff.detection[stuff.overlap > limit]] = True
                if detected[metric]:
                    curves = [_curves(of_class, level, d, g, pairs, spared, weights) for level in range(3)]
                else:
                    curves = [(np.zeros((weights.shape[1], RECALL_POINTS)),) * 2] * 3
                yield (of_class, metric, key), [precision for precision, _ in curves]
                if metric == "bbox" and oriented:
                    yield (of_class, "aos", key), [similarity for _, similarity in curves]


# ---------------------------------------------------------------------------------------------------------------------
# One class, one metric, one difficulty


def _curves(
    of_class: str, level: int, d: _Objects, g: _Objects, pairs: _Pairs, spared: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return precision and orientation similarity, (replicates, 41) each, made monotone from the right.

    pairs: those that overlap enough. spared (detections,): those that a DontCare region covers. weights (frames,
    replicates): how often each frame counts.
    """
    own = g.kind == of_class.lower()
    valid = (
        own
        & (g.objects.occluded <= MAX_OCCLUSION[level])
        & (g.objects.truncated <= MAX_TRUNCATION[level])
        & (g.height >= MIN_HEIGHT[level])
    )
    listed = own | (g.kind == NEIGHBOURS.get(of_class))
    ignored = np.abs(d.height) < MIN_HEIGHT[level]  # whatever its class
    ours = (d.kind == of_class.lower()) & ~ignored
    pairs = pairs.where(listed[pairs.label] & (ours | ignored)[pairs.detection])

    scores, angles = d.objects.scores, d.objects.alpha
    assert scores is not None  # of detections
    # The thresholds come from a first pass, in which a label takes its candidate with the highest score.
    first = _sorted(pairs, -scores[pairs.detection])
    there = np.where(scores[first.detection] > LOWEST_SCORE, np.uint64(1), np.uint64(0))
    hit = (_assign(first, g.frame, there[:, None])[:, 0] > 0) & valid[first.label] & ours[first.detection]
    hits = first.detection[hit]
    hits = hits[np.argsort(-scores[hits], kind="stable")]
    valid_labels = np.zeros((1, len(weights))) + np.bincount(g.frame[valid], minlength=len(weights))
    totals = np.maximum((valid_labels @ weights)[0], 1)
    thresholds = _thresholds(scores[hits], weights[d.frame[hits]], totals)

    # In the second one it takes the one that overlaps most, and any of ours before one that is ignored.
    last = pairs.where(scores[pairs.detection] > LOWEST_SCORE)
    last = _sorted(last, np.where(ours[last.detection], -last.overlap, np.inf))
    true = valid[last.label] & ours[last.detection]
    likeness = (1 + np.cos(g.objects.alpha[last.label] - angles[last.detection])) / 2
    counted = ours & ~spared  # wrong unless taken
    tops = np.flatnonzero(counted)
    tops = tops[np.argsort(-scores[tops], kind="stable")]

    found, alike, wrong = (np.zeros((weights.shape[1], RECALL_POINTS)) for _ in range(3))
    step = max(1, (1 << 22) // (RECALL_POINTS * max(len(last.label), 1)))  # replicates at a time, to bound the memory
    for start in range(0, weights.shape[1], step):
        these = slice(start, start + step)
        limits, weight = thresholds[these], weights[:, these].astype(float)
        there = ((scores[last.detection][:, None, None] >= limits) << _BITS).sum(-1, dtype=np.uint64)
        taken = _assign(last, g.frame, there)
        bits = ((taken[..., None] >> _BITS) & np.uint64(1)) * weight[g.frame[last.label]][..., None]
        found[these] = bits[true].sum(0)
        alike[these] = (bits[true] * likeness[true, None, None]).sum(0)
        above = np.concatenate([np.zeros((1, weight.shape[1])), np.cumsum(weight[d.frame[tops]], axis=0)])
        for replicate, limit in enumerate(limits):
            reached = np.searchsorted(-scores[tops], -limit, side="right")
            wrong[start + replicate] = above[reached, replicate]
        wrong[these] -= bits[counted[last.detection]].sum(0)
    marked = found + wrong
    shares = [np.divide(v, marked, out=np.zeros_like(v), where=marked > 0) for v in (found, alike)]
    return _monotone(shares[0]), _monotone(shares[1])


def _monotone(curve: np.ndarray) -> np.ndarray:
    return np.maximum.accumulate(curve[:, ::-1], axis=1)[:, ::-1]


def _sorted(pairs: _Pairs, preference: np.ndarray) -> _Pairs:
    """Sort pairs by label in file order, then by its preference (smallest first), then by detection in file order."""
    return pairs.where(np.lexsort([pairs.detection, preference, pairs.label]))


def _assign(pairs: _Pairs, frame_of: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Assign greedily: from (pairs, replicates) bits where a pair's detection exists to bits where its label takes it.

    pairs are in the order in which they are tried. Frames don't touch each other, so the n-th pairs of all frames are
    tried together.
    """
    taken = np.zeros_like(there)
    if not len(there):
        return taken
    frame = frame_of[pairs.label]
    starts = np.flatnonzero(np.concatenate([[True], frame[1:] != frame[:-1]]))
    lengths = np.diff(np.append(starts, len(frame)))
    _, label = np.unique(pairs.label, return_inverse=True)
    _, first, detection = np.unique(pairs.detection, return_index=True, return_inverse=True)
    free = there[first]
    open_ = np.full((label[-1] + 1, there.shape[1]), _ALL)
    for n in range(lengths.max()):
        now = starts[lengths > n] + n
        bits = free[detection[now]] & open_[label[now]]
        free[detection[now]] ^= bits
        open_[label[now]] ^= bits
        taken[now] = bits
    return taken


def _thresholds(scores: np.ndarray, weights: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Return scores at which precision is measured: (replicates, 41), descending, infinite where there are fewer.

    scores: (hits,) of the first pass, descending; weights: (hits, replicates); totals: (replicates,) valid labels.

    The official program walks down the scores and keeps one whenever the recall there is nearer to the next recall step
    than the recall of the following score; the last one is kept always. The step adds 1/40 to a double, and the recalls
    are quotients of doubles: both decide exact ties, so both are repeated here.
    """
    ends = np.cumsum(weights, axis=0)
    sizes = ends[-1] if len(scores) else np.zeros(len(totals), np.int64)
    indices = np.zeros((len(totals), RECALL_POINTS), np.int64)
    counts = np.zeros(len(totals), np.int64)
    following = np.zeros(len(totals), np.int64)
    recall = 0.0
    for point in range(min(RECALL_POINTS, sizes.max(initial=0))):
        # The first index at which (i + 2) / n - recall >= recall - (i + 1) / n: near n * recall - 1.5.
        index = np.maximum(np.ceil(totals * recall - 1.5).astype(np.int64) - 1, following)
        for _ in range(2):
            index = index + ((index + 2) / totals - recall < recall - (index + 1) / totals)
        indices[:, point] = index = np.minimum(index, sizes - 1)
        counts += following < sizes
        following = np.where(following < sizes, index + 1, following)
        recall += 1.0 / (RECALL_POINTS - 1.0)
    result = np.full(indices.shape, np.inf)
    for replicate, count in enumerate(counts):
        places = np.searchsorted(ends[:, replicate], indices[replicate, :count], side="right")
        result[replicate, :count] = scores[places]
    return result
