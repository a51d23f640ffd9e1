# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm bench report`: a run's folder to report.html, results.json and the figures as images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from html import escape
from pathlib import Path

import cv2
import numpy as np

from sicm_ros.benchmark import comparison, figures, page, pseudo
from sicm_ros.benchmark.curves import KBIT, rate_text
from sicm_ros.benchmark.figures import label_of
from sicm_ros.benchmark.results import HEADLINE, METRICS, DatasetResults, read_results, times_of, tree_of
from sicm_ros.benchmark.settings import ABLATION, OURS, STREAM, model_of
from sicm_ros.benchmark.speed import cost_lines
from sicm_ros.benchmark.store import load_run
from sicm_ros.benchmark.table import SUMS, TABLE, write_table
from sicm_ros.files import write_bytes, write_text
from sicm_ros.geometry import LIKELY

STRONGEST = "vvc_two_view"  # of which the interval is drawn beside ours
FRAMES = 2  # in the visual comparison

METHOD = (
    "Every curve comes from real bitstreams. Bytes are file sizes and include parameter sets, headers and, in ours, "
    "the calibration; nothing is omitted because it could have been sent before. Only in video and in our stream "
    "pairs rely on earlier ones of their drive. Bits per pixel refer to both views at the camera's size, whatever size "
    "was coded.",
    "Images from the anchors' decoders go to our network's uncompressed detector. If several detectors or "
    "variants (encoder preset, image size) were tried, the best counts: each variant's curve, ours too, is first "
    "made monotone (isotonic regression), then the Pareto front of all variants is taken. Faint markers show "
    "every point as measured.",
    "BD-rate: Bjontegaard's delta on AP of moderate cars at overlap 0.5 (R40) over the logarithm of the rate, PCHIP; "
    "negative: ours needs fewer bits. Overlap: the AP range that both reach, divided by the range that either reaches. "
    "No figure without overlap, or if a front has fewer than three points.",
    "Intervals: 95 % over resampled frames, with the whole evaluation repeated on each draw.",
    "No PSNR: nobody looks at these images, and they keep what a detector needs.",
)


def write_report(out: Path) -> list[str]:
    """Write report.html, results.json and images into a run's folder; return lines for the terminal."""
    config = load_run(out)
    results = read_results(config, out)
    results = [r for r in results if OURS in r.curves]
    times = times_of(out)
    model = model_of(config.model)
    about = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "model": model.name,
        "model_fingerprint": model.fingerprint.hex(),
        "licence": model.licence,
        "headline": f"{results[0].name}: cars, moderate, overlap {HEADLINE}, R40, per cent",
    }
    tree = tree_of(results, times, about)
    for r in results:
        tree["datasets"][r.name]["pseudo_truth"] = pseudo.validated(r, out)
    write_text(out / "results.json", json.dumps(tree, indent=1) + "\n")
    write_table(results, out)
    written = ["report.html: curves, tables, images", "results.json: the figures"]
    written += [f"{TABLE}: a row for each point", f"{SUMS}: of all streams"]
    body = []
    for r in results:
        html, files = _dataset(r, tree["datasets"][r.name], out)
        body.append(html)
        written += files
    if times:
        body.append(_times(times))
    title = f"{model.name}: rate and accuracy, compared with {len(results[0].anchors)} anchors"
    subtitle = f"model {model.fingerprint.hex()}, licence {model.licence}; input {model.config.input_width} x "
    subtitle += f"{model.config.input_height}"
    write_text(out / "report.html", page.page(title, subtitle, "".join(body), METHOD))
    lines = [f"{out / line}" for line in written]
    first = tree["datasets"][results[0].name]
    for anchor, rates in first["bd_rate"].items():
        reasons = first["bd_rate_refused"].get(anchor, {})
        told = ", ".join(f"{metric} {rate_text(rate, reasons.get(metric, ''))}" for metric, rate in rates.items())
        lines.append(f"BD-rate against {label_of(anchor)}: {told}")
    return lines


