"""How large a page may be, and how long it may take: a year of minutes with two thousand trades."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from backtest.analysis.market.page import plotly_js
from tests.test_analysis.test_page.runs import by_the_clock
from tests.test_browser.browser import WHY_NOT, chromium, opened

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "a browser is there"),
]
YEAR = 365 * 24 * 60


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float, int]:
    """The page, the seconds that it took, and how many trades are on it."""
    run = by_the_clock(YEAR, YEAR // 2_000, "1m")
    loaded = _Loaded(run.sources["BTCUSD"])
    run.sources = {"BTCUSD": loaded}
    assert len(loaded.events) == YEAR
    began = process_time()
    path = run.page(tmp_path_factory.mktemp("year") / "page.html")
    return path, process_time() - began, len(run.trades)


class _Loaded:
    """A source whose events are in memory: making them up is no part of making a page."""

    def __init__(self, source: Any) -> None:
        self._source = source
        self.events = list(source)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.events)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def test_a_year_of_minutes_is_small_and_quickly_made(year: tuple[Path, float, int]) -> None:
    path, seconds, trades = year
    assert trades >= 1_990
    beside = path.stat().st_size - len(plotly_js().encode())
    assert beside <= 2_000_000
    assert seconds <= 10, f"{seconds:.1f} s"


def test_it_is_drawn_within_a_second(year: tuple[Path, float, int]) -> None:
    with chromium() as browser, opened(browser, year[0]) as seen:
        # A picture is drawn when it comes into view: from that moment to when it is there.
        drawn = seen.page.evaluate(
            """async () => {
              const began = performance.now();
              document.getElementById("equity").scrollIntoView();
              while (!document.querySelector("#equity .main-svg")) {
                await new Promise(requestAnimationFrame);
              }
              return performance.now() - began;
            }"""
        )
        assert drawn <= 1_000, f"{drawn:.0f} ms"
        assert seen.said == []
        assert seen.asked == []
