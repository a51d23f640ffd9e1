"""A benchmark run: every codec at every quality on every frame, streams and detections kept as files.

    OUT/run.yaml                                             the configuration, its paths filled in
    OUT/<data set>/<anchor>/<variant>/<quality>/streams/     a file for each stream: its size is what is counted
    OUT/<data set>/<anchor>/<variant>/<quality>/<detector>/  a KITTI detection file a frame
    OUT/<data set>/<anchor>/<variant>/<quality>/<detector>.json   accuracy.Point of them
    OUT/times.json                                           speed.measure's

What is there is not made again: a run that was stopped goes on, one with more anchors adds them. Models are named with
their fingerprint, so another model never finds these files; where a model only looks at others' pictures, with its
detector's, so that a codec may learn on without the anchors being judged again.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from tqdm import tqdm

from sicm_ros.benchmark.anchors import PRESETS, PictureCodec
from sicm_ros.benchmark.coders import CodedFeatures, CodedPictures, Coder, LearnedPictures, Ours, Uncompressed
from sicm_ros.benchmark.config import BenchmarkConfig, DatasetConfig
from sicm_ros.benchmark.features import FeatureCodec
from sicm_ros.errors import DependencyError, InputError, SicmError
from sicm_ros.model.folder import find_model, fingerprint

if TYPE_CHECKING:
    from sicm_ros.benchmark.accuracy import Point
    from sicm_ros.kitti import KittiFrames
    from sicm_ros.model import Model

OURS, UNCOMPRESSED, ABLATION = "ours", "uncompressed", "ablation_"
TIMES = "times.json"
CHUNK = 8  # groups of frames in one job: enough to load models seldom, few enough to share out


@dataclass(frozen=True)
class Setting:
    """One point of one curve.

    Attributes:
        anchor: name in results.json: "ours", "uncompressed", "ablation_<name>", or an anchor's.
        variant: folder, and for people: what of it is being tried.
        quality: the codec's own; None for uncompressed pictures.
        codec: of PictureCodec, or "ours", "uncompressed", "features", "learned".
        mode, preset, input_size: see PictureCodec and CodedPictures.
        model: the model that codes, where one does.
        detectors: names or folders of the models that detect.
    """

    anchor: str
    variant: str
    quality: float | None
    codec: str
    detectors: tuple[str, ...]
    mode: str = "intra"
    preset: str = ""
    input_size: tuple[int, int] | None = None
    model: str = ""

    @property
    def folder(self) -> Path:
        quality = "all" if self.quality is None else f"{self.quality:g}"
        return Path(self.anchor) / self.variant / quality

    def key(self, detector: str) -> str:
        """What a detector's files are named after."""
        return model_key(detector) if self.codec == OURS else detector_key(detector)

    @property
    def video(self) -> bool:
        return self.mode in ("interleaved", "stacked")

    def coder(self, threads: int = 1) -> Coder:
        """The coder of this setting; loads models."""
        if self.codec == UNCOMPRESSED:
            return Uncompressed()
        if self.codec == OURS:
            return Ours(model_of(self.model), self.quality)
        if self.codec == "features":
            return CodedFeatures(model_of(self.model), FeatureCodec(self.preset, threads), self.quality)
        if self.codec == "learned":
            return LearnedPictures(model_of(self.model), self.quality)
        codec = PictureCodec(self.codec, self.mode, self.preset, threads)
        codec.check()
        return CodedPictures(codec, self.quality, self.input_size)


@lru_cache(maxsize=8)
def model_of(name: str) -> Model:
    """A model, loaded once in a process."""
    import sicm_ros

    return sicm_ros.load(name)


def model_key(name: str) -> str:
    """A model's name and fingerprint, fit for a folder's name."""
    return _key(name, model_of(name).fingerprint)


@lru_cache(maxsize=8)
def detector_key(name: str) -> str:
    """The same of the detector of uncompressed pictures alone."""
    return _key(name, fingerprint(find_model(name), ("backbone", "reference")))


def _key(name: str, digest: bytes) -> str:
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in model_of(name).name)
    return f"{plain}-{digest.hex()[:8]}"


