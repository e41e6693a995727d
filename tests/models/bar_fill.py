"""What follows, in the model, when the price of a bar has reached a condition: fills, positions,
exits, groups. See docs/fills.md."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from tests.models.bar_desk import opposite
from tests.models.bar_state import BASE, Order, Position, State, Sum
from tests.models.common import Unclear
from tests.models.money import ZERO, down, to_grid

__all__ = ["Fills", "Hit", "Market"]


class Hit(NamedTuple):
    """A condition that the price reaches on a segment of its path."""

    order: Order
    kind: str
    """``market``, ``stop``, ``limit``, ``called`` (liquidated) or ``refuse`` (post-only)."""
    distance: Decimal
    """How far on the segment."""
    role: int
    """What goes first at one distance: entry, stop, liquidation, target."""
    base: Decimal
    """The price, before slippage."""
    maker: bool
    at: Decimal
    """Where the price is then."""


class Market:
    """One bar: its path, its volume, its range."""

    def __init__(self, state: State, row: list[Any]) -> None:
        self.state, self.opened = state, row[0]
        first, self.high, self.low, last = (Decimal(price) for price in row[1:5])
        high_first = {"open_high_low_close": True, "open_low_high_close": False}.get(
            state.rules["path"], self.high - first < first - self.low
        )
        extremes = [(self.high, "high"), (self.low, "low")]
        if not high_first:
            extremes.reverse()
        self.points = [(first, "open"), *extremes, (last, "close")]
        share = state.rules.get("participation", "1")
        self.pool: dict[int, Decimal] | None = None
        if row[5] is not None and share != "none":
            most = to_grid(Decimal(row[5]) * Decimal(share), state.lot, False)
            self.pool = {1: most, -1: most}

    def available(self, order: Order, size: Decimal) -> Decimal:
        """How much of ``size`` there is volume for."""
        if self.pool is None:
            return size
        volume = min(size, self.pool[order.side])
        return ZERO if order.tif == "FOK" and volume < size else volume

    def use(self, side: int, volume: Decimal) -> None:
        """So much of a side's volume is gone."""
        if self.pool is not None:
            self.pool[side] -= volume

    def slipped(self, hit: Hit) -> Decimal:
        """The price of a fill: takers slip, rounded against them, but never out of the bar."""
        if hit.kind == "limit":
            return hit.base
        rules = self.state.rules
        slip = Decimal(rules.get("slippage", 0)) + Decimal(rules.get("slippage_rate", 0)) * hit.base
        price = hit.base + hit.order.side * to_grid(slip, self.state.tick, True)
        if rules.get("slippage_beyond_bar"):
            return price
        return max(min(price, self.high), self.low)


