# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench soak`"""

from __future__ import annotations

import argparse
import importlib
import tempfile
from pathlib import Path

from sicm_ros.cli import options

SUMMARY = "a long run through the real nodes: memory, losses, latency"


def configure(parser: argparse.ArgumentParser) -> None:
    options.add_drive(parser)
    model = parser.add_mutually_exclusive_group()
    options.add_model(model)
    model.add_argument(
        "--small",
        action="store_true",
        help="an untrained network, and raw images of 128 x 64 made of the drive's: many times as many pairs an hour",
    )
    options.add_limit(parser, "repeating the drive", 5_000)
    options.add_quality(parser)
    options.add_json(parser)
    parser.add_argument("--picture", type=Path, metavar="OUT.png", help="draw memory and latency over the pairs")


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from sicm_ros.benchmark import soak
    from sicm_ros.errors import InputError

    if args.limit < soak.LEAST_PAIRS:
        raise InputError(f"--limit {args.limit}; expected at least {soak.LEAST_PAIRS}")
    if args.picture:
        importlib.import_module("sicm_ros.benchmark.figures")  # says at once, not after hours, if something is missing
    with (
        tempfile.TemporaryDirectory() as folder,
        tqdm(total=args.limit, unit="pair", desc="loading the model", disable=None) as bar,
    ):

        def progress(done: int) -> None:
            bar.set_description("through encoder and decoder")
            bar.update(done - bar.n)

        drive, model = args.drive or options.SHIPPED, args.model
        if args.small:
            drive, model = soak.small_drive(drive, Path(folder)), str(soak.small_model(Path(folder)))
        result = soak.soak(drive, model, args.limit, args.quality, progress)
    if args.json != "-":  # before anything is written, which may fail
        for line in soak.lines(result):
            print(line)
    options.write_json(args.json, result.as_json())
    if args.picture:
        soak.picture(result, args.picture)
    return 0 if result.passed else 1
