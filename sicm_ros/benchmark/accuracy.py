"""Rate and accuracy of a model on a labelled data set, through the whole chain with real bitstreams.

frame -> model.encode -> bytes -> model.decode -> detections (KITTI file) -> AP of all frames
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from tqdm import tqdm

from sicm_ros.benchmark.association import nearest_free
from sicm_ros.benchmark.reliability import reliability
from sicm_ros.errors import InputError
from sicm_ros.geometry import Detections, StereoCalibration
from sicm_ros.kitti import Labels, StereoFrame, bootstrap, evaluate, read_labels, write_detections
from sicm_ros.kitti.evaluation import CLASSES, CURVES, Figures
from sicm_ros.kitti.overlap import image_areas, image_intersections

NEAR, FAR = 10.0, 30.0  # metres: where the depth error is looked at
MATCH_OVERLAP = 0.5  # in the image, so that depth itself does not decide what matches
_DONE = "frames.csv"


class Result(Protocol):
    """What a model's decoder gives; more is welcome."""

    detections: Detections


class StereoCodec(Protocol):
    """A model as this measurement sees it: sicm_ros.load gives one."""

    def encode(
        self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration, quality: float, sequence: int = 0
    ) -> bytes: ...

    def decode(self, data: bytes) -> Result: ...

    def detect_uncompressed(self, left: np.ndarray, right: np.ndarray, calibration: StereoCalibration) -> Result: ...


@dataclass(frozen=True)
class Point:
    """What one quality gives on a data set.

    Attributes:
        quality: 0 to 1; None for the uncompressed network.
        bpp: bits per pixel over both full-size views, mean over frames; None where nothing was coded.
        bytes_per_pair: mean size of a packet; None where nothing was coded.
        ap: KITTI's figures, per cent (kitti.evaluate).
        interval: of each figure, [low, high] of 95 % over resampled frames (kitti.bootstrap).
        depth_error: median of |z - z of the label| / z of the label, per cent, of matched cars at 10 to 30 m; None
            where no car matched.
        matched: how many cars that is.
        reliability: class -> how far scores are from chances (reliability.Reliability's fields).
    """

    quality: float | None
    bpp: float | None
    bytes_per_pair: float | None
    ap: Figures
    interval: Figures
    depth_error: float | None
    matched: int
    reliability: dict[str, dict]


def measure(
    model: StereoCodec,
    frames: Sequence[StereoFrame],
    quality: float | None,
    folder: Path,
    replicates: int = 200,
    progress: bool = True,
) -> Point:
    """Sends every frame through the chain at one quality, writes what it detects, and evaluates the files.

    folder gets `detections/<frame>.txt` in KITTI's format and `frames.csv` with each packet's size. A run that was
    interrupted goes on where it stopped: delete the folder to begin anew. Raises InputError for frames without labels.
    """
    name = "uncompressed" if quality is None else f"quality {quality:g}"
    unlabelled = [frame.name for frame in frames if not frame.labelled]
    if unlabelled or not len(frames):
        raise InputError(f"{len(frames)} frames, {len(unlabelled)} of them without labels; expected labelled ones")
    sizes = _done(folder)
    (folder / "detections").mkdir(parents=True, exist_ok=True)
    missing = [frame for frame in frames if frame.name not in sizes]
    bar = tqdm(missing, name, len(frames), initial=len(frames) - len(missing), unit="pair", disable=not progress)
    with (folder / _DONE).open("a") as done:
        for frame in bar:
            if quality is None:
                size = 0
                detections = model.detect_uncompressed(frame.left, frame.right, frame.calibration).detections
            else:
                packet = model.encode(frame.left, frame.right, frame.calibration, quality)
                size = len(packet)
                detections = model.decode(packet).detections
            write_detections(folder / "detections" / f"{frame.name}.txt", detections, frame.source.left_origin_shift)
            width, height = frame.size
            sizes[frame.name] = size, size * 8 / (2 * width * height)
            done.write(f"{frame.name},{size},{sizes[frame.name][1]!r}\n")
            done.flush()
    return judge(frames, sizes, folder / "detections", quality, replicates, progress)


def judge(
    frames: Sequence[StereoFrame],
    sizes: Mapping[str, tuple[float, float]],
    detections: Path,
    quality: float | None,
    replicates: int = 200,
    progress: bool = True,
) -> Point:
    """The figures of detections that lie in files.

    Args:
        frames: labelled ones.
        sizes: frame's name -> bytes and bits per pixel that it took.
        detections: folder of `<frame>.txt`, KITTI's format.
        quality: what the codec was told; None for the uncompressed network.
        replicates: resampled sets of frames behind the intervals.
    """
    name = "uncompressed" if quality is None else f"quality {quality:g}"
    labels = [frame.labels for frame in frames]
    found = [
        read_labels(detections / f"{frame.name}.txt", scored=True).moved(frame.source.left_origin_shift)
        for frame in frames
    ]
    errors = np.concatenate([depth_errors(*pair) for pair in zip(labels, found)])
    interval = bootstrap(
        labels,
        found,
        replicates,
        progress=lambda curves: tqdm(
            curves, f"{name}, intervals", CURVES, unit="curve", leave=False, disable=not progress
        ),
    )
    mean_size, bpp = np.mean([sizes[frame.name] for frame in frames], axis=0)
    return Point(
        quality,
        None if quality is None else float(bpp),
        None if quality is None else float(mean_size),
        evaluate(labels, found),
        interval,
        float(np.median(errors)) if len(errors) else None,
        len(errors),
        {name: asdict(reliability(labels, found, name)) for name in CLASSES},
    )


def _done(folder: Path) -> dict[str, tuple[int, float]]:
    """Frame -> bytes and bits per pixel, of those that an earlier run finished."""
    sizes: dict[str, tuple[int, float]] = {}
    path = folder / _DONE
    if path.exists():
        lines = path.read_text().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]  # the last one may have been cut off by a kill
        if whole != lines:
            path.write_text("".join(whole))
        for number, line in enumerate(whole, 1):
            try:
                name, size, bpp = line.strip().rsplit(",", 2)
                sizes[name] = int(size), float(bpp)
            except ValueError:
                raise InputError(f"{path}, line {number}: {line.strip()!r}; delete {folder} to begin anew") from None
    return sizes


def depth_errors(labels: Labels, detections: Labels, near: float = NEAR, far: float = FAR) -> np.ndarray:
    """|z - z of the label| / z of the label, per cent, (M,), of the cars at near to far metres that were found.

    A label is found by the detection with the highest score that overlaps it by more than half in the image; each
    detection finds one label at most. Both are in the left camera's frame.
    """
    cars = labels[labels.names == "Car"]
    found = detections[detections.names == "Car"]
    found = found[np.argsort(-found.scores, kind="stable")]
    a = np.repeat(found.image_boxes, len(cars), axis=0)
    b = np.tile(cars.image_boxes, (len(found), 1))
    shared = image_intersections(a, b)
    union = image_areas(a) + image_areas(b) - shared
    ratio = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0).reshape(len(found), len(cars))
    taken = nearest_free(np.where(ratio > MATCH_OVERLAP, -ratio, np.inf))
    depth = cars.location[taken[taken >= 0], 2]
    errors = 100 * np.abs(found.location[taken >= 0, 2] - depth) / depth
    return errors[(near <= depth) & (depth <= far)]
