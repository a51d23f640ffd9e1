# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""KITTI's evaluation: against hand-computed cases, against the rules written as plain loops, and by its properties."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sicm_ros.errors import InputError
from sicm_ros.kitti import Labels, bootstrap, evaluate
from sicm_ros.kitti.evaluation import _thresholds
from sicm_ros.kitti.labels import parse_labels
from sicm_ros.kitti.overlap import ground_intersections

LABEL_COLUMNS = ["name", "truncated", "occluded", "alpha", "x1", "y1", "x2", "y2", "h", "w", "l", "x", "y", "z", "ry"]
OVERLAPS = {"Car": (0.7, 0.5), "Pedestrian": (0.5, 0.25), "Cyclist": (0.5, 0.25)}


# ---------------------------------------------------------------------------------------------------------------------
# The rules as plain loops (docs/evaluation.md), for comparison


def rows(labels: Labels) -> list[dict]:
    result = []
    for i in range(len(labels)):
        numbers = [*labels.image_boxes[i], *labels.dimensions[i], *labels.location[i], labels.rotation_y[i]]
        head = [str(labels.names[i]).lower(), labels.truncated[i], labels.occluded[i], labels.alpha[i]]
        row = dict(zip(LABEL_COLUMNS, head + [float(n) for n in numbers]))
        row["score"] = None if labels.scores is None else float(labels.scores[i])
        result.append(row)
    return result


def footprint(o: dict) -> list[tuple[float, float]]:
    c, s = math.cos(o["ry"]), math.sin(o["ry"])
    corners = [
        (o["l"] / 2, o["w"] / 2),
        (o["l"] / 2, -o["w"] / 2),
        (-o["l"] / 2, -o["w"] / 2),
        (-o["l"] / 2, o["w"] / 2),
    ]
    return [(c * u + s * v + o["x"], -s * u + c * v + o["z"]) for u, v in corners]


def polygon_area(p: list[tuple[float, float]]) -> float:
    return abs(sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(p, p[1:] + p[:1]))) / 2


def shared_area(subject: list, clip: list) -> float:
    """Sutherland and Hodgman (1974); clip runs clockwise."""
    for a, b in zip(clip, clip[1:] + clip[:1]):
        result = []

        def inside(p, a=a, b=b):
            return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])

        for p, q in zip(subject, subject[1:] + subject[:1]):
            sp, sq = inside(p), inside(q)
            if sp <= 0:
                result.append(p)
            if (sp < 0 < sq) or (sq < 0 < sp):
                t = sp / (sp - sq)
                result.append((p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])))
        subject = result
        if not subject:
            return 0.0
    return polygon_area(subject)


def plain_overlap(metric: str, d: dict, g: dict, over_detection: bool = False) -> float:
    if metric == "bbox":
        w = min(d["x2"], g["x2"]) - max(d["x1"], g["x1"])
        h = min(d["y2"], g["y2"]) - max(d["y1"], g["y1"])
        if w <= 0 or h <= 0:
            return 0.0
        own, other = ((o["x2"] - o["x1"]) * (o["y2"] - o["y1"]) for o in (d, g))
        return w * h / (own if over_detection else own + other - w * h)
    if min(d["l"], d["w"], g["l"], g["w"]) <= 0:
        return 0.0
    shared = shared_area(footprint(d), footprint(g))
    if metric == "bev":
        return shared / (d["l"] * d["w"] + g["l"] * g["w"] - shared)
    shared *= max(0.0, min(d["y"], g["y"]) - max(d["y"] - d["h"], g["y"] - g["h"]))
    return shared / (d["l"] * d["w"] * d["h"] + g["l"] * g["w"] * g["h"] - shared)


