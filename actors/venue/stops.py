"""What is said of stops: that one was reached, and where a trailing one stands."""

from __future__ import annotations

from backtest.actors.protocol import EventKind, Facts
from backtest.models._fast import derive
from backtest.services.fills.walk import Working

from .branch import Branch
from .venue import Venue

__all__ = ["catch_up", "tell_moved", "tell_trailed", "tell_triggered"]


def tell_trailed(venue: Venue, working: Working) -> None:
    """Say of a trailing stop where it stands now."""
    key = working.key
    level = working.price
    if type(key) is Branch:
        if key.order is None or key.working is not working:
            return
        catch_up(venue, key)
        branch, order = key, key.order
    else:
        if key not in key.lot.closings:
            return
        key.level = level
        branch, order = key.lot.branch, key.lot.order
    venue.publisher.tell(
        EventKind.TRAILED,
        branch,
        order,
        level=level,
        close=0 if type(key) is Branch else key.command,
        facts=Facts(level=level),
    )


def tell_moved(venue: Venue, working: Working) -> None:
    """Say of a trailing stop that is reached that on this very path it had moved before."""
    key = working.key
    stood = key.order and key.order.stop_price if type(key) is Branch else key.level
    if working.price is not None and working.price != stood:
        tell_trailed(venue, working)


def catch_up(venue: Venue, branch: Branch) -> None:
    """Let the order of a trailing stop say where the walk has moved it to."""
    order, level = branch.order, branch.working.price
    if order is not None and order.stop_price != level:
        branch.order = derive(order, stop_price=level)
        venue.records.keep(branch.order)


def tell_triggered(venue: Venue, working: Working) -> None:
    """Say of a stop that it was reached, if there is something left for it to fill."""
    key = working.key
    if type(key) is Branch:
        part = key.part
        acts = key.working is working if part is None else working in part.exits
        branch, order = key, key.order if acts else None
        left = working.volume if part is None else part.volume
    else:
        branch = key.lot.branch
        order = key.lot.order if key in key.lot.closings else None
        left = key.lot.part.volume
    if order is None:
        return
    if working.kind == "trailing_stop":
        tell_moved(venue, working)
        order = key.order if type(key) is Branch else order
    venue.publisher.tell(
        EventKind.TRIGGERED,
        branch,
        order,
        close=0 if type(key) is Branch else key.command,
        facts=Facts(condition=working.kind, price=working.price, quantity=left),
    )
