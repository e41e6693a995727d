"""Columns that tell one fact twice, or nothing: each row of orders, fills and events by itself, and
beside the rows that it names."""

from __future__ import annotations

from collections.abc import Iterable

from backtest.actors import EventKind
from backtest.analysis.tables.exact import ONE_UNIT, amount, text_of
from backtest.analysis.verify.journal import Journal
from backtest.analysis.verify.lines import EventLine, FillLine, Material, OrderLine
from backtest.analysis.verify.verification import Finding

__all__ = ["causes", "columns"]

_PRICES = {
    # order type: whether it has a limit, a stop, a trail; None: it may
    "market": (False, False, False),
    "limit": (True, False, False),
    "stop": (False, True, False),
    "stop_limit": (True, True, False),
    "trailing_stop": (False, None, True),
    "exit": (None, None, False),
}
_FORCES = frozenset({"GTC", "GTD", "DAY", "IOC", "FOK"})
_OF_FILLS = frozenset({"filled", "closed", "liquidated"})
_WITH_REASON = frozenset({"rejected", "cancelled", "close_cancelled"})
_TAKERS = frozenset({"market", "stop", "trailing_stop", "stop_loss", "liquidation"})
"""Orders and exits that never wait for their price as makers do."""
_KINDS = frozenset(kind.value for kind in EventKind)


def columns(material: Material, finding: Finding) -> str:
    """What an order is, what its children have of it, and what fills and events say of it."""
    for order in material.orders:
        what = f"order {order.id}"
        for column in _misplaced(order):
            finding.wrong(f"{column} of {what}, {order.kind} and {order.status}, cannot be so")
        _prices(order, what, finding)
        _owner(material, order, what, finding)
        parent = material.order_by_id.get(order.parent)
        if parent is not None:
            finding.differ(f"what {what} has of its parent", order.terms, parent.terms)
            if parent.status != "REPLACED":
                found, wanted = order.levels, parent.levels
                finding.differ(f"the levels that {what} has of its parent", found, wanted)
    for fill in material.fills:
        _fill(fill, material.order_by_id.get(fill.order), finding)
        _fee(material, fill, finding)
    return f"{len(material.orders)} orders and {len(material.fills)} fills"


def _misplaced(order: OrderLine) -> Iterable[str]:
    """The columns that are empty and must not be, or the other way round."""
    trading, closed = order.kind == "trading", order.status == "CLOSED"
    ended = order.status in ("CANCELLED", "REPLACED")
    for column, has, must in (
        ("leverage", order.leverage, trading),
        ("contract_size", order.contract_size, trading),
        ("create_price", order.create_price, trading),
        ("margin_reserved", order.margin_text, trading),
        ("fee_close", order.fee_close_text, trading),
        ("fee_overnight", order.fee_overnight_text, trading),
        ("fill_price", order.fill_price, bool(order.filled)),
        ("fill_volume", order.fill_volume, bool(order.filled)),
        ("close_price", order.close_price, bool(order.closed)),
        ("closing_reason", order.closing_reason, closed),
        ("gross_pnl", order.gross_text, closed),
        ("net_pnl", order.net_text, closed),
        ("cancel_volume", order.cancel_volume, bool(order.cancelled)),
        ("end_reason", order.end_reason, ended),
        ("entry_order_id", order.entry_order, order.type == "exit"),
    ):
        if bool(has) != must:
            yield column


def _prices(order: OrderLine, what: str, finding: Finding) -> None:
    wanted = _PRICES.get(order.type)
    if wanted is None:
        finding.wrong(f"{what} is of an unknown type, {order.type!r}")
        return
    trail = order.trail or order.trail_percent
    has = (bool(order.limit_price), bool(order.stop_price), bool(trail))
    for name, found, must in zip(("limit", "stop", "trail"), has, wanted, strict=True):
        if must is not None and found != must:
            finding.wrong(f"{what} is a {order.type} and has {'a' if found else 'no'} {name}")
    if order.direction not in ("LONG", "SHORT"):
        finding.wrong(f"{what} is neither LONG nor SHORT but {order.direction!r}")
    if order.time_in_force not in _FORCES:
        finding.wrong(f"{what} has an unknown time in force, {order.time_in_force!r}")
    if order.time_in_force in ("GTC", "IOC", "FOK") and order.expires_at:
        finding.wrong(f"{what} is {order.time_in_force} and expires at {order.expires_at}")


def _owner(material: Material, order: OrderLine, what: str, finding: Finding) -> None:
    config = material.facts["config"]
    owner = config["strategies"].get(order.strategy)
    if owner is None or order.account not in owner["accounts"]:
        finding.wrong(f"{what} is on {order.account}, which is not {order.strategy or 'nobody'}'s")
    if order.contract_size:
        size = config["pairs"][order.pair]["contract_size"]
        finding.differ(f"the contract size of {what}", order.contract_size, size)


