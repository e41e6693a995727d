"""Bars of the rows of a table: what files and dataframes have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, timedelta, tzinfo
from decimal import Decimal

from attrs import evolve

from backtest.data._assemble import Assembler, RowError, check_stamp
from backtest.data._columns import Columns
from backtest.data._gaps import Gaps
from backtest.data._notices import Notices
from backtest.data._rows import Convert, Rows
from backtest.data._stamps import StampReader
from backtest.data._survey import Survey
from backtest.data._symbols import no_rows
from backtest.data._timing import Timing
from backtest.data._zones import Zone, zone_of
from backtest.models.bar import Bar
from backtest.models.bar_length import BarLength
from backtest.services.cadence import Cadence
from backtest.times import format_ns, format_span

__all__ = ["RowBars"]


class RowBars:
    """Bars of ``rows``, read anew for each iteration, some thousand rows at a time.

    ``bar``, ``stamp``, ``tz`` and ``decimal`` are as `backtest.data.CsvBars` takes them. What is
    wrong from the start is refused at once, not in the middle of a run.
    """

    def __init__(
        self,
        pair: str,
        rows: Rows,
        columns: Columns,
        bar: int | str | timedelta | BarLength | None,
        stamp: str,
        tz: str | tzinfo | None,
        decimal: str,
    ) -> None:
        self.pair = pair
        self.name = rows.name
        self.symbol = rows.symbol
        self.columns = columns
        self._rows = rows
        self._notices = Notices(rows.name, pair)
        zone = self._zone = zone_of(tz)
        self._calendar = zone or rows.zone or Zone(UTC)
        given = None if bar is None else BarLength.of(bar)
        self.reading: Mapping[str, str | None] = {
            "bar": None if given is None else str(given),
            "stamp": check_stamp(stamp),
            "tz": "UTC" if zone is None else str(zone),
            "decimal": decimal,
        }
        """How it is read, as plain data: what was given."""
        survey = Survey(rows, columns, zone, self._calendar, given)
        self._plan = survey.plan(stamp)
        self.bar_ns = self._plan.length.ns
        timing = self._plan.timing()
        next(self._bars(timing), None)
        if timing.is_unlike:
            self._refuse_length()
        if columns.volume is not None and not self._is_traded():
            self._notices.no_volume("volume", [columns.names[columns.volume]])
            self.columns = rows.columns = evolve(columns, volume=None)

    def __repr__(self) -> str:
        return f"<bars of {self.pair} in {self.name}>"

    @property
    def rounded(self) -> bool:
        """Whether numbers came as binary floats: see `BarReader`."""
        return self._rows.rounded

    @property
    def notices(self) -> Sequence[str]:
        """What was mended or left out so far, in words."""
        return tuple(self._notices.told)

    @property
    def cadence(self) -> Cadence:
        """How the bars follow each other, as far as it is known before they are read."""
        return Cadence(self._plan.longest)

    def __iter__(self) -> Iterator[Bar]:
        return self._bars(self._plan.timing())

    def _readers(self) -> tuple[StampReader, StampReader | None]:
        """What reads the times, and the times of close beside them."""
        days, columns = self._plan.days, self.columns
        stamps = StampReader(self._zone, columns.unit, days=days)
        if columns.close_time is None:
            return stamps, None
        return stamps, StampReader(self._zone, columns.close_unit, days=days)

    def _is_traded(self) -> bool:
        """Whether any row has a volume: sources without volumes write zeros, which would have
        every order wait for ever."""

        def convert(_: object, numbers: list[list[Decimal]], __: object) -> list[bool]:
            return [any(numbers[-1])]

        return any(found for (found,) in self._rows.read(self._readers()[0], convert))

    def _bars(self, timing: Timing) -> Iterator[Bar]:
        names = [self.columns.names[at] for at in self.columns.numbers]
        assembler = Assembler(self.pair, timing, names, self._notices)

        def convert(times: list[list[int]], numbers: list[list[Decimal]], _: object) -> list[Bar]:
            return assembler.bars(times[0], *numbers, ends=times[1] if len(times) > 1 else None)

        stamps, closes = self._readers()
        empty = True
        for bars in self._rows.read(stamps, convert, closes=closes):
            empty = False
            yield from bars
        if empty:
            raise no_rows(self.symbol, self.name)
        if timing.is_unlike:
            self._refuse_length()
        yield from assembler.end()

    def _refuse_length(self) -> None:
        """Raise if the length exceeds most gaps of the source, with the first row that shows it."""
        gaps, timing = Gaps(self._calendar), self._plan.timing()

        def count(times: list[list[int]], *_: object) -> list[Bar]:
            if gaps.last is not None:
                timing.seam(times[0][0])
            timing.bounds(times[0], None)
            gaps.feed(times[0])
            return []

        self._look(count)
        if not timing.is_unlike:
            return
        problem = (
            f"most rows do: a bar of {self._plan.length} is longer than most gaps, which are "
            f"{gaps.listed()}; give the bar's true length"
        )
        self._look(_Overlaps(self._plan.length, self._calendar, problem))
        raise AssertionError("a length exceeds most gaps, yet none of them")

    def _look(self, convert: Convert[Bar]) -> None:
        for _ in self._rows.read(self._readers()[0], convert, times_only=True):
            pass


class _Overlaps:
    """Refuses the first row that comes sooner after the one before it than a bar is long."""

    def __init__(self, length: BarLength, zone: Zone, problem: str) -> None:
        self._length = length
        self._zone = zone
        self._problem = problem
        self._last: int | None = None

    def __call__(self, times: list[list[int]], *_: object) -> list[Bar]:
        for index, now in enumerate(times[0]):
            last, self._last = self._last, now
            if last is not None and now < self._zone.shifted(last, self._length):
                here, before = format_ns(now), format_ns(last)
                raise RowError(
                    index,
                    f"overlaps the row before it ({here} is {format_span(now - last)} after "
                    f"{before}), as {self._problem}",
                )
        return []
