# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The launch files, with ROS' own launch and launch_ros."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from raw_cameras import lens
from rendered_drive import write_objects
from test_cameras import kalibr

pytest.importorskip("launch", reason="ROS' launch is not installed (it is not on PyPI)")
pytest.importorskip("launch_ros.actions", reason="launch_ros is not installed (nor on PyPI)")

from launch import LaunchContext, LaunchDescription
from launch.actions import EmitEvent
from launch.launch_description_sources import get_launch_description_from_python_launch_file
from launch.substitutions import LocalSubstitution
from launch.utilities import perform_substitutions
from launch_ros.actions import Node

from sicm_ros.errors import InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.nodes.parameters import Parameter, tables

ROOT = Path(__file__).resolve().parents[1]
FOLDER, DRIVE = ROOT / "launch", ROOT / "sicm_ros" / "demo" / "drive.mcap"
FILES = ("encoder", "decoder", "pipeline")
# What `ros2 launch` does: files with their arguments, and the exit status.
RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import GroupAction, IncludeLaunchDescription
files = {}
for word in sys.argv[1:]:
    if word.endswith(".launch.py"):
        arguments = files.setdefault(word, [])
    else:
        arguments.append(tuple(word.split(":=", 1)))
includes = [GroupAction([IncludeLaunchDescription(file, launch_arguments=words)]) for file, words in files.items()]
service = LaunchService(argv=sys.argv[2:] if len(files) == 1 else [])
service.include_launch_description(LaunchDescription(includes))
sys.exit(service.run())
"""


def description(name: str) -> LaunchDescription:
    return get_launch_description_from_python_launch_file(str(FOLDER / f"{name}.launch.py"))


def nodes(name: str, **arguments: str) -> dict[str, list[str]]:
    """Executable -> command of every node that a launch file would start."""
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    context.extend_locals({"current_launch_file_path": str(FOLDER / f"{name}.launch.py")})
    waiting, found = list(description(name).entities), {}
    while waiting:
        entity = waiting.pop(0)
        if isinstance(entity, Node):
            entity._perform_substitutions(context)
            words = [word for word in entity.cmd if not any(isinstance(part, LocalSubstitution) for part in word)]
            found[entity.node_executable] = [perform_substitutions(context, word) for word in words]
        elif isinstance(entity, EmitEvent):
            entity.event.end()
        else:
            try:
                waiting = [*(entity.visit(context) or []), *waiting]
            except InputError as error:  # launch would leave behind what other files have just started
                raise AssertionError("refused by an exception instead of an event") from error
    return found


def parameters(command: list[str]) -> dict[str, Any]:
    """What a node's command sets beside the file that the user may give."""
    files = [Path(word) for option, word in pairwise(command) if option == "--params-file"]
    return next(iter(yaml.safe_load(files[1].read_text()).values()))["ros__parameters"] if len(files) > 1 else {}