def plain_match(metric, limit, level, of_class, labels, detections, threshold):
    """(tp scores, tp likeness, fp) of one frame; threshold None: the pass that looks for thresholds."""
    minimum = (40, 25, 25)[level]
    neighbour = {"car": "van", "pedestrian": "person_sitting"}.get(of_class)
    short = [abs(d["y2"] - d["y1"]) < minimum for d in detections]
    free = [
        (s or d["name"] == of_class) and (threshold is None or d["score"] >= threshold)
        for d, s in zip(detections, short)
    ]
    scores, likeness = [], []
    for g in labels:
        if g["name"] not in (of_class, neighbour):
            continue
        ignored = (
            g["name"] == neighbour
            or g["occluded"] > (0, 1, 2)[level]
            or g["truncated"] > (0.15, 0.3, 0.5)[level]
            or g["y2"] - g["y1"] < minimum
        )
        best, best_key = None, None
        for j, d in enumerate(detections):
            share = plain_overlap(metric, d, g) if free[j] else 0.0
            if share > limit:
                if threshold is None:
                    key = (d["score"],)
                else:
                    key = (0, 0) if short[j] else (1, share)
                if best is None or key > best_key:
                    best, best_key = j, key
        if best is not None:
            free[best] = False
            if not ignored and not short[best]:
                scores.append(detections[best]["score"])
                likeness.append((1 + math.cos(g["alpha"] - detections[best]["alpha"])) / 2)
    wrong = [d for d, f, s in zip(detections, free, short) if f and not s]
    if metric == "bbox":
        stuff = [g for g in labels if g["name"] == "dontcare"]
        wrong = [d for d in wrong if not any(plain_overlap("bbox", d, g, True) > limit for g in stuff)]
    valid = sum(
        g["name"] == of_class
        and g["occluded"] <= (0, 1, 2)[level]
        and g["truncated"] <= (0.15, 0.3, 0.5)[level]
        and g["y2"] - g["y1"] >= minimum
        for g in labels
    )
    return scores, likeness, len(wrong), valid


def plain_curves(frames, metric, limit, level, of_class) -> tuple[list[float], list[float]]:
    hits, valid = [], 0
    for labels, detections in frames:
        scores, _, _, count = plain_match(metric, limit, level, of_class, labels, detections, None)
        hits += scores
        valid += count
    precision, similarity = [0.0] * 41, [0.0] * 41
    for t, threshold in enumerate(plain_thresholds(hits, valid)):
        tp, fp, like = 0, 0, 0.0
        for labels, detections in frames:
            scores, likeness, wrong, _ = plain_match(metric, limit, level, of_class, labels, detections, threshold)
            tp, fp, like = tp + len(scores), fp + wrong, like + sum(likeness)
        if tp + fp:
            precision[t], similarity[t] = tp / (tp + fp), like / (tp + fp)
    return tuple([max(curve[i:]) for i in range(41)] for curve in (precision, similarity))


def plain_thresholds(hits, valid) -> list[float]:
    hits, thresholds, recall = sorted(hits, reverse=True), [], 0.0
    for i, score in enumerate(hits):
        here, following = (i + 1) / valid, (i + 2) / valid
        if i < len(hits) - 1 and following - recall < recall - here:
            continue
        thresholds.append(score)
        recall += 1 / 40
    return thresholds


def plain_evaluate(labels, detections) -> dict:
    frames = [(rows(a), rows(b)) for a, b in zip(labels, detections)]
    oriented = all(d["alpha"] != -10 for _, ds in frames for d in ds)
    figures: dict = {}
    for of_class, limits in OVERLAPS.items():
        detected = any(d["name"] == of_class.lower() for _, ds in frames for d in ds)
        for metric in ("bbox", "bev", "3d"):
            for limit in limits[:1] if metric == "bbox" else limits:
                for level in range(3):
                    curves = plain_curves(frames, metric, limit, level, of_class.lower())
                    for name, curve in zip((metric, "aos"), curves):
                        if name == "aos" and (metric != "bbox" or not oriented):
                            continue
                        curve = curve if detected else [0.0] * 41
                        entry = figures.setdefault(of_class, {}).setdefault(name, {}).setdefault(f"{limit:.2f}", {})
                        entry.setdefault("R40", []).append(100 * sum(curve[1:]) / 40)
                        entry.setdefault("R11", []).append(100 * sum(curve[::4]) / 11)
    return figures


def flat(figures: dict, prefix: tuple = ()) -> dict[tuple, float]:
    if isinstance(figures, list):
        return {(*prefix, i): value for i, value in enumerate(figures)}
    return {k: v for name, branch in figures.items() for k, v in flat(branch, (*prefix, name)).items()}


def assert_same(a: dict, b: dict) -> None:
    a, b = flat(a), flat(b)
    assert a.keys() == b.keys()
    worst = max(a, key=lambda key: abs(a[key] - b[key]))
    assert a[worst] == pytest.approx(b[worst], abs=1e-6), worst


