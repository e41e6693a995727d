"""Coarser bars of a source, made as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256

from backtest.data.sources import BarSource
from backtest.data.tick_sources import TickSource
from backtest.errors import ConfigError, DataError
from backtest.models.bar import Bar
from backtest.models.bar_length import BarLength
from backtest.services.cadence import Cadence
from backtest.services.calendars import ALWAYS_OPEN, Calendar, calendar_of
from backtest.services.resampling import Resampler

__all__ = ["ResampledBars", "resample"]


def resample(
    source: BarSource | TickSource,
    length: int | str | timedelta,
    *,
    calendar: Calendar | str | None = None,
    price: str = "mid",
) -> ResampledBars:
    """Bars of ``length`` of a source of quotes, trades or shorter bars.

    ``calendar`` (a `Calendar`, or a name such as ``"XNYS"``) lines them up with the sessions of a
    market; without it days and all else begin in UTC. ``price`` is what a quote counts for:
    ``"mid"``, ``"bid"`` or ``"ask"``. Volumes are added exactly; those of quotes are unknown.

    A bar is made when an event at or after its close, or the end of the source, proves it complete;
    an interval without events has none. Raises `ConfigError` for a length that cannot be,
    `DataError` for bars that do not fit.

    >>> from backtest.data import synthetic_bars
    >>> hours = resample(synthetic_bars("BTCUSD", 120, bar="1m"), "1h")
    >>> [bar.length // 60_000_000_000 for bar in hours]
    [60, 60]
    """
    return ResampledBars(source, length, calendar=calendar, price=price)


class ResampledBars:
    """A source of bars made of a finer source, anew for each iteration; see `resample`."""

    def __init__(
        self,
        source: BarSource | TickSource,
        length: int | str | timedelta,
        *,
        calendar: Calendar | str | None = None,
        price: str = "mid",
    ) -> None:
        if not isinstance(source, BarSource | TickSource):
            raise DataError(
                f"only a source can be resampled, not a {type(source).__name__}: open it with "
                "open_data first"
            )
        if length is None:
            raise ConfigError("length must be given: '1h', say")
        self._length = BarLength.of(length, "length")
        ns = self._length.ns
        if isinstance(source, BarSource) and source.bar_ns > ns:
            raise ConfigError(
                f"bars of {source.bar_ns} ns cannot be made shorter: {ns} ns is asked for"
            )
        self._source = source
        self._calendar = calendar_of(calendar)
        self._price = price
        self.pair = source.pair
        self.bar_ns = ns
        self.name = f"{getattr(source, 'name', 'source')}, resampled"
        self.rounded = bool(getattr(source, "rounded", False))
        self._resampler()  # what cannot be is refused here, not in the middle of a run

    def __repr__(self) -> str:
        return f"<{self._source!r} resampled to {self._length}>"

    @property
    def cadence(self) -> Cadence:
        """How the bars follow each other, as far as it is known before they are made."""
        always = self._calendar is ALWAYS_OPEN and self._length.unit != "month"
        return Cadence(self.bar_ns if always else self._length.longest_ns)

    def _resampler(self) -> Resampler:
        return Resampler(self.pair, self._length, self._calendar, self._price)

    def __iter__(self) -> Iterator[Bar]:
        resampler = self._resampler()
        for event in self._source:
            yield from resampler.add(event)
        yield from resampler.end()

    def digest(self) -> str:
        """SHA-256 (hex) of what it is made of, and how."""
        made = f"{self._source.digest()} {self.bar_ns} {self._calendar.name} {self._price}"
        return sha256(made.encode()).hexdigest()
