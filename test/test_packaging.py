# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What `pip install .` brings, what package.xml, pyproject.toml and the documentation say is needed, and licences."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from test_layering import imports

ROOT = Path(__file__).resolve().parents[1]
FROM_ROS = "AMENT_PREFIX_PATH" in os.environ and not (Path(sys.prefix) / "share" / "ament_cmake").is_dir()

# Python's name of what rosdep installs -> its key, where that is another.
KEYS = {
    "argcomplete": "python3-argcomplete",
    "cv2": "python3-opencv",
    "hypothesis": "python3-hypothesis",
    "numpy": "python3-numpy",
    "opencv-python-headless": "python3-opencv",
    "pytest": "python3-pytest",
    "pytest-timeout": "python3-pytest-timeout",
    "pyyaml": "python3-yaml",
    "rich": "python3-rich",
    "scipy": "python3-scipy",
    "tf2_ros": "tf2_ros_py",
    "tqdm": "python3-tqdm",
    "yaml": "python3-yaml",
}
NO_KEY = {"openvino", "onnxruntime", "constriction", "safetensors", "rosbags", "backports-zstd"}
OPTIONAL = {"autoware_perception_msgs"}  # used where it is installed, and not installed for us


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is packaged: a build leaves folders behind."""
    source = tmp_path_factory.mktemp("source")
    for name in ("sicm_ros", "msg"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    return source


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    done = subprocess.run([*pip, "-w", str(out), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return zipfile.ZipFile(next(out.glob("*.whl")))


def test_every_file_of_the_package_is_in_the_wheel(wheel: zipfile.ZipFile, source: Path):
    names = set(wheel.namelist())
    for path in (source / "sicm_ros").rglob("*"):
        if path.is_file() and path.name != "executable.in":  # that one serves CMake alone
            assert str(path.relative_to(source)) in names


def test_the_wheel_brings_the_command_and_the_message_definitions(wheel: zipfile.ZipFile, source: Path):
    names = wheel.namelist()
    entry = next(name for name in names if name.endswith("entry_points.txt"))
    assert "sicm = sicm_ros.cli:main" in wheel.read(entry).decode()
    definitions = {Path(name).name for name in names if "/share/sicm_ros/msg/" in name}
    assert definitions == {path.name for path in (source / "msg").glob("*.msg")}


def requirements(path: Path) -> Iterator[Requirement]:
    """What a file for pip lists."""
    for line in path.read_text().splitlines():
        if line := line.partition("#")[0].strip():
            yield Requirement(line)


def declared(*kinds: str) -> set[str]:
    """What package.xml declares as depend, exec_depend, ..."""
    tree = ElementTree.parse(ROOT / "package.xml")
    return {element.text for kind in kinds for element in tree.iter(kind)}


def imported(*folders: str) -> set[str]:
    """Packages that the modules of some folders import, without Python's own and ours."""
    tops = {
        name.split(".")[0] for folder in folders for path in (ROOT / folder).rglob("*.py") for name in imports(path)
    }
    return tops - set(sys.stdlib_module_names) - {"sicm_ros"}


def test_package_xml_declares_what_runs_and_nothing_else():
    used = imported("sicm_ros/nodes", "launch")
    for path in (ROOT / "launch", ROOT / "sicm_ros" / "nodes"):
        for file in path.glob("*.py"):
            used |= set(re.findall(r'package="(\w+)"', file.read_text()))
    used |= {requirement.name for requirement in project("dependencies")}
    used |= {"rosidl_default_runtime", "ros2launch"}  # what our messages need, and the command that the README names
    used |= {"libopenblas-dev"}  # what NumPy computes quickly with
    used -= {"sicm_ros"} | NO_KEY | OPTIONAL
    assert declared("depend", "exec_depend") == {KEYS.get(name, name) for name in used}


def test_package_xml_declares_what_builds_and_nothing_else():
    found = set(re.findall(r"find_package\((\w+)", (ROOT / "CMakeLists.txt").read_text())) - {"Python3"}
    fields = "".join(path.read_text() for path in (ROOT / "msg").glob("*.msg"))
    messages = set(re.findall(r"^(\w+)/\w+(?:\[.*?\])? ", fields, re.MULTILINE))
    assert declared("depend") == messages
    assert messages <= found
    tests = {name for name in found if name in declared("test_depend")}
    assert declared("buildtool_depend") == found - messages - tests


def test_package_xml_declares_what_tests_and_nothing_else():
    ros = {name for name in imported("test") if name.endswith(("_msgs", "_interfaces"))}
    linters = {"ament_lint_auto", "ament_cmake_lint_cmake", "ament_cmake_xmllint"}
    tools = {"ament_cmake_pytest", *(KEYS[requirement.name] for requirement in project("test"))}
    assert declared("test_depend") == ros - declared("depend", "exec_depend") - OPTIONAL | linters | tools


def project(part: str) -> list[Requirement]:
    """What pyproject.toml says is needed: `dependencies`, or one of the extras."""
    text = (ROOT / "pyproject.toml").read_text()  # Python 3.10 has no tomllib
    listed = re.search(rf"^{part} = \[(.*?)\]( *#.*)?$", text, re.MULTILINE | re.DOTALL)[1]
    return [Requirement(name) for name in re.findall(r'"([^"]+)"', listed)]


