# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench run`"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from sicm_ros.cli import options

SUMMARY = "code, detect and evaluate everything that a configuration lists; resumes if interrupted"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="name of a configuration that ships (quick, full), or a YAML file")
    options.add_out(parser, "folder of streams, detections and figures", old_position=False)
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="path of a data set; NAME= may be left out if there is only one",
    )
    parser.add_argument("--model", help="name or folder of a model, instead of the configuration's")
    parser.add_argument(
        "--workers", type=options.positive, default=1, metavar="K", help="processes (default: %(default)s)"
    )
    parser.add_argument(
        "--threads",
        type=options.positive,
        metavar="N",
        help="threads of each worker (default: the cores divided evenly)",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="use a Ray cluster that sees the same files; 'local' starts one",
    )


def run(args: argparse.Namespace) -> int:
    from sicm_ros.benchmark import run as benchmark
    from sicm_ros.benchmark.config import load_config
    from sicm_ros.errors import InputError

    config = load_config(args.config)
    if args.model:
        config = replace(config, model=args.model)
    data = {}
    for text in args.data:
        name, equals, path = text.partition("=")
        if not equals:
            open_ones = [n for n, d in config.datasets.items() if d.path is None and d.rendered is None]
            if len(open_ones) != 1:
                raise InputError(f"--data {text}; expected NAME=PATH, NAME one of {', '.join(config.datasets)}")
            name, path = open_ones[0], text
        data[name] = Path(path)
    config = benchmark.prepare(config, args.out, data, args.workers)
    failures = benchmark.run(config, args.out, args.workers, args.ray, args.threads)
    if not failures and not (args.out / benchmark.TIMES).exists():
        benchmark.time_codecs(config, args.out, args.threads)
    for failure in failures:
        print(f"{args.command}: {failure}", file=sys.stderr)
    print(f"{args.out}: {'incomplete, run it again' if failures else 'complete'}; sicm bench report {args.out}")
    return 1 if failures else 0
