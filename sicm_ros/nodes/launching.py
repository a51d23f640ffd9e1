# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What the launch files share: arguments that are checked before anything starts, and nodes whose end ends the rest.

Runs in the Python of `ros2`, which may know ROS' own packages alone; so nothing here imports torch or rosbags.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, NoReturn

import yaml
from ament_index_python.packages import PackageNotFoundError, get_package_prefix, get_package_share_directory
from launch import Action, Event, LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, LogInfo, OpaqueFunction, RegisterEventHandler
from launch.event_handler import BaseEventHandler
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.logging import launch_config
from launch_ros.actions import Node
from launch_ros.ros_adapters import get_ros_node
from launch_ros.utilities import make_namespace_absolute, prefix_namespace
from rclpy.exceptions import InvalidNamespaceException
from rclpy.validate_namespace import validate_namespace

from sicm_ros.errors import InputError
from sicm_ros.files import TreeError, read_yaml
from sicm_ros.nodes.parameters import Parameter, tables
from sicm_ros.nodes.process import DESCRIBE

PACKAGE = "sicm_ros"
IMAGE_DISPLAY = "Left image"  # in config/pipeline.rviz
LEVELS = ("debug", "info", "warn", "error", "fatal")


@dataclass(frozen=True)
class Argument:
    """One argument of a launch file.

    Attributes:
        name: as users give it.
        text: what it does.
        default: its value where it isn't given; empty for none.
        parameter: what the value has to be; None for any text.
        nodes: that have the parameter and get the value, where it is given.
    """

    name: str
    text: str
    default: str = ""
    parameter: Parameter | None = None
    nodes: tuple[str, ...] = ()

    def declare(self) -> DeclareLaunchArgument:
        return DeclareLaunchArgument(self.name, default_value=self.default, description=self.text)


def of_nodes(nodes: tuple[str, ...], *names: str) -> list[Argument]:
    """Return arguments that are called like the parameters of nodes which they set.

    Where several nodes have the parameter, all get the value, and the first one's text describes it.
    """
    arguments = []
    for name in names:
        owners = {n: p for n in nodes for p in tables()[n] if p.name == name}
        first, p = next(iter(owners.items()))
        notes = ", ".join(n for n in (p.range.replace("`", ""), p.unit) if n)
        default = str(p.default).lower() if isinstance(p.default, bool) else p.default
        shown = default if default not in ("", [""]) else "empty"
        meaning = f"{p.text[0].upper()}{p.text[1:]}{f' ({notes})' if notes else ''}"
        text = f"{meaning}. Not given: as in {first}_params ({shown})."
        arguments.append(Argument(name, text, parameter=p, nodes=tuple(owners)))
    return arguments


def parameter_file(node: str) -> Argument:
    """Return the argument for a node's parameter file."""
    default = str(Path(get_package_share_directory(PACKAGE), "config", f"{node}.yaml"))
    return Argument(f"{node}_params", f"YAML file with parameters of the {node}; arguments override it.", default)


def common() -> list[Argument]:
    """Return arguments that every launch file has."""
    sim_time = "Take the time from /clock. Not given: as in the parameter files, and true if a bag is played here."
    levels = f"Least severe messages that are logged ({', '.join(LEVELS)})."
    return [
        Argument("namespace", "Namespace of everything that is started, such as the vehicle's name."),
        Argument("use_sim_time", sim_time, parameter=Parameter("use_sim_time", False, "")),
        Argument("log_level", levels, "info", Parameter("log_level", "info", "", choices=LEVELS)),
    ]


def viewer() -> list[Argument]:
    """Return arguments about RViz."""
    config = str(Path(get_package_share_directory(PACKAGE), "config", "pipeline.rviz"))
    return [
        Argument(
            "rviz",
            "Open RViz with left image, boxes, points and bird's-eye view (true, false).",
            "false",
            Parameter("rviz", False, ""),
        ),
        Argument("rviz_config", "What RViz shows.", config),
        Argument(
            "frame",
            "RViz' fixed frame. Not given: target_frame, else the left camera's, as soon as the encoder names it.",
        ),
    ]