class Launched:
    """Launch files in a process of their own."""

    def __init__(self, log: Path, *words: str | Path, **environment: str) -> None:
        words = tuple(str(FOLDER / word) if str(word).endswith(".launch.py") else str(word) for word in words)
        self._log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-c", RUN, *words],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | {"ROS_LOG_DIR": str(log.with_suffix(".logs"))} | environment,
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait(self, seconds: float) -> int:
        """Returns the exit status; checks that nothing is left."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.end()
            raise AssertionError(f"it did not end in {seconds} s:\n{self.output}") from None
        assert "Traceback" not in self.output, self.output
        marker = str(self._log.with_suffix(".logs"))
        left = [
            p for p in Path("/proc").glob("[0-9]*/environ") if p.parent.name != str(os.getpid()) and _has(p, marker)
        ]
        assert not left, left
        return self.process.returncode

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # on SIGTERM launch would leave its nodes behind
        return self.wait(30)


def _has(environment: Path, marker: str) -> bool:
    try:
        return marker.encode() in environment.read_bytes()
    except OSError:
        return False


@pytest.fixture
def launched(ros_installed, tmp_path):
    """launched("pipeline.launch.py", "bag:=...") -> Launched; ended after the test."""
    all_of_them: list[Launched] = []

    def start(*words: str | Path, **environment: str) -> Launched:
        all_of_them.append(Launched(tmp_path / f"launch_{len(all_of_them)}.log", *words, **environment))
        return all_of_them[-1]

    yield start
    for one in all_of_them:
        one.end()


@pytest.fixture
def rviz(tmp_path) -> tuple[dict[str, str], Path]:
    """An rviz2 that notes how it is started: the environment in which it is found, and its notes."""
    prefix, notes = tmp_path / "viewer", tmp_path / "rviz.txt"
    (prefix / "share/ament_index/resource_index/packages").mkdir(parents=True)
    (prefix / "share/ament_index/resource_index/packages/rviz2").touch()
    (prefix / "lib/rviz2").mkdir(parents=True)
    program = prefix / "lib/rviz2/rviz2"
    program.write_text(f'#!/bin/sh\necho "$@" > {notes}\nexec sleep 300\n')
    program.chmod(0o755)
    return {"AMENT_PREFIX_PATH": f"{os.environ['AMENT_PREFIX_PATH']}:{prefix}"}, notes


# -- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_every_argument_says_what_it_means(name):
    for argument in description(name).get_launch_arguments():
        assert len(argument.description) > 15, argument.name
        assert argument.default_value is not None, argument.name


@pytest.mark.parametrize("name", FILES)
def test_arguments_tell_the_default_that_the_node_has(name):
    defaults: dict[str, set[str]] = {}  # nodes may differ: replay looks for a preset by itself, an encoder doesn't
    for p in (p for table in tables().values() for p in table):
        text = yaml.safe_dump(p.default).split("\n")[0]
        defaults.setdefault(p.name, set()).add({"": "empty", "['']": "empty"}.get(str(p.default), text))
    for argument in description(name).get_launch_arguments():
        if argument.name in defaults and argument.name != "min_score":
            assert argument.description.rpartition("_params (")[2].removesuffix(").") in defaults[argument.name]


def test_the_launch_files_have_the_arguments_that_users_expect():
    names = {name: {a.name for a in description(name).get_launch_arguments()} for name in FILES}
    everywhere = {"model", "device", "namespace", "use_sim_time", "log_level"}
    encoder = {"quality", "mode", "target_kbit_s", "adaptive", "engine", "encoder_params"}
    seen = {"decoder_params", "rviz", "rviz_config", "frame", "min_score"}
    assert everywhere | encoder | {"left", "right", "compressed"} <= names["encoder"]
    assert everywhere | seen | {"vehicles", "features"} <= names["decoder"]
    played = {"bag", "kitti", "preset", "rate", "loop", "link", "link_params", "replay_params"}
    assert everywhere | encoder | seen | played <= names["pipeline"]
    assert not {"reliable_images", "features", "wait_for_subscribers"} & names["pipeline"]  # it decides those itself


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("pipeline", {"bag": "nosuch.mcap"}, "nosuch.mcap: no such bag or folder"),
        ("pipeline", {"bag": "a", "kitti": "b"}, "bag and kitti are both given"),
        ("pipeline", {"bag": str(DRIVE), "compressed": "false"}, "are compressed; leave out compressed:="),
        ("pipeline", {"bag": str(DRIVE), "preset": "moon"}, "no preset 'moon'; expected auto, "),
        ("pipeline", {"bag": str(DRIVE), "left": "a"}, "left and right name a camera's topics"),
        ("pipeline", {"link": "moon"}, "link is moon; expected perfect, wifi"),
        ("pipeline", {"rate": "fast"}, "rate is fast; expected a number from 0.01 to 100"),
        ("encoder", {"quality": "1.7"}, "quality is 1.7; expected a number from 0 to 1"),
        ("encoder", {"device": "tpu"}, "device is tpu; expected cpu or cuda"),
        ("encoder", {"use_sim_time": "perhaps"}, "use_sim_time is perhaps; expected true or false"),
        ("encoder", {"log_level": "loud"}, "log_level is loud; expected debug, info"),
        ("encoder", {"namespace": "1st"}, "namespace is 1st; use letters"),
        ("encoder", {"encoder_params": "nosuch.yaml"}, "encoder_params: there is no file nosuch.yaml"),
        ("decoder", {"rviz": "true"}, "RViz is not installed here: sudo apt install"),
    ],
)
def test_what_cannot_be_started_is_said_before_anything_is(ros_installed, name, arguments, message):
    with pytest.raises(InputError) as caught:
        nodes(name, **arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a: [1\n  b",
            "is not a ROS parameter file (no plain YAML: expected ',' or ']', but got '<stream end>' in line 2)",
        ),
        ("- 1\n- 2", "is not a ROS parameter file; expected /**: ros__parameters: name: value"),
        ("/**: 7", "is not a ROS parameter file; expected"),
        ("/**:\n  ros__parameters:\n    quality: 3", "quality is 3.0; expected a number from 0 to 1"),
        ("encoder:\n  ros__parameters:\n    adaptive: often", "adaptive is often; expected true or false"),
    ],
)
def test_a_parameter_file_that_says_nothing_useful_is_named(ros_installed, tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"encoder_params: .*mine\.yaml") as caught:
        nodes("encoder", encoder_params=str(path))
    assert message in str(caught.value)


def test_what_users_write_is_text_and_no_code(ros_installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "it's $(touch a) ''' + __import__('os').system('touch b') + ''' \"x\" `touch c` $(env HOME).mcap"
    (tmp_path / name).write_bytes(DRIVE.read_bytes())
    before = set(tmp_path.iterdir())
    started = nodes("pipeline", bag=name, model=name, encoder_params=str(_file(tmp_path / "$(env HOME) 'x'.yaml", {})))
    assert parameters(started["replay_node"])["path"] == name
    assert parameters(started["encoder_node"])["model"] == name
    assert str(tmp_path / "$(env HOME) 'x'.yaml") in started["encoder_node"]
    assert set(tmp_path.iterdir()) == before | {tmp_path / "$(env HOME) 'x'.yaml"}


def _file(path: Path, values: dict[str, Any], node: str = "/**") -> Path:
    path.write_text(yaml.safe_dump({node: {"ros__parameters": values}}))
    return path


def test_only_what_is_given_is_set(ros_installed):
    assert {n: parameters(c) for n, c in nodes("encoder").items()} == {"encoder_node": {}}
    assert {n: parameters(c) for n, c in nodes("decoder").items()} == {"decoder_node": {}}
    half = {"threads": max(1, len(os.sched_getaffinity(0)) // 2)}  # of the cores, which both nodes share
    assert {n: parameters(c) for n, c in nodes("pipeline").items()} == {"encoder_node": half, "decoder_node": half}
    started = nodes("pipeline", model="m", min_score="0.3", quality="1", adaptive="true", link="wifi", log_level="warn")
    asked = {"model": "m", "min_score": 0.3}
    assert parameters(started["encoder_node"]) == asked | {"quality": 1.0, "adaptive": True} | half
    assert parameters(started["decoder_node"]) == asked | half
    assert parameters(started["link_node"]) == {"profile": "wifi"}
    assert all(command[command.index("--log-level") + 1] == "warn" for command in started.values())
    assert parameters(nodes("decoder", vehicles="van_1,7")["decoder_node"]) == {"vehicles": ["van_1", "7"]}


def test_threads_that_a_file_asks_for_stay(ros_installed, tmp_path):
    started = nodes("pipeline", encoder_params=str(_file(tmp_path / "encoder.yaml", {"threads": 7})))
    assert parameters(started["encoder_node"]) == {}
    assert parameters(started["decoder_node"])["threads"] >= 1


def test_time_is_simulated_only_where_something_publishes_it(ros_installed, tmp_path):
    def simulated(**arguments: str) -> set:
        return {parameters(c).get("use_sim_time") for n, c in nodes("pipeline", **arguments).items() if n[0] in "ed"}

    still = str(_file(tmp_path / "still.yaml", {"clock": False}, "/car/replay"))
    assert simulated() == {None}
    assert simulated(use_sim_time="true") == {True}
    assert simulated(bag=str(DRIVE)) == {True}
    assert simulated(bag=str(DRIVE), use_sim_time="false") == {False}
    assert simulated(bag=str(DRIVE), replay_params=still) == {True}  # it speaks of another node
    assert simulated(bag=str(DRIVE), replay_params=still, namespace="car") == {False}


def test_a_misspelt_argument_is_named(launched):
    launch = launched("pipeline.launch.py", f"bag:={DRIVE}", "qualty:=0.5")
    assert launch.wait(120) == 1
    assert "unknown argument qualty (perhaps quality); `ros2 launch -s sicm_ros pipeline" in launch.output
    assert "process started" not in launch.output


# -- RViz -------------------------------------------------------------------------------------------------------------


def test_rviz_gets_the_frame_and_the_images_that_there_are(ros_installed, rviz, monkeypatch, tmp_path):
    monkeypatch.setenv("AMENT_PREFIX_PATH", rviz[0]["AMENT_PREFIX_PATH"])
    mine = tmp_path / "mine.rviz"
    mine.write_text("Visualization Manager: {Displays: [{Name: Left image, Topic: {Value: my/image}}]}\n")

    def shown(name: str = "pipeline", **arguments: str) -> tuple[str, str]:
        command = nodes(name, rviz="true", **{"frame": "cam", **arguments})["rviz2"]
        displays = yaml.safe_load(Path(command[command.index("-d") + 1]).read_text())["Visualization Manager"][
            "Displays"
        ]
        topics = [d["Topic"]["Value"] for d in displays if d["Name"] == "Left image"]
        return command[command.index("-f") + 1], *topics

    assert shown(bag=str(DRIVE)) == ("cam", "left/image_rect_color/compressed")
    assert shown() == ("cam", "left/image_rect_color")
    assert shown(left="/zed/left", compressed="true") == ("cam", "/zed/left/compressed")
    assert shown("decoder", frame="base") == ("base", "left/image_rect_color")
    assert shown("decoder", rviz_config=str(mine)) == ("cam", "my/image")
    assert shown("decoder", frame="", target_frame="base_link")[0] == "base_link"
    assert shown("decoder", frame="", target_frame="base_link", vehicles="van_1, van_2")[0] == "van_1/base_link"
    assert shown("decoder", frame="", target_frame="/map", vehicles="van_1")[0] == "map"
    assert shown("decoder", frame="odom", target_frame="base_link")[0] == "odom"


# -- whole launches ---------------------------------------------------------------------------------------------------


def _other(p: Parameter) -> Any:
    """A value that isn't the default."""
    if p.name == "optical_pose":
        return "1 2 3 0 0 0 1"
    if p.choices:
        return next(c for c in p.choices if c != p.default)
    if isinstance(p.default, bool):
        return not p.default
    if p.minimum is not None:
        value = (p.default + min(p.maximum, 1000)) / 2
        return value if isinstance(p.default, float) else int(value)
    return ["van_1", "fleet/van_2"] if isinstance(p.default, list) else f"another_{p.name}"