def _fill(fill: FillLine, order: OrderLine | None, finding: Finding) -> None:
    if order is None:
        return  # another check's to tell
    what = f"the fill of order {fill.order} at {fill.time}"
    finding.differ(f"the strategy of {what}", fill.strategy, order.strategy)
    closes = fill.kind != "entry"
    realises = closes and fill.order_kind == "trading"
    for name, text in (("PnL", fill.pnl_text), ("an order that closes", fill.closing)):
        if bool(text) != realises:
            finding.wrong(f"{what} is of kind {fill.kind} and has {name}, or has none")
    if fill.order_kind == "spot" and closes != (order.type == "exit"):
        finding.wrong(f"{what} is of kind {fill.kind}, its order a {order.type}")
    takes = order.type in _TAKERS if fill.kind == "entry" else fill.kind in _TAKERS
    if takes and fill.maker != "false" and fill.point != "trade":
        finding.wrong(f"{what} takes, and is told to be a maker's")
    if fill.ambiguous != "true" and (fill.other_price or fill.other_volume or fill.otherwise):
        finding.wrong(f"{what} is certain, and is told to have another outcome")
    for name, flag in (("maker", fill.maker), ("ambiguous", fill.ambiguous)):
        if flag not in ("true", "false"):
            finding.wrong(f"{name} of {what} is neither true nor false")


def _fee(material: Material, fill: FillLine, finding: Finding) -> None:
    """Where the fee is a plain share of what was traded it is that of a maker or of a taker, to a
    step: it is rounded by what the order has paid so far."""
    closes = fill.kind != "entry" and fill.order_kind == "trading"
    fees = material.facts["config"]["rules"].get(fill.pair, {}).get("fees", {})
    applied = fees.get("CLOSE" if closes else "FILL", [])
    if len(applied) != 1 or applied[0][0] != "PERCENT_OF_NOTIONAL" or len(applied[0]) > 3:
        return
    _, rate, maker_rate = applied[0]
    if fill.maker == "true" and maker_rate is not None:
        rate = maker_rate
    pair, unit = material.pairs[fill.pair], ONE_UNIT**3
    exact = amount(rate) * fill.price * fill.volume * pair.contract_size
    if abs(fill.fee * unit - exact) >= pair.quote_step * unit:
        what = "maker" if fill.maker == "true" else "taker"
        finding.wrong(
            f"the fill of order {fill.order} at {fill.time} paid {text_of(fill.fee)}, which is not "
            f"what a {what} pays"
        )


# -- causes ----------------------------------------------------------------------------------------


def causes(material: Material, journal: Journal, finding: Finding) -> str:
    """Each entry is what an event tells, and was caused by that event's message; what is told of a
    message is the same wherever it is named."""
    told: set[str] = set()
    messages: dict[str, tuple[str, str, str, str]] = {}
    last_bar = 0
    for event in material.events:
        what = f"event {event.sequence} ({event.kind})"
        number, bar = int(event.message), int(event.market_event)
        if bar < last_bar:
            finding.wrong(f"{what} is of market event {bar}, and comes after {last_bar}")
        last_bar = bar
        same = (event.cause, event.sender, event.time, event.market_event)
        if messages.setdefault(event.message, same) != same:
            finding.wrong(f"{what} tells of message {number} otherwise than another event does")
        if event.entry:
            told.add(event.entry)
            cause = journal.causes.get(event.entry, event.message)
            finding.differ(f"the cause of entry {event.entry}", cause, event.message)
        elif event.entry_id:
            finding.wrong(f"{what} has the id of an entry, and no entry")
        _event(material, event, what, finding)
    for entry in journal.causes:
        if entry not in told and entry not in journal.opening:
            finding.wrong(f"entry {entry} is told by no event")
    return f"{len(messages)} messages and {len(journal.causes)} entries"


def _event(material: Material, event: EventLine, what: str, finding: Finding) -> None:
    order = material.order_by_id.get(event.order)
    if event.kind not in _KINDS:
        finding.wrong(f"{what} is of an unknown kind")
    name = event.sender
    if name.startswith("strategy/"):
        name = name.split("/")[1]
    if name != event.sender and name not in material.facts["config"]["strategies"]:
        finding.wrong(f"{what} was sent by {event.sender}, who is nobody")
    if event.sender == "market-data" and event.cause != "0":
        finding.wrong(f"{what} was sent by {event.sender} because of message {event.cause}")
    if order is not None:
        finding.differ(f"the branch of {what}", event.branch, order.branch)
        finding.differ(f"the pair of {what}", event.pair, order.pair)
        if event.kind == "accepted" and name not in (event.sender, order.strategy):
            finding.wrong(f"{what} was sent by {event.sender}, not by {order.strategy}")
        if event.kind == "cancelled":
            finding.differ(f"the reason of {what}", event.reason, order.end_reason)
    if bool(event.reason) != (event.kind in _WITH_REASON):
        finding.wrong(f"{what} has {'a' if event.reason else 'no'} reason")
    if event.executed_at and event.kind not in _OF_FILLS:
        finding.wrong(f"{what} is no fill, and is told to have been executed")
    if event.kind != "rejected" and event.volume <= 0:
        finding.wrong(f"{what} has a volume of {event.volume // ONE_UNIT}")
