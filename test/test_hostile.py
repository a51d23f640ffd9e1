# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A fleet with one neighbour that publishes what it likes: the others keep their results, the decoder its memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import test_fleet as fleet
import test_nodes_pipeline as pipeline

from sicm_ros.benchmark.watched import resident_kib
from sicm_ros.pipeline.leftovers import SHARED, remove_leftovers

bus, start, diagnostics, model = pipeline.bus, pipeline.start, pipeline.diagnostics, pipeline.model
codec, packet = fleet.codec, fleet.packet

PAIRS = 12
PATIENCE = 3.0  # seconds that an answer may take: the processors may be busy with other things, too


def share(sender: fleet.Sender, pairs: int) -> float:
    """The share of pairs, one after the other, that is answered."""
    answered = 0
    for _ in range(pairs):
        stamp, end = sender.send(), time.monotonic() + PATIENCE
        while not any(pipeline.nanoseconds(m) == stamp for m in sender.answers) and time.monotonic() < end:
            time.sleep(0.01)
        answered += time.monotonic() < end
    return answered / pairs


class Neighbour:
    """Publishes all that a vehicle can, and nothing that one would, until it is told to stop."""

    def __init__(self, sender: fleet.Sender) -> None:
        from sicm_ros.msg import CodecDescription

        from sicm_ros.nodes import qos

        self._sender, self._end = sender, threading.Event()
        self._kind = CodecDescription
        topic = f"{sender.namespace}/codec_description"
        self._description = sender.bus.publisher(CodecDescription, topic, qos.latched())
        self._random = np.random.default_rng(2)
        self.sent = 0
        self._thread = threading.Thread(target=self._flood, daemon=True)

    def __enter__(self) -> Neighbour:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _flood(self) -> None:
        while not self._end.is_set():
            self.sent += 1
            if self.sent % 5 == 0:
                self._describe()
            self._sender.topic.publish(self._message())
            time.sleep(0.01)

    def _describe(self) -> None:
        values = (1e300, np.nan, np.inf, -1.0, 0.0, 1e38, 1e-40, 150.0)
        numbers = {name: float(self._random.choice(values)) for name in ("fx", "fy", "cx", "cy", "baseline")}
        message = self._kind(width=200, height=80, **numbers)
        message.model_fingerprint = self._sender._fingerprint
        message.classes = ["x"] * 1000
        message.header.frame_id = "f" * int(self._random.choice([0, 10, 100_000, 2_000_000]))
        message.model = "\x1b[31m" + "m" * int(self._random.choice([0, 10, 100_000]))
        if self.sent % 20 == 0:
            message.model_fingerprint = np.zeros(8, np.uint8)
        self._description.publish(message)

    def _message(self):
        message = self._sender.message(number=int(self._random.integers(0, 1 << 32)))
        what = self.sent % 8
        if what == 0:
            message.header.frame_id = "f" * 300_000
        elif what == 1:
            message.header.stamp.sec = int(self._random.integers(-(1 << 31), 1 << 31))
        elif what == 2:
            message.payload.frombytes(bytes(60_000))
        elif self.sent % 100 == 3:
            message.payload.frombytes(bytes(10_000_000))
        elif what == 4:
            message.header.frame_id = "\x1b]0;title\x07"
        return message


