# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The training program: every stage to a bitstream and an AP, resumable to the bit, its configurations valid."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
import torch
from conftest import interrupted
from rendered_drive import write_objects
from safetensors.torch import load_file

import sicm_ros
from sicm_ros.cli import main
from sicm_ros.errors import InputError, ModelError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.boxes import image_boxes
from sicm_ros.kitti import KittiObjects, Labels
from sicm_ros.model.folder import change_config, licence_of, network_config, read_model, save_model
from sicm_ros.network.config import ScoreConfig
from sicm_ros.network.layers import PatchConv
from sicm_ros.training import loop
from sicm_ros.training.augment import Augmentation, _mirrored_labels, draw
from sicm_ros.training.averaging import average
from sicm_ros.training.config import load_config
from sicm_ros.training.loop import TrainingError, train
from sicm_ros.training.samples import TrainingSamples, packed
from sicm_ros.training.score_calibration import calibrate, fit
from sicm_ros.training.widen import widen_codec

CONFIGS = sorted(p.name[:-5] for p in resources.files("sicm_ros.training").joinpath("configs").iterdir())


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    return write_objects(tmp_path_factory.mktemp("drive") / "drive", 3)


@pytest.fixture(scope="module", autouse=True)
def few_samples():
    """What a codec's transform is fitted on: there are three pairs to draw from."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "FEATURE_SAMPLES", 12)
        yield


@pytest.fixture(scope="module")
def detector(drive, tmp_path_factory):
    """A detector, trained from ImageNet's backbone."""
    return train(tiny(drive, tmp_path_factory.mktemp("detector")))


@pytest.fixture(scope="module")
def codec(drive, detector, tmp_path_factory):
    """A codec of the detector's features, trained on data that is not free."""
    return train(tiny(drive, tmp_path_factory.mktemp("codec"), "lite_codec", f"start={detector}", "data.0.free=false"))


CYCLIST_AND_CAR = "network.detector.classes={Cyclist: [1.7, 0.6, 1.8], Car: [1.5, 1.6, 3.9]}"


@pytest.fixture(scope="module")
def detector_of_two(drive, tmp_path_factory):
    """A detector of two classes."""
    return train(tiny(drive, tmp_path_factory.mktemp("two"), "lite_detector", CYCLIST_AND_CAR))


@pytest.fixture(scope="module")
def codec_from_nothing(drive, tmp_path_factory):
    """A codec whose teacher learnt nothing."""
    return train(tiny(drive, tmp_path_factory.mktemp("nothing"), "lite_codec"))


def tiny(drive, tmp_path, name="lite_detector", *more):
    sets = f"[{{path: {drive}}}]"
    return load_config(
        name,
        [
            f"data={sets}", "validation=[]", f"out={tmp_path / name}", f"cache={drive.parent / 'packed'}", "start=null",
            "network.input_width=256", "network.input_height=64", "crop_width=128", "steps=4", "batch=2", "workers=0",
            "threads=1", "prior_steps=1",
            "checkpoint_every=2", "validate_every=4", "device=cpu", "mixed_precision=false", *more,
        ],
    )  # fmt: skip


def test_stages_lead_from_nothing_to_packets_and_ap(drive, detector, codec, tmp_path):
    joint = train(tiny(drive, tmp_path, "lite_joint", f"start={codec}", f"validation=[{{path: {drive}}}]"))
    model = sicm_ros.load(joint)
    frame = KittiObjects(drive)[0]
    small, large = (model.encode(frame, q) for q in (0.0, 1.0))
    assert len(small) < len(large)
    assert model.decode(small).symbols.shape == (2, 64, 4, 16)
    log = (tmp_path / "lite_joint" / "log.jsonl").read_text()
    assert '"3d@0.50 q0.2"' in log
    assert "trained on" in model.card
    # What a stage saw binds those after it.
    assert [licence_of(folder) for folder in (detector, codec, joint)] == ["free", "non-commercial", "non-commercial"]


