# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Every parameter of every node: declarations, the files in config/ and the tables in docs/nodes.md are made from this.

It imports little on purpose: launch files read it in the Python of `ros2`, which may lack torch and rosbags.

`python -m sicm_ros.nodes.parameters` regenerates those files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from sicm_ros.errors import InputError
from sicm_ros.geometry import LIKELY
from sicm_ros.link.profiles import PROFILES

if TYPE_CHECKING:
    from rclpy.node import Node


@dataclass(frozen=True)
class Parameter:
    """One parameter of a node.

    Attributes:
        name: as ROS knows it.
        default: its type is the parameter's type (bool, int, float, str, list of str).
        text: what it does, without a full stop.
        unit: of the value; empty where it has none.
        minimum, maximum: range of a number, both included; None for the rest.
        choices: the words that a string may be; empty for any.
        fixed: can't be changed while the node runs.
        until_configured: of a fixed one, can be changed while the node is unconfigured; configuring takes it in.
    """

    name: str
    default: bool | int | float | str | list
    text: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    fixed: bool = True
    until_configured: bool = False

    @property
    def range(self) -> str:
        """What values are allowed, in words."""
        if self.minimum is not None:
            return f"{self.minimum:.10g} to {self.maximum:.10g}"
        return ", ".join(f"`{c}`" for c in self.choices)

    @property
    def expected(self) -> str:
        """The values that are allowed, as the end of a sentence."""
        if self.choices:
            return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"
        kind = {
            bool: "true or false",
            str: "a string",
            list: "a list of strings",
            int: "a whole number",
            float: "a number",
        }
        return f"{kind[type(self.default)]}{f' from {self.range}' if self.range else ''}"

    def accept(self, value: Any) -> bool | int | float | str | list:
        """Return a value as its type: a whole number serves for a number, a text for a list of one, false for off.

        Raises:
            InputError: another type, outside the range, or none of the choices.
        """
        kind = type(self.default)
        if kind is float and type(value) is int:
            value = float(value)
        elif kind is list and isinstance(value, str):
            value = [value]
        elif value is False and "off" in self.choices:  # YAML, and so ROS' command line, reads an off without quotes so
            value = "off"
        right = type(value) is kind and not (isinstance(value, list) and not all(isinstance(v, str) for v in value))
        if right and self.minimum is not None:
            right = math.isfinite(value) and self.minimum <= value <= self.maximum
        if not right or (self.choices and value not in self.choices):
            shown = value if isinstance(value, str) and value else repr(value)
            number = kind is str and not self.choices and type(value) in (int, float)
            quotes = f"; a string that looks like a number needs its own quotes: \"'{value}'\"" if number else ""
            raise InputError(f"{self.name} is {shown}; expected {self.expected}{quotes}")
        return value

    def parse(self, text: str) -> bool | int | float | str | list:
        """Return the value that a word on a command line means; lists are `[a, b]`, `a, b` or `a`.

        Raises:
            InputError: as `accept`.
        """
        kind = type(self.default)
        value: Any = text
        if kind is bool:
            value = {"true": True, "false": False}.get(text.lower(), text)
        elif kind is list:
            value = [v.strip().strip("'\"") for v in text.strip().removeprefix("[").removesuffix("]").split(",")]
        elif kind in (int, float):
            try:
                value = kind(text)
            except ValueError:
                value = text
        return self.accept(value)


