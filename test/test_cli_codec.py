# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""sicm encode, decode and info: separate processes agree, and what a user gets wrong is one line."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from sicm_ros.bitstream import unpack
from sicm_ros.cli import main
from sicm_ros.geometry.drawing import read_picture
from sicm_ros.kitti.calibration import read_calibration
from sicm_ros.kitti.labels import read_labels
from sicm_ros.model import load, save_model
from sicm_ros.network import MVSFCNet, NetworkConfig

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT = 310, 94  # a quarter of KITTI's images
CALIBRATION = """P0: 180 0 152 0 0 180 43 0 0 0 1 0
P1: 180 0 152 -97 0 180 43 0 0 0 1 0
P2: 180 0 152 11.2 0 180 43 0.05 0 0 1 0.0027
P3: 180 0 152 -84.7 0 180 43 0.5 0 0 1 0.0027
R0_rect: 1 0 0 0 1 0 0 0 1
Tr_velo_to_cam: 0 -1 0 0 0 0 -1 0 1 0 0 0
Tr_imu_to_velo: 1 0 0 0 0 1 0 0 0 0 1 0
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Path:
    """A folder with an untrained model that sees objects everywhere, and a pair of images of noise."""
    folder = tmp_path_factory.mktemp("scene")
    torch.manual_seed(0)
    network = MVSFCNet(NetworkConfig(input_width=128, input_height=64))
    with torch.no_grad():
        network.detector.appearance_out.bias[:3] = 1.0  # heat
        network.detector.depth_out.bias[-2:] = torch.tensor([20.0, -4.0])  # all of them 20 m away, and sure of it
    save_model(network, folder / "model", "noise", "free", "# Noise\n\nFor tests.\n")
    world = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH + 12, 3), np.uint8), (9, 9), 3)
    cv2.imwrite(str(folder / "left.png"), world[:, :WIDTH])
    cv2.imwrite(str(folder / "right.png"), world[:, 12:])
    (folder / "calib.txt").write_text(CALIBRATION)
    return folder


SICM = "import sys; from sicm_ros.cli import main; sys.exit(main())"


def pair(folder: Path) -> list[str]:
    return [str(folder / "left.png"), str(folder / "right.png"), f"--calib={folder / 'calib.txt'}"]


def sicm(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", SICM, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def model_of(folder: Path) -> str:
    return f"--model={folder / 'model'}"


@pytest.mark.timeout(300)
def test_processes_of_other_kinds_agree(scene, tmp_path):
    """Encoder and decoder in processes of their own, with other threads and matrix kernels than this one's."""
    made = sicm(
        "encode", *pair(scene), model_of(scene), "--quality=0.7", f"--out={tmp_path / 'a.sicm'}", OMP_NUM_THREADS="1"
    )
    assert (made.returncode, made.stderr) == (0, "")
    read = sicm(
        "decode",
        str(tmp_path / "a.sicm"),
        model_of(scene),
        "--json=-",
        f"--kitti={tmp_path / 'a.txt'}",
        OMP_NUM_THREADS="2",
        OPENBLAS_CORETYPE="Prescott",
    )
    assert (read.returncode, read.stderr) == (0, "")
    told = json.loads(read.stdout)

    data = (tmp_path / "a.sicm").read_bytes()
    assert f"{len(data)} bytes" in made.stdout
    model = load(scene / "model")
    result = model.decode(data)
    assert len(told["detections"]) >= 3
    assert told["detections"][0]["score"] == pytest.approx(result.detections.scores[0], abs=0.02)
    assert len(read_labels(tmp_path / "a.txt", scored=True)) == len(told["detections"])
    assert told["packet"]["bytes"] == len(data)
    assert told["packet"]["quality"] == pytest.approx(0.7, abs=1 / 255)

    calibration = read_calibration(scene / "calib.txt").stereo(WIDTH, HEIGHT)
    left, right = (read_picture(scene / name) for name in ("left.png", "right.png"))
    again = model.decode(model.encode(left, right, calibration, 0.7))
    assert (
        np.mean(again.symbols == result.symbols) > 0.999
    )  # the encoder's floating point may differ, not the decoder's


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that CUDA knows: nothing to send packets to")
def test_cpu_and_gpu_read_the_same_latents_of_a_packet(scene):
    calibration = read_calibration(scene / "calib.txt").stereo(WIDTH, HEIGHT)
    left, right = (read_picture(scene / name) for name in ("left.png", "right.png"))
    models = [load(scene / "model", device=device) for device in ("cpu", "cuda")]
    for sender, quality in itertools.product(models, (0.0, 0.5, 1.0)):
        packet = sender.encode(left, right, calibration, quality)
        of_cpu, of_gpu = (model.decode(packet) for model in models)
        np.testing.assert_array_equal(of_cpu.symbols, of_gpu.symbols)
        assert of_gpu.detections.scores[:3] == pytest.approx(of_cpu.detections.scores[:3], abs=0.02)


