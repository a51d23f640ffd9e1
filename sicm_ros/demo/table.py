# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The run in a terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table

from sicm_ros.demo.report import stage_name
from sicm_ros.demo.summary import JPEG_QUALITY, RATE, Run


def table(run: Run) -> Group:
    """Return what a run gave, as two tables: the stream beside the images, and the time of every stage."""
    facts = run.as_json()
    stream = Table(title=f"{facts['pairs_out']} of {facts['pairs_in']} stereo pairs answered", title_justify="left")
    stream.add_column("a pair as")
    for title in ("bytes", f"kbit/s at {RATE:g} Hz", "times larger"):
        stream.add_column(title, justify="right")
    ours = run.mean("bytes")
    rows = [("features", ours), (f"JPEG {JPEG_QUALITY}", run.mean("jpeg")), ("PNG", run.mean("png"))]
    for name, size in [*rows, ("raw", run.mean("raw"))]:
        if size is not None:
            larger = f"{size / ours:,.1f}" if ours else ""
            stream.add_row(name, f"{size:,.0f}", f"{size * 8 * RATE / 1e3:,.1f}", larger)
    times = Table(title="milliseconds per pair", title_justify="left")
    times.add_column("node")
    times.add_column("stage")
    times.add_column("median", justify="right")
    times.add_column("p95", justify="right")
    for node, stages in run.stages.items():
        for stage, (median, p95) in stages.items():
            if stage == "total":  # since_arrival holds it and the wait before it
                continue
            times.add_row(node, stage_name(stage), f"{median:,.1f}", f"{p95:,.1f}")
        times.add_section()
    if facts["latency_ms_p50"] is not None:
        times.add_row(
            "all", "image to detections", f"{facts['latency_ms_p50']:,.1f}", f"{facts['latency_ms_p95']:,.1f}"
        )
    words = f"{facts['detections']} detections"
    if facts["labels"] is not None:
        words += f", {facts['labels']} labelled objects"
    if run.model:
        words += f"; model {run.model} ({run.fingerprint}), quality {run.quality:g}"
    return Group(stream, times, words)
