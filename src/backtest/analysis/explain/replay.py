"""The events of an order chain played again, to learn what waited at the venue and when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from backtest.analysis.explain.chain import Chain
from backtest.analysis.explain.held import Positions
from backtest.analysis.explain.waits import (
    MARKET,
    VENUE,
    Line,
    Opened,
    PairRules,
    Since,
    Wait,
    Waits,
)
from backtest.analysis.tables.tables import items
from backtest.models import TimeInForce
from backtest.money import ZERO, sub
from backtest.services.fills.walk import Terms
from backtest.times import parse_ns

__all__ = ["partners_of", "waits_of"]

_ASKED = frozenset({"REQUESTED", "MODIFIED_AWAY", "ONE_CANCELS_OTHER"})
"""Why an order is cancelled of which nothing was to fill just then."""
_LATE = frozenset({"EXPIRED", "IMMEDIATE_OR_CANCEL", "FILL_OR_KILL"})


def partners_of(
    root: Line, orders: Iterable[Line], accounts: Mapping[str, Mapping[str, Any]]
) -> frozenset[str]:
    """The orders of other chains that are of one position with those of ``root``: on an account
    that nets, all of the pair."""
    if root["order_kind"] != "trading" or not accounts[root["account"]]["netting"]:
        return frozenset()
    same = ("account", "pair", "order_kind")
    return frozenset(
        order["order_id"]
        for order in orders
        if order["root_id"] != root["root_id"] and all(order[one] == root[one] for one in same)
    )


def waits_of(
    root: Line,
    orders: Sequence[Line],
    events: Iterable[Line],
    fills: Iterable[Line],
    legs: Mapping[str, list[Line]],
    rules: PairRules,
    accounts: Mapping[str, Mapping[str, Any]],
) -> list[Wait]:
    """The waits of the chain of ``root``, in the order in which they began.

    ``orders``, ``events`` and ``fills`` are all of the run, ``legs`` by entry the transactions of
    the chain and of its `partners_of` at least, ``accounts`` the configuration's.
    """
    options = {
        key: frozenset(name for name, one in accounts.items() if one[key] == value)
        for key, value in (("margin_mode", "cross"), ("netting", True))
    }
    chain = Chain(orders, fills, legs, rules, options["margin_mode"], options["netting"])
    replay, partners = _Replay(chain), partners_of(root, orders, accounts)
    for event in events:
        is_own = event["root_id"] == root["root_id"]
        if is_own or event["order_id"] in partners:
            replay.positions.margins.tell(event)
            if is_own:
                replay.tell(event)
            replay.positions.renew(int(event["market_event"]), event["sender"] == MARKET)
    return replay.waits.all


class _Replay:
    """The chain's orders, event by event; its positions are in a room of their own."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self.waits = Waits()
        self.positions = Positions(chain, self.waits)
        self._live: dict[str, Wait] = {}
        """Pending orders by branch."""
        positions = self.positions
        self._told: dict[str, Callable[[Line, int, bool], None]] = {
            "accepted": self._accepted,
            "filled": self._filled,
            "netted": self._netted,
            "cancelled": self._cancelled,
            "modified": self._modified,
            "split": self._split,
            "triggered": self._triggered,
            "trailed": self._trailed,
            "closing": positions.closing,
            "close_cancelled": positions.close_cancelled,
            "closed": positions.closed,
            "liquidated": positions.closed,
        }

    def tell(self, event: Line) -> None:
        """Let one event happen again."""
        told = self._told.get(event["kind"])
        if told is not None:
            told(event, int(event["market_event"]), event["sender"] == MARKET)

    def _enter(
        self,
        order: Line,
        volume: Decimal,
        since: Since,
        number: int,
        *,
        level: str = "",
        expires: int | None = None,
        old: Wait | None = None,
    ) -> Wait:
        """``order`` is what is pending of its branch; ``old`` what was so before."""
        kind = order["order_type"]
        if old is not None and old.working.kind == "limit":
            kind = "limit"  # the stop of a stop-limit order has been reached
        price = order["limit_price"] if kind == "limit" else level or order["stop_price"]
        wait = self.waits.begin(
            "entry",
            order["order_id"],
            kind,
            order["direction"] == "LONG",
            price,
            volume,
            since,
            number,
            triggered=old is not None and old.working.triggered,
            terms=_terms(order, kind),
            expires=expires,
        )
        wait.for_day = order["time_in_force"] == TimeInForce.DAY.value
        wait.reduces = order["reduce_only"] == "true"
        self._live[order["branch_id"]] = wait
        return wait

    def _accepted(self, event: Line, number: int, in_event: bool) -> None:
        order = self._chain.orders[event["order_id"]]
        if order["order_type"] == "exit":
            self.positions.bracket(order, event, number, in_event)
            return
        level = event["level"]
        expires = parse_ns(event["expires_at"]) if event["expires_at"] else None
        since = Since(parse_ns(event["timestamp"]))
        volume = Decimal(event["volume"])
        wait = self._enter(order, volume, since, number, level=level, expires=expires)
        if self._chain.rules.fills_at_once(order["order_type"]):
            wait.at_once_after = number

    def _filled(self, event: Line, number: int, in_event: bool) -> None:
        chain = self._chain
        order = chain.orders[event["order_id"]]
        if order["order_type"] == "exit":
            self.positions.closed(event, number, in_event)
            return
        wait = self._fill(order, event, number)
        if order["order_kind"] == "trading":
            fill = chain.fills[event["entry_id"]]
            found = wait.found_by(number)
            opened = Opened(number, in_event, found.working, found.since, fill["point"])
            # What was opened between two events is no older than that.
            since = Since(0 if in_event else parse_ns(event["timestamp"]), in_event)
            self.positions.hold(order, Decimal(event["volume"]), number, opened, since)

    def _netted(self, event: Line, number: int, _: bool) -> None:
        """What filled closed positions of the other side, and opened none."""
        self._fill(self._chain.orders[event["order_id"]], event, number)

    def _fill(self, order: Line, event: Line, number: int) -> Wait:
        """Some of what is pending filled, or all of it; the wait that did."""
        wait = self._live.pop(order["branch_id"])
        left = sub(wait.working.volume, Decimal(event["volume"]))
        if left > ZERO:
            kind = wait.working.kind
            limit = order["limit_price"] if kind == "stop_limit" else ""
            self._live[order["branch_id"]] = self.waits.go_on(
                wait,
                number,
                "part",
                volume=left,
                triggered=kind in ("stop", "trailing_stop") or wait.working.triggered,
                order_id=self._chain.leaves_of(order),
                kind="limit" if limit else None,
                price=Decimal(limit) if limit else None,
            )
        else:
            self.waits.end(wait, number, "filled")
        return wait

    def _cancelled(self, event: Line, number: int, in_event: bool) -> None:
        order = self._chain.orders[event["order_id"]]
        # A partner filled at the close that had just been: by then the event was over.
        after = event["reason"] == "ONE_CANCELS_OTHER"
        here = in_event or (event["sender"] == VENUE and not after)
        volume = Decimal(event["volume"])
        outcome = "late" if event["reason"] in _LATE else "ended"
        if order["order_type"] == "exit":
            self.positions.reduce(order, volume, number, outcome if here else "")
            return
        wait = self._live.pop(order["branch_id"])
        if not here and (event["reason"] in _ASKED or not wait.met_at_once(number)):
            outcome = ""
        if event["quantity"]:
            self.waits.lacked(wait, Decimal(event["quantity"]), number)
        left = sub(wait.working.volume, volume)
        if left <= ZERO:
            self.waits.end(wait, number, outcome)
            return
        self._live[order["branch_id"]] = self.waits.go_on(
            wait, number, volume=left, order_id=self._chain.leaves_of(order)
        )

    def _modified(self, event: Line, number: int, _: bool) -> None:
        child = self._chain.orders[event["order_id"]]
        if child["parent_id"] in self.positions.held:
            self.positions.modified(event, child, number)
            return
        old = self._live.pop(child["branch_id"])
        volume = Decimal(event["volume"])
        if event["keeps_place"] == "true":
            self._live[child["branch_id"]] = self.waits.go_on(
                old, number, volume=volume, order_id=child["order_id"]
            )
            return
        self.waits.end(old, number)
        since = Since(parse_ns(event["timestamp"]))
        expires = parse_ns(child["expires_at"]) if child["expires_at"] else old.expires
        level = event["level"]
        wait = self._enter(child, volume, since, number, level=level, expires=expires, old=old)
        if self._chain.rules.stands:
            wait.at_once_after = number

    def _split(self, event: Line, number: int, _: bool) -> None:
        order = self._chain.orders[event["order_id"]]
        volumes = [Decimal(one) for one in items(event["parts"])]
        parts = self._chain.parts_of(order, len(volumes))
        since = parse_ns(event["timestamp"])
        if order["order_id"] in self.positions.held:
            self.positions.split(order, parts, volumes, number, since)
            return
        old = self._live.pop(order["branch_id"])
        self.waits.end(old, number)
        for part, volume in zip(parts, volumes, strict=True):
            moved = part["limit_price"] != order["limit_price"]
            own = Since(since) if moved else old.since
            level = str(old.working.price) if old.working.kind == "trailing_stop" else ""
            wait = self._enter(part, volume, own, number, level=level, expires=old.expires, old=old)
            if moved and self._chain.rules.stands:
                wait.at_once_after = number

    def _triggered(self, event: Line, number: int, _: bool) -> None:
        if event["order_id"] in self.positions.held:
            self.positions.triggered(event, number)
            return
        order = self._chain.orders[event["order_id"]]
        live = self._live.get(order["branch_id"])
        if live is None or live.working.triggered or live.working.kind == "limit":
            return
        live.reached = True
        limit = order["limit_price"] if live.working.kind == "stop_limit" else ""
        self._live[order["branch_id"]] = self.waits.go_on(
            live,
            number,
            "triggered",
            triggered=not limit,
            kind="limit" if limit else None,
            price=Decimal(limit) if limit else None,
        )

    def _trailed(self, event: Line, number: int, _: bool) -> None:
        level = Decimal(event["level"])
        if event["order_id"] in self.positions.held:
            self.positions.trailed(event["order_id"], level, number)
            return
        branch = self._chain.orders[event["order_id"]]["branch_id"]
        self._live[branch] = self.waits.go_on(self._live[branch], number, price=level)


def _terms(order: Line, kind: str) -> Terms | None:
    """What ``order`` asks of the walk beside kind, price and volume."""
    limit = Decimal(order["limit_price"]) if kind == "stop_limit" else None
    trail, percent = (
        Decimal(order[name]) if order[name] else None for name in ("trail", "trail_percent")
    )
    force = order["time_in_force"]
    terms = Terms(limit, trail, percent, force in ("IOC", "FOK"), force == "FOK")
    return None if terms == Terms() else terms
