# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Arguments that mean the same in every command, each said once."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from sicm_ros.bags import RecordedPair, StereoSource
    from sicm_ros.model import Model

T = TypeVar("T")

PACKAGE = Path(__file__).parents[1]
SHIPPED = PACKAGE / "demo" / "drive.mcap"
DRIVE = "stereo bag (.mcap, .db3, .bag, a folder), KITTI folder or another data set (docs/kitti.md)"


def add_drive(parser: argparse.ArgumentParser, optional: bool = True) -> None:
    """Add DRIVE, what a command works on: a bag or a KITTI folder."""
    if optional:
        parser.add_argument("drive", nargs="?", type=Path, help=f"{DRIVE} (default: the drive that ships)")
    else:
        parser.add_argument("drive", type=Path, help=DRIVE)


def add_layout(parser: argparse.ArgumentParser) -> None:
    """Add --preset, --left, --right: which images of a bag are the pair; and how they are to be taken."""
    add_preset(parser)
    parser.add_argument("--left", default="", metavar="TOPIC", help="left image topic of a bag with another layout")
    parser.add_argument(
        "--right",
        default="",
        metavar="TOPIC",
        help="right image topic, if it does not follow from --left; the same topic if its images hold both views",
    )
    parser.add_argument(
        "--rectify",
        choices=("auto", "always", "never"),
        default="auto",
        help="rectify a bag's images; auto does so if camera_info describes a distortion, unless the topic names say "
        "that they are rectified (default: %(default)s)",
    )
    parser.add_argument(
        "--calibration-file",
        default="",
        metavar="FILE",
        help="calibration of both cameras instead of camera_info, from Kalibr, EuRoC, OpenCV or ROS",
    )
    parser.add_argument(
        "--pair-tolerance",
        type=number(0, 1),
        default=0.03,
        metavar="S",
        help="largest difference between the stamps of one pair, seconds (default: %(default)s)",
    )
    parser.add_argument(
        "--assume-rectified",
        action="store_true",
        help="the images of a bag are rectified although its camera_info contains distortion",
    )
    parser.add_argument(
        "--baseline",
        type=number(0, 100),
        default=0.0,
        metavar="M",
        help="distance between the cameras, metres; overrides camera_info",
    )


def add_preset(parser: argparse.ArgumentParser) -> None:
    """Add --preset, the layout of a bag."""
    parser.add_argument(
        "--preset",
        default="auto",
        help="layout of the bag, see `sicm data presets`, or a .yaml file (default: %(default)s)",
    )


def add_model(parser: argparse._ActionsContainer, of: str = "") -> None:
    """Add --model, a name or a folder."""
    action = parser.add_argument(
        "--model", default="default", help=f"name or folder of a model{of} (default: %(default)s)"
    )
    # What the shell offers; argcomplete reads this attribute.
    action.completer = _shipped_models  # type: ignore[attr-defined]


def add_quality(parser: argparse.ArgumentParser, default: float = 0.5) -> None:
    """Add --quality, one number."""
    parser.add_argument(
        "--quality",
        type=quality,
        default=default,
        metavar="0..1",
        help="0 (fewest bytes) to 1 (most accurate) (default: %(default)s)",
    )


def add_qualities(
    parser: argparse._ActionsContainer, default: list[float | None], what: str = "one or several"
) -> None:
    """Add --quality, several, the uncompressed network among them."""
    told = " ".join("uncompressed" if value is None else f"{value:g}" for value in default)
    parser.add_argument(
        "--quality",
        nargs="+",
        type=_quality_or_none,
        default=default,
        metavar="0..1",
        help=f"0 to 1, or 'uncompressed'; {what} (default: {told})",
    )


def add_split(parser: argparse._ActionsContainer) -> None:
    """Add --split, which frames of a KITTI folder."""
    parser.add_argument(
        "--split",
        help="frames to use: train, validation, test, the name of another index file, a file of names, or drives",
    )


def add_limit(parser: argparse._ActionsContainer, what: str, default: int | None = None) -> None:
    """Add --limit, at most so many pairs."""
    told = "" if default is None else " (default: %(default)s)"
    parser.add_argument("--limit", type=positive, default=default, metavar="N", help=f"at most N pairs, {what}{told}")