# ---------------------------------------------------------------------------------------------------------------------
# Scenes


def line(
    name, box, place=(0.0, 1.6, 20.0), size=(1.5, 1.6, 4.0), ry=0.0, truncated=0.0, occluded=0, alpha=0.0, score=None
):
    words = [name, truncated, occluded, alpha, *box, *size, *place, ry] + ([] if score is None else [score])
    return " ".join(str(word) for word in words)


def labels_of(*lines: str) -> Labels:
    return parse_labels("\n".join(lines), "labels")


def detections_of(*lines: str) -> Labels:
    return parse_labels("\n".join(lines), "detections", scored=True)


SIZES = {"car": (1.5, 1.6, 3.9), "van": (2.2, 1.9, 5.1)}
NAMES = ["Car", "Car", "Car", "Van", "Pedestrian", "Person_sitting", "Cyclist", "DontCare", "Truck", "car"]


def random_frame(rng: random.Random, coarse: bool) -> tuple[Labels, Labels]:
    """Labels and detections near them; coarse ones share scores and boxes, so that ties happen."""
    lines, found = [], []
    for _ in range(rng.randrange(7)):
        name = rng.choice(NAMES)
        x, y = rng.uniform(0, 300), rng.uniform(100, 200)
        width, height = rng.uniform(20, 120), rng.choice([rng.uniform(15, 80), 25, 40, 30])
        if coarse:
            x, y, width, height = (10 * round(v / 10) for v in (x, y, width + 10, height + 5))
        box = [x, y, x + width, y + height]
        size = [s * rng.uniform(0.9, 1.1) for s in SIZES.get(name.lower(), (1.7, 0.6, 0.9))]
        place = [rng.uniform(-6, 6), 1.6, rng.uniform(5, 20)]
        ry, alpha = rng.uniform(-3, 3), rng.uniform(-3, 3)
        if name == "DontCare":
            lines.append(line(name, box, (-1000,) * 3, (-1,) * 3, -10, -1, -1, -10))
        else:
            truncated = rng.choice([0, 0, 0, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7])
            lines.append(line(name, box, place, size, ry, truncated, rng.choice([0, 0, 0, 1, 2, 3]), alpha))
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            noise = 0.0 if coarse and rng.random() < 0.5 else rng.choice([0.3, 1, 3])
            near = [v + rng.gauss(0, 2 * noise) for v in box]
            score = round(rng.random(), 1 if coarse else 6)
            moved = [v + rng.gauss(0, 0.1 * noise) for v in place]
            guess = (
                name if name in ("Car", "Pedestrian", "Cyclist") and rng.random() < 0.85 else rng.choice(list(OVERLAPS))
            )
            turned = ry + rng.gauss(0, 0.1 * noise)
            found.append(line(guess, near, moved, size, turned, -1, -1, alpha + rng.gauss(0, 0.3), score))
    rng.shuffle(found)
    return labels_of(*lines), detections_of(*found)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 32), frames=st.sampled_from([1, 2, 5, 12]), coarse=st.booleans())
def test_figures_are_those_of_the_rules_written_as_loops(seed, frames, coarse):
    rng = random.Random(seed)
    labels, detections = zip(*(random_frame(rng, coarse) for _ in range(frames)))
    if rng.random() < 0.2:
        detections = (Labels.empty(scored=True), *detections[1:])
    assert_same(evaluate(labels, detections), plain_evaluate(labels, detections))


@settings(max_examples=100, deadline=None)
@given(
    scores=st.lists(st.integers(0, 60), max_size=150),
    missed=st.integers(0, 60),
    weights_seed=st.integers(0, 1 << 16),
)
def test_thresholds_of_repeated_frames_are_those_of_repeated_scores(scores, missed, weights_seed):
    scores = np.sort(np.array(scores, float))[::-1]
    weights = np.random.default_rng(weights_seed).integers(0, 3, (len(scores), 2))
    weights[:, 0] = 1
    totals = weights.sum(0) + missed
    result = _thresholds(scores, weights, np.maximum(totals, 1))
    for replicate in range(2):
        expected = plain_thresholds(list(np.repeat(scores, weights[:, replicate])), totals[replicate])
        assert len(expected) <= 41
        assert result[replicate, : len(expected)].tolist() == expected
        assert np.isinf(result[replicate, len(expected) :]).all()


