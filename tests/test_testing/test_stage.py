"""`play`, `tick_by_tick` and `refused`: what the public stage promises to those who test on it."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.errors import ConfigError, FieldTypeError, OrderRejected, RejectReason
from backtest.models import Bar
from backtest.strategies import SmaCross, Strategy
from backtest.testing import Market, Scripted, bar, pair_of, play, refused, tick_by_tick
from tests.harness import D, M

BARS = [bar(0, 100), bar(1, 101), bar(2, 103)]


class BuyOnce(Strategy):
    pair: str = "BTCUSD"

    async def on_bar(self, bar: Bar) -> None:
        if not self.balance("BTC").available and not self.open_orders(self.pair):
            await self.buy(self.pair, 2)


class TestPlay:
    def test_takes_strategies_and_scripts_side_by_side(self) -> None:
        async def script(me: Any) -> None:
            await me.next()
            await me.long("BTCUSD", 1)
            await me.next()

        # Both orders fill at the open of bar 1: 2 x 101 for the buy, a margin of 101 for the long.
        world = play(BARS, BuyOnce(), script)
        assert world.fills() == ["entry LONG 2 @ 101 open", "entry LONG 1 @ 101 open"]
        assert world.balance() == (D(1000 - 202 - 101), D(101))
        assert world.balance("BTC") == (D(2), D(0))

    def test_an_account_of_any_name_is_the_one_without_choice(self) -> None:
        world = play(BARS, BuyOnce(), cash={"mine": {"USD": 500}})
        assert world.balance("USD", "mine") == (D(298), D(0))

    def test_a_script_hears_another_pair(self) -> None:
        async def script(me: Any) -> None:
            assert (await me.next(2)).pair == "ETHUSD"

        play([bar(n, 7, pair="ETHUSD") for n in range(2)], script, pairs=[pair_of("ETHUSD")])

    def test_a_script_that_waits_in_vain_fails(self) -> None:
        async def script(me: Any) -> None:
            await (await me.buy("BTCUSD", 1, limit_price=1)).filled()

        with pytest.raises(AssertionError, match="the script of s0 waited in vain"):
            play(BARS, script)
        assert play(BARS, script, finishes=False).orders() == ["LONG 1 PENDING"]

    def test_a_script_that_asks_for_more_bars_fails(self) -> None:
        async def script(me: Any) -> None:
            await me.next(4)

        with pytest.raises(AssertionError, match="more bars than there are"):
            play(BARS, script)

    def test_no_bars(self) -> None:
        with pytest.raises(ConfigError, match="no bars to play"):
            play([], BuyOnce())

    def test_a_float_is_refused_like_everywhere(self) -> None:
        with pytest.raises(FieldTypeError, match="cash"):
            play(BARS, BuyOnce(), cash={"USD": 0.1})

    def test_the_oracle_may_not_be_taken_away(self) -> None:
        def prepare(system: Any) -> None:
            system.observer = None

        with pytest.raises(AssertionError, match="the oracle saw nothing"):
            play(BARS, BuyOnce(), prepare=prepare)

    def test_equal_runs_are_equal_and_all_of_it_can_be_read(self) -> None:
        one, two = play(BARS, BuyOnce()), play(BARS, BuyOnce())
        assert one.sha256 == two.sha256
        assert one.text().splitlines() == [
            "orders:",
            "  LONG 2 FILLED",
            "fills:",
            "  entry LONG 2 @ 101 open",
            "journal:",
            "  main ADJUSTMENT USD 1000 0",
            "  world ADJUSTMENT USD -1000 0",
            # 2 x 100 x 1.05, the buffer of a market order
            "  main RESERVE_MARGIN USD -210 210",
            "  main FILL_BUY USD 0 -202",
            "  main SPOT_EXCHANGE BTC 2 0",
            "  market FILL_BUY USD 202 0",
            "  market SPOT_EXCHANGE BTC -2 0",
            "  main RETURN_MARGIN USD 8 -8",
        ]
        assert play(BARS).text().splitlines()[:2] == ["orders:", "  none"]


class TestCurrencies:
    """Money of any name: the pairs come of the data, and equity is in what is paid with."""

    @staticmethod
    async def _script(me: Any) -> None:
        await me.next()
        code = next(iter(me.pairs))
        await me.long(code, 1, leverage=2)
        await me.next()

    @pytest.mark.parametrize("asset", ["USDT", "EUR", "JPY"])
    def test_cash_in_another_one(self, asset: str) -> None:
        code = f"BTC{asset}"
        bars = [bar(at, 100 + at, pair=code) for at in range(3)]
        world = play(bars, self._script, cash={asset: 500})
        assert world.balance() == world.balance(asset) == (D("449.5"), D("50.5"))
        assert world.equity == 501  # long 1 at 101, now 102
        assert world.venue.valuation.cash == asset

    def test_pairs_with_a_quote_of_their_own_and_no_cash(self) -> None:
        pairs = [pair_of("BTCUSDT", quote="USDT")]
        bars = [bar(at, 100, pair="BTCUSDT") for at in range(3)]
        world = play(bars, self._script, pairs=pairs)
        assert (world.equity, world.balance("USDT")) == (D(1000), (D(950), D(50)))

    def test_several_pairs_of_one_run(self) -> None:
        bars = [bar(at // 2, 10, pair=("BTCUSDT", "ETHUSDT")[at % 2]) for at in range(6)]
        world = play(bars, self._script, cash={"USDT": 500, "ETH": 3})
        assert world.equity == 500 + 3 * 10

    def test_a_cross_margin_account_settles_in_it(self) -> None:
        bars = [bar(at, 100, pair="BTCUSDT") for at in range(3)]
        options = {"main": {"margin_mode": "cross"}}
        world = play(bars, self._script, cash={"USDT": 500}, accounts=options)
        assert world.balance() == (D(450), D(50))

    def test_a_code_that_tells_no_quote_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="cannot tell the base and quote asset"):
            play([bar(0, 100, pair="BTCXYZ")], self._script, cash={"USDT": 500})

    def test_a_market_that_the_test_moves(self) -> None:
        async def script(me: Scripted, market: Market) -> None:
            await market.tick(100)
            await me.buy("BTCUSDT", 2)
            await market.tick(101)

        world = tick_by_tick(script, cash={"USDT": 1000})
        assert world.fills() == ["entry LONG 2 @ 101 open"]
        assert world.balance() == (D(798), D(0))
        assert world.equity == 1000


class TestTickByTick:
    def test_the_test_moves_the_market_and_trades(self) -> None:
        async def script(me: Scripted, market: Market) -> None:
            await market.tick(100)
            order = await me.buy("BTCUSD", 2)
            assert order.filled_volume == 0  # what is ordered now fills later
            await market.tick(101)
            assert order.filled_volume == 2
            assert order.average_price == 101
            assert me.balance("USD").available == 798

        world = tick_by_tick(script)
        assert world.fills() == ["entry LONG 2 @ 101 open"]
        assert world.equity == 1000

    def test_time_is_the_markets(self) -> None:
        seen: list[int] = []

        async def script(me: Scripted, market: Market) -> None:
            for move in (market.tick(100), market.bar(100, 105, 99, 101), market.wait("2h")):
                await move
                seen.append(me._host.system.now)
            made = await market.tick("101.5", "0.25", length="10s")
            assert (made.open_ns, made.close_ns) == (seen[-1], seen[-1] + 10 * 10**9)
            assert (made.open, made.volume) == (D("101.5"), D("0.25"))
            seen.append(market.sent)

        tick_by_tick(script)
        assert seen == [10**9, 10**9 + M, 10**9 + 121 * M, 3]

    def test_the_strategy_under_test_is_another_one(self) -> None:
        cross = SmaCross(pair="BTCUSD", fast=1, slow=2, volume=D(1))

        async def script(me: Scripted, market: Market) -> None:
            for price in (100, 90, 110, 120):
                await market.tick(price)

        # 90 < 95, then 110 > 100: it buys at the close of the third tick, filled at 120
        world = tick_by_tick(script, cross, own=[["main"], ["main"]])
        assert [one.split(" @ ")[1] for one in world.fills()] == ["120 open"]

    def test_a_strategy_with_timers_does_not_keep_it_running(self) -> None:
        class Ticking(Strategy):
            def on_start(self) -> None:
                self.set_timer("tick", every="1m")

        async def script(me: Scripted, market: Market) -> None:
            await market.tick(100)

        assert tick_by_tick(script, Ticking()).system.now == 10**9

    def test_bars_of_several_pairs_that_were_made_elsewhere(self) -> None:
        async def script(me: Scripted, market: Market) -> None:
            await market.send(bar(0, 100), bar(0, 7, pair="ETHUSD"))
            await market.tick(8, pair="ETHUSD")
            assert (await me.next()).pair == "BTCUSD"

        world = tick_by_tick(script, pairs=[pair_of(), pair_of("ETHUSD")])
        assert world.venue.books["ETHUSD"].last == 8

    def test_market_events_have_no_cause(self) -> None:
        causes: list[int] = []

        async def script(me: Scripted, market: Market) -> None:
            await market.tick(100)
            await me.buy("BTCUSD", 1)
            await market.tick(101)

        def prepare(system: Any) -> None:
            before = system.tracer

            def tracer(envelope: Any) -> None:
                before(envelope)
                if envelope.channel.sender == "market-data":
                    causes.append(envelope.cause)

            system.tracer = tracer

        tick_by_tick(script, prepare=prepare)
        assert causes == [0, 0, 0]

    def test_a_failing_assertion_is_the_tests(self) -> None:
        async def script(me: Scripted, market: Market) -> None:
            await market.tick(100)
            raise AssertionError("not what I expected")

        with pytest.raises(AssertionError, match="not what I expected"):
            tick_by_tick(script)


class TestRefused:
    @staticmethod
    def _refuse(what: Any, reason: RejectReason) -> None:
        async def script(me: Scripted, market: Market) -> None:
            await market.tick(100)
            error = await refused(me, lambda: what(me), reason)
            assert isinstance(error, OrderRejected)

        tick_by_tick(script)

    def test_a_refusal_for_the_reason_named(self) -> None:
        self._refuse(lambda me: me.buy("BTCUSD", 99), RejectReason.INSUFFICIENT_FUNDS)

    def test_for_another_reason(self) -> None:
        with pytest.raises(AssertionError, match=r"refused for .*INSUFFICIENT_FUNDS"):
            self._refuse(lambda me: me.buy("BTCUSD", 99), RejectReason.UNKNOWN_PAIR)

    def test_no_refusal_at_all(self) -> None:
        with pytest.raises(AssertionError, match="did not refuse"):
            self._refuse(lambda me: me.buy("BTCUSD", 1), RejectReason.UNKNOWN_PAIR)

    def test_a_refusal_that_changed_something(self) -> None:
        async def deceitful(me: Scripted) -> None:
            await me.buy("BTCUSD", 1)
            await me.buy("BTCUSD", 99)

        with pytest.raises(AssertionError, match="and yet something changed"):
            self._refuse(deceitful, RejectReason.INSUFFICIENT_FUNDS)

    def test_a_refusal_without_a_word(self) -> None:
        async def silent(me: Scripted) -> None:
            raise OrderRejected(RejectReason.STALE, "")

        with pytest.raises(AssertionError, match="without a sentence"):
            self._refuse(silent, RejectReason.STALE)
