# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""load: feature messages of a whole fleet, for a decoder to be measured with."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import NoReturn

import numpy as np
from rclpy.node import Node

from sicm_ros.bags.stereo import open_stereo
from sicm_ros.bitstream import VERSION, pack, unpack
from sicm_ros.errors import InputError
from sicm_ros.msg import CompressedStereoFeatures
from sicm_ros.nodes import qos
from sicm_ros.nodes.parameters import Parameter, Parameters
from sicm_ros.nodes.process import run

LOAD = (
    Parameter("path", "", "bag or KITTI folder whose first pairs are sent again and again"),
    Parameter("model", "default", "that encodes them"),
    Parameter("quality", 0.5, "from fewest bytes to best features", "", 0.0, 1.0),
    Parameter("vehicles", [""], "namespaces that send"),
    Parameter("rate", 10.0, "pairs of each vehicle", "Hz", 0.1, 1000.0),
    Parameter("pairs", 5, "different pairs", "", 1, 1000),
)


class LoadNode(Node):
    """Encodes a few pairs once, then sends them for every vehicle, each with numbers and stamps of its own."""

    def __init__(self) -> None:
        super().__init__("load")
        import sicm_ros

        p = self.parameters = Parameters(self, LOAD)
        vehicles = [name.strip("/") for name in p.vehicles if name.strip("/")]
        if not p.path or not vehicles:
            raise InputError("load: parameters path and vehicles must be given")
        model = sicm_ros.load(p.model)
        with open_stereo(p.path) as source:
            pairs = list(itertools.islice(source.pairs(), p.pairs))
        packets = [unpack(model.encode(pair, p.quality)) for pair in pairs]
        self._packets = itertools.cycle(packets)
        self._fingerprint = np.frombuffer(model.fingerprint, np.uint8)
        self._senders = [
            self.create_publisher(CompressedStereoFeatures, f"{name}/features", qos.features()) for name in vehicles
        ]
        self._numbers = [0] * len(vehicles)
        self._ready = self.create_timer(0.1, self._look)

    def _look(self) -> None:
        if not all(sender.get_subscription_count() for sender in self._senders):
            return
        self.destroy_timer(self._ready)
        print("sending", flush=True)
        # Vehicles know nothing of each other: their pairs are spread over the period.
        self._turn = itertools.cycle(range(len(self._senders)))
        self.create_timer(1 / (self.parameters.rate * len(self._senders)), self._send)

    def _send(self) -> None:
        vehicle = next(self._turn)
        number = self._numbers[vehicle]
        self._numbers[vehicle] = number + 1
        packet = replace(next(self._packets), sequence=number & 0xFFFF)
        message = CompressedStereoFeatures(sequence=number, content=CompressedStereoFeatures.FEATURES, format=VERSION)
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = "left_optical"
        message.model_fingerprint, message.quality = self._fingerprint, packet.quality / 255
        message.payload.frombytes(pack(packet))
        self._senders[vehicle].publish(message)


def main(args: list[str] | None = None) -> NoReturn:
    """Send until it is told to stop."""
    run(LoadNode, args)


if __name__ == "__main__":
    main()
