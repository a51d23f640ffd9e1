# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A benchmark run: every codec at every quality on every frame, streams and detections kept as files (`store`).

What is there is not made again: a run that was stopped goes on, one with more anchors adds them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import yaml
from tqdm import tqdm

from sicm_ros.benchmark import accuracy, store
from sicm_ros.benchmark.config import BenchmarkConfig, DatasetConfig
from sicm_ros.benchmark.settings import OURS, Setting, detector_of, model_of, settings
from sicm_ros.benchmark.stopwatch import stopwatch
from sicm_ros.benchmark.store import TIMES, frames_of, names_of, read_point
from sicm_ros.cores import cores
from sicm_ros.errors import InputError, SicmError
from sicm_ros.files import write_bytes, write_text
from sicm_ros.workers import limit_threads, sharing

CHUNK = 8  # groups of frames in one job: enough to load models seldom, few enough to share out


def prepare(config: BenchmarkConfig, out: Path, data: dict[str, Path], workers: int = 1) -> BenchmarkConfig:
    """Fill in the paths of the data sets (render what is to be rendered) and write OUT/run.yaml.

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
        filled[name] = replace(dataset, path=path.resolve(), rendered=None)
        store.guard(out / name, names_of(filled[name]), filled[name])
    config = replace(config, datasets=filled)
    write_text(out / "run.yaml", yaml.safe_dump(config.tree(), sort_keys=False))
    return config


def _render(dataset: DatasetConfig, path: Path, name: str, workers: int) -> None:
    from sicm_ros.synth.dataset import WorldRecipe, generate

    assert dataset.rendered is not None, f"{name}: nothing to render"
    recipe = WorldRecipe(dataset.rendered.frames, dataset.rendered.seed, dataset.rendered.sequences)
    with tqdm(total=recipe.frames, unit="pair", desc=f"rendering {name}") as bar:
        for rendered in generate(recipe, path, workers):
            bar.update(rendered)


def run(
    config: BenchmarkConfig, out: Path, workers: int = 1, ray_address: str | None = None, threads: int | None = None
) -> list[str]:
    """Code, detect and judge all that is missing in OUT, of a configuration that `prepare` filled in.

    Args:
        workers: processes; 1 works in this one.
        ray_address: of a cluster to share the work with instead, "local" for one that is started here.
        threads: of each worker; None shares this machine's cores out, and gives one to each worker on Ray.

    Returns what failed, a sentence for each; those settings are tried again by the next run.
    """
    # Of a cluster's machines nothing is known, and single threads waste least.
    threads = threads or (1 if ray_address else max(1, cores() // max(workers, 1)))
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
    """Return the work in order: every data set with each anchor's first preset, ours first; then the
    second presets, ...
    """
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


def _coding_jobs(batch: Batch, out: Path, threads: int) -> list[CodingJob]:
    jobs = []
    for setting in batch.settings:
        folder = out / batch.name / setting.folder
        groups = store.groups_for(setting, batch.names, batch.dataset.video)
        missing = [group for group in groups if not store.done(folder, setting, group)]
        step = 1 if setting.video else CHUNK
        for i in range(0, len(missing), step):
            jobs.append(CodingJob(setting, batch.dataset, tuple(missing[i : i + step]), out / batch.name, threads))
    return jobs


def _judging_jobs(batch: Batch, out: Path, replicates: int, threads: int) -> list[JudgingJob]:
    return [
        JudgingJob(setting, batch.dataset, detector, batch.names, out / batch.name, replicates, threads)
        for setting in batch.settings
        for detector in setting.detectors
        if read_point(out / batch.name, setting, detector, batch.names) is None
    ]


@dataclass(frozen=True)
class CodingJob:
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
class JudgingJob:
    """The figures of one setting with one detector, by one worker."""

    setting: Setting
    dataset: DatasetConfig
    detector: str
    names: tuple[str, ...]
    out: Path
    replicates: int
    threads: int


def code(job: CodingJob) -> int:
    """Make streams and detections of a job's frames, where they aren't there yet. Return the number of frames."""
    setting, folder = job.setting, job.out / job.setting.folder
    frames = frames_of(job.dataset.path, job.dataset.split)
    coder = setting.coder(job.threads)
    for names in job.groups:
        group = [frames.frame(name) for name in names]
        _ = [(pair.left, pair.right, pair.calibration) for pair in group]  # read before a clock starts
        files = store.stream_files(folder, setting, names, coder.suffixes)
        made = [path.read_bytes() for path in files] if all(path.exists() for path in files) else None
        missing = [d for d in setting.detectors if not store.found(folder, setting, d, names)]
        seconds = store.seconds_file(folder, names[0])
        took: dict[str, dict[str, float]] = json.loads(seconds.read_text()) if seconds.exists() else {}
        streams = made
        if streams is None:
            with stopwatch(took, "encode"):
                streams = coder.encode(group)
            for path, data in zip(files, streams, strict=True):
                write_bytes(path, data)
        with stopwatch(took, "decode"):
            decoded = coder.decode(group, streams)
        with stopwatch(took, "detect"):
            found = coder.detect(group, decoded, [detector_of(d) for d in missing])
        write_text(seconds, json.dumps({what: took[what] for what in sorted(took)}))
        for detector, of_frames in zip(missing, found, strict=True):
            paths = store.found_files(folder, setting, detector, names)
            for frame, path, detections in zip(group, paths, of_frames, strict=True):
                accuracy.write_found(path, detections, frame)
    return job.frames


def judge(job: JudgingJob) -> int:
    """Write the point of a setting and a detector, whose frames are all there."""
    frames = [frames_of(job.dataset.path, job.dataset.split).frame(name) for name in job.names]
    folder = job.out / job.setting.folder
    sizes: dict[str, tuple[float, float]] = {}
    streams = store.all_streams(folder, job.setting, job.names, job.dataset.video)
    for group, files in streams.items():
        size = sum(path.stat().st_size for path in files) / len(group)
        sizes |= {name: accuracy.size_of(frames[job.names.index(name)], size) for name in group}
    key = job.setting.key(job.detector)
    point = accuracy.judge(frames, sizes, folder / key, job.setting.quality, job.replicates, progress=False)
    tree = {"frames": len(frames), "of": store.digest(job.names), "replicates": job.replicates, **asdict(point)}
    write_text(folder / f"{key}.json", json.dumps(tree))
    return 1


def time_codecs(config: BenchmarkConfig, out: Path, threads: int | None = None) -> None:
    """Write OUT/times.json: ours beside other encoders, on pairs of the first data set, in this process alone."""
    from sicm_ros.benchmark import speed

    threads = threads or cores()
    limit_threads(threads)
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
    write_text(out / TIMES, json.dumps(times, indent=1))
