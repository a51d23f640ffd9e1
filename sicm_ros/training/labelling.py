# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A model's own detections as labels of pairs that have none: to train a codec on a drive that nobody labelled.

A codec learns to keep what its teacher sees, and for that the teacher's opinion is as good as the truth. Surroundings
that the model was never shown become part of what is trained on, cars set into them (`sicm data compose`) included.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from sicm_ros.datasets import open_dataset
from sicm_ros.errors import InputError
from sicm_ros.geometry import Detections
from sicm_ros.geometry.sgbm import sgbm_disparity, write_disparity
from sicm_ros.kitti import Labels, from_detections
from sicm_ros.kitti.writing import new_folder, write_pair
from sicm_ros.model import Model

SURE, DOUBT = 0.8, 0.1


def write_labelled(
    teacher: Model,
    source: str | Path,
    output: str | Path,
    split: str | None = None,
    sure: float = SURE,
    doubt: float = DOUBT,
) -> int:
    """Write the pairs of a KITTI folder that have no labels to a new one, with the teacher's detections as labels.

    Detections from `sure` up become objects, those from `doubt` up DontCare regions, of which nothing is learnt. The
    left view's disparity by semi-global matching is written beside them. The folder appears under its name when it is
    complete. Returns the number of pairs.

    Raises:
        InputError: the folder exists already, every pair of the source has labels, or the scores make no sense.
    """
    if not 0 < doubt <= sure <= 1:
        raise InputError(f"sure {sure:g} and doubt {doubt:g}; expected 0 < doubt <= sure <= 1")
    with new_folder(Path(output)) as unfinished:
        pairs = open_dataset(source, split)
        names = [name for name in pairs.names if not pairs.frame(name).labelled]
        if not names:
            raise InputError(f"{source}: every pair{f' of split {split}' if split else ''} has labels; nothing to add")
        for name in tqdm(names, desc="labels", unit="pair"):
            frame = pairs.frame(name)  # which keeps its pictures: a drive of them wouldn't fit into memory
            found = teacher.detect_uncompressed(frame).detections
            labels = labels_of(found, sure, doubt)
            write_pair(unfinished, name, (frame.left, frame.right), frame.source, labels, jpeg=False)
            write_disparity(unfinished / "disparity" / f"{name}.png", sgbm_disparity(frame.left, frame.right))
    return len(names)


def labels_of(detections: Detections, sure: float = SURE, doubt: float = DOUBT) -> Labels:
    """Return detections as labels, in the same frame: sure ones as visible objects, doubtful ones as
    DontCare regions.
    """
    found = from_detections(detections)
    found = found[found.certainty >= doubt]
    unclear = found.certainty < sure
    unknown = np.where(unclear, -1.0, 0.0)
    return Labels(
        names=np.where(unclear, "DontCare", found.names),
        truncated=unknown,
        occluded=unknown.astype(np.int64),
        alpha=np.where(unclear, -10.0, found.alpha),
        image_boxes=found.image_boxes,
        dimensions=np.where(unclear[:, None], -1.0, found.dimensions),
        location=np.where(unclear[:, None], -1000.0, found.location),
        rotation_y=np.where(unclear, -10.0, found.rotation_y),
    )
