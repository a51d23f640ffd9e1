# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Who does a run's jobs: this process, several, or a Ray cluster.

Whatever becomes of one job, its error or its process killed, the others are done.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sicm_ros.errors import DependencyError, InputError, SicmError
from sicm_ros.files import explain

GRACE = 10.0  # seconds that a cluster's tasks are given to clean up when a run is interrupted


class WorkerError(SicmError):
    """A job whose process or machine ended, or that met what nobody foresaw: the others are done; try it again."""


def limit_threads(threads: int) -> None:
    """Let OpenCV, engines that are made from now on, and PyTorch, if it is loaded, have so many threads."""
    import cv2

    from sicm_ros.engines.base import set_threads

    set_threads(threads)
    cv2.setNumThreads(threads)


Share = Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[tuple[Any, Any]]]
"""(work, jobs) -> (job, its result or its SicmError), as they are done. A job says how many `threads` it may use."""


@contextmanager
def sharing(workers: int, ray_address: str | None, threads: int) -> Iterator[Share]:
    """Choose who does the jobs: this process, several, or a Ray cluster whose machines see the same files."""
    if ray_address is not None:
        with _Cluster.joined(ray_address) as cluster:
            yield cluster
    elif workers <= 1:
        limit_threads(threads)
        yield lambda work, jobs: ((job, _attempt(work, job)) for job in jobs)
    else:
        processes = _Processes(workers, threads)
        try:
            yield processes
        finally:
            processes.end()


class _Processes:
    """Processes that share jobs; one that is killed takes the job that it was at with it, and is replaced."""

    def __init__(self, workers: int, threads: int) -> None:
        self._workers, self._threads = workers, threads
        self._idle: list[_Process] = []
        self._busy: dict[Future, tuple[Any, _Process]] = {}

    def __call__(self, work: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        waiting = list(reversed(jobs))
        while waiting or self._busy:
            while waiting and len(self._busy) < self._workers:
                process = self._idle.pop() if self._idle else _Process(self._threads)
                job = waiting.pop()
                self._busy[process.pool.submit(_attempt, work, job)] = job, process
            done, _ = wait(self._busy, return_when=FIRST_COMPLETED)
            for future in done:
                job, process = self._busy.pop(future)
                try:
                    result = future.result()
                    self._idle.append(process)
                except BrokenProcessPool:
                    result = WorkerError("its process was killed (by the system, for want of memory?); try it again")
                yield job, result

    def end(self) -> None:
        """End all; what is at work, since the run was interrupted, cleans up first."""
        for _, process in self._busy.values():
            process.interrupt()
        for process in (*self._idle, *(process for _, process in self._busy.values())):
            process.pool.shutdown()


class _Process:
    """A process for one job after the other."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy PyTorch's threads at work
        self.pool = ProcessPoolExecutor(1, context, initializer=_begin, initargs=(threads,))
        self._number = self.pool.submit(os.getpid)

    def interrupt(self) -> None:
        """Interrupt its job, if it has come to it."""
        if self._number.done() and not self._number.exception():
            with suppress(ProcessLookupError):
                os.kill(self._number.result(), signal.SIGTERM)


def _begin(threads: int) -> None:
    """In a new process: it ends when it is told to, and not by the Ctrl-C that a terminal sends to all alike."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupted)
    limit_threads(threads)


def _interrupted(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what cleans up is let alone
    raise SystemExit


class _Cluster:
    """A Ray cluster: one job a task. A task whose worker dies is tried again elsewhere, three times."""

    def __init__(self) -> None:
        self._running: dict[Any, Any] = {}

    @classmethod
    @contextmanager
    def joined(cls, address: str) -> Iterator[_Cluster]:
        """Join the cluster at an address, or start one here for `local`."""
        try:
            import ray
        except ImportError:
            raise DependencyError("--ray needs Ray: pip install 'sicm_ros[ray]'") from None
        try:
            _knock(address)
            ray.init(address=None if address == "local" else address, log_to_driver=False)
        except Exception as error:  # nothing at that address, or whatever Ray meets, as a start that takes too long
            text = " ".join(str(error).split())
            raise DependencyError(f"--ray {address}: no cluster is joined or started ({text})") from None
        cluster = cls()
        try:
            yield cluster
        finally:
            cluster._end()
            ray.shutdown()

    def __call__(self, work: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        import ray

        cores = max((node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]), default=0)
        for job in jobs:
            if job.threads > cores:  # the task would wait for ever
                raise InputError(f"--threads {job.threads}: no machine of the cluster offers more than {cores:g}")
        remote = ray.remote(_attempt_in_worker)
        self._running = {remote.options(num_cpus=job.threads).remote(work, job): job for job in jobs}
        while self._running:
            done, _ = ray.wait(list(self._running), num_returns=1)
            for reference in done:
                yield self._running.pop(reference), self._result(reference)

    @staticmethod
    def _result(reference: Any) -> Any:
        import ray

        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError as error:  # before the job began
            text = f"{_first_line(error.cause)}; is the same sicm_ros installed on every machine of the cluster?"
        except ray.exceptions.RayError as error:
            text = _first_line(error)
        return WorkerError(text)

    def _end(self) -> None:
        """Interrupt what is at work, and let it clean up."""
        import ray

        for reference in self._running:
            ray.cancel(reference)
        if self._running:
            ray.wait(list(self._running), num_returns=len(self._running), timeout=GRACE)


def _knock(address: str) -> None:
    """Raise OSError at once where nobody listens; Ray would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=5.0).close()


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def _attempt(work: Callable[[Any], Any], job: Any) -> Any:
    """Return the result, or the error: one bad job doesn't stop the others."""
    try:
        return work(job)
    except SicmError as error:
        return error
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}, line {place.lineno}"
        return WorkerError(explain(error) or f"{type(error).__name__}: {error} ({where})")


def _attempt_in_worker(work: Callable[[Any], Any], job: Any) -> Any:
    # Ray interrupts as Ctrl-C does, which the processes of a cluster that a script started in the background ignore.
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, signal.default_int_handler)
    limit_threads(job.threads)
    return _attempt(work, job)
