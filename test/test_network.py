# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The network's stages: geometry of matching, symmetry of the views, boxes that come out as they went in."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sicm_ros.entropy import PriorConfig
from sicm_ros.geometry import ModelView, StereoCalibration
from sicm_ros.geometry.boxes import CLASSES, image_boxes
from sicm_ros.geometry.suppression import suppress
from sicm_ros.kitti import Labels
from sicm_ros.kitti.planner import NEAR
from sicm_ros.network import MVSFCNet, NetworkConfig
from sicm_ros.network.backbone import SameConv
from sicm_ros.network.candidates import calibrated, candidates, reaches_out
from sicm_ros.network.config import CodecConfig, DetectorConfig, ScoreConfig, quality_level
from sicm_ros.network.cost import REMOTE, VEHICLE, count
from sicm_ros.network.detector import pooled
from sicm_ros.network.disparity import Refinement
from sicm_ros.network.epipolar import correlate, gather_along_rows, mirror, moved
from sicm_ros.network.gain import QualityGain
from sicm_ros.network.maps import HEADING_BINS, Maps, Rigs
from sicm_ros.network.runtime import folded
from sicm_ros.network.smfc import ContextualTransform
from sicm_ros.training.augment import Sample
from sicm_ros.training.losses import task_losses
from sicm_ros.training.targets import HELD, nearest_face, targets

SMALL = {"input_width": 128, "input_height": 64}


