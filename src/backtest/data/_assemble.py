"""From columns of checked numbers to bars: the one place where rows become `Bar`s.

Columns are checked as a whole, which the C loops of `map` and `min` do in a tenth of the time of a
Python loop; only a batch that fails is gone through row by row, to say which row and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from itertools import islice, repeat
from operator import le, lt, sub

from backtest.data._stamps import EARLIEST, LATEST
from backtest.errors import ConfigError, DataError
from backtest.models.bar import Bar, trusted_bar
from backtest.models.trading_pair import TradingPair
from backtest.times import format_ns, length_ns

__all__ = [
    "READING",
    "Assembler",
    "RowError",
    "StepFinder",
    "bar_length",
    "check_stamp",
    "number_fault",
    "pair_code",
]

READING = Context(prec=60, traps=[InvalidOperation, DivisionByZero, Overflow])
"""Numbers are read and compared in this context, whatever the caller has done to theirs."""

_SMALLEST = Decimal("1e-18")
_LARGEST = Decimal("1e18")


class RowError(Exception):
    """Row ``index`` of a batch cannot be used; ``problem`` is the sentence for the `DataError`."""

    def __init__(self, index: int, problem: str) -> None:
        self.index = index
        self.problem = problem
        super().__init__(problem)


def pair_code(pair: object) -> str:
    """The code of a pair given as text or as a `TradingPair`."""
    code = pair.code if isinstance(pair, TradingPair) else pair
    if not isinstance(code, str) or not code:
        raise ConfigError(f"pair must be a code such as 'BTCUSD' or a TradingPair, not {pair!r}")
    return code


def bar_length(bar: object) -> int | None:
    """Nanoseconds of a length given as nanoseconds, ``"1m"`` or a `timedelta`; None for None."""
    return length_ns(bar, "bar")


def check_stamp(stamp: str) -> str:
    """``stamp`` when it is "open" or "close", else a `ConfigError`."""
    if stamp not in ("open", "close"):
        raise ConfigError(
            f"stamp must be 'open' or 'close', the end of the bar that its time is, not {stamp!r}"
        )
    return stamp


def number_fault(text: str) -> str:
    """Why ``text`` is no number, and how to mend it."""
    shown = text if len(text) <= 40 else text[:37] + "..."
    if not text.strip():
        return "is empty: fill it in or remove the row"
    if "," in text:
        return f"has a comma, {shown!r}: write a decimal point and no thousands separators"
    return f"is not a number: {shown!r}"


class StepFinder:
    """Finds the smallest difference between the times of a source, which must strictly increase."""

    def __init__(self) -> None:
        self.last: int | None = None
        self.smallest: int | None = None
        self.count = 0

    def feed(self, times: list[int]) -> None:
        """Takes the next times (some); `RowError` for one that is not after the one before it."""
        joined = times if self.last is None else [self.last, *times]
        steps = map(sub, islice(joined, 1, None), joined)
        step = min(steps, default=None)
        if step is not None and step <= 0:
            _raise_order(times, self.last, 1)
        if step is not None and (self.smallest is None or step < self.smallest):
            self.smallest = step
        self.last = times[-1]
        self.count += len(times)

    def result(self, source: str) -> int:
        """The smallest difference; a `DataError` when there was a single row."""
        if self.smallest is None:
            raise DataError(
                "has a single row, from which a bar's length cannot be told: give it, bar='1m'",
                source=source,
            )
        return self.smallest


def _raise_order(times: list[int], last: int | None, bar_ns: int) -> None:
    for index, now in enumerate(times):
        if last is not None and now < last + bar_ns:
            here, before = format_ns(now), format_ns(last)
            if now == last:
                raise RowError(
                    index, f"has the time of the row before it, {here}: remove one of them"
                )
            if now < last:
                raise RowError(
                    index,
                    f"goes back in time, from {before} to {here}: sort the rows, oldest first",
                )
            raise RowError(
                index,
                f"overlaps the row before it: {here} is less than one bar ({bar_ns} ns) after "
                f"{before}; give the bar's true length",
            )
        last = now


class Assembler:
    """Makes bars of the columns of one source, batch after batch, and checks them as it does.

    ``names`` are the column names for messages: open, high, low, close and volume.
    """

    def __init__(self, pair: str, bar_ns: int, stamp: str, names: Sequence[str]) -> None:
        self._pair = pair
        self._bar_ns = bar_ns
        self._from_open = stamp == "open"
        self._names = names
        self._last: int | None = None

    def bars(
        self,
        times: list[int],
        opens: list[Decimal],
        highs: list[Decimal],
        lows: list[Decimal],
        closes: list[Decimal],
        volumes: list[Decimal] | None = None,
    ) -> list[Bar]:
        """The bars of a batch (not empty); raises `RowError` for the first row that makes none."""
        bar_ns = self._bar_ns
        joined = times if self._last is None else [self._last, *times]
        if min(map(sub, islice(joined, 1, None), joined), default=bar_ns) < bar_ns:
            _raise_order(times, self._last, bar_ns)
        if not _sound(opens, highs, lows, closes, volumes):
            self._raise_unsound(opens, highs, lows, closes, volumes)
        self._last = times[-1]
        if self._from_open:
            starts, ends = times, [time + bar_ns for time in times]
        else:
            starts, ends = [time - bar_ns for time in times], times
        if starts[0] < EARLIEST or ends[-1] > LATEST:
            raise RowError(0, "is not between the years 1900 and 2262")
        pair, amounts = repeat(self._pair), repeat(None) if volumes is None else volumes
        return list(map(trusted_bar, pair, starts, ends, opens, highs, lows, closes, amounts))

    def _raise_unsound(
        self,
        opens: list[Decimal],
        highs: list[Decimal],
        lows: list[Decimal],
        closes: list[Decimal],
        volumes: list[Decimal] | None,
    ) -> None:
        for index, prices in enumerate(zip(opens, highs, lows, closes, strict=True)):
            volume = None if volumes is None else volumes[index]
            problem = self._fault(prices, volume)
            if problem is not None:
                raise RowError(index, problem)
        raise AssertionError("a batch was found unsound, yet each of its rows is sound")

    def _fault(self, prices: tuple[Decimal, ...], volume: Decimal | None) -> str | None:
        for name, price in zip(self._names, prices, strict=False):
            if not price.is_finite():
                return f"{name} is {price}: prices must be numbers; remove the row or mend it"
            if price <= 0:
                return f"{name} must be positive, not {price}: remove the row or mend it"
            if not _SMALLEST <= price <= _LARGEST:
                return f"{name} is {price:.6e}, which is no price (1e-18 to 1e18 are)"
        open_, high, low, close = prices
        open_name, high_name, low_name, close_name = self._names[:4]
        if high < low:
            return f"{high_name} {high} is below {low_name} {low}: are the columns swapped?"
        for name, price in ((open_name, open_), (close_name, close)):
            if price > high:
                return f"{name} {price} is above {high_name} {high}: mend the row"
            if price < low:
                return f"{name} {price} is below {low_name} {low}: mend the row"
        if volume is None:
            return None
        name = self._names[4]
        if not volume.is_finite():
            return f"{name} is {volume}: volumes must be numbers; write 0 where nothing traded"
        if volume < 0:
            return f"{name} must be non-negative, not {volume}"
        if volume > _LARGEST or 0 < volume < _SMALLEST:
            return f"{name} is {volume:.6e}, which is no volume (0 and 1e-18 to 1e18 are)"
        return None


def _sound(
    opens: list[Decimal],
    highs: list[Decimal],
    lows: list[Decimal],
    closes: list[Decimal],
    volumes: list[Decimal] | None,
) -> bool:
    """Whether every row of the batch is a bar. NaN makes it False, by its trap or comparison."""
    try:
        with localcontext(READING):
            prices = (
                min(lows) >= _SMALLEST
                and max(highs) <= _LARGEST
                and all(map(le, lows, opens))
                and all(map(le, lows, closes))
                and all(map(le, opens, highs))
                and all(map(le, closes, highs))
            )
            if not prices or volumes is None:
                return prices
            small = min(volumes)
            if not (0 <= small and max(volumes) <= _LARGEST):
                return False
            return small >= _SMALLEST or not any(map(lt, filter(None, volumes), repeat(_SMALLEST)))
    except InvalidOperation:
        return False
