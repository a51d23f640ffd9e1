# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Fronts and BD-rate against values worked out by hand; drift of detections on made-up ones."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sicm_ros.benchmark.accuracy import Point
from sicm_ros.benchmark.association import nearest_free
from sicm_ros.benchmark.config import DatasetConfig
from sicm_ros.benchmark.curves import Front, bd_rate, increasing, kbit_per_s, size_of
from sicm_ros.benchmark.drift import drift
from sicm_ros.benchmark.pseudo import accuracy, truth_of
from sicm_ros.benchmark.results import DatasetResults, Measured
from sicm_ros.benchmark.run import Setting
from sicm_ros.benchmark.store import groups_of
from sicm_ros.geometry import Detections
from sicm_ros.kitti import Labels, from_detections

DOCS = Path(__file__).resolve().parents[1] / "docs"
LINE = [(100.0, 10.0), (1000.0, 20.0), (10000.0, 30.0)]  # ten times the bytes, ten points


def test_front_keeps_what_no_variant_beats():
    front = Front.of([(100, 10), (400, 25), (700, 26)], [(200, 9), (500, 24), (600, 25.5)], [(50, 1)])
    assert front.sizes.tolist() == [50, 100, 400, 600, 700]
    assert front.ap.tolist() == [1, 10, 25, 25.5, 26]


def test_luck_is_averaged_away():
    front = Front.of([(300, 20), (100, 10), (200, 22), (400, 30)])  # 22 before 20: 21 twice
    assert front.sizes.tolist() == [100, 200, 400]
    assert front.ap.tolist() == [10, 21, 30]


def test_front_interpolates_over_the_logarithm_of_the_rate():
    front = Front.of(LINE)
    assert front.ap_at(1000) == pytest.approx(20)
    assert front.ap_at(10**2.5) == pytest.approx(15)
    assert front.size_at(25) == pytest.approx(10**3.5)


def test_front_says_nothing_about_rates_below_its_own():
    front = Front.of(LINE)
    assert front.ap_at(99) is None
    assert front.ap_at(1e6) == 30  # nobody has to spend them all
    assert front.size_at(30.1) is None
    assert front.size_at(5) == 100  # its cheapest point is better than asked for
    assert Front.of([]).ap_at(1000) is None


def test_half_the_bits_are_minus_fifty_per_cent():
    found = bd_rate(Front.of(LINE), Front.of([(size / 2, ap) for size, ap in LINE]))
    assert found.percent == pytest.approx(-50)
    assert found.overlap == pytest.approx(1)


def test_bd_rate_averages_the_logarithm():
    # From the same bytes at AP 10 to a tenth of them at AP 30: on average 10^-0.5 of the bytes.
    found = bd_rate(Front.of(LINE), Front.of([(100, 10), (10**2.5, 20), (1000, 30)]))
    assert found.percent == pytest.approx(100 * (10**-0.5 - 1))


def test_bd_rate_is_taken_where_both_curves_are():
    found = bd_rate(Front.of(LINE), Front.of([(100, 20), (1000, 30), (10000, 40)]))
    assert found.percent == pytest.approx(-90)
    assert found.overlap == pytest.approx(1 / 3)


def test_bd_rate_ignores_a_variant_that_another_beats():
    better, worse = [(size / 2, ap) for size, ap in LINE], [(4000.0, 12.0)]
    assert bd_rate(Front.of(LINE), Front.of(worse, better)).percent == pytest.approx(-50)


@pytest.mark.parametrize(
    ("points", "reason"),
    [([(10, 40), (20, 50), (30, 60)], "no AP that both reach"), ([(10, 10), (20, 20)], "3 and 2 points")],
)
def test_bd_rate_is_refused_with_a_reason(points, reason):
    found = bd_rate(Front.of(LINE), Front.of(points))
    assert found.percent is None
    assert reason in found.reason


def test_kbit_at_ten_hertz():
    assert kbit_per_s(800) == 64
    assert size_of(64) == 800


def detections(*cars: tuple[float, float, float, int]) -> Detections:
    """(x, z, score, class) of each."""
    table = np.array(cars, np.float64).reshape(-1, 4)
    n = len(table)
    location = np.stack([table[:, 0], np.full(n, 1.6), table[:, 1]], 1)
    sizes = np.tile([1.5, 1.6, 3.9], (n, 1))
    return Detections(table[:, 3].astype(int), table[:, 2], location, sizes, np.zeros(n), np.zeros((n, 4)))


