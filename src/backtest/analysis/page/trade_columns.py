"""Trades and fills as the page's script reads them: a list for each column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from backtest.analysis.page.over_time import number
from backtest.analysis.page.packing import differences, milliseconds
from backtest.analysis.record import RunRecord
from backtest.analysis.trades.trade import Trade
from backtest.money import add

__all__ = ["fill_columns", "protections", "trade_columns"]


class _Names:
    """Texts by number: each is told once."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._places = {name: at for at, name in enumerate(known)}

    def of(self, name: str) -> int:
        return self._places.setdefault(name, len(self._places))

    @property
    def texts(self) -> list[str]:
        return list(self._places)


def protections(record: RunRecord) -> dict[str, tuple[Decimal | None, Decimal | None]]:
    """By chain, the stop-loss and the take-profit that were set last."""
    found: dict[str, tuple[Decimal | None, Decimal | None]] = {}
    for order in record.records.orders:
        if order.stop_loss is not None or order.take_profit is not None:
            found[str(order.root_id)] = (order.stop_loss, order.take_profit)
    return found


def trade_columns(
    record: RunRecord, trades: Sequence[Trade], pairs: Sequence[str], items: Mapping[str, int]
) -> dict[str, Any]:
    """All trades. ``items`` says by chain where in the packed stories each one's is (-1: left
    out). Times are when fills happened, in milliseconds; prices and amounts have ten digits."""
    codes, reasons, entries = _Names(pairs), _Names(), _Names()
    assets, accounts = _Names([record.cash_asset]), _Names()
    guards = protections(record)
    none = (None, None)
    return {
        "number": differences(one.trade_number for one in trades),
        "pair": [codes.of(one.pair) for one in trades],
        "long": [int(one.is_long) for one in trades],
        "open": [int(one.is_open) for one in trades],
        "volume": [number(one.volume) for one in trades],
        "entry": differences(milliseconds(one.entry_ns) for one in trades),
        "entry_price": [number(one.entry_price) for one in trades],
        "entry_reason": [entries.of(one.entry_reason) for one in trades],
        "held": [milliseconds(one.duration_ns) for one in trades],
        "exit_price": [number(one.exit_price) for one in trades],
        "exit_reason": [reasons.of(one.exit_reason) for one in trades],
        "pnl": [number(one.pnl) for one in trades],
        "asset": [assets.of(one.asset_code) for one in trades],
        "return": [number(one.return_percent) for one in trades],
        "mae": [number(one.mae) for one in trades],
        "mfe": [number(one.mfe) for one in trades],
        "costs": [number(add(one.fees, one.financing)) for one in trades],
        "stop": [number(guards.get(one.root_id, none)[0]) for one in trades],
        "target": [number(guards.get(one.root_id, none)[1]) for one in trades],
        "account": [accounts.of(f"{one.account}, {one.strategy}") for one in trades],
        "item": [items.get(one.root_id, -1) for one in trades],
        "pairs": codes.texts,
        "reasons": reasons.texts,
        "entry_reasons": entries.texts,
        "assets": assets.texts,
        "accounts": accounts.texts,
        "excursions_from": sorted({one.excursions_from for one in trades if one.excursions_from}),
    }


def fill_columns(
    record: RunRecord, trades: Sequence[Trade], pairs: Sequence[str]
) -> dict[str, Any]:
    """All fills, in order, each with the place of a trade that it entered or left (-1: of none).

    A fill at a known moment is there; of one inside a bar only the bar is known: it is drawn in
    the middle of it, and ``inside`` says how long the bar is, in milliseconds.
    """
    codes, kinds = _Names(pairs), _Names()
    places: dict[str, int] = {}
    for at, trade in enumerate(trades):
        for order_id in (*trade.entry_order_ids, *trade.exit_order_ids):
            places.setdefault(order_id, at)
    fills = record.records.fills
    times, inside = [], []
    for fill in fills:
        if fill.executed_ns is not None:
            times.append(milliseconds(fill.executed_ns))
            inside.append(0)
        else:
            length = max(fill.timestamp_ns - fill.bar_open_ns, 0)
            times.append(milliseconds(fill.timestamp_ns - length // 2))
            inside.append(milliseconds(length))
    return {
        "t": differences(times),
        "inside": inside,
        "pair": [codes.of(fill.pair) for fill in fills],
        "buy": [int(fill.direction.sign > 0) for fill in fills],
        "price": [number(fill.price) for fill in fills],
        "volume": [number(fill.volume) for fill in fills],
        "kind": [kinds.of(fill.kind) for fill in fills],
        "unsure": [at for at, fill in enumerate(fills) if fill.ambiguous],
        "trade": [
            places.get(str(fill.branch_id), places.get(str(fill.closing_order_id), -1))
            for fill in fills
        ],
        "kinds": kinds.texts,
    }
