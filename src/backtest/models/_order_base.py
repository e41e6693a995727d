"""What spot orders and trading orders have in common: what can be asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from backtest.errors import FieldError, FieldTypeError
from backtest.models._show import shown
from backtest.models._validate import POSITIVE, number
from backtest.models.instructions import Instructions
from backtest.models.lifecycle import OrderDirection, OrderStatus, OrderStep, next_status
from backtest.money import ZERO, sub

__all__ = ["OrderBase", "check_family", "check_moment", "check_part_volumes"]


class OrderBase:
    """The fields both kinds of order share by name, and what follows from them.

    Not an attrs class: each kind lists its fields in the order its users rely on.
    """

    LIFECYCLE: ClassVar[Mapping[tuple[OrderStatus, OrderStep], OrderStatus]]
    PARENT: ClassVar[str]
    """The field of the parent's id, which the two kinds name differently; likewise the fees."""
    FEE_CREATE: ClassVar[str]
    FEE_FILL: ClassVar[str]
    FEE_CANCEL: ClassVar[str]
    SHARED: ClassVar[tuple[str, ...]]
    """The amounts that are divided with the volume when an order lives on in parts."""
    MODIFIABLE: ClassVar[frozenset[str]]
    """What a modify may change while the order is pending, beside its volume."""

    id: UUID
    trading_pair_code: str
    direction: OrderDirection
    status: OrderStatus
    create_timestamp: datetime
    volume: Decimal
    account_id: UUID
    agent_id: UUID
    broker_id: UUID
    backtest_run_id: UUID
    limit_price: Decimal | None
    fill_timestamp: datetime | None
    fill_price: Decimal | None
    fill_volume: Decimal | None
    cancel_timestamp: datetime | None
    cancel_volume: Decimal | None
    stop_price: Decimal | None
    stop_loss: Decimal | None
    take_profit: Decimal | None
    instructions: Instructions
    branch_id: UUID
    reserved: Decimal
    order_number: int
    end_reason: str | None
    replaced_timestamp: datetime | None

    @property
    def is_pending(self) -> bool:
        """Waiting to fill."""
        return self.status is OrderStatus.PENDING

    @property
    def is_filled(self) -> bool:
        """Executed (a trading order: its position is open)."""
        return self.status is OrderStatus.FILLED

    @property
    def is_cancelled(self) -> bool:
        """Ended before it filled."""
        return self.status is OrderStatus.CANCELLED

    @property
    def is_replaced(self) -> bool:
        """Its children of a modify or split carry on."""
        return self.status is OrderStatus.REPLACED

    @property
    def is_market_order(self) -> bool:
        """Neither a limit nor a stop price."""
        return self.limit_price is None and self.stop_price is None

    @property
    def is_limit_order(self) -> bool:
        """Has a limit price."""
        return self.limit_price is not None

    @property
    def is_stop_order(self) -> bool:
        """Has a stop price."""
        return self.stop_price is not None

    def __repr__(self) -> str:
        return shown(
            self,
            f"#{self.order_number}" if self.order_number else None,
            self.direction,
            self.volume,
            self.trading_pair_code,
            *self._terms(),
            self.status,
            *self._outcome(),
            self.end_reason,
            self.id,
        )

    def _terms(self) -> tuple[object, ...]:
        """What it asks for, as it is shown."""
        priced = (("limit", self.limit_price), ("stop", self.stop_price))
        exits = (("stop_loss", self.stop_loss), ("take_profit", self.take_profit))
        return ("market" if self.is_market_order else None, *priced, *exits)

    def _outcome(self) -> tuple[object, ...]:
        """What came of it so far, as it is shown."""
        parts = [
            None if part == self.volume else part for part in (self.fill_volume, self.cancel_volume)
        ]
        return (("filled", parts[0]), ("at", self.fill_price), ("cancelled", parts[1]))

    @property
    def remaining_volume(self) -> Decimal:
        """Volume neither filled nor cancelled (of the base asset, or contracts)."""
        left = self.volume
        if self.fill_volume is not None:
            left = sub(left, self.fill_volume)
        if self.cancel_volume is not None:
            left = sub(left, self.cancel_volume)
        return left

    def _after(self, event: OrderStep) -> OrderStatus:
        return next_status(self.LIFECYCLE, self.status, event, self.id)

    def _part(self, value: object, name: str) -> Decimal:
        """``value`` (all that remains if ``None``) as a part of what remains, or a `FieldError`."""
        left = self.remaining_volume
        part: Decimal = left if value is None else number(value, name, POSITIVE)
        if part > left:
            raise FieldError(name, f"must not exceed the remaining volume {left}, but is {part}")
        if part <= ZERO:
            raise FieldError(name, "must be positive, but nothing remains")
        return part


def check_moment(value: object, name: str) -> Any:
    """``value`` when it is a `datetime`, naive or aware; else a `FieldTypeError`."""
    if not isinstance(value, datetime):
        raise FieldTypeError(name, f"must be a datetime, not {type(value).__name__}")
    return value


def check_family(values: dict[str, Any], parent: str, root: str) -> None:
    """Fill in the root and the branch that the maker of an order left out.

    Without a parent an order is the root of its chain and the first of its branch. With a parent
    and no root, the parent is taken for the root; with no branch, the root's branch.
    """
    if values[root] is None:
        values[root] = values["id"] if values[parent] is None else values[parent]
    if values["branch_id"] is None:
        values["branch_id"] = values["id"] if values[parent] is None else values[root]


def check_part_volumes(values: dict[str, Any]) -> None:
    """Refuse an order that filled and cancelled more than its volume."""
    filled, cancelled = values["fill_volume"], values["cancel_volume"]
    whole = values["volume"]
    if filled is not None and filled > whole:
        raise FieldError("fill_volume", f"must not exceed volume {whole}, but is {filled}")
    if cancelled is not None and cancelled > sub(whole, filled or ZERO):
        raise FieldError("cancel_volume", f"must not exceed what is not filled, but is {cancelled}")
