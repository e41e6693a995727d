"""New orders at the venue: every check in its order, the reserve, the order that is pending."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from backtest.actors.protocol import NO_FACTS, Balances, Create, EventKind, Facts
from backtest.errors import InsufficientFunds, RejectReason
from backtest.models import (
    PLAIN,
    Instructions,
    OrderDirection,
)
from backtest.money import ONE, ZERO, add, mul, plain, sub
from backtest.services.fills.walk import Terms
from backtest.services.ledger.entries import create_order
from backtest.services.orders.expiry import expiry_of, terms_of
from backtest.services.settlement.amounts import NOTHING

from .branch import Branch
from .checks import (
    check_cross,
    check_dust,
    check_grid,
    check_post_only,
    check_room,
    check_sale,
    refuse,
    sold_at,
    takes,
    trail_from,
)
from .client import Client
from .close_plans import reversal_reserve
from .create_checks import check_named, check_rules, check_sense, check_spot, check_trading
from .pair_book import PairBook
from .spot_exits import SpotExits
from .venue import Venue

__all__ = ["Acceptance"]

_LONG = OrderDirection.LONG
_HUNDRED = Decimal(100)
_SPECIAL = ("stop_limit", "trailing_stop")
"""What is more than a kind and prices, whatever else is asked of it."""


def _facts(branch: Branch, stop: Decimal | None) -> Facts:
    """What the venue made of an order's instructions."""
    level = stop if branch.kind == "trailing_stop" else None
    if level is None and branch.expires is None:
        return NO_FACTS
    return Facts(level=level, expires=branch.expires)


def _buffered(branch: Branch, ask: Create, stop: Decimal | None) -> str:
    """What an order reserves for that has no limit: more than its price, for that may move."""
    buy = branch.buy
    price = branch.book.meets(buy) if stop is None else stop
    if not buy or ask.limit_price is not None or price is None or branch.reservation_price <= price:
        return ""
    buffer = plain(mul(branch.book.rules.market_buffer, _HUNDRED))
    what = "the last price" if stop is None else "its stop"
    told = (
        f": it reserves at {plain(branch.reservation_price)}, {what} {plain(price)} and the "
        f"market_buffer of {buffer} % on top, which comes back with the fill"
    )
    if stop is None:
        lever = "" if branch.spot else f", leverage={plain(branch.leverage)}"
        told += f"; self.affordable({branch.book.code!r}{lever}) is what would be accepted"
    return told


