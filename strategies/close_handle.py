"""The handle of an order to close positions."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

from backtest.actors import EventKind, OrderEvent
from backtest.actors.protocol import PendingClose
from backtest.errors import FieldError
from backtest.models import OrderDirection, OrderStatus
from backtest.money import ZERO, add, mul, sub

from .command import Command
from .handle import Expires, Number, OrderHandle

if TYPE_CHECKING:
    from .client import OrderClient

__all__ = ["CloseHandle"]


class CloseHandle(OrderHandle):
    """Follows an order that closes positions: what `OrderHandle.close` gives.

    It says what the handle of any order says: `status`, `leaves`, `filled_volume`, `is_done`; and
    can be cancelled and modified. Awaiting it gives the handle of the order whose positions it
    closes, which is its `entry`.
    """

    number = 0
    """The number of the command, by which the venue knows it."""
    pending: PendingClose | None = None  # type: ignore[assignment]

    def __init__(self, client: OrderClient, entry: OrderHandle, volume: Decimal) -> None:
        opened = entry.direction is OrderDirection.LONG
        side = OrderDirection.SHORT if opened else OrderDirection.LONG
        super().__init__(client, entry.pair, side, volume, False)
        self.entry = entry

    @property
    def value(self) -> OrderHandle:  # type: ignore[override]
        """The handle of the order whose positions it closes: what awaiting it gives."""
        assert self.entry is not None
        return self.entry

    def __repr__(self) -> str:
        return (
            f"<CloseHandle {self.volume} {self.pair} {self.status.name} "
            f"filled {self.filled_volume} leaves {self.leaves}>"
        )

    @property
    def is_accepted(self) -> bool:
        return self.id is not None

    @property
    def status(self) -> OrderStatus:
        """``PENDING``, then ``FILLED`` if it closed anything, else ``CANCELLED``."""
        if not self._is_over:
            return OrderStatus.PENDING
        return OrderStatus.FILLED if self.filled_volume else OrderStatus.CANCELLED

    @property
    def live(self) -> PendingClose | None:  # type: ignore[override]
        """What is pending now: ``live.limit_price``, ``live.stop_price``, ``live.volume``."""
        return self.pending

    @property
    def trail_price(self) -> Decimal | None:
        """Where its trailing stop stands now; None without one."""
        live = self.live
        return live.stop_price if live is not None and live.instructions.is_trailing else None

    # -- commands ----------------------------------------------------------------------------------

    def cancel(self, volume: Number | None = None) -> Command[OrderHandle]:
        """Cancel all, or ``volume``, of what is pending of this close, and of no other."""
        return self._client.commands.cancel_close(self, volume)

    def modify(  # type: ignore[override]
        self,
        *,
        volume: Number | None = None,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        trail: Number | None = None,
        trail_percent: Number | None = None,
        stop_loss: None = None,
        take_profit: None = None,
        expires: Expires | None = None,
        clear: Sequence[str] = (),
    ) -> Command[OrderHandle]:
        """Give it another total ``volume``, what it has closed included, or other prices, of which
        it must have had such. It loses its place in the queue, and keeps its id."""
        return self._client.commands.modify(
            self,
            frozenset(clear),
            expires,
            close=self.number,
            volume=volume,
            limit_price=limit_price,
            stop_price=stop_price,
            stop_loss=stop_loss,
            take_profit=take_profit,
            trail=trail,
            trail_percent=trail_percent,
        )

    def split(self, *given: Any, **more: Any) -> NoReturn:
        """A close is not split: cancel it, and close in parts."""
        raise FieldError("order", "is a close and cannot be split: cancel it, and close in parts")

    def close(self, *given: Any, **more: Any) -> NoReturn:
        """A close closes by itself; what it is to close is its `entry`'s."""
        raise FieldError("order", "is a close already: call close() of its entry")

    # -- events, from the client -------------------------------------------------------------------

    def follow(self, event: OrderEvent, state: PendingClose | None) -> None:
        """Bring the handle up to date with an event of the branch, after which ``state`` is
        pending of it."""
        before = self.leaves
        if state is not None:
            self.id = state.id
        about = bool(event.close) and event.close == self.number
        fill = event.fill
        if about and fill is not None and event.kind is EventKind.CLOSED:
            self.filled_volume = add(self.filled_volume, fill.volume)
            self._cost = add(self._cost, mul(fill.price, fill.volume))
            before = max(ZERO, sub(before, fill.volume))
        self.pending = state
        if state is None:
            if before:
                self.cancelled_volume = add(self.cancelled_volume, before)
                reason = event.reason
                self.end_reason = "ALREADY_DONE" if reason is None else reason.value
        else:
            self.volume = add(self.filled_volume, state.volume)
        if about and event.kind is EventKind.TRIGGERED:
            self.is_triggered = True
        if about or state is None:
            self.tell(event)
