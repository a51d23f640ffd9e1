# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm export`: the graphs of a model, which run without PyTorch."""

from __future__ import annotations

import argparse

SUMMARY = "export a model's graphs, which OpenVINO and ONNX Runtime run without PyTorch"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", nargs="+", metavar="MODEL", help="names or folders")


def run(args: argparse.Namespace) -> None:
    from sicm_ros.model import export

    for model in args.model:
        for path in export(model):
            print(f"{path}: {path.stat().st_size:,} bytes")
