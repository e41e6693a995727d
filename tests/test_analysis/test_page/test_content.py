"""The page of a run: every number is the run's own, and whatever a user named is text."""

from __future__ import annotations

import sys
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import backtest
from backtest.analysis.page.content import size_for
from backtest.analysis.page.packing import differences, packed, places_of, steps
from backtest.analysis.page.stories import Stories, stories_of
from backtest.analysis.page.verdict import verdict
from backtest.analysis.result import RunResult
from backtest.analysis.text import grouped
from backtest.data import synthetic_bars
from backtest.errors import ConfigError, MissingExtra
from backtest.strategies import Strategy
from tests.test_analysis.runs import small_run
from tests.test_analysis.test_page.reading import (
    Elements,
    chunks_of,
    data_of,
    inflated,
    own_text,
    summed,
    text_of,
)
from tests.test_analysis.test_page.runs import HOSTILE, by_the_clock, hostile_run

D = Decimal
SECTIONS = [
    "doubts", "figures", "curve", "exposed", "prices", "months", "rolled", "trades", "refused",
    "interval", "fees", "headroom", "ledger", "receipt",
]  # fmt: skip
MILLISECOND = 1_000_000


@pytest.fixture(scope="module")
def run() -> RunResult:
    return by_the_clock()


@pytest.fixture(scope="module")
def page(run: RunResult) -> str:
    return run.page()


def test_the_page_has_its_sections_in_order(page: str) -> None:
    tags = Elements(page).tags
    assert [named["id"] for tag, named in tags if tag == "section"] == SECTIONS


def test_it_opens_with_the_verdict_and_what_was_not_verified(run: RunResult, page: str) -> None:
    text = text_of(page)
    told = verdict(run, run.summary)
    assert told in text
    assert text.index(told) < text.index("What was not verified") < text.index("Key figures")
    lost = grouped(run.summary["profit"].copy_abs().quantize(D("0.01")))
    assert told.startswith(f"It lost {lost} USD")
    assert "result.path_interval(), or --paths" in text
    for doubt in run.verify().unproven:
        assert " ".join(doubt.split()) in text
    assert f"All {len(run.verify().checks)} checks of the ledger and the tables passed." in text


def test_a_run_that_does_not_add_up_says_so_first(run: RunResult) -> None:
    one = small_run()
    rows = one.ledger.entries
    leg = rows[2].legs[0]
    broken = (*leg[:3], leg[3] + 1, leg[4])
    rows[2] = rows[2]._replace(legs=(broken, *rows[2].legs[1:]))
    text = text_of(one.page())
    assert "checks failed" in text
    assert text.index("The run does not add up") < text.index("Key figures")
    assert "do NOT sum to zero" in text
    assert "DIFFERS" in text


def test_equity_is_that_of_the_run_in_buckets(run: RunResult, page: str) -> None:
    found = data_of(page)["equity"]
    rows = run.equity.rows
    assert found["rows"] == len(rows) == 1_501
    assert found["step"] == 2
    times = summed(found["t"])
    assert len(times) == 751
    for at, time in enumerate(times):
        part = rows[at * 2 : at * 2 + 2]
        assert time == part[-1].time_ns // MILLISECOND
        assert found["last"][at] == pytest.approx(float(part[-1].equity), rel=1e-9)
        assert found["low"][at] == pytest.approx(float(min(r.equity for r in part)), rel=1e-9)
        assert found["high"][at] == pytest.approx(float(max(r.equity for r in part)), rel=1e-9)
    assert 100 * max(found["fall"]) == pytest.approx(
        float(run.summary["max_drawdown_percent"]), abs=1e-3
    )
    # Held from the first price to the last: the figure of the summary.
    held = run.summary["buy_and_hold"]["final_equity"]
    assert found["held"][-1] == pytest.approx(float(held), rel=1e-9)


