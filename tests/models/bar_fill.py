"""What follows, in the model, when the price of a bar has reached a condition: fills, positions,
exits, groups. See docs/fills.md."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from tests.models.bar_cross import margin_called, worst_first
from tests.models.bar_desk import opposite
from tests.models.bar_positions import Lot, Position
from tests.models.bar_state import BASE, QUOTE, Order, State, Sum
from tests.models.common import Unclear
from tests.models.money import ZERO, down, to_grid, up

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
        if order.called is not None:
            self.call(hit, order.called, rank)
            return
        if order.kind == "call":
            self.call_account(hit, rank)
            return
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
        lot, size = order.lot, order.leaves
        if lot is not None:
            size = lot.volume if order.kind == "exit" else min(size, lot.volume)
        volume = self.market.available(order, size)
        if not volume:
            return
        price = self.market.slipped(hit)
        if lot is not None:
            self.close(hit, lot, volume, price, rank)
        elif order.spot and order.side < 0:
            self.sell(hit, volume, price, rank)
        elif self.passed(hit, price):
            return
        elif state.netting and not order.spot:
            self.net(hit, volume, price, rank)
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

    def passed(self, hit: Hit, price: Decimal) -> bool:
        """Whether the fill would be at or beyond its own protection: the order ends."""
        order, low, high = hit.order, hit.order.stop_loss, hit.order.take_profit
        for mark in (low, high):
            if mark is not None and min(price, hit.at) < mark < max(price, hit.at):
                raise Unclear("a protection between the price of the entry and that of the market")
        if (low is not None and (price - low) * order.side <= 0) or (
            high is not None and (high - price) * order.side <= 0
        ):
            self.state.end(order, "PROTECTION_PASSED")
            return True
        return False

    def enter(self, hit: Hit, volume: Decimal, price: Decimal, rank: int) -> None:
        """A spot buy fills, or a position opens; and what protects it begins."""
        state, order = self.state, hit.order
        paid = state.affordable(order, volume, price, hit.maker)
        if not order.spot and paid < volume and (price - order.worst) * order.side < 0:
            raise Unclear("a better price that needs more margin than there is")
        if paid < volume and (order.tif == "FOK" or not paid):
            state.end(order, "INSUFFICIENT_FUNDS")
            return
        if paid < volume < order.leaves:
            raise Unclear("leaves that their reserve no longer covers: which of them end")
        if order.short and volume < order.leaves:
            raise Unclear("the share of a fill of a reserve that is not whole")
        before = order.sum.posted
        fee = state.take(order, paid, price, hit.maker)
        self.market.use(order.side, paid)
        self.record(hit, "entry", order.label, rank, [price, paid, fee, None])
        if not order.spot:
            self.open(order, paid, price, order.sum.posted - before, (rank, hit.at))
        elif order.stop_loss is not None or order.take_profit is not None:
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
        """A position, or more of one, with what protects it from here on."""
        state, lot = self.state, order.opened
        position = self.position_for(order)
        if lot is None:
            protection = self.exit_of(order, volume, start, state.meter("close"))
            lot = order.opened = Lot(order.label, position, protection)
            protection.group, protection.lot = position.group, lot
            if not position.volume and not state.netting:
                position.fee, position.call.queue = protection.entry_fee, protection.queue
        elif lot.volume and lot.protection.triggered:
            raise Unclear("more of a position whose stop-loss was reached")
        else:
            lot.protection.triggered = False
            lot.protection.start = start
            lot.protection.tried.clear()
        worth = volume * price * state.contract
        before = Fraction(order.sum.exact - worth) / Fraction(order.leverage)
        if lot.volume < lot.filled and before != Fraction(up(before, state.places)):
            raise Unclear("whether what has closed still counts for the rounding of the margin")
        lot.position = position
        position.add(lot, volume, worth, margin)
        position.grown = (state.now, start[0])
        state.lots[order.label] = lot
        if position not in state.positions:
            state.positions.append(position)
        self.moved(position, start)

    def position_for(self, order: Order) -> Position:
        """The position that a fill of ``order`` opens, or adds to."""
        state = self.state
        if state.netting:
            for one in state.positions:
                if one.account == order.account:
                    return one
        elif order.opened is not None:
            position = order.opened.position
            if position.exact != Fraction(position.posted):
                raise Unclear("more of a position whose closes left a remainder")
            return position
        group = f"account {order.account}" if state.netting else order.label
        fee = state.meter("close")
        call = Order(order.label, order.account, -order.side, False, "call", ZERO, group, fee)
        call.queue, call.since = state.turn(), state.now
        position = Position(order.account, order.side, group, call, fee)
        call.called = position
        return position

    def moved(self, position: Position, start: tuple[int, Decimal]) -> None:
        """Its level is another: tested from here on."""
        for call in self.state.calls or [position.call]:
            call.start = start
            call.tried.clear()

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

    def close(self, hit: Hit, lot: Lot, volume: Decimal, price: Decimal, rank: int) -> None:
        """What a handle has closes, wholly or in part."""
        state, order, position = self.state, hit.order, lot.position
        pnl, fee = state.close(position, order.entry_fee, volume, price, hit.maker, lot)
        order.filled += volume
        if order.kind == "exit":
            order.leaves = lot.volume
            what = exit_kind(hit)
        else:
            order.leaves -= volume
            what = "close"
            if not order.leaves and order in lot.closes:
                lot.closes.remove(order)
        self.moved(position, (rank, hit.at))
        self.market.use(order.side, volume)
        self.record(hit, what, lot.label, rank, [price, volume, fee, pnl])

    def call(self, hit: Hit, position: Position, rank: int) -> None:
        """A position is liquidated."""
        state, price, volume = self.state, self.market.slipped(hit), position.volume
        if state.netting and any(lot.protection.entry_fee.used for lot in position.lots()):
            raise Unclear("whether a liquidation pays on where a protection has paid")
        pnl, fee = state.close(position, position.fee, volume, price, hit.maker, called=True)
        self.record(hit, "liquidation", hit.order.label, rank, [price, volume, fee, pnl])

    def call_account(self, hit: Hit, rank: int) -> None:
        """All pending orders end; then positions close whole, worst first, until it suffices."""
        state, account = self.state, hit.order.account
        for order in list(state.orders.values()):
            if order.account == account:
                state.end(order, "MARGIN_CALL")
        while margin_called(state, account, hit.at):
            position = worst_first(state, account, hit.at)
            call = position.call
            self.call(hit._replace(order=call), position, rank)
        for call in state.calls:
            call.start = (rank, hit.at)
            call.tried.clear()

    def reduce(self, hit: Hit, rank: int) -> None:
        """A reduce-only order closes what is open on the other side, oldest first."""
        state, order = self.state, hit.order
        others = opposite(state, order)
        there = sum((one.volume for one in others), ZERO)
        if order.tif == "FOK" and there < order.leaves:
            return
        size = min(order.leaves, there)
        volume = self.market.available(order, size)
        excess = max(order.leaves - there, ZERO)
        if there and not volume:
            return
        self.offset(hit, volume, self.market.slipped(hit), rank)
        if volume:
            self.done(order)
        if excess:
            state.end(order, "REDUCE_ONLY", excess)

    def net(self, hit: Hit, volume: Decimal, price: Decimal, rank: int) -> None:
        """On a netting account a fill closes what is open on the other side; the rest opens."""
        state, order = self.state, hit.order
        part = min(volume, sum((one.volume for one in opposite(state, order)), ZERO))
        if part < volume and part and order.tif == "FOK":
            trial, same = deepcopy((self, hit))
            trial.offset(same, part, price, rank)
            money = trial.state.affordable(same.order, volume - part, price, hit.maker)
            if money < volume - part:
                state.end(order, "INSUFFICIENT_FUNDS")
                return
        self.offset(hit, part, price, rank)
        if part < volume:
            self.enter(hit, volume - part, price, rank)
        else:
            self.done(order)

    def offset(self, hit: Hit, volume: Decimal, price: Decimal, rank: int) -> None:
        """An order closes so much of what is open on the other side, the oldest first."""
        state, order = self.state, hit.order
        meter, purse = order.close_fee or order.entry_fee, state.purses[order.account]
        before, insured, left = state.reserve(order), purse.insured, volume
        self.market.use(order.side, volume)
        for position in opposite(state, order):
            part = min(left, position.volume)
            if not part:
                break
            label = position.lots()[0].label
            pnl, fee = state.close(position, meter, part, price, hit.maker)
            left -= part
            self.moved(position, (rank, hit.at))
            self.record(hit, "netting", label, rank, [price, part, fee, pnl])
        order.filled += volume
        order.leaves -= volume
        order.covered = max(order.covered - volume, ZERO)
        freed = before - state.reserve(order)
        if freed and purse.insured != insured:
            raise Unclear("whether a reserve that a close frees pays for it")
        purse.hold(QUOTE, -freed)

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
