"""Starts the nodes as processes of their own, waits until the last pair is answered, ends them."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from tqdm import tqdm

from sicm_ros.bags.stereo import LEFT, RIGHT, StereoSource
from sicm_ros.errors import DependencyError, SicmError

START = "import sys; from sicm_ros.nodes.process import start; sys.exit(start({node!r}))"
READY = 300.0  # seconds that loading and warming up a model may take at most
GRACE = 3.0  # seconds for a node to end by itself
LAST_REPORT = 2.5  # seconds in which the nodes' next /diagnostics is sure to come


class PipelineError(SicmError):
    """A node ended, or never became ready: its log, named in the message, says why."""


@dataclass
class _Process:
    """A node's process and its log; lines on its standard output can be waited for."""

    name: str
    popen: subprocess.Popen
    log: Path
    lines: queue.Queue[str] = field(default_factory=queue.Queue)

    def follow(self) -> None:
        """Reads standard output in a thread."""

        def read() -> None:
            for line in self.popen.stdout:
                self.lines.put(line.strip())

        threading.Thread(target=read, daemon=True).start()

    @property
    def ended(self) -> bool:
        return self.popen.poll() is not None

    def complaint(self) -> str:
        """The last lines of the log, in one line."""
        text = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        said = [line for line in text if "FATAL" in line or "ERROR" in line or line.startswith("sicm_ros:")] or text[
            -3:
        ]
        return " / ".join(said[-3:]) or "it said nothing"


def run_pipeline(
    source: StereoSource,
    recording: Path,
    logs: Path,
    *,
    model: str,
    quality: float,
    rate: float = 1.0,
    paced: bool = True,
    answer_timeout: float = 20.0,
    progress: bool = True,
    preset: str = "auto",
    topics: tuple[str, str] = ("", ""),
) -> None:
    """Plays the source through encoder and decoder over DDS and records what they say.

    Args:
        source: what to play; its path is handed to the replay node.
        recording: bag to write.
        logs: folder for a log per process.
        model, quality: of the encoder and decoder.
        rate: speed of the replay relative to the recording; an upper limit when paced.
        paced: each pair waits for the answer to the one before, so that no pair is lost on a slow machine.
        answer_timeout: longest wait for an answer, seconds.
        progress: show a bar.
        preset, topics: the bag's layout, as `open_stereo` takes them.

    Raises:
        PipelineError: a process ended on its own account or never became ready.
        DependencyError: there is no ROS 2 in this Python.
    """
    _check_ros()
    logs.mkdir(parents=True, exist_ok=True)
    encoder = {
        "model": model,
        "quality": float(quality),
        "compressed": source.compressed,
    }
    suffix = "/compressed" if source.compressed else ""
    for topic in (LEFT, RIGHT):
        # A raw picture is some twenty datagrams; between processes, best effort would lose pictures to full buffers.
        encoder[f"qos_overrides./{topic}{suffix}.subscription.reliability"] = "reliable"
    replay = {
        "path": str(source.path.resolve()),
        "preset": preset,
        "left_topic": topics[0],
        "right_topic": topics[1],
        "rate": float(rate),
        "wait_for_subscribers": READY,
        "acknowledge": "detections" if paced else "",
        "acknowledge_timeout": float(answer_timeout),
    }
    with _processes(logs) as start:
        recorder = start("recorder", {"out": str(recording.resolve())})
        recorder.follow()
        _expect(recorder, "listening", 30.0)
        nodes = [start("decoder", {"model": model}), start("encoder", encoder)]
        player = start("replay", replay)
        watched = [recorder, *nodes]
        answered = 0
        reports = 0
        finished: float | None = None
        with tqdm(total=source.count, unit="pair", desc="waiting for the nodes", disable=not progress) as bar:
            while True:
                try:
                    topic, count = recorder.lines.get(timeout=0.1).split()
                except queue.Empty:
                    topic, count = "", "0"
                if topic == "detections":
                    answered = int(count)
                    bar.set_description("encoded, sent, decoded", refresh=False)
                    bar.update(answered - bar.n)
                reports += topic == "/diagnostics" and finished is not None
                for process in watched:
                    if process.ended:
                        raise PipelineError(f"{process.name} ended: {process.complaint()} ({process.log})")
                if finished is None and player.ended:
                    if player.popen.returncode:
                        raise PipelineError(f"replay: {player.complaint()}")
                    finished = time.monotonic()
                if finished is not None and not topic:
                    waited = time.monotonic() - finished
                    # Each node reports once a second: two further reports hold the last pair's times and counts.
                    if (answered >= source.count and reports >= 3) or waited > LAST_REPORT:
                        return


def _check_ros() -> None:
    import importlib.util

    for package, what in (("rclpy", "ROS 2"), ("vision_msgs", "vision_msgs")):
        if importlib.util.find_spec(package) is None:
            raise DependencyError(
                f"no {what} in {sys.executable}: run `make demo`, which sets it up, or source a ROS 2 workspace"
            )


@contextmanager
def _processes(logs: Path) -> Iterator:
    """A function that starts a node with parameters; all of them are ended when the block is left."""
    environment = {
        **os.environ,
        "ROS_DOMAIN_ID": str(1 + os.getpid() % 100),  # to itself: nobody else's topics, and only this machine
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "RCUTILS_COLORIZED_OUTPUT": "0",
        "PYTHONUNBUFFERED": "1",
    }
    started: list[_Process] = []

    def start(node: str, parameters: dict) -> _Process:
        settings = logs / f"{node}.yaml"
        settings.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))
        command = [sys.executable, "-c", START.format(node=node), "--ros-args", "--params-file", str(settings)]
        log = logs / f"{node}.log"
        with log.open("w") as stream:
            popen = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stream, text=True)
        started.append(_Process(node, popen, log))
        if node != "recorder":
            # Nothing reads the others' standard output; an unread pipe would stop them when it is full.
            started[-1].follow()
        return started[-1]

    try:
        yield start
    finally:
        for process in reversed(started):
            if not process.ended:
                process.popen.send_signal(signal.SIGTERM)
        for process in started:
            try:
                process.popen.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.popen.kill()
                process.popen.wait()


def _expect(process: _Process, line: str, timeout: float) -> None:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        try:
            if process.lines.get(timeout=0.1) == line:
                return
        except queue.Empty:
            if process.ended:
                break
    raise PipelineError(f"{process.name} did not become ready: {process.complaint()} ({process.log})")
