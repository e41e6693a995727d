"""The open positions of a chain in its replay, and the exits of spot brackets: what may end them.

Both hold something and wait for conditions that share it: stop-loss, take-profit, liquidation,
orders to close.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from attrs import define, field

from backtest.analysis.explain.chain import Chain
from backtest.analysis.explain.margins import Margins
from backtest.analysis.explain.waits import Line, Opened, Since, Wait, Waits
from backtest.analysis.tables.tables import items
from backtest.money import ZERO, add, sub
from backtest.services.fills.walk import Terms, Working
from backtest.times import parse_ns

__all__ = ["Held", "Positions"]

_LEGS = {"stop_loss": "stop_price", "take_profit": "limit_price"}
"""The legs of a bracket's exit, and the prices of the order that they stand at."""


@define(eq=False)
class Held:
    """What a branch has open, or what a bracket's exit sells, as it is at one moment of the
    replay."""

    orders: dict[str, Decimal]
    """Its open orders, the oldest first, and how much of it each is."""
    long: bool
    is_exit: bool = False
    waits: list[Wait] = field(factory=list)

    @property
    def order_id(self) -> str:
        """The oldest of its orders: that of which a close closes first."""
        return next(iter(self.orders))

    @property
    def volume(self) -> Decimal:
        """How much it is in all."""
        total = ZERO
        for volume in self.orders.values():
            total = add(total, volume)
        return total

    def change(self, old: Wait, new: Wait) -> None:
        """``new`` waits in the place of ``old``."""
        self.waits[self.waits.index(old)] = new


