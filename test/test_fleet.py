# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""One decoder and a fleet, boxes alone, hostile messages, restarts: real processes over real DDS."""

from __future__ import annotations

import itertools
import re
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import test_nodes_pipeline as pipeline
from conftest import NodeProcess, Peer

import sicm_ros
from sicm_ros.bitstream import VERSION, pack, unpack

bus, start, diagnostics, model = pipeline.bus, pipeline.start, pipeline.diagnostics, pipeline.model

NOW = itertools.count(2_000_000_000_000, 1_000_000)  # nanoseconds


@pytest.fixture(scope="module")
def codec(model: Path) -> sicm_ros.Model:
    return sicm_ros.load(model)


@pytest.fixture(scope="module")
def packet(codec: sicm_ros.Model) -> bytes:
    return codec.encode(*pipeline.scene(), pipeline.RIG, 0.5)


class Sender:
    """A vehicle on the bus: real packets, numbered as an encoder numbers them."""

    def __init__(self, bus: Peer, codec: sicm_ros.Model, packet: bytes, namespace: str, depth: int = 0) -> None:
        from sicm_ros.msg import CompressedStereoFeatures, DetectionSource
        from vision_msgs.msg import Detection3DArray

        from sicm_ros.nodes import qos

        self._type, self._packet, self.number = CompressedStereoFeatures, unpack(packet), 0
        self._fingerprint = np.frombuffer(codec.fingerprint, np.uint8)
        self.topic = bus.publisher(CompressedStereoFeatures, f"{namespace}/features", depth or qos.features())
        self.answers = bus.listen(Detection3DArray, f"{namespace}/detections", 100)
        self.sources = bus.listen(DetectionSource, f"{namespace}/detection_source", 100)
        self.bus, self.namespace = bus, namespace

    def wait_for_decoder(self) -> None:
        self.bus.wait(self.topic.get_subscription_count, what=f"a decoder of {self.namespace}")
        self.bus.wait(lambda: self.bus.node.count_publishers(f"{self.namespace}/detections"), what="its detections")

    def message(self, number: int | None = None, stamp: int | None = None):
        number = self.number if number is None else number
        message = self._type(sequence=number, content=self._type.FEATURES, format=VERSION, quality=0.5)
        message.header.stamp = pipeline.stamp_message(next(NOW) if stamp is None else stamp)
        message.model_fingerprint = self._fingerprint
        message.payload.frombytes(pack(replace(self._packet, sequence=number & 0xFFFF)))
        return message

    def send(self) -> int:
        """Sends the next pair; its stamp in nanoseconds."""
        message = self.message()
        self.number += 1
        self.topic.publish(message)
        return pipeline.nanoseconds(message)

    def serve_a_good_pair(self) -> None:
        """Sends pairs until one is answered: it may overtake another, as fresh pairs do."""

        def answered() -> bool:
            stamp = self.send()
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                if any(pipeline.nanoseconds(m) == stamp for m in self.answers):
                    return True
                time.sleep(0.01)
            return False

        self.bus.wait(answered, what="an answer to a good pair")


# -- fleet ------------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(300)
def test_eight_vehicles_on_one_decoder_have_fair_shares_however_much_one_sends(
    bus, start, diagnostics, codec, packet, model
):
    names = [f"fleet/v{n}" for n in range(8)]
    start("decoder", model=model, vehicles=f"[{','.join(names)}]", topic_timeout=60.0)
    senders = [Sender(bus, codec, packet, f"/{name}") for name in names]
    for sender in senders:
        sender.wait_for_decoder()
    time.sleep(0.5)
    end = time.monotonic() + 6.0
    while time.monotonic() < end:  # far more than one core decodes, and the first vehicle ten times the others
        for sender in (*[senders[0]] * 10, *senders[1:]):
            sender.send()
        time.sleep(0.05)
    time.sleep(2.5)  # each status is a second old at most
    served = [diagnostics.number(f"{name}/decoder", "published") for name in names]
    assert min(served) > 0
    assert max(served) <= 1.3 * min(served) + 2, served
    for name, sender in zip(names, senders):
        report = diagnostics(f"{name}/decoder")
        dropped = sum(int(v) for k, v in report.items() if k.startswith("dropped_"))
        assert int(report["received"]) == int(report["published"]) + dropped
        # What DDS threw away (a reader keeps two messages) shows as a gap, once a later message has come.
        assert 0 <= sender.number - int(report["received"]) - int(report["lost"]) <= 20
        assert {k for k in report if k.startswith("dropped_")} <= {"dropped_overtaken"}
        assert len(sender.answers) == int(report["published"])


