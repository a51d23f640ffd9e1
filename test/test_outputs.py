# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What commands write where they can't: one line with place, reason and remedy, and what was finished stays."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from rendered_drive import write_objects

from sicm_ros.cli import main
from sicm_ros.files import check_place, explain, replaced_folder, replacing, write_bytes
from sicm_ros.geometry.drawing import write_image

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),  # TensorBoard's own
]

# Command, and whether OUT is a file or a folder. {place}: drive, model, packet; OUT: what is written.
COMMANDS = {
    "encode": ("encode {pair} --model {model} --out OUT", "file.sicm"),
    "encode bits": ("encode {pair} --model {model} --out /dev/null --bits OUT", "file.png"),
    "decode json": ("decode {packet} --model {model} --json OUT", "file.json"),
    "decode picture": ("decode {packet} --model {model} --picture OUT", "file.png"),
    "evaluate": ("evaluate {drive} --model {model} --limit 2 --replicates 2 --out OUT", "folder"),
    "evaluate json": ("evaluate --labels {drive}/label_2 --detections {found} --json OUT", "file.json"),
    "average": ("average {model} {model} --out OUT", "folder"),
    "bag": ("data bag {drive} --limit 2 --out OUT", "file.mcap"),
    "bag sqlite": ("data bag {drive} --limit 2 --out OUT", "file.db3"),
    "bag folder": ("data bag {drive} --limit 2 --out OUT", "folder"),
    "bag compress": ("bag compress {bag} OUT --model {model}", "file.mcap"),
    "bag expand": ("bag expand {small} OUT --model {model}", "file.mcap"),
    "compare": ("compare {drive} --model {model} --limit 1 --out OUT", "folder"),
    "symbols": (
        "bench symbols {drive} --model {model} --limit 1 --engines torch --thread-counts 1 --json OUT",
        "f.json",
    ),
    "label": ("data label {unlabelled} --model {model} --out OUT", "folder"),
    "disparity": ("data compose {drive} --disparity-only --out OUT", "folder"),
    "train": ("train {train} out=OUT", "folder"),
}


