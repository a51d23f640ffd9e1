"""`sicm info`: what a model is and costs, or what a packet holds."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "print a model's card and cost, or a packet's header"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="?",
        default="default",
        metavar="MODEL|FILE.sicm",
        help="name, folder or packet (default: default)",
    )


def run(args: argparse.Namespace) -> None:
    path = Path(args.what)
    if path.is_file() or path.suffix == ".sicm":
        _packet(path)
    else:
        _model(args.what)


def _packet(path: Path) -> None:
    from sicm_ros.bitstream import HEADER_BYTES, unpack
    from sicm_ros.errors import InputError

    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; expected a packet that `sicm encode` wrote") from None
    packet = unpack(data)
    pixels = 2 * packet.width * packet.height
    _print(
        {
            "packet": f"{packet.size} bytes, {8 * packet.size / pixels:.5f} bits per pixel of both views",
            "header": f"{HEADER_BYTES} bytes",
            "payload": f"{len(packet.payload)} bytes",
            "model": f"{packet.fingerprint.hex()}...",
            "pictures": f"{packet.width} x {packet.height}",
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
    from sicm_ros.baseline.codec import PictureModel
    from sicm_ros.network.cost import REMOTE, VEHICLE, count

    model = load(name)
    if model.card:
        print(model.card.rstrip() + "\n")
    known = model.describe()
    size = f"{known.pop('input_width')} x {known.pop('input_height')}"
    if isinstance(model, PictureModel):
        _print({**known, "input": size})
        return
    _print({**known, "classes": ", ".join(known["classes"]), "input": size})
    costs = count(model.config)
    whole = sum(cost.macs for cost in costs.values())
    print("\na stereo pair       multiply-accumulates      parameters")
    for side, stages in (("vehicle", VEHICLE), ("remote", REMOTE)):
        for stage in stages:
            print(f"  {stage:<18}{costs[stage].macs / 1e9:9.2f} G        {costs[stage].parameters / 1e6:9.2f} M")
        macs = sum(costs[stage].macs for stage in stages)
        parameters = sum(costs[stage].parameters for stage in stages)
        print(f"{side:<20}{macs / 1e9:9.2f} G {macs / whole:5.0%}  {parameters / 1e6:9.2f} M")


def _print(rows: dict) -> None:
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value}")
