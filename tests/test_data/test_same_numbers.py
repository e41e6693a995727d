"""The same numbers are the same bars, quotes and trades, whatever they are written in."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backtest
from backtest.data import canonical_digest, open_bars, open_data, tick_digest, write_csv
from backtest.errors import DataError, FieldError
from backtest.models import Bar, Quote, Trade, TradingPair
from backtest.strategies import Strategy
from backtest.times import MINUTE
from tests.effort import examples
from tests.harness import without_ids

np: Any = pytest.importorskip("numpy")
pa: Any = pytest.importorskip("pyarrow")
pq: Any = pytest.importorskip("pyarrow.parquet")
pd: Any = pytest.importorskip("pandas")

D = Decimal
T = 1_577_836_800_000_000_000  # 2020-01-01
PRICES = ("open", "high", "low", "close")
GRID = TradingPair("BTCUSD", "BTC", "USD", price_increment=D("0.5"), volume_increment=D("0.5"))


class Foreign:
    """A frame of an unknown library: all it has is an Arrow stream, as polars frames do."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)


def plain(value: Decimal) -> str:
    return format(value, "f")


def forms(columns: dict[str, list[Decimal]], folder: Path, *, single: bool) -> Iterator[Any]:
    """The same table in every form that there is; ``single``: with floats of four bytes, too."""
    times = [T + place * MINUTE for place in range(len(columns["ts"]))]
    numbers = {name: values for name, values in columns.items() if name != "ts"}
    lines = zip(times, *(map(plain, values) for values in numbers.values()), strict=True)
    path = folder / "rows.csv"
    rows = "".join(",".join(map(str, line)) + "\n" for line in lines)
    path.write_text(",".join(["ts_ns", *numbers]) + "\n" + rows)
    yield path
    arrays: dict[str, Any] = {
        "text": lambda values: pa.array(map(plain, values)),
        "float64": lambda values: pa.array(map(float, values)),
        "decimal": lambda values: pa.array(values, pa.decimal256(60, 30)),
    }
    if single:
        arrays["float32"] = lambda values: pa.array(map(float, values), pa.float32())
    for name, make in arrays.items():
        made = {column: make(values) for column, values in numbers.items()}
        table = pa.table({"ts_ns": pa.array(times), **made})
        pq.write_table(table, folder / f"{name}.parquet")
        yield from (
            table,
            Foreign(table),
            folder / f"{name}.parquet",
            table.to_pandas(),
            table.to_pandas(types_mapper=pd.ArrowDtype),
        )
    yield pd.DataFrame(
        {"ts_ns": times, **{n: pd.Series(v, dtype=object) for n, v in numbers.items()}}
    )


@st.composite
def tables(draw: st.DrawFn, digits: int = 15) -> dict[str, list[Decimal]]:
    """Rows of bars: numbers of as many digits as a float keeps, large, small and off every grid."""
    columns: dict[str, list[Decimal]] = {name: [] for name in ("ts", *PRICES, "volume")}
    whole = st.integers(1, 10**digits - 1)
    for _ in range(draw(st.integers(2, 4))):
        scale = draw(st.integers(-16, 1))
        low, first, second, high = sorted(draw(whole) for _ in PRICES)
        turns = draw(st.booleans())
        row = (second, high, low, first) if turns else (first, high, low, second)
        for name, number in zip(PRICES, row, strict=True):
            columns[name].append(D(number).scaleb(scale))
        # Not zeros alone, which count as no volumes in a file.
        least = 0 if columns["volume"] else 1
        columns["volume"].append(
            D(draw(st.integers(least, 10**digits - 1))).scaleb(draw(st.integers(-12, 0)))
        )
        columns["ts"].append(D(0))
    return columns


@settings(max_examples=examples(8, soak=500))
@given(data=st.data(), single=st.booleans(), pair=st.sampled_from(["BTCUSD", GRID]))
def test_bars_are_the_same_from_every_source(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, single: bool, pair: Any
) -> None:
    columns = data.draw(tables(6 if single else 15))
    folder = tmp_path_factory.mktemp("forms")
    # A column of zeros counts as none, wherever it stands.
    known = any(columns["volume"])
    volumes = columns["volume"] if known else [None] * len(columns["volume"])
    numbers: list[list[Any]] = [*(columns[name] for name in PRICES), volumes]
    by_hand = [
        Bar("BTCUSD", T + place * MINUTE, T + (place + 1) * MINUTE, *row)
        for place, row in enumerate(zip(*numbers, strict=True))
    ]
    digest = canonical_digest(open_bars(by_hand, pair))
    for count, form in enumerate(forms(columns, folder, single=single)):
        for stream in (False, True):
            bars = list(open_bars(form, pair, stream=stream))
            assert bars == by_hand
            assert canonical_digest(bars) == digest
            write_csv(folder / f"{count}.csv", bars)
            assert (folder / f"{count}.csv").read_bytes() == (folder / "0.csv").read_bytes()