@pytest.mark.timeout(300)
def test_two_decoders_share_eight_vehicles(bus, start, diagnostics, codec, packet, model):
    names = [f"shared/v{n}" for n in range(8)]
    for half in (names[:4], names[4:]):
        start("decoder", model=model, vehicles=f"[{','.join(half)}]", max_batch=2)
    senders = [Sender(bus, codec, packet, f"/{name}") for name in names]
    for sender in senders:
        sender.wait_for_decoder()
    time.sleep(0.5)
    for sender in senders:
        sender.serve_a_good_pair()
    for name, sender in zip(names, senders):
        assert bus.node.count_publishers(f"/{name}/detections") == 1
        assert len({pipeline.nanoseconds(m) for m in sender.answers}) == len(sender.answers), "answered twice"


def test_names_that_are_no_fleet_are_refused(start, model):
    for process in [start("decoder", model=model, vehicles=names) for names in ("[a,a]", "['no space']")]:
        assert process.process.wait(60) == 2
        assert "vehicles" in process.output
        assert "Traceback" not in process.output


# -- hostile messages, restarts ---------------------------------------------------------------------------------------


HOSTILE = 10_000
# Seconds in which DDS finds a node that came back, which may be loaded before: what is lost of its discovery is
# said again after three.
FOUND = 4.0


@pytest.fixture(scope="module")
def attacked(bus, start, codec, packet, model) -> tuple[NodeProcess, Sender]:
    # A queue on both sides, so that every single message reaches the node.
    deep = {"qos_overrides./attacked/features.subscription.depth": 2 * HOSTILE}
    decoder = start("decoder", "-r", "__ns:=/attacked", model=model, min_score=0.0, **deep)
    sender = Sender(bus, codec, packet, "/attacked", 2 * HOSTILE)
    sender.wait_for_decoder()
    time.sleep(0.5)
    return decoder, sender


@pytest.mark.timeout(300)
def test_ten_thousand_hostile_messages_over_dds(bus, diagnostics, attacked):
    """Random fields, noise, cuts, flips, splices, forged checksums; the node stays, and serves the next good pair."""
    from sicm_ros.nodes.vehicle import COUNTERS

    decoder, sender = attacked
    sender.serve_a_good_pair()
    good = bytes(sender.message().payload)
    random = np.random.default_rng(5)
    memory = resident(decoder)
    for number in range(HOSTILE):
        message = sender.message(number=int(random.integers(0, 1 << 32)))
        payload = hostile_payload(random, good, number)
        del message.payload[:]
        message.payload.frombytes(payload)
        kind = random.integers(0, 8)
        if kind == 0:
            message.content = int(random.integers(0, 256))
        elif kind == 1:
            message.format = int(random.integers(0, 256))
        elif kind == 2:
            message.model_fingerprint = random.integers(0, 256, 8).astype(np.uint8)
        elif kind == 3:
            message.header.stamp.sec = int(random.integers(-(1 << 31), 1 << 31))
        elif kind == 4:
            message.header.frame_id = "x" * int(random.integers(0, 5000))
        elif kind == 5:
            message.quality = float(random.choice([np.nan, np.inf, -1e30]))
        sender.topic.publish(message)
    bus.wait(lambda: diagnostics.number("attacked/decoder", "received") > HOSTILE, what="hostile messages to be read")
    assert decoder.process.poll() is None
    # The numbers may have gone anywhere: the next two pairs put them right.
    sender.serve_a_good_pair()
    time.sleep(1.5)
    report = diagnostics("attacked/decoder")
    dropped = Counter({k: int(v) for k, v in report.items() if k.startswith("dropped_")})
    assert int(report["received"]) == int(report["published"]) + dropped.total()
    assert {"dropped_malformed", "dropped_wrong_model", "dropped_content", "dropped_format"} <= set(dropped)
    assert "dropped_failed" not in dropped, "something other than a BitstreamError was raised"
    assert set(COUNTERS) <= set(report)
    assert resident(decoder) < 1.2 * memory
    assert "Traceback" not in decoder.output


