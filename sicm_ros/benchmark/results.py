# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A run's points as curves, and the figures that compare them: what results.json holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sicm_ros.benchmark import curves
from sicm_ros.benchmark.curves import BdRate, Front
from sicm_ros.benchmark.settings import ABLATION, OURS, STREAM, UNCOMPRESSED, Setting, settings
from sicm_ros.benchmark.store import TIMES, names_of, read_point
from sicm_ros.errors import InputError
from sicm_ros.kitti.evaluation import DIFFICULTIES, LOOSE, STRICT

if TYPE_CHECKING:
    from sicm_ros.benchmark.config import BenchmarkConfig, DatasetConfig
    from sicm_ros.benchmark.point import Point
    from sicm_ros.kitti.evaluation import Figures

METRICS = {"AP3D": "3d", "APBEV": "bev"}
HEADLINE = "0.5"  # overlap of cars at which codecs are compared, moderate
BELOW = 1.0  # AP points below uncompressed


@dataclass(frozen=True)
class Measured:
    """A point with where it comes from."""

    setting: Setting
    detector: str
    point: Point

    @property
    def size(self) -> float:
        """Bytes per pair of what was coded. Raises ValueError for the uncompressed network, which sends nothing."""
        if self.point.bytes_per_pair is None:
            raise ValueError(f"{self.setting.anchor}: nothing was coded; expected a codec's point")
        return self.point.bytes_per_pair

    def ap(self, metric: str, overlap: str = HEADLINE, level: str = "moderate", of_class: str = "Car") -> float:
        """Return the AP in per cent, R40; metric "AP3D" or "APBEV"; overlap "0.7", "0.5" (or, of
        other classes, "0.25").
        """
        return figure(self.point.ap, metric, overlap, of_class)[DIFFICULTIES.index(level)]

    def interval(self, metric: str, overlap: str = HEADLINE, level: str = "moderate") -> tuple[float, float]:
        """Return the interval of 95 % over resampled frames."""
        low, high = figure(self.point.interval, metric, overlap, "Car")[DIFFICULTIES.index(level)]
        return low, high


def figure(figures: Figures, metric: str, overlap: str, of_class: str) -> list:
    return figures[of_class][METRICS[metric]][f"{float(overlap):.2f}"]["R40"]


@dataclass(frozen=True)
class DatasetResults:
    """All that was measured on a data set.

    Attributes:
        curves: anchor -> its points, in the order of size; "ours" first.
        reference: the curve that ablations are compared with: "ours", or the ablation that lacks nothing.
        uncompressed: of the main detector; None where that isn't there yet.
        missing: points that the run hasn't made yet.
    """

    name: str
    config: DatasetConfig
    names: tuple[str, ...]
    curves: dict[str, list[Measured]]
    uncompressed: Measured | None
    missing: int
    reference: str = OURS

    def front(self, anchor: str, metric: str, overlap: str = HEADLINE) -> Front:
        """Return what an anchor reaches with the best of its variants and detectors."""
        return self.front_of(anchor, lambda m: m.ap(metric, overlap))

    def front_of(self, anchor: str, accuracy: Callable[[Measured], float]) -> Front:
        """Return the same of another accuracy of points, per cent."""
        variants: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for m in self.curves.get(anchor, ()):
            variants.setdefault((m.setting.variant, m.detector), []).append((m.size, accuracy(m)))
        return Front.of(*variants.values())

    def _bd_rates(self, anchor: str, whose: str) -> dict[str, BdRate]:
        """Return metric -> BD-rate of a curve against an anchor."""
        return {m: curves.bd_rate(self.front(anchor, m), self.front(whose, m)) for m in METRICS}

    @property
    def anchors(self) -> list[str]:
        return [name for name in self.curves if name not in (OURS, STREAM) and not name.startswith(ABLATION)]

    @property
    def ablations(self) -> list[str]:
        """Those that lack something."""
        return [name for name in self.curves if name.startswith(ABLATION) and name != self.reference]

    def tree(self) -> dict:
        """Return a tree for JSON; per cent, moderate cars at 0.5 where nothing else is said."""
        against = {name: self._bd_rates(name, OURS) for name in self.anchors}
        against |= {name: self._bd_rates(name, self.reference) for name in self.ablations}
        rates = _percent(against)
        # Its detections are those of ours, and so is what it shares with anchors.
        stream = {name: self._bd_rates(name, STREAM) for name in self.anchors} if STREAM in self.curves else {}
        goal = {m: self.uncompressed.ap(m) - BELOW for m in METRICS} if self.uncompressed else {}
        return {
            "what": self.config.what,
            "frames": len(self.names),
            "points_missing": self.missing,
            "bd_rate": {name: rates[name] for name in self.anchors},
            "bd_rate_of_stream": _percent(stream),
            "bd_rate_of_ablations": {name.removeprefix(ABLATION): rates[name] for name in self.ablations},
            "bd_rate_overlap": _known(against, lambda rate: None if rate.percent is None else rate.overlap),
            "bd_rate_refused": _known(against, lambda rate: rate.reason or None),
            "bytes_per_pair_at_1_point_below_uncompressed": {
                name: {m: self.front(name, m).size_at(ap) for m, ap in goal.items()} for name in self.curves
            },
            "ap_at_kbit_per_s": {
                name: {
                    str(kbit): {m: self.front(name, m).ap_at(curves.size_of(kbit)) for m in METRICS}
                    for kbit in curves.KBIT
                }
                for name in self.curves
            },
            "uncompressed": None if self.uncompressed is None else _point(self.uncompressed),
            "curves": {name: [_point(m) for m in points] for name, points in self.curves.items()},
        }


