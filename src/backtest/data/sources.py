"""What a source of bars is, and the simplest one: bars in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from typing import Protocol, runtime_checkable

from backtest.data._assemble import pair_code
from backtest.errors import DataError
from backtest.models.bar import Bar, trusted_bar
from backtest.models.bar_length import is_nominally
from backtest.models.trading_pair import TradingPair
from backtest.money import plain
from backtest.services.cadence import Cadence
from backtest.times import DAY, MONTH, WEEK, format_ns

__all__ = ["BarReader", "BarSource", "MemoryBars", "canonical_digest"]

_UNITS = (DAY, WEEK, MONTH, 3 * MONTH, 12 * MONTH)


@runtime_checkable
class BarSource(Protocol):
    """Bars of one pair in order of time, to be read as often as one likes.

    Each ``__iter__`` begins at the first bar again. Bars do not overlap; times strictly increase.
    """

    @property
    def pair(self) -> str:
        """The pair's code, which every bar carries."""

    @property
    def bar_ns(self) -> int:
        """Nanoseconds by which the length of its bars is known (`Bar.nominal_length`)."""

    def __iter__(self) -> Iterator[Bar]:
        """The bars, oldest first."""

    def digest(self) -> str:
        """SHA-256 (hex) of the input: of a file's bytes, else of the bars' `canonical_digest`."""


_AT_ONCE = 4_096


class BarReader(BarSource, Protocol):
    """A source that reads its bars from somewhere: ``name`` where, for messages."""

    name: str
    reading: Mapping[str, str | None]
    """How it is read, as plain data: what was given as ``bar``, ``stamp``, ``tz``
    and ``decimal``."""

    @property
    def rounded(self) -> bool:
        """Whether numbers came as binary floats, to which somebody had rounded decimals. Each goes
        by its shortest decimal form; nothing is rounded here."""

    @property
    def notices(self) -> Sequence[str]:
        """What of the data was mended or left out as it was read, in words."""

    def input_digest(self) -> str | None:
        """The digest of the file; None when there is none, so that the bars' own counts."""


def canonical_digest(bars: Iterable[Bar]) -> str:
    """SHA-256 of the bars as text: ``pair,open_ns,close_ns,open,high,low,close,volume`` per line.

    Numbers are written without exponent and trailing zeros, so that equal bars give equal digests.
    """
    digest = sha256()
    rest = iter(bars)
    while some := list(islice(rest, _AT_ONCE)):
        lines = [
            f"{bar.pair},{bar.open_ns},{bar.close_ns},{plain(bar.open)},{plain(bar.high)},"
            f"{plain(bar.low)},{plain(bar.close)},"
            f"{'' if bar.volume is None else plain(bar.volume)}\n"
            for bar in some
        ]
        digest.update("".join(lines).encode())
    return digest.hexdigest()


class MemoryBars:
    """A source that holds its bars in a list.

    Args: ``bars`` in order of time; ``pair`` the code they must carry; ``name`` for messages.
    Raises `DataError` for anything but bars of that pair, for none at all, and for bars out of
    order or overlapping. Bars that are all days of 23 to 25 hours, weeks, months, quarters or years
    have that length by name, others their own; ``bar_ns`` is the most frequent. ``rounded`` is True
    when the numbers came as binary floats.
    """

    def __init__(
        self,
        bars: Iterable[Bar],
        pair: str | TradingPair,
        *,
        name: str = "bars in memory",
    ) -> None:
        self.pair = pair_code(pair)
        self.name = name
        self.rounded = False
        self.reading: Mapping[str, str | None] = {}
        self.notices: Sequence[str] = ()
        self._digest: str | None = None
        self._bars = list(bars)
        self._check()
        self.bar_ns = self._name_lengths()

    @classmethod
    def loaded(cls, reader: BarReader) -> MemoryBars:
        """The bars of a reader, which has checked them, with the digest of what it read."""
        source = object.__new__(cls)
        source.pair = reader.pair
        source.name = reader.name
        source.rounded = reader.rounded
        source.bar_ns = reader.bar_ns
        source.reading = reader.reading
        source._bars = list(reader)
        source.notices = reader.notices
        source._digest = reader.input_digest()
        return source

    def _check(self) -> None:
        last: int | None = None
        for index, bar in enumerate(self._bars):
            if not isinstance(bar, Bar):
                raise DataError(
                    f"item {index} is a {type(bar).__name__}, not a Bar: give Bars, a dataframe or "
                    "the path of a file",
                    source=self.name,
                )
            if bar.pair != self.pair:
                raise DataError(
                    f"bar {index} is of {bar.pair}, not of {self.pair}: give each pair a source of "
                    "its own",
                    source=self.name,
                )
            if last is not None and bar.open_ns < last:
                raise DataError(
                    f"bar {index} opens at {format_ns(bar.open_ns)}, before the close of the one "
                    f"before it ({format_ns(last)}): sort the bars and remove duplicates",
                    source=self.name,
                )
            last = bar.close_ns
        if last is None:
            raise DataError("there are no bars: give at least one", source=self.name)

    def _name_lengths(self) -> int:
        """The nanoseconds by which the bars' length is known; each bar gets to know them, too."""
        lengths = Counter(bar.nominal_length for bar in self._bars)
        if len(lengths) > 1:
            for unit in _UNITS:
                if all(is_nominally(length, unit) for length in lengths):
                    self._bars = [_called(bar, unit) for bar in self._bars]
                    return unit
        return max(lengths, key=lambda length: (lengths[length], length))

    def __iter__(self) -> Iterator[Bar]:
        return iter(self._bars)

    def __len__(self) -> int:
        return len(self._bars)

    @property
    def cadence(self) -> Cadence:
        """How the bars follow each other."""
        return Cadence.of(self._bars)

    @property
    def end_ns(self) -> int:
        """The close of the last bar."""
        return self._bars[-1].close_ns

    def __repr__(self) -> str:
        return f"<{len(self)} bars of {self.pair} from {self.name}>"

    def digest(self) -> str:
        """SHA-256 of the file that the bars were loaded from, else their `canonical_digest`."""
        if self._digest is None:
            self._digest = canonical_digest(self._bars)
        return self._digest


def _called(bar: Bar, nominal: int) -> Bar:
    """``bar``, knowing the length by which its source is known."""
    start, end = bar.open_ns, bar.close_ns
    if bar.nominal_length == nominal:
        return bar
    prices = (bar.open, bar.high, bar.low, bar.close)
    return trusted_bar(bar.pair, start, end, *prices, bar.volume, nominal)
