# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Cut-outs from images with instance masks: three layouts, who is whole, who rides, and what is written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from sicm_ros.errors import InputError
from sicm_ros.synth.compose.masks import Instance, chosen, pictured, write_cutouts
from sicm_ros.synth.compose.standee import read_standees

SHAPE = (200, 300)
WHITE = (224, 224, 192)  # VOC's colour for what is neither this nor that


def block(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[top:bottom, left:right] = True
    return mask


PERSON, RIDER = block(40, 30, 140, 60), block(30, 200, 110, 225)
BICYCLE = block(90, 180, 150, 250) & ~RIDER
IMAGE = cv2.resize(np.random.default_rng(0).integers(0, 255, (8, 12, 3)).astype(np.uint8), SHAPE[::-1])


def test_who_is_whole_and_who_rides():
    cut_off = block(100, 100, 200, 130)  # reaches the image's lower border
    small = block(20, 150, 60, 165)
    sitting = block(60, 100, 130, 160)
    halves = block(10, 270, 40, 290) | block(60, 270, 110, 290)
    people = [Instance("person", mask) for mask in (PERSON, RIDER, cut_off, small, sitting, halves)]
    found = chosen([*people, Instance("bicycle", BICYCLE), Instance("car", PERSON)])
    assert [kind for kind, _ in found] == ["cyclist", "pedestrian"]
    assert np.array_equal(found[0][1], RIDER | BICYCLE)
    assert np.array_equal(found[1][1], PERSON)
    parked = Instance("bicycle", block(100, 70, 140, 120))
    assert [kind for kind, _ in chosen([Instance("person", PERSON), parked])] == ["pedestrian"], "stands beside it"


def penn_fudan(root: Path) -> None:
    for folder in ("PNGImages", "PedMasks"):
        (root / folder).mkdir(parents=True)
    cv2.imwrite(str(root / "PNGImages" / "street.png"), IMAGE[..., ::-1])
    numbers = (PERSON + 2 * block(30, 200, 110, 225)).astype(np.uint8)
    cv2.imwrite(str(root / "PedMasks" / "street_mask.png"), numbers)


def voc(root: Path) -> None:
    """The palette gives 1, 2, 3 as dark red, green and yellow; person is 15, bicycle 2."""
    for folder in ("JPEGImages", "SegmentationObject", "SegmentationClass"):
        (root / folder).mkdir(parents=True)
    cv2.imwrite(str(root / "JPEGImages" / "street.jpg"), IMAGE[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
    objects, classes = np.zeros((*SHAPE, 3), np.uint8), np.zeros((*SHAPE, 3), np.uint8)
    for mask, colour, kind in (
        (PERSON, (128, 0, 0), (192, 128, 128)),
        (RIDER, (0, 128, 0), (192, 128, 128)),
        (BICYCLE, (128, 128, 0), (0, 128, 0)),
        (block(0, 0, 20, 20), WHITE, WHITE),
    ):
        objects[mask], classes[mask] = colour, kind
    cv2.imwrite(str(root / "SegmentationObject" / "street.png"), objects[..., ::-1])
    cv2.imwrite(str(root / "SegmentationClass" / "street.png"), classes[..., ::-1])


def runs(mask: np.ndarray) -> list[int]:
    flat = np.concatenate([[False], mask.T.ravel()])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff([0, *changes, mask.size]).tolist()


def compressed(counts: list[int]) -> str:
    """COCO's text: differences to the run before last, five bits a character, the lowest first."""
    text = ""
    for i, count in enumerate(counts):
        value = count - counts[i - 2] if i > 2 else count
        while True:
            bits, value = value & 0x1F, value >> 5
            more = not (value == 0 and not bits & 0x10) and not (value == -1 and bits & 0x10)
            text += chr((bits | (0x20 if more else 0)) + 48)
            if not more:
                break
    return text


def coco(root: Path) -> None:
    (root / "annotations").mkdir(parents=True)
    (root / "val").mkdir()
    cv2.imwrite(str(root / "val" / "street.jpg"), IMAGE[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
    rectangle = [[30, 40, 60, 40, 60, 140, 30, 140]]
    content = {
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "bicycle"}, {"id": 3, "name": "dog"}],
        "images": [{"id": 7, "file_name": "street.jpg"}, {"id": 8, "file_name": "not_here.jpg"}],
        "annotations": [
            {"image_id": 7, "category_id": 1, "segmentation": rectangle, "iscrowd": 0},
            {"image_id": 7, "category_id": 1, "segmentation": {"size": SHAPE, "counts": runs(RIDER)}},
            {"image_id": 7, "category_id": 2, "segmentation": {"size": SHAPE, "counts": compressed(runs(BICYCLE))}},
            {"image_id": 7, "category_id": 1, "segmentation": {"size": SHAPE, "counts": [0]}, "iscrowd": 1},
            {"image_id": 7, "category_id": 3, "segmentation": rectangle},
            {"image_id": 8, "category_id": 1, "segmentation": rectangle},
        ],
    }
    (root / "annotations" / "instances_val.json").write_text(json.dumps(content))


@pytest.mark.parametrize("layout", [penn_fudan, voc, coco])
def test_every_layout_gives_the_same_masks(layout, tmp_path):
    layout(tmp_path)
    (picture,) = pictured(tmp_path)
    assert picture.name == "street"
    assert picture.image.shape == IMAGE.shape
    wanted = [("person", PERSON), ("person", RIDER), ("bicycle", BICYCLE)][: 2 if layout is penn_fudan else 3]
    found = {(one.category, one.mask.sum()): one.mask for one in picture.instances}
    assert len(picture.instances) == len(wanted)
    for category, mask in wanted:
        overlaps = [(mask & m).sum() / (mask | m).sum() for (name, _), m in found.items() if name == category]
        assert max(overlaps) > 0.97


def test_cutouts_are_written_with_their_masks_and_read_as_standees(tmp_path):
    coco(tmp_path / "coco")
    counts = write_cutouts(tmp_path / "coco", tmp_path / "out")
    assert counts == {"cyclist": 1, "pedestrian": 1}
    with (tmp_path / "out" / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"] for row in rows} == {"cyclist/street_1.png", "pedestrian/street_1.png"}
    rgba = cv2.imread(str(tmp_path / "out" / "pedestrian" / "street_1.png"), cv2.IMREAD_UNCHANGED)
    assert rgba.shape[:2] == pytest.approx((100, 30), abs=1)
    assert rgba[30:70, 10:20, 3].min() == 255
    assert rgba[0, 0, 3] < 255, "the edge is soft"
    inside = IMAGE[70:110, 40:50].astype(int)
    assert np.abs(rgba[30:70, 10:20, 2::-1].astype(int) - inside).mean() < 4, "but for JPEG, the picture's own pixels"
    standees = read_standees(tmp_path / "out")
    assert sorted(one.name for one in standees) == ["Cyclist", "Pedestrian"]


def test_bad_input_is_named(tmp_path):
    with pytest.raises(InputError, match="PedMasks"):
        write_cutouts(tmp_path, tmp_path / "out")
    penn_fudan(tmp_path / "fudan")
    with pytest.raises(InputError, match="at least 150"):
        write_cutouts(tmp_path / "fudan", tmp_path / "out", least=150)
    assert not (tmp_path / "out").exists()
    cv2.imwrite(str(tmp_path / "fudan" / "PedMasks" / "street_mask.png"), np.zeros((9, 9), np.uint8))
    with pytest.raises(InputError, match="9 x 9"):
        write_cutouts(tmp_path / "fudan", tmp_path / "out")
    (tmp_path / "x.json").write_text('{"images": []}')
    with pytest.raises(InputError, match="annotations"):
        write_cutouts(tmp_path / "x.json", tmp_path / "out")
    coco(tmp_path / "coco")
    annotations = tmp_path / "coco" / "annotations" / "instances_val.json"
    content = json.loads(annotations.read_text())
    content["annotations"][0]["segmentation"] = [[1, 2, "three"]]
    annotations.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"street\.jpg"):
        write_cutouts(tmp_path / "coco", tmp_path / "out")
