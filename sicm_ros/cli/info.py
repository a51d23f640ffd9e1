# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm info`: what a model is and costs, or what a packet or a drive holds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sicm_ros.cli import options

if TYPE_CHECKING:
    from sicm_ros.bags import RecordedPair, StereoSource

SUMMARY = "print a model's card and cost, a packet's header, or the contents of a bag or KITTI folder"
BAGS = (".mcap", ".db3", ".bag", ".zip")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="?",
        default="default",
        metavar="MODEL|PACKET|DRIVE",
        help="name or folder of a model, a .sicm file, a bag or a KITTI folder (default: the model `default`)",
    )
    options.add_layout(parser)


def run(args: argparse.Namespace) -> None:
    from sicm_ros.bags.bag import is_bag

    path = Path(args.what)
    if (
        path.suffix in BAGS
        or (path.exists() and is_bag(path))
        or (path.is_dir() and not (path / "config.yaml").is_file())
    ):
        _drive(args, path)
    elif path.is_file() or path.suffix == ".sicm":
        _packet(path)
    else:
        _model(args.what)


def _drive(args: argparse.Namespace, path: Path) -> None:
    from rich.markup import escape
    from rich.table import Table

    from sicm_ros.bags.bag import is_bag
    from sicm_ros.bags.choosing import arguments
    from sicm_ros.bags.presets import bare
    from sicm_ros.bags.survey import survey
    from sicm_ros.errors import InputError

    console = options.console()

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False)

    if path.exists() and is_bag(path):
        found = survey(path, args.preset, args.left, args.right)
        say(f"{path}: {found.seconds:.1f} s")
        table = Table(box=None, pad_edge=False)
        for title in ("topic", "type", "messages", "Hz", "holds"):
            table.add_column(title, overflow="fold", justify="right" if title in ("messages", "Hz") else "left")
        for topic in found.topics:
            rate = "" if topic.rate is None else f"{topic.rate:.1f}"
            table.add_row(escape(topic.name), topic.type, str(topic.count), rate, escape(topic.holds))
        console.print(table)
        for pair in found.candidates:
            taken = (found.choice.left, found.choice.right) if found.choice else ()
            chosen = pair == tuple(map(bare, taken))
            say(f"stereo pair: {arguments(*pair)}" + (", taken" if chosen else ""))
        if found.choice is None:
            raise InputError(found.problem)
        say(f"taken: {found.choice.left} and {found.choice.right}: {found.choice.why}")
    with options.open_drive(args, path) as source:
        first = next(source.pairs())
        c = first.calibration
        say(
            f"{path}: layout {source.layout}, {source.count} stereo pairs, "
            f"{'compressed' if source.compressed else 'raw'} images, stamps of the first pair "
            f"{(first.right_stamp - first.stamp) * 1e-6:.1f} ms apart"
        )
        say(
            f"{c.width} x {c.height} pixels, fx {c.fx:.2f}, fy {c.fy:.2f}, cx {c.cx:.2f}, cy {c.cy:.2f} px, baseline "
            f"{c.baseline:.4f} m, disparity offset {c.disparity_offset:.2f} px"
        )
        say(f"labels: {_labels(source, first)}")
        say(options.rows_of(source, first))


def _labels(source: StereoSource, first: RecordedPair) -> str:
    """Return in words how many pairs are labelled, and with what the first is."""
    from collections import Counter

    if not source.labelled:
        return "none"
    told = f"of {source.labelled} of {source.count} pairs"
    if first.labels is None:
        return f"{told}; not of the first"
    names = ", ".join(f"{number} {name}" for name, number in Counter(first.labels.names).most_common())
    return f"{told}; of the first: {names or 'no boxes'}"


def _packet(path: Path) -> None:
    from sicm_ros.bitstream import HEADER_BYTES, unpack
    from sicm_ros.errors import InputError

    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; expected a packet written by `sicm encode`") from None
    packet = unpack(data)
    pixels = 2 * packet.width * packet.height
    _print(
        {
            "packet": f"{packet.size} bytes, {8 * packet.size / pixels:.5f} bits per pixel of both views",
            "header": f"{HEADER_BYTES} bytes",
            "payload": f"{len(packet.payload)} bytes",
            "model": f"{packet.fingerprint.hex()}...",
            "images": f"{packet.width} x {packet.height}",
            "quality": f"{packet.quality / 255:.3f} (level {packet.quality} of 255)",
            "sequence": packet.sequence,
            "calibration": f"{packet.calibration_identity:08x}" + ("" if packet.calibration else ", not in the packet"),
        }
    )
    if packet.calibration:
        c = packet.calibration
        _print(
            {
                "focal lengths": f"{c.fx:.2f}, {c.fy:.2f} pixels",
                "principal point": f"{c.cx:.2f}, {c.cy:.2f}",
                "baseline": f"{c.baseline:.4f} m",
                "disparity offset": f"{c.disparity_offset:.3f} pixels",
            }
        )


def _model(name: str) -> None:
    from sicm_ros import load
    from sicm_ros.model.folder import kind_of
    from sicm_ros.network.stages import REMOTE, VEHICLE

    if kind_of(name) == "pictures":
        _picture_codec(name)
        return
    model = load(name)
    if model.card:
        print(model.card.rstrip() + "\n")
    known = model.describe()
    size = f"{known.pop('input_width')} x {known.pop('input_height')}"
    _print({**known, "classes": ", ".join(known["classes"]), "input": size})
    costs = model.costs()
    whole = sum(cost.macs for cost in costs.values())
    print("\nper stereo pair     multiply-accumulates      parameters")
    for side, stages in (("vehicle", VEHICLE), ("remote", REMOTE)):
        for stage in stages:
            print(f"  {stage:<18}{costs[stage].macs / 1e9:9.2f} G        {costs[stage].parameters / 1e6:9.2f} M")
        macs = sum(costs[stage].macs for stage in stages)
        parameters = sum(costs[stage].parameters for stage in stages)
        print(f"{side:<20}{macs / 1e9:9.2f} G {macs / whole:5.0%}  {parameters / 1e6:9.2f} M")


def _picture_codec(name: str) -> None:
    from sicm_ros import baseline  # needs PyTorch

    model = baseline.load(name)
    if model.card:
        print(model.card.rstrip() + "\n")
    known = model.describe()
    size = f"{known.pop('input_width')} x {known.pop('input_height')}"
    _print({**known, "input": size})


def _print(rows: dict) -> None:
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")
