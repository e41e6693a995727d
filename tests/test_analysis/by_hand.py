"""A run written down by hand: its tables, made from a few lines of what was posted and filled."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal as D
from typing import Any
from uuid import UUID

from backtest.analysis.tables.tables import COLUMNS, Row
from backtest.analysis.verify.lines import derived_id
from backtest.models import TransactionType
from backtest.models.account import HOUSE
from backtest.money import plain
from backtest.services.ledger.descriptions import describe

__all__ = ["ANN", "BOB", "HandRun", "order_id"]

ANN, BOB = "ann", "bob"
RUN = UUID(int=7)
Legs = Sequence[tuple[str, str, str, str, str]]
"""Account, asset, kind, available, unavailable."""


def order_id(name: str) -> str:
    """The id of the order that is called ``name``."""
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    return str(UUID(bytes=digest, version=4))


class HandRun:
    """The tables of a run of two accounts, ``ann`` and ``bob``, that is written down line by line.

    One pair, BTCUSD, contract size 1, USD with two digits. Times are seconds after midnight.
    """

    def __init__(self, cash: Mapping[str, Mapping[str, str]], digits: int = 2) -> None:
        self._rows: dict[str, list[dict[str, str]]] = {name: [] for name in COLUMNS}
        self._held: dict[tuple[str, str], tuple[D, D]] = {}
        self._entries = self._sequence = self._events = 0
        self._agents = frozenset(cash)
        pair = {
            "base": "BTC", "quote": "USD", "quote_precision": digits, "contract_size": "1",
        }  # fmt: skip
        self._config: dict[str, Any] = {
            "cash": cash,
            "pairs": {"BTCUSD": pair},
            "insurance_fund": {},
            "accounts": {name: {"margin_mode": "isolated", "netting": False} for name in cash},
        }
        for name, owned in cash.items():
            for asset, text in owned.items():
                world = ("world", asset, "ADJUSTMENT", plain(-D(text)), "0")
                self.post(0, [("", [(name, asset, "ADJUSTMENT", text, "0"), world])])

    # -- as tables ---------------------------------------------------------------------------------

    @property
    def facts(self) -> dict[str, Any]:
        balances: dict[str, dict[str, dict[str, str]]] = {one: {} for one in HOUSE}
        for (account, asset), both in self._held.items():
            own = balances.setdefault(account, {})
            own[asset] = {"available": plain(both[0]), "unavailable": plain(both[1])}
        return {
            "receipt": {"run_id": str(RUN)},
            "config": self._config,
            "cash_asset": "USD",
            "prices": {"first": {"BTCUSD": "100"}, "last": {"BTCUSD": "100"}},
            "balances": balances,
        }

    def rows(self, name: str) -> Iterator[Row]:
        for row in self._rows[name]:
            yield tuple(row[column] for column in COLUMNS[name])

    # -- what happens ------------------------------------------------------------------------------

    def _add(self, table: str, values: Mapping[str, str]) -> dict[str, str]:
        row = {column: values.get(column, "") for column in COLUMNS[table]}
        self._rows[table].append(row)
        return row

    def post(self, second: int, segments: Sequence[tuple[str, Legs]], why: str = "posted") -> int:
        """One entry: the legs of each order, whose name may be nothing; its number."""
        self._entries += 1
        number = str(self._entries)
        touched: dict[tuple[str, str], None] = {}
        told = {"timestamp": time(second), "entry": number}
        told["entry_id"] = derived_id(RUN, f"entry/{number}")
        for name, legs in segments:
            for account, asset, kind, available, unavailable in legs:
                self._sequence += 1
                values = {
                    "sequence": str(self._sequence),
                    "account": account,
                    "asset_code": asset,
                    "transaction_type": kind,
                    "available_balance_change": available,
                    "unavailable_balance_change": unavailable,
                    "order_id": order_id(name) if name else "",
                    "cause": str(self._entries),
                    "description": describe(TransactionType(kind), why),
                }
                self._add("transactions", told | values)
                old = self._held.get((account, asset), (D(0), D(0)))
                self._held[account, asset] = old[0] + D(available), old[1] + D(unavailable)
                if account in self._agents:
                    touched[account, asset] = None
        for key in touched:
            values = {
                "account": key[0],
                "asset_code": key[1],
                "available_balance": plain(self._held[key][0]),
                "unavailable_balance": plain(self._held[key][1]),
            }
            self._add("balances", told | values)
        return self._entries

    def order(self, name: str, account: str, side: str, volume: str, **more: str) -> None:
        """A line of the table of orders, in its last state: a chain of its own unless told."""
        number = str(len(self._rows["orders"]) + 1)
        for column in ("root_id", "branch_id", "parent_id"):
            if column in more:
                more[column] = order_id(more[column])
        own = order_id(name)
        values = {
            "order_number": number, "order_id": own, "root_id": own, "branch_id": own,
            "order_kind": "trading", "order_type": "limit", "account": account,
            "strategy": account, "pair": "BTCUSD", "direction": side, "volume": volume,
            "leverage": "1", "contract_size": "1", "create_timestamp": time(1), "reserved": "0",
            "margin_reserved": "0", "fee_create": "0", "fee_fill": "0", "fee_close": "0",
            "fee_cancel": "0", "fee_overnight": "0", "time_in_force": "GTC",
            "post_only": "false", "reduce_only": "false",
        }  # fmt: skip
        self._add("orders", values | more)

    def fill(self, name: str, side: str, volume: str, price: str, entry: int, **more: str) -> None:
        """A line of the table of fills; ``name`` is the order's."""
        order = self._order(name)
        values = {
            "timestamp": self._time_of(entry), "order_id": order["order_id"],
            "root_id": order["root_id"], "branch_id": order["branch_id"],
            "account": order["account"], "strategy": order["account"], "pair": "BTCUSD",
            "direction": side, "kind": "entry", "order_kind": order["order_kind"], "price": price,
            "volume": volume, "notional": plain(D(price) * D(volume)), "fee": "0",
            "fee_asset": "USD", "maker": "false", "ambiguous": "false", "point": "trade",
            "bar_open": self._time_of(entry), "entry_id": derived_id(RUN, f"entry/{entry}"),
        }  # fmt: skip
        self._add("fills", values | more)

    def event(self, second: int, kind: str, name: str, volume: str, entry: int = 0) -> None:
        """A line of the table of events about the order called ``name``."""
        self._events += 1
        order = self._order(name)
        values = {
            "timestamp": time(second), "sequence": str(self._events), "kind": kind,
            "order_id": order["order_id"], "branch_id": order["branch_id"],
            "root_id": order["root_id"], "pair": "BTCUSD", "volume": volume,
            "message": str(self._events + 1), "cause": "0", "sender": order["account"],
            "market_event": "0",
        }  # fmt: skip
        if kind == "netted":
            values |= {"price": order["close_price"], "quantity": volume}
        if entry:
            values["entry"] = str(entry)
            values["entry_id"] = derived_id(RUN, f"entry/{entry}")
        self._add("events", values)

    def _order(self, name: str) -> dict[str, str]:
        own = order_id(name)
        return next(row for row in self._rows["orders"] if row["order_id"] == own)

    def _time_of(self, entry: int) -> str:
        rows = self._rows["transactions"]
        return next(row["timestamp"] for row in rows if row["entry"] == str(entry))

    # -- spoiling ----------------------------------------------------------------------------------

    def change(self, table: str, place: int, **values: str) -> None:
        """Other values in one line of a table."""
        self._rows[table][place].update(values)


def time(second: int) -> str:
    """So many seconds after midnight."""
    return f"2024-01-01T00:{second // 60:02}:{second % 60:02}+00:00"
