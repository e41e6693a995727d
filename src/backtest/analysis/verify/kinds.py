"""The transactions of an entry against what their kinds say."""

from __future__ import annotations

from collections.abc import Sequence

from backtest.analysis.tables.exact import text_of
from backtest.analysis.verify.lines import Leg
from backtest.analysis.verify.verification import Finding
from backtest.models import TransactionType
from backtest.services.ledger.descriptions import told_of

__all__ = ["kinds"]

_TRADED = "what is paid and delivered"
_KINDS = {
    # kind: its words, and the transactions that it sums to zero with, in an entry and asset
    "RESERVE_MARGIN": ("Reserve", "reserve"),
    "RETURN_MARGIN": ("Return of reserve or margin", "reserve"),
    "FEE_CREATE": ("Create fee", "create fees"),
    "FEE_FILL": ("Fill fee", "fill fees"),
    "FEE_CLOSE": ("Close fee", "close fees"),
    "FEE_CANCEL": ("Cancel fee", "cancel fees"),
    "FEE_OVERNIGHT": ("Overnight charge", "overnight charges"),
    "FILL_BUY": ("Paid for a buy", _TRADED),
    "FILL_SELL": ("Delivered for a sell", _TRADED),
    "SPOT_EXCHANGE": ("Received in exchange", _TRADED),
    "CLOSE_PNL": ("Realised PnL", "PnL"),
    "ADJUSTMENT": ("Adjustment", _TRADED),
}


def kinds(legs: Sequence[Leg], whole: Finding, balanced: Finding) -> None:
    """Each transaction does what its kind says, and says why in the words of its entry."""
    sums: dict[tuple[str, str], int] = {}
    why = ""
    if legs[0].kind in _KINDS:
        why = told_of(TransactionType(legs[0].kind), legs[0].description)
    for leg in legs:
        known = _KINDS.get(leg.kind)
        if known is None:
            whole.wrong(f"entry {leg.entry} has a transaction of kind {leg.kind!r}")
            continue
        words, group = known
        if leg.description != f"{words}: {why}":
            whole.wrong(f"entry {leg.entry} describes a {leg.kind} as {leg.description!r}")
        if group == "reserve":
            moved = leg.unavailable if leg.kind == "RESERVE_MARGIN" else -leg.unavailable
            if leg.available != -leg.unavailable or moved < 0:
                whole.wrong(f"entry {leg.entry} has a {leg.kind} that does not do that")
            continue
        key = (group, leg.asset)
        sums[key] = sums.get(key, 0) + leg.available + leg.unavailable
    for (group, asset), total in sums.items():
        if total:
            balanced.wrong(f"in entry {legs[0].entry}, {group} sum to {text_of(total)} {asset}")
