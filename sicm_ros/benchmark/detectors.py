# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Detectors that look at what codecs leave of images: our uncompressed network, and how another one is added.

    pair of images -> input_to_features -> features -> features_to_output -> detections

The two halves are named as in CompressAI-Vision. A package of yours adds a detector by an entry point of the group
`sicm_ros.detectors` that names a subclass of `Detector` (CONTRIBUTING.md).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from sicm_ros.extensions import Registry
from sicm_ros.geometry import Detections, StereoCalibration, StereoPair

if TYPE_CHECKING:
    from sicm_ros.model import Model


class Detector(ABC):
    """Finds objects in a stereo pair. Constructed without arguments, once in each process of a run.

    Attributes:
        version: part of the names of result files: change it whenever detections change.
    """

    version: ClassVar[str] = "1"

    @abstractmethod
    def input_to_features(self, pair: StereoPair) -> Any:
        """Return what the first half makes of a rectified pair, uint8 RGB, of any size; any type of your own."""

    @abstractmethod
    def features_to_output(self, features: Any, calibration: StereoCalibration) -> Detections:
        """Return what the second half finds, in the left camera's frame; calibration is that of the pair."""

    def detect(self, pair: StereoPair) -> Detections:
        """Return what is found in a pair."""
        return self.features_to_output(self.input_to_features(pair), pair.calibration)


class ModelDetector(Detector):
    """The uncompressed network of one of our models."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def input_to_features(self, pair: StereoPair) -> Any:
        return self.model.extract(pair)

    def features_to_output(self, features: Any, calibration: StereoCalibration) -> Detections:
        return self.model.detect_features(features, calibration).detections

    def detect(self, pair: StereoPair) -> Detections:
        return self.model.detect_uncompressed(pair).detections  # in one pass


DETECTORS: Registry[type[Detector]] = Registry("sicm_ros.detectors", {}, Detector, classes=True)
