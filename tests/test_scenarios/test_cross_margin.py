"""Cross margin, worked out by hand: the account stands behind every position in it."""

from __future__ import annotations

from typing import Any

from tests.harness import D, bar, pair_of, play, rules

CROSS = {"main": {"margin_mode": "cross"}}
FIVE = rules(maintenance_rate="0.05")
PAIRS = [pair_of("BTCUSD"), pair_of("ETHUSD")]


def eth(number: int, *prices: Any) -> Any:
    return bar(number, *prices, pair="ETHUSD")


async def _long_ten(me: Any) -> None:
    await me.next()
    await me.long("BTCUSD", 10, leverage=10)
    await me.next(2)


def test_the_whole_account_stands_behind_a_position() -> None:
    # 1000 + (p - 100) x 10 <= 0.05 x 10 p: p = 0; 300 of cash: (1000 - 300) / 9.5 = 73.684...
    bars = [bar(0, 100), bar(1, 100), bar(2, 95, 95, 75, 80)]
    world = play(bars, _long_ten, cash={"USD": 300}, rules=FIVE, accounts=CROSS)
    assert len(world.fills()) == 1
    bars[2] = bar(2, 95, 95, 70, 80)
    world = play(bars, _long_ten, cash={"USD": 300}, rules=FIVE, accounts=CROSS)
    assert world.fills()[-1] == "liquidation SHORT 10 @ 73.68 low"
    # PnL -263.20; what is left is the account's
    assert world.entries()[-1] == ["RETURN_MARGIN USD 100 -100", "CLOSE_PNL USD -263.2 0"]
    assert world.balance() == (D("36.80"), D(0))
