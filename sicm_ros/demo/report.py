# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The report: one HTML file that needs nothing else, to be opened anywhere."""

from __future__ import annotations

import json
from base64 import b64encode
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from sicm_ros.demo.summary import JPEG_QUALITY, RATE, Run
from sicm_ros.files import write_text

STAGE_NAMES = {
    "decode_images": "images from messages",
    "encode": "features and bitstream",
    "track": "tracking",
    "publish": "publish",
    "since_arrival": "total, from arrival to publication",
    "decode": "bitstream to detections",
    "transit": "on the emulated link",
}


def write_report(run: Run, path: Path) -> None:
    """Write the report of a run."""
    page = Template(resources.files("sicm_ros.demo").joinpath("report.html").read_text())
    write_text(path, page.substitute(_parts(run)))


def _parts(run: Run) -> dict[str, str]:
    facts = run.as_json()
    labelled = facts["labels"] is not None
    lost = run.played - len(run.answered)
    name = Path(run.source).name
    model = f"model {run.model} ({run.fingerprint})" if run.model else "the encoder never described its model"
    causes = ", ".join(f"{cause} {number}" for cause, number in run.lost.items())
    warning = f'<p class="bad">{lost} of {run.played} pairs were lost: {escape(causes)}.</p>' if lost else ""
    warning += "".join(f'<p class="bad">{escape(note)}.</p>' for note in run.notes)
    computed = ", ".join(
        f"{node} by {by['engine']} ({by.get('provider', '')}) in {by['number_type']}, {by['threads']} threads"
        for node, by in run.computed.items()
        if "engine" in by
    )
    computed = f" Engines: {computed}." if computed else ""
    pace = "Each pair waited for the answer to the previous one." if run.paced else "Pairs were sent at their own pace."
    link = f" Features went through an emulated link ({run.link['profile']})." if run.link else ""
    return {
        "title": escape(name),
        "heading": escape(f"{name}: {len(run.answered)} of {run.played} stereo pairs answered"),
        "subtitle": escape(f"{model}, quality {run.quality:g}" + (f", link {run.link['profile']}" if run.link else "")),
        "warning": warning,
        "tiles": _tiles(facts),
        "label_key": '<i style="background:var(--label)"></i>labels' if labelled else "",
        "sizes": _sizes(run),
        "stages": _stages(run),
        "method": escape(
            "Replay, encoder and decoder were separate processes that talked over DDS on one machine; the decoder saw "
            f"no image. {pace}{link}{computed} Bytes are those of the whole feature message as serialised: header, "
            f"calibration, payload. kbit/s are at {RATE:g} Hz. PNG (by OpenCV) and JPEG (quality "
            f"{JPEG_QUALITY}) count both "
            "images of a pair. Boxes: the crossed face, or the tick from above, is the front; thin lines from above "
            "are where an object was in the pairs before, as the camera saw it. Agreement is the F1 of "
            "a pair's detections against those of the same network on the uncompressed images (centres within 2 m)."
        ),
        "data": _data(run),
    }


def _tiles(facts: dict[str, Any]) -> str:
    def tile(number: str, text: str) -> str:
        return f'<div class="card tile"><b>{escape(number)}</b><span>{escape(text)}</span></div>'

    size, jpeg = facts["bytes_per_pair_mean"], facts["jpeg90_bytes_per_pair"]
    tiles = [tile(f"{facts['pairs_out']} / {facts['pairs_in']}", "pairs out / in")]
    if size:
        tiles.append(tile(f"{size:,.0f} bytes", "per pair on average, everything included"))
        tiles.append(tile(f"{facts['kbit_per_s']:,.1f} kbit/s", f"at {RATE:g} Hz"))
        tiles.append(tile(f"{jpeg / size:,.0f} ×", f"smaller than JPEG {JPEG_QUALITY}"))
    if facts["latency_ms_p50"] is not None:
        tiles.append(
            tile(f"{facts['latency_ms_p50']:,.0f} ms", f"latency, median (p95 {facts['latency_ms_p95']:,.0f} ms)")
        )
    if facts["agreement_mean"] is not None:
        tiles.append(tile(f"{100 * facts['agreement_mean']:.0f} %", "agreement with uncompressed detections"))
    tiles.append(
        tile(
            str(facts["detections"]),
            "detections" + ("" if facts["labels"] is None else f", {facts['labels']} labelled objects"),
        )
    )
    return "".join(tiles)


def _sizes(run: Run) -> str:
    ours = run.mean("bytes")
    measured = [("this stream", ours, "ours"), (f"JPEG, quality {JPEG_QUALITY}", run.mean("jpeg"), "")]
    measured += [("PNG, lossless", run.mean("png"), ""), ("raw images", run.mean("raw"), "")]
    rows = [(name, size, kind) for name, size, kind in measured if size]
    largest = max((size for _, size, _ in rows), default=1.0)
    cells = []
    for name, size, kind in rows:
        times = f"{size / ours:,.1f} ×" if ours else ""
        cells.append(
            f"<tr><td>{escape(name)}</td><td class=n>{size:,.0f}</td><td class=n>{size * 8 * RATE / 1e3:,.1f}</td>"
            f'<td class=n>{times}</td><td style="width:26%"><div class="meter {kind}" '
            f'style="width:{100 * size / largest:.2f}%"></div></td></tr>'
        )
    titles = ("", "bytes per pair", f"kbit/s at {RATE:g} Hz", "", "")
    head = "".join(f"<th class=n>{title}</th>" for title in titles)
    return f"<table><tr>{head}</tr>{''.join(cells)}</table>"


def stage_name(stage: str) -> str:
    """Return a stage in words; parts of encoding and decoding are set in."""
    if stage in STAGE_NAMES:
        return STAGE_NAMES[stage]
    return "· " + stage.removeprefix("encode_").removeprefix("decode_").replace("_", " ")


def _stages(run: Run) -> str:
    rows = "".join(
        f"<tr><td>{escape(node)}</td><td>{escape(stage_name(stage))}</td>"
        f"<td class=n>{median:,.1f}</td><td class=n>{p95:,.1f}</td></tr>"
        for node, stages in run.stages.items()
        for stage, (median, p95) in stages.items()
        if stage != "total"  # since_arrival holds it and the wait before it
    )
    return f"<table><tr><th>node</th><th>stage</th><th class=n>median</th><th class=n>p95</th></tr>{rows}</table>"


def _data(run: Run) -> str:
    first = run.pairs[0].stamp if run.pairs else 0
    pairs = [
        {
            "t": round((p.stamp - first) / 1e9, 3),
            "bytes": p.bytes,
            "latency": None if p.latency is None else round(p.latency * 1e3, 1),
            "agreement": None if p.agreement is None else round(100 * p.agreement),
            "detections": None if p.boxes is None else len(p.boxes),
        }
        for p in run.pairs
    ]
    shown = [i for i, p in enumerate(run.pairs) if p.frame is not None]
    frames = [
        {"pair": i, "picture": b64encode(p.frame[0]).decode(), "above": b64encode(p.frame[1]).decode()}
        for i, p in enumerate(run.pairs)
        if p.frame is not None
    ]
    every = shown[1] - shown[0] if len(shown) > 1 else 1
    # "<" can't close the script element when it is written as an escape.
    return json.dumps({"pairs": pairs, "frames": frames, "every": every}).replace("<", "\\u003c")
