"""The lines of a run's tables, read for checking: amounts as exact integers, the rest as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple, get_type_hints
from uuid import UUID

from backtest import ids
from backtest.analysis.exact import amount
from backtest.analysis.tables import COLUMNS, Row, Tables

__all__ = ["EventLine", "FillLine", "Leg", "Material", "OrderLine", "PairFacts", "derived_id"]


class OrderLine(NamedTuple):
    """What the checks need of an order."""

    number: str
    id: str
    root: str
    parent: str
    branch: str
    kind: str
    account: str
    pair: str
    direction: str
    status: str
    volume: int
    limit_price: int
    created: str
    filled: str
    fill_price: int
    fill_volume: int
    closed: str
    close_price: int
    closing_reason: str
    cancelled: str
    cancel_volume: int
    replaced: str
    end_reason: str
    reserved: int
    margin: int
    fee_create: int
    fee_fill: int
    fee_close: int
    fee_cancel: int
    fee_overnight: int
    gross_pnl: int
    net_pnl: int
    entry_order: str


_ORDER = {
    "number": "order_number", "id": "order_id", "root": "root_id", "parent": "parent_id",
    "branch": "branch_id", "kind": "order_kind", "created": "create_timestamp",
    "filled": "fill_timestamp", "closed": "close_timestamp", "cancelled": "cancel_timestamp",
    "replaced": "replaced_timestamp", "margin": "margin_reserved", "entry_order": "entry_order_id",
}  # fmt: skip


class FillLine(NamedTuple):
    """What the checks need of a fill."""

    time: str
    order: str
    root: str
    branch: str
    account: str
    pair: str
    direction: str
    kind: str
    order_kind: str
    price: int
    volume: int
    notional: int
    fee: int
    fee_asset: str
    pnl: int
    ambiguous: str
    entry_id: str
    closing: str
    bar_open: str
    point: str
    executed_at: str


_FILL = {
    "time": "timestamp", "order": "order_id", "root": "root_id", "branch": "branch_id",
    "pnl": "realised_pnl", "closing": "closing_order_id",
}  # fmt: skip


class EventLine(NamedTuple):
    """What the checks need of an event."""

    time: str
    sequence: str
    kind: str
    order: str
    root: str
    volume: int
    reason: str
    message: str
    cause: str
    entry: str
    entry_id: str
    executed_at: str


_EVENT = {"time": "timestamp", "order": "order_id", "root": "root_id"}


class Leg(NamedTuple):
    """One transaction."""

    time: str
    sequence: str
    entry: str
    entry_id: str
    account: str
    asset: str
    kind: str
    available: int
    unavailable: int
    order: str
    cause: str


class PairFacts(NamedTuple):
    """What the configuration says of a pair."""

    base: str
    quote: str
    quote_step: int
    """The smallest amount of the quote asset, in units."""
    contract_size: int


class Material:
    """The tables of a run, parsed when asked for. Raises `ValueError` for what cannot be read."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.facts: Mapping[str, Any] = tables.facts

    @cached_property
    def run_id(self) -> UUID:
        return UUID(self.facts["receipt"]["run_id"])

    @cached_property
    def agents(self) -> frozenset[str]:
        """The names of the agents' accounts."""
        return frozenset(self.facts["config"]["cash"])

    @cached_property
    def pairs(self) -> dict[str, PairFacts]:
        return {
            code: PairFacts(
                pair["base"],
                pair["quote"],
                amount("1") // 10 ** int(pair["quote_precision"]),
                amount(pair["contract_size"]),
            )
            for code, pair in self.facts["config"]["pairs"].items()
        }

    @cached_property
    def orders(self) -> list[OrderLine]:
        return list(_parsed(self.tables, "orders", OrderLine, _ORDER))

    @cached_property
    def order_by_id(self) -> dict[str, OrderLine]:
        return {order.id: order for order in self.orders}

    @cached_property
    def fills(self) -> list[FillLine]:
        return list(_parsed(self.tables, "fills", FillLine, _FILL))

    @cached_property
    def events(self) -> list[EventLine]:
        return list(_parsed(self.tables, "events", EventLine, _EVENT))


def _parsed(tables: Tables, name: str, shape: Any, names: Mapping[str, str]) -> Iterator[Any]:
    """The rows of a table as ``shape``, whose integer fields are amounts."""
    columns = COLUMNS[name]
    hints = get_type_hints(shape)
    plan = [(columns.index(names.get(one, one)), hints[one] is int) for one in shape._fields]
    for number, row in enumerate(tables.rows(name), 1):
        try:
            yield shape._make([amount(row[at]) if exact else row[at] for at, exact in plan])
        except ValueError as error:
            raise ValueError(f"{name}, row {number}: {error}") from None


def legs_of(row: Row) -> Leg:
    """A transaction, parsed."""
    return Leg(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        row[5],
        row[6],
        amount(row[7]),
        amount(row[8]),
        row[9],
        row[10],
    )


def derived_id(run_id: UUID, name: str) -> str:
    """The id that ``name`` has in a run, as text."""
    return str(ids.derived_id(run_id, name))
