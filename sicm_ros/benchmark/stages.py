# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Where time and bytes of a pair go, stage by stage, at several qualities; and what sending boxes alone costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from sicm_ros.bitstream import CALIBRATION_BYTES, HEADER_BYTES
from sicm_ros.bitstream.box_packet import pack_boxes
from sicm_ros.geometry import StereoPair

if TYPE_CHECKING:
    from rich.table import Table

    from sicm_ros.model import Model


@dataclass(frozen=True)
class Stages:
    """Of one way to send a pair.

    Attributes:
        name: quality, or boxes alone.
        milliseconds: (side, stage) -> median; the total of a side under the stage "".
        bytes: part of the packet -> mean; the total under "".
    """

    name: str
    milliseconds: dict[tuple[str, str], float]
    bytes: dict[str, float]

    def as_json(self) -> dict:
        """Return {"name": ..., "milliseconds": {side: {stage: ms, "total": ms}}, "bytes": {part:
        mean, "total": mean}}
        """
        sides: dict[str, dict[str, float]] = {}
        for (side, stage), ms in self.milliseconds.items():
            sides.setdefault(side, {})[stage or "total"] = ms
        sizes = {part or "total": size for part, size in self.bytes.items()}
        return {"name": self.name, "milliseconds": sides, "bytes": sizes}


def measure(
    model: Model,
    pairs: Sequence[StereoPair],
    qualities: Sequence[float],
    repeats: int = 5,
    progress: Callable[[list], Iterable] = iter,
) -> list[Stages]:
    """Measure times and sizes at each quality, then of boxes alone, all in turn in one run; the first
    round warms up.
    """
    times: list[dict[tuple[str, str], list[float]]] = [{} for _ in (*qualities, "boxes")]
    sizes: list[dict[str, list[float]]] = [{} for _ in times]

    def laps(into: dict, side: str, parts: dict[str, float], total: float) -> None:
        for stage, seconds in (parts | {"": total}).items():
            into.setdefault((side, stage), []).append(1e3 * seconds)

    for number, pair in progress([(n, pair) for n in range(repeats + 1) for pair in pairs]):
        if number == 1 and pair is pairs[0]:
            for known in times:
                known.clear()
        for quality, into, bytes_of in zip(qualities, times, sizes):
            start = time.perf_counter()
            data = model.encode(pair, quality)
            middle = time.perf_counter()
            result = model.decode(data)
            end = time.perf_counter()
            laps(into, "vehicle", model.last_timings, middle - start)
            laps(into, "server", result.timings, end - middle)
            if not number:
                latents = model.bits_map(pair, quality).sum((1, 2)) / 8
                parts = {"header": HEADER_BYTES, "calibration": CALIBRATION_BYTES}
                parts |= {name: size for (name, _), size in zip(model.latents, latents)}
                for part, size in (parts | {"": len(data)}).items():
                    bytes_of.setdefault(part, []).append(size)
        start = time.perf_counter()
        result = model.detect_uncompressed(pair)
        found = result.detections.take(result.detections.likely())
        data = pack_boxes(found, model.fingerprint, 0, pair.calibration.width, pair.calibration.height)
        laps(times[-1], "vehicle", result.timings, time.perf_counter() - start)
        if not number:
            sizes[-1].setdefault("", []).append(len(data))
    names = [f"quality {q:g}" for q in qualities] + ["boxes alone"]
    return [
        Stages(
            name,
            {key: statistics.median(values) for key, values in of.items()},
            {part: statistics.mean(values) for part, values in bytes_of.items()},
        )
        for name, of, bytes_of in zip(names, times, sizes)
    ]


def table(columns: list[Stages]) -> Table:
    """Return a rich table: stages down, ways to send a pair across."""
    from rich.table import Table

    shown = Table(title="milliseconds (median) and bytes (mean) per pair")
    shown.add_column("")
    for column in columns:
        shown.add_column(column.name, justify="right", no_wrap=True)
    for side in ("vehicle", "server"):
        stages = list(dict.fromkeys(s for c in columns for at, s in c.milliseconds if at == side and s))
        for stage in ("", *stages):
            cells = [c.milliseconds.get((side, stage)) for c in columns]
            words = ["" if ms is None else f"{ms:.1f} ms" for ms in cells]
            shown.add_row(f"  {stage}" if stage else Text(side, "bold"), *words)
        shown.add_section()
    for part in ("", *(p for p in columns[0].bytes if p)):
        cells = [c.bytes.get(part) for c in columns]
        words = ["" if size is None else f"{size:,.0f} B" for size in cells]
        shown.add_row(f"  {part}" if part else Text("packet", "bold"), *words)
    return shown