@pytest.fixture(autouse=True)
def _few_threads():
    torch.manual_seed(0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@given(st.integers(1, 9), st.sampled_from([1, 2, 4]))
@settings(max_examples=15, deadline=None)
def test_correlation_is_the_mean_product_at_each_disparity(disparities, groups):
    left, right = torch.randn(2, 8, 3, 12), torch.randn(2, 8, 3, 12)
    volume = correlate(left, right, disparities, groups).reshape(2, groups, disparities, 3, 12)
    expected = torch.zeros_like(volume)
    for d in range(disparities):
        for g in range(groups):
            expected[:, g, d, :, d:] = (left[:, g::groups, :, d:] * right[:, g::groups, :, : 12 - d]).mean(1)
    torch.testing.assert_close(volume, expected, atol=1e-5, rtol=1e-4)


def test_gathering_with_certain_weights_shifts_the_right_view():
    right = torch.randn(1, 5, 4, 20)
    weights = torch.zeros(1, 6, 4, 20)
    weights[:, 4] = 1
    gathered = gather_along_rows(weights, right)
    torch.testing.assert_close(gathered[..., 4:], right[..., :-4])
    assert gathered[..., :4].abs().max() == 0


@pytest.mark.parametrize("d", [0, 3, 7])
def test_moving_by_whole_cells_shifts_the_left_view(d):
    left = torch.randn(2, 5, 4, 20)
    out = moved(left, torch.full((2, 1, 4, 20), float(d)), 7)
    torch.testing.assert_close(out[..., : 20 - d], left[..., d:])
    assert d == 0 or out[..., 20 - d :].abs().max() == 0, "nothing arrives from outside of the picture"


def test_moving_between_cells_shares_a_cell_between_both():
    left = torch.arange(20.0).view(1, 1, 1, 20)
    out = moved(left, torch.full((1, 1, 1, 20), 2.25), 7)
    # What arrives at column u comes from u + 2 (three quarters of it) and u + 3.
    torch.testing.assert_close(out[0, 0, 0, :17], torch.arange(17.0) + 2.25)


def test_what_is_near_hides_what_is_far_and_uncovers_nothing():
    left = torch.ones(1, 1, 1, 20)
    disparity = torch.ones(1, 1, 1, 20)
    left[..., 10:13] = 5.0
    disparity[..., 10:13] = 6.0
    out = moved(left, disparity, 8)[0, 0, 0]
    assert out[4:7].tolist() == pytest.approx([5.0] * 3, abs=0.03)
    assert out[9:12].tolist() == [0.0] * 3, "the road behind the car, which the left view doesn't show"
    assert out[[3, 8, 12]].tolist() == [1.0] * 3


def test_a_moved_view_matches_where_it_was_moved_to():
    """The property that compensation lives on: matching the left view with what it became finds the disparity again."""
    left = torch.nn.functional.normalize(torch.randn(1, 32, 6, 60), dim=1)
    disparity = torch.full((1, 1, 6, 60), 5.0)
    disparity[..., 30:] = 9.0
    scores = correlate(left, moved(left, disparity, 23), 24)
    seen = torch.ones(60, dtype=torch.bool)
    seen[:9] = False  # leaves the image
    seen[26:30] = False  # hidden by what is nearer
    found = scores.argmax(1)[0]
    assert torch.equal(found[:, seen], disparity[0, 0].long()[:, seen])


def test_disparity_gradients_point_towards_the_truth():
    left = torch.randn(1, 8, 4, 40).cumsum(3) / 4
    goal = moved(left, torch.full((1, 1, 4, 40), 4.4), 10)
    disparity = torch.full((1, 1, 4, 40), 4.1, requires_grad=True)
    (moved(left, disparity, 10) - goal)[..., :30].square().sum().backward()
    assert disparity.grad.sum() < 0


def test_geometry_latents_carry_planes_before_any_training():
    """A road, or a car's side, comes back through the cosines that the latent starts with."""
    network = MVSFCNet(NetworkConfig(**SMALL)).eval()
    rows, columns = torch.arange(16.0)[:, None], torch.arange(32.0)
    truth = (1.0 + 0.35 * rows + 0.02 * columns).view(1, 1, 16, 32)
    with torch.no_grad():
        latent = network.encoder.patch(truth.log1p())
        back = torch.nn.functional.pixel_shuffle(network.decoder.patch(latent), 4).expm1()
    torch.testing.assert_close(back, truth, rtol=0.05, atol=0.02)


def test_disparities_keep_their_hundredths_where_the_rest_runs_in_bfloat16():
    """bfloat16 rounds a disparity of 20 cells to an eighth of one: a car at 8 m would be off by as many centimetres."""
    network = MVSFCNet(NetworkConfig(**SMALL)).eval()
    latents = torch.randn(2, network.config.codec.prior.channels, 4, 8)
    logits, at = torch.zeros(1, 24, 4, 8), torch.rand(1, 1, 4, 8) + 18
    with torch.no_grad():
        logits.scatter_(1, at.long(), 4.0).scatter_(1, at.long() + 1, 4 + (at.frac() / (1 - at.frac())).log())
        refine = Refinement(2)
        volume = torch.zeros(1, 48, 4, 8)
        exactly = network.decoder(latents, torch.tensor([0.5]))[1], refine.eval()(volume, logits)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = network.decoder(latents, torch.tensor([0.5]))[1], refine(volume, logits)
    for value, truth in zip(mixed, exactly, strict=True):
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, truth, rtol=2e-3, atol=2e-3)


def test_gates_take_everything_away_where_they_close():
    network = MVSFCNet(NetworkConfig(**SMALL)).eval()
    features = network.extract(torch.rand(2, 3, 64, 128) * 255)
    quality = torch.tensor([0.5])
    with torch.no_grad():
        torch.nn.init.normal_(network.encoder.to_latent.weight)
        latents = network.analyse(features, quality)
        assert latents[:1].abs().max() > 0.1
        assert latents[1:].abs().max() > 0.1
        network.encoder.gate.bias.fill_(-30.0)
        assert network.analyse(features, quality).abs().max() < 1e-6


def test_known_disparities_guide_the_codec_while_matching_is_unlearnt():
    network = MVSFCNet(NetworkConfig(**SMALL)).eval()
    features = network.extract(torch.rand(2, 3, 64, 128) * 255)
    known = torch.full((1, 1, 16, 32), 6.0)
    rigs = Rigs.of([StereoCalibration(300.0, 300.0, 64.0, 30.0, 0.5, 128, 64)]).to("cpu")
    with torch.no_grad():
        guided = network.code(features, torch.tensor([1.0]), rigs, known, guided=1.0)
        alone = network.code(features, torch.tensor([1.0]), rigs, known, guided=0.0)
    torch.testing.assert_close(guided.disparity, known, rtol=0.05, atol=0.1)
    assert (alone.disparity - known).abs().mean() > 0.5


