"""Equity, drawdown, exposure and the benchmark along time, in buckets a screen can show."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from backtest.analysis.curve import Curve
from backtest.analysis.metrics import daily, held, start_equity
from backtest.analysis.page.packing import differences, milliseconds
from backtest.analysis.record import RunRecord
from backtest.analysis.statistics.ratios import sharpe

Marks = Iterator[tuple[int, Mapping[str, Decimal]]]
"""Moments, and the prices at which the venue marked all pairs then."""

__all__ = ["POINTS", "Held", "equity_columns", "number", "rolling_sharpe"]

POINTS = 1_000
"""Buckets along time: more than that no screen tells apart."""
_WINDOWS = (90, 30)
"""Days that a rolling Sharpe ratio looks back, the first that fits four times."""
_ROLLS = 500


def number(value: Decimal | float | None) -> float | int | None:
    """A number to draw: ten digits are more than a screen has."""
    if value is None:
        return None
    short = float(f"{float(value):.10g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


class Held:
    """What the opening equity had become, held in the run's data, by `metrics.held`: at the end of
    each of `POINTS` parts of the run and of each day."""

    def __init__(self, record: RunRecord) -> None:
        first, last = record.valuation.first_ns, record.valuation.last_ns
        self._start, self._begin = start_equity(record), first
        self._first: Mapping[str, Decimal] = record.valuation.first_prices
        width = max(1, -(-(last - first) // POINTS))
        parts = range(first + width, last + 1, width)
        self._ends = sorted({*parts, *daily(record).ends})
        self.samples: list[tuple[int, Decimal]] = []
        """Moments in nanoseconds and what it was worth then."""

    def over(self, marks: Marks) -> Marks:
        """``marks`` as they are, looked at on the way."""
        ends = iter(self._ends)
        end = next(ends, 0)
        last: tuple[int, dict[str, Decimal]] | None = None
        for time, prices in marks:
            if end and time > end and last is not None:
                self._take(*last)
            while end and time > end:
                end = next(ends, 0)
            last = time, dict(prices)
            yield time, prices
        if last is not None:
            self._take(*last)

    def _take(self, time: int, prices: Mapping[str, Decimal]) -> None:
        if time < self._begin:
            return  # what strategies warm up on is before the run
        worth = held(self._start, self._first, {**self._first, **prices})["final_equity"]
        if worth is not None:
            self.samples.append((time, worth))

    def at(self, time_ns: int) -> Decimal | None:
        """The value at ``time_ns``, or the last one before; None where there is none at all."""
        place = bisect_right(self.samples, time_ns, key=lambda sample: sample[0])
        if place:
            return self.samples[place - 1][1]
        return self._start if self.samples else None


def equity_columns(curve: Curve, worth: Held | None) -> dict[str, Any]:
    """The curve in at most `POINTS` buckets of rows: last, lowest and highest equity, the deepest
    fall from a peak before (as a share), exposure as shares of equity, and the benchmark."""
    rows = curve.rows
    step = max(1, -(-len(rows) // POINTS))
    falls = _falls([float(row.equity) for row in rows])
    names = ("last", "low", "high", "fall", "net", "gross", "held")
    found: dict[str, list[Any]] = {name: [] for name in names}
    times = []
    for begin in range(0, len(rows), step):
        part = rows[begin : begin + step]
        last = part[-1]
        times.append(milliseconds(last.time_ns))
        equities = [row.equity for row in part]
        found["last"].append(number(last.equity))
        found["low"].append(number(min(equities)))
        found["high"].append(number(max(equities)))
        found["fall"].append(_short(max(falls[begin : begin + step])))
        found["net"].append(_share(last.net_exposure, last.equity))
        found["gross"].append(_largest(part))
        found["held"].append(None if worth is None else number(worth.at(last.time_ns)))
    return {"t": differences(times), "step": step, "rows": len(rows), **found}


def _falls(equities: Sequence[float]) -> list[float]:
    peak, found = 0.0, []
    for one in equities:
        if one > peak:
            peak = one
        found.append((peak - one) / peak if peak > 0 else 0.0)
    return found


def _largest(rows: Sequence[Any]) -> float | None:
    shares = [_share(row.gross_exposure, row.equity) for row in rows if row.gross_exposure]
    known = [one for one in shares if one is not None]
    if known:
        return max(known)
    return None if rows[-1].gross_exposure is None else 0.0


def _share(part: Decimal | None, whole: Decimal) -> float | None:
    if part is None or whole <= 0:
        return None
    return _short(float(part) / float(whole))


def _short(value: float) -> float:
    return round(value, 6)


def rolling_sharpe(record: RunRecord) -> dict[str, Any]:
    """The annualised Sharpe ratio of the last so many daily returns, day by day, by the function
    that gives the one of the whole run; or ``why`` there is none."""
    days = daily(record)
    if days.annual.why_not or days.returns is None:
        return {"why": days.annual.why_not or "equity was not above zero throughout"}
    returns = days.returns
    fitting = [one for one in _WINDOWS if len(returns) >= 4 * one]
    if not fitting:
        least = 4 * _WINDOWS[-1]
        return {"why": f"there are {len(returns)} daily returns, fewer than {least}"}
    window = fitting[0]
    step = max(1, -(-(len(returns) - window) // _ROLLS))
    ends = range(len(returns), window - 1, -step)
    return _rolled(window, [*reversed(ends)], days.ends, returns, days.annual.per_year, sharpe)


def _rolled(
    window: int,
    places: Sequence[int],
    ends: Sequence[int],
    returns: Sequence[Decimal],
    per_year: int,
    ratio: Callable[[Sequence[Decimal], int], Decimal | None],
) -> dict[str, Any]:
    return {
        "window": window,
        "t": differences(milliseconds(ends[at - 1]) for at in places),
        "sharpe": [number(ratio(returns[at - window : at], per_year)) for at in places],
    }
