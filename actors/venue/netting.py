"""Orders that close what is open on the other side before they open anything, or instead."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from attrs import evolve

from backtest.actors.protocol import Balances, EventKind, Facts
from backtest.errors import RejectReason
from backtest.models import MarketEvent
from backtest.money import ZERO, add, sub
from backtest.services.fills.walk import Hit, Walk
from backtest.services.ledger.descriptions import traded
from backtest.services.ledger.entries import release
from backtest.services.settlement.amounts import Sums

from .branch import Branch
from .cancel import Cancellation
from .close_plans import frees, sums_after
from .exit_fills import ExitFills
from .fill_plans import opening_plan
from .pair_book import PairBook
from .position import Closing, Position
from .venue import Venue

__all__ = ["Netting", "netted"]


def netted(
    venue: Venue,
    branch: Branch,
    price: Decimal,
    volume: Decimal,
    kept: Decimal,
    leaves_id: UUID | None,
    balances: Balances,
) -> None:
    """``volume`` of an order is done, for it closed as much of the other side: make and tell that.

    Its leaves keep ``kept`` in reserve, under ``leaves_id`` where that is known already.
    """
    order, step = branch.order, branch.book.step
    assert order is not None
    if leaves_id is None and volume != order.volume:
        leaves_id = venue.ids.draw()
    done = order.netted(venue.now, volume, price, step)
    branch.total_filled = add(branch.total_filled, volume)
    venue.records.keep(done)
    if volume == order.volume:
        venue.unlist(branch)
    else:
        assert leaves_id is not None
        number = venue.next_number()
        venue.live_on(branch, order.left(leaves_id, number, volume, kept, step))
    venue.publisher.tell(
        EventKind.NETTED,
        branch,
        done,
        balances=balances,
        facts=Facts(price=price, quantity=volume),
    )


class Netting:
    """Fills orders of netting accounts, and reduce-only orders, against the opposite positions."""

    def __init__(self, venue: Venue, cancellation: Cancellation, exit_fills: ExitFills) -> None:
        self._venue = venue
        self._cancellation = cancellation
        self._exit_fills = exit_fills

    async def close(
        self, book: PairBook, bar: MarketEvent, walk: Walk, hit: Hit, branch: Branch
    ) -> tuple[Decimal, Decimal]:
        """Close opposite positions, oldest first, at the price of ``hit``; how much was closed, and
        how much of the hit is left to open.

        Of a reduce-only order nothing is: what has nothing to close is cancelled.
        """
        left, closed, there = hit.volume, ZERO, ZERO
        buy = hit.working.buy
        for position in book.facing(branch.account, buy):
            there = add(there, position.pool.volume)
        begun: dict[Position, None] = {}
        for lot, _, own in book.opposite(branch.account, buy, left):
            # A close can call a cross margin account, which closes others, and cancels the rest of
            # this very order.
            volume = min(own, lot.volume)
            if volume <= ZERO or branch.order is None:
                continue
            closing = branch.closing
            if closing is None:
                closing = Closing(branch.id, "netting", lot, branch.kind, tally=branch.own_tally())
                branch.closing = closing
            closing.lot = lot
            if lot.position not in begun:
                begun[lot.position] = None
                lot.position.pool = lot.position.closing(hit.price, left)
            sums = sums_after(book, closing, volume, hit.price, taker=hit.taker)
            await self._settle(branch, hit.price, volume, sums)
            at = evolve(hit, part=lot, volume=volume)
            await self._exit_fills.close(book, bar, walk, at, closing)
            left, closed = sub(left, volume), add(closed, volume)
        if branch.reduces:
            await self._cancel_rest(walk, hit, branch, sub(there, closed))
        if branch.reduces or branch.order is None:
            left = ZERO
        return closed, left

    def fills_whole(self, book: PairBook, hit: Hit, branch: Branch) -> bool:
        """Whether all of the order could fill: there is enough to close, or the money to open what
        is beyond that, with what the closes bring."""
        venue, order = self._venue, branch.order
        assert order is not None
        pieces = book.opposite(branch.account, hit.working.buy, hit.volume)
        freed, sums = frees(book, branch, pieces, hit.price, branch.sums, hit.taker)
        closed = book.facing(branch.account, hit.working.buy)
        money = add(order.reserved, venue.spendable(branch.account, branch.asset, closed))
        money = add(money, freed)
        opens = hit.volume
        for _, _, volume in pieces:
            opens = sub(opens, volume)
        if opens <= ZERO or branch.reduces:
            return opens <= ZERO
        plan = opening_plan(
            venue,
            branch,
            opens,
            hit.price,
            maker=not hit.taker,
            money=money,
            sums=sums,
            leaves=opens,
            whole=True,
        )
        return plan.volume == opens

    async def _settle(self, branch: Branch, price: Decimal, volume: Decimal, sums: Sums) -> None:
        """``volume`` of the order is done: it closed as much, and opened nothing; its fills came to
        ``sums`` by that."""
        venue, order = self._venue, branch.order
        assert order is not None
        branch.offset = max(ZERO, sub(branch.offset, volume))
        kept = venue.reserve(branch, sub(order.volume, volume), sums)
        kept = min(kept, order.reserved)
        balances: Balances = {}
        legs = release(branch.account, branch.asset, sub(order.reserved, kept))
        if legs:
            balances = await venue.post(legs, order.id, traded("closed", volume, price))
        netted(venue, branch, price, volume, kept, None, balances)

    async def _cancel_rest(self, walk: Walk, hit: Hit, branch: Branch, there: Decimal) -> None:
        """Cancel what a reduce-only order is more than the ``there`` that is left to close."""
        if branch.order is None or branch.order.volume <= there:
            return
        if not there:
            walk.drop(hit.working)
        await self._cancellation.cancel(
            branch,
            sub(branch.order.volume, there),
            RejectReason.REDUCE_ONLY,
            facts=Facts(price=hit.price, point=hit.point),
        )