def test_a_killed_training_goes_on_as_if_it_had_not_stopped(drive, codec_from_nothing, tmp_path, monkeypatch):
    config = tiny(drive, tmp_path, "lite_codec")
    interrupted(monkeypatch, config, 4)
    resumed = train(config)
    a, b = (load_file(folder / "weights.safetensors") for folder in (codec_from_nothing, resumed))
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_a_codec_follows_a_teacher_that_learnt_more(drive, detector, codec, tmp_path):
    more = f"out={tmp_path / 'more'}", f"start={detector}", "seed=1", "learning_rate=0.01"
    second = train(tiny(drive, tmp_path, "lite_detector", *more, "backbone_rate=0"))
    config = tiny(drive, tmp_path, "lite_joint", f"start={codec}", f"teacher={second}")
    weights = {name: load_file(folder / "weights.safetensors")
               for name, folder in (("first", detector), ("codec", codec), ("second", second))}  # fmt: skip
    network = loop.start_network(config).state_dict()
    for name, was in weights["first"].items():
        if name.startswith("reference.") and was.is_floating_point():
            own = name.replace("reference.", "detector.")
            moved = weights["codec"][own].float() + weights["second"][name].float() - was.float()
            torch.testing.assert_close(network[name], weights["second"][name].float())
            if "running_" not in name:
                torch.testing.assert_close(network[own], moved)
    other = train(tiny(drive, tmp_path, "lite_detector", f"out={tmp_path / 'other'}", f"start={detector}"))
    with pytest.raises(InputError, match="backbone_rate=0"):
        loop.start_network(replace(config, teacher=str(other)))


def test_matching_alone_leaves_everything_else_as_it_is(drive, codec_from_nothing, tmp_path):
    matching = train(tiny(drive, tmp_path, "lite_matching", f"start={codec_from_nothing}"))
    before, after = (load_file(folder / "weights.safetensors") for folder in (codec_from_nothing, matching))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert "encoder.stereo.refine.shift.weight" in changed
    assert all(name.startswith("encoder.stereo.") for name in changed)
    alike = "network.codec.compensation=false", "network.codec.prior.right_channels=null"
    with pytest.raises(InputError, match="compensation"):
        train(tiny(drive, tmp_path, "lite_matching", *alike))


def test_the_detector_of_a_codec_follows_alone_and_learns_new_classes(drive, detector_of_two, tmp_path):
    """Packets stay what they were, while the detector goes from two classes to four after another teacher."""
    first = detector_of_two
    codec = train(tiny(drive, tmp_path, "lite_codec", f"start={first}"))
    more = "{Van: [2.2, 1.9, 5.1], Pedestrian: [1.76, 0.66, 0.84]}"
    second = train(
        tiny(drive, tmp_path, "lite_detector", f"start={first}", "backbone_rate=0", f"network.detector.classes={more}")
    )
    after = train(
        tiny(
            drive, tmp_path, "lite_codec", f"out={tmp_path / 'after'}", f"start={codec}", f"teacher={second}",
            "start_parts=null", "fit_transform=false", "codec_rate=0", "prior_steps=0", "guided_steps=0",
            "learning_rate=0.01",
        )
    )  # fmt: skip
    assert list(network_config(after).detector.classes) == ["Cyclist", "Car", "Van", "Pedestrian"]
    assert list(network_config(codec).detector.classes) == ["Cyclist", "Car"]
    before, now, teacher = (load_file(f / "weights.safetensors") for f in (codec, after, second))
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], now[name])}
    assert changed == {"detector", "reference"}
    assert all(torch.equal(now[name], teacher[name]) for name in now if name.startswith("reference."))


def test_a_new_class_begins_as_what_it_is_like_or_as_nothing(drive, detector_of_two, tmp_path):
    more = "network.detector.classes={Van: [2, 2, 5], Pedestrian: [1.76, 0.66, 0.84]}"
    config = tiny(drive, tmp_path, "lite_detector", f"start={detector_of_two}", more)
    before = load_file(detector_of_two / "weights.safetensors")["detector.appearance_out.weight"].float()
    head = loop.start_network(config).detector.appearance_out
    cyclist, car, van, pedestrian, *others = head.weight.detach()
    assert torch.equal(torch.stack([cyclist, car, van]), before[[0, 1, 1]])
    assert not pedestrian.any()
    assert torch.equal(torch.stack(others), before[2:])


def test_scores_become_the_chances_that_they_were_found_to_be():
    rng = np.random.default_rng(0)
    logits = rng.normal(-1, 2, 20000)
    cut, names = rng.random(20000) < 0.3, rng.integers(0, 2, 20000)
    right = rng.random(20000) < 1 / (1 + np.exp(-(1.5 * logits + 0.5 + 1.2 * cut - 0.8 * names)))
    scores = fit(1 / (1 + np.exp(-logits)), cut, names, right, ["Car", "Van"])
    assert scores.slope == pytest.approx(1.5, abs=0.1)
    assert scores.cut == pytest.approx(1.2, abs=0.15)
    assert scores.of["Van"] - scores.of["Car"] == pytest.approx(-0.8, abs=0.15)
    assert scores.shift + scores.of["Car"] == pytest.approx(0.5, abs=0.1)


