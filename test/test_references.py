# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Packets that refer to earlier pairs: the same symbols, whatever the link does, and never wrong ones."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import test_nodes_pipeline as pipeline
from hypothesis import given, settings
from hypothesis import strategies as st
from temporal_priors import networks

from sicm_ros.bitstream import HEADER_BYTES, unpack
from sicm_ros.entropy.config import LEFT, Pass
from sicm_ros.entropy.temporal import Lookback, Past, TemporalPrior
from sicm_ros.errors import ModelError, ReferenceMissingError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.model.base import PairCodec, Symbols
from sicm_ros.model.folder import TEMPORAL, open_model, read_model, save_model, save_temporal
from sicm_ros.model.references import (
    FORGOTTEN,
    HELD_OFF,
    KEPT,
    MOST_DECODERS,
    Acknowledgement,
    ReceivedPairs,
    SentPairs,
)

# The same camera, model and processes as the tests of the nodes.
bus, start, diagnostics, model = pipeline.bus, pipeline.start, pipeline.diagnostics, pipeline.model

CAMERA = StereoCalibration(350.0, 350.0, 300.0, 90.0, 0.5, 640, 192)
OTHER_CAMERA = StereoCalibration(360.0, 350.0, 300.0, 90.0, 0.5, 640, 192)


