# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm demo`: the main job on a bag or a KITTI folder, in one command."""

from __future__ import annotations

import argparse
from pathlib import Path

from sicm_ros.cli import options
from sicm_ros.link.profiles import PROFILES

SUMMARY = "play a stereo drive through the encoder and decoder nodes, and report"


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_drive(parser)
    options.add_model(parser)
    options.add_quality(parser)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder of the results (default: %(default)s)")
    parser.add_argument(
        "--rate", type=float, default=1.0, help="greatest speed relative to the recording (default: %(default)s)"
    )
    parser.add_argument(
        "--realtime", action="store_true", help="send pairs at their own pace, without waiting for answers"
    )
    parser.add_argument(
        "--link", default="", choices=["", *PROFILES], help="emulated link between encoder and decoder (default: none)"
    )
    options.add_layout(parser)


def run(args: argparse.Namespace) -> int:
    import json
    import time

    from rich.text import Text

    from sicm_ros import demo
    from sicm_ros.errors import InputError, printable
    from sicm_ros.files import write_text

    if not 0.01 <= args.rate <= 100:
        raise InputError(f"--rate {args.rate}; expected 0.01 to 100")
    data = args.drive or options.SHIPPED
    console = options.console()
    with options.open_drive(args, data) as source:
        first = next(source.pairs())  # which says what is wrong with it, before anything is started
        console.print(options.rows_of(source, first), highlight=False, markup=False)
        args.out.mkdir(parents=True, exist_ok=True)
        recording, logs = args.out / "recording.mcap", args.out / "logs"
        begin = time.monotonic()
        demo.run_pipeline(
            source,
            recording,
            logs,
            model=args.model,
            quality=args.quality,
            rate=args.rate,
            paced=not args.realtime,
            preset=args.preset,
            topics=(args.left, args.right),
            link=args.link,
        )
        seconds = time.monotonic() - begin
        with console.status("reading the recording"):
            result = demo.read_run(recording, source, args.quality, paced=not args.realtime)
            result.seconds = seconds
        demo.compare(result, source, args.model)
        with console.status("writing the report"):
            facts = result.as_json()
            write_text(args.out / "summary.json", json.dumps(facts, indent=2) + "\n")
            demo.write_report(result, args.out / "report.html")
            demo.write_output(args.out / "output.mcap", recording, source)
            recording.unlink()
    console.print(demo.table(result))
    for name, what in (
        ("report.html", "images, bytes and latency over time"),
        ("summary.json", "the figures"),
        ("output.mcap", "detections, markers and images, for Foxglove and RViz"),
    ):
        console.print(f"{args.out / name}: {what}", highlight=False)
    if result.lost:
        causes = ", ".join(f"{cause} {number}" for cause, number in result.lost.items())
        console.print(Text(printable(f"lost: {causes}"), "red"), f"(logs in {logs})", highlight=False)
        # A link is there to lose some; then only what nobody can account for is a fault.
        return 1 if not args.link or "unanswered" in result.lost else 0
    return 0
