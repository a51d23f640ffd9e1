# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What `colcon build` installs, without links into the source tree: complete, and it runs from where it lies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WHEELS = (Path(sys.prefix) / "share" / "ament_cmake").is_dir()  # ROS from PyPI, in this environment
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
COLCON = shutil.which("colcon", path=PATH)
NODES = ("encoder", "decoder", "replay", "link")

pytestmark = [
    pytest.mark.skipif(COLCON is None, reason="colcon is not installed: `make setup`, or apt install ros-dev-tools"),
    pytest.mark.timeout(1200),  # a minute, but on a busy machine
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a copy of the package, built as docs/installation.md says, with tests."""
    workspace = tmp_path_factory.mktemp("workspace")
    for name in ("sicm_ros", "msg", "launch", "config", "test"):
        shutil.copytree(ROOT / name, workspace / "src" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("package.xml", "CMakeLists.txt", "LICENSE", "pyproject.toml"):
        shutil.copy(ROOT / name, workspace / "src" / name)
    # Without -l, by which colcon lets make wait while the machine is busy.
    environment = os.environ | {"PATH": PATH, "MAKEFLAGS": f"-j{os.cpu_count()}"}
    arguments = ["-DBUILD_TESTING=ON"]
    if WHEELS:
        environment |= dict.fromkeys(("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "VIRTUAL_ENV"), sys.prefix)
        mends = (ROOT / "without_ros" / f"{name}.cmake" for name in ("python_headers", "python_only"))
        arguments.append(f"-DCMAKE_PROJECT_INCLUDE={';'.join(map(str, mends))}")
    else:
        arguments.append(f"-DPython3_EXECUTABLE={sys.executable}")
    done = subprocess.run(
        [COLCON, "build", "--base-paths", "src", "--cmake-args", *arguments],
        cwd=workspace,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(workspace / "src" / "sicm_ros")  # nothing that is installed may need it
    return workspace


def run(workspace: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command where the workspace is sourced, outside of the source tree."""
    return subprocess.run(
        ["bash", "-c", f"source {workspace}/install/setup.bash && {command}"],
        cwd=workspace / "install",
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_every_file_is_there_and_none_is_a_link(workspace: Path):
    prefix = workspace / "install" / "sicm_ros"
    (modules,) = prefix.glob("lib/python3*/site-packages/sicm_ros")
    share = prefix / "share" / "sicm_ros"
    for source, installed in [(ROOT / "sicm_ros", modules)] + [
        (ROOT / n, share / n) for n in ("launch", "config", "msg")
    ]:
        for path in source.rglob("*"):
            if path.is_file() and path.name != "executable.in" and path.suffix != ".pyc":
                copy = installed / path.relative_to(source)
                assert copy.is_file(), copy
                assert not copy.is_symlink(), copy
    executables = prefix / "lib" / "sicm_ros"  # what `ros2 run sicm_ros` knows
    assert {path.name for path in executables.iterdir()} == {f"{node}_node" for node in NODES} | {"sicm"}
    assert all(os.access(path, os.X_OK) for path in executables.iterdir())


def test_the_command_is_on_the_path_and_finds_model_drive_and_messages(workspace: Path):
    script = "import sicm_ros.msg; print(sicm_ros.msg.CompressedStereoFeatures.__module__, sicm_ros.__file__)"
    command = f"command -v sicm && sicm info free && {sys.executable} -c '{script}' && sicm info $DRIVE"
    (drive,) = (workspace / "install").rglob("drive.mcap")
    done = run(workspace, command.replace("$DRIVE", str(drive)))
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert said[0] == str(workspace / "install/sicm_ros/bin/sicm")
    assert any(line.startswith("name ") and line.endswith("lite-free") for line in said)
    modules = drive.parents[1]
    assert f"sicm_ros.msg._compressed_stereo_features {modules / '__init__.py'}" in said
    assert "30 stereo pairs" in " ".join(said)


def test_a_node_runs_from_there(workspace: Path):
    done = run(workspace, "sicm_ros/lib/sicm_ros/encoder_node --ros-args -p model:=nosuch")
    assert "no model 'nosuch'; expected a folder with config.yaml or one of default, free" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_colcon_test_knows_the_tests(workspace: Path):
    done = run(workspace, f"{shutil.which('ctest', path=PATH)} -N --test-dir {workspace}/build/sicm_ros")
    registered = {line.split()[-1] for line in done.stdout.splitlines() if line.strip().startswith("Test ")}
    assert "pytest" in registered, done.stdout
    if shutil.which("ruff", path=PATH):
        assert registered >= {"ruff_check", "ruff_format"}
