"""The handle of an order: what a strategy holds on to, and awaits, and commands by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Never

from backtest.money import plain

from .command import Command
from .keywords import WORDS, unknown_keyword
from .order_state import OrderState

if TYPE_CHECKING:
    from .close_handle import CloseHandle

__all__ = ["Expires", "Number", "OrderHandle"]

Number = Decimal | int | str
"""What strategy calls take for a volume or a price: a `Decimal`, an `int`, or a numeric `str`."""

Expires = datetime | timedelta | float | str
"""What strategy calls take for an expiry: a moment, or how long from now."""


class OrderHandle(OrderState):
    """Follows one branch: an order, the leaves of its partial fills, its modified children.

    ``order = await self.buy(...)`` waits until the venue has accepted the order, and raises
    `OrderRejected` when it has not. Everything here is current, also in the middle of a handler.
    """

    @property
    def value(self) -> OrderHandle:  # type: ignore[override]
        """Itself: what awaiting it gives."""
        return self

    def __repr__(self) -> str:
        return (
            f"<OrderHandle {self.direction.name} {plain(self.volume)} "
            f"{self.pair} {self.status.name} "
            f"filled {plain(self.filled_volume)} leaves {plain(self.leaves)}>"
        )

    async def accepted(self) -> OrderHandle:
        """Wait for the venue's answer; raises `OrderRejected` when it refuses."""
        return await self

    def cancel(self, volume: Number | None = None) -> Command[OrderHandle]:
        """Cancel all, or ``volume``, of what is pending; for a position, its pending closes."""
        return self._client.commands.cancel(self, volume)

    def modify(
        self,
        *,
        volume: Number | None = None,
        limit_price: Number | None = None,
        stop_price: Number | None = None,
        stop_loss: Number | None = None,
        take_profit: Number | None = None,
        trail: Number | None = None,
        trail_percent: Number | None = None,
        expires: Expires | None = None,
        clear: Sequence[str] = (),
        **unknown: Never,
    ) -> Command[OrderHandle]:
        """Change what is pending, or the protection of the position.

        ``volume`` is the branch's total, what has filled included. ``clear`` names what to remove:
        ``"stop_loss"``, ``"take_profit"``. A smaller volume keeps the place in the queue. A new
        ``trail`` begins anew from the last price; ``expires`` makes the order ``GTD``.
        An exit of a spot bracket takes its ``stop_price`` as ``stop_loss`` and its
        ``limit_price`` as ``take_profit``, too.
        """
        if unknown:
            raise unknown_keyword(unknown, OrderHandle.modify, WORDS)
        return self._client.commands.modify(
            self,
            frozenset(clear),
            expires,
            trail=trail,
            trail_percent=trail_percent,
            volume=volume,
            limit_price=limit_price,
            stop_price=stop_price,
            stop_loss=stop_loss,
            take_profit=take_profit,
        )

    def split(
        self,
        volumes: Sequence[Number],
        limit_prices: Sequence[Number] | None = None,
        take_profits: Sequence[Number | None] | None = None,
    ) -> Command[list[OrderHandle]]:
        """Make parts that sum to what is pending (or open); the handles of the parts.

        Parts of a pending limit order may have ``limit_prices`` of their own, and all parts
        ``take_profits`` (None for the one there was): so a position leaves at several levels. What
        is open in several positions is shared out oldest first. This handle is then done,
        ``REPLACED``.
        """
        return self._client.commands.split(self, volumes, limit_prices, take_profits)

    def close(
        self,
        volume: Number | None = None,
        limit_price: Number | None = None,
        *,
        stop_price: Number | None = None,
        trail: Number | None = None,
        trail_percent: Number | None = None,
        **unknown: Never,
    ) -> CloseHandle:
        """Close all, or ``volume``, of the open position: at the market, at a limit, or by a stop,
        a stop-limit (both prices) or a trailing stop (``trail``, or ``trail_percent``).

        Awaiting it waits for the venue's acceptance and gives this handle; `closed` waits until it
        is done. What is given back is the handle of the close: of this one, and no other.
        """
        if unknown:
            raise unknown_keyword(unknown, OrderHandle.close, WORDS)
        return self._client.commands.close(
            self,
            volume,
            limit_price=limit_price,
            stop_price=stop_price,
            trail=trail,
            trail_percent=trail_percent,
        )

    def add_exit(self, exit: OrderHandle) -> None:
        """``exit`` sells again what a fill of this order bought."""
        exit.entry = self
        if not self.exits:  # the class holds the empty list of all
            self.exits = []
        self.exits.append(exit)
