"""Falls of equity: depth, length and recovery, by hand."""

from __future__ import annotations

from decimal import Decimal as D
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from backtest.analysis.statistics.drawdowns import deepest_share, drawdowns


def curve(*equities: int) -> list[tuple[int, D]]:
    """Equity at 0, 1, 2, …"""
    return [(at, D(equity)) for at, equity in enumerate(equities)]


def test_a_fall_goes_from_the_last_moment_of_its_peak_to_where_it_is_reached_again() -> None:
    #              0    1    2   3   4   5    6    7    8   9
    falls = drawdowns(curve(100, 100, 90, 80, 95, 100, 120, 120, 60, 90))
    first, second = falls
    assert (first.peak_ns, first.trough_ns, first.recovered_ns) == (1, 3, 5)
    assert (first.fall, first.share) == (D(20), D("0.2"))
    assert (first.length_ns, first.recovery_ns) == (4, 2)
    # From 120 at 7 to 60 at 8, not made good at the end.
    assert (second.peak_ns, second.trough_ns, second.recovered_ns) == (7, 8, None)
    assert (second.fall, second.share) == (D(60), D("0.5"))
    assert (second.length_ns, second.recovery_ns) == (2, None)


def test_what_never_falls_has_no_drawdown() -> None:
    assert drawdowns([]) == []
    assert drawdowns(curve(1, 1, 2, 3)) == []
    assert deepest_share([D(1), D(2)]) == 0


def test_of_a_peak_below_zero_there_is_no_share() -> None:
    (fall,) = drawdowns(curve(-1, -3))
    assert fall.fall == D(2)
    assert fall.share is None


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30))
def test_falls_do_not_overlap_and_the_deepest_is_the_deepest(equities: list[int]) -> None:
    falls = drawdowns(curve(*equities))
    for before, after in pairwise(falls):
        assert before.recovered_ns is not None
        assert before.recovered_ns <= after.peak_ns
    shares = [fall.share for fall in falls]
    assert max((one for one in shares if one is not None), default=D(0)) == deepest_share(
        [D(one) for one in equities]
    )
    brute = max(
        (a - b for at, a in enumerate(equities) for b in equities[at:]),
        default=0,
    )
    assert max((fall.fall for fall in falls), default=D(0)) == brute
