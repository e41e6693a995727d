"""Fees of a case: drawn, for the model, and for the product."""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import Any, TypeAlias

from tests.models.purse import Fee

__all__ = ["Fees", "draw_fees", "fees_of", "product_fees"]

Fees: TypeAlias = dict[str, dict[str, str]]
"""By kind: ``rate``, and where it has them ``maker``, ``minimum`` and ``maximum``."""
KINDS = {"share": "percent_of_notional", "volume": "flat_per_volume", "order": "flat_per_trade"}


def draw_fees(dice: Random) -> Fees:
    """Fees of one to three kinds, or none."""
    fees: Fees = {}
    if dice.random() < 0.7:
        fees["share"] = {"rate": dice.choice(("0.01", "0.001", "0.003"))}
        if dice.random() < 0.7:
            fees["share"]["maker"] = dice.choice(("0.001", "0.0005", "0"))
        if dice.random() < 0.2:
            fees["share"]["minimum"] = dice.choice(("0.5", "0.02", "1"))
        if dice.random() < 0.2:
            fees["share"]["maximum"] = dice.choice(("1", "2"))
    if dice.random() < 0.25:
        fees["volume"] = {"rate": dice.choice(("0.1", "0.25", "0.001"))}
        if dice.random() < 0.2:
            fees["volume"]["minimum"] = "0.3"
    if dice.random() < 0.25:
        fees["order"] = {"rate": dice.choice(("0.5", "1"))}
    return fees


def fees_of(fees: Fees) -> list[Fee]:
    """As the model has them."""
    return [
        Fee(
            kind,
            Fraction(one["rate"]),
            Fraction(one.get("maker", one["rate"])),
            Fraction(one["minimum"]) if "minimum" in one else None,
            Fraction(one["maximum"]) if "maximum" in one else None,
        )
        for kind, one in fees.items()
    ]


def product_fees(fees: Fees) -> dict[str, Any]:
    """As the rules of the product say them: of every execution."""
    rows = [
        {KINDS[kind]: one["rate"], **{name: one[name] for name in one if name != "rate"}}
        for kind, one in fees.items()
    ]
    return {"fill": rows, "close": rows}