@pytest.mark.parametrize("path", ["docs/installation.md", "Dockerfile"])
def test_what_has_no_rosdep_key_is_in_one_line_for_pip(path: str):
    needed = {requirement.name for requirement in project("dependencies")}
    assert needed == {name for name in KEYS if name in needed} | NO_KEY
    (line,) = re.findall(r"pip install (?:--\S+ )*(openvino .*)$", (ROOT / path).read_text(), re.MULTILINE)
    assert set(line.partition("#")[0].split()) == NO_KEY - {"onnxruntime"}  # on processors that aren't x86


def test_the_constraints_are_ubuntus_versions_and_what_is_tested_here():
    # apt show python3-numpy ... on Ubuntu 24.04: the machine of ROS 2 Jazzy.
    noble = {
        "argcomplete": "3.1.4",
        "hypothesis": "6.98.15",
        "numpy": "1.26.4",
        "opencv-python-headless": "4.6.0.66",
        "pytest": "7.4.4",
        "pytest-timeout": "2.2.0",
        "pyyaml": "6.0.1",
        "rich": "13.7.1",
        "scipy": "1.11.4",
        "tqdm": "4.66.2",
    }
    pins = {requirement.name: requirement for requirement in requirements(ROOT / "without_ros/constraints.txt")}
    for name, version in noble.items():
        assert str(pins[name].specifier) == f"=={version}"
    assert {KEYS[name] for name in noble} == {
        name for name in declared("exec_depend", "test_depend") if "python3" in name
    }
    if not FROM_ROS:
        assert {name: importlib.metadata.version(name) for name in noble} == noble


@pytest.mark.skipif(FROM_ROS, reason="this environment sees the packages of a ROS installation")
def test_every_version_that_is_installed_is_pinned():
    pins = {}
    for requirement in requirements(ROOT / "without_ros/constraints.txt"):
        if requirement.marker is None or requirement.marker.evaluate():
            pins[canonicalize_name(requirement.name)] = requirement.specifier
    todo = [Requirement("sicm_ros[test]"), *requirements(ROOT / "without_ros/requirements-ros.txt")]
    seen = set()
    while todo:
        of = todo.pop()
        for text in importlib.metadata.requires(of.name) or []:
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in (*of.extras, "")):
                name = canonicalize_name(needed.name)
                if of.name != "torch" or name in pins:  # its wheel pins its own, of which some are for GPUs alone
                    todo += [needed] if name not in seen else []
                    seen.add(name)
    ours = {name for name in seen if not name.startswith("ros-")}  # each of which pins the next
    assert ours <= set(pins)
    for name in ours:
        assert Version(importlib.metadata.version(name)).public in pins[name], name


def test_the_package_is_typed(wheel: zipfile.ZipFile):
    assert "sicm_ros/py.typed" in wheel.namelist()


@pytest.mark.parametrize(
    "data",
    ["two words", "$(touch seen)", "$(shell touch seen)", "`touch seen`", 'it\'s "quoted"', "$HOME # %d", "-x", ""],
)
def test_make_takes_names_as_they_are(data: str, tmp_path: Path):
    stub = tmp_path / "sicm"
    stub.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    stub.chmod(0o755)
    for told in ([f"DATA={data}", f"LINK={data}"], []):  # by its argument, by the environment
        done = subprocess.run(
            ["make", "--silent", "--old-file=setup", "demo", f"BIN={tmp_path}", *told],
            cwd=ROOT,
            env=os.environ | {"DATA": data, "LINK": data},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        expected = [f"--link={data}", "--", data] if data else []
        assert json.loads(done.stdout.splitlines()[-1]) == ["demo", *expected]
    assert not (ROOT / "seen").exists()


HEADER = "Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0"


def test_every_source_file_names_its_licence():
    kinds = ("*.py", "*.cmake", "*.frag", "*.vert", "CMakeLists.txt", "Makefile", "executable.in", "Dockerfile")
    folders = ("sicm_ros", "launch", "test", "without_ros")
    files = {path for kind in kinds for path in ROOT.glob(kind)}
    files |= {path for kind in kinds for folder in folders for path in (ROOT / folder).rglob(kind)}
    assert len(files) > 200
    lacking = [str(f.relative_to(ROOT)) for f in files if HEADER not in "".join(f.open().readlines()[:2])]
    assert not lacking, f"first line (after #! or #version): # {HEADER}"


@pytest.mark.parametrize("status", ["encoder", "van_1/encoder", "decoder", "fleet/van_1/decoder", "link"])
def test_the_aggregator_groups_each_status_once(status: str):
    tree = yaml.safe_load((ROOT / "config" / "diagnostics.yaml").read_text())["/**"]["ros__parameters"]
    groups = [group for group in tree.values() if isinstance(group, dict)]
    assert all(group["type"] == "diagnostic_aggregator/GenericAnalyzer" for group in groups)
    assert sum(any(part in status for part in group["contains"]) for group in groups) == 1
