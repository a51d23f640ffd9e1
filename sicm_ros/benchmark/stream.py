# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Labelled drives as a stream: everything that `sicm bench tracks` measures, its tables and its image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sicm_ros.benchmark.delay import WAYS, DelayFigures, arrivals, seen_by
from sicm_ros.benchmark.drive import Drive
from sicm_ros.benchmark.identity import Identity, identity
from sicm_ros.benchmark.planner import planner_view
from sicm_ros.benchmark.rescoring import Found, recall
from sicm_ros.errors import InputError
from sicm_ros.geometry import LIKELY
from sicm_ros.geometry.boxes import project
from sicm_ros.kitti.planner import Judged, PlannerTable, judged, planner_table
from sicm_ros.tracking import Tracking, TrackingConfig

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class StreamFigures:
    """Of some drives.

    Attributes:
        drives: name -> pairs.
        identity: how well tracks keep to objects.
        delays: average precision at arrival.
        found: cars that are found, with and without the past.
        planner: what a planner asks, of `detections` and of `tracks`.
    """

    drives: dict[str, int]
    identity: Identity
    delays: list[DelayFigures]
    found: list[Found]
    planner: dict[str, PlannerTable]

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"identity": self.identity.as_json()}


def measure(drives: Sequence[Drive], config: TrackingConfig | None = None) -> StreamFigures:
    """Follow drives, and hold what comes out against their labels."""
    followed = [drive.followed(config) for drive in drives]
    return StreamFigures(
        {drive.name: len(drive) for drive in drives},
        identity(drives, [[pair.tracks.above(LIKELY) for pair in pairs] for pairs in followed]),
        arrivals(drives, config=config),
        recall(drives, config),
        asked(drives, followed),
    )


def asked(drives: Sequence[Drive], followed: Sequence[Sequence[Tracking]]) -> dict[str, PlannerTable]:
    """Return what a planner asks of what nodes publish of each pair: detections, and tracks, which know the past;
    `followed` is what a tracker made of each drive's pairs.

    What has its centre outside of the image is there still, but has no label: no false alarm.
    """
    published: dict[str, list[Judged]] = {"detections": [], "tracks": []}
    for drive, pairs in zip(drives, followed):
        for labels, calibration, found, pair in zip(drive.labels, drive.calibrations, drive.found, pairs):
            for name, boxes in (("detections", found), ("tracks", pair.tracks.boxes)):
                seen = seen_by(boxes, calibration)
                column = project(seen.location, calibration)[:, 0]
                outside = (column < 0) | (column > calibration.width - 1)
                published[name].append(judged(labels, seen, calibration.width, unlabelled=outside))
    return {name: planner_table(frames) for name, frames in published.items()}


def tables(figures: StreamFigures) -> list[Table]:
    """Return rich tables of all that was measured."""
    from rich.table import Table

    of = ", ".join(f"{name} ({pairs})" for name, pairs in figures.drives.items())
    who = Table(title=f"identities: {of}")
    row = figures.identity
    cells = {
        "HOTA": f"{row.hota:.1f}",
        "AssA": f"{row.association:.1f}",
        "DetA": f"{row.detection:.1f}",
        "MOTA": f"{row.mota:.1f}",
        "switches": str(row.switches),
        "per 100 object frames": f"{row.switches_per_100:.2f}",
        "fragments": str(row.fragments),
        "found": f"{row.matched} of {row.objects}",
        "false": str(row.false),
    }
    for title in cells:
        who.add_column(title, justify="right")
    who.add_row(*cells.values())
    delays = sorted({row.delay for row in figures.delays})
    late = Table(
        title=f"cars at arrival, moderate, R40, overlap 0.5: APBEV / AP3D ({figures.delays[0].frames} moments)"
    )
    late.add_column("what is published")
    for delay in delays:
        late.add_column(f"{1e3 * delay:.0f} ms", justify="right")
    for way, title in WAYS.items():
        rows = {row.delay: row for row in figures.delays if row.way == way}
        late.add_row(title, *(f"{rows[delay].bev:.1f} / {rows[delay].ap3d:.1f}" for delay in delays))
    past = Table(title="cars that are found, at equal false alarms")
    for title in ("", "from score", "false alarms per pair", "25 to 40 m", "partly or largely hidden"):
        past.add_column(title, justify="right" if title else "left")
    for one in figures.found:
        past.add_row(
            one.way,
            f"{one.threshold:.2f}",
            f"{one.false_alarms:.2f}",
            f"{one.far} of {one.far_of}",
            f"{one.hidden} of {one.hidden_of}",
        )
    return [who, late, past, planner_view(list(figures.planner.items()), f"what a planner asks: {of}")]


def picture(figures: StreamFigures, path: Path) -> None:
    """Draw average precision over the delay.

    Raises:
        InputError: the file can't be written.
    """
    from sicm_ros.benchmark.figures import delay_curves

    try:
        delay_curves(figures.delays).savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {error}; expected a writable image, such as delay.png") from None