def settings(config: BenchmarkConfig, dataset: DatasetConfig) -> list[Setting]:
    """Every point of every curve on a data set."""
    ours = config.model
    detectors = (ours, *map(str, config.detectors))
    points = [Setting(UNCOMPRESSED, "pictures", None, UNCOMPRESSED, detectors)]
    ablations = config.ablations.items() if dataset.ablations else ()
    for anchor, model in ((OURS, ours), *((ABLATION + name, str(path)) for name, path in ablations)):
        points += [
            Setting(anchor, model_key(model), quality, OURS, (model,), model=model) for quality in config.qualities
        ]
    network = model_of(ours).config
    for name, anchor in config.anchors.items():
        modes = ("interleaved", "stacked") if anchor.mode == "video" else (anchor.mode,)
        if (anchor.mode == "video" and not dataset.video) or name not in (dataset.anchors or config.anchors):
            continue
        for size, qualities in anchor.qualities.items():
            area = (network.input_width, network.input_height) if size == "input" else None
            for mode in modes:
                default = "faster" if anchor.codec == "features" else PRESETS.get(anchor.codec, "")
                for preset in anchor.presets or (default,):
                    if preset in anchor.presets and preset in dataset.without_presets:
                        continue
                    words = [mode if anchor.mode == "video" else "", preset]
                    model = ""
                    if anchor.codec in ("features", "learned"):
                        model = ours if anchor.codec == "features" else str(anchor.model)
                        words += [detector_key(model) if anchor.codec == "features" else model_key(model)]
                    elif area:
                        words += [f"input{area[0]}x{area[1]}"]
                    else:
                        words += ["full"]
                    variant = "-".join(word for word in words if word)
                    whose = (ours,) if anchor.codec == "features" else detectors
                    points += [
                        Setting(name, variant, quality, anchor.codec, whose, mode, preset, area, model)
                        for quality in qualities
                    ]
    return points


@dataclass(frozen=True)
class Job:
    """Some groups of frames through one setting, by one worker.

    Attributes:
        dataset: of these frames.
        groups: names of the frames of each group.
        out: folder of the data set's results.
        threads: that the worker may use.
    """

    setting: Setting
    dataset: DatasetConfig
    groups: tuple[tuple[str, ...], ...]
    out: Path
    threads: int

    @property
    def frames(self) -> int:
        return sum(map(len, self.groups))


@dataclass(frozen=True)
class Judgement:
    """The figures of one setting with one detector, by one worker."""

    setting: Setting
    dataset: DatasetConfig
    detector: str
    names: tuple[str, ...]
    out: Path
    replicates: int
    threads: int


@lru_cache(maxsize=8)
def frames_of(path: Path, split: str | None) -> KittiFrames:
    """A data set's labelled frames, opened once in a process."""
    from sicm_ros.kitti import open_kitti

    return open_kitti(path, split, labelled=True)


def code(job: Job) -> int:
    """Streams and detections of a job's frames, where they aren't there yet. Returns the number of frames."""
    from sicm_ros.kitti import from_detections
    from sicm_ros.kitti.labels import format_labels

    frames = frames_of(job.dataset.path, job.dataset.split)
    coder = job.setting.coder(job.threads)
    folder = job.out / job.setting.folder
    for names in job.groups:
        group = [frames.frame(name) for name in names]
        files = stream_files(folder, names[0], coder.suffixes)
        if not all(path.exists() for path in files):
            for path, data in zip(files, coder.encode(group), strict=True):
                write(path, data)
        streams = [path.read_bytes() for path in files]
        setting = job.setting
        missing = [d for d in setting.detectors if not all(p.exists() for p in _found(folder, setting, d, names))]
        if not missing:
            continue
        for detector, found in zip(missing, coder.detect(group, streams, [model_of(d) for d in missing]), strict=True):
            for frame, path, detections in zip(group, _found(folder, setting, detector, names), found, strict=True):
                labels = from_detections(detections).moved(-frame.source.left_origin_shift)
                write(path, format_labels(labels).encode())
    return job.frames


