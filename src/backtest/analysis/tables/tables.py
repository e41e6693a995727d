"""A run as tables of text: what is written to files, and what the checks and stories are made from.

There is one text for each fact: numbers by `money.plain` (no exponent, no trailing zeros), times as
ISO 8601 in UTC, ids as UUIDs, nothing as the empty text. So equal runs give equal bytes, and what
`verify` reads from a run in memory is what it would read from its files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol
from uuid import UUID

from backtest.actors.protocol import NO_FACTS, Facts
from backtest.analysis.record import RunRecord
from backtest.analysis.tables.trade_rows import trade_rows
from backtest.analysis.trades.trade import COLUMNS as TRADE_COLUMNS
from backtest.analysis.trades.with_excursions import with_excursions
from backtest.models import SpotOrder, TradingOrder
from backtest.money import ZERO, exact_add, plain
from backtest.services.ledger.descriptions import describe
from backtest.services.ledger.ledger import entry_uuid
from backtest.times import format_ns, to_ns

__all__ = [
    "ALL_COLUMNS",
    "BOOLEANS",
    "COLUMNS",
    "INTEGERS",
    "LIST",
    "NUMBERS",
    "TAPE_COLUMNS",
    "TIMES",
    "Row",
    "Tables",
    "items",
    "names_of",
    "rows_of",
]

Row = tuple[str, ...]

LIST = "; "
"""Between the items of a field that holds several."""

COLUMNS: dict[str, Row] = {
    "orders": (
        "order_number", "order_id", "root_id", "parent_id", "branch_id", "order_kind", "order_type",
        "account", "strategy", "pair", "direction", "status", "volume", "limit_price", "stop_price",
        "leverage", "stop_loss", "take_profit", "contract_size", "create_timestamp", "create_price",
        "fill_timestamp", "fill_price", "fill_volume", "close_timestamp", "close_price",
        "closing_reason", "cancel_timestamp", "cancel_volume", "replaced_timestamp", "end_reason",
        "reserved", "margin_reserved", "fee_create", "fee_fill", "fee_close", "fee_cancel",
        "fee_overnight", "gross_pnl", "net_pnl", "entry_order_id", "time_in_force", "expires_at",
        "post_only", "reduce_only", "trail", "trail_percent", "oco",
    ),
    "transactions": (
        "timestamp", "sequence", "entry", "entry_id", "account", "asset_code", "transaction_type",
        "available_balance_change", "unavailable_balance_change", "order_id", "cause",
        "description",
    ),
    "balances": (
        "timestamp", "entry", "entry_id", "account", "asset_code", "available_balance",
        "unavailable_balance",
    ),
    "fills": (
        "timestamp", "order_id", "root_id", "branch_id", "account", "strategy", "pair", "direction",
        "kind", "order_kind", "price", "volume", "notional", "fee", "fee_asset", "realised_pnl",
        "maker", "ambiguous", "other_price", "other_volume", "otherwise", "bar_open", "point",
        "closing_order_id", "entry_id", "executed_at",
    ),
    "events": (
        "timestamp", "sequence", "kind", "order_id", "branch_id", "root_id", "pair", "volume",
        "reason", "detail", "message", "cause", "sender", "entry", "entry_id",
        "market_event", "executed_at", "keeps_place", "parts", "changed", "closing_orders",
        "condition", "price", "limit_price", "level", "expires_at", "point", "quantity",
    ),
    "equity": ("timestamp", "equity"),
    "trades": TRADE_COLUMNS,
}  # fmt: skip
"""The tables of every run and their columns, in order."""

TAPE_COLUMNS = (
    "time", "time_ns", "pair", "price", "volume", "aggressor", "buyer", "seller",
    "buyer_type", "seller_type", "buyer_order", "seller_order", "entry",
)  # fmt: skip
"""The columns of the tape, which markets of agents have besides."""

ALL_COLUMNS: dict[str, Row] = {**COLUMNS, "tape": TAPE_COLUMNS}
"""The columns of all tables that there are."""

TIMES = frozenset(
    {
        "timestamp", "create_timestamp", "fill_timestamp", "close_timestamp", "cancel_timestamp",
        "replaced_timestamp", "bar_open", "expires_at", "executed_at", "entry_timestamp",
        "exit_timestamp",
    }
)  # fmt: skip
INTEGERS = frozenset(
    {"order_number", "trade_number", "sequence", "entry", "message", "cause", "market_event"}
)
BOOLEANS = frozenset({"maker", "ambiguous", "post_only", "reduce_only", "keeps_place", "is_open"})
NUMBERS = frozenset(
    {
        "volume", "limit_price", "stop_price", "leverage", "stop_loss", "take_profit",
        "contract_size", "create_price", "fill_price", "fill_volume", "close_price",
        "cancel_volume", "reserved", "margin_reserved", "fee_create", "fee_fill", "fee_close",
        "fee_cancel", "fee_overnight", "gross_pnl", "net_pnl", "available_balance_change",
        "unavailable_balance_change", "available_balance", "unavailable_balance", "price",
        "notional", "fee", "realised_pnl", "other_price", "other_volume", "equity", "trail",
        "trail_percent", "level", "quantity", "entry_price", "exit_price", "duration_seconds",
        "entry_value", "fees", "financing", "insured", "pnl", "return_percent", "worst_price",
        "best_price", "mae", "mfe",
    }
)  # fmt: skip


class Tables(Protocol):
    """A run to be read: from memory, or from the files it was written to."""

    @property
    def facts(self) -> dict[str, Any]:
        """What stands in ``run.json``: configuration, receipt, summary, final balances, prices."""

    def rows(self, name: str) -> Iterator[Row]:
        """The rows of the table called ``name``, as often as one likes."""


def items(field: str) -> list[str]:
    """What a field holds that may hold several."""
    return field.split(LIST) if field else []


def names_of(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """The tables of a run, as its facts tell what it was: a market of agents has a tape."""
    return tuple(ALL_COLUMNS) if "market" in (facts.get("config") or ()) else tuple(COLUMNS)


def rows_of(record: RunRecord, name: str) -> Iterator[Row]:
    """The rows of one table of a run that is in memory."""
    return _ROWS[name](record)


def _number(value: Decimal | None) -> str:
    return "" if value is None else plain(value)


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _time(value: datetime | None) -> str:
    return "" if value is None else format_ns(to_ns(value))


def _id(value: UUID | None) -> str:
    return "" if value is None else str(value)


def _type(order: SpotOrder | TradingOrder) -> str:
    if isinstance(order, SpotOrder) and order.entry_order_id is not None:
        return "exit"
    if order.instructions.is_trailing:
        return "trailing_stop"
    if order.limit_price is not None:
        return "limit" if order.stop_price is None else "stop_limit"
    return "market" if order.stop_price is None else "stop"


def _orders(record: RunRecord) -> Iterator[Row]:
    accounts, strategies = _names(record)
    for order in record.records.orders:
        spot = isinstance(order, SpotOrder)
        values = order.__dict__
        get = values.get
        asked = order.instructions
        yield (
            str(order.order_number),
            str(order.id),
            str(order.root_id),
            _id(order.parent_id),
            str(order.branch_id),
            "spot" if spot else "trading",
            _type(order),
            accounts[order.account_id],
            strategies.get(order.agent_id, ""),
            order.trading_pair_code,
            order.direction.value,
            order.status.value,
            plain(order.volume),
            _number(order.limit_price),
            _number(order.stop_price),
            _number(get("leverage")),
            _number(get("stop_loss")),
            _number(get("take_profit")),
            _number(get("contract_size")),
            _time(order.create_timestamp),
            _number(get("create_price")),
            _time(order.fill_timestamp),
            _number(order.fill_price),
            _number(order.fill_volume),
            _time(get("close_timestamp")),
            _number(get("close_price")),
            get("closing_reason") or "",
            _time(order.cancel_timestamp),
            _number(order.cancel_volume),
            _time(order.replaced_timestamp),
            order.end_reason or "",
            plain(order.reserved),
            _number(get("margin_reserved")),
            plain(values["fee_create" if spot else "fees_on_create"]),
            plain(values["fee_fill" if spot else "fees_on_fill"]),
            _number(get("fees_on_close")),
            plain(values["fee_cancel" if spot else "fees_on_cancel"]),
            _number(get("fees_on_overnight")),
            _number(get("gross_pnl")),
            _number(get("net_pnl")),
            _id(get("entry_order_id")),
            asked.time_in_force.value,
            _time(asked.expires_at),
            _flag(asked.post_only),
            _flag(asked.reduce_only),
            _number(asked.trail),
            _number(asked.trail_percent),
            asked.oco or "",
        )


def _transactions(record: RunRecord) -> Iterator[Row]:
    run_id = record.run.run_id
    for entry in record.ledger.entries:
        time, number = format_ns(entry.time), str(entry.number)
        entry_id = str(entry_uuid(run_id, entry.number))
        cause, sequence = str(entry.cause), entry.first
        for order, legs in entry.segments():
            order_id = _id(order)
            for account, asset, kind, available, unavailable in legs:
                yield (
                    time,
                    str(sequence),
                    number,
                    entry_id,
                    account,
                    asset,
                    kind.value,
                    plain(available),
                    plain(unavailable),
                    order_id,
                    cause,
                    describe(kind, entry.why),
                )
                sequence += 1


def _balances(record: RunRecord) -> Iterator[Row]:
    """After each entry, what it changed of the agents' accounts."""
    run_id = record.run.run_id
    agents = {name for name, account in record.accounts.items() if not account.is_house}
    held: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    for entry in record.ledger.entries:
        touched: dict[tuple[str, str], None] = {}
        for account, asset, _, available, unavailable in entry.legs:
            if account in agents:
                key = (account, asset)
                old = held.get(key, (ZERO, ZERO))
                held[key] = (exact_add(old[0], available), exact_add(old[1], unavailable))
                touched[key] = None
        for key in touched:
            yield (
                format_ns(entry.time),
                str(entry.number),
                str(entry_uuid(run_id, entry.number)),
                *key,
                plain(held[key][0]),
                plain(held[key][1]),
            )


