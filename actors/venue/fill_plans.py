"""What a fill comes to for an order as the venue has it.

`backtest.services.settlement.amounts` works it out.
"""

from __future__ import annotations

from decimal import Decimal

from backtest.money import ZERO, add, sub
from backtest.services.ledger.entries import (
    MARKET,
    Leg,
    create_order,
    fill_spot_buy,
    fill_spot_sell,
)
from backtest.services.settlement.amounts import (
    Opening,
    Spot,
    Sums,
    is_dust,
    most_for,
    opened,
    spot_bought,
    spot_sold,
)

from .branch import Branch
from .venue import Venue

__all__ = ["opening_plan", "owed", "rest_is_dust", "spot_legs", "spot_plan", "uncovered"]


def spot_plan(
    venue: Venue, branch: Branch, wanted: Decimal, price: Decimal, *, maker: bool, whole: bool
) -> Spot:
    """What of ``wanted`` a spot order buys at ``price``, as far as the money goes, or sells."""
    book, order = branch.book, branch.order
    assert order is not None
    leaves = order.volume
    if not branch.buy:
        free = venue.available(branch.account, book.quote)
        return spot_sold(branch.sums, wanted, price, maker, book.fees, free, leaves)
    return spot_bought(
        branch.sums,
        wanted,
        price,
        maker,
        book.fees,
        add(order.reserved, venue.spendable(branch.account, book.quote)),
        lambda volume, after: venue.reserve(branch, sub(leaves, volume), after),
        book.pair.volume_increment,
        whole,
    )


def spot_legs(branch: Branch, plan: Spot, counterparty: str | None = MARKET) -> list[Leg]:
    """The legs of such a fill; without a ``counterparty`` the other side is another agent's."""
    book, order, account = branch.book, branch.order, branch.account
    assert order is not None
    base, quote, volume = book.base, book.quote, plan.volume
    if not branch.buy:
        return fill_spot_sell(
            account, base, quote, volume, plan.amount, plan.fee, counterparty, plan.uncovered
        )
    share = sub(order.reserved, plan.kept)
    legs = fill_spot_buy(account, base, quote, volume, plan.amount, plan.fee, share, counterparty)
    if branch.is_bracket:
        # What was bought is the reserve of the exit, in the same entry.
        legs += create_order(account, base, volume)
    return legs


def opening_plan(
    venue: Venue,
    branch: Branch,
    wanted: Decimal,
    price: Decimal,
    *,
    maker: bool,
    money: Decimal,
    sums: Sums,
    leaves: Decimal,
    whole: bool,
) -> Opening:
    """What of ``wanted`` a trading order opens at ``price``, as far as the ``money`` goes.

    ``leaves`` is what is left of the order, and ``sums`` what its fills came to, once it has closed
    what it closes by the same fill.
    """
    book, order = branch.book, branch.order
    assert order is not None
    leverage = branch.leverage

    def margin(volume: Decimal, at: Decimal, before: Decimal) -> tuple[Decimal, Decimal]:
        basis = add(before, book.margin_basis(volume, at))
        return basis, book.margin_on(basis, leverage)

    def exact_margin(volume: Decimal, at: Decimal) -> Decimal:
        return book.exact_margin(volume, at, leverage)

    return opened(
        sums,
        wanted,
        price,
        maker,
        book.fees,
        money,
        lambda volume, after: venue.reserve(branch, sub(leaves, volume), after),
        margin,
        exact_margin,
        book.pair.contract_size,
        None if branch.buy else branch.reservation_price,
        book.pair.volume_increment,
        whole,
    )


def owed(branch: Branch) -> Decimal:
    """What the fills of a sell cost beyond what they and the account could pay: it is due from
    what the order brings next, and with its end."""
    sums = branch.sums
    return sub(branch.book.fees.due(sums.fees), sums.charged) if sums.fees else ZERO


def uncovered(venue: Venue, branch: Branch) -> Decimal:
    """What of the leaves their reserve covers no more, because a fill took of it."""
    order, book = branch.order, branch.book
    if order is None or branch.asset != book.quote or branch.is_underfunded:
        return ZERO
    # A fill takes of the reserve of the leaves only when all that was available is gone.
    if venue.spendable(branch.account, book.quote) > ZERO:
        return ZERO
    if venue.reserve(branch, order.volume) <= order.reserved:
        return ZERO
    covered = most_for(
        lambda volume: venue.reserve(branch, volume),
        order.volume,
        order.reserved,
        book.pair.volume_increment,
    )
    return sub(order.volume, covered)


def rest_is_dust(branch: Branch) -> bool:
    """Whether what is left of a spot sell can bring not one step of the quote asset any more.

    Exits sell what they have all the same.
    """
    order = branch.order
    if order is None or not branch.spot or branch.buy or branch.part is not None:
        return False
    price = branch.limit_price or branch.stop_price or branch.reservation_price
    return is_dust(False, branch.sums, order.volume, price, branch.book.step)
