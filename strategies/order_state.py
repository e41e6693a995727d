"""What has become of an order, as the last event left it, and the waiting for it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import anyio

from backtest.actors import EventKind, OrderEvent, Signal, Stream
from backtest.errors import RejectReason
from backtest.models import OrderDirection, OrderStatus, SpotOrder, TradingOrder
from backtest.money import ZERO, add, div, mul
from backtest.services.orders.revision import Revision
from backtest.times import duration_ns

from .command import Command
from .position import take_changes

if TYPE_CHECKING:
    from .client import OrderClient
    from .handle import OrderHandle

__all__ = ["OrderState"]

_NO_PARTS: dict[UUID, TradingOrder] = {}
"""Stands for no parts; never written to."""


_ACCEPTED, _CANCELLED = EventKind.ACCEPTED, EventKind.CANCELLED

_AT_ITS_STOP = frozenset(
    {
        RejectReason.INSUFFICIENT_FUNDS,
        RejectReason.PROTECTION_PASSED,
        RejectReason.REDUCE_ONLY,
        RejectReason.WOULD_TAKE,
    }
)
"""Why an order is cancelled where it was to fill: a stop order, where its stop was reached."""

_NO_EXITS: list[OrderHandle] = []
"""Stands for no exits; never written to."""

_NO_CLOSES: dict[int, OrderHandle] = {}
"""Stands for no closes; never written to."""


class OrderState(Command["OrderHandle"]):
    """The part of `OrderHandle` that follows events; the client hands them to it."""

    # What most orders never change is held by the class: handles are made by the hundred thousand.
    _filled: Signal | None = None
    _done: Signal | None = None
    _flat: Signal | None = None
    _events: list[Stream[OrderEvent]] | None = None
    _cost = ZERO
    _level: Decimal | None = None
    branch = 0
    """The venue's number of the branch; 0 before it is accepted."""
    id: UUID | None = None
    """The venue's order id, which never changes; None before the order is accepted."""
    pending: Revision | None = None
    """What is pending now; `live` is that, frozen."""
    parts: dict[UUID, TradingOrder] = _NO_PARTS
    """Its open positions by order id, oldest first."""
    filled_volume = ZERO
    cancelled_volume = ZERO
    end_reason: str | None = None
    """Why it was cancelled, if it was: the name of a `RejectReason`."""
    is_triggered = False
    """Whether the price reached its stop: so it is a market or limit order since, or was."""
    exits: list[OrderHandle] = _NO_EXITS
    """Of a spot bracket: the orders that sell again what it bought, one per fill, in the order of
    the fills. They are pending when the entry is done."""
    entry: OrderHandle | None = None
    """Of such an exit: the handle of the entry."""
    is_replaced = False
    """Whether it was split: its parts have handles of their own."""
    split_into: list[OrderHandle] = _NO_EXITS
    """Those handles."""
    closes: dict[int, OrderHandle] = _NO_CLOSES
    """Orders to close its positions that are pending (not what protects them), by the number of
    the command that asked for each."""
    split_given = 0
    """How many of `split_into` a split has given back already."""

    def __init__(
        self, client: OrderClient, pair: str, direction: OrderDirection, volume: Decimal, spot: bool
    ) -> None:
        self._client = client
        self.pair = pair
        self.direction = direction
        self.volume = volume
        """What was ordered."""
        self.spot = spot

    # -- state -------------------------------------------------------------------------------------

    @property
    def live(self) -> SpotOrder | TradingOrder | None:
        """What is pending now, as a frozen order."""
        return None if self.pending is None else self.pending.frozen()

    @property
    def is_accepted(self) -> bool:
        return self.branch > 0

    @property
    def is_rejected(self) -> bool:
        return self.error is not None

    @property
    def leaves(self) -> Decimal:
        """What is still to be filled."""
        if self.pending is not None:
            return self.pending.volume
        return ZERO if self.is_answered else self.volume

    @property
    def is_filled(self) -> bool:
        """Something filled, and nothing is left to fill."""
        return self.pending is None and self.filled_volume > ZERO

    @property
    def is_done(self) -> bool:
        """Nothing is pending any more: filled, cancelled, refused or split; and no order to close
        what it opened is (what protects it does not count)."""
        return self.pending is None and self.is_answered and not self.closes

    @property
    def _is_over(self) -> bool:
        """Nothing of the order itself is pending any more."""
        return self.pending is None and self.is_answered

    @property
    def status(self) -> OrderStatus:
        """``PENDING`` while something is to be filled; then what became of the order."""
        if not self._is_over:
            return OrderStatus.PENDING
        if self.is_replaced:
            return OrderStatus.REPLACED
        if self.filled_volume > ZERO:
            if self.spot or self.parts:
                return OrderStatus.FILLED
            return OrderStatus.CLOSED
        return OrderStatus.CANCELLED

    @property
    def average_price(self) -> Decimal | None:
        """Volume-weighted price of the fills; None before the first."""
        return div(self._cost, self.filled_volume) if self.filled_volume else None

    @property
    def trail_price(self) -> Decimal | None:
        """Where its trailing stop stands now: the pending order's, or the one that closes its
        position (`close` with ``trail``); None without one."""
        live = self.live
        if live is not None and live.instructions.is_trailing:
            return live.stop_price
        return self._level if self.parts else None

    @property
    def open_volume(self) -> Decimal:
        """Volume of the positions that this order opened and that are open still."""
        total = ZERO
        for part in self.parts.values():
            total = add(total, part.volume)
        return total

    @property
    def liquidation_price(self) -> Decimal | None:
        """The price at which the venue liquidates a position that this order opened: the one
        nearest to the last price, if there are several. None when no price does."""
        exposure = self._client.holdings.exposure
        return exposure.position(self.pair, self.parts.values()).liquidation_price

    # -- waiting -----------------------------------------------------------------------------------

    async def filled(self, timeout: float | timedelta | str | None = None) -> bool:
        """Wait until nothing is left to fill; whether it `is_filled`.

        False when the order ended with nothing filled, or after ``timeout`` (seconds of simulated
        time, real when live). An order of which a part filled and the rest was cancelled counts as
        filled: `filled_volume` says how much.
        """
        return await self._wait("_filled", self._is_over, timeout) and self.is_filled

    async def done(self, timeout: float | timedelta | str | None = None) -> bool:
        """Wait until nothing of it is pending; False after ``timeout``."""
        return await self._wait("_done", self.is_done, timeout)

    async def closed(self, timeout: float | timedelta | str | None = None) -> bool:
        """Wait until nothing is pending and every position it opened is closed; False after
        ``timeout``."""
        return await self._wait("_flat", self._is_over and not self.parts, timeout)

    async def _wait(self, name: str, already: bool, timeout: Any) -> bool:
        if already:
            return True
        signal = getattr(self, name)
        if signal is None:
            signal = Signal(self._client.system)
            setattr(self, name, signal)
        if timeout is None:
            await signal.wait()
            return True
        with anyio.move_on_after(duration_ns(timeout, "timeout") / 1e9):
            await signal.wait()
        return bool(signal.is_set)

    @property
    def events(self) -> Stream[OrderEvent]:
        """A new stream of this order's events from now on, for ``async for``."""
        stream: Stream[OrderEvent] = Stream(self._client.system, self._client.name, 100_000)
        if self._events is None:
            self._events = []
        self._events.append(stream)
        if self._client.over or (self._is_over and not self.parts):
            stream.close()
        return stream

    # -- events, from the client -------------------------------------------------------------------

    def apply(self, event: OrderEvent) -> None:
        """Bring the handle up to date with an event of its branch."""
        kind = event.kind
        self.pending = event.pending
        # By far the most events are these two.
        if kind is _CANCELLED:
            assert event.about is not None
            self.cancelled_volume = add(self.cancelled_volume, event.about.volume)
            self.end_reason = None if event.reason is None else event.reason.value
            if event.has_stop and event.reason in _AT_ITS_STOP:
                self.is_triggered = True
        elif kind is not _ACCEPTED:
            self._change(kind, event)
        if self._events is not None:
            self.tell(event)

    def _change(self, kind: EventKind, event: OrderEvent) -> None:
        """Take up what an event has changed beside what is pending."""
        fill = event.fill
        if fill is not None and (self.spot or fill.kind == "entry"):
            self.filled_volume = add(self.filled_volume, fill.volume)
            self._cost = add(self._cost, mul(fill.price, fill.volume))
            if event.has_stop and fill.kind != "take_profit":
                self.is_triggered = True
        elif kind is EventKind.NETTED:
            price, volume = event.facts.price, event.facts.quantity
            assert price is not None
            assert volume is not None
            self.filled_volume = add(self.filled_volume, volume)
            self._cost = add(self._cost, mul(price, volume))
            self.is_triggered = self.is_triggered or event.has_stop
        elif kind is EventKind.MODIFIED and event.pending is not None:
            self.volume = add(self.filled_volume, event.pending.volume)
        if event.opened:
            # The parts of a split have handles of their own.
            # What other orders have of the position, or the parts of a split, is theirs.
            own = tuple(
                change
                for change in event.positions
                if change[1] is None or change[1].branch_id == self.id
            )
            if self.parts is _NO_PARTS:
                self.parts = {}
            take_changes(self.parts, own)
        if event.level is not None and event.about is not event.pending:
            self._level = event.level
        elif kind is EventKind.CLOSE_CANCELLED:
            self._level = None
        elif kind is EventKind.TRIGGERED and event.about is event.pending:
            self.is_triggered = True

    def tell(self, event: OrderEvent) -> None:
        """Hand an event to whoever iterates."""
        for stream in self._events or ():
            stream.push(event)

    def take_over(self, order: TradingOrder) -> None:
        """It begins with (a part of) a position that was filled already, or with several."""
        if self.parts is _NO_PARTS:
            self.parts = {}
        else:
            self.volume = add(self.volume, order.volume)
        self.parts[order.id] = order
        self.filled_volume = add(self.filled_volume, order.volume)
        self._cost = add(self._cost, mul(order.volume, order.fill_price))  # type: ignore[arg-type]

    def settle(self) -> None:
        """Let go on whoever waits for what has come true."""
        if self.pending is None:
            if self._filled is not None:
                self._filled.resolve()
            if self._done is not None and not self.closes:
                self._done.resolve()
            if not self.parts:
                if self._flat is not None:
                    self._flat.resolve()
                if self._events is not None:
                    self.stop_events()

    def stop_events(self) -> None:
        if self._events is not None:
            for stream in self._events:
                stream.close()
