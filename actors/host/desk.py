"""The desk of a strategy: what it asks of its host, and when that leaves."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from backtest.actors.kernel.actor import Actor
from backtest.actors.kernel.channel import Channel
from backtest.actors.kernel.message import COMMAND, TIMER
from backtest.actors.kernel.signal import UNSET
from backtest.actors.protocol import BROKER, Amend, Create, ReadDepth
from backtest.errors import InboxOverflow, OrderFlood, SimulationEnded, Undeliverable
from backtest.models import DecisionAction, Depth, Quote, TradingPair

from .chosen import Chosen
from .compute_delay import Thinking
from .interface import Timer
from .streams import MarketStreams
from .warm_up import WarmUp

__all__ = ["Desk"]

_new: Any = tuple.__new__


class Desk(Actor):
    """The part of `StrategyHost` that the strategy calls; ``computation`` nanoseconds take its
    wake-ups."""

    streams: MarketStreams
    """Its iterators over market data."""
    _venue: Channel
    _pairs: Mapping[str, TradingPair]

    def __init__(self, name: str, computation: int) -> None:
        super().__init__(name)
        self._thinking = Thinking(computation) if computation else None
        """Until when it is busy; None while it takes no time to think."""
        self.is_over = False
        """Whether the run has ended: no bar will come, no order will fill."""
        self.too_late = 0
        """How many commands it sent when the data had ended."""
        self.last: dict[str, Decimal] = {}
        """The last price of each pair that the strategy was given: at what the venue marks."""
        self._quoted: dict[str, Quote] = {}
        """The last quote of each pair that it was given: of those, quotes say what the last price
        is."""
        self.warm_up: WarmUp | None = None
        """What it has seen, while it may not order yet."""
        self.commands = 0
        """The number of the last command."""
        self._timers_set = 0
        self._timers: set[int] = set()
        self._subscribed: Chosen | None = None
        """What it has chosen; None: everything comes."""

    def submit(self, action: Create | Amend | DecisionAction) -> None:
        """Send a command to the venue. Raises `SimulationEnded` once the run is over for good,
        `Undeliverable` when the venue has ended before."""
        if not self._venue.target.open:
            self._check_venue()
        if self.is_over:
            self.too_late += 1
        try:
            if self._thinking is None:
                self._venue.post(action)
            else:
                self._venue.post_from(self._thinking.free, action)
        except InboxOverflow as full:
            raise OrderFlood(self.name, full.bound) from full

    def _check_venue(self) -> None:
        if not self._venue.target.open:
            if not self.is_over:
                raise Undeliverable(f"{self.name} sent a command to {BROKER}, which has ended")
            raise SimulationEnded("the run has ended: no command can be sent any more")

    def subscribe(self, pair: str, conflate: bool, length: int | None = None) -> None:
        """From now on get the events of ``pair`` (of bars those of ``length``, or all), and only of
        what was subscribed to like this."""
        if self._subscribed is None:
            self._subscribed = {}
        self._subscribed.setdefault(pair, {})[length] = conflate
        if self.streams.published is not None:
            self.streams.published.choose(pair)

    async def read_depth(self, pair: str, levels: int) -> Depth:
        """The depth of ``pair`` as the venue answers; it takes the time of the link, both ways."""
        question = _new(ReadDepth, (pair, levels))
        thinking = self._thinking
        if thinking is not None and thinking.free > self.events.now:
            await self.system.sleep_until(thinking.free)
        depth: Depth = self._venue.look(question)
        if depth is UNSET:
            self._check_venue()
            depth = await self._venue.request(question)
        if thinking is not None:
            thinking.wake(self.events.now)
        self._note_last(pair, depth.last)
        return depth

    def ask_depth(self, pair: str, levels: int) -> None:
        """Ask for the depth; it comes as a `Snapshot`."""
        self._check_venue()
        self.send(self._venue, ReadDepth(pair, levels))

    def set_timer(self, name: str, at: int, every: int) -> int:
        """Call ``on_timer`` at ``at`` (nanoseconds), and then every so many nanoseconds."""
        self._timers_set += 1
        timer = Timer(name, every, self._timers_set)
        self._timers.add(timer.number)
        self._to_itself.post_at(at, timer, TIMER)
        return timer.number

    def cancel_timer(self, number: int) -> None:
        self._timers.discard(number)

    @property
    def _to_itself(self) -> Channel:
        return self.link(self.name)

    def asked(self, pair: str, buy: bool = True) -> Decimal | None:
        """At what a buy would meet the market, by what the strategy was given: the ask of the last
        quote (a sell: its bid), else the last price; None before there was one."""
        quote = self._quoted.get(pair)
        if quote is None:
            return self.last.get(pair)
        return quote.ask if buy else quote.bid

    def think(self, ns: int) -> None:
        """Be busy for so many nanoseconds more."""
        if self._thinking is None:
            self._thinking = Thinking()
        self._thinking.add(self.events.now, ns)

    def send(self, link: Channel, payload: Any, priority: int = COMMAND) -> None:
        """Send ``payload``; it leaves when the strategy has done thinking."""
        if self._thinking is None:
            link.post(payload, priority)
        else:
            link.post_from(self._thinking.free, payload, priority)

    def _note_last(self, pair: str, last: Decimal | None) -> None:
        """Where market data comes to who wants it alone, whatever names the mark tells of it."""
        if last is not None and self.streams.published is not None:
            self.last[pair] = last

    def is_warm(self) -> bool:
        """Whether it may order now: it has seen enough, and the run has come to its start."""
        warm_up = self.warm_up
        if warm_up is None:
            return True
        if self.events.now < warm_up.until_ns or self.bars_warmed(warm_up) < warm_up.needed:
            return False
        self.warm_up = None
        return True

    def bars_warmed(self, warm_up: WarmUp) -> int:
        """How many bars it has had of each pair that it follows: of those it subscribed to, else of
        all; where market data comes to who wants it alone, of those that came."""
        if self._subscribed is not None or self.streams.published is None:
            return warm_up.seen(self._pairs if self._subscribed is None else self._subscribed)
        return warm_up.seen(None)

    def done_in_vain(self, has_on_timer: bool) -> list[str]:
        """What it asked for that came to nothing."""
        told = []
        if self._timers_set and not has_on_timer:
            told.append("set timers, and has no on_timer that they could call")
        if self.too_late:
            told.append(
                f"sent {self.too_late:,} commands when the data had ended (in on_stop, or after a "
                "loop over it): nothing fills any more"
            )
        return told