class Request:
    """What the user asks for: `request["rate"]` is the argument's value, None for one that isn't given.

    Args:
        context: of the launch.
        arguments: that the launch file has.

    Raises:
        InputError: a value that its argument can't have, or an argument that there isn't.
    """

    def __init__(self, context: LaunchContext, arguments: list[Argument]) -> None:
        self.context = context
        self._arguments = {a.name: a for a in arguments}
        self._refuse_strangers()
        self._values = {a.name: self._value(a) for a in arguments}
        base = context.launch_configurations.get("ros_namespace")
        self.namespace = make_namespace_absolute(prefix_namespace(base, self["namespace"] or "")) or "/"
        try:
            validate_namespace(self.namespace)
        except InvalidNamespaceException:
            raise InputError(
                f"namespace is {self['namespace']}; use letters, digits, _ and /, as in fleet/van_3"
            ) from None

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def _value(self, argument: Argument) -> Any:
        text = self.context.launch_configurations[argument.name]
        if not text:
            return None
        if argument.parameter is None:
            return text
        try:
            return argument.parameter.parse(text)
        except InputError as error:
            raise InputError(str(error).replace(argument.parameter.name, argument.name, 1)) from None

    def _refuse_strangers(self) -> None:
        """launch ignores what is misspelt; where this file is the one that was named, it is said."""
        file = Path(self.context.locals.current_launch_file_path)
        named = (PACKAGE, file.name) in pairwise(sys.argv) or any(
            word.endswith(file.name) and Path(word).exists() and Path(word).samefile(file) for word in sys.argv
        )
        for word in self.context.argv if named else ():
            name = word.partition(":=")[0]
            if name not in self._arguments and not name.startswith("launch-prefix"):
                close = get_close_matches(name, self._arguments, 1)
                hint = f" (perhaps {close[0]})" if close else ""
                raise InputError(f"unknown argument {name}{hint}; `ros2 launch -s {PACKAGE} {file.name}` lists them")

    def is_given(self, name: str) -> bool:
        """Return whether an argument has another value than its default."""
        return self[name] is not None and self[name] != self._arguments[name].default

    def _given(self, node: str) -> dict[str, Any]:
        """Return a node's parameters that are given as arguments."""
        return {
            a.parameter.name: self[a.name]
            for a in self._arguments.values()
            if a.parameter is not None and node in a.nodes and self[a.name] is not None
        }

    def settled(self, node: str) -> dict[str, Any]:
        """Return all parameters of a node, as it will have them: defaults, then its file's, then the arguments.

        Raises:
            InputError: a file that can't be read, or holds a value that a parameter can't have.
        """
        argument, path = f"{node}_params", self[f"{node}_params"]
        in_file: dict[str, Any] = {}
        for values in self._sections(node).values():
            in_file |= values
        settled = {}
        for p in tables()[node]:
            value = in_file.get(p.name, p.default)
            try:
                settled[p.name] = p.parse(value) if isinstance(value, str) and p.default != "" else p.accept(value)
            except InputError as error:
                raise InputError(f"{argument}: {path}: {error}") from None
        return settled | self._given(node)

    def _full_name(self, node: str) -> str:
        return f"{self.namespace.rstrip('/')}/{node}"

    def _sections(self, node: str) -> dict[str, dict[str, Any]]:
        """Return what is meant for a node in its parameter file: key -> parameters, in the file's order."""
        argument = f"{node}_params"
        path = Path(self[argument])
        if not path.is_file():
            raise InputError(f"{argument}: there is no file {path}")
        try:
            return _matching(read_yaml(path.read_text(encoding="utf-8")) or {}, self._full_name(node))
        except (OSError, AttributeError, TypeError, ValueError) as error:
            place = f" ({error})" if isinstance(error, TreeError) else ""
            raise InputError(
                f"{argument}: {path} is not a ROS parameter file{place}; expected /**: ros__parameters: name: value"
            ) from None

    def node(self, name: str, remappings: Mapping[str, str] | None = None, **parameters: Any) -> Node:
        """Return the action that starts one of our nodes; with its end, whatever it is, everything ends.

        Args:
            name: of the node.
            remappings: topic -> what it is called here.
            parameters: beside those of its file and the arguments, which they overrule.
        """
        self.settled(name)  # for what it raises
        if self["use_sim_time"] is not None:
            parameters["use_sim_time"] = self["use_sim_time"]
        values = self._given(name) | parameters
        return Node(
            package=PACKAGE,
            executable=f"{name}_node",
            name=name,
            namespace=self["namespace"] or "",
            output="screen",
            parameters=[self[f"{name}_params"], *([self._overruling(name, values)] if values else [])],
            remappings=list((remappings or {}).items()),
            ros_arguments=["--log-level", self["log_level"]],
            on_exit=_ending(name),
        )

    def _overruling(self, node: str, values: dict[str, Any]) -> Path:
        """Return a parameter file that overrules the user's, beside the launch's logs.

        Under each key of the user's file that is meant for the node: a later key wins in rcl, whichever is in the later
        file. As JSON, which is YAML in which texts that look like numbers are quoted.
        """
        keys = {**self._sections(node), self._full_name(node): {}}
        tree = {key: {"ros__parameters": values} for key in keys}
        with NamedTemporaryFile(
            "w", dir=launch_config.log_dir, prefix=f"{node}_", suffix=".yaml", delete=False, encoding="utf-8"
        ) as file:
            json.dump(tree, file, ensure_ascii=False)
        return Path(file.name)

    def rviz(self, vehicle: str, images: str, use_sim_time: bool) -> list[Action]:
        """Return what opens RViz, where it is asked for; its end is its own affair.

        Args:
            vehicle: namespace, below ours, of the vehicle whose results are shown; empty for ours.
            images: topic of the left images.
            use_sim_time: as the nodes have it.

        Raises:
            InputError: RViz isn't installed, or there is no such configuration.
        """
        if not self["rviz"]:
            return []
        try:
            get_package_prefix("rviz2")
        except PackageNotFoundError:
            raise InputError(
                "RViz is not installed here: sudo apt install ros-$ROS_DISTRO-rviz2, or leave out rviz:=true"
            ) from None
        config = Path(self["rviz_config"])
        if not config.is_file():
            raise InputError(f"rviz_config: there is no file {config}")
        if not self.is_given("rviz_config"):
            config = _with_images(config, images)
        namespace = "/".join(n for n in (self["namespace"] or "", vehicle) if n)

        def start(frame: str) -> Node:
            return Node(
                package="rviz2",
                executable="rviz2",
                namespace=namespace,
                arguments=["-d", str(config), "-f", frame],
                parameters=[{"use_sim_time": use_sim_time}],
            )

        target = self.settled("decoder")["target_frame"]  # that of the results, where they aren't in the camera's
        if target:
            target = target.lstrip("/") if target.startswith("/") or not vehicle else f"{vehicle}/{target}"
        if self["frame"] or target:
            return [start(self["frame"] or target)]
        topic = "/".join((self.namespace.rstrip("/"), *([vehicle] if vehicle else []), "codec_description"))
        return [
            LogInfo(msg=f"RViz opens when {topic} tells the camera's frame; frame:=NAME opens it at once"),
            RegisterEventHandler(_On(Described, lambda event: start(event.frame))),
            OpaqueFunction(function=lambda context: _await_description(context, topic)),
        ]


