"""How long a quote stands, for whom, and who looks at it: by hand.

Unless told otherwise 100 is bid and 101 asked from second 0 on, and the next quote comes an hour
later, at 120 and 121.
"""

from __future__ import annotations

from typing import Any

import pytest

import backtest
from backtest.actors.broker.quotes import StandingQuotes
from backtest.actors.venue.standing_quote import StandingQuote
from backtest.models import TradingRules
from backtest.services.calendars import Session
from backtest.strategies import Strategy
from backtest.testing.audit.oracle import InvariantBroken
from tests.harness import DAY, D, M, Me, bar, play, quote, rules, trade
from tests.test_scenarios.standing import LATER, S, stands, times

# -- how long it stands ----------------------------------------------------------------------------


def test_a_trade_that_opens_after_it_ends_it() -> None:
    async def script(me: Me) -> None:
        order = await me.buy("BTCUSD", 1)
        assert not order.is_filled

    world = stands(script, trade(29, 100), quote(60, 105, 106))
    assert world.fills() == ["entry LONG 1 @ 106 ask"]
    # A market order reserves for the last quote then, with the buffer: 101 x 1.05.
    assert world.entries()[0] == ["RESERVE_MARGIN USD -106.05 106.05"]


def test_a_trade_of_its_own_time_does_not_end_it() -> None:
    async def script(me: Me) -> None:
        await me.buy("BTCUSD", 1)

    world = stands(script, trade(0, 100), LATER)
    assert world.fills() == ["entry LONG 1 @ 101 ask"]


def test_a_bar_that_opens_after_it_ends_it_when_it_closes() -> None:
    async def script(me: Me) -> None:
        await me.sleep(60)  # second 90, inside the bar: nobody knows of it yet
        early = await me.buy("BTCUSD", 1)
        await me.sleep(60)  # second 150
        late = await me.buy("BTCUSD", 1)
        assert (early.is_filled, late.is_filled) == (True, False)

    # Minute 0 has the quote in it. Minute 1 is walked, and from then on the bars decide: the order
    # of second 150 meets the open of minute 3.
    world = stands(script, bar(0, 100), bar(1, 105), bar(2, 106), bar(3, 107))
    assert world.fills() == ["entry LONG 1 @ 101 ask", "entry LONG 1 @ 107 open"]
    assert times(world) == [90, 240]


def test_a_bar_around_it_leaves_it_standing() -> None:
    async def script(me: Me) -> None:
        await me.buy("BTCUSD", 1)

    world = stands(script, quote(30, 102, 103), bar(0, 100), LATER, after=70)
    assert world.fills() == ["entry LONG 1 @ 103 ask"]
    assert times(world) == [70]


def test_where_bars_are_walked_market_orders_follow_the_rule_for_bars() -> None:
    async def script(me: Me) -> None:
        order = await me.buy("BTCUSD", 1)
        await me.sleep("1ms")
        assert order.average_price == D(105)

    # At second 120 minute 1 has closed at 105, and the quote is no more.
    world = stands(
        script,
        bar(1, 104, 105, 104, 105),
        bar(2, 110),
        after=120,
        rules=rules(fill_on="this_close"),
    )
    assert world.fills() == ["entry LONG 1 @ 105 close"]


def test_what_is_opened_inside_a_bar_sees_its_close_alone() -> None:
    async def script(me: Me) -> None:
        await me.long("BTCUSD", 1, stop_loss=95, leverage=2)
        await me.buy("BTCUSD", 1, stop_loss=95)

    # The bar of minute 1 fell to 90 and rose again, and all of that may have been before second 90.
    world = stands(script, bar(1, 100, 101, 90, 96), bar(2, 96, 96, 94, 96), after=90)
    assert world.fills() == ["entry LONG 1 @ 101 ask"] * 2 + ["stop_loss SHORT 1 @ 95 low"] * 2


def test_a_quote_stands_up_to_its_age() -> None:
    async def script(me: Me) -> None:
        first = await me.buy("BTCUSD", 1)
        await me.sleep("1ns")
        second = await me.buy("BTCUSD", 1)
        assert (first.is_filled, second.is_filled) == (True, False)

    world = stands(script, rules=rules(quote_max_age="30s"))
    assert world.fills() == ["entry LONG 1 @ 101 ask", "entry LONG 1 @ 121 ask"]
    assert times(world) == [30, 3600]


