"""The launch files, with ROS' own launch and launch_ros."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rendered_drive import write_objects

pytest.importorskip("launch", reason="ROS' launch is not installed (it is not on PyPI)")
pytest.importorskip("launch_ros.actions", reason="launch_ros is not installed (nor on PyPI)")

from launch import LaunchDescription
from launch.launch_description_sources import get_launch_description_from_python_launch_file

FOLDER = Path(__file__).resolve().parents[1] / "launch"
RUN = """
import sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch import LaunchDescription
file, *words = sys.argv[1:]
arguments = [tuple(word.split(":=", 1)) for word in words]
service = LaunchService()
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(file, launch_arguments=arguments)]))
sys.exit(service.run())
"""


def description(name: str) -> LaunchDescription:
    return get_launch_description_from_python_launch_file(str(FOLDER / f"{name}.launch.py"))


@pytest.mark.parametrize("name", ["encoder", "decoder", "pipeline"])
def test_every_argument_says_what_it_means(name: str):
    for argument in description(name).get_launch_arguments():
        assert len(argument.description) > 15, argument.name
        assert argument.default_value is not None, argument.name


def test_defaults_are_those_of_the_parameters():
    from sicm_ros.nodes.parameters import tables

    for node in ("encoder", "decoder"):
        table = {p.name: p.default for p in tables()[node]}
        for argument in description(node).get_launch_arguments() + description("pipeline").get_launch_arguments():
            if argument.name in table:
                default = argument.default_value[0].text if argument.default_value else ""
                assert type(table[argument.name])(yaml.safe_load(default)) == table[argument.name], argument.name


def test_the_pipeline_has_the_arguments_that_users_expect():
    names = {argument.name for argument in description("pipeline").get_launch_arguments()}
    assert {"bag", "kitti", "preset", "model", "quality", "device", "rviz", "namespace", "use_sim_time"} <= names


@pytest.mark.timeout(300)
def test_a_drive_goes_through_the_launched_pipeline(ros_installed, tiny_model: Path, tmp_path: Path):
    drive = write_objects(tmp_path / "drive", pairs=6)
    arguments = [
        f"kitti:={drive}",
        f"model:={tiny_model}",
        "rate:=0.5",
        "namespace:=car1",
        "quality:=1",
        "min_score:=0",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(FOLDER / "pipeline.launch.py"), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"ROS_LOG_DIR": str(tmp_path / "log")},
    )
    try:
        output, _ = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # on SIGTERM launch would leave its nodes behind
        output, _ = process.communicate(timeout=20)
    assert "played 6 left pictures" in output, output
    assert "the encoder uses model untrained on 312 x 96 pixels" in output, output
    assert "Traceback" not in output, output
    assert output.count("process has finished cleanly") == 3, output
    assert process.returncode == 0
