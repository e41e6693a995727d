"""Orders that close positions because their owner asked: what they are, how they are accepted."""

from __future__ import annotations

from decimal import Decimal

from backtest.errors import (
    FieldError,
    RejectReason,
)
from backtest.models import Instructions
from backtest.money import ZERO, add, plain, sub
from backtest.services.fills import Terms, Working, WorkingKind
from backtest.services.settlement import Tally
from backtest.services.time_in_force import terms_of

from .book import PairBook
from .branch import Branch, Closing
from .checks import (
    check_grid,
    refuse,
    trail_from,
)
from .protocol import Amend, EventKind
from .venue import Venue

__all__ = ["CloseOrders"]


class CloseOrders:
    """Accepts closes of a branch's positions; raises `OrderRejected` with nothing changed."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def accept(self, branch: Branch, action: Amend) -> list[Closing]:
        """Accept orders that close ``volume`` of the branch's positions, oldest first."""
        venue, book = self._venue, branch.book
        if not branch.holdings:
            word = "done" if branch.order is None else "not filled yet: cancel it instead"
            refuse(RejectReason.ALREADY_DONE, f"there is no open position, this order is {word}")
        check_grid(book.pair, action.volume, action.limit_price, action.stop_price, action.trail)
        total = ZERO
        for holding in branch.holdings:
            total = add(total, holding.part.volume)
        left = total if action.volume is None else action.volume
        if left > total:
            refuse(
                RejectReason.STALE, f"{plain(left)} is more than the {plain(total)} that is open"
            )
        kind, price, terms = _closing_terms(book, not branch.holdings[0].part.long, action)
        accepted, tally = [], Tally()
        for holding in branch.holdings:
            volume = min(left, holding.part.volume)
            if volume <= ZERO:
                break
            left = sub(left, volume)
            closing = Closing(venue.ids.draw(), "close", holding)
            closing.command, closing.tally = action.command, tally
            working = Working(
                closing,
                kind,
                not holding.part.long,
                price,
                volume,
                sequence=venue.next_sequence(),
                fresh=True,
                terms=terms,
            )
            holding.put(closing, working)
            book.waiting.append((venue.now, working))
            accepted.append(closing)
        how = "at the market"
        if price is not None:
            how = f"at {plain(price)}" if kind == "limit" else f"by a {kind} at {plain(price)}"
        if kind == "stop_limit":
            how += f" with limit {plain(action.limit_price)}"  # type: ignore[arg-type]
        ids = " + ".join(str(closing.id) for closing in accepted)
        venue.herald.tell(
            EventKind.CLOSING,
            branch,
            branch.holdings[0].order,
            detail=f"close {plain(total if action.volume is None else action.volume)} {how}; "
            f"order {ids}",
            command=action.command,
            level=price if kind == "trailing_stop" else None,
        )
        return accepted


def _closing_terms(
    book: PairBook, buy: bool, action: Amend
) -> tuple[WorkingKind, Decimal | None, Terms | None]:
    """The kind of the closing order that the command's prices make, its price, what else it asks.

    Refuses prices that make no order.
    """
    limit, stop = action.limit_price, action.stop_price
    if action.trail is not None or action.trail_percent is not None:
        if limit is not None:
            refuse(RejectReason.INVALID_ACTION, "a trailing stop has no limit price")
        try:
            own = Instructions(trail=action.trail, trail_percent=action.trail_percent)
        except FieldError as wrong:
            refuse(RejectReason.INVALID_ACTION, str(wrong))
        return "trailing_stop", trail_from(book, buy, stop, own), terms_of(None, own)
    if stop is None:
        return ("market" if limit is None else "limit"), limit, None
    if limit is None:
        return "stop", stop, None
    return "stop_limit", stop, Terms(limit)
