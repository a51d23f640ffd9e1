# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Maps to boxes, in NumPy: the same whatever computed the maps."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np

from sicm_ros.network.config import DetectorConfig, ScoreConfig
from sicm_ros.network.maps import HEADING_BINS, STRIDE, Maps, Rigs

# A box whose depth is off by this share of the object's length overlaps it by 0.7 at best, KITTI's stricter limit for
# cars; its score falls accordingly.
TOLERANCE = 0.18
# What a cell beside a peak says of the object counts if that is nearer to what the peak says than this share of the
# length: what is further away is another object.
SAME = 0.5
MIDDLE = 4  # of nine cells


@dataclass(frozen=True)
class Candidates:
    """Boxes of a pair at K centres, in the left camera's frame, arrays (K, ...).

    Attributes:
        classes, scores: of each candidate; a class is a place in the model's own list.
        location: (K, 3) centre of the bottom face, metres.
        dimensions: (K, 3) height, width, length, metres.
        rotation_y: (K,) radians.
        sigma: (K,) expected relative error of the depth, the scale of a Laplace distribution.
        turn: (K,) how far apart the bins of the heading's axis are that may be true, radians (`spread`).
        chances: (K, C) score of each of the model's classes at the candidate's place; its own class has the largest.
    """

    classes: np.ndarray
    scores: np.ndarray
    location: np.ndarray
    dimensions: np.ndarray
    rotation_y: np.ndarray
    sigma: np.ndarray
    turn: np.ndarray
    chances: np.ndarray


