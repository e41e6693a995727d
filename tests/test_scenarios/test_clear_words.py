"""What a user reads who gave an order or a policy that cannot be: what is wrong, and the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.errors import ConfigError, FieldError, OrderRejected
from backtest.models import Bar, Fills, TradingPair, TradingRules
from tests.harness import D, bar, play


@pytest.mark.parametrize("force", ["IOC", "DAY"])
def test_a_time_in_force_beside_an_expiry_names_both(force: str) -> None:
    async def script(me: Any) -> None:
        await me.next()
        with pytest.raises(FieldError, match=rf"expires is for GTD .*time_in_force is {force}: le"):
            me.buy("BTCUSD", 1, limit_price=90, time_in_force=force, expires="1h")

    play([bar(0, 100)], script)


def test_gtd_without_an_expiry_says_what_to_give() -> None:
    async def script(me: Any) -> None:
        await me.next()
        with pytest.raises(FieldError, match=r'expires is missing: .* such as expires="4h"'):
            me.buy("BTCUSD", 1, limit_price=90, time_in_force="GTD")
        with pytest.raises(FieldError, match="one of GTC, GTD, DAY, IOC, FOK, not 'GTX'"):
            me.buy("BTCUSD", 1, time_in_force="GTX")
        with pytest.raises(FieldError, match="one of GTC, GTD, DAY, IOC, FOK, not 5"):
            me.buy("BTCUSD", 1, time_in_force=5)

    play([bar(0, 100)], script)


def test_a_time_in_force_may_be_written_small() -> None:
    async def script(me: Any) -> None:
        await me.next()
        order = await me.buy("BTCUSD", 1, limit_price=90, time_in_force="ioc")
        assert order.live.instructions.time_in_force.value == "IOC"
        await me.next()
        assert order.end_reason == "IMMEDIATE_OR_CANCEL"

    play([bar(0, 100), bar(1, 100)], script)


def test_only_the_protection_that_was_given_is_named() -> None:
    async def script(me: Any) -> None:
        await me.next()
        for given, words in (
            ({"stop_loss": 110}, "at 100, a long's stop-loss 110 must lie below it"),
            ({"take_profit": 90}, "at 100, a long's take-profit 90 must lie above it"),
            (
                {"stop_loss": 95, "take_profit": 90},
                "at 100, a long's stop-loss 95 must lie below it and take-profit 90 must lie above",
            ),
        ):
            with pytest.raises(OrderRejected, match=words):
                await me.long("BTCUSD", 1, **given)

    play([bar(0, 100)], script)


class Undecided:
    def high_first(self, bar: Bar) -> Any:
        return "yes"


def test_a_path_policy_that_gives_no_answer_is_named() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 1)
        await me.next()

    words = "Undecided.high_first must give True, False or None, not 'yes'"
    with pytest.raises(FieldError, match=words):
        play([bar(0, 100), bar(1, 100)], script, rules=TradingRules(fills=Fills(path=Undecided())))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"slippage": {"volume_share": {"limit": "0.1", "imp": "0.2"}}},
            r"fills\.slippage\.volume_share has no setting 'imp'; known: limit, impact",
        ),
        ({"path": {"adaptive": {"x": 1}}}, r"adaptive has no setting 'x'; it takes none"),
        ({"slippage": {"percent": {}}}, r"fills\.slippage\.percent lacks the setting 'rate'"),
    ],
)
def test_a_wrong_setting_of_a_policy_is_named_with_those_there_are(given: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        TradingRules.from_mapping({"fills": given})


def test_a_fill_knows_its_moment_as_a_datetime() -> None:
    async def script(me: Any) -> None:
        await me.next()
        await me.buy("BTCUSD", 1)
        await me.next()

    (fill,) = play([bar(0, 100), bar(1, 100)], script).records.fills
    assert fill.timestamp.isoformat() == "1970-01-01T00:02:00+00:00"
    assert fill.price == D(100)


def test_small_numbers_are_told_without_an_exponent() -> None:
    """The finest grid there is without rules is eight digits: 0.00000001, not 1E-8."""
    said: list[str] = []

    async def script(me: Any) -> None:
        await me.next()
        for volume, price in (
            ("0.000000001", "0.5"),
            ("0.0000001", "0.00000005"),
            ("0.0000001", "0.000000005"),
        ):
            with pytest.raises(OrderRejected) as refusal:
                await me.buy("BTCUSD", volume, limit_price=price)
            said.append(refusal.value.detail)
        order = await me.long("BTCUSD", "0.0000003", stop_loss="0.0000002")
        said.append(repr(order))
        await me.next()
        said.append(repr(me.position("BTCUSD")))
        with pytest.raises(OrderRejected) as refusal:
            await order.close("0.0000004")
        said.append(refusal.value.detail)
        await order.close("0.0000001", limit_price="0.0000009")
        said.extend(event.detail for event in me.heard if event.kind.name == "CLOSING")

    pair = TradingPair("BTCUSD", "BTC", "USD")
    prices = [bar(at, *("0.0000007",) * 4) for at in (0, 1, 2)]
    play(prices, script, pairs=[pair], cash={"USD": 1})
    assert said[:3] == [
        (
            "0.000000001 is not a multiple of BTCUSD's volume increment 0.00000001: use "
            "pair.round_volume(0.000000001)"
        ),
        "0.0000001 at 0.00000005 is worth less than 0.00000001 USD, the least amount of that",
        (
            "0.000000005 is not a multiple of BTCUSD's price increment 0.00000001: use "
            "pair.round_price(0.000000005)"
        ),
    ]
    assert said[3:6] == [
        "<OrderHandle LONG 0.0000003 BTCUSD PENDING filled 0 leaves 0.0000003>",
        "<PositionView BTCUSD 0.0000003 at 0.0000007>",
        "0.0000004 is more than the 0.0000003 that is open",
    ]
    assert said[6].startswith("close 0.0000001 at 0.0000009; order ")
