# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What tests share: where real frames lie, and ROS, isolated from whatever else runs on this machine."""

from __future__ import annotations

import ctypes
import fcntl
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from sicm_ros.pipeline.domain import own_domain

ROOT = Path(__file__).resolve().parents[1]
LONGEST = ("test_installed", "test_training", "test_fleet", "test_link_nodes", "test_nodes_pipeline")
END = 2.0  # seconds that a node may take to end
AGAIN = 15.0  # seconds after which a service is asked once more

settings.register_profile("untimed", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("untimed")

# Before rclpy is imported anywhere, until the tests have ended: only this machine, and a domain that nobody else has.
_domain = own_domain()
os.environ.update(_domain.__enter__())
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")
# Compiled graphs are kept for this run alone.
_cache = tempfile.TemporaryDirectory()
os.environ["XDG_CACHE_HOME"] = _cache.name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that workers side by side end together."""
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Run a test marked `alone`, which measures time, while no other worker runs one.

    Locks of files: all share the second. Who wants it alone waits for the others, and holds the first meanwhile, so
    that none of them begins another test.
    """
    how = fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH
    with open(__file__) as entrance, open(ROOT / "pyproject.toml") as turn:
        fcntl.flock(entrance, fcntl.LOCK_EX)
        fcntl.flock(turn, how)
        fcntl.flock(entrance, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(turn, fcntl.LOCK_UN)  # not by closing: a child may have the file too


@pytest.fixture(scope="session")
def kitti() -> Path:
    """The folder of real KITTI frames; they are not in the repository (CC BY-NC-SA)."""
    folder = Path(os.environ.get("SICM_KITTI", ROOT.parent / "shared" / "data" / "kitti"))
    if not folder.is_dir():
        pytest.skip(f"no real KITTI frames in {folder}; set SICM_KITTI to a KITTI object folder")
    return folder


@pytest.fixture(scope="session")
def small_model(tmp_path_factory) -> Path:
    """An untrained model, small enough to be quick; its bitstream is as real as any."""
    from sicm_ros.benchmark.soak import SMALL
    from sicm_ros.model import create
    from sicm_ros.network import NetworkConfig

    return create(tmp_path_factory.mktemp("model") / "small", NetworkConfig.parse(SMALL))


@pytest.fixture(scope="session")
def ros_installed() -> None:
    """Skips where ROS or the generated messages aren't to be had."""
    if importlib.util.find_spec("rclpy") is None:
        pytest.skip("rclpy is not installed: `make setup`, or source a ROS 2 installation")
    if importlib.util.find_spec("sicm_ros.msg") is None:
        pytest.skip("sicm_ros.msg is not built: `make setup`, or source the workspace")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model, small enough to be quick; its bitstream is as real as any."""
    from sicm_ros.model import create
    from sicm_ros.network import NetworkConfig
    from sicm_ros.network.config import CodecConfig, DetectorConfig

    config = NetworkConfig(
        input_width=192,
        input_height=64,
        codec=CodecConfig(width=16, search=8),
        detector=DetectorConfig(width=16, matching_width=8, groups=2, disparities=8, head_width=16),
    )
    return create(tmp_path_factory.mktemp("model") / "tiny", config)


@pytest.fixture(scope="session")
def sure_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained, small, sure of itself: boxes in every pair. With graphs, so that no node waits for PyTorch."""
    from sicm_ros.model import create, export
    from sicm_ros.network import NetworkConfig
    from sicm_ros.network.config import CodecConfig, DetectorConfig, ScoreConfig

    detector = DetectorConfig(
        width=16, matching_width=8, groups=2, disparities=8, head_width=16, scores=ScoreConfig(slope=1.0, shift=7.0)
    )
    config = NetworkConfig(input_width=192, input_height=64, codec=CodecConfig(width=16, search=8), detector=detector)
    folder = create(tmp_path_factory.mktemp("model") / "sure", config)
    export(folder)
    return folder


def patience(seconds: float) -> float:
    """Return how long that may take here and now: longer where others have the processors."""
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


class Peer:
    """A ROS node of the test's own, served by a thread: what the nodes under test talk to."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions

        self._context = rclpy.Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node("test_peer", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.received: dict[str, list] = {}

    def _serve(self) -> None:
        while not self._end.is_set():
            self._executor.spin_once(timeout_sec=0.05)

    def listen(self, kind: type, topic: str, qos: Any = 50) -> list:
        """Subscribes; the list grows with each message."""
        messages = self.received.setdefault(topic, [])
        self.node.create_subscription(kind, topic, messages.append, qos)
        return messages

    def publisher(self, kind: type, topic: str, qos: Any = 10) -> Any:
        return self.node.create_publisher(kind, topic, qos)

    def wait(self, condition: Callable[[], Any], seconds: float = 60.0, what: str = "") -> Any:
        """Waits until the condition holds; returns its value, fails the test if that takes too long."""
        end = time.monotonic() + patience(seconds)
        while time.monotonic() < end:
            if value := condition():
                return value
            time.sleep(0.01)
        topics = [name for name, _ in self.node.get_topic_names_and_types()]
        raise AssertionError(f"waited {seconds} s for {what or condition}; topics: {topics}")

    def call(self, kind: type, service: str, request: Any, seconds: float = 60.0) -> Any:
        """Calls a service; returns its response.

        Asked again where no answer comes: DDS may know of a service's request before it knows of the way back, and an
        answer is lost then.
        """
        client = self.node.create_client(kind, service)
        assert client.wait_for_service(seconds), f"no service {service}"
        asked: list[Any] = []

        def answered() -> Any:
            if time.monotonic() >= begin + len(asked) * AGAIN:
                asked.append(client.call_async(request))
            return next((future for future in asked if future.done()), None)

        begin = time.monotonic()
        return self.wait(answered, seconds, f"an answer of {service}").result()

    def set_parameters(self, node: str, **values: Any) -> None:
        """Sets parameters of a node by its full name; fails the test if it refuses one."""
        from rcl_interfaces.srv import SetParameters
        from rclpy.parameter import Parameter

        changes = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        results = self.call(SetParameters, f"{node}/set_parameters", SetParameters.Request(parameters=changes)).results
        assert all(r.successful for r in results), results

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        self.node.destroy_node()
        self._context.try_shutdown()


@pytest.fixture
def peer(ros_installed: None) -> Iterator[Peer]:
    """A node of the test's own."""
    peer = Peer()
    yield peer
    peer.close()


def _end_with_parent() -> None:
    """Run in a new process: whatever happens to the tests, their nodes don't outlive them (Linux)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Tensors of tests are too small for more."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def interrupted(monkeypatch: pytest.MonkeyPatch, config: Any, step: int) -> None:
    """Runs a training that is interrupted in its step of this number."""
    from sicm_ros.training import loop

    real, calls = loop._one_step, []

    def dies(*args: Any) -> Any:
        calls.append(1)
        if len(calls) == step:
            raise KeyboardInterrupt
        return real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "_one_step", dies)
        with pytest.raises(KeyboardInterrupt):
            loop.train(config)


def end_all(nodes: list[NodeProcess]) -> None:
    """Ends every node; then fails if one of them didn't end as it should."""
    failures = []
    for node in nodes:
        try:
            node.end()
        except AssertionError as error:
            failures.append(str(error))
    assert not failures, "\n".join(failures)


class NodeProcess:
    """A node under test, in a process of its own."""

    def __init__(self, name: str, log: Path, arguments: list[str]) -> None:
        self.name, self._log = name, log
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "sicm_ros.nodes", name, *arguments],
                cwd=ROOT,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,
                env=os.environ | {"PYTHONUNBUFFERED": "1", "RCUTILS_LOGGING_USE_STDOUT": "1"},
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait_for(self, text: str, seconds: float = 60.0) -> None:
        """Waits until the node has said something; fails the test if it ends before, or doesn't."""
        end = time.monotonic() + patience(seconds)
        while text not in self.output:
            assert self.process.poll() is None, f"{self.name} ended before it said {text!r}:\n{self.output}"
            assert time.monotonic() < end, f"{self.name} did not say {text!r} in {seconds} s:\n{self.output}"
            time.sleep(0.02)

    def end(self, number: int = signal.SIGINT) -> int:
        """Sends a signal; the exit status. Fails the test if the node takes too long or leaves a traceback."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        seconds = patience(END)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(
                f"{self.name} did not end in {seconds:.1f} s after signal {number}:\n{self.output}"
            ) from None
        assert "Traceback" not in self.output, self.output
        return status


@pytest.fixture
def start_node(ros_installed: None, tmp_path: Path) -> Iterator[Callable[..., NodeProcess]]:
    """start_node("encoder", quality=0.3, remap={"features": "f"}) -> NodeProcess; ended and checked after the test."""
    started: list[NodeProcess] = []

    def start(name: str, remap: dict[str, str] | None = None, **parameters: Any) -> NodeProcess:
        arguments = ["--ros-args"]
        for key, value in parameters.items():
            arguments += ["-p", f"{key}:={str(value).lower() if isinstance(value, bool) else value}"]
        for key, value in (remap or {}).items():
            arguments += ["-r", f"{key}:={value}"]
        started.append(NodeProcess(name, tmp_path / f"{name}_{len(started)}.log", arguments))
        return started[-1]

    yield start
    end_all(started)
