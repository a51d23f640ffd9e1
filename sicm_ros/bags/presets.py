# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Where stereo bags in the wild keep their pictures, and what has to be mended in their calibration.

One file in `cameras/` for each camera or recorder; `--preset my.yaml` takes one of your own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import yaml

from sicm_ros.bags.video import FFMPEG_PACKET, FOXGLOVE_VIDEO
from sicm_ros.errors import InputError
from sicm_ros.extensions import Registry
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.rectification import says_rectified

# KITTI's rectified colour rigs by picture size, from the calibration files of their days; for bags without camera_info.
KITTI_RIGS = {
    (c.width, c.height): c
    for c in (
        StereoCalibration(721.5377, 721.5377, 609.5593, 172.854, 0.53273, 1242, 375),  # 2011_09_26
        StereoCalibration(718.856, 718.856, 607.1928, 185.2157, 0.53233, 1241, 376),  # 2011_10_03
        StereoCalibration(707.0912, 707.0912, 601.8873, 183.1104, 0.53791, 1226, 370),  # 2011_09_30
    )
}


@dataclass(frozen=True)
class Preset:
    """The layout of a family of bags.

    Attributes:
        name: what the user types.
        about: who writes such bags.
        left, right: image topics; those with a transport behind them (/compressed, /ffmpeg, /foxglove) are found too.
            A * at the start stands for any namespace, the same in both. One topic for both: its pictures hold both
            views, the left one in their left half.
        camera_info: whether the image topics have their `camera_info`, as in ROS; otherwise the rig is one of
            KITTI_RIGS, by the size of the pictures.
        rectified: the pictures are rectified although camera_info still describes the raw ones (distortion, a rotation,
            projections relative to camera 0): replace it by that of the rectified pair.
        disparity_offset: pixels that the rig's disparities lack, at 1242 pixels of width (see StereoCalibration).
    """

    name: str
    about: str
    left: str
    right: str
    camera_info: bool = True
    rectified: bool = False
    disparity_offset: float = 0.0


def read_preset(path: Path) -> Preset:
    """Read a preset from a YAML file: its fields but the name, which is the file's.

    Raises:
        InputError: it can't be read, or has settings that a preset doesn't.
    """
    known = {field.name: field for field in fields(Preset) if field.name != "name"}
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
        strangers = set(tree) - set(known)
        missing = {"left", "right"} - set(tree)
        wrong = [key for key in set(tree) & set(known) if type(tree[key]).__name__ not in known[key].type]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        raise InputError(
            f"{path}: no preset ({' '.join(str(error).split())}); expected left and right topics"
        ) from None
    if strangers or missing or wrong:
        what = ", ".join(sorted([*strangers, *wrong])) or f"no {' and '.join(sorted(missing))}"
        raise InputError(f"{path}: {what}; a preset has {', '.join(f'{n} ({f.type})' for n, f in known.items())}")
    return Preset(**{"name": path.stem, "about": "a file of your own", **tree})


_SHIPPED = {path.stem: read_preset(path) for path in sorted(Path(__file__).with_name("cameras").glob("*.yaml"))}
PRESETS: Registry[Preset] = Registry("sicm_ros.presets", _SHIPPED, Preset)

IMAGES = {
    "sensor_msgs/msg/Image": "",
    "sensor_msgs/msg/CompressedImage": "/compressed",
    FFMPEG_PACKET: "/ffmpeg",
    FOXGLOVE_VIDEO: "/foxglove",
}
_TRANSPORTS = tuple(filter(None, IMAGES.values()))
# What tells the two cameras of a pair apart in the names of their topics.
_SIDES = (("left", "right"), ("infra1", "infra2"), ("cam0", "cam1"), ("cam_0", "cam_1"), ("camera0", "camera1"))
_SIDES += (("camera_0", "camera_1"), ("image_02", "image_03"), ("ir1", "ir2"))


def bare(topic: str) -> str:
    """A topic without its transport."""
    return next((topic.removesuffix(t) for t in _TRANSPORTS if topic.endswith(t)), topic)


def image_topics(topics: dict) -> dict[str, list[str]]:
    """Image topics of a bag by the name of their raw form: `/a/image` has `/a/image/compressed`."""
    found: dict[str, list[str]] = {}
    for name, topic in topics.items():
        if topic.type in IMAGES and topic.count:
            found.setdefault("/" + bare(name).lstrip("/"), []).append(name)
    return found