def judge(job: Judgement) -> int:
    """Writes the point of a setting and a detector, whose frames are all there."""
    from sicm_ros.benchmark import accuracy

    frames = [frames_of(job.dataset.path, job.dataset.split).frame(name) for name in job.names]
    folder = job.out / job.setting.folder
    sizes = {}
    for group in _groups(job.names, job.dataset.video if job.setting.video else 1):
        size = sum(path.stat().st_size for path in (folder / "streams").glob(f"{group[0]}.*")) / len(group)
        for name in group:
            width, height = frames[job.names.index(name)].size
            sizes[name] = size, size * 8 / (2 * width * height)
    key = job.setting.key(job.detector)
    point = accuracy.judge(frames, sizes, folder / key, job.setting.quality, job.replicates, progress=False)
    tree = {"frames": len(frames), "of": _digest(job.names), "replicates": job.replicates, **asdict(point)}
    write(folder / f"{key}.json", json.dumps(tree).encode())
    return 1


def stream_files(folder: Path, name: str, suffixes: tuple[str, ...]) -> list[Path]:
    """Files of the streams of a group that begins with frame `name`."""
    return [folder / "streams" / f"{name}.{suffix}" for suffix in suffixes]


def _found(folder: Path, setting: Setting, detector: str, names: Sequence[str]) -> list[Path]:
    return [folder / setting.key(detector) / f"{name}.txt" for name in names]


def _done(folder: Path, setting: Setting, names: Sequence[str]) -> bool:
    return all(path.exists() for detector in setting.detectors for path in _found(folder, setting, detector, names))


def _groups(names: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(names[i : i + size]) for i in range(0, len(names), size)]


def _digest(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def write(path: Path, data: bytes) -> None:
    """A file that is whole whenever it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part{os.getpid()}")
    part.write_bytes(data)
    os.replace(part, path)


def read_point(out: Path, setting: Setting, detector: str, names: Sequence[str]) -> Point | None:
    """The point of a setting and a detector on just these frames; None where it isn't there yet."""
    from sicm_ros.benchmark.accuracy import Point

    path = out / setting.folder / f"{setting.key(detector)}.json"
    if not path.exists():
        return None
    tree = json.loads(path.read_text())
    if tree.pop("of") != _digest(names):
        return None
    del tree["frames"], tree["replicates"]
    return Point(**tree)


# ---------------------------------------------------------------------------------------------------------------------
# Workers


def _start(threads: int) -> None:
    import cv2
    import torch

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)


Share = Callable[[Callable[[Any], int], Sequence[Any]], Iterator[tuple[Any, Any]]]
"""(work, jobs) -> (job, its result or its SicmError), as they are done."""