class Mornings:
    """A market that is open for the first minute of every hour."""

    name = "mornings"

    def session(self, ns: int) -> Session | None:
        hour = ns // (60 * M)
        opens = hour * 60 * M
        return Session(opens, opens + M, hour) if ns <= opens + M else None

    def day_end(self, ns: int) -> int:
        closes = ns // (60 * M) * 60 * M + M
        return closes if closes > ns else closes + 60 * M

    def rollover(self, ns: int, time_of_day: int) -> int:
        return self.day_end(ns)


def test_a_quote_stands_within_its_session() -> None:
    async def script(me: Me) -> None:
        await me.sleep(30)  # second 60, the close, is of the session
        inside = await me.buy("BTCUSD", 1)
        await me.sleep("1ns")
        outside = await me.buy("BTCUSD", 1)
        await me.sleep(3600 - 60)  # the next session has begun, and its first quote comes later
        resumed = await me.buy("BTCUSD", 1)
        assert [one.is_filled for one in (inside, outside, resumed)] == [True, False, False]

    world = stands(script, quote(3630, 120, 121), rules=rules(calendar=Mornings()))
    assert world.fills() == ["entry LONG 1 @ 101 ask"] + ["entry LONG 1 @ 121 ask"] * 2
    assert times(world) == [60, 3630, 3630]


def test_a_quote_outside_every_session_stands_for_nobody() -> None:
    async def script(me: Me) -> None:
        order = await me.buy("BTCUSD", 1)
        assert not order.is_filled

    world = stands(
        script,
        quote(120, 110, 111),
        quote(3600, 112, 113),
        after=130,
        rules=rules(calendar=Mornings()),
    )
    assert world.fills() == ["entry LONG 1 @ 113 ask"]


