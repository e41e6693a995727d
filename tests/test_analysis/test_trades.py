"""Round trips, worked out by hand."""

from __future__ import annotations

import builtins
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from decimal import localcontext
from typing import Any

import pytest

import backtest
from backtest.analysis.result import RunResult
from backtest.analysis.tables.tables import COLUMNS
from backtest.errors import ConfigError, MissingExtra
from backtest.models import Asset, Bar, Quote, TradingPair
from backtest.strategies import Strategy
from backtest.times import HOUR
from tests.test_analysis.runs import START, hourly, small_run

PAIR = TradingPair("BTCUSD", "BTC", Asset("USD", 2))
FLAT = [(str(price),) * 4 for price in (100, 100, 110, 130, 120, 90)]
"""One price an hour: what is decided in one hour fills at the price of the next."""


class Script(Strategy):
    """Does in each hour what ``plan`` says: the name of a call, and what it is called with."""

    plan: dict[int, tuple[Any, ...]]

    def __init__(self, plan: dict[int, tuple[Any, ...]]) -> None:
        self.plan = plan
        self.seen = 0
        self.bet: Any = None

    async def on_bar(self, bar: Bar) -> None:
        self.seen += 1
        for call in self.plan.get(self.seen, ()):
            name, args, given = call
            if name == "close":
                await self.bet.close(*args, **given)
            elif name == "cancel":
                for order in self.open_orders():
                    await order.cancel()
            else:
                self.bet = await getattr(self, name)("BTCUSD", *args, **given)


def call(name: str, *args: Any, **given: Any) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    return name, args, given


def play(
    plan: dict[int, tuple[Any, ...]], rows: Any = FLAT, cash: Any = "10000 USD", **more: Any
) -> RunResult:
    bars = hourly("BTCUSD", *rows)
    return backtest.run(Script(plan), data={PAIR: bars}, cash=cash, seed=1, **more)


def told(trades: Any) -> list[tuple[Any, ...]]:
    return [(one.side, one.volume, one.entry_price, one.exit_price, one.pnl) for one in trades]


# -- matching --------------------------------------------------------------------------------------


def test_what_was_bought_first_is_sold_first_or_at_average_cost() -> None:
    # 1 bought at 100, 2 at 110; 2 sold at 130. Oldest first: one of 100 wins 30, one of 110 wins
    # 20, one of 110 is open at 90 and has lost 20. On average each cost 320 / 3 = 106.666...: two
    # cost 213.33, to the cent, and won 46.67; the third has what is left of the cost, 106.67, and
    # lost 16.67. Both come to 30.
    plan = {1: (call("buy", 1),), 2: (call("buy", 2),), 3: (call("sell", 2),)}
    result = play(plan)
    assert told(result.trades) == [
        ("LONG", D(1), D(100), D(130), D(30)),
        ("LONG", D(1), D(110), D(130), D(20)),
        ("LONG", D(1), D(110), D(90), D(-20)),
    ]
    assert [one.exit_reason for one in result.trades] == ["order", "order", "open"]
    average = result.trades_by("average")
    assert [(one.volume, one.pnl) for one in average] == [
        (D(2), D("46.67")),
        (D(1), D("-16.67")),
    ]
    assert round(average[0].entry_price, 4) == D("106.6667")
    assert len(average[0].entry_order_ids) == 2
    assert result.summary["profit"] == D(30)


def test_another_method_is_refused() -> None:
    with pytest.raises(ConfigError, match="by fifo or average, not by 'lifo'"):
        play({}).trades_by("lifo")


def test_a_position_closed_in_two_parts_is_two_trades() -> None:
    # 3 long at 100; one closed at 110, two at 130: 10 and 60.
    plan = {
        1: (call("long", 3, leverage=2),),
        2: (call("close", 1),),
        3: (call("close"),),
    }
    trades = play(plan).trades
    assert told(trades) == [
        ("LONG", D(1), D(100), D(110), D(10)),
        ("LONG", D(2), D(100), D(130), D(60)),
    ]
    assert trades[0].root_id == trades[1].root_id
    assert trades[0].exit_order_ids != trades[1].exit_order_ids
    assert [one.exit_reason for one in trades] == ["close", "close"]


def test_a_reversal_closes_one_trade_and_opens_another() -> None:
    # Long 1 at 100; short 3 at 110 closes it, +10, and goes short 2, which at 90 have won 40.
    plan = {1: (call("long", 1),), 2: (call("short", 3),)}
    trades = play(plan, netting=True).trades
    assert told(trades) == [
        ("LONG", D(1), D(100), D(110), D(10)),
        ("SHORT", D(2), D(110), D(90), D(40)),
    ]
    assert trades[0].exit_reason == "netting"
    assert trades[0].exit_order_ids == trades[1].entry_order_ids


