"""What `pip install .` brings: every file of the package, the message definitions, the command."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


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


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_demo_takes_any_path_as_it_is(tmp_path):
    drive = f'it\'s $(touch {tmp_path}/a) $(shell touch {tmp_path}/b) `touch {tmp_path}/c` "$HOME".mcap'
    planned = subprocess.run(
        ["make", "-n", "demo", f"DATA={drive}"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    command = planned.stdout.strip().splitlines()[-1]
    assert command.startswith(".venv/bin/sicm demo --data ")
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True
    ).stdout
    assert words.splitlines() == [".venv/bin/sicm", "demo", "--data", drive]
    assert not list(tmp_path.iterdir())