def _dataset(results: DatasetResults, tree: dict, out: Path) -> tuple[str, list[str]]:
    parts = [f"<h2>{escape(results.config.what or results.name)}: {len(results.names)} frames</h2>"]
    if results.missing:
        parts.append(f'<p class="bad">{results.missing} points are missing: run `sicm bench run` again.</p>')
    parts.append(_tiles(tree))
    written = []
    drawn = figures.rate_accuracy(results, [*results.anchors, STREAM], (OURS, STRONGEST))
    figures.save(drawn, out / f"curves_{results.name}.png")
    written.append(f"curves_{results.name}.png")
    parts.append(page.card(figures.svg(drawn), "Rate and accuracy"))
    parts.append(page.card(_table(results, tree), "Against each anchor"))
    if tree["pseudo_truth"]:
        parts.append(page.card(_pseudo(tree["pseudo_truth"]), "Pseudo ground truth beside labels"))
    if results.ablations:
        whole = [results.reference] if results.reference in results.curves else []
        drawn = figures.rate_accuracy(results, [*results.ablations, *(name for name in whole if name != OURS)])
        figures.save(drawn, out / f"ablations_{results.name}.png")
        written.append(f"ablations_{results.name}.png")
        names = [(name, rates) for name, rates in tree["bd_rate_of_ablations"].items()]
        why = {name.removeprefix(ABLATION): reasons for name, reasons in tree["bd_rate_refused"].items()}
        rows = [
            (name.replace("_", " "), *(rate_text(rates[m], why.get(name, {}).get(m, "")) for m in METRICS))
            for name, rates in names
        ]
        of = "ours" if results.reference == OURS else label_of(results.reference)
        table = page.table(("left out", *(f"BD-rate of {of}, {m}" for m in METRICS)), rows)
        parts.append(page.card(figures.svg(drawn) + table, "What each part brings"))
    html, files = _comparison(results, out)
    parts.append(html)
    parts.append(_points(results))
    return "".join(parts), written + files


def _tiles(tree: dict) -> str:
    numbers = []
    strongest = tree["bd_rate"].get(STRONGEST, {})
    for metric in METRICS:
        if strongest.get(metric) is not None:
            numbers.append((f"{strongest[metric]:+.0f} %", f"BD-rate on {metric} against two-view VVC at its best"))
    sizes = tree["bytes_per_pair_at_1_point_below_uncompressed"]
    ours, theirs = (sizes.get(name, {}).get("AP3D") for name in (OURS, STRONGEST))
    if ours is not None:
        numbers.append((f"{ours:,.0f} bytes", "per pair, ours, at 1 point of AP3D below uncompressed images"))
        if theirs is not None:
            numbers.append((f"{theirs / ours:.1f} ×", "as many bytes are needed by two-view VVC at its best"))
    return page.tiles(numbers) if numbers else ""


def _table(results: DatasetResults, tree: dict) -> str:
    titles = ["codec", "BD-rate AP3D", "overlap", "BD-rate APBEV", "overlap"]
    streamed = STREAM in results.curves
    titles += [f"BD-rate {metric} of the stream" for metric in METRICS if streamed]
    titles += ["bytes at 1 point below uncompressed", *(f"AP3D at {kbit} kbit/s" for kbit in KBIT)]
    rows = []
    own = [OURS, *([STREAM] if streamed else [])]
    for name in (*own, *results.anchors):
        rates, overlaps = tree["bd_rate"].get(name, {}), tree["bd_rate_overlap"].get(name, {})
        refused = tree["bd_rate_refused"].get(name, {})
        cells = [label_of(name)]
        for metric in METRICS:
            cells.append("" if name in own else rate_text(rates.get(metric), refused.get(metric, "")))
            cells.append(page.number(overlaps.get(metric), ".2f", ""))
        of_stream = tree["bd_rate_of_stream"].get(name, {})
        for metric in METRICS if streamed else ():
            cells.append("" if name in own else rate_text(of_stream.get(metric), refused.get(metric, "")))
        size = tree["bytes_per_pair_at_1_point_below_uncompressed"].get(name, {}).get("AP3D")
        cells.append(page.number(size, none="not reached"))
        cells += [page.number(tree["ap_at_kbit_per_s"][name][str(kbit)]["AP3D"], ".1f") for kbit in KBIT]
        rows.append(cells)
    if results.uncompressed is not None:
        point = results.uncompressed
        rows.append([f"uncompressed images: AP3D {point.ap('AP3D'):.1f}, APBEV {point.ap('APBEV'):.1f}"])
        rows[-1] += [""] * (len(titles) - 1)
    return page.table(titles, rows, ["ours"] * len(own) + [""] * (len(rows) - len(own)))


def _pseudo(tree: dict) -> str:
    """Return BD-rates against labels and against pseudo ground truth beside each other."""
    note = f"<p>Pseudo ground truth: {tree['boxes']:,} detections on uncompressed images, score {tree['min_score']:g} "
    return page.table(*pseudo.rows_of(tree, label_of)) + note + "and more.</p>"


