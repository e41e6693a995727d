"""Order operations: what becomes of an order, as pure functions over frozen orders of both kinds.

Each takes an order and numbers that the caller has validated and priced, and returns new orders;
nothing is changed in place and nothing is posted. They run for every fill of a simulation, so they
copy without validating again. What they do check, because it would break a chain for good, is the
life-cycle (`InvalidTransition`) and that the parts of an order make up the order.

The rule of partial operations: the part that filled, closed or was cancelled keeps
the order's id and takes its volume; what is left lives on under a new id with ``parent_id`` set and
the same root and branch. Fees already paid and margin held are apportioned by volume, exactly. So
``volume`` is always the leaves of a pending order and the open volume of a position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, NamedTuple, NoReturn, TypeVar
from uuid import UUID

from backtest.errors import FieldError, OrderRejected, RejectReason
from backtest.models._fast import derive
from backtest.models._order_base import OrderBase
from backtest.models.lifecycle import (
    SPOT_LIFECYCLE,
    TRADING_LIFECYCLE,
    OrderStatus,
    OrderStep,
    next_status,
)
from backtest.models.orders import TradingOrder
from backtest.money import ZERO, add, plain, sub
from backtest.services.orders.create import create_spot, create_trading
from backtest.services.orders.parts import apportion, child_of, parts_of, replaced, take_part

__all__ = [
    "SPOT_LIFECYCLE",
    "TRADING_LIFECYCLE",
    "Cancelled",
    "Closed",
    "Filled",
    "Modified",
    "OrderStep",
    "Split",
    "apportion",
    "cancel",
    "close",
    "create_spot",
    "create_trading",
    "fill",
    "modify",
    "next_status",
    "offset",
    "split",
]

OrderT = TypeVar("OrderT", bound=OrderBase)

_PENDING = OrderStatus.PENDING
_FILLED = OrderStatus.FILLED
_CANCELLED = OrderStatus.CANCELLED
_CLOSED = OrderStatus.CLOSED

_POSITION_CHANGES = frozenset({"stop_loss", "take_profit"})


class Filled(NamedTuple, Generic[OrderT]):
    """The part that filled, and what still waits (``None`` after a whole fill)."""

    filled: OrderT
    leaves: OrderT | None


class Modified(NamedTuple, Generic[OrderT]):
    """The parent, ``REPLACED``, and the child that is live in its stead."""

    replaced: OrderT
    child: OrderT


class Split(NamedTuple, Generic[OrderT]):
    """The parent, ``REPLACED``, and its parts, each the first of a branch of its own."""

    replaced: OrderT
    parts: tuple[OrderT, ...]


class Cancelled(NamedTuple, Generic[OrderT]):
    """The part that was cancelled, and what still waits (``None`` after a whole cancel)."""

    cancelled: OrderT
    leaves: OrderT | None


class Closed(NamedTuple):
    """The part that was closed, and what is still open (``None`` after a whole close)."""

    closed: TradingOrder
    rest: TradingOrder | None


def fill(
    order: OrderT,
    *,
    at: datetime,
    price: Decimal,
    volume: Decimal,
    fee: Decimal,
    leaves_id: UUID | None = None,
    margin: Decimal | None = None,
    reserved_left: Decimal = ZERO,
    step: Decimal | None = None,
) -> Filled[OrderT]:
    """``volume`` of a pending order filled at ``price`` for ``fee`` (a rebate is negative).

    ``margin`` is what the new position holds (trading orders). What is left waits under
    ``leaves_id`` with ``reserved_left``; ``step`` is that of fees (`apportion`). Raises
    `InvalidTransition` unless pending, `FieldError` for a volume of nothing or beyond the order's.
    """
    if order.status is not _PENDING:
        next_status(order.LIFECYCLE, order.status, OrderStep.FILL, order.id)
    leaves = None
    part: dict[str, Any] = {}
    if volume != order.volume:
        part, leaves = take_part(order, volume, leaves_id, reserved_left, step)
    part[order.FEE_FILL] = fee
    if margin is not None:
        part["margin_reserved"] = margin
    filled = derive(
        order,
        status=_FILLED,
        fill_timestamp=at,
        fill_price=price,
        fill_volume=volume,
        reserved=ZERO,
        **part,
    )
    return Filled(filled, leaves)


def cancel(
    order: OrderT,
    *,
    at: datetime,
    fee: Decimal,
    reason: RejectReason,
    volume: Decimal | None = None,
    leaves_id: UUID | None = None,
    reserved_left: Decimal = ZERO,
    step: Decimal | None = None,
) -> Cancelled[OrderT]:
    """``volume`` of a pending order (all of it, if left out) cancelled for ``reason``.

    What is left waits under ``leaves_id`` with ``reserved_left``. Raises `InvalidTransition` unless
    pending, `FieldError` for a volume of nothing or beyond the order's.
    """
    if order.status is not _PENDING:
        next_status(order.LIFECYCLE, order.status, OrderStep.CANCEL, order.id)
    leaves = None
    part: dict[str, Any] = {}
    if volume is None:
        volume = order.volume
    elif volume != order.volume:
        part, leaves = take_part(order, volume, leaves_id, reserved_left, step)
    part[order.FEE_CANCEL] = fee
    cancelled = derive(
        order,
        status=_CANCELLED,
        cancel_timestamp=at,
        cancel_volume=volume,
        end_reason=reason._value_,  # `value` is a property, and slow
        reserved=ZERO,
        **part,
    )
    return Cancelled(cancelled, leaves)


def modify(
    order: OrderT,
    *,
    at: datetime,
    new_id: UUID,
    leaves: Decimal | None = None,
    changes: Mapping[str, object],
    reserved: Decimal = ZERO,
    fee: Decimal = ZERO,
    reason: RejectReason = RejectReason.REQUESTED,
) -> Modified[OrderT]:
    """A pending order with other prices or ``leaves``, or a position with other protection.

    ``changes`` maps ``limit_price``, ``stop_price``, ``stop_loss``, ``take_profit`` to a price or
    ``None``; ``leaves`` is the new volume (``None``: as it is); ``reserved`` what the ledger now
    holds; ``fee`` the create fee on an increase. The child stays in the branch and takes over the
    fees paid; the parent keeps its own record of them, and like every ``REPLACED`` order counts for
    nothing.

    Raises `InvalidTransition` for a final order, `OrderRejected` for leaves of nothing
    (``INVALID_VOLUME``: cancel instead) or a field that this order cannot change
    (``INVALID_ACTION``).
    """
    pending = order.status is _PENDING
    if not pending:
        next_status(order.LIFECYCLE, order.status, OrderStep.MODIFY, order.id)
        reserved = ZERO
    allowed = order.MODIFIABLE if pending else _POSITION_CHANGES
    if not changes.keys() <= allowed:
        names = ", ".join(sorted(changes.keys() - allowed))
        _reject(order, RejectReason.INVALID_ACTION, f"{names} cannot be changed on this order")
    if leaves is None:
        leaves = order.volume
    elif leaves <= ZERO:
        _reject(order, RejectReason.INVALID_VOLUME, "nothing would be left: cancel it instead")
    elif not pending and leaves != order.volume:
        _reject(order, RejectReason.INVALID_ACTION, "the volume of a position cannot be changed")
    child = child_of(order, new_id, leaves, reserved, changes)
    if fee:
        # The copy is ours alone until it is returned.
        child.__dict__[order.FEE_CREATE] = add(order.__dict__[order.FEE_CREATE], fee)
    return Modified(replaced(order, at, reason), child)


def split(
    order: OrderT,
    *,
    at: datetime,
    volumes: Sequence[Decimal],
    ids: Sequence[UUID],
    limit_prices: Sequence[Decimal | None] | None = None,
    step: Decimal | None = None,
    reserves: Sequence[Decimal] | None = None,
    reason: RejectReason = RejectReason.REQUESTED,
) -> Split[OrderT]:
    """A pending order or an open position as two or more parts, each a branch of its own.

    Reserve, margin and fees are apportioned by volume to ``step`` and sum to the parent's exactly;
    ``reserves`` gives the reserves instead (parts at other ``limit_prices`` need other amounts).

    Raises `InvalidTransition` for a final order, `OrderRejected` for fewer than two parts or one of
    nothing (``INVALID_VOLUME``), for volumes that do not sum to the order's (``STALE``), for prices
    that are not one per part (``INVALID_PRICE``) or are for a position (``INVALID_ACTION``).
    """
    if order.status is not _PENDING:
        next_status(order.LIFECYCLE, order.status, OrderStep.SPLIT, order.id)
    _check_split(order, volumes, ids, limit_prices, reserves)
    shares = parts_of(order, volumes, step, reserves)
    parts = []
    for number, (id, volume) in enumerate(zip(ids, volumes, strict=True)):
        own = shares[number]
        own["branch_id"] = id
        if limit_prices is not None and limit_prices[number] is not None:
            own["limit_price"] = limit_prices[number]
        parts.append(child_of(order, id, volume, own.pop("reserved"), own))
    return Split(replaced(order, at, reason), tuple(parts))


def close(
    position: TradingOrder,
    *,
    at: datetime,
    price: Decimal,
    volume: Decimal,
    fee: Decimal,
    pnl: Decimal,
    closing_reason: str,
    rest_id: UUID | None = None,
    step: Decimal | None = None,
    average: Decimal | None = None,
) -> Closed:
    """``volume`` of an open position closed at ``price`` for ``fee``.

    ``pnl`` is the gross PnL that the ledger books; ``net_pnl`` is it less all fees of the part.
    ``average`` is the price at which the position was opened that it is of, where its fills had
    several: the part shows it as its fill price.
    Margin and accrued fees are apportioned to ``step``; the closed part keeps its share of the
    margin as a record. The rest stays open under ``rest_id``. Raises `InvalidTransition` unless
    filled, `FieldError` for a volume of nothing or beyond the position's.
    """
    if position.status is not _FILLED:
        next_status(position.LIFECYCLE, position.status, OrderStep.CLOSE, position.id)
    part: dict[str, Any] = {}
    rest = None
    if volume != position.volume:
        part, rest = take_part(position, volume, rest_id, ZERO, step)
        part["fill_volume"] = volume
    if average is not None:
        part["fill_price"] = average
    closed = derive(
        position,
        status=_CLOSED,
        close_timestamp=at,
        close_price=price,
        fees_on_close=fee,
        gross_pnl=pnl,
        closing_reason=closing_reason,
        reserved=ZERO,
        **part,
    )
    # The copy is ours alone until it is returned: one more of forty fields would only cost time.
    closed.__dict__["net_pnl"] = sub(pnl, closed.total_fees)
    return Closed(closed, rest)


def offset(
    order: TradingOrder,
    *,
    at: datetime,
    price: Decimal,
    volume: Decimal,
    leaves_id: UUID | None = None,
    reserved_left: Decimal = ZERO,
    step: Decimal | None = None,
) -> Filled[TradingOrder]:
    """``volume`` of a pending order filled at ``price``, and closed others instead of opening any.

    The part is ``CLOSED`` at its own price, with nothing gained (``closing_reason`` ``offset``):
    what the fill earned belongs to the positions that it closed, and so does its fee. Raises like
    `fill`.
    """
    done, leaves = fill(
        order,
        at=at,
        price=price,
        volume=volume,
        fee=ZERO,
        leaves_id=leaves_id,
        reserved_left=reserved_left,
        step=step,
    )
    closed, _ = close(
        done, at=at, price=price, volume=volume, fee=ZERO, pnl=ZERO, closing_reason="offset"
    )
    return Filled(closed, leaves)


def _check_split(
    order: OrderBase,
    volumes: Sequence[Decimal],
    ids: Sequence[UUID],
    limit_prices: Sequence[Decimal | None] | None,
    reserves: Sequence[Decimal] | None,
) -> None:
    if len(volumes) < 2 or any(volume <= ZERO for volume in volumes):
        _reject(order, RejectReason.INVALID_VOLUME, "a split needs two or more positive volumes")
    total = ZERO
    for volume in volumes:
        total = add(total, volume)
    if total != order.volume:
        problem = f"the parts sum to {plain(total)}, but {plain(order.volume)} is there to split"
        _reject(order, RejectReason.STALE, problem)
    if limit_prices is not None:
        if order.status is not _PENDING:
            _reject(order, RejectReason.INVALID_ACTION, "a position has no limit prices")
        if len(limit_prices) != len(volumes):
            _reject(order, RejectReason.INVALID_PRICE, "give one limit price per part")
    if len(ids) != len(volumes):
        raise FieldError("ids", f"must be one per part: {len(ids)} for {len(volumes)} parts")
    if reserves is not None and len(reserves) != len(volumes):
        raise FieldError("reserves", f"must be one per part: {len(reserves)} for {len(volumes)}")


def _reject(order: OrderBase, reason: RejectReason, detail: str) -> NoReturn:
    raise OrderRejected(reason, detail, order.branch_id)