def test_calibration_is_written_beside_the_model_and_keeps_its_packets(drive, small_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(small_model, folder)
    before = sicm_ros.load(folder)
    frame = KittiObjects(drive)[0]
    packet = before.encode(frame.left, frame.right, frame.calibration)
    with pytest.raises(InputError, match="0 frames"):
        calibrate(folder, [], [None])
    monkey = ScoreConfig(slope=0.5, shift=3.0)
    change_config(folder, lambda tree: tree["network"].setdefault("detector", {}).update(scores=monkey.tree()))
    after = sicm_ros.load(folder)
    assert after.config.detector.scores == monkey
    assert after.fingerprint == before.fingerprint
    assert len(after.decode(packet).detections) >= len(before.decode(packet).detections)


def test_a_wider_codec_begins_where_the_narrower_one_stopped(drive, tmp_path):
    sizes = "network.codec.prior.channels={}", "network.codec.prior.right_channels={}"

    def config(name, channels, right_channels, *more):
        own = (size.format(n) for size, n in zip(sizes, (channels, right_channels)))
        return tiny(drive, tmp_path, "lite_codec", f"out={tmp_path / name}", *own, *more)

    narrow = train(config("narrow", 8, "null", "learning_rate=1e-9"))
    go_on = f"start={narrow}", "start_parts=null", "fit_transform=false"
    pair = TrainingSamples(config("narrow", 8, "null"))[0]
    images, quality = pair["images"].float(), torch.tensor([0.4])
    results = {}
    for name, channels, right_channels in (("narrow", 8, "null"), ("slim", 8, 6), ("wide", 24, 6)):
        own = config(name, channels, right_channels, *go_on)
        network = loop.start_network(own)
        if name != "narrow":
            widen_codec(network, narrow, TrainingSamples(own), 3)
        with torch.no_grad():
            features = network.eval().extract(images)
            latents = network.analyse(features, quality)
            rebuilt = network.synthesise(latents, quality)
        error = [(a - b)[:1].square().mean().item() for a, b in zip(features, rebuilt)]
        results[name] = latents, rebuilt, np.array(error)
    (latents, rebuilt, error), (slim, same, _), (wide, _, less) = (results[n] for n in ("narrow", "slim", "wide"))
    assert latents[1, 6:].abs().max() < 1e-3, "before training six channels hold the geometry: no others are lost"
    torch.testing.assert_close(slim, latents, rtol=1e-3, atol=1e-3)
    for a, b in zip(same, rebuilt):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(wide[:, :8], latents, rtol=1e-3, atol=1e-3)
    assert wide[0, 8:].std((1, 2)).min() > 0.05 * wide[0, :8].std((1, 2)).median()
    assert not wide[1, 6:].any()
    assert (less < 0.95 * error).all()
    model = sicm_ros.load(train(config("wide", 24, 6, *go_on)))
    frame = KittiObjects(drive)[0]
    packet = model.encode(frame.left, frame.right, frame.calibration)
    assert model.decode(packet).symbols.shape == (2, 24, 4, 16)
    # What isn't said of a network is as in the model that it starts from.
    like = load_config("lite_finetune", [f"start={narrow}", "network.codec.prior.hidden=32"]).network
    assert (like.input_width, like.codec.prior.channels, like.codec.prior.hidden) == (256, 8, 32)
    with pytest.raises(InputError, match="expected at least as many"):
        train(config("narrower", 4, 4, *go_on))
    with pytest.raises(InputError, match="only the channels"):
        train(config("other", 24, 6, *go_on, "network.codec.prior.hidden=32"))
    with pytest.raises(ModelError, match="another out="):
        train(config("narrow", 24, 6, *go_on))


def test_a_loss_that_is_not_finite_stops_with_the_samples_named(drive, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "weighted", lambda losses, weights: losses["heat"] * float("nan"))
    with pytest.raises(TrainingError, match=r"samples \[0, 1\]"):
        train(tiny(drive, tmp_path))


def test_mixed_precision_trains_where_bfloat16_is_right_and_is_refused_where_a_layer_is_wrong(
    drive, tmp_path, monkeypatch
):
    config = tiny(drive, tmp_path, "lite_codec", "mixed_precision=true", "steps=2")
    assert (train(config) / "weights.safetensors").is_file()
    right = PatchConv.forward

    def wrong(self, x):
        return right(self, x).flip(1) if torch.is_autocast_enabled("cpu") else right(self, x)

    monkeypatch.setattr(PatchConv, "forward", wrong)
    with pytest.raises(TrainingError, match=r"mixed_precision=true: .*layer .*encoder\.linear\.scales\.0"):
        train(tiny(drive, tmp_path, "lite_codec", "mixed_precision=true", f"out={tmp_path / 'refused'}"))
    train(tiny(drive, tmp_path, "lite_codec", "steps=2", f"out={tmp_path / 'float32'}"))


def without_facts(network: dict, facts: set[str]) -> dict:
    detector = network.get("detector", {})
    return {**network, "detector": {name: value for name, value in detector.items() if name not in facts}}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_configuration_that_ships_runs_two_steps(drive, tmp_path, name, monkeypatch):
    config = load_config(name)
    small = [
        f"data=[{{path: {drive}}}]", "validation=[]", f"out={tmp_path / 'out'}", f"cache={drive.parent / 'packed'}",
        "crop_width=64", "steps=2", "batch=1", "workers=0", "threads=1", "device=cpu", "mixed_precision=false",
        "start=null", "prior_steps=1",
    ]  # fmt: skip
    short = load_config(name, small)
    # A start gives its model's facts to the detector; what the network is made of comes from the configuration.
    facts = {"classes", "scores", "errors"}
    sizes = [without_facts(c.network.tree(), facts) for c in (short, config)]
    assert sizes[0] == sizes[1]
    assert (train(short) / "weights.safetensors").is_file()


def test_the_same_number_gives_the_same_sample_and_another_gives_another(drive, tmp_path):
    a, b = (TrainingSamples(tiny(drive, tmp_path)) for _ in range(2))
    assert torch.equal(a[3]["images"], b[3]["images"])
    assert not torch.equal(a[3]["images"], a[4]["images"])


def test_light_changes_images_as_strongly_as_it_says_and_nothing_else(drive, tmp_path):
    def brightness(light: float) -> tuple[np.ndarray, torch.Tensor]:
        samples = TrainingSamples(tiny(drive, tmp_path, "lite_detector", f"light={light}"))
        drawn = [samples[number] for number in range(6)]
        return np.array([sample["images"].float().mean() for sample in drawn]), drawn[0]["heat"]

    usual, strong, strongest = (brightness(light) for light in (1, 2, 4))
    assert np.ptp(usual[0]) < np.ptp(strong[0]) < np.ptp(strongest[0])
    assert torch.equal(usual[1], strong[1])


def test_two_processes_may_pack_the_same_data_at_once(drive, tmp_path):
    """As the ranks of `torchrun` do: each is left with all of it, whoever ends first."""
    code = (
        "import sys; from pathlib import Path; from sicm_ros.kitti import open_kitti\n"
        "from sicm_ros.training.pack import PackedPairs, pack\n"
        "frames, widths = list(open_kitti(sys.argv[1])), range(280, 320, 2)\n"
        "for width in widths: pack(frames, Path(sys.argv[2], str(width)), width)\n"
        "print(sum(PackedPairs(Path(sys.argv[2], str(width))).read(0).left.shape[1] for width in widths))"
    )
    words = [sys.executable, "-c", code, str(drive), str(tmp_path / "cache")]
    ranks = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for rank in ranks:
        said, complaint = rank.communicate(timeout=120)
        assert rank.returncode == 0, complaint
        assert int(said) == sum(range(280, 320, 2))
    assert not list((tmp_path / "cache").rglob("*.tmp"))


def test_a_frame_without_objects_is_drawn_like_any_other(tmp_path):
    """As mirrored as others: what a packed list without rows has lost is how many columns it had."""
    folder = write_objects(tmp_path / "empty", 1)
    for path in (folder / "label_2").iterdir():
        path.write_text("")
    config = tiny(folder, tmp_path)
    pair = packed(config.data[0], config.cache, 312).read(0)
    sample = draw(pair, (192, 64), 1.0, Augmentation(mirror=1.0), np.random.default_rng(0))
    assert len(sample.labels) == 0


@pytest.mark.parametrize(("x", "z"), [(-2.6, 1.0), (2.9, 2.5), (-3.0, 5.0), (3.5, 14.0), (0.0, 30.0)])
def test_a_mirrored_box_is_what_the_mirrored_rig_sees_of_the_car(x, z):
    """Beside us, the side of a car that is to be seen is much farther away than its centre."""
    rig = StereoCalibration(720.0, 720.0, 610.0, 172.0, 0.53, 1242, 375, 0.5)
    box = image_boxes(np.array([[x, 1.65, z]]), np.array([[1.5, 1.6, 4.0]]), np.array([1.57]), rig)
    label = Labels(
        np.array(["Car"]), np.zeros(1), np.zeros(1, int), np.zeros(1), box,
        np.array([[1.5, 1.6, 4.0]]), np.array([[x, 1.65, z]]), np.array([1.57]),
    )  # fmt: skip
    mirrored = _mirrored_labels(label, rig)
    # The offset is an error of the rig's disparities, which boxes in space do not show.
    expected = image_boxes(mirrored.location, mirrored.dimensions, mirrored.rotation_y, rig.mirrored())
    np.testing.assert_allclose(mirrored.image_boxes, expected, atol=1.0)


@pytest.mark.parametrize("mirror", [0.0, 1.0])
def test_augmented_boxes_stay_on_the_disparity_that_the_pictures_have(drive, tmp_path, mirror):
    """Whatever is drawn, the wall (10 px of disparity in the drive) is where the sample's calibration says."""
    config = tiny(drive, tmp_path)
    pairs = packed(config.data[0], config.cache, 312)
    augmentation = Augmentation(mirror=mirror, light=0, vertical=0)
    for seed in range(8):
        sample = draw(pairs.read(0), (192, 64), 1.0, augmentation, np.random.default_rng(seed))
        zoom = sample.calibration.fx / 180.0
        expected = 10 * zoom - sample.calibration.disparity_offset  # the shift is told as an offset
        grey = [image.astype(np.float32).mean(2)[8:-8] for image in (sample.left, sample.right)]
        costs = []
        shifts = np.arange(expected - 3, expected + 3.01, 0.25)
        columns = np.arange(24, 176)
        for shift in shifts:
            moved = np.stack([np.interp(columns - shift, np.arange(192), row) for row in grey[1]])
            costs.append(np.abs(grey[0][:, columns] - moved).mean())
        assert abs(shifts[int(np.argmin(costs))] - expected) <= 0.3


def test_coded_pictures_lose_detail_and_nothing_else(drive, tmp_path):
    """Most pixels change, colours and places stay: red isn't blue, and nothing moves."""
    config = tiny(drive, tmp_path)
    pair = packed(config.data[0], config.cache, 312).read(0)
    losses = []
    for seed in range(12):
        plain, coded = (
            draw(pair, (192, 64), 1.0, Augmentation(light=0, coded=coded), np.random.default_rng(seed))
            for coded in (0.0, 1.0)
        )
        assert plain.calibration == coded.calibration
        for before, after in ((plain.left, coded.left), (plain.right, coded.right)):
            assert after.shape == before.shape
            losses.append(np.abs(after.astype(float) - before).mean())
            for other in (np.roll(after, 8, 1), after[..., ::-1]):
                assert losses[-1] < np.abs(other.astype(float) - before).mean()
    assert min(losses) > 0.5
    assert max(losses) > 5


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="steps"):
        load_config("lite_detector", ["steps=0"])
    with pytest.raises(InputError, match="unknown"):
        load_config("lite_detector", ["unknown=1"])
    with pytest.raises(InputError, match="lite_codec"):
        load_config("nothing")
    with pytest.raises(InputError, match="key=value"):
        load_config("lite_codec", ["steps"])


