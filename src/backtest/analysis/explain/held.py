"""The open positions of a chain in its replay, and the exits of spot brackets: what may end them.

Both hold something and wait for conditions that share it: stop-loss, take-profit, liquidation,
orders to close.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from attrs import define, field

from backtest.analysis.explain.chain import Chain
from backtest.analysis.explain.margins import Margins, from_margin
from backtest.analysis.explain.waits import Line, Opened, Since, Wait, Waits
from backtest.analysis.tables.tables import items
from backtest.money import ZERO, sub
from backtest.services.fills.walk import Terms, Working
from backtest.times import parse_ns

__all__ = ["Held", "Positions"]

_LEGS = {"stop_loss": "stop_price", "take_profit": "limit_price"}
"""The legs of a bracket's exit, and the prices of the order that they stand at."""


@define(eq=False)
class Held:
    """An open position, or what a bracket's exit sells, as it is at one moment of the replay."""

    order_id: str
    volume: Decimal
    long: bool
    price: Decimal
    margin: Decimal | None
    """None where nothing can be liquidated."""
    waits: list[Wait] = field(factory=list)

    def change(self, old: Wait, new: Wait) -> None:
        """``new`` waits in the place of ``old``."""
        self.waits[self.waits.index(old)] = new


class Positions:
    """All that is held of a chain, by the id of its order, oldest first."""

    def __init__(self, chain: Chain, waits: Waits) -> None:
        self.held: dict[str, Held] = {}
        self._chain = chain
        self._waits = waits
        self.margins = Margins(chain)

    # -- beginning ---------------------------------------------------------------------------------

    def hold(self, order: Line, volume: Decimal, number: int, opened: Opened, since: Since) -> None:
        """``order`` is an open position ``since`` now, with its protections."""
        held = self._new(order, volume)
        prices: list[tuple[str, str | Decimal | None]] = [
            ("stop_loss", order["stop_loss"]),
            ("liquidation", self._liquidation(held)),
            ("take_profit", order["take_profit"]),
        ]
        for kind, price in prices:
            if price:
                own = Since(since.ns, since.whole)
                exit = self._exit(held, kind, kind, price, volume, own, number)
                exit.opened = opened

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
        held = Held(order["order_id"], volume, True, Decimal(fill["price"]), None)
        self.held[held.order_id] = held
        kind = entry["order_type"]
        price = entry["limit_price"] if kind == "limit" else entry["stop_price"]
        limit = Decimal(entry["limit_price"]) if kind == "stop_limit" else None
        working = Working(
            None,
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
        price = Decimal(order["stop_price"] or order["limit_price"])
        held = Held(order["order_id"], volume, True, price, None)
        self.held[held.order_id] = held
        for role, name in _LEGS.items():
            if order[name]:
                self._exit(held, role, role, order[name], volume, Since(accepted), number)

    def _new(self, order: Line, volume: Decimal) -> Held:
        margin = None
        if order["account"] not in self._chain.crossed:
            margin = self.margins.of(order)
        held = Held(
            order["order_id"],
            volume,
            order["direction"] == "LONG",
            Decimal(order["fill_price"]),
            margin,
        )
        self.held[held.order_id] = held
        if margin is not None and not self.margins.can_end(order):
            held.margin = None
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

    def _liquidation(self, held: Held) -> Decimal | None:
        if held.margin is None:
            return None
        return self.margins.liquidation(held.long, held.price, held.volume, held.margin)

    def _set_margin(self, held: Held, margin: Decimal, number: int) -> None:
        """The margin changed, or the volume, and with it the liquidation price."""
        held.margin = margin
        price = self._liquidation(held)
        for wait in held.waits:
            if wait.role == "liquidation":
                if price is None:
                    self._waits.end(wait, number)
                    held.waits.remove(wait)
                elif price != wait.working.price:
                    held.change(wait, self._waits.go_on(wait, number, wait.outcome, price=price))
                return
        if price is not None:
            since = Since(0, True)
            self._exit(held, "liquidation", "liquidation", price, held.volume, since, number)

    def charged(self, event: Line, number: int, _: bool) -> None:
        """A night or funding: what available cannot pay comes out of the margin."""
        held = self.held.get(event["order_id"])
        for leg in self._chain.legs.get(event["entry"], []):
            margin = from_margin(leg)
            if margin and held is not None and held.margin is not None:
                self._set_margin(held, sub(held.margin, margin), number)

    # -- changes -----------------------------------------------------------------------------------

    def _rename(self, held: Held, order_id: str) -> None:
        """It lives on under another id, in its place."""
        old, held.order_id = held.order_id, order_id
        self.held = {order_id if one == old else one: value for one, value in self.held.items()}

    def modified(self, event: Line, child: Line, number: int) -> None:
        """Other protection, accepted now; the rest waits on under the new id."""
        held = self.held[child["parent_id"]]
        self._rename(held, child["order_id"])
        is_exit = child["order_type"] == "exit"
        if is_exit:
            held.volume = Decimal(event["volume"])
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
                volume = held.volume if is_exit else None
                new = self._waits.go_on(wait, number, order_id=held.order_id, volume=volume)
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
        is_exit = order["order_type"] == "exit"
        for part, volume in zip(parts, volumes, strict=True):
            if is_exit:
                own = Held(part["order_id"], volume, True, old.price, None)
                self.held[own.order_id] = own
            else:
                own = self._new(part, volume)
            for wait in old.waits:
                name = _LEGS.get(wait.role)
                if name is None:
                    continue
                price = part[name if is_exit else wait.role]
                moved = not price or Decimal(price) != wait.working.price
                if moved and not price:
                    continue
                new = self._exit(
                    own, wait.role, wait.role, price, volume,
                    Since(since) if moved else wait.since, number,
                    triggered=wait.working.triggered and not moved,
                )  # fmt: skip
                new.stopped = wait.stopped
            if not is_exit:
                for role in _LEGS:
                    if part[role] and all(wait.role != role for wait in old.waits):
                        self._exit(own, role, role, part[role], volume, Since(since), number)
            if own.margin is not None:
                self._set_margin(own, own.margin, number)
        for wait in old.waits:
            self._waits.end(wait, number)

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
        """Orders to close positions of a branch were accepted, the oldest first."""
        kind, left = event["condition"], Decimal(event["quantity"])
        orders = iter(items(event["closing_orders"]))
        branch = self._chain.orders[event["order_id"]]["branch_id"]
        for held in self._of(branch):
            part = min(left, held.volume)
            if part <= ZERO:
                break
            left = sub(left, part)
            since = Since(parse_ns(event["timestamp"]))
            price = event["price"] or None
            wait = self._exit(held, "close", kind, price, part, since, number)
            wait.closing_id = next(orders)
            if kind == "stop_limit":
                wait.working.terms = Terms(Decimal(event["limit_price"]))
            if self._chain.rules.fills_at_once(kind):
                wait.at_once_after = number

    def _of(self, branch: str) -> list[Held]:
        orders = self._chain.orders
        return [one for key, one in self.held.items() if orders[key]["branch_id"] == branch]

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

    def reduce(self, order: Line, volume: Decimal, number: int, outcome: str) -> None:
        """Some of a bracket's exit was cancelled, or all of it."""
        held = self.held[order["order_id"]]
        held.volume = sub(held.volume, volume)
        if held.volume <= ZERO:
            del self.held[held.order_id]
            for wait in held.waits:
                self._waits.end(wait, number, outcome)
            return
        rest = self._chain.leaves_of(order)
        self._rename(held, rest)
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
        held.volume = sub(held.volume, volume)
        gone = f"gone:{fill['kind']}" if in_event else ""
        if held.volume <= ZERO:
            del self.held[order["order_id"]]
            for wait in held.waits:
                # Closed at this close, before an order that was to close it there.
                late = f"gone:{fill['kind']}" if wait.at_once_after == number else gone
                self._waits.end(wait, number, "filled" if wait is done else late)
            return
        is_exit = order["order_type"] == "exit"
        rest = chain.leaves_of(order) if is_exit else chain.rest_of(order)
        assert rest is not None
        self._rename(held, rest)
        for wait in list(held.waits):
            left = sub(wait.working.volume, volume) if wait is done else wait.working.volume
            if left <= ZERO and wait.role == "close":
                self._waits.end(wait, number, "filled")
                held.waits.remove(wait)
                continue
            stop = fill["kind"] == "stop_loss"
            new = self._waits.go_on(
                wait,
                number,
                "part" if wait is done else gone,
                volume=held.volume if is_exit else left,
                order_id=rest,
                triggered=True if stop and wait is done else None,
                stopped=True if stop and wait is not done else None,
            )
            held.change(wait, new)
        if held.margin is not None or (not is_exit and order["account"] not in chain.crossed):
            self._set_margin(held, self.margins.of(chain.orders[rest]), number)


def _done(held: Held, fill: Line) -> Wait | None:
    """The wait that ``fill`` was of."""
    for wait in held.waits:
        if wait.role == fill["kind"]:
            if wait.role != "close" or wait.closing_id == fill["closing_order_id"]:
                return wait
    return None
