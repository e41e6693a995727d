"""A faithful little venue for the tests of the bar path: it fills every hit and opens parts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from backtest.models.bar import Bar
from backtest.services.fills.walk import (
    WHOLE_BAR,
    BarWalk,
    Hit,
    OpenPart,
    PathRules,
    Working,
    WorkingKind,
)

D = Decimal
CENT = D("0.01")


class Done(NamedTuple):
    """What the tests look at: one execution."""

    kind: str
    point: str
    price: Decimal
    volume: Decimal


def bar(open: Any, high: Any, low: Any, close: Any, volume: Any = None) -> Bar:
    """A bar from minute 1 to minute 2."""
    traded = None if volume is None else D(volume)
    return Bar("X", 60, 120, D(open), D(high), D(low), D(close), traded)


class Named(Working):
    """One that the tests call by a name."""

    def __init__(self, name: str, *what: Any, **more: Any) -> None:
        super().__init__(*what, **more)
        self.name = name


def name_of(working: Working) -> str:
    assert isinstance(working, Named)
    return working.name


def order(
    kind: WorkingKind,
    buy: bool,
    price: Any = None,
    volume: Any = 1,
    *,
    name: str = "",
    end: int = WHOLE_BAR,
    blocked: bool = False,
    **more: Any,
) -> Named:
    made = Named(name, kind, buy, None if price is None else D(price), D(volume), **more)
    made.end, made.blocked = end, blocked
    return made


def rules(**more: Any) -> PathRules:
    """Rules with increments of 0.01 in price and 1 in volume."""
    return PathRules(**{"price_increment": CENT, "volume_increment": D(1), **more})


def part(long: bool, entry: Any, volume: Any = 1, margin: Any = 1000, **exits: Any) -> OpenPart:
    """A part with ``stop_loss``, ``take_profit`` and ``liquidation`` prices and ``closes``."""
    made = list(exits.pop("closes", ()))
    for number, (kind, price) in enumerate(exits.items()):
        made.append(order(kind, not long, price, volume, sequence=number))  # type: ignore[arg-type]
    return OpenPart(long, D(volume), D(entry), D(margin), made)


def opened(hit: Hit) -> OpenPart | None:
    """The part that the entry ``hit`` opens, if its group is one of trading orders."""
    group = hit.group
    prices = {"stop_loss": group.stop_loss, "take_profit": group.take_profit}
    if group.liquidation is not None:
        prices["liquidation"] = group.liquidation(hit.price, hit.volume)
    exits = {kind: price for kind, price in prices.items() if price is not None}
    return part(hit.working.buy, hit.price, hit.volume, **exits) if exits else None


def follow(walk: BarWalk) -> list[Hit]:
    """Carry out all hits of ``walk`` in full; entries beyond their protection are dropped."""
    hits = []
    while (hit := walk.next()) is not None:
        if hit.passed:
            walk.drop(hit.working)
            continue
        hits.append(hit)
        walk.report(hit, hit.volume, None if hit.part is not None else opened(hit))
    return hits


def done(hits: list[Hit]) -> list[Done]:
    return [Done(hit.working.kind, hit.point, hit.price, hit.volume) for hit in hits]