@pytest.mark.parametrize("kind", ["quotes", "trades"])
def test_quotes_and_trades_too(tmp_path: Path, kind: str) -> None:
    low, high = [D("1.2345E-7"), D("99.99")], [D("1.2346E-7"), D("100.01")]
    if kind == "quotes":
        columns = {"ts": low, "bid": low, "ask": high, "bid_size": high, "ask_size": low}
        times = (T, T + MINUTE)
        ticks: list[Any] = [
            Quote("BTCUSD", *row) for row in zip(times, low, high, high, low, strict=True)
        ]
    else:
        columns = {"ts": low, "price": low, "volume": high}
        ticks = [Trade("BTCUSD", T, low[0], high[0]), Trade("BTCUSD", T + MINUTE, low[1], high[1])]
    for form in forms(columns, tmp_path, single=False):
        for stream in (False, True):
            found: Any = list(open_data(form, GRID, stream=stream, kind=kind))
            assert found == ticks
            assert tick_digest(found) == tick_digest(ticks)


class Trades(Strategy):
    """Does a little of everything, at prices on the grid."""

    async def run(self) -> None:
        bars = self.bars("PEPEUSD")
        await anext(bars)
        pair = self.pair_of("PEPEUSD")
        await self.buy("PEPEUSD", 10**9)
        await self.long("PEPEUSD", 10**6, leverage=2, stop_loss=pair.round_price("0.000001"))
        await self.buy("PEPEUSD", 10**6, trail=pair.round_price("0.0000001"))
        await self.buy("PEPEUSD", 10**6, limit_price=pair.round_price("0.00000123456789"))
        await anext(bars)
        await self.sell("PEPEUSD", 10**9)
        async for _ in bars:
            pass


ROWS = [
    ("0.0000012345", "0.00000125", "0.0000012345", "0.0000012345"),
    ("0.0000012345", "0.0000012345", "0.00000123", "0.0000012345"),
    ("0.0000012399", "0.0000012399", "0.0000009", "0.0000012399"),
    ("0.0000012399", "0.000001241", "0.0000012399", "0.00000124"),
]


def test_a_run_is_the_same_from_every_source(tmp_path: Path) -> None:
    columns = {name: [D(row[place]) for row in ROWS] for place, name in enumerate(PRICES)}
    seen = None
    for form in forms({**columns, "ts": columns["open"]}, tmp_path, single=False):
        result = backtest.run(
            Trades(), data=form, pair="PEPEUSD", cash="10000 USD", rules={"path": "adaptive"}
        )
        assert result.verify().ok
        fills = [(one.price, one.volume, one.point, one.timestamp_ns) for one in result.fills]
        rows = without_ids(result.ledger.rows())
        found = result.journal_sha256, rows, fills, result.final_equity
        assert len(fills) == 6
        assert seen in (None, found)
        seen = found


def test_tiny_prices_make_the_profit_that_they_make() -> None:
    class Once(Strategy):
        async def run(self) -> None:
            bars = self.bars("BTCUSD")
            await anext(bars)
            await self.buy("BTCUSD", 10**9)
            await anext(bars)
            await self.sell("BTCUSD", 10**9)

    # 10^9 bought at 0.0000012345 and sold at 0.0000012399: 1234.50 and 1239.90.
    prices = [1.2345e-6, 1.2345e-6, 1.2399e-6, 1.2399e-6]
    index = pd.date_range("2023-05-01", periods=4, freq="1min")
    frame = pd.DataFrame(dict.fromkeys(PRICES, prices), index=index)
    for rules in (
        None,
        {"pairs": {"BTCUSD": {"price_increment": "data"}}},
        {"pairs": {"BTCUSD": {"price_increment": "0.00000001"}}},
    ):
        result = backtest.run(Once(), data=frame, pair="BTCUSD", cash="10000 USD", rules=rules)
        assert result.final_equity == D("10005.40")
        assert [one.price for one in result.fills] == [D("0.0000012345"), D("0.0000012399")]