# ---------------------------------------------------------------------------------------------------------------------
# Hand-computed cases: 100 px tall cars unless the case is about height

BOX = (100, 100, 200, 200)


def car(offset: float = 0, **changes) -> str:
    box = changes.pop("box", (100 + offset, 100, 200 + offset, 200))
    return line("Car", box, (offset / 10, 1.6, 20), **changes)


def ap(labels, detections, metric="3d", overlap="0.70", of_class="Car", points="R40"):
    return evaluate(labels, detections)[of_class][metric][overlap][points]


@pytest.mark.parametrize("count", [1, 2, 17, 40, 41, 60])
def test_perfect_detections_of_n_objects_give_n_minus_one_fortieths(count):
    labels = [labels_of(car()) for _ in range(count)]
    detections = [detections_of(car(score=1 - i / 100)) for i in range(count)]
    expected = 100 * min(count - 1, 40) / 40
    for metric, overlap in (("bbox", "0.70"), ("bev", "0.50"), ("3d", "0.70"), ("aos", "0.70")):
        assert ap(labels, detections, metric, overlap) == pytest.approx([expected] * 3)


def test_half_of_the_objects_found_give_half_of_the_curve():
    labels = [labels_of(car()) for _ in range(80)]
    detections = [detections_of(*([car(score=0.9)] if i % 2 else [])) for i in range(80)]
    # 40 hits of 80: recall 0, 1/40 ... 20/40 has thresholds, 20 of the 40 points count.
    assert ap(labels, detections)[1] == pytest.approx(50, abs=1.3)


def test_overlap_must_exceed_the_limit():
    labels = [labels_of(line("Car", (0, 0, 100, 100))) for _ in range(41)]
    exactly = [detections_of(line("Car", (0, 0, 70, 100), score=0.5)) for _ in range(41)]
    more = [detections_of(line("Car", (0, 0, 70.1, 100), score=0.5)) for _ in range(41)]
    assert ap(labels, exactly, "bbox") == [0, 0, 0]
    assert ap(labels, more, "bbox") == pytest.approx([100] * 3)


def test_van_taken_for_a_car_is_neither_hit_nor_miss_but_a_truck_is_a_mistake():
    def figures(name):
        labels = [labels_of(car(), line(name, (300, 100, 400, 200), (20, 1.6, 20))) for _ in range(50)]
        other = line("Car", (300, 100, 400, 200), (20, 1.6, 20), score=0.9)
        return ap(labels, [detections_of(car(score=0.8), other) for _ in range(50)])[0]

    assert figures("Van") == pytest.approx(100)
    assert figures("Truck") == pytest.approx(50)


def test_dont_care_spares_detections_in_the_image_alone():
    region = line("DontCare", (290, 90, 420, 210), (-10, -1, -1), (-1000,) * 3, -10, -1, -1, -10)
    labels = [labels_of(car(), region) for _ in range(50)]
    stray = line("Car", (300, 100, 400, 200), (20, 1.6, 20), score=0.9)
    detections = [detections_of(car(score=0.8), stray) for _ in range(50)]
    assert ap(labels, detections, "bbox")[0] == pytest.approx(100)
    assert ap(labels, detections, "bev")[0] == pytest.approx(50)
    assert ap(labels, detections, "3d")[0] == pytest.approx(50)


def test_short_detections_are_ignored_whatever_their_class():
    labels = [labels_of(car()) for _ in range(50)]
    stray = line("Car", (300, 100, 400, 130), (20, 1.6, 20), score=0.9)  # 30 px: short for easy alone
    easy, moderate, hard = ap(labels, [detections_of(car(score=0.8), stray) for _ in range(50)])
    assert easy == pytest.approx(100)
    assert moderate == hard == pytest.approx(50)
    # A short pedestrian on the car, with the higher score, claims it where thresholds are looked for: no hit is left.
    short = line("Pedestrian", (100, 100, 200, 120), (0, 1.6, 20), score=0.95)
    assert ap(labels, [detections_of(car(score=0.8), short) for _ in range(50)])[1] == 0


