# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm compare`: a user's own stereo drive, coded by us and by others, without labels."""

from __future__ import annotations

import argparse
from pathlib import Path

from sicm_ros.cli import options

SUMMARY = "bytes, time and drift of detections on your own stereo drive, compared with other codecs"


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_drive(parser, optional=False)
    options.add_model(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("report"), metavar="DIR", help="folder of the report (default: %(default)s)"
    )
    options.add_limit(parser, "evenly spread", 8)
    options.add_threads(parser)
    options.add_device(parser)
    options.add_layout(parser)


def run(args: argparse.Namespace) -> None:
    from rich.table import Table
    from tqdm import tqdm

    from sicm_ros.bags.stamps import rate_of
    from sicm_ros.benchmark import bag_report
    from sicm_ros.benchmark.figures import label_of
    from sicm_ros.benchmark.results import METRICS

    threads = options.limit_threads(args.threads)
    with options.open_drive(args, args.drive) as source:
        step = max(1, -(-source.count // args.limit))
        pairs, stamps = [], []
        for index, pair in enumerate(tqdm(source.pairs(), "reading", source.count, unit="pair", disable=None)):
            stamps.append(pair.stamp)
            if index % step == 0:
                pairs.append(pair)
    rate = rate_of(stamps)
    model = options.load_model(args)
    report = bag_report.compare(
        model, pairs, str(args.drive), rate, threads, lambda work: tqdm(work, "coding", unit="codec", disable=None)
    )
    bag_report.write(report, model, threads, args.out)
    table = Table(title=f"{args.drive.name}, {len(pairs)} pairs, {rate:.1f} Hz", title_justify="left")
    table.add_column("codec")
    for name in ("bytes per pair", "kbit/s", "encode ms", "decode and detect ms", "agreement"):
        table.add_column(name, justify="right")
    for row in report.rows:
        agreement = row.drift.agreement
        table.add_row(
            f"{label_of(row.anchor)}, {row.variant}, {row.quality:g}",
            f"{row.bytes:,.0f}",
            f"{row.bytes * 8 * rate / 1000:,.1f}",
            f"{row.encode:,.0f}",
            f"{row.decode:,.0f}",
            "-" if agreement is None else f"{agreement:.2f}",
            style="bold" if row.anchor == bag_report.OURS else "",
        )
    console = options.console(140)
    console.print(table)
    against = Table(title="BD-rate of ours, cars, pseudo ground truth", title_justify="left")
    for name in ("against", *METRICS):
        against.add_column(name)
    for name, rates in report.bd_rate.items():
        against.add_row(label_of(name), *(rates[metric].text() for metric in METRICS))
    console.print(against)
    for name, what in (("report.html", "the same with images"), ("results.json", "the figures")):
        console.print(f"{args.out / name}: {what}", highlight=False)