class Fills:
    """Executes what is reached on one bar."""

    def __init__(self, state: State, market: Market) -> None:
        self.state, self.market = state, market

    def execute(self, hit: Hit, rank: int) -> None:
        """What was reached happens, as far as there is volume and money."""
        order, state = hit.order, self.state
        order.tried.add(hit.kind)
        if hit.kind == "refuse":
            state.end(order, "WOULD_TAKE")
            return
        order.had_chance = True
        if hit.kind == "stop":
            order.triggered = True
            if order.kind == "stop_limit":
                order.start, order.fresh = (rank, hit.at), True
                return
        if order.reduce_only:
            self.reduce(hit, rank)
            return
        position, size = order.position, order.leaves
        if position is not None:
            size = position.volume if order.kind == "exit" else min(size, position.volume)
        volume = size if hit.kind == "called" else self.market.available(order, size)
        if not volume:
            return
        price = self.market.slipped(hit)
        if position is not None:
            self.close(hit, position, volume, price, rank)
        elif order.spot and order.side < 0:
            self.sell(hit, volume, price, rank)
        else:
            self.enter(hit, volume, price, rank)

    def record(self, hit: Hit, what: str, label: str, rank: int, rest: list[Any]) -> None:
        """Note a fill: ``rest`` is price, volume, fee and PnL."""
        price, volume, fee, pnl = rest
        maker = "maker" if hit.maker else "taker"
        point = self.market.points[rank][1]
        self.state.fills.append(
            [self.state.now, label, what, hit.order.side, price, volume, fee, maker, point, pnl]
        )

    def sell(self, hit: Hit, volume: Decimal, price: Decimal, rank: int) -> None:
        """A spot sell fills; leaves that can add nothing end."""
        state, order = self.state, hit.order
        fee = state.give(order, volume, price, hit.maker)
        self.market.use(order.side, volume)
        what = "entry" if order.kind != "exit" else exit_kind(hit)
        self.record(hit, what, order.label, rank, [price, volume, fee, None])
        self.done(order)
        if order.leaves and order.kind != "exit":
            most = down(order.sum.exact + order.leaves * order.worst, state.places)
            if most <= order.sum.posted:
                state.end(order, "MIN_NOTIONAL")

    def enter(self, hit: Hit, volume: Decimal, price: Decimal, rank: int) -> None:
        """A spot buy fills, or a position opens; and what protects it begins."""
        state, order = self.state, hit.order
        low, high = order.stop_loss, order.take_profit
        for mark in (low, high):
            if mark is not None and min(price, hit.at) < mark < max(price, hit.at):
                raise Unclear("a protection between the price of the entry and that of the market")
        if (low is not None and (price - low) * order.side <= 0) or (
            high is not None and (high - price) * order.side <= 0
        ):
            state.end(order, "PROTECTION_PASSED")
            return
        paid = state.affordable(order, volume, price, hit.maker)
        if not order.spot and paid < volume and (price - order.worst) * order.side < 0:
            raise Unclear("a better price that needs more margin than there is")
        if paid < volume and (order.tif == "FOK" or not paid):
            state.end(order, "INSUFFICIENT_FUNDS")
            return
        if paid < volume < order.leaves:
            raise Unclear("leaves that their reserve no longer covers: which of them end")
        if not order.spot and paid < order.leaves and order.tif not in ("IOC", "FOK"):
            raise Unclear("a position of several fills")
        before = order.sum.posted
        fee = state.take(order, paid, price, hit.maker)
        self.market.use(order.side, paid)
        self.record(hit, "entry", order.label, rank, [price, paid, fee, None])
        if not order.spot:
            self.open(order, paid, price, order.sum.posted - before, (rank, hit.at))
        elif low is not None or high is not None:
            self.offer(order, paid, (rank, hit.at))
        self.done(order)
        if order.leaves and paid < volume:
            state.end(order, "INSUFFICIENT_FUNDS")

    def open(
        self,
        order: Order,
        volume: Decimal,
        price: Decimal,
        margin: Decimal,
        start: tuple[int, Decimal],
    ) -> None:
        """A position, with what protects it from here on."""
        state = self.state
        protection = self.exit_of(order, volume, start, state.meter("close"))
        protection.group = order.label
        position = Position(
            order.label,
            order.account,
            order.side,
            volume,
            price,
            margin,
            order.label,
            protection.queue,
            protection,
        )
        protection.position = position
        position.opened = (state.now, start[0])
        state.positions[order.label] = position

    def offer(self, order: Order, volume: Decimal, start: tuple[int, Decimal]) -> None:
        """What a bracket bought is put up for sale at both prices."""
        state = self.state
        if order.exits_as_one is None:
            order.exits_as_one = Sum(), state.meter("fill")
        total, meter = order.exits_as_one
        exit = self.exit_of(order, volume, start, meter)
        exit.sum = total
        exit.label, exit.spot, exit.of_entry = f"{order.label}.x{order.exits}", True, True
        order.exits += 1
        state.purses[order.account].hold(BASE, volume)
        state.orders[exit.label] = exit
        state.known[exit.label] = exit

    def exit_of(self, order: Order, volume: Decimal, start: Any, meter: Any) -> Order:
        """A protection of what ``order`` has just filled."""
        return Order(
            order.label,
            order.account,
            -order.side,
            False,
            "exit",
            volume,
            order.group,
            meter,
            stop_loss=order.stop_loss,
            take_profit=order.take_profit,
            queue=self.state.turn(),
            since=self.state.now,
            fresh=False,
            start=start,
        )

    def close(
        self, hit: Hit, position: Position, volume: Decimal, price: Decimal, rank: int
    ) -> None:
        """A position closes, wholly or in part."""
        state, order = self.state, hit.order
        called = hit.kind == "called"
        pnl, fee = state.close(position, order.entry_fee, volume, price, hit.maker, called)
        order.filled += volume
        if order.kind == "exit":
            order.leaves = position.volume
            what = exit_kind(hit)
        else:
            order.leaves -= volume
            what = "close"
            if not order.leaves and order in position.closes:
                position.closes.remove(order)
        if not called:
            self.market.use(order.side, volume)
        self.record(hit, what, position.label, rank, [price, volume, fee, pnl])

    def reduce(self, hit: Hit, rank: int) -> None:
        """A reduce-only order closes what is open on the other side, oldest first."""
        state, order = self.state, hit.order
        others = opposite(state, order)
        there = sum((one.volume for one in others), ZERO)
        if order.tif == "FOK" and there < order.leaves:
            return
        size = min(order.leaves, there)
        volume = self.market.available(order, size)
        excess = order.leaves > there
        if volume < size and excess:
            raise Unclear("a reduce-only order short of both volume and positions")
        price = self.market.slipped(hit)
        left = volume
        for position in others:
            part = min(left, position.volume)
            if not part:
                break
            pnl, fee = state.close(position, order.entry_fee, part, price, hit.maker)
            left -= part
            self.record(hit, "netting", position.label, rank, [price, part, fee, pnl])
        self.market.use(order.side, volume)
        order.filled += volume
        order.leaves -= volume
        if volume:
            self.done(order)
        if excess and order.leaves:
            state.end(order, "REDUCE_ONLY")

    def done(self, order: Order) -> None:
        """After a fill: an order without leaves is over, and its partners are cancelled."""
        state = self.state
        if not order.leaves:
            state.orders.pop(order.label, None)
        if order.oco is None or not order.filled:
            return
        group = (order.account, order.oco)
        for other in list(state.orders.values()):
            apart = (other.partner or other.label) != (order.partner or order.label)
            if apart and (other.account, other.oco) == group:
                state.end(other, "ONE_CANCELS_OTHER")


def exit_kind(hit: Hit) -> str:
    """How a protection's fill is called."""
    return {"limit": "take_profit", "called": "liquidation"}.get(hit.kind, "stop_loss")
