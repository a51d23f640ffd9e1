# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Rate-accuracy curves, drawn: colours that the colour-blind can tell apart, and markers beside them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sicm_ros.errors import DependencyError

try:
    import matplotlib
except ImportError as error:
    raise DependencyError(f"charts need matplotlib ({error}): pip install 'sicm_ros[bench]'") from None

matplotlib.use("Agg")  # no screen, and none of the user's backends

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axes._secondary_axes import SecondaryAxis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from sicm_ros.benchmark.codecs import CODECS
from sicm_ros.benchmark.curves import kbit_per_s, size_of
from sicm_ros.benchmark.delay import WAYS, DelayFigures
from sicm_ros.benchmark.results import METRICS, DatasetResults
from sicm_ros.benchmark.settings import ABLATION, OURS, STREAM
from sicm_ros.files import replacing

# Okabe and Ito's colours; dashes say how the views are coded: apart, two-view, video.
_COLOURS = {"ours": "#D55E00", "vvc": "#0072B2", "x265": "#009E73", "svtav1": "#56B4E9", "avif": "#CC79A7"}
_COLOURS |= {"jxl": "#E69F00", "webp": "#999999", "jpeg": "#555555", "feature": "#000000", "stereo": "#B8A800"}
_MARKERS = {"ours": "o", "vvc": "s", "x265": "^", "svtav1": "v", "avif": "D", "jxl": "P", "webp": "X", "jpeg": "d"}
_MARKERS |= {"feature": "*", "stereo": "h"}
_STYLE: Any = {"font.size": 10, "svg.fonttype": "none", "axes.spines.top": False, "axes.spines.right": False}
NEAR = 2.0  # AP points below a front within which a point's interval is drawn
_OTHERS = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def label_of(anchor: str) -> str:
    """Return an anchor's name for people."""
    if anchor.startswith(ABLATION):
        return anchor.removeprefix(ABLATION).replace("_", " ")
    base, _, rest = anchor.partition("_")
    if anchor == OURS or base not in CODECS:
        return anchor.replace("_", " ")
    return " ".join(filter(None, (CODECS[base].label, rest.replace("two_view", "two-view").replace("_", " "))))


def rate_accuracy(results: DatasetResults, anchors: Sequence[str], bands: Sequence[str] = (OURS,)) -> Figure:
    """Draw AP3D and APBEV of cars, moderate, at 0.5 and 0.7, over bytes per pair: fronts, and faint
    all that was measured.

    Args:
        anchors: names of the curves, beside ours.
        bands: those whose intervals are shown.
    """
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(2, 2, figsize=(12, 9), sharex=True, layout="constrained")
        for row, metric in zip(axes, METRICS):
            for axis, overlap in zip(row, ("0.5", "0.7")):
                _panel(axis, results, (*anchors, OURS), metric, overlap, bands)
        for axis in axes[-1]:
            axis.set_xlabel("bytes per stereo pair, everything counted (log scale)")
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=5, frameon=False)
    return figure


def _panel(
    axis: Axes, results: DatasetResults, names: Sequence[str], metric: str, overlap: str, bands: Sequence[str]
) -> None:
    ceiling = results.uncompressed
    if ceiling is not None:
        axis.axhline(ceiling.ap(metric, overlap), color="#000000", lw=1, ls=(0, (4, 3)), label="uncompressed images")
    others = iter(_OTHERS)
    for name in names:
        points = results.curves.get(name, [])
        if not points:
            continue
        base = name.split("_")[0]
        colour = _COLOURS[base] if base in _COLOURS else next(others)
        video = name == STREAM or "video" in name
        dashes = "-" if name == OURS or "two_view" in name else "-." if video else (0, (1.5, 1.2))
        front = results.front(name, metric, overlap)
        weight = 2.8 if name == OURS else 1.3
        mark = _MARKERS.get(base, ".")
        axis.plot(
            front.sizes, front.ap, ls=dashes, marker=mark, ms=5, lw=weight, color=colour, label=label_of(name),
            zorder=5 if name == OURS else 3,
        )  # fmt: skip
        axis.plot(
            [m.size for m in points], [m.ap(metric, overlap) for m in points],
            ls="", marker=mark, ms=3, alpha=0.3, color=colour,
        )  # fmt: skip
        if name in bands:
            near = [m for m in points if m.ap(metric, overlap) >= (front.ap_at(m.size) or 0) - NEAR]
            for m in near:
                axis.plot([m.size] * 2, m.interval(metric, overlap), color=colour, alpha=0.35, lw=1)
    axis.set_xscale("log")
    _count_along(axis)
    axis.set_ylim(bottom=0)
    axis.set_ylabel(f"{metric} of cars, moderate, overlap {overlap}, R40 (%)")
    axis.grid(alpha=0.25)
    if metric == next(iter(METRICS)):
        scales: Any = kbit_per_s, size_of  # of arrays as well as of numbers
        top = axis.secondary_xaxis("top", functions=scales)
        top.set_xscale("log")
        top.set_xlabel("kbit/s at 10 Hz")
        _count_along(top)


def _count_along(axis: Axes | SecondaryAxis) -> None:
    """Number 1, 2 and 5 of each decade of the horizontal axis, short enough to stand side by side."""
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:,.0f}" if value < 1e4 else f"{value / 1e3:g}k")
    )
    axis.xaxis.set_minor_formatter(NullFormatter())


def save(figure: Figure, path: Path, dpi: int = 110) -> None:
    """Write a figure as a file in the format of its suffix."""
    with replacing(path) as part:
        figure.savefig(part, dpi=dpi)


def svg(figure: Figure) -> str:
    """Return a figure as an <svg> element."""
    text = io.StringIO()
    with plt.rc_context(_STYLE):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def delay_curves(rows: Sequence[DelayFigures]) -> Figure:
    """Return AP of cars from above and in space at the moment of arrival, over the delay, for each
    way of publishing.
    """
    looks = {
        "detections": ("#555555", "s", ":"),
        "still": ("#0072B2", "^", "--"),
        "extrapolated": ("#D55E00", "o", "-"),
    }
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
        for axis, metric, name in zip(axes, ("bev", "ap3d"), ("APBEV", "AP3D")):
            for way, (colour, marker, dashes) in looks.items():
                line = sorted((1e3 * row.delay, getattr(row, metric)) for row in rows if row.way == way)
                axis.plot(*zip(*line), color=colour, marker=marker, ls=dashes, label=WAYS[way])
            axis.set_xlabel("delay from image to arrival (ms)")
            axis.set_title(f"{name} of cars at arrival, moderate, overlap 0.5", fontsize=10)
            axis.set_ylim(0, 100)
            axis.grid(alpha=0.3)
        axes[0].set_ylabel("average precision, R40 (%)")
        axes[0].legend(frameon=False)
    return figure
