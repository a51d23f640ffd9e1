# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Cut-outs of whole objects from images with instance masks, as folders that `sicm data compose --cutouts` takes.

Three layouts are read: COCO (`annotations/instances_*.json` beside its images), Pascal VOC (`JPEGImages`,
`SegmentationObject`, `SegmentationClass`) and Penn-Fudan (`PNGImages`, `PedMasks`).
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from sicm_ros.errors import InputError
from sicm_ros.files import write_text
from sicm_ros.geometry.drawing import write_image
from sicm_ros.kitti.writing import new_folder
from sicm_ros.synth.compose.standee import bled

LEAST = 60  # pixels of height; less has no detail
UPRIGHT = 1.8  # times as tall as wide: a person who stands or walks and is seen from head to foot
BORDER = 2  # pixels; what comes nearer to the image's border may be cut by it
WHOLE = 0.97  # share of a mask in one piece; less was cut in two by what stands before it
_FINE = 4  # times an image's resolution at which polygons are filled
_VOC = {2: "bicycle", 15: "person"}  # numbers in SegmentationClass


@dataclass(frozen=True)
class Instance:
    """One object of a picture: its category's name and its mask, bool (H, W)."""

    category: str
    mask: np.ndarray


@dataclass(frozen=True)
class Pictured:
    """An image uint8 (H, W, 3) RGB with its instances."""

    name: str
    image: np.ndarray
    instances: list[Instance]


def write_cutouts(source: str | Path, output: str | Path, images: str | Path | None = None, least: int = LEAST) -> dict:
    """Write RGBA cut-outs of every whole pedestrian and cyclist in a set of images, and `index.csv`.

    Args:
        source: root of a data set in one of the three layouts, or a COCO annotation file.
        output: new folder; gets `pedestrian/`, `cyclist/` and `index.csv`.
        images: where the images of a COCO file lie, if not beside it.
        least: height in pixels from which on an object is taken.

    Returns the number of cut-outs of each class. Raises InputError where no layout is recognised or nothing is found.
    """
    counts: Counter[str] = Counter()
    with new_folder(Path(output)) as unfinished:
        rows = []
        for picture in tqdm(pictured(Path(source), images), desc="cut-outs", unit="picture"):
            for kind, mask in chosen(picture.instances, least):
                counts[kind] += 1
                file = f"{kind}/{picture.name}_{counts[kind]}.png"
                cutout = cut(picture.image, mask)
                write_image(unfinished / file, cutout[..., [2, 1, 0, 3]])
                rows.append((file, picture.name, int(np.ptp(np.nonzero(mask)[0])) + 1, "unknown"))
        if not counts:
            raise InputError(f"{source}: no whole person or cyclist at least {least} pixels height found")
        table = io.StringIO(newline="")
        csv.writer(table).writerows([("file", "source", "height", "view"), *rows])
        write_text(unfinished / "index.csv", table.getvalue())
    return dict(counts)


def chosen(instances: Sequence[Instance], least: int = LEAST) -> list[tuple[str, np.ndarray]]:
    """Return class and mask of those that are whole: riders with their bicycles, and people who stand or walk."""
    people = [i for i in instances if i.category in ("person", "pedestrian")]
    bicycles = [i for i in instances if i.category == "bicycle"]
    riding: set[int] = set()
    found = []
    for bicycle in bicycles:
        for index, person in enumerate(people):
            if index not in riding and _rides(person.mask, bicycle.mask):
                riding.add(index)
                found.append(("cyclist", person.mask | bicycle.mask))
                break
    found += [("pedestrian", person.mask) for index, person in enumerate(people) if index not in riding]
    return [(kind, mask) for kind, mask in found if _is_whole(kind, mask, least)]


