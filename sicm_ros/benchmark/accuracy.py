# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Rate and accuracy on a labelled data set, through the whole chain with real bitstreams.

frames -> coder -> streams -> coder, detector -> detections (KITTI files) -> AP of all frames, with intervals

The one chain of every evaluation: `sicm evaluate` measures a model by it, `sicm bench run` every other codec too, and a
training its network (`training.validation`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from sicm_ros.benchmark.association import overlapping
from sicm_ros.benchmark.coders import Coder, Found, of_model
from sicm_ros.benchmark.coverage import ERRORS, coverage
from sicm_ros.benchmark.detectors import Detector, ModelDetector
from sicm_ros.benchmark.point import Point
from sicm_ros.benchmark.reliability import reliability
from sicm_ros.errors import InputError
from sicm_ros.files import Lines, write_text
from sicm_ros.geometry import Detections, StereoPair
from sicm_ros.geometry.boxes import CLASSES as NAMES
from sicm_ros.kitti import Labels, StereoFrame, bootstrap, evaluate, from_detections, read_labels
from sicm_ros.kitti.evaluation import CLASSES, CURVES
from sicm_ros.kitti.labels import format_labels
from sicm_ros.kitti.planner import judged, planner_table

if TYPE_CHECKING:
    from sicm_ros.model import Model

NEAR, FAR = 10.0, 30.0  # metres: where the depth error is looked at
_DONE = "frames.csv"


def measure(
    model: Model,
    frames: Sequence[StereoFrame],
    quality: float | None,
    folder: Path,
    replicates: int = 200,
    progress: bool = True,
) -> Point:
    """Send every frame through a model at one quality, write what is detected, and evaluate the files.

    folder gets `detections/<frame>.txt` in KITTI's format, `errors/<frame>.txt` with the standard deviations that each
    detection has (`Detections.errors`), a line each, and `frames.csv` with each packet's size. A run that was
    interrupted goes on where it stopped: delete the folder to begin anew. Raises InputError for frames without labels.

    Args:
        quality: 0 to 1; None for the uncompressed network.
        replicates: resampled sets of frames behind the intervals.
    """
    unlabelled = [frame.name for frame in frames if not frame.labelled]
    if unlabelled or not len(frames):
        raise InputError(f"{len(frames)} frames, {len(unlabelled)} of them without labels; expected labelled ones")
    coder = of_model(model, quality)
    sizes = _done(folder)
    for part in ("detections", "errors"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    missing = [frame for frame in frames if frame.name not in sizes]
    bar = tqdm(missing, title(quality), len(frames), initial=len(frames) - len(missing), disable=not progress)
    with Lines(folder / _DONE) as done:
        for frame in bar:
            streams, ((found,),) = through(coder, [frame], [ModelDetector(model)])
            write_found(folder / "detections" / f"{frame.name}.txt", found, frame)
            write_text(folder / "errors" / f"{frame.name}.txt", _text_of(found.errors))
            sizes[frame.name] = size_of(frame, sum(map(len, streams)))
            size, bpp = sizes[frame.name]
            done.write(f"{frame.name},{size},{bpp!r}\n")
    return judge(frames, sizes, folder / "detections", quality, replicates, progress, folder / "errors")


def through(
    coder: Coder, frames: Sequence[StereoPair], detectors: Sequence[Detector], streams: list[bytes] | None = None
) -> tuple[list[bytes], Found]:
    """Send a group of frames through a coder: its streams, and what each detector finds in each frame.

    Args:
        frames: one, or a sequence where the coder is one of video.
        streams: of an earlier run, which needn't be made again.
    """
    streams = coder.encode(frames) if streams is None else streams
    return streams, coder.detect(frames, coder.decode(frames, streams), detectors)


def write_found(path: Path, found: Detections, frame: StereoFrame) -> None:
    """Write a frame's detections as KITTI has them, in the axes of its own calibration; whole whenever it is there."""
    labels = from_detections(found).moved(-frame.source.left_origin_shift)
    write_text(path, format_labels(labels))


def read_found(path: Path, frame: StereoFrame) -> Labels:
    """Return what `write_found` wrote, in the left camera's frame."""
    return read_labels(path, scored=True).moved(frame.source.left_origin_shift)


def size_of(frame: StereoFrame, size: float) -> tuple[float, float]:
    """Return bytes, and bits per pixel over both views at the camera's size."""
    width, height = frame.size
    return size, size * 8 / (2 * width * height)


def title(quality: float | None) -> str:
    """Return a point's name for people."""
    return "uncompressed" if quality is None else f"quality {quality:g}"


def judge(
    frames: Sequence[StereoFrame],
    sizes: Mapping[str, tuple[float, float]],
    detections: Path,
    quality: float | None,
    replicates: int = 200,
    progress: bool = True,
    errors: Path | None = None,
) -> Point:
    """Return the figures of detections that lie in files.

    Args:
        frames: labelled ones.
        sizes: frame's name -> bytes and bits per pixel that it took.
        detections: folder of `<frame>.txt`, KITTI's format.
        quality: what the codec was told; None for the uncompressed network.
        replicates: resampled sets of frames behind the intervals.
        errors: folder of `<frame>.txt`, the detections' standard deviations in the same order; None without any.
    """
    labels = [frame.truth for frame in frames]
    found = [read_found(detections / f"{frame.name}.txt", frame) for frame in frames]
    apart = np.concatenate([depth_errors(*pair) for pair in zip(labels, found)])
    covered = None
    paths = [errors / f"{frame.name}.txt" for frame in frames] if errors is not None else []
    if paths and all(path.exists() for path in paths):  # runs of before 0.9 that go on have none
        deviations = [_errors_of(path) for path in paths]
        covered = asdict(coverage(labels, [_detections(*pair) for pair in zip(found, deviations)]))
    interval = bootstrap(
        labels,
        found,
        replicates,
        progress=lambda curves: tqdm(
            curves, f"{title(quality)}, intervals", CURVES, unit="curve", leave=False, disable=not progress
        ),
    )
    asked = [judged(truth, boxes, frame.size[0]) for frame, truth, boxes in zip(frames, labels, found)]
    mean_size, bpp = np.mean([sizes[frame.name] for frame in frames], axis=0)
    return Point(
        quality,
        None if quality is None else float(bpp),
        None if quality is None else float(mean_size),
        evaluate(labels, found),
        interval,
        float(np.median(apart)) if len(apart) else None,
        len(apart),
        {name: asdict(reliability(labels, found, name)) for name in CLASSES},
        covered,
        planner_table(asked).tree(),
    )


def _text_of(errors: np.ndarray) -> str:
    """Return the standard deviations (N, 4) of a frame's detections as lines of a file."""
    return "".join(" ".join(f"{value:.6g}" for value in row) + "\n" for row in errors)


def _errors_of(path: Path) -> np.ndarray:
    """Return what `_text_of` wrote."""
    return np.array([line.split() for line in path.read_text().splitlines()], np.float64).reshape(-1, len(ERRORS))


def _detections(found: Labels, errors: np.ndarray) -> Detections:
    """Return a frame's detections as they were before they became a file of KITTI's."""
    classes = np.array([NAMES.index(name) for name in found.names], np.int64)
    return Detections(
        classes, found.certainty, found.location, found.dimensions, found.rotation_y, found.image_boxes, errors
    )


def _done(folder: Path) -> dict[str, tuple[float, float]]:
    """Return frame -> bytes and bits per pixel, of those that an earlier run finished."""
    sizes: dict[str, tuple[float, float]] = {}
    path = folder / _DONE
    if path.exists():
        lines = path.read_text().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]  # the last one may have been cut off by a kill
        if whole != lines:
            write_text(path, "".join(whole))
        for number, line in enumerate(whole, 1):
            try:
                name, size, bpp = line.strip().rsplit(",", 2)
                sizes[name] = int(size), float(bpp)
            except ValueError:
                raise InputError(f"{path}, line {number}: {line.strip()!r}; delete {folder} to start again") from None
    return sizes


def depth_errors(labels: Labels, detections: Labels, near: float = NEAR, far: float = FAR) -> np.ndarray:
    """Return |z - z of the label| / z of the label, per cent, (M,), of the cars at near to far metres that were found.

    A label is found by the detection with the highest score that overlaps it by more than half in the image; each
    detection finds one label at most. Both are in the left camera's frame.
    """
    cars = labels[labels.names == "Car"]
    found = detections[detections.names == "Car"]
    found = found[np.argsort(-found.certainty, kind="stable")]
    taken = overlapping(found.image_boxes, cars.image_boxes)
    depth = cars.location[taken[taken >= 0], 2]
    errors = 100 * np.abs(found.location[taken >= 0, 2] - depth) / depth
    return errors[(near <= depth) & (depth <= far)]