@pytest.mark.timeout(300)
def test_others_keep_their_share_and_the_decoder_its_memory(bus, start, diagnostics, codec, packet, model):
    decoder = start(
        "decoder", "-r", "__ns:=/hostile", model=model, vehicles="[good,bad]", max_batch=4, use_sim_time=True
    )
    good, bad = (fleet.Sender(bus, codec, packet, f"/hostile/{name}") for name in ("good", "bad"))
    for sender in (good, bad):
        sender.wait_for_decoder()
    good.serve_a_good_pair()
    bad.serve_a_good_pair()
    with jumping_clock(bus):
        before = share(good, PAIRS)
        with Neighbour(bad):  # what DDS holds for it, and what it is warm for, is there from here on
            share(good, PAIRS // 2)
        memory = resident_kib(decoder.process.pid)
        with Neighbour(bad) as neighbour:
            during = share(good, PAIRS)
            bus.wait(lambda: neighbour.sent > 100, what="a hundred hostile messages")
        assert during >= 0.8 * before, (during, before)
        time.sleep(0.5)
        assert resident_kib(decoder.process.pid) < 1.2 * memory
        good.serve_a_good_pair()
    assert decoder.process.poll() is None
    assert "dropped_failed" not in diagnostics("hostile/bad/decoder")
    assert all(int(v) == 0 for k, v in diagnostics("hostile/good/decoder").items() if k == "dropped_malformed")
    log = decoder.output
    assert "\x1b" not in log
    assert len(log) < 100_000, "a neighbour fills the log"
    assert "Traceback" not in log
    # Its own: the segments of the processes that have ended are gone, whether they could say good-bye or not.
    mine = segments(decoder.process.pid)
    assert mine
    decoder.end()
    assert not mine & set(SHARED.iterdir())


def segments(process: int) -> set[Path]:
    """Shared memory that a process has locked as its own; ports are small, and others may use them."""
    held = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    inodes = {int(words[5].split(":")[2]) for words in held if words[4] == str(process)}
    locks = [path for path in SHARED.glob(f"fastrtps_{'[0-9a-f]' * 16}_el") if path.stat().st_ino in inodes]
    return {path.with_name(path.name.removesuffix("_el")) for path in locks}


class jumping_clock:
    """/clock goes on, and now and then to where no time is."""

    def __init__(self, bus) -> None:
        from rosgraph_msgs.msg import Clock

        self._clock, self._kind, self._end = bus.publisher(Clock, "/clock"), Clock, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        for number in range(10**6):
            message = self._kind()
            message.clock.sec = (2000, -5, 2_147_483_647, 0, -(1 << 31))[number % 5] if number % 40 < 5 else 2000
            message.clock.nanosec = 4_294_967_295 if number % 40 == 7 else number % 1000
            self._clock.publish(message)
            if self._end.wait(0.02):
                return

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def test_shared_memory_of_the_dead_is_removed_and_of_the_living_is_not(tmp_path: Path):
    import fcntl

    names = ["fastrtps_0123456789abcdef", "fastrtps_port7411", "fastrtps_fedcba9876543210", "other_el"]
    for name in names:
        (tmp_path / name).touch()
        (tmp_path / f"{name}_el").touch()
        os.utime(tmp_path / f"{name}_el", (1, 1))
    new = tmp_path / "fastrtps_00000000000000ff_el"
    new.touch()
    with (tmp_path / f"{names[2]}_el").open("rb") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        assert remove_leftovers(tmp_path) == 1
    assert {p.name for p in tmp_path.iterdir()} == {new.name, *names[1:], *(f"{name}_el" for name in names[1:])}
    assert remove_leftovers(tmp_path / "nowhere") == 0


PARENT = """
import sys, time
from pathlib import Path
from sicm_ros.cli import _until_told_to_end
from sicm_ros.pipeline.processes import processes
with _until_told_to_end(), processes(Path(sys.argv[1])) as start:
    print(start("link", {"profile": "perfect"}).popen.pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nodes_end_with_whoever_started_them(ros_installed, tmp_path: Path, number: signal.Signals):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    node = int(parent.stdout.readline())
    end = time.monotonic() + 60
    while "link perfect" not in (tmp_path / "link.log").read_text():
        assert time.monotonic() < end
        time.sleep(0.05)
    parent.send_signal(number)
    parent.wait(20)
    while Path(f"/proc/{node}").exists() and "Z" not in Path(f"/proc/{node}/stat").read_text().split()[2]:
        assert time.monotonic() < end, "the node lives on"
        time.sleep(0.05)
    assert os.getpid() != node
