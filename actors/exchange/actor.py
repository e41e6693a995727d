"""The exchange: a venue where agents trade with each other, in an order book per pair."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from backtest.actors.kernel.channel import Channel
from backtest.actors.kernel.message import ORDER_EVENT, Envelope
from backtest.actors.kernel.signal import UNSET
from backtest.actors.protocol import (
    Amend,
    Balances,
    Create,
    EndOfData,
    FallDue,
    Hello,
    ReadDepth,
    Subscribe,
    Verb,
)
from backtest.actors.venue.actor import VenueActor
from backtest.actors.venue.branch import Branch
from backtest.actors.venue.cancel import Cancellation
from backtest.actors.venue.commands import Commands
from backtest.actors.venue.cross_accounts import know_cross
from backtest.actors.venue.expiry import Expiry
from backtest.actors.venue.financing import Financing
from backtest.actors.venue.settlement import Settlement
from backtest.actors.venue.snapshots import give_depth
from backtest.actors.venue.spot_exits import SpotExits
from backtest.actors.venue.venue import Venue
from backtest.errors import BacktestError, ConfigError, RejectReason
from backtest.models import Account, Agent, DecisionAction, Depth, MarketTrade
from backtest.money import ZERO
from backtest.services.fills.walk import Group
from backtest.services.valuation import Valuation
from backtest.times import MINUTE

from .auctions import HaltEnds
from .calls import Calls
from .market import MarketBook, MarketSpec
from .matching import Matching
from .publication import Publication
from .session import Phase
from .trades import Trades

__all__ = ["ExchangeActor"]

_NOTHING = (ZERO, ZERO)
_NO_GROUP = Group(None)
"""There are no bars to walk here."""


class _BarEnds(NamedTuple):
    """The exchange to itself: the time of a bar is over."""

    pair: str
    start: int


class _ExchangeVenue(Venue):
    """A venue whose orders meet each other."""

    def __init__(self, actor: Any, broker_id: UUID, run_id: UUID, specs: Any, valuation: Any):
        self._specs: Mapping[str, MarketSpec] = specs
        self._house: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
        pairs = {code: (one.pair, one.rules) for code, one in specs.items()}
        super().__init__(actor, broker_id, run_id, pairs, valuation)

    def new_book(self, pair: Any, rules: Any) -> MarketBook:
        return MarketBook(self._specs[pair.code], self.actor)

    def learn(self, touched: Balances) -> Balances:
        """Take note of balances. What agents deal with each other leaves what they own together as
        it was, so that only what went to the house or came from it counts for the valuation."""
        money, sharers, house = self.money, self.sharers, self._house
        known = {}
        for key, both in touched.items():
            if key[0] in sharers:
                known[key] = money[key] = both
            else:
                self.valuation.balance(key[1], both, house.get(key, _NOTHING))
                house[key] = both
        return known

    def new_group(self, branch: Branch) -> Group:
        return _NO_GROUP


class ExchangeActor(VenueActor):
    """Takes commands one at a time, lets orders meet, and publishes what became of the market.

    ``markets`` are its pairs, by code; ``agents`` who may trade here, by the name of their actor,
    with their accounts (the default one first). It answers to the name of the broker: a strategy
    need not know which of the two it trades at. A trade is one entry of the ledger, with the legs
    of both. `Phase` messages, of a session, say when there are auctions and when it is closed.

    Raises `ConfigError` for an account with collateral, which nobody buys at the mark here.
    """

    publishes = True

    def __init__(
        self,
        broker_id: UUID,
        run_id: UUID,
        markets: Mapping[str, MarketSpec],
        agents: Mapping[str, tuple[Agent, tuple[Account, ...]]],
        valuation: Valuation,
    ) -> None:
        super().__init__(agents)
        accounts = {one.name: one for _, owned in agents.values() for one in owned}
        for account in accounts.values():
            if account.collateral:
                raise ConfigError(
                    f"account {account.name!r} has {', '.join(account.collateral)} as collateral, "
                    "which on an exchange nobody buys at the mark: leave collateral out there"
                )
        venue = self.venue = _ExchangeVenue(self, broker_id, run_id, markets, valuation)
        books: dict[str, MarketBook] = {}
        for code, book in venue.books.items():
            assert isinstance(book, MarketBook)
            books[code] = book
            assert book.last is not None
            valuation.prices[code] = book.last
        self.books = books
        self._valuation = valuation
        cancellation = Cancellation(venue)
        exits = SpotExits(venue, cancellation)
        know_cross(venue, accounts.values())
        calls = Calls(venue, cancellation)
        self._financing = Financing(venue, calls)
        self._commands = Commands(venue, cancellation, exits, self._financing)
        self.publication = Publication(books)
        self._trades = Trades(venue, cancellation, Settlement(venue, exits), calls)
        self._matching = Matching(
            venue, cancellation, self._trades, self.publication, _owners(agents), calls
        )
        self._dues = Expiry(venue, cancellation, self._financing)
        self._bars_on: set[str] = set()
        self._sample_at = 0

    @property
    def trades_log(self) -> list[MarketTrade]:
        """Every trade so far, with both sides by name."""
        return self._trades.tape

    async def started(self) -> None:
        first = not self.venue.clients
        await super().started()
        for book in self.books.values():
            self._look_ahead(book)
        if first:
            self.venue.publisher.told = []
            self.venue.publisher.held = []
        else:
            self._matching.has_failed = True

    def _forget(self, channel: Channel) -> None:
        super()._forget(channel)
        self.publication.forget(channel.target.name)

    # -- messages ----------------------------------------------------------------------------------

    def handle(self, envelope: Envelope) -> Awaitable[None] | None:
        payload = envelope[4]
        kind = type(payload)
        now = self.events.now
        if now >= self._sample_at:
            # What all agents together are worth is looked at once a minute, not at every message.
            self._valuation.move_to(now)
            self._sample_at = (now // MINUTE + 1) * MINUTE
        if kind is Create:
            return self._create(envelope, payload)
        if kind is ReadDepth:
            give_depth(self, envelope, self._depth(payload))
        elif kind is Amend:
            return self._amend(envelope, payload)
        elif kind is DecisionAction:
            return self._act(envelope, payload)
        elif kind is FallDue:
            return self._ring(payload)
        elif kind is Phase:
            return self._change_phase(payload)
        elif kind is HaltEnds:
            return self._end_halt(payload)
        else:
            self._hear(envelope, payload)
        return None

    def _hear(self, envelope: Envelope, payload: Any) -> None:
        """What is neither a command nor a change of the market."""
        kind = type(payload)
        if kind is Subscribe:
            self._subscribe(envelope, payload)
        elif kind is _BarEnds:
            self._end_bar(payload)
        elif kind is Hello:
            self._welcome(envelope)
            client = self._commands.client_of(envelope)
            self.publication.welcome(client.name, client.channel, payload.wants)
            self._tick_bars()
        elif kind is EndOfData:
            self.venue.valuation.sample(self.events.now)
        else:
            raise BacktestError(f"the exchange does not understand {payload!r}")

    def look(self, payload: Any) -> Any:
        return self._depth(payload) if type(payload) is ReadDepth else UNSET

    def _depth(self, asked: ReadDepth) -> Depth | BacktestError:
        book = self.books.get(asked.pair)
        if book is None:
            known = ", ".join(self.books)
            return BacktestError(f"there is no pair {asked.pair!r} here; there are: {known}")
        return self.publication.depth(book, asked.levels)

    def _subscribe(self, envelope: Envelope, ask: Subscribe) -> None:
        client = self._commands.client_of(envelope)
        if ask.pair not in self.books:
            raise BacktestError(f"there is no pair {ask.pair!r} to subscribe to")
        self.publication.subscribe(client.name, client.channel, ask)
        self._tick_bars()

    # -- commands ----------------------------------------------------------------------------------

    async def _create(self, envelope: Envelope, ask: Create) -> None:
        book = self.books.get(ask.pair)
        if book is not None and book.phase == "closed":
            self._refuse_closed(envelope, ask.command)
            return
        await self._commands.create(envelope, ask)
        await self._matching.settle()

    async def _amend(self, envelope: Envelope, ask: Amend) -> None:
        if ask.verb is not Verb.CANCEL and self._is_closed(None, ask.order_id):
            self._refuse_closed(envelope, ask.command)
            return
        await self._commands.amend(envelope, ask)
        await self._matching.settle()

    async def _act(self, envelope: Envelope, action: DecisionAction) -> None:
        if "CANCEL" not in action.action_type.name and self._is_closed(
            action.trading_pair_code, action.order_id
        ):
            command = action.command_id if isinstance(action.command_id, int) else 0
            self._refuse_closed(envelope, command)
            return
        pending = self._commands.act(envelope, action)
        if pending is not None:
            await pending
        await self._matching.settle()

    def _is_closed(self, pair: str | None, order_id: UUID | None) -> bool:
        """Whether the market is closed in which the order is, or is to be."""
        book = None if pair is None else self.books.get(pair)
        if order_id is not None:
            branch = self.venue.branch_of.get(order_id.int)
            if branch is not None:
                book = self.books[branch.book.code]
        return book is not None and book.phase == "closed"

    def _refuse_closed(self, envelope: Envelope, command: int) -> None:
        client = self._commands.client_of(envelope)
        publisher = self.venue.publisher
        if command > 0 and not client.is_new(command):
            self._commands.refuse_again(client, command)
        else:
            closed = RejectReason.MARKET_CLOSED
            publisher.refuse(client, command, closed, "the market is closed now", None)
        publisher.release()

    # -- time --------------------------------------------------------------------------------------

    async def _ring(self, due: FallDue) -> None:
        book, now = self.books[due.pair], self.events.now
        if book.charges and self._financing.is_due_at(book, now):
            await self._dues.settle(book, now)
        await self._dues.ring(book)
        self._look_ahead(book)
        await self._matching.settle()

    def _look_ahead(self, book: MarketBook) -> None:
        """Make sure that the clock wakes the exchange when positions are charged next."""
        if book.charges:
            self._financing.is_due_at(book, self.events.now)  # finds out when that is
            due = [] if book.next_rollover is None else [book.next_rollover]
            if book.next_funding is not None:
                due.append(book.next_funding[0])
            self.venue.set_alarm(book, min(due))

    async def _change_phase(self, message: Phase) -> None:
        await self._matching.change_phase(self.books[message.pair], message.phase)
        await self._matching.settle()

    async def _end_halt(self, halt: HaltEnds) -> None:
        await self._matching.end_halt(self.books[halt.pair])
        await self._matching.settle()

    def _tick_bars(self) -> None:
        """Let the clock end the bars of each market whose bars anybody reads."""
        for code, book in self.books.items():
            if code not in self._bars_on and self.publication.has_bars(code):
                self._bars_on.add(code)
                length = book.spec.bar_ns
                start = self.events.now // length * length
                self._set_bar(code, start, length)

    def _set_bar(self, code: str, start: int, length: int) -> None:
        self.publication.begin_bar(code, start)
        self.link(self.name).post_at(start + length, _BarEnds(code, start), ORDER_EVENT)

    def _end_bar(self, due: _BarEnds) -> None:
        book, now = self.books[due.pair], self.events.now
        self.publication.end_bar(book, due.start, now)
        if self.publication.has_bars(due.pair):
            self._set_bar(due.pair, now, book.spec.bar_ns)
        else:
            self._bars_on.discard(due.pair)


def _owners(agents: Mapping[str, tuple[Agent, tuple[Account, ...]]]) -> dict[str, int]:
    """A number for each account: the same for those of one agent, and for agents that share one."""
    owners: dict[str, int] = {}
    for number, (_, accounts) in enumerate(agents.values(), 1):
        names = [account.name for account in accounts]
        known = {owners[name] for name in names if name in owners}
        for name in names:
            owners[name] = number
        if known:
            for name, owner in owners.items():
                if owner in known:
                    owners[name] = number
    return owners
