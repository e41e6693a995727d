"""Why what waited did not act: a reason for each market event, and long runs of one reason folded.

The data is read again and looked at with the orders as they then were (`.waits`); who took a bar's
volume follows from the fills that were recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from backtest.actors.venue.coverage import Coverage
from backtest.analysis.explain.waits import MARKET, Line, PairRules, Since, Wait
from backtest.models import Bar, MarketEvent, Quote, Tick, TimeInForce
from backtest.money import ZERO, add, sub
from backtest.services.fills.no_fill import (
    NoFill,
    Why,
    came_before,
    no_price,
    no_volume,
    not_after_stop,
)
from backtest.services.fills.outcome import Points
from backtest.services.fills.walk import (
    CLOSE_ONLY,
    NOT_ON_THIS_BAR,
    OPEN_ONLY,
    WHOLE_BAR,
    Working,
    checked_pool,
    eligibility,
    flat_bar,
    pool,
)
from backtest.services.orders.expiry import lives_through

__all__ = ["Silence", "Taken", "silences"]


class Silence(NamedTuple):
    """One condition that did not act, or not wholly, on one market event, and why."""

    wait: Wait
    event: int
    """The number of the market event."""
    bar: MarketEvent
    """That event: a bar, a quote or a trade."""
    reason: NoFill
    takers: Sequence[Line]
    """The fills that took the volume of its side, where that is the reason."""
    at_once: bool
    """Whether it is about the moment of its acceptance: this close, or the quote that stood."""
    rest: bool
    """Whether a part did fill, and this is about what was left."""
    cause: str = ""
    """What came first, where that is the reason."""


class Taken:
    """Who took the volume of each market event: the fills of one pair, by event and side."""

    def __init__(self, events: Iterable[Line], fills: Iterable[Line]) -> None:
        numbers = {
            event["entry_id"]: (int(event["market_event"]), event["sender"] == MARKET)
            for event in events
            if event["entry_id"] and event["kind"] in ("filled", "closed", "liquidated")
        }
        self._fills: dict[tuple[int, str], list[tuple[bool, Line]]] = {}
        for fill in fills:
            if fill["kind"] != "liquidation" and fill["entry_id"] in numbers:
                number, in_event = numbers[fill["entry_id"]]
                key = (number, fill["direction"])
                self._fills.setdefault(key, []).append((in_event, fill))

    def of(self, number: int, buy: bool, until: int = 0) -> list[Line]:
        """The fills of one side on a bar; with those at its close, up to event ``until``."""
        side = "LONG" if buy else "SHORT"
        found = self._fills.get((number, side), [])
        taken = [fill for in_event, fill in found if in_event]
        for late in range(number, until + 1):
            found = self._fills.get((late, side), [])
            taken += [fill for in_event, fill in found if not in_event]
        return taken


def silences(
    waits: Sequence[Wait], events: Iterable[MarketEvent], rules: PairRules, taken: Taken
) -> Iterator[Silence]:
    """A reason for each wait and each market event on which it did not act wholly.

    ``events`` are all of the run, of every pair, in the order of delivery. A bar that finer data of
    the same time has told already (of a pair with several sources) is no event to an order.
    """
    begins = _begins(waits)
    last_begin = max(begins, default=0)
    live: list[Wait] = []
    pair = _Pair(rules, taken)
    for number, event in enumerate(events, 1):
        if number in begins:
            live += begins[number]
        elif not live and number > last_begin:
            return
        if event.pair == rules.pair.code:
            yield from pair.acts(number, event, live)
        yield from pair.acts_at_once(number, live)
        live = [wait for wait in live if wait.last is None or wait.last > number]


class _Pair:
    """What has happened in a pair so far, and why that does not suffice for who waits."""

    def __init__(self, rules: PairRules, taken: Taken) -> None:
        self._rules = rules
        self._taken = taken
        self._own: tuple[int, MarketEvent] | None = None
        """The last event by which the market is known."""
        self._stood = 0
        """The number of the last quote."""
        self._coverage = Coverage() if rules.several else None
        self._standing = rules.standing()
        self._quoted = False

    def acts(self, number: int, event: MarketEvent, live: Iterable[Wait]) -> Iterator[Silence]:
        """An event of the pair, on those who wait."""
        self._standing.end_by(event)
        if not isinstance(event, Bar):
            yield from self._tick(number, event, live)
        elif self._coverage is None or not self._coverage.takes(event):
            self._own = number, event
            for wait in live:
                yield from _silence(wait, number, event, self._rules, self._taken)

    def _tick(self, number: int, event: Tick, live: Iterable[Wait]) -> Iterator[Silence]:
        self._coverage = self._coverage or Coverage()
        self._coverage.ticked(event.time_ns)
        self._quoted = self._quoted or isinstance(event, Quote)
        if isinstance(event, Quote) or not self._quoted:
            self._own = number, event
        for wait in live:
            yield from _on_tick(wait, number, event, self._rules, self._taken, self._quoted)
        if isinstance(event, Quote):
            self._standing.begin(event, None)
            self._stood = number

    def acts_at_once(self, number: int, live: Iterable[Wait]) -> Iterator[Silence]:
        """What stands in the market, on those who came after event ``number``."""
        if self._own is None:
            return
        rules, taken = self._rules, self._taken
        for wait in live:
            if wait.at_once_after != number:
                continue
            quote = self._standing.at(wait.since.ns)
            if quote is not None:
                yield from _at_quote(wait, number, self._stood, quote, rules, taken)
            elif wait.working.price is None and rules.fills_at_close:
                yield from _at_close(wait, number, *self._own, rules, taken)


def _begins(waits: Iterable[Wait]) -> dict[int, list[Wait]]:
    """The waits by the number of the event from which each must be looked at."""
    begins: dict[int, list[Wait]] = {}
    for wait in waits:
        first = wait.first
        if wait.at_once_after is not None:
            first = wait.at_once_after
        elif wait.opened is not None:
            first = wait.opened.event
        begins.setdefault(first, []).append(wait)
    return begins


def _silence(
    wait: Wait, number: int, bar: Bar, rules: PairRules, taken: Taken
) -> Iterator[Silence]:
    here = wait.outcome if wait.last == number else ""
    if number < wait.first and (wait.opened is None or not wait.opened.part_of_event):
        return
    working = wait.working
    working.start = 0 if number < wait.first else _start(wait.since, working, bar, rules)
    if here in ("filled", "ended"):
        return
    due = wait.expires
    if due is not None and due <= bar.open_ns:
        return  # it was over before this bar: the event of its end says so
    working.end = _end(wait, bar)
    if working.end == OPEN_ONLY and working.start == CLOSE_ONLY and due is not None:
        working.start = NOT_ON_THIS_BAR
    reached = here == "part" or (number == wait.last and _was_reached(wait, bar.close_ns))
    reason = None if reached else no_price(working, bar, rules.path)
    takers: Sequence[Line] = ()
    cause = ""
    if reason is None:
        takers = taken.of(number, working.buy)
        reason, cause = _held_back(wait, number, bar, rules, takers, here)
        if reason.why is not Why.POOL_USED_UP:
            takers = ()
    yield Silence(wait, number, bar, reason, takers, False, here == "part", cause)


def _on_tick(
    wait: Wait, number: int, tick: Tick, rules: PairRules, taken: Taken, quoted: bool
) -> Iterator[Silence]:
    """The same for a quote or a trade: one point, at which a condition is met or is not."""
    here = wait.outcome if wait.last == number else ""
    if number < wait.first and (wait.opened is None or not wait.opened.part_of_event):
        return
    working, due = wait.working, wait.expires
    working.start, working.end = 0, WHOLE_BAR
    by_quotes = quoted and not isinstance(tick, Quote)
    wait.since.whole = wait.since.whole or not by_quotes
    if here in ("filled", "ended") or (due is not None and due <= tick.time_ns):
        return
    bar = flat_bar(tick, working.buy)
    reached = here == "part" or (number == wait.last and _was_reached(wait, tick.time_ns))
    reason = None if reached else no_price(working, bar, rules.path)
    takers: Sequence[Line] = ()
    cause = ""
    if by_quotes and not working.is_limit:
        reason = NoFill(Why.QUOTES_DECIDE, working.price)
    elif reason is None:
        takers = taken.of(number, working.buy)
        reason, cause = _held_back(wait, number, bar, rules, takers, here)
        if reason.why is Why.UNKNOWN and by_quotes:
            reason = NoFill(Why.QUOTES_DECIDE, working.price)
        elif reason.why is Why.UNKNOWN and rules.rules.queue == "conservative":
            reason = NoFill(Why.AHEAD_IN_QUEUE, working.price)
        if reason.why is not Why.POOL_USED_UP:
            takers = ()
    yield Silence(wait, number, tick, reason, takers, False, here == "part", cause)


def _at_close(
    wait: Wait, number: int, own: int, event: MarketEvent, rules: PairRules, taken: Taken
) -> Iterator[Silence]:
    """Why a market order did not fill at the close that had just been, if there was one."""
    here = wait.outcome if wait.last == number else ""
    if not isinstance(event, Bar) or event.close_ns != wait.since.ns:
        return
    if here in ("filled", "ended"):
        return
    takers = taken.of(own, wait.working.buy, number)
    dry, cause = _dry(wait, event, rules, takers), here.partition(":")[2]
    if cause:
        dry = NoFill(Why.OTHER_CAME_FIRST)
    reason = dry or _unless_reduced(wait)
    yield Silence(wait, number, event, reason, takers, True, here == "part", cause)


def _at_quote(
    wait: Wait, number: int, own: int, quote: Quote, rules: PairRules, taken: Taken
) -> Iterator[Silence]:
    """Why an order did not fill, or not wholly, at the quote that stood at its acceptance."""
    here = wait.outcome if wait.last == number else ""
    if here in ("filled", "ended"):
        return
    working = wait.working
    working.start, working.end = 0, WHOLE_BAR
    bar = flat_bar(quote, working.buy)
    reached = here == "part" or (wait.last == number and _was_reached(wait, wait.since.ns))
    reason = None if reached else no_price(working, bar, rules.path)
    takers: Sequence[Line] = ()
    cause = ""
    if reason is None:
        takers = taken.of(own, working.buy, number)
        reason, cause = _held_back(wait, number, bar, rules, takers, here)
        if reason.why is not Why.POOL_USED_UP:
            takers = ()
    yield Silence(wait, number, quote, reason, takers, True, here == "part", cause)


def _dry(wait: Wait, bar: Bar, rules: PairRules, takers: Sequence[Line]) -> NoFill | None:
    """Why there was no volume left for one side, or not as much as it must have."""
    if wait.working.lacked is not None:
        # What others took later on the path is not what it lacked.
        return NoFill(Why.NOT_ALL, pool=wait.working.lacked)
    increment, used = rules.pair.volume_increment, ZERO
    own = rules.rules.fills
    if own is None or own.volume is None:
        there = pool(bar.volume, rules.rules.participation, increment)
    else:
        there = checked_pool(own.volume, bar, increment)
    for fill in takers:
        used = add(used, Decimal(fill["volume"]))
    dry = no_volume(there, used, increment)
    if dry is not None and dry.why is Why.NO_VOLUME and bar.volume:
        dry = NoFill(Why.SHARE_TOO_SMALL, pool=there)
    terms = wait.working.terms
    if dry is None and there is not None and terms is not None and terms.whole:
        left = sub(there, used)
        if left < wait.working.volume:
            return NoFill(Why.NOT_ALL, pool=left)
    return dry


def _was_reached(wait: Wait, now: int) -> bool:
    """Whether the stop of ``wait`` was reached on its last event, which ended at ``now``.

    One that must fill at once waits for its stop: that it was cancelled for not filling tells.
    """
    terms, due = wait.working.terms, wait.expires
    in_time = due is None or due >= now
    at_once = terms is not None and terms.immediate
    return wait.reached or (
        wait.outcome == "late"
        and at_once
        and in_time
        and wait.working.kind in ("stop", "trailing_stop")
    )


def _end(wait: Wait, bar: Bar) -> int:
    """How much of ``bar`` counts for ``wait``: all from the start on, or the first price only."""
    working = wait.working
    if wait.expires is not None and wait.expires < bar.close_ns:
        force = TimeInForce.DAY if wait.for_day else TimeInForce.GTD
        return WHOLE_BAR if lives_through(force, wait.since.ns, bar) else OPEN_ONLY
    at_once = working.terms is not None and working.terms.immediate
    return OPEN_ONLY if at_once and working.kind in ("market", "limit") else WHOLE_BAR


def _start(since: Since, working: Working, bar: Bar, rules: PairRules) -> int:
    """From where on ``bar`` counts for ``working``."""
    if since.whole:
        return 0
    if working.triggered:  # the rest of a stop waits for an open, whatever the rules say
        start = eligibility("market", since.ns, True, bar)
    else:
        own = rules.rules.fills
        policy = None if own is None else own.eligibility
        start = eligibility(working.kind, since.ns, True, bar, rules.rules.fill_on, policy)
    since.whole = start == 0
    return start


def _held_back(
    wait: Wait, number: int, bar: Bar, rules: PairRules, takers: Sequence[Line], here: str
) -> tuple[NoFill, str]:
    """What kept a condition from acting whose price was there."""
    working = wait.working
    dry = None if wait.role == "liquidation" else _dry(wait, bar, rules, takers)
    came = here.removeprefix("gone:") if here.startswith("gone:") else ""
    if (
        wait.opened is not None
        and number < wait.first
        and (rules.path.delays_exits is None or wait.role == "liquidation")
    ):
        entry = wait.opened.entry
        entry.start = _start(wait.opened.since, entry, bar, rules)
        before = came_before(entry, working, wait.opened.point, _paths(bar, rules), bar, rules.path)
        if before or (before is None and dry is None and not came):
            return NoFill(Why.BEFORE_ENTRY, working.price), ""
    if wait.opened is not None and number < wait.first and wait.role != "liquidation":
        if rules.path.delays_exits is not None and dry is None and not came:
            return NoFill(Why.EXITS_LATER, working.price), ""
    if working.kind == "stop_limit" and working.terms is not None:
        limit = working.terms.limit
        before = not_after_stop(working, _paths(bar, rules), bar, rules.path)
        if before or (before is None and dry is None):
            return NoFill(Why.LIMIT_NOT_REACHED, limit), ""
    if came and (came != wait.role or wait.role == "close"):
        return NoFill(Why.OTHER_CAME_FIRST, working.price), came
    if wait.stopped and wait.role not in ("stop_loss", "liquidation"):
        return NoFill(Why.STOP_LOSS_TRIGGERED, working.price), ""
    if wait.moved and number == wait.last:
        return NoFill(Why.LEVEL_MOVED, working.price), ""
    if dry is not None:
        return dry, ""
    return _unless_reduced(wait), ""


def _unless_reduced(wait: Wait) -> NoFill:
    """What remains to be said where price and volume were there."""
    terms = wait.working.terms
    if wait.reduces and terms is not None and terms.whole:
        return NoFill(Why.LESS_TO_REDUCE)
    return NoFill(Why.UNKNOWN, wait.working.price)


def _paths(bar: Bar, rules: PairRules) -> list[Points]:
    """The paths that the rules allow on ``bar``."""
    high = (bar.open, bar.high, bar.low, bar.close)
    low = (bar.open, bar.low, bar.high, bar.close)
    path = rules.path.path
    if path == "adaptive":
        rises = sub(bar.high, bar.open) < sub(bar.open, bar.low)
        return [high if rises else low]
    return {"open_high_low_close": [high], "open_low_high_close": [low]}.get(path, [high, low])
