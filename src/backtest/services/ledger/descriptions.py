"""The descriptions of transactions: made here, for people, from what they are of."""

from __future__ import annotations

from decimal import Decimal

from backtest.models import TransactionType
from backtest.money import plain

__all__ = ["TRADES", "describe", "told_of", "traded"]

_WORDS = {
    TransactionType.RESERVE_MARGIN: "Reserve",
    TransactionType.RETURN_MARGIN: "Return of reserve or margin",
    TransactionType.FEE_CREATE: "Create fee",
    TransactionType.FEE_FILL: "Fill fee",
    TransactionType.FEE_CLOSE: "Close fee",
    TransactionType.FEE_CANCEL: "Cancel fee",
    TransactionType.FEE_OVERNIGHT: "Overnight charge",
    TransactionType.FILL_BUY: "Paid for a buy",
    TransactionType.FILL_SELL: "Delivered for a sell",
    TransactionType.CLOSE_PNL: "Realised PnL",
    TransactionType.SPOT_EXCHANGE: "Received in exchange",
    TransactionType.ADJUSTMENT: "Adjustment",
}
TRADES = (
    "filled", "traded", "closed", "stopped out of", "took profit on", "liquidated", "netted",
    "collateral sold,",
)  # fmt: skip
"""How an entry that books a fill begins, after which come its volume and price."""


def traded(what: str, volume: Decimal, price: Decimal) -> str:
    """In which event money moved by a fill; ``what`` is one of `TRADES`."""
    return f"{what} {plain(volume)} at {plain(price)}"


def describe(kind: TransactionType, why: str) -> str:
    """The description of a transaction: what it is, and in which event."""
    return f"{_WORDS[kind]}: {why}"


def told_of(kind: TransactionType, description: str) -> str:
    """The event of a description, without what the transaction is."""
    return description[len(describe(kind, "")) :]
