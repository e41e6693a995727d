"""The tables of a run cut into what the story of each chain of orders needs: a page tells many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from backtest.analysis.explain.explain import explain
from backtest.analysis.tables.tables import COLUMNS, Row, Tables
from backtest.models import TradingRules

__all__ = ["Chains"]

_TABLES = ("orders", "events", "fills", "transactions", "balances")
_WHY = (
    "the page looks at no bars for it; result.explain(ID), or python -m backtest explain DIR ID, "
    "tells of each"
)
_MOST = 200
"""A story that concerns more chains than this is left out of the page: it would take too long."""


class _Part:
    """The rows of some chains as `Tables`, in the order of the whole."""

    def __init__(self, facts: dict[str, Any], rows: Mapping[str, list[tuple[int, Row]]]) -> None:
        self.facts = facts
        self._rows = rows

    def rows(self, name: str) -> Iterator[Row]:
        """The rows of a table."""
        return (row for _, row in self._rows.get(name, ()))


class Chains:
    """Reads the tables of a run once, and tells the story of any chain from its rows alone.

    To a chain belong those with which it shares an entry of the ledger, or which closed positions
    of each other, and theirs: what `explain` says of a chain without bars is the same.
    """

    def __init__(self, tables: Tables, rules: Mapping[str, TradingRules]) -> None:
        self._tables, self._rules = tables, rules
        self._rows: dict[str, dict[str, list[tuple[int, Row]]]] = {name: {} for name in _TABLES}
        """By table and chain, each row with its number."""
        self._near: dict[str, dict[str, None]] = {}
        self._whole: set[str] = set()
        """Chains of whose story any other may be part: what their end was hangs on all closings."""
        self._read()

    def _read(self) -> None:
        at = {name: {column: place for place, column in enumerate(COLUMNS[name])}
              for name in _TABLES}  # fmt: skip
        roots: dict[str, str] = {}
        for place, row in enumerate(self._tables.rows("orders")):
            root = row[at["orders"]["root_id"]]
            roots[row[at["orders"]["order_id"]]] = root
            roots[row[at["orders"]["branch_id"]]] = root
            self._keep("orders", root, place, row)
        columns = at["events"]
        for place, row in enumerate(self._tables.rows("events")):
            root = row[columns["root_id"]]
            self._keep("events", root, place, row)
            if row[columns["reason"]] == "REDUCE_ONLY":
                self._whole.add(root)
        entries: dict[str, dict[str, None]] = {}
        columns = at["transactions"]
        for place, row in enumerate(self._tables.rows("transactions")):
            root = roots.get(row[columns["order_id"]], "")
            if root:
                entries.setdefault(row[columns["entry"]], {})[root] = None
                self._keep("transactions", root, place, row)
        columns = at["fills"]
        bookings: dict[str, dict[str, None]] = {}
        for place, row in enumerate(self._tables.rows("fills")):
            root = row[columns["root_id"]]
            self._keep("fills", root, place, row)
            together = bookings.setdefault(row[columns["entry_id"]], {})
            together[root] = together[roots.get(row[columns["closing_order_id"]], root)] = None
        column = at["balances"]["entry"]
        for place, row in enumerate(self._tables.rows("balances")):
            for root in entries.get(row[column], ()):
                self._keep("balances", root, place, row)
        for together in chain(entries.values(), bookings.values()):
            if len(together) > 1:
                for root in together:
                    self._near.setdefault(root, {}).update(together)

    def _keep(self, table: str, root: str, place: int, row: Row) -> None:
        self._rows[table].setdefault(root, []).append((place, row))

    def story(self, root: str) -> str | None:
        """The story of a chain, without what bars would tell; None where too much belongs to it."""
        if root in self._whole or root not in self._rows["orders"]:
            return None
        wanted = {root: None}
        for one in self._near.get(root, ()):
            wanted |= self._near[one]
        if len(wanted) > _MOST:
            return None
        part = _Part(self._tables.facts, {name: self._joined(name, wanted) for name in _TABLES})
        return explain(part, root, None, _WHY, self._rules)

    def _joined(self, table: str, roots: Mapping[str, None]) -> list[tuple[int, Row]]:
        by_root = self._rows[table]
        if len(roots) == 1:
            return by_root.get(next(iter(roots)), [])
        together = {place: row for root in roots for place, row in by_root.get(root, ())}
        return sorted(together.items())