def _fills(record: RunRecord) -> Iterator[Row]:
    accounts, strategies = _names(record)
    for fill in record.records.fills:
        yield (
            format_ns(fill.timestamp_ns),
            str(fill.order_id),
            str(fill.root_id),
            str(fill.branch_id),
            accounts[fill.account_id],
            strategies.get(fill.agent_id, ""),
            fill.pair,
            fill.direction.value,
            fill.kind,
            fill.order_kind,
            plain(fill.price),
            plain(fill.volume),
            plain(fill.notional),
            plain(fill.fee),
            fill.fee_asset,
            _number(fill.realised_pnl),
            _flag(fill.maker),
            _flag(fill.ambiguous),
            _number(fill.other_price),
            _number(fill.other_volume),
            LIST.join(
                f"{one.kind} {plain(one.volume)} @ {plain(one.price)}" for one in fill.otherwise
            ),
            format_ns(fill.bar_open_ns),
            fill.point,
            _id(fill.closing_order_id),
            _id(fill.entry_id),
            "" if fill.executed_ns is None else format_ns(fill.executed_ns),
        )


def _events(record: RunRecord) -> Iterator[Row]:
    run_id = record.run.run_id
    orders = record.records.orders
    by_id: dict[UUID, SpotOrder | TradingOrder] = {}
    for sequence, event in enumerate(record.records.events, 1):
        order = orders[event.order_number - 1] if event.order_number else None
        about = order
        if order is None and event.asked is not None:
            by_id = by_id or {order.id: order for order in orders}
            about = by_id.get(event.asked)  # an order that is done, or nobody's
        yield (
            format_ns(event.time),
            str(sequence),
            event.kind.value,
            _id(event.asked) if order is None else str(order.id),
            "" if about is None else str(about.branch_id),
            "" if about is None else str(about.root_id),
            "" if about is None else about.trading_pair_code,
            _number(event.volume),
            "" if event.reason is None else event.reason.value,
            event.detail,
            str(event.message),
            str(event.cause),
            event.sender,
            str(event.entry) if event.entry else "",
            str(entry_uuid(run_id, event.entry)) if event.entry else "",
            str(event.market_event),
            "" if event.executed is None else format_ns(event.executed),
            *(_NO_FACTS if event.facts is NO_FACTS else _facts(event.facts)),
        )


