"""The broker: a venue that fills orders against historical bars."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any
from uuid import UUID

from backtest.actors.kernel.message import MARKET_TO_STRATEGY, Envelope
from backtest.actors.kernel.signal import UNSET
from backtest.actors.protocol import Amend, Create, EndOfData, FallDue, Hello, ReadDepth, Subscribe
from backtest.actors.venue.actor import VenueActor
from backtest.actors.venue.branch import Branch
from backtest.actors.venue.cancel import Cancellation
from backtest.actors.venue.commands import AtThisClose, Commands
from backtest.actors.venue.cross_accounts import know_cross
from backtest.actors.venue.expiry import Expiry, hold_back
from backtest.actors.venue.financing import Financing
from backtest.actors.venue.pair_book import PairBook
from backtest.actors.venue.settlement import Settlement
from backtest.actors.venue.snapshots import give_depth
from backtest.actors.venue.spot_exits import SpotExits
from backtest.actors.venue.venue import Venue
from backtest.errors import BacktestError, Deadlock
from backtest.models import (
    Account,
    Agent,
    Bar,
    DecisionAction,
    Depth,
    Quote,
    Tick,
    Trade,
    TradingPair,
    TradingRules,
)
from backtest.services.book.quoted_depth import depth_of_quote
from backtest.services.cadence import Cadence
from backtest.services.fills.walk import mark_of
from backtest.services.valuation import Valuation

from .cross_margin import CrossMargin
from .execution import Execution
from .fills import Fills
from .quotes import StandingQuotes

__all__ = ["BrokerActor"]

_MARKET = frozenset((Bar, Quote, Trade, EndOfData))


class BrokerActor(VenueActor):
    """Takes market events and commands one at a time; tells strategies what came of them.

    ``agents`` are the strategies that may trade here, by the name of their actor, with their
    accounts (the default one first). ``cadences`` are those of each pair's sources of bars; of
    a pair left out there is one, of which nothing is known.
    """

    def __init__(
        self,
        broker_id: UUID,
        run_id: UUID,
        pairs: Mapping[str, tuple[TradingPair, TradingRules]],
        agents: Mapping[str, tuple[Agent, tuple[Account, ...]]],
        valuation: Valuation,
        cadences: Mapping[str, Sequence[Cadence]] | None = None,
        opens_ns: int | None = None,
    ) -> None:
        super().__init__(agents)
        self.venue = Venue(self, broker_id, run_id, pairs, valuation, opens_ns)
        self._valuation, self._prices = valuation, valuation.prices
        self._books = self.venue.books
        for code, known in (cadences or {}).items():
            self._books[code].expect(known)
        cancellation = Cancellation(self.venue)
        exits = SpotExits(self.venue, cancellation)
        fills = Fills(self.venue, cancellation, Settlement(self.venue, exits))
        self._cross = CrossMargin(self.venue, cancellation, fills)
        self._financing = Financing(self.venue, self._cross, fills.test_level)
        self._commands = Commands(self.venue, cancellation, exits, self._financing)
        self._execution = Execution(self.venue, cancellation, fills, self._cross)
        self._dues = Expiry(self.venue, cancellation, self._financing)
        self._quote_desk = StandingQuotes(self.venue, self._execution, self._financing, self._cross)
        self._is_quoted = False
        """Whether there ever was a quote."""
        know_cross(self.venue, [one for _, owned in agents.values() for one in owned])

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
            return self._and_meet(self._commands.create(envelope, payload))
        if kind is Quote or kind is Trade:
            return self._on_tick(payload)
        if kind is Amend:
            return self._and_meet(self._commands.amend(envelope, payload))
        if kind is DecisionAction:
            done = self._commands.act(envelope, payload)
            return None if done is None else self._and_meet(done)
        if kind is AtThisClose:
            return self._match_close(payload.what)
        if kind is FallDue:
            return self._dues.ring(self._books[payload.pair])
        if kind is ReadDepth:
            give_depth(self, envelope, self._depth(payload))
        elif kind is Hello:
            self._welcome(envelope)
        elif kind is Subscribe:
            pass  # everything comes to everybody here
        elif kind is EndOfData:
            self.venue.valuation.sample(self.events.now)
        else:
            raise BacktestError(f"the broker does not understand {payload!r}")
        return None

    def _match_close(self, what: Any) -> Awaitable[None]:
        """Let an order, or what closes a position, fill at the close that has just been."""
        if type(what) is Branch:
            return self._execution.match_close(what)
        return self._execution.match_closing(what)

    def look(self, payload: Any) -> Any:
        return self._depth(payload) if type(payload) is ReadDepth else UNSET

    def _depth(self, asked: ReadDepth) -> Depth | BacktestError:
        """What history knows of a book: its last quote."""
        book = self._books.get(asked.pair)
        if book is None:
            return BacktestError(f"there is no pair {asked.pair!r} here")
        return depth_of_quote(asked.pair, self.events.now, book.last_quote, book.last)

    # -- commands between market events ------------------------------------------------------------

    def _and_meet(self, command: Awaitable[None]) -> Awaitable[None]:
        """Carry out a command; what it made new meets the quote that stands, if one may."""
        return self._quote_desk.carry_out(command) if self._is_quoted else command

    # -- market events: phases 1 to 5 --------------------------------------------------------------

    def _on_bar(self, bar: Bar) -> Awaitable[None] | None:
        self.bars += 1
        valuation = self._valuation
        if valuation.time != bar.close_ns:
            valuation.move_to(bar.close_ns)
        book = self._books[bar.pair]
        if book.is_watchful:
            book.standing.end_by(bar)
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
        if book.branches or book.positions or book.backs:
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
        await self._dues.settle(book, bar.close_ns - 1, inside=bar)
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
        book.standing.end_by(tick)
        if (book.charges and self._financing.is_due_at(book, time)) or (
            book.due is not None and book.due <= time
        ):
            return self._tick_with_dues(book, tick)
        book.cover().ticked(time)
        return self._match_tick(book, tick)

    async def _tick_with_dues(self, book: PairBook, tick: Tick) -> None:
        time = tick.time_ns
        await self._dues.settle(book, time, at_tick=True)
        if book.due is not None and book.due <= time:
            # A bar that closes now comes after its ticks: the alarm at this time decides.
            hold_back(book, time)
        book.cover().ticked(time)
        pending = self._match_tick(book, tick)
        if pending is not None:
            await pending
        self._dues.look_ahead(book)

    def _match_tick(self, book: PairBook, tick: Tick) -> Awaitable[None] | None:
        if book.branches or book.positions or book.backs:
            walk, hit = self._execution.walk_tick(book, tick)
            if hit is not None or walk.triggered or walk.trailed or book.immediate:
                return self._tick_with_fills(book, tick, walk, hit)
            if self.venue.cross:
                return self._tick_with_fills(book, tick, walk, None)
        # Nothing was taken of it.
        self._mark_tick(book, tick, None)
        self._tell_tick(tick)
        return None

    async def _tick_with_fills(self, book: PairBook, tick: Tick, walk: Any, hit: Any) -> None:
        await self._execution.match(book, tick, walk, hit)
        self._mark_tick(book, tick, walk.pools)
        if self.venue.cross:
            await self._cross.test(book)
        self._tell_tick(tick)

    def _mark_tick(self, book: PairBook, tick: Tick, left: Any) -> None:
        """Take the quote's middle, or the trade's price, as the mark; a quote stands from now on,
        with what fills have ``left`` of it.

        Where there are quotes, a trade does not mark.
        """
        if type(tick) is Quote:
            book.last_quote = tick
            book.standing.begin(tick, left)
            self._is_quoted = True
            if book.queue is not None:
                book.queue.quote = tick
        if type(tick) is Quote or book.last_quote is None:
            book.bar = tick
            book.last = self._prices[book.code] = mark_of(tick, book.pair.price_increment)

    def _tell_tick(self, tick: Tick) -> None:
        """Let the strategies decide."""
        for listener in self._listeners:
            listener.post(tick, MARKET_TO_STRATEGY)