MODEL = (
    Parameter(
        "model",
        "default",
        "name of a model that ships with sicm_ros, or folder of another one",
        until_configured=True,
    ),
    Parameter(
        "engine",
        "auto",
        "what runs the network: openvino, onnxruntime, torch, or auto: the first of them that is installed and agrees "
        "with torch in float32",
        choices=("auto", "openvino", "onnxruntime", "torch"),
        until_configured=True,
    ),
    Parameter("device", "cpu", "where the network runs", choices=("cpu", "cuda"), until_configured=True),
    Parameter(
        "threads",
        0,
        "CPU threads of the network and of OpenCV; 0 uses all cores",
        "threads",
        0,
        256,
        until_configured=True,
    ),
    Parameter(
        "number_type",
        "float32",
        "what the network computes in; bfloat16 (engine torch, or openvino by name) costs accuracy, changes bytes, and "
        "is checked against float32 at startup",
        choices=("float32", "bfloat16"),
        until_configured=True,
    ),
    Parameter("autostart", True, "configure and activate at startup; false waits for `ros2 lifecycle set`"),
    Parameter("topic_timeout", 5.0, "an input that is silent for longer is reported", "s", 0.5, 3600.0),
    Parameter(
        "expected_frequency",
        0.0,
        "expected pairs per second; /diagnostics warns below three quarters of it; 0 never warns",
        "Hz",
        0.0,
        1000.0,
    ),
)

RECTIFICATION = (
    Parameter(
        "rectify",
        "auto",
        "rectify the images with camera_info or calibration_file; auto does so if these describe a distortion, unless "
        "the topic names say that the images are rectified (image_rect_color)",
        choices=("auto", "always", "never"),
    ),
    Parameter(
        "calibration_file",
        "",
        "calibration of both cameras instead of camera_info: Kalibr's camchain.yaml, EuRoC's folder, ROS' left.yaml "
        "(with right.yaml next to it), OpenCV's intrinsics.yml (with extrinsics.yml)",
    ),
)

ENCODER = (
    *MODEL,
    Parameter("quality", 0.5, "from fewest bytes (0) to best features (1)", "", 0.0, 1.0, fixed=False),
    Parameter(
        "mode",
        "features",
        "what is sent: features; boxes, which the vehicle then detects itself; or auto: boxes when features do not fit",
        choices=("features", "boxes", "auto"),
        fixed=False,
    ),
    Parameter(
        "min_score",
        LIKELY,
        "with boxes only: boxes below this score are not sent; this is at 20 m: the nearer, the less is asked",
        "",
        0.0,
        1.0,
        fixed=False,
    ),
    Parameter(
        "target_kbit_s",
        0.0,
        "rate that each second of the stream keeps to, by varying the quality; 0 for constant quality",
        "kbit/s",
        0.0,
        1e6,
        fixed=False,
    ),
    Parameter(
        "adaptive",
        False,
        "follow the link: lower and raise the rate by link_feedback, up to target_kbit_s",
        fixed=False,
    ),
    Parameter(
        "references",
        "auto",
        "let packets refer to earlier pairs that all who listen have acknowledged on decoded_pairs, for fewer bytes; "
        "off: each packet stands by itself",
        choices=("auto", "off"),
        fixed=False,
    ),
    Parameter(
        "max_packet_bytes",
        60_000,
        "a larger message is encoded again at a lower quality; the default fits into one UDP datagram",
        "bytes",
        500,
        1_000_000,
        fixed=False,
    ),
    Parameter(
        "preset",
        "",
        "camera by name, see docs/cameras.md, or a .yaml file: its image topics, in whatever namespace they appear, "
        "instead of left/image_rect_color and right/image_rect_color",
    ),
    Parameter("compressed", False, "subscribe to CompressedImage on <image topic>/compressed instead of Image"),
    Parameter(
        "transport",
        "raw",
        "how the images arrive: Image; CompressedImage (JPEG, PNG, H.264, H.265), as with compressed: true; "
        "FFMPEGPacket on <image topic>/ffmpeg; CompressedVideo on <image topic>/foxglove",
        choices=("raw", "compressed", "ffmpeg", "foxglove"),
    ),
    Parameter("reliable_images", False, "request reliable images, which replayed bags offer and camera drivers do not"),
    Parameter(
        "pair_tolerance",
        0.03,
        "largest difference between the stamps of a left and a right image of one pair; never above half of the period",
        "s",
        0.0,
        1.0,
    ),
    *RECTIFICATION,
    Parameter(
        "assume_rectified",
        False,
        "the images are rectified although camera_info contains distortion (KITTI bags); short for rectify: never",
    ),
    Parameter(
        "baseline",
        0.0,
        "distance between the cameras; 0 takes it from camera_info",
        "m",
        0.0,
        100.0,
    ),
    Parameter(
        "disparity_offset",
        0.0,
        "added to measured disparities at full image size, besides the offset between principal points; KITTI: 0.52",
        "px",
        -100.0,
        100.0,
        fixed=False,
    ),
    Parameter(
        "calibration_in_packets",
        True,
        "each packet carries its calibration and decodes by itself; false sends it only in codec_description",
        fixed=False,
    ),
    Parameter(
        "base_frame",
        "base_link",
        "the vehicle's body frame; codec_description has the left camera's pose in it, if known; empty omits the pose",
    ),
    Parameter(
        "optical_pose",
        "",
        "x y z qx qy qz qw of the left camera's optical frame in base_frame (m, quaternion); empty reads /tf_static",
    ),
)

