"""Every parameter of every node, said once: declarations, the files in config/ and docs/nodes.md are made from it.

`python -m sicm_ros.nodes.parameters` writes those files anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
    """

    name: str
    default: bool | int | float | str | list
    text: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    fixed: bool = True

    @property
    def range(self) -> str:
        """What values are allowed, in words."""
        if self.minimum is not None:
            return f"{self.minimum:.10g} to {self.maximum:.10g}"
        return ", ".join(f"`{c}`" for c in self.choices)


MODEL = (
    Parameter("model", "default", "name of a model that ships with sicm_ros, or the folder of another"),
    Parameter("device", "cpu", "where the network runs", choices=("cpu", "cuda")),
    Parameter("threads", 0, "processor threads of the network; 0 leaves it to torch", "threads", 0, 256),
    Parameter("autostart", True, "configure and activate at once; false waits for `ros2 lifecycle set`"),
    Parameter("topic_timeout", 5.0, "silence of an input after which it is reported", "s", 0.5, 3600.0),
    Parameter(
        "expected_frequency",
        0.0,
        "pairs per second below three quarters of which /diagnostics warns; 0 expects nothing",
        "Hz",
        0.0,
        1000.0,
    ),
)

ENCODER = (
    *MODEL,
    Parameter(
        "engine",
        "auto",
        "what runs the network on a processor: torch, openvino where it is installed, or auto, the quicker one of them",
        choices=("auto", "torch", "openvino"),
    ),
    Parameter("quality", 0.5, "from fewest bytes to best features", "", 0.0, 1.0, fixed=False),
    Parameter(
        "mode",
        "features",
        "what is sent: features; boxes, which the vehicle then finds itself; or auto: boxes where features don't fit",
        choices=("features", "boxes", "auto"),
        fixed=False,
    ),
    Parameter(
        "min_score",
        LIKELY,
        "boxes below this score are not sent where boxes alone are",
        "",
        0.0,
        1.0,
        fixed=False,
    ),
    Parameter(
        "target_kbit_s",
        0.0,
        "rate to keep each second of the stream to, by choosing the quality; 0 for constant quality",
        "kbit/s",
        0.0,
        1e6,
        fixed=False,
    ),
    Parameter(
        "adaptive",
        False,
        "lower and raise the rate with what link_feedback says, up to target_kbit_s",
        fixed=False,
    ),
    Parameter(
        "max_packet_bytes",
        60_000,
        "a larger message is encoded again at a lower quality; the default fits one UDP datagram",
        "bytes",
        500,
        1_000_000,
        fixed=False,
    ),
    Parameter("compressed", False, "subscribe to CompressedImage on <image topic>/compressed instead of Image"),
    Parameter("reliable_images", False, "ask for reliable images, which replayed bags offer and camera drivers don't"),
    Parameter(
        "pair_tolerance",
        0.03,
        "largest difference of the stamps of a left and a right image that belong together",
        "s",
        0.0,
        1.0,
    ),
    Parameter(
        "assume_rectified",
        False,
        "the images are rectified although camera_info has distortion (image_proc's outputs, KITTI bags)",
    ),
    Parameter(
        "disparity_offset",
        0.0,
        "added to measured disparities at full image size, besides the difference of the principal points; KITTI: 0.52",
        "px",
        -100.0,
        100.0,
        fixed=False,
    ),
    Parameter(
        "calibration_in_packets",
        True,
        "each packet carries its calibration and decodes by itself; false leaves it to codec_description",
        fixed=False,
    ),
)

DECODER = (
    *MODEL,
    Parameter(
        "vehicles",
        [""],
        "namespaces of the vehicles that are served, below the node's own; none for the one that is in it",
    ),
    Parameter(
        "max_batch",
        0,
        "pairs of different vehicles that are decoded in one pass; 0 for 1 on a processor and 8 on a GPU",
        "pairs",
        0,
        64,
    ),
    Parameter(
        "max_age_ms",
        0.0,
        "a result older than this against its stamp is dropped; 0 keeps all",
        "ms",
        0.0,
        1e7,
        fixed=False,
    ),
    Parameter("min_score", LIKELY, "detections below this score are not published", "", 0.0, 1.0, fixed=False),
    Parameter("marker_lifetime", 0.5, "how long RViz shows a marker that is not renewed", "s", 0.0, 60.0, fixed=False),
    Parameter("max_depth", 80.0, "points beyond are not published", "m", 1.0, 1000.0, fixed=False),
    Parameter("bev_depth", 60.0, "metres from the bottom to the top of bev_image", "m", 5.0, 500.0, fixed=False),
)

