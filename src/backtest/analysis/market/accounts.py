"""What became of each account of a run, from its ledger: results, charges, liquidations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from backtest.actors import EventKind
from backtest.analysis.market.samples import AccountResult, Charge, Liquidation
from backtest.analysis.record import RunRecord
from backtest.models import OrderStatus, TradingOrder, TransactionType
from backtest.money import ZERO, add, sub
from backtest.services.margin.linear import unrealised_pnl

__all__ = ["account_results", "charges_of", "liquidations_of"]

Amounts = dict[str, Decimal]

_FEES = frozenset(kind for kind in TransactionType if kind.value.startswith("FEE_"))


def account_results(record: RunRecord) -> list[AccountResult]:
    """The result of each agent's account, in the order of the accounts; together they are the
    result of the run. What has no price in the cash asset counts nothing, as there."""
    worth_of, first_prices = record.valuation.worth_of, record.valuation.first_prices
    agents = [name for name, account in record.accounts.items() if not account.is_house]
    opened = {
        name: {asset: Decimal(text) for asset, text in record.config["cash"].get(name, {}).items()}
        for name in agents
    }
    starts = {name: worth_of(owned, first_prices) for name, owned in opened.items()}
    gains = {name: sub(worth_of(opened[name]), starts[name]) for name in agents}
    left = _left(record, agents)
    fees: dict[str, Amounts] = {name: {} for name in agents}
    for entry in record.ledger.entries:
        for account, asset, kind, available, unavailable in entry.legs:
            if kind in _FEES and account in fees:
                paid = add(available, unavailable).copy_negate()
                fees[account][asset] = add(fees[account].get(asset, ZERO), paid)
    positions = dict.fromkeys((one.account, one.position) for one in _liquidations(record))
    taken = Counter(account for account, _ in positions)
    return [
        AccountResult(
            name,
            starts[name],
            worth_of(left[name]),
            worth_of(fees[name]),
            taken[name],
            gains[name],
        )
        for name in agents
    ]


def _left(record: RunRecord, agents: Sequence[str]) -> dict[str, Amounts]:
    """What each account owns in the end, and what its open positions have won, by asset."""
    balances = record.ledger.balances()
    left: dict[str, Amounts] = {
        name: {asset: add(*both) for asset, both in balances[name].items()} for name in agents
    }
    names = {account.account_id: name for name, account in record.accounts.items()}
    for order in record.records.orders:
        if not isinstance(order, TradingOrder) or order.status is not OrderStatus.FILLED:
            continue
        mark = record.valuation.prices.get(order.trading_pair_code)
        if mark is not None:
            gain = unrealised_pnl(
                order.direction.sign,
                order.fill_price or ZERO,
                mark,
                order.volume,
                order.contract_size,
            )
            amounts = left[names[order.account_id]]
            asset = record.pairs[order.trading_pair_code].settlement.code
            amounts[asset] = add(amounts.get(asset, ZERO), gain)
    return left


def charges_of(record: RunRecord) -> dict[str, list[Charge]]:
    """What accounts paid beside what they traded, by pair, in the order of time: fees, overnight
    fees, funding; less what the insurance account bore for them."""
    pair_of: dict[UUID, str] = {}
    if len(record.pairs) > 1:
        pair_of = {order.id: order.trading_pair_code for order in record.records.orders}
    only = next(iter(record.pairs))
    agents = {name for name, account in record.accounts.items() if not account.is_house}
    found: dict[str, list[Charge]] = {code: [] for code in record.pairs}
    for entry in record.ledger.entries:
        for leg, order_id in zip(entry.legs, entry.order_of(), strict=True):
            account, _, kind, available, unavailable = leg
            if account not in agents or order_id is None:
                continue
            if kind in _FEES or kind is TransactionType.ADJUSTMENT:
                paid = add(available, unavailable).copy_negate()
                if paid:
                    found[pair_of.get(order_id, only)].append(Charge(entry.time, account, paid))
    return found


def liquidations_of(record: RunRecord) -> dict[str, list[Liquidation]]:
    """The liquidations of a run, by pair, in the order of time."""
    found: dict[str, list[Liquidation]] = {code: [] for code in record.pairs}
    for one in _liquidations(record):
        found[one.pair].append(one)
    return found


def _liquidations(record: RunRecord) -> list[Liquidation]:
    names = {account.account_id: name for name, account in record.accounts.items()}
    orders = record.records.orders
    found = []
    for event in record.records.events:
        if event.kind is EventKind.LIQUIDATED:
            order = orders[event.order_number - 1]
            assert isinstance(order, TradingOrder)
            price = order.close_price
            if price is not None:
                account = names[order.account_id]
                code, position = order.trading_pair_code, event.branch
                found.append(Liquidation(event.time, code, account, price, position))
    return found