DECODER = (
    *MODEL,
    Parameter(
        "vehicles",
        [""],
        "namespaces of the vehicles to serve, below the node's own; empty for one vehicle in the node's own namespace",
    ),
    Parameter(
        "max_batch",
        0,
        "pairs of different vehicles that are decoded in one pass; 0 means 1 on a CPU and 8 on a GPU",
        "pairs",
        0,
        64,
        until_configured=True,
    ),
    Parameter(
        "workers",
        0,
        "pairs of different vehicles that are decoded side by side, sharing `threads`; 0 means one per thread on a CPU "
        "and 1 on a GPU; never more than there are vehicles",
        "pairs",
        0,
        64,
        until_configured=True,
    ),
    Parameter(
        "references",
        "auto",
        "tell encoders on decoded_pairs what arrived, so that packets may refer to it; off: they stand by themselves",
        choices=("auto", "off"),
        fixed=False,
    ),
    Parameter(
        "max_age_ms",
        0.0,
        "a result that is older, by its stamp, is dropped; 0 keeps all",
        "ms",
        0.0,
        1e7,
        fixed=False,
    ),
    Parameter(
        "min_score",
        LIKELY,
        "detections below this score are not published; this is at 20 m: the nearer, the less is asked",
        "",
        0.0,
        1.0,
        fixed=False,
    ),
    Parameter(
        "other_classes",
        0.1,
        "the other classes of a detection are published too, after its own, from this score on",
        "",
        0.0,
        1.0,
        fixed=False,
    ),
    Parameter(
        "tracking",
        True,
        "follow objects from pair to pair: publishes `tracks`, and gives `detections` lasting ids",
    ),
    Parameter(
        "visual_odometry",
        True,
        "tell the vehicle's own motion from what the features show, while odometry_frame doesn't give it; false: "
        "velocities are relative to the camera then",
        fixed=False,
    ),
    Parameter(
        "rescore",
        False,
        "raise the scores of detections that continue a track, lower those of others",
        fixed=False,
    ),
    Parameter(
        "extrapolate",
        True,
        "move tracks to the time of publication and stamp them with it; false keeps the image's time",
        fixed=False,
    ),
    Parameter(
        "odometry_frame",
        "",
        "frame that stands still, such as odom, named as in target_frame: with the camera's pose in it on /tf, "
        "velocities are over ground; empty: relative to the camera",
    ),
    Parameter(
        "target_frame",
        "",
        "frame of all results, such as base_link (with several vehicles: of each); /map, with a slash, is one for all; "
        "empty for the left camera's",
    ),
    Parameter(
        "publish_tf",
        False,
        "publish each vehicle's camera pose, from its codec_description, on /tf_static",
    ),
    Parameter("marker_lifetime", 0.5, "how long RViz shows a marker that is not updated", "s", 0.0, 60.0, fixed=False),
    Parameter("max_depth", 80.0, "points farther away are not published", "m", 1.0, 1000.0, fixed=False),
    Parameter("bev_depth", 60.0, "depth that bev_image covers, from bottom to top", "m", 5.0, 500.0, fixed=False),
)

