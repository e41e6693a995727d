"""The merge by time."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.data import MemoryBars, merge, synthetic_pairs
from backtest.errors import DataError
from backtest.models.bar import Bar

ONE = Decimal(1)


def bar(pair: str, close_ns: int, length: int = 1) -> Bar:
    return Bar(pair, close_ns - length, close_ns, ONE, ONE, ONE, ONE)


def shown(bars: Iterator[Bar]) -> list[tuple[str, int]]:
    return [(b.pair, b.close_ns) for b in bars]


def test_by_close_time_then_by_the_order_of_the_sources() -> None:
    z = [bar("Z", 10), bar("Z", 20), bar("Z", 40)]
    a = [bar("A", 5), bar("A", 20), bar("A", 30), bar("A", 40)]
    # at 20 and at 40 both close: Z was registered first
    assert shown(merge([z, a])) == [
        ("A", 5),
        ("Z", 10),
        ("Z", 20),
        ("A", 20),
        ("A", 30),
        ("Z", 40),
        ("A", 40),
    ]


def test_a_longer_bar_comes_when_it_closes() -> None:
    minutes = [bar("M", at) for at in (1, 2, 3, 4)]
    long = [bar("L", 3, length=3)]
    assert shown(merge([long, minutes])) == [("M", 1), ("M", 2), ("L", 3), ("M", 3), ("M", 4)]


def test_one_source_is_handed_through() -> None:
    bars = iter([bar("A", 1)])
    assert merge([bars]) is bars


def test_none_and_empty_sources() -> None:
    assert list(merge([])) == []
    assert shown(merge([[], [bar("A", 1)], []])) == [("A", 1)]
    assert list(merge([[], []])) == []


def test_sources_are_read_one_bar_ahead_of_need_at_most() -> None:
    taken: list[int] = []

    def source(step: int) -> Iterator[Bar]:
        for at in range(step, 1000, step):
            taken.append(at)
            yield bar(f"S{step}", at)

    merged = merge([source(2), source(3)])
    assert taken == []  # nothing is read before it is asked for
    assert [next(merged).close_ns for _ in range(3)] == [2, 3, 4]
    assert sorted(taken) == [2, 3, 4, 6]


@pytest.mark.parametrize("others", [[], [bar("B", 1), bar("B", 100)]], ids=["at-the-end", "amid"])
def test_a_source_that_goes_back_is_named(others: list[Bar]) -> None:
    bad = [bar("A", 5), bar("A", 7), bar("A", 7)]
    with pytest.raises(DataError, match="source 2: the bars of A do not go forward in time"):
        list(merge([others, bad]))

    class Named(list[Bar]):
        name = "bad.csv"

    with pytest.raises(DataError, match=r"bad\.csv: .* sort them by time and remove duplicates"):
        list(merge([Named(bad), others]))


@given(st.lists(st.sets(st.integers(1, 60), max_size=20), max_size=6))
def test_as_sorting_would_do(times: list[set[int]]) -> None:
    sources = [[bar(f"P{i}", at) for at in sorted(closes)] for i, closes in enumerate(times)]
    wanted = sorted((b.close_ns, i) for i, source in enumerate(sources) for b in source)
    assert shown(merge(sources)) == [(f"P{i}", at) for at, i in wanted]


def test_sources_of_all_kinds_merge() -> None:
    first, second, third = synthetic_pairs(["A", "B", "C"], 50, seed=3, gap_rate=0.2)
    merged = list(merge([first, MemoryBars(second, "B"), list(third)]))
    assert len(merged) == 150
    assert [b.close_ns for b in merged] == sorted(b.close_ns for b in merged)
    assert [b for b in merged if b.pair == "B"] == list(second)