def cut(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return uint8 (h, w, 4), RGBA: the masked part, its edge soft and drawn in a little, its colours
    continued outwards.
    """
    top, bottom, left, right = _extent(mask)
    window = slice(top, bottom), slice(left, right)
    inner = cv2.erode(np.pad(mask[window], 1).astype(np.float32), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    alpha = cv2.GaussianBlur(inner, (0, 0), 0.7)[1:-1, 1:-1]
    colour = bled(image[window].astype(np.float32), alpha)
    return np.dstack([colour, 255 * alpha]).round().clip(0, 255).astype(np.uint8)


def _extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return top, bottom, left, right of a mask; bottom and right are the first outside."""
    v, u = np.nonzero(mask)
    return int(v.min()), int(v.max()) + 1, int(u.min()), int(u.max()) + 1


def _rides(person: np.ndarray, bicycle: np.ndarray) -> bool:
    """Return whether someone sits on a bicycle: the masks touch, and the bicycle reaches lower and
    stands below them.
    """
    if not person.any() or not bicycle.any():
        return False
    top, bottom, left, right = _extent(person)
    bike_top, bike_bottom, bike_left, bike_right = _extent(bicycle)
    below = top < bike_top < bottom and bottom < bike_bottom + 0.05 * (bike_bottom - top)
    middle = bike_left < (left + right) / 2 < bike_right
    if not (below and middle):
        return False
    near = cv2.dilate(person.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return bool((near & bicycle).any())


def _is_whole(kind: str, mask: np.ndarray, least: int) -> bool:
    if not mask.any():
        return False
    top, bottom, left, right = _extent(mask)
    height, width = mask.shape
    if bottom - top < least or top < BORDER or left < BORDER or bottom > height - BORDER or right > width - BORDER:
        return False
    if kind == "pedestrian" and bottom - top < UPRIGHT * (right - left):
        return False
    # Thin gaps, as between a rider and the frame, don't count.
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(closed)
    return stats[1:, cv2.CC_STAT_AREA].max() >= WHOLE * closed.sum()


# Layouts --------------------------------------------------------------------------------------------------------------


def pictured(source: Path, images: str | Path | None = None) -> Iterator[Pictured]:
    """Return every image of a data set with its instances, sorted by name. InputError where no
    layout is recognised.
    """
    if source.suffix == ".json":
        return _coco([source], images)
    if (source / "PedMasks").is_dir():
        return _penn_fudan(source)
    if (source / "SegmentationObject").is_dir():
        return _voc(source)
    annotations = sorted((source / "annotations").glob("instances_*.json"))
    if annotations:
        return _coco(annotations, images)
    raise InputError(
        f"{source}: expected PedMasks/ (Penn-Fudan), SegmentationObject/ (VOC), annotations/instances_*.json or the "
        "path of such a file (COCO)"
    )


def _read(path: Path) -> np.ndarray:
    """Return uint8 (H, W, 3), RGB."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"{path}: missing, or not an image")
    return image[..., ::-1]


def _numbers(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Return int (H, W): a number for each colour of a mask image, grey or with a palette; 0 is black."""
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if mask is None:
        raise InputError(f"{path}: missing, or not an image")
    if mask.shape[:2] != shape:
        raise InputError(
            f"{path} is {mask.shape[1]} x {mask.shape[0]} pixels; expected its image's {shape[1]} x {shape[0]}"
        )
    if mask.ndim == 2:
        return mask.astype(np.int64)
    blue, green, red = (mask[..., i].astype(np.int64) for i in range(3))
    return red << 16 | green << 8 | blue


def size_of(image: np.ndarray) -> tuple[int, int]:
    """Return height and width of an image (H, W, ...)."""
    height, width = image.shape[:2]
    return height, width


def _penn_fudan(source: Path) -> Iterator[Pictured]:
    for path in sorted((source / "PedMasks").glob("*_mask.png")):
        name = path.stem.removesuffix("_mask")
        image = _read(source / "PNGImages" / f"{name}.png")
        numbers = _numbers(path, size_of(image))
        yield Pictured(name, image, [Instance("person", numbers == n) for n in np.unique(numbers) if n])


def _voc(source: Path) -> Iterator[Pictured]:
    categories = {_voc_colour(number): name for number, name in _VOC.items()}
    void = _voc_colour(255)
    for path in sorted((source / "SegmentationObject").glob("*.png")):
        image = _read(source / "JPEGImages" / f"{path.stem}.jpg")
        objects = _numbers(path, size_of(image))
        classes = _numbers(source / "SegmentationClass" / path.name, size_of(image))
        instances = []
        for number in np.unique(objects):
            mask = objects == number
            if number in (0, void):
                continue
            values, counts = np.unique(classes[mask], return_counts=True)
            category = categories.get(int(values[counts.argmax()]))
            if category is not None:
                instances.append(Instance(category, mask))
        yield Pictured(path.stem, image, instances)


def _voc_colour(number: int) -> int:
    """Return the colour, 0xRRGGBB, by which Pascal VOC's palette shows a number: its bits, dealt to
    red, green and blue.
    """
    colour = 0
    for channel in range(3):
        level = sum((number >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(3))
        colour |= level << (16 - 8 * channel)
    return colour


def _coco(annotations: Sequence[Path], images: str | Path | None) -> Iterator[Pictured]:
    for path in annotations:
        try:
            content = json.loads(path.read_text())
            categories = {c["id"]: c["name"] for c in content["categories"]}
            pictures = sorted(content["images"], key=lambda p: p["file_name"])
            by_picture: dict[int, list[dict]] = {}
            for one in content["annotations"]:
                by_picture.setdefault(one["image_id"], []).append(one)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: {error!r}; expected COCO's images, annotations and categories") from None
        folder = Path(images) if images is not None else _coco_pictures(path)
        for picture in pictures:
            wanted = [
                one
                for one in by_picture.get(picture["id"], [])
                if categories.get(one["category_id"]) in ("person", "bicycle") and not one.get("iscrowd")
            ]
            if not wanted:
                continue
            file = folder / picture["file_name"]
            if not file.exists():
                continue  # a part of COCO's images is worth taking, too
            image = _read(file)
            try:
                instances = [
                    Instance(categories[one["category_id"]], _coco_mask(one["segmentation"], size_of(image), path))
                    for one in wanted
                ]
            except (KeyError, ValueError, TypeError, IndexError, cv2.error) as error:
                raise InputError(f"{path}: {picture['file_name']}: a mask can't be read ({error!r})") from None
            yield Pictured(file.stem, image, instances)


def _coco_pictures(annotation: Path) -> Path:
    """Return where the images of `annotations/instances_train2017.json` lie: `train2017/` or
    `images/train2017/` beside.
    """
    name = annotation.stem.removeprefix("instances_")
    root = annotation.parent.parent if annotation.parent.name == "annotations" else annotation.parent
    for place in (root / name, root / "images" / name, root / "images", root):
        if place.is_dir() and any(place.glob("*.jpg")):
            return place
    raise InputError(f"{annotation}: its images are not in {root / name}; name their folder (--images)")


def _coco_mask(segmentation, shape: tuple[int, int], path: Path) -> np.ndarray:
    """Return bool (H, W) of COCO's polygons, or of run lengths (down the columns, the first run is outside)."""
    height, width = shape
    if isinstance(segmentation, dict):
        runs, size = segmentation["counts"], tuple(segmentation["size"])
        if size != shape:
            raise InputError(f"{path}: a mask of {size[1]} x {size[0]} pixels in an image of {width} x {height}")
        runs = _coco_runs(runs) if isinstance(runs, str) else runs
        flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
        if len(flat) != height * width:
            raise InputError(f"{path}: run lengths of {len(flat)} pixels in a mask of {height * width}")
        return flat.reshape(width, height).T
    fine = np.zeros((height * _FINE, width * _FINE), np.uint8)  # outlines are filled, too: let them be thin
    for polygon in segmentation:
        cv2.fillPoly(fine, [np.rint(np.array(polygon, float).reshape(-1, 2) * _FINE - 0.5).astype(np.int32)], 255)
    return cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA) > 127


def _coco_runs(text: str) -> list[int]:
    """Run lengths of COCO's compressed form: five bits a character, each run but the first two less that two before."""
    runs: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        number |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            if bits & 0x10:
                number -= 1 << shift
            runs.append(number + (runs[-2] if len(runs) > 2 else 0))
            number = shift = 0
    return runs