def test_contextual_transform_treats_views_alike():
    transform = ContextualTransform(8, 6)
    torch.nn.init.normal_(transform.merge.weight)
    left, right = torch.randn(1, 8, 4, 16), torch.randn(1, 8, 4, 16)
    out_left, out_right = transform(torch.cat([left, right])).chunk(2)
    mirrored_left, mirrored_right = transform(torch.cat([mirror(right), mirror(left)])).chunk(2)
    torch.testing.assert_close(mirrored_left, mirror(out_right))
    torch.testing.assert_close(mirrored_right, mirror(out_left))


def test_contextual_transform_looks_along_rows_within_its_range_only():
    transform = ContextualTransform(8, 5)
    torch.nn.init.normal_(transform.merge.weight)
    left, right = torch.randn(1, 8, 6, 20), torch.randn(1, 8, 6, 20)
    before = transform(torch.cat([left, right]))[:1]
    changed = right.clone()
    changed[:, :, 2, 10] += 5
    difference = (transform(torch.cat([left, changed]))[:1] - before).abs().amax(1)[0]
    rows, columns = torch.nonzero(difference > 1e-7, as_tuple=True)
    assert set(rows.tolist()) == {2}
    assert columns.min() >= 10
    assert columns.max() <= 14


def test_gain_grows_with_quality_for_every_channel():
    gain = QualityGain(10, 6)
    with torch.no_grad():
        gain.steps.normal_()
    gains = gain(torch.linspace(0, 1, 41))[:, :, 0, 0]
    assert (gains.diff(dim=0) > 0).all()
    assert [quality_level(q) for q in (-1, 0, 0.5, 1, 2)] == [0, 0, 128, 255, 255]


@pytest.mark.parametrize(
    "codec",
    [
        {},
        {"compensation": False, "prior": PriorConfig()},
        {"scales_jointly": False, "compensation": False, "prior": PriorConfig()},
        {"contextual_transform": False, "compensation": False, "prior": PriorConfig()},
        {"prior": PriorConfig(cross_view=False)},
        {"prior": PriorConfig(hyperprior=False)},
        {"prior": PriorConfig(context=False)},
    ],
    ids=lambda c: next(iter(c), "full"),
)
def test_every_ablation_is_trainable_from_rate_and_task(codec):
    network = MVSFCNet(NetworkConfig(**SMALL, codec=CodecConfig(**codec)))
    rigs = Rigs.of([StereoCalibration(300.0, 300.0, 64.0, 30.0, 0.5, 128, 64)]).to("cpu")
    coded = network.code(network.extract(torch.rand(2, 3, 64, 128) * 255), torch.tensor([0.4]), rigs)
    assert [tuple(f.shape[2:]) for f in coded.features] == [(16, 32), (8, 16), (4, 8)]
    assert coded.bits.shape == (1,)
    assert coded.bits.item() > 0
    loss = coded.bits.sum() + sum(f.square().mean() for f in coded.features)
    if coded.matched is not None:
        loss = loss + coded.matched.logits.square().mean() + coded.matched.disparity.mean()
    loss.backward()
    for part in (network.encoder, network.decoder, network.gain):
        for name, parameter in part.named_parameters():
            assert parameter.grad is not None, name


def test_separate_scales_have_no_disparity_to_share():
    with pytest.raises(ValueError, match="switch it off"):
        CodecConfig(scales_jointly=False)


def test_views_that_are_coded_alike_have_as_many_channels():
    with pytest.raises(ValueError, match="right_channels=null"):
        CodecConfig(compensation=False)


