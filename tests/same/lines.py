"""A finished run as lines of text: what it booked, filled and ended with, without ids or sentences.

This is the only module here that knows what the product calls things. It reads the journal's rows,
the fills and the orders in their last state; nothing else of a run may be asked, so that all else
can be built anew while runs stay the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import Enum
from typing import Any

__all__ = ["digest_of", "lines_of"]

_FILL = (
    "pair",
    "direction",
    "order_kind",
    "kind",
    "price",
    "volume",
    "notional",
    "fee",
    "fee_asset",
    "maker",
    "ambiguous",
    "point",
    "realised_pnl",
)
_ORDER = (
    "trading_pair_code",
    "direction",
    "status",
    "end_reason",
    "volume",
    "limit_price",
    "stop_price",
    "stop_loss",
    "take_profit",
    "leverage",
    "fill_price",
    "fill_volume",
    "close_price",
    "cancel_volume",
    "create_timestamp",
    "fill_timestamp",
    "close_timestamp",
    "cancel_timestamp",
    "replaced_timestamp",
)


class _Numbers:
    """Numbers in place of ids: the order's by its first mention, and the part's within the order.

    Ids that are drawn another way, or in another order, therefore change nothing.
    """

    def __init__(self, orders: Iterable[Any]) -> None:
        self._branch_of = {order.id: order.branch_id for order in orders}
        self._branches: dict[Any, tuple[int, int]] = {}
        """The order's number and how many parts it has so far."""
        self._known: dict[Any, str] = {None: "-"}

    def of(self, order_id: Any) -> str:
        """``3.2``: the second part of the third order; ``-`` for none."""
        known = self._known.get(order_id)
        if known is None:
            branch_id = self._branch_of.get(order_id, order_id)
            branch, parts = self._branches.get(branch_id, (len(self._branches) + 1, 0))
            self._branches[branch_id] = branch, parts + 1
            known = self._known[order_id] = f"{branch}.{parts + 1}"
        return known


def lines_of(rows: Iterable[Any], orders: Iterable[Any], fills: Iterable[Any]) -> Iterator[str]:
    """One line per transaction (with the balance after it), fill and order, in their order."""
    orders = list(orders)
    numbers = _Numbers(orders)
    balances: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    for row in rows:
        key = row.account, row.asset
        before = balances.get(key, (Decimal(0), Decimal(0)))
        after = balances[key] = before[0] + row.available, before[1] + row.unavailable
        amounts = (row.available, row.unavailable, *after)
        yield " ".join(
            (
                f"row {row.time} entry {row.entry} order {numbers.of(row.order_id)}",
                _text(row.kind),
                row.account,
                row.asset,
                *map(_text, amounts),
            )
        )
    for fill in fills:
        told = f"fill {fill.timestamp_ns} order {numbers.of(fill.order_id)}"
        yield " ".join((told, *(_text(getattr(fill, name)) for name in _FILL)))
    for order in orders:
        told = f"order {numbers.of(order.id)}"
        yield " ".join((told, *(_text(getattr(order, name, None)) for name in _ORDER)))


def _text(value: Any) -> str:
    """One spelling per value: numbers without trailing zeros, members by name."""
    if value is None:
        return "-"
    if isinstance(value, Decimal):
        told = format(value, "f")
        if "." in told:
            told = told.rstrip("0").rstrip(".")
        return "0" if told == "-0" else told
    if isinstance(value, Enum):
        return value.name
    return str(value).replace(" ", "T")


def digest_of(lines: Iterable[str]) -> str:
    """What stands for them in the baseline."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
        digest.update(b"\n")
    return digest.hexdigest()[:12]
