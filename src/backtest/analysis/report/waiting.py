"""What the orders that are still pending at the end of a run have waited for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from backtest.analysis.explain.nettings import Nettings
from backtest.analysis.explain.no_fill_reasons import Taken, silences
from backtest.analysis.explain.replay import waits_of
from backtest.analysis.explain.waits import Line, PairRules, Wait
from backtest.analysis.record import RunRecord
from backtest.analysis.rereading import market_events
from backtest.analysis.tables.tables import COLUMNS, rows_of
from backtest.data import parts_of
from backtest.errors import BacktestError
from backtest.models import OrderStatus
from backtest.services.fills.no_fill import Why

__all__ = ["waiting"]

AT_MOST = 100_000
"""Market events times pending orders (and rows of the tables) up to which a report looks at each;
it takes some microseconds for one."""

_VOLUME = "volume"
_NEXT = "a later open"
_WORDS = {
    Why.NO_VOLUME: _VOLUME,
    Why.SHARE_TOO_SMALL: _VOLUME,
    Why.POOL_USED_UP: _VOLUME,
    Why.NOT_ALL: _VOLUME,
    Why.PRICE_NOT_REACHED: "the limit price",
    Why.PENETRATION_NOT_MET: "the limit price",
    Why.LIMIT_NOT_REACHED: "the limit price",
    Why.STOP_NOT_REACHED: "the stop price",
    Why.NOT_ELIGIBLE: _NEXT,
    Why.AHEAD_IN_QUEUE: "a turn in the queue",
    Why.QUOTES_DECIDE: "a quote",
    Why.LESS_TO_REDUCE: "something to reduce",
}
_Seen = dict[str, Counter[str]]
"""By order number: on how many market events it waited for what, and under "" on how many."""


def waiting(record: RunRecord) -> list[str]:
    """One sentence for each thing that pending orders waited for: "1 order waited for volume on 29
    of 29 bars (order #1)". Empty where nothing is pending."""
    pending = [one for one in record.orders if one.status is OrderStatus.PENDING]
    if not pending:
        return []
    number = pending[0].order_number
    asked = f"1 order is pending: explain({number}) tells what it waited for"
    if len(pending) > 1:
        asked = f"{len(pending):,} orders are pending: explain({number}) tells of the first"
    events = record.bars + record.ticks
    rows = len(record.records.events) + record.ledger.transactions
    spent = any(isinstance(one, Iterator) for s in record.sources.values() for one in parts_of(s))
    if not record.sources:  # a market of agents, which has no data to be looked at again
        return [asked]
    if spent or events * len(pending) > AT_MOST or rows > AT_MOST:
        return [asked]
    try:
        found = _looked_at(record, [str(order.root_id) for order in pending])
    except BacktestError:  # the data has changed since, say: no reason to have no report
        found = None
    return [asked] if found is None else _told(found, "events" if record.ticks else "bars")


def _looked_at(record: RunRecord, roots: list[str]) -> _Seen | None:
    """How long each of the pending orders waited for what; None where the data is not at hand."""
    lines = {
        name: [dict(zip(COLUMNS[name], row, strict=True)) for row in rows_of(record, name)]
        for name in ("orders", "events", "fills", "transactions")
    }
    chains: dict[str, list[Line]] = {root: [] for root in roots}
    for order in lines["orders"]:
        if order["root_id"] in chains:
            chains[order["root_id"]].append(order)
    waits: dict[str, list[Wait]] = {}
    rules = {
        code: PairRules(code, record.config, one)
        for code, one in record.rules.items()
        if any(chain[0]["pair"] == code for chain in chains.values())
    }
    for chain in chains.values():
        code = chain[0]["pair"]
        waits.setdefault(code, []).extend(_entries(chain, lines, rules[code], record))
    seen: _Seen = {}
    numbers = {order["order_id"]: order["order_number"] for order in lines["orders"]}
    nettings = Nettings(lines["orders"], lines["events"], lines["fills"])
    for code, mine in waits.items():
        events, _ = market_events(record.sources, record.inputs, record.config)
        if events is None:
            return None
        own = nettings.credited(fill for fill in lines["fills"] if fill["pair"] == code)
        for wait in mine:
            seen.setdefault(numbers[wait.order_id], Counter())
        for one in silences(mine, events, rules[code], Taken(lines["events"], own)):
            if not one.at_once:
                counts = seen[numbers[one.wait.order_id]]
                counts[""] += 1
                counts[_WORDS.get(one.reason.why, "another exit")] += 1
    return seen


def _entries(
    chain: Sequence[Line], lines: dict[str, list[Line]], rules: PairRules, record: RunRecord
) -> list[Wait]:
    """The waits of what is pending of a chain, from its acceptance or last change on."""
    legs: dict[str, list[Line]] = {}
    for leg in lines["transactions"]:
        legs.setdefault(leg["entry"], []).append(leg)
    waits = waits_of(
        chain[0],
        lines["orders"],
        lines["events"],
        lines["fills"],
        legs,
        rules,
        record.config["accounts"],
    )
    pending = {one["order_id"] for one in chain if one["status"] == OrderStatus.PENDING.value}
    return [one for one in waits if one.role == "entry" and one.order_id in pending]


def _told(seen: _Seen, noun: str) -> list[str]:
    waited: dict[str, list[tuple[int, int, str]]] = {}
    for number, counts in seen.items():
        reasons = {what: count for what, count in counts.items() if what}
        if len(reasons) > 1:
            # That the bar of its acceptance was open already says nothing beside the others.
            reasons.pop(_NEXT, None)
        for what, count in reasons.items() or [("what comes after the data", 0)]:
            waited.setdefault(what, []).append((count, counts[""], number))
    lines = []
    for what, orders in waited.items():
        count, whole, number = max(orders, key=lambda one: (one[0], -int(one[2])))
        on = f" on {count:,} of {whole:,} {noun}" if whole else ""
        if len(orders) == 1:
            lines.append(f"1 order waited for {what}{on} (order #{number})")
        else:
            first = f", longest order #{number}{on}" if whole else ""
            lines.append(f"{len(orders):,} orders waited for {what}{first}")
    return lines
