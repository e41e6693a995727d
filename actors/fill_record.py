"""The record of one execution."""

from __future__ import annotations

from decimal import Decimal

from backtest.models import Bar, Fill, OrderDirection, SpotOrder, TradingOrder
from backtest.money import mul
from backtest.services.fills import Hit
from backtest.services.ledger import entry_uuid

from .book import Branch, Closing, PairBook
from .venue import Venue

__all__ = ["record_fill", "signed_size"]

_LONG, _SHORT = OrderDirection.LONG, OrderDirection.SHORT


def signed_size(book: PairBook, long: bool, volume: Decimal) -> Decimal:
    """``volume`` contracts in units of the base, negative for a short."""
    size = mul(volume, book.pair.contract_size)
    return size if long else size.copy_negate()


def record_fill(
    venue: Venue,
    bar: Bar,
    hit: Hit,
    branch: Branch,
    order: SpotOrder | TradingOrder,
    kind: str,
    buy: bool,
    volume: Decimal,
    notional: Decimal,
    fee: Decimal,
    closing: Closing | None,
    pnl: Decimal | None,
) -> Fill:
    made = Fill(
        venue.now,
        order.id,
        order.root_id,
        branch.id,
        order.account_id,
        order.agent_id,
        branch.book.code,
        _LONG if buy else _SHORT,
        kind,
        "spot" if branch.spot else "trading",
        hit.price,
        volume,
        notional,
        fee,
        branch.book.quote,
        not hit.taker,
        hit.ambiguous,
        bar.open_ns,
        hit.point,
        entry_uuid(venue.run_id, venue.entry),
        None if closing is None else closing.id,
        pnl,
    )
    venue.records.fills.append(made)
    return made
