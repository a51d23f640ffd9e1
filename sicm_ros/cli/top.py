# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm top`: encoder, link and decoder at work, live in the terminal."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sicm_ros.cli import options
from sicm_ros.errors import printable

if TYPE_CHECKING:
    from rich.table import Table

    from sicm_ros.nodes.watcher import Status

SUMMARY = "live table of encoder, link and decoder: rate, quality, losses, delays, detections"

REFRESH = 2.0  # Hz
STALE = 3.0  # seconds without a word after which a node is shown as gone; it speaks once a second
COLOURS = {0: "green", 1: "yellow", 2: "red"}
TIMES = {"encoder": "since_arrival_ms", "link": "transit_ms", "decoder": "since_arrival_ms"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="print the table once, after two seconds, and exit")


def run(args: argparse.Namespace) -> int:
    import importlib.util
    import sys
    import time

    from rich.live import Live

    from sicm_ros.errors import DependencyError

    if importlib.util.find_spec("rclpy") is None:
        raise DependencyError(f"no ROS 2 in {sys.executable}: run `make setup`, or source a ROS 2 workspace")
    from sicm_ros.nodes.watcher import watch

    with watch() as statuses:
        if args.once:
            time.sleep(2.0)
            options.console().print(table(statuses, time.monotonic()))
            return 0 if statuses else 1
        shown = table(statuses, time.monotonic())
        with Live(shown, console=options.console(), refresh_per_second=REFRESH) as live:
            while True:
                time.sleep(1 / REFRESH)
                live.update(table(dict(statuses), time.monotonic()))


def table(statuses: dict[str, Status], now: float) -> Table:
    """Return one row per node, in the order of the stream; `now` in seconds of time.monotonic()."""
    from rich.table import Table
    from rich.text import Text

    shown = Table(caption="Ctrl-C ends" if statuses else "nothing received on /diagnostics yet", expand=True)
    shown.add_column("node", no_wrap=True)
    for title in ("Hz", "kbit/s", "target", "quality", "ms", "out", "boxes", "missing"):
        shown.add_column(title, justify="right", no_wrap=True)
    shown.add_column("dropped", min_width=9)
    shown.add_column("state", min_width=9)
    for status in sorted(statuses.values(), key=_place):
        v, kind = status.values, _kind(status.name)
        gone = now - status.heard > STALE
        colour = "dim" if gone else COLOURS.get(status.level, "red")
        dropped = ", ".join(f"{k.removeprefix('dropped_')} {n}" for k, n in v.items() if k.startswith("dropped_"))
        text = f"silent for {now - status.heard:.0f} s" if gone else status.text
        shown.add_row(
            printable(status.name, 60),
            _number(v.get("frame_rate_node"), 1),
            _number(v.get("kbit_per_s"), 1),
            _number(v.get("target_kbit_s") or v.get("bandwidth_kbit_s"), 0),
            _number(v.get("quality"), 2),
            _number(v.get(TIMES[kind]), 0),
            *(printable(v.get(name, ""), 12) for name in ("published", "detections", "lost")),
            printable(dropped, 200),
            Text(printable(text, 200), colour),
        )
    return shown


def _kind(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _place(status: Status) -> tuple[str, int]:
    """Sort vehicle by vehicle, and each in the order of the stream."""
    return status.name.rpartition("/")[0], list(TIMES).index(_kind(status.name))


def _number(text: str | None, digits: int) -> str:
    try:
        return "" if text is None else f"{float(text):,.{digits}f}"
    except ValueError:  # of a neighbour that speaks another language
        return printable(text, 12)