def test_what_is_owned_at_the_start_was_bought_at_the_first_mark() -> None:
    # 2 bitcoin at the first close, 100; one sold at 110, the other is open at 90.
    trades = play({2: (call("sell", 1),)}, cash={"USD": "50", "BTC": "2"}).trades
    assert told(trades) == [
        ("LONG", D(1), D(100), D(110), D(10)),
        ("LONG", D(1), D(100), D(90), D(-10)),
    ]
    assert {one.entry_reason for one in trades} == {"opening_balance"}
    assert [(one.strategy, one.entry_order_ids) for one in trades] == [("script", ()), ("", ())]


def test_what_came_through_another_pair_is_short_in_the_pair_that_sold_it() -> None:
    # Bitcoin bought for 100 dollars and sold for 100 euros: one pair is long, at 100 still, the
    # other short, at 100 still. In euros nothing was won, in dollars neither.
    class Across(Strategy):
        async def on_bar(self, bar: Bar) -> None:
            if bar.pair == "BTCUSD" and not self.balance("BTC"):
                await self.buy("BTCUSD", 1)
            elif bar.pair == "BTCEUR" and self.balance("BTC"):
                await self.sell("BTCEUR", 1)

    data = {
        TradingPair(code, "BTC", Asset(code[3:], 2)): hourly(code, *[("100",) * 4] * 3)
        for code in ("BTCUSD", "BTCEUR")
    }
    trades = backtest.run(Across(), data=data, cash={"USD": "1000"}).trades
    assert [(one.pair, one.side, one.is_open, one.asset_code) for one in trades] == [
        ("BTCUSD", "LONG", True, "USD"),
        ("BTCEUR", "SHORT", True, "EUR"),
    ]
    assert trades.pnl == {"USD": D(0), "EUR": D(0)}


def test_trades_are_in_the_order_in_which_they_were_over() -> None:
    # The first position is closed in two fills, at 110 and at 130, of 2 and 1: a bar trades no more
    # than 2. The second is closed whole at 110. It is over before the first.
    class Two(Strategy):
        async def on_bar(self, bar: Bar) -> None:
            self.seen = getattr(self, "seen", 0) + 1
            if self.seen == 1:
                self.one = await self.long("BTCUSD", 2)
                self.other = await self.long("ETHUSD", 1)
            elif self.seen == 3:
                await self.one.close()
                await self.other.close()

    prices = ("100", "100", "110", "130", "120")
    volumes = {"BTCUSD": ("9", "9", "1", "9", "9"), "ETHUSD": ("9",) * 5}
    data = {
        TradingPair(code, code[:3], Asset("USD", 2)): [
            Bar(code, START + at * HOUR, START + (at + 1) * HOUR, *(D(price),) * 4, D(volume))
            for at, (price, volume) in enumerate(zip(prices, given, strict=True))
        ]
        for code, given in volumes.items()
    }
    trades = backtest.run(Two(), data=data, cash="10000 USD").trades
    # 1 at 110 and 1 at 130: on average 120, and 40 won.
    assert [(one.pair, one.exit_price, one.pnl) for one in trades] == [
        ("ETHUSD", D(110), D(10)),
        ("BTCUSD", D(120), D(40)),
    ]
    assert [one.trade_number for one in trades] == [1, 2]
    assert trades[0].exit_ns < trades[1].exit_ns


# -- costs -----------------------------------------------------------------------------------------


def test_every_charge_is_of_the_trade_that_caused_it() -> None:
    # Each order costs 5 when it is made, 1 % when it fills or closes, 2 when it is cancelled.
    # Long 2 at 100: 5 + 2. One closed at 110, 1.10: half of the 7 is its own, 3.50: 10 - 4.60.
    # The other closed at 130, 1.30: 30 - 4.80. The buy at 1 is never filled: 7 are of no trade.
    plan = {
        1: (call("buy", 1, limit_price=1), call("long", 2)),
        2: (call("close", 1),),
        3: (call("close"),),
        4: (call("cancel"),),
    }
    rules = {
        "fees": {
            "create": {"flat_per_trade": "5"},
            "fill": {"percent_of_notional": "0.01"},
            "close": {"percent_of_notional": "0.01"},
            "cancel": {"flat_per_trade": "2"},
        }
    }
    result = play(plan, rules=rules)
    assert [(one.gross_pnl, one.fees, one.pnl) for one in result.trades] == [
        (D(10), D("4.60"), D("5.40")),
        (D(30), D("4.80"), D("25.20")),
    ]
    assert result.trades.untraded == {("main", "USD"): D(7)}
    assert result.summary["profit"] == D("23.60")