def boxes_at(maps: Maps, index: np.ndarray, mean: np.ndarray, rigs: Rigs) -> dict[str, np.ndarray]:
    """Return the boxes of flat cells (N,) of one pair; mean (N, 3) are the dimensions of their classes, metres."""
    width = maps.heat.shape[3]

    def said(name: str) -> np.ndarray:  # (N, channels)
        values = getattr(maps, name)[0]
        return values.reshape(len(values), -1)[:, index].T

    offset = said("offset")
    u = ((index % width) + 0.5 + offset[:, 0]) * STRIDE - 0.5
    v = ((index // width) + 0.5 + offset[:, 1]) * STRIDE - 0.5
    face = rigs.depth(np.exp(said("face").T))[0]
    z = face + np.logaddexp(0, said("depth_extent")[:, 0])
    x = (u - rigs.cx) / rigs.fx * z
    y = (v - rigs.cy) / rigs.fy * z
    dimensions = mean * np.exp(said("dimensions").clip(-1, 1))
    logits = said("heading_logits")
    axes = np.arange(HEADING_BINS) * np.float32(math.pi / HEADING_BINS) + said("heading_residuals")
    axis = np.take_along_axis(axes, logits.argmax(1)[:, None], 1)[:, 0]
    heading = np.where(said("front")[:, 0] > 0, axis, axis + math.pi)
    return {
        "location": np.stack([x, y + dimensions[:, 0] / 2, z], 1),
        "dimensions": dimensions,
        "rotation_y": np.remainder(heading + math.pi, 2 * math.pi) - math.pi,
        "sigma": np.exp(said("log_sigma")[:, 0].clip(-6, 1)),
        "turn": spread(axes, logits),
    }


def spread(axes: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Return circular standard deviation (Mardia) of axes modulo pi, radians: (..., N) angles and
    their logits -> (...).
    """
    chances = np.exp(logits - logits.max(-1, keepdims=True))
    chances /= chances.sum(-1, keepdims=True)
    mean = np.hypot((chances * np.cos(2 * axes)).sum(-1), (chances * np.sin(2 * axes)).sum(-1))
    return np.sqrt(-2 * np.log(mean.clip(1e-6, 1))) / 2  # of the doubled angles, halved


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return chances of logits."""
    return 1 / (1 + np.exp(-logits.clip(-80, 80)))


def calibrated(scores: np.ndarray, config: ScoreConfig, cut: np.ndarray, added: np.ndarray) -> np.ndarray:
    """Turn scores into chances.

    Args:
        cut: bool, objects that reach out of the image. added: what is added to the logits for their classes.
    """
    scores = scores.clip(1e-6, 1 - 1e-6)
    return sigmoid(config.slope * np.log(scores / (1 - scores)) + config.shift + config.cut * cut + added)


def reaches_out(
    location: np.ndarray, dimensions: np.ndarray, rotation_y: np.ndarray, fx: float, cx: float, width: int
) -> np.ndarray:
    """Return bool (...,): boxes (..., 3), (..., 3), (...,) that reach out of an image's left or right border."""
    length, wide = dimensions[..., 2], dimensions[..., 1]
    reach = (length * np.abs(np.cos(rotation_y)) + wide * np.abs(np.sin(rotation_y))) / 2
    x, z = location[..., 0], location[..., 2]
    return (cx + fx * (x - reach) / z < 0) | (cx + fx * (x + reach) / z > width - 1)


def _nine(index: np.ndarray, height: int, width: int) -> np.ndarray:
    """Map flat cells (K,) to (K, 9): with those around them, row by row; what lies outside is moved to the border."""
    steps = np.arange(-1, 2)
    rows = (index[:, None] // width + steps.repeat(3)).clip(0, height - 1)
    return rows * width + (index[:, None] % width + np.tile(steps, 3)).clip(0, width - 1)


def _peaks(heat: np.ndarray, count: int) -> np.ndarray:
    """Return flat places of the `count` highest local maxima of (C, H, W), highest first; of two alike, the first."""
    c, h, w = heat.shape
    around = np.full((c, h + 2, w + 2), -np.inf, heat.dtype)
    around[:, 1:-1, 1:-1] = heat
    highest = np.maximum(np.maximum(around[:, :-2], around[:, 1:-1]), around[:, 2:])
    highest = np.maximum(np.maximum(highest[:, :, :-2], highest[:, :, 1:-1]), highest[:, :, 2:])
    places = np.flatnonzero(heat == highest)
    values = heat.ravel()[places]
    if len(places) > count:
        kept = np.flatnonzero(values >= np.partition(values, -count)[-count])
        places, values = places[kept], values[kept]
    return places[np.argsort(-values, kind="stable")[:count]]


def candidates(maps: Maps, rigs: Rigs, config: DetectorConfig, count: int = 60) -> list[Candidates]:
    """Return the `count` strongest local maxima of the heat maps of each pair as boxes, best first.

    They are chosen by the heat; what they score is the heat times the chance that the depth is within TOLERANCE, if its
    error is Laplacian, as `calibrated`, and that orders them. A box lies where its cell and those around it say in the
    mean, weighted by the same: they see the object as well, and their errors are not quite the same.

    Args:
        maps, rigs: arrays, or tensors in main memory without gradients.
    """
    parts = [{f.name: np.asarray(getattr(of, f.name), np.float32) for f in fields(of)} for of in (maps, rigs)]
    pairs = len(parts[1]["fx"])
    of_pairs = [[{name: v[n : n + 1] for name, v in part.items()} for part in parts] for n in range(pairs)]
    return [_of_pair(Maps(**own), Rigs(**rig), config, count) for own, rig in of_pairs]


def _of_pair(maps: Maps, rigs: Rigs, config: DetectorConfig, count: int) -> Candidates:
    """Return `candidates` of a batch of one."""
    heat = maps.heat[0]
    _, h, w = heat.shape
    classes, index = np.divmod(_peaks(heat, count), h * w)
    cells = _nine(index, h, w)
    mean = np.array(list(config.classes.values()), np.float32)[classes]
    nine = boxes_at(maps, cells.ravel(), mean.repeat(9, 0), rigs)
    said = {name: values.reshape(*cells.shape, *values.shape[1:]) for name, values in nine.items()}
    boxes = {name: values[:, MIDDLE] for name, values in said.items()}

    length = boxes["dimensions"][:, None, 2]
    certainty = 1 - np.exp(-TOLERANCE * length / (said["sigma"] * said["location"][..., 2]))
    flat = heat.reshape(len(heat), -1)
    likely = sigmoid(flat[classes[:, None], cells]) * certainty
    apart = np.hypot(*(said["location"] - boxes["location"][:, None])[..., [0, 2]].transpose(2, 0, 1))
    weight = (likely * (apart < SAME * length))[..., None]
    with np.errstate(invalid="ignore"):  # a place that isn't finite is sorted out with the detections
        boxes["location"] = (said["location"] * weight).sum(1) / weight.sum(1)
    fx, cx = float(rigs.fx[0]), float(rigs.cx[0])
    cut = reaches_out(boxes["location"], boxes["dimensions"], boxes["rotation_y"], fx, cx, w * STRIDE)
    of_class = np.array([config.scores.of.get(name, 0.0) for name in config.classes])
    scores = calibrated(likely[:, MIDDLE], config.scores, cut, of_class[classes])
    all_likely = sigmoid(flat[:, index].T) * certainty[:, MIDDLE, None]
    chances = calibrated(all_likely, config.scores, cut[:, None], of_class)
    # A class that peaks in the next cell is a candidate there.
    boxes |= {"classes": classes, "scores": scores, "chances": np.minimum(chances, scores[:, None])}
    order = np.argsort(-scores, kind="stable")
    return Candidates(**{name: values[order] for name, values in boxes.items()})
