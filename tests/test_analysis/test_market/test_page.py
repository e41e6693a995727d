"""The page of a market: whole, alone, safe, and the same for the same market."""

from __future__ import annotations

import json
import re
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from backtest.analysis.market import page
from backtest.analysis.market.figure_style import (
    INK,
    axis,
    interval_for,
    label,
    line,
    number,
    stamp,
    time_axis,
)
from backtest.analysis.market.market_figures import depth_figure
from backtest.analysis.market.page import market_page, plotly_js, write_page
from backtest.analysis.market.page_text import script_json, table
from backtest.analysis.market.samples import DepthSample, MarketRecord, PairRecord
from backtest.errors import ConfigError, MissingExtra
from backtest.times import HOUR, MINUTE, SECOND
from tests.test_analysis.test_market.crowd import crowd
from tests.test_analysis.test_market.making import PAIR, trade


def data_of(text: str, name: str) -> Any:
    """What the page gives to its script under a name."""
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text)
    assert found is not None
    return json.loads(found.group(1))


def own_text(text: str) -> str:
    """The page without plotly.js."""
    return text.replace(plotly_js(), "")


def test_the_page_has_every_picture_and_the_whole_tape() -> None:
    text = market_page(crowd(trades=600, agents=20))
    figures = data_of(text, "figures")
    assert set(figures) == {
        "p1-price", "p1-depth", "p1-series", "results",
        "p1-memory", "p1-tails", "p1-signs", "p1-impact",
    }  # fmt: skip
    for name in figures:
        assert f'<div id="{name}"></div>' in text
    names = {trace["name"] for trace in figures["p1-price"]["data"]}
    assert {"last trade", "fundamental", "liquidations", "spread", "bought by takers"} <= names
    tape = data_of(text, "p1-tape")
    assert len(tape["rows"]) == 600
    assert set(tape["types"]) == {"noise", "value", "maker", "trend"}
    assert "stylised facts" in text
    assert "as in real markets" in text


def test_the_page_is_the_same_for_the_same_market() -> None:
    assert market_page(crowd(trades=200)) == market_page(crowd(trades=200))
    assert market_page(crowd(trades=200)) != market_page(crowd(trades=200, seed=2))


def test_the_page_fetches_nothing() -> None:
    text = own_text(market_page(crowd(trades=200)))
    assert "http" not in text
    assert "src=" not in text
    assert "@import" not in text
    assert "url(" not in text


def test_names_cannot_break_out_of_the_page() -> None:
    nasty = "</script><img src=x onerror=alert(1)>"
    pair = PairRecord(pair=nasty, trades=[trade(1, "100", 1, "buy", nasty, "bert")])
    market = MarketRecord(
        start_ns=0, end_ns=MINUTE, pairs={nasty: pair}, types={nasty: nasty, "bert": "<b>"},
        title=nasty, notes={nasty: nasty},
    )  # fmt: skip
    text = own_text(market_page(market))
    assert "<img" not in text
    assert "<b>" not in text.replace("<b>&lt;", "").replace("<b>1", "").replace("<b>2", "")
    assert data_of(text, "p1-tape")["accounts"][0] == nasty


def test_names_in_pictures_are_letters_and_no_links() -> None:
    name = '<a href="https://example.org">maker</a>'
    assert label("R&D <b>") == "R&amp;D &lt;b&gt;"
    assert line([1], [2], name, INK)["name"] == label(name)
    assert axis(name)["title"]["text"] == label(name)


def test_a_market_in_which_nothing_happened_has_a_page() -> None:
    market = MarketRecord(
        start_ns=0, end_ns=HOUR, pairs={PAIR: PairRecord(pair=PAIR, trades=())}, types={"a": "one"}
    )
    text = market_page(market)
    assert set(data_of(text, "figures")) == {"p1-price", "p1-series"}
    assert "The book was not recorded." in text
    assert "not measured" in text


def test_each_pair_has_its_own_pictures() -> None:
    one = crowd(trades=100)
    other = evolve(one.pairs["STOCK"], pair="BOND")
    text = market_page(evolve(one, pairs={"STOCK": one.pairs["STOCK"], "BOND": other}))
    assert {"p1-price", "p2-price", "p2-depth", "results"} <= set(data_of(text, "figures"))
    assert "last price of BOND" in text


def test_a_tape_too_long_for_the_page_is_cut_visibly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "TAPE_LIMIT", 150)
    text = market_page(crowd(trades=200))
    assert len(data_of(text, "p1-tape")["rows"]) == 150
    assert "The first 150 of 200 trades." in text