def _percent(against: dict[str, dict[str, BdRate]]) -> dict[str, dict[str, float | None]]:
    return {name: {metric: rate.percent for metric, rate in rates.items()} for name, rates in against.items()}


def _known(against: dict[str, dict[str, BdRate]], value: Callable[[BdRate], Any]) -> dict[str, dict[str, Any]]:
    """Return anchor -> metric -> a value of BD-rates, without what is None."""
    found = {name: {metric: value(rate) for metric, rate in rates.items()} for name, rates in against.items()}
    kept = {name: {metric: v for metric, v in values.items() if v is not None} for name, values in found.items()}
    return {name: values for name, values in kept.items() if values}


def _point(measured: Measured) -> dict:
    point = measured.point
    size = point.bytes_per_pair
    return {
        "variant": measured.setting.variant,
        "detector": measured.setting.key(measured.detector),
        "quality": point.quality,
        "bytes_per_pair": size,
        "bpp": point.bpp,
        "kbit_per_s": None if size is None else curves.kbit_per_s(size),
        **{m: _levels(point.ap, m, "Car") for m in METRICS},
        "interval": {m: _levels(point.interval, m, "Car") for m in METRICS},
        "other_classes": {
            c: {m: _levels(point.ap, m, c) for m in METRICS} for c in point.ap if c != "Car"
        },
        "depth_error_percent_10_to_30_m": point.depth_error,
        "planner": point.planner,
    }  # fmt: skip


def _levels(figures: Figures, metric: str, of_class: str) -> dict:
    """Return {overlap: {"easy": ..., "moderate": ..., "hard": ...}} of a class."""
    return {
        f"{limit:g}": dict(zip(DIFFICULTIES, figure(figures, metric, str(limit), of_class)))
        for limit in (STRICT[of_class], LOOSE[of_class])
    }


def read_dataset(config: BenchmarkConfig, name: str, out: Path) -> DatasetResults:
    """Return what a run's folder holds of one of its data sets."""
    dataset = config.datasets[name]
    names = names_of(dataset)
    found: dict[str, list[Measured]] = {}
    uncompressed, missing = None, 0
    for setting in settings(config, dataset):
        for detector in setting.detectors:
            point = read_point(out / name, setting, detector, names)
            if point is None:
                missing += 1
            elif setting.anchor != UNCOMPRESSED:
                found.setdefault(setting.anchor, []).append(Measured(setting, detector, point))
            elif detector == config.model:
                uncompressed = Measured(setting, detector, point)
    for points in found.values():
        points.sort(key=lambda m: m.size)
    reference = ABLATION + config.whole if config.whole else OURS
    return DatasetResults(name, dataset, names, found, uncompressed, missing, reference)


def read_results(config: BenchmarkConfig, out: Path) -> list[DatasetResults]:
    """Return every data set of a run, the headline's first; InputError if nothing of ours is there."""
    results = [read_dataset(config, name, out) for name in config.datasets]
    if not any(OURS in r.curves for r in results):
        raise InputError(f"{out} has no finished point of ours yet; run `sicm bench run` again, which resumes")
    return results


def times_of(out: Path) -> dict:
    """Return times.json of a run's folder, empty where there is none."""
    path = out / TIMES
    return json.loads(path.read_text()) if path.exists() else {}


def tree_of(results: Iterable[DatasetResults], times: dict, about: dict) -> dict:
    """Return results.json: the headline's data set at the top, every one below "datasets"."""
    trees = {r.name: r.tree() for r in results}
    first = next(iter(trees.values()))
    return {"bd_rate": first["bd_rate"], "curves": first["curves"], "times": times, "about": about, "datasets": trees}