@pytest.mark.timeout(240)
def test_every_node_has_the_parameters_of_its_file_and_the_arguments_overrule_them(peer, launched, tmp_path):
    from rcl_interfaces.srv import GetParameters
    from rclpy.parameter import parameter_value_to_python

    files = {}
    wanted: dict[str, dict[str, Any]] = {}
    rig = StereoCalibration(721.5, 721.5, 609.6, 172.9, 0.54, 1242, 375)
    cameras = kalibr(tmp_path, [lens(rig, side) for side in (0, 1)])  # nodes refuse what isn't there
    for node, table in tables().items():
        wanted[node] = {p.name: str(cameras) if p.name == "calibration_file" else _other(p) for p in table}
        if node in ("encoder", "replay"):
            wanted[node] |= {"rectify": "never", "preset": "zed"}  # `always` and assume_rectified contradict each other
        if node == "replay":
            wanted[node] |= {"path": str(DRIVE), "preset": "stereo"}
            wanted[node] |= {f"{s}_topic": f"/{s}/image_rect_color/compressed" for s in ("left", "right")}
        files[node] = f"{node}_params:={_file(tmp_path / f'{node}.yaml', wanted[node])}"
    assert all(
        value != p.default for node, table in tables().items() for p in table for value in [wanted[node][p.name]]
    )
    # Of two keys the later one counts in a file; arguments overrule both.
    odd = tmp_path / "odd.yaml"
    own = {"/one/encoder": {"ros__parameters": {"quality": 0.1, "mode": "auto"}}}
    odd.write_text(yaml.safe_dump(own | {"/**": {"ros__parameters": wanted["encoder"]}}, sort_keys=False))
    # Three launch files in one launch, with a bag, several scopes and few arguments.
    given = ["quality:=0.9", "rate:=3", "link:=bad_day", "min_score:=0.2"]
    launched(
        "pipeline.launch.py",
        *files.values(),
        *given,
        "namespace:=all",
        "encoder.launch.py",
        f"encoder_params:={odd}",
        "quality:=0.8",
        "model:=1e3",
        "namespace:=one",
        "decoder.launch.py",
        files["decoder"],
        "namespace:=two",
    )
    # The replay has rectified and decoded what the bag holds: nobody does it twice.
    replayed = {
        "compressed": True,
        "reliable_images": True,
        "rectify": "never",
        "assume_rectified": False,
        "calibration_file": "",
        "transport": "raw",
        "preset": "",
    }
    pipeline = {
        "encoder": wanted["encoder"] | {"quality": 0.9, "min_score": 0.2} | replayed,
        "decoder": wanted["decoder"] | {"min_score": 0.2},
        "link": wanted["link"] | {"profile": "bad_day"},
        "replay": wanted["replay"] | {"rate": 3.0},
    }
    topics = [*wanted["replay"]["wait_for_topics"], "features", "link/features"]
    pipeline["replay"]["wait_for_topics"] = topics
    expected = {f"/all/{node}": values for node, values in pipeline.items()}
    expected |= {
        "/one/encoder": wanted["encoder"] | {"quality": 0.8, "model": "1e3"},
        "/two/decoder": wanted["decoder"],
    }
    for name, values in expected.items():
        request = GetParameters.Request(names=[*values, "use_sim_time"])
        answer = peer.call(GetParameters, f"{name}/get_parameters", request, 90).values
        found = dict(zip(request.names, map(parameter_value_to_python, answer)))
        assert found == values | {"use_sim_time": False}, name  # replay's file has no clock


