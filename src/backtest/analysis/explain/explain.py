"""The story of an order: what happened to it, why, and what was booked for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from backtest.analysis.explain.book import BookStory
from backtest.analysis.explain.counterparties import Others
from backtest.analysis.explain.folds import folded
from backtest.analysis.explain.nettings import Nettings
from backtest.analysis.explain.no_fill_reasons import Taken, silences
from backtest.analysis.explain.no_fill_words import told as why_not
from backtest.analysis.explain.replay import partners_of, waits_of
from backtest.analysis.explain.waits import MARKET, Line, PairRules
from backtest.analysis.explain.words import REASONS, cause, fill_lines, prices, state, what
from backtest.analysis.tables.tables import COLUMNS, Tables, items
from backtest.analysis.text import columns, grouped, moment, signed
from backtest.errors import AccountError, BacktestError
from backtest.models import TradingRules, TransactionType
from backtest.money import ZERO, add
from backtest.services.ledger.descriptions import told_of

__all__ = ["UnknownOrder", "explain"]


class UnknownOrder(AccountError):
    """An id that is of no order of the run."""


def explain(
    tables: Tables,
    order_id: str,
    bars: Iterable[Any] | None = None,
    no_bars: str = "",
    rules: Mapping[str, TradingRules] | None = None,
) -> str:
    """The story of the chain that ``order_id`` belongs to.

    ``bars`` are the market events of the run, all pairs in the order of delivery: with them the
    story says of each one on which the order did not fill why it did not. Without, it says so,
    and ``no_bars`` says why there are none. ``rules`` are those of the pairs, where they are at
    hand: policies that are somebody's own code do not stand in files.

    Taken are the ids of orders, of their parts and of closing orders, the beginning of one (six
    characters or more, if no other begins so), and the number of an order. Raises `UnknownOrder`.
    """
    lines = _Lines(tables)
    refused = _refused(lines, order_id.strip().lower())
    if refused is not None:
        return refused
    order = _find(lines, order_id.strip().lower())
    chain = [one for one in lines.of("orders") if one["root_id"] == order["root_id"]]
    story = _Story(lines, chain, bars, no_bars, rules or {})
    return "\n".join([*story.head(order), "", *story.told(), "", *story.end()]) + "\n"


class _Lines:
    """The tables of a run line by line, each read once: a story asks for some again and again."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._known: dict[str, list[Line]] = {}

    def of(self, table: str) -> list[Line]:
        """All of a table, not to be changed."""
        known = self._known.get(table)
        if known is None:
            known = self._known[table] = list(self.each(table))
        return known

    def each(self, table: str) -> Iterator[Line]:
        """The same for who needs them but once, and not all together."""
        for row in self.tables.rows(table):
            yield dict(zip(COLUMNS[table], row, strict=True))


def _refused(lines: _Lines, asked: str) -> str | None:
    """The short story of an order that was refused when it was new; None for any other id."""
    known = {order["order_id"] for order in lines.of("orders")}
    found = [
        event
        for event in lines.of("events")
        if event["kind"] == "rejected"
        and event["order_id"] not in known
        and event["branch_id"] == ""
        and (
            event["order_id"] == asked or (len(asked) >= 6 and event["order_id"].startswith(asked))
        )
    ]
    if len(found) != 1:
        return None
    event = found[0]
    return (
        f"Order {event['order_id']} never came to be: it was refused at {event['timestamp']}, "
        f"when it was new, with nothing reserved and nothing posted.\n"
        f"  {event['reason']}: {event['detail']}\n"
        f"  by message {event['message']} from {event['sender']}, "
        f"which message {event['cause']} led to\n"
    )


def _find(lines: _Lines, asked: str) -> Line:
    orders = lines.of("orders")
    for order in orders:
        if asked in (order["order_id"], order["order_number"]):
            return order
    closings = {}
    for fill in lines.of("fills"):
        if fill["closing_order_id"]:
            closings[fill["closing_order_id"]] = fill["order_id"]
    for event in lines.of("events"):
        if event["kind"] == "closing":
            for one in items(event["closing_orders"]):
                closings.setdefault(one, event["order_id"])
    known = {order["order_id"]: order for order in orders}
    if asked in closings:
        return known[closings[asked]]
    if len(asked) >= 6:
        found = [one for one in (*known, *closings) if one.startswith(asked)]
        if len(found) == 1:
            return known[closings.get(found[0], found[0])]
        if found:
            raise UnknownOrder(f"{len(found)} orders have an id that begins with {asked!r}")
    raise UnknownOrder(
        f"there is no order {asked!r} in this run; it has {len(orders)} orders, "
        "whose ids are in the table of orders"
    )


_Part = tuple[tuple[int, int, int], list[str]]
"""Lines of a story, and their place: market event, stage of it, order."""