class Refused(Event):
    """What the user asks for can't be started."""

    name = "sicm_ros.Refused"

    def __init__(self, error: InputError) -> None:
        self.error = error

    def end(self) -> NoReturn:
        """End the launch."""
        raise self.error


class Described(Event):
    """An encoder has told the frame of its left camera."""

    name = "sicm_ros.Described"

    def __init__(self, frame: str) -> None:
        self.frame = frame


class _On(BaseEventHandler):
    """Does something with events of a kind: raises, or returns what is to be started."""

    def __init__(self, kind: type[Event], act: Callable[[Any], Action]) -> None:
        super().__init__(matcher=lambda event: isinstance(event, kind))
        self._act = act

    def handle(self, event: Event, context: LaunchContext) -> Action:
        super().handle(event, context)
        return self._act(event)


def description(arguments: list[Argument], start: Callable[[Request], list[Action]]) -> LaunchDescription:
    """Return what a launch file returns: the arguments, and the actions that `start` makes of their values.

    `start` raises InputError where they don't fit together. Nothing of ours has been started then, and `ros2 launch`
    ends with exit status 1 and the error's sentence.
    """

    def checked(context: LaunchContext) -> list[Action]:
        try:
            return start(Request(context, arguments))
        except InputError as error:
            # Raised at once, it would keep launch from learning of processes that other files have just started, and
            # launch would leave them behind.
            return [
                RegisterEventHandler(_On(Refused, lambda event: event.end())),
                EmitEvent(event=Refused(error)),
            ]

    return LaunchDescription([*(a.declare() for a in arguments), OpaqueFunction(function=checked)])