def hostile_payload(random: np.random.Generator, good: bytes, number: int) -> bytes:
    data = bytearray(good)
    match number % 6:
        case 0:
            return random.integers(0, 256, int(random.integers(0, 3000))).astype(np.uint8).tobytes()
        case 1:
            return bytes(data[: random.integers(0, len(data))])
        case 2:
            for _ in range(int(random.integers(1, 20))):
                data[random.integers(0, len(data))] ^= int(random.integers(1, 256))
            return bytes(data)
        case 3:
            cut = int(random.integers(0, len(data)))
            return bytes(data[:cut] + data + data[cut:])
        case 4:
            return b"SICB" + random.integers(0, 256, int(random.integers(0, 300))).astype(np.uint8).tobytes()
        case _:  # forged: the checksum is right, what the entropy decoder reads is not
            packet = unpack(good)
            noise = random.integers(0, 256, int(random.integers(0, 2 * len(packet.payload)))).astype(np.uint8)
            return pack(replace(packet, payload=noise.tobytes(), quality=int(random.integers(0, 256))))


def resident(node: NodeProcess) -> int:
    from sicm_ros.benchmark.watched import resident_kib

    return resident_kib(node.process.pid)


@pytest.mark.alone
def test_a_decoder_that_comes_back_answers_as_soon_as_dds_has_found_it(bus, start, codec, packet, model):
    sender = Sender(bus, codec, packet, "/comes_back")
    first = start("decoder", "-r", "__ns:=/comes_back", model=model)
    sender.wait_for_decoder()
    sender.serve_a_good_pair()
    first.end()
    second = start("decoder", "-r", "__ns:=/comes_back", model=model)
    answers, loaded = len(sender.answers), None
    end = time.monotonic() + 60
    while len(sender.answers) == answers and time.monotonic() < end:  # the vehicle never stopped sending
        sender.send()
        time.sleep(0.05)
        if loaded is None and "loaded and warm" in second.output:
            loaded = time.monotonic()
    assert len(sender.answers) > answers
    assert loaded is None or time.monotonic() - loaded < FOUND


def test_an_encoder_that_starts_anew_is_followed_at_once(bus, attacked):
    _, sender = attacked
    sender.number = 700
    sender.serve_a_good_pair()
    sender.number = 0  # a new process counts from 0, with later stamps
    stamp = sender.send()
    bus.wait(lambda: any(pipeline.nanoseconds(m) == stamp for m in sender.answers), 5, "the answer to the first pair")


# -- loss -------------------------------------------------------------------------------------------------------------


def test_a_link_that_loses_thirty_per_cent_costs_those_results_and_no_others(
    bus, start, diagnostics, codec, packet, model
):
    link = start("link", "-r", "__ns:=/lossy", profile="perfect", loss=0.3, seed=11)
    start("decoder", "-r", "__ns:=/lossy", "-r", "features:=link/features", model=model)
    sender = Sender(bus, codec, packet, "/lossy")
    link.wait_for("link perfect")
    sender.wait_for_decoder()
    bus.wait(lambda: bus.node.count_subscribers("/lossy/link/features"), what="the decoder behind the link")
    time.sleep(0.5)
    pairs = 100
    for number in range(pairs):
        answered = len(sender.answers)
        sender.send()
        if number:  # the next pair waits for what this one may have lost
            end = time.monotonic() + 0.15
            while len(sender.answers) == answered and time.monotonic() < end:
                time.sleep(0.005)
    time.sleep(2.5)
    lost = diagnostics.number("lossy/link", "dropped_link_lost")
    decoder = diagnostics("lossy/decoder")
    assert 0.15 * pairs < lost < 0.45 * pairs
    assert len(sender.answers) + int(decoder.get("dropped_overtaken", 0)) == pairs - lost
    assert int(decoder["received"]) == pairs - lost
    assert abs(int(decoder["lost"]) - lost) <= 3, "gaps at the end are not seen yet"


