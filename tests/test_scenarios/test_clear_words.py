"""What a user reads who gave an order or a policy that cannot be: what is wrong, and the remedy."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.errors import ConfigError, FieldError, OrderRejected
from backtest.models import Bar, Fills, TradingRules
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