def test_drift_counts_kept_lost_and_new():
    before = detections((0, 10, 0.9, 0), (5, 20, 0.8, 0), (9, 9, 0.1, 0))
    after = detections((0.5, 10, 0.9, 0), (5, 20, 0.9, 1), (-5, 30, 0.7, 0))
    found = drift([before], [after])
    assert (found.kept, found.lost, found.new) == (1, 1, 2)  # another class is another object, low scores are none
    assert found.displacement == pytest.approx(0.5)
    assert found.agreement == pytest.approx(2 / 5)


def test_an_object_is_kept_once():
    found = drift([detections((0, 10, 0.9, 0))], [detections((0.2, 10, 0.5, 0), (0.1, 10, 0.9, 0))])
    assert (found.kept, found.lost, found.new) == (1, 0, 1)
    assert found.displacement == pytest.approx(0.1)


def test_nothing_on_either_side_is_no_agreement():
    assert drift([detections()], [detections()]).agreement is None


def test_the_first_takes_the_nearest_and_the_next_what_is_left():
    apart = np.array([[3.0, 1.0, np.inf], [2.0, 0.5, np.inf], [0.1, np.inf, np.inf]])
    assert nearest_free(apart).tolist() == [1, 0, -1]
    assert apart[0, 1] == 1.0
    assert nearest_free(np.zeros((2, 0))).tolist() == [-1, -1]
    assert nearest_free(np.zeros((0, 2))).tolist() == []


def curve(name: str, *points: tuple[float, float]) -> list[Measured]:
    """Points (bytes a pair, AP) of a curve, AP alike at all overlaps and levels."""

    def measured(size: float, ap: float) -> Measured:
        figures = {c: {m: {f"{o:.2f}": {"R40": [ap] * 3} for o in (0.25, 0.5, 0.7)} for m in ("3d", "bev")}
                   for c in ("Car", "Pedestrian", "Cyclist")}  # fmt: skip
        point = Point(0.5, size * 1e-5, size, figures, figures, None, 0, {})
        return Measured(Setting(name, "", 0.5, "", ()), "default", point)

    return [measured(*point) for point in points]


@pytest.mark.parametrize(("reference", "percent"), [("ours", -75.0), ("ablation_whole", -50.0)])
def test_ablations_are_compared_with_what_was_trained_as_long(reference, percent):
    sizes, ap = np.array([100.0, 300.0, 1000.0]), [20.0, 40.0, 60.0]
    curves = {
        "ours": curve("ours", *zip(sizes, ap)),
        "ablation_whole": curve("ablation_whole", *zip(2 * sizes, ap)),
        "ablation_apart": curve("ablation_apart", *zip(4 * sizes, ap)),
        "vvc": curve("vvc", *zip(8 * sizes, ap)),
    }
    tree = DatasetResults("real", DatasetConfig(), (), curves, None, 0, reference).tree()
    assert tree["bd_rate_of_ablations"]["apart"]["AP3D"] == pytest.approx(percent, abs=1)
    assert ("whole" in tree["bd_rate_of_ablations"]) == (reference == "ours")
    assert tree["bd_rate"] == {"vvc": {m: pytest.approx(-87.5, abs=1) for m in ("AP3D", "APBEV")}}


def test_the_table_of_ablations_tells_what_each_reaches():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[bench]'")
    from sicm_ros.benchmark.publish import ablations

    sizes, ap = np.array([100.0, 300.0, 1000.0]), [20.0, 40.0, 60.0]
    curves = {
        "ours": curve("ours", *zip(sizes, ap)),
        "ablation_whole": curve("ablation_whole", *zip(2 * sizes, ap)),
        "ablation_one_view": curve("ablation_one_view", *zip(4 * sizes, ap)),
    }
    tree = DatasetResults("real", DatasetConfig(), (), curves, None, 0, "ablation_whole").tree()
    assert ablations(tree).splitlines()[2:] == [
        "| nothing |  |  | 200 600 2,000 | 20.0 40.0 60.0 |",
        "| one view | -50.0 % / -50.0 % | 1.00 / 1.00 | 400 1,200 4,000 | 20.0 40.0 60.0 |",
    ]


