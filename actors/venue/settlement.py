"""A fill that is posted: what becomes of the orders and positions, and what is told of it.

Nothing is decided here: `FillSide` has worked out what the fill comes to.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from backtest.actors.protocol import Balances, Changes, EventKind, Facts
from backtest.errors import RejectReason
from backtest.models import Bar, Fill, MarketEvent
from backtest.money import ZERO, add, mul, sub
from backtest.services.fills.walk import CLOSE_ONLY, OpenPart
from backtest.services.orders.operations import apportion
from backtest.services.orders.revision import Revision
from backtest.services.settlement.amounts import Opening, Spot
from backtest.services.settlement.pool import Pool

from .branch import Branch
from .close_plans import CloseTerms
from .fill_records import Execution, record_fill, signed
from .fill_side import FillSide
from .position import Closing, Lot, Opened
from .positions import drop_lot, open_lot, restate, revalue
from .spot_exits import SpotExits
from .venue import Venue

__all__ = ["CLOSES", "Settlement", "TakeOff", "unclosed"]

TakeOff = Callable[[Closing, Decimal], Execution]
"""Takes what is closed off the volumes of the closing order and its lot, and says how it was
executed."""

CLOSES = {
    "close": "closed",
    "stop_loss": "stopped out of",
    "take_profit": "took profit on",
    "liquidation": "liquidated",
    "netting": "netted",
}
"""What is said of a close, by what closed it."""

_EXITS = {"stop_loss": "its stop-loss was reached", "take_profit": "its take-profit was reached"}
"""What is said of the fill of an exit."""


class Settlement:
    """Applies fills: orders, positions, records and events are what they are after them."""

    def __init__(self, venue: Venue, exits: SpotExits) -> None:
        self._venue = venue
        self._exits = exits

    def settle(
        self,
        side: FillSide,
        event: MarketEvent,
        take_off: TakeOff,
        entry: Execution,
        balances: Balances,
        detail: str = "",
    ) -> OpenPart | None:
        """Make and tell what became of one side of a fill, which is posted; what it opened, if it
        did. ``entry`` is how the part that opens something was executed; ``detail`` says why a
        position is closed."""
        if side.closes:
            if side.own is not None:
                self._netted(side, balances)
            for terms in side.closes:
                at = take_off(terms.closing, terms.volume)
                self._closed(side.price, event, at, terms, balances, detail)
        if side.plan is None:
            return None
        return self._filled(side.branch, event, entry, side.plan, balances)

    # -- what closes -------------------------------------------------------------------------------

    def _netted(self, side: FillSide, balances: Balances) -> None:
        """What of an order closes the other side is done, and opens nothing."""
        venue, branch, price = self._venue, side.branch, side.price
        order, step = branch.order, branch.book.step
        assert order is not None
        volume = sub(side.volume, side.opens)
        branch.offset = max(ZERO, sub(branch.offset, volume))
        done = order.netted(venue.now, volume, price, step)
        branch.total_filled = add(branch.total_filled, volume)
        leaves_id = side.opens_id
        if leaves_id is None and volume != order.volume:
            leaves_id = venue.ids.draw()
        venue.records.orders.keep(done)
        if leaves_id is None:
            venue.unlist(branch)
        else:
            kept, number = side.kept_after_closes, venue.next_number()
            venue.live_on(branch, order.left(leaves_id, number, volume, kept, step))
        venue.publisher.tell(
            EventKind.NETTED,
            branch,
            done,
            balances=balances,
            facts=Facts(price=price, quantity=volume),
        )

    def _closed(
        self,
        price: Decimal,
        event: MarketEvent,
        at: Execution,
        terms: CloseTerms,
        balances: Balances,
        detail: str,
    ) -> None:
        """One of the open orders of a lot is closed, wholly or partly."""
        venue = self._venue
        closing, _, volume, notional, _, pnl, fee, uncovered, fee_uncovered = terms[:9]
        lot = closing.lot
        order = lot.order  # as what was closed just before has left it
        branch, position = lot.branch, lot.position
        book, asset = position.book, position.book.quote
        closing.tally.sums = terms.sums
        if closing.command:
            closing.tally.closed = add(closing.tally.closed, volume)
        size = mul(volume, book.pair.contract_size)
        long, pool = position.long, position.pool
        venue.valuation.position(book.code, signed(not long, size), signed(not long, terms.cost))
        average = None if pool.price is not None else pool.average(book.pair.contract_size)
        done = order.closed(venue.now, volume, price, fee, pnl, closing.role, book.step, average)
        rest = None
        if volume != order.volume:
            rest = order.open_still(venue.ids.draw(), venue.next_number(), volume, book.step)
        venue.records.orders.keep(done)
        in_vain = [one for one in lot.exits if one.role == "close" and one is not closing]
        changes = self._go_on(lot, closing, rest, terms.pool)
        record = record_fill(
            venue,
            event,
            at,
            branch,
            done,
            closing.role,
            at.working.buy,
            volume,
            notional,
            fee,
            closing,
            pnl,
            terms.cost,
        )
        self._tell_closed(branch, closing, done, changes, record, balances, detail)
        if in_vain and not lot.opened:
            venue.publisher.tell(
                EventKind.CLOSE_CANCELLED,
                branch,
                done,
                reason=RejectReason.ALREADY_DONE,
                detail="there is nothing left to close",
            )
        venue.publisher.tell_uncovered(branch, done, uncovered, asset, "a loss beyond the margin")
        venue.publisher.tell_uncovered(branch, done, fee_uncovered, asset, "a close fee")

    def _go_on(self, lot: Lot, closing: Closing, rest: Revision | None, pool: Pool) -> Changes:
        """Let the lot live on with its rest, or end it; what changed of the open orders."""
        venue, position, old, first = self._venue, lot.position, lot.order.id, lot.opened[0]
        position.pool = pool
        changes: Changes = ((old, None),)
        if rest is None:
            del lot.opened[0]
        else:
            part, whole = sub(first.order.volume, rest.volume), first.order.volume
            _, margin = apportion(first.margin, part, whole, position.book.step, down=True)
            lot.opened[0] = first._replace(order=rest, margin=margin)
            venue.take_on(rest, lot.branch)
            changes = ((old, None), (rest.id, rest))
        if not lot.opened:
            drop_lot(venue, lot)
        elif closing.volume <= ZERO and closing in lot.exits:
            lot.exits.remove(closing)
        if not position.lots:
            return changes
        revalue(venue, position)
        restated = restate(venue, position)
        if not restated:
            return changes
        known = dict(restated)
        changes = tuple((order_id, known.pop(order_id, one)) for order_id, one in changes)
        return (*changes, *known.items())

    def _tell_closed(
        self,
        branch: Branch,
        closing: Closing,
        done: Revision,
        positions: Changes,
        record: Fill,
        balances: Balances,
        detail: str,
    ) -> None:
        kind = EventKind.LIQUIDATED if closing.role == "liquidation" else EventKind.CLOSED
        self._venue.publisher.tell(
            kind,
            branch,
            done,
            positions=positions,
            fill=record,
            detail=detail or CLOSES[closing.role],
            balances=balances,
            close=closing.command,
        )

    # -- what opens, buys or sells -----------------------------------------------------------------

    def _filled(
        self,
        branch: Branch,
        event: MarketEvent,
        at: Execution,
        plan: Spot | Opening,
        balances: Balances,
    ) -> OpenPart | None:
        """What became of an order that bought, sold or opened a position; what it opened."""
        venue, order, book = self._venue, branch.order, branch.book
        assert order is not None
        volume, margin = plan.volume, plan.margin if type(plan) is Opening else None
        filled = order.filled(venue.now, volume, at.price, plan.fee, margin, book.step)
        leaves_id = None if volume == order.volume else venue.ids.draw()
        branch.own_tally().sums = plan.sums
        branch.total_filled = add(branch.total_filled, volume)
        venue.records.orders.keep(filled)
        part: OpenPart | None = None
        exit = None
        positions: Changes = ()
        if margin is not None:
            part = self._open(branch, filled, event, at, margin)
            positions = ((filled.id, filled),)
        brackets = branch.is_bracket
        if leaves_id is None:
            venue.unlist(branch)
        else:
            number = venue.next_number()
            venue.live_on(branch, order.left(leaves_id, number, volume, plan.kept, book.step))
        if brackets:
            exit = self._exits.open(branch, filled, at.price)
            part = exit.part
        record = record_fill(
            venue,
            event,
            at,
            branch,
            filled,
            "entry" if at.part is None else at.working.kind,
            at.working.buy,
            volume,
            plan.amount if type(plan) is Spot else book.pair.notional(volume, at.price),
            plan.fee,
            None,
            None,
        )
        self._tell_filled(branch, filled, positions, record, exit, balances)
        if type(plan) is Spot:
            uncovered = plan.uncovered
            venue.publisher.tell_uncovered(branch, filled, uncovered, book.quote, "a fill fee")
        return part

    def _open(
        self, branch: Branch, filled: Revision, event: MarketEvent, at: Execution, margin: Decimal
    ) -> Lot:
        """The lot that a fill has opened, or added to."""
        venue, book, volume = self._venue, branch.book, filled.volume
        on_bar = type(event) is Bar and at.rank != CLOSE_ONLY
        since = event.open_ns if on_bar else venue.now
        lot = open_lot(venue, branch, Opened(filled, at.price, margin, since))
        size = mul(volume, book.pair.contract_size)
        cost = mul(size, at.price)
        venue.valuation.position(book.code, signed(lot.long, size), signed(lot.long, cost))
        return lot

    def _tell_filled(
        self,
        branch: Branch,
        filled: Revision,
        positions: Changes,
        record: Fill,
        exit: Branch | None,
        balances: Balances,
    ) -> None:
        """Tell of a fill, and of the ``exit`` that came of it."""
        publisher = self._venue.publisher
        detail = _EXITS.get(record.kind, "") if exit is None else f"{exit.id} sells it again"
        publisher.tell(
            EventKind.FILLED,
            branch,
            filled,
            positions=positions,
            fill=record,
            detail=detail,
            children=() if exit is None else ((exit.number, exit.order),),  # type: ignore[arg-type]
            balances=balances,
        )
        if exit is not None:
            publisher.tell(
                EventKind.ACCEPTED,
                exit,
                exit.order,
                detail=f"sells again what order {filled.id} bought",
                balances=balances,
            )


def unclosed(branch: Branch) -> Decimal:
    """What of a reduce-only order is more than what there is to close."""
    there = ZERO
    for position in branch.book.facing(branch.account, branch.buy):
        there = add(there, position.pool.volume)
    return ZERO if branch.order is None else max(ZERO, sub(branch.order.volume, there))
