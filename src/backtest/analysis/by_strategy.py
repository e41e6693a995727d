"""What each strategy of a run won or lost."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

from backtest.analysis.metrics import start_equity
from backtest.analysis.record import RunRecord
from backtest.models import OrderStatus, TradingOrder
from backtest.money import ZERO, add, exponent, sub
from backtest.services.margin.linear import unrealised_pnl

__all__ = ["OPENING", "pnl_by_strategy"]

OPENING = ""
"""By this name goes what moved without a strategy: assets that were there when the run began."""
_FINE = exponent(15)
"""The average price of a position may have no end: less than this is left of it, and is whose the
position is."""


def pnl_by_strategy(record: RunRecord) -> dict[str, Decimal]:
    """The profit or loss of each strategy in the cash asset, whatever accounts they share.

    All that was booked for a strategy's orders, fees included, at the last prices, and the
    unrealised PnL of its open positions. By the name `OPENING`, if it is not 0, goes what assets
    of the opening balances gained by themselves, and what rounding to the cash asset left; so
    the sum is exactly the profit of the run: final equity - start equity.
    """
    owner = _owners(record)
    booked: dict[str, dict[str, Decimal]] = {name: {} for name in record.strategies}
    agents = {name for name, account in record.accounts.items() if not account.is_house}
    for row in record.ledger.rows():
        if row.order_id is None or row.account not in agents:
            continue
        change = add(row.available, row.unavailable)
        name = owner.get(row.order_id)
        if change and name in booked:
            amounts = booked[name]
            amounts[row.asset] = add(amounts.get(row.asset, ZERO), change)
    holder = ""
    for order in record.records.orders:
        if isinstance(order, TradingOrder) and order.status is OrderStatus.FILLED:
            holder = owner[order.id]
            amounts = booked[holder]
            asset = record.pairs[order.trading_pair_code].quote.code
            amounts[asset] = add(amounts.get(asset, ZERO), _unrealised(record, order))
    gained = {name: record.valuation.worth_of(amounts) for name, amounts in booked.items()}
    rest = sub(record.final_equity, start_equity(record))
    for amount in gained.values():
        rest = sub(rest, amount)
    if holder and rest.copy_abs() < _FINE:
        gained[holder], rest = add(gained[holder], rest), ZERO
    return {**gained, OPENING: rest} if rest else gained


def _owners(record: RunRecord) -> dict[UUID, str]:
    """The name of the strategy whose each order is, by every id that the journal has for it."""
    return {order.id: record.agents[order.agent_id] for order in record.records.orders}


def _unrealised(record: RunRecord, order: TradingOrder) -> Decimal:
    mark = record.valuation.prices[order.trading_pair_code]
    price = order.fill_price or ZERO
    return unrealised_pnl(order.direction.sign, price, mark, order.volume, order.contract_size)
