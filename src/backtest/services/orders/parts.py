"""Parts of an order: how amounts are divided, and the order that lives on with the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from backtest.errors import FieldError, RejectReason
from backtest.models._fast import build, derive
from backtest.models._order_base import OrderBase
from backtest.models.lifecycle import OrderDirection, OrderStatus
from backtest.models.spot_order import SpotOrder
from backtest.money import ZERO, div, exponent, mul, plain, round_down, round_half_even, sub

__all__ = ["apportion", "child_of", "parts_of", "replaced", "take_part"]

OrderT = TypeVar("OrderT", bound=OrderBase)


def apportion(
    amount: Decimal,
    part: Decimal,
    whole: Decimal,
    step: Decimal | None = None,
    *,
    down: bool = False,
) -> tuple[Decimal, Decimal]:
    """``amount`` divided as ``part`` is of ``whole``: the part's share and the rest, exact in sum.

    The share is rounded half-even (or ``down``) to ``step`` (a power of ten; ``None``: the last
    digit of ``amount``) and never passes ``amount``; the rest takes the remainder.
    """
    if not amount or part == whole:
        return amount, ZERO
    if step is None:
        step = exponent(max(0, -int(amount.as_tuple().exponent)))
    share = (round_down if down else round_half_even)(div(mul(amount, part), whole), step)
    if share.copy_abs() > amount.copy_abs():  # an amount finer than the step, rounded past itself
        return amount, ZERO
    return share, sub(amount, share)


def child_of(
    order: OrderT, id: UUID, volume: Decimal, reserved: Decimal, changes: Mapping[str, Any]
) -> OrderT:
    """The order that lives on from ``order`` under ``id``: same root, and all else inherited."""
    values = order.__dict__.copy()
    values.update(changes)
    values["id"] = id
    values["volume"] = volume
    values["reserved"] = reserved
    values[order.PARENT] = order.id
    if order.status is OrderStatus.FILLED:
        values["fill_volume"] = volume
    return build(type(order), values)


def take_part(
    order: OrderT,
    volume: Decimal,
    rest_id: UUID | None,
    reserved_left: Decimal,
    step: Decimal | None,
) -> tuple[dict[str, Any], OrderT]:
    """What changes on the part of ``volume``, and the order that lives on with the rest.

    Raises `FieldError` unless ``volume`` is above zero and below the order's, or without an id for
    the rest.
    """
    whole = order.volume
    if not ZERO < volume < whole:
        problem = (
            f"must be positive and at most {plain(whole)} (order "
            f"{order.id}), but is {plain(volume)}"
        )
        raise FieldError("volume", problem)
    if rest_id is None:
        raise FieldError(
            "leaves_id", f"must be given: {plain(volume)} of {plain(whole)} leaves a rest"
        )
    part: dict[str, Any] = {"volume": volume}
    rest: dict[str, Any] = {}
    for name in order.SHARED:
        amount = order.__dict__[name]
        if amount:
            # Of the margin no more comes back than is the part's.
            down = name == "margin_reserved"
            part[name], rest[name] = apportion(amount, volume, whole, step, down=down)
    return part, child_of(order, rest_id, sub(whole, volume), reserved_left, rest)


def parts_of(
    order: OrderBase,
    volumes: Sequence[Decimal],
    step: Decimal | None,
    reserves: Sequence[Decimal] | None,
) -> list[dict[str, Any]]:
    """Per part its amounts, ``reserved`` among them; they sum to the order's exactly.

    Each part takes its share of what the parts before it left, so that none falls below zero.
    """
    names: tuple[str, ...] = order.SHARED
    if reserves is None and _reserves_volume(order):
        reserves = volumes
    shares: list[dict[str, Any]] = [{} for _ in volumes]
    if reserves is None:
        names = (*names, "reserved")
    else:
        for own, reserved in zip(shares, reserves, strict=True):
            own["reserved"] = reserved
    for name in names:
        left, whole = order.__dict__[name], order.volume
        for own, volume in zip(shares, volumes, strict=True):
            own[name], left = apportion(left, volume, whole, step)
            whole = sub(whole, volume)
    return shares


def replaced(order: OrderT, at: datetime, reason: RejectReason) -> OrderT:
    """``order`` as ``REPLACED``; its amounts stay as a record and count for nothing."""
    return derive(
        order,
        status=OrderStatus.REPLACED,
        replaced_timestamp=at,
        end_reason=reason.value,
        reserved=ZERO,
    )


def _reserves_volume(order: OrderBase) -> bool:
    """Whether the reserve is the volume itself, in base, as a spot sell's is."""
    is_sell = isinstance(order, SpotOrder) and order.direction is OrderDirection.SHORT
    return is_sell and order.reserved == order.volume