class Positions:
    """All that is held of a chain, by the ids of its orders, oldest first."""

    def __init__(self, chain: Chain, waits: Waits) -> None:
        self.held: dict[str, Held] = {}
        self._chain = chain
        self._waits = waits
        self._ended: dict[str, Wait] = {}
        """Closes that a modify has ended, by their ids: one for less goes on where it was."""
        self.margins = Margins(chain)

    # -- beginning ---------------------------------------------------------------------------------

    def hold(self, order: Line, volume: Decimal, number: int, opened: Opened, since: Since) -> None:
        """``order`` is an open position ``since`` now, with its protections."""
        for held in self._of(order["branch_id"]):
            self._grow(held, order["order_id"], volume, number)
            return
        held = self._new(order, volume)
        prices: list[tuple[str, str | Decimal | None]] = [
            ("stop_loss", order["stop_loss"]),
            ("liquidation", self.margins.liquidation(order)),
            ("take_profit", order["take_profit"]),
        ]
        for kind, price in prices:
            if price:
                own = Since(since.ns, since.whole)
                exit = self._exit(held, kind, kind, price, volume, own, number)
                exit.opened = opened

    def _grow(self, held: Held, order_id: str, volume: Decimal, number: int) -> None:
        """More of an order filled: what protects it does so for all."""
        held.orders[order_id] = volume
        self.held[order_id] = held
        for wait in list(held.waits):
            if wait.role != "close":
                held.change(wait, self._waits.go_on(wait, number, volume=held.volume))

    def bracket(self, order: Line, event: Line, number: int, in_event: bool) -> None:
        """``order`` sells again what the fill of its entry bought, from that moment on; or what was
        owned, from its acceptance on."""
        chain = self._chain
        if order["entry_order_id"] == order["order_id"]:
            self._own(order, Decimal(event["volume"]), parse_ns(event["timestamp"]), number)
            return
        entry = chain.orders[order["entry_order_id"]]
        fill = next(one for one in chain.fills.values() if one["order_id"] == entry["order_id"])
        volume = Decimal(event["volume"])
        held = self._new(order, volume)
        kind = entry["order_type"]
        price = entry["limit_price"] if kind == "limit" else entry["stop_price"]
        limit = Decimal(entry["limit_price"]) if kind == "stop_limit" else None
        working = Working(
            kind,  # type: ignore[arg-type]
            True,
            Decimal(price) if price and kind != "market" else None,
            volume,
            terms=None if limit is None else Terms(limit),
        )
        since = Since(parse_ns(entry["create_timestamp"]))
        opened = Opened(number, in_event, working, since, fill["point"])
        for role, name in _LEGS.items():
            if order[name]:
                own = Since(0 if in_event else parse_ns(event["timestamp"]), in_event)
                exit = self._exit(held, role, role, order[name], volume, own, number)
                exit.opened = opened

    def _own(self, order: Line, volume: Decimal, accepted: int, number: int) -> None:
        held = self._new(order, volume)
        for role, name in _LEGS.items():
            if order[name]:
                self._exit(held, role, role, order[name], volume, Since(accepted), number)

    def _new(self, order: Line, volume: Decimal) -> Held:
        is_exit = order["order_type"] == "exit"
        long = is_exit or order["direction"] == "LONG"
        held = self.held[order["order_id"]] = Held({order["order_id"]: volume}, long, is_exit)
        return held

    def _exit(
        self,
        held: Held,
        role: str,
        kind: str,
        price: str | Decimal | None,
        volume: Decimal,
        since: Since,
        number: int,
        *,
        triggered: bool = False,
    ) -> Wait:
        wait = self._waits.begin(
            role, held.order_id, kind, not held.long, price, volume, since, number,
            triggered=triggered,
        )  # fmt: skip
        wait.stopped = any(one.working.triggered for one in held.waits if one.role == "stop_loss")
        held.waits.append(wait)
        return wait

    # -- margin ------------------------------------------------------------------------------------

    def renew(self, number: int, in_event: bool) -> None:
        """Volume, cost or margin of a position may have changed, and with it the price at which it
        is liquidated."""
        for held in dict.fromkeys(self.held.values()):
            if not held.is_exit:
                self._renew(held, number, in_event)

    def _renew(self, held: Held, number: int, in_event: bool) -> None:
        price = self.margins.liquidation(self._chain.orders[held.order_id])
        for wait in held.waits:
            if wait.role == "liquidation":
                if in_event and price != wait.working.price:
                    self._waits.moves(wait, number)
                if price is None:
                    self._waits.end(wait, number)
                    held.waits.remove(wait)
                elif price != wait.working.price:
                    held.change(wait, self._waits.go_on(wait, number, wait.outcome, price=price))
                return
        if price is not None:
            since = Since(0, True)
            self._exit(held, "liquidation", "liquidation", price, held.volume, since, number)

    # -- changes -----------------------------------------------------------------------------------

    def _rename(self, held: Held, old: str, new: str, volume: Decimal) -> None:
        """One of its orders lives on under another id, in its place."""
        held.orders = {
            new if one == old else one: volume if one == old else own
            for one, own in held.orders.items()
        }
        self.held = {new if one == old else one: value for one, value in self.held.items()}

    def modified(self, event: Line, child: Line, number: int) -> None:
        """Other protection, accepted now; the rest waits on under the new id."""
        held, old = self.held[child["parent_id"]], child["parent_id"]
        is_exit = held.is_exit
        volume = Decimal(event["volume"]) if is_exit else held.orders[old]
        self._rename(held, old, child["order_id"], volume)
        for role, name in _LEGS.items():
            column = name if is_exit else role
            if column not in items(event["changed"]):
                continue
            for wait in list(held.waits):
                if wait.role == role:
                    self._waits.end(wait, number)
                    held.waits.remove(wait)
            if child[column]:
                since = Since(parse_ns(event["timestamp"]))
                self._exit(held, role, role, child[column], held.volume, since, number)
        for wait in list(held.waits):
            if wait.order_id != held.order_id:
                whole = held.volume if is_exit else None
                new = self._waits.go_on(wait, number, order_id=held.order_id, volume=whole)
                held.change(wait, new)

    def split(
        self,
        order: Line,
        parts: Sequence[Line],
        volumes: Sequence[Decimal],
        number: int,
        since: int,
    ) -> None:
        """Several positions of one, each with the protection of the old one, or exits of one."""
        old = self.held.pop(order["order_id"])
        del old.orders[order["order_id"]]
        for part, volume in zip(parts, volumes, strict=True):
            known = [] if old.is_exit else self._of(part["branch_id"])
            if known:
                self._grow(known[0], part["order_id"], volume, number)
            else:
                self._inherit(old, self._new(part, volume), part, number, since)
        if not old.orders:
            for wait in old.waits:
                self._waits.end(wait, number)

    def _inherit(self, old: Held, own: Held, part: Line, number: int, since: int) -> None:
        """A part has the protection of the whole; what is another is accepted now."""
        volume = own.volume
        for wait in old.waits:
            name = _LEGS.get(wait.role)
            if name is None:
                continue
            price = part[name if old.is_exit else wait.role]
            moved = not price or Decimal(price) != wait.working.price
            if moved and not price:
                continue
            new = self._exit(
                own, wait.role, wait.role, price, volume,
                Since(since) if moved else wait.since, number,
                triggered=wait.working.triggered and not moved,
            )  # fmt: skip
            new.stopped = wait.stopped
        if not old.is_exit:
            for role in _LEGS:
                if part[role] and all(wait.role != role for wait in old.waits):
                    self._exit(own, role, role, part[role], volume, Since(since), number)

    def triggered(self, event: Line, number: int) -> None:
        """A stop-loss, or an order to close by a stop, was reached."""
        held = self.held[event["order_id"]]
        kind = event["condition"]
        if kind == "stop_loss":
            for wait in list(held.waits):
                is_it = wait.role == kind
                wait.reached = is_it
                if not (is_it and wait.working.triggered):
                    new = self._waits.go_on(
                        wait, number, "triggered" if is_it else "",
                        triggered=is_it or wait.working.triggered, stopped=True,
                    )  # fmt: skip
                    held.change(wait, new)
            return
        limit = event["price"] if kind == "limit" else ""
        kinds = ("stop_limit",) if limit else ("stop", "trailing_stop")
        for wait in held.waits:
            if wait.role == "close" and wait.working.kind in kinds and not wait.working.triggered:
                wait.reached = True
                new = self._waits.go_on(
                    wait, number, "triggered", triggered=not limit,
                    kind="limit" if limit else None, price=Decimal(limit) if limit else None,
                )  # fmt: skip
                held.change(wait, new)
                return

    def trailed(self, order_id: str, level: Decimal, number: int) -> None:
        """The trailing stop that closes a position moved."""
        held = self.held[order_id]
        for wait in held.waits:
            if wait.working.kind == "trailing_stop" and not wait.working.triggered:
                held.change(wait, self._waits.go_on(wait, number, price=level))
                return

    # -- ending ------------------------------------------------------------------------------------

    def closing(self, event: Line, number: int, _: bool) -> None:
        """An order to close what a branch has open was accepted; or goes on for less, in its
        place."""
        held, kind = self.held[event["order_id"]], event["condition"]
        closing_id, volume = items(event["closing_orders"])[0], Decimal(event["quantity"])
        old = self._ended.get(closing_id)
        if event["keeps_place"] == "true" and old is not None:
            held.waits.append(self._waits.go_on(old, number, volume=volume))
            return
        since = Since(parse_ns(event["timestamp"]))
        wait = self._exit(held, "close", kind, event["price"] or None, volume, since, number)
        wait.closing_id = closing_id
        if kind == "stop_limit":
            wait.working.terms = Terms(Decimal(event["limit_price"]))
        if self._chain.rules.fills_at_once(kind):
            wait.at_once_after = number

    def _of(self, branch: str) -> list[Held]:
        orders = self._chain.orders
        found = (one for key, one in self.held.items() if orders[key]["branch_id"] == branch)
        return list(dict.fromkeys(found))

    def close_cancelled(self, event: Line, number: int, _: bool) -> None:
        """Orders to close were cancelled."""
        if event["reason"] == "ALREADY_DONE":
            return  # they ended with their position
        orders = items(event["closing_orders"])
        for held in self._of(self._chain.orders[event["order_id"]]["branch_id"]):
            for wait in list(held.waits):
                if wait.role == "close" and wait.closing_id in orders:
                    self._waits.end(wait, number)
                    held.waits.remove(wait)
                    self._ended[wait.closing_id] = wait

    def reduce(self, order: Line, volume: Decimal, number: int, outcome: str) -> None:
        """Some of a bracket's exit was cancelled, or all of it."""
        held = self.held[order["order_id"]]
        left = sub(held.volume, volume)
        if left <= ZERO:
            del self.held[held.order_id]
            for wait in held.waits:
                self._waits.end(wait, number, outcome)
            return
        rest = self._chain.leaves_of(order)
        self._rename(held, held.order_id, rest, left)
        for wait in list(held.waits):
            new = self._waits.go_on(wait, number, volume=held.volume, order_id=rest)
            held.change(wait, new)

    def closed(self, event: Line, number: int, in_event: bool) -> None:
        """A position was closed, or a bracket's exit sold, wholly or in part."""
        chain = self._chain
        order, fill = chain.orders[event["order_id"]], chain.fills[event["entry_id"]]
        held = self.held[order["order_id"]]
        volume = Decimal(event["volume"])
        done = _done(held, fill)
        left = sub(held.orders[order["order_id"]], volume)
        gone = f"gone:{fill['kind']}" if in_event else ""
        if left <= ZERO:
            del self.held[order["order_id"]], held.orders[order["order_id"]]
        else:
            rest = chain.leaves_of(order) if held.is_exit else chain.rest_of(order)
            assert rest is not None
            self._rename(held, order["order_id"], rest, left)
        if not held.orders:
            for wait in held.waits:
                # Closed at this close, before an order that was to close it there.
                late = f"gone:{fill['kind']}" if wait.at_once_after == number else gone
                self._waits.end(wait, number, "filled" if wait is done else late)
            return
        for wait in list(held.waits):
            own = sub(wait.working.volume, volume) if wait is done else wait.working.volume
            if own <= ZERO and wait.role == "close":
                self._waits.end(wait, number, "filled")
                held.waits.remove(wait)
                continue
            stop = fill["kind"] == "stop_loss"
            new = self._waits.go_on(
                wait,
                number,
                "part" if wait is done else gone,
                volume=held.volume if held.is_exit else own,
                order_id=held.order_id,
                triggered=True if stop and wait is done else None,
                stopped=True if stop and wait is not done else None,
            )
            held.change(wait, new)


def _done(held: Held, fill: Line) -> Wait | None:
    """The wait that ``fill`` was of."""
    for wait in held.waits:
        if wait.role == fill["kind"]:
            if wait.role != "close" or wait.closing_id == fill["closing_order_id"]:
                return wait
    return None
