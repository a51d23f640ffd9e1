# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The examples of CONTRIBUTING.md, installed as a package beside sicm_ros, do what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from sicm_ros.errors import InputError
from sicm_ros.extensions import Registry

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()


def install(site: Path, entry_points: str) -> None:
    """What pip leaves of a package's registrations."""
    metadata = site / "my_extensions-1.0.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my_extensions\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(entry_points)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder of packages with the page's files in it."""
    site = tmp_path_factory.mktemp("site")
    written = []
    for name, text in re.findall(r"```python file=(\S+)\n(.*?)```", PAGE, re.S):
        path = site / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        written.append(path.stem)
    assert written == ["x264", "opencv_webp", "blocks", "pairs", "robot", "local_head"]
    (site / "my_extensions" / "__init__.py").write_text("")
    tables = re.findall(r"```toml file=pyproject.toml\n(.*?)```", PAGE, re.S)
    install(site, re.sub(r'\[project\.entry-points\."(.*?)"\]', r"[\1]", "\n".join(tables)).replace('"', ""))
    return site


def python(site: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(site), str(ROOT)))}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    world = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (64, 140, 3), np.uint8), (0, 0), 2)
    for side, left in (("left", 0), ("right", 12)):
        (folder / side).mkdir()
        for name in ("a", "b"):
            cv2.imwrite(str(folder / side / f"{name}.png"), world[:, left : left + 128])
    (folder / "label").mkdir()
    (folder / "label" / "a.txt").write_text("Car 0.00 0 1.5 40 20 60 40 1.5 1.6 3.9 -1.0 1.2 8.0 1.57\n")
    (folder / "rig.yaml").write_text("{fx: 90.0, fy: 90.0, cx: 64.0, cy: 30.0, baseline: 0.4}\n")
    return folder


CHECKS = """
import sys
from pathlib import Path
import cv2, numpy as np, torch
from sicm_ros.bags import PRESETS
from sicm_ros.benchmark import run
from sicm_ros.benchmark.codecs import PictureCodec
from sicm_ros.benchmark.config import BenchmarkConfig
from sicm_ros.benchmark.detectors import DETECTORS
from sicm_ros.benchmark.figures import label_of
from sicm_ros.benchmark.results import read_results
from sicm_ros.cli import main
from sicm_ros.datasets import open_dataset
from sicm_ros.geometry import ImagePair, StereoCalibration
from sicm_ros.model import create, load
from sicm_ros.network import NetworkConfig

frames = open_dataset(sys.argv[1])
assert frames.names == ["a", "b"] and frames[0].calibration.baseline == 0.4
assert frames[0].labels.names.tolist() == ["Car"] and frames[1].labels is None
images = np.stack([frames[0].left, frames[0].right])
for mode in ("intra", "two_view"):
    codec = PictureCodec("x264", mode)
    streams = codec.encode(images, 20)
    assert np.abs(codec.decode(streams, 128, 64).astype(float) - images).mean() < 6
codec = PictureCodec("opencv_webp", "intra")
assert np.abs(codec.decode(codec.encode(images, 90), 128, 64).astype(float) - images).mean() < 6
assert label_of("x264_two_view") == "H.264 two-view"
assert PRESETS["robot"].left == "/robot/left/image"
config = NetworkConfig.parse({"input_width": 128, "input_height": 64, "detector": {"head": "local"}})
torch.set_num_threads(1)
model = load(create(Path(sys.argv[2]), config))
model.decode(model.encode(frames[0]))

# A wall 60 m away, and before it what is as wide as a car, on the road.
rig = StereoCalibration(360.0, 360.0, 240.0, 60.0, 0.5, 480, 160)
rng = np.random.default_rng(0)
texture = cv2.GaussianBlur(rng.integers(0, 255, (160, 640, 3), np.uint8), (0, 0), 1)
left, right = texture[:, :480].copy(), texture[:, 3:483].copy()
middle, size, shift = round(rig.cx + 360 * 2.0 / 12), round(360 * 1.6 / 12), 15  # x = 2 m, z = 12 m: 15 pixels
patch = cv2.GaussianBlur(rng.integers(0, 255, (45, size, 3), np.uint8), (0, 0), 1)
for view, off in ((left, 0), (right, shift)):
    view[64:109, middle - size // 2 - off : middle - size // 2 - off + size] = patch
detector = DETECTORS["blocks"]()
features = detector.input_to_features(ImagePair(left, right, rig))
found = detector.features_to_output(features, rig)
assert len(found) == 1 and abs(found.location[0] - [2.0, 1.65, 12 + 3.9 / 2]).max() < 0.6, found

tree = {"model": sys.argv[2], "qualities": [0.5], "detectors": ["blocks"], "replicates": 2}
tree["datasets"] = {"pairs": {"path": sys.argv[1]}}
tree["anchors"] = {"webp": {"codec": "opencv_webp", "qualities": {"full": [60]}}}
out = Path(sys.argv[2]).parent / "out"
config = run.prepare(BenchmarkConfig.parse(tree), out, {})
assert run.run(config, out, threads=1) == []
points = read_results(config, out)[0].curves["webp"]
assert [m.setting.key(m.detector).rpartition("-")[2] for m in points].count("1") == 1

assert not any("hourglass" in name for name in model.network.state_dict())
assert main(["info", sys.argv[1]]) == main(["data", "presets"]) == main(["extensions"]) == 0
"""


@pytest.mark.timeout(300)
def test_the_page_is_right(site, folder, tmp_path):
    pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is not installed: pip install '.[bench]'")
    done = python(site, "-c", CHECKS, str(folder), str(tmp_path / "model"))
    assert done.returncode == 0, done.stderr
    assert "2 stereo pairs" in done.stdout
    assert "our robot's driver" in done.stdout
    for kind, name in (("codec", "x264"), ("detector", "blocks"), ("data set", "pairs"), ("preset", "robot")):
        assert re.search(rf"{kind} +{name} +my_extensions 1.0", done.stdout)
    without = python(ROOT, "-m", "sicm_ros.cli", "info", str(tmp_path / "model"))
    assert without.returncode == 2
    assert "detector.head 'local'; expected one of centre" in without.stderr


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("lost = no_such_module:X", r"lost = no_such_module:X can't be imported \(No module named 'no_such_module'\)"),
        ("wrong = pathlib:Path", r"wrong = pathlib:Path is .*; expected a builtins.int"),
        ("taken = math:pi", "math:pi takes the name 'taken', which is taken"),
    ],
)
def test_a_registration_that_can_not_be_is_named(tmp_path, monkeypatch, entry, says):
    install(tmp_path, f"[sicm_ros.tests]\n{entry}\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry("sicm_ros.tests", {"taken": 1, "whole": 2}, int)
    name = entry.split(" = ")[0]
    with pytest.raises(InputError, match=says):
        _ = registry[name]
    assert registry["whole"] == 2  # another's fault is not its own
    (bad,) = [extension for extension in registry.extensions() if extension.broken]
    assert bad.name == name
    assert re.search(says, bad.broken)
    assert "my_extensions 1.0" in bad.origin
