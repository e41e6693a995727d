"""Which order closed which position of the other side, and what took from an order that only
reduces what it was to close: the links between the chains of a run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from backtest.analysis.explain.waits import Line
from backtest.analysis.text import grouped, moment
from backtest.times import parse_ns

__all__ = ["Nettings"]

_ENDS = {
    "close": "closed by its own order to close",
    "stop_loss": "closed by its stop-loss",
    "take_profit": "closed by its take-profit",
    "liquidation": "liquidated",
}

_MOST = 4
"""Of what took from an order, so many are told one by one, the last."""


class _Link(NamedTuple):
    """One closing of a position: its event, its fill, and the order of the other side, if any."""

    event: Line
    fill: Line
    by: Line | None


class Nettings:
    """All closings of a run's positions, with the orders of the other side that made them."""

    def __init__(
        self, orders: Iterable[Line], events: Sequence[Line], fills: Iterable[Line]
    ) -> None:
        self._orders = {order["order_id"]: order for order in orders}
        closings = {
            (fill["entry_id"], fill["order_id"]): fill for fill in fills if fill["kind"] != "entry"
        }
        self._links: dict[str, list[_Link]] = {}
        """By the sequence of the position's event, and of the order's event ``netted``, of which
        several can have come."""
        self._closings: list[_Link] = []
        netted: dict[str, Line] = {}
        """By branch, the last time that an order closed others; the positions tell of it next."""
        for event in events:
            if event["kind"] == "netted":
                netted[event["branch_id"]] = event
            elif event["kind"] in ("closed", "liquidated"):
                fill, by = closings.get((event["entry_id"], event["order_id"])), None
                if fill is None:
                    continue
                if fill["kind"] == "netting":
                    by = netted.get(fill["closing_order_id"])
                link = _Link(event, fill, None if by is None else self._orders[by["order_id"]])
                self._links[event["sequence"]] = [link]
                self._closings.append(link)
                if by is not None:
                    self._links.setdefault(by["sequence"], []).append(link)

    def entries(self, chain: Collection[str]) -> set[tuple[str, str]]:
        """The positions that the orders of a chain closed: the entry that booked it, the order."""
        return {
            (link.event["entry"], link.event["order_id"])
            for link in self._closings
            if link.by is not None and link.by["order_id"] in chain
        }

    def closed_by(self, event: Line) -> list[tuple[Line, Line]]:
        """Of an event ``netted``, the events and fills of the positions that it closed."""
        return [(link.event, link.fill) for link in self._links.get(event["sequence"], ())]

    def credited(self, fills: Iterable[Line]) -> Iterator[Line]:
        """``fills``, those by which an order closed the other side as that order's own."""
        owners = {
            (one.fill["entry_id"], one.fill["order_id"]): one.by["order_id"]
            for one in self._closings
            if one.by
        }
        for fill in fills:
            key = (fill["entry_id"], fill["order_id"])
            owner = owners.get(key) if fill["kind"] == "netting" else None
            yield fill if owner is None else {**fill, "order_id": owner}

    def words(self, event: Line) -> Iterator[str]:
        """Of an event ``netted``, whose positions it closed; of one ``closed``, which order did."""
        links = self._links.get(event["sequence"], ())
        for link in links:
            if event["kind"] == "netted":
                order = self._orders[link.event["order_id"]]
                much = "it"
                if len(links) > 1:
                    much = f"{grouped(Decimal(link.fill['volume']), 0)} of it"
                side = "a long" if order["direction"] == "LONG" else "a short"
                opened = grouped(Decimal(order["fill_price"]))
                yield f"    {much} was {side} of {_name(order)}, opened at {opened}"
            elif link.by is not None:
                side = "short" if link.by["direction"] == "SHORT" else "long"
                yield f"    by the {side} {_name(link.by)}"

    def took(self, event: Line, chain: Collection[str]) -> Iterator[str]:
        """What closed, since the order was accepted, that a reduce-only order was to close.

        ``event`` is its cancellation. An account that has such orders takes one path on a bar, so
        that the places on it tell why that came first.
        """
        order, until = self._orders[event["order_id"]], int(event["sequence"])
        since = parse_ns(order["create_timestamp"])
        found = []
        for link in self._closings:
            fill = link.fill
            if (
                int(link.event["sequence"]) < until
                and parse_ns(link.event["timestamp"]) >= since
                and (fill["account"], fill["pair"]) == (order["account"], order["pair"])
                and (fill["order_kind"], fill["direction"]) == ("trading", order["direction"])
                and (link.by is None or link.by["order_id"] not in chain)
            ):
                found.append(link)
        if len(found) > _MOST:
            yield f"    before it, {len(found) - _MOST} times more what it could close was closed"
        for link in found[-_MOST:]:
            fill = link.fill
            end = _ENDS.get(fill["kind"], "closed")
            if link.by is not None:
                end = f"closed by {_name(link.by)}"
            yield (
                f"    before it, {grouped(Decimal(fill['volume']), 0)} of "
                f"{_name(self._orders[link.event['order_id']])} was {end} "
                f"at {grouped(Decimal(fill['price']))}{_when(link, event)}"
            )


def _name(order: Line) -> str:
    return f"order #{order['order_number']}, {order['order_id']}, of strategy {order['strategy']!r}"


def _when(link: _Link, event: Line) -> str:
    """When that was, and why it came before ``event``."""
    if link.event["market_event"] != event["market_event"]:
        return f", at {moment(link.event['timestamp'])}"
    own = event["point"]
    point = link.fill["point"]
    if own and own != point:
        return f", at the {point} of this bar, which the venue took before its {own}"
    if point in ("high", "low") and event["price"] != link.fill["price"]:
        return f", on the way to the {point} of this bar, where that price came first"
    text = f", at the same price at the {point}"
    if link.by is None:
        return text
    return text + "; of orders at one price stops come before limits, then the one accepted first"