LINK = (
    Parameter("profile", "lte", "kind of link: docs/link.md", choices=tuple(PROFILES), fixed=False),
    Parameter("seed", 0, "the same seed repeats losses, jitter and the rest for the same messages", "", 0, 2**31 - 1),
    Parameter(
        "bandwidth_kbit_s", 0.0, "overrules the profile's bandwidth; 0 keeps it", "kbit/s", 0.0, 1e6, fixed=False
    ),
    Parameter("delay_ms", -1.0, "overrules the profile's delay; -1 keeps it", "ms", -1.0, 1e5, fixed=False),
    Parameter(
        "loss", -1.0, "overrules the profile's losses, without bursts; -1 keeps them", "", -1.0, 1.0, fixed=False
    ),
)


def tables() -> dict[str, tuple[Parameter, ...]]:
    """Name of each node -> its parameters."""
    from sicm_ros.nodes.replay import REPLAY

    return {"encoder": ENCODER, "decoder": DECODER, "replay": REPLAY, "link": LINK}


class Parameters:
    """A node's parameters, declared from a table and read as attributes: `parameters.quality` is the value of now."""

    def __init__(self, node: Node, table: tuple[Parameter, ...]) -> None:
        from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

        self._node = node
        self._choices = {p.name: p.choices for p in table if p.choices}
        node.add_on_set_parameters_callback(self._check)
        for p in table:
            text = f"{p.text}{f' [{p.unit}]' if p.unit else ''}"
            descriptor = ParameterDescriptor(description=text, read_only=p.fixed)
            if p.choices:
                descriptor.additional_constraints = " or ".join(p.choices)
            if p.minimum is not None and isinstance(p.default, float):
                descriptor.floating_point_range = [FloatingPointRange(from_value=p.minimum, to_value=p.maximum)]
            elif p.minimum is not None:
                descriptor.integer_range = [IntegerRange(from_value=int(p.minimum), to_value=int(p.maximum))]
            node.declare_parameter(p.name, p.default, descriptor)

    def __getattr__(self, name: str) -> Any:
        return self._node.get_parameter(name).value

    def _check(self, changes: list) -> Any:
        from rcl_interfaces.msg import SetParametersResult

        for change in changes:
            choices = self._choices.get(change.name)
            if choices and change.value not in choices:
                reason = f"{change.name} is {change.value!r}; expected {' or '.join(choices)}"
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)


def as_yaml(node: str, table: tuple[Parameter, ...]) -> str:
    """The file config/<node>.yaml: every parameter with its default, text, unit and range."""
    import yaml

    lines = [f"# Parameters of {node}_node, with their defaults. Made by `python -m sicm_ros.nodes.parameters`."]
    lines += ["/**:", "  ros__parameters:"]
    for p in table:
        notes = "; ".join(n for n in (p.range.replace("`", ""), p.unit and f"unit {p.unit}") if n)
        lines.append(f"    # {p.text}{f' ({notes})' if notes else ''}.")
        lines.append(f"    {p.name}: {yaml.safe_dump(p.default, default_flow_style=True).splitlines()[0]}")
    return "\n".join(lines) + "\n"


def as_markdown(table: tuple[Parameter, ...]) -> str:
    """The same as a table for the documentation."""
    lines = ["| parameter | default | unit | range | while running | meaning |", "|---|---|---|---|---|---|"]
    for p in table:
        default = str(p.default).lower() if isinstance(p.default, bool) else p.default
        if default in ("", [""]):
            default = "empty"
        change = "fixed" if p.fixed else "can change"
        lines.append(f"| `{p.name}` | {default} | {p.unit} | {p.range} | {change} | {p.text} |")
    return "\n".join(lines) + "\n"


def write_files() -> None:
    """config/<node>.yaml and the tables in docs/nodes.md, between their marks, from the tables above."""
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