def choose(preset: str, topics: dict, path: object, left: str = "", right: str = "") -> tuple[Preset, str, str]:
    """The preset of a bag and its two image topics as recorded.

    Args:
        preset: a name of PRESETS, a file, or `auto`: one whose pictures are there, rectified ones before others; else a
            pair of topics whose names differ as those of two cameras do.
        topics: of the bag, name to Topic.
        path: the bag's, for errors.
        left, right: image topics that overrule the preset's; the right one may be left out where its name follows.

    Raises:
        InputError: an unknown preset, a topic that isn't there (and those that are), one camera alone, two candidates.
    """
    images = image_topics(topics)
    known = _find(preset)
    if left or right:
        left, right = left or _partner(right, images, back=True), right or _partner(left, images)
        if not (left and right):
            raise InputError(
                f"{path}: one topic of the pair was given ({left or right}), and the other one doesn't follow from its "
                f"name; give both, --left and --right (left_topic, right_topic); {listed(topics)}"
            )
        chosen = replace(known or PRESETS["stereo"], left=left, right=right)
    elif known is not None:
        chosen = _placed(known, images, path)
    else:
        chosen = _search(images, path, topics)
    sides = []
    for side, name in (("left", chosen.left), ("right", chosen.right)):
        recorded = images.get("/" + bare(name).lstrip("/"))
        if not recorded:
            raise InputError(f"{path}: no pictures of the {side} camera on {name}; {listed(topics)}")
        sides.append(name if name in recorded else min(recorded, key=lambda n: _TRANSPORT_ORDER.index(_transport(n))))
    return chosen, sides[0], sides[1]


_TRANSPORT_ORDER = ("", *_TRANSPORTS)  # the pictures with the least loss first


def _transport(topic: str) -> str:
    return topic[len(bare(topic)) :]


def _find(preset: str) -> Preset | None:
    """The preset of a name or a file; None for `auto`."""
    if preset == "auto":
        return None
    if Path(preset).suffix in (".yaml", ".yml"):
        return read_preset(Path(preset))
    if preset not in PRESETS:
        raise InputError(f"no preset {preset!r}; expected auto, {', '.join(PRESETS)}, or a .yaml file")
    return PRESETS[preset]


def _matches(preset: Preset, images: Iterable[str]) -> Iterator[Preset]:
    """The preset at every place of a bag where both its pictures are."""
    pattern = re.compile(re.escape("/" + preset.left.lstrip("/") if preset.left[0] != "*" else preset.left[1:]) + "$")
    for name in images:
        if preset.left[0] != "*":
            found = bool(pattern.match(name))
            right = "/" + preset.right.lstrip("/")
        else:
            found = bool(pattern.search(name))
            right = name[: len(name) - len(preset.left) + 1] + preset.right.removeprefix("*")
        if found and right in images:
            yield replace(preset, left=name, right=right)


def _placed(preset: Preset, images: dict[str, list[str]], path: object) -> Preset:
    """The preset with the topics that the bag has."""
    found = list(_matches(preset, images))
    if len(found) > 1:
        raise _several(found, path)
    return found[0] if found else preset


def _search(images: dict[str, list[str]], path: object, topics: dict) -> Preset:
    """The pair of a bag that nobody has named."""
    found = [match for preset in PRESETS.values() if preset.left != preset.right for match in _matches(preset, images)]
    if not found:
        found = [
            Preset("auto", "found by its names", name, partner)
            for name in images
            if (partner := _partner(name, images))
        ]
    if found:
        # Of the pictures of one camera the rectified ones, and where presets name several, those of the narrower one.
        rectified = [match for match in found if says_rectified(match.left)] or found
        by_camera = {
            match.left.rpartition("/")[0] if match.name in PRESETS else match.left: match
            for match in sorted(rectified, key=_narrowness)
        }
        if len(by_camera) > 1:
            raise _several(list(by_camera.values()), path)
        return next(iter(by_camera.values()))
    lonely = [n for n in images if any(re.search(side, n) for pair in _SIDES[:2] for side in pair)]
    if lonely:
        raise InputError(
            f"{path}: pictures of one camera only ({lonely[0]}); a stereo pair is needed; {listed(topics)}"
        )
    raise InputError(
        f"{path}: no stereo pair of image topics is known in it; name them with --left and --right (left_topic, "
        f"right_topic); {listed(topics)}"
    )


def _narrowness(preset: Preset) -> int:
    shipped = PRESETS.get(preset.name)
    return len(shipped.left) - 100 * shipped.left.startswith("*") if shipped else 0


def _several(found: list[Preset], path: object) -> InputError:
    pairs = "; ".join(f"--left {match.left} --right {match.right}" for match in found)
    return InputError(
        f"{path}: several stereo pairs; choose one with --left (parameter left_topic), or both topics: {pairs}"
    )


def _partner(topic: str, images: Iterable[str], back: bool = False) -> str:
    """The other camera's topic by its name, if it is in the bag, else an empty text; `back` seeks the left one's."""
    name = "/" + bare(topic).lstrip("/")
    for sides in _SIDES:
        old, new = sides[::-1] if back else sides
        # The last place first: /left_stereo_camera/left/image belongs to /left_stereo_camera/right/image.
        for place in reversed([match.start() for match in re.finditer(old, name)]):
            other = name[:place] + new + name[place + len(old) :]
            if other in images:
                return other
        if old in name and (other := name.replace(old, new)) in images:
            return other
    return ""


def listed(topics: dict) -> str:
    """The bag's topics in words, for errors."""
    if not topics:
        return "the bag holds no topics"
    return "it holds " + ", ".join(f"{name} ({topic.type}, {topic.count})" for name, topic in sorted(topics.items()))
