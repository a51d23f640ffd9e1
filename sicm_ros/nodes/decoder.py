# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""decoder_node: feature messages in, 3D detections out, of one vehicle or of a fleet. It never sees an image."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NoReturn

from sicm_ros.cores import cores
from sicm_ros.errors import BitstreamError, InputError, ReferenceMissingError
from sicm_ros.geometry.drawing import DETECTION, birds_eye
from sicm_ros.geometry.points import matched_points
from sicm_ros.nodes import messages
from sicm_ros.nodes.images import picture
from sicm_ros.nodes.managed import ManagedNode
from sicm_ros.nodes.parameters import DECODER
from sicm_ros.nodes.process import run
from sicm_ros.nodes.transforms import Frames, StaticFrames
from sicm_ros.nodes.vehicle import Job, Placement, Vehicle

if TYPE_CHECKING:
    from sicm_ros.geometry import Detections
    from sicm_ros.model.codec import Result

FEEDBACK_PERIOD = 1.0  # seconds between two reports to each encoder
BATCH = {"cpu": 1, "cuda": 8}  # pairs in one pass, where `max_batch` leaves it open


class DecoderNode(ManagedNode):
    """Checks feature messages, decodes the newest one of each vehicle in a worker's thread, publishes what it shows.

    However many vehicles there are, there is one model, and no more workers than processor cores; a vehicle that sends
    more than there is time for loses its own pairs, not those of the others.
    """

    side = "server"

    def __init__(self) -> None:
        super().__init__("decoder", DECODER)
        names = [name.strip("/") for name in self.parameters.vehicles if name.strip("/")]
        if len(set(names)) < len(names):
            raise InputError(f"vehicles: {', '.join(names)}: one of them appears twice")
        frames = Frames(self) if self.parameters.target_frame or self.parameters.odometry_frame else None
        broadcast = StaticFrames(self) if self.parameters.publish_tf else None
        self.vehicles = [Vehicle(self, name, frames, broadcast) for name in names or [""]]
        self.create_timer(FEEDBACK_PERIOD, self._report, clock=self._steady)

    def forget(self) -> None:
        for vehicle in self.vehicles:
            vehicle.forget()

    def subscribe(self) -> None:
        for vehicle in self.vehicles:
            vehicle.subscribe()

    def together(self) -> int:
        return self.parameters.max_batch or BATCH[self.parameters.device]

    def workers(self) -> int:
        # Pairs of two vehicles side by side, each on a core, are done sooner than one after the other on both.
        side_by_side = 1 if self.parameters.device == "cuda" else self.parameters.threads or cores()
        return min(self.parameters.workers or side_by_side, len(self.vehicles))

    def _report(self) -> None:
        for vehicle in self.vehicles:
            vehicle.report()

    # -- workers' threads: decode and publish -------------------------------------------------------------------------

    def work(self, jobs: list[Job]) -> None:
        # Before anything is computed: what is stale already would only make the others stale.
        jobs = [job for job in jobs if not job.vehicle.too_old(job)]
        for job in jobs:
            if job.detections is not None:
                job.health.tally.count("boxes")
                self._publish_alone(job, job.detections)
        jobs = [job for job in jobs if job.detections is None]
        start = time.perf_counter()
        payloads = [bytes(job.message.payload) for job in jobs]
        auto = self.parameters.references == "auto"
        results = self.model.decode_many(
            payloads,
            [job.vehicle.calibration for job in jobs],
            [job.vehicle.received_pairs if auto else None for job in jobs],
        )
        elapsed = time.perf_counter() - start
        for job, result in zip(jobs, results):
            health = job.health
            if isinstance(result, BitstreamError):
                missing = isinstance(result, ReferenceMissingError)
                health.refuse("no_reference" if missing else "malformed", str(result))
                continue
            health.tally.took("decode", elapsed / len(jobs))
            health.took("decode", result.timings)
            health.tally.count("decoded")
            if job.vehicle.too_old(job) or job.vehicle.overslept(job):
                continue
            self._publish_alone(job, result.detections, result)

    def _publish_alone(self, job: Job, found: Detections, result: Result | None = None) -> None:
        """Publish; what goes wrong with one vehicle's results is no matter of the others'."""
        try:
            self._publish(job, found, result)
        except Exception as error:
            self._failed(error, [job])

    def _publish(self, job: Job, found: Detections, result: Result | None = None) -> None:
        followed = job.vehicle.follow(found.finite(), job, result)
        placement = job.vehicle.place(job)
        if placement is None:
            return
        job.vehicle.publish(followed, job, placement)
        if result is not None:
            self._publish_extras(job, result, followed.detections, placement)

    def _publish_extras(self, job: Job, result: Result, detections: Detections, placement: Placement) -> None:
        """Publish points and the bird's-eye view, which nobody has to pay for who doesn't look."""
        vehicle, header = job.vehicle, placement.header
        wanted = [p for p in (vehicle.points, vehicle.bev) if p.get_subscription_count()]
        if not wanted:
            return
        with job.health.tally.timed("extras"):
            view = result.view
            points = matched_points(result.disparity, view, self.parameters.max_depth)
            if vehicle.points in wanted:
                vehicle.points.publish(messages.point_cloud(placement.camera.points(points), header))
            if vehicle.bev in wanted:
                depth = self.parameters.bev_depth
                canvas = birds_eye([(detections, DETECTION)], view.source, depth=depth, points=points)
                vehicle.bev.publish(picture(canvas, header))


def main(args: list[str] | None = None) -> NoReturn:
    """Run the node until it is told to stop."""
    run(DecoderNode, args)


if __name__ == "__main__":
    main()
