"""The checks that several commands pass before anything changes at the venue."""

from __future__ import annotations

from decimal import Decimal
from typing import NoReturn

from backtest.errors import OrderRejected, RejectReason
from backtest.models import Instructions, TradingPair
from backtest.money import ZERO, is_multiple, plain, sub
from backtest.services.fills.walk import Terms, protection_passed, trailed
from backtest.services.orders.expiry import IMMEDIATE
from backtest.services.settlement.amounts import Sums, is_dust, spot_sold
from backtest.times import format_ns

from .branch import Branch
from .pair_book import PairBook
from .venue import Venue

__all__ = [
    "check_cross",
    "check_dust",
    "check_grid",
    "check_least",
    "check_post_only",
    "check_protection",
    "check_room",
    "check_sale",
    "check_tier",
    "has_expired",
    "refuse",
    "refuse_expired",
    "refuse_more",
    "refuse_protection",
    "sold_at",
    "takes",
    "trail_from",
]

_TOO_MUCH = Decimal(10**15)
"""Volumes and prices from here on could not be multiplied within the digits that are exact."""


def refuse(reason: RejectReason, detail: str) -> NoReturn:
    """Refuse the command at hand."""
    raise OrderRejected(reason, detail)


def has_expired(branch: Branch, now: int) -> bool:
    """Whether its time is over, and only the open of the bar under way can still fill it."""
    return branch.expires is not None and branch.expires <= now


def refuse_expired(branch: Branch) -> NoReturn:
    """Refuse a command that would give an order a new life."""
    refuse(
        RejectReason.EXPIRED,
        f"it was good till {format_ns(branch.expires or 0)}: only the open of the bar that is "
        "under way can still fill it",
    )


def check_grid(pair: TradingPair, volume: Decimal | None, *prices: Decimal | None) -> None:
    """Refuse volumes and prices that are not positive or off the pair's increments."""
    if volume is not None:
        if volume <= ZERO:
            refuse(RejectReason.INVALID_VOLUME, f"a volume must be positive, not {plain(volume)}")
        if volume >= _TOO_MUCH:
            refuse(
                RejectReason.INVALID_VOLUME, f"a volume must be below {_TOO_MUCH}, not {volume:e}"
            )
        if not is_multiple(volume, pair.volume_increment):
            refuse(
                RejectReason.VOLUME_INCREMENT,
                f"{plain(volume)} is not a multiple of {pair.code}'s volume increment "
                f"{plain(pair.volume_increment)}: use pair.round_volume({plain(volume)})",
            )
    for price in prices:
        if price is None:
            continue
        if price <= ZERO:
            refuse(RejectReason.INVALID_PRICE, f"a price must be positive, not {plain(price)}")
        if price >= _TOO_MUCH:
            refuse(RejectReason.INVALID_PRICE, f"a price must be below {_TOO_MUCH}, not {price:e}")
        if not is_multiple(price, pair.price_increment):
            refuse(
                RejectReason.PRICE_INCREMENT,
                f"{plain(price)} is not a multiple of {pair.code}'s price increment "
                f"{plain(pair.price_increment)}: use pair.round_price({plain(price)})",
            )


def check_least(book: PairBook, volume: Decimal, price: Decimal | None) -> None:
    """Refuse an order of less than the venue's least volume or notional."""
    if volume < book.least_volume:
        refuse(
            RejectReason.MIN_VOLUME,
            f"{plain(volume)} is below {book.code}'s least volume {plain(book.least_volume)}",
        )
    if book.least_notional and price is not None:
        worth = book.pair.worth(volume, price)
        if worth < book.least_notional:
            refuse(
                RejectReason.MIN_NOTIONAL,
                f"{plain(worth)} is below {book.code}'s least notional "
                f"{plain(book.least_notional)}",
            )


def check_room(book: PairBook, account: str, more: int = 1) -> None:
    """Refuse what would make ``more`` orders of an account pend than the rule allows."""
    most, own = book.rules.max_open_orders, book.own_branches.get(account)
    if most is not None and own is not None and len(own) + more > most:
        refuse_more(book, account, len(own), "pending")


def refuse_more(book: PairBook, account: str, there: int, what: str) -> NoReturn:
    """Refuse an order beside so many."""
    refuse(
        RejectReason.MAX_OPEN_ORDERS,
        f"{account} has {there:,} orders {what} in {book.code}, and max_open_orders is "
        f"{book.rules.max_open_orders:,}: cancel some, or give the rule another bound (none: no "
        "bound)",
    )


def sold_at(book: PairBook, asked: Decimal | None, price: Decimal) -> Decimal:
    """What a sell is worth a unit: its limit or stop, else what it would meet, else ``price``."""
    return asked or book.meets(False) or price


def check_dust(book: PairBook, buy: bool, sums: Sums, volume: Decimal, price: Decimal) -> None:
    """Refuse a spot order whose fills came to ``sums`` and that with ``volume`` more at ``price``,
    its reservation price, comes to less than a step of the quote asset."""
    if is_dust(buy, sums, volume, price, book.step):
        refuse(
            RejectReason.MIN_NOTIONAL,
            f"{plain(volume)} at {plain(price)} is worth less than "
            f"{plain(book.step)} {book.quote}, the least amount of "
            "that",
        )


