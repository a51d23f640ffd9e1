"""What encoder and decoder share: a lifecycle, a model in a worker thread, diagnostics."""

from __future__ import annotations

import math
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from sicm_ros.errors import ModelError, SicmError
from sicm_ros.nodes.mailbox import Worker
from sicm_ros.nodes.parameters import Parameter, Parameters
from sicm_ros.nodes.process import TURN, stop
from sicm_ros.nodes.tally import Tally

IMAGES = {"Image", "CompressedImage"}
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
REPEAT = 5.0  # seconds before the log says the same again
QUICK_END = 1.0  # seconds that the worker is given to finish what it does when the process ends


class ManagedNode(LifecycleNode):
    """A lifecycle node with a model: configure loads it, activate subscribes, deactivate unsubscribes.

    Subclasses say what they subscribe to (`subscribe`) and what the worker does with a job (`work`).

    Attributes:
        parameters: their values of now, by name.
        tally: what happened so far.
        model: of `sicm_ros.load`; None until it is configured.
        finished: exit status once the process should end; None while it goes on.
    """

    def __init__(self, name: str, table: tuple[Parameter, ...], counters: tuple[str, ...]) -> None:
        super().__init__(name)
        self.parameters = Parameters(self, table)
        self.tally = Tally(*counters)
        self.model: Any = None
        self.finished: int | None = None
        self._worker: Worker | None = None
        self._inputs: dict[str, Any] = {}  # topic -> subscription
        self._heard: dict[
            str, float
        ] = {}  # topic -> seconds of the steady clock when something last came, or was awaited
        self._ever_heard: set[str] = set()
        self._silent: set[str] = set()
        self._said: dict[str, float] = {}
        self._drops_before = 0
        self.problem = ""  # what keeps the node from its job right now; shown in /diagnostics
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # By the steady clock: a paused bag stops node time, and that is when people look.
        self.create_timer(1.0, self._tick, clock=self._steady)

    # -- what subclasses say ------------------------------------------------------------------------------------------

    def work(self, job: Any) -> None:
        """Does one job in the worker's thread."""
        raise NotImplementedError

    def subscribe(self) -> dict[str, Any]:
        """Creates the subscriptions; returns them by their resolved topics."""
        raise NotImplementedError

    def forget(self) -> None:
        """Drops what the node remembers of its inputs when it is deactivated."""

    def facts(self) -> dict[str, str]:
        """What else belongs into the node's status in /diagnostics."""
        return {}

    # -- lifecycle ----------------------------------------------------------------------------------------------------

    def started(self) -> None:
        """Configures and activates, unless `autostart` is off; a node that can't ends with exit status 2."""
        if self.parameters.autostart and (self.trigger_configure() != SUCCESS or self.trigger_activate() != SUCCESS):
            self.finished = 0 if stop.is_set() else 2

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._worker = worker = Worker(self._prepare, self._timed_work, self._failed)
        # The signals' handlers run in this thread, so it must not sleep for long while torch is imported.
        while not worker.ready.wait(TURN):
            if stop.is_set():
                return FAILURE
        if worker.error is not None:
            text = str(worker.error) if isinstance(worker.error, SicmError) else repr(worker.error)
            self.get_logger().fatal(f"the model can't be loaded: {text}")
            return FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = super().on_activate(state)
        self._inputs = self.subscribe()
        self._heard = dict.fromkeys(self._inputs, self._steady_now())
        self._ever_heard, self._silent = set(), set()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        for subscription in self._inputs.values():
            self.destroy_subscription(subscription)
        self._inputs = {}
        self.forget()
        self.problem = ""
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        if self._worker is not None:
            self._worker.close(timeout=10.0)
        self._worker = self.model = None
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.finished = 0
        return super().on_shutdown(state)

    def close(self) -> bool:
        """Ends the worker; False if it is still inside torch after QUICK_END seconds."""
        return self._worker is None or self._worker.close(QUICK_END)

    def _prepare(self) -> None:
        import torch

        import sicm_ros

        if self.parameters.device == "cuda" and not torch.cuda.is_available():
            raise ModelError("device is cuda, but torch sees no GPU here; set device to cpu")
        if self.parameters.threads:
            torch.set_num_threads(self.parameters.threads)
        self.model = sicm_ros.load(self.parameters.model, device=self.parameters.device)
        self.model.warm_up()  # so that the first real job is not the slow one
        about = self.model.describe()
        self.get_logger().info(f"model {about['name']} ({self.model.fingerprint.hex()}) is loaded and warm")

    # -- jobs ---------------------------------------------------------------------------------------------------------

    def submit(self, job: Any) -> None:
        """Hands the newest job to the worker; one that it overtakes is counted as dropped."""
        if self._worker is not None and self._worker.mailbox.put(job) is not None:
            self.tally.drop("overtaken")

    def _timed_work(self, job: Any) -> None:
        with self.tally.timed("total"):
            self.work(job)

    def _failed(self, error: Exception, job: Any) -> None:
        cause = getattr(error, "cause", "failed")
        self.refuse(cause, str(error) if isinstance(error, SicmError) else repr(error))

    def took(self, prefix: str, stages: dict[str, float]) -> None:
        """Adds the model's own times, seconds by stage."""
        for stage, seconds in stages.items():
            self.tally.took(f"{prefix}_{stage.replace(' ', '_')}", seconds)

    def refuse(self, cause: str, text: str) -> None:
        """Counts a drop and says why, at most once in REPEAT seconds per cause."""
        self.tally.drop(cause)
        now = self._steady_now()
        if now - self._said.get(cause, -math.inf) >= REPEAT:
            self._said[cause] = now
            self.get_logger().error(f"dropped ({cause}): {text}")

    def heard(self, topic: str) -> None:
        """Notes that something came on an input."""
        self._heard[topic] = self._steady_now()
        self._ever_heard.add(topic)

    # -- diagnostics --------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Node time in seconds: /clock with use_sim_time, else the system's."""
        return self.get_clock().now().nanoseconds * 1e-9

    def _steady_now(self) -> float:
        return self._steady.now().nanoseconds * 1e-9

    def _listen_for_silence(self) -> None:
        """Says once which inputs have been silent for `topic_timeout`, and which topics there are."""
        now = self._steady_now()
        silent = {t for t in self._inputs if now - self._heard.get(t, now) >= self.parameters.topic_timeout}
        fell_silent = {topic for topic in silent - self._silent if topic in self._ever_heard}
        never_came = silent - self._silent - fell_silent
        if fell_silent:
            self.get_logger().warning(f"nothing more on {', '.join(sorted(fell_silent))}")
        if never_came:
            kinds = {self._inputs[topic].msg_type.__name__ for topic in never_came}
            if kinds & IMAGES:
                kinds |= IMAGES  # raw pictures awaited, compressed ones there, or the other way round
            there = [
                f"{name} ({', '.join(types)})"
                for name, types in sorted(self.get_topic_names_and_types())
                if any(t.rpartition("/")[2] in kinds for t in types) and self.count_publishers(name)
            ]
            self.get_logger().error(
                f"nothing on {', '.join(sorted(never_came))} for {self.parameters.topic_timeout:g} s; topics of that "
                f"type that are published: {', '.join(there) or 'none'}; remap the inputs or start the sender"
            )
        self._silent = silent

    def _tick(self) -> None:
        self._listen_for_silence()
        by_node, by_stamp, kbit, delay = self.tally.rates(self.now())
        expected = self.parameters.expected_frequency
        tolerance = 0.25
        drops = self.tally.drops
        level, text = DiagnosticStatus.OK, "running" if self._inputs else "not active"
        if drops > self._drops_before:
            level, text = DiagnosticStatus.WARN, f"dropped {drops - self._drops_before} in the last second"
        if self._inputs and expected and by_node < expected * (1 - tolerance):
            level, text = DiagnosticStatus.WARN, f"{by_node:.1f} Hz, below the expected {expected:g} Hz"
        if self._silent:
            level, text = DiagnosticStatus.ERROR, f"nothing on {', '.join(sorted(self._silent))}"
        if self.problem:
            level, text = DiagnosticStatus.ERROR, self.problem
        self._drops_before = drops
        values = (
            self.tally.report()
            | self.facts()
            | {
                "kbit_per_s": f"{kbit:.3f}",
                # Keys of Isaac ROS' greenwave monitor.
                "frame_rate_node": f"{by_node:.3f}",
                "frame_rate_msg": f"{by_stamp:.3f}",
                "current_delay_from_realtime_ms": f"{1e3 * delay:.3f}",
                "expected_frequency": f"{expected:g}",
                "tolerance": f"{tolerance:g}",
            }
        )
        full_name = f"{self.get_namespace().rstrip('/')}/{self.get_name()}"
        status = DiagnosticStatus(level=level, name=full_name.lstrip("/"), message=text, hardware_id=full_name)
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)