def test_a_market_that_never_closes_has_no_end_of_session() -> None:
    async def script(me: Me) -> None:
        await me.buy("BTCUSD", 1)

    world = stands(script, quote(2 * DAY // S, 120, 121), after=DAY // S + 5)
    assert world.fills() == ["entry LONG 1 @ 101 ask"]


def test_at_an_exchange_a_new_day_begins_without_a_quote() -> None:
    pytest.importorskip("exchange_calendars")
    # 2020-01-03 is a Friday; the session closes at 21:00 UTC, the next opens on Monday at 14:30.
    friday = 18264 * DAY // S
    close, monday = friday + 21 * 3600, friday + 3 * 86400 + 14 * 3600 + 1800

    async def script(me: Me) -> None:
        await me.sleep(10)
        first = await me.buy("BTCUSD", 1)
        await me.sleep(monday + 5 - (close - 20))
        second = await me.buy("BTCUSD", 1)
        assert (first.is_filled, second.is_filled) == (True, False)

    world = play(
        [quote(close - 30, 100, 101), quote(monday + 60, 110, 111)],
        script,
        rules=rules(calendar="XNYS"),
    )
    assert world.fills() == ["entry LONG 1 @ 101 ask", "entry LONG 1 @ 111 ask"]


def test_the_last_quote_of_the_data_fills_what_is_decided_on_it() -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await anext(quotes)
        await anext(quotes)
        await me.buy("BTCUSD", 1)

    world = play([quote(0, 100, 101), quote(9, 102, 103)], script)
    assert world.fills() == ["entry LONG 1 @ 103 ask"]
    # Valued at the middle, 102.5, in the end.
    assert world.equity == D("999.5")


# -- when a command comes --------------------------------------------------------------------------


class Once(Strategy):
    """Buys 1 at second 10."""

    async def run(self) -> None:
        await self.sleep(10)
        await self.buy("BTCUSD", 1)


@pytest.mark.parametrize(
    ("latency", "price", "at"),
    [("0s", 101, 10), ("19s", 101, 29), ("20s", 101, 30), ("21s", 111, 31)],
)
def test_it_meets_what_stands_when_it_arrives(latency: str, price: int, at: int) -> None:
    # A command that arrives at the very time of a quote was accepted before it.
    result = backtest.run(
        Once(),
        data=[quote(0, 100, 101), quote(30, 110, 111), LATER],
        pair="BTCUSD",
        cash="1000 USD",
        latency={"orders": latency},
    )
    (fill,) = result.fills
    assert (fill.price, fill.timestamp_ns) == (D(price), at * S)
    assert result.verify().ok


def test_an_order_that_a_timer_sends_comes_after_the_quote_of_its_time() -> None:
    async def script(me: Me) -> None:
        await me.buy("BTCUSD", 1)

    world = stands(script, quote(30, 110, 111), LATER)
    assert world.fills() == ["entry LONG 1 @ 111 ask"]


def test_commands_of_one_moment_are_carried_out_one_after_the_other() -> None:
    async def script(me: Me) -> None:
        entry = me.long("BTCUSD", 1)
        reduces = me.short("BTCUSD", 1, reduce_only=True)  # there is something to reduce by then
        await entry
        await reduces
        assert not me.position("BTCUSD")

    world = stands(script)
    assert world.fills() == ["entry LONG 1 @ 101 ask", "netting SHORT 1 @ 100 bid"]


# -- who looks at it -------------------------------------------------------------------------------


async def _twice(me: Any) -> None:
    await me.buy("BTCUSD", 1)
    await me.buy("BTCUSD", 1)


@pytest.mark.parametrize(
    ("owner", "method", "broken", "invariant"),
    [
        (StandingQuote, "use", lambda self, left: None, "I16"),
        (StandingQuote, "end_by", lambda self, event: None, "I15"),
        (StandingQuote, "at", lambda self, now: self.quote, "I15"),
        (StandingQuotes, "carry_out", lambda self, command: command, "I15"),
    ],
)
def test_the_oracle_finds_what_is_wrong_with_it(
    owner: Any, method: str, broken: Any, invariant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, method, broken)
    events = [trade(10, 100), LATER] if method == "end_by" else [LATER]
    how = rules(quote_max_age="29s") if method == "at" else None
    with pytest.raises(InvariantBroken) as caught:
        stands(_twice, *events, ask_size="1.5", rules=how)
    assert caught.value.invariant == invariant


def test_the_story_says_why_it_did_not_meet_the_quote_that_stood() -> None:
    class Three(Strategy):
        async def run(self) -> None:
            await self.sleep(30)
            await self.buy("BTCUSD", 3)
            await self.buy("BTCUSD", 1)
            await self.buy("BTCUSD", 1, limit_price=95)

    result = backtest.run(
        Three(),
        data=[quote(0, 100, 101, 2, 2), quote(60, 98, 99)],
        pair="BTCUSD",
        cash="1000 USD",
    )

    def told(number: int) -> list[str]:
        story = result.explain(result.orders[number].id).splitlines()
        return [line for line in story if "at once" in line]

    when, where = "1970-01-01 00:00:30", "at the quote of 1970-01-01 00:00"
    name = str(result.orders[0].id)[:8]
    used = "volume 2 x participation 1 = 2 was used up: 2 to"
    # The orders of the run: the first, what was left of it, the second, the third.
    assert told(0) == [
        f"{when}  THE REST, 1, NOT FILLED of order {name} at once, {where} (match): {used} itself"
    ]
    assert told(2) == [f"{when}  NOT FILLED at once, {where} (match): {used} order #1"]
    assert told(3) == [
        f"{when}  NOT FILLED at once, {where} (match): the ask 101.00 stayed above the limit 95.00"
    ]
    assert result.verify().ok


# -- rules -----------------------------------------------------------------------------------------


def test_the_rules_are_read_and_kept() -> None:
    assert (TradingRules().quotes, TradingRules().quote_max_age) == ("standing", None)
    made = rules(quotes="next", quote_max_age="5s")
    assert (made.quotes, made.quote_max_age) == ("next", 5 * S)
    assert rules(quote_max_age=5 * S).quote_max_age == 5 * S
    assert rules(quote_max_age="none").quote_max_age is None
    with pytest.raises(Exception, match=r"^quotes must be one of standing, next, not 'now'"):
        TradingRules(quotes="now")
    with pytest.raises(Exception, match=r"quote_max_age of 5 means 5 nanoseconds: write '5s'"):
        TradingRules(quote_max_age=5)
    with pytest.raises(Exception, match=r"^quote_max_age must be a length of time such as"):
        TradingRules(quote_max_age=1.5)


def test_the_configuration_of_a_run_says_which_rules_it_had() -> None:
    result = backtest.run(
        Once(),
        data=[quote(0, 100, 101), LATER],
        pair="BTCUSD",
        cash="1000 USD",
        rules={"quotes": "next", "quote_max_age": "5s"},
    )
    text = result.config["rules"]["BTCUSD"]
    assert (text["quotes"], text["quote_max_age"]) == ("next", 5 * S)
    assert [one.price for one in result.fills] == [D(121)]
