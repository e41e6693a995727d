"""The strategy host: the actor in which one strategy lives.

It brings the strategy what concerns it, in order, and carries its commands to the venue. State
that must be true at any moment (balances, positions, order handles) is updated when the event
arrives, also while a handler is suspended; handlers run one at a time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping
from decimal import Decimal
from functools import partial
from inspect import iscoroutinefunction
from typing import Any

from backtest.actors.kernel.actor import Actor
from backtest.actors.kernel.channel import Channel
from backtest.actors.kernel.deadlock import line_of
from backtest.actors.kernel.fiber import Fiber
from backtest.actors.kernel.latency import Latency, LinkLatencies, Network
from backtest.actors.kernel.lateness import Lateness
from backtest.actors.kernel.message import COMMAND, TIMER, Envelope
from backtest.actors.kernel.pubsub import Message
from backtest.actors.kernel.signal import UNSET
from backtest.actors.protocol import (
    BROKER,
    Amend,
    BalanceUpdate,
    Create,
    Hello,
    Kind,
    OrderEvent,
    ReadDepth,
    Snapshot,
)
from backtest.errors import (
    BacktestError,
    FieldTypeError,
    InboxOverflow,
    OrderFlood,
    SimulationEnded,
    Undeliverable,
)
from backtest.models import (
    Bar,
    DecisionAction,
    Depth,
    DepthUpdate,
    MarketEvent,
    Quote,
    Tick,
    Trade,
)
from backtest.services.fills.tick_prices import mark_of

from .compute_delay import Thinking
from .depth import with_depth
from .interface import Handler, Handlers, Hosted, Timer, Unseen
from .links import charge_links
from .streams import MarketStreams
from .subscriptions import Subscriptions
from .topics import Topics
from .warm_up import WarmUp

__all__ = ["StrategyHost"]

_MARKET = (Bar, Quote, Trade)
_HANDLER_OF = {
    Bar: "on_bar",
    Quote: "on_quote",
    Trade: "on_trade",
    Depth: "on_depth",
    DepthUpdate: "on_depth",
}
_CALLED: dict[Kind, str] = {"bars": "on_bar", "quotes": "on_quote", "trades": "on_trade"}
"""The handlers that kinds of market data call."""
_new: Any = tuple.__new__


class StrategyHost(Actor):
    """Runs ``strategy``; its handlers one at a time, its ``run`` beside them."""

    is_agent = True
    handles_inside = False  # the host's own code needs no task; it enters it for the strategy's

    def __init__(
        self,
        name: str,
        strategy: Hosted,
        *,
        inbox_bound: int = 100_000,
        latency: Latency | LinkLatencies | Network | None = None,
        computation: int = 0,
    ) -> None:
        super().__init__(name)
        self._thinking = Thinking(computation) if computation else None
        """Until when it is busy; None while it takes no time to think."""
        self._latency = latency
        self.inbox_bound = inbox_bound
        self.strategy = strategy
        self.is_over = False
        """Whether the run has ended: no bar will come, no order will fill."""
        self.bars_seen = 0
        self.unseen: list[Unseen] = []
        """What it was sent and has never looked at, once the run is over."""
        self._late = Lateness()
        """Of what its handlers are given."""
        self.too_late = 0
        """How many commands it sent when the data had ended."""
        self.warm_up: WarmUp | None = None
        """What it has seen, while it may not order yet."""
        self.last: dict[str, Decimal] = {}
        """The last price of each pair that the strategy was given: at what the venue marks."""
        self._quoted: dict[str, Quote] = {}
        """The last quote of each pair that it was given: of those, quotes say what the last price
        is."""
        self._handlers = Handlers(*(None,) * len(Handlers._fields))
        self._on_bar: Handler | None = None
        self._async_bar = self._async_timer = False
        self._applied = 0
        self._commands = 0
        self._timers_set = 0
        self._subscribed: dict[str, dict[int | None, bool]] | None = None
        """Bar lengths by pair (None: all), and whether they conflate; None: everything comes."""
        self._deferred: Envelope | None = None
        """What it was given and has not begun with, for it is thinking."""
        self._timers: set[int] = set()
        self._line: Fiber | None = None
        self._topics: Topics | None = None

    def attach(self) -> None:
        self.streams = MarketStreams(
            self.system, self.name, self.inbox_bound, lambda late: late.holds(self._line)
        )
        """Its iterators over market data."""
        self._bar_streams = self.streams.bars

    # -- life --------------------------------------------------------------------------------------

    async def started(self) -> None:
        self.fiber.arrive = self._arrive
        self._venue = self.link(BROKER)
        wants = self.strategy._host_wants()
        welcome = await self._venue.request(Hello(wants))
        if self._latency is not None:
            # From here on, for joining is no part of the simulation: it takes no time.
            charge_links(self.system, self.name, self._latency)
        self._pairs = welcome.pairs
        self.streams.published = None
        if welcome.publishes:
            self.streams.published = Subscriptions(self._venue, wants, welcome.pairs)
        fixed = self.strategy._host_computation()
        if fixed and self._thinking is None:
            self._thinking = Thinking(fixed)
        if self._thinking is not None:
            self._thinking.wake(self.system.now)
        self._handlers = self.strategy._host_joined(self, welcome)
        if not welcome.publishes and self._handlers.on_depth is not None:
            increments = {code: pair.price_increment for code, pair in welcome.pairs.items()}
            handler = with_depth(self._handlers.on_quote, self._handlers.on_depth, increments)
            self._handlers = self._handlers._replace(on_quote=handler)
        self._on_bar = self._handlers.on_bar
        self._async_bar = iscoroutinefunction(self._on_bar)
        self._async_timer = iscoroutinefunction(self._handlers.on_timer)
        if self._handlers.on_start is not None:
            pending = self._handlers.on_start()
            if pending is not None:
                await pending
        if self._handlers.run is not None:
            self._line = self.system.spawn(self, "run", self._handlers.run())

    def restart(self, failed: Fiber) -> None:
        if self._line is not None:
            if failed is self._line:
                # The line that failed begins anew; the handlers were not concerned.
                failed.start(self._handlers.run())  # type: ignore[misc]
                return
            if self._line.task is not None:
                self._line.task.cancel()
        # It begins anew: nobody is left who reads the old iterators or waits for the old timers.
        self.streams.clear()
        if self._topics is not None:
            self._topics.clear()
        self._timers.clear()
        failed.start(self.run())

    def closing(self, stage: int) -> None:
        """End the iterators; then cancel what still waits; then run ``on_stop`` on its own."""
        self.is_over = True
        if stage == 0:
            self.streams.close(self._undelivered)
            if self._topics is not None:
                self._topics.close()
            self.strategy._host_ended()
        elif stage == 1:
            self.unseen = self._unseen()
            for fiber in (self._line, self.fiber):
                if fiber is not None and fiber.alive:
                    fiber.task.cancel()  # type: ignore[union-attr]
        elif self._handlers.on_stop is not None:
            self.system.spawn(self, "on_stop", self._stop())

    def _undelivered(self) -> list[MarketEvent]:
        """The market events that were sent to it and that it was not given: they are on their way,
        wait in its inbox, or for it to have done thinking."""
        deferred = [] if self._deferred is None else [self._deferred]
        waiting = [*deferred, *self.fiber.inbox, *self.system.events.on_their_way(self.fiber)]
        return [one[4] for one in waiting if type(one[4]) in _MARKET]

    def _unseen(self) -> list[Unseen]:
        """What waits for its handlers, and in its iterators, and the lines that held them."""
        found = []
        waiting = [envelope[4] for envelope in self.fiber.inbox]
        if self._deferred is not None:
            waiting.append(self._deferred[4])
        handled = 0
        for one in waiting:
            name = _HANDLER_OF.get(type(one))
            if name is not None and type(one) in _MARKET and getattr(self._handlers, name):
                if self._subscribed is None or _conflates(self._subscribed, one) is not None:
                    handled += 1
        for count, fiber, late in (
            (handled, self.fiber, self._late),
            (self.streams.unread(), self._line, self.streams.late),
        ):
            waits = bool(count) and fiber is not None and fiber.alive
            if waits or late.count:
                line = line_of(fiber.task) if waits else late.line  # type: ignore[arg-type, union-attr]
                found.append(Unseen(count if waits else 0, line, late.count, late.most))
        return found

    def in_vain(self, there: Mapping[str, Collection[Kind]]) -> list[str]:
        """What it waited for that could not come; ``there`` says which kinds of data there are, by
        pair."""
        told = []
        pairs = [pair for pair in there if self._subscribed is None or pair in self._subscribed]
        found = dict.fromkeys(kind for pair in pairs for kind in there[pair])
        mine = {kind: name for kind, name in _CALLED.items() if getattr(self._handlers, name)}
        if mine and found and not mine.keys() & found.keys():
            told.append(
                f"has {', '.join(mine.values())}, never called: of {', '.join(pairs)} there are "
                f"{', '.join(found)} ({', '.join(_CALLED[kind] for kind in found)})"
            )
        for kind, pair in self.streams.followed:
            if kind in _CALLED and there.get(pair) and kind not in there[pair]:
                told.append(
                    f"iterated over {kind} of {pair}, and none came: there are "
                    f"{', '.join(there[pair])}"
                )
        if self._timers_set and self._handlers.on_timer is None:
            told.append("set timers, and has no on_timer that they could call")
        if self.too_late:
            told.append(
                f"sent {self.too_late:,} commands when the data had ended (in on_stop, or after a "
                "loop over it): nothing fills any more"
            )
        return told

    async def _stop(self) -> None:
        pending = self._handlers.on_stop()  # type: ignore[misc]
        if pending is not None:
            await pending

    # -- messages ----------------------------------------------------------------------------------

    def handle(self, envelope: Envelope) -> Awaitable[None] | None:
        payload = envelope[4]
        kind = type(payload)
        if self._thinking is not None:
            later = self._wake(envelope, self._thinking)
            if later is not None:
                return later
        if kind is Bar:
            streamed = self._bar_streams and self.streams.push_bar(payload)
            on_bar = self._on_bar
            if self._subscribed is not None and not self._wants(payload):
                if not streamed:
                    return None
                on_bar = None
            self.bars_seen += 1
            if self.warm_up is not None:
                self._warm(self.warm_up, payload)
            if not self._quoted or payload.pair not in self._quoted:
                self.last[payload.pair] = payload.close
            if on_bar is None:
                return None
            if self.fiber.inbox:
                self._note_late(payload)
            # Calling an async handler runs none of it: only a plain one needs its task around it.
            if self._async_bar:
                return on_bar(payload)  # type: ignore[no-any-return]
            pending = self.fiber.inside(on_bar, payload)
            return None if pending is None else _awaitable(pending, "on_bar")
        return self._handle_other(envelope, kind, payload)

    def _handle_other(
        self, envelope: Envelope, kind: type[Any], payload: Any
    ) -> Awaitable[None] | None:
        """`handle`, of anything but a bar."""
        if kind is OrderEvent or kind is BalanceUpdate:
            if envelope[2] > self._applied:
                self._apply(envelope)
            on_order = self._handlers.on_order
            if on_order is None or kind is BalanceUpdate:
                return None
            return _awaitable(self.fiber.inside(on_order, payload), "on_order")
        if kind is Timer:
            return self._on_timer(payload)
        if kind is Quote or kind is Trade:
            return self._on_tick(kind, payload)
        if kind is DepthUpdate or kind is Depth:
            return self._on_depth(payload)
        if kind is Snapshot:
            return self._on_snapshot(payload.depth)
        if kind is Message:
            return self._on_message(payload)
        raise BacktestError(f"{self.name} does not understand {payload!r}")

    def _warm(self, warm_up: WarmUp, event: MarketEvent) -> None:
        warm_up.see(event)
        if self.bars_warmed(warm_up) >= warm_up.needed:
            self.warm_up = None

    def bars_warmed(self, warm_up: WarmUp) -> int:
        """How many bars it has had of each pair that it follows: of those it subscribed to, else of
        all; where market data comes to who wants it alone, of those that came."""
        if self._subscribed is not None or self.streams.published is None:
            return warm_up.seen(self._pairs if self._subscribed is None else self._subscribed)
        return warm_up.seen(None)

    def _wants(self, bar: Bar) -> bool:
        """Whether a strategy that subscribed to some bars did so to those of this length."""
        return _conflates(self._subscribed or {}, bar) is not None

    def _on_tick(self, kind: type[Tick], tick: Tick) -> Awaitable[None] | None:
        streamed = self.streams.ticks and self.streams.push_tick(kind, tick)
        pair = tick.pair
        handler = self._handlers.on_quote if kind is Quote else self._handlers.on_trade
        if self._subscribed is not None and pair not in self._subscribed:
            if not streamed:
                return None
            handler = None
        if self.warm_up is not None:
            self._warm(self.warm_up, tick)
        if kind is Quote:
            self._quoted[pair] = tick  # type: ignore[assignment]
        if kind is Quote or pair not in self._quoted:
            self.last[pair] = mark_of(tick, self._pairs[pair].price_increment)
        if handler is None:
            return None
        if self.fiber.inbox:
            self._note_late(tick)
        pending = self.fiber.inside(handler, tick)
        return None if pending is None else _awaitable(pending, f"on_{kind.__name__.lower()}")

    def _on_depth(self, news: Depth | DepthUpdate) -> Awaitable[None] | None:
        pair = news.pair
        self.streams.push_depth(news)
        self._note_last(pair, news.last)
        handler = self._handlers.on_depth
        if handler is None or (self._subscribed is not None and pair not in self._subscribed):
            return None
        return _awaitable(self.fiber.inside(handler, news), "on_depth")

    def _on_snapshot(self, depth: Depth) -> Awaitable[None] | None:
        self._note_last(depth.pair, depth.last)
        handler = self._handlers.on_snapshot
        if handler is None:
            return None
        return _awaitable(self.fiber.inside(handler, depth), "on_snapshot")

    def _on_message(self, message: Message) -> Awaitable[None] | None:
        self.topics.hear(message)
        handler = self._handlers.on_message
        if handler is None:
            return None
        return _awaitable(
            self.fiber.inside(partial(handler, *message[:2]), message[2]), "on_message"
        )

    def _note_last(self, pair: str, last: Decimal | None) -> None:
        """Where market data comes to who wants it alone, whatever names the mark tells of it."""
        if last is not None and self.streams.published is not None:
            self.last[pair] = last

    # -- thinking ----------------------------------------------------------------------------------

    def _wake(self, envelope: Envelope, thinking: Thinking) -> Awaitable[None] | None:
        """Charge a wake-up, now or (what it gives) when the strategy is free again."""
        kind = type(envelope[4])
        now = self.system.now
        if kind is OrderEvent or kind is BalanceUpdate:
            if envelope[2] > self._applied:
                self._apply(envelope)
            if kind is BalanceUpdate:
                return None
            if self._handlers.on_order is None:
                thinking.wake(now)
                return None
        elif not self._is_heard(kind, envelope[4]):
            return None
        if thinking.free > now:
            return self._when_free(envelope, thinking)
        thinking.wake(now)
        return None

    async def _when_free(self, envelope: Envelope, thinking: Thinking) -> None:
        self._deferred = envelope
        while thinking.free > self.system.now:
            await self.system.sleep_until(thinking.free, envelope.priority)
        self._deferred = None
        self.fiber.draining = True
        try:
            pending = self.handle(envelope)
        finally:
            self.fiber.draining = False
        if pending is not None:
            await pending

    def _is_heard(self, kind: type[Any], payload: Any) -> bool:
        """Whether such a message wakes the strategy: it has a handler, or an iterator."""
        name = _HANDLER_OF.get(kind)
        if name is None or self.streams.has(kind, payload.pair):
            return True
        wanted = self._subscribed is None or payload.pair in self._subscribed
        return wanted and getattr(self._handlers, name) is not None

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
        self._thinking.add(self.system.now, ns)

    def send(self, link: Channel, payload: Any, priority: int = COMMAND) -> None:
        """Send ``payload``; it leaves when the strategy has done thinking."""
        if self._thinking is None:
            link.post(payload, priority)
        else:
            link.post_from(self._thinking.free, payload, priority)

    def _apply(self, envelope: Envelope) -> None:
        self._applied = envelope[2]
        self.strategy._host_applies(envelope[4])

    def _arrive(self, envelope: Envelope) -> bool:
        """Called while a handler is suspended, or when the strategy has ended."""
        kind = type(envelope[4])
        if kind is OrderEvent or kind is BalanceUpdate:
            self._apply(envelope)
            if self.is_over or kind is BalanceUpdate:
                return True
            if self._handlers.on_order is not None:
                return False
            if self._thinking is not None:
                self._thinking.wake(self.system.now)
            return True
        if kind in _MARKET:
            if self._subscribed is not None and _conflates(self._subscribed, envelope[4]):
                self._conflate(envelope[4])
            if not self._late.line and self.fiber.inbox:
                self._late.holds(self.fiber)
        return False

    def _note_late(self, event: MarketEvent) -> None:
        """``event`` is handled, and more waits: if it is market data, this one comes late."""
        newest = self.fiber.inbox[-1][4]
        if type(newest) in _MARKET:
            self._late.saw(event, newest, self.system.now)

    def _conflate(self, newer: Any) -> None:
        """Forget a waiting event of the same pair and kind: a newer one is here.

        It is handlers that get the latest alone; iterators get each, and bars are made of each.
        """
        kind, pair = type(newer), newer.pair
        for place, waiting in enumerate(self.fiber.inbox):
            older = waiting[4]
            if type(older) is kind and older.pair == pair:
                if kind is Bar and not older.lasts(newer.nominal_length):
                    continue
                del self.fiber.inbox[place]
                self.fiber.load -= 1
                if kind is Bar:
                    self.streams.push_bar(older)
                else:
                    self.streams.push_tick(kind, older)
                return

    @property
    def topics(self) -> Topics:
        """What it says to other agents, and hears from them."""
        if self._topics is None:
            # Most never need it, and there may be ten thousand of them.
            self._topics = Topics(self, self._handlers.on_message is not None)
        return self._topics

    # -- for the strategy --------------------------------------------------------------------------

    def submit(self, action: Create | Amend | DecisionAction) -> None:
        """Send a command to the venue. Raises `SimulationEnded` once the run is over for good,
        `Undeliverable` when the venue has ended before."""
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

    def next_command(self) -> int:
        """The number of the next command."""
        self._commands += 1
        return self._commands

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
        if thinking is not None and thinking.free > self.system.now:
            await self.system.sleep_until(thinking.free)
        depth: Depth = self._venue.look(question)
        if depth is UNSET:
            self._check_venue()
            depth = await self._venue.request(question)
        if thinking is not None:
            thinking.wake(self.system.now)
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

    def _on_timer(self, timer: Timer) -> Awaitable[None] | None:
        if timer.number not in self._timers:
            return None
        if timer.every:
            self._to_itself.post_at(self.system.now + timer.every, timer, TIMER)
        else:
            self._timers.discard(timer.number)
        on_timer = self._handlers.on_timer
        if on_timer is None:
            return None
        # Calling an async handler runs none of it: only a plain one needs its task around it.
        call = (
            on_timer(timer.name) if self._async_timer else self.fiber.inside(on_timer, timer.name)
        )
        return call  # type: ignore[no-any-return]


def _conflates(subscribed: dict[str, dict[int | None, bool]], event: MarketEvent) -> bool | None:
    """Whether only the latest of such events is wanted; None when none is."""
    lengths = subscribed.get(event.pair)
    if lengths is None:
        return None
    if type(event) is not Bar:
        return all(lengths.values())
    conflate = lengths.get(event.nominal_length)
    if conflate is None and event.nominal_ns is None:
        for length, one in lengths.items():
            if length is not None and event.lasts(length):
                return one
    return lengths.get(None) if conflate is None else conflate


def _awaitable(pending: Any, handler: str) -> Awaitable[None] | None:
    """What a plain handler returned: nothing, or something to await; anything else is an error."""
    if pending is None or isinstance(pending, Awaitable):
        return pending
    raise FieldTypeError(handler, f"returned {pending!r}: a handler returns nothing")
