"""What is asked of a new order alone, before anything of it is worked out: each check refuses."""

from __future__ import annotations

from decimal import Decimal

from backtest.actors.protocol import Create
from backtest.errors import RejectReason
from backtest.models import PLAIN, LeverageKind
from backtest.money import ONE, plain
from backtest.times import format_ns

from .checks import check_least, check_protection, check_tier, refuse, refuse_protection
from .client import Client
from .pair_book import PairBook
from .venue import Venue

__all__ = ["check_named", "check_rules", "check_sense", "check_spot", "check_trading"]

_PRICES: dict[str, tuple[bool, bool]] = {
    "market": (False, False),
    "limit": (True, False),
    "stop": (False, True),
    "stop_limit": (True, True),
    "trailing_stop": (False, True),
}
"""Whether each kind of order has a limit price, and a stop price."""


def check_named(venue: Venue, client: Client, ask: Create) -> PairBook:
    """The pair of an order; pair and account must be there, and what every order has."""
    book = venue.books.get(ask.pair)
    if book is None:
        known = ", ".join(venue.books)
        refuse(RejectReason.UNKNOWN_PAIR, f"there is no pair {ask.pair!r} here; there are: {known}")
    if ask.account not in client.account_ids:
        refuse(RejectReason.NOT_YOURS, f"account {ask.account!r} is not {client.name}'s")
    if ask.volume is None or ask.direction is None:
        refuse(RejectReason.INVALID_ACTION, "an order needs a volume and a direction")
    kind = ask.kind
    has_limit, has_stop = _PRICES[kind]
    if has_limit is (ask.limit_price is None) or (
        has_stop is (ask.stop_price is None) and kind != "trailing_stop"
    ):
        refuse(RejectReason.INVALID_ACTION, f"these prices do not make a {kind} order")
    if venue.opens_ns is not None and venue.actor.events.now < venue.opens_ns:
        refuse(
            RejectReason.WARMING_UP,
            f"the run starts at {format_ns(venue.opens_ns)}, and what comes before is to warm up "
            "on: check self.is_warming_up before ordering",
        )
    return book


def check_sense(ask: Create) -> None:
    """Refuse what no venue could do."""
    if ask.instructions.is_trailing is not (ask.kind == "trailing_stop"):
        refuse(
            RejectReason.INVALID_ACTION, f"trail and trail_percent do not make a {ask.kind} order"
        )


def check_rules(book: PairBook, ask: Create, volume: Decimal, price: Decimal, buy: bool) -> None:
    """The venue's own rules: what may be traded here, and how little."""
    check_least(book, volume, price)
    # A spot sell gives up what the account owns: it opens no short.
    # Neither does what only reduces.
    if book.one_sided and ask.direction not in book.rules.allowed_directions:
        if (buy or not ask.spot) and not ask.instructions.reduce_only:
            refuse(
                RejectReason.DIRECTION_NOT_ALLOWED,
                f"{ask.direction} is not allowed on {book.code}",
            )


def check_spot(book: PairBook, ask: Create, price: Decimal, buy: bool) -> bool:
    """Whether a spot order that may be is an exit: a sell at a stop-loss and a take-profit."""
    if ask.instructions.reduce_only:
        refuse(
            RejectReason.INVALID_ACTION,
            "a spot order has no position to reduce: a sell sells what the account owns",
        )
    if not book.takes_spot:
        size = book.pair.contract_size
        why = f"{book.code} takes no spot orders here"
        if book.rules.spot_allowed:
            why = (
                f"{book.code} trades contracts of {plain(size)} {book.base}, and a spot order "
                "exchanges the base itself: use long and short, or a pair of contract_size 1"
            )
        refuse(RejectReason.NOT_SUPPORTED, why)
    if ask.leverage is not None and ask.leverage != ONE:
        refuse(RejectReason.LEVERAGE, "a spot order has no leverage: use a trading order")
    if ask.stop_loss is None and ask.take_profit is None:
        return False
    if not buy and (ask.kind != "market" or ask.instructions is not PLAIN):
        refuse(
            RejectReason.NOT_SUPPORTED,
            "a sell with a stop_loss or take_profit sells at these two prices: it takes no "
            "other price, no time in force, no post_only and no oco",
        )
    # A sell is of what is owned, which is protected like a long position.
    check_protection(True, price, ask.stop_loss, ask.take_profit)
    return not buy


def check_trading(book: PairBook, ask: Create, price: Decimal, buy: bool) -> Decimal:
    """The leverage of an order whose leverage and protection are as they may be."""
    rules = book.rules
    if not rules.trading_allowed:
        refuse(RejectReason.NOT_SUPPORTED, f"{book.code} takes no trading orders here")
    leverage = ONE if ask.leverage is None else ask.leverage
    most = ONE if rules.leverage_kind is LeverageKind.NONE else rules.max_leverage
    if leverage < ONE or (most is not None and leverage > most):
        most_text = "" if most is None else f" and at most {most}"
        refuse(
            RejectReason.LEVERAGE,
            f"leverage must be at least 1{most_text} on {book.code}, not {leverage}",
        )
    if rules.maintenance_tiers is not None and ask.volume is not None:
        check_tier(book, ask.volume, price, leverage)
    if ask.stop_loss is not None or ask.take_profit is not None:
        if ask.instructions.reduce_only:
            refuse_protection()
        check_protection(buy, price, ask.stop_loss, ask.take_profit)
    return leverage
