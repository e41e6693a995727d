"""The lines of a run's tables, read for checking: amounts as exact integers, the rest as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple, get_type_hints
from uuid import UUID

from backtest import ids
from backtest.analysis.tables.exact import amount
from backtest.analysis.tables.tables import COLUMNS, Row, Tables
from backtest.analysis.verify.positions import Positions

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
    type: str
    strategy: str
    stop_price: str
    leverage: str
    stop_loss: str
    take_profit: str
    contract_size: str
    create_price: int
    time_in_force: str
    expires_at: str
    post_only: str
    reduce_only: str
    trail: str
    trail_percent: str
    oco: str
    margin_text: str
    fee_close_text: str
    fee_overnight_text: str
    gross_text: str
    net_text: str

    @property
    def terms(self) -> tuple[str | int, ...]:
        """What an order hands on to all that comes of it."""
        return (
            self.type, self.strategy, self.leverage, self.contract_size, self.create_price,
            self.post_only, self.reduce_only, self.oco,
        )  # fmt: skip

    @property
    def levels(self) -> tuple[str | int, ...]:
        """The same of what a modify may change."""
        trails = self.type == "trailing_stop"  # its stop follows the price
        return (
            self.limit_price, "" if trails else self.stop_price, self.stop_loss, self.take_profit,
            self.time_in_force, self.expires_at, self.trail, self.trail_percent,
        )  # fmt: skip


_ORDER = {
    "number": "order_number", "id": "order_id", "root": "root_id", "parent": "parent_id",
    "branch": "branch_id", "kind": "order_kind", "created": "create_timestamp",
    "filled": "fill_timestamp", "closed": "close_timestamp", "cancelled": "cancel_timestamp",
    "replaced": "replaced_timestamp", "margin": "margin_reserved", "entry_order": "entry_order_id",
    "type": "order_type", "margin_text": "margin_reserved", "fee_close_text": "fee_close",
    "fee_overnight_text": "fee_overnight", "gross_text": "gross_pnl", "net_text": "net_pnl",
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
    strategy: str
    maker: str
    pnl_text: str
    other_price: str
    other_volume: str
    otherwise: str


_FILL = {
    "time": "timestamp", "order": "order_id", "root": "root_id", "branch": "branch_id",
    "pnl": "realised_pnl", "closing": "closing_order_id", "pnl_text": "realised_pnl",
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
    branch: str
    pair: str
    sender: str
    market_event: str
    keeps_place: str
    parts: str
    changed: str
    closing_orders: str
    condition: str
    price: int
    limit_price: int
    level: int
    expires_at: str
    point: str
    quantity: int


_EVENT = {"time": "timestamp", "order": "order_id", "root": "root_id", "branch": "branch_id"}


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
    description: str
    """The kind in words, and what came to pass."""


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
    def netting(self) -> frozenset[str]:
        """The names of the accounts that have one position in a pair."""
        accounts = self.facts["config"]["accounts"]
        return frozenset(name for name, options in accounts.items() if options["netting"])

    @cached_property
    def positions(self) -> Positions:
        """What fills opened and closed."""
        return Positions(self)

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
    def offsets(self) -> dict[str, list[OrderLine]]:
        """By branch, the orders that closed positions on the other side and opened none."""
        found: dict[str, list[OrderLine]] = {}
        for order in self.orders:
            if order.closing_reason == "offset":
                found.setdefault(order.branch, []).append(order)
        return found

    @cached_property
    def fills(self) -> list[FillLine]:
        return list(_parsed(self.tables, "fills", FillLine, _FILL))

    @cached_property
    def events(self) -> list[EventLine]:
        return list(_parsed(self.tables, "events", EventLine, _EVENT))


_NEEDED = {
    "orders": ("volume", "reserved", "fee_create", "fee_fill", "fee_cancel"),
    "fills": ("price", "volume", "notional", "fee"),
    "events": (),
}
"""Amounts that are never left out."""


def _parsed(tables: Tables, name: str, shape: Any, names: Mapping[str, str]) -> Iterator[Any]:
    """The rows of a table as ``shape``, whose integer fields are amounts."""
    columns = COLUMNS[name]
    hints = get_type_hints(shape)
    needed = [columns.index(one) for one in _NEEDED[name]]
    plan = [(columns.index(names.get(one, one)), hints[one] is int) for one in shape._fields]
    for number, row in enumerate(tables.rows(name), 1):
        if "" in [row[at] for at in needed]:
            raise ValueError(f"{name}, row {number}: an amount is missing")
        try:
            yield shape._make([amount(row[at]) if exact else row[at] for at, exact in plan])
        except ValueError as error:
            raise ValueError(f"{name}, row {number}: {error}") from None


def legs_of(row: Row) -> Leg:
    """A transaction, parsed. Raises `ValueError` for an amount that is none or missing."""
    if not (row[7] and row[8]):
        raise ValueError("an amount is missing")
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
        row[11],
    )


def derived_id(run_id: UUID, name: str) -> str:
    """The id that ``name`` has in a run, as text."""
    return str(ids.derived_id(run_id, name))
