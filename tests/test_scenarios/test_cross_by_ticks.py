"""Cross margin against a reference that looks at every price between, one increment at a time."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from backtest.errors import OrderRejected
from backtest.models import Bar
from tests.harness import D, bar, pair_of, play, rules

F = Fraction
TIERS: list[list[Any]] = [[150, "0.01"], [400, "0.05"], [None, "0.15"]]


def random_bars(chance: Random) -> list[Bar]:
    made, price = [bar(0, 100)], 1000
    for number in range(1, 9):
        open_ = price + chance.randrange(-30, 31) * chance.choice([0, 0, 1, 3])
        open_ = max(open_, 200)
        close = max(open_ + chance.randrange(-90, 91), 150)
        high = max(open_, close) + chance.randrange(0, 50)
        low = max(min(open_, close) - chance.randrange(0, 50), 100)
        tenths = [D(one) / 10 for one in (open_, high, low, close)]
        made.append(bar(number, *map(str, tenths)))
        price = close
    return made


def maintained(notional: Fraction, tiers: bool) -> Fraction:
    if not tiers:
        return notional / 20
    total = begin = F(0)
    for up_to, rate, *_ in TIERS:
        end = notional if up_to is None else min(notional, F(up_to))
        total += max(F(0), end - begin) * F(rate)
        begin = end
    return total


class Reference:
    """The money and positions of the account, and what has been closed: (bar, entry, price)."""

    def __init__(self, cash: int, fee: int, tiers: bool) -> None:
        self.cash, self.fee, self.tiers = F(cash), F(fee), tiers
        self.open: list[tuple[int, Fraction, Fraction]] = []
        self.closed: list[tuple[int, Fraction, Fraction, Fraction]] = []
        self.insurance = F(0)

    def pnl(self, one: tuple[int, Fraction, Fraction], price: Fraction) -> Fraction:
        return one[0] * one[1] * (price - one[2])

    def level(self, price: Fraction) -> Fraction:
        kept = sum((maintained(one[1] * price, self.tiers) for one in self.open), F(0))
        return self.cash + sum((self.pnl(one, price) for one in self.open), F(0)) - kept

    def close(self, number: int, one: tuple[int, Fraction, Fraction], price: Fraction) -> None:
        self.open.remove(one)
        self.closed.append((number, one[2], one[1], price))
        self.cash += self.pnl(one, price) - self.fee
        if self.cash < 0:
            self.insurance += self.cash
            self.cash = F(0)

    def at(self, number: int, price: Fraction) -> None:
        while self.open and self.level(price) <= 0:
            worst = min(self.open, key=lambda one: self.pnl(one, price))
            while self.cash + self.pnl(worst, price) - self.fee < 0:
                best = max(self.open, key=lambda one: self.pnl(one, price))
                if self.pnl(best, price) <= 0 or best is worst:
                    break
                self.close(number, best, price)
            self.close(number, worst, price)

    def walk(self, number: int, one: Bar) -> None:
        """Open, high, low, close, and every increment of 0.1 between."""
        points = [int(point * 10) for point in (one.open, one.high, one.low, one.close)]
        self.at(number, F(points[0], 10))
        for begin, end in pairwise(points):
            way = 1 if end > begin else -1
            for tenths in range(begin, end + way, way):
                self.at(number, F(tenths, 10))


@pytest.mark.parametrize("seed", range(30))
def test_what_is_closed_is_what_looking_at_every_price_closes(seed: int) -> None:
    chance = Random(seed)
    bars = random_bars(chance)
    plan = [(chance.random() < 0.6, chance.randrange(1, 8)) for _ in bars]
    cash, fee, tiers = chance.randrange(40, 160), chance.choice([0, 0, 2]), chance.random() < 0.5

    async def script(me: Any) -> None:
        for long, volume in plan:
            await me.next()
            if volume > 4:
                continue
            try:
                await (me.long if long else me.short)("BTCUSD", volume, leverage=50)
            except OrderRejected:
                pass

    own: dict[str, Any] = {"maintenance_tiers": TIERS} if tiers else {"maintenance_rate": "0.05"}
    if fee:
        own["fees"] = {"close": {"flat_per_trade": fee}}
    world = play(
        bars,
        script,
        cash={"USD": cash},
        rules=rules(path="open_high_low_close", **own),
        pairs=[pair_of(price_increment="0.1")],
        accounts={"main": {"margin_mode": "cross"}},
    )
    reference = Reference(cash, fee, tiers)
    fills = [((one.timestamp_ns // bars[0].close_ns) - 1, one) for one in world.records.fills]
    for number, one in enumerate(bars):
        for at, fill in fills:
            if at == number and fill.kind == "entry":
                sign = 1 if fill.direction.name == "LONG" else -1
                reference.open.append((sign, F(fill.volume), F(fill.price)))
        reference.walk(number, one)
    entry_of = {one.id: one.fill_price for one in world.records.orders}
    closed = [
        (at, F(entry_of[fill.order_id] or 0), F(fill.volume), F(fill.price))
        for at, fill in fills
        if fill.kind != "entry"
    ]
    assert closed == reference.closed
    assert F(world.balance()[0] + world.balance()[1]) == reference.cash
    assert F(sum(world.balance("USD", "insurance"))) == reference.insurance
