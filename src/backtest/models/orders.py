"""Trading orders (derivatives, leverage), and the words both kinds of order share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID, uuid4

from attrs import field, frozen

from backtest.errors import FieldError
from backtest.models._fast import derive
from backtest.models._order_base import (
    OrderBase,
    check_family,
    check_moment,
    check_part_volumes,
)
from backtest.models._validate import (
    AMOUNT,
    AMOUNT_IF_SET,
    AMOUNT_NONE_IS_ZERO,
    NON_NEGATIVE,
    NON_NEGATIVE_IF_SET,
    NONE_IS_ONE,
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
from backtest.models.lifecycle import TRADING_LIFECYCLE, OrderDirection, OrderStatus, OrderStep
from backtest.money import ONE, ZERO, add, mul, plain, sub

__all__ = ["OrderDirection", "OrderStatus", "TradingOrder"]

_NUMBERS = (
    ("volume", POSITIVE),
    ("create_price", POSITIVE),
    ("fill_price", POSITIVE_IF_SET),
    ("close_price", POSITIVE_IF_SET),
    ("limit_price", POSITIVE_IF_SET),
    ("stop_loss", POSITIVE_IF_SET),
    ("take_profit", POSITIVE_IF_SET),
    ("leverage", NONE_IS_ONE),
    ("fees_on_create", NONE_IS_ZERO),
    ("fees_on_fill", AMOUNT_NONE_IS_ZERO),  # a maker's rebate is a negative fee
    ("fees_on_close", AMOUNT_NONE_IS_ZERO),
    ("fees_on_cancel", NONE_IS_ZERO),
    ("fees_on_overnight", AMOUNT_NONE_IS_ZERO),  # income is negative
    ("margin_reserved", NONE_IS_ZERO),
    ("gross_pnl", AMOUNT_IF_SET),
    ("net_pnl", AMOUNT_IF_SET),
    ("fill_volume", NON_NEGATIVE_IF_SET),
    ("cancel_volume", NON_NEGATIVE_IF_SET),
    ("contract_size", NONE_IS_ONE),
    ("stop_price", POSITIVE_IF_SET),
    ("reserved", NONE_IS_ZERO),
)
_TIMES = ("fill_timestamp", "close_timestamp", "cancel_timestamp", "replaced_timestamp")


@frozen(slots=False, repr=False)
class TradingOrder(OrderBase):
    """An order for ``volume`` contracts with ``leverage``; filled, it is an open position. Frozen.

    Prices are in quote per unit of base, money (fees, margin, PnL, ``reserved``) in the settlement
    asset. ``create_price`` is the market's price when the order was made. ``margin_reserved`` is
    the margin of the open position (a closed one keeps it as a record), ``reserved`` what the
    ledger holds for a pending order, zero afterwards. ``closing_reason`` is ``close``,
    ``stop_loss``, ``take_profit``, ``liquidation``, ``netting`` (closed by an order of the other
    side) or ``offset`` (that order itself: it filled, and opened nothing).

    Raises `FieldError` (a `ValueError`) or `FieldTypeError` (a `TypeError`); the message begins
    with the field.

    >>> from datetime import UTC, datetime
    >>> day, ids = datetime(2024, 1, 1, tzinfo=UTC), [uuid4() for _ in range(4)]
    >>> order = TradingOrder("BTCUSD", OrderDirection.SHORT, Decimal(2), day, Decimal(100), *ids)
    >>> closed = order.create_filled_copy(day, Decimal(100)).create_closed_copy(day, Decimal(90))
    >>> closed.gross_pnl
    Decimal('20')
    """

    LIFECYCLE: ClassVar[Mapping[tuple[OrderStatus, OrderStep], OrderStatus]] = TRADING_LIFECYCLE
    PARENT: ClassVar[str] = "parent_order_id"
    FEE_CREATE: ClassVar[str] = "fees_on_create"
    FEE_FILL: ClassVar[str] = "fees_on_fill"
    FEE_CANCEL: ClassVar[str] = "fees_on_cancel"
    SHARED: ClassVar[tuple[str, ...]] = (
        "fees_on_create",
        "fees_on_fill",
        "fees_on_overnight",
        "margin_reserved",
    )
    MODIFIABLE: ClassVar[frozenset[str]] = frozenset(
        {"limit_price", "stop_price", "stop_loss", "take_profit", "instructions"}
    )

    trading_pair_code: str
    direction: OrderDirection
    volume: Decimal
    create_timestamp: datetime
    create_price: Decimal
    agent_id: UUID
    account_id: UUID
    broker_id: UUID
    backtest_run_id: UUID
    status: OrderStatus = OrderStatus.PENDING
    fill_timestamp: datetime | None = None
    fill_price: Decimal | None = None
    close_timestamp: datetime | None = None
    close_price: Decimal | None = None
    cancel_timestamp: datetime | None = None
    limit_price: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    leverage: Decimal = ONE
    fees_on_create: Decimal = ZERO
    fees_on_fill: Decimal = ZERO
    fees_on_close: Decimal = ZERO
    fees_on_cancel: Decimal = ZERO
    fees_on_overnight: Decimal = ZERO
    margin_reserved: Decimal = ZERO
    gross_pnl: Decimal | None = None
    net_pnl: Decimal | None = None
    parent_order_id: UUID | None = None
    root_order_id: UUID = UNSET
    id: UUID = field(factory=uuid4)
    fill_volume: Decimal | None = None
    cancel_volume: Decimal | None = None
    contract_size: Decimal = ONE
    stop_price: Decimal | None = None
    branch_id: UUID = UNSET
    reserved: Decimal = ZERO
    order_number: int = 0
    end_reason: str | None = None
    replaced_timestamp: datetime | None = None
    closing_reason: str | None = None
    instructions: Instructions = PLAIN

    def __attrs_post_init__(self) -> None:
        values = self.__dict__
        check_texts(values, ("trading_pair_code",))
        check_member(self.direction, "direction", OrderDirection)
        check_member(self.status, "status", OrderStatus)
        check_instructions(self.instructions)
        check_count(values["order_number"], "order_number")
        check_times(values, ("create_timestamp",), optional=_TIMES)
        check_numbers(values, _NUMBERS)
        check_part_volumes(values)
        check_family(values, "parent_order_id", "root_order_id")

    @property
    def parent_id(self) -> UUID | None:
        """``parent_order_id``, by the name it has on a spot order."""
        return self.parent_order_id

    @property
    def root_id(self) -> UUID:
        """``root_order_id``, by the name it has on a spot order."""
        return self.root_order_id

    def _terms(self) -> tuple[object, ...]:
        lever = None if self.leverage == ONE else f"{plain(self.leverage)}x"
        return (*super()._terms(), lever)

    def _outcome(self) -> tuple[object, ...]:
        margin = self.margin_reserved if self.status is OrderStatus.FILLED else None
        closed = (("to", self.close_price), ("net", self.net_pnl), self.closing_reason)
        return (*super()._outcome(), ("margin", margin), *closed)

    @property
    def is_closed(self) -> bool:
        """The position was closed."""
        return self.status is OrderStatus.CLOSED

    @property
    def is_active(self) -> bool:
        """Waiting to fill, or an open position."""
        return self.status is OrderStatus.PENDING or self.status is OrderStatus.FILLED

    @property
    def total_fees(self) -> Decimal:
        """All fees charged on this order, rebates and overnight income counting negative."""
        paid = add(add(self.fees_on_create, self.fees_on_fill), self.fees_on_close)
        return add(add(paid, self.fees_on_cancel), self.fees_on_overnight)

    def create_filled_copy(
        self,
        fill_timestamp: datetime,
        fill_price: Decimal,
        fill_volume: Decimal | None = None,
        fees_on_fill: Decimal | None = None,
        margin_reserved: Decimal | None = None,
    ) -> TradingOrder:
        """This order filled, its position open: ``fill_volume`` (all that remains, if left out).

        Keeps the id; fees and margin replace what the order has when given. Raises
        `InvalidTransition` unless pending, `FieldError` for a volume of nothing or of more than
        remains.
        """
        status = self._after(OrderStep.FILL)
        fees, margin = self.fees_on_fill, self.margin_reserved
        if fees_on_fill is not None:
            fees = number(fees_on_fill, "fees_on_fill", AMOUNT)
        if margin_reserved is not None:
            margin = number(margin_reserved, "margin_reserved", NON_NEGATIVE)
        return derive(
            self,
            status=status,
            fill_timestamp=check_moment(fill_timestamp, "fill_timestamp"),
            fill_price=number(fill_price, "fill_price", POSITIVE),
            fill_volume=self._part(fill_volume, "fill_volume"),
            fees_on_fill=fees,
            margin_reserved=margin,
            reserved=ZERO,
        )

    def create_closed_copy(
        self,
        close_timestamp: datetime,
        close_price: Decimal,
        fees_on_close: Decimal | None = None,
    ) -> TradingOrder:
        """This position closed at ``close_price``, with its PnL (unrounded) worked out.

        ``gross_pnl`` = (close - fill) x filled volume x contract size, negated for ``SHORT``;
        ``net_pnl`` = gross - all fees. Raises `InvalidTransition` unless filled.
        """
        status = self._after(OrderStep.CLOSE)
        price: Decimal = number(close_price, "close_price", POSITIVE)
        gross = self._gross_at(price)
        fees = self.fees_on_close
        if fees_on_close is not None:
            fees = number(fees_on_close, "fees_on_close", AMOUNT)
        closed = derive(
            self,
            status=status,
            close_timestamp=check_moment(close_timestamp, "close_timestamp"),
            close_price=price,
            fees_on_close=fees,
            gross_pnl=gross,
        )
        return derive(closed, net_pnl=sub(gross, closed.total_fees))

    def create_cancelled_copy(
        self, cancel_timestamp: datetime, fees_on_cancel: Decimal | None = None
    ) -> TradingOrder:
        """This order cancelled with all that remains of it; `InvalidTransition` unless pending."""
        status = self._after(OrderStep.CANCEL)
        fees = self.fees_on_cancel
        if fees_on_cancel is not None:
            fees = number(fees_on_cancel, "fees_on_cancel", NON_NEGATIVE)
        return derive(
            self,
            status=status,
            cancel_timestamp=check_moment(cancel_timestamp, "cancel_timestamp"),
            cancel_volume=self._part(None, "cancel_volume"),
            fees_on_cancel=fees,
            reserved=ZERO,
        )

    def create_with_overnight_fees(self, fees: Decimal) -> TradingOrder:
        """This order with ``fees`` added to its overnight fees (income is negative).

        Raises `InvalidTransition` unless pending or filled.
        """
        charge: Decimal = number(fees, "fees", AMOUNT)
        status = self._after(OrderStep.CHARGE)
        return derive(self, status=status, fees_on_overnight=add(self.fees_on_overnight, charge))

    def create_replaced_copy(self, replaced_timestamp: datetime) -> TradingOrder:
        """This order or position ``REPLACED`` by its children; `InvalidTransition` if final."""
        return derive(
            self,
            status=self._after(OrderStep.MODIFY),
            replaced_timestamp=check_moment(replaced_timestamp, "replaced_timestamp"),
            reserved=ZERO,
        )

    def _gross_at(self, price: Decimal) -> Decimal:
        """PnL of closing the filled volume at ``price``, before fees and unrounded."""
        if self.fill_price is None:
            raise FieldError("fill_price", "must be set before a position can be closed")
        size = self.volume if self.fill_volume is None else self.fill_volume
        gross = mul(mul(sub(price, self.fill_price), size), self.contract_size)
        return gross if self.direction is OrderDirection.LONG else gross.copy_negate()
