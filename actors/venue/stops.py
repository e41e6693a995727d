"""What is said of stops: that one was reached, and where a trailing one stands."""

from __future__ import annotations

from decimal import Decimal

from backtest.actors.protocol import EventKind, Facts
from backtest.services.fills.walk import Working
from backtest.services.orders.revision import Revision

from .branch import Branch
from .position import Closing, branch_of
from .venue import Venue

__all__ = ["catch_up", "tell_moved", "tell_trailed", "tell_triggered"]


def tell_trailed(venue: Venue, working: Working) -> None:
    """Say of a trailing stop where it stands now."""
    if not working.is_live:
        return
    level = working.price
    order: Revision | None
    if type(working) is Closing:
        working.level, close = level, working.command
        branch, order = working.branch, working.lot.order
    else:
        assert type(working) is Branch
        catch_up(venue, working)
        branch, order, close = working, working.order, 0
    venue.publisher.tell(
        EventKind.TRAILED, branch, order, level=level, close=close, facts=Facts(level=level)
    )


def tell_moved(venue: Venue, working: Working) -> None:
    """Say of a trailing stop that is reached that on this very path it had moved before."""
    stood: Decimal | None = working.price
    if type(working) is Closing:
        stood = working.level
    elif type(working) is Branch:
        stood = None if working.order is None else working.stop_price
    if working.price is not None and working.price != stood:
        tell_trailed(venue, working)


def catch_up(venue: Venue, branch: Branch) -> None:
    """Let the order of a trailing stop say where the walk has moved it to."""
    order, level = branch.order, branch.price
    if order is not None and branch.stop_price != level:
        branch.stop_price = level
        branch.order = order.changed(stop_price=level)
        venue.records.orders.keep(branch.order)


def tell_triggered(venue: Venue, working: Working, why: str = "") -> None:
    """Say of a stop that it was reached, if there is something left for it to fill; ``why`` a
    liquidation is one that comes of no price of its own."""
    if not working.is_live:
        return
    if working.kind == "trailing_stop":
        tell_moved(venue, working)
    order: Revision | None
    if type(working) is Closing:
        left, close = working.lot.volume, working.command
        branch, order = working.branch, working.lot.order
    else:
        branch = branch_of(working)
        order, left, close = branch.order, working.volume, 0
        if branch.part is not None:
            left = branch.part.volume
    venue.publisher.tell(
        EventKind.TRIGGERED,
        branch,
        order,
        detail=why,
        close=close,
        facts=Facts(condition=working.kind, price=working.price, quantity=left),
    )