def test_the_kitti_file_is_in_kittis_frame_if_it_can_be(scene, tmp_path, capsys):
    packet = tmp_path / "a.sicm"
    assert main(["encode", *pair(scene), model_of(scene), "--out", str(packet)]) == 0
    assert main(["decode", str(packet), model_of(scene), f"--kitti={tmp_path / 'left.txt'}"]) == 0
    assert main(["decode", str(packet), model_of(scene), f"--kitti={tmp_path / '0.txt'}", pair(scene)[2]]) == 0
    left, camera_0 = (read_labels(tmp_path / name, scored=True) for name in ("left.txt", "0.txt"))
    shift = read_calibration(scene / "calib.txt").left_origin_shift
    assert len(left) > 3
    assert camera_0.location == pytest.approx(left.location - shift, abs=0.011)  # files have two digits
    assert "objects" in capsys.readouterr().out


def test_a_packet_without_calibration_needs_one(scene, tmp_path, capsys):
    packet = tmp_path / "a.sicm"
    assert main(["encode", *pair(scene), model_of(scene), "--without-calibration", "--out", str(packet)]) == 0
    assert unpack(packet.read_bytes()).calibration is None
    assert main(["decode", str(packet), model_of(scene)]) == 2
    assert "no calibration" in capsys.readouterr().err
    assert main(["decode", str(packet), model_of(scene), pair(scene)[2]]) == 0


def test_pictures_of_bits_and_of_detections(scene, tmp_path):
    packet, bits, found = tmp_path / "a.sicm", tmp_path / "bits.png", tmp_path / "found.png"
    assert main(["encode", *pair(scene), model_of(scene), f"--bits={bits}", "--out", str(packet)]) == 0
    assert main(["decode", str(packet), model_of(scene), f"--picture={found}"]) == 0
    assert read_picture(bits).shape == (2 * HEIGHT, WIDTH, 3)
    height, width, _ = read_picture(found).shape
    assert height == HEIGHT
    assert width > WIDTH
    assert read_picture(bits).std() > 5
    assert read_picture(found).std() > 5


def test_info_tells_of_models_and_packets(scene, tmp_path, capsys):
    packet = tmp_path / "a.sicm"
    main(["encode", *pair(scene), model_of(scene), "--quality=1", "--sequence=77", "--out", str(packet)])
    capsys.readouterr()
    assert main(["info", str(packet)]) == 0
    told = capsys.readouterr().out
    short = load(scene / "model").fingerprint[:4].hex()
    for expected in ("310 x 94", "1.000 (level 255 of 255)", "77", "0.5328 m", short):
        assert expected in told
    assert main(["info", str(scene / "model")]) == 0
    told = capsys.readouterr().out
    for expected in ("# Noise", "For tests.", "128 x 64", "Car, Pedestrian, Cyclist", "vehicle", "remote"):
        assert expected in told


