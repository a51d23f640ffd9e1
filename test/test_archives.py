# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Archives, bags, images and YAML that were made to harm: one line, in little time and memory."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rendered_drive import write_objects

from sicm_ros.bags import bounds
from sicm_ros.bags.bag import Bag, BagWriter
from sicm_ros.bags.images import announced_size, compress, rgb_from_compressed
from sicm_ros.errors import InputError
from sicm_ros.files import TreeError, read_bytes, read_yaml
from sicm_ros.kitti import KittiObjects
from sicm_ros.kitti.tree import MOST_BYTES, Tree


@contextmanager
def little(seconds: float = 3.0, memory: float = 100e6) -> Iterator[None]:
    tracemalloc.start()
    start = time.process_time()  # a busy machine's clock on the wall is no measure
    try:
        yield
        took, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert took < seconds, f"{took:.1f} s"
    assert peak < memory, f"{peak / 1e6:.0f} MB"


def test_an_archive_reads_what_lies_below_it_and_writes_nothing(tmp_path: Path):
    drive = write_objects(tmp_path / "drive", 1)
    archive = tmp_path / "place" / "data.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(drive.rglob("*.*")):
            file.write(path, f"training/{path.relative_to(drive)}")
        file.writestr("../../escaped.txt", "traversal")
        file.writestr("/etc/passwd2", "absolute")
        file.writestr("training/image_2/../../../over.png", "traversal")
    before = sorted(tmp_path.rglob("*"))
    frames = KittiObjects(archive)
    assert [frame.name for frame in frames] == ["000000"]
    assert not [path for path in Tree(archive) if ".." in path or path.startswith("/")]
    assert sorted(tmp_path.rglob("*")) == before


def test_bombs_and_giants_in_archives_are_refused(tmp_path: Path):
    archive = tmp_path / "bomb.zip"
    deflated = zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED)
    with deflated as file, file.open("training/calib/000000.txt", "w") as member:
        for _ in range(MOST_BYTES // (1 << 20) + 1):
            member.write(bytes(1 << 20))
    # One that lies about its size: zipfile stops there, and the checksum is wrong.
    liar = bytearray(archive.read_bytes())
    at = liar.rindex(b"PK\x01\x02")
    liar[at + 24 : at + 28] = struct.pack("<I", 1000)
    (tmp_path / "liar.zip").write_bytes(liar)
    for name in ("bomb.zip", "liar.zip"):
        with little(), pytest.raises(InputError, match=rf"{name}:training/calib/000000.txt"):
            Tree(tmp_path / name).read("training/calib/000000.txt")
    sparse = tmp_path / "giant"
    sparse.mkdir()
    (sparse / "000000.txt").touch()
    os.truncate(sparse / "000000.txt", 1 << 40)
    os.mkfifo(sparse / "pipe.txt")
    for name in ("000000.txt", "pipe.txt"):
        with little(), pytest.raises(InputError, match=name):
            Tree(sparse).read(name)


def test_every_damage_of_an_archive_is_an_input_error(tmp_path: Path):
    rng = np.random.default_rng(3)
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        archive = tmp_path / f"{method}.zip"
        with zipfile.ZipFile(archive, "w", method) as file:
            file.writestr("calib/000000.txt", rng.integers(32, 64, 3000, np.uint8).tobytes())
        whole = archive.read_bytes()
        for _ in range(60):
            broken = bytearray(whole)
            for place in rng.integers(0, len(broken), 3):
                broken[place] ^= 1 << int(rng.integers(8))
            archive.write_bytes(broken)
            with suppress(InputError):
                Tree(archive).read("calib/000000.txt")


def test_hundred_thousand_members_and_links_in_circles(tmp_path: Path):
    archive = tmp_path / "many.zip"
    count = 100_000
    names = [b"x/%d" % number for number in range(count)]
    head = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0, 0, 0, 33, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0)
    directory = b"".join(head[:28] + struct.pack("<H", len(name)) + head[30:] + name for name in names)
    # More members than the short form counts: ZIP64's records say how many.
    end64 = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, len(directory), 0)
    locator = struct.pack("<IIQI", 0x07064B50, 0, len(directory), 1)
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, len(directory), 0, 0)
    archive.write_bytes(directory + end64 + locator + end)
    start = time.process_time()
    assert len(list(Tree(archive))) == count
    assert time.process_time() - start < 10
    loop = tmp_path / "loop" / "a"
    loop.mkdir(parents=True)
    (loop / "up").symlink_to(loop.parent)
    (loop / "self").symlink_to(loop)
    (loop / "000000.txt").touch()
    with little():
        assert "a/000000.txt" in Tree(loop.parent)
        assert len(list(Tree(loop.parent))) < 10


