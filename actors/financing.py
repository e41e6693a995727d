"""What an open position or a pending order costs by the night."""

from __future__ import annotations

from decimal import Decimal

from backtest.models import Bar, TradingOrder
from backtest.models._fast import derive
from backtest.money import ZERO, sub
from backtest.services.transaction_manager import charge
from backtest.times import DAY

from .book import Branch, Holding, PairBook
from .protocol import EventKind
from .venue import Venue

__all__ = ["Financing"]


class Financing:
    """Charges each rollover once, on the mark that the venue has at that time."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def is_due(self, book: PairBook, bar: Bar) -> bool:
        """Whether an overnight charge falls due by the end of ``bar``."""
        if book.next_rollover is None:
            # The first bar of the pair: the first rollover is the first one after its open.
            time_of_day = book.rules.rollover_ns
            days = (bar.open_ns - time_of_day) // DAY + 1
            book.next_rollover = days * DAY + time_of_day
        return book.next_rollover < bar.close_ns

    async def charge_until(self, book: PairBook, end: int) -> None:
        """Charge every rollover at or before ``end``, at the mark the venue has now."""
        while book.next_rollover is not None and book.next_rollover <= end:
            due = book.next_rollover
            book.next_rollover += DAY
            if book.last is None:
                continue
            # What came to be after the rollover was not there to be charged.
            for holding in list(book.holdings):
                if holding.since <= due:
                    await self._charge_holding(book, holding, book.last)
            for branch in list(book.branches.values()):
                if branch.accepted <= due:
                    await self._charge_pending(book, branch, book.last)

    async def _charge_holding(self, book: PairBook, holding: Holding, mark: Decimal) -> None:
        venue, part, branch = self._venue, holding.part, holding.branch
        notional = book.pair.notional(part.volume, mark)
        amount = venue.fee(
            book,
            book.fees_filled,
            volume=part.volume,
            notional=notional,
            margin=part.margin,
        )
        if not amount:
            return
        asset = book.quote
        free = venue.available(branch.account, asset)
        from_margin = min(max(ZERO, sub(amount, free)), part.margin)
        uncovered = max(ZERO, sub(sub(amount, free), from_margin))
        legs = charge(branch.account, asset, amount, from_margin=from_margin, uncovered=uncovered)
        balances = await venue.post(legs, holding.order.id, "overnight charge")
        order = holding.order.create_with_overnight_fees(amount)
        if from_margin:
            order = derive(order, margin_reserved=sub(order.margin_reserved, from_margin))
            self._venue.set_margin(holding, order.margin_reserved)
        self._renew(holding, order)
        venue.tell(
            EventKind.CHARGED,
            branch,
            order,
            positions=((order.id, order),),
            detail=f"overnight {amount} {asset} at {mark}",
            balances=balances,
        )
        self._venue.tell_uncovered(branch, order, uncovered, asset, "an overnight charge")

    async def _charge_pending(self, book: PairBook, branch: Branch, mark: Decimal) -> None:
        venue, order = self._venue, branch.order
        if order is None:
            return
        notional = book.pair.notional(order.volume, mark)
        amount = venue.fee(
            book,
            book.fees_pending,
            volume=order.volume,
            notional=notional,
            margin=venue.order_margin(branch, order.volume),
        )
        if not amount:
            return
        asset = book.quote
        uncovered = max(ZERO, sub(amount, venue.available(branch.account, asset)))
        legs = charge(branch.account, asset, amount, uncovered=uncovered)
        balances = await venue.post(legs, order.id, "overnight charge on a pending order")
        if isinstance(order, TradingOrder):
            branch.order = order = order.create_with_overnight_fees(amount)
            venue.records.keep(order)
        venue.tell(
            EventKind.CHARGED,
            branch,
            order,
            detail=f"overnight {amount} {asset} at {mark}",
            balances=balances,
        )
        self._venue.tell_uncovered(branch, order, uncovered, asset, "an overnight charge")

    def _renew(self, holding: Holding, order: TradingOrder) -> None:
        """The position goes on under the same id in a new state."""
        holding.order = order
        self._venue.records.keep(order)