def test_independent_views_share_nothing_without_the_transform():
    codec = CodecConfig(compensation=False, contextual_transform=False, prior=PriorConfig(cross_view=False))
    network = MVSFCNet(NetworkConfig(**SMALL, codec=codec)).eval()
    images = torch.rand(2, 3, 64, 128) * 255
    other = images.clone()
    other[1] = torch.rand(3, 64, 128) * 255
    with torch.no_grad():
        a, b = (network.analyse(network.extract(x), torch.tensor([0.5])) for x in (images, other))
    torch.testing.assert_close(a[0], b[0])
    assert not torch.allclose(a[1], b[1])


def test_folding_norms_changes_nothing():
    network = MVSFCNet(NetworkConfig(**SMALL))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    network.eval()
    rigs = Rigs.of([StereoCalibration(300.0, 300.0, 64.0, 30.0, 0.5, 128, 64)]).to("cpu")
    with torch.no_grad():
        features = network.extract(torch.rand(2, 3, 64, 128) * 255)
        torch.testing.assert_close(
            folded(network).detect(features, rigs).heat, network.detect(features, rigs).heat, atol=1e-4, rtol=1e-3
        )


CONFIG = DetectorConfig()


def _car(x, y, z, ry, dimensions=(1.5, 1.6, 4.0), name="Car"):
    return Labels(
        np.array([name]), np.zeros(1), np.zeros(1, int), np.zeros(1), np.array([[80.0, 40.0, 180.0, 90.0]]),
        np.array([dimensions]), np.array([[x, y, z]]), np.array([ry]),
    )  # fmt: skip


def _perfect_maps(target, h, w):
    """The maps that say exactly what the targets ask for, at the centre's cell and nowhere else."""
    best = target["weight"].argmax()
    cell, row, column = target["cell"][best], *divmod(int(target["cell"][best]), w)
    heat = torch.full((1, len(CONFIG.classes), h, w), -10.0)
    heat[0, target["class_id"][best], row, column] = 10

    def at(values):
        out = torch.zeros(1, len(values), h, w)
        out[0, :, row, column] = torch.as_tensor(values, dtype=torch.float32)
        return out

    ry = float(target["rotation_y"][best])
    axis = ry % math.pi
    nearest = round(axis / (math.pi / HEADING_BINS)) % HEADING_BINS
    residual = (axis - nearest * math.pi / HEADING_BINS + math.pi / 2) % math.pi - math.pi / 2
    heading = np.full(HEADING_BINS, -5.0)
    heading[nearest] = 5
    front = math.cos(ry - nearest * math.pi / HEADING_BINS)
    extent = float(target["extent"][best])
    size = np.log(target["dimensions"][best] / target["mean"][best])
    assert cell == row * w + column
    return Maps(
        heat, at(target["offset"][best]), at([target["face"][best]]), at([math.log(math.expm1(max(extent, 1e-6)))]),
        at([-4.0]), at(size), at(heading), at(np.full(HEADING_BINS, residual)), at([front]), torch.zeros(1, 24, h, w),
        torch.zeros(1, 1, h, w),
    )  # fmt: skip