BOMBS = {
    "aliases": "\n".join(
        ["a: &a [x, x, x, x, x, x, x, x, x]"]
        + [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi")]
    ),
    "itself": "a: &a [*a]",
    "deep": "[" * 5000,
    "deep block": "".join("\n" + " " * n + f"k{n}:" for n in range(400)),
    "long": "a: " + "x" * 300_000,
    "wide": "[" + "1," * 50_000 + "]",
    "python": "!!python/object/apply:os.system ['true']",
    "unhashable": "? [a, b]\n: c",
    "digits": "a: " + "9" * 10_000,
    "date": "a: 2026-99-99",
    "merge": "a: &a {b: 1}\n<<: *b",
    "control": "a: \x00",
    "unclosed": "a: 'x",
}


@pytest.mark.parametrize("name", BOMBS)
def test_yaml_that_is_no_plain_tree_is_refused(name: str):
    with little(), pytest.raises(TreeError) as refused:
        read_yaml(BOMBS[name])
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


def test_plain_yaml_is_read_with_its_aliases():
    assert read_yaml("a: &a {x: 1, y: [2, 3.5]}\nb: *a") == {"a": {"x": 1, "y": [2, 3.5]}, "b": {"x": 1, "y": [2, 3.5]}}
    assert read_yaml("") is None


def test_training_files_and_overrides_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from sicm_ros.cli import main

    file = tmp_path / "bomb.yaml"
    for name in ("aliases", "python", "unhashable", "digits"):
        file.write_text(BOMBS[name])
        assert main(["train", str(file)]) == 2
        if "\n" not in BOMBS[name]:
            assert main(["train", "lite_detector", f"steps={BOMBS[name]}"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6
    assert all(line.startswith("sicm train: ") for line in lines)


def test_a_bag_unpacks_no_more_than_a_chunk_may_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import lz4.frame

    monkeypatch.setattr(bounds, "MOST_CHUNK", 1 << 20)
    for packed, unpack in (
        (bounds.mcap.zstd.compress(bytes(1 << 28)), bounds.unpack_zstd),
        (lz4.frame.compress(bytes(1 << 28)), bounds.bounded(lz4.frame.LZ4FrameDecompressor)),
    ):
        assert len(packed) < 3 << 20
        with little(), pytest.raises(InputError, match="stand for more than"):
            unpack(packed)
    assert bounds.unpack_zstd(bounds.mcap.zstd.compress(b"little")) == b"little"
    bounds.bound_chunks()
    assert bounds.mcap.DECOMPRESSORS["zstd"] is bounds.unpack_zstd


def test_metadata_of_a_bag_is_read_as_plain_yaml(tmp_path: Path):
    with BagWriter(tmp_path / "bag") as writer:
        writer.write("/x", "std_msgs/msg/Float64", 1, b"\x00\x01\x00\x00" + bytes(8))
    with Bag(tmp_path / "bag") as bag:
        assert bag.topics["/x"].count == 1
    metadata = tmp_path / "bag" / "metadata.yaml"
    for name in ("aliases", "deep"):
        metadata.write_text(BOMBS[name])
        with little(), pytest.raises(InputError, match="bag"):
            Bag(tmp_path / "bag")
    # What is small and useless gives way to the files themselves.
    metadata.write_text(BOMBS["itself"])
    with little(), Bag(tmp_path / "bag") as bag:
        assert bag.topics["/x"].count == 1


def bomb(width: int, height: int) -> bytes:
    """A PNG of zeros, of a few kB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packer = zlib.compressobj()
    row = bytes(1 + 3 * width)
    data = b"".join(packer.compress(row) for _ in range(min(height, 300))) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_a_picture_says_how_large_it_is_before_it_is_unpacked():
    picture = np.zeros((24, 40, 3), np.uint8)
    for form in ("png", "jpeg"):
        data = compress(picture, form)
        assert announced_size(data) == (40, 24)
        assert rgb_from_compressed(SimpleNamespace(data=data, format=form)).shape == picture.shape
        for length in range(0, 200, 7):
            announced_size(data[:length])
    with little(), pytest.raises(InputError, match="announce 30000 x 30000 pixels"):
        rgb_from_compressed(SimpleNamespace(data=bomb(30_000, 30_000), format="png"))


def test_files_are_read_up_to_a_size(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"1234")
    assert read_bytes(tmp_path / "a", 4) == b"1234"
    with pytest.raises(InputError, match="expected at most 3"):
        read_bytes(tmp_path / "a", 3)
    with pytest.raises(InputError, match="regular"):
        read_bytes("/dev/zero", 100)
    with pytest.raises(IsADirectoryError):
        read_bytes(tmp_path, 100)
    assert read_bytes("/proc/self/status", 100_000).startswith(b"Name")
