# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""MkDocs hook: links into the source tree are checked, and shown as paths, since the site holds the pages alone."""

from __future__ import annotations

import logging
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)#]*)(#[^)]*)?\)")

log = logging.getLogger("mkdocs.hooks.links")


def on_page_markdown(markdown: str, page, **_: object) -> str:
    """Replace each link that leaves docs/ by its text and path; warn about one that leads nowhere."""

    def shown(match: re.Match) -> str:
        text, target = match[1], match[2]
        path = (ROOT / "docs" / Path(page.file.src_uri).parent / target).resolve()
        if not path.is_relative_to(ROOT) or not path.exists():
            log.warning("%s links to %s, which is not in the repository", page.file.src_uri, target)
            return text
        name = f"`{path.relative_to(ROOT)}`"
        return name if text.strip("`") in (path.name, str(path.relative_to(ROOT))) else f"{text} ({name})"

    return OUTSIDE.sub(shown, markdown)
