"""The trades of a run that is in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from backtest.analysis.record import RunRecord
from backtest.analysis.trades.history import Charge, Execution, History, Opening, PairTerms
from backtest.analysis.trades.rows import Matched, matched
from backtest.models import OrderDirection, TransactionType
from backtest.money import add
from backtest.services.ledger.ledger import entry_uuid

__all__ = ["CHARGED", "openings", "trades_of"]

CHARGED = {
    "FEE_CREATE": "fees",
    "FEE_CANCEL": "fees",
    "FEE_OVERNIGHT": "financing",
    "ADJUSTMENT": "insured",
}
"""The kinds of transactions that are booked for an order beside what its fills came to."""
_CHARGED = {TransactionType(kind): what for kind, what in CHARGED.items()}
_LONG = OrderDirection.LONG


def trades_of(record: RunRecord, method: str = "fifo") -> Matched:
    """The trades of a run without their excursions, and what it was charged beside them.

    ``method`` is ``fifo`` or ``average``; raises `ConfigError` for another.
    """
    return matched(_history(record), method)


def _history(record: RunRecord) -> History:
    run_id, accounts = record.run.run_id, record.accounts
    valuation = record.valuation
    pairs = {
        code: PairTerms(pair.base.code, pair.quote.code, pair.quote.step, pair.contract_size)
        for code, pair in record.pairs.items()
    }
    entries = record.ledger.entries
    return History(
        executions=list(_executions(record)),
        charges=list(_charges(record)),
        numbers={str(entry_uuid(run_id, entry.number)): entry.number for entry in entries},
        pairs=pairs,
        marks=valuation.prices,
        opening=list(
            openings(record.config["cash"], pairs, valuation.first_prices, record.cash_asset)
        ),
        netting=frozenset(name for name, account in accounts.items() if account.netting),
        chains={str(order.branch_id): str(order.root_id) for order in record.records.orders},
        start_ns=record.run.start_ns or 0,
        end_ns=record.run.end_ns or 0,
    )


def openings(
    cash: Mapping[str, Mapping[str, Any]],
    pairs: Mapping[str, PairTerms],
    first: Mapping[str, Decimal],
    cash_asset: str,
) -> Iterator[Opening]:
    """What accounts own at the start, each asset with the pair that values it: the one that trades
    it for the cash asset, else the first with that base. What has no price is of no trade."""
    for account, owned in cash.items():
        for asset, text in owned.items():
            volume = Decimal(text)
            own = [code for code in sorted(pairs) if pairs[code].base == asset and code in first]
            direct = [code for code in own if pairs[code].quote == cash_asset]
            if volume and asset != cash_asset and own:
                code = (direct or own)[0]
                yield Opening(account, code, volume, first[code])


def _executions(record: RunRecord) -> Iterator[Execution]:
    names = {account.account_id: name for name, account in record.accounts.items()}
    agents = record.agents
    for fill in record.records.fills:
        executed = fill.executed_ns
        yield Execution(
            str(fill.entry_id),
            str(fill.order_id),
            str(fill.root_id),
            str(fill.branch_id),
            "" if fill.closing_order_id is None else str(fill.closing_order_id),
            names[fill.account_id],
            agents.get(fill.agent_id, ""),
            fill.pair,
            fill.order_kind,
            fill.kind,
            fill.direction is _LONG,
            fill.price,
            fill.volume,
            fill.notional,
            fill.fee,
            fill.realised_pnl,
            fill.cost,
            fill.timestamp_ns if executed is None else executed,
            fill.timestamp_ns if executed is None else executed,
            fill.bar_open_ns if executed is None else executed,
        )


def _charges(record: RunRecord) -> Iterator[Charge]:
    agents = {name for name, account in record.accounts.items() if not account.is_house}
    orders = {order.id: order for order in record.records.orders}
    for entry in record.ledger.entries:
        for order_id, legs in entry.segments():
            order = None if order_id is None else orders.get(order_id)
            if order is None:
                continue
            for account, _, kind, available, unavailable in legs:
                what = _CHARGED.get(kind)
                if what is None or account not in agents:
                    continue
                amount = add(available, unavailable)
                yield Charge(
                    str(entry_uuid(record.run.run_id, entry.number)),
                    account,
                    order.trading_pair_code,
                    str(order.id),
                    str(order.root_id),
                    what,
                    amount if what == "insured" else amount.copy_negate(),
                )