def check_sale(
    venue: Venue, branch: Branch, volume: Decimal, price: Decimal, fee: Decimal = ZERO
) -> None:
    """Refuse a spot sell of ``volume`` more whose fees would be more than what it brings at
    ``price``, its reservation price, and what is available after a ``fee`` that comes first."""
    book = branch.book
    free = sub(venue.available(branch.account, book.quote), fee)
    plan = spot_sold(branch.sums, volume, price, not branch.taker, book.fees, free, volume)
    if plan.uncovered:
        refuse(
            RejectReason.INSUFFICIENT_FUNDS,
            f"it brings {plain(plan.amount)} {book.quote} and costs "
            f"{plain(plan.fee)} of fees, of which "
            f"{branch.account} cannot pay {plain(plan.uncovered)}",
        )


def check_protection(
    long: bool, price: Decimal, stop_loss: Decimal | None, take_profit: Decimal | None
) -> None:
    """Refuse a stop-loss or take-profit on the wrong side of ``price``."""
    if not protection_passed(long, price, stop_loss, take_profit):
        return
    sides = ("below", "above") if long else ("above", "below")
    given = zip(("stop-loss", "take-profit"), (stop_loss, take_profit), sides, strict=True)
    told = " and ".join(
        f"{name} {plain(level)} must lie {side} it"
        for name, level, side in given
        if level is not None
    )
    refuse(
        RejectReason.PROTECTION_SIDE, f"at {plain(price)}, a {'long' if long else 'short'}'s {told}"
    )


def refuse_protection() -> NoReturn:
    """Refuse the stop-loss or take-profit of a reduce-only order."""
    refuse(
        RejectReason.INVALID_ACTION,
        "a reduce-only order opens no position that could have a stop_loss or take_profit",
    )


def check_tier(book: PairBook, volume: Decimal, price: Decimal, leverage: Decimal) -> None:
    """Refuse a leverage beyond what the maintenance tiers allow for so large a position."""
    tiers = book.rules.maintenance_tiers
    if tiers is None:
        return
    notional = book.pair.worth(volume, price)
    if tiers.most is not None and notional > tiers.most:
        refuse(
            RejectReason.LEVERAGE,
            f"{plain(notional)} is beyond the last maintenance tier of "
            f"{book.code}, {plain(tiers.most)}",
        )
    most = tiers.at(notional).max_leverage
    if most is not None and leverage > most:
        refuse(
            RejectReason.LEVERAGE,
            f"leverage for {plain(notional)} is at most {plain(most)} on "
            f"{book.code}, not {plain(leverage)}",
        )


def check_cross(venue: Venue, branch: Branch, needed: Decimal) -> None:
    """Refuse what a cross margin account may not do, or cannot pay beside what it has lost."""
    cross = venue.cross.get(branch.account)
    if cross is None:
        return
    if not branch.spot and branch.book.quote != cross.asset:
        refuse(
            RejectReason.NOT_SUPPORTED,
            f"{branch.account} has cross margin in {cross.asset}: it cannot hold positions settled "
            f"in {branch.book.quote}",
        )
    if branch.account in venue.called and not (branch.reduces or _is_sale(branch)):
        refuse(
            RejectReason.MARGIN_CALL,
            f"{branch.account} is called, and its positions are being closed: until it suffices "
            "again it takes reduce-only orders, closes and sales",
        )
    free = venue.spendable(branch.account, cross.asset)
    if branch.asset == cross.asset and needed > free:
        refuse(
            RejectReason.INSUFFICIENT_FUNDS,
            f"{branch.account} has {plain(free)} {cross.asset} available "
            "after what its positions have "
            f"lost, {plain(needed)} needed",
        )


def _is_sale(branch: Branch) -> bool:
    return branch.spot and not branch.buy


def check_post_only(
    kind: str,
    buy: bool,
    limit: Decimal | None,
    stop: Decimal | None,
    last: Decimal | None,
    instructions: Instructions,
) -> None:
    """Refuse a post-only order that could not rest, or would not."""
    force = instructions.time_in_force
    if limit is None or force in IMMEDIATE:
        what = f"a {kind} order" if limit is None else f"an {force.value} order"
        refuse(RejectReason.INVALID_ACTION, f"{what} cannot be post-only: it does not rest")
    against = stop if kind == "stop_limit" else last
    if takes(buy, limit, against):
        refuse(
            RejectReason.WOULD_TAKE,
            f"a post-only {'buy' if buy else 'sell'} at {plain(limit)} would take: the price "
            f"{'at its stop' if kind == 'stop_limit' else 'now'} is {plain(against)}",  # type: ignore[arg-type]
        )


def takes(buy: bool, limit: Decimal | None, last: Decimal | None) -> bool:
    """Whether an order meets the market where it is: all but limits that the price must reach."""
    return limit is None or (last is not None and (limit >= last if buy else limit <= last))


def trail_from(
    book: PairBook, buy: bool, stop: Decimal | None, instructions: Instructions
) -> Decimal:
    """Where a trailing stop begins: at ``stop``, or as far from the last price as it trails."""
    if stop is not None:
        return stop
    last = book.follows(buy)
    if last is None:
        refuse(
            RejectReason.NO_PRICE_YET,
            f"{book.code} has no price yet to trail: give a stop_price to begin at, or wait",
        )
    terms = Terms(None, instructions.trail, instructions.trail_percent)
    level = trailed(buy, last, terms, book.pair.price_increment)
    if level <= ZERO:
        refuse(
            RejectReason.INVALID_PRICE,
            f"the trail leaves no price: {plain(level)}, from {plain(last)}",
        )
    return level