@pytest.fixture(scope="module")
def words(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    place = tmp_path_factory.mktemp("outputs")
    drive = write_objects(place / "drive", 2)
    pair = f"{drive}/image_2/000000.png {drive}/image_3/000000.png --calib {drive}/calib/000000.txt"
    unlabelled = Path(shutil.copytree(drive, place / "unlabelled"))
    shutil.rmtree(unlabelled / "label_2")
    found = place / "found"
    found.mkdir()
    for path in (drive / "label_2").iterdir():
        (found / path.name).write_text(path.read_text().replace("\n", " 0.9\n"))
    settings = {
        "extends": "lite_detector", "data": [{"path": str(drive)}], "validation": [], "start": None,
        "cache": str(place / "packed"), "crop_width": 128, "steps": 2, "batch": 1, "workers": 0, "threads": 1,
        "prior_steps": 1, "checkpoint_every": 1, "device": "cpu", "mixed_precision": False,
    }  # fmt: skip
    assert main(["data", "bag", str(drive), "--limit", "2", "--out", f"{place}/drive.mcap"]) == 0
    assert main(["bag", "compress", f"{place}/drive.mcap", f"{place}/small.mcap", "--model", str(tiny_model)]) == 0
    train = place / "train.yaml"
    train.write_text(json.dumps(settings | {"network": {"input_width": 256, "input_height": 64}}))
    assert main(["encode", *pair.split(), "--model", str(tiny_model), "--out", str(place / "packet.sicm")]) == 0
    return {
        "pair": pair, "drive": str(drive), "model": str(tiny_model), "place": str(place), "train": str(train),
        "packet": str(place / "packet.sicm"), "unlabelled": str(unlabelled), "found": str(found),
        "bag": f"{place}/drive.mcap", "small": f"{place}/small.mcap",
    }  # fmt: skip


@contextmanager
def full_disk(most: int) -> Iterator[None]:
    """No file may get larger than so many bytes (Python has SIGXFSZ ignored)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def run(command: str, words: dict[str, str], out: Path) -> list[str]:
    return [word.format(**words).replace("OUT", str(out)) for part in [command] for word in _split(part, words)]


def _split(command: str, words: dict[str, str]) -> list[str]:
    return command.replace("{pair}", words["pair"]).split()


def check_line(capsys: pytest.CaptureFixture[str], out: Path, *reasons: str) -> None:
    told = [line for line in capsys.readouterr().err.splitlines() if "sicm" in line and "tmp" in line]
    assert len(told) == 1, told
    assert told[0].startswith("sicm ")
    # Or what a training reads from, or a file that other codecs read from.
    elsewhere = "/packed/" in told[0] or f" {tempfile.gettempdir()}: " in told[0]
    assert out.name in told[0] or str(out.parent) in told[0] or elsewhere
    assert any(reason in told[0] for reason in reasons), told[0]
    assert any("; " in told[0].partition(reason)[2] for reason in reasons), "no remedy"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_cannot_write_says_so_in_one_line(
    name: str, words: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command, target = COMMANDS[name]
    # A file lies where a folder is expected.
    (tmp_path / "taken").write_text("here first")
    out = tmp_path / "taken" / target
    assert main(run(command, words, out)) == 2
    check_line(capsys, out, "Not a directory", "File exists")
    # The disk is full: nothing of what was begun remains, what lay there before does.
    out = tmp_path / "full" / target
    out.parent.mkdir()
    before = b"written before"
    if out.suffix:
        out.write_bytes(before)
    more = ["--overwrite"] if name.startswith("bag") else []
    with full_disk(40):
        assert main([*run(command, words, out), *more]) == 2
    check_line(capsys, out, os.strerror(errno.EFBIG), os.strerror(errno.EIO))
    if out.suffix:
        assert out.read_bytes() == before
    assert not [path for path in out.parent.rglob("*") if ".part" in path.name or path.name.startswith(".")]
    # With room again it does what it was asked.
    assert main([*run(command, words, out), *more]) == 0
    assert not out.suffix or out.read_bytes() != before
    if out.suffix and not name.startswith("bag"):
        folder = tmp_path / f"folder{out.suffix}"
        folder.mkdir()
        capsys.readouterr()
        assert main(run(command, words, folder)) == 2
        check_line(capsys, folder, "Is a directory")


def test_a_file_is_whole_or_as_it_was(tmp_path: Path):
    path = tmp_path / "file"
    write_bytes(path, b"first")
    with full_disk(1000), pytest.raises(OSError, match="large") as full:
        write_bytes(path, bytes(2000))
    assert full.value.filename == str(path)
    with suppress(KeyboardInterrupt), replacing(path) as part:
        part.write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]
    link = tmp_path / "link"
    link.symlink_to(path)
    write_bytes(link, b"second")
    assert link.is_symlink()
    assert path.read_bytes() == b"second"
    write_bytes("/dev/null", b"nobody")
    with pytest.raises(IsADirectoryError):
        write_bytes(tmp_path, b"")


def test_a_folder_is_whole_or_as_it_was(tmp_path: Path):
    folder = tmp_path / "folder"
    with replaced_folder(folder) as part:
        (part / "a").write_text("1")
    with full_disk(1000), suppress(OSError), replaced_folder(folder) as part:
        (part / "a").write_text("2")
        (part / "b").write_bytes(bytes(2000))
        raise AssertionError("it was written")
    assert [(p.name, p.read_text()) for p in folder.iterdir()] == [("a", "1")]
    with replaced_folder(folder) as part:
        (part / "a").write_text("2")
    assert (folder / "a").read_text() == "2"
    assert list(tmp_path.iterdir()) == [folder]


def test_what_the_system_refuses_is_told_before_the_work(tmp_path: Path):
    (tmp_path / "file").touch()
    for place, folder in ((tmp_path / "file" / "a" / "b", None), (tmp_path, False), (tmp_path / "file", True)):
        with pytest.raises(OSError, match="irectory"):
            check_place(place, folder)
    check_place(tmp_path / "new" / "folder" / "file")
    with pytest.raises(OSError, match=r"ermitted|denied|Read-only|directory"):
        check_place("/proc/version/x")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.bin"), "a.bin: No space left on device; free some space"),
        (PermissionError(errno.EACCES, "Permission denied", "a"), "a: Permission denied; choose a place"),
        (OSError(errno.EROFS, "Read-only file system", b"\xff\n"), r"\xff\n: Read-only file system; choose"),
        (MemoryError(), "not enough memory; close other programs"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 12 bytes"), "not enough memory"),
        (RuntimeError("what else"), None),
        (ValueError("permission denied"), None),
    ],
)
def test_faults_are_explained(error: Exception, told: str | None):
    text = explain(error)
    assert text == told or (told is not None and text is not None and text.startswith(told))
    assert text is None or "\n" not in text


def test_pictures_of_no_known_format_are_refused(tmp_path: Path):
    from sicm_ros.errors import InputError

    with pytest.raises(InputError, match=r"expected a suffix such as \.png"):
        write_image(tmp_path / "a.xyz", np.zeros((4, 4), np.uint8))
