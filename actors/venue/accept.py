"""New orders at the venue: every check that a command passes before its money is reserved."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from backtest.actors.protocol import NO_FACTS, Balances, Create, EventKind, Facts
from backtest.errors import InsufficientFunds, RejectReason
from backtest.models import (
    PLAIN,
    Instructions,
    LeverageKind,
    OrderDirection,
    SpotOrder,
    TradingOrder,
)
from backtest.money import ONE, ZERO, add, mul, plain, sub
from backtest.services.ledger.entries import create_order
from backtest.services.orders.expiry import expiry_of, terms_of
from backtest.services.orders.operations import create_spot, create_trading
from backtest.services.settlement.amounts import NOTHING

from .branch import Branch
from .checks import (
    check_cross,
    check_dust,
    check_grid,
    check_least,
    check_post_only,
    check_protection,
    check_room,
    check_sale,
    check_tier,
    refuse,
    refuse_protection,
    sold_at,
    takes,
    trail_from,
)
from .client import Client
from .close_plans import reversal_reserve
from .pair_book import PairBook
from .spot_exits import SpotExits
from .venue import Venue

__all__ = ["Acceptance"]

_LONG = OrderDirection.LONG
_HUNDRED = Decimal(100)
_PRICES: dict[str, tuple[bool, bool]] = {
    "market": (False, False),
    "limit": (True, False),
    "stop": (False, True),
    "stop_limit": (True, True),
    "trailing_stop": (False, True),
}
"""Whether each kind of order has a limit price, and a stop price."""


def _check_sense(kind: str, instructions: Instructions) -> None:
    """Refuse what no venue could do."""
    if instructions.is_trailing is not (kind == "trailing_stop"):
        refuse(RejectReason.INVALID_ACTION, f"trail and trail_percent do not make a {kind} order")


def _facts(branch: Branch, stop: Decimal | None) -> Facts:
    """What the venue made of an order's instructions."""
    level = stop if branch.working.kind == "trailing_stop" else None
    if level is None and branch.expires is None:
        return NO_FACTS
    return Facts(level=level, expires=branch.expires)