class _Story:
    """The chain of one root, with its events, fills and transactions."""

    def __init__(
        self,
        lines: _Lines,
        chain: list[Line],
        bars: Iterable[Any] | None,
        no_bars: str,
        rules: Mapping[str, TradingRules],
    ) -> None:
        self._rules = rules
        self._lines = lines
        self._bars, self._no_bars = bars, no_bars
        facts: Mapping[str, Any] = lines.tables.facts
        self._facts = facts
        self._chain = chain
        ids = {order["order_id"] for order in chain}
        self._agents = set(facts["config"]["cash"])
        self._accounts = facts["config"]["accounts"]
        orders, events, fills = (lines.of(name) for name in ("orders", "events", "fills"))
        partners = partners_of(chain[0], orders, self._accounts)
        self._ids = ids
        self._nettings = Nettings(orders, events, fills)
        self._events = [event for event in events if event["order_id"] in ids]
        self._book: BookStory | None = None
        """Of a market of agents: what stood in the book."""
        if "market" in facts["config"]:
            self._book = BookStory(orders, events, fills, ids)
        self._others = Others(orders, fills)
        self._fills = {
            (fill["order_id"], fill["kind"] == "entry" or fill["order_kind"] == "spot"): fill
            for fill in fills
            if fill["order_id"] in ids
        }
        closed = self._nettings.entries(ids)
        self._closed: dict[str, list[Line]] = {}
        """What was booked for the positions of other chains that this one closed."""
        self._entries: dict[str, list[Line]] = {}
        self._beside: dict[str, list[Line]] = {}
        """What was booked for others in the one position that the account has in the pair."""
        self._balances: dict[str, list[tuple[str, str, str, str]]] = {}
        for leg in lines.each("transactions"):
            if leg["order_id"] in ids:
                self._entries.setdefault(leg["entry"], []).append(leg)
            elif (leg["entry"], leg["order_id"]) in closed:
                self._closed.setdefault(leg["entry"], []).append(leg)
            if leg["order_id"] in partners:
                self._beside.setdefault(leg["entry"], []).append(leg)
        for after in lines.each("balances"):
            if after["entry"] in self._entries or after["entry"] in self._closed:
                self._balances.setdefault(after["entry"], []).append(
                    (
                        after["account"],
                        after["asset_code"],
                        after["available_balance"],
                        after["unavailable_balance"],
                    )
                )

    # -- the beginning -----------------------------------------------------------------------------

    def head(self, asked: Line) -> list[str]:
        """Which order it is."""
        root = self._chain[0]
        strategy = root["strategy"]
        ordered = next((one["volume"] for one in self._events if one["kind"] == "accepted"), "")
        lines = [
            f"Order {asked['order_id']}",
            f"  {what(root, ordered)}, by strategy {strategy!r} on account {root['account']!r}",
        ]
        if asked["order_id"] != root["order_id"]:
            lines.append(f"  part of the chain of order {root['order_id']}")
        if len(self._chain) > 1:
            lines.append(f"  its chain has {len(self._chain)} orders:")
            rows = [
                (
                    f"#{one['order_number']}",
                    one["order_id"],
                    one["status"].lower(),
                    grouped(Decimal(one["volume"]), 0),
                    prices(one),
                    "<- asked for" if one is asked else "",
                )
                for one in self._chain
            ]
            lines += columns(rows, indent="    ")
        return lines

    # -- what happened -----------------------------------------------------------------------------

    def told(self) -> Iterator[str]:
        """Everything in order: what happened, with its causes and what was booked for it, and what
        did not, with its reason."""
        told: set[str] = set()
        if self._book is not None:
            for event in self._events:
                yield from self._book.before.get(event["sequence"], ())
                yield from self._event(event, told)
                yield from self._book.after.get(event["sequence"], ())
            yield from self._book.at_end
            return
        parts = [*self._happened(told), *self._did_not()]
        parts.sort(key=lambda part: part[0])
        for _, lines in parts:
            yield from lines
        for entry in self._entries:
            if entry not in told:
                yield f"{moment(self._entries[entry][0]['timestamp'])}  BOOKED"
                yield from self._entry(entry)

    def _happened(self, told: set[str]) -> Iterator[_Part]:
        for place, event in enumerate(self._events):
            stage = 1 if event["sender"] == MARKET else 3
            yield (int(event["market_event"]), stage, place), list(self._event(event, told))

    def _event(self, event: Line, told: set[str]) -> Iterator[str]:
        words = [f"{moment(event['timestamp'])}  {event['kind'].replace('_', ' ').upper()}"]
        if event["volume"]:
            words.append(f"{grouped(Decimal(event['volume']), 0)} of order {event['order_id'][:8]}")
        if event["reason"]:
            words.append(f"({event['reason']}: {REASONS.get(event['reason'], 'refused')})")
        yield " ".join(words)
        # What the entry below says again need not be said twice.
        if event["detail"] and event["kind"] not in ("closed", "liquidated"):
            yield f"    {event['detail']}"
        yield from self._nettings.words(event)
        if event["reason"] == "REDUCE_ONLY" and event["kind"] == "cancelled":
            yield from self._nettings.took(event, self._ids)
        line = f"    by message {event['message']} from {event['sender']}{cause(event)}"
        if self._book is None:
            where = "part of" if event["sender"] == MARKET else "after"
            line += f", {where} market event {event['market_event']}"
        yield line
        fill = self._fill(event)
        if fill is not None:
            yield from fill_lines(fill)
            yield from self._others.words(fill)
        if event["entry"] and event["entry"] not in told:
            told.add(event["entry"])
            yield from self._entry(event["entry"])
        if event["kind"] == "netted":
            for closed, its_fill in self._nettings.closed_by(event):
                yield from fill_lines(its_fill)
                yield from self._others.words(its_fill)
                if closed["entry"] not in told:
                    told.add(closed["entry"])
                    yield from self._entry(closed["entry"])

    def _did_not(self) -> Iterator[_Part]:
        """Each run of market events without a fill, and why there was none."""
        if self._bars is None:
            return
        code = self._chain[0]["pair"]
        try:
            rules = PairRules(code, self._facts["config"], self._rules.get(code))
        except (BacktestError, TypeError, LookupError) as error:  # policies that are code
            self._bars, self._no_bars = None, f"its rules cannot be read from files: {error}"
            return
        orders, events, fills = (self._lines.of(name) for name in ("orders", "events", "fills"))
        names = {order["order_id"]: f"order #{order['order_number']}" for order in orders}
        legs = {**self._beside, **self._entries}
        waits = waits_of(self._chain[0], orders, events, fills, legs, rules, self._accounts)
        own = self._nettings.credited(fill for fill in fills if fill["pair"] == code)
        taken = Taken(events, own)
        for place, fold in enumerate(folded(silences(waits, self._bars, rules, taken))):
            # Before what happened on its first bar; what was left of a fill, after the fill.
            stage = 4 if fold.at_once else 2 if fold.rest else 0
            if fold.first.event < fold.wait.first:
                stage = max(stage, 2)
            yield (
                (fold.first.event, stage, place),
                [why_not(fold, rules, names, len(self._chain) > 1)],
            )

    def _fill(self, event: Line) -> Line | None:
        if event["kind"] not in ("filled", "closed", "liquidated"):
            return None
        return self._fills.get((event["order_id"], event["kind"] == "filled"))

    def _entry(self, entry: str) -> Iterator[str]:
        legs = [*self._closed.get(entry, []), *self._entries.get(entry, [])]
        if not legs:
            return
        own = {leg["account"] for leg in legs}
        why = told_of(TransactionType(legs[0]["transaction_type"]), legs[0]["description"])
        yield f"    entry {entry}, {why}:"
        rows = [
            (
                leg["account"],
                leg["transaction_type"],
                leg["asset_code"],
                *(
                    f"{word} {signed(Decimal(leg[name]))}" if leg[name] != "0" else ""
                    for word, name in (
                        ("available", "available_balance_change"),
                        ("in reserve", "unavailable_balance_change"),
                    )
                ),
            )
            for leg in legs
        ]
        yield from columns(rows, indent="        ")
        for account, asset, free, held in self._balances.get(entry, ()):
            if account not in own:
                continue  # the other side's, in an entry of both
            yield (
                f"      {account} then has {grouped(Decimal(free))} {asset} available, "
                f"{grouped(Decimal(held))} in reserve"
            )

    # -- the end -----------------------------------------------------------------------------------

    def end(self) -> list[str]:
        """What has become of it, and what it came to."""
        lines = []
        if self._bars is None and self._book is None:
            lines += [f"Why it did not fill on other bars is not told: {self._no_bars}", ""]
        lines.append("At the end of the data")
        for order in self._chain:
            if order["status"] != "REPLACED":
                volume = grouped(Decimal(order["volume"]), 0)
                lines.append(f"  {volume} {state(order, self._facts['prices']['last'])}")
        own, _ = self._sums(self._entries)
        others, _ = self._sums(self._closed)
        sums, fees = self._sums(self._entries, self._closed)
        lines.append(f"  in all, the account received {_changes(sums)}")
        if self._closed:
            lines.append(
                f"  of that, {_changes(own)} is of this chain, and {_changes(others)} of the "
                "positions that it closed, whose stories count that, too"
            )
        for asset, total in fees.items():
            if total:
                lines.append(f"  of that, {grouped(total)} {asset} were fees")
        return lines

    def _sums(
        self, *booked: Mapping[str, list[Line]]
    ) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
        """What the agents' accounts received by ``booked``, and what of it were fees; by asset."""
        sums: dict[str, Decimal] = {}
        fees: dict[str, Decimal] = {}
        for legs in (one for entries in booked for one in entries.values()):
            for leg in legs:
                if leg["account"] in self._agents:
                    change = add(
                        Decimal(leg["available_balance_change"]),
                        Decimal(leg["unavailable_balance_change"]),
                    )
                    asset = leg["asset_code"]
                    sums[asset] = add(sums.get(asset, ZERO), change)
                    if leg["transaction_type"].startswith("FEE_"):
                        fees[asset] = add(fees.get(asset, ZERO), change.copy_negate())
        return sums, fees


def _changes(sums: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{signed(one)} {asset}" for asset, one in sums.items() if one) or "nothing"
