# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm average`: the mean of the weights of several trainings."""

from __future__ import annotations

import argparse

from sicm_ros.cli import options

SUMMARY = "average the weights of models trained from one another, which is better than each of them"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="+", metavar="MODEL", help="names or folders")
    parser.add_argument("--shares", nargs="+", type=float, metavar="S", help="share of each model (default: equal)")
    options.add_out(parser, "new folder", old_position=False)


def run(args: argparse.Namespace) -> None:
    from sicm_ros.training.averaging import average

    print(average(args.models, args.shares or [1.0] * len(args.models), args.out))
