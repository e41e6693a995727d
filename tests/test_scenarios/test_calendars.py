"""Sessions at the venue: `DAY` orders and nights, and bars that strategies make; by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import backtest
from backtest.actors import EventKind
from backtest.errors import ConfigError
from backtest.models import TradingRules
from backtest.services.calendars import Session
from backtest.strategies import Strategy
from tests.harness import HOUR, D, M, Me, bar, play, quote, rules, trade


class Mornings:
    """A market that is open from 1:00 to 3:00, and again six hours later, and so on."""

    name = "mornings"

    def session(self, ns: int) -> Session | None:
        number, inside = divmod(ns, 6 * HOUR)
        opens = number * 6 * HOUR + HOUR
        return Session(opens, opens + 2 * HOUR, number) if HOUR <= inside <= 3 * HOUR else None

    def day_end(self, ns: int) -> int:
        closes = ns // (6 * HOUR) * 6 * HOUR + 3 * HOUR
        return closes if closes > ns else closes + 6 * HOUR

    def rollover(self, ns: int, time_of_day: int) -> int:
        return self.day_end(ns)


def hours(*prices: int) -> list[Any]:
    return [bar(at, price, length=HOUR) for at, price in enumerate(prices)]


def test_a_day_order_lives_till_the_session_closes() -> None:
    async def script(me: Me) -> None:
        await me.next()  # 1:00
        first = await me.buy("BTCUSD", 1, limit_price="90", time_in_force="DAY")
        await me.next(2)  # 3:00: the session closes
        assert first.is_done
        assert not first.is_filled
        second = await me.buy("BTCUSD", 1, limit_price="90", time_in_force="DAY")  # till 9:00
        await me.next(4)
        assert second.is_filled

    world = play(hours(100, 100, 100, 100, 100, 100, 80), script, rules=rules(calendar=Mornings()))
    assert world.strategies["s0"].told(EventKind.CANCELLED) == [("cancelled", "EXPIRED")]
    assert world.fills() == ["entry LONG 1 @ 80 open maker"]


def test_a_day_order_of_quotes() -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await anext(quotes)
        order = await me.buy("BTCUSD", 1, limit_price="90", time_in_force="DAY")
        await anext(quotes)
        assert order.is_done

    close = 3 * 3600
    world = play(
        [quote(close - 5, 99, 100), quote(close, 80, 81)], script, rules=rules(calendar=Mornings())
    )
    assert world.fills() == []


def test_nights_are_charged_when_sessions_close() -> None:
    async def script(me: Me) -> None:
        await me.next()
        await me.long("BTCUSD", 1)
        await me.next(10)

    fees = {"overnight_filled": {"flat_per_trade": "2"}}
    world = play(hours(*[100] * 11), script, rules=rules(calendar=Mornings(), fees=fees))
    # Opened at 1:00; sessions close at 3:00 and 9:00.
    assert world.journal().count("FEE_OVERNIGHT USD -2 0") == 2


def test_a_calendar_by_name_in_a_file_of_rules(tmp_path: Path) -> None:
    pytest.importorskip("exchange_calendars")
    path = tmp_path / "rules.toml"
    path.write_text('[pairs.BTCUSD]\ncalendar = "XNYS"\n')

    class Nothing(Strategy):
        pass

    data = [bar(0, 1), bar(1, 1)]
    result = backtest.run(Nothing(), data=data, pair="BTCUSD", cash="1 USD", rules=str(path))
    assert result.config["rules"]["BTCUSD"]["calendar"] == "XNYS"
    path.write_text('calendar = "MARS"\n')
    with pytest.raises(ConfigError, match="there is no calendar 'MARS'"):
        backtest.run(Nothing(), data=data, pair="BTCUSD", cash="1 USD", rules=str(path))
    own = TradingRules(calendar=Mornings())
    result = backtest.run(Nothing(), data=data, pair="BTCUSD", cash="1 USD", rules=own)
    assert result.config["rules"]["BTCUSD"]["calendar"] == "mornings"


# -- bars that a strategy makes --------------------------------------------------------------------


def test_bars_made_of_bars_come_when_they_are_complete() -> None:
    seen: list[tuple[int, int, Any, Any]] = []

    async def script(me: Me) -> None:
        async for one in me.bars("BTCUSD", length="5m", resample="bars"):
            seen.append((one.close_ns // M, me.now_ns // M, one.close, one.volume))

    minutes = [bar(n, 100 + n, volume=1) for n in (0, 1, 2, 3, 4, 5, 11)]
    play(minutes, script)
    # The second is known to be complete by the minute that closes at 12; the third, which would end
    # at 15, never is: the data end before.
    assert seen == [(5, 5, D(104), D(5)), (10, 12, D(105), D(1))]


def test_bars_made_of_ticks() -> None:
    seen: list[tuple[str, int, Any]] = []

    async def script(me: Me) -> None:
        streams = {
            what: me.bars("BTCUSD", length="1m", resample=what) for what in ("quotes", "trades")
        }
        for what, stream in streams.items():
            async for one in stream:
                seen.append((what, one.close_ns // M, one.close))

    play([trade(1, 100, 2), quote(2, 99, 100), trade(61, 101), quote(120, 100, 101)], script)
    # At the end, second 120, the trades' second minute is over, and nothing can belong to it.
    assert seen == [("quotes", 1, D("99.5")), ("trades", 1, D(100)), ("trades", 2, D(101))]


def test_what_cannot_be_made() -> None:
    async def script(me: Me) -> None:
        with pytest.raises(ConfigError, match="resample must be 'bars', 'quotes' or 'trades'"):
            me.bars("BTCUSD", length="1h", resample="news")
        with pytest.raises(ConfigError, match="need a length"):
            me.bars("BTCUSD", resample="bars")

    play([bar(0, 1)], script)
