"""From columns of numbers to quotes and trades: the one place where rows become ticks."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation, localcontext
from itertools import islice, repeat
from operator import le, sub

from backtest.data._assemble import READING, RowError
from backtest.data._columns import TickColumns
from backtest.data._notices import Notices
from backtest.data._stamps import EARLIEST, LATEST
from backtest.models.quote import Quote, trusted_quote, uncrossed
from backtest.models.trade import Aggressor, Trade, trusted_trade
from backtest.times import format_ns

__all__ = ["TickAssembler"]

_SMALLEST = Decimal("1e-18")
_LARGEST = Decimal("1e18")
_SIDES: dict[str, Aggressor | None] = {
    "buy": "buy",
    "b": "buy",
    "buyer": "buy",
    "sell": "sell",
    "s": "sell",
    "seller": "sell",
    "": None,
    "none": None,
    "unknown": None,
}
_BUYER_MAKER: dict[str, Aggressor | None] = {
    "true": "sell",
    "1": "sell",
    "false": "buy",
    "0": "buy",
    "": None,
}
_Lists = Sequence[Sequence[Decimal]]


class TickAssembler:
    """Makes quotes or trades of the columns of one source, batch after batch, and checks them.

    Times may be equal but never go back. What is plainly a row written twice is refused: a quote
    that is the one before it in everything, a trade with the id of the one before it.
    """

    def __init__(self, pair: str, columns: TickColumns, notices: Notices) -> None:
        self._pair = pair
        self._notices = notices
        self._columns = columns
        self._fields = columns.fields
        self._names = [columns.names[at] for at in columns.numbers]
        self._texts = columns.text_fields
        self._last: int | None = None
        self._last_row: tuple[Decimal, ...] = ()
        self._last_id: str | None = None

    def quotes(
        self, moments: list[list[int]], numbers: list[list[Decimal]], _: list[list[str]]
    ) -> list[Quote]:
        """The quotes of a batch; raises `RowError` for the first row that makes none."""
        (times,) = moments
        in_order = self._check(times, numbers)
        found = dict(zip(self._fields, numbers, strict=True))
        bids, asks = found["bid"], found["ask"]
        if not all(map(le, bids, asks)):
            bids, asks = self._uncross(times, bids, asks)
        if not in_order:
            self._check_repeated(times, numbers)
        self._last, self._last_row = times[-1], tuple(column[-1] for column in numbers)
        none = repeat(None)
        return list(
            map(
                trusted_quote,
                repeat(self._pair),
                times,
                bids,
                asks,
                found.get("bid_size", none),
                found.get("ask_size", none),
            )
        )

    def trades(
        self, moments: list[list[int]], numbers: list[list[Decimal]], texts: list[list[str]]
    ) -> list[Trade]:
        """The trades of a batch; raises `RowError` for the first row that makes none."""
        (times,) = moments
        self._check(times, numbers)
        found = dict(zip(self._fields, numbers, strict=True))
        sides: list[Aggressor | None] | repeat[None] = repeat(None)
        for field, column in zip(self._texts, texts, strict=True):
            if field == "trade_id":
                self._check_ids(column)
            else:
                sides = self._sides(field, column)
        self._last = times[-1]
        volumes = found.get("volume", repeat(None))
        return list(map(trusted_trade, repeat(self._pair), times, found["price"], volumes, sides))

    def _uncross(
        self, times: Sequence[int], bids: Sequence[Decimal], asks: Sequence[Decimal]
    ) -> tuple[list[Decimal], list[Decimal]]:
        """Bids and asks, those exchanged that cross by the noise of floats."""
        low, high = list(bids), list(asks)
        for index, bid in enumerate(bids):
            ask = asks[index]
            if bid <= ask:
                continue
            found = uncrossed(bid, ask)
            if found is None:
                raise RowError(
                    index,
                    f"{self._names[0]} {bid} is above {self._names[1]} {ask}: a crossed quote; "
                    "are the columns swapped?",
                )
            low[index], high[index] = found
            self._notices.uncrossed(times[index], f"bid {bid} and ask {ask} exchanged")
        return low, high

    # -- checks ------------------------------------------------------------------------------------

    def _check(self, times: list[int], numbers: _Lists) -> bool:
        """Refuse times that go back and numbers that are none; whether all times differ."""
        joined = times if self._last is None else [self._last, *times]
        least = min(map(sub, islice(joined, 1, None), joined), default=1)
        if least < 0:
            self._raise_order(times)
        if times[0] < EARLIEST or times[-1] > LATEST:
            raise RowError(0, "is not between the years 1900 and 2262")
        for place, column in enumerate(numbers):
            if not _within(column, self._least(place)):
                self._raise_unsound(place, column)
        return least > 0

    def _least(self, place: int) -> Decimal:
        """The smallest number of a column: a size may be nothing, a price and a trade may not."""
        return Decimal(0) if self._fields[place].endswith("_size") else _SMALLEST

    def _raise_order(self, times: list[int]) -> None:
        last = self._last
        for index, now in enumerate(times):
            if last is not None and now < last:
                raise RowError(
                    index,
                    f"goes back in time, from {format_ns(last)} to {format_ns(now)}: sort the "
                    "rows, oldest first",
                )
            last = now

    def _raise_unsound(self, place: int, column: Sequence[Decimal]) -> None:
        name, is_size = self._names[place], self._fields[place].endswith("_size")
        what = "price" if place < self._columns.prices else "volume"
        for index, value in enumerate(column):
            if not value.is_finite():
                raise RowError(
                    index,
                    f"{name} is {value}: a {what} must be a number; remove the row or mend it",
                )
            if value < 0 if is_size else value <= 0:
                must = "non-negative" if is_size else "positive"
                raise RowError(
                    index, f"{name} must be {must}, not {value}: remove the row or mend it"
                )
            if not _SMALLEST <= value <= _LARGEST and value:
                raise RowError(
                    index, f"{name} is {value:.6e}, which is no {what} (1e-18 to 1e18 are)"
                )

    def _check_repeated(self, times: list[int], numbers: _Lists) -> None:
        before, row = self._last, self._last_row
        for index, values in enumerate(zip(*numbers, strict=True)):
            if times[index] == before and values == row:
                raise RowError(
                    index,
                    f"is the row before it once more, at {format_ns(times[index])}: remove it",
                )
            before, row = times[index], values

    def _check_ids(self, ids: Sequence[str]) -> None:
        before = self._last_id
        for index, one in enumerate(ids):
            one = one.strip()
            if one and one == before:
                raise RowError(index, f"has the id of the trade before it, {one}: remove one")
            before = one
        self._last_id = before

    def _sides(self, field: str, column: Sequence[str]) -> list[Aggressor | None]:
        known = _SIDES if field == "side" else _BUYER_MAKER
        try:
            return [known[text.strip().lower()] for text in column]
        except KeyError:
            pass
        name = self._columns.names[self._columns.at[field]]
        index = next(at for at, text in enumerate(column) if text.strip().lower() not in known)
        choices = "buy or sell" if field == "side" else "true or false"
        raise RowError(
            index, f"{name} is {column[index]!r}: write {choices}, or nothing if it is not known"
        )


def _within(column: Sequence[Decimal], least: Decimal) -> bool:
    """Whether all are numbers from ``least`` on; NaN makes it False, by its trap or comparison."""
    try:
        with localcontext(READING):
            if not (min(column) >= least and max(column) <= _LARGEST):
                return False
            return bool(least) or not any(0 < value < _SMALLEST for value in column)
    except InvalidOperation:
        return False
