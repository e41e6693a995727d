"""History as a participant: which orders recorded quotes, trades and bars become."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from backtest.errors import DataError, FieldError
from backtest.models import Bar, MarketEvent, OrderDirection, Quote, Trade
from backtest.strategies.agents import Replay
from backtest.times import MINUTE, SECOND

from .running import PAIR, D, bars, play, sent_orders

START = next(iter(bars(1))).open_ns


def translated(events: Iterable[MarketEvent], **settings: Any) -> list[tuple[Any, ...]]:
    """What a replay agent makes of ``events``, in no run."""
    agent = Replay(**settings)
    agent.traded, agent.default, agent.factor = PAIR, D(str(agent.size)), D(str(agent.scale))
    agent.bought, agent.last_trade = True, None
    return [tuple(doing) for doing in agent.translate(iter(events))]


def trade(second: int, price: str, volume: str | None = "2", aggressor: Any = None) -> Trade:
    size = None if volume is None else D(volume)
    return Trade("BTCUSD", second * SECOND, D(price), size, aggressor)


class TestTranslation:
    def test_a_quote_stands_on_both_sides_with_its_sizes(self) -> None:
        quote = Quote("BTCUSD", 5, D("99.985"), D("100.015"), D(3), D("0.0005"))
        # Prices go away from each other, volumes down; less than a lot is nothing.
        assert translated([quote]) == [(5, (D("99.98"), D(3)), None)]

    def test_sizes_that_are_not_known_are_the_default(self) -> None:
        quote = Quote("BTCUSD", 5, D(99), D(101))
        assert translated([quote], size=7, scale="0.5") == [
            (5, (D(99), D("3.5")), (D(101), D("3.5")))
        ]

    def test_a_trade_takes_on_the_side_of_its_aggressor(self) -> None:
        found = translated([trade(1, "100", "2", "sell"), trade(2, "100.001", "3", "buy")])
        assert found == [
            (SECOND, False, D(2), D(100)),
            (2 * SECOND, True, D(3), D("100.01")),
        ]

    def test_an_unknown_side_is_told_by_the_tick(self) -> None:
        # Nothing before the first: a purchase. Up: bought. The same: as before. Down, the same:
        # sold. Up again: bought.
        prices = ("100", "101", "101", "100", "100", "102")
        found = translated([trade(n, price) for n, price in enumerate(prices)])
        assert [buy for _, buy, _, _ in found] == [True, True, True, False, False, True]

    def test_a_bar_is_four_quotes_on_its_path(self) -> None:
        # Open 100, the low 99.5 is nearer than the high 101: low first. Two increments around each;
        # a quarter of 8 on each side, a third of a minute apart.
        bar = Bar("BTCUSD", 0, MINUTE, D(100), D(101), D("99.5"), D("100.2"), D(8))
        assert translated([bar]) == [
            (0, (D("99.99"), D(2)), (D("100.01"), D(2))),
            (20 * SECOND, (D("99.49"), D(2)), (D("99.51"), D(2))),
            (40 * SECOND, (D("100.99"), D(2)), (D("101.01"), D(2))),
            (60 * SECOND, (D("100.19"), D(2)), (D("100.21"), D(2))),
        ]

    def test_the_nearer_extreme_comes_first_and_ties_go_low(self) -> None:
        def middles(o: str, h: str, low: str, c: str) -> list[Decimal]:
            bar = Bar("BTCUSD", 0, MINUTE, D(o), D(h), D(low), D(c), D(8))
            return [doing[1][0] + D("0.01") for doing in translated([bar])]

        assert middles("100", "101", "98", "99") == [100, 101, 98, 99]
        assert middles("100", "101", "99", "100") == [100, 99, 101, 100]

    def test_a_bar_without_volume_offers_the_default_and_one_of_none_nothing(self) -> None:
        flat = Bar("BTCUSD", 0, MINUTE, D(100), D(100), D(100), D(100))
        assert {doing[1][1] for doing in translated([flat], size=5)} == {D(5)}
        still = Bar("BTCUSD", 0, MINUTE, D(100), D(100), D(100), D(100), D(0))
        assert {doing[1:] for doing in translated([still])} == {(None, None)}


class TestOrders:
    def test_a_standing_quote_follows_the_recorded_one(self) -> None:
        # Two quotes a minute apart: both sides of the first go when the second comes.
        quotes = [
            Quote("BTCUSD", 0, D(50), D(150), D(3), D(3)),
            Quote("BTCUSD", MINUTE, D(50), D(151), D(3), D(3)),
        ]
        result = play(Replay(data=quotes), bars(5))
        orders = [(one.limit_price, one.status.name) for one in sent_orders(result)]
        # The bid is the same and keeps its place.
        assert orders == [(D(50), "PENDING"), (D(150), "CANCELLED"), (D(151), "PENDING")]

    def test_a_recorded_trade_leaves_nothing_behind(self) -> None:
        result = play(Replay(data=[trade(0, "100"), trade(90, "1", "2", "buy")]), bars(5))
        orders = [
            (one.direction, one.limit_price, one.instructions.time_in_force.value, one.status.name)
            for one in sent_orders(result)
        ]
        # The first is refused: there is no price yet, and no market to take from.
        assert orders[-1] == (OrderDirection.LONG, D(1), "IOC", "CANCELLED")

    def test_events_are_as_far_apart_as_they_were(self) -> None:
        quotes = [
            Quote("BTCUSD", 10**18 + n * 7 * SECOND, D(50), D(150 + n), D(3), D(3))
            for n in range(4)
        ]
        result = play(Replay(data=quotes), bars(5))
        asks = [one for one in sent_orders(result) if one.direction is OrderDirection.SHORT]
        times = [round(one.create_timestamp.timestamp() * 10**9) - START for one in asks]
        assert times == [0, 7 * SECOND, 14 * SECOND, 21 * SECOND]

    def test_at_their_own_times_what_came_before_is_left_out(self) -> None:
        quotes = [
            Quote("BTCUSD", START + n * MINUTE, D(50), D(150 + n), D(3), D(3)) for n in (-2, -1, 3)
        ]
        result = play(Replay(data=quotes, from_start=False), bars(5))
        asks = [one for one in sent_orders(result) if one.direction is OrderDirection.SHORT]
        assert [one.limit_price for one in asks] == [D(153)]
        assert asks[0].create_timestamp.timestamp() * 10**9 == START + 3 * MINUTE

    def test_it_reads_what_the_data_package_opens(self, tmp_path: Path) -> None:
        file = tmp_path / "quotes.csv"
        file.write_text(
            "time,bid,ask,bid_size,ask_size\n"
            "2020-01-01T00:00:00Z,50,150,1,1\n2020-01-01T00:01:00Z,51,151,1,1\n",
            encoding="utf-8",
        )
        result = play(Replay(data=str(file)), bars(5))
        assert [one.limit_price for one in sent_orders(result)] == [50, 150, 51, 151]

    def test_bars_of_history_are_followed_all_day(self) -> None:
        data = list(bars(30, seed=11))
        result = play(Replay(data=data), bars(30))
        bids = [one for one in sent_orders(result) if one.direction is OrderDirection.LONG]
        assert all(a.create_timestamp <= b.create_timestamp for a, b in pairwise(bids))
        assert len(bids) > 80

    def test_there_must_be_something_to_replay(self) -> None:
        with pytest.raises(FieldError, match="data"):
            play(Replay(), bars(2))
        with pytest.raises(FieldError, match="spread"):
            play(Replay(data=list(bars(2)), spread=-1), bars(2))
        with pytest.raises(DataError, match=r"nothing to replay|no bars"):
            play(Replay(data=iter(())), bars(2))
