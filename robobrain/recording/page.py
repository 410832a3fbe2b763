"""Pages of HTML that need nothing but themselves: style and pictures are inside."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path

from robobrain.errors import RecordingError

WHOLE_FROM = 1000.0
"""Numbers from here on are shown without digits after the point."""
MEDIA_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}


def write_page(file: Path, title: str, sections: Iterable[str]) -> Path:
    """Write a page to ``file`` and return it.

    Raises:
        RecordingError: If the file can't be written.
    """
    style = (resources.files("robobrain.recording") / "data" / "report.css").read_text(encoding="utf-8")
    text = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{html.escape(title)}</title>'
        f"\n<style>\n{style}</style></head>\n"
        f"<body><main>\n{''.join(sections)}</main></body></html>\n"
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecordingError(f"Can't write the page {file}: {error}.") from error
    return file


def section(name: str, title: str, *parts: str) -> str:
    """Return a section that links can reach as ``#name``."""
    return f'<section id="{html.escape(name)}"><h2>{html.escape(title)}</h2>\n{"".join(parts)}</section>\n'


def links(titles: Mapping[str, str]) -> str:
    """Return links to sections, by name."""
    entries = "\n".join(
        f'<a href="#{html.escape(name)}">{html.escape(title)}</a>' for name, title in titles.items()
    )
    return f"<nav>{entries}</nav>\n"


def picture(file: Path, caption: str) -> str:
    """Return a picture with its caption, the picture inside the page."""
    data = base64.b64encode(file.read_bytes()).decode("ascii")
    source = f"data:{MEDIA_TYPES[file.suffix]};base64,{data}"
    text = html.escape(caption)
    return f'<figure><figcaption>{text}</figcaption><img src="{source}" alt="{text}"></figure>\n'


def facts(entries: Mapping[str, object]) -> str:
    """Return named facts as a row of boxes; those that are None or empty are left out."""
    boxes = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(str(value))}</dd></div>"
        for name, value in entries.items()
        if value not in (None, "")
    )
    return f'<dl class="facts">{boxes}</dl>\n'


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; numbers have four digits, or all before the point, and None or NaN becomes a dash."""
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell_text(cell))}</td>" for cell in row) + "</tr>\n"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>\n'


def cell_text(value: object) -> str:
    """Return a value as a table shows it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if WHOLE_FROM <= abs(value) < math.inf else f"{value:.4g}"


def note(text: str) -> str:
    """Return a remark."""
    return f'<p class="note">{html.escape(text)}</p>\n'


def preformatted(text: str, summary: str = "") -> str:
    """Return text as it is, folded under a summary if one is given."""
    block = f"<pre>{html.escape(text)}</pre>\n"
    return f"<details><summary>{html.escape(summary)}</summary>{block}</details>\n" if summary else block