def test_the_best_increasing_fit_is_flat_where_values_fall():
    np.testing.assert_allclose(increasing(np.array([1.0, 3, 2, 2, 5, 4, 9])), [1, 7 / 3, 7 / 3, 7 / 3, 4.5, 4.5, 9])
    np.testing.assert_allclose(increasing(np.array([3.0, 2, 1])), [2, 2, 2])
    values = np.random.default_rng(0).standard_normal(40).cumsum()
    fit = increasing(values)
    assert (np.diff(fit) >= 0).all()
    assert fit.sum() == pytest.approx(values.sum())  # each flat part has the mean of what it stands for
    for shift in np.random.default_rng(1).standard_normal((200, 40)):
        other = np.sort(fit + 0.1 * shift)
        assert ((other - values) ** 2).sum() >= ((fit - values) ** 2).sum()


def test_detections_on_uncompressed_images_stand_in_for_labels():
    def found(*cars: tuple[float, float, float, int]) -> Labels:
        boxes = from_detections(detections(*cars))
        return replace(
            boxes, image_boxes=np.tile([100.0, 100, 200, 160], (len(cars), 1)) + 10 * np.arange(len(cars))[:, None]
        )

    frames = [found(*((x, 10.0 + x, 0.9 - 0.005 * x, 0) for x in range(0, 60, 6)), (70, 30, 0.2, 0)) for _ in range(5)]
    truth = [truth_of(frame) for frame in frames]
    assert [len(frame) for frame in truth] == [10] * 5  # a score of 0.2 is nothing to hold others against
    assert truth[0].scores is None
    assert accuracy(truth, frames)["AP3D"] == pytest.approx(100)
    lost = [frame[np.arange(len(frame)) % 2 == 0] for frame in frames]
    assert 40 < accuracy(truth, lost)["AP3D"] < 60
    moved = [replace(frame, location=frame.location + np.array([0, 0, 5.0])) for frame in frames]
    assert accuracy(truth, moved) == {"AP3D": 0, "APBEV": 0}


def test_a_bd_rate_that_is_none_says_why():
    assert bd_rate(Front.of(LINE), Front.of([(size / 2, ap) for size, ap in LINE])).text() == "-50.0 %"
    assert bd_rate(Front.of(LINE), Front.of(LINE[:2])).text().startswith("none (3 and 2 points on the fronts")


def test_a_sequence_ends_with_its_drive():
    names = [f"2011_09_26_0009_{i:010}" for i in range(5)] + [f"2011_09_26_0056_{i:010}" for i in range(3)]
    assert [len(group) for group in groups_of(names, 4)] == [4, 1, 3]
    assert [len(group) for group in groups_of(["000000", "000001", "000002"], 2)] == [2, 1]


def test_pages_agree_with_the_run():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install '.[bench]'")
    from sicm_ros.benchmark.publish import rewritten
    from sicm_ros.benchmark.table import read_table

    results = json.loads((DOCS / "benchmark" / "results.json").read_text())
    page = (DOCS / "benchmark.md").read_text()
    assert "<!-- run: codecs real -->" in page
    assert rewritten(page, results) == page
    rows = {(row["Dataset"], row["anchor"], row["variant"], row["detector"], row["qp"]): row
            for row in read_table(DOCS / "benchmark" / "rd.csv")}  # fmt: skip
    points = {
        (name, anchor, point["variant"], point["detector"], f"{point['quality']:g}"): point
        for name, tree in results["datasets"].items()
        for anchor, curve in tree["curves"].items()
        for point in curve
    }
    assert set(rows) == set(points)
    for key, point in points.items():
        assert float(rows[key]["bitrate (kbps)"]) == pytest.approx(point["kbit_per_s"], abs=1e-3)
        assert float(rows[key]["end_accuracy"]) == pytest.approx(point["AP3D"]["0.5"]["moderate"], abs=0.006)
    real = results["datasets"]["real"]
    (half,) = [point for point in real["curves"]["ours"] if point["quality"] == 0.5]
    readme = (DOCS.parent / "README.md").read_text()
    both = [
        " / ".join(f"{p[m]['0.5']['moderate']:.1f}" for m in ("AP3D", "APBEV")) for p in (half, real["uncompressed"])
    ]
    assert f"| bytes per pair | {half['bytes_per_pair']:,.0f} (" in readme
    assert f"| {both[0]} | the same detector without coding: {both[1]}" in readme
