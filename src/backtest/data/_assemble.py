"""From columns of checked numbers to bars: the one place where rows become `Bar`s.

Columns are checked as a whole, which the C loops of `map` and `min` do in a tenth of the time of a
Python loop; only a batch that fails is gone through row by row, to say which row and why.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from itertools import islice, repeat
from operator import le, lt, sub
from typing import TYPE_CHECKING

from backtest.data._notices import Notices
from backtest.data._stamps import EARLIEST, LATEST
from backtest.errors import ConfigError
from backtest.models.bar import Bar, trusted_bar, widened, widening
from backtest.models.trading_pair import TradingPair
from backtest.times import format_ns

if TYPE_CHECKING:
    from backtest.data._timing import Timing

__all__ = [
    "LONG",
    "READING",
    "Assembler",
    "RowError",
    "check_decimal",
    "check_order",
    "check_stamp",
    "number_fault",
    "number_of",
    "pair_code",
]

READING = Context(prec=60, traps=[InvalidOperation, DivisionByZero, Overflow])
"""Numbers are read and compared in this context, whatever the caller has done to theirs."""

LONG = 50
"""Of how many characters a number may be without being looked at more closely."""
_MOST_PLACES = 50
"""How many digits after the point a price or a volume may have: sums and products need the rest."""
_ALL = Context(prec=1_000_000, Emax=999_999_999, Emin=-999_999_999)
_IS_NUMBER = re.compile(r"\s*[+-]?\d*\.?\d*([eE][+-]?\d+)?\s*", re.ASCII)
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


def check_stamp(stamp: str) -> str:
    """``stamp`` when it is "open" or "close", else a `ConfigError`."""
    if stamp not in ("open", "close"):
        raise ConfigError(
            f"stamp must be 'open' or 'close', the end of the bar that its time is, not {stamp!r}"
        )
    return stamp


def check_decimal(decimal: str) -> str:
    """``decimal`` when it is a point or a comma, else a `ConfigError`."""
    if decimal not in (".", ","):
        raise ConfigError(f"decimal must be '.' or ',', the mark of decimals, not {decimal!r}")
    return decimal


def number_of(text: str, mark: str) -> Decimal:
    """The number that ``text`` spells with ``mark`` before its decimals. Raises `InvalidOperation`
    where `number_fault` says why."""
    if "_" in text or (mark == "," and "." in text):
        raise InvalidOperation  # Decimal would read 1_000 as a thousand, and 1.000 as one
    value = Decimal(text.replace(",", ".") if mark == "," else text)
    if len(text) > LONG and _places(value) > _MOST_PLACES:
        raise InvalidOperation
    return value


def _places(value: Decimal) -> int:
    """How many digits after the point are not zeros that end it."""
    return -value.normalize(_ALL).as_tuple().exponent if value.is_finite() else 0  # type: ignore[operator]


def number_fault(text: str, mark: str) -> str:
    """Why ``text`` is no number to reckon with, and how to mend it."""
    shown = text if len(text) <= 40 else text[:37] + "..."
    if len(text) > LONG and _IS_NUMBER.fullmatch(text.replace(mark, ".")):
        return f"has more than {_MOST_PLACES} digits after the point, {shown!r}: round it"
    if not text.strip():
        return "is empty: fill it in or remove the row"
    if mark == "," and "." in text:
        return f"has a point, {shown!r}: write a decimal comma and no thousands separators"
    if "," in text and mark == ".":
        return (
            f"has a comma, {shown!r}: write a decimal point and no thousands separators, or say "
            "that it is the mark of decimals, decimal=',' (--decimal ,)"
        )
    return f"is not a number: {shown!r}"


def check_order(times: list[int], last: int | None) -> None:
    """`RowError` for the first of ``times`` that is not after the one before it."""
    joined = times if last is None else [last, *times]
    if min(map(sub, islice(joined, 1, None), joined), default=1) > 0:
        return
    for index, now in enumerate(times):
        if last is not None and now <= last:
            here, before = format_ns(now), format_ns(last)
            if now == last:
                raise RowError(
                    index, f"has the time of the row before it, {here}: remove one of them"
                )
            raise RowError(
                index, f"goes back in time, from {before} to {here}: sort the rows, oldest first"
            )
        last = now


class Assembler:
    """Makes bars of the columns of one source, batch after batch, and checks them as it does.

    ``timing`` says when they begin and end, for which the last row of a batch waits for the next
    one; ``names`` are the column names for messages: open, high, low, close and volume.
    ``notices`` take what was mended.
    """

    def __init__(self, pair: str, timing: Timing, names: Sequence[str], notices: Notices) -> None:
        self._pair = pair
        self._timing = timing
        self._names = names
        self._notices = notices
        self._last: int | None = None
        self._held: Bar | None = None

    def bars(
        self,
        times: list[int],
        opens: list[Decimal],
        highs: list[Decimal],
        lows: list[Decimal],
        closes: list[Decimal],
        volumes: list[Decimal] | None = None,
        *,
        ends: list[int] | None = None,
    ) -> list[Bar]:
        """The bars that are complete with a batch (not empty) of rows, whose times of close are
        ``ends`` where there is a column of them; `RowError` for the first row that makes none."""
        check_order(times, self._last)
        held = self._held
        if held is not None:
            end = self._timing.seam(times[0])
            if end != held.close_ns:
                held = self._until(held, end)
        starts, finishes = self._timing.bounds(times, ends)
        if not _sound(opens, highs, lows, closes, volumes):
            highs, lows = self._widened(times, opens, highs, lows, closes)
            if not _sound(opens, highs, lows, closes, volumes):
                self._raise_unsound(opens, highs, lows, closes, volumes)
        self._last = times[-1]
        if starts[0] < EARLIEST or finishes[-1] > LATEST:
            raise RowError(0, "is not between the years 1900 and 2262")
        pair, amounts = repeat(self._pair), repeat(None) if volumes is None else volumes
        nominals = self._nominals(starts, finishes)
        columns = (starts, finishes, opens, highs, lows, closes, amounts, nominals)
        made = list(map(trusted_bar, pair, *columns))
        self._held = made.pop()
        return made if held is None else [held, *made]

    def end(self) -> list[Bar]:
        """The bar of the last row, now that there is no other (none where there were no rows)."""
        return [] if self._held is None else [self._held]

    def _nominals(self, starts: list[int], ends: list[int]) -> Iterable[int | None]:
        """The length of each bar by name, where it lasted otherwise."""
        nominal = self._timing.length.ns
        spans = set(map(sub, ends, starts))
        if not spans - {nominal}:
            return repeat(None)
        return [
            None if end - start == nominal else nominal
            for start, end in zip(starts, ends, strict=True)
        ]

    def _until(self, bar: Bar, end: int) -> Bar:
        """``bar``, ending at ``end``."""
        nominal: int | None = self._timing.length.ns
        start = bar.open_ns
        if end - start == nominal:
            nominal = None
        prices = (bar.open, bar.high, bar.low, bar.close)
        return trusted_bar(self._pair, start, end, *prices, bar.volume, nominal)

    def _widened(
        self,
        times: list[int],
        opens: list[Decimal],
        highs: list[Decimal],
        lows: list[Decimal],
        closes: list[Decimal],
    ) -> tuple[list[Decimal], list[Decimal]]:
        """Highs and lows that take in an open or close which the noise of floats put beyond."""
        tops, bottoms = list(highs), list(lows)
        for index, prices in enumerate(zip(opens, highs, lows, closes, strict=True)):
            found = widened(*prices) if all(map(Decimal.is_finite, prices)) else None
            if found is not None and found != prices[1:3]:
                tops[index], bottoms[index] = found
                self._notices.widened(times[index], widening(*prices[1:3], *found))
        return tops, bottoms

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
        return self._fault_between(*prices) or (
            None if volume is None else _fault_of_volume(self._names[4], volume)
        )

    def _fault_between(
        self, open_: Decimal, high: Decimal, low: Decimal, close: Decimal
    ) -> str | None:
        open_name, high_name, low_name, close_name = self._names[:4]
        if high < low:
            return f"{high_name} {high} is below {low_name} {low}: are the columns swapped?"
        for name, price in ((open_name, open_), (close_name, close)):
            if price > high:
                return f"{name} {price} is above {high_name} {high}: mend the row"
            if price < low:
                return f"{name} {price} is below {low_name} {low}: mend the row"
        return None


def _fault_of_volume(name: str, volume: Decimal) -> str | None:
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
