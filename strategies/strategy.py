"""The base of every strategy: what people write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any, dataclass_transform
from uuid import UUID

import attrs

from backtest.actors import Handlers, Message, OrderEvent, StrategyHost
from backtest.actors.protocol import Kind, Welcome
from backtest.errors import FieldError, OrderRejected
from backtest.models import Asset, Bar, Depth, DepthUpdate, Quote, Trade, TradingPair
from backtest.source_code import stamp_of
from backtest.times import duration_ns, to_ns

from .balance import BalanceView
from .client import OrderClient
from .handlers import HANDLERS, WANTS, handlers_of, mentions
from .history import USUAL, History
from .keywords import known_words
from .orders import Ordering
from .parameters import checking, parameters_of, take_defaults
from .position import PositionView
from .readable import readable
from .sizes import Sizing
from .watching import Watching

if TYPE_CHECKING:
    from backtest.actors import Stream

__all__ = ["Strategy"]


@dataclass_transform(kw_only_default=True, field_specifiers=(attrs.field,))
class Strategy(Ordering, Sizing, Watching):
    """Subclass it; annotated class attributes are parameters, given by name to the constructor.

    Two styles, which mix freely: override handlers (`on_start`, `on_bar`, `on_order`, `on_timer`,
    `on_stop`, each plain or ``async``), the fast way; or write ``async def run(self)`` with
    ``async for bar in self.bars(pair)``, the comfortable one. Time in it is simulated: anyio's and
    asyncio's sleeps, timeouts, events and task groups need no change.

    ::

        class Dip(Strategy):
            pair: str = "BTCUSD"
            drop: Decimal = Decimal("0.98")

            async def on_bar(self, bar: Bar) -> None:
                price = self.pair_of(self.pair).round_price(bar.close * self.drop)
                order = await self.buy(self.pair, "0.1", limit_price=price)
                if not await order.filled(timeout="1h"):
                    await order.cancel()
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        stamp = stamp_of(cls.__module__)
        if stamp is not None:  # what was loaded is what stands in the file, while that is so
            cls._file_stamp = stamp  # type: ignore[attr-defined]
        take_defaults(cls)
        own = "__init__" in vars(cls)
        # Fields become constructor arguments; slots=False lets handlers set what they like.
        attrs.define(cls, slots=False, kw_only=True, eq=False, repr=False)
        if not own:
            cls.__init__ = checking(cls, cls.__init__)  # type: ignore[method-assign]

    def __repr__(self) -> str:
        parameters = ", ".join(f"{name}={value!r}" for name, value in parameters_of(self).items())
        return f"{type(self).__name__}({parameters})"

    # -- to override -------------------------------------------------------------------------------

    def on_start(self) -> Any:
        """Called once, before the first bar."""

    def on_bar(self, bar: Bar) -> Any:
        """Called with each bar, at its close time."""

    def on_quote(self, quote: Quote) -> Any:
        """Called with each quote."""

    def on_trade(self, trade: Trade) -> Any:
        """Called with each trade of the market (one's own are fills: see `on_order`)."""

    def on_depth(self, news: Depth | DepthUpdate) -> Any:
        """Called with each change of an order book: a `Depth` to begin with, then each
        `DepthUpdate` after it. On historical data with a `Depth` of one level a side, by quote."""

    def on_snapshot(self, depth: Depth) -> Any:
        """Called with the answer to `ask_depth`."""

    def on_message(self, topic: str, payload: Any, sender: str) -> Any:
        """Called with what other agents say on topics that it listens to, or to it alone."""

    def on_order(self, event: OrderEvent) -> Any:
        """Called with everything that happens to the strategy's orders."""

    def on_timer(self, name: str) -> Any:
        """Called when a timer set by `set_timer` is due."""

    def on_stop(self) -> Any:
        """Called once, when the run is over."""

    async def run(self) -> None:
        """The strategy as one coroutine, beside its handlers."""

    # -- what it sees ------------------------------------------------------------------------------

    @readable
    def now(self) -> datetime:
        """The time, as an aware UTC `datetime`."""
        return self._client.at

    @readable
    def now_ns(self) -> int:
        """The time in nanoseconds since 1970."""
        return self._host.system.now

    @readable
    def is_warming_up(self) -> bool:
        """Whether it may not order: it has seen fewer than `warmup_bars` of a pair that it follows,
        or the run's start is still to come."""
        return not self._host.is_warm()

    def pair_of(self, code: str) -> TradingPair:
        """The trading pair called ``code``, with its increments."""
        return self._client.holdings.pair_of(code)

    @readable
    def pairs(self) -> Mapping[str, TradingPair]:
        """All pairs of the venue by code."""
        return self._client.holdings.pairs

    def balance(self, asset: Asset | str, account: str | None = None) -> BalanceView:
        """What the strategy's account (or another of its own) has of ``asset``, at this moment.

        Raises `AccountError` for an asset that the run does not know, and for an account that is
        not the strategy's.
        """
        return self._client.holdings.balance(asset, account)

    def holding(self, pair: str, account: str | None = None) -> Decimal:
        """How much of the base asset of ``pair`` the account owns: what spot orders bought, and
        whatever it began with; pending sells included. `position` tells of margin trades."""
        holdings = self._client.holdings
        return holdings.balance(holdings.pair_of(pair).base, account).total

    def position(self, pair: str) -> PositionView:
        """The strategy's open positions in ``pair``, of `long` and `short`, taken together; false
        when there is none. What `buy` bought is no position but a `holding`.

        A long and a short of equal size are two positions: true, with a ``volume`` of 0.
        """
        return self._client.holdings.position(pair)

    def think(self, duration: float | timedelta | str) -> None:
        """Be busy for ``duration``: what is sent after this (orders, changes of them, questions,
        messages) leaves that much later, and no handler is called before that, whatever comes.

        It adds to what it is busy with already, ``computation_delay`` among it. It does not wait:
        `now` stays as it is, and a handler that goes on sees what it saw.
        """
        self._host.think(duration_ns(duration))

    # -- other agents ----------------------------------------------------------------------------

    def publish(self, topic: str, payload: Any, *, to: str | None = None) -> None:
        """Say ``payload`` to every agent that listens to ``topic``, or to the one called ``to``.

        Each copy takes the time of the link between the two. ``payload`` must be immutable: text,
        numbers, times, tuples and named tuples, frozen attrs classes of those; `FieldTypeError`
        otherwise. The sender does not hear itself.
        """
        self._host.topics.publish(topic, payload, to)

    @known_words
    def listen(self, topic: str, *, conflate: bool = False) -> AsyncIterator[Message]:
        """From now on hear what other agents say on ``topic``: in `on_message`, and by iterating
        over what this gives, as `bars`. A `Message` has ``topic``, ``payload`` and ``sender``."""
        stream: Stream[Message] = self._host.topics.listen(topic, conflate)
        return stream

    # -- time and chance ---------------------------------------------------------------------------

    async def sleep(self, duration: float | timedelta | str) -> None:
        """Wait ``duration`` (seconds, a `timedelta`, or text like ``"4h"``), to the nanosecond."""
        system = self._host.system
        await system.sleep_until(system.now + duration_ns(duration))

    async def sleep_until(self, moment: datetime) -> None:
        """Wait until ``moment``, which must know its time zone."""
        await self._host.system.sleep_until(to_ns(moment, "moment"))

    def set_timer(
        self,
        name: str,
        *,
        after: float | timedelta | str | None = None,
        at: datetime | None = None,
        every: float | timedelta | str | None = None,
    ) -> int:
        """Call ``on_timer(name)`` ``after`` a while or ``at`` a moment, and then ``every`` so long.

        With ``every`` alone the first call is after one period. Gives a number for `cancel_timer`.
        """
        now = self._host.system.now
        period = 0 if every is None else duration_ns(every, "every")
        if every is not None and not period:
            raise FieldError("every", "must be longer than nothing")
        if at is not None:
            due = to_ns(at, "at")
        elif after is not None:
            due = now + duration_ns(after, "after")
        elif period:
            due = now + period
        else:
            raise FieldError("after", "must be given, or at, or every")
        return self._host.set_timer(name, due, period)

    def cancel_timer(self, number: int) -> None:
        """Forget a timer; one that is unknown or done does no harm."""
        self._host.cancel_timer(number)

    @readable
    def random(self) -> Random:
        """The strategy's own stream of random numbers, split from the run's seed by its name."""
        return self._host.random

    @readable
    def name(self) -> str:
        """The name of the strategy in this run."""
        return self._client.short_name

    @readable
    def agent_id(self) -> UUID:
        """The id of the strategy as an agent: orders and fills carry it."""
        return self._client.agent_id

    @readable
    def log(self) -> Any:
        """A structlog logger bound to the strategy's name; it stamps the simulated time."""
        return self._client.log

    def log_refusal(self, refusal: OrderRejected) -> None:
        """Log a refusal that you caught: as a warning the first of its reason, the others (which
        the report counts) at level debug."""
        self._client.log_refusal(refusal)

    @readable
    def parameters(self) -> dict[str, Any]:
        """The parameters and their values."""
        return parameters_of(self)

    # -- for the host ------------------------------------------------------------------------------

    def _host_computation(self) -> int:
        """Called by the host: `computation_delay` in nanoseconds."""
        return duration_ns(self.computation_delay, "computation_delay")

    def _host_wants(self) -> frozenset[Kind]:
        """Called by the host: the kinds of market data for which there is a handler."""
        kind: Any = type(self)
        return frozenset(WANTS[name] for name in handlers_of(kind) if name in WANTS)

    def _host_joined(self, host: StrategyHost, welcome: Welcome) -> Handlers:
        """Called by the host: here are pairs, accounts and balances."""
        kind: Any = type(self)
        overridden = handlers_of(kind)
        if getattr(self, "_host", None) is host:
            # Restarted: orders and positions are still there, whatever the strategy has forgotten.
            self._client.balances.update(welcome.balances)
            self._client.history.join()
        else:
            self._host = host
            self._client = OrderClient(host, welcome, self)
            self._host_applies = self._client.apply
            most = self.history_bars
            if most is None:
                most = USUAL if mentions(kind, "history") else 0
            self._client.history = History(host, most, welcome.pairs)
            host.warms_up(self.warmup_bars)
        return Handlers(
            **{name: getattr(self, name) if name in overridden else None for name in HANDLERS}
        )

    def _host_ended(self) -> None:
        """Called by the host when the run is over."""
        self._client.ended()
