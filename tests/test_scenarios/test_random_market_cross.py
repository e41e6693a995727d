"""Poor agents with cross margin and high leverage in two books whose prices jump, drawn at random.

The oracle looks after every message: who does not suffice is being liquidated, who suffices is
not, the insurance pays only for who has nothing left, clearing is what all positions have won.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from backtest.actors.exchange.calls import Calls
from backtest.actors.exchange.market import MarketSpec
from backtest.actors.venue.cross_accounts import CrossAccounts
from backtest.errors import OrderRejected
from backtest.models import Fee, FeeKind, FeeStage, Funding, TradingRules
from backtest.testing import InvariantBroken
from tests.effort import examples
from tests.harness import D
from tests.market_harness import Does, Market, market_pair, play_market

PAIRS = {"BTCUSD": 100, "ETHUSD": 50}
STEPS = 30


class Gambler(Does):
    """Sends whatever it draws, each second."""

    def __init__(self, dice: Random) -> None:
        super().__init__()
        self.dice = dice
        self.handles: list[Any] = []

    async def run(self) -> None:
        for _ in range(STEPS):
            await self.sleep(1)
            with suppress(OrderRejected):
                await self.act()

    async def act(self) -> None:
        dice = self.dice
        pair = dice.choice(list(PAIRS))
        what = dice.random()
        if what < 0.15 and self.handles:
            await dice.choice(self.handles).cancel()
        elif what < 0.3 and self.handles:
            await dice.choice(self.handles).close()
        elif what < 0.9:
            await self.order(pair, dice.choice((self.long, self.short)))

    async def order(self, pair: str, send: Any) -> None:
        dice, mark = self.dice, PAIRS[pair]
        terms: dict[str, Any] = {"leverage": dice.choice((1, 10, 50, 100))}
        price = D(mark * dice.randint(85, 115)) / 100
        kind = dice.random()
        if kind < 0.4:
            terms["limit_price"] = price
        elif kind < 0.5:
            terms["stop_price"] = price
        if dice.random() < 0.3:
            away = 1 if send == self.short else -1
            terms["stop_loss"] = price + away * D(dice.randint(1, 20)) / 4
        if dice.random() < 0.2:
            terms["reduce_only"] = True
            terms.pop("stop_loss", None)
        if dice.random() < 0.15:
            terms["time_in_force"] = dice.choice(("IOC", "FOK"))
        self.handles.append(await send(pair, dice.choice((1, 1, 2, 5, 10)), **terms))


class Dealer(Does):
    """Quotes each pair anew each second about a price that jumps; now and then not at all."""

    def __init__(self, dice: Random) -> None:
        super().__init__()
        self.dice = dice

    async def run(self) -> None:
        dice = self.dice
        prices = {pair: Decimal(price) for pair, price in PAIRS.items()}
        while True:
            quotes = []
            for pair, price in prices.items():
                jump = dice.choice((0, 0, 1, 2, 5)) * dice.choice((-1, 1))
                prices[pair] = middle = max(D(5), price + D(jump))
                size = dice.choice((2, 5, 20))
                for send, sign in ((self.long, -1), (self.short, 1)):
                    if dice.random() < 0.7:
                        limit = middle + sign * D(dice.randint(1, 4)) / 4
                        quotes.append(await send(pair, size, limit_price=limit))
            await self.sleep(1)
            for quote in quotes:
                with suppress(OrderRejected):  # it has filled
                    await quote.cancel()


def world(seed: int) -> Market:
    dice = Random(seed)
    fee = Fee(FeeKind.PERCENT_OF_NOTIONAL, D("0.001"))
    fees = {FeeStage.FILL: (fee,), FeeStage.CLOSE: (fee,)} if dice.random() < 0.4 else {}
    rules = TradingRules(
        spot_allowed=False,
        maintenance_rate=D(dice.choice((0, 5, 10, 50))) / 1000,
        fees=fees,
        funding=Funding(D(dice.choice((-1, 1))) / 200, every="10s")
        if dice.random() < 0.4
        else None,
    )
    names = ["ann", "bob", "cid", "dan"][: dice.randint(2, 4)]
    agents: dict[str, Does] = {name: Gambler(Random(f"{seed} {name}")) for name in names}
    agents["dealer"] = Dealer(Random(f"{seed} dealer"))
    money = {name: {"USD": str(dice.choice((30, 60, 100, 300)))} for name in names}
    money["dealer"] = {"USD": "1000000000"}
    auction = ((20_000_000_000, "auction"), (25_000_000_000, "continuous"))
    ether = MarketSpec(pair=market_pair("ETHUSD"), rules=rules, reference_price=D(50))
    return play_market(
        agents,
        money,
        rules=rules,
        more=(ether,),
        cross=names if dice.random() < 0.7 else names[:1],
        hedging=[name for name in names if dice.random() < 0.4],
        phases=auction if dice.random() < 0.3 else (),
        until=(STEPS + 10) * 1_000_000_000,
        seed=seed,
        whole_every=3,
    )


@pytest.mark.parametrize("seed", range(examples(8, 200)))
def test_no_invariant_breaks(seed: int) -> None:
    assert world(seed).trades


def test_such_worlds_have_calls_of_every_kind() -> None:
    """A test that never sees what it is about would be none."""
    told: Counter[str] = Counter()
    for seed in range(6):
        for event in world(seed).exchange.venue.records.events:
            told[event.kind.value] += 1
            if event.reason is not None:
                told[event.reason.name] += 1
    kinds = ("liquidated", "margin_used", "bankruptcy", "MARGIN_CALL")
    assert all(told[kind] for kind in kinds)


async def _nothing(self: Any, *args: Any, **named: Any) -> None: ...


PLANTED = [
    ("I21", CrossAccounts, "use_margins", _nothing),
    ("I21", CrossAccounts, "cancel_orders", _nothing),
    ("I13", Calls, "_go_on", lambda self, *args: None),
]
"""Which invariant finds a bug, and what that is."""


@pytest.mark.parametrize(("invariant", "owner", "method", "bug"), PLANTED)
def test_bugs_that_are_planted_are_found(
    invariant: str, owner: Any, method: str, bug: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, method, bug)

    def until_noticed() -> None:
        for seed in range(20):
            world(seed)

    with pytest.raises(InvariantBroken) as noticed:
        until_noticed()
    assert noticed.value.invariant == invariant