def evenly(values: Sequence[T], limit: int | None) -> Sequence[T]:
    """Return at most `limit` of them, evenly spread; all without one."""
    return values[:: -(-len(values) // limit)] if limit else values


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json, where the figures go."""
    parser.add_argument(
        "--json", metavar="FILE", help="write the figures to FILE ('-': standard output, without a table)"
    )


def add_out(parser: argparse.ArgumentParser, help: str, metavar: str = "DIR", old_position: bool = True) -> None:
    """Add --out, what a command writes, where it can't do without; until 0.8.0 this was the last argument."""
    parser.add_argument("--out", type=Path, metavar=metavar, help=help)
    if old_position:
        parser.add_argument("old_out", nargs="?", help=argparse.SUPPRESS)
    parser.set_defaults(out_needed=True, out_type=Path)


def add_device(parser: argparse._ActionsContainer) -> None:
    """Add --device of the network."""
    parser.add_argument("--device", default="cpu", help="device of the network, cpu or cuda (default: %(default)s)")


def add_threads(parser: argparse.ArgumentParser, what: str = "threads of our network and of each encoder") -> None:
    """Add --threads."""
    parser.add_argument("--threads", type=positive, metavar="N", help=f"{what} (default: all cores)")


def add_repeats(parser: argparse.ArgumentParser, default: int, what: str = "number of rounds") -> None:
    """Add --repeats."""
    parser.add_argument("--repeats", type=positive, default=default, metavar="N", help=f"{what} (default: %(default)s)")


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add --engine and --number-type of the network."""
    parser.add_argument(
        "--number-type",
        choices=("float32", "bfloat16"),
        default="float32",
        help="number type of the network; bfloat16 with torch, or openvino by name (default: %(default)s)",
    )
    parser.add_argument(
        "--engine",
        choices=("auto", "openvino", "onnxruntime", "torch"),
        default="auto",
        help="engine of the network (default: %(default)s)",
    )


def _shipped_models(**_: object) -> list[str]:
    return [path.parent.name for path in PACKAGE.glob("models/*/config.yaml")]


def quality(text: str) -> float:
    """Read a quality."""
    value = _number(text, float, "a number from 0 to 1")
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r}; expected 0 to 1")
    return value


def _quality_or_none(text: str) -> float | None:
    return None if text == "uncompressed" else quality(text)


def number(least: float, most: float) -> Callable[[str], float]:
    """Return what reads a number in a range."""

    def read(text: str) -> float:
        value = _number(text, float, f"a number from {least:g} to {most:g}")
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r}; expected {least:g} to {most:g}")
        return value

    return read


def positive(text: str) -> int:
    """Read a count."""
    value = _number(text, int, "a whole number")
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; expected at least 1")
    return value


def _number(text: str, kind: type, expected: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}; expected {expected}") from None


# ---------------------------------------------------------------------------------------------------------------------
# What commands do with them


def limit_threads(threads: int | None) -> int:
    """Tell engines and OpenCV how many threads to use; return the number, all cores for None."""
    from sicm_ros import workers
    from sicm_ros.cores import cores

    threads = threads or cores()
    workers.limit_threads(threads)
    return threads


def load_model(args: argparse.Namespace) -> Model:
    """Load --model on --device, with --engine and --number-type where a command has them."""
    import sicm_ros

    where = {name: getattr(args, name) for name in ("device", "engine", "number_type") if hasattr(args, name)}
    return sicm_ros.load(args.model, **where)


def open_drive(args: argparse.Namespace, drive: Path) -> StereoSource:
    """Open a bag or a KITTI folder as the arguments of `add_layout` say."""
    from sicm_ros.bags import open_stereo

    return open_stereo(
        drive,
        args.preset,
        args.left,
        args.right,
        pair_tolerance=args.pair_tolerance,
        assume_rectified=args.assume_rectified,
        baseline=args.baseline,
        rectify=args.rectify,
        calibration_file=args.calibration_file,
    )


def rows_of(source: StereoSource, pair: RecordedPair) -> str:
    """Return in words whether a drive is rectified, how well, by its first pair, and what to expect of its camera."""
    from sicm_ros.bags.recording import BagSource
    from sicm_ros.geometry import ModelView
    from sicm_ros.geometry.rectification import EpipolarCheck

    here = isinstance(source, BagSource) and source.rectifies
    told = "rectified here" if here else "rectified before"
    check = EpipolarCheck()
    while not check.done:
        check.add(pair)
    if check.error is None:
        told += "; too few features to tell how well"
    else:
        complaint = check.error.complaint(here)
        told += f"; {complaint or f'points lie {check.error.pixels:.2f} pixels from their row in the other image'}"
    expectation = ModelView.fit(pair.calibration, 864, 192).expectation  # which the model's size hardly changes
    return told + (f"; {expectation}" if expectation else "")


def some_pairs(drive: Path | None, count: int) -> Sequence[RecordedPair]:
    """Read so many pairs of a drive, evenly spread; of the one that ships if there is none."""
    from sicm_ros.bags import open_stereo

    with open_stereo(drive or SHIPPED) as source:
        wanted = {round(i * (source.count - 1) / max(count - 1, 1)) for i in range(count)}
        pairs = []
        for index, pair in enumerate(source.pairs()):
            if index in wanted:
                pairs.append(pair)
            if len(pairs) == len(wanted):
                break
    return pairs


FILES = ("json", "sheet", "picture", "bits", "kitti")  # options that name a file to write


def check_places(args: argparse.Namespace) -> None:
    """Say before anything is computed that what a command writes can't be written. Raises OSError."""
    from sicm_ros.files import check_place

    for name in FILES:
        place = getattr(args, name, None)
        if isinstance(place, str | Path) and str(place) not in ("", "-", "/dev/stdout"):
            check_place(place, folder=False)
    if isinstance(getattr(args, "out", None), Path):
        check_place(args.out)


def write_json(path: str | None, tree: object) -> None:
    """Write figures where --json says: to a file, to standard output for '-', nowhere for None."""
    from sicm_ros.files import write_text

    if path is None:
        return
    text = json.dumps(tree, indent=1) + "\n"
    if path == "-":
        sys.stdout.write(text)
        return
    write_text(path, text)


def console(width: int = 160) -> Console:
    """Return where tables go: as wide as the terminal, or so wide into a file or pipe, which has no edge to wrap at.

    Texts are shown as they are: none is read as markup, and no control character reaches the terminal.
    """
    from rich.console import Console

    from sicm_ros.errors import printable

    class PlainConsole(Console):
        def render_str(self, text: str, **how: Any) -> Text:
            lines = text.split("\n")
            return super().render_str("\n".join(printable(line, 100_000) for line in lines), **how | {"markup": False})

    return PlainConsole(width=None if sys.stdout.isatty() else width, markup=False, emoji=False)