def test_difficulty_limits_are_kilometre_stones():
    cases = [  # truncated, occluded, height, counted at easy, moderate, hard
        (0.15, 0, 40, (1, 1, 1)),
        (0.16, 0, 40, (0, 1, 1)),
        (0.30, 1, 25, (0, 1, 1)),
        (0.31, 1, 25, (0, 0, 1)),
        (0.50, 2, 25, (0, 0, 1)),
        (0.51, 2, 25, (0, 0, 0)),
        (0.00, 3, 99, (0, 0, 0)),
        (0.00, 0, 24.9, (0, 0, 0)),
        (1.00, 0, 99, (0, 0, 0)),  # the tracking set's grade "partly truncated"
    ]
    for truncated, occluded, height, counted in cases:
        box = (100, 100, 200, 100 + height)
        labels = [labels_of(car(box=box, truncated=truncated, occluded=occluded)) for _ in range(41)]
        detections = [detections_of(car(box=box, score=0.5)) for _ in range(41)]
        assert ap(labels, detections) == pytest.approx([100 * c for c in counted]), (truncated, occluded, height)


def test_class_names_compare_without_case():
    labels = [labels_of(car().replace("Car", "car")) for _ in range(41)]
    assert ap(labels, [detections_of(car(score=0.5).replace("Car", "CAR")) for _ in range(41)]) == pytest.approx(
        [100] * 3
    )


def test_empty_detection_file_counts_its_objects_as_missed():
    labels = [labels_of(car()) for _ in range(82)]
    detections = [detections_of(car(score=0.5)) for _ in range(41)] + [Labels.empty(scored=True)] * 41
    assert ap(labels, detections)[0] == pytest.approx(50, abs=1.3)


def test_orientation_similarity_falls_with_the_angle_and_is_off_where_an_alpha_is_unknown():
    labels = [labels_of(car()) for _ in range(41)]
    across = [detections_of(car(score=0.5, alpha=math.pi / 2)) for _ in range(41)]
    assert ap(labels, across, "aos") == pytest.approx([50] * 3)
    unknown = [detections_of(car(score=0.5, alpha=-10)), *across[1:]]
    assert "aos" not in evaluate(labels, unknown)["Car"]


def test_heights_count_from_the_bottom_upwards():
    labels = [labels_of(line("Car", BOX, (0, 1.6, 20), (1.5, 1.6, 4.0))) for _ in range(41)]
    # 0.3 m lower: 1.2 of 1.8 m shared, 0.667; 0.2 m lower: 1.3 of 1.7 m, 0.765.
    lower = [detections_of(line("Car", BOX, (0, 1.9, 20), (1.5, 1.6, 4.0), score=0.5)) for _ in range(41)]
    less = [detections_of(line("Car", BOX, (0, 1.8, 20), (1.5, 1.6, 4.0), score=0.5)) for _ in range(41)]
    assert ap(labels, lower)[0] == 0
    assert ap(labels, less)[0] == pytest.approx(100)
    assert ap(labels, lower, "bev")[0] == pytest.approx(100)


def test_class_that_is_never_detected_has_zero():
    labels = [labels_of(car(), line("Cyclist", (300, 100, 400, 200)))]
    assert ap(labels, [detections_of(car(score=0.5))], of_class="Cyclist", overlap="0.50") == [0, 0, 0]


def test_frames_must_belong_together():
    with pytest.raises(InputError, match="same frames"):
        evaluate([Labels.empty()], [])
    with pytest.raises(InputError, match="score"):
        evaluate([labels_of(car())], [labels_of(car())])


# ---------------------------------------------------------------------------------------------------------------------
# Properties


def random_set(seed: int, frames: int = 30) -> tuple[list[Labels], list[Labels]]:
    rng = random.Random(seed)
    labels, detections = zip(*(random_frame(rng, coarse=False) for _ in range(frames)))
    return list(labels), list(detections)


@pytest.mark.parametrize("seed", range(3))
def test_order_of_detections_and_of_frames_does_not_matter(seed):
    labels, detections = random_set(seed)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    shuffled = [detections[i][rng.permutation(len(detections[i]))] for i in order]
    assert_same(evaluate(labels, detections), evaluate([labels[i] for i in order], shuffled))