def test_what_a_night_costs_is_of_what_was_open_then() -> None:
    # 1 % of the mark each night. Bars of a day: long 2 at 100, closed one by one at 110 and 130.
    # What is charged is shared by what is open: all of it comes to the balance.
    rows = [
        Bar("BTCUSD", START + at * 24 * HOUR, START + (at + 1) * 24 * HOUR, *(D(price),) * 4)
        for at, price in enumerate((100, 100, 110, 130, 120))
    ]
    plan = {1: (call("long", 2),), 2: (call("close", 1),), 3: (call("close"),)}
    rules = {"fees": {"overnight_filled": {"percent_of_notional": "0.01"}}}
    result = backtest.run(Script(plan), data={PAIR: rows}, cash="10000 USD", rules=rules)
    first, second = result.trades
    # The night after the first day with the position: 2 at 100, 2.00, one each.
    # The night after that: 1 at 110, 1.10.
    assert (first.financing, second.financing) == (D("1"), D("2.10"))
    assert (first.pnl, second.pnl) == (D(9), D("27.90"))


def test_what_the_insurance_bore_of_a_night_is_of_what_was_open_then() -> None:
    # Long 1 at 100 with a margin of 100 of 105. The night costs 90 % of the mark: 90, half of it is
    # of the half that is closed at 100 next morning. Margin and what is available are 15 then. The
    # next nights cost half of 90 and half of 99: 45, of which 30 are insured, and 49.50, all of it.
    rows = [
        Bar("BTCUSD", START + at * 24 * HOUR, START + (at + 1) * 24 * HOUR, *(D(price),) * 4)
        for at, price in enumerate((100, 100, 100, 110, 120))
    ]
    plan = {1: (call("long", 1),), 2: (call("close", "0.5"),)}
    rules = {"fees": {"overnight_filled": {"percent_of_notional": "0.9"}}}
    result = backtest.run(Script(plan), data={PAIR: rows}, cash="105 USD", rules=rules)
    assert [(one.financing, one.insured, one.pnl) for one in result.trades] == [
        (D(45), D(0), D(-45)),
        (D("139.5"), D("79.5"), D(-50)),
    ]
    assert result.summary["profit"] == D(-95)


def test_what_the_insurance_bore_is_of_the_trade_that_was_liquidated() -> None:
    # Long 1 at 100 with leverage 10: a margin of 10. It opens at 80: 20 lost, 10 of it insured.
    rows = [("100",) * 4, ("100",) * 4, ("80",) * 4]
    trades = play({1: (call("long", 1, leverage=10),)}, rows).trades
    (one,) = trades
    assert one.exit_reason == "liquidation"
    assert (one.gross_pnl, one.insured, one.pnl) == (D(-20), D(10), D(-10))


# -- excursions ------------------------------------------------------------------------------------


def test_excursions_come_from_the_bars_within_and_the_prices_of_entry_and_exit() -> None:
    # Long 2 at the open of the second bar, 100: all of that bar is within. It is closed at the open
    # of the fourth: nothing else of that bar is. Lowest 95, highest 120.
    rows = [
        ("100", "200", "1", "100"),
        ("100", "110", "95", "105"),
        ("105", "120", "104", "110"),
        ("112", "300", "2", "112"),
    ]
    plan = {1: (call("long", 2),), 3: (call("close"),)}
    (one,) = play(plan, rows).trades
    assert (one.worst_price, one.best_price) == (D(95), D(120))
    assert (one.mae, one.mfe) == (D(-10), D(40))
    assert one.excursions_from == "1h bars"
    assert one.duration == timedelta(hours=2)
    assert one.entry_timestamp == datetime(2024, 1, 1, 1, tzinfo=UTC)


def test_a_bar_in_which_a_stop_was_hit_counts_with_the_price_of_the_stop() -> None:
    # Short 1 at 100, stopped at 110 within the third bar, whose extremes may lie after that.
    rows = [("100",) * 4, ("100", "104", "98", "102"), ("102", "150", "50", "60")]
    plan = {1: (call("short", 1, stop_loss=110),)}
    (one,) = play(plan, rows).trades
    assert one.exit_reason == "stop_loss"
    assert (one.worst_price, one.best_price) == (D(110), D(98))
    assert (one.mae, one.mfe) == (D(-10), D(2))