@pytest.fixture(scope="module")
def folder(small_model: Path, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("referring") / "model"
    shutil.copytree(small_model, path)
    save_temporal(path, networks(open_model(path).prior).arrays())
    return path


@pytest.fixture(scope="module")
def codec(folder: Path) -> PairCodec:
    return PairCodec(open_model(folder))


def scene(codec: PairCodec, rng: np.random.Generator, before: Symbols | None = None, moving: float = 0.2) -> Symbols:
    """Symbols of a pair: those of the one before, where nothing moved."""
    config = codec.prior.config
    h, w = codec.config.input_height // 16, codec.config.input_width // 16
    views = np.rint(rng.laplace(0, 1.5, (2, config.channels, h, w))).astype(np.int32)
    views[1, config.coded(1) :] = 0
    z = np.rint(rng.laplace(0, 1, (config.hyper_channels, (h + 3) // 4, (w + 3) // 4))).astype(np.int32)
    if before is not None:
        stay = rng.random((h, w)) > moving
        views = np.where(stay, np.stack([before.left, before.right]), views)
        z = np.where(rng.random(z.shape) > moving, before.z, z)
    return Symbols(views[0], views[1], z)


def same(reading, symbols: Symbols) -> bool:
    return bool((reading.symbols == np.stack([symbols.left, symbols.right])).all())


def test_training_and_coding_agree_on_every_mean_and_scale(codec: PairCodec):
    from sicm_ros.entropy.temporal_network import example, rows_of

    prior, rng = codec.prior, np.random.default_rng(0)
    first = scene(codec, rng)
    second = scene(codec, rng, first)
    learnt = networks(prior)
    temporal = TemporalPrior(prior.config, learnt.arrays())
    exact = TemporalPrior(prior.config, learnt.arrays(), np.float64)
    pair = example(prior, second.left, second.right, second.z, 140)
    earlier = example(prior, first.left, first.right, first.z, 90).coded.kept()
    seen = temporal.seen(Past(earlier, 3, 7), 140)
    lookback = Lookback(seen)
    for one in pair.passes:
        if one.step is None:
            inputs, symbols = lookback.hyper_inputs(one.mean, one.scale), one.symbols.T
            lookback.learn_hyper(pair.coded.z)
        else:
            inputs, symbols = lookback.pass_inputs(one.step, one.mean, one.scale), one.symbols
            lookback.learn(one.step, symbols)
        ours = temporal.correct(one.name, inputs)
        theirs = learnt.passes[one.name](rows_of(inputs, symbols))
        assert any((a != b).any() for a, b in zip(ours, (inputs.mean, inputs.scale))), "corrects nothing"
        where = inputs.cell, inputs.channel
        for a, b, c in zip(ours, theirs, exact.correct(one.name, inputs), strict=True):
            assert (a[where] == b.detach().numpy()).all()
            assert (a == c).all()


def test_bytes_are_what_training_estimates(codec: PairCodec):
    import torch

    from sicm_ros.entropy.temporal_network import example

    prior, rng = codec.prior, np.random.default_rng(1)
    first = scene(codec, rng)
    second = scene(codec, rng, first)
    earlier = prior.write(first.left, first.right, first.z, 128)[1].kept()
    past = prior.past(second.left, second.right, 128, earlier, 2)
    payload, _ = prior.write(second.left, second.right, second.z, 128, past)
    with torch.no_grad():
        bits = networks(prior).bits(example(prior, second.left, second.right, second.z, 128), earlier, 2)
    assert 8 * len(payload) == pytest.approx(float(bits), rel=0.02)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["", "", "", "lost", "late", "decoder", "encoder", "hostile", "repeated"]),
        st.booleans(),  # whether the acknowledgement arrives
        st.integers(0, 255),  # quality
        st.integers(0, 2**31),
    ),
    min_size=3,
    max_size=30,
)


@settings(max_examples=25, deadline=None)
@given(EVENTS)
def test_no_link_and_nobody_on_it_makes_a_symbol_wrong(codec: PairCodec, events):
    rng = np.random.default_rng(len(events))
    sent, received, number, before = SentPairs(), ReceivedPairs(), 65530, None
    late: list[tuple[bytes, Symbols]] = []
    decoded = referring = missed = 0
    for event, heard, quality, noise in events:
        if event == "decoder":
            received = ReceivedPairs()
        if event == "encoder":
            sent, number = SentPairs(), 65530
        if event == "hostile":  # somebody who has heard everything, and lies
            pairs = [(int(n), int(i)) for n, i in np.random.default_rng(noise).integers(0, 65536, (20, 2))]
            everything = [(pair.number, pair.identity) for pair in sent._kept]
            who = received.decoder if noise % 2 else noise
            sent.acknowledge(Acknowledgement(who, pairs + everything, noise % 3 == 0))
            sent.acknowledge(Acknowledgement(received.decoder, everything))
        symbols = before = scene(codec, rng, before)
        data = codec.write(symbols, CAMERA, quality, number, references=sent)
        alone = codec.read(codec.write(symbols, CAMERA, quality, number), None)
        assert same(alone, symbols)
        referring += unpack(data).reference is not None
        number += 1
        arrived = [(data, symbols)] * (2 if event == "repeated" else 1)
        if event == "late":
            late += arrived
            continue
        if event != "lost":
            arrived += late
            late = []
            for packet, meant in arrived:
                try:
                    reading = codec.read(packet, None, received)
                except ReferenceMissingError:
                    missed += 1
                else:
                    decoded += 1
                    assert same(reading, meant)
                    assert reading.view.source == CAMERA
        if heard:
            sent.acknowledge(received.acknowledgement())
        assert len(sent._kept) <= KEPT
        assert len(received._kept) <= KEPT
    if {event for event, *_ in events} <= {"", "lost", "repeated"}:
        assert not missed, "what was acknowledged was not there"


def test_a_reference_may_be_all_zeros_and_so_may_what_refers_to_it(codec: PairCodec):
    rng, sent, received = np.random.default_rng(11), SentPairs(), ReceivedPairs()
    something = scene(codec, rng)
    nothing = Symbols(*(np.zeros_like(x) for x in (something.left, something.right, something.z)))
    for number, symbols in enumerate([nothing, nothing, something, nothing]):
        data = codec.write(symbols, CAMERA, 128, number, references=sent)
        assert (unpack(data).reference is not None) == (number > 0)
        assert same(codec.read(data, None, received), symbols)
        sent.acknowledge(received.acknowledgement())


def test_a_clean_stream_refers_to_the_pair_before(codec: PairCodec):
    rng, sent, received, before = np.random.default_rng(2), SentPairs(), ReceivedPairs(), None
    ages = []
    for number in range(65530, 65545):  # through the end of the numbers
        symbols = before = scene(codec, rng, before)
        data = codec.write(symbols, CAMERA, 128, number, references=sent)
        mark = unpack(data).reference
        ages.append(None if mark is None else mark.age)
        assert same(codec.read(data, None, received), symbols)
        if (number - 65530) % 3 == 0:
            sent.acknowledge(received.acknowledgement())
    assert ages == [None, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2]


def test_without_acknowledgement_a_packet_is_what_it_always_was(codec: PairCodec):
    rng, sent = np.random.default_rng(3), SentPairs()
    plain = PairCodec(open_model("free"))
    for number in range(3):
        symbols = scene(codec, rng)
        assert codec.write(symbols, CAMERA, 99, number, references=sent) == codec.write(symbols, CAMERA, 99, number)
    symbols, references = scene(plain, rng), SentPairs()
    assert plain.prior.temporal is None
    plain.write(symbols, CAMERA, 99, 0, references=references)
    assert not references._kept, "nothing to keep where nothing can refer to it"


def test_a_reference_brings_the_calibration_unless_that_changed(codec: PairCodec):
    rng, sent, received = np.random.default_rng(4), SentPairs(), ReceivedPairs()
    sizes = []
    for number, camera in enumerate([CAMERA, CAMERA, OTHER_CAMERA, OTHER_CAMERA]):
        data = codec.write(scene(codec, rng), camera, 128, number, references=sent)
        packet = unpack(data)
        sizes.append((packet.reference is not None, packet.calibration is not None))
        assert packet.size == len(data)
        assert codec.read(data, None, received).view.source == camera
        sent.acknowledge(received.acknowledgement())
    assert sizes == [(False, True), (True, False), (True, True), (True, False)]


def test_the_mark_of_a_reference_is_what_the_document_says(codec: PairCodec):
    rng, sent, received = np.random.default_rng(5), SentPairs(), ReceivedPairs()
    first = codec.write(scene(codec, rng), CAMERA, 128, 7, include_calibration=False, references=sent)
    codec.read(first, CAMERA, received)
    sent.acknowledge(received.acknowledgement())
    data = codec.write(scene(codec, rng), CAMERA, 128, 9, include_calibration=False, references=sent)
    assert data[4] == 0x24  # version 2, flag 2
    assert data[HEADER_BYTES] & 15 == 2
    mark = unpack(data).reference
    assert mark is not None
    assert (mark.age, mark.similarity) == (2, data[HEADER_BYTES] >> 4)
    assert mark.identity == int.from_bytes(data[HEADER_BYTES + 1 : HEADER_BYTES + 3], "little")


def test_a_decoder_with_another_temporal_prior_refuses(codec: PairCodec, folder: Path, tmp_path: Path):
    shutil.copytree(folder, tmp_path / "other")
    save_temporal(tmp_path / "other", networks(codec.prior, seed=9).arrays())
    other = PairCodec(open_model(tmp_path / "other"))
    assert other.fingerprint == codec.fingerprint
    rng, sent, received, theirs = np.random.default_rng(6), SentPairs(), ReceivedPairs(), ReceivedPairs()
    for number in range(2):
        data = codec.write(scene(codec, rng), CAMERA, 128, number, references=sent)
        codec.read(data, None, received)
        if number == 0:
            other.read(data, None, theirs)
            sent.acknowledge(received.acknowledgement())
    with pytest.raises(ReferenceMissingError, match="refers to pair 0, which is not here"):
        other.read(data, None, theirs)
    with pytest.raises(ReferenceMissingError):
        codec.read(data, None)
    sent.acknowledge(theirs.acknowledgement())
    assert not sent.choose(2), "a decoder that misses one is sent what stands by itself"


def numbered(sent: SentPairs, codec: PairCodec, numbers: range) -> list[tuple[int, int]]:
    rng = np.random.default_rng(7)
    for number in numbers:
        codec.write(scene(codec, rng), CAMERA, 128, number, references=sent)
    return [(pair.number, pair.identity) for pair in sent._kept]


def test_all_who_listen_must_have_a_reference(codec: PairCodec):
    sent = SentPairs()
    pairs = numbered(sent, codec, range(4))
    sent.acknowledge(Acknowledgement(1, pairs))
    assert sent.choose(4).age == 1
    sent.acknowledge(Acknowledgement(2, pairs[:2]))
    assert sent.choose(5).number == 1, "what both have"
    sent.acknowledge(Acknowledgement(3, []))
    assert sent.choose(6) is None
    sent = SentPairs(listeners=2)
    pairs = numbered(sent, codec, range(2))
    sent.acknowledge(Acknowledgement(1, pairs))
    assert sent.choose(2) is None, "the second one may record"
    sent.listeners = 1
    assert sent.choose(3).number == 1
    assert sent.choose(1 + 9) is None, "too old"


def test_who_falls_silent_is_forgotten_and_who_misses_one_is_spared(codec: PairCodec):
    sent = SentPairs()
    sent.acknowledge(Acknowledgement(1, []))
    for number in range(FORGOTTEN + 2):
        sent.choose(number)
    pairs = numbered(sent, codec, range(100, 102))
    sent.acknowledge(Acknowledgement(2, pairs))
    assert sent.choose(102), "the first one is gone"
    sent.acknowledge(Acknowledgement(2, pairs, missing=True))
    chosen = []
    for number in range(103, 103 + HELD_OFF + 2):
        pairs = numbered(sent, codec, range(number, number + 1))
        sent.acknowledge(Acknowledgement(2, pairs))
        chosen.append(sent.choose(number + 1) is not None)
    assert chosen.index(True) in (HELD_OFF - 1, HELD_OFF - 2)


def test_a_crowd_of_liars_costs_references_and_no_memory(codec: PairCodec):
    sent = SentPairs()
    pairs = numbered(sent, codec, range(2))
    for decoder in range(1000):
        sent.acknowledge(Acknowledgement(decoder, pairs))
    assert len(sent._decoders) == MOST_DECODERS
    assert sent.choose(2) is None


def test_a_temporal_prior_belongs_to_its_model(folder: Path, small_model: Path, tmp_path: Path):
    from sicm_ros.model import create
    from sicm_ros.network import NetworkConfig

    copy = tmp_path / "model"
    shutil.copytree(folder, copy)
    assert (copy / TEMPORAL).exists()
    assert TEMPORAL in (copy / "SHA256SUMS").read_text()
    assert open_model(copy).fingerprint == open_model(small_model).fingerprint
    stored = read_model(copy)
    save_model(stored.network, copy, "again", "free")
    assert not (copy / TEMPORAL).exists(), "it was another network's"
    other = create(tmp_path / "other", NetworkConfig(), seed=3)
    shutil.copy(folder / TEMPORAL, other / TEMPORAL)
    (other / "SHA256SUMS").unlink()
    with pytest.raises(ModelError, match="belongs to another model"):
        open_model(other)


def test_broken_arrays_are_named(codec: PairCodec):
    arrays = networks(codec.prior).arrays()
    for name, value, says in (
        ("gain", np.zeros_like(arrays["gain"]), "gain is not positive"),
        ("pass0.hidden0.weight", arrays["pass0.hidden0.weight"].astype(np.float32), "expected integers"),
        ("pass1.output.weight", np.full_like(arrays["pass1.output.weight"], 32767), "exceed 2"),
    ):
        with pytest.raises(ModelError, match=says):
            TemporalPrior(codec.prior.config, arrays | {name: value})
    del arrays["z.hidden1.bias"]
    with pytest.raises(ModelError, match=r"z.hidden1.bias is missing"):
        TemporalPrior(codec.prior.config, arrays)


def test_training_learns_that_nothing_moves(codec: PairCodec):
    from sicm_ros.training.temporal import SymbolDrive, gains, ratio, train

    rng, before, pairs = np.random.default_rng(8), None, []
    for _ in range(6):
        before = scene(codec, rng, before, moving=0.02)
        pairs.append(before)
    drive = SymbolDrive([0, 1, 2, 3, 5, 6], {128: pairs})
    assert drive.earlier(4) == {5: 0, 4: 1, 3: 2, 2: 3}
    channels = codec.prior.config.coded(0) + codec.prior.config.coded(1)
    gain = gains(lambda level: np.ones(channels))
    told: list[tuple] = []
    learnt = train(codec.prior, gain, [drive], math.inf, progress=lambda *said: told.append(said), steps=100)
    assert [step for step, *_ in told] == [50, 100]
    assert ratio(learnt, codec.prior, [drive], 128, 1) < 0.8
    assert np.isnan(ratio(learnt, codec.prior, [drive], 128, 8))


def test_drawn_places_cost_on_average_what_all_do(codec: PairCodec, monkeypatch):
    from sicm_ros.training import temporal as training

    rng, before, pairs = np.random.default_rng(12), None, []
    for _ in range(6):
        before = scene(codec, rng, before)
        pairs.append(before)
    drive = training.SymbolDrive(list(range(6)), {128: pairs})
    monkeypatch.setattr(training, "PLACES", 400)
    drawn = training._drawn_places(networks(codec.prior), codec.prior, [drive], rng)
    assert max(len(weights) for _, weights, _ in drawn.values()) < 500 * 5 * training.REFERENCES
    ratio = sum(float((rows.alone() * weights).mean()) + rest for rows, weights, rest in drawn.values())
    assert ratio == pytest.approx(1, abs=0.03)


def test_where_a_reference_says_nothing_the_prior_stays_as_it_is(codec: PairCodec):
    prior, rng = codec.prior, np.random.default_rng(13)
    temporal = TemporalPrior(prior.config, networks(prior).arrays())
    first = scene(codec, rng)
    left = np.zeros_like(first.left)
    left[3, 2, 7] = 2
    earlier = prior.write(left, np.zeros_like(left), first.z, 128)[1].kept()
    seen = temporal.seen(Past(earlier, 1, 7), 128)
    h, w = earlier.size
    channels = earlier.views[0].shape[1]
    mean, scale = np.full((h * w, channels), 3, np.int32), np.full((h * w, channels), 4, np.int32)
    scale[0, 1] = 5
    lookback = Lookback(seen)
    lookback.learn_hyper(first.z)
    inputs = lookback.pass_inputs(Pass(LEFT, None, False, False), mean, scale)
    around = {((row * w + column), 3) for row in (1, 2, 3) for column in (6, 7, 8)}
    assert set(zip(inputs.cell.tolist(), inputs.channel.tolist(), strict=True)) == around | {(0, 1)}
    elsewhere = np.ones_like(mean, bool)
    elsewhere[inputs.cell, inputs.channel] = False
    for alone, corrected in zip((mean, scale), temporal.correct("pass0", inputs), strict=True):
        assert (corrected[elsewhere] == alone[elsewhere]).all()
        assert (corrected[~elsewhere] != alone[~elsewhere]).any()


def test_the_model_that_ships_sends_less_of_the_drive_that_ships():
    import sicm_ros
    from sicm_ros.bags import open_stereo
    from sicm_ros.cli.options import SHIPPED

    model = sicm_ros.load(sides=("vehicle",), threads=1)
    assert model.fingerprint.hex() == "35c98622f1a92ad5"
    sent, received, sizes = SentPairs(), ReceivedPairs(), []
    with open_stereo(SHIPPED) as pairs:
        for number, pair in zip(range(2), pairs.pairs()):
            alone = model.encode(pair, quality=0.3, sequence=number)
            data = model.encode(pair, quality=0.3, sequence=number, references=sent)
            assert (model.read(data, None, received).symbols == model.read(alone, None).symbols).all()
            sent.acknowledge(received.acknowledgement())
            sizes.append((len(alone), len(data)))
    assert sizes[0][0] == sizes[0][1]
    assert sizes[1][1] < 0.9 * sizes[1][0]


def test_nodes_refer_while_nobody_else_listens_and_lies_stop_no_results(bus, start, diagnostics, model, tmp_path):
    from sicm_ros.msg import CompressedStereoFeatures, DecodedPairs, DetectionSource

    import sicm_ros
    from sicm_ros.nodes import qos

    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    save_temporal(folder, networks(open_model(folder).prior).arrays())
    results = bus.listen(DetectionSource, "/refer/detection_source")
    camera = pipeline.Camera(bus, "/refer/left/image_rect_color", "/refer/right/image_rect_color")
    start("encoder", "-r", "__ns:=/refer", model=folder)
    start("decoder", "-r", "__ns:=/refer", model=folder)
    camera.wait_for_encoder()
    camera.send_until(lambda: results)

    def send(pairs: int, until=lambda: False) -> None:
        for number in range(pairs):
            before = len(results)
            camera.send(*pipeline.scene(number % 2))
            bus.wait(lambda before=before: len(results) > before, what="a result")
            if until():
                return

    send(6)
    bus.wait(lambda: diagnostics.number("refer/encoder", "referring") >= 5, what="packets that refer to others")
    assert diagnostics.number("refer/decoder", "dropped_no_reference") == 0
    # Somebody claims everything, and a crowd claims nothing: results go on.
    liar = bus.publisher(DecodedPairs, "/refer/decoded_pairs", qos.acknowledgements())
    bus.wait(liar.get_subscription_count, what="the encoder's subscription")
    for decoder in range(40):
        said = DecodedPairs(decoder=decoder, sequences=list(range(9)), identities=[decoder] * 9, missing=decoder == 7)
        liar.publish(said)
    send(4)
    # A recorder: its bag must be decoded by whoever has it.
    recorded = bus.listen(CompressedStereoFeatures, "/refer/features")
    camera.send_until(lambda: recorded)
    send(3)
    bus.wait(lambda: len(recorded) >= 3, what="what is recorded")
    alone = sicm_ros.load(folder, threads=1)
    for message in recorded[-2:]:
        data = bytes(message.payload)
        assert unpack(data).reference is None
        assert alone.decode(data).symbols is not None
