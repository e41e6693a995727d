"""The base of every strategy: what people write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from random import Random
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform
from uuid import UUID

import attrs

from backtest.actors import Handlers, OrderEvent, StrategyHost
from backtest.actors.protocol import BalanceUpdate, Welcome
from backtest.errors import BacktestError, ConfigError, FieldError, OrderRejected, RejectReason
from backtest.log import get_logger
from backtest.models import (
    PLAIN,
    ActionType,
    Bar,
    DecisionAction,
    Instructions,
    OrderDirection,
    Quote,
    TimeInForce,
    Trade,
    TradingPair,
)
from backtest.money import decimal_of
from backtest.services.calendars import calendar_of
from backtest.times import duration_ns, from_ns, length_ns, to_ns

from .command import Command
from .desk import BalanceView, OrderDesk
from .handle import Number, OrderHandle
from .position import PositionView

if TYPE_CHECKING:
    from backtest.actors import Stream

__all__ = ["Strategy"]

_LONG, _SHORT = OrderDirection.LONG, OrderDirection.SHORT
_GTC = TimeInForce.GTC
_HANDLERS = (
    "on_start",
    "on_bar",
    "on_quote",
    "on_trade",
    "on_order",
    "on_timer",
    "on_stop",
    "run",
)


@dataclass_transform(kw_only_default=True, field_specifiers=(attrs.field,))
class Strategy:
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

    warmup_bars: ClassVar[int] = 0
    """How many bars a strategy must have seen before it may order; until then `is_warming_up`."""

    _host: StrategyHost
    _desk: OrderDesk

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Fields become constructor arguments; slots=False lets handlers set what they like.
        attrs.define(cls, slots=False, kw_only=True, eq=False, repr=False)

    def __repr__(self) -> str:
        parameters = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
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

    def on_order(self, event: OrderEvent) -> Any:
        """Called with everything that happens to the strategy's orders."""

    def on_timer(self, name: str) -> Any:
        """Called when a timer set by `set_timer` is due."""

    def on_stop(self) -> Any:
        """Called once, when the run is over."""

    async def run(self) -> None:
        """The strategy as one coroutine, beside its handlers."""

    # -- orders ------------------------------------------------------------------------------------

    def buy(
        self,
        pair: str,
        volume: Number,
        *,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        stop_loss: Number | None = None,
        take_profit: Number | None = None,
        trail: Number | None = None,
        trail_percent: Number | None = None,
        time_in_force: TimeInForce | str = _GTC,
        expires: datetime | float | timedelta | str | None = None,
        post_only: bool = False,
        oco: str | None = None,
        account: str | None = None,
    ) -> OrderHandle:
        """Buy ``volume`` of the base asset for the quote asset.

        Without a price a market order; with a limit, a stop, or both, such an order (both: once
        the stop is reached, a limit order). ``trail`` (a distance in price) or ``trail_percent``
        (2 means 2 %) makes it a trailing stop, which may begin at ``stop_price``.
        ``time_in_force`` is ``"GTC"``, ``"DAY"``, ``"IOC"``, ``"FOK"``, or ``"GTD"`` with
        ``expires``: a moment, or how long from now. ``post_only``: it must not take liquidity.
        Orders with the same label ``oco`` are one-cancels-other. ``stop_loss`` and
        ``take_profit`` sell what was bought, whichever is reached first.

        The order is sent at once. Await the handle to wait for its acceptance; that raises
        `OrderRejected` when the venue refuses.
        """
        self._may_order()
        terms = self._terms(trail, trail_percent, time_in_force, expires, post_only, False, oco)
        return self._desk.create(
            True,
            pair,
            _LONG,
            volume,
            limit_price,
            stop_price,
            account,
            None,
            stop_loss,
            take_profit,
            terms,
        )

    def sell(
        self,
        pair: str,
        volume: Number,
        *,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        trail: Number | None = None,
        trail_percent: Number | None = None,
        time_in_force: TimeInForce | str = _GTC,
        expires: datetime | float | timedelta | str | None = None,
        post_only: bool = False,
        oco: str | None = None,
        account: str | None = None,
    ) -> OrderHandle:
        """Sell ``volume`` of the base asset that the account owns; otherwise like `buy`."""
        self._may_order()
        terms = self._terms(trail, trail_percent, time_in_force, expires, post_only, False, oco)
        return self._desk.create(
            True,
            pair,
            _SHORT,
            volume,
            limit_price,
            stop_price,
            account,
            None,
            None,
            None,
            terms,
        )

    def long(
        self,
        pair: str,
        volume: Number,
        *,
        leverage: Number = 1,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        stop_loss: Number | None = None,
        take_profit: Number | None = None,
        trail: Number | None = None,
        trail_percent: Number | None = None,
        time_in_force: TimeInForce | str = _GTC,
        expires: datetime | float | timedelta | str | None = None,
        post_only: bool = False,
        reduce_only: bool = False,
        oco: str | None = None,
        account: str | None = None,
    ) -> OrderHandle:
        """Open a long position of ``volume`` contracts on margin; otherwise like `buy`.

        ``stop_loss`` and ``take_profit`` close it at those prices, whichever is reached first.
        """
        self._may_order()
        terms = self._terms(
            trail, trail_percent, time_in_force, expires, post_only, reduce_only, oco
        )
        return self._desk.create(
            False,
            pair,
            _LONG,
            volume,
            limit_price,
            stop_price,
            account,
            leverage,
            stop_loss,
            take_profit,
            terms,
        )

    def short(
        self,
        pair: str,
        volume: Number,
        *,
        leverage: Number = 1,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        stop_loss: Number | None = None,
        take_profit: Number | None = None,
        trail: Number | None = None,
        trail_percent: Number | None = None,
        time_in_force: TimeInForce | str = _GTC,
        expires: datetime | float | timedelta | str | None = None,
        post_only: bool = False,
        reduce_only: bool = False,
        oco: str | None = None,
        account: str | None = None,
    ) -> OrderHandle:
        """Open a short position of ``volume`` contracts on margin; otherwise like `long`."""
        self._may_order()
        terms = self._terms(
            trail, trail_percent, time_in_force, expires, post_only, reduce_only, oco
        )
        return self._desk.create(
            False,
            pair,
            _SHORT,
            volume,
            limit_price,
            stop_price,
            account,
            leverage,
            stop_loss,
            take_profit,
            terms,
        )

    def _terms(
        self,
        trail: Number | None,
        trail_percent: Number | None,
        time_in_force: TimeInForce | str,
        expires: datetime | float | timedelta | str | None,
        post_only: bool,
        reduce_only: bool,
        oco: str | None,
    ) -> Instructions:
        """What an order asks for beside its prices; most ask for nothing."""
        if (
            time_in_force is _GTC
            and trail is None
            and trail_percent is None
            and expires is None
            and oco is None
            and not post_only
            and not reduce_only
        ):
            return PLAIN
        try:
            force = TimeInForce(time_in_force)
        except ValueError:
            known = ", ".join(one.value for one in TimeInForce)
            raise FieldError("time_in_force", f"must be one of {known}") from None
        if expires is not None:
            if force is _GTC:
                force = TimeInForce.GTD
        return Instructions(
            force,
            None if expires is None else self._desk.moment(expires),
            post_only,
            reduce_only,
            None if trail is None else decimal_of(trail, "trail"),
            None if trail_percent is None else decimal_of(trail_percent, "trail_percent"),
            oco,
        )

    async def close_all(self, pair: str | None = None) -> None:
        """Cancel what is pending and close, at the market, what is open; of all pairs or of one."""
        for handle in self.open_orders(pair):
            await handle.cancel()
        for handle in self._desk.handles_with_positions(pair):
            await handle.close()

    def action(
        self, action_type: ActionType, pair: str, *, account: str | None = None, **fields: Any
    ) -> DecisionAction:
        """A command as a value, for `submit`: ids and time are filled in here, ``fields`` are the
        others of `DecisionAction`."""
        return self._desk.action(action_type, pair, account, fields)

    def submit(self, action: DecisionAction) -> Command[Any]:
        """Send a command that is a value; await what is given back for its outcome.

        For a new order that is its `OrderHandle`, for a split the handles of the parts.
        Raises `OrderRejected` for one that is not complete in itself.
        """
        self._may_order()
        good, problem = action.validate()
        if not good:
            raise OrderRejected(RejectReason.INVALID_ACTION, problem, action.order_id)
        return self._desk.submit(action)

    def _may_order(self) -> None:
        if self._host.bars_seen < self.warmup_bars:
            raise OrderRejected(
                RejectReason.WARMING_UP,
                f"{self._host.bars_seen} of {self.warmup_bars} warm-up bars seen: "
                "check self.is_warming_up before ordering",
            )

    # -- what it sees ------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The time, as an aware UTC `datetime`."""
        return self._desk.at

    @property
    def now_ns(self) -> int:
        """The time in nanoseconds since 1970."""
        return self._host.system.now

    @property
    def is_warming_up(self) -> bool:
        return self._host.bars_seen < self.warmup_bars

    def pair_of(self, code: str) -> TradingPair:
        """The trading pair called ``code``, with its increments."""
        pair = self._desk.pairs.get(code)
        if pair is None:
            known = ", ".join(self._desk.pairs)
            raise BacktestError(f"there is no pair {code!r}; there are: {known}")
        return pair

    @property
    def pairs(self) -> Mapping[str, TradingPair]:
        """All pairs of the venue by code."""
        return self._desk.pairs

    def balance(self, asset: str, account: str | None = None) -> BalanceView:
        """What the strategy's account (or another of its own) has of ``asset``, at this moment."""
        name = account or self._desk.default_account
        return BalanceView(*self._desk.balances.get((name, asset), (Decimal(0), Decimal(0))))

    def position(self, pair: str) -> PositionView:
        """The strategy's open positions in ``pair`` taken together; false when there is none."""
        self.pair_of(pair)
        return self._desk.position(pair, self._desk.positions[pair].values())

    def open_orders(self, pair: str | None = None) -> list[OrderHandle]:
        """Orders with something pending, in the order of their acceptance."""
        return [one for one in self._desk.open.values() if pair is None or one.pair == pair]

    def last_price(self, pair: str) -> Decimal | None:
        """The last price of ``pair`` that the strategy was given, at which the venue marks: a bar's
        close, a trade's price, the middle of a quote; None before that."""
        return self._desk.last.get(pair)

    def bars(
        self,
        pair: str,
        *,
        length: int | str | timedelta | None = None,
        conflate: bool = False,
        resample: str | None = None,
    ) -> AsyncIterator[Bar]:
        """The bars of ``pair`` from now on; ends with the data.

        ``length`` (``"1h"``, nanoseconds) takes those of that length only, where there are several.
        With ``resample`` they are made here of the pair's shorter ``"bars"``, ``"quotes"`` (their
        middle) or ``"trades"``, by the pair's calendar: each comes when an event at or after its
        close proves it complete. Bars are kept while the loop body waits; ``conflate`` keeps only
        the latest.
        """
        self.pair_of(pair)
        ns = length_ns(length)
        stream: Stream[Bar]
        if resample is None:
            stream = self._host.stream(pair, conflate, ns)
            return stream
        if resample not in ("bars", "quotes", "trades"):
            raise ConfigError(f"resample must be 'bars', 'quotes' or 'trades', not {resample!r}")
        if ns is None:
            raise ConfigError("bars that are made by resample need a length: '1h', say")
        calendar = calendar_of(self._desk.rules[pair].calendar)
        stream = self._host.resampled(pair, conflate, ns, resample, calendar)
        return stream

    def quotes(self, pair: str, *, conflate: bool = False) -> AsyncIterator[Quote]:
        """The quotes of ``pair`` from now on; as `bars`."""
        self.pair_of(pair)
        stream: Stream[Quote] = self._host.tick_stream(Quote, pair, conflate)
        return stream

    def trades(self, pair: str, *, conflate: bool = False) -> AsyncIterator[Trade]:
        """The market's trades of ``pair`` from now on; as `bars`."""
        self.pair_of(pair)
        stream: Stream[Trade] = self._host.tick_stream(Trade, pair, conflate)
        return stream

    def subscribe(
        self, pair: str, *, length: int | str | timedelta | None = None, conflate: bool = False
    ) -> None:
        """Get market data of the subscribed pairs only (without a call: of all).

        ``length`` takes of the pair's bars those of that length only; subscribe again for another.
        ``conflate`` keeps only the latest event of a kind while a handler is busy.
        """
        self.pair_of(pair)
        self._host.subscribe(pair, conflate, length_ns(length))

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

    @property
    def random(self) -> Random:
        """The strategy's own stream of random numbers, split from the run's seed by its name."""
        return self._host.random

    @property
    def name(self) -> str:
        """The name of the strategy in this run."""
        return self._host.name.removeprefix("strategy/")

    @property
    def agent_id(self) -> UUID:
        """The id of the strategy as an agent: orders and fills carry it."""
        return self._desk.agent_id

    @property
    def log(self) -> Any:
        """A structlog logger bound to the strategy's name; it stamps the simulated time."""
        return get_logger("backtest.strategy").bind(
            strategy=self.name, time=from_ns(self._host.system.now).isoformat()
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters and their values."""
        cls: Any = type(self)
        if not attrs.has(cls):
            return {}  # the base itself, which has none
        return {one.name: getattr(self, one.name) for one in attrs.fields(cls) if one.init}

    # -- for the host ------------------------------------------------------------------------------

    def joined(self, host: StrategyHost, welcome: Welcome) -> Handlers:
        """Called by the host: here are pairs, accounts and balances."""
        _check_kinds(self)
        if getattr(self, "_host", None) is host:
            # Restarted: orders and positions are still there, whatever the strategy has forgotten.
            self._desk.balances.update(welcome.balances)
        else:
            self._host = host
            self._desk = OrderDesk(host, welcome, self)
        found = {
            name: getattr(self, name)
            for name in _HANDLERS
            if getattr(type(self), name) is not getattr(Strategy, name)
        }
        return Handlers(**{name: found.get(name) for name in _HANDLERS})

    def apply(self, event: OrderEvent | BalanceUpdate) -> None:
        """Called by the host with each event, as it arrives."""
        self._desk.apply(event)

    def ended(self) -> None:
        """Called by the host when the run is over."""
        self._desk.ended()


def _check_kinds(strategy: Strategy) -> None:
    """Refuse handlers that are no handlers, with a word on how to write them."""
    kind = type(strategy)
    if kind.run is not Strategy.run and not iscoroutinefunction(kind.run):
        raise ConfigError(
            f"{kind.__name__}.run must be an 'async def' without 'yield': it is one coroutine that "
            "runs beside the handlers; take bars with 'async for bar in self.bars(pair)'"
        )
    for name in _HANDLERS:
        if isasyncgenfunction(getattr(kind, name)) or isgeneratorfunction(getattr(kind, name)):
            raise ConfigError(f"{kind.__name__}.{name} contains 'yield': a handler yields nothing")