def test_excursions_from_quotes_are_at_what_closes() -> None:
    # Bought at the ask, 101. The bid falls to 95 and rises to 104 while it is held. The last mark
    # is the middle of 102 and 103.
    class OnQuotes(Strategy):
        async def on_quote(self, quote: Quote) -> None:
            self.seen = getattr(self, "seen", 0) + 1
            if self.seen == 1:
                await self.buy("BTCUSD", 1)

    quotes = [
        Quote("BTCUSD", START + at * HOUR, D(bid), D(bid) + 1)
        for at, bid in enumerate((100, 95, 104, 102))
    ]
    (one,) = backtest.run(OnQuotes(), data={PAIR: quotes}, cash="1000 USD").trades
    assert (one.entry_price, one.exit_price) == (D(101), D("102.5"))
    assert (one.worst_price, one.best_price) == (D(95), D(104))
    assert one.excursions_from == "quotes"


def test_data_that_cannot_be_read_again_has_no_excursions() -> None:
    result = small_run()
    result.sources = {}
    assert {(one.mae, one.mfe, one.excursions_from) for one in result.trades} == {(None, None, "")}


# -- the sequence ----------------------------------------------------------------------------------


def test_trades_are_a_sequence_that_can_be_filtered_and_summed() -> None:
    trades = small_run().trades
    assert len(trades) == 3
    assert trades[0].pnl == D("12.78")
    assert [one.trade_number for one in trades[1:]] == [2, 3]
    assert [one.pnl for one in trades.where(order_kind="trading")] == [D("1.77")]
    assert [one.pnl for one in trades.where(lambda one: one.pnl > 10, side="LONG")] == [D("12.78")]
    assert (len(trades.won), len(trades.lost), len(trades.open)) == (2, 1, 0)
    assert trades.pnl == {"USD": D("7.34")}
    assert repr(trades) == "<Trades 3 closed, 0 open, pnl 7.34 USD>"
    assert [one.pnl for one in trades.where(duration_seconds=D(7200))] == [D("12.78"), D("1.77")]
    with pytest.raises(ConfigError, match="trades have no 'profit'"):
        trades.where(profit=1)


def test_trades_as_dictionaries_are_numbers_or_exact() -> None:
    trades = small_run().trades
    row = trades.to_dicts()[0]
    assert tuple(row) == COLUMNS["trades"]
    assert row["pnl"] == 12.78
    assert isinstance(row["pnl"], float)
    assert row["duration_seconds"] == 7200.0
    assert row["entry_timestamp"] == datetime(2024, 1, 1, 1, tzinfo=UTC)
    assert trades.to_dicts(exact=True)[0]["pnl"] == D("12.78")


def test_trades_do_not_go_by_the_decimal_context_of_who_asks() -> None:
    one = small_run().trades[0]
    with localcontext(prec=2):
        assert one.duration_seconds == 7200
        assert str(one.duration_seconds) == "7200.000000000"


def test_trades_in_pandas_are_numeric_in_utc() -> None:
    pytest.importorskip("pandas")
    trades = small_run().trades
    frame = trades.to_pandas()
    assert str(frame["pnl"].dtype) == "float64"
    assert str(frame["entry_timestamp"].dtype) == "datetime64[ns, UTC]"
    assert math.isclose(frame["pnl"].sum(), 7.34)
    assert frame.index.name == "trade_number"
    assert trades.to_pandas(exact=True)["pnl"].sum() == D("7.34")
    assert len(trades[:0].to_pandas()) == 0


def test_trades_in_polars_are_numeric_in_utc() -> None:
    polars = pytest.importorskip("polars")
    trades = small_run().trades
    frame = trades.to_polars()
    assert frame.schema["pnl"] == polars.Float64
    assert frame.schema["entry_timestamp"] == polars.Datetime("ns", "UTC")
    assert sum(trades.to_polars(exact=True)["pnl"].to_list()) == D("7.34")


@pytest.mark.parametrize("name", ["pandas", "polars"])
def test_a_missing_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trades, real = small_run().trades, builtins.__import__

    def without(module: str, *args: Any, **more: Any) -> Any:
        if module == name:
            raise ImportError(module)
        return real(module, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=rf"backtest-actors\[{name}\]"):
        getattr(trades, f"to_{name}")()


def test_trades_in_a_notebook_are_a_table_of_text() -> None:
    html = small_run().trades._repr_html_()
    assert html.count("<tr>") == 4
    assert "<td>12.78</td>" in html
    assert "&lt;" not in html


def test_the_table_of_the_run_is_the_same_trades() -> None:
    result = small_run()
    rows = [dict(zip(COLUMNS["trades"], row, strict=True)) for row in result.tables.rows("trades")]
    assert [D(row["pnl"]) for row in rows] == [one.pnl for one in result.trades]
    assert rows[0]["is_open"] == "false"
    assert result.summary["trade_pnl"] == sum(one.pnl for one in result.trades.closed)
    assert result.verify(data=True).ok
