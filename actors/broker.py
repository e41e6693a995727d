"""The broker: a venue that fills orders against historical bars."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping
from typing import Any
from uuid import UUID

from backtest.errors import BacktestError, Deadlock, OrderRejected, RejectReason
from backtest.models import (
    Account,
    Agent,
    Bar,
    DecisionAction,
    Quote,
    Tick,
    Trade,
    TradingPair,
    TradingRules,
)
from backtest.services.fills import mark_of
from backtest.services.valuation import Valuation

from .acceptance import Acceptance
from .account import ACCOUNT
from .actor import Actor
from .amendment import Amendment
from .book import PairBook
from .branch import Branch, Closing
from .channel import Channel
from .closing_desk import ClosingDesk
from .coverage import Coverage
from .cross import CrossDesk
from .cross_account import cross_accounts
from .desk import Desk
from .dues import Dues
from .execution import Execution
from .exits import ExitDesk
from .financing import Financing
from .message import MARKET_TO_STRATEGY, Envelope
from .netting import NettingDesk
from .protocol import Amend, Create, EndOfData, FallDue, Hello, ReadBalances, Verb, Welcome
from .splitting import Splitting
from .translation import message_of
from .venue import Venue

__all__ = ["BROKER", "BrokerActor"]

_MARKET = frozenset((Bar, Quote, Trade, EndOfData))

BROKER = "broker"
"""The name of the broker actor."""


class _AtThisClose:
    """The broker to itself: fill this market order at the close that has just been."""

    __slots__ = ("what",)

    def __init__(self, what: Branch | Closing) -> None:
        self.what = what


class BrokerActor(Actor):
    """Takes market events and commands one at a time; tells strategies what came of them.

    ``agents`` are the strategies that may trade here, by the name of their actor, with their
    accounts (the default one first). ``several`` are the pairs that have bars of several lengths.
    """

    handles_inside = awaits_inside = False

    def __init__(
        self,
        broker_id: UUID,
        run_id: UUID,
        pairs: Mapping[str, tuple[TradingPair, TradingRules]],
        agents: Mapping[str, tuple[Agent, tuple[Account, ...]]],
        valuation: Valuation,
        several: Collection[str] = (),
    ) -> None:
        super().__init__(BROKER)
        self.venue = Venue(self, broker_id, run_id, pairs, valuation)
        self._valuation, self._prices = valuation, valuation.prices
        self._books = self.venue.books
        for code in several:
            self._books[code].coverage = Coverage()
        self._agents = agents
        self._acceptance = Acceptance(self.venue)
        self._amendment = Amendment(self.venue)
        self._closing_desk = ClosingDesk(self.venue)
        self._exits = ExitDesk(self.venue, self._amendment)
        self._cross = CrossDesk(self.venue, self._amendment, self._closing_desk)
        self._execution = Execution(
            self.venue,
            self._amendment,
            self._closing_desk,
            self._exits,
            NettingDesk(self.venue, self._amendment, self._closing_desk),
            self._cross,
        )
        self._splitting = Splitting(self.venue, self._exits)
        self._financing = Financing(self.venue, self._closing_desk)
        self._dues = Dues(self.venue, self._amendment, self._financing)
        self._listeners: list[Channel] = []
        self._know_cross()
        self.bars = 0
        """Bars processed."""
        self.ticks = 0
        """Quotes and trades processed."""

    def _know_cross(self) -> None:
        """Tell the books which accounts have cross margin, and what backs those."""
        venue = self.venue
        accounts = {one.name: one for _, owned in self._agents.values() for one in owned}
        pairs = {code: book.pair for code, book in venue.books.items()}
        venue.cross = cross_accounts(accounts.values(), pairs)
        for code, book in venue.books.items():
            book.crossed = frozenset(venue.cross)
            book.backs = any(code in one.weights for one in venue.cross.values())

    async def started(self) -> None:
        venue = self.venue
        balances = await self.link(ACCOUNT).request(ReadBalances())
        if venue.desks:
            venue.learn(balances)  # restarted: all else is as it was
            return
        venue.attach()
        for name, (agent, accounts) in self._agents.items():
            desk = Desk(
                name, agent, {one.account_id: one.name for one in accounts}, self.link(name)
            )
            desk.channel.forgives = self._forget
            venue.desks[name] = desk
            for one in accounts:
                venue.sharers.setdefault(one.name, []).append(desk)
                if one.netting:
                    venue.netting.add(one.name)
            self._listeners.append(desk.channel)
        venue.learn(balances)
        venue.valuation.begin(self.system.now)

    def _forget(self, channel: Channel) -> None:
        """A strategy was stopped by its rule: the others go on, its orders stay as they are."""
        self._listeners = [one for one in self._listeners if one is not channel]

    def lost(self, envelope: Envelope, error: BaseException) -> None:
        """A command that broke the broker is refused, unless its answer was given before."""
        command = getattr(envelope.payload, "command", None)
        if type(envelope.payload) is DecisionAction:
            command = envelope.payload.command_id
        desk = self.venue.desks.get(envelope.channel.sender)
        events = self.venue.records.events
        if desk is None or not isinstance(command, int):
            return
        if not events or events[-1].message != envelope.id:
            asked = getattr(envelope.payload, "order_id", None)
            self.venue.refuse(
                desk,
                command,
                RejectReason.VENUE_FAILED,
                f"the venue failed: {error!r}",
                None,
                asked,
            )

    def closing(self, stage: int) -> None:
        """A venue that never got to the end of its market data has no result."""
        left = [one for one in self.fiber.inbox if type(one.payload) in _MARKET]
        if stage == 0 and left:
            whom = getattr(self.fiber.waiting, "about", "") or "a time after the end of the data"
            self.system.fail(Deadlock([(self.name, whom)]))

    def handle(self, envelope: Envelope) -> Awaitable[None] | None:
        payload = envelope[4]
        kind = type(payload)
        if kind is Bar:
            return self._on_bar(payload)
        if kind is Create:
            return self._on_create(envelope, payload)
        if kind is Quote or kind is Trade:
            return self._on_tick(payload)
        if kind is Amend:
            return self._on_amend(envelope, payload)
        if kind is DecisionAction:
            return self._on_action(envelope, payload)
        if kind is _AtThisClose:
            if type(payload.what) is Branch:
                return self._execution.match_close(payload.what)
            return self._execution.match_closing(payload.what)
        if kind is FallDue:
            return self._dues.ring(self._books[payload.pair])
        if kind is Hello:
            self._welcome(envelope)
        elif kind is EndOfData:
            self.venue.valuation.sample(self.system.now)
        else:
            raise BacktestError(f"the broker does not understand {payload!r}")
        return None

    def _welcome(self, envelope: Envelope) -> None:
        venue = self.venue
        desk = self._desk_of(envelope)
        names = set(desk.accounts.values())
        welcome = Welcome(
            {code: book.pair for code, book in venue.books.items()},
            tuple(desk.accounts.items()),
            {key: both for key, both in venue.money.items() if key[0] in names},
            desk.agent.agent_id,
            venue.broker_id,
            venue.run_id,
            {code: book.rules for code, book in venue.books.items()},
            {
                account_id: venue.cross[name]
                for account_id, name in desk.accounts.items()
                if name in venue.cross
            },
        )
        self.answer(envelope, welcome)

    # -- market events: phases 1 to 5 --------------------------------------------------------------

    def _on_bar(self, bar: Bar) -> Awaitable[None] | None:
        self.bars += 1
        valuation = self._valuation
        if valuation.time != bar.close_ns:
            valuation.move_to(bar.close_ns)
        book = self._books[bar.pair]
        coverage = book.coverage
        if coverage is not None and coverage.takes(bar):
            # Finer events of this time were matched: the bar is news to strategies alone.
            for listener in self._listeners:
                listener.post(bar, MARKET_TO_STRATEGY)
            return None
        if book.charges and self._financing.is_due(book, bar):
            return self._with_dues(book, bar)
        if book.due is not None and book.due < bar.close_ns:
            return self._with_dues(book, bar)
        if book.branches or book.holdings or book.backs:
            walk, hit = self._execution.walk(book, bar)
            if hit is not None or walk.triggered or walk.trailed or walk.forked or book.immediate:
                return self._with_fills(book, bar, walk, hit)
            book.left = walk.pools
        elif book.fills_at_close:
            # Nobody trades, but orders at this close need to know what volume there is.
            book.left = self._execution.walk(book, bar)[0].pools
        self._mark(book, bar)
        return None

    async def _with_fills(self, book: PairBook, bar: Bar, walk: Any, hit: Any) -> None:
        await self._execution.match(book, bar, walk, hit)
        self._mark(book, bar)

    async def _with_dues(self, book: PairBook, bar: Bar) -> None:
        """A bar before or in which something falls due: orders expire, nights are charged."""
        await self._dues.settle(book, bar.open_ns)
        walk, hit = self._execution.walk(book, bar)
        await self._execution.match(book, bar, walk, hit)
        # What falls due inside the bar is settled at its close, the first mark after.
        book.bar, book.last = bar, bar.close
        for holding in await self._dues.settle(book, bar.close_ns - 1):
            await self._closing_desk.test(book, bar, holding)
        if self.venue.cross:
            await self._cross.test(book)
        self._mark(book, bar)
        self._dues.look_ahead(book)

    def _mark(self, book: PairBook, bar: Bar) -> None:
        """Take the close as the mark and let the strategies decide."""
        book.bar = bar
        book.last = self._prices[book.code] = bar.close
        for listener in self._listeners:
            listener.post(bar, MARKET_TO_STRATEGY)

    def _on_tick(self, tick: Tick) -> Awaitable[None] | None:
        self.ticks += 1
        time = tick.time_ns
        if self._valuation.time != time:
            self._valuation.move_to(time)
        book = self._books[tick.pair]
        if book.coverage is None:
            book.coverage = Coverage()
        book.coverage.ticked(time)
        if (book.charges and self._financing.is_due_at(book, time)) or (
            book.due is not None and book.due <= time
        ):
            return self._tick_with_dues(book, tick)
        return self._match_tick(book, tick)

    async def _tick_with_dues(self, book: PairBook, tick: Tick) -> None:
        await self._dues.settle(book, tick.time_ns)
        pending = self._match_tick(book, tick)
        if pending is not None:
            await pending
        self._dues.look_ahead(book)

    def _match_tick(self, book: PairBook, tick: Tick) -> Awaitable[None] | None:
        if book.branches or book.holdings or book.fills_at_close or book.backs:
            walk, hit = self._execution.walk_tick(book, tick)
            if hit is not None or walk.triggered or walk.trailed or book.immediate:
                return self._tick_with_fills(book, tick, walk, hit)
            book.left = walk.pools
            if self.venue.cross:
                return self._tick_with_fills(book, tick, walk, None)
        self._mark_tick(book, tick)
        self._tell_tick(tick)
        return None

    async def _tick_with_fills(self, book: PairBook, tick: Tick, walk: Any, hit: Any) -> None:
        await self._execution.match(book, tick, walk, hit)
        self._mark_tick(book, tick)
        if self.venue.cross:
            await self._cross.test(book)
        self._tell_tick(tick)

    def _mark_tick(self, book: PairBook, tick: Tick) -> None:
        """Take the quote's middle, or the trade's price, as the mark.

        Where there are quotes, a trade neither marks nor is what an order meets "at this close".
        """
        if type(tick) is Quote:
            book.last_quote = tick
            if book.queue is not None:
                book.queue.quote = tick
        if type(tick) is Quote or book.last_quote is None:
            book.bar = tick
            book.last = self._prices[book.code] = mark_of(tick, book.pair.price_increment)

    def _tell_tick(self, tick: Tick) -> None:
        """Let the strategies decide."""
        for listener in self._listeners:
            listener.post(tick, MARKET_TO_STRATEGY)

    # -- commands ----------------------------------------------------------------------------------

    async def _on_create(self, envelope: Envelope, ask: Create) -> None:
        desk = self._desk_of(envelope)
        if ask[0] > 0 and not desk.is_new(ask[0]):
            self._refuse_again(desk, ask[0])
            return
        order_id = self.venue.ids.draw()  # a refused order has an id, too
        try:
            branch = await self._acceptance.create(desk, ask, order_id)
        except OrderRejected as refusal:
            self.venue.refuse(
                desk, ask.command, refusal.reason, refusal.detail, None, order_id, order_id
            )
            return
        if branch.book.fills_at_close and branch.working.kind == "market":
            self._at_this_close(branch)

    async def _on_amend(self, envelope: Envelope, ask: Amend) -> None:
        desk = self._desk_of(envelope)
        if ask[0] > 0 and not desk.is_new(ask[0]):
            self._refuse_again(desk, ask[0])
            return
        amendment = self._amendment
        branch = None
        try:
            branch = self._find(desk, ask.order_id)
            verb = ask.verb
            if verb is Verb.CANCEL and ask.close:
                amendment.cancel_close(branch, ask.close, desk.request, ask.command)
            elif verb is Verb.CANCEL:
                await amendment.cancel(
                    branch, ask.volume, RejectReason.REQUESTED, desk.request, ask.command
                )
            elif verb is Verb.MODIFY:
                if branch.part is not None:
                    await self._exits.modify(branch, ask)
                else:
                    await amendment.modify(branch, ask)
            elif verb is Verb.SPLIT:
                await self._splitting.split(branch, ask)
            else:
                for closing in amendment.close(branch, ask):
                    if branch.book.fills_at_close and closing.working.kind == "market":
                        self._at_this_close(closing)
        except OrderRejected as refusal:
            self.venue.refuse(
                desk, ask.command, refusal.reason, refusal.detail, branch, ask.order_id
            )

    def _on_action(self, envelope: Envelope, action: DecisionAction) -> Awaitable[None] | None:
        desk = self._desk_of(envelope)
        given = action.command_id
        if given is not None and not (isinstance(given, int) and given > 0):
            if not desk.is_new_id(given):
                self._refuse_again(desk, given)
                return None
        try:
            ask = message_of(action, desk.accounts)
        except OrderRejected as refusal:
            command = action.command_id if isinstance(action.command_id, int) else 0
            self.venue.refuse(desk, command, refusal.reason, refusal.detail, None, action.order_id)
            return None
        if isinstance(ask, Create):
            return self._on_create(envelope, ask)
        return self._on_amend(envelope, ask)

    def _refuse_again(self, desk: Desk, command: UUID | int) -> None:
        """A command that came before has no second effect; its own answer stays what it was."""
        detail = f"command {command} came before: it has one effect"
        self.venue.refuse(desk, 0, RejectReason.DUPLICATE_COMMAND, detail, None)

    def _desk_of(self, envelope: Envelope) -> Desk:
        desk = self.venue.desks.get(envelope[3].sender)
        if desk is None:
            raise BacktestError(f"no agent called {envelope.channel.sender!r} may trade here")
        return desk

    def _find(self, desk: Desk, order_id: UUID | None) -> Branch:
        known = self.venue.branch_of
        branch = None if order_id is None else known.get(order_id.int)
        if branch is not None and branch.desk is desk:
            return branch
        if order_id is None or order_id.int not in known:
            raise OrderRejected(
                RejectReason.UNKNOWN_ORDER, f"there is no order {order_id} here", order_id
            )
        if branch is None:
            raise OrderRejected(RejectReason.ALREADY_DONE, "this order is done", order_id)
        raise OrderRejected(
            RejectReason.NOT_YOURS, f"this order belongs to {branch.desk.name}", order_id
        )

    def _at_this_close(self, what: Branch | Closing) -> None:
        self.link(self.name).post(_AtThisClose(what))