# -- boxes alone ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def boxes(bus, start, model, diagnostics):
    from sicm_ros.msg import CompressedStereoFeatures, DetectionSource
    from vision_msgs.msg import Detection3DArray

    class Chain:
        def __init__(self) -> None:
            self.features = bus.listen(CompressedStereoFeatures, "/boxes/features")
            self.detections = bus.listen(Detection3DArray, "/boxes/detections")
            self.sources = bus.listen(DetectionSource, "/boxes/detection_source")
            self.camera = pipeline.Camera(bus, "/boxes/left/image_rect_color", "/boxes/right/image_rect_color")
            start("encoder", "-r", "__ns:=/boxes", model=model, mode="boxes", min_score=0.0)
            start("decoder", "-r", "__ns:=/boxes", model=model, min_score=0.0)
            self.camera.wait_for_encoder()
            bus.wait(lambda: bus.node.count_subscribers("/boxes/features") > 1, what="the decoder's subscription")
            # That the test knows of both doesn't mean that they know of each other: until then pairs are lost.
            self.camera.send_until(lambda: self.detections and self.sources)

        def send(self):
            stamp = self.camera.send(*pipeline.scene())

            def of(messages):
                return next((m for m in messages if pipeline.nanoseconds(m) == stamp), None)

            bus.wait(lambda: of(self.detections) and of(self.sources), what="an answer")
            return of(self.features), of(self.detections), of(self.sources)

        def set(self, **values) -> None:
            bus.set_parameters("/boxes/encoder", **values)

    return Chain()


def test_boxes_alone_are_those_that_the_vehicle_found(boxes, codec):
    message, detections, source = boxes.send()
    assert message.content == message.BOXES == source.content == source.BOXES
    found = codec.detect_uncompressed(*pipeline.scene(), pipeline.RIG).detections
    assert len(detections.detections) == len(found)
    for sent, here in zip(detections.detections, range(len(found))):
        position = sent.bbox.center.position
        middle = found.location[here] - [0, found.dimensions[here, 0] / 2, 0]
        np.testing.assert_allclose([position.x, position.y, position.z], middle, atol=0.02)
    assert source.bytes < 100 + 19 * len(found)


def test_boxes_take_the_place_of_features_that_do_not_fit_and_give_it_back(boxes):
    boxes.set(mode="auto", target_kbit_s=0.0)
    message, _, source = boxes.send()
    assert (message.content, source.content) == (message.FEATURES, source.FEATURES)
    assert source.quality == pytest.approx(message.quality)
    boxes.set(max_packet_bytes=500, quality=1.0)
    message, _, _ = boxes.send()
    expected = (
        message.FEATURES if len(message.payload) <= 480 and message.content == message.FEATURES else message.BOXES
    )
    assert message.content == expected
    boxes.set(
        max_packet_bytes=60_000, target_kbit_s=0.5, min_score=1.0
    )  # packets of no box: the smallest that there are
    kinds = []
    for _ in range(4):
        stamp = boxes.camera.send(*pipeline.scene())
        time.sleep(0.4)
        kinds += [m.content for m in boxes.features if pipeline.nanoseconds(m) == stamp]
    assert boxes.features[-1].BOXES in kinds
    boxes.set(target_kbit_s=0.0, mode="features", min_score=0.0)
    message, _, _ = boxes.send()
    assert message.content == message.FEATURES


def test_what_is_sent_is_said(boxes, diagnostics):
    boxes.set(mode="boxes")
    boxes.send()
    diagnostics.wait_for_more("boxes/encoder", "boxes", 0)
    assert re.fullmatch(r"\d+(\.\d+)?", diagnostics("boxes/encoder")["detect_ms"])
    assert diagnostics.number("boxes/decoder", "boxes") > 0