class Acceptance:
    """Turns `Create` messages into pending orders with their money reserved, or refuses them."""

    def __init__(self, venue: Venue, exits: SpotExits) -> None:
        self._venue = venue
        self._exits = exits

    async def create(self, client: Client, ask: Create, order_id: UUID) -> Branch:
        """Accept one order under ``order_id``; raises `OrderRejected`, with nothing changed."""
        venue = self._venue
        book = check_named(venue, client, ask)
        special = ask.instructions is not PLAIN or ask.kind in _SPECIAL
        stop, terms, expires = ask.stop_price, None, None
        if special:
            stop, terms, expires = self._instruct(book, client, ask)
        price, leverage, is_exit = self._check(book, ask, stop, special)
        check_room(book, ask.account)
        buy = ask.direction is _LONG
        branch = Branch(order_id, client, ask.account, book, ask.spot, leverage, ask.kind, buy)
        if special:
            branch.terms, branch.expires = terms, expires
        self._enter(branch, ask, stop, price)
        reserve, fee = self._reserve(branch, ask, price)
        balances: Balances = {}
        # What only closes reserves nothing, and posts nothing.
        if reserve or fee:
            legs = create_order(branch.account, branch.asset, reserve, fee, book.quote)
            try:
                balances = await venue.post(legs, order_id, "order accepted")
            except InsufficientFunds as short:
                refuse(
                    RejectReason.INSUFFICIENT_FUNDS,
                    f"{branch.account} has {plain(short.available)} {short.asset} available, "
                    f"{plain(short.needed)} needed" + _buffered(branch, ask, stop),
                )
        branch.instructions = ask.instructions
        if is_exit:
            branch.limit_price, branch.stop_price = ask.take_profit, ask.stop_loss
            branch.entry_order_id = branch.id
            order = venue.begin(branch, reserve, fee)
            self._exits.sell_owned(branch, order)
        else:
            branch.limit_price, branch.stop_price = ask.limit_price, stop
            branch.stop_loss, branch.take_profit = ask.stop_loss, ask.take_profit
            order = venue.begin(branch, reserve, fee, price)
            branch.order = order
            branch.group = venue.new_group(branch)
            venue.list_branch(branch)
            venue.records.orders.keep(order)
        if ask.instructions.oco is not None:
            venue.ocos.join(branch, ask.instructions.oco)
            book.has_oco = True
        facts = _facts(branch, stop) if special else NO_FACTS
        venue.publisher.tell(
            EventKind.ACCEPTED, branch, order, command=ask.command, balances=balances, facts=facts
        )
        return branch

    # -- what it asks ------------------------------------------------------------------------------

    def _instruct(
        self, book: PairBook, client: Client, ask: Create
    ) -> tuple[Decimal | None, Terms | None, int | None]:
        """What an order's instructions come to: its stop, its terms, and when it expires."""
        kind, limit, stop, instructions = (
            ask.kind,
            ask.limit_price,
            ask.stop_price,
            ask.instructions,
        )
        buy = ask.direction is _LONG
        check_sense(ask)
        if instructions.oco is not None:
            self._venue.ocos.check(client, ask.account, instructions.oco)
        check_grid(book.pair, None, stop, instructions.trail)
        if instructions.is_trailing:
            stop = trail_from(book, buy, stop, instructions)
        if instructions.post_only:
            check_post_only(kind, buy, limit, stop, book.meets(buy), instructions)
        terms = terms_of(limit if kind == "stop_limit" else None, instructions)
        return stop, terms, expiry_of(instructions, self._venue.now, book.day_end)

    def _check(
        self, book: PairBook, ask: Create, stop: Decimal | None, special: bool
    ) -> tuple[Decimal, Decimal, bool]:
        """The price that an order goes by, its leverage, and whether it is an exit of what is
        owned; refused are values that are not as they may be. ``special``: it has instructions."""
        spot, volume, stop_loss, take_profit = ask.spot, ask.volume, ask.stop_loss, ask.take_profit
        assert volume is not None
        price = stop if ask.limit_price is None else ask.limit_price
        # Most orders ask for nothing beside kind, volume and price, and need no more checks.
        usual = spot and not special and ask.leverage is stop_loss is take_profit is None
        if usual:
            check_grid(book.pair, volume, price)
        else:
            check_grid(book.pair, volume, price, stop_loss, take_profit)
        if price is None:
            price = book.last
            if price is None:
                refuse(
                    RejectReason.NO_PRICE_YET,
                    f"{book.code} has no price yet: a market order can be sent after its first bar",
                )
        if usual and not book.is_strict and volume >= book.least_volume:
            return price, ONE, False
        buy = ask.direction is _LONG
        check_rules(book, ask, volume, price, buy)
        if not spot:
            return price, check_trading(book, ask, price, buy), False
        if not check_spot(book, ask, price, buy):
            return price, ONE, False
        price = stop_loss if take_profit is None else take_profit
        assert price is not None
        return price, ONE, True

    # -- what it reserves --------------------------------------------------------------------------

    def _enter(self, branch: Branch, ask: Create, stop: Decimal | None, price: Decimal) -> None:
        """Let the walk see an order, with the price that it reserves for."""
        book, kind, limit, volume = branch.book, ask.kind, ask.limit_price, ask.volume
        assert volume is not None
        buy = branch.buy
        now = book.meets(buy)
        if limit is not None and buy:
            branch.reservation_price = limit
        else:
            branch.reservation_price = book.worst_price(buy, limit, stop, now)
            if kind == "market" and book.standing.quote is not None:
                self._reserve_as_quoted(branch, buy, volume, now)
        branch.taker = takes(buy, limit, stop if kind == "stop_limit" else now)
        branch.asset = book.base if branch.spot and not buy else book.quote
        if branch.spot:
            near = branch.reservation_price if buy else sold_at(book, limit or stop, price)
            if mul(volume, near) < book.step:
                check_dust(book, buy, NOTHING, volume, near)
        at = price if stop is None else stop
        branch.line_up(kind, None if kind == "market" else at, volume, self._venue.next_sequence())

    def _reserve(self, branch: Branch, ask: Create, price: Decimal) -> tuple[Decimal, Decimal]:
        """What an order reserves, and the fee for making it."""
        venue, book, volume = self._venue, branch.book, branch.volume
        if not branch.spot and (ask.instructions.reduce_only or branch.account in venue.netting):
            self._net(branch, volume, ask.instructions)
        reserve = venue.reserve(branch, volume)
        fee = ZERO
        if book.charges_create:
            fee = self._create_fee(branch, volume)
        if branch.spot and not branch.buy and book.fees.may_exceed:
            check_sale(venue, branch, volume, price, fee)
        if branch.offset:
            reserve = reversal_reserve(venue, branch, reserve, fee, ZERO)
        if venue.cross:
            check_cross(venue, branch, add(reserve, fee))
        return reserve, fee

    def _reserve_as_quoted(
        self, branch: Branch, buy: bool, volume: Decimal, now: Decimal | None
    ) -> None:
        """A market order that a standing quote fills whole reserves for its price, and no more."""
        standing = branch.book.standing
        if now is not None and standing.at(self._venue.now) is not None:
            if standing.suffices(buy, volume):
                branch.reservation_price = now

    def _net(self, branch: Branch, volume: Decimal, instructions: Instructions) -> None:
        """Let an order close the other side first; a reduce-only order must have one to close."""
        venue, book, reduces = self._venue, branch.book, instructions.reduce_only
        branch.nets, branch.reduces = True, reduces
        if reduces and not book.facing(branch.account, branch.buy):
            side = "short" if branch.buy else "long"
            refuse(
                RejectReason.REDUCE_ONLY,
                f"{branch.account} has no {side} position in {book.code} to reduce",
            )
        group = venue.ocos.find(branch, instructions.oco)
        branch.offset = venue.offset(branch, volume, group)
        book.is_watched = True

    def _create_fee(self, branch: Branch, volume: Decimal) -> Decimal:
        book = branch.book
        margin = ZERO
        opens = sub(volume, branch.offset)
        if not branch.spot and opens > ZERO:
            margin = book.margin(opens, branch.reservation_price, branch.leverage)
            least = book.rules.min_margin
            if least is not None and margin < least:
                refuse(
                    RejectReason.MIN_MARGIN,
                    f"{plain(margin)} is below the least margin {plain(least)}",
                )
        return book.fee(book.fees_create, volume, branch.reservation_price, margin)
