"""Fills of orders that open something, or buy and sell: what can be paid, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from backtest.errors import RejectReason
from backtest.models import Bar, MarketEvent, TradingOrder
from backtest.money import ZERO, add, sub
from backtest.services.fills import CLOSE_ONLY, Hit, OpenPart, Walk
from backtest.services.order_operations import fill
from backtest.services.transaction_manager import (
    Leg,
    create_order,
    fill_spot_buy,
    fill_spot_sell,
    fill_trading,
)

from .affordable import Affordable, affordable
from .book import PairBook
from .branch import Branch
from .cancellation import Cancellation
from .exits import ExitDesk
from .fill_record import Execution, record_fill, signed_size
from .holdings import open_holding
from .oco import OcoGroup
from .protocol import Balances, EventKind
from .venue import Venue

__all__ = ["EntryDesk", "is_bracket"]

_WORDS = {"stop_loss": "its stop-loss was reached", "take_profit": "its take-profit was reached"}
"""What is said of the fill of an exit."""


class EntryDesk:
    """Carries out the hits that fill orders, wholly or in parts."""

    def __init__(self, venue: Venue, cancellation: Cancellation, exits: ExitDesk) -> None:
        self._venue = venue
        self._cancellation = cancellation
        self._exits = exits

    async def fill_spot(
        self, book: PairBook, bar: MarketEvent, walk: Walk, hit: Hit, branch: Branch
    ) -> None:
        """Buy or sell what of ``hit`` can be paid for; the rest of the order is cancelled."""
        venue, pair = self._venue, book.pair
        base, quote = pair.base.code, book.quote
        price, maker, first = hit.price, not hit.taker, not branch.paid_flat
        buy = hit.working.buy

        def terms(volume: Decimal) -> tuple[Decimal, Decimal]:
            notional = pair.notional(volume, price)
            fee = book.fee(
                book.fees_fill, volume=volume, notional=notional, maker=maker, first=first
            )
            return notional, fee

        free = venue.spendable(branch.account, quote)
        if buy:
            volume, kept, _ = self._affordable(
                branch, hit.volume, lambda some: add(*terms(some)), free
            )
        else:
            volume = hit.volume
            notional, fee = terms(volume)
            if sub(fee, notional) > free:
                volume = ZERO
            kept = sub(branch.order.volume, volume)  # type: ignore[union-attr]
        part = None
        if volume:
            notional, fee = terms(volume)
            legs: list[Leg]
            if buy:
                share = sub(branch.order.reserved, kept)  # type: ignore[union-attr]
                legs = fill_spot_buy(branch.account, base, quote, volume, notional, fee, share)
                if is_bracket(branch):
                    # What was bought is the reserve of the exit, in the same entry.
                    legs += create_order(branch.account, base, volume)
            else:
                legs = fill_spot_sell(branch.account, base, quote, volume, notional, fee)
            part = await self._book_fill(
                book, bar, hit, branch, volume, notional, fee, kept, legs, None
            )
        walk.report(hit, volume, part)
        if branch.oco is not None and volume:
            await self.cancel_partners(walk, branch, branch.oco)
        if volume < hit.volume:
            await self._cancel_rest(walk, hit, branch)

    async def fill_trading(
        self, book: PairBook, bar: MarketEvent, walk: Walk, hit: Hit, branch: Branch
    ) -> None:
        """Open a position of what of ``hit`` can be paid for; the rest is cancelled."""
        venue, pair = self._venue, book.pair
        order = branch.order
        assert isinstance(order, TradingOrder)
        asset = book.quote
        price, maker, first = hit.price, not hit.taker, not branch.paid_flat
        free = venue.spendable(branch.account, asset)

        def terms(volume: Decimal, margin_price: Decimal) -> tuple[Decimal, Decimal]:
            margin = book.margin(volume, margin_price, order.leverage)
            fee = book.fee(
                book.fees_fill,
                volume=volume,
                notional=pair.notional(volume, price),
                margin=margin,
                maker=maker,
                first=first,
            )
            return margin, fee

        at = price
        volume, kept, covered = self._affordable(
            branch, hit.volume, lambda some: add(*terms(some, at)), free
        )
        if not covered and not hit.working.buy and price > branch.worst:
            # A better price that needs more margin (a sell, higher) must not cost the fill.
            at = branch.worst
            volume, kept, _ = self._affordable(
                branch, hit.volume, lambda some: add(*terms(some, at)), free
            )
        part = None
        if volume:
            margin, fee = terms(volume, at)
            notional = pair.notional(volume, price)
            legs = fill_trading(branch.account, asset, sub(order.reserved, kept), margin, fee)
            part = await self._book_fill(
                book, bar, hit, branch, volume, notional, fee, kept, legs, margin
            )
        walk.report(hit, volume, part)
        if branch.oco is not None and volume:
            await self.cancel_partners(walk, branch, branch.oco)
        if volume < hit.volume:
            await self._cancel_rest(walk, hit, branch)

    def _affordable(
        self, branch: Branch, volume: Decimal, cost: Callable[[Decimal], Decimal], free: Decimal
    ) -> Affordable:
        """How much of ``volume`` the order's reserve and what is ``free`` can pay for."""
        order, venue = branch.order, self._venue
        assert order is not None
        leaves = order.volume
        return affordable(
            volume,
            add(order.reserved, free),
            cost,
            lambda some: venue.reserve(branch, sub(leaves, some), False),
            branch.book.pair.volume_increment,
            branch.terms is not None and branch.terms.whole,
        )

    async def _book_fill(
        self,
        book: PairBook,
        bar: MarketEvent,
        hit: Hit,
        branch: Branch,
        volume: Decimal,
        notional: Decimal,
        fee: Decimal,
        kept: Decimal,
        legs: list[Leg],
        margin: Decimal | None,
    ) -> OpenPart | None:
        """Post an order's fill, then make and tell what became of it; what it opened, if it did."""
        order = branch.order
        assert order is not None
        balances = await self._venue.post(legs, order.id, f"filled {volume} at {hit.price}")
        return self.settled(book, bar, hit, branch, volume, notional, fee, kept, margin, balances)

    def settled(
        self,
        book: PairBook,
        bar: MarketEvent,
        hit: Execution,
        branch: Branch,
        volume: Decimal,
        notional: Decimal,
        fee: Decimal,
        kept: Decimal,
        margin: Decimal | None,
        balances: Balances,
    ) -> OpenPart | None:
        """A fill is posted: make and tell what became of the order; what it opened, if it did."""
        venue, order = self._venue, branch.order
        assert order is not None
        whole = volume == order.volume
        filled, leaves = fill(
            order,
            at=venue.at,
            price=hit.price,
            volume=volume,
            fee=fee,
            leaves_id=None if whole else venue.ids.draw(),
            margin=margin,
            reserved_left=kept,
            step=book.step,
        )
        branch.paid_flat = True
        branch.total_filled = add(branch.total_filled, volume)
        venue.records.keep(filled)
        part = exit = None
        positions: tuple[Any, ...] = ()
        children: tuple[Any, ...] = ()
        if margin is not None:
            holding = open_holding(venue, branch, filled)  # type: ignore[arg-type]
            on_bar = type(bar) is Bar and hit.rank != CLOSE_ONLY
            holding.since = bar.open_ns if on_bar else venue.now
            positions = ((filled.id, filled),)
            part = holding.part
            venue.valuation.position(book.code, signed_size(book, part.long, volume), hit.price)
        brackets = is_bracket(branch)
        if leaves is None:
            venue.unlist(branch)
        else:
            venue.live_on(branch, leaves)
        if brackets:
            exit = self._exits.open(branch, filled)  # type: ignore[arg-type]
            part = exit.part
            children = ((exit.number, exit.order),)
        record = record_fill(
            venue,
            bar,
            hit,
            branch,
            filled,
            "entry" if hit.part is None else hit.working.kind,
            hit.working.buy,
            volume,
            notional,
            fee,
            None,
            None,
        )
        venue.herald.tell(
            EventKind.FILLED,
            branch,
            filled,
            positions=positions,
            fill=record,
            detail=_WORDS.get(record.kind, "") if exit is None else f"{exit.id} sells it again",
            children=children,
            balances=balances,
        )
        if exit is not None:
            venue.herald.tell(
                EventKind.ACCEPTED,
                exit,
                exit.order,
                detail=f"sells again what order {filled.id} bought",
                balances=balances,
            )
        return part

    async def _cancel_rest(self, walk: Walk, hit: Hit, branch: Branch) -> None:
        walk.drop(hit.working)
        if branch.order is not None:
            await self._cancellation.cancel(
                branch,
                None,
                RejectReason.INSUFFICIENT_FUNDS,
                f"{branch.account} cannot pay for more at {hit.price}",
            )

    async def cancel_partners(self, walk: Walk, branch: Branch, group: OcoGroup) -> None:
        """Cancel the one-cancels-other partners of ``branch``, of which something filled; the rest
        of the walk is without them."""
        for other in group.partners(branch):
            walk.drop(other.working)
        await self._cancellation.cancel_partners(branch, group)


def is_bracket(branch: Branch) -> bool:
    """Whether what the order buys goes to an exit: a spot order with a stop-loss or take-profit."""
    order = branch.order
    return (
        branch.spot
        and order is not None
        and (order.stop_loss is not None or order.take_profit is not None)
    )
