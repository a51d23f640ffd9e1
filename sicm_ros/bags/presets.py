# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Where stereo bags in the wild keep their images, and what has to be mended in their calibration.

One file in `cameras/` for each camera or recorder; `--preset my.yaml` takes one of your own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

from sicm_ros.bags.video import FFMPEG_PACKET, FOXGLOVE_VIDEO
from sicm_ros.errors import InputError
from sicm_ros.extensions import Registry
from sicm_ros.files import TreeError, read_bytes, read_yaml
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.rectification import says_rectified

# KITTI's rectified colour rigs by image size, from the calibration files of their days; for bags without camera_info.
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
            A * at the start stands for any namespace, the same in both. One topic for both: its images hold both
            views, the left one in their left half.
        camera_info: whether the image topics have their `camera_info`, as in ROS; otherwise the rig is one of
            KITTI_RIGS, by the size of the images.
        rectified: the images are rectified although camera_info still describes the raw ones (distortion, a rotation,
            projections relative to camera 0): replace it by that of the rectified pair.
        disparity_offset: pixels that the rig's disparities lack, at OFFSET_WIDTH pixels (see StereoCalibration).
    """

    name: str
    about: str
    left: str
    right: str
    camera_info: bool = True
    rectified: bool = False
    disparity_offset: float = 0.0

    def offset_at(self, width: int) -> float:
        """Return the disparity offset of images of a width, pixels."""
        return self.disparity_offset * width / OFFSET_WIDTH


OFFSET_WIDTH = 1242  # pixels: KITTI's images
MOST_BYTES = 1 << 16  # of a preset's file


def read_preset(path: Path) -> Preset:
    """Read a preset from a YAML file: its fields but the name, which is the file's.

    Raises:
        InputError: it can't be read, or has settings that a preset doesn't.
    """
    known = {field.name: field for field in fields(Preset) if field.name != "name"}
    try:
        tree = read_yaml(read_bytes(path, MOST_BYTES).decode())
        strangers = set(tree) - set(known)
        missing = {"left", "right"} - set(tree)
        wrong = [key for key in set(tree) & set(known) if type(tree[key]).__name__ not in known[key].type]
    except (OSError, UnicodeDecodeError, TreeError, TypeError) as error:
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
TRANSPORTS = tuple(filter(None, IMAGES.values()))


def bare(topic: str) -> str:
    """A topic without its transport."""
    return next((topic.removesuffix(t) for t in TRANSPORTS if topic.endswith(t)), topic)


def find_preset(name: str, others: tuple[str, ...] = ()) -> Preset:
    """Return the preset of a name, or of a .yaml file; InputError, which lists `others` too, if there is none."""
    if Path(name).suffix in (".yaml", ".yml"):
        return read_preset(Path(name))
    if name not in PRESETS:
        raise InputError(f"no preset {name!r}; expected {', '.join((*others, *PRESETS))}, or a .yaml file")
    return PRESETS[name]


def places(preset: Preset, images: Iterable[str]) -> Iterator[Preset]:
    """Yield the preset with its topics as they are named, at every place where both are among these names."""
    wild = preset.left.startswith("*")
    left, right = (name.removeprefix("*") if wild else "/" + name.lstrip("/") for name in (preset.left, preset.right))
    for name in images:
        if name == left or (wild and name.endswith(left)):
            partner = name.removesuffix(left) + right
            if partner in images:
                yield replace(preset, left=name, right=partner)


def info_places(topic: str) -> list[str]:
    """Return where the camera_info of an image topic may be; ROS' own place last."""
    folder, _, name = bare(topic).rpartition("/")
    places = [
        f"{folder}/{name}/camera_info",
        f"{folder}/{name.replace('image', 'camera_info')}",
        f"{folder}/camera_info",
    ]
    if says_rectified(topic):  # NVIDIA's has two
        places.insert(0, f"{folder}/camera_info_rect")
    return [place for place in places if place != bare(topic)]
