"""The page of a run put together: one file that needs nothing beside it (extra ``plot``)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from pathlib import Path

from backtest.analysis.market.page import MARK, check_page, plotly_js, write_text
from backtest.analysis.market.page_text import script_json
from backtest.analysis.page.body import body_of
from backtest.analysis.page.content import Content, Material
from backtest.analysis.page.verdict import title_of

__all__ = ["WHAT", "Material", "run_page", "write_page"]

WHAT = "the page of a run"
"""What plotly is needed for, as `plotly_js` says it."""

_PLACE = re.compile(r"\{\{(\w+)\}\}")


def write_page(material: Material, path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write the page of a run to ``path``; its path.

    Folders on the way are made. The file appears whole or not at all, needs nothing beside it and
    no network. Raises `MissingExtra` without plotly and `ConfigError` when it cannot be written, or
    would replace what is no page of ours without ``force``.
    """
    target = check_page(path, force=force)
    return write_text(target, run_page(material))


def run_page(material: Material) -> str:
    """The page as text. Raises `MissingExtra` without plotly."""
    library = plotly_js(WHAT)
    content = Content(material)
    texts = {
        "mark": MARK,
        "title": escape(title_of(material.record)),
        "style": _file("page.css"),
        "library": library,
        "body": body_of(content),
        "data": "\n".join(
            [
                script_json("data", content.data()),
                _chunks("fine", content.fine),
                _chunks("stories", content.stories.chunks),
            ]
        ),
        "script": "\n".join(_file(name) for name in ("page.js", "pictures.js", "trades.js")),
    }
    # One pass over the template: what is put in is never looked at again.
    return _PLACE.sub(lambda place: texts[place[1]], _file("page.html"))


def _file(name: str) -> str:
    return (files("backtest.analysis.page") / "files" / name).read_text(encoding="utf-8")


def _chunks(name: str, chunks: Iterable[str]) -> str:
    """Packed chunks, one a line; their letters need no escaping."""
    return f'<script type="text/plain" id="{name}">' + "\n".join(chunks) + "</script>"
