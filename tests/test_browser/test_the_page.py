"""The page of a run in a real Chromium: it draws, zooms, sorts, and asks nobody for anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backtest.analysis.result import RunResult
from tests.test_analysis.test_page.runs import HOSTILE, by_the_clock, hostile_run
from tests.test_browser.browser import WHY_NOT, Seen, chromium, opened

pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "a browser is there")
PICTURES = ("equity", "fall", "exposure", "price-0", "mae", "mfe", "holding", "pnl", "free")


@pytest.fixture(scope="module")
def run() -> RunResult:
    return by_the_clock()


@pytest.fixture(scope="module")
def path(run: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run.page(tmp_path_factory.mktemp("page") / "page.html")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile_run().page(tmp_path_factory.mktemp("hostile") / "page.html")


@pytest.fixture(scope="module")
def browser(path: Path, hostile: Path) -> Iterator[Any]:
    # While playwright is there an event loop runs, and no backtest does: the pages come first.
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def seen(browser: Any, path: Path) -> Iterator[Seen]:
    with opened(browser, path) as one:
        yield one


def quiet(seen: Seen) -> bool:
    assert seen.said == []
    assert seen.asked == []
    return True


def test_every_picture_is_drawn(seen: Seen) -> None:
    for name in PICTURES:
        assert seen.draw(name).query_selector_all("path"), name
    assert quiet(seen)


def test_zooming_one_picture_moves_all_and_shows_single_bars(seen: Seen) -> None:
    for name in ("equity", "price-0"):
        seen.draw(name)
    page = seen.page
    page.evaluate(
        "Plotly.relayout('equity', {'xaxis.range[0]': '2020-01-10 00:00', "
        "'xaxis.range[1]': '2020-01-13 00:00'})"
    )
    page.wait_for_function(
        "document.getElementById('price-0').layout.xaxis.range[0].startsWith('2020-01-10')"
    )
    # Three days are 72 of the bars: the finer prices come, and each is a candle.
    page.wait_for_function(
        "document.getElementById('price-0').data.some((one) => one.type === 'candlestick')"
    )
    ranges = page.evaluate(
        "['equity', 'fall', 'exposure'].map((id) => document.getElementById(id).layout.xaxis.range)"
    )
    assert {one[1][:10] for one in ranges} == {"2020-01-13"}
    # Stops and targets of the trades in view are there, too.
    names = page.evaluate("document.getElementById('price-0').data.map((one) => one.name)")
    assert {"stop", "target", "trade", "bought", "sold"} <= set(names)
    # y fits what is seen.
    low, high = page.evaluate("document.getElementById('price-0').layout.yaxis.range")
    assert high - low < 0.5 * high
    page.click("[data-move=all]")
    page.wait_for_function(
        "document.getElementById('equity').layout.xaxis.range[0].startsWith('2020-01-01')"
    )
    assert quiet(seen)


def test_the_table_sorts_and_filters(seen: Seen, run: RunResult) -> None:
    page = seen.page
    first = "#trade-table tbody tr:first-child"
    page.click("#trade-table th:has-text('PnL')")
    best = max(run.trades, key=lambda one: one.pnl)
    assert page.get_attribute(first, "data-trade") == str(list(run.trades).index(best))
    page.click("#trade-table th:has-text('PnL')")
    worst = min(run.trades, key=lambda one: one.pnl)
    assert page.get_attribute(first, "data-trade") == str(list(run.trades).index(worst))
    page.select_option("#trade-tools select[aria-label=outcome]", "won")
    count = page.inner_text("#trade-tools .count")
    assert count.startswith(f"{len(run.trades.won)} trades, PnL ")
    page.select_option("#trade-tools select[aria-label=outcome]", "")
    page.fill("#trade-tools input", "stop loss")
    stopped = run.trades.where(exit_reason="stop_loss")
    assert page.inner_text("#trade-tools .count").startswith(f"{len(stopped)} trades, PnL ")
    page.fill("#trade-tools input", "")
    assert quiet(seen)


def test_a_click_on_a_trade_tells_its_story(seen: Seen, run: RunResult) -> None:
    page = seen.page
    page.click("#trade-table tbody tr:nth-child(2)")
    page.wait_for_selector("#around .main-svg")
    place = int(page.get_attribute("#story", "data-trade"))
    trade = run.trades[place]
    story = page.inner_text("#story pre")
    assert trade.root_id in story
    assert "ACCEPTED" in story
    assert "then has" in story
    assert page.inner_text("#story h2") == f"Trade {trade.trade_number}, BTCUSD"
    page.click("#story .close")
    assert not page.evaluate("document.getElementById('story').open")
    assert quiet(seen)


def test_a_click_on_a_fill_tells_the_story_of_its_trade(seen: Seen) -> None:
    page = seen.page
    seen.draw("price-0")
    page.evaluate("moveTo([Date.UTC(2020, 0, 10), Date.UTC(2020, 0, 13)])")
    page.wait_for_function(
        "document.getElementById('price-0').data.some((one) => one.type === 'candlestick')"
    )
    # What plotly tells of a click on the first mark.
    trade = page.evaluate(
        """() => {
          const node = document.getElementById("price-0");
          const trace = node.data.find((one) => one.name === "bought");
          node.emit("plotly_click", { points: [{ customdata: trace.customdata[0] }] });
          return String(trace.customdata[0]);
        }"""
    )
    page.wait_for_selector("#around .main-svg")
    assert page.get_attribute("#story", "data-trade") == trade
    page.keyboard.press("Escape")
    page.click("[data-move=all]")
    assert quiet(seen)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(browser: Any, path: Path, scheme: str) -> None:
    with opened(browser, path, 390, 844, scheme) as seen:
        for name in ("equity", "price-0", "pnl"):
            seen.draw(name)
        assert seen.page.evaluate("document.documentElement.scrollWidth") == 390
        paper = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}[scheme]
        assert quiet(seen)


def test_hostile_names_are_letters(browser: Any, hostile: Path) -> None:
    with opened(browser, hostile) as seen:
        for name in ("equity", "price-0", "free"):
            seen.draw(name)
        assert seen.page.query_selector("img") is None
        name = HOSTILE.replace("\u2028", "")
        seen.page.click("#trade-table tbody tr:first-child")
        seen.page.wait_for_selector("#around .main-svg")
        assert name in seen.page.inner_text("#story pre")
        assert name in seen.page.inner_text("#story .facts")
        assert name in (seen.page.text_content("#doubts") or "").replace("\u2028", "")
        assert quiet(seen)
