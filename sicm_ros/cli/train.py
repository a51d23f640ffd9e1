# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm train CONFIG [key=value ...]`"""

from __future__ import annotations

import argparse

SUMMARY = "train a stage, given by the name or path of a configuration and key=value overrides; resumes if interrupted"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="name of a configuration that ships (lite_detector, ...) or path of a YAML file")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="overrides of settings; dots reach into nested ones"
    )


def run(args: argparse.Namespace) -> int:
    from sicm_ros.training.config import load_config
    from sicm_ros.training.loop import train

    print(train(load_config(args.config, args.overrides)))
    return 0
