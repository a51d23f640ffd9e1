# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What a benchmark run consists of: typed, validated, read from YAML."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from importlib.abc import Traversable
from pathlib import Path
from typing import Literal

from sicm_ros.benchmark.codecs import codec_of
from sicm_ros.config import Config, ConfigError, limited
from sicm_ros.errors import InputError
from sicm_ros.files import TreeError, read_yaml

Quality = float
Size = Literal["full", "input"]


@dataclass(frozen=True, kw_only=True)
class Rendered(Config):
    """A data set that `sicm data render` renders: frames, drives of so many frames (1: single frames), and seed."""

    frames: int = limited(ge=2)
    sequences: int = limited(1, ge=1)
    seed: int = 7


@dataclass(frozen=True, kw_only=True)
class DatasetConfig(Config):
    """Labelled frames.

    Attributes:
        what: for people: what these frames are, where from.
        path: KITTI folder or archives; None where `--data NAME=PATH` must give it, or where it is rendered.
        split: train, test, val or a file of names; None for all.
        rendered: to be rendered into the run's folder instead.
        limit: the first so many frames.
        video: frames of one sequence, for the anchors that code video; 0 leaves those out.
        without_presets: of the presets that an anchor lists, those that take too long for so many frames.
        anchors: those that are tried on it; None for all.
        ablations: whether those are tried on it.
    """

    what: str = ""
    path: Path | None = None
    split: str | None = None
    rendered: Rendered | None = None
    limit: int | None = limited(None, ge=1)
    video: int = limited(0, ge=0)
    without_presets: tuple[str, ...] = ()
    anchors: tuple[str, ...] | None = None
    ablations: bool = True

    def check(self) -> None:
        if self.path is not None and self.rendered is not None:
            raise ValueError("path and rendered are both given; expected one of them")


@dataclass(frozen=True, kw_only=True)
class AnchorConfig(Config):
    """An anchor: a codec of images, or of features, at several qualities. Its curve is the best of all its variants.

    Attributes:
        codec: of benchmark.codecs, "features" (benchmark.feature_anchor), or "learned" (benchmark.coders.LearnedCodec).
        model: folder of a learned codec's model, or of weights for a codec of CompressAI's zoo (None: its own).
        mode: views by themselves, right predicted from left, or low-delay video of whole sequences.
        presets: of the encoder; each is a variant. Empty: the codec's own.
        qualities: image size ("full", or "input", the detector's own) -> values of the codec's own quality. Each size
            is a variant. Of features: "input" alone.
    """

    codec: str
    model: Path | None = None
    mode: Literal["intra", "two_view", "video"] = "intra"
    presets: tuple[str, ...] = ()
    qualities: dict[Size, tuple[Quality, ...]]

    def check(self) -> None:
        row = None if self.codec in ("features", "learned") else codec_of(self.codec)
        if self.mode != "intra" and not (row and row.video):
            raise ValueError(f"{self.codec} has only one mode; expected intra, the default")
        if self.codec == "features" and set(self.qualities) != {"input"}:
            raise ValueError(
                "features always have the size of the detector's input; expected qualities: {input: [...]}"
            )
        if self.model is None and self.codec == "learned":
            raise ValueError("a learned codec needs model, the folder of its weights")
        if self.model is not None and not (self.codec == "learned" or (row and row.learned)):
            raise ValueError(f"{self.codec} takes no weights; leave model out")
        low, high = (0, 1) if self.codec == "learned" else (row or codec_of("vvc")).range
        for values in self.qualities.values():
            for value in values:
                if not low <= value <= high:
                    raise ValueError(f"{self.codec}: quality {value:g}; expected {low:g} to {high:g}")


@dataclass(frozen=True, kw_only=True)
class SpeedConfig(Config):
    """How `times` is measured: pairs, and how often each is coded by each codec in turn."""

    pairs: int = limited(3, ge=1)
    repeats: int = limited(5, ge=1)


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig(Config):
    """A whole run.

    Attributes:
        model: name or folder of ours; its uncompressed detector looks at what the anchors' decoders give.
        detectors: that look at the anchors' images too: folders of models, such as one that was fine-tuned on
            images from codecs, and names of detectors that packages add; the best counts.
        qualities: of ours, 0 to 1.
        ablations: name -> folder of a model that lacks something.
        whole: the one of them that lacks nothing, but was trained as long as the others, which are compared with it;
            None: with ours.
        datasets: name -> frames; the first is the headline's.
        anchors: name in results.json -> anchor.
        replicates: resampled sets of frames behind the intervals.
    """

    model: str = "default"
    detectors: tuple[str, ...] = ()
    qualities: tuple[float, ...] = limited(min_length=1)
    ablations: dict[str, Path] = limited({})
    whole: str | None = None
    datasets: dict[str, DatasetConfig] = limited(min_length=1)
    anchors: dict[str, AnchorConfig] = limited({})
    replicates: int = limited(200, ge=1)
    speed: SpeedConfig = SpeedConfig()

    def check(self) -> None:
        for name in (*self.datasets, *self.anchors, *self.ablations):
            if not name.replace("_", "").replace("-", "").isalnum():
                raise ValueError(f"name {name!r}; expected letters, digits, - and _: it becomes a folder")
        for name, dataset in self.datasets.items():
            for anchor in dataset.anchors or ():
                if anchor not in self.anchors:
                    raise ValueError(
                        f"data set {name}: no anchor {anchor!r}; expected some of {', '.join(self.anchors)}"
                    )
        if self.whole is not None and self.whole not in self.ablations:
            raise ValueError(f"whole: no ablation {self.whole!r}; expected one of {', '.join(self.ablations)}")
        for quality in self.qualities:
            if not 0 <= quality <= 1:
                raise ValueError(f"quality {quality:g} of ours; expected 0 to 1")


def load_config(source: str | Path) -> BenchmarkConfig:
    """Return a configuration that ships, by name, or of a file. InputError names what is wrong with it."""
    shipped = resources.files("sicm_ros.benchmark").joinpath("configs")
    path: Path | Traversable = Path(source)
    if not path.is_file():
        names = sorted(p.name[:-5] for p in shipped.iterdir() if p.name.endswith(".yaml"))
        if str(source) not in names:
            raise InputError(f"no configuration {str(source)!r}; expected a file or one of {', '.join(names)}")
        path = shipped.joinpath(f"{source}.yaml")
    try:
        return BenchmarkConfig.parse(read_yaml(path.read_text()))
    except (TreeError, ConfigError) as error:
        raise InputError(f"{source}: {error}") from None