LINK = (
    Parameter("profile", "lte", "kind of link, see docs/link.md", choices=tuple(PROFILES), fixed=False),
    Parameter("seed", 0, "the same seed gives the same losses and jitter for the same messages", "", 0, 2**31 - 1),
    Parameter(
        "bandwidth_kbit_s", 0.0, "overrides the profile's bandwidth; 0 keeps it", "kbit/s", 0.0, 1e6, fixed=False
    ),
    Parameter("delay_ms", -1.0, "overrides the profile's delay; -1 keeps it", "ms", -1.0, 1e5, fixed=False),
    Parameter(
        "loss", -1.0, "overrides the profile's losses, without bursts; -1 keeps them", "", -1.0, 1.0, fixed=False
    ),
)

REPLAY = (
    Parameter("path", "", "bag (.mcap, .db3, .bag or a folder) or KITTI folder (raw drive, object set, odometry)"),
    Parameter("preset", "auto", "layout of the bag's topics, see docs/cameras.md, or a .yaml file; auto recognises it"),
    Parameter("left_topic", "", "left image topic of a bag with another layout; empty for the preset's"),
    Parameter(
        "right_topic",
        "",
        "right image topic, if it does not follow from left_topic; the same topic if its images hold both views",
    ),
    Parameter(
        "pair_tolerance",
        0.03,
        "largest difference between the stamps of a left and a right image of one pair, as the encoder has it",
        "s",
        0.0,
        1.0,
    ),
    *RECTIFICATION,
    Parameter("assume_rectified", False, "the images are rectified although camera_info contains distortion"),
    Parameter("baseline", 0.0, "distance between the cameras; 0 takes it from camera_info", "m", 0.0, 100.0),
    Parameter("rate", 1.0, "speed relative to the recording", "", 0.01, 100.0, fixed=False),
    Parameter("start", 0.0, "where to begin, from the start of the recording", "s", 0.0, 1e6),
    Parameter("loop", False, "start again at the end, until stopped", fixed=False),
    Parameter("clock", True, "publish the recording's time on /clock, for nodes with use_sim_time"),
    Parameter("other_topics", False, "also play the other topics of the bag, under their own names"),
    Parameter(
        "wait_for_subscribers",
        0.0,
        "longest wait for subscribers of both images before playing; 0 does not wait",
        "s",
        0.0,
        3600.0,
    ),
    Parameter("wait_for_topics", [""], "further topics that must have a subscriber before playing"),
    Parameter(
        "acknowledge", "", "Detection3DArray topic; each pair waits for the answer to the one before; empty for none"
    ),
    Parameter("results", "", "Detection3DArray topic; the end waits for the answer to the last pair; empty for none"),
    Parameter("acknowledge_timeout", 10.0, "longest wait for one answer", "s", 0.01, 3600.0),
)


def tables() -> dict[str, tuple[Parameter, ...]]:
    """Name of each node -> its parameters."""
    return {"encoder": ENCODER, "decoder": DECODER, "replay": REPLAY, "link": LINK}


