"""Fills of orders that open something, or buy and sell: what can be paid, and what comes of it."""

from __future__ import annotations

from decimal import Decimal

from backtest.actors.protocol import Balances, Changes, EventKind
from backtest.errors import RejectReason
from backtest.models import Bar, Fill, MarketEvent
from backtest.money import add, mul, sub
from backtest.services.fills.walk import CLOSE_ONLY, Hit, OpenPart, Walk
from backtest.services.ledger.descriptions import traded
from backtest.services.ledger.entries import Leg, fill_trading
from backtest.services.orders.revision import Revision
from backtest.services.settlement.amounts import Opening, Spot

from .branch import Branch
from .cancel import Cancellation
from .fill_plans import opening_plan, rest_is_dust, spot_legs, spot_plan, uncovered
from .fill_records import Execution, record_fill, signed
from .oco import OcoGroup
from .pair_book import PairBook
from .position import Opened
from .positions import open_lot, tell_walk
from .spot_exits import SpotExits
from .venue import Venue

__all__ = ["EntryFills"]

_WORDS = {"stop_loss": "its stop-loss was reached", "take_profit": "its take-profit was reached"}
"""What is said of the fill of an exit."""


class EntryFills:
    """Carries out the hits that fill orders, wholly or in parts."""

    def __init__(self, venue: Venue, cancellation: Cancellation, exits: SpotExits) -> None:
        self._venue = venue
        self._cancellation = cancellation
        self._exits = exits

    async def fill_spot(
        self, book: PairBook, bar: MarketEvent, walk: Walk, hit: Hit, branch: Branch
    ) -> None:
        """Buy what of ``hit`` can be paid for, the rest of the order is cancelled; or sell it."""
        whole = branch.terms is not None and branch.terms.whole
        plan = spot_plan(
            self._venue, branch, hit.volume, hit.price, maker=not hit.taker, whole=whole
        )
        part = None
        if plan.volume:
            part = await self._book_fill(book, bar, hit, branch, plan, spot_legs(branch, plan))
        await self._go_on(walk, hit, branch, plan.volume, part)

    async def fill_trading(
        self, book: PairBook, bar: MarketEvent, walk: Walk, hit: Hit, branch: Branch
    ) -> None:
        """Open a position of what of ``hit`` can be paid for; the rest is cancelled."""
        venue, order = self._venue, branch.order
        assert order is not None
        plan = opening_plan(
            venue,
            branch,
            hit.volume,
            hit.price,
            maker=not hit.taker,
            money=add(order.reserved, venue.spendable(branch.account, book.quote)),
            sums=branch.sums,
            leaves=order.volume,
            whole=branch.terms is not None and branch.terms.whole,
        )
        part = None
        if plan.volume:
            share = sub(order.reserved, plan.kept)
            legs = fill_trading(branch.account, book.quote, share, plan.margin, plan.fee)
            part = await self._book_fill(book, bar, hit, branch, plan, legs)
        await self._go_on(walk, hit, branch, plan.volume, part)

    async def _book_fill(
        self,
        book: PairBook,
        bar: MarketEvent,
        hit: Hit,
        branch: Branch,
        plan: Spot | Opening,
        legs: list[Leg],
    ) -> OpenPart | None:
        """Post an order's fill, then make and tell what became of it; what it opened, if it did."""
        order = branch.order
        assert order is not None
        why = traded("filled", plan.volume, hit.price)
        balances = await self._venue.post(legs, order.id, why)
        return self.settled(book, bar, hit, branch, plan, balances)

    async def _go_on(
        self, walk: Walk, hit: Hit, branch: Branch, filled: Decimal, part: OpenPart | None
    ) -> None:
        """What a fill means for the walk, for partners of the order, and for the rest of it."""
        walk.report(hit, filled, part)
        lot = branch.lot
        if lot is not None and filled:
            tell_walk(walk, hit, lot.position)
        if branch.oco is not None and filled:
            await self.cancel_partners(walk, branch, branch.oco)
        if filled < hit.volume:
            walk.drop(hit.working)
            if branch.order is not None:
                await self._cancellation.cancel(
                    branch,
                    None,
                    RejectReason.INSUFFICIENT_FUNDS,
                    f"{branch.account} cannot pay for more at {hit.price:f}",
                )
        elif rest_is_dust(branch):
            walk.drop(hit.working)
            await self._cancellation.cancel_dust(branch)
        elif lost := uncovered(self._venue, branch):
            if lost == hit.working.volume:
                walk.drop(hit.working)
            await self._cancellation.cancel(
                branch,
                lost,
                RejectReason.INSUFFICIENT_FUNDS,
                f"the fill at {hit.price:f} took what was reserved for it",
            )

    def settled(
        self,
        book: PairBook,
        bar: MarketEvent,
        hit: Execution,
        branch: Branch,
        plan: Spot | Opening,
        balances: Balances,
    ) -> OpenPart | None:
        """A fill is posted: make and tell what became of the order; what it opened, if it did."""
        venue, order = self._venue, branch.order
        assert order is not None
        volume, margin = plan.volume, plan.margin if type(plan) is Opening else None
        whole = volume == order.volume
        filled = order.filled(venue.now, volume, hit.price, plan.fee, margin, book.step)
        leaves_id = None if whole else venue.ids.draw()
        branch.own_tally().sums = plan.sums
        branch.total_filled = add(branch.total_filled, volume)
        venue.records.keep(filled)
        part: OpenPart | None = None
        exit = None
        positions: Changes = ()
        if margin is not None:
            on_bar = type(bar) is Bar and hit.rank != CLOSE_ONLY
            since = bar.open_ns if on_bar else venue.now
            lot = open_lot(venue, branch, Opened(filled, hit.price, margin, since))
            positions = ((filled.id, filled),)
            part = lot
            size = mul(volume, book.pair.contract_size)
            cost = mul(size, hit.price)
            venue.valuation.position(book.code, signed(lot.long, size), signed(lot.long, cost))
        brackets = branch.is_bracket
        if leaves_id is None:
            venue.unlist(branch)
        else:
            number = venue.next_number()
            venue.live_on(branch, order.left(leaves_id, number, volume, plan.kept, book.step))
        if brackets:
            exit = self._exits.open(branch, filled, hit.price)
            part = exit.part
        record = record_fill(
            venue,
            bar,
            hit,
            branch,
            filled,
            "entry" if hit.part is None else hit.working.kind,
            hit.working.buy,
            volume,
            plan.amount if type(plan) is Spot else book.pair.notional(volume, hit.price),
            plan.fee,
            None,
            None,
        )
        self._tell_filled(branch, filled, positions, record, exit, balances)
        if type(plan) is Spot:
            uncovered = plan.uncovered
            venue.publisher.tell_uncovered(branch, filled, uncovered, book.quote, "a fill fee")
        return part

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
        detail = _WORDS.get(record.kind, "") if exit is None else f"{exit.id} sells it again"
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

    async def cancel_partners(self, walk: Walk, branch: Branch, group: OcoGroup) -> None:
        """Cancel the one-cancels-other partners of ``branch``, of which something filled; the rest
        of the walk is without them."""
        for other in group.partners(branch):
            walk.drop(other)
        await self._cancellation.cancel_partners(branch, group)
