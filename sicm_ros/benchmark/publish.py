# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A run's figures in documents: tables between markers of Markdown pages are rewritten, so that pages and run agree.

    <!-- run: codecs real -->
    (the table)
    <!-- end -->

names a table of TABLES and a data set of the run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sicm_ros.benchmark import pseudo
from sicm_ros.benchmark.curves import KBIT, rate_text
from sicm_ros.benchmark.figures import label_of
from sicm_ros.benchmark.results import HEADLINE, METRICS
from sicm_ros.benchmark.settings import ABLATION, OURS, STREAM
from sicm_ros.benchmark.table import TABLE
from sicm_ros.errors import InputError
from sicm_ros.files import write_bytes, write_text

RESULTS = "results.json"
_MARKED = re.compile(r"(<!-- run: (\w+) (\w+) -->\n).*?(<!-- end -->)", re.S)


def markdown(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |\n" for line in lines)


def codecs(tree: dict) -> str:
    """BD-rate against each anchor, and what each reaches."""
    kinds = {"BD-rate of ours, AP3D / APBEV": "bd_rate"}
    own = [OURS]
    if STREAM in tree["curves"]:
        kinds["BD-rate of the stream"] = "bd_rate_of_stream"
        own.append(STREAM)
    titles = ["", *kinds, "common share of the AP range", "bytes per pair at 1 point below"]
    rows = []
    for name in (*own, *tree["bd_rate"]):
        why = tree["bd_rate_refused"].get(name, {})
        overlaps = tree["bd_rate_overlap"].get(name, {})
        sizes = tree["bytes_per_pair_at_1_point_below_uncompressed"].get(name, {})
        ap = tree["ap_at_kbit_per_s"][name]
        cells = [label_of(name)]
        for kind in kinds.values():
            rates = tree[kind].get(name, {})
            cells.append("" if name in own else _rates(rates, why))
        cells.append("" if name in own else _overlaps(overlaps))
        cells.append(" / ".join(_number(sizes.get(m), "not reached") for m in METRICS))
        cells += [_number(ap[str(kbit)]["AP3D"], "below its range", ".1f") for kbit in KBIT]
        rows.append(cells)
    return markdown([*titles, f"AP3D at {KBIT[0]} kbit/s", *map(str, KBIT[1:])], rows)


def points(tree: dict) -> str:
    """Ours at each quality and uncompressed images: AP of all classes."""
    stream = {point["quality"]: f"{point['bytes_per_pair']:,.0f}" for point in tree["curves"].get(STREAM, [])}
    titles = ["quality", "bytes per pair", "kbit/s", *(["bytes per pair, stream"] if stream else [])]
    titles += ["AP3D 0.5", "APBEV 0.5", "AP3D 0.7", "APBEV 0.7", "Pedestrian AP3D 0.5", "Cyclist AP3D 0.5"]
    rows = []
    for point in _ours(tree):
        cars = [point[m][overlap]["moderate"] for overlap in ("0.5", "0.7") for m in METRICS]
        low, high = point["interval"]["AP3D"]["0.5"]["moderate"]
        others = [point["other_classes"][name]["AP3D"]["0.5"]["moderate"] for name in ("Pedestrian", "Cyclist")]
        cells = [f"{cars[0]:.1f} [{low:.1f}, {high:.1f}]", *(f"{ap:.1f}" for ap in (*cars[1:], *others))]
        rows.append([*_named(point), *([stream.get(point["quality"], "")] if stream else []), *cells])
    return markdown(titles, rows)


def planner(tree: dict) -> str:
    """What a planner asks, at each quality of ours and on uncompressed images."""
    asked = list(tree["uncompressed"]["planner"]["rows"])
    rows = []
    for point in _ours(tree):
        table = point["planner"]
        found = [f"{table['rows'][name]['found']} of {table['rows'][name]['total']}" for name in asked]
        rows.append([*_named(point)[:2], *found, f"{table['false_alarms']:.2f}"])
    return markdown(["quality", "bytes per pair", *asked, "false alarms per frame"], rows)


def ablations(tree: dict) -> str:
    """BD-rate of the model that lacks nothing against each that does, and what each reaches."""
    titles = ["left out", "BD-rate of the whole, AP3D / APBEV", "common share of the AP range"]
    titles += ["bytes per pair", "AP3D, least to most bytes"]
    rows = []
    for name, points in tree["curves"].items():
        if not name.startswith(ABLATION):
            continue
        rates = tree["bd_rate_of_ablations"].get(name.removeprefix(ABLATION))
        why, overlaps = (tree[kind].get(name, {}) for kind in ("bd_rate_refused", "bd_rate_overlap"))
        cells = ["nothing" if rates is None else label_of(name)]
        cells.append("" if rates is None else _rates(rates, why))
        cells.append("" if rates is None else _overlaps(overlaps))
        cells.append(" ".join(f"{point['bytes_per_pair']:,.0f}" for point in points))
        cells.append(" ".join(f"{point['AP3D'][HEADLINE]['moderate']:.1f}" for point in points))
        rows.append(cells)
    return markdown(titles, rows)


def times(tree: dict) -> str:
    """Time of ours and of the encoders beside it; empty where the run has measured none."""
    measured = tree["times"]
    if not measured:
        return "Not measured in this run.\n"
    titles = ["codec", "bytes per pair", "encode, ms", "decode, ms", "encode, ours / theirs", "decode, ours / theirs"]
    rows = [_timed("ours, decode with detection", measured["ours"], {})]
    rows += [_timed(name, timing, measured["ratios"][name]) for name, timing in measured["others"].items()]
    return markdown(titles, rows)


def _timed(name: str, timing: dict, ratios: dict) -> list[str]:
    cells = [name.replace(",", ""), f"{timing['bytes']:,.0f}", f"{timing['encode']:.1f}", f"{timing['decode']:.1f}"]
    return cells + [f"{ratios[side]:.2f}" if ratios else "" for side in ("encode", "decode")]


def pseudo_truth(tree: dict) -> str:
    """BD-rates on pseudo ground truth beside those on labels."""
    return markdown(*pseudo.rows_of(tree["pseudo_truth"], label_of))


TABLES: dict[str, Callable[[dict], str]] = {
    "codecs": codecs,
    "points": points,
    "planner": planner,
    "ablations": ablations,
    "times": times,
    "pseudo": pseudo_truth,
}


def _rates(rates: dict[str, float | None], why: dict[str, str]) -> str:
    return " / ".join(rate_text(rates[m], why.get(m, "")) for m in METRICS)


def _overlaps(overlaps: dict[str, float]) -> str:
    return " / ".join(_number(overlaps.get(m), "none", ".2f") for m in METRICS)


def _ours(tree: dict) -> list[dict]:
    return [*tree["curves"][OURS], tree["uncompressed"]]


def _named(point: dict) -> list[str]:
    if point["quality"] is None:
        return ["uncompressed", "", ""]
    return [f"{point['quality']:g}", f"{point['bytes_per_pair']:,.0f}", f"{point['kbit_per_s']:,.0f}"]


def _number(value: float | None, none: str, form: str = ",.0f") -> str:
    return none if value is None else format(value, form)


def rewritten(page: str, results: dict) -> str:
    """Return a page with the tables between its markers made anew from a results.json.

    Raises:
        InputError: a marker names an unknown table, or a data set that the run hasn't.
    """

    def table(match: re.Match) -> str:
        head, kind, name, end = match.groups()
        if kind not in TABLES:
            raise InputError(f"<!-- run: {kind} {name} -->: no such table; expected one of {', '.join(TABLES)}")
        if name not in results["datasets"]:
            known = ", ".join(results["datasets"])
            raise InputError(f"<!-- run: {kind} {name} -->: no such data set; expected one of {known}")
        tree = results["datasets"][name] | {"times": results["times"]}
        return f"{head}{TABLES[kind](tree)}{end}"

    return _MARKED.sub(table, page)


def publish(out: Path, page: Path) -> list[Path]:
    """Rewrite a page's tables from a run's folder, and copy results.json, rd.csv and curves to a folder of the page's
    name beside it. Return what was written.

    Raises:
        InputError: the page is missing, or `sicm bench report` hasn't been there yet.
    """
    if not page.is_file():
        raise InputError(f"{page} is missing; expected a Markdown page")
    if not (out / RESULTS).is_file():
        raise InputError(f"{out / RESULTS} is missing; `sicm bench report {out}` writes it")
    results = json.loads((out / RESULTS).read_text())
    write_text(page, rewritten(page.read_text(), results))
    written = [page]
    charts = [out / f"curves_{name}.png" for name in results["datasets"]]
    charts += [
        out / f"ablations_{name}.png" for name, tree in results["datasets"].items() if tree["bd_rate_of_ablations"]
    ]
    for path in [out / RESULTS, out / TABLE, *charts]:
        written.append(page.with_suffix("") / path.name)
        write_bytes(written[-1], path.read_bytes())
    return written