def test_the_file_is_written_whole(tmp_path: Path) -> None:
    market = crowd(trades=100)
    path = write_page(market, tmp_path / "page.html")
    assert path.read_text(encoding="utf-8") == market_page(market)
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot write to"):
        write_page(crowd(trades=60), tmp_path / "file" / "page.html")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"
    # A folder on the way to it is made.
    assert write_page(crowd(trades=60), tmp_path / "missing" / "page.html").exists()


def test_without_plotly_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(MissingExtra, match=r"pip install 'backtest-actors\[plot\]'"):
        market_page(crowd(trades=60))


def test_data_in_the_page_survives_and_cannot_end_its_element() -> None:
    text = script_json("x", {"a": "</script>\u2028", "b": [1, None]})
    assert text.count("</script>") == 1
    inner = text.removeprefix('<script type="application/json" id="x">').removesuffix("</script>")
    assert json.loads(inner) == {"a": "</script>\u2028", "b": [1, None]}
    with pytest.raises(ValueError, match="Out of range"):
        script_json("x", float("nan"))


def test_cells_of_tables_are_escaped_unless_they_are_ours() -> None:
    text = table(("a", "b"), [("<i>", "<i>")], "tn", raw=(1,))
    assert '<td class="t">&lt;i&gt;</td><td class="n"><i></td>' in text


@pytest.mark.parametrize(
    ("span", "interval"),
    [
        (6 * HOUR + 30 * MINUTE, MINUTE),  # a trading day: 390
        (500 * MINUTE, MINUTE),
        (500 * MINUTE + 1, 2 * MINUTE),
        (60 * SECOND, SECOND),  # in tenths of a second it would be 600
        (24 * HOUR, 5 * MINUTE),
        (365 * 24 * HOUR, 24 * HOUR),
        (1_200 * 24 * HOUR, 3 * 24 * HOUR),
    ],
)
def test_a_picture_has_at_most_five_hundred_round_intervals(span: int, interval: int) -> None:
    assert interval_for(span) == interval


def test_numbers_and_times_as_plotly_takes_them() -> None:
    assert number(Decimal("100.50")) == 100.5
    assert number(Decimal(7)) == 7
    assert number(1 / 3) == 0.3333333333
    assert number(None) is None
    assert stamp(1_500_000_123) == "1970-01-01 00:00:01.500000"


def test_the_axis_of_time_leaves_closed_hours_out() -> None:
    days = [(0, 8 * HOUR), (24 * HOUR, 32 * HOUR)]
    axis = time_axis(0, 32 * HOUR, days)
    assert axis["range"] == ["1970-01-01 00:00:00", "1970-01-02 08:00:00"]
    assert axis["rangebreaks"] == [{"bounds": ["1970-01-01 08:00:00", "1970-01-02 00:00:00"]}]
    assert "rangebreaks" not in time_axis(0, HOUR)


def test_the_depth_is_summed_into_rows_of_whole_ticks() -> None:
    # Two samples around mids of 100 and 101, a tick of 1, so a row is a tick.
    samples = [
        DepthSample(0, [(Decimal(99), Decimal(5)), (Decimal(98), Decimal(7))],
                    [(Decimal(101), Decimal(3))]),
        DepthSample(MINUTE, [(Decimal(100), Decimal(2))], [(Decimal(102), Decimal(4))]),
    ]  # fmt: skip
    pair = PairRecord(pair=PAIR, trades=(), depth=samples, price_increment=Decimal(1))
    market = MarketRecord(start_ns=0, end_ns=HOUR, pairs={PAIR: pair}, types={})
    figure = depth_figure(market, pair)
    assert figure is not None
    offered, bid, mid = figure["data"]
    cells = {
        (price, time): volume
        for side in (offered, bid)
        for price, row in zip(side["y"], side["z"], strict=True)
        for time, volume in zip(side["x"], row, strict=True)
        if volume is not None
    }
    first, second = "1970-01-01 00:00:00", "1970-01-01 00:01:00"
    assert cells[(99, first)] == 5
    assert cells[(101, first)] == 3
    assert cells[(100, second)] == 2
    assert cells[(102, second)] == 4
    assert mid["y"] == [100, 101]


def test_a_book_that_was_always_empty_has_no_picture() -> None:
    pair = PairRecord(pair=PAIR, trades=(), depth=[DepthSample(0, (), ())])
    market = MarketRecord(start_ns=0, end_ns=HOUR, pairs={PAIR: pair}, types={})
    assert depth_figure(market, pair) is None