@contextmanager
def sharing(workers: int, ray_address: str | None, threads: int) -> Iterator[Share]:
    """Who does the jobs: this process, several, or a Ray cluster whose machines see the same files."""
    if ray_address is not None:
        try:
            import ray
        except ImportError:
            raise DependencyError("--ray needs Ray: pip install 'sicm_ros[ray]'") from None
        ray.init(address=None if ray_address == "local" else ray_address, log_to_driver=False)
        try:
            yield _on_ray
        finally:
            ray.shutdown()
    elif workers <= 1:
        _start(threads)
        yield lambda work, jobs: ((job, _attempt(work, job)) for job in jobs)
    else:
        context = multiprocessing.get_context("spawn")  # a fork would copy PyTorch's threads at work
        with ProcessPoolExecutor(workers, context, initializer=_start, initargs=(threads,)) as pool:
            try:
                yield partial(_in_pool, pool)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def _in_pool(pool: ProcessPoolExecutor, work: Callable[[Any], int], jobs: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    futures = {pool.submit(_attempt, work, job): job for job in jobs}
    for future in as_completed(futures):
        yield futures[future], future.result()


def _on_ray(work: Callable[[Any], int], jobs: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    import ray

    remote = ray.remote(_attempt_in_worker)
    waiting = {remote.options(num_cpus=job.threads).remote(work, job): job for job in jobs}
    while waiting:
        done, _ = ray.wait(list(waiting), num_returns=1)
        for reference in done:
            yield waiting.pop(reference), ray.get(reference)


def _attempt(work: Callable[[Any], int], job: Any) -> int | SicmError:
    """The result, or the error that the user can mend: one bad anchor doesn't stop the others."""
    try:
        return work(job)
    except SicmError as error:
        return error


def _attempt_in_worker(work: Callable[[Any], int], job: Any) -> int | SicmError:
    _start(job.threads)
    return _attempt(work, job)


# ---------------------------------------------------------------------------------------------------------------------
# The run


def prepare(config: BenchmarkConfig, out: Path, data: dict[str, Path], workers: int = 1) -> BenchmarkConfig:
    """Fills in the paths of the data sets (renders what is to be rendered) and writes OUT/run.yaml.

    Args:
        data: data set's name -> path, for those that the configuration leaves open, or instead of the one it has.

    Raises:
        InputError: a data set has no path, or OUT holds results of another one of that name.
    """
    unknown = set(data) - set(config.datasets)
    if unknown:
        raise InputError(f"--data {unknown.pop()}=...: no such data set; expected one of {', '.join(config.datasets)}")
    filled = {}
    for name, dataset in config.datasets.items():
        path = data.get(name, dataset.path)
        if path is None and dataset.rendered is not None:
            path = out / "data" / name
            _render(dataset, path, name, workers)
        if path is None:
            raise InputError(f"data set {name!r} ({dataset.what}) has no path; give --data {name}=PATH")
        filled[name] = dataset.model_copy(update={"path": path.resolve(), "rendered": None})
        _guard(out / name, names_of(filled[name]), filled[name])
    config = config.model_copy(update={"datasets": filled})
    out.mkdir(parents=True, exist_ok=True)
    (out / "run.yaml").write_text(yaml.safe_dump(json.loads(config.model_dump_json()), sort_keys=False))
    return config


def _render(dataset: DatasetConfig, path: Path, name: str, workers: int) -> None:
    from sicm_ros.synth.dataset import Recipe, generate

    recipe = Recipe(dataset.rendered.frames, dataset.rendered.seed, dataset.rendered.sequences)
    with tqdm(total=recipe.frames, unit="pair", desc=f"rendering {name}") as bar:
        for done in generate(recipe, path, workers):
            bar.update(done)


def names_of(dataset: DatasetConfig) -> tuple[str, ...]:
    """Names of the frames that a data set's configuration takes."""
    names = tuple(frames_of(dataset.path, dataset.split).names[: dataset.limit])
    if not names:
        raise InputError(f"{dataset.path}: no labelled frame{f' in split {dataset.split}' if dataset.split else ''}")
    return names


def _guard(out: Path, names: tuple[str, ...], dataset: DatasetConfig) -> None:
    """InputError if OUT/<data set> was made of other frames."""
    path = out / "dataset.json"
    frames = frames_of(dataset.path, dataset.split)
    if path.exists():
        told = json.loads(path.read_text())
        same = told["frame"] in frames.names and told["left_sha256"] == _sha(frames.frame(told["frame"]).left)
        if not same:
            raise InputError(f"{out} holds results of another data set than {dataset.path}; choose another --out")
    else:
        tree = {"frame": names[0], "left_sha256": _sha(frames.frame(names[0]).left)}
        write(path, json.dumps(tree).encode())


def _sha(picture) -> str:
    return hashlib.sha256(picture.tobytes()).hexdigest()


def run(
    config: BenchmarkConfig, out: Path, workers: int = 1, ray_address: str | None = None, threads: int | None = None
) -> list[str]:
    """Codes, detects and judges all that is missing in OUT, of a configuration that `prepare` filled in.

    Args:
        workers: processes; 1 works in this one.
        ray_address: of a cluster to share the work with instead, "local" for one that is started here.
        threads: of each worker; None shares this machine's cores out, and gives one to each worker on Ray.

    Returns what failed, a sentence for each; those settings are tried again by the next run.
    """
    # Of a cluster's machines nothing is known, and single threads waste least.
    threads = threads or (1 if ray_address else max(1, (os.cpu_count() or 1) // max(workers, 1)))
    work = batches(config)
    coding = [_coding_jobs(batch, out, threads) for batch in work]
    failures: dict[str, str] = {}
    with (
        sharing(workers, ray_address, threads) as share,
        tqdm(total=sum(job.frames for jobs in coding for job in jobs), unit="pair", smoothing=0.05) as bar,
    ):
        for batch, jobs in zip(work, coding):
            bar.set_description(f"{batch.name}: {batch.title}")
            for job, result in share(code, jobs):
                if isinstance(result, SicmError):
                    failures[f"{batch.name}/{job.setting.folder}"] = str(result)
                bar.update(job.frames)
            judging = _judging_jobs(batch, out, config.replicates, threads)
            judging = [job for job in judging if f"{batch.name}/{job.setting.folder}" not in failures]
            for job, result in share(judge, judging):
                if isinstance(result, SicmError):
                    failures[f"{batch.name}/{job.setting.folder}"] = str(result)
    return [f"{where}: {why}" for where, why in failures.items()]


@dataclass(frozen=True)
class Batch:
    """Points that are finished together, figures and all, so that a run that stops leaves whole curves.

    Attributes:
        name: of the data set.
        title: for people.
        names: of the frames.
    """

    name: str
    title: str
    dataset: DatasetConfig
    names: tuple[str, ...]
    settings: list[Setting]


def batches(config: BenchmarkConfig) -> list[Batch]:
    """The work in order: every data set with each anchor's first preset, ours first; then the second presets, ..."""
    found: dict[tuple[int, int, int], Batch] = {}
    anchors = list(config.anchors)
    for number, (name, dataset) in enumerate(config.datasets.items()):
        for setting in settings(config, dataset):
            position, rank, title = -1, 0, OURS
            if setting.anchor in config.anchors:
                presets = config.anchors[setting.anchor].presets
                position, rank = anchors.index(setting.anchor), presets.index(setting.preset) if presets else 0
                title = f"{setting.anchor} {setting.preset}".strip()
            empty = Batch(name, title, dataset, names_of(dataset), [])
            found.setdefault((rank, number, position), empty).settings.append(setting)
    return [found[key] for key in sorted(found)]


def _coding_jobs(batch: Batch, out: Path, threads: int) -> list[Job]:
    jobs = []
    for setting in batch.settings:
        folder = out / batch.name / setting.folder
        groups = _groups(batch.names, batch.dataset.video if setting.video else 1)
        missing = [group for group in groups if not _done(folder, setting, group)]
        step = 1 if setting.video else CHUNK
        for i in range(0, len(missing), step):
            jobs.append(Job(setting, batch.dataset, tuple(missing[i : i + step]), out / batch.name, threads))
    return jobs


def _judging_jobs(batch: Batch, out: Path, replicates: int, threads: int) -> list[Judgement]:
    return [
        Judgement(setting, batch.dataset, detector, batch.names, out / batch.name, replicates, threads)
        for setting in batch.settings
        for detector in setting.detectors
        if read_point(out / batch.name, setting, detector, batch.names) is None
    ]


def load_run(out: Path) -> BenchmarkConfig:
    """The configuration of a run's folder; InputError if there is none."""
    path = out / "run.yaml"
    if not path.is_file():
        raise InputError(f"{out} is no benchmark's folder: no run.yaml; expected --out of `sicm bench run`")
    return BenchmarkConfig.model_validate(yaml.safe_load(path.read_text()))


def time_codecs(config: BenchmarkConfig, out: Path, threads: int | None = None) -> None:
    """OUT/times.json: ours beside other encoders, on pairs of the first data set, in this process alone."""
    from sicm_ros.benchmark import speed

    threads = threads or os.cpu_count() or 1
    _start(threads)
    dataset = next(iter(config.datasets.values()))
    names = names_of(dataset)
    frames = frames_of(dataset.path, dataset.split)
    pairs = [frames.frame(names[i * len(names) // config.speed.pairs]) for i in range(config.speed.pairs)]
    for pair in pairs:
        _ = pair.left, pair.right, pair.calibration  # read before the clock starts
    times = speed.measure(
        model_of(config.model),
        pairs,
        threads,
        config.speed.repeats,
        progress=lambda rounds: tqdm(rounds, "timing", unit="pair"),
        memory_of=config.model,
    )
    write(out / TIMES, json.dumps(times, indent=1).encode())
