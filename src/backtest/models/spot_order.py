"""Spot orders: the direct exchange of one asset for another."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID, uuid4

from attrs import field, frozen

from backtest.models._fast import derive
from backtest.models._order_base import (
    OrderBase,
    check_family,
    check_moment,
    check_part_volumes,
)
from backtest.models._validate import (
    AMOUNT,
    AMOUNT_NONE_IS_ZERO,
    NON_NEGATIVE,
    NON_NEGATIVE_IF_SET,
    NONE_IS_ZERO,
    POSITIVE,
    POSITIVE_IF_SET,
    UNSET,
    check_count,
    check_member,
    check_numbers,
    check_texts,
    check_times,
    number,
)
from backtest.models.instructions import PLAIN, Instructions, check_instructions
from backtest.models.lifecycle import SPOT_LIFECYCLE, OrderDirection, OrderStatus, OrderStep
from backtest.money import ZERO, add

__all__ = ["SpotOrder"]

_NUMBERS = (
    ("volume", POSITIVE),
    ("limit_price", POSITIVE_IF_SET),
    ("fill_price", POSITIVE_IF_SET),
    ("fill_volume", NON_NEGATIVE_IF_SET),
    ("cancel_volume", NON_NEGATIVE_IF_SET),
    ("fee_create", NONE_IS_ZERO),
    ("fee_fill", AMOUNT_NONE_IS_ZERO),  # a maker's rebate is a negative fee
    ("fee_cancel", NONE_IS_ZERO),
    ("stop_price", POSITIVE_IF_SET),
    ("reserved", NONE_IS_ZERO),
    ("stop_loss", POSITIVE_IF_SET),
    ("take_profit", POSITIVE_IF_SET),
)


@frozen(slots=False, repr=False)
class SpotOrder(OrderBase):
    """An order to exchange ``volume`` of the pair's base asset for its quote asset. Frozen.

    ``volume``, ``fill_volume`` and ``cancel_volume`` are in the base asset, prices in quote per
    base, fees and ``reserved`` in the asset they are charged or held in (quote; base for the
    reserve of a sell). ``reserved`` is what the ledger holds for the order while it is pending and
    zero afterwards. A fee of None is a fee of zero. ``parent_id``, ``root_id`` and ``branch_id``
    place it in its chain; ``end_reason`` says why it was cancelled or replaced (a `RejectReason`
    value).

    A buy with ``stop_loss`` or ``take_profit`` is the entry of a bracket. What it buys is sold by
    an *exit*, an order of a chain of its own: ``entry_order_id`` is the order that bought it,
    ``limit_price`` its take-profit and ``stop_price`` its stop-loss, whichever is reached first. An
    exit of what the account owned already has no such order: it names the root of its own chain.

    Raises `FieldError` (a `ValueError`) or `FieldTypeError` (a `TypeError`); the message begins
    with the field.

    >>> from datetime import UTC, datetime
    >>> day = datetime(2024, 1, 1, tzinfo=UTC)
    >>> ids = [uuid4() for _ in range(4)]
    >>> order = SpotOrder(
    ...     ids[0], "BTCUSD", ids[1], ids[2], ids[3], 1, OrderDirection.BUY, OrderStatus.PENDING,
    ...     day, Decimal("1.5"), limit_price=Decimal("50000"),
    ... )
    >>> part = order.create_filled_copy(day, Decimal("50000"), Decimal(1))
    >>> part.status.name, part.remaining_volume
    ('FILLED', Decimal('0.5'))
    """

    LIFECYCLE: ClassVar[Mapping[tuple[OrderStatus, OrderStep], OrderStatus]] = SPOT_LIFECYCLE
    PARENT: ClassVar[str] = "parent_id"
    FEE_CREATE: ClassVar[str] = "fee_create"
    FEE_FILL: ClassVar[str] = "fee_fill"
    FEE_CANCEL: ClassVar[str] = "fee_cancel"
    SHARED: ClassVar[tuple[str, ...]] = ("fee_create", "fee_fill")
    MODIFIABLE: ClassVar[frozenset[str]] = frozenset(
        {"limit_price", "stop_price", "stop_loss", "take_profit", "instructions"}
    )

    broker_id: UUID
    trading_pair_code: str
    agent_id: UUID
    account_id: UUID
    backtest_run_id: UUID
    order_number: int
    direction: OrderDirection
    status: OrderStatus
    create_timestamp: datetime
    volume: Decimal
    limit_price: Decimal | None = None
    id: UUID = field(factory=uuid4)
    parent_id: UUID | None = None
    root_id: UUID = UNSET
    fill_timestamp: datetime | None = None
    fill_price: Decimal | None = None
    fill_volume: Decimal | None = None
    cancel_timestamp: datetime | None = None
    cancel_volume: Decimal | None = None
    fee_create: Decimal = ZERO
    fee_fill: Decimal = ZERO
    fee_cancel: Decimal = ZERO
    stop_price: Decimal | None = None
    branch_id: UUID = UNSET
    reserved: Decimal = ZERO
    end_reason: str | None = None
    replaced_timestamp: datetime | None = None
    instructions: Instructions = PLAIN
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    entry_order_id: UUID | None = None

    def __attrs_post_init__(self) -> None:
        values = self.__dict__
        check_texts(values, ("trading_pair_code",))
        check_count(values["order_number"], "order_number")
        check_member(self.direction, "direction", OrderDirection)
        check_member(self.status, "status", OrderStatus)
        check_instructions(self.instructions)
        check_times(
            values,
            ("create_timestamp",),
            optional=("fill_timestamp", "cancel_timestamp", "replaced_timestamp"),
        )
        check_numbers(values, _NUMBERS)
        check_part_volumes(values)
        check_family(values, "parent_id", "root_id")

    @property
    def is_active(self) -> bool:
        """Still waiting to fill."""
        return self.status is OrderStatus.PENDING

    @property
    def total_fees(self) -> Decimal:
        """All fees charged on this order, a rebate counting negative."""
        return add(add(self.fee_create, self.fee_fill), self.fee_cancel)

    def create_filled_copy(
        self,
        fill_timestamp: datetime,
        fill_price: Decimal,
        fill_volume: Decimal | None = None,
        fee_fill: Decimal | None = None,
    ) -> SpotOrder:
        """This order filled: ``fill_volume`` of it (all that remains, if left out).

        Keeps the id; ``fee_fill`` (quote asset) replaces the fill fee when given. Raises
        `InvalidTransition` unless pending, `FieldError` for a volume of nothing or of more than
        remains.
        """
        status = self._after(OrderStep.FILL)
        return derive(
            self,
            status=status,
            fill_timestamp=check_moment(fill_timestamp, "fill_timestamp"),
            fill_price=number(fill_price, "fill_price", POSITIVE),
            fill_volume=self._part(fill_volume, "fill_volume"),
            fee_fill=self.fee_fill if fee_fill is None else number(fee_fill, "fee_fill", AMOUNT),
            reserved=ZERO,
        )

    def create_cancelled_copy(
        self,
        cancel_timestamp: datetime,
        cancel_volume: Decimal | None = None,
        fee_cancel: Decimal | None = None,
    ) -> SpotOrder:
        """This order cancelled: ``cancel_volume`` of it, all that remains if left out.

        Keeps the id. Raises `InvalidTransition` unless pending, `FieldError` for a volume of
        nothing or of more than remains.
        """
        status = self._after(OrderStep.CANCEL)
        fee = self.fee_cancel
        return derive(
            self,
            status=status,
            cancel_timestamp=check_moment(cancel_timestamp, "cancel_timestamp"),
            cancel_volume=self._part(cancel_volume, "cancel_volume"),
            fee_cancel=fee
            if fee_cancel is None
            else number(fee_cancel, "fee_cancel", NON_NEGATIVE),
            reserved=ZERO,
        )

    def create_replaced_copy(self, replaced_timestamp: datetime) -> SpotOrder:
        """This order ``REPLACED`` by its children; `InvalidTransition` unless pending."""
        return derive(
            self,
            status=self._after(OrderStep.MODIFY),
            replaced_timestamp=check_moment(replaced_timestamp, "replaced_timestamp"),
            reserved=ZERO,
        )
