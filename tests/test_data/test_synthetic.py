"""Made-up bars."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from math import sqrt
from typing import Any

import pytest

from backtest.data import SyntheticBars, synthetic_bars, synthetic_pairs
from backtest.errors import BacktestError
from backtest.models.bar import Bar
from backtest.models.trading_pair import TradingPair
from backtest.money import is_multiple
from backtest.times import MINUTE, to_ns

START = to_ns(datetime(2020, 1, 1, tzinfo=UTC))


def returns(source: SyntheticBars) -> list[float]:
    closes = [float(b.close) for b in source]
    return [after / before - 1 for before, after in pairwise(closes)]


def correlation(xs: list[float], ys: list[float]) -> float:
    mx, my = sum(xs) / len(xs), sum(ys) / len(ys)
    xy = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True))
    return xy / sqrt(sum((x - mx) ** 2 for x in xs) * sum((y - my) ** 2 for y in ys))


def test_every_bar_is_valid_and_in_its_place() -> None:
    source = synthetic_bars("BTCUSD", 500, seed=1, jump_rate=0.05, volatility=0.02)
    bars = list(source)
    assert len(bars) == len(source) == 500
    for i, b in enumerate(bars):
        # the validating constructor accepts what the generator made
        assert b == Bar("BTCUSD", b.open_ns, b.close_ns, b.open, b.high, b.low, b.close, b.volume)
        assert (b.open_ns, b.close_ns) == (START + i * MINUTE, START + (i + 1) * MINUTE)
        assert is_multiple(b.open, Decimal("0.01"))


def test_the_first_bars_are_these() -> None:
    """Fixed for ever: who has written a seed down gets the same bars next year."""
    shown = [
        [str(n) for n in (b.open, b.high, b.low, b.close, b.volume)]
        for b in synthetic_bars("BTCUSD", 2, seed=7)
    ]
    assert shown == [
        ["30001.04", "30086.23", "29989.80", "30077.12", "11.5172"],
        ["30078.08", "30119.25", "30054.41", "30099.83", "11.8413"],
    ]
    one = synthetic_bars("BTCUSD", 1000, seed=7, gap_rate=0.1, jump_rate=0.1)
    assert one.digest() == "5df5ebe259995e966bfc8942517cb20679f6713396a45bb39c0f3163b8febe67"
    last = synthetic_pairs(["A", "B", "C", "D"], 1000, 0.3, seed=7)[3]
    assert last.digest() == "ba91da7e90f5881580c83b40ec951ad0080c70a0ce35accb982a2ae01a0f531a"


@pytest.mark.parametrize("hash_seed", ["0", "1", "random"])
def test_another_process_makes_the_same(hash_seed: str) -> None:
    program = (
        "from backtest.data import synthetic_pairs\n"
        "for s in synthetic_pairs(['A', 'B'], 200, seed=5, gap_rate=0.1, jump_rate=0.1):\n"
        "    print(s.digest())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    here = synthetic_pairs(["A", "B"], 200, seed=5, gap_rate=0.1, jump_rate=0.1)
    assert done.stdout.split() == [source.digest() for source in here]


def test_each_iteration_begins_anew_and_others_do_not_disturb_it() -> None:
    source = synthetic_bars("X", 20, seed=1)
    first, second = iter(source), iter(source)
    assert [(next(first), next(second)) for _ in range(20)] == [(b, b) for b in source]


def test_seed_and_pair_make_a_difference() -> None:
    digests = {synthetic_bars(p, 20, seed=s).digest() for p in ("A", "B") for s in (0, 1)}
    assert len(digests) == 4


def test_increments_of_the_pair_are_kept() -> None:
    pair = TradingPair(
        "X", "A", "B", price_increment=Decimal("0.25"), volume_increment=Decimal("0.5")
    )
    for b in synthetic_bars(pair, 100, price=10, volatility=0.05):
        for number in (b.open, b.high, b.low, b.close):
            assert is_multiple(number, Decimal("0.25"))
            assert number > 0
        assert b.volume is not None
        assert is_multiple(b.volume, Decimal("0.5"))


def test_volatility_and_drift_are_as_asked() -> None:
    found = returns(synthetic_bars("X", 5000, price=100_000, volatility=0.01))
    mean = sum(found) / len(found)
    assert sqrt(sum((r - mean) ** 2 for r in found) / len(found)) == pytest.approx(0.01, rel=0.05)
    drifting = returns(synthetic_bars("X", 5000, price=100_000, volatility=0.001, drift=0.0005))
    assert sum(drifting) / len(drifting) == pytest.approx(0.0005, rel=0.1)


def test_gaps_are_missing_bars_and_never_longer_ones() -> None:
    bars = list(synthetic_bars("X", 2000, gap_rate=0.1))
    holes = [(b.open_ns - a.close_ns) // MINUTE for a, b in pairwise(bars)]
    assert {b.close_ns - b.open_ns for b in bars} == {MINUTE}
    assert set(holes) == set(range(11))
    assert sum(hole > 0 for hole in holes) == pytest.approx(200, rel=0.25)


def test_jumps_are_as_large_and_as_many_as_asked() -> None:
    found = returns(synthetic_bars("X", 2000, volatility=0.0001, jump_rate=0.05, jump_size=0.02))
    jumps = [r for r in found if abs(r) > 0.01]
    assert len(jumps) == pytest.approx(100, rel=0.25)
    assert all(abs(r) == pytest.approx(0.02, rel=0.05) for r in jumps)
    assert {r > 0 for r in jumps} == {True, False}


def test_volume_is_about_its_mean_or_absent() -> None:
    volumes = [b.volume for b in synthetic_bars("X", 2000, volume="5.5")]
    assert all(volume is not None and volume > 0 for volume in volumes)
    mean = sum((volume for volume in volumes if volume is not None), Decimal(0)) / 2000
    assert mean == pytest.approx(Decimal("5.5"), rel=Decimal("0.1"))
    assert {b.volume for b in synthetic_bars("X", 10, volume=None)} == {None}
    assert {b.volume for b in synthetic_bars("X", 10, volume=0)} == {Decimal(0)}


def test_a_price_at_its_smallest_stays_positive() -> None:
    bars = list(synthetic_bars("X", 500, price="0.01", volatility=0.5, jump_rate=0.5))
    assert min(b.low for b in bars) == Decimal("0.01")


def test_start_and_bar() -> None:
    source = synthetic_bars("X", 2, start=7, bar="1h")
    assert [b.open_ns for b in source] == [7, 7 + 60 * MINUTE]
    assert source.bar_ns == 60 * MINUTE


@pytest.mark.parametrize("wanted", [0.0, 0.5, 0.9, -0.3])
def test_pairs_are_correlated_as_asked(wanted: float) -> None:
    sources = synthetic_pairs(["A", "B", "C"], 4000, wanted, price=100_000)
    found = [returns(source) for source in sources]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert correlation(found[i], found[j]) == pytest.approx(wanted, abs=0.05)


def test_pairs_with_a_matrix_and_prices_of_their_own() -> None:
    matrix = [[1, 0.8, -0.5], [0.8, 1, -0.2], [-0.5, -0.2, 1]]
    prices: dict[str, Decimal | int | str] = {"A": 50_000, "B": "20000", "C": Decimal(90_000)}
    sources = synthetic_pairs(["A", "B", "C"], 4000, matrix, price=prices)
    found = [returns(source) for source in sources]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert correlation(found[i], found[j]) == pytest.approx(matrix[i][j], abs=0.05)
    for source in sources:
        assert float(next(iter(source)).open) == pytest.approx(float(prices[source.pair]), rel=0.01)


def test_one_pair_more_does_not_change_the_others() -> None:
    two = synthetic_pairs(["A", "B"], 50, seed=4)
    three = synthetic_pairs(["A", "B", "C"], 50, seed=4)
    assert [list(source) for source in two] == [list(source) for source in three[:2]]
    assert list(two[0]) == list(synthetic_bars("A", 50, seed=4))


def test_repr_names_what_it_is() -> None:
    assert repr(synthetic_bars("X", 3, seed=9)) == "<3 synthetic bars (seed 9) of X>"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n must be at least 1, not 0"),
        ({"volatility": -0.1}, "volatility must be between 0 and 0.5, not -0.1"),
        ({"volatility": float("nan")}, "volatility must be between 0 and 0.5, not nan"),
        ({"drift": 0.6}, "drift must be between 0 and 0.5"),
        ({"gap_rate": 1.5}, "gap_rate must be between 0 and 1.0"),
        ({"jump_rate": -1}, "jump_rate must be between 0 and 1.0"),
        ({"jump_size": 1}, "jump_size must be between 0 and 0.5"),
        ({"price": "0.001"}, "price must be at least one increment, 0.01, not 0.001"),
        ({"price": 1.5}, "price must be a Decimal, not the float 1.5"),
        ({"volume": -1}, "volume must be non-negative, not -1"),
        ({"start": datetime(2020, 1, 1)}, "start must know its time zone"),
        ({"bar": "x"}, "bar must be a length of time"),
    ],
)
def test_arguments_that_make_no_sense(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BacktestError) as caught:
        synthetic_bars("X", **{"n": 5, **arguments})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("pairs", "correlations", "prices", "message"),
    [
        ([], 0.5, 1, "pairs must be at least one and all different"),
        (["A", "A"], 0.5, 1, "all different"),
        (["A", "B"], 1.0, 1, "not positive definite"),
        (["A", "B", "C"], -0.9, 1, "not positive definite"),
        (["A", "B"], [[1.0]], 1, "must be a matrix of 2 rows and columns"),
        (["A", "B"], [[1.0, 0.5], [0.4, 1.0]], 1, "must be symmetric"),
        (["A", "B"], [[2.0, 0.5], [0.5, 1.0]], 1, "ones on its diagonal"),
        (["A", "B"], 0.5, {"A": 1}, "price has none for B"),
    ],
)
def test_pairs_that_make_no_sense(
    pairs: list[str], correlations: Any, prices: Any, message: str
) -> None:
    with pytest.raises(BacktestError) as caught:
        synthetic_pairs(pairs, 5, correlations, price=prices)
    assert message in str(caught.value)
