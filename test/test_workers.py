# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Jobs shared by processes and by a Ray cluster: whatever becomes of one, the others are done."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sicm_ros.bags import BagWriter
from sicm_ros.bags.bag import remove_leftovers
from sicm_ros.errors import DependencyError, InputError
from sicm_ros.workers import sharing
from sicm_ros.workers.share import WorkerError

pytestmark = pytest.mark.timeout(600)  # Ray takes a minute or two to start where others are at work
HOWS = pytest.mark.parametrize("ray", [None, "local"], ids=["processes", "ray"])


@dataclass(frozen=True)
class Number:
    """A job: what to do, and a folder to work in."""

    kind: str
    folder: Path
    threads: int = 1


def work(job: Number) -> str:
    if job.kind == "killed":
        with BagWriter(job.folder / "killed.mcap"):
            os.kill(os.getpid(), signal.SIGKILL)
    if job.kind == "broken":
        raise InputError("it is broken")
    if job.kind == "full":
        raise PermissionError(13, "Permission denied", "/somewhere")
    if job.kind == "foreseen by nobody":
        raise KeyError("x")
    if job.kind == "long":
        with BagWriter(job.folder / "long.mcap"):
            (job.folder / "begun").touch()
            for _ in range(1200):  # Ray interrupts between two steps, as Python's threads do, not within one
                time.sleep(0.05)
    return job.kind


def needs(ray: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if ray:
        pytest.importorskip("ray", reason="Ray is not installed: pip install '.[ray]'")
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))  # where its workers find this module
        monkeypatch.setenv("RAY_raylet_start_wait_time_s", "600")  # a machine at work takes more than its minute


@HOWS
def test_what_becomes_of_one_job_is_nothing_to_the_others(ray, tmp_path: Path, monkeypatch):
    needs(ray, monkeypatch)
    kinds = ["killed", "one", "broken", "two", "full", "foreseen by nobody", "three"]
    with sharing(2, ray, 1) as share:
        results: dict[str, Any] = {job.kind: out for job, out in share(work, [Number(k, tmp_path) for k in kinds])}
        assert [out for _, out in share(work, [Number("again", tmp_path)])] == ["again"]
    assert {kind: out for kind, out in results.items() if isinstance(out, str)} == {
        k: k for k in ("one", "two", "three")
    }
    assert "died" in str(results["killed"]) or "killed" in str(results["killed"])
    assert str(results["broken"]) == "it is broken"
    assert "/somewhere: Permission denied; choose a place" in str(results["full"])
    assert "KeyError: 'x' (test_workers.py, line" in str(results["foreseen by nobody"])
    assert all(isinstance(results[kind], WorkerError) for kind in ("killed", "full", "foreseen by nobody"))
    assert all("\n" not in str(out) for out in results.values())
    assert not (tmp_path / "killed.mcap").exists()
    remove_leftovers(tmp_path / "killed.mcap")
    assert list(tmp_path.iterdir()) == []


@HOWS
def test_an_interrupted_run_leaves_nothing(ray, tmp_path: Path, monkeypatch):
    needs(ray, monkeypatch)

    def interrupt() -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt), sharing(2, ray, 1) as share:
        list(share(work, [Number("long", tmp_path)]))
    assert [path.name for path in tmp_path.iterdir()] == ["begun"]


def test_leftovers_of_a_bag_are_removed_and_what_somebody_works_in_is_not(tmp_path: Path):
    left = tmp_path / ".a.mcap-abcd1234"
    others = tmp_path / ".b.mcap-abcd1234", tmp_path / ".a.mcap-x"
    for folder in (left, *others):
        folder.mkdir()
    with BagWriter(tmp_path / "a.mcap") as bag:
        assert not left.exists()
        remove_leftovers(tmp_path / "a.mcap")
        bag.write("/n", "std_msgs/msg/Empty", 1, b"\0\1\0\0\0")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a.mcap", *(path.name for path in others)])


def test_a_job_that_no_machine_of_a_cluster_can_do_is_refused_at_once(tmp_path: Path, monkeypatch):
    needs("local", monkeypatch)
    with pytest.raises(InputError, match="--threads 999: no machine"), sharing(1, "local", 1) as share:
        list(share(work, [Number("one", tmp_path, threads=999)]))


def test_a_cluster_that_is_not_there_is_said_at_once(monkeypatch):
    needs("there", monkeypatch)
    with socket.socket() as nobody:
        nobody.bind(("localhost", 0))  # nothing listens
        address = f"localhost:{nobody.getsockname()[1]}"
        refused = pytest.raises(DependencyError, match=f"--ray {address}: no cluster is joined .*refused")
        with refused, sharing(1, address, 1):
            pass