# -- the noise of sums of floats -------------------------------------------------------------------

NOISY = {
    "open": [D("100"), D("0.1"), D("5")],
    "high": [D("100"), D("0.3"), D("5")],
    "low": [D("99"), D("0.1"), D("5.0000000000000009")],
    "close": [D("100.00000000000001"), D("0.30000000000000004"), D("5")],
}
"""The closes of two rows are above the highs, by 1e-16 and 1.3e-16 of them; the low of the third is
above all else."""


def widened(source: Any) -> list[tuple[Decimal, Decimal]]:
    return [(one.high, one.low) for one in source]


def test_a_high_or_low_is_widened_by_noise_and_the_source_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for form in forms({**NOISY, "ts": NOISY["open"]}, tmp_path, single=False):
        for stream in (False, True):
            source = open_bars(form, "BTCUSD", stream=stream)
            for _ in range(2):
                assert widened(source) == [
                    (D("100.00000000000001"), D(99)),
                    (D("0.30000000000000004"), D("0.1")),
                    (D(5), D(5)),
                ]
            (told,) = caplog.messages
            caplog.clear()
            assert told.startswith("data.widened source=")
            assert "bar='high 100" in told
            assert "taken as 100.00000000000001'" in told
            assert "time='2020-01-01T00:00:00+00:00'" in told
            assert canonical_digest(source) == canonical_digest(list(source))


def test_bars_made_by_hand_are_widened_too(caplog: pytest.LogCaptureFixture) -> None:
    rows = zip(*(NOISY[name] for name in PRICES), strict=True)
    bars = [
        Bar("BTCUSD", T + place * MINUTE, T + (place + 1) * MINUTE, *row)
        for place, row in enumerate(rows)
    ]
    assert widened(open_bars(bars, "BTCUSD")) == [
        (D("100.00000000000001"), D(99)),
        (D("0.30000000000000004"), D("0.1")),
        (D(5), D(5)),
    ]
    assert caplog.text.count("data.widened") == 3


@pytest.mark.parametrize(
    ("name", "price", "sound"),
    [
        ("close", "1.00000000000099", True),  # 9.9e-13 of it above the high of 1
        ("close", "1.000000000001", True),  # 1e-12 less a little, of the close
        ("close", "1.0000000000011", False),
        ("open", "0.899999999999101", True),  # 8.99e-13, below the low of 0.9
        ("open", "0.8999999999991", False),  # 9.0e-13 are 1e-12 of it and more
    ],
)
def test_how_much_is_noise(tmp_path: Path, name: str, price: str, sound: bool) -> None:
    row = {"open": "1", "high": "1", "low": "0.9", "close": "1"} | {name: price}
    columns = {one: [D(row[one])] * 2 for one in PRICES}
    for form in forms({**columns, "ts": columns["open"]}, tmp_path, single=False):
        if sound:
            assert len(list(open_bars(form, "BTCUSD"))) == 2
        else:
            with pytest.raises(DataError, match=f"{name} .* is (above|below) "):
                open_bars(form, "BTCUSD")
    numbers = [D(row[one]) for one in PRICES]
    if sound:
        Bar("BTCUSD", 0, MINUTE, *numbers)
    else:
        with pytest.raises(FieldError, match=f"{name} must lie between"):
            Bar("BTCUSD", 0, MINUTE, *numbers)


def test_single_precision_is_no_noise(tmp_path: Path) -> None:
    # A high of float32, a close of float64: 100.1 and 100.10000000000001 are noise, 100.09999 and
    # 100.1 are two prices.
    frame = pd.DataFrame({"ts_ns": [T, T + MINUTE], **dict.fromkeys(PRICES, 100.1)})
    frame["high"] = pd.Series([100.1, 100.1], dtype="float32")
    frame["close"] = 100.10000000000001
    assert widened(open_bars(frame, "X")) == [(D("100.10000000000001"), D("100.1"))] * 2
    frame["high"] = pd.Series([100.09999, 100.1], dtype="float32")
    frame["low"] = 99.0
    with pytest.raises(DataError, match=r"open 100\.1 is above high 100\.09999") as caught:
        open_bars(frame, "X")
    assert caught.value.line == 1