def test_an_average_lies_between_its_models(small_model, tmp_path):
    torch.manual_seed(3)
    other = tmp_path / "other"
    stored = read_model(small_model)
    with torch.no_grad():
        for parameter in stored.network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    save_model(stored.network, other, "other", "non-commercial")
    assert main(["average", str(small_model), str(other), "--shares", "1", "3", "--out", str(tmp_path / "mean")]) == 0
    a, b, mean = (load_file(p / "weights.safetensors") for p in (small_model, other, tmp_path / "mean"))
    for name, value in mean.items():
        expected = 0.25 * a[name].float() + 0.75 * b[name].float()
        torch.testing.assert_close(value.float(), expected, atol=2e-3, rtol=2e-3)  # halves
    assert licence_of(tmp_path / "mean") == "non-commercial"
    assert sicm_ros.load(tmp_path / "mean").name == "other"


def test_models_that_differ_in_their_calibration_alone_can_be_averaged(small_model, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(small_model, other)
    change_config(other, lambda tree: tree["network"]["detector"].update(scores={"slope": 2.0, "shift": 1.0}))
    average([small_model, other], [1, 1], tmp_path / "mean")
    assert network_config(tmp_path / "mean").detector.scores == ScoreConfig(slope=2.0, shift=1.0), "of the last model"


def test_what_can_not_be_averaged_is_refused(small_model, tiny_model, tmp_path):
    with pytest.raises(InputError, match="different networks"):
        average([small_model, tiny_model], [1, 1], tmp_path / "mean")
    with pytest.raises(InputError, match="positive share"):
        average([small_model, small_model], [1, 0], tmp_path / "mean")
