# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Nodes as processes of their own: started, listened to, ended. Nothing here imports ROS."""

from __future__ import annotations

import importlib.util
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sicm_ros.cores import cores
from sicm_ros.errors import DependencyError, SicmError
from sicm_ros.pipeline.domain import own_domain

# A node outlives nobody: whatever ends us, the kernel tells it (Linux; PR_SET_PDEATHSIG is 1).
START = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, signal.SIGTERM)\n"
    "os.getppid() == {parent} or sys.exit(1)\n"
    "from sicm_ros.nodes.process import start; sys.exit(start({node!r}))"
)
GRACE = 3.0  # seconds for a node to end by itself
READY = 300.0  # seconds that loading and warming up a model may take at most


def threads_of_each() -> int:
    """Return how many threads encoder and decoder take where both are at work on this machine: half of the cores.

    A network with more threads than idle cores waits for itself.
    """
    return max(1, cores() // 2)


def both_at_work(model: str, in_turn: bool = False) -> dict[str, Any]:
    """Return the parameters of a model that encoder and decoder share on one machine.

    Args:
        in_turn: each pair waits for the answer to the one before, so that only one of the two is at work.
    """
    return {"model": model, "threads": cores() if in_turn else threads_of_each()}


def reliable(topics: Iterable[str]) -> dict[str, Any]:
    """Return the parameters that let an encoder ask for reliable images, as replayed bags offer them.

    A raw image is some twenty datagrams; between processes, best effort would lose images to full buffers.
    """
    return {f"qos_overrides./{topic}.subscription.reliability": "reliable" for topic in topics}


class PipelineError(SicmError):
    """A node ended, or never became ready: its log, named in the message, says why."""


@dataclass
class Process:
    """A node's process and its log; lines on its standard output can be waited for."""

    name: str
    popen: subprocess.Popen
    log: Path
    lines: queue.Queue[str] = field(default_factory=queue.Queue)

    def follow(self) -> None:
        """Read standard output, which must be a pipe, in a thread."""
        said = self.popen.stdout
        assert said is not None, f"{self.name}: standard output is no pipe"

        def read() -> None:
            with said:
                for line in said:
                    self.lines.put(line.strip())

        threading.Thread(target=read, daemon=True).start()

    @property
    def ended(self) -> bool:
        return self.popen.poll() is not None

    def complaint(self) -> str:
        """Return the last lines of the log, in one line."""
        text = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        said = [line for line in text if "FATAL" in line or "ERROR" in line or line.startswith("sicm_ros:")]
        return " / ".join(said[-2:] or text[-1:]) or "it said nothing"

    def line(self) -> str | None:
        """Return the next line of its standard output; None if there is none for a moment."""
        try:
            return self.lines.get(timeout=0.1)
        except queue.Empty:
            return None


def end(process: Process, seconds: float) -> None:
    """Let a process complete what it does.

    Raises:
        PipelineError: it could not.
    """
    process.popen.send_signal(signal.SIGTERM)
    try:
        status = process.popen.wait(seconds)
    except subprocess.TimeoutExpired:
        raise PipelineError(f"{process.name} has not ended after {seconds:g} s ({process.log})") from None
    if status:
        raise PipelineError(f"{process.name}: {process.complaint()} ({process.log})")


def check(processes: list[Process]) -> None:
    """Raise PipelineError if one of them has ended."""
    for process in processes:
        if process.ended:
            raise PipelineError(f"{process.name} ended: {process.complaint()} ({process.log})")


def expect(line: str, of: Process, alive: list[Process], timeout: float) -> None:
    """Wait for a line of a process, while others have to live."""
    end = time.monotonic() + timeout
    while (said := of.line()) != line:
        check(alive)
        if said is None and time.monotonic() > end:
            last = alive[-1]
            raise PipelineError(f"not {line} after {timeout:g} s; {last.name} says: {last.complaint()} ({last.log})")


def check_ros() -> None:
    """Raise DependencyError where this Python has no ROS 2."""
    for package, what in (("rclpy", "ROS 2"), ("vision_msgs", "vision_msgs")):
        if importlib.util.find_spec(package) is None:
            raise DependencyError(
                f"no {what} in {sys.executable}: run `make demo`, which installs it, or source a ROS 2 workspace"
            )


@contextmanager
def processes(logs: Path) -> Iterator[Callable[..., Process]]:
    """Give a function that starts a node with parameters and remappings; end all of them when the block is left.

    They have a ROS domain to themselves.
    """
    logs.mkdir(parents=True, exist_ok=True)
    with own_domain() as domain, _ended_at_last() as started:
        environment = {
            **os.environ,
            **domain,
            "RCUTILS_COLORIZED_OUTPUT": "0",
            "PYTHONUNBUFFERED": "1",
            "OMP_WAIT_POLICY": "PASSIVE",  # no spinning on a core that the next process needs
        }

        def start(node: str, parameters: dict, *remappings: str) -> Process:
            settings = logs / f"{node}.yaml"
            settings.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))
            command = [sys.executable, "-c", START.format(node=node, parent=os.getpid()), "--ros-args", *remappings]
            command += ["--params-file", str(settings)]
            log = logs / f"{node}.log"
            with log.open("w") as stream:
                popen = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stream, text=True)
            started.append(Process(node, popen, log))
            started[-1].follow()  # an unread pipe would stop a process when it is full
            return started[-1]

        yield start


@contextmanager
def _ended_at_last() -> Iterator[list[Process]]:
    started: list[Process] = []
    try:
        yield started
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
