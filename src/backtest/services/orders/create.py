"""New orders: pending, unparented, made by the engine from values that it has validated."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import attrs

from backtest.models._fast import build
from backtest.models.instructions import PLAIN, Instructions
from backtest.models.lifecycle import OrderDirection, OrderStatus
from backtest.models.orders import TradingOrder
from backtest.models.spot_order import SpotOrder
from backtest.money import ONE, ZERO

__all__ = ["create_spot", "create_trading"]

_PENDING = OrderStatus.PENDING
_NOTHING_YET: dict[str, None] = dict.fromkeys(one.name for one in attrs.fields(TradingOrder))
"""The fields of a trading order in their order: None in all of which nothing has become yet."""


def create_spot(
    *,
    id: UUID,
    order_number: int,
    at: datetime,
    pair: str,
    direction: OrderDirection,
    volume: Decimal,
    agent_id: UUID,
    account_id: UUID,
    broker_id: UUID,
    run_id: UUID,
    limit_price: Decimal | None = None,
    stop_price: Decimal | None = None,
    stop_loss: Decimal | None = None,
    take_profit: Decimal | None = None,
    reserved: Decimal = ZERO,
    fee: Decimal = ZERO,
    instructions: Instructions = PLAIN,
    entry_order_id: UUID | None = None,
) -> SpotOrder:
    """A pending spot order, the root of a chain; ``fee`` is its create fee. Nothing is checked."""
    return build(
        SpotOrder,
        {
            "broker_id": broker_id,
            "trading_pair_code": pair,
            "agent_id": agent_id,
            "account_id": account_id,
            "backtest_run_id": run_id,
            "order_number": order_number,
            "direction": direction,
            "status": _PENDING,
            "create_timestamp": at,
            "volume": volume,
            "limit_price": limit_price,
            "id": id,
            "parent_id": None,
            "root_id": id,
            "fill_timestamp": None,
            "fill_price": None,
            "fill_volume": None,
            "cancel_timestamp": None,
            "cancel_volume": None,
            "fee_create": fee,
            "fee_fill": ZERO,
            "fee_cancel": ZERO,
            "stop_price": stop_price,
            "branch_id": id,
            "reserved": reserved,
            "end_reason": None,
            "replaced_timestamp": None,
            "instructions": instructions,
            "stop_loss": stop_loss,
            "take_profit": take_profit,
            "entry_order_id": entry_order_id,
        },
    )


def create_trading(
    *,
    id: UUID,
    order_number: int,
    at: datetime,
    pair: str,
    direction: OrderDirection,
    volume: Decimal,
    price: Decimal,
    agent_id: UUID,
    account_id: UUID,
    broker_id: UUID,
    run_id: UUID,
    limit_price: Decimal | None = None,
    stop_price: Decimal | None = None,
    stop_loss: Decimal | None = None,
    take_profit: Decimal | None = None,
    leverage: Decimal = ONE,
    contract_size: Decimal = ONE,
    reserved: Decimal = ZERO,
    fee: Decimal = ZERO,
    instructions: Instructions = PLAIN,
) -> TradingOrder:
    """A pending trading order, the root of a chain; ``price`` is the market's when it was made.

    ``fee`` is its create fee. Nothing is checked.
    """
    return build(
        TradingOrder,
        {
            **_NOTHING_YET,
            "trading_pair_code": pair,
            "direction": direction,
            "volume": volume,
            "create_timestamp": at,
            "create_price": price,
            "agent_id": agent_id,
            "account_id": account_id,
            "broker_id": broker_id,
            "backtest_run_id": run_id,
            "status": _PENDING,
            "limit_price": limit_price,
            "stop_loss": stop_loss,
            "take_profit": take_profit,
            "leverage": leverage,
            "fees_on_create": fee,
            "fees_on_fill": ZERO,
            "fees_on_close": ZERO,
            "fees_on_cancel": ZERO,
            "fees_on_overnight": ZERO,
            "margin_reserved": ZERO,
            "root_order_id": id,
            "id": id,
            "contract_size": contract_size,
            "stop_price": stop_price,
            "branch_id": id,
            "reserved": reserved,
            "order_number": order_number,
            "instructions": instructions,
        },
    )
