"""What the parts of a venue share: its state, and the ways to account actor and strategies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from heapq import heappush
from uuid import UUID

from backtest.errors import RejectReason
from backtest.models import (
    Fee,
    Fill,
    LeverageKind,
    OrderDirection,
    SpotOrder,
    TradingOrder,
    TradingPair,
    TradingRules,
)
from backtest.money import ZERO, add, mul, sub
from backtest.services.fees import fee_amount
from backtest.services.fills import Group, OpenPart, Working, WorkingKind
from backtest.services.margin import liquidation_price, required_margin
from backtest.services.transaction_manager import Leg
from backtest.services.valuation import Valuation

from .account import ACCOUNT
from .actor import Actor
from .book import PairBook
from .branch import Branch, Closing, Holding
from .channel import Channel
from .cross_account import CrossAccount
from .desk import Desk
from .ids import IdSource
from .message import ORDER_EVENT
from .oco import OcoGroups
from .protocol import Balances, BalanceUpdate, EventKind, FallDue, OrderEvent, Post
from .records import EventRecord, Records
from .signal import UNSET

__all__ = ["Venue"]

_new = tuple.__new__
_NONE: Mapping[tuple[str, str], tuple[Decimal, Decimal]] = {}
_NOTHING = (ZERO, ZERO)


class Venue:
    """The books, the desks, and what acceptance and execution both need.

    ``money`` mirrors the agents' balances as the account actor last told them; the ledger stays
    the judge of every entry.
    """

    def __init__(
        self,
        actor: Actor,
        broker_id: UUID,
        run_id: UUID,
        pairs: Mapping[str, tuple[TradingPair, TradingRules]],
        valuation: Valuation,
    ) -> None:
        self.actor = actor
        self.broker_id = broker_id
        self.run_id = run_id
        self.books = {code: PairBook(pair, rules) for code, (pair, rules) in pairs.items()}
        self.desks: dict[str, Desk] = {}
        self.sharers: dict[str, list[Desk]] = {}
        """Desks by the account they trade on."""
        self.cross: dict[str, CrossAccount] = {}
        """The accounts with cross margin, by name."""
        self.branch_of: dict[int, Branch | None] = {}
        """Branches by every id they ever had (as an integer, which hashes faster); None for one
        that is done."""
        self.money: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
        self.ocos = OcoGroups()
        self.netting: set[str] = set()
        """The accounts on which a fill first closes what is open on the other side."""
        self.records = Records()
        self.valuation = valuation
        self.ids: IdSource = None  # type: ignore[assignment]
        self._account: Channel = None  # type: ignore[assignment]
        self._numbers = 0
        self._branches = 0
        self._sequence = 0
        self.entry = 0
        """The number of the ledger entry posted last."""

    def attach(self) -> None:
        """Take up the actor's links, once it has joined a system."""
        self.ids = IdSource(self.actor.system.random_for(f"{self.actor.name}/ids"))
        self._account = self.actor.link(ACCOUNT)

    # -- time and numbers --------------------------------------------------------------------------

    @property
    def now(self) -> int:
        return self.actor.system.now

    @property
    def at(self) -> datetime:
        """The time as orders carry it."""
        return self.actor.system.moment

    def next_number(self) -> int:
        """The number of the next order in the table of orders."""
        self._numbers += 1
        return self._numbers

    def take_on(self, order: SpotOrder | TradingOrder, branch: Branch) -> None:
        """``order``, a copy that is ours alone still, is the next in the table of orders, and of
        ``branch``."""
        order.__dict__["order_number"] = self.next_number()
        self.branch_of[order.id.int] = branch
        self.records.keep(order)

    def live_on(self, branch: Branch, leaves: SpotOrder | TradingOrder) -> None:
        """``leaves`` is what is pending of the branch now."""
        branch.order = leaves
        self.take_on(leaves, branch)

    def next_branch(self) -> int:
        self._branches += 1
        return self._branches

    def next_sequence(self) -> int:
        """The next place in the queue."""
        self._sequence += 1
        return self._sequence

    # -- money -------------------------------------------------------------------------------------

    def available(self, account: str, asset: str) -> Decimal:
        """What ``account`` may spend of ``asset``."""
        return self.money.get((account, asset), _NOTHING)[0]

    def spendable(self, account: str, asset: str) -> Decimal:
        """What ``account`` may put into new orders: for a cross margin account, what is available
        less what its positions have lost so far."""
        free = self.available(account, asset)
        cross = self.cross.get(account) if self.cross else None
        if cross is None or cross.asset != asset:
            return free
        pnl = ZERO
        for book in self.books.values():
            for holding in book.holdings:
                if holding.branch.account == account and book.last is not None:
                    part = holding.part
                    moved = sub(book.last, part.entry_price)
                    gain = mul(mul(moved, part.volume), book.pair.contract_size)
                    pnl = add(pnl, gain) if part.long else sub(pnl, gain)
        return max(ZERO, add(free, pnl)) if pnl < ZERO else free

    async def post(self, legs: list[Leg], order_id: UUID, why: str) -> Balances:
        """Have the account actor post one entry; the agents' balances that it changed."""
        asked = _new(Post, (legs, order_id, why))
        posted = self._account.ask(asked)
        if posted is UNSET:
            posted = await self._account.request(asked)
        self.entry = posted.entry
        return self.learn(posted.balances)

    def learn(self, touched: Balances) -> Balances:
        """Take note of balances; those of the agents' accounts among them."""
        money, sharers = self.money, self.sharers
        if len(touched) == 1:
            # One balanced leg: money moved between available and unavailable, none came or went.
            for key, both in touched.items():
                if key[0] in sharers:
                    money[key] = both
                    return touched
        known = {}
        for key, both in touched.items():
            if key[0] in sharers:
                known[key] = both
                self.valuation.balance(key[1], money.get(key, _NOTHING), both)
                money[key] = both
        return known

    def fee(
        self,
        book: PairBook,
        fees: tuple[Fee, ...],
        *,
        volume: Decimal,
        notional: Decimal,
        margin: Decimal = ZERO,
        maker: bool = False,
        first: bool = True,
    ) -> Decimal:
        """What ``fees``, those of one stage on this pair, come to."""
        if not fees:
            return ZERO
        return fee_amount(
            fees,
            volume=volume,
            notional=notional,
            margin=margin,
            maker=maker,
            first=first,
            step=book.step,
        )

    def margin(self, book: PairBook, volume: Decimal, price: Decimal, leverage: Decimal) -> Decimal:
        """The margin of ``volume`` contracts at ``price``."""
        return required_margin(
            book.rules,
            volume=volume,
            price=price,
            contract_size=book.pair.contract_size,
            leverage=leverage,
            step=book.pair.quote.step,
        )

    def order_margin(self, branch: Branch, volume: Decimal) -> Decimal:
        """The margin in the reserve of ``volume``, at the price it reserves for; none for spot."""
        if branch.spot:
            return ZERO
        return self.margin(branch.book, volume, branch.worst, branch.leverage)

    def reserve(self, branch: Branch, leaves: Decimal, first: bool) -> Decimal:
        """What ``leaves`` of the branch's order need in reserve (semantics, section 3)."""
        if branch.offset:
            leaves = max(ZERO, sub(leaves, branch.offset))
        if not leaves:
            return ZERO
        book = branch.book
        if branch.spot:
            if not branch.working.buy:
                return leaves
            held = notional = book.pair.notional(leaves, branch.worst)
        else:
            held = self.margin(book, leaves, branch.worst, branch.leverage)
            if not book.fees_fill:
                return held
            notional = book.pair.notional(leaves, branch.worst)
        if not book.fees_fill:
            return held
        fee = fee_amount(
            book.fees_fill,
            volume=leaves,
            notional=notional,
            margin=ZERO if branch.spot else held,
            maker=not branch.taker,
            first=first,
            step=book.step,
        )
        both = add(held, fee)
        return both if both > ZERO else ZERO

    # -- the other side ----------------------------------------------------------------------------

    def opposite(self, book: PairBook, account: str, long: bool) -> list[Holding]:
        """The positions of ``account`` on the other side than ``long``, oldest first."""
        return [
            holding
            for holding in book.holdings
            if holding.part.long is not long and holding.branch.account == account
        ]

    def offset(self, branch: Branch, volume: Decimal) -> Decimal:
        """How much of ``volume`` needs no reserve, since it is to close what is open already.

        All of a reduce-only order; on a netting account what is open on the other side, less what
        the account's other pending orders are to close of it.
        """
        if branch.reduces:
            return volume
        book, account, buy = branch.book, branch.account, branch.working.buy
        there = ZERO
        for holding in self.opposite(book, account, buy):
            there = add(there, holding.part.volume)
        for other in book.branches.values():
            if other is not branch and other.account == account and other.working.buy is buy:
                there = sub(there, min(other.offset, other.working.volume))
        return max(ZERO, min(volume, there))

    # -- orders ------------------------------------------------------------------------------------

    def new_group(self, branch: Branch, working: Working) -> Group:
        """The group of a branch's order: its protections, and what a position of it would have."""
        order, book = branch.order, branch.book
        stop_loss, take_profit = order.stop_loss, order.take_profit  # type: ignore[union-attr]
        if branch.spot:
            return Group(working, stop_loss, take_profit)
        leverage = branch.leverage
        long = working.buy
        isolated = branch.account not in self.cross

        def margin(price: Decimal, volume: Decimal) -> Decimal:
            return self.margin(book, volume, price, leverage)

        def liquidation(price: Decimal, volume: Decimal) -> Decimal | None:
            return self.liquidation(book, long, price, volume, margin(price, volume))

        return Group(
            entry=working,
            stop_loss=stop_loss,
            take_profit=take_profit,
            liquidation=liquidation
            if isolated and self.can_liquidate(book, long, leverage)
            else None,
            margin=margin,
        )

    def can_liquidate(self, book: PairBook, long: bool, leverage: Decimal) -> bool:
        """Whether a position could be liquidated: a fully paid long without maintenance cannot."""
        rules = book.rules
        paid = leverage == 1 and rules.leverage_kind is not LeverageKind.FLAT_MARGIN_PER_VOLUME
        kept = rules.maintenance_rate or rules.maintenance_tiers is not None
        return not (long and paid and not kept)

    def liquidation(
        self, book: PairBook, long: bool, price: Decimal, volume: Decimal, margin: Decimal
    ) -> Decimal | None:
        """The price at which a position is liquidated; None for never."""
        return liquidation_price(
            long,
            price,
            volume,
            book.pair.contract_size,
            margin,
            book.maintenance,
            book.pair.price_increment,
        )

    def working(
        self, branch: Branch, kind: WorkingKind, buy: bool, price: Decimal | None, volume: Decimal
    ) -> Working:
        """A pending order as the walk along a bar sees it, last in the queue."""
        self._sequence += 1
        return Working(
            branch,
            kind,
            buy,
            None if kind == "market" else price,
            volume,
            0,
            self._sequence,
            False,
            False,
            True,
            branch.terms,
        )

    def enter(
        self, branch: Branch, order: SpotOrder | TradingOrder, kind: WorkingKind, buy: bool
    ) -> None:
        """Let ``order`` be what is pending of the branch, last in the queue."""
        price = order.limit_price if kind == "limit" else order.stop_price
        branch.order = order
        branch.working = self.working(branch, kind, buy, price, order.volume)
        branch.group = self.new_group(branch, branch.working)

    def list_branch(self, branch: Branch) -> None:
        """Number a branch, make it known, and let it be part of the next bar."""
        book = branch.book
        number = branch.number = self._branches = self._branches + 1
        self.branch_of[branch.id.int] = branch
        book.branches[number] = branch
        book.groups = None
        branch.accepted = branch.accepted or self.actor.system.now
        book.waiting.append((self.actor.system.now, branch.working))
        if branch.expires is not None:
            self.watch(branch, branch.expires)

    def watch(self, branch: Branch, due: int) -> None:
        """From now on the order expires at ``due``."""
        book = branch.book
        heappush(book.expiring, (due, branch.number, branch))
        book.due = book.expiring[0][0]
        self.set_alarm(book, due)

    def set_alarm(self, book: PairBook, at: int) -> None:
        """Look at what expires at ``at`` if no bar comes before."""
        # One alarm at a time, the earliest: each later one is set when that rings.
        if book.alarm is None or at < book.alarm:
            book.alarm = at
            self.actor.link(self.actor.name).post_at(at, FallDue(book.code), ORDER_EVENT)

    def unlist(self, branch: Branch) -> None:
        """Nothing of the branch is pending any more."""
        book = branch.book
        if book.branches.pop(branch.number, None) is not None:
            book.groups = None
        branch.order = None
        if branch.oco is not None:
            self.ocos.leave(branch)
        if not branch.holdings:
            self.branch_of[branch.id.int] = None

    def open_holding(self, branch: Branch, order: TradingOrder) -> Holding:
        """The position that ``order``, filled, is: with its stop-loss, liquidation, take-profit."""
        book = branch.book
        long = order.direction is OrderDirection.LONG
        volume, margin = order.volume, order.margin_reserved
        part = OpenPart(None, long, volume, order.fill_price, margin, [])  # type: ignore[arg-type]
        holding = part.key = Holding(branch, order, part)
        liquidation = None
        # With cross margin it is the account that is called.
        isolated = branch.account not in self.cross
        if isolated and self.can_liquidate(book, long, order.leverage):
            liquidation = self.liquidation(book, long, order.fill_price, volume, margin)  # type: ignore[arg-type]
        exits: tuple[tuple[WorkingKind, Decimal | None], ...] = (
            ("stop_loss", order.stop_loss),
            ("liquidation", liquidation),
            ("take_profit", order.take_profit),
        )
        for kind, price in exits:
            if price is not None:
                closing = Closing(self.ids.draw(), kind, holding)
                working = Working(
                    closing, kind, not long, price, volume, sequence=self.next_sequence()
                )
                holding.put(closing, working)
        branch.holdings.append(holding)
        book.holdings[holding] = None
        book.groups = None
        return holding

    def set_margin(self, holding: Holding, margin: Decimal) -> None:
        """A position's margin changed, and with it the price at which it is liquidated."""
        part, book = holding.part, holding.branch.book
        part.margin = margin
        if holding.branch.account in self.cross:
            return
        closing = holding.closing("liquidation")
        price = self.liquidation(book, part.long, part.entry_price, part.volume, margin)
        if closing is not None:
            if price is None:
                holding.take(closing)
            else:
                closing.working.price = price
        elif price is not None:
            closing = Closing(self.ids.draw(), "liquidation", holding)
            working = Working(closing, "liquidation", not part.long, price, part.volume)
            holding.put(closing, working)

    def drop_holding(self, holding: Holding) -> None:
        """The position is closed (or has been replaced)."""
        book = holding.branch.book
        holding.closings.clear()
        del book.holdings[holding]
        book.groups = None
        holding.branch.holdings.remove(holding)
        if not holding.branch.holdings and holding.branch.order is None:
            self.branch_of[holding.branch.id.int] = None

    # -- telling -----------------------------------------------------------------------------------

    def tell(
        self,
        kind: EventKind,
        branch: Branch,
        order: SpotOrder | TradingOrder | None,
        *,
        positions: tuple[tuple[UUID, TradingOrder | None], ...] = (),
        fill: Fill | None = None,
        reason: RejectReason | None = None,
        detail: str = "",
        command: int = 0,
        children: tuple[tuple[int, SpotOrder | TradingOrder], ...] = (),
        balances: Balances = _NONE,
        level: Decimal | None = None,
    ) -> None:
        """Record an order event and send it to the owner; sharers of the account get balances."""
        desk = branch.desk
        now = self.now
        heard = self.actor.fiber.handling
        entry = self.entry if balances else 0
        self.records.events.append(
            _new(
                EventRecord,
                (
                    now,
                    heard[2],  # type: ignore[index]
                    kind,
                    branch.number,
                    0 if order is None else order.order_number,
                    reason,
                    detail,
                    entry,
                    heard[5],  # type: ignore[index]
                    heard[3].sender,  # type: ignore[index]
                    None if order is None else order.volume,
                    None,
                    self.actor.bars + self.actor.ticks,  # type: ignore[attr-defined]
                ),
            )
        )
        desk.channel.post(
            _new(
                OrderEvent,
                (
                    kind,
                    now,
                    branch.number,
                    branch.id,
                    order,
                    branch.order,
                    positions,
                    fill,
                    reason,
                    detail,
                    command,
                    children,
                    balances,
                    level,
                ),
            ),
            ORDER_EVENT,
        )
        if self.cross and branch.account in self.cross:
            if balances or positions:
                self.share(desk, branch.account, balances, positions)
        elif balances and len(self.sharers[branch.account]) > 1:
            self.share(desk, branch.account, balances)

    def tell_uncovered(
        self,
        branch: Branch,
        order: SpotOrder | TradingOrder,
        uncovered: Decimal,
        asset: str,
        what: str,
    ) -> None:
        """Tell of what the account could not pay, and the insurance account bore."""
        if uncovered:
            self.tell(
                EventKind.BANKRUPTCY,
                branch,
                order,
                detail=f"{uncovered} {asset} of {what} borne by the insurance account",
            )

    def share(
        self,
        desk: Desk | None,
        account: str,
        balances: Balances,
        positions: tuple[tuple[UUID, TradingOrder | None], ...] = (),
    ) -> None:
        """Tell the other strategies on the account what its balances are now, and of a cross margin
        account its ``positions`` that changed."""
        sharing = self.sharers[account]
        if len(sharing) > 1 or desk is None:
            for other in sharing:
                if other is not desk:
                    other.channel.post(BalanceUpdate(balances, positions), ORDER_EVENT)

    def refuse(
        self,
        desk: Desk,
        command: int,
        reason: RejectReason,
        detail: str,
        branch: Branch | None,
        asked: UUID | None = None,
        order_id: UUID | None = None,
    ) -> None:
        """Record a refusal (of a command that named ``asked``) and send it to the one who asked.

        ``order_id`` is the id that a refused new order would have had.
        """
        number = 0 if branch is None else branch.number
        order = None if branch is None else branch.order
        about = order
        if about is None and branch is not None and branch.holdings:
            about = branch.holdings[-1].order
        heard = self.actor.fiber.handling
        self.records.events.append(
            EventRecord(
                self.now,
                heard.id,  # type: ignore[union-attr]
                EventKind.REJECTED,
                number,
                0 if about is None else about.order_number,
                reason,
                detail,
                0,
                heard.cause,  # type: ignore[union-attr]
                heard.channel.sender,  # type: ignore[union-attr]
                None if about is None else about.volume,
                asked,
                self.actor.bars + self.actor.ticks,  # type: ignore[attr-defined]
            )
        )
        desk.channel.post(
            OrderEvent(
                EventKind.REJECTED,
                self.now,
                number,
                order_id if branch is None else branch.id,
                order,
                order,
                (),
                None,
                reason,
                detail,
                command,
                (),
                _NONE,
            ),
            ORDER_EVENT,
        )