_NO_FACTS = ("",) * len(Facts._fields)


def _facts(facts: Facts) -> Iterator[str]:
    yield "" if facts.keeps_place is None else _flag(facts.keeps_place)
    yield LIST.join(map(plain, facts.parts))
    yield LIST.join(facts.changed)
    yield LIST.join(map(str, facts.closing_orders))
    yield facts.condition
    yield _number(facts.price)
    yield _number(facts.limit_price)
    yield _number(facts.level)
    yield "" if facts.expires is None else format_ns(facts.expires)
    yield facts.point
    yield _number(facts.quantity)


def _equity(record: RunRecord) -> Iterator[Row]:
    for time, equity in record.valuation.samples:
        yield (format_ns(time), plain(equity))


def _names(record: RunRecord) -> tuple[dict[UUID, str], dict[UUID, str]]:
    """Account ids to names, agent ids to names of strategies."""
    accounts = {account.account_id: name for name, account in record.accounts.items()}
    return accounts, dict(record.agents)


_ROWS: dict[str, Callable[[RunRecord], Iterator[Row]]] = {
    "orders": _orders,
    "transactions": _transactions,
    "balances": _balances,
    "fills": _fills,
    "events": _events,
    "equity": _equity,
    "trades": lambda record: trade_rows(with_excursions(record)),
}
