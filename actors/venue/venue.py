"""What the parts of a venue share: its state, and the ways to account actor and strategies."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from heapq import heappush
from itertools import chain
from typing import Any
from uuid import UUID

from backtest.actors.kernel.actor import Actor
from backtest.actors.kernel.channel import Channel
from backtest.actors.kernel.message import ORDER_EVENT
from backtest.actors.kernel.signal import UNSET
from backtest.actors.protocol import ACCOUNT, Balances, FallDue, Post
from backtest.ids import IdSource
from backtest.models import (
    OrderDirection,
    TradingPair,
    TradingRules,
)
from backtest.money import ZERO, add, round_up, sub
from backtest.services.fills.walk import Group, WorkingKind
from backtest.services.ledger.entries import Leg
from backtest.services.ledger.ledger import entry_uuid
from backtest.services.margin.accounts import CrossAccount
from backtest.services.orders.revision import Revision, created_spot, created_trading
from backtest.services.settlement.amounts import Sums, buy_reserve, opening_reserve
from backtest.services.settlement.pool import EMPTY
from backtest.services.valuation import Valuation

from .branch import Branch
from .client import Client
from .oco import OcoGroup, OcoGroups
from .pair_book import PairBook
from .position import Position
from .publisher import Publisher
from .records import Records

__all__ = ["Venue"]

_new = tuple.__new__
_LONG, _SHORT = OrderDirection.LONG, OrderDirection.SHORT
_NONE: Mapping[tuple[str, str], tuple[Decimal, Decimal]] = {}
_NOTHING = (ZERO, ZERO)


class Venue:
    """The books, the clients, and what acceptance and execution both need.

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
        opens_ns: int | None = None,
    ) -> None:
        self.actor = actor
        self.opens_ns = opens_ns
        """Before that, where it is said, no order is accepted."""
        self.broker_id = broker_id
        self.run_id = run_id
        self.books = {code: self.new_book(pair, rules) for code, (pair, rules) in pairs.items()}
        self.clients: dict[str, Client] = {}
        self.sharers: dict[str, list[Client]] = {}
        """Desks by the account they trade on."""
        self.cross: dict[str, CrossAccount] = {}
        """The accounts with cross margin, by name."""
        self.called: dict[str, None] = {}
        """Those of them that are being liquidated, and do not suffice yet."""
        self.branch_of: dict[int, Branch | None] = {}
        """Branches by every id they ever had (as an integer, which hashes faster); None for one
        that is done."""
        self.money: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
        self.ocos = OcoGroups()
        self.netting: set[str] = set()
        """The accounts on which a fill first closes what is open on the other side."""
        self.pooled: set[str] = set()
        """Those, and the accounts with cross margin: whoever trades on one has to know of all its
        positions."""
        self.records = Records()
        self.publisher = Publisher(actor, self.records, self.pooled, self.sharers)
        self.valuation = valuation
        self.ids = IdSource(run_id, "order")
        self._account: Channel = None  # type: ignore[assignment]
        self._numbers = 0
        self._branches = 0
        self.sequence = 0
        """The last place in the queue that was given."""
        self._entry = (0, UUID(int=0))

    def new_book(self, pair: TradingPair, rules: TradingRules) -> PairBook:
        """What this kind of venue keeps of a pair."""
        return PairBook(pair, rules)

    def attach(self) -> None:
        """Take up the actor's links, once it has joined a system."""
        self._account = self.actor.link(ACCOUNT)

    # -- time and numbers --------------------------------------------------------------------------

    @property
    def now(self) -> int:
        return self.actor.events.now

    @property
    def at(self) -> datetime:
        """The time as orders carry it."""
        return self.actor.events.moment

    def next_number(self) -> int:
        """The number of the next order in the table of orders."""
        self._numbers += 1
        return self._numbers

    def begin(
        self,
        branch: Branch,
        reserved: Decimal,
        fee: Decimal = ZERO,
        price: Decimal = ZERO,
    ) -> Revision:
        """The first state of the branch's order, the next in the table of orders; ``price`` is the
        market's for a trading order on a pair that has none yet."""
        book, client = branch.book, branch.client
        what: tuple[Any, ...] = (
            created_spot if branch.spot else created_trading,
            self.now,
            book.code,
            _LONG if branch.buy else _SHORT,
            client.agent.agent_id,
            client.account_ids[branch.account],
            self.broker_id,
            self.run_id,
            branch.limit_price,
            branch.stop_price,
            branch.stop_loss,
            branch.take_profit,
            fee,
            branch.instructions,
        )
        if branch.spot:
            what += (branch.entry_order_id,)
        else:
            price = price if book.last is None else book.last
            what += (price, branch.leverage, book.pair.contract_size)
        return Revision(branch.id, self.next_number(), branch.volume, reserved, None, what)

    def take_on(self, order: Revision, branch: Branch) -> None:
        """``order`` is new in the table of orders, and of ``branch``."""
        self.branch_of[order.id.int] = branch
        self.records.orders.keep(order)

    def live_on(self, branch: Branch, leaves: Revision) -> None:
        """``leaves`` is what is pending of the branch now."""
        branch.order = leaves
        self.take_on(leaves, branch)

    def next_branch(self) -> int:
        self._branches += 1
        return self._branches

    def next_sequence(self) -> int:
        """The next place in the queue."""
        self.sequence += 1
        return self.sequence

    # -- money -------------------------------------------------------------------------------------

    def available(self, account: str, asset: str) -> Decimal:
        """What ``account`` may spend of ``asset``."""
        return self.money.get((account, asset), _NOTHING)[0]

    def reserved(self, account: str, asset: str) -> Decimal:
        """What ``account`` has of ``asset`` in reserves and margins."""
        return self.money.get((account, asset), _NOTHING)[1]

    def spendable(self, account: str, asset: str, but: Collection[Position] = ()) -> Decimal:
        """What ``account`` may put into new orders: for a cross margin account, what is available
        less what its positions, ``but`` for some, have lost so far."""
        free = self.available(account, asset)
        lost = self.lost(account, asset, but) if self.cross else ZERO
        return max(ZERO, sub(free, lost)) if lost else free

    def lost(self, account: str, asset: str, but: Collection[Position] = ()) -> Decimal:
        """What the positions of a cross margin account, ``but`` for some, have lost on balance,
        rounded up: what is left of what is available becomes reserves, which are whole steps."""
        cross = self.cross.get(account)
        if cross is None or cross.asset != asset:
            return ZERO
        pnl = step = ZERO
        for book in self.books.values():
            last = book.last
            if last is None:
                continue
            for position in chain(*book.own_positions.get(account, ())):
                if position not in but:
                    pnl, step = add(pnl, book.pnl(position, last)), book.step
        return round_up(pnl.copy_negate(), step) if pnl < ZERO else ZERO

    async def post(
        self,
        legs: list[Leg],
        order_id: UUID | None,
        why: str,
        parts: Sequence[tuple[int, UUID]] = (),
    ) -> Balances:
        """Have the account actor post one entry; the agents' balances that it changed."""
        asked = _new(Post, (legs, order_id, why, parts))
        posted = self._account.ask(asked)
        if posted is UNSET:
            posted = await self._account.request(asked)
        self.records.entry = posted.entry
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

    def move_to(self, time: int) -> None:
        """Something changes at ``time``: have the worth of the moment before sampled."""
        if self.valuation.time != time:
            self.valuation.move_to(time)

    def entry_id(self) -> UUID:
        """The id of the entry that was posted last; several fills share it."""
        number = self.records.entry
        if self._entry[0] != number:
            self._entry = (number, entry_uuid(self.run_id, number))
        return self._entry[1]

    def order_margin(self, branch: Branch, volume: Decimal) -> Decimal:
        """The margin in the reserve of ``volume``, at the price it reserves for; none for spot."""
        if branch.spot:
            return ZERO
        return branch.book.margin(volume, branch.reservation_price, branch.leverage)

    def reserve(self, branch: Branch, leaves: Decimal, sums: Sums | None = None) -> Decimal:
        """What ``leaves`` of the branch's order need in reserve, after fills that came to ``sums``
        (those that it had, if left out); see `backtest.services.settlement.amounts`."""
        if branch.offset:
            leaves = max(ZERO, sub(leaves, branch.offset))
        if not leaves:
            return ZERO
        book = branch.book
        if branch.spot:
            if not branch.buy:
                return leaves
            return buy_reserve(
                branch.sums if sums is None else sums,
                leaves,
                branch.reservation_price,
                not branch.taker,
                book.fees,
            )
        if sums is None:
            sums = branch.sums
        basis = book.margin_basis(leaves, branch.reservation_price)
        margin = book.margin_on(add(sums.worth, basis) if sums.worth else basis, branch.leverage)
        fees = book.fees
        exact = ZERO
        if fees.by_margin:
            exact = book.exact_margin(leaves, branch.reservation_price, branch.leverage)
        return opening_reserve(
            sums,
            leaves,
            margin,
            book.pair.worth(leaves, branch.reservation_price),
            exact,
            not branch.taker,
            fees,
        )

    # -- the other side ----------------------------------------------------------------------------

    def offset(self, branch: Branch, volume: Decimal, group: OcoGroup | None = None) -> Decimal:
        """How much of ``volume`` needs no reserve, since it is to close what is open already.

        All of a reduce-only order; on a netting account what is open on the other side, less what
        the account's other pending orders are to close of it. Of one-cancels-other partners only
        one fills, so they count once together; ``group`` is the one that ``branch`` belongs to.
        """
        if branch.reduces:
            return volume
        book, account, buy = branch.book, branch.account, branch.buy
        facing = book.facing(account, buy)
        if not facing:
            return ZERO
        there = ZERO
        for position in facing:
            there = add(there, position.pool.volume)
        groups: dict[OcoGroup, dict[int, Decimal]] = {}
        for other in book.own_branches.get(account, {}).values():
            if not other.offset or other is branch or other.buy is not buy:
                continue
            closes = min(other.offset, other.volume)
            if other.oco is None or (other.oco is group and other.oco_member == branch.oco_member):
                there = sub(there, closes)
            elif other.oco is not group:
                members = groups.setdefault(other.oco, {})
                members[other.oco_member] = add(members.get(other.oco_member, ZERO), closes)
        for members in groups.values():
            there = sub(there, max(members.values()))
        return max(ZERO, min(volume, there))

    # -- orders ------------------------------------------------------------------------------------

    def new_group(self, branch: Branch) -> Group:
        """The group of a branch's order: its protections, and what a position of it would have."""
        book, stop_loss, take_profit = branch.book, branch.stop_loss, branch.take_profit
        if branch.spot:
            return Group(branch, stop_loss, take_profit)
        leverage = branch.leverage
        long = branch.buy
        isolated = branch.account not in self.cross

        def margin(price: Decimal, volume: Decimal) -> Decimal:
            return book.margin(volume, price, leverage)

        def liquidation(price: Decimal, volume: Decimal) -> Decimal | None:
            held = margin(price, volume)
            return book.liquidation(
                long, EMPTY.filled(volume, price, held, book.pair.contract_size)
            )

        return Group(
            entry=branch,
            stop_loss=stop_loss,
            take_profit=take_profit,
            liquidation=liquidation if isolated and book.can_liquidate(long, leverage) else None,
            margin=margin,
        )

    def enter(self, branch: Branch, kind: WorkingKind) -> None:
        """Let what is pending of the branch be last in the queue."""
        order, price = branch.order, branch.limit_price if kind == "limit" else branch.stop_price
        assert order is not None
        if kind == "market":
            price = None
        branch.line_up(kind, price, order.volume, self.next_sequence())
        branch.group = self.new_group(branch)

    def list_branch(self, branch: Branch) -> None:
        """Number a branch, make it known, and let it be part of the next bar."""
        book = branch.book
        branch.number = self._branches = self._branches + 1
        self.branch_of[branch.id.int] = branch
        book.list_order(branch)
        now = self.actor.events.now
        if not branch.accepted:
            branch.accepted = now
        book.waiting.append((now, branch))
        if branch.expires is not None:
            self.watch(branch, branch.expires)

    def watch(self, branch: Branch, due: int) -> None:
        """From now on the order expires at ``due``."""
        book = branch.book
        heappush(book.expiring, (due, branch.number, branch))
        book.due = book.expiring[0][0]
        book.cover()  # the bar that ends at the expiry or later says that it is over
        self.set_alarm(book, due)

    def set_alarm(self, book: PairBook, at: int) -> None:
        """Look at what expires at ``at`` if no bar comes before."""
        # One alarm at a time, the earliest: each later one is set when that rings.
        if book.alarm is None or at < book.alarm:
            book.alarm = at
            self.actor.link(self.actor.name).post_at(at, FallDue(book.code), ORDER_EVENT)

    def unlist(self, branch: Branch) -> None:
        """Nothing of the branch is pending any more."""
        branch.book.unlist_order(branch)
        branch.order = None
        if branch.oco is not None:
            self.ocos.leave(branch)
        if branch.lot is None:
            self.branch_of[branch.id.int] = None
