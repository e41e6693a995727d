"""Whatever bars there are, written to CSV and read back they are the same."""

from __future__ import annotations

import gzip
import tempfile
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.data import open_bars, write_csv
from backtest.errors import DataError
from backtest.models.bar import Bar
from backtest.money import plain
from backtest.times import from_ns
from tests.effort import examples

DIGITS = st.integers(min_value=0, max_value=12)
LENGTHS = st.sampled_from([1, 1_000, 10**9, 60 * 10**9, 86_400 * 10**9])


def price() -> st.SearchStrategy[Decimal]:
    whole = st.integers(min_value=1, max_value=10**14)
    return st.builds(lambda units, digits: Decimal(units).scaleb(-digits), whole, DIGITS)


def volume(least: int) -> st.SearchStrategy[Decimal]:
    whole = st.integers(min_value=least, max_value=10**14)
    return st.builds(lambda units, digits: Decimal(units).scaleb(-digits), whole, DIGITS)


@st.composite
def series(draw: st.DrawFn) -> tuple[list[Bar], int]:
    """Bars of one length that do not overlap, with gaps, and with volumes or without."""
    length = draw(LENGTHS)
    # Numbers of 1970 have the size of another unit, and may be refused for that.
    at = draw(st.integers(min_value=10**18, max_value=2**62))
    with_volume = draw(st.booleans())
    bars: list[Bar] = []
    for _ in range(draw(st.integers(min_value=1, max_value=8))):
        low, first, last, high = sorted(draw(st.lists(price(), min_size=4, max_size=4)))
        if draw(st.booleans()):
            first, last = last, first
        # Volumes of zero alone would be read as none.
        traded = draw(volume(1 if not bars else 0)) if with_volume else None
        bars.append(Bar("X", at, at + length, first, high, low, last, traded))
        at += length * draw(st.integers(min_value=1, max_value=1000))
    return bars, length


@settings(max_examples=examples(150), deadline=None)
@given(series(), st.booleans(), st.booleans())
def test_bars_written_and_read_back_are_identical(
    made: tuple[list[Bar], int], stream: bool, packed: bool
) -> None:
    bars, length = made
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bars.csv")
        assert write_csv(path, bars) == len(bars)
        if packed:
            path = path.with_suffix(".csv.gz")
            path.write_bytes(gzip.compress(path.with_suffix("").read_bytes()))
        source = open_bars(path, "X", bar=f"{length}ns", stream=stream)
        assert list(source) == bars
        assert source.bar_ns == length


@settings(max_examples=examples(100), deadline=None)
@given(series(), st.sampled_from([",", ";", "\t"]), st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_other_spellings_give_the_same_bars(
    made: tuple[list[Bar], int], delimiter: str, quoted: bool, newline: str
) -> None:
    """Microseconds as ISO times of the bars' close, delimiters, quotes and line ends."""
    bars, length = made
    bars = [
        Bar(
            b.pair,
            b.open_ns // 1000 * 1000,
            b.open_ns // 1000 * 1000 + length,
            b.open,
            b.high,
            b.low,
            b.close,
        )
        for b in bars
    ]
    if length % 1000:
        return
    lines = [["Time", "Open", "High", "Low", "Close"]]
    lines += [
        [from_ns(b.close_ns).isoformat(), *map(plain, (b.open, b.high, b.low, b.close))]
        for b in bars
    ]
    if quoted:
        lines = [[f'"{field}"' for field in line] for line in lines]
    text = newline.join(delimiter.join(line) for line in lines)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bars.tsv")
        path.write_bytes(text.encode())
        assert list(open_bars(path, "X", bar=f"{length}ns", stamp="close")) == bars


def bars_or_none(path: Path) -> list[Bar] | None:
    """The file's bars, or None if it was refused as it should be, with its name."""
    try:
        return list(open_bars(path, "X", bar="1d"))
    except DataError as error:
        if error.source != str(path):
            raise
        return None


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_rubbish_is_a_data_error_and_nothing_else(rubbish: bytes, headed: bool) -> None:
    head = b"ts,open,high,low,close\n2020-01-01,1,1,1,1\n" if headed else b""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bars.csv")
        path.write_bytes(head + rubbish)
        bars = bars_or_none(path)
    if bars is not None:
        assert headed
        assert bars[0].open == 1


@settings(max_examples=examples(300), deadline=None)
@given(
    st.lists(
        st.text(alphabet="0123456789.,-+eE:TZ \"'\r\n\tnaifNI_/", max_size=24),
        min_size=5,
        max_size=5,
    )
)
def test_a_row_of_nearly_numbers_is_a_bar_or_a_data_error(fields: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bars.csv")
        path.write_text("ts,open,high,low,close\n" + ",".join(fields), newline="")
        bars = bars_or_none(path)
    for b in bars or ():
        assert Bar(b.pair, b.open_ns, b.close_ns, b.open, b.high, b.low, b.close, b.volume) == b