def test_prices_lie_within_the_bars_that_they_are_of(run: RunResult, page: str) -> None:
    (found,) = data_of(page)["prices"]
    bars = list(run.sources["BTCUSD"])
    assert (found["seen"], found["of"], found["places"]) == (1_500, "bars", 2)
    scale = 10 ** found["places"]
    coarse = found["coarse"]
    assert coarse["step"] == 2
    closes, times = summed(coarse["c"]), summed(coarse["t"])
    for at, close in enumerate(closes):
        part = bars[at * 2 : at * 2 + 2]
        assert times[at] == part[-1].close_ns // MILLISECOND
        assert close == int(part[-1].close * scale)
        assert close + coarse["h"][at] == int(max(bar.high for bar in part) * scale)
        assert close - coarse["l"][at] == int(min(bar.low for bar in part) * scale)
        assert close + coarse["o"][at] == int(part[0].open * scale)
    (fine,) = chunks_of(page, "fine")
    assert fine[0]["step"] == 1
    assert summed(fine[0]["c"]) == [int(bar.close * scale) for bar in bars]


def test_every_fill_stands_at_its_time_and_leads_to_its_trade(run: RunResult, page: str) -> None:
    found = data_of(page)["fills"]
    times = summed(found["t"])
    assert len(times) == len(run.fills)
    inside = 0
    for at, fill in enumerate(run.fills):
        assert found["price"][at] == float(fill.price)
        assert found["volume"][at] == float(fill.volume)
        assert found["kinds"][found["kind"][at]] == fill.kind
        if fill.executed_ns is not None:
            assert (times[at], found["inside"][at]) == (fill.executed_ns // MILLISECOND, 0)
        else:
            inside += 1
            begin, end = fill.bar_open_ns // MILLISECOND, fill.timestamp_ns // MILLISECOND
            assert times[at] == (begin + end) // 2
            assert found["inside"][at] == end - begin
        trade = run.trades[found["trade"][at]]
        assert str(fill.root_id) == trade.root_id
    assert inside  # stops and targets are reached inside bars


def test_trades_are_those_of_the_run(run: RunResult, page: str) -> None:
    found = data_of(page)["trades"]
    assert summed(found["number"]) == [one.trade_number for one in run.trades]
    entries = summed(found["entry"])
    for at, one in enumerate(run.trades):
        assert entries[at] == one.entry_ns // MILLISECOND
        assert found["held"][at] == one.duration_ns // MILLISECOND
        assert found["pnl"][at] == pytest.approx(float(one.pnl), rel=1e-9)
        assert found["mae"][at] == pytest.approx(float(one.mae or 0), rel=1e-9)
        assert found["costs"][at] == pytest.approx(float(one.fees + one.financing), rel=1e-9)
        assert found["reasons"][found["exit_reason"][at]] == one.exit_reason
        order = next(order for order in run.orders if str(order.root_id) == one.root_id)
        assert found["stop"][at] == float(order.stop_loss or 0)
        assert found["target"][at] == float(order.take_profit or 0)


def test_each_story_is_what_explain_tells_without_bars(run: RunResult, page: str) -> None:
    data = data_of(page)
    chunks = chunks_of(page, "stories")
    for at, trade in enumerate(run.trades):
        item = data["trades"]["item"][at]
        story, bars = chunks[item // data["chunk"]][item % data["chunk"]]
        assert trade.root_id in story
        full = run.explain(trade.root_id)
        for line in story.split("\n"):
            assert line in full or "Why it did not fill on other bars is not told" in line
        # Bars around it: from before the entry to after the exit, as far as there are any.
        times = summed(bars[str(at)]["t"])
        assert times[0] <= trade.entry_ns // MILLISECOND
        assert times[-1] >= trade.exit_ns // MILLISECOND or times[-1] == data["end"]
        assert len(times) <= 64


def test_fees_refusals_and_reserves_are_those_of_the_ledger(run: RunResult, page: str) -> None:
    text = text_of(page)
    total = grouped(run.summary["fees_total"]["USD"])
    paid = text[text.index("Paid, by stage") : text.index("Margin headroom")]
    assert f"all USD {total}" in paid
    for stage in ("fill", "close"):
        amount = grouped(run.summary["fees"][stage]["USD"])
        assert f"{stage} USD {amount}" in paid
        assert f"{stage} fees USD {amount}" in paid  # got by the account of the fees
    refused = text[text.index("Orders refused") : text.index("Over the path policies")]
    assert "INSUFFICIENT_FUNDS 1" in refused
    assert run.refusals[0].detail in refused
    free = min(
        balance.available_balance
        for balance in run.balance_history()
        if balance.asset_code == "USD"
    )
    assert grouped(free) in text[text.index("Margin headroom") : text.index("The ledger")]


def test_months_multiply_to_the_return_of_the_run(run: RunResult, page: str) -> None:
    months = [share for _, share in run.period_returns("month")]
    text = text_of(page)
    part = text[text.index("Returns by month") : text.index("Rolling Sharpe")]
    for share in months:
        assert f"{share * 100:.2f}" in part
    grown = D(1)
    for share in months:
        grown *= 1 + share
    assert f"{(grown - 1) * 100:.2f}" in part
    assert "fewer than 120" in text[text.index("Rolling Sharpe") :]


def test_a_run_of_half_a_year_has_rolling_ratios() -> None:
    run = by_the_clock(bars=400, every=30, bar="12h")
    found = data_of(run.page())["rolling"]
    assert found["window"] == 30
    assert len(found["sharpe"]) == 200 - 30 + 1
    # The last is that of the last thirty days, worked out from their returns.
    last = [float(share) for _, share in run.period_returns("day")[-30:]]
    mean = sum(last) / 30
    deviation = (sum((one - mean) ** 2 for one in last) / 29) ** 0.5
    assert found["sharpe"][-1] == pytest.approx(mean / deviation * 365**0.5, rel=1e-8)


def test_the_interval_stands_there_once_it_was_asked() -> None:
    run = by_the_clock(bars=200)
    assert "It was not asked" in text_of(run.page())
    interval = run.path_interval()
    text = text_of(run.page())
    assert "It was not asked" not in text
    assert " ".join(str(interval).split()) in text


# -- hostile names ---------------------------------------------------------------------------------


def test_names_of_users_are_text() -> None:
    run = hostile_run()
    page = run.page()
    elements = Elements(page)
    assert not [tag for tag, _ in elements.tags if tag == "img"]
    scripts = [named.get("id") for tag, named in elements.tags if tag == "script"]
    assert scripts == [None, "data", "fine", "stories", None]
    assert not any("onerror" in named for _, named in elements.tags)
    text = " ".join(elements.texts)
    assert HOSTILE in text  # the notice and the file, letter by letter
    assert "\u2028" not in page.split('id="data"')[1].split("</script>")[0]
    accounts = data_of(page)["trades"]["accounts"]
    name = HOSTILE.replace("\u2028", "")
    assert accounts == [f"{name}, {name}"]
    assert name in chunks_of(page, "stories")[0][0][0]


def test_the_page_asks_for_nothing_from_elsewhere(page: str) -> None:
    elements = Elements(own_text(page))
    for tag, named in elements.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        assert not {"src", "href", "action"} & set(named)
    assert "http:" not in own_text(page)
    assert "https:" not in own_text(page)
    (policy,) = [
        named["content"] or ""
        for tag, named in elements.tags
        if named.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; ")


# -- runs with less --------------------------------------------------------------------------------


class Idle(Strategy):
    """Does nothing."""


def test_a_run_without_trades_has_a_page() -> None:
    run = backtest.run(Idle(), data=synthetic_bars("BTCUSD", 50, seed=7), cash="1000 USD")
    text = text_of(run.page())
    assert "It neither gained nor lost in" in text
    assert "There were none." in text
    assert "No fees were charged." in text
    assert "Nothing was ever held in reserve." in text


def test_a_run_of_one_bar_has_a_page() -> None:
    data = synthetic_bars("BTCUSD", 1, seed=7)
    run = backtest.run(Idle(), data=data, cash="1000 USD")
    assert "What was not verified" in text_of(run.page())


def test_without_the_data_the_page_says_so() -> None:
    run = evolve_without_data(small_run())
    page = run.page()
    data = data_of(page)
    assert [one["coarse"] for one in data["prices"]] == [None]
    assert set(data["equity"]["held"]) == {None}
    assert "There are no prices: the market data of the run is not at hand" in text_of(page)


def evolve_without_data(run: RunResult) -> RunResult:
    run.sources = {}
    return run


# -- sizes -----------------------------------------------------------------------------------------


def test_stories_for_which_there_is_no_room_are_left_out_and_told(
    run: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backtest.analysis.page.stories.CHUNK", 10)
    monkeypatch.setattr("backtest.analysis.page.content.CHUNK", 10)

    def first_two(trades: Any, chains: Any, series: Any, room: int) -> Stories:
        sizes = [len(one) + 1 for one in stories_of(trades, chains, series, room).chunks]
        return stories_of(trades, chains, series, sizes[0] + sizes[1])

    monkeypatch.setattr("backtest.analysis.page.content.stories_of", first_two)
    page = run.page()
    items = data_of(page)["trades"]["item"]
    left_out = items.count(-1)
    assert left_out == len(items) - 20
    assert f"no room for the stories of {left_out:,} of {len(items):,} trades" in text_of(page)
    # Those that moved most are there.
    kept = [abs(one.pnl) for one, item in zip(run.trades, items, strict=True) if item >= 0]
    lost = [abs(one.pnl) for one, item in zip(run.trades, items, strict=True) if item < 0]
    assert min(kept) >= max(lost)


@pytest.mark.parametrize(
    ("trades", "most"),
    [(0, 1_950_000), (2_000, 1_950_000), (12_000, 4_150_000), (20_000, 5_900_000)],
)
def test_how_large_a_page_may_be(trades: int, most: int) -> None:
    assert size_for(trades) == most  # 1.95 MB, and 220 bytes for each trade beyond 2,000


def test_the_same_run_gives_the_same_page(run: RunResult, page: str) -> None:
    assert run.page() == page
    assert by_the_clock().page() == page


# -- files -----------------------------------------------------------------------------------------


def test_the_page_is_written_whole(run: RunResult, page: str, tmp_path: Path) -> None:
    path = run.page(tmp_path / "new" / "page.html")
    assert path == tmp_path / "new" / "page.html"
    assert path.read_text(encoding="utf-8") == page
    assert run.page(path) == path  # a page of ours is replaced
    (tmp_path / "notes.html").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="no page of ours"):
        run.page(tmp_path / "notes.html")


def test_show_opens_the_page_in_the_browser(
    run: RunResult, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("tempfile.mkdtemp", lambda prefix: str(tmp_path))
    path = run.show()
    assert opened == [path.resolve().as_uri()]
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_without_plotly_the_extra_is_named(run: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(MissingExtra, match=r"pip install 'backtest-actors\[plot\]'"):
        run.page()


# -- packing ---------------------------------------------------------------------------------------


def test_numbers_are_packed_small() -> None:
    assert differences([5, 7, 4]) == [5, 2, -3]
    assert summed(differences([5, 7, 4])) == [5, 7, 4]
    assert steps([1.25, 3.0], 2) == [125, 300]
    assert inflated(packed([{"a": "</script>é"}])) == [{"a": "</script>é"}]
    assert not set("<>&\"'\n") & set(packed([HOSTILE]))
    # Of 30,000.01 two digits after the point; of 0.00001234 as many as the increment has.
    assert places_of(D("0.01"), 30_000) == 2
    assert places_of(D("0.00000001"), 0.00001234) == 8
    assert places_of(D("0.00000001"), 30_000) == 2
    assert places_of(None, 250) == 4


def test_times_along_the_page_go_up(page: str) -> None:
    data = data_of(page)
    columns = (data["equity"]["t"], data["prices"][0]["coarse"]["t"], data["free"][0]["t"])
    for column in map(summed, columns):
        assert all(one <= other for one, other in pairwise(column))
