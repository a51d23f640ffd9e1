"""`sicm report`: a user's own stereo drive, coded by us and by others, without labels."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

SUMMARY = "bytes, time and drift of detections on your own stereo bag, beside other codecs"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bag", type=Path, help="stereo bag (.mcap, .db3, .bag, a folder) or KITTI folder")
    parser.add_argument("--model", default="default", help="name or folder (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("report"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--limit", type=int, default=8, metavar="N", help="pairs, evenly spread (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="of ours and of each encoder (default: all cores)")
    parser.add_argument("--device", default="cpu", help="of ours (default: %(default)s)")
    parser.add_argument("--preset", default="auto", help="layout of the bag (`sicm bag presets`); default: %(default)s")
    parser.add_argument("--left", default="", metavar="TOPIC", help="left image topic of a bag of another layout")
    parser.add_argument("--right", default="", metavar="TOPIC", help="right image topic of a bag of another layout")


def run(args: argparse.Namespace) -> None:
    import cv2
    import torch
    from rich.console import Console
    from rich.table import Table
    from tqdm import tqdm

    import sicm_ros
    from sicm_ros.bags import open_stereo
    from sicm_ros.benchmark import bag_report
    from sicm_ros.benchmark.figures import label_of
    from sicm_ros.errors import InputError

    if args.limit < 1:
        raise InputError(f"--limit {args.limit}; expected at least 1")
    threads = args.threads or os.cpu_count() or 1
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    with open_stereo(args.bag, args.preset, args.left, args.right) as source:
        step = max(1, -(-source.count // args.limit))
        pairs, stamps = [], []
        for index, pair in enumerate(tqdm(source.pairs(), "reading", source.count, unit="pair", disable=None)):
            stamps.append(pair.stamp)
            if index % step == 0:
                pairs.append(pair)
    if not pairs:
        raise InputError(f"{args.bag}: no left and right picture in it have the same time")
    rate = 1e9 * (len(stamps) - 1) / (stamps[-1] - stamps[0]) if len(stamps) > 1 else 10.0
    model = sicm_ros.load(args.model, device=args.device)
    report = bag_report.compare(
        model, pairs, str(args.bag), rate, threads, lambda work: tqdm(work, "coding", unit="codec", disable=None)
    )
    bag_report.write(report, model, threads, args.out)
    table = Table(title=f"{args.bag.name}, {len(pairs)} pairs, {rate:.1f} Hz", title_justify="left")
    table.add_column("codec")
    for name in ("bytes a pair", "kbit/s", "encode ms", "decode and detect ms", "agreement"):
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
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    for name, what in (("report.html", "the same with pictures"), ("results.json", "the same in numbers")):
        console.print(f"{args.out / name}: {what}", highlight=False)
