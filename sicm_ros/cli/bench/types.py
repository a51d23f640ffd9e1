# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench types`"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sicm_ros.cli import options

if TYPE_CHECKING:
    from sicm_ros.kitti import StereoFrame

SUMMARY = "what a number type or an engine costs in accuracy on labelled frames, on either side"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, help="labelled KITTI folder or archives, or another data set")
    options.add_model(parser)
    options.add_split(parser)
    options.add_limit(parser, "evenly spread")
    parser.add_argument(
        "--choices",
        nargs="+",
        default=["openvino", "openvino:bfloat16"],
        metavar="ENGINE[:TYPE]",
        help="the reference, and what is compared with it (default: openvino openvino:bfloat16)",
    )
    options.add_quality(parser)
    options.add_threads(parser)
    options.add_json(parser)


def run(args: argparse.Namespace) -> None:
    from dataclasses import asdict

    from tqdm import tqdm

    from sicm_ros.benchmark import number_types
    from sicm_ros.datasets import open_dataset
    from sicm_ros.errors import InputError

    choices = [number_types.EngineType.parse(text) for text in args.choices]
    frames: Sequence[StereoFrame] = open_dataset(args.dataset, args.split, labelled=True)
    if not len(frames):
        raise InputError(f"{args.dataset} has no labelled frame{f' in split {args.split}' if args.split else ''}")
    frames = options.evenly(frames, args.limit)
    costs = number_types.measure(
        args.model,
        frames,
        choices,
        args.quality,
        options.limit_threads(args.threads),
        progress=lambda todo: tqdm(todo, "frames", unit="frame", disable=None),
    )
    if args.json != "-":  # before anything is written, which may fail
        options.console(160).print(number_types.table(costs, len(frames)))
    options.write_json(args.json, [asdict(cost) | {"passes": cost.passes} for cost in costs])
