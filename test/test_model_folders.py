# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Model folders that were damaged, exchanged or made to harm: refused by name, quickly, in little memory."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

import sicm_ros
from sicm_ros.errors import ModelError
from sicm_ros.geometry import ImagePair, StereoCalibration
from sicm_ros.model.checksums import SUMS, write_sums
from sicm_ros.model.folder import MODELS, change_config, read_model

COMPUTED_WITH = ("config.yaml", "tables.safetensors", "weights.safetensors")


@pytest.fixture
def folder(small_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_model, tmp_path / "model"))


@pytest.mark.parametrize("name", sorted(path.parent.name for path in MODELS.glob("*/config.yaml")))
def test_models_that_ship_are_what_their_sums_say(name: str):
    listed = [line.split()[1] for line in (MODELS / name / SUMS).read_text().splitlines()]
    assert (
        set(COMPUTED_WITH) <= set(listed) == {p.name for p in (MODELS / name).iterdir() if p.suffix != ".md"} - {SUMS}
    )
    done = subprocess.run(["sha256sum", "-c", SUMS], cwd=MODELS / name, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", COMPUTED_WITH)
def test_every_flipped_bit_and_every_truncation_is_refused(folder: Path, name: str):
    rng, path = random.Random(f"flip {name}"), folder / name
    whole = path.read_bytes()
    for _ in range(10):
        place = rng.randrange(len(whole))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << rng.randrange(8)]) + whole[place + 1 :])
        with pytest.raises(ModelError, match=f"{name}: not what SHA256SUMS says"):
            read_model(folder)
    for length in (0, 1, 8, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=name):
            read_model(folder)
    path.write_bytes(whole)
    read_model(folder)


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_circle_of_links(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("other"))
    path.with_name("other").symlink_to(path)


def an_endless_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def a_sparse_giant(path: Path) -> None:
    os.truncate(path, 1 << 40)


def nothing(path: Path) -> None:
    path.unlink()


def another_models(path: Path) -> None:
    shutil.copy(MODELS / "free" / path.name, path)


def a_huge_header(path: Path) -> None:
    path.write_bytes((1 << 62).to_bytes(8, "little") + b"{" * 1000)


def a_bomb(path: Path) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi")]
    path.write_text("\n".join(lines))


HARMS = (
    a_pipe, a_folder, a_circle_of_links, an_endless_device, a_sparse_giant, nothing, another_models, a_huge_header,
    a_bomb,
)  # fmt: skip
CASES = [(harm, "as they were") for harm in HARMS]
CASES += [(harm, "none") for harm in HARMS if harm is not another_models]  # which the networks' sizes tell, see below
CASES += [(harm, "made to fit") for harm in (a_huge_header, a_bomb)]


@pytest.mark.parametrize(("harm", "sums"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_what_is_no_model_is_refused_by_name_within_a_second_and_100_mb(
    small_model: Path, tmp_path: Path, harm: Callable[[Path], None], sums: str
):
    for name in COMPUTED_WITH:
        folder = Path(shutil.copytree(small_model, tmp_path / name))
        harm(folder / name)
        if sums == "none":
            (folder / SUMS).unlink()
        elif sums == "made to fit":
            write_sums(folder)
        check_refusal(folder, name)


def check_refusal(folder: Path, name: str) -> None:
    tracemalloc.start()
    start = time.perf_counter()
    try:
        with pytest.raises(ModelError) as refused:
            read_model(folder)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.perf_counter() - start < 1
    assert peak < 100e6
    text = str(refused.value)
    assert name in text or (name == "config.yaml" and text.startswith("no model"))
    assert "\n" not in text


@pytest.mark.parametrize("name", ["tables.safetensors", "weights.safetensors"])
def test_files_of_two_models_are_refused_without_sums_too(folder: Path, name: str):
    another_models(folder / name)
    (folder / SUMS).unlink()
    with pytest.raises(ModelError, match=r"do not match|fetch the model again"):
        read_model(folder)


def test_numbers_that_are_none_are_refused_whatever_the_sums_say(folder: Path):
    weights = load_file(folder / "weights.safetensors")
    name = next(name for name, value in weights.items() if value.dtype == np.float16 and value.size > 1)
    weights[name].reshape(-1)[-1] = np.nan
    save_file(weights, folder / "weights.safetensors")
    write_sums(folder)
    with pytest.raises(ModelError, match=rf"{name} has numbers that are not finite"):
        read_model(folder)


def test_sums_that_say_nothing_of_a_file_or_are_no_sums_are_refused(folder: Path):
    lines = (folder / SUMS).read_text().splitlines(keepends=True)
    (folder / SUMS).write_text("".join(line for line in lines if "weights" not in line))
    with pytest.raises(ModelError, match=r"SHA256SUMS: does not list weights\.safetensors"):
        read_model(folder)
    (folder / SUMS).write_text("all is well\n")
    with pytest.raises(ModelError, match="not in the format of sha256sum"):
        read_model(folder)


def test_a_folder_without_sums_is_loaded_and_said(folder: Path, caplog: pytest.LogCaptureFixture):
    (folder / SUMS).unlink()
    read_model(folder)
    assert "damage would not be noticed" in caplog.text
    assert "sha256sum *.yaml *.safetensors > SHA256SUMS" in caplog.text
    subprocess.run(f"cd {folder} && sha256sum *.yaml *.safetensors > SHA256SUMS", shell=True, check=True)
    caplog.clear()
    read_model(folder)
    assert not caplog.text


def test_a_model_in_use_does_not_change_with_its_files(folder: Path):
    rng = np.random.default_rng(5)
    frame = ImagePair(
        *rng.integers(0, 256, (2, 96, 256, 3), np.uint8), StereoCalibration(150.0, 150.0, 128.0, 48.0, 0.54, 256, 96)
    )
    model = sicm_ros.load(folder)
    before = model.encode(frame)
    for name in COMPUTED_WITH:
        with (folder / name).open("r+b") as file:  # in place, as a copy over it does
            file.write(bytes(1000))
            file.truncate(2000)
    assert model.encode(frame) == before


def test_a_configuration_is_changed_with_its_sums_and_beside_what_else_lies_there(folder: Path):
    (folder / "TRAINING.md").write_text("how it came about")
    change_config(folder, lambda tree: tree.update(name="renamed"))
    assert read_model(folder).name == "renamed"
    assert (folder / "TRAINING.md").read_text() == "how it came about"
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]

    def fail(tree: dict) -> None:
        raise RuntimeError("in between")

    with pytest.raises(RuntimeError, match="in between"):
        change_config(folder, fail)
    assert yaml.safe_load((folder / "config.yaml").read_text())["name"] == "renamed"