class Parameters:
    """A node's parameters, declared from a table and read as attributes: `parameters.quality` is the value of now.

    Args:
        configured: whether the node has taken in what it can't take back.

    Raises:
        InputError: the command line or a parameter file gives one a value that it can't have.
    """

    def __init__(self, node: Node, table: tuple[Parameter, ...], configured: Callable[[], bool] = lambda: True) -> None:
        from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

        self._node = node
        self._table = {p.name: p for p in table}
        self._configured = configured
        for p in table:
            # First as anything, so that our own sentence says what is wrong with it.
            given = node.declare_parameter(p.name, p.default, ParameterDescriptor(dynamic_typing=True)).value
            node.undeclare_parameter(p.name)
            text = f"{p.text}{f' [{p.unit}]' if p.unit else ''}"
            descriptor = ParameterDescriptor(description=text, read_only=p.fixed and not p.until_configured)
            if p.choices:
                descriptor.additional_constraints = " or ".join(p.choices)
            if p.minimum is not None and isinstance(p.default, float):
                descriptor.floating_point_range = [FloatingPointRange(from_value=p.minimum, to_value=p.maximum)]
            elif p.minimum is not None and p.maximum is not None:
                descriptor.integer_range = [IntegerRange(from_value=int(p.minimum), to_value=int(p.maximum))]
            node.declare_parameter(p.name, p.accept(given), descriptor, ignore_override=True)
        node.add_on_set_parameters_callback(self._check)
        if hasattr(node, "add_pre_set_parameters_callback"):  # not in Humble
            node.add_pre_set_parameters_callback(self._widen)
        self._name_strangers()

    def __getattr__(self, name: str) -> Any:
        return self._node.get_parameter(name).value

    def _name_strangers(self) -> None:
        """Warn of parameters that no node of ours has: ROS ignores what is misspelt."""
        known = {p.name for table in tables().values() for p in table} | set(self._table)  # one file may serve several
        for name in sorted(getattr(self._node, "_parameter_overrides", ())):
            if name not in known and not self._node.has_parameter(name) and "." not in name:
                close = get_close_matches(name, self._table, 1)
                hint = f" (perhaps {close[0]})" if close else ""
                self._node.get_logger().warning(f"unknown parameter {name}{hint}; it has no effect")

    def _widen(self, changes: list) -> list:
        """Take whole numbers for numbers, and false for off, while the node runs too."""
        from rclpy.parameter import Parameter as Value

        def widened(change: Any) -> Any:
            p = self._table.get(change.name)
            try:
                return change if p is None else Value(change.name, value=p.accept(change.value))
            except InputError:  # which the check tells
                return change

        return [widened(change) for change in changes]

    def _check(self, changes: list) -> Any:
        from rcl_interfaces.msg import SetParametersResult

        for change in changes:
            p = self._table.get(change.name)
            if p is None:
                continue
            try:
                p.accept(change.value)
                if p.until_configured and self._configured():
                    raise InputError(f"{p.name} cannot change while the node is configured: clean the node up first")
            except InputError as error:
                return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)


def as_yaml(node: str, table: tuple[Parameter, ...]) -> str:
    """Return the file config/<node>.yaml: every parameter with its default, text, unit and range."""
    import yaml

    lines = [f"# Parameters of {node}_node, with their defaults. Generated by `python -m sicm_ros.nodes.parameters`."]
    lines += ["/**:", "  ros__parameters:"]
    for p in table:
        notes = "; ".join(n for n in (p.range.replace("`", ""), p.unit and f"unit {p.unit}") if n)
        lines.append(f"    # {p.text}{f' ({notes})' if notes else ''}.")
        lines.append(f"    {p.name}: {yaml.safe_dump(p.default, default_flow_style=True).splitlines()[0]}")
    return "\n".join(lines) + "\n"


def as_markdown(table: tuple[Parameter, ...]) -> str:
    """Return the same as a table for the documentation."""
    lines = ["| parameter | default | unit | range | while running | meaning |", "|---|---|---|---|---|---|"]
    for p in table:
        default = str(p.default).lower() if isinstance(p.default, bool) else p.default
        if default in ("", [""]):
            default = "empty"
        change = "until configured" if p.until_configured else "fixed" if p.fixed else "can change"
        lines.append(f"| `{p.name}` | {default} | {p.unit} | {p.range} | {change} | {p.text} |")
    return "\n".join(lines) + "\n"


def write_files() -> None:
    """Write config/<node>.yaml and the tables in docs/nodes.md, between their marks, from the tables above."""
    from pathlib import Path

    root = Path(__file__).parents[2]
    page = root / "docs" / "nodes.md"
    text = page.read_text()
    for node, table in tables().items():
        (root / "config" / f"{node}.yaml").write_text(as_yaml(node, table))
        begin, end = f"<!-- parameters of {node} -->\n", f"<!-- end of {node} -->"
        before, rest = text.split(begin)
        text = before + begin + as_markdown(table) + end + rest.split(end)[1]
    page.write_text(text)


if __name__ == "__main__":
    write_files()
