# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""From KITTI to a bag."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from sicm_ros.bags.bag import BagWriter
from sicm_ros.bags.frames import KittiSource
from sicm_ros.datasets import open_dataset


def from_kitti(
    source: str | Path,
    out: str | Path,
    *,
    storage: str | None = None,
    compress: str | None = None,
    quality: int = 95,
    limit: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> int:
    """Write a KITTI drive as a stereo bag; return the number of pairs.

    The bag holds both images and their camera_info (conformant to ROS stereo), tf_static of both cameras, labels
    where there are any, and the rig's disparity offset. Both images of a pair have one stamp.

    Args:
        source: raw drive, object folder (image_2, image_3, calib) or odometry sequence.
        out: file (.mcap, .db3) or folder to write.
        storage: mcap or sqlite3; None decides by the suffix.
        compress: None for raw images, `jpeg` or `png`.
        quality: of JPEG, 1 to 100.
        limit: write the first so many pairs only.
        overwrite: replace an existing bag.
        progress: show a bar.
    """
    all_frames = open_dataset(source)
    frames = all_frames if limit is None else all_frames[:limit]
    drive = KittiSource(Path(source), frames, compress, quality)
    with (
        BagWriter(out, storage, overwrite) as bag,
        tqdm(
            total=drive.count, unit="pair", desc=f"{Path(source).name} -> {Path(out).name}", disable=not progress
        ) as bar,
    ):
        for message in drive.messages():
            bag.write("/" + message.topic.lstrip("/"), message.type, message.stamp, message.data)
            bar.update(message.topic == drive.topics[1])
    return drive.count