@pytest.mark.parametrize("seed", range(3))
def test_a_false_positive_never_raises_ap(seed):
    labels, detections = random_set(seed)
    before = flat(evaluate(labels, detections))
    rng = random.Random(seed)
    for name in OVERLAPS:
        stray = detections_of(line(name, (900, 100, 960, 180), (60, 1.6, 60), score=rng.random(), alpha=0.3))
        joined = Labels(
            *(np.concatenate([getattr(detections[3], f), getattr(stray, f)]) for f in Labels.__dataclass_fields__)
        )
        after = flat(evaluate(labels, [*detections[:3], joined, *detections[4:]]))
        assert all(after[key] <= before[key] + 1e-9 for key in before)


def test_scores_matter_by_their_order_alone():
    labels, detections = random_set(5)
    stretched = [
        Labels(**{**{f: getattr(d, f) for f in Labels.__dataclass_fields__}, "scores": 7 * d.scores**3 - 2})
        for d in detections
    ]
    assert_same(evaluate(labels, detections), evaluate(labels, stretched))


def test_intervals_hold_the_figures_and_narrow_with_more_frames():
    labels, detections = random_set(7, 100)
    figures = evaluate(labels, detections)["Car"]
    few = bootstrap(labels, detections, replicates=60, seed=1)["Car"]
    many = bootstrap(labels * 5, detections * 5, replicates=60, seed=1)["Car"]
    for metric in ("bbox", "bev", "3d"):
        for limit, points in figures[metric].items():
            for level in (1, 2):
                (low, high), (lower, higher) = (side[metric][limit]["R40"][level] for side in (few, many))
                assert low < points["R40"][level] < high
                assert higher - lower < 0.7 * (high - low)


def test_interval_of_draws_without_change_is_the_figure():
    labels, detections = random_set(9, 1)
    figures, intervals = evaluate(labels, detections), bootstrap(labels, detections, replicates=5)
    for key, (low, high) in flat(intervals).items():
        assert low == high == pytest.approx(flat(figures)[key])


# ---------------------------------------------------------------------------------------------------------------------
# Rotated overlap

BOXES = st.tuples(
    st.floats(-4, 4), st.floats(-4, 4), st.floats(0.3, 6), st.floats(0.3, 3), st.floats(-7, 7), st.floats(-7, 7)
)


@settings(max_examples=200, deadline=None)
@given(st.lists(BOXES, min_size=1, max_size=8))
def test_ground_intersection_is_that_of_the_clipped_polygons(boxes):
    boxes = np.array(boxes)
    count = len(boxes)
    place = np.stack([boxes[:, 0], np.zeros(count), boxes[:, 1]], 1)
    size = np.stack([np.ones(count), boxes[:, 3], boxes[:, 2]], 1)
    unit = np.tile([1.0, 1.6, 4.0], (count, 1))
    ours = ground_intersections(place, size, boxes[:, 4], np.zeros((count, 3)), unit, boxes[:, 5])
    for i, (x, z, length, width, ry, other) in enumerate(boxes):
        a = {"x": x, "z": z, "l": length, "w": width, "ry": ry}
        b = {"x": 0.0, "z": 0.0, "l": 4.0, "w": 1.6, "ry": other}
        assert ours[i] == pytest.approx(shared_area(footprint(a), footprint(b)), abs=1e-9)


def test_identical_turned_and_enclosed_boxes_have_known_intersections():
    def area(a, b):
        (ax, az, al, aw, ar), (bx, bz, bl, bw, br) = a, b
        return ground_intersections(
            np.array([[ax, 0, az]], float), np.array([[1, aw, al]], float), np.array([ar], float),
            np.array([[bx, 0, bz]], float), np.array([[1, bw, bl]], float), np.array([br], float),
        )[0]  # fmt: skip

    assert area((1, 2, 4, 2, 0.3), (1, 2, 4, 2, 0.3)) == pytest.approx(8)
    assert area((1, 2, 4, 2, 0.3), (1, 2, 4, 2, 0.3 + math.pi)) == pytest.approx(8)
    assert area((0, 0, 4, 2, 0), (0, 0, 4, 2, math.pi / 2)) == pytest.approx(4)
    assert area((0, 0, 2, 2, 0), (0, 0, 2, 2, math.pi / 4)) == pytest.approx(8 * (math.sqrt(2) - 1))
    assert area((0, 0, 10, 10, 0.7), (1, 1, 1, 2, 0.2)) == pytest.approx(2)
    assert area((0, 0, 4, 2, 0), (4, 0, 4, 2, 0)) == 0
    assert area((0, 0, 4, 2, 0), (0, 0, -4, -2, 0)) == 0
