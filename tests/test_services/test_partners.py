"""One-cancels-other groups on the walk along a bar: one path for all, and one of them fills."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.models import Bar
from backtest.services.fills.walk import BarWalk, Group, Hit, Terms, Working
from tests.test_services.walking import D, bar, opened, order, rules


def walked(made: Bar, *entries: Working, path: str = "pessimistic", pool: Any = None) -> list[Hit]:
    """What fills of ``entries``, which are partners: the first that does ends the others."""
    groups = [Group(one) for one in entries]
    limit = None if pool is None else D(pool)
    walk = BarWalk(made, [Group(None, partners=groups)], rules(path=path), (limit, limit))
    hits = []
    while (hit := walk.next()) is not None:
        if hit.passed:
            walk.drop(hit.working)
            continue
        hits.append(hit)
        walk.report(hit, hit.volume, opened(hit))
        for one in entries:
            if one is not hit.working:
                walk.drop(one)
    return hits


def told(hits: list[Hit]) -> list[tuple[str, str, Decimal, bool]]:
    return [(one.working.kind, one.point, one.price, one.ambiguous) for one in hits]


def test_within_a_rank_the_path_decides_and_not_the_queue() -> None:
    # Falling from 100 to 90 it comes to 97 first; in the queue the stop would stand before limits.
    near = order("limit", True, 97, sequence=2)
    far = order("stop", False, 95, sequence=1)
    assert told(walked(bar(100, 100, 90, 92), far, near)) == [("limit", "low", D(97), False)]


def test_at_one_price_entries_go_by_kind_then_by_acceptance() -> None:
    first, second = (order("stop", False, 95, sequence=number) for number in (1, 2))
    (hit,) = walked(bar(100, 100, 90, 92), second, first)
    assert hit.working is first


def test_the_path_with_the_lower_value_is_taken() -> None:
    # Bought at 96 and worth 104, +8; sold at 103, -1 at the close.
    low, high = order("limit", True, 96), order("limit", False, 103)
    assert told(walked(bar(100, 105, 95, 104), low, high)) == [("limit", "high", D(103), True)]


@pytest.mark.parametrize(
    ("path", "kind"), [("open_high_low_close", "stop"), ("open_low_high_close", "limit")]
)
def test_a_fixed_path(path: str, kind: str) -> None:
    up, down = order("stop", True, 104), order("limit", True, 96)
    ((found, _, _, ambiguous),) = told(walked(bar(100, 105, 95, 100), up, down, path=path))
    assert (found, ambiguous) == (kind, True)


def test_a_stop_limit_whose_stop_is_reached_has_not_filled() -> None:
    # 102 is reached on the way up, its limit of 101 only on the way down, after 104 on the way up.
    turning = order("stop_limit", True, 102, terms=Terms(limit=D(101)))
    stop = order("stop", True, 104)
    hits = walked(bar(100, 105, 95, 100), turning, stop, path="open_high_low_close")
    assert told(hits)[0][:3] == ("stop", "high", D(104))


def test_a_trailing_stop_that_is_not_reached_moves_on() -> None:
    trailing = order("trailing_stop", False, 95, terms=Terms(trail=D(5)))
    limit = order("limit", False, 120)
    assert walked(bar(107, 110, 106, 109), trailing, limit) == []
    assert trailing.price == 105


def test_a_post_only_order_that_would_take_is_no_fill() -> None:
    maker = order("limit", True, 101, fresh=True, terms=Terms(maker_only=True))
    other = order("limit", True, 96)
    assert told(walked(bar(100, 105, 95, 100), maker, other)) == [("limit", "low", D(96), False)]


def test_without_volume_there_is_nothing_to_choose() -> None:
    assert (
        walked(bar(100, 105, 95, 100), order("stop", True, 104), order("stop", False, 96), pool=0)
        == []
    )


ENTRIES = st.lists(
    st.tuples(st.sampled_from(["limit", "stop", "market"]), st.booleans(), st.integers(90, 110)),
    min_size=2,
    max_size=4,
)


def _entries(drawn: list[tuple[Any, bool, int]]) -> list[Working]:
    return [
        order(kind, buy, None if kind == "market" else price, sequence=number)
        for number, (kind, buy, price) in enumerate(drawn, 1)
    ]


def _value(hits: list[Hit], close: Decimal) -> Decimal:
    return sum(((close - one.price) * (1 if one.working.buy else -1) for one in hits), Decimal(0))


@given(ENTRIES, st.lists(st.integers(92, 108), min_size=2, max_size=2))
def test_one_fills_at_most_and_pessimistically_the_worse(
    drawn: list[tuple[Any, bool, int]], ends: list[int]
) -> None:
    made = bar(ends[0], max(*ends, 105), min(*ends, 95), ends[1])
    by_path = {
        path: walked(made, *_entries(drawn), path=path)
        for path in ("pessimistic", "open_high_low_close", "open_low_high_close")
    }
    values = {path: _value(hits, made.close) for path, hits in by_path.items()}
    assert all(len(hits) <= 1 for hits in by_path.values())
    fixed = values["open_high_low_close"], values["open_low_high_close"]
    assert values["pessimistic"] == min(fixed)
    same = [
        [(one.working.sequence, one.price) for one in by_path[path]]
        for path in ("open_high_low_close", "open_low_high_close")
    ]
    for hits in by_path.values():
        assert all(one.ambiguous is (same[0] != same[1]) for one in hits)
