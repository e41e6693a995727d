"""By when it is known that no bar is under way."""

from __future__ import annotations

import pytest

from backtest.models import Bar
from backtest.services.cadence import Cadence

from .walking import D


def bars(*times: tuple[int, int]) -> list[Bar]:
    return [Bar("X", opens, closes, D(1), D(1), D(1), D(1)) for opens, closes in times]


def test_bars_of_one_length_lie_on_a_grid_or_do_not() -> None:
    assert Cadence.of(bars((70, 130), (130, 190), (310, 370))) == Cadence(60, 10)
    assert Cadence.of(bars((70, 130), (140, 200))) == Cadence(60, None)
    assert Cadence.of(bars((70, 130), (130, 150))) == Cadence(None, None)


@pytest.mark.parametrize(
    ("due", "known"), [(120, 120), (121, 180), (179, 180), (180, 180), (181, 240), (1200, 1200)]
)
def test_on_a_grid_the_bar_under_way_ends_at_its_next_point(due: int, known: int) -> None:
    assert Cadence(60, 0).settled_ns(due) == known


def test_off_the_grid_it_ends_within_a_length() -> None:
    # A bar that opened just before 120 ends just before 180.
    assert Cadence(60).settled_ns(120) == 180


def test_a_bar_of_no_known_length_may_be_under_way_for_ever() -> None:
    assert Cadence().settled_ns(120) is None
