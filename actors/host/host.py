"""The strategy host: the actor in which one strategy lives.

It brings the strategy what concerns it, in order, and carries its commands to the venue. State
that must be true at any moment (balances, positions, order handles) is updated when the event
arrives, also while a handler is suspended; handlers run one at a time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping
from types import CoroutineType
from typing import Any

from backtest.actors.kernel.fiber import Fiber
from backtest.actors.kernel.latency import Latency, LinkLatencies, Network
from backtest.actors.kernel.lateness import Lateness
from backtest.actors.kernel.message import TIMER, Envelope
from backtest.actors.kernel.pubsub import Message
from backtest.actors.protocol import BROKER, BalanceUpdate, Hello, Kind, OrderEvent, Snapshot
from backtest.errors import BacktestError, FieldTypeError
from backtest.models import Bar, Depth, DepthUpdate, MarketEvent, Quote, Tick, Trade
from backtest.services.fills.tick_prices import mark_of

from .chosen import conflates, forget_older
from .compute_delay import Thinking
from .depth import with_depth
from .desk import Desk
from .interface import Handler, Handlers, Hosted, Timer, Unseen
from .leftovers import HANDLER_OF, MARKET, handled, in_vain, undelivered, unseen
from .links import charge_links
from .streams import MarketStreams
from .subscriptions import Subscriptions
from .topics import Topics
from .warm_up import WarmUp

__all__ = ["StrategyHost"]


class StrategyHost(Desk):
    """Runs ``strategy``; its handlers one at a time, its ``run`` beside them."""

    is_agent = True

    def __init__(
        self,
        name: str,
        strategy: Hosted,
        *,
        inbox_bound: int = 100_000,
        latency: Latency | LinkLatencies | Network | None = None,
        computation: int = 0,
        start_ns: int | None = None,
    ) -> None:
        super().__init__(name, computation)
        self._latency = latency
        self.inbox_bound = inbox_bound
        self._start_ns = start_ns
        self.strategy = strategy
        self.bars_seen = 0
        self.unseen: list[Unseen] = []
        """What it was sent and has never looked at, once the run is over."""
        self._late = Lateness()
        """Of what its handlers are given."""
        self._handlers = Handlers(*(None,) * len(Handlers._fields))
        self._on_bar: Handler | None = None
        self._applied = 0
        self._deferred: Envelope | None = None
        """What it was given and has not begun with, for it is thinking."""
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
            self._thinking.wake(self.events.now)
        self._handlers = self.strategy._host_joined(self, welcome)
        if not welcome.publishes and self._handlers.on_depth is not None:
            increments = {code: pair.price_increment for code, pair in welcome.pairs.items()}
            handler = with_depth(self._handlers.on_quote, self._handlers.on_depth, increments)
            self._handlers = self._handlers._replace(on_quote=handler)
        self._on_bar = self._handlers.on_bar
        if self._handlers.on_start is not None:
            pending = self._handlers.on_start()
            if pending is not None:
                await pending
        if self._handlers.run is not None:
            self._line = self.system.spawn(self, "run", self._handlers.run())

    def restart(self, failed: Fiber) -> None:
        if self._line is not None:
            if failed is self._line and self._handlers.run is not None:
                # The line that failed begins anew; the handlers were not concerned.
                failed.start(self._handlers.run())
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
            self.streams.close(lambda: undelivered(self.fiber, self.system, self._deferred))
            if self._topics is not None:
                self._topics.close()
            self.strategy._host_ended()
        elif stage == 1:
            waiting = handled(self.fiber, self._deferred, self._handlers, self._subscribed)
            self.unseen = [
                *unseen(waiting, self.fiber, self._late),
                *unseen(self.streams.unread(), self._line, self.streams.late),
            ]
            for fiber in (self._line, self.fiber):
                if fiber is not None and fiber.alive:
                    fiber.task.cancel()
        elif self._handlers.on_stop is not None:
            self.system.spawn(self, "on_stop", self._stop(self._handlers.on_stop))

    def in_vain(self, there: Mapping[str, Collection[Kind]]) -> list[str]:
        """What it waited for that could not come; ``there`` says which kinds of data there are, by
        pair."""
        told = in_vain(there, self._handlers, self._subscribed, self.streams.followed)
        return [*told, *self.done_in_vain(self._handlers.on_timer is not None)]

    async def _stop(self, on_stop: Handler) -> None:
        pending = on_stop()
        if pending is not None:
            await pending

    # -- messages ----------------------------------------------------------------------------------

    def handle(self, envelope: Envelope) -> Awaitable[None] | None:
        payload = envelope[4]
        kind = type(payload)
        if self._thinking is not None and (later := self._wake(envelope, self._thinking)):
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
            pending = on_bar(payload)
            is_plain = pending is None or type(pending) is CoroutineType
            return pending if is_plain else _awaitable(pending, "on_bar")
        if kind is OrderEvent or kind is BalanceUpdate:
            if envelope[2] > self._applied:
                self._applied = envelope[2]
                self.strategy._host_applies(payload)
            on_order = self._handlers.on_order
            if on_order is None or kind is BalanceUpdate:
                return None
            pending = on_order(payload)
            return None if pending is None else _awaitable(pending, "on_order")
        return self._handle_other(kind, payload)

    def _handle_other(self, kind: type[Any], payload: Any) -> Awaitable[None] | None:
        """`handle`, of what comes less often."""
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

    def warms_up(self, bars: int) -> None:
        """It may not order before it has seen so many ``bars``, nor before the run's start."""
        if bars > 0 or self._start_ns is not None:
            self.warm_up = WarmUp(max(bars, 0), self._start_ns or 0)

    def _warm(self, warm_up: WarmUp, event: MarketEvent) -> None:
        warm_up.see(event)
        self.is_warm()

    def _wants(self, bar: Bar) -> bool:
        """Whether a strategy that subscribed to some bars did so to those of this length."""
        return conflates(self._subscribed or {}, bar) is not None

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
        if type(tick) is Quote:
            self._quoted[pair] = tick
        if kind is Quote or pair not in self._quoted:
            self.last[pair] = mark_of(tick, self._pairs[pair].price_increment)
        if handler is None:
            return None
        if self.fiber.inbox:
            self._note_late(tick)
        pending = handler(tick)
        return None if pending is None else _awaitable(pending, f"on_{kind.__name__.lower()}")

    def _on_depth(self, news: Depth | DepthUpdate) -> Awaitable[None] | None:
        pair = news.pair
        self.streams.push_depth(news)
        self._note_last(pair, news.last)
        handler = self._handlers.on_depth
        if handler is None or (self._subscribed is not None and pair not in self._subscribed):
            return None
        return _awaitable(handler(news), "on_depth")

    def _on_snapshot(self, depth: Depth) -> Awaitable[None] | None:
        self._note_last(depth.pair, depth.last)
        handler = self._handlers.on_snapshot
        if handler is None:
            return None
        return _awaitable(handler(depth), "on_snapshot")

    def _on_message(self, message: Message) -> Awaitable[None] | None:
        self.topics.hear(message)
        handler = self._handlers.on_message
        if handler is None:
            return None
        return _awaitable(handler(*message), "on_message")

    # -- thinking ----------------------------------------------------------------------------------

    def _wake(self, envelope: Envelope, thinking: Thinking) -> Awaitable[None] | None:
        """Charge a wake-up, now or (what it gives) when the strategy is free again."""
        kind = type(envelope[4])
        now = self.events.now
        if kind is OrderEvent or kind is BalanceUpdate:
            if envelope[2] > self._applied:
                self._applied = envelope[2]
                self.strategy._host_applies(envelope[4])
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
        while thinking.free > self.events.now:
            await self.system.sleep_until(thinking.free, envelope.priority)
        self._deferred = None
        pending = self.handle(envelope)
        if pending is not None:
            await pending

    def _is_heard(self, kind: type[Any], payload: Any) -> bool:
        """Whether such a message wakes the strategy: it has a handler, or an iterator."""
        name = HANDLER_OF.get(kind)
        if name is None or self.streams.has(kind, payload.pair):
            return True
        wanted = self._subscribed is None or payload.pair in self._subscribed
        return wanted and getattr(self._handlers, name) is not None

    def _arrive(self, envelope: Envelope) -> bool:
        """Called while a handler is suspended, or when the strategy has ended."""
        kind = type(envelope[4])
        if kind is OrderEvent or kind is BalanceUpdate:
            self._applied = envelope[2]
            self.strategy._host_applies(envelope[4])
            if self.is_over or kind is BalanceUpdate:
                return True
            if self._handlers.on_order is not None:
                return False
            if self._thinking is not None:
                self._thinking.wake(self.events.now)
            return True
        if kind in MARKET:
            if self._subscribed is not None and conflates(self._subscribed, envelope[4]):
                forget_older(self.fiber, self.streams, envelope[4])
            if not self._late.line and self.fiber.inbox:
                self._late.holds(self.fiber)
        return False

    def _note_late(self, event: MarketEvent) -> None:
        """``event`` is handled, and more waits: if it is market data, this one comes late."""
        newest = self.fiber.inbox[-1][4]
        if type(newest) in MARKET:
            self._late.saw(event, newest, self.events.now)

    @property
    def topics(self) -> Topics:
        """What it says to other agents, and hears from them."""
        if self._topics is None:
            # Most never need it, and there may be ten thousand of them.
            self._topics = Topics(self, self._handlers.on_message is not None)
        return self._topics

    def _on_timer(self, timer: Timer) -> Awaitable[None] | None:
        if timer.number not in self._timers:
            return None
        if timer.every:
            self._to_itself.post_at(self.events.now + timer.every, timer, TIMER)
        else:
            self._timers.discard(timer.number)
        on_timer = self._handlers.on_timer
        if on_timer is None:
            return None
        pending = on_timer(timer.name)
        return None if pending is None else _awaitable(pending, "on_timer")


def _awaitable(pending: Any, handler: str) -> Awaitable[None] | None:
    """What a plain handler returned: nothing, or something to await; anything else is an error."""
    if pending is None or type(pending) is CoroutineType or isinstance(pending, Awaitable):
        return pending
    raise FieldTypeError(handler, f"returned {pending!r}: a handler returns nothing")
