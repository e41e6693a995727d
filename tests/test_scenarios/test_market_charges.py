"""What time costs agents who trade with each other: funding between them, nights, fees."""

from __future__ import annotations

from backtest.models import Fee, FeeKind, FeeStage, Funding, TradingRules
from backtest.times import HOUR, MINUTE
from tests.harness import D
from tests.market_harness import Does, Market, market_pair, play_market

PAIR = "BTCUSD"


def held(market: Market, name: str) -> object:
    return market.account.ledger.balances()[name].get("USD", (D(0), D(0)))[0]


def play(rules: TradingRules, lot: str = "1", size: str = "10", leverage: int = 1) -> Market:
    async def long(me: Does) -> None:
        await me.long(PAIR, size, limit_price="100", leverage=leverage)

    async def short(me: Does) -> None:
        await me.sleep(1)
        await me.short(PAIR, size, limit_price="100")

    return play_market(
        {"long": Does(script=long), "short": Does(script=short)},
        {"long": {"USD": 2000}, "short": {"USD": 2000}},
        pair=market_pair(lot=lot),
        rules=rules,
        until=2 * HOUR + MINUTE,
    )


def test_longs_pay_shorts_and_the_house_gets_only_what_rounding_took() -> None:
    """1 % of 10 x 100 = 10 at eleven and at twelve; at 10:00 itself there was no position."""
    market = play(TradingRules(funding=Funding("0.01", every="1h")))
    assert market.balance("long") == (D(980), D(1000))
    assert market.balance("short") == (D(1020), D(1000))
    assert held(market, "clearing") == held(market, "market") == 0
    assert held(market, "fees") == 0


def test_a_payment_is_rounded_up_and_an_income_down_and_the_house_has_the_difference() -> None:
    """0.0333 % of 1 x 100 is 0.0333: the long pays 0.04, the short gets 0.03, twice."""
    market = play(TradingRules(funding=Funding("0.000333", every="1h")), size="1")
    assert sum(market.balance("long")) == D("1999.92")
    assert sum(market.balance("short")) == D("2000.06")
    assert held(market, "fees") == D("0.02")
    assert held(market, "clearing") == 0


def test_a_margin_that_had_to_pay_brings_the_liquidation() -> None:
    """2000 buy 19 x 100 at leverage 1, which a long at full margin cannot lose; at leverage 20 the
    margin of 10 is 50: funding of 50 % takes 500 an hour from the 1950 that are available."""
    market = play(TradingRules(funding=Funding("1.95", every="1h")), leverage=20)
    # 1950 at eleven: nothing is left available. At twelve the margin of 50 pays, and insurance the
    # other 1900; the position is liquidated into an empty book, and waits.
    assert market.balance("long") == (D(0), D(0))
    assert held(market, "insurance") == D(-1900)
    assert held(market, "clearing") == 0
    assert len(market.exchange.books[PAIR].unmet) == 1


def test_nights_are_paid_to_the_house() -> None:
    rules = TradingRules(
        fees={FeeStage.OVERNIGHT_FILLED: (Fee(FeeKind.FLAT_PER_VOLUME, D("0.5")),)},
        rollover_ns=11 * HOUR,
    )
    market = play(rules)
    assert market.balance("long") == (D(995), D(1000))
    assert market.balance("short") == (D(995), D(1000))
    assert held(market, "fees") == D(10)
    assert held(market, "market") == 0


def test_maker_and_taker_pay_their_own_fees_to_the_house() -> None:
    """10 at 100: the long rested and pays 0.1 % of 1000, the short took and pays 0.2 %."""
    fee = Fee(FeeKind.PERCENT_OF_NOTIONAL, D("0.002"), maker_rate=D("0.001"))
    market = play(TradingRules(fees={FeeStage.FILL: (fee,)}))
    assert market.balance("long") == (D(999), D(1000))
    assert market.balance("short") == (D(998), D(1000))
    assert held(market, "fees") == D(3)