def _comparison(results: DatasetResults, out: Path) -> tuple[str, list[str]]:
    points = comparison.equal_bits(results)
    parts = [page.KEY + f", score {LIKELY} and more</p>"]
    files = []
    for frame in comparison.busiest(results, FRAMES):
        drawn = comparison.panels(results, frame, points, out)
        parts.append(f"<h3>Frame {escape(frame.name)}</h3>")
        for panel in drawn:
            sent = "no image is sent: the camera's own, pale" if panel.anchor == OURS else panel.variant
            caption = f"{label_of(panel.anchor)} ({sent}): {panel.size:,.0f} bytes for this pair"
            parts.append(page.panel(comparison.jpeg(panel.picture), comparison.jpeg(panel.above), caption))
        files.append(f"comparison_{results.name}_{frame.name}.jpg")
        write_bytes(out / files[-1], comparison.jpeg(_sheet(drawn), 85))
    return page.card("".join(parts), "The same pairs at about equal bits"), files


def _sheet(panels: Sequence[comparison.Panel]) -> np.ndarray:
    """Return the panels of a frame below each other, for documents."""
    rows = []
    for panel in panels:
        text = f"{label_of(panel.anchor)}: {panel.size:,.0f} bytes"
        height = max(panel.picture.shape[0], panel.above.shape[0])
        row = np.full((height + 26, panel.picture.shape[1] + panel.above.shape[1] + 8, 3), 255, np.uint8)
        row[26 : 26 + panel.picture.shape[0], : panel.picture.shape[1]] = panel.picture
        row[26 : 26 + panel.above.shape[0], panel.picture.shape[1] + 8 :] = panel.above
        cv2.putText(row, text, (4, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (20, 20, 20), 1, cv2.LINE_AA)
        rows.append(row)
    return np.concatenate(rows)


def _points(results: DatasetResults) -> str:
    rows = []
    for name, points in results.curves.items():
        for m in points:
            cells = [f"{label_of(name)}, {m.setting.variant}, {m.setting.quality:g}"]
            cells += [page.number(m.point.bytes_per_pair), page.number(m.point.bpp, ".4f")]
            for metric in METRICS:
                for overlap in ("0.5", "0.7"):
                    low, high = m.interval(metric, overlap)
                    cells.append(f"{m.ap(metric, overlap):.1f} [{low:.1f}, {high:.1f}]")
            rows.append(cells)
    titles = ["codec, variant, quality", "bytes per pair", "bpp"]
    titles += [f"{metric} {overlap}" for metric in METRICS for overlap in ("0.5", "0.7")]
    return f"<details><summary>every point, cars, moderate</summary>{page.table(titles, rows)}</details>"


def _times(times: dict) -> str:
    ours = times["ours"]
    whole = page.number(ours["bytes"]), f"{ours['encode']:.1f}", f"{ours['decode']:.1f}"
    rows: list[tuple[str, ...]] = [("ours (decode with detection)", *whole, "", "")]
    marks = ["ours"]
    for stage, value in ours["stages"].items():
        side, name = stage.split(": ", 1)
        own = (f"{value:.1f}", "") if side == "encode" else ("", f"{value:.1f}")
        rows.append((f"  {name}", "", *own, "", ""))
        marks.append("part")
    for name, timing in times["others"].items():
        ratio = times["ratios"][name]
        cells = (page.number(timing["bytes"]), f"{timing['encode']:.1f}", f"{timing['decode']:.1f}")
        rows.append((name, *cells, f"{ratio['encode']:.3f}", f"{ratio['decode']:.3f}"))
        marks.append("")
    titles = ("codec", "bytes per pair", "encode, ms", "decode, ms", "encode, ours / theirs", "decode, ours / theirs")
    machine = times["machine"]
    note = (
        f"{times['threads']} threads of {machine['processor']}, {times['number_type']}, medians over {times['pairs']} "
        f"pairs x {times['repeats']} rounds, all codecs in turn. Starting an ffmpeg process, "
        f"{times['process_start']:.0f} ms, is taken off the others. Their decode ratio counts in the "
        f"{times['detect']:.0f} ms of the uncompressed detector, as ours does. Decoding the camera's JPEG is in none."
    )
    lines = "".join(f"<p>{escape(line)}</p>" for line in (note, *cost_lines(times)))
    return "<h2>Time</h2>" + page.card(page.table(titles, rows, marks) + lines)
