# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Who does a run's jobs: this process, several, or a Ray cluster."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from typing import Any

from sicm_ros.errors import DependencyError, SicmError


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
        try:
            import ray
        except ImportError:
            raise DependencyError("--ray needs Ray: pip install 'sicm_ros[ray]'") from None
        try:
            ray.init(address=None if ray_address == "local" else ray_address, log_to_driver=False)
        except Exception as error:  # whatever Ray meets: nothing at that address, or a start that takes too long
            text = " ".join(str(error).split())
            raise DependencyError(f"--ray {ray_address}: no cluster is joined or started ({text})") from None
        try:
            yield _on_ray
        finally:
            ray.shutdown()
    elif workers <= 1:
        limit_threads(threads)
        yield lambda work, jobs: ((job, _attempt(work, job)) for job in jobs)
    else:
        context = multiprocessing.get_context("spawn")  # a fork would copy PyTorch's threads at work
        with ProcessPoolExecutor(workers, context, initializer=limit_threads, initargs=(threads,)) as pool:
            try:
                yield partial(_in_pool, pool)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _in_pool(pool: ProcessPoolExecutor, work: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    futures = {pool.submit(_attempt, work, job): job for job in jobs}
    for future in as_completed(futures):
        yield futures[future], future.result()


def _on_ray(work: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    import ray

    remote = ray.remote(_attempt_in_worker)
    waiting = {remote.options(num_cpus=job.threads).remote(work, job): job for job in jobs}
    while waiting:
        done, _ = ray.wait(list(waiting), num_returns=1)
        for reference in done:
            yield waiting.pop(reference), ray.get(reference)


def _attempt(work: Callable[[Any], Any], job: Any) -> Any:
    """Return the result, or the error that the user can mend: one bad job doesn't stop the others."""
    try:
        return work(job)
    except SicmError as error:
        return error


def _attempt_in_worker(work: Callable[[Any], Any], job: Any) -> Any:
    limit_threads(job.threads)
    return _attempt(work, job)
