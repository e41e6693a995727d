"""Why an order in an order book did not fill: what stood ahead of it, and where the market was.

Nothing but what is on record is used. Orders, events and fills of a pair are gone through once
more, and who stood in line at which price is written up from them. Orders to close a position at a
limit, and the exits of brackets, have no line in the table of orders while they wait: they count
where they trade, not where they stand.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal

from attrs import define, field

from backtest.analysis.explain.queues import OutOfLine, Queues
from backtest.analysis.explain.waits import Line
from backtest.analysis.tables.exact import amount, text_of
from backtest.analysis.tables.tables import items
from backtest.analysis.text import grouped

__all__ = ["BookStory"]

_TRADES = frozenset({"filled", "closed", "liquidated"})
_FAR = 10**200
"""Beyond every price: where orders without a limit stand."""


@define
class _Wait:
    """One order of the chain, between two things that happened to it."""

    stop: bool
    """Whether it waits for its stop; else it stands in the book."""
    trades: int = 0
    low: int = _FAR
    high: int = 0
    at_price: int = 0
    """What traded at its limit or better."""
    begun: list[str] = field(factory=list)


class BookStory:
    """The waits of a chain's orders in the book of its pair; ``chain`` are the ids of its orders.

    ``before`` gives, by the sequence of an event of the chain, what is to be said of the time
    before it; ``at_end`` what is to be said of what was waiting still at the end.
    """

    def __init__(
        self,
        orders: Sequence[Line],
        events: Sequence[Line],
        fills: Sequence[Line],
        chain: Collection[str],
    ) -> None:
        self.before: dict[str, list[str]] = {}
        self.after: dict[str, list[str]] = {}
        self.at_end: list[str] = []
        self._orders = {order["order_id"]: order for order in orders}
        self._children: dict[str, list[Line]] = {}
        for order in orders:
            if order["parent_id"]:
                self._children.setdefault(order["parent_id"], []).append(order)
        self._fills = {(fill["entry_id"], fill["order_id"]): fill for fill in fills}
        self._dealing: dict[str, set[str]] = {}
        """By the entry of a trade, the branches that dealt."""
        for fill in fills:
            dealing = self._dealing.setdefault(fill["entry_id"], set())
            dealing.update((fill["branch_id"], fill["closing_order_id"]))
        self._queues = Queues()
        self._stops: set[str] = set()
        """Branches whose orders wait for their stop."""
        self._waits: dict[str, _Wait] = {}
        """Branches of the chain whose orders wait."""
        self._dealt = ""
        own = next(iter(chain), "")
        pair = self._orders[own]["pair"] if own in self._orders else ""
        for event in events:
            if event["pair"] == pair and event["order_id"] in self._orders:
                self._follow(event, event["order_id"] in chain)
        for branch, wait in self._waits.items():
            self.at_end += self._told(branch, wait)

    # -- what is on record -------------------------------------------------------------------------

    def _follow(self, event: Line, is_own: bool) -> None:
        order = self._orders[event["order_id"]]
        branch, kind = order["branch_id"], event["kind"]
        if kind in _TRADES:
            self._trade(event, order)
        if is_own and branch in self._waits and kind not in ("rejected", "charged"):
            self.before[event["sequence"]] = self._told(branch, self._waits[branch])
            self._waits[branch] = _Wait(self._waits[branch].stop)
        try:
            self._change(event, order, branch, kind)
        except OutOfLine:
            pass  # an order to close, or an exit: not in this line
        if not is_own:
            return
        if branch not in self._queues and branch not in self._stops:
            self._waits.pop(branch, None)
        elif branch not in self._waits or kind in ("triggered", "modified"):
            self._waits[branch] = _Wait(branch in self._stops)
            if branch in self._queues:
                self.after[event["sequence"]] = self._place(branch)

    def _change(self, event: Line, order: Line, branch: str, kind: str) -> None:
        volume = amount(event["volume"])
        if kind == "accepted" and order["order_type"] != "exit":
            if order["stop_price"]:
                self._stops.add(branch)
            elif order["limit_price"]:
                self._rest(order, volume)
        elif kind == "triggered" and branch in self._stops:
            self._stops.discard(branch)
            if order["limit_price"]:
                self._rest(order, volume)
        elif kind in ("filled", "netted", "cancelled"):
            if branch in self._queues:
                self._queues.reduce(branch, min(volume, self._queues.place(branch).volume))
            elif kind == "cancelled":
                self._stops.discard(branch)
        elif kind == "modified" and branch in self._queues:
            self._modify(event, order, branch, volume)
        elif kind == "split" and not order["fill_price"]:
            self._split(event, order, branch)

    def _modify(self, event: Line, order: Line, branch: str, volume: int) -> None:
        if event["keeps_place"] == "true":
            left = self._queues.place(branch).volume - volume
            if left > 0:
                self._queues.reduce(branch, left)
        elif not self._orders[order["parent_id"]]["fill_price"]:
            self._queues.leave(branch)
            self._rest(order, volume)

    def _split(self, event: Line, order: Line, branch: str) -> None:
        parts = self._children.get(order["order_id"], [])
        if branch in self._stops:
            self._stops.discard(branch)
            self._stops.update(part["branch_id"] for part in parts)
            return
        self._queues.divide(branch, {})
        for part, volume in zip(parts, items(event["parts"]), strict=False):
            self._rest(part, amount(volume))

    def _rest(self, order: Line, volume: int) -> None:
        price = amount(order["limit_price"])
        buy = order["direction"] == "LONG"
        self._queues.rest(order["branch_id"], order["account"], buy, price, volume)

    def _trade(self, event: Line, order: Line) -> None:
        """Count a trade for all of the chain that wait, once for both sides."""
        fill = self._fills.get((event["entry_id"], order["order_id"]))
        if fill is None or fill["entry_id"] == self._dealt:
            return
        self._dealt = fill["entry_id"]
        price, volume = amount(fill["price"]), amount(fill["volume"])
        for branch, wait in self._waits.items():
            if branch in self._dealing[self._dealt]:
                continue  # its own
            wait.trades += 1
            wait.low, wait.high = min(wait.low, price), max(wait.high, price)
            if branch in self._queues:
                place = self._queues.place(branch)
                if price <= place.price if place.buy else price >= place.price:
                    wait.at_price += volume

    # -- in words ----------------------------------------------------------------------------------

    def _place(self, branch: str) -> list[str]:
        """Where it stands as it comes to rest."""
        place = self._queues.place(branch)
        better, before = self._queues.ahead(branch)
        words = []
        if better:
            words.append(f"{_number(better)} stood at better prices")
        if before:
            words.append(f"{_number(before)} before it at {_price(place.price)}")
        ahead = " and ".join(words) or "nobody stood before it"
        other = self._queues.best(not place.buy)
        side = "ask" if place.buy else "bid"
        there = f"the best {side} was {_price(other)}" if other else f"nobody {side}s"
        return [f"    in the book: {ahead}; {there}"]

    def _told(self, branch: str, wait: _Wait) -> list[str]:
        """Why nothing of it filled since the last thing that happened to it."""
        if wait.stop:
            if not wait.trades:
                return ["    until then nobody traded: its stop was not reached"]
            return [
                f"    until then {_times(wait.trades)}, at {_range(wait)}: its stop was not reached"
            ]
        place = self._queues.place(branch)
        if not wait.trades:
            return ["    until then nobody traded"]
        begin = f"    until then {_times(wait.trades)}, at {_range(wait)}"
        if not wait.at_price:
            other = "above" if place.buy else "below"
            return [f"{begin}: all {other} its limit of {_price(place.price)}"]
        better, before = self._queues.ahead(branch)
        line = (
            f"{begin}; {_number(wait.at_price)} of that at its limit of {_price(place.price)} or "
            "better, with those who stood before it"
        )
        left = better + before
        return [
            line,
            f"    then {_number(left)} stood before it" if left else "    then it was first",
        ]


def _times(trades: int) -> str:
    return "one trade was made" if trades == 1 else f"{trades} trades were made"


def _range(wait: _Wait) -> str:
    if wait.low == wait.high:
        return _price(wait.low)
    return f"{_price(wait.low)} to {_price(wait.high)}"


def _number(units: int) -> str:
    return grouped(Decimal(text_of(units)), 0)


def _price(units: int) -> str:
    return grouped(Decimal(text_of(units)))
