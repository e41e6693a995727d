"""What closing an open order comes to, worked out before anything is posted; for both venues."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from backtest.money import ZERO, add, sub
from backtest.services.orders.revision import Revision
from backtest.services.settlement.amounts import NOTHING, Sums, close_fee
from backtest.services.settlement.pool import Pool

from .branch import Branch
from .pair_book import PairBook
from .position import Closing, Piece, Position
from .venue import Venue

__all__ = [
    "CloseTerms",
    "covered",
    "frees",
    "priced",
    "reversal_reserve",
    "with_more",
]


class CloseTerms(NamedTuple):
    """What closing an open order, wholly or in part, comes to, once it is priced."""

    closing: Closing
    order: Revision
    volume: Decimal
    notional: Decimal
    margin: Decimal
    """What of the position's margin comes back."""
    pnl: Decimal
    fee: Decimal
    uncovered: Decimal
    """What of the loss the insurance account bears."""
    fee_uncovered: Decimal
    """What of the fee it bears."""
    sums: Sums
    """Those of the order that closes, after it."""
    cost: Decimal
    """What the position had cost of what is closed."""
    pool: Pool
    """The position after it."""


def priced(
    book: PairBook,
    closing: Closing,
    order: Revision,
    volume: Decimal,
    price: Decimal,
    pool: Pool,
    sums: Sums,
    *,
    taker: bool,
) -> CloseTerms:
    """What closing ``volume`` of ``order`` at ``price`` comes to, before anybody asks who can
    bear it; ``pool`` is the position, and ``sums`` are those of the order that closes, as they
    are before."""
    pair = book.pair
    taken = pool.closed(closing.lot.long, price, volume, pair.contract_size, book.step)
    worth = pair.worth(volume, price)
    fee, after = close_fee(sums, volume, worth, taken.margin, not taker, book.fees)
    notional = pair.notional(volume, price)
    return CloseTerms(
        closing,
        order,
        volume,
        notional,
        taken.margin,
        taken.pnl,
        fee,
        ZERO,
        ZERO,
        after,
        taken.cost,
        taken.rest,
    )


def covered(closes: Sequence[CloseTerms], free: Decimal, isolated: bool) -> list[CloseTerms]:
    """All that one order closes, with what of losses and fees the account does not bear: what the
    one brings pays for the other, so does what is ``free``; then the margin of what is left of
    them, the youngest first.

    An ``isolated`` position never loses more than its margin: only fees are taken from the rest.
    """
    made, left = list(closes), free
    for place, terms in enumerate(closes):
        back = add(terms.margin, terms.pnl)
        if isolated and back < ZERO:
            made[place] = terms._replace(uncovered=back.copy_negate())
            back = ZERO
        left = add(left, sub(back, terms.fee) if terms.fee else back)
    if left >= ZERO:
        return made
    missing, seen = left.copy_negate(), set[Position]()
    for place in range(len(made) - 1, -1, -1):
        terms = made[place]
        position = terms.closing.lot.position
        if missing > ZERO and position not in seen:
            seen.add(position)
            made[place] = more = with_more(terms, missing)
            missing = sub(missing, sub(more.margin, terms.margin))
    for place, terms in enumerate(made):
        if missing > ZERO:
            fee = min(missing, max(ZERO, terms.fee))
            missing = sub(missing, fee)
            lost = ZERO if isolated else max(ZERO, add(terms.margin, terms.pnl).copy_negate())
            lost = min(missing, lost)
            missing = sub(missing, lost)
            loss = add(terms.uncovered, lost)
            made[place] = terms._replace(uncovered=loss, fee_uncovered=fee)
    return made


def frees(
    book: PairBook,
    branch: Branch,
    pieces: Sequence[Piece],
    price: Decimal,
    sums: Sums,
    taker: bool,
) -> tuple[Decimal, Sums]:
    """What closing ``pieces`` at ``price`` would make available to ``branch``, an order of the
    other side, and the sums of that order then."""
    money = volume = ZERO
    for _, _, own in pieces:
        volume = add(volume, own)
    pools: dict[Position, Pool] = {}
    for lot, order, own in pieces:
        pool = pools.get(lot.position)
        if pool is None:
            pool = lot.position.closing(price, volume)
        closing = Closing(branch.id, "netting", lot, branch.kind)
        terms = priced(book, closing, order, own, price, pool, sums, taker=taker)
        pools[lot.position], sums = terms.pool, terms.sums
        money = add(money, sub(max(ZERO, add(terms.margin, terms.pnl)), terms.fee))
        volume = sub(volume, own)
    return money, sums


def reversal_reserve(
    venue: Venue, branch: Branch, reserve: Decimal, fee: Decimal, reserved: Decimal
) -> Decimal:
    """What of ``reserve`` an order is to put aside of what its account has for it, after a ``fee``;
    ``reserved`` is put aside already.

    One that first closes what is open on the other side pays the rest of what it opens at the fill,
    from what that brings: it is accepted if that would suffice at the last mark.
    """
    book, account = branch.book, branch.account
    more = sub(reserved, fee)
    free = add(venue.spendable(account, branch.asset), more)
    if not branch.offset or branch.reduces or reserve <= free or book.last is None:
        branch.is_underfunded = branch.is_underfunded and reserve > free
        return reserve
    pieces = book.opposite(account, branch.buy, branch.offset)
    money, _ = frees(book, branch, pieces, book.last, NOTHING, True)
    # What the positions that are closed have lost is in what that brings.
    closed = book.facing(account, branch.buy)
    if reserve > add(add(venue.spendable(account, branch.asset, closed), more), money):
        return reserve
    branch.is_underfunded = True
    return max(ZERO, free)


def with_more(terms: CloseTerms, missing: Decimal) -> CloseTerms:
    """``terms`` with what is ``missing`` taken from the margin of the rest, as far as there is
    any."""
    pool = terms.pool
    more = min(missing, pool.margin)
    if not pool.volume or more <= ZERO:
        return terms
    return terms._replace(
        margin=add(terms.margin, more), pool=pool._replace(margin=sub(pool.margin, more))
    )
