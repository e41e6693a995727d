"""Orders against quotes, from the command to the ledger, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.actors import EventKind
from backtest.errors import RejectReason
from backtest.models import Quote
from backtest.strategies import Strategy
from tests.harness import DAY, D, Me, pair_of, play, quote, refused, rules, trade


async def wait(stream: Any, count: int = 1) -> Any:
    for _ in range(count - 1):
        await anext(stream)
    return await anext(stream)


def test_a_round_trip_pays_the_spread() -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await wait(quotes)  # 99 / 101: bought at 101, which stands
        buy = await me.buy("BTCUSD", 2)
        assert (buy.is_filled, buy.average_price) == (True, D(101))
        assert me.last_price("BTCUSD") == D(100)  # the middle
        await wait(quotes)  # 102 / 104: sold at 102
        await me.sell("BTCUSD", 2)

    world = play([quote(1, 99, 101), quote(2, 102, 104)], script)
    assert world.fills() == ["entry LONG 2 @ 101 ask", "entry SHORT 2 @ 102 bid"]
    # Reserved is the price that stands, 2 x 101, all of which is paid; then 2 x 102 come.
    assert world.journal() == [
        "RESERVE_MARGIN USD -202 202",
        "FILL_BUY USD 0 -202",
        "SPOT_EXCHANGE BTC 2 0",
        "RESERVE_MARGIN BTC -2 2",
        "FILL_SELL BTC 0 -2",
        "SPOT_EXCHANGE USD 204 0",
    ]
    assert world.balance() == (D(1002), D(0))


@pytest.mark.parametrize("fill_on", ["next_open", "this_close", "next_close"])
def test_where_rules_say_so_orders_wait_for_the_next_quote(fill_on: str) -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await wait(quotes, 2)
        order = await me.buy("BTCUSD", 1)
        assert not order.is_filled
        await wait(quotes)
        assert order.is_filled

    # Two quotes at one time: strategies decide when both are over. What is said of bars, and of
    # their closes, does not matter here. Reserved: 98 x 1.05 = 102.90.
    world = play(
        [quote(1, 99, 100), quote(1, 97, 98), quote(2, 97, 99)],
        script,
        rules=rules(quotes="next", fill_on=fill_on),
    )
    assert world.fills() == ["entry LONG 1 @ 99 ask"]
    assert [one.timestamp_ns for one in world.records.fills] == [2 * 10**9]
    assert world.journal()[0] == "RESERVE_MARGIN USD -102.9 102.9"


def test_limits_rest_and_fill_at_their_own_price_as_makers() -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await wait(quotes)
        await me.buy("BTCUSD", 1, limit_price="99")
        marketable = await me.buy("BTCUSD", 1, limit_price="105")
        assert marketable.average_price == D(100)
        await wait(quotes, 3)

    fees = {"fill": {"percent_of_notional": "0.01", "maker": "0.002"}}
    world = play(
        [quote(1, 99, 100), quote(2, 100, 101), quote(3, 99, "99.01"), quote(4, 95, 97)],
        script,
        rules=rules(fees=fees),
    )
    # 1 % of 100 as a taker; 0.2 % of 99 = 0.198, rounded up to 0.20, as a maker.
    assert world.fills() == [
        "entry LONG 1 @ 100 ask fee 1",
        "entry LONG 1 @ 99 ask fee 0.2 maker",
    ]
    assert world.balance() == (D(1000) - D("101.00") - D("99.20"), D(0))


def test_sizes_cap_and_the_rest_meets_the_next_quote() -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await wait(quotes)
        order = await me.buy("BTCUSD", 5)
        assert (order.filled_volume, order.leaves) == (D(1), D(4))
        await wait(quotes)
        assert (order.filled_volume, order.leaves) == (D(3), D(2))
        await wait(quotes)
        assert order.is_filled

    world = play(
        [quote(1, 99, 100, 9, 2), quote(2, 98, 99, 9, 4), quote(3, 100, 101)],
        script,
        rules=rules(participation="0.5"),
    )
    # Half of 2 is 1, half of 4 is 2; the last quote has no sizes, so it has no cap.
    assert world.fills() == [
        "entry LONG 1 @ 100 ask",
        "entry LONG 2 @ 99 ask",
        "entry LONG 2 @ 101 ask",
    ]


def test_a_short_is_stopped_at_the_ask_and_a_long_takes_its_profit_at_the_bid() -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await wait(quotes)
        await me.short("BTCUSD", 1, leverage=2, stop_loss="103")
        await me.long("BTCUSD", 1, leverage=2, take_profit="104")
        await wait(quotes, 4)

    world = play(
        [
            quote(1, 99, 101),
            quote(2, 99, 101),  # short from 99, long from 101
            quote(3, 102, "102.99"),
            quote(4, 102, "103.5"),  # the ask reaches 103: stopped at 103.5
            quote(5, 106, 107),  # the bid has passed 104: 104, as a maker
        ],
        script,
    )
    assert world.fills() == [
        "entry SHORT 1 @ 99 bid",
        "entry LONG 1 @ 101 ask",
        "stop_loss LONG 1 @ 103.5 ask",
        "take_profit SHORT 1 @ 104 bid maker",
    ]
    assert world.balance() == (D(1000) + (99 - D("103.5")) + (104 - 101), D(0))  # 998.5


def test_a_position_is_liquidated_at_the_side_that_it_meets() -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await wait(quotes)
        await me.long("BTCUSD", 1, leverage=10)  # at 100, margin 10: liquidated at 90
        await wait(quotes, 4)

    world = play(
        [
            quote(1, 99, 100),
            quote(2, 99, 100),
            quote(3, "90.01", 120),  # the middle is far above, the bid is not at 90
            quote(4, 88, 95),  # the bid is: it fills at 88, of which 2 are the insurance's
            quote(5, 88, 95),
        ],
        script,
        insurance=[("USD", D(50))],
    )
    assert world.fills() == ["entry LONG 1 @ 100 ask", "liquidation SHORT 1 @ 88 bid"]
    assert world.balance() == (D(990), D(0))
    assert world.ledger.balance("insurance", "USD")[0] == D(48)


def test_an_entry_whose_stop_loss_the_bid_has_reached_is_closed_at_once() -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await wait(quotes)
        order = await me.long("BTCUSD", 1, stop_loss="99.5")
        assert (order.is_filled, order.open_volume) == (True, D(0))
        await wait(quotes)

    world = play([quote(1, 99, 101), quote(3, 99, 101)], script)
    assert world.fills() == ["entry LONG 1 @ 101 ask", "stop_loss SHORT 1 @ 99 bid"]
    assert world.balance() == (D(998), D(0))


def test_positions_are_marked_at_the_middle_rounded_half_to_even() -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await wait(quotes)
        await me.long("BTCUSD", 1)
        await wait(quotes, 2)

    world = play([quote(1, 100, 100), quote(2, 100, 100), quote(3, 101, "101.03")], script)
    assert world.equity == D("1001.02")  # 101.015 is 101.02 on the increment


def test_immediate_and_post_only_orders() -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await wait(quotes)
        some = await me.buy("BTCUSD", 5, time_in_force="IOC")
        none = await me.buy("BTCUSD", 5, time_in_force="FOK")
        maker = await me.buy("BTCUSD", 1, limit_price="99.5", post_only=True)
        assert (some.filled_volume, some.is_done) == (D(2), True)
        assert (none.filled_volume, none.is_done) == (D(0), True)
        await wait(quotes)
        assert maker.is_filled

    world = play([quote(1, 99, 100, 9, 2), quote(3, 98, 99)], script, cash={"USD": 9000})
    assert world.fills() == ["entry LONG 2 @ 100 ask", "entry LONG 1 @ 99.5 ask maker"]
    me = world.strategies["s0"]
    assert me.told(EventKind.CANCELLED) == [
        ("cancelled", "IMMEDIATE_OR_CANCEL"),
        ("cancelled", "FILL_OR_KILL"),
    ]


def test_an_order_good_till_the_time_of_a_quote_has_expired_there() -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await wait(quotes)
        early = await me.buy("BTCUSD", 1, limit_price="98", expires="2s")  # till second 3
        late = await me.buy("BTCUSD", 1, limit_price="98", expires="3s")
        await wait(quotes, 2)
        assert (early.is_filled, early.is_done) == (False, True)
        assert late.is_filled

    world = play([quote(1, 99, 100), quote(2, 99, 100), quote(3, 97, 98)], script)
    assert world.strategies["s0"].told(EventKind.CANCELLED) == [("cancelled", "EXPIRED")]


def test_stop_limit_and_trailing_stop() -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await wait(quotes)
        await me.buy("BTCUSD", 2)
        await wait(quotes)
        await me.sell("BTCUSD", 1, stop_price="98", limit_price="97.5")
        await me.sell("BTCUSD", 1, trail="3")
        await wait(quotes, 4)

    world = play(
        [
            quote(1, 99, 100),
            quote(2, 99, 100),  # bought at 100; the bid is 99: trails at 96
            quote(3, 102, 103),  # the bid of 102 takes the trailing stop to 99
            quote(4, 99, 100),  # reached: sold at the bid of 99
            quote(5, 97, 98),  # the stop of 98 is reached, the limit of 97.5 is not
            quote(6, 98, 99),  # a limit that rests: 97.5
        ],
        script,
    )
    assert world.fills() == [
        "entry LONG 2 @ 100 ask",
        "entry SHORT 1 @ 99 bid",
        "entry SHORT 1 @ 97.5 bid maker",
    ]


def test_one_cancels_other() -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await wait(quotes)
        low = await me.buy("BTCUSD", 1, limit_price="95", oco="either")
        high = await me.buy("BTCUSD", 1, stop_price="105", oco="either")
        await wait(quotes)
        assert (low.is_filled, high.is_done) == (True, True)
        await wait(quotes)

    world = play([quote(1, 99, 100), quote(2, 94, 95), quote(3, 105, 106)], script)
    assert world.fills() == ["entry LONG 1 @ 95 ask maker"]


def test_the_queue_from_quotes_and_trades() -> None:
    async def script(me: Me) -> None:
        quotes, trades = me.quotes("BTCUSD"), me.trades("BTCUSD")
        await wait(quotes)  # 3 are bid at 99
        order = await me.buy("BTCUSD", 2, limit_price="99")
        await wait(trades, 2)
        assert order.filled_volume == D(1)  # 2 + 2 have traded, and 3 stood ahead
        await wait(trades)
        assert order.is_filled

    async def touched(me: Me) -> None:
        quotes, trades = me.quotes("BTCUSD"), me.trades("BTCUSD")
        await wait(quotes)
        order = await me.buy("BTCUSD", 2, limit_price="99")
        await wait(trades)
        assert order.is_filled

    data: list[Any] = [
        quote(1, 99, 100, 3, 3),
        trade(2, 99, 2, "sell"),
        trade(3, 99, 2, "sell"),
        trade(4, 99, 5, "sell"),
    ]
    world = play(data, script, rules=rules(queue="conservative"))
    assert world.fills() == ["entry LONG 1 @ 99 trade maker", "entry LONG 1 @ 99 trade maker"]
    assert play(data, touched).fills() == ["entry LONG 2 @ 99 trade maker"]


def test_a_night_is_charged_at_the_last_mark_before() -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await wait(quotes)
        await me.long("BTCUSD", 1)
        await wait(quotes, 2)

    evening = DAY // 10**9 - 10
    fees = {"overnight_filled": {"percent_of_notional": "0.01"}}
    world = play(
        [
            quote(evening, 99, 100),
            quote(evening + 1, 100, 100),  # entered at 100, marked at 100
            quote(evening + 10, 120, 120),  # midnight itself: 1 % of 100, not of 120
        ],
        script,
        rules=rules(fees=fees),
    )
    assert "FEE_OVERNIGHT USD -1 0" in world.journal()


def test_handlers_and_subscriptions() -> None:
    seen: list[tuple[str, int, Any]] = []

    class Watcher(Strategy):
        def on_start(self) -> None:
            self.subscribe("BTCUSD")

        def on_quote(self, quote: Quote) -> None:
            seen.append((quote.pair, quote.time_ns // 10**9, self.last_price(quote.pair)))

    class Waiter(Strategy):
        async def on_quote(self, quote: Quote) -> None:
            seen.append(("async", quote.time_ns // 10**9, self.now.second))

    data = [quote(1, 99, 100), quote(2, 9, 10, pair="ETHUSD"), quote(3, 100, 101)]
    pairs = [pair_of(), pair_of("ETHUSD")]
    play(data, kinds=[Watcher, Waiter], pairs=pairs)
    assert seen == [
        ("BTCUSD", 1, D("99.5")),
        ("async", 1, 1),
        ("async", 2, 2),
        ("BTCUSD", 3, D("100.5")),
        ("async", 3, 3),
    ]


def test_no_price_no_market_order() -> None:
    async def script(me: Me) -> None:
        await refused(me, lambda: me.buy("BTCUSD", 1), RejectReason.NO_PRICE_YET)

    play([quote(1, 99, 100)], script)


@pytest.mark.parametrize("price", ["101", "99"])
def test_a_stop_loss_on_the_wrong_side_of_the_middle_is_refused(price: str) -> None:
    async def script(me: Me) -> None:
        await anext(me.quotes("BTCUSD"))
        if price == "101":
            await refused(
                me,
                lambda: me.long("BTCUSD", 1, stop_loss=price),
                RejectReason.PROTECTION_SIDE,
            )
        else:
            await me.long("BTCUSD", 1, stop_loss=price)

    play([quote(1, 99, 102)], script)


def test_a_spot_bracket_exits_once_at_the_bid() -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await wait(quotes)
        await me.buy("BTCUSD", 2, stop_loss="95", take_profit="110")
        await wait(quotes, 4)

    world = play(
        [
            quote(1, 99, 100),
            quote(2, 99, 100),  # bought at 100; the exits wait at 95 and 110
            quote(3, 109, 112, 1, 1),
            quote(4, 111, 113, "0.5", 9),  # half of one at 110, as a maker
            quote(5, 94, 120),  # the rest at what is bid below 95
        ],
        script,
    )
    assert world.fills() == [
        "entry LONG 2 @ 100 ask",
        "take_profit SHORT 0.5 @ 110 bid maker",
        "stop_loss SHORT 1.5 @ 94 bid",
    ]
    assert world.balance("BTC") == (D(0), D(0))
    assert world.balance() == (D(1000) - 200 + 55 + 141, D(0))


def test_netting_and_reduce_only() -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await wait(quotes)
        await me.long("BTCUSD", 2)
        await wait(quotes)
        await me.short("BTCUSD", 5, reduce_only=True)
        assert not me.position("BTCUSD")

    world = play(
        [quote(1, 99, 100), quote(3, 103, 104)],
        script,
        accounts={"main": {"netting": True}},
    )
    assert [line.split(" ", 1)[1] for line in world.fills()] == [
        "LONG 2 @ 100 ask",
        "SHORT 2 @ 103 bid",
    ]
    assert world.balance() == (D(1006), D(0))


def test_cross_margin_is_called_at_the_marks_and_pays_the_spread() -> None:
    async def script(me: Me) -> None:
        quotes = me.quotes("BTCUSD")
        await wait(quotes)
        await me.long("BTCUSD", 20, leverage=10)
        await wait(quotes, 3)

    world = play(
        [
            quote(1, 100, 100),
            quote(2, 100, 100),
            quote(3, 50, 60),  # at 55: 1000 - 20 x 45 = 100 are left
            quote(4, 49, 51),  # at 50: nothing is, and 20 are sold at the bid of 49
        ],
        script,
        accounts={"main": {"margin_mode": "cross"}},
        insurance=[("USD", D(1000))],
    )
    assert world.fills() == ["entry LONG 20 @ 100 ask", "liquidation SHORT 20 @ 49 bid"]
    assert world.balance() == (D(0), D(0))
    assert world.ledger.balance("insurance", "USD")[0] == D(980)
