"""A run of bars against the bars, read again: prices, times, and equity after each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

from backtest.analysis.metrics import rounded
from backtest.analysis.tables.exact import ONE_UNIT, amount, text_of
from backtest.analysis.verify.journal import HOUSE
from backtest.analysis.verify.lines import EventLine, FillLine, Material, derived_id, legs_of
from backtest.analysis.verify.trades import ratio
from backtest.analysis.verify.verification import Finding
from backtest.analysis.verify.worth import worth
from backtest.models import Bar
from backtest.money import div, mul, plain
from backtest.times import HOUR, format_ns, parse_ns

__all__ = ["against_the_data", "unfit"]


def unfit(material: Material) -> str:
    """Why this run cannot be followed bar by bar; empty when it can."""
    try:
        return _unfit(material.facts["config"])
    except (LookupError, TypeError, AttributeError):
        return "run.json does not tell what it was"


def _unfit(config: Mapping[str, Any]) -> str:
    if "market" in config:
        return "a market of agents has no data"
    for code, data in config["data"].items():
        if "sources" in data or "bar_ns" not in data:
            return f"of {code} there are ticks, or several sources"
    if any(account["netting"] for account in config["accounts"].values()):
        return "positions of an account are netted"
    return ""


def against_the_data(material: Material, bars: Iterable[Any], finding: Finding) -> str:
    """Each fill is on a bar of its time and pair; what the bars make of the journal is the table of
    equity, and the figures that hang on it."""
    walk = _Walk(material, finding)
    for bar in bars:
        walk.bar(bar)
    walk.end()
    return f"{walk.bars} bars, {len(material.fills)} fills and {len(walk.samples)} rows of equity"


class _Walk:
    """Goes through the bars, with the events, fills and transactions of each beside it."""

    def __init__(self, material: Material, finding: Finding) -> None:
        self._material = material
        self._finding = finding
        self.bars = 0
        self._last: dict[str, int] = {}
        self._first: dict[str, int] = {}
        self._rules: Mapping[str, Any] = material.facts["config"]["rules"]
        self._events = _Ahead(material.events)
        self._journal = _Ahead(_changes(material))
        self._bars: dict[str, Bar] = {}
        self._now = parse_ns(material.facts["summary"]["start"])
        self._start = self._now
        self._opened = self._start
        """When the first bar opens: where there are bars to warm up on, before the start."""
        self._moments = self._touched = 0
        self._is_touched = self._dirty = False
        self._totals: dict[str, int] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._peak: int | None = None
        self._fall = 0
        self._rate = Decimal(0)
        self.samples: list[tuple[int, int]] = []
        self._seen: list[int] = []
        """The time of each bar, in the order in which the venue got them."""

    # -- bar by bar --------------------------------------------------------------------------------

    def bar(self, bar: Bar) -> None:
        if not self.bars:
            self._post()
            self._begin()
            self._opened = min(bar.open_ns, self._start)
        if bar.close_ns > self._now:  # before the start there are bars to warm up on alone
            self._move_to(bar.close_ns)
        self.bars += 1
        self._seen.append(bar.close_ns)
        self._bars[bar.pair] = bar
        self._last[bar.pair] = amount(plain(bar.close))
        self._orders()

    def _fill(self, fill: FillLine) -> None:
        """A fill is on the last bar of its pair, which closed then."""
        what = f"the fill of order {fill.order} at {fill.time}"
        bar = self._bars.get(fill.pair)
        if bar is None:
            self._finding.wrong(f"{what} is on no bar")
            return
        differ = self._finding.differ
        differ(f"the open time of the bar of {what}", fill.bar_open, format_ns(bar.open_ns))
        rules = self._rules[bar.pair]
        if rules["fill_on"] != "this_close":
            differ(f"the time of {what}", fill.time, format_ns(bar.close_ns))
        low, high = amount(plain(bar.low)), amount(plain(bar.high))
        leaves = rules["fills"] or rules["slippage_beyond_bar"]
        if not leaves and not low <= fill.price <= high:
            self._finding.wrong(f"{what} is at {text_of(fill.price)}, outside its bar")
        if fill.point == "open" and _fills_at_opens(rules):
            differ(f"the price of {what}", text_of(fill.price), plain(bar.open))

    def _orders(self) -> None:
        """Orders that were accepted after this bar know its close."""
        number = str(self.bars)
        for event in self._events.while_(lambda one: int(one.market_event) <= int(number)):
            self._event(event)

    def _event(self, event: EventLine) -> None:
        order = self._material.order_by_id.get(event.order)
        if event.kind == "accepted" and order is not None and order.kind == "trading":
            self._finding.differ(
                f"the price at which order {order.id} was made",
                text_of(order.create_price),
                text_of(self._last.get(order.pair, 0)),
            )

    # -- equity ------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._peak = worth(self._material, self._totals, {})
        self._dirty = False

    def _move_to(self, time: int) -> None:
        """The moment before is over: everything that was posted before this bar is part of it."""
        self._post()
        before = (self._moments > 0) and (self._is_touched or self._is_exposed())
        self._touched += before
        self._is_touched = self._is_exposed()
        self._sample()
        self._now = time
        self._moments += 1

    def _sample(self) -> None:
        for code, price in self._last.items():
            self._first.setdefault(code, price)
        if not (self._is_exposed() or self._dirty):
            return
        equity = self._equity()
        if self._peak is None or equity > self._peak:
            self._peak = equity
        elif self._peak - equity:
            fall = self._peak - equity
            self._fall = max(self._fall, fall)
            if self._peak > 0:
                rate = div(Decimal(text_of(fall)), Decimal(text_of(self._peak)))
                self._rate = max(self._rate, rate)
        hour = (self._now - 1) // HOUR
        if self.samples and (self.samples[-1][0] - 1) // HOUR == hour:
            self.samples.pop()
        self.samples.append((self._now, equity))
        self._dirty = False

    def _equity(self) -> int:
        amounts = dict(self._totals)
        for code, (size, cost) in self._sizes.items():
            if code in self._last:
                asset = self._material.pairs[code].quote
                gain = size * self._last[code] // ONE_UNIT - cost
                amounts[asset] = amounts.get(asset, 0) + gain
        return worth(self._material, amounts, self._last)

    def _is_exposed(self) -> bool:
        cash = self._material.facts["cash_asset"]
        return any(units for asset, units in self._totals.items() if asset != cash) or any(
            size or cost for size, cost in self._sizes.values()
        )

    def _post(self) -> None:
        cash = self._material.facts["cash_asset"]
        for _, changes, fills in self._journal.while_(lambda one: one[0] <= self.bars):
            for asset, change in changes:
                self._totals[asset] = self._totals.get(asset, 0) + change
                self._dirty = True
                self._is_touched |= asset != cash
            for fill in fills:
                self._fill(fill)
                self._position(fill)

    def _position(self, fill: FillLine) -> None:
        if fill.order_kind != "trading":
            return
        sign = 1 if fill.direction == "LONG" else -1
        size = fill.volume * self._material.pairs[fill.pair].contract_size // ONE_UNIT
        if fill.kind == "entry":
            paid = size * fill.price // ONE_UNIT
        else:
            paid = self._material.positions.closes[fill.entry_id, fill.order].cost
        held, cost = self._sizes.get(fill.pair, (0, 0))
        self._sizes[fill.pair] = (held + sign * size, cost + sign * paid)
        self._dirty = self._is_touched = True

    # -- the end -----------------------------------------------------------------------------------

    def end(self) -> None:
        end = self._now
        self._post()
        self._touched += (self._moments > 0) and (self._is_touched or self._is_exposed())
        self._sample()
        self._rest(end)
        facts, differ = self._material.facts, self._finding.differ
        told = facts["summary"]
        for name, prices in (("first", self._first), ("last", self._last)):
            made = {code: text_of(price) for code, price in prices.items()}
            differ(f"the {name} prices", facts["prices"][name], made)
        differ("the number of bars", told["bars"], self.bars)
        differ("the end", told["end"], format_ns(end))
        differ("the maximal drawdown", told["max_drawdown"], text_of(self._fall))
        differ(
            "the maximal drawdown in percent",
            told["max_drawdown_percent"],
            plain(mul(rounded(self._rate), Decimal(100))),
        )
        differ(
            "the exposure", told["exposure_percent"],
            ratio(self._touched, self._moments, of_hundred=True),
        )  # fmt: skip
        rows = list(self._material.tables.rows("equity"))
        samples = [(format_ns(time), text_of(equity)) for time, equity in self.samples]
        for found, expected in zip(rows, samples, strict=False):
            differ("a row of equity", ",".join(found), ",".join(expected))
        differ("the number of rows of equity", len(rows), len(samples))

    def _rest(self, end: int) -> None:
        for _, _, fills in self._journal.rest():
            for fill in fills:
                self._finding.wrong(f"the fill of order {fill.order} at {fill.time} is on no bar")
        for event in self._events.rest():
            self._finding.wrong(f"event {event.sequence} is of a bar that is not there")
        at_once = self._material.facts["config"]["latency"] is None
        for event in self._material.events:
            number = int(event.market_event)
            if not 0 <= number <= self.bars:
                continue
            time = parse_ns(event.time)
            after = self._seen[number - 1] if number else self._opened
            before = self._seen[number] if number < self.bars else end
            if event.sender == "market-data":
                right = time == after
            elif at_once and event.sender.startswith("strategy/") and number < self.bars:
                right = after <= time < before  # at one time bars come before decisions
            else:
                right = after <= time <= before
            if not right:
                self._finding.wrong(f"event {event.sequence} did not happen with bar {number}")


def _fills_at_opens(rules: Mapping[str, Any]) -> bool:
    """Whether what fills at an open does so at its very price."""
    moved = rules["fills"] or rules["slippage"] != "0" or rules["slippage_rate"] != "0"
    return not moved and rules["limit_gap"] == rules["stop_gap"] == "open"


class _Ahead:
    """Lines in order, of which one looks at the next."""

    def __init__(self, lines: Iterable[Any]) -> None:
        self._lines: Iterator[Any] = iter(lines)
        self._next: Any = next(self._lines, None)

    def while_(self, fits: Any) -> Iterator[Any]:
        """The lines that come next, as long as they fit."""
        while self._next is not None and fits(self._next):
            now, self._next = self._next, next(self._lines, None)
            yield now

    def rest(self) -> Iterator[Any]:
        """All that is left."""
        return self.while_(lambda _: True)


_Posted = tuple[int, list[tuple[str, int]], list[FillLine]]
"""The number of bars before an entry, how what the agents own changed by asset, and its fills."""


def _changes(material: Material) -> Iterator[_Posted]:
    """Entry by entry. A fill in which no money moved is an entry that the journal does not show."""
    fills = _Ahead(material.fills)
    bars = {int(event.entry): int(event.market_event) for event in material.events if event.entry}
    last = 0
    for _, rows in groupby(material.tables.rows("transactions"), key=itemgetter(2)):
        legs = [legs_of(row) for row in rows]
        number = int(legs[0].entry)
        for missing in range(last + 1, number):
            free = list(fills.while_(partial(_is_of, material, missing)))
            if not free:
                break
            yield bars.get(missing, 0), [], free
        last = number
        changes: dict[tuple[str, str], int] = {}
        for leg in legs:
            if leg.account not in HOUSE:
                key = (leg.account, leg.asset)
                changes[key] = changes.get(key, 0) + leg.available + leg.unavailable
        moved = [(asset, change) for (_, asset), change in changes.items() if change]
        own = list(fills.while_(partial(_is_of, material, number)))
        yield bars.get(number, 0), moved, own
    for number in sorted(one for one in bars if one > last):
        yield bars[number], [], list(fills.while_(partial(_is_of, material, number)))


def _is_of(material: Material, entry: int, fill: FillLine) -> bool:
    return fill.entry_id == derived_id(material.run_id, f"entry/{entry}")