def _buffered(
    branch: Branch, buy: bool, limit: Decimal | None, stop: Decimal | None, now: Decimal | None
) -> str:
    """What an order reserves for that has no limit: more than its price, for that may move."""
    price = now if stop is None else stop
    if not buy or limit is not None or price is None or branch.worst <= price:
        return ""
    buffer = plain(mul(branch.book.rules.market_buffer, _HUNDRED))
    what = "the last price" if stop is None else "its stop"
    told = (
        f": it reserves at {plain(branch.worst)}, {what} {plain(price)} and the market_buffer of "
        f"{buffer} % on top, which comes back with the fill"
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
        command, account, code, spot, kind, direction, volume, limit, stop = ask[:9]
        wanted, stop_loss, take_profit, instructions = ask[9:]
        book = venue.books.get(code)
        if book is None:
            known = ", ".join(venue.books)
            refuse(RejectReason.UNKNOWN_PAIR, f"there is no pair {code!r} here; there are: {known}")
        account_id = client.account_ids.get(account)
        if account_id is None:
            refuse(RejectReason.NOT_YOURS, f"account {account!r} is not {client.name}'s")
        if volume is None or direction is None:
            refuse(RejectReason.INVALID_ACTION, "an order needs a volume and a direction")
        has_limit, has_stop = _PRICES[kind]
        if has_limit is (limit is None) or (has_stop is (stop is None) and kind != "trailing_stop"):
            refuse(RejectReason.INVALID_ACTION, f"these prices do not make a {kind} order")
        buy = direction is _LONG
        special = instructions is not PLAIN or kind == "stop_limit"
        terms = expires = None
        if special:
            _check_sense(kind, instructions)
            if instructions.oco is not None:
                venue.ocos.check(client, account, instructions.oco)
            check_grid(book.pair, None, stop, instructions.trail)
            if instructions.is_trailing:
                stop = trail_from(book, buy, stop, instructions)
            if instructions.post_only:
                check_post_only(kind, buy, limit, stop, book.meets(buy), instructions)
            terms = terms_of(limit if kind == "stop_limit" else None, instructions)
            expires = expiry_of(instructions, venue.now, book.day_end)
        price = stop if limit is None else limit
        # Most orders ask for nothing beside kind, volume and price, and need no more checks.
        usual = spot and not special and wanted is stop_loss is take_profit is None
        if usual:
            check_grid(book.pair, volume, price)
        else:
            check_grid(book.pair, volume, price, stop_loss, take_profit)
        if price is None:
            price = book.last
            if price is None:
                refuse(
                    RejectReason.NO_PRICE_YET,
                    f"{code} has no price yet: a market order can be sent after its first bar",
                )
        leverage, is_exit = ONE, False
        if not usual or book.is_strict or volume < book.least_volume:
            self._check_rules(book, ask, volume, price, buy)
            if spot:
                is_exit = self._check_spot(book, ask, price, buy)
                if is_exit:
                    price = stop_loss if take_profit is None else take_profit
                    assert price is not None
            else:
                leverage = self._check_trading(book, ask, price, buy)
        check_room(book, account)
        branch = Branch(order_id, client, account, book, spot, leverage)
        if special:
            branch.terms, branch.expires = terms, expires
        now = book.meets(buy)
        if limit is not None and buy:
            branch.worst = limit
        else:
            branch.worst = book.worst_price(buy, limit, stop, now)
            if kind == "market" and book.standing.quote is not None:
                self._reserve_as_quoted(branch, buy, volume, now)
        branch.taker = takes(buy, limit, stop if kind == "stop_limit" else now)
        branch.asset = book.base if spot and not buy else book.quote
        if spot:
            near = branch.worst if buy else sold_at(book, limit or stop, price)
            if mul(volume, near) < book.step:
                check_dust(book, buy, NOTHING, volume, near)
        working = branch.working = venue.working(
            branch, kind, buy, price if stop is None else stop, volume
        )
        if not spot and (instructions.reduce_only or account in venue.netting):
            self._net(branch, volume, instructions)
        reserve = venue.reserve(branch, volume)
        fee = ZERO
        if book.charges_create:
            fee = self._create_fee(branch, volume)
        if spot and not buy and book.fees.may_exceed:
            check_sale(venue, branch, volume, price, fee)
        if branch.offset:
            free = sub(venue.spendable(account, branch.asset), fee)
            reserve = reversal_reserve(branch, reserve, free)
        if venue.cross:
            check_cross(venue, branch, add(reserve, fee))
        balances: Balances = {}
        try:
            # What only closes reserves nothing, and posts nothing.
            if reserve or fee:
                legs = create_order(account, branch.asset, reserve, fee, book.quote)
                balances = await venue.post(legs, branch.id, "order accepted")
        except InsufficientFunds as short:
            refuse(
                RejectReason.INSUFFICIENT_FUNDS,
                f"{account} has {plain(short.available)} {short.asset} available, "
                f"{plain(short.needed)} needed" + _buffered(branch, buy, limit, stop, now),
            )
        agent_id = client.agent.agent_id
        order: SpotOrder | TradingOrder
        if spot:
            order = create_spot(
                id=branch.id,
                order_number=venue.next_number(),
                at=venue.at,
                pair=code,
                direction=direction,
                volume=volume,
                agent_id=agent_id,
                account_id=account_id,
                broker_id=venue.broker_id,
                run_id=venue.run_id,
                limit_price=take_profit if is_exit else limit,
                stop_price=stop_loss if is_exit else stop,
                stop_loss=None if is_exit else stop_loss,
                take_profit=None if is_exit else take_profit,
                reserved=reserve,
                fee=fee,
                instructions=instructions,
                entry_order_id=branch.id if is_exit else None,
            )
        else:
            order = create_trading(
                id=branch.id,
                order_number=venue.next_number(),
                at=venue.at,
                pair=code,
                direction=direction,
                volume=volume,
                price=price if book.last is None else book.last,
                agent_id=agent_id,
                account_id=account_id,
                broker_id=venue.broker_id,
                run_id=venue.run_id,
                limit_price=limit,
                stop_price=stop,
                stop_loss=stop_loss,
                take_profit=take_profit,
                leverage=leverage,
                contract_size=book.pair.contract_size,
                reserved=reserve,
                fee=fee,
                instructions=instructions,
            )
        if is_exit:
            self._exits.sell_owned(branch, order)  # type: ignore[arg-type]
        else:
            branch.order = order
            branch.group = venue.new_group(branch, working)
            venue.list_branch(branch)
            venue.records.orders.append(order)
        if special and instructions.oco is not None:
            venue.ocos.join(branch, instructions.oco)
            book.has_oco = True
        facts = NO_FACTS if instructions is PLAIN else _facts(branch, stop)
        venue.publisher.tell(
            EventKind.ACCEPTED, branch, order, command=command, balances=balances, facts=facts
        )
        return branch

    def _reserve_as_quoted(
        self, branch: Branch, buy: bool, volume: Decimal, now: Decimal | None
    ) -> None:
        """A market order that a standing quote fills whole reserves for its price, and no more."""
        standing = branch.book.standing
        if now is not None and standing.at(self._venue.now) is not None:
            if standing.suffices(buy, volume):
                branch.worst = now

    def _net(self, branch: Branch, volume: Decimal, instructions: Instructions) -> None:
        """Let an order close the other side first; a reduce-only order must have one to close."""
        venue, book, reduces = self._venue, branch.book, instructions.reduce_only
        branch.nets, branch.reduces = True, reduces
        if reduces and not book.facing(branch.account, branch.working.buy):
            side = "short" if branch.working.buy else "long"
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
            margin = book.margin(opens, branch.worst, branch.leverage)
            least = book.rules.min_margin
            if least is not None and margin < least:
                refuse(
                    RejectReason.MIN_MARGIN,
                    f"{plain(margin)} is below the least margin {plain(least)}",
                )
        return book.fee(book.fees_create, volume, branch.worst, margin)

    def _check_rules(
        self, book: PairBook, ask: Create, volume: Decimal, price: Decimal, buy: bool
    ) -> None:
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

    def _check_spot(self, book: PairBook, ask: Create, price: Decimal, buy: bool) -> bool:
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

    def _check_trading(self, book: PairBook, ask: Create, price: Decimal, buy: bool) -> Decimal:
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
