# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Starts the nodes as processes of their own, waits until the last pair is answered, ends them."""

from __future__ import annotations

import time
from pathlib import Path

from tqdm import tqdm

from sicm_ros.bags.source import LEFT_INFO, RIGHT_INFO, StereoSource
from sicm_ros.pipeline.processes import (
    READY,
    PipelineError,
    Process,
    both_at_work,
    check,
    check_ros,
    end,
    expect,
    processes,
    reliable,
)

LOSSY_ANSWER = 3.0  # seconds to wait for an answer where it may never come
LINK_SEED = 19  # one that shows losses of lte_poor within 30 pairs: 2, as on average
COMPLETE = 60.0  # seconds that completing the recording may take at most
QUIET = 5.0  # seconds of silence after the last image in which an answer would have come


def run_pipeline(
    source: StereoSource,
    recording: Path,
    logs: Path,
    *,
    model: str,
    quality: float,
    rate: float = 1.0,
    paced: bool = True,
    answer_timeout: float = 20.0,
    progress: bool = True,
    preset: str = "auto",
    topics: tuple[str, str] = ("", ""),
    link: str = "",
) -> None:
    """Play the source through encoder and decoder over DDS and record what they say.

    Args:
        source: what to play; its path is handed to the replay node.
        recording: bag to write.
        logs: folder for a log per process.
        model, quality: of the encoder and decoder.
        rate: speed of the replay relative to the recording; an upper limit when paced.
        paced: each pair waits for the answer to the one before, so that no pair is lost on a slow machine.
        answer_timeout: longest wait for an answer, seconds.
        progress: show a bar.
        preset, topics: the bag's layout, as `open_stereo` takes them.
        link: profile of an emulated link between encoder and decoder (`sicm_ros.link.profiles`); empty for none.

    Raises:
        PipelineError: a process ended on its own account or never became ready.
        DependencyError: there is no ROS 2 in this Python.
    """
    check_ros()
    shared = both_at_work(model, in_turn=paced and not link)
    encoder = {
        **shared,
        **reliable((*source.topics, LEFT_INFO, RIGHT_INFO)),
        "quality": float(quality),
        "compressed": source.compressed,
        "pair_tolerance": source.tolerance * 1e-9,
    }
    replay = {
        "path": str(source.path.resolve()),
        "preset": preset,
        "left_topic": topics[0],
        "right_topic": topics[1],
        "pair_tolerance": source.tolerance * 1e-9,
        "assume_rectified": source.assume_rectified,
        "baseline": float(source.baseline),
        "rectify": source.rectify,
        "calibration_file": str(Path(source.calibration_file).resolve()) if source.calibration_file else "",
        "rate": float(rate),
        "wait_for_subscribers": 60.0,
        "acknowledge": "detections" if paced else "",
        "acknowledge_timeout": float(min(answer_timeout, LOSSY_ANSWER) if link else answer_timeout),
    }
    with processes(logs) as start:
        recorder = start("recorder", {"out": str(recording.resolve()), "link": bool(link)})
        nodes = [recorder, start("encoder", encoder)]
        if link:
            nodes.append(start("link", {"profile": link, "seed": LINK_SEED}))
            # However many messages come at once after an outage, the decoder sees and counts each of them.
            depth = {"qos_overrides./link/features.subscription.depth": 200}
            nodes.append(start("decoder", {**shared, **depth}, "-r", "features:=link/features"))
        else:
            nodes.append(start("decoder", shared))
        with tqdm(total=source.count, unit="pair", desc="loading the model", disable=not progress) as bar:
            expect("listening", recorder, nodes, 60.0)
            expect("ready", recorder, nodes, READY)
            bar.set_description("encoded, sent, decoded")
            _follow(recorder, nodes, start("replay", replay), source.count, bar)
        end(recorder, COMPLETE)


def _follow(recorder: Process, nodes: list[Process], player: Process, pairs: int, bar: tqdm) -> None:
    """Wait until the player has ended and the nodes have reported what they did until then."""
    answered = reports = 0
    finished: float | None = None
    moved = time.monotonic()  # when something but a report last came
    while True:
        topic, _, count = (recorder.line() or "").partition(" ")
        if topic == "detections":
            answered = int(count)
            bar.update(answered - bar.n)
        reports += topic == "/diagnostics" and finished is not None
        if topic and topic != "/diagnostics":
            moved = time.monotonic()
        check(nodes)
        if finished is None and player.ended:
            if player.popen.returncode:
                raise PipelineError(f"replay: {player.complaint()}")
            finished = time.monotonic()
        if finished is not None:
            # Each node reports once a second: four further reports hold the last pair's times and counts of both.
            done = answered >= pairs and reports >= 4
            if done or time.monotonic() - max(finished, moved) > QUIET:
                return