def test_mistakes_are_one_line(scene, tmp_path, capsys):
    packet = tmp_path / "a.sicm"
    main(["encode", *pair(scene), model_of(scene), "--out", str(packet)])
    (tmp_path / "cut.sicm").write_bytes(packet.read_bytes()[:-3])
    (tmp_path / "text.png").write_text("not a picture")
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((10, 20, 3), np.uint8))
    capsys.readouterr()
    for arguments, says in [
        (["decode", str(tmp_path / "cut.sicm"), model_of(scene)], "damaged"),
        (["decode", str(tmp_path / "none.sicm"), model_of(scene)], "none.sicm"),
        (["decode", str(packet), model_of(scene), "--kitti=/dev/null/a.txt"], "/dev/null: Not a directory"),
        (["decode", str(packet), model_of(scene), "--picture=/dev/null/a.png"], "/dev/null: Not a directory"),
        (["decode", str(packet), "--model=/nowhere"], "no model '/nowhere'"),
        (["encode", *pair(scene), model_of(scene), "--quality=2", "--out", str(packet)], "expected 0 to 1"),
        (["encode", *pair(scene), model_of(scene), "--out", "/dev/null/a.sicm"], "/dev/null: Not a directory"),
        (["encode", str(tmp_path / "text.png"), *pair(scene)[1:], model_of(scene), "--out", str(packet)], "text.png"),
        (
            [
                "encode",
                pair(scene)[0],
                str(tmp_path / "small.png"),
                pair(scene)[2],
                model_of(scene),
                "--out",
                str(packet),
            ],
            "right",
        ),
        (["encode", *pair(scene), f"--calib={tmp_path / 'no.txt'}", model_of(scene), "--out", str(packet)], "no.txt"),
        (["info", str(tmp_path / "cut.sicm")], "damaged"),
        (["info", "nonsense"], "no model 'nonsense'"),
    ]:
        assert main(arguments) == 2, arguments
        told = capsys.readouterr().err
        assert says in told, arguments
        assert told.count("\n") == 1, told


def test_a_process_ends_with_status_2_and_one_line(scene):
    ended = sicm("info", str(scene / "left.png"))
    assert ended.returncode == 2
    assert ended.stderr.startswith("sicm info: packet: starts with")
    assert ended.stderr.count("\n") == 1


@pytest.mark.timeout(300)
def test_a_reader_that_goes_away_is_no_crash(scene):
    command = [sys.executable, "-c", SICM, "info", str(scene / "model")]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=120)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_real_pairs_at_three_qualities(kitti, tmp_path):
    """Real images with whatever model ships: rates grow with quality, and other processes decode them."""
    frames = kitti / "frames"
    names = sorted(p.stem for p in (frames / "image_2").glob("*.png"))
    model = load()
    packets = []
    for name in names[:: len(names) // 2][:2]:
        left, right = (read_picture(frames / view / f"{name}.png") for view in ("image_2", "image_3"))
        calibration = read_calibration(frames / "calib" / f"{name}.txt").stereo(left.shape[1], left.shape[0])
        sizes = []
        for quality in (0.0, 0.5, 1.0):
            packets.append(model.encode(left, right, calibration, quality))
            sizes.append(len(packets[-1]))
        assert sizes == sorted(sizes)
    (tmp_path / "packets").write_bytes(b"".join(len(p).to_bytes(4, "little") + p for p in packets))
    script = """
import sys, zlib
from sicm_ros import load
data, model = open(sys.argv[1], "rb").read(), load()
while data:
    size = int.from_bytes(data[:4], "little")
    print(zlib.crc32(model.decode(data[4 : 4 + size]).symbols.tobytes()))
    data = data[4 + size :]
"""
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "packets")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Prescott"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    ours = [zlib.crc32(model.decode(packet).symbols.tobytes()) for packet in packets]
    assert [int(line) for line in ended.stdout.split()] == ours
