"""The broker: a venue that fills orders against historical bars."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from backtest.errors import BacktestError, OrderRejected, RejectReason
from backtest.models import Account, Agent, Bar, DecisionAction, TradingPair, TradingRules
from backtest.services.valuation import Valuation

from .acceptance import Acceptance
from .account import ACCOUNT
from .actor import Actor
from .amendment import Amendment
from .book import Branch, Closing, Desk, PairBook
from .channel import Channel
from .execution import Execution
from .message import MARKET_TO_STRATEGY, Envelope
from .protocol import EndOfData, Hello, ReadBalances, Welcome
from .venue import Venue

__all__ = ["BROKER", "BrokerActor"]

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
    accounts (the default one first).
    """

    handles_inside = awaits_inside = False

    def __init__(
        self,
        broker_id: UUID,
        run_id: UUID,
        pairs: Mapping[str, tuple[TradingPair, TradingRules]],
        agents: Mapping[str, tuple[Agent, tuple[Account, ...]]],
        valuation: Valuation,
    ) -> None:
        super().__init__(BROKER)
        self.venue = Venue(self, broker_id, run_id, pairs, valuation)
        self._agents = agents
        self._acceptance = Acceptance(self.venue)
        self._amendment = Amendment(self.venue)
        self._execution = Execution(self.venue, self._amendment)
        self._listeners: list[Channel] = []
        self.bars = 0
        """Bars processed."""

    async def started(self) -> None:
        venue = self.venue
        venue.attach()
        balances = await self.link(ACCOUNT).request(ReadBalances())
        for name, (agent, accounts) in self._agents.items():
            desk = Desk(name, agent, {one.account_id: one.name for one in accounts}, self.link(name))
            venue.desks[name] = desk
            for one in accounts:
                venue.sharers.setdefault(one.name, []).append(desk)
            self._listeners.append(desk.channel)
        venue.learn(balances)
        venue.valuation.begin(self.system.now)

    def handle(self, envelope: Envelope) -> Awaitable[None] | None:
        payload = envelope[4]
        kind = type(payload)
        if kind is Bar:
            return self._on_bar(payload)
        if kind is DecisionAction:
            return self._on_command(envelope, payload)
        if kind is _AtThisClose:
            if type(payload.what) is Branch:
                return self._execution.match_close(payload.what)
            return self._execution.match_closing(payload.what)
        if kind is Hello:
            self._welcome(envelope)
        elif kind is EndOfData:
            self.venue.valuation.sample(self.system.now)
        else:
            raise BacktestError(f"the broker does not understand {payload!r}")
        return None

    def _welcome(self, envelope: Envelope) -> None:
        venue = self.venue
        desk = venue.desks.get(envelope.channel.sender)
        if desk is None:
            raise BacktestError(f"no agent called {envelope.channel.sender!r} may trade here")
        names = set(desk.accounts.values())
        welcome = Welcome(
            {code: book.pair for code, book in venue.books.items()},
            tuple(desk.accounts.items()),
            {key: both for key, both in venue.money.items() if key[0] in names},
            desk.agent.agent_id,
            venue.broker_id,
            venue.run_id,
        )
        self.answer(envelope, welcome)

    # -- market events: phases 1 to 5 --------------------------------------------------------------

    def _on_bar(self, bar: Bar) -> Awaitable[None] | None:
        self.bars += 1
        venue = self.venue
        if venue.valuation.time != bar.close_ns:
            venue.valuation.sample(bar.close_ns)
        book = venue.books[bar.pair]
        if book.charges_overnight and self._execution.is_due(book, bar):
            return self._with_charges(book, bar)
        if book.branches or book.holdings:
            walk, hit = self._execution.walk(book, bar)
            if hit is not None or walk.triggered:
                return self._with_fills(book, bar, walk, hit)
            book.left = walk.pools
        elif book.rules.fill_on == "this_close":
            self._execution.walk(book, bar)
        self._mark(book, bar)
        return None

    async def _with_fills(self, book: PairBook, bar: Bar, walk: Any, hit: Any) -> None:
        await self._execution.match(book, bar, walk, hit)
        self._mark(book, bar)

    async def _with_charges(self, book: PairBook, bar: Bar) -> None:
        await self._execution.charge_until(book, bar.open_ns)
        walk, hit = self._execution.walk(book, bar)
        await self._execution.match(book, bar, walk, hit)
        # What falls due inside the bar is charged at its close, the first mark after.
        book.last = bar.close
        await self._execution.charge_until(book, bar.close_ns - 1)
        self._mark(book, bar)

    def _mark(self, book: PairBook, bar: Bar) -> None:
        """Take the close as the mark and let the strategies decide."""
        book.bar = bar
        book.last = bar.close
        self.venue.valuation.prices[book.code] = bar.close
        for listener in self._listeners:
            listener.post(bar, MARKET_TO_STRATEGY)

    # -- commands ----------------------------------------------------------------------------------

    async def _on_command(self, envelope: Envelope, action: DecisionAction) -> None:
        venue = self.venue
        desk = venue.desks.get(envelope.channel.sender)
        if desk is None:
            raise BacktestError(f"no agent called {envelope.channel.sender!r} may trade here")
        command: int = action.command_id if isinstance(action.command_id, int) else 0
        branch = None
        try:
            name = action.action_type.name
            if name.startswith("CREATE"):
                branch = await self._acceptance.create(desk, action)
                if branch.working.kind == "market":
                    self._maybe_at_close(branch.book, branch)
                return
            branch = self._find(desk, action)
            if name.startswith("CANCEL"):
                await self._amendment.cancel(
                    branch,
                    action.volume,
                    RejectReason.REQUESTED,
                    f"asked for by {desk.name}",
                    command,
                )
            elif name.startswith("MODIFY"):
                await self._amendment.modify(branch, action)
            elif name.startswith("SPLIT"):
                await self._amendment.split(branch, action)
            else:
                for closing in self._amendment.close(branch, action):
                    if closing.working.kind == "market":
                        self._maybe_at_close(branch.book, closing)
        except OrderRejected as refusal:
            venue.refuse(
                desk, command, refusal.reason, refusal.detail, branch, action.order_id
            )

    def _find(self, desk: Desk, action: DecisionAction) -> Branch:
        known = self.venue.branch_of
        order_id = action.order_id
        if order_id is None or order_id not in known:
            raise OrderRejected(
                RejectReason.UNKNOWN_ORDER, f"there is no order {order_id} here", order_id
            )
        branch = known[order_id]
        if branch is None:
            raise OrderRejected(RejectReason.ALREADY_DONE, "this order is done", order_id)
        if branch.desk is not desk:
            raise OrderRejected(
                RejectReason.NOT_YOURS, f"this order belongs to {branch.desk.name}", order_id
            )
        return branch

    def _maybe_at_close(self, book: PairBook, what: Branch | Closing) -> None:
        if book.rules.fill_on == "this_close":
            self.link(self.name).post(_AtThisClose(what))
