"""What a page holds, read back as its script reads it."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode
from html.parser import HTMLParser
from itertools import accumulate
from typing import Any

from backtest.analysis.market.page import plotly_js

__all__ = ["Elements", "chunks_of", "data_of", "inflated", "own_text", "summed", "text_of"]


def own_text(page: str) -> str:
    """The page without plotly's script."""
    return page.replace(plotly_js(), "")


def data_of(page: str) -> dict[str, Any]:
    """What the page gives to its script."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found is not None
    data: dict[str, Any] = json.loads(found.group(1))
    return data


def chunks_of(page: str, name: str) -> list[Any]:
    """The packed chunks under a name, unpacked."""
    found = re.search(rf'<script type="text/plain" id="{name}">(.*?)</script>', page, re.S)
    assert found is not None
    return [inflated(line) for line in found.group(1).split("\n") if line]


def inflated(line: str) -> Any:
    """What a packed chunk holds."""
    return json.loads(zlib.decompress(b64decode(line), -15))


def summed(differences: list[int]) -> list[int]:
    """A column of differences as the values that it holds."""
    return list(accumulate(differences))


class Elements(HTMLParser):
    """The elements of a page and its text, as a browser takes them; scripts are no text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._is_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._is_script = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._is_script = False

    def handle_data(self, data: str) -> None:
        if not self._is_script:
            self.texts.append(data)


def text_of(page: str) -> str:
    """All that people read without a script."""
    return " ".join(" ".join(Elements(page).texts).split())
