# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What encoder and decoder share: a lifecycle, a model in worker threads, diagnostics."""

from __future__ import annotations

import ctypes
import math
import time
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType, ROSClock
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from sicm_ros.errors import SicmError
from sicm_ros.nodes.health import Health
from sicm_ros.nodes.mailbox import Workers
from sicm_ros.nodes.parameters import Parameter, Parameters
from sicm_ros.nodes.process import TURN, stop

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
PAUSE = 3.0  # seconds without a turn of the executor, which takes TURN: the process was stopped
QUICK_END = 0.5  # seconds that the worker is given to finish what it does when the process ends


@dataclass(frozen=True)
class Pause:
    """When the process stood still: for how long, and until when (steady seconds)."""

    seconds: float
    end: float


def give_back_memory() -> None:
    """Let glibc return what loading and compiling took for a moment, 10 to 20 MB; nothing with another C library."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class ManagedNode(LifecycleNode):
    """A lifecycle node with a model: configure loads it, activate subscribes, deactivate unsubscribes.

    Subclasses say what they subscribe to (`subscribe`) and what a worker does with jobs (`work`). Jobs have an
    attribute `health`, that of the stream which they belong to.

    Attributes:
        parameters: their values of now, by name.
        healths: of each stream that the node serves.
        model: of `sicm_ros.load`; None until it is configured.
        finished: exit status once the process should end; None while it goes on.
    """

    side = "vehicle"  # or "server": which of the model's sides the node runs

    def __init__(self, name: str, table: tuple[Parameter, ...]) -> None:
        super().__init__(name)
        self._workers: Workers | None = None
        self.parameters = Parameters(self, table, configured=lambda: self._workers is not None)
        self.healths: list[Health] = []
        self.model: Any = None
        self.finished: int | None = None
        self._computes: dict[str, str] = {}
        self._turn: float | None = None  # steady seconds when the executor last turned
        self._pause = Pause(0.0, -math.inf)
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # By the steady clock: a paused bag stops node time, and that is when people look.
        self.create_timer(1.0, self._tick, clock=self._steady)

    def new_health(self, counters: tuple[str, ...], stream: str = "") -> Health:
        """Return the health of one more stream, named after the node and, where it has several, the
        stream's namespace.
        """
        parts = (self.get_namespace().strip("/"), stream.strip("/"), self.get_name())
        health = Health(self, "/".join(p for p in parts if p), counters, self.steady, self.now)
        self.healths.append(health)
        return health

    # -- what subclasses say ------------------------------------------------------------------------------------------

    def work(self, jobs: list[Any]) -> None:
        """Do jobs in a worker's thread; of different streams, at most `together`."""
        raise NotImplementedError

    def subscribe(self) -> None:
        """Create the subscriptions and tell each health of its inputs."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drop what the node remembers of its inputs when it is deactivated."""

    def together(self) -> int:
        """Return how many jobs of different streams a worker may take at once; asked when the model is loaded."""
        return 1

    def workers(self) -> int:
        """Return how many threads do jobs of different streams at the same time; asked before the model is loaded."""
        return 1

    # -- lifecycle ----------------------------------------------------------------------------------------------------

    def started(self) -> None:
        """Configure and activate, unless `autostart` is off; a node that can't ends with exit status 2."""
        if self.parameters.autostart and (self.trigger_configure() != SUCCESS or self.trigger_activate() != SUCCESS):
            self.finished = 0 if stop.is_set() else 2

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._workers = workers = Workers(self._prepare, self._handle, self._failed)
        # The signals' handlers run in this thread, so it must not sleep for long while libraries are loaded.
        while not workers.ready.wait(TURN):
            if stop.is_set():
                return FAILURE
        if workers.error is not None:
            self._workers = None
            text = str(workers.error) if isinstance(workers.error, SicmError) else repr(workers.error)
            return self._fail(f"the model can't be loaded: {text}")
        for health in self.healths:
            health.problem = ""
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = super().on_activate(state)
        try:
            self.subscribe()
        except Exception as error:  # rclpy would swallow it
            return self._fail(str(error) if isinstance(error, SicmError) else repr(error))
        return result

    def _fail(self, problem: str) -> TransitionCallbackReturn:
        """Say why a transition isn't made, in the log and, for a node that stays, in /diagnostics."""
        self.get_logger().fatal(problem)
        for health in self.healths:
            health.problem = problem
        return FAILURE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        for health in self.healths:
            for subscription in health.rest().values():
                self.destroy_subscription(subscription)
        self.forget()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        if self._workers is not None:
            self._workers.close(timeout=10.0)
        self._workers = self.model = None
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.finished = 0
        return super().on_shutdown(state)

    def close(self) -> bool:
        """End the workers; False if one is still computing after QUICK_END seconds."""
        return self._workers is None or self._workers.close(QUICK_END)

    def _prepare(self) -> tuple[int, int]:
        import cv2

        import sicm_ros

        if self.parameters.threads:  # OpenCV's threads wait by spinning, on cores that are other nodes'
            cv2.setNumThreads(self.parameters.threads)
        chosen = {name: getattr(self.parameters, name) for name in ("device", "engine", "number_type", "threads")}
        workers = self.workers()
        self.model = sicm_ros.load(self.parameters.model, **chosen, sides=(self.side,), callers=workers)
        self.model.warm_up((self.side,))  # so that the first real job is not the slow one
        give_back_memory()
        computes = self.model.computes
        self._computes = {name: str(value) for name, value in vars(computes).items()}
        self.get_logger().info(
            f"model {self.model.name} ({self.model.fingerprint.hex()}) is loaded and warm, computed by {computes} "
            f"({self.model.verified}), {workers} x {computes.threads} threads"
        )
        return self.together(), workers

    # -- jobs ---------------------------------------------------------------------------------------------------------

    def submit(self, job: Any) -> None:
        """Hand the newest job of a stream to the workers; one that it overtakes is counted as dropped."""
        if self._workers is not None and self._workers.mailbox.put(job, id(job.health)) is not None:
            job.health.tally.drop("overtaken")

    def _handle(self, jobs: list[Any]) -> None:
        start = time.perf_counter()
        self.work(jobs)
        for job in jobs:
            job.health.tally.took("total", time.perf_counter() - start)

    def _failed(self, error: Exception, jobs: list[Any]) -> None:
        cause = getattr(error, "cause", "failed")
        for job in jobs:
            job.health.refuse(cause, str(error) if isinstance(error, SicmError) else repr(error))

    def turned(self) -> None:
        """Note that the process is alive; how long it wasn't, where it stood still."""
        now = self.steady()
        if self._turn is not None and now - self._turn > PAUSE:
            self._pause = Pause(now - self._turn, now)
        self._turn = now

    def overslept(self, health: Health, arrived: float, delay: float) -> bool:
        """Return whether what came of a job is left over from before the process stood still (SIGSTOP, a laptop's lid).

        Nobody may take for new what was held up so long, whatever the clocks of two machines say. Counts it.

        Args:
            arrived: steady seconds when the job came.
            delay: of its stamp against the node's clock, seconds; may be off by a constant, nan where unknown.
        """
        now, pause = self.steady(), self._pause
        if self._turn is not None and now - self._turn > PAUSE:  # just woken up: the executor doesn't know yet
            pause = Pause(now - self._turn, now)
        # It was at work, or it waited in a queue of DDS and is late by what the others are not.
        held = now - pause.end < 1.0 and delay - health.usual_delay > pause.seconds / 2
        if held or (arrived < pause.end and now - pause.end < pause.seconds):
            health.refuse("old", f"left over from before the process stood still for {pause.seconds:.1f} s")
            return True
        health.usual_delay = delay
        return False

    # -- diagnostics --------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Return node time in seconds: /clock with use_sim_time, else the system's; nan while nothing was on /clock."""
        clock = self.get_clock()
        now = clock.now().nanoseconds * 1e-9
        waits = isinstance(clock, ROSClock) and clock.ros_time_is_active
        return math.nan if now == 0 and waits else now

    def steady(self) -> float:
        """Return seconds of a clock that goes on whatever happens to node time: for durations."""
        return self._steady.now().nanoseconds * 1e-9

    def _tick(self) -> None:
        array = DiagnosticArray()
        for health in self.healths:
            health.listen_for_silence(self.parameters.topic_timeout)
            health.computes = self._computes if self.model is not None else {}
            array.status.append(health.status(self.parameters.expected_frequency))
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)
