"""What the files of a run cannot prove, in words and column by column.

A figure stands here when nothing else in the files hangs on it: changed alone, and with all hashes
made right again, it is not found. What is not here is.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

__all__ = ["UNPROVEN", "Doubt", "doubts"]


@frozen
class Doubt:
    """One kind of thing that cannot be proven, with the columns and keys that it concerns."""

    what: str
    places: tuple[str, ...]
    """``table.column``, or the path of a key in ``run.json``."""
    status: str = ""
    """Of orders with this status only; empty: of any."""
    without_data: bool = False
    """Whether it is proven where the data is at hand and can be followed."""


UNPROVEN = (
    Doubt(
        "what strategies asked for, where it changed neither price nor money: limits and stops "
        "that were not reached, protections, leverage, terms, names of groups, and the side of "
        "what never filled",
        (
            "orders.limit_price", "orders.stop_price", "orders.stop_loss", "orders.take_profit",
            "orders.leverage", "orders.time_in_force", "orders.expires_at", "orders.post_only",
            "orders.reduce_only", "orders.trail", "orders.trail_percent", "orders.oco",
            "orders.order_type", "orders.entry_order_id", "orders.strategy", "orders.direction",
        ),
    ),
    Doubt(
        "reasons and details in words",
        ("events.detail", "events.reason", "orders.end_reason", "transactions.description"),
    ),
    Doubt(
        "what moved no money: when and how much of an order was triggered, trailed, asked to close "
        "or refused",
        (
            "events.timestamp", "events.kind", "events.volume", "events.order_id",
            "events.branch_id", "events.root_id", "events.pair", "events.keeps_place",
            "events.parts", "events.changed", "events.closing_orders", "events.condition",
            "events.price", "events.limit_price", "events.level", "events.expires_at",
            "events.point", "events.quantity",
        ),
    ),
    Doubt(
        "causes of messages that one event tells of",
        ("events.message", "events.cause", "events.sender"),
    ),
    Doubt(
        "who was maker where that hangs on what the price was when the order came, and the fee is "
        "the same for both",
        ("fills.maker",),
    ),
    Doubt(
        "the other outcome of an ambiguous fill, and that it is one",
        (
            "fills.ambiguous", "fills.other_price", "fills.other_volume", "fills.otherwise",
            "summary.ambiguous_fills",
        ),
    ),
    Doubt("which request a close was asked for with", ("fills.closing_order_id",)),
    Doubt(
        "what an order had paid, and how much of it there was, before it was replaced",
        ("orders.fee_create", "orders.fee_fill", "orders.fee_overnight", "orders.volume"),
        status="REPLACED",
    ),
    Doubt("the margin that a closed position had had", ("orders.margin_reserved",)),
    Doubt(
        "what the run was made on: versions, notices, the names of files, and that it was this "
        "configuration, this data and these sources and no others",
        ("receipt.versions", "receipt.notices", "files", "paths"),
    ),
    Doubt(
        "prices of the market between fills, and what hangs on them: equity while something is "
        "held, the deepest fall, exposure, the number of bars, how far prices went during trades",
        (
            "orders.create_price", "equity.timestamp", "equity.equity", "fills.bar_open",
            "fills.point", "fills.executed_at", "events.market_event", "events.executed_at",
            "prices.first", "prices.last", "summary.start", "summary.end", "summary.days",
            "summary.bars", "summary.max_drawdown", "summary.max_drawdown_percent",
            "summary.exposure_percent", "trades.worst_price", "trades.best_price", "trades.mae",
            "trades.mfe", "trades.excursions_from",
        ),
        without_data=True,
    ),
)  # fmt: skip
"""All of it."""


def doubts(followed: bool) -> Iterator[Doubt]:
    """What cannot be proven where the data was ``followed``, and where it was not."""
    return (one for one in UNPROVEN if not (followed and one.without_data))
