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

from sicm_ros.bags.stereo import LEFT_INFO, RIGHT_INFO, StereoSource
from sicm_ros.errors import DependencyError, SicmError

START = "import sys; from sicm_ros.nodes.process import start; sys.exit(start({node!r}))"
READY = 300.0  # seconds that loading and warming up a model may take at most
GRACE = 3.0  # seconds for a node to end by itself
LOSSY_ANSWER = 3.0  # seconds to wait for an answer where it may never come
LINK_SEED = 19  # one that shows losses of lte_poor within 30 pairs: 2, as on average
QUIET = 5.0  # seconds of silence after the last picture in which an answer would have come


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
        said = [line for line in text if "FATAL" in line or "ERROR" in line or line.startswith("sicm_ros:")]
        return " / ".join(said[-2:] or text[-1:]) or "it said nothing"


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
    link: str = "",
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
        link: profile of an emulated link between encoder and decoder (`sicm_ros.link.profiles`); empty for none.

    Raises:
        PipelineError: a process ended on its own account or never became ready.
        DependencyError: there is no ROS 2 in this Python.
    """
    _check_ros()
    logs.mkdir(parents=True, exist_ok=True)
    # Both at work at once share the processor; a network with more threads than idle cores waits for itself.
    shared = {"model": model, "threads": max(1, len(os.sched_getaffinity(0)) // 2)}
    encoder = {
        **shared,
        "quality": float(quality),
        "compressed": source.compressed,
    }
    for topic in (*source.topics, LEFT_INFO, RIGHT_INFO):
        # A raw picture is some twenty datagrams; between processes, best effort would lose pictures to full buffers.
        encoder[f"qos_overrides./{topic}.subscription.reliability"] = "reliable"
    replay = {
        "path": str(source.path.resolve()),
        "preset": preset,
        "left_topic": topics[0],
        "right_topic": topics[1],
        "rate": float(rate),
        "wait_for_subscribers": 60.0,
        "acknowledge": "detections" if paced else "",
        "acknowledge_timeout": float(min(answer_timeout, LOSSY_ANSWER) if link else answer_timeout),
    }
    with _processes(logs) as start:
        recorder = start("recorder", {"out": str(recording.resolve()), "link": bool(link)})
        _expect("listening", recorder, [recorder], 60.0)
        nodes = [recorder, start("encoder", encoder)]
        if link:
            nodes.append(start("link", {"profile": link, "seed": LINK_SEED}))
            # However many messages come at once after an outage, the decoder sees and counts each of them.
            depth = {"qos_overrides./link/features.subscription.depth": 200}
            nodes.append(start("decoder", {**shared, **depth}, "-r", "features:=link/features"))
        else:
            nodes.append(start("decoder", shared))
        with tqdm(total=source.count, unit="pair", desc="loading the model", disable=not progress) as bar:
            _expect("ready", recorder, nodes, READY)
            bar.set_description("encoded, sent, decoded")
            _follow(recorder, nodes, start("replay", replay), source.count, bar)


def _follow(recorder: _Process, nodes: list[_Process], player: _Process, pairs: int, bar: tqdm) -> None:
    """Until the player has ended and the nodes have reported what they did until then."""
    answered = reports = 0
    finished: float | None = None
    moved = time.monotonic()  # when something but a report last came
    while True:
        topic, _, count = (_line(recorder) or "").partition(" ")
        if topic == "detections":
            answered = int(count)
            bar.update(answered - bar.n)
        reports += topic == "/diagnostics" and finished is not None
        if topic and topic != "/diagnostics":
            moved = time.monotonic()
        _check(nodes)
        if finished is None and player.ended:
            if player.popen.returncode:
                raise PipelineError(f"replay: {player.complaint()}")
            finished = time.monotonic()
        if finished is not None:
            # Each node reports once a second: four further reports hold the last pair's times and counts of both.
            done = answered >= pairs and reports >= 4
            if done or time.monotonic() - max(finished, moved) > QUIET:
                return


def _line(process: _Process) -> str | None:
    """The next line of its standard output; None if there is none for a moment."""
    try:
        return process.lines.get(timeout=0.1)
    except queue.Empty:
        return None


def _check(processes: list[_Process]) -> None:
    for process in processes:
        if process.ended:
            raise PipelineError(f"{process.name} ended: {process.complaint()} ({process.log})")


def _expect(line: str, of: _Process, alive: list[_Process], timeout: float) -> None:
    """Waits for a line of a process, while others have to live."""
    end = time.monotonic() + timeout
    while (said := _line(of)) != line:
        _check(alive)
        if said is None and time.monotonic() > end:
            last = alive[-1]
            raise PipelineError(f"not {line} after {timeout:g} s; {last.name} says: {last.complaint()} ({last.log})")


def _check_ros() -> None:
    import importlib.util

    for package, what in (("rclpy", "ROS 2"), ("vision_msgs", "vision_msgs")):
        if importlib.util.find_spec(package) is None:
            raise DependencyError(
                f"no {what} in {sys.executable}: run `make demo`, which sets it up, or source a ROS 2 workspace"
            )


@contextmanager
def _processes(logs: Path) -> Iterator:
    """A function that starts a node with parameters and remappings; all of them are ended when the block is left."""
    environment = {
        **os.environ,
        "ROS_DOMAIN_ID": str(1 + os.getpid() % 100),  # to itself: nobody else's topics, and only this machine
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "RCUTILS_COLORIZED_OUTPUT": "0",
        "PYTHONUNBUFFERED": "1",
        "OMP_WAIT_POLICY": "PASSIVE",  # no spinning on a core that the next process needs
    }
    started: list[_Process] = []

    def start(node: str, parameters: dict, *remappings: str) -> _Process:
        settings = logs / f"{node}.yaml"
        settings.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))
        command = [sys.executable, "-c", START.format(node=node), "--ros-args", *remappings]
        command += ["--params-file", str(settings)]
        log = logs / f"{node}.log"
        with log.open("w") as stream:
            popen = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stream, text=True)
        started.append(_Process(node, popen, log))
        started[-1].follow()  # an unread pipe would stop a process when it is full
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