def is_compressed(path: str, replay: Mapping[str, Any]) -> bool:
    """Return whether a recording's images are compressed as they are played, with these parameters of the replay.

    Raises:
        InputError: it can't be played.
    """
    node = str(Path(get_package_prefix(PACKAGE), "lib", PACKAGE, "replay_node"))
    layout = [replay[name] for name in ("preset", "left_topic", "right_topic")]
    how = [replay["rectify"], replay["calibration_file"], "assume_rectified" if replay["assume_rectified"] else ""]
    words = [node, DESCRIBE, path, *layout, *how]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode or not done.stdout:
        said = done.stderr.strip().splitlines()
        raise InputError(said[-1] if said else f"{path}: looking at it was interrupted")
    return json.loads(done.stdout)["compressed"]


def _matching(tree: Mapping, full_name: str, key: str = "") -> dict[str, dict[str, Any]]:
    """Return sections of a parameter file that are meant for a node: keys are names, parts of them,
    patterns with * and **.
    """
    sections: dict[str, dict[str, Any]] = {}
    for name, value in tree.items():
        if name != "ros__parameters":
            sections |= _matching(value, full_name, f"{key}/{name.strip('/')}")
        elif re.fullmatch(re.escape(key).replace(r"/\*\*", r"(/[^/]+)*").replace(r"\*", "[^/]+"), full_name):
            sections[key] = dict(value or {})
    return sections


def _ending(name: str) -> Callable[[ProcessExited, LaunchContext], Action | None]:
    """Return what a node's end means for the launch: its end, with exit status 1 unless the node ended well."""

    def on_exit(event: ProcessExited, context: LaunchContext) -> Action | None:
        if context.is_shutdown:
            return None
        if event.returncode:
            how = f"exit status {event.returncode}" if event.returncode > 0 else f"signal {-event.returncode}"
            raise InputError(f"the {name} ended with {how}, so everything ends; its last message says why")
        return EmitEvent(event=Shutdown(reason=f"the {name} has ended"))

    return on_exit


def _with_images(config: Path, topic: str) -> Path:
    """Return a copy of our configuration of RViz, beside the launch's logs, in which the left image has this topic."""
    tree = yaml.safe_load(config.read_text(encoding="utf-8"))
    for display in tree["Visualization Manager"]["Displays"]:
        if display.get("Name") == IMAGE_DISPLAY:
            display["Topic"]["Value"] = topic
    copy = Path(launch_config.log_dir, config.name)
    copy.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return copy


def _await_description(context: LaunchContext, topic: str) -> None:
    """Emit Described at the first message on a topic of codec descriptions."""
    from sicm_ros.msg import CodecDescription
    from sicm_ros.nodes.qos import latched

    heard: list[str] = []

    def on_description(message: CodecDescription) -> None:
        if not heard and message.header.frame_id:
            heard.append(message.header.frame_id)
            event = Described(message.header.frame_id)
            context.asyncio_loop.call_soon_threadsafe(lambda: context.emit_event_sync(event))

    get_ros_node(context).create_subscription(CodecDescription, topic, on_description, latched())