@pytest.mark.timeout(300)
def test_a_drive_goes_through_the_launched_pipeline_to_its_last_pair(peer, launched, rviz, tiny_model, tmp_path):
    from vision_msgs.msg import Detection3DArray

    answers = peer.listen(Detection3DArray, "/car1/detections")
    drive = write_objects(tmp_path / 'drive it\'s "odd" $(x)', pairs=6)
    arguments = [
        f"kitti:={drive}",
        f"model:={tiny_model}",
        "rate:=0.5",
        "namespace:=car1",
        "quality:=1",
        "min_score:=0",
    ]
    launch = launched("pipeline.launch.py", *arguments, "rviz:=true", **rviz[0])
    assert launch.wait(240) == 0
    output = launch.output
    assert "played 6 stereo pairs, " in output, output
    assert "the encoder uses model untrained on 312 x 96 pixels" in output, output
    assert output.count("process has finished cleanly") >= 3, output
    assert peer.wait(lambda: answers, what="answers")[-1].header.stamp.nanosec == 500_000_000
    shown = rviz[1].read_text()
    assert "-f stereo_left_optical" in shown
    assert "__ns:=/car1" in shown


@pytest.mark.timeout(300)
def test_a_node_that_fails_ends_the_launch_with_exit_status_1(launched, tmp_path):
    launch = launched("pipeline.launch.py", f"bag:={DRIVE}", "model:=nosuch")
    missing = launched("pipeline.launch.py", f"bag:={tmp_path / 'missing.mcap'}")
    assert missing.wait(120) == 1
    assert f"{tmp_path / 'missing.mcap'}: no such bag or folder" in missing.output
    assert launch.wait(240) == 1
    assert "the model can't be loaded: no model 'nosuch'" in launch.output
    assert " ended with exit status 2, so everything ends; its last message says why" in launch.output


@pytest.mark.timeout(240)
def test_ctrl_c_and_a_killed_node_end_all(launched):
    live = launched("pipeline.launch.py", "link:=lte", "namespace:=live")
    killed = launched("pipeline.launch.py", f"bag:={DRIVE}")
    _wait_for(killed, "30 stereo pairs")
    os.kill(int(re.search(r"replay_node-\d+\]: process started with pid \[(\d+)\]", killed.output)[1]), signal.SIGKILL)
    _wait_for(live, "link lte: ")
    live.process.send_signal(signal.SIGINT)
    assert live.wait(90) == 0
    assert killed.wait(90) == 1
    assert "the replay ended with signal 9, so everything ends" in killed.output


def _wait_for(launch: Launched, text: str) -> None:
    end = time.monotonic() + 90
    while text not in launch.output:
        assert time.monotonic() < end, launch.output
        time.sleep(0.1)
