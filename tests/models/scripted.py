"""Commands of a case, by name: rows that a desk of a model obeys, and a strategy of the product.

A row is ``[when or who, "buy", name, volume, terms]``, ``[…, "cancel", name, volume]``, ``[…,
"modify", name, changes]``, ``[…, "split", name, volumes, limits]`` or ``[…, "close", name, volume,
limit]``; parts of a split are called ``name1``, ``name2`` …
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any, Protocol

from backtest.errors import OrderRejected
from backtest.strategies import OrderHandle, Strategy
from tests.models.common import Case, with_field
from tests.models.purse import Order

__all__ = ["SIDES", "Desk", "halves", "obey", "plainer", "send", "states", "told"]

SIDES = {"buy": (True, True), "sell": (True, False), "long": (False, True), "short": (False, False)}
KEYWORDS = {"limit": "limit_price", "stop": "stop_price", "force": "time_in_force"}
KEYWORDS |= {"sl": "stop_loss", "tp": "take_profit"}


def halves(dice: Random, whole: str, lot: str) -> tuple[str, str]:
    """Two parts of a volume, which mostly sum to it."""
    lots = int(Decimal(whole) / Decimal(lot))
    first = dice.randint(1, max(1, lots - 1))
    rest = max(1, lots - first + dice.choice((0, 0, 0, 0, 0, 1)))
    return f"{first * Decimal(lot):f}", f"{rest * Decimal(lot):f}"


class Desk(Protocol):
    """What answers to commands in a model."""

    def create(self, order: Order) -> Any: ...
    def cancel(self, order: Order, volume: Fraction | None) -> Any: ...
    def modify(self, order: Order, changes: dict[str, Fraction]) -> Any: ...
    def split(
        self, order: Order, volumes: list[Fraction], limits: list[Fraction] | None
    ) -> tuple[Any, list[Order]]: ...
    def close(self, order: Order, volume: Fraction | None, limit: Fraction | None) -> Any: ...


def exact(value: Any) -> Any:
    return None if value is None else Fraction(value)


def obey(desk: Desk, orders: dict[str, Order], row: list[Any], sent: int, owner: str = "") -> Any:
    """Let a model do what a row says; its answer."""
    what, name = row[1:3]
    if what in SIDES:
        order = branch_of(row, sent, owner)
        answer = desk.create(order)
        if answer == "ok":
            orders[name] = order
        return answer
    target = orders.get(name)
    if target is None:
        return "skipped"
    if what == "cancel":
        return desk.cancel(target, exact(row[3]))
    if what == "modify":
        return desk.modify(target, {key: Fraction(value) for key, value in row[3].items()})
    if what == "split":
        limits = None if row[4] is None else [Fraction(one) for one in row[4]]
        answer, parts = desk.split(target, [Fraction(one) for one in row[3]], limits)
        orders |= {part.name: part for part in parts}
        return answer
    return desk.close(target, exact(row[3]), exact(row[4]))


def branch_of(row: list[Any], sent: int, owner: str) -> Order:
    _, what, name, volume, terms = row
    spot, buy = SIDES[what]
    order = Order(name, spot, buy, Fraction(volume), owner=owner)
    order.limit, order.stop = exact(terms.get("limit")), exact(terms.get("stop"))
    order.trail = exact(terms.get("trail"))
    order.force = terms.get("force", "GTC")
    order.label = terms.get("oco")
    order.stop_loss, order.take_profit = exact(terms.get("sl")), exact(terms.get("tp"))
    order.post_only = terms.get("post_only", False)
    order.leverage = Fraction(terms.get("leverage", 1))
    if "expires" in terms:
        order.expires = sent + terms["expires"]
    return order


def states(orders: dict[str, Order]) -> dict[str, list[Any]]:
    """What became of each order of a model."""
    return {
        name: [one.filled, one.cancelled, one.leaves, one.reason] for name, one in orders.items()
    }


# -- the product -----------------------------------------------------------------------------------


async def send(
    strategy: Strategy, pair: str, row: list[Any], handles: dict[str, OrderHandle]
) -> str:
    """Send a row and wait for the answer; raises what the venue refuses."""
    what, name = row[1:3]
    if what in SIDES:
        handle = getattr(strategy, what)(pair, row[3], **_keywords(row[4]))
        handles[name] = handle
        try:
            await handle
        except OrderRejected:
            del handles[name]
            raise
        return "ok"
    target = handles.get(name)
    if target is None:
        return "skipped"
    if what == "cancel":
        await target.cancel(row[3])
    elif what == "modify":
        await target.modify(**_keywords(row[3]))
    elif what == "split":
        for number, part in enumerate(await target.split(row[3], row[4]), 1):
            handles[f"{name}{number}"] = part
    else:
        await target.close(row[3], row[4])
    return "ok"


def _keywords(terms: dict[str, Any]) -> dict[str, Any]:
    return {KEYWORDS.get(name, name): value for name, value in terms.items()}


def told(handles: dict[str, OrderHandle]) -> dict[str, list[Any]]:
    """What the handles say became of each order."""
    return {
        name: [one.filled_volume, one.cancelled_volume, one.leaves, one.end_reason]
        for name, one in handles.items()
        if one.is_accepted
    }


# -- shrinking -------------------------------------------------------------------------------------


def plainer(case: Case) -> Iterator[Case]:
    """Cases with a command less, then with a term less."""
    rows = case["commands"]
    for at in reversed(range(len(rows))):
        yield with_field(case, "commands", [*rows[:at], *rows[at + 1 :]])
    for at, row in enumerate(rows):
        terms = row[-1]
        if not isinstance(terms, dict):
            continue
        for name in terms:
            left = {one: value for one, value in terms.items() if one != name}
            if left or row[1] in SIDES:
                yield with_field(case, "commands", [*rows[:at], [*row[:-1], left], *rows[at + 1 :]])
