"""Which part of the data a run is about: from a start to an end, and what it warms up on."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from attrs import frozen

from backtest.data._zones import zone_of
from backtest.data.merge import merge
from backtest.data.several import SeveralSources, parts_of
from backtest.data.sources import BarSource
from backtest.data.tick_sources import TickSource
from backtest.errors import ConfigError, DataError, FieldError
from backtest.models.bar import Bar
from backtest.models.market_event import MarketEvent
from backtest.times import DAY, duration_ns, format_ns, format_span, from_ns, to_ns

__all__ = ["EVERYTHING", "DataRange", "Moment", "WarmupLength", "events_of", "range_of"]

Source = BarSource | TickSource | SeveralSources
Moment = str | date | None
"""A time: text, a date (its beginning) or an aware `datetime`; None: where the data has its own."""
WarmupLength = str | int | timedelta | None
"""A length of time before the start, or a number of bars."""

_COUNTED = re.compile(r"\d+[a-z]+")
_BARS = re.compile(r"\s*(\d+)\s*(?:bars?)?\s*")
_ZONED = re.compile(r"(.*\S)\s+([A-Za-z][\w+\-]*(?:/[\w+\-]+)*)")


@frozen
class DataRange:
    """From ``start_ns`` to ``end_ns``, which is no part of it; before it, what is seen only.

    A bar is part of it that opens at the start or later and closes at the end or earlier, a quote
    or trade that is at the start or later and before the end. So what two ranges that meet share is
    nothing, and of a range nothing tells what comes after it.
    """

    start_ns: int | None = None
    end_ns: int | None = None
    warmup_ns: int = 0
    warmup_bars: int = 0

    @property
    def is_everything(self) -> bool:
        """Whether all of the data is part of it."""
        return self.start_ns is None and self.end_ns is None

    @property
    def warms_up(self) -> bool:
        """Whether anything before the start is seen."""
        return self.warmup_ns > 0 or self.warmup_bars > 0

    def text(self) -> dict[str, str | None]:
        """It as plain data, which `range_of` takes again."""
        warmup = f"{self.warmup_bars} bars" if self.warmup_bars else None
        if self.warmup_ns:
            warmup = format_span(self.warmup_ns)  # which may be of several units, "1d12h"
            if not _COUNTED.fullmatch(warmup):
                warmup = f"{self.warmup_ns}ns"
        return {
            "start": None if self.start_ns is None else format_ns(self.start_ns),
            "end": None if self.end_ns is None else format_ns(self.end_ns),
            "warmup": warmup,
        }

    def __str__(self) -> str:
        said = [
            f"{word} {format_ns(ns)}"
            for word, ns in (("from", self.start_ns), ("to", self.end_ns))
            if ns is not None
        ]
        return " ".join(said)

    def has(self, event: MarketEvent) -> bool:
        """Whether ``event`` is part of it."""
        return not (self.is_before(event) or self.is_after(event))

    def is_before(self, event: MarketEvent) -> bool:
        """Whether ``event`` begins before the start."""
        return self.start_ns is not None and event.open_ns < self.start_ns

    def is_after(self, event: MarketEvent) -> bool:
        """Whether ``event`` ends after the end; a quote or trade is not part of it at the end."""
        end = self.end_ns
        return end is not None and event.close_ns + (type(event) is not Bar) > end


EVERYTHING = DataRange()


def range_of(
    start: Moment, end: Moment, warmup: WarmupLength, tz: str | tzinfo | None = None
) -> DataRange:
    """The range from ``start`` to ``end``, with ``warmup`` before it.

    Text is a date, or a time with or without an offset, or with a zone behind it:
    ``"2024-01-01 09:30 Europe/Berlin"``; without either it is of the zone ``tz``, or of UTC. A
    ``warmup`` is a length of time (``"30d"``, a `timedelta`) or a number of bars (``"200 bars"``,
    200). Raises `ConfigError` for what is none of that, for an end that is not after the start, and
    for a warm-up without a start.
    """
    start_ns = None if start is None else _moment(start, "start", tz)
    end_ns = None if end is None else _moment(end, "end", tz)
    if start_ns is not None and end_ns is not None and end_ns <= start_ns:
        raise ConfigError(
            f"end must be after start: it is {format_ns(end_ns)}, and start {format_ns(start_ns)}"
        )
    warmup_ns, warmup_bars = _warmup(warmup)
    if start_ns is None and (warmup_ns or warmup_bars):
        raise ConfigError(
            "warmup is what comes before the start: give start, too (or, for the first bars of the "
            "data, warmup_bars in the strategy's class)"
        )
    return DataRange(start_ns, end_ns, warmup_ns, warmup_bars)


def _moment(value: Any, name: str, tz: str | tzinfo | None) -> int:
    if isinstance(value, datetime):
        try:
            return to_ns(value, name)
        except FieldError as error:
            raise ConfigError(f"{error}, or give it as text: '2024-01-01 09:30'") from None
    if isinstance(value, date):
        value = value.isoformat()
    if not isinstance(value, str):
        raise ConfigError(f"{name} must be like '2024-01-01' or a datetime, not {value!r}")
    text, zone = value.strip(), tz
    zoned = _ZONED.fullmatch(text)
    if zoned is not None:
        text, zone = zoned[1], zoned[2]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{name} must be a date or a time, '2024-01-01' or '2024-01-01 09:30', not {value!r}"
        ) from None
    if moment.tzinfo is not None:
        if zoned is not None:
            raise ConfigError(f"{name} has an offset and a zone, {value!r}: give one of them")
        return to_ns(moment)
    local_ns = to_ns(moment.replace(tzinfo=from_ns(0).tzinfo))
    known = zone_of(zone)
    if known is None:
        return local_ns
    is_date = not local_ns % DAY and ":" not in text and "T" not in text
    try:
        return known.at(local_ns // DAY) if is_date else known.to_utc(local_ns)
    except ValueError as error:
        told = str(error).partition(";")[0]
        raise ConfigError(f"{name}: {told}; write it with its offset (+01:00)") from None


def _warmup(value: Any) -> tuple[int, int]:
    """The nanoseconds, or the bars, of a warm-up."""
    if value is None:
        return 0, 0
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str):
        bars = _BARS.fullmatch(value)
        if bars is not None:
            return 0, int(bars[1])
    if not isinstance(value, str | timedelta):
        raise ConfigError(f"warmup must be like '30d' or '200 bars', not {value!r}")
    try:
        return duration_ns(value, "warmup"), 0
    except FieldError as error:
        raise ConfigError(f"{error}; or a number of bars, '200 bars'") from None


# -- what of the data is in a range ----------------------------------------------------------------


def events_of(
    sources: Mapping[str, Source],
    within: DataRange = EVERYTHING,
    note: Callable[[str], None] | None = None,
) -> Iterator[Any]:
    """The market events of ``sources`` in order, as far as they are ``within`` a range or what it
    warms up on. ``note`` is told, in words, where the range goes beyond the data.

    Raises `DataError`, which says what there is, where a source has nothing in the range, or less
    before it than the warm-up asks for.
    """
    parts = [part for source in sources.values() for part in parts_of(source)]
    if within.is_everything:
        return merge(parts)
    looks = [_Look(part, within) for part in parts]
    for look in looks:
        look.check()
        if note is not None:
            look.tell(note)
    return merge([_Cut(look.part, begin, within) for look, begin in _begins(looks, within)])


def _begins(looks: Sequence[_Look], within: DataRange) -> Iterator[tuple[_Look, int | None]]:
    """Each source, and from when on it is seen; quotes and trades from where the first of the bars
    are that they warm up beside."""
    if within.start_ns is None or not within.warmup_bars:
        start = within.start_ns
        yield from ((look, None if start is None else start - within.warmup_ns) for look in looks)
        return
    opens = [(look.part.pair, look.warm[0]) for look in looks if look.is_bars]
    for look in looks:
        if look.is_bars:
            yield look, look.warm[0]
            continue
        own = [at for pair, at in opens if pair == look.part.pair] or [at for _, at in opens]
        if not own:
            raise ConfigError(
                f"warmup is a number of bars, and of {look.part.pair} there are none: give a "
                "length of time, warmup='1d'"
            )
        yield look, min(own)


class _Look:
    """A look at a source before the run: what it has before a range, and whether it has any of it.

    What can be read only once is taken as it comes.
    """

    def __init__(self, part: Any, within: DataRange) -> None:
        self.part = part
        self.is_bars = not isinstance(part, TickSource)
        self.once = isinstance(part, Iterator)
        self.warm: deque[int] = deque(maxlen=max(within.warmup_bars, 1))
        """When the last bars open that have closed before the start."""
        self._within = within
        self._first: MarketEvent | None = None
        self._last: MarketEvent | None = None
        self._found = self.once
        if not self.once:
            self._look()

    def _look(self) -> None:
        within, start = self._within, self._within.start_ns
        for event in self.part:
            self._first = self._first or event
            self._last = event
            if within.has(event):
                self._found = True
                return
            if start is not None and event.close_ns <= start:
                self.warm.append(event.open_ns)

    @property
    def _what(self) -> str:
        return "bars" if self.is_bars else str(self.part.kind)

    def _span(self) -> str:
        assert self._first is not None
        assert self._last is not None
        return f"{format_ns(self._first.open_ns)} to {format_ns(self._last.close_ns)}"

    def check(self) -> None:
        """Raise `DataError` where it has nothing in the range, or too little before it."""
        within, pair = self._within, self.part.pair
        name = getattr(self.part, "name", None)
        if self.once:
            if within.warmup_bars:
                raise ConfigError(
                    f"the data of {pair} can be read only once: give warmup as a length of time"
                )
            return
        if not self._found:
            if self._first is None:
                raise DataError(f"there are no {self._what} of {pair}", source=name)
            raise DataError(
                f"no {self._what} of {pair} {within}: the data goes from {self._span()}",
                source=name,
            )
        if not within.warms_up or not self.is_bars:
            return
        assert self._first is not None
        if len(self.warm) < max(within.warmup_bars, 1):
            wanted = within.warmup_bars or format_span(within.warmup_ns)
            raise DataError(
                f"{pair} has {len(self.warm)} bars before the start, and warmup asks for {wanted}: "
                f"the data begins at {format_ns(self._first.open_ns)}; give a later start, or a "
                "smaller warmup",
                source=name,
            )

    def tell(self, note: Callable[[str], None]) -> None:
        """Say where the range goes beyond the data."""
        within, pair, first = self._within, self.part.pair, self._first
        if first is None:
            return
        begin = within.start_ns
        if begin is not None and first.open_ns > begin - within.warmup_ns:
            what = "the warm-up's beginning" if within.warmup_ns else "the start"
            note(
                f"the {self._what} of {pair} begin at {format_ns(first.open_ns)}, after {what} "
                f"({format_ns(begin - within.warmup_ns)})"
            )
        ends = getattr(self.part, "end_ns", None)
        if within.end_ns is not None and ends is not None and ends < within.end_ns:
            note(
                f"the {self._what} of {pair} end at {format_ns(ends)}, before the end "
                f"({format_ns(within.end_ns)})"
            )


class _Cut:
    """What a source has from ``begin`` on and up to the end of a range."""

    def __init__(self, part: Any, begin: int | None, within: DataRange) -> None:
        self.name = getattr(part, "name", None)
        self._part = part
        self._begin = begin
        self._within = within

    def __iter__(self) -> Iterator[Any]:
        events = iter(self._part)
        if self._begin is not None:
            begin = self._begin
            for event in events:
                if event.open_ns >= begin:
                    if self._within.is_after(event):
                        return
                    yield event
                    break
        if self._within.end_ns is None:
            yield from events
            return
        end, is_after = self._within.end_ns, self._within.is_after
        for event in events:
            if event.close_ns >= end and is_after(event):
                return
            yield event
