"""The strategy host: the actor in which one strategy lives.

It brings the strategy what concerns it, in order, and carries its commands to the venue. State
that must be true at any moment (balances, positions, order handles) is updated when the event
arrives, also while a handler is suspended; handlers run one at a time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from inspect import iscoroutinefunction
from typing import Any, NamedTuple, Protocol
from weakref import ref

from backtest.errors import BacktestError, FieldTypeError, SimulationEnded
from backtest.models import Bar, DecisionAction

from .actor import Actor
from .broker import BROKER
from .channel import Channel
from .fiber import Fiber
from .latency import Latency, LinkLatencies
from .message import MARKET_TO_STRATEGY, ORDER_EVENT, TIMER, Envelope
from .protocol import Amend, BalanceUpdate, Create, Hello, OrderEvent, Welcome
from .stream import Stream

__all__ = ["Handlers", "Hosted", "StrategyHost", "Timer"]

Handler = Callable[..., Any]


class Handlers(NamedTuple):
    """What a strategy overrides; None where it does not."""

    on_start: Handler | None
    on_bar: Handler | None
    on_order: Handler | None
    on_timer: Handler | None
    on_stop: Handler | None
    run: Handler | None


class Hosted(Protocol):
    """What the host needs of a strategy."""

    def joined(self, host: StrategyHost, welcome: Welcome) -> Handlers:
        """It has a host and knows pairs, accounts and balances now."""

    def apply(self, event: OrderEvent | BalanceUpdate) -> None:
        """Bring balances, positions and handles up to date; never waits."""

    def ended(self) -> None:
        """The run is over: whatever still waits for an order waits in vain."""


class Timer(NamedTuple):
    """A timer that a strategy set."""

    name: str
    every: int
    """Its period in nanoseconds; 0 for a single shot."""
    number: int


class StrategyHost(Actor):
    """Runs ``strategy``; its handlers one at a time, its ``run`` beside them."""

    handles_inside = False  # the host's own code needs no task; it enters it for the strategy's

    def __init__(
        self,
        name: str,
        strategy: Hosted,
        *,
        inbox_bound: int = 100_000,
        latency: Latency | LinkLatencies | None = None,
    ) -> None:
        super().__init__(name)
        self._latency = latency
        self.inbox_bound = inbox_bound
        self.strategy = strategy
        self.is_over = False
        """Whether the run has ended: no bar will come, no order will fill."""
        self.bars_seen = 0
        self.last: dict[str, Decimal] = {}
        """The last close of each pair that the strategy was given."""
        self._handlers = Handlers(None, None, None, None, None, None)
        self._on_bar: Handler | None = None
        self._async_bar = False
        self._applied = 0
        self._commands = 0
        self._timers_set = 0
        self._streams: dict[str, list[ref[Stream[Bar]]]] = {}
        self._subscribed: dict[str, bool] | None = None
        self._timers: set[int] = set()
        self._line: Fiber | None = None

    # -- life --------------------------------------------------------------------------------------

    async def started(self) -> None:
        self.fiber.arrive = self._arrive
        self._venue = self.link(BROKER)
        welcome = await self._venue.request(Hello())
        if self._latency is not None:
            # From here on, for joining is no part of the simulation: it takes no time.
            self._set_latency(self._latency)
        self._handlers = self.strategy.joined(self, welcome)
        self._on_bar = self._handlers.on_bar
        self._async_bar = iscoroutinefunction(self._on_bar)
        if self._handlers.on_start is not None:
            pending = self._handlers.on_start()
            if pending is not None:
                await pending
        if self._handlers.run is not None:
            self._line = self.system.spawn(self, "run", self._handlers.run())

    def _set_latency(self, latency: Latency | LinkLatencies) -> None:
        system = self.system
        if not isinstance(latency, LinkLatencies):
            system.set_latency(self.name, BROKER, latency)
            system.set_latency(BROKER, self.name, latency)
            return
        if latency.orders is not None:
            system.set_latency(self.name, BROKER, latency.orders)
        for priority, one in (
            (MARKET_TO_STRATEGY, latency.market_data),
            (ORDER_EVENT, latency.order_events),
        ):
            if one is not None:
                system.set_latency(BROKER, self.name, one, priority)

    def restart(self, failed: Fiber) -> None:
        if self._line is not None:
            if failed is self._line:
                # The line that failed begins anew; the handlers were not concerned.
                failed.start(self._handlers.run())  # type: ignore[misc]
                return
            if self._line.task is not None:
                self._line.task.cancel()
        failed.start(self.run())

    def closing(self, stage: int) -> None:
        """End the iterators; then cancel what still waits; then run ``on_stop`` on its own."""
        self.is_over = True
        if stage == 0:
            for references in self._streams.values():
                for reference in references:
                    stream = reference()
                    if stream is not None:
                        stream.close()
            self.strategy.ended()
        elif stage == 1:
            for fiber in (self._line, self.fiber):
                if fiber is not None and fiber.alive:
                    fiber.task.cancel()  # type: ignore[union-attr]
        elif self._handlers.on_stop is not None:
            self.system.spawn(self, "on_stop", self._stop())

    async def _stop(self) -> None:
        pending = self._handlers.on_stop()  # type: ignore[misc]
        if pending is not None:
            await pending

    # -- messages ----------------------------------------------------------------------------------

    def handle(self, envelope: Envelope) -> Awaitable[None] | None:
        payload = envelope[4]
        kind = type(payload)
        if kind is Bar:
            streamed = self._streams and self._push(payload)
            on_bar = self._on_bar
            if self._subscribed is not None and payload.pair not in self._subscribed:
                if not streamed:
                    return None
                on_bar = None
            self.bars_seen += 1
            self.last[payload.pair] = payload.close
            if on_bar is None:
                return None
            # Calling an async handler runs none of it: only a plain one needs its task around it.
            if self._async_bar:
                return on_bar(payload)  # type: ignore[no-any-return]
            pending = self.fiber.inside(on_bar, payload)
            return None if pending is None else _awaitable(pending, "on_bar")
        if kind is OrderEvent or kind is BalanceUpdate:
            if envelope[2] > self._applied:
                self._apply(envelope)
            on_order = self._handlers.on_order
            if on_order is None or kind is BalanceUpdate:
                return None
            return _awaitable(self.fiber.inside(on_order, payload), "on_order")
        if kind is Timer:
            return self._on_timer(payload)
        raise BacktestError(f"{self.name} does not understand {payload!r}")

    def _push(self, bar: Bar) -> bool:
        """Give ``bar`` to the iterators over its pair; whether there is any."""
        references = self._streams.get(bar.pair)
        if not references:
            return False
        streams = [stream for reference in references if (stream := reference()) is not None]
        if len(streams) < len(references):
            # A loop was left: nobody will ever read that stream, so it must not fill up.
            self._streams[bar.pair] = [ref(stream) for stream in streams]
        for stream in streams:
            stream.push(bar)
        return bool(streams)

    def _apply(self, envelope: Envelope) -> None:
        self._applied = envelope[2]
        self.strategy.apply(envelope[4])

    def _arrive(self, envelope: Envelope) -> bool:
        """Called while a handler is suspended, or when the strategy has ended."""
        kind = type(envelope[4])
        if kind is OrderEvent or kind is BalanceUpdate:
            self._apply(envelope)
            return self.is_over or kind is BalanceUpdate or self._handlers.on_order is None
        if kind is Bar and self._subscribed is not None and self._subscribed.get(envelope[4].pair):
            self._conflate(envelope[4].pair)
        return False

    def _conflate(self, pair: str) -> None:
        """Forget a waiting bar of ``pair``: a newer one is here."""
        for place, waiting in enumerate(self.fiber.inbox):
            if type(waiting[4]) is Bar and waiting[4].pair == pair:
                del self.fiber.inbox[place]
                self.fiber.load -= 1
                return

    # -- for the strategy --------------------------------------------------------------------------

    def submit(self, action: Create | Amend | DecisionAction) -> None:
        """Send a command to the venue. Raises `SimulationEnded` once the run is over for good."""
        if not self._venue.target.open:
            raise SimulationEnded("the run has ended: no command can be sent any more")
        self._venue.post(action)

    def next_command(self) -> int:
        """The number of the next command."""
        self._commands += 1
        return self._commands

    def subscribe(self, pair: str, conflate: bool) -> None:
        """From now on get the bars of ``pair``, and only of pairs subscribed to like this."""
        if self._subscribed is None:
            self._subscribed = {}
        self._subscribed[pair] = conflate

    def stream(self, pair: str, conflate: bool) -> Stream[Bar]:
        """A new stream of the bars of ``pair``."""
        stream: Stream[Bar] = Stream(self.system, self.name, self.inbox_bound, conflate)
        if self.is_over:
            stream.close()
        self._streams.setdefault(pair, []).append(ref(stream))
        return stream

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
        return None if on_timer is None else self.fiber.inside(on_timer, timer.name)


def _awaitable(pending: Any, handler: str) -> Awaitable[None] | None:
    """What a plain handler returned: nothing, or something to await; anything else is an error."""
    if pending is None or isinstance(pending, Awaitable):
        return pending
    raise FieldTypeError(handler, f"returned {pending!r}: a handler returns nothing")
