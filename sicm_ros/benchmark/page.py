# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Pieces of a report's page: one HTML file that needs nothing else."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from string import Template


def page(title: str, subtitle: str, body: str, method: Iterable[str]) -> str:
    """Return the whole file; title and subtitle as text, body as HTML, method as sentences at the end."""
    template = Template(resources.files("sicm_ros.benchmark").joinpath("report.html").read_text())
    paragraphs = "".join(f"<p>{escape(sentence)}</p>" for sentence in method)
    return template.substitute(
        title=escape(title), heading=escape(title), subtitle=escape(subtitle), body=body, method=paragraphs
    )


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], marks: Iterable[str] = ()) -> str:
    """Return a table: the first column as text, the others right-aligned; marks are the rows' classes."""
    head = "".join(f"<th{'' if i == 0 else ' class=n'}>{escape(title)}</th>" for i, title in enumerate(titles))
    rows = list(rows)
    marks = list(marks) or [""] * len(rows)
    body = "".join(
        f'<tr class="{mark}">'
        + "".join(f"<td{'' if i == 0 else ' class=n'}>{escape(cell)}</td>" for i, cell in enumerate(row))
        + "</tr>"
        for mark, row in zip(marks, rows)
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def card(content: str, title: str = "") -> str:
    head = f"<h3>{escape(title)}</h3>" if title else ""
    return f'<section class="card">{head}{content}</section>'


def tiles(numbers: Iterable[tuple[str, str]]) -> str:
    """Return big figures, each with what it is."""
    return (
        '<section class="tiles">'
        + "".join(f'<div class="card"><b>{escape(n)}</b><span>{escape(what)}</span></div>' for n, what in numbers)
        + "</section>"
    )


def picture(jpeg: bytes, what: str) -> str:
    return f'<img alt="{escape(what)}" src="data:image/jpeg;base64,{b64encode(jpeg).decode()}">'


def panel(jpeg: bytes, above: bytes, caption: str) -> str:
    """Return an image with boxes, the view from above beside it, and what they are."""
    return f'<div class="panel"><p>{escape(caption)}</p>{picture(jpeg, caption)}{picture(above, "from above")}</div>'


KEY = (
    '<p class="key"><i style="background:var(--label)"></i>labels<i style="background:var(--detection)"></i>detections'
)


def number(value: float | None, form: str = ",.0f", none: str = "–") -> str:
    """Return a number for a cell."""
    return none if value is None else format(value, form)
