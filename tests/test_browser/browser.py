"""A real Chromium for tests, the system's own, driven by playwright: and why there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["CHROMIUM", "WHY_NOT", "Seen", "chromium", "opened"]

CHROMIUM = (
    os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
)


def _why_not() -> str:
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "playwright is not installed: pip install 'backtest-actors[browser]'"
    if CHROMIUM is None:
        return "there is no chromium: apt-get install chromium (Debian), or CHROMIUM=PATH"
    return ""


WHY_NOT = _why_not()
"""Why no browser can be opened; empty where one can."""


class Seen:
    """An open page, and all that it said and asked for."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.said: list[str] = []
        """Messages of the console, and errors."""
        self.asked: list[str] = []
        """Addresses beyond the file itself."""
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        page.on("dialog", self._dialog)
        page.on("request", self._asked)

    def _dialog(self, dialog: Any) -> None:
        self.said.append("a dialog")
        dialog.dismiss()

    def _asked(self, request: Any) -> None:
        # The page itself is a file; no other one is asked for.
        if not request.url.startswith(("data:", "blob:")) and not request.is_navigation_request():
            self.asked.append(request.url)

    def draw(self, name: str) -> Any:
        """Scroll to the picture ``name`` and wait until it is drawn; its element."""
        self.page.evaluate(f"document.getElementById({name!r}).scrollIntoView()")
        self.page.wait_for_selector(f"#{name} .main-svg", timeout=60_000)
        return self.page.query_selector(f"#{name}")


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser; one at a time."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            # Chromium as root, as in most containers, has no sandbox.
            args=["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else [],
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Any, path: Path, width: int = 1200, height: int = 900, scheme: str = "light"
) -> Iterator[Seen]:
    """The file ``path`` in ``browser`` without a network, ``width`` by ``height`` pixels large."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
    )
    try:
        seen = Seen(context.new_page())
        seen.page.goto(path.resolve().as_uri(), wait_until="load", timeout=120_000)
        yield seen
    finally:
        context.close()
