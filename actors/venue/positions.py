"""Positions at the venue: how they come to be, change and go, with the exits that they have."""

from __future__ import annotations

from decimal import Decimal

from backtest.actors.protocol import NO_FACTS, EventKind, Facts
from backtest.errors import RejectReason
from backtest.models import (
    OrderDirection,
    TradingOrder,
)
from backtest.services.fills.walk import OpenPart, Working, WorkingKind

from .branch import Branch, Closing, Holding
from .venue import Venue

__all__ = ["drop_closing", "drop_holding", "open_holding", "set_margin"]


def open_holding(venue: Venue, branch: Branch, order: TradingOrder) -> Holding:
    """The position that ``order``, filled, is: with its stop-loss, liquidation, take-profit."""
    book = branch.book
    long = order.direction is OrderDirection.LONG
    volume, margin = order.volume, order.margin_reserved
    part = OpenPart(None, long, volume, order.fill_price, margin, [])  # type: ignore[arg-type]
    holding = part.key = Holding(branch, order, part)
    liquidation = None
    # With cross margin it is the account that is called.
    isolated = branch.account not in venue.cross
    if isolated and book.can_liquidate(long, order.leverage):
        liquidation = book.liquidation(long, order.fill_price, volume, margin)  # type: ignore[arg-type]
    exits: tuple[tuple[WorkingKind, Decimal | None], ...] = (
        ("stop_loss", order.stop_loss),
        ("liquidation", liquidation),
        ("take_profit", order.take_profit),
    )
    for kind, price in exits:
        if price is not None:
            closing = Closing(venue.ids.draw(), kind, holding)
            working = Working(
                closing, kind, not long, price, volume, sequence=venue.next_sequence()
            )
            holding.put(closing, working)
    branch.holdings.append(holding)
    book.list_holding(holding)
    return holding


def set_margin(venue: Venue, holding: Holding, margin: Decimal) -> None:
    """A position's margin changed, and with it the price at which it is liquidated."""
    part, book = holding.part, holding.branch.book
    part.margin = margin
    if holding.branch.account in venue.cross:
        return
    closing = holding.closing("liquidation")
    price = book.liquidation(part.long, part.entry_price, part.volume, margin)
    if closing is not None:
        if price is None:
            holding.take(closing)
        else:
            closing.working.price = price
    elif price is not None:
        closing = Closing(venue.ids.draw(), "liquidation", holding)
        working = Working(closing, "liquidation", not part.long, price, part.volume)
        holding.put(closing, working)


def drop_closing(
    venue: Venue,
    closing: Closing,
    reason: RejectReason,
    detail: str = "",
    facts: Facts = NO_FACTS,
) -> None:
    """An order to close a position acts no more: the position stays as it is."""
    holding = closing.holding
    holding.take(closing)
    venue.publisher.tell(
        EventKind.CLOSE_CANCELLED,
        holding.branch,
        holding.order,
        reason=reason,
        detail=detail,
        close=closing.command,
        facts=facts._replace(closing_orders=(closing.id,)),
    )


def drop_holding(venue: Venue, holding: Holding) -> None:
    """The position is closed (or has been replaced)."""
    book = holding.branch.book
    holding.closings.clear()
    book.unlist_holding(holding)
    holding.branch.holdings.remove(holding)
    if not holding.branch.holdings and holding.branch.order is None:
        venue.branch_of[holding.branch.id.int] = None