@given(
    st.floats(-6, 6),
    st.floats(6, 45),
    st.floats(-math.pi, math.pi),
    st.sampled_from(CLASSES),
    st.floats(0.2, 1.0),
    st.floats(-2, 2),
)
@settings(max_examples=30, deadline=None)
def test_perfect_maps_give_back_the_box(x, z, ry, name, baseline, offset):
    """Targets and decoding are inverse to each other, whatever the rig."""
    width, height = 864, 192
    calibration = StereoCalibration(600.0, 610.0, 420.0, 60.0, baseline, width, height, offset)
    dimensions = tuple(1.05 * side for side in CONFIG.classes[name])
    picture = np.zeros((height, width, 3), np.uint8)
    labels = _car(x, 1.6, z, ry, dimensions, name)
    sample = Sample(picture, picture, np.zeros((height, width), np.float32), calibration, labels)
    target = targets(sample, CONFIG.classes)
    if target["weight"].max() == 0 or target["face_known"][target["weight"].argmax()] == 0:
        return  # outside of the image, or too near or far to be learnt
    rigs = Rigs.of([calibration])
    maps = _perfect_maps(target, height // 4, width // 4)
    found = candidates(maps, rigs, CONFIG, 5)[0]
    assert found.classes[0] == list(CONFIG.classes).index(name)
    np.testing.assert_allclose(found.location[0], [x, 1.6, z], rtol=2e-3, atol=0.03)
    np.testing.assert_allclose(found.dimensions[0], dimensions, rtol=1e-3)
    turn = (found.rotation_y[0] - ry + math.pi) % (2 * math.pi) - math.pi
    assert abs(turn) < 1e-3 or abs(abs(turn) - 2 * math.pi) < 1e-3
    batch = {k: torch.as_tensor(v)[None] for k, v in target.items()}
    batch["weight"] = (batch["weight"] == 1).float()
    losses = task_losses(maps, batch, rigs.to("cpu"))
    for term in ("offset", "face", "extent", "depth", "dimensions", "corners"):
        assert losses[term] < 0.05, term


@pytest.mark.parametrize(("x", "z"), [(-3.2, 3.4), (2.9, 3.2), (-2.6, 5.0)])
def test_an_object_that_reaches_out_of_the_picture_peaks_on_what_is_seen_of_it(x, z):
    """The car beside the bumper: its projected centre lies outside, and its box is given back all the same."""
    calibration = StereoCalibration(502.0, 502.0, 424.0, 52.0, 0.53, 864, 192)
    picture = np.zeros((192, 864, 3), np.uint8)
    labels = _car(x, 1.65, z, math.pi / 2)
    box = image_boxes(labels.location, labels.dimensions, labels.rotation_y, calibration)
    target = targets(
        Sample(picture, picture, np.zeros((192, 864), np.float32), calibration, replace(labels, image_boxes=box)),
        CONFIG.classes,
    )
    best = target["weight"].argmax()
    assert target["weight"][best] == 1
    row, column = divmod(int(target["cell"][best]), 216)
    left, top, right, bottom = box[0] / 4
    assert left <= column + 0.5 <= right
    assert top <= row + 0.5 <= bottom
    assert target["heat"][0, row, column] == 1
    assert target["considered"].all()
    found = candidates(_perfect_maps(target, 48, 216), Rigs.of([calibration]), CONFIG, 5)[0]
    np.testing.assert_allclose(found.location[0], [x, 1.65, z], atol=0.03)


@pytest.mark.parametrize(("x", "z"), [(-2.3, 0.4), (2.5, 1.0), (-2.8, 1.9)])
def test_what_is_beside_us_is_learnt_no_further_ahead_than_a_detection_may_be_off(x, z):
    """Its centre is ahead by little, where a projection has no end: it is held where the head can name a disparity."""
    calibration = StereoCalibration(502.0, 502.0, 424.0, 52.0, 0.53, 864, 192, 0.36)
    picture = np.zeros((192, 864, 3), np.uint8)
    labels = _car(x, 1.65, z, math.pi / 2)
    box = image_boxes(labels.location, labels.dimensions, labels.rotation_y, calibration)
    sample = Sample(picture, picture, np.zeros((192, 864), np.float32), calibration, replace(labels, image_boxes=box))
    target = targets(sample, CONFIG.classes)
    best = target["weight"].argmax()
    assert target["weight"][best] == 1
    assert target["face_known"][best] == 1
    assert target["extent"][best] >= 0
    assert target["considered"].all()
    found = candidates(_perfect_maps(target, 48, 216), Rigs.of([calibration]), CONFIG, 5)[0]
    ahead = max(z, nearest_face(calibration))
    assert ahead - z <= HELD < NEAR, "still found, by what a planner asks"
    np.testing.assert_allclose(found.location[0], [x, 1.65, ahead], atol=0.03)


def test_what_is_behind_us_is_not_learnt():
    calibration = StereoCalibration(502.0, 502.0, 424.0, 52.0, 0.53, 864, 192)
    picture = np.zeros((192, 864, 3), np.uint8)
    labels = replace(_car(-2.0, 1.65, -0.4, math.pi / 2), image_boxes=np.array([[0.0, 60.0, 40.0, 190.0]]))
    sample = Sample(picture, picture, np.zeros((192, 864), np.float32), calibration, labels)
    target = targets(sample, CONFIG.classes)
    assert target["weight"].max() == 0
    assert not target["considered"][20, :9].any()


def test_of_what_hardly_reaches_into_the_picture_nothing_is_learnt():
    calibration = StereoCalibration(502.0, 502.0, 424.0, 52.0, 0.53, 864, 192)
    picture = np.zeros((192, 864, 3), np.uint8)
    labels = replace(_car(-6.2, 1.65, 5.0, math.pi / 2), image_boxes=np.array([[0.0, 60.0, 6.0, 150.0]]))
    sample = Sample(picture, picture, np.zeros((192, 864), np.float32), calibration, labels)
    target = targets(sample, CONFIG.classes)
    assert target["weight"].max() == 0
    assert not target["considered"][20, :2].any()


def test_trams_count_as_trucks_and_who_sits_as_a_pedestrian():
    calibration = StereoCalibration(502.0, 502.0, 424.0, 52.0, 0.53, 864, 192)
    picture = np.zeros((192, 864, 3), np.uint8)
    for name, counted in (("Tram", "Truck"), ("Bus", "Truck"), ("Person_sitting", "Pedestrian"), ("Van", "Van")):
        labels = _car(0, 1.65, 20, 1.57, name=name)
        target = targets(
            Sample(picture, picture, np.zeros((192, 864), np.float32), calibration, labels), CONFIG.classes
        )
        assert target["class_id"][target["weight"].argmax()] == list(CONFIG.classes).index(counted)


def test_scores_fall_with_the_metres_that_the_depth_may_be_off():
    """Four per cent of a depth are a scratch at 10 m and another car's place at 40 m, and more to somebody on foot."""
    calibration = StereoCalibration(600.0, 600.0, 420.0, 60.0, 0.5, 864, 192)
    rigs = Rigs.of([calibration])

    def score(z: float, name: str = "Car") -> float:
        picture = np.zeros((192, 864, 3), np.uint8)
        labels = _car(0.0, 1.6, z, 1.5, (1.5, 1.7, 4.2) if name == "Car" else (1.7, 0.6, 0.8), name)
        sample = Sample(picture, picture, np.zeros((192, 864), np.float32), calibration, labels)
        maps = _perfect_maps(targets(sample, CONFIG.classes), 48, 216)
        maps = replace(maps, log_sigma=torch.full((1, 1, 48, 216), math.log(0.04)))
        return candidates(maps, rigs, CONFIG, 1)[0].scores.item()

    assert score(10) > score(20) > score(40)
    assert score(20) > score(20, "Pedestrian")


def test_a_box_lies_where_its_cell_and_those_around_it_say_in_the_mean():
    calibration = StereoCalibration(600.0, 600.0, 432.0, 60.0, 0.5, 864, 192)
    picture = np.zeros((192, 864, 3), np.uint8)
    target = targets(
        Sample(picture, picture, np.zeros((192, 864), np.float32), calibration, _car(0.0, 1.6, 20, 1.5)), CONFIG.classes
    )
    rigs = Rigs.of([calibration])
    maps = _perfect_maps(target, 48, 216)
    cell = int(target["cell"][target["weight"].argmax()])

    def depth(beside: float, heat: float) -> float:
        """Of the box, where the cell above says a disparity that is `beside` times the true one, and how sure it is."""
        own = {field.name: getattr(maps, field.name).clone() for field in fields(maps)}
        for values in own.values():
            flat = values.flatten(2)
            flat[:, :, cell - 216] = flat[:, :, cell]
        own["offset"][0, 1].view(-1)[cell - 216] += 1  # the centre is a row further down from there
        own["face"].view(-1)[cell - 216] += math.log(beside)
        own["heat"][0, 0].view(-1)[cell - 216] = heat
        return candidates(replace(maps, **own), rigs, CONFIG, 1)[0].location[0, 2].item()

    assert depth(1.0, 5.0) == pytest.approx(20, rel=2e-3)
    assert 19.4 < depth(1.05, 4.0) < 19.9, "both say, and one of them that it is nearer"
    assert depth(1.05, -9.0) == pytest.approx(20, rel=2e-3), "nothing is seen there"
    assert depth(1.6, 4.0) == pytest.approx(20, rel=2e-3), "that is another car"


def test_calibrated_scores_keep_their_order():
    scores = np.linspace(0, 1, 1001)
    chances = calibrated(scores, CONFIG.scores, np.zeros(1001), np.zeros(1001))
    assert (np.diff(chances) > 0)[1:-1].all()
    assert 0 <= chances[0] < 1e-6
    assert chances[-1] <= 1


def test_what_is_cut_by_the_border_is_told_and_can_be_trusted_apart():
    calibration = StereoCalibration(502.0, 502.0, 424.0, 52.0, 0.53, 864, 192)
    boxes = np.array([[-3.2, 1.65, 4.0], [0, 1.65, 4.0], [4.6, 1.65, 6.0]]), np.array([[1.5, 1.6, 4.0]] * 3)
    out = reaches_out(*boxes, np.full(3, math.pi / 2), calibration.fx, calibration.cx, calibration.width)
    assert out.tolist() == [True, False, True]
    config = ScoreConfig(slope=1.0, shift=0.0, cut=1.0, of={"Van": -1.0})
    chances = calibrated(np.full(3, 0.5), config, out, np.array([0.0, -1.0, -1.0]))
    np.testing.assert_allclose(chances, 1 / (1 + np.exp([-1, 1, 0])), rtol=1e-5)


def test_other_classes_and_hidden_cars_are_not_learnt_as_empty_road():
    calibration = StereoCalibration(600.0, 600.0, 420.0, 60.0, 0.5, 864, 192)
    picture = np.zeros((192, 864, 3), np.uint8)
    for labels in (_car(0, 1.6, 20, 1.57, name="Misc"), replace(_car(0, 1.6, 20, 1.57), occluded=np.array([3]))):
        target = targets(
            Sample(picture, picture, np.zeros((192, 864), np.float32), calibration, labels), CONFIG.classes
        )
        assert target["weight"].max() == 0
        assert target["considered"][15, 30] == 0
        assert target["considered"][15, 100] == 1


def test_disparity_is_not_pulled_by_a_second_peak():
    logits = torch.full((1, 24, 1, 1), -20.0)
    logits[0, 5:7] = 4.0
    logits[0, 20] = 3.5
    refine = Refinement(groups=2).eval()
    assert refine(torch.zeros(1, 48, 1, 1), logits).item() == pytest.approx(5.5, abs=0.01)


@pytest.mark.parametrize("best", [0, 23])
def test_disparity_stays_inside_the_volume(best):
    logits = torch.zeros(1, 24, 1, 1)
    logits[0, best] = 2.0
    disparity = Refinement(groups=2).eval()(torch.zeros(1, 48, 1, 1), logits).item()
    assert 0 <= disparity <= 23


def test_pooling_takes_the_cells_that_it_is_told_to():
    disparity = torch.rand(1, 1, 9, 9) * 10 + 1
    logits = torch.full((1, 25, 9, 9), -50.0)
    logits[:, 5 * 1 + 4] = 50  # one row up, two columns right
    out = pooled(disparity, logits)
    assert out[0, 0, 4, 3] == pytest.approx(4 * disparity[0, 0, 3, 5].item())


def test_suppression_keeps_the_better_of_two_overlapping_boxes_and_parked_neighbours():
    location = np.array([[0, 1.6, 20.0], [0.3, 1.6, 20.4], [2.4, 1.6, 20.0]])
    dimensions = np.tile([1.5, 1.7, 4.0], (3, 1))
    kept = suppress(location, dimensions, np.full(3, np.pi / 2), np.array([0.5, 0.9, 0.3]))
    assert kept.tolist() == [1, 2]


@given(st.integers(0, 2**32), st.integers(0, 25))
@settings(deadline=None)
def test_suppression_keeps_what_shares_its_ground_with_no_better_box_that_is_kept(seed: int, count: int):
    random = np.random.default_rng(seed)
    location = random.uniform([-8, 1.5, 3], [8, 1.7, 25], (count, 3))
    dimensions = random.uniform([1, 0.5, 0.5], [3, 2.5, 9], (count, 3))
    heading, scores = random.uniform(-np.pi, np.pi, count), random.integers(0, 9, count) / 8
    kept = suppress(location, dimensions, heading, scores).tolist()
    assert kept == sorted(kept, key=lambda box: (-scores[box], box))
    corners = [
        np.array([[x, z]])
        + np.array([[length, width], [length, -width], [-length, -width], [-length, width]])
        / 2
        @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        for (x, _, z), (_, width, length), turn in zip(location, dimensions, heading)
    ]

    def shared(one: int, other: int) -> bool:
        common, _ = cv2.intersectConvexConvex(*(corners[box].astype(np.float32) for box in (one, other)))
        near = np.hypot(*(location[one] - location[other])[[0, 2]]) < 0.6
        return bool(near or common > 0.15 * min(dimensions[box, 1:].prod() for box in (one, other)))

    for box in range(count):
        better = [other for other in kept if (-scores[other], other) < (-scores[box], box)]
        assert (box in kept) == (not any(shared(box, other) for other in better))


@given(st.integers(300, 2000), st.integers(200, 1500), st.floats(0.2, 0.9), st.floats(0.3, 4.0))
@settings(max_examples=60, deadline=None)
def test_view_keeps_size_and_projects_as_the_camera_does(width, height, horizon, focal):
    source = StereoCalibration(focal * width, focal * width, width / 2, horizon * height, 0.4, width, height)
    view = ModelView.fit(source, 864, 192)
    picture = np.zeros((height, width, 3), np.uint8)
    assert view.apply(picture).shape == (192, 864, 3)
    point = np.array([1.0, 0.2, 12.0])
    u = view.calibration.fx * point[0] / point[2] + view.calibration.cx
    u_source = source.fx * point[0] / point[2] + source.cx
    assert u == pytest.approx((u_source + 0.5) * view.resized_width / width - 0.5 - view.left, abs=1e-6)
    assert view.calibration.fx <= 0.6001 * 864  # nothing looks larger than it does in KITTI
    again = ModelView.fit(view.calibration, 864, 192)
    assert (again.calibration, again.left, again.top) == (view.calibration, 0, 0)
    v = view.calibration.fy * point[1] / point[2] + view.calibration.cy
    v_source = source.fy * point[1] / point[2] + source.cy
    assert v == pytest.approx((v_source + 0.5) * view.resized_height / height - 0.5 - view.top, abs=1e-6)


def test_vehicle_side_is_the_smaller_part():
    costs = count(NetworkConfig())
    vehicle = sum(costs[s].macs for s in VEHICLE)
    remote = sum(costs[s].macs for s in REMOTE)
    assert vehicle / (vehicle + remote) <= 0.40
    assert count(NetworkConfig(backbone="resnet34", **SMALL))["backbone"].macs > 0


@pytest.mark.parametrize("kernel", [3, 5])
def test_strided_convolutions_are_padded_as_tensorflow_pads(kernel):
    """SAME at stride 2: of an even size, one more row and column after than before."""
    layer = SameConv(6, 6, kernel, 2, groups=6)
    x = torch.randn(1, 6, 20, 28)
    before = (kernel - 2) // 2
    after = kernel - 2 - before
    padded = torch.nn.functional.pad(x, (before, after, before, after))
    expected = torch.nn.functional.conv2d(padded, layer.weight, layer.bias, 2, 0, 1, 6)
    torch.testing.assert_close(layer(x), expected)
