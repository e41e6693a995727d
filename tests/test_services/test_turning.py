"""Stop-limits, trailing stops and orders with one look, on the path of one bar."""

from __future__ import annotations

from typing import Any

import pytest

from backtest.errors import FieldError
from backtest.services.fills.walk import (
    CLOSE_ONLY,
    NOT_ON_THIS_BAR,
    OPEN_ONLY,
    BarWalk,
    Group,
    Terms,
    Working,
    trailed,
)

from .walking import CENT, D, Done, bar, done, follow, order, part, rules

HIGH_FIRST = rules(path="open_high_low_close")
LOW_FIRST = rules(path="open_low_high_close")


def stop_limit(buy: bool, stop: Any, limit: Any, volume: Any = 1, **more: Any) -> Working:
    terms = Terms(D(limit), **{name: more.pop(name) for name in ("immediate",) if name in more})
    return order("stop_limit", buy, stop, volume, terms=terms, **more)


def trailing(buy: bool, level: Any, volume: Any = 1, **more: Any) -> Working:
    terms = Terms(trail=D(more.pop("trail")))
    return order("trailing_stop", buy, level, volume, terms=terms, **more)


@pytest.mark.parametrize(
    ("buy", "price", "terms", "level"),
    [
        (False, 100, {"trail": D(3)}, 97),
        (True, 100, {"trail": D(3)}, 103),
        (False, "100.01", {"trail_percent": D(1)}, "99.00"),  # 99.0099, down
        (True, "100.01", {"trail_percent": D(1)}, "101.02"),  # 101.0101, up
        (False, "100.005", {"trail": D(1)}, "99.00"),  # a price off the increment
        (True, "100.005", {"trail": D(1)}, "101.01"),
    ],
)
def test_where_a_trailing_stop_stands(buy: bool, price: Any, terms: Any, level: Any) -> None:
    own = Terms(trail=terms.get("trail"), trail_percent=terms.get("trail_percent"))
    assert trailed(buy, D(price), own, CENT) == D(level)


def test_a_stop_limit_becomes_a_limit_for_good() -> None:
    working = stop_limit(True, 105, 103, fresh=True)
    assert (working.is_limit, working.rises, working.turns) == (False, True, True)
    working.to_limit()
    assert (working.kind, working.price, working.is_limit) == ("limit", D(103), True)
    assert (working.rises, working.fresh, working.turns) == (False, False, False)


def test_what_has_no_limit_cannot_become_one() -> None:
    for working in (order("stop", True, 5), trailing(True, 5, trail=1)):
        with pytest.raises(FieldError, match="limit must be set"):
            working.to_limit()


def test_its_trigger_is_listed_whether_it_fills_or_not() -> None:
    fills, rests = stop_limit(True, 105, 107), stop_limit(True, 105, 101)
    walk = BarWalk(bar(104, 108, 103, 106), [Group(fills), Group(rests)], LOW_FIRST)
    assert done(follow(walk)) == [Done("limit", "high", D(105), D(1))]
    assert walk.triggered == [fills, rests]
    assert (rests.kind, rests.price, rests.volume) == ("limit", D(101), D(1))


def test_one_that_was_dropped_is_not_triggered() -> None:
    working = stop_limit(True, 105, 107)
    walk = BarWalk(bar(104, 108, 103, 106), [Group(working)], LOW_FIRST)
    walk.drop(working)
    assert walk.next() is None
    assert (walk.triggered, working.kind) == ([], "stop_limit")


def test_the_limit_of_a_triggered_one_competes_as_a_limit() -> None:
    # All three are reached on the way up. The stop goes first, then limits by better price: the
    # stop-limit's 107 before 106, though the price comes to 106 before it.
    cap = (D(2), D(2))
    own = stop_limit(True, 105, 107, sequence=3)
    other = order("limit", True, 106, sequence=1)
    stop = order("stop", True, 107, sequence=2)
    walk = BarWalk(
        bar(104, 108, 104, 108), [Group(other), Group(stop), Group(own)], HIGH_FIRST, cap
    )
    hits = follow(walk)
    assert [hit.working for hit in hits] == [other, stop]
    # 106 was marketable at the open: rank 0. Of the rest of rank 1 the stop took what there was.
    assert walk.triggered == [stop, own]


def test_an_immediate_stop_limit_has_one_look() -> None:
    for limit, fills in ((104, []), (106, [Done("limit", "high", D(105), D(1))])):
        working = stop_limit(True, 105, limit, immediate=True)
        walk = BarWalk(bar(103, 106, 102, 103), [Group(working)], LOW_FIRST)
        assert done(follow(walk)) == fills
        assert walk.triggered == [working]


def test_a_part_that_is_gone_triggers_nothing() -> None:
    # The stop-loss at 97 closes all before the price reaches the stop-limit at 95.
    close = stop_limit(False, 95, 94)
    held = part(True, 100, stop_loss=97, closes=[close])
    walk = BarWalk(bar(99, 99, 94, 95), [Group(None, parts=[held])], LOW_FIRST)
    assert done(follow(walk)) == [Done("stop_loss", "low", D(97), D(1))]
    assert close.kind == "stop_limit"


def test_a_closing_stop_limit_goes_on_in_its_lane() -> None:
    # Reached at 97 falling, limit 98: it takes no more than 1 of 3 when the price is back there.
    close = stop_limit(False, 97, 98)
    held = part(True, 100, 3, closes=[close])
    walk = BarWalk(bar(99, 101, 96, 100), [Group(None, parts=[held])], LOW_FIRST)
    assert done(follow(walk)) == [Done("limit", "high", D(98), D(1))]
    assert held.volume == 2


@pytest.mark.parametrize(
    ("path", "level", "hits"),
    [
        (HIGH_FIRST, 105, [Done("trailing_stop", "low", D(105), D(1))]),
        (LOW_FIRST, 105, []),
    ],
)
def test_the_level_moves_at_the_end_of_a_segment(path: Any, level: int, hits: list[Done]) -> None:
    working = trailing(False, 95, trail=5)
    walk = BarWalk(bar(100, 110, 100, 106), [Group(working)], path)
    assert done(follow(walk)) == hits
    assert working.price == level
    assert walk.trailed == ([] if hits else [working])
    assert working.triggered is bool(hits)


def test_a_level_that_does_not_move_is_not_told() -> None:
    working = trailing(False, 95, trail=5)
    walk = BarWalk(bar(98, 99, 97, 98), [Group(working)], HIGH_FIRST)
    assert follow(walk) == []
    assert (walk.trailed, working.price) == ([], D(95))


@pytest.mark.parametrize(
    ("more", "level"),
    [
        ({}, 105),
        ({"end": OPEN_ONLY}, 97),
        ({"start": CLOSE_ONLY}, 101),
        ({"start": NOT_ON_THIS_BAR}, 95),
        ({"blocked": True}, 95),
    ],
)
def test_only_prices_that_count_move_it(more: dict[str, Any], level: int) -> None:
    working = trailing(False, 95, trail=5, **more)
    walk = BarWalk(bar(102, 110, 101, 106), [Group(working)], LOW_FIRST)
    assert follow(walk) == []
    assert working.price == level


def test_a_triggered_one_is_a_market_order() -> None:
    working = trailing(False, 95, trail=5, triggered=True)
    walk = BarWalk(bar(102, 110, 101, 106), [Group(working)], LOW_FIRST)
    assert done(follow(walk)) == [Done("trailing_stop", "open", D(102), D(1))]
    assert (working.turns, walk.trailed) == (False, [])


def test_a_trailing_exit_of_a_part_opened_on_the_bar() -> None:
    # Opened at 104 on the way from 102 to 110; its trailing stop begins at 101. At 110 it moves to
    # 107, and the fall to 101 meets it there.
    entry = order("stop", True, 104)
    walk = BarWalk(bar(102, 110, 101, 106), [Group(entry)], HIGH_FIRST)
    hit = walk.next()
    assert hit is not None
    held = part(True, 104, closes=[trailing(False, 101, trail=3)])
    walk.report(hit, D(1), held)
    assert done(follow(walk)) == [Done("trailing_stop", "low", D(107), D(1))]
    # One that is not met is moved: up to the high it stands at 107, which 108 does not reach.
    entry = order("stop", True, 104)
    walk = BarWalk(bar(102, 110, 102, 108), [Group(entry)], LOW_FIRST)
    hit = walk.next()
    assert hit is not None
    close = trailing(False, 101, trail=3)
    walk.report(hit, D(1), part(True, 104, closes=[close]))
    assert follow(walk) == []
    assert (walk.trailed, close.price) == ([close], D(107))


def test_only_the_first_price_of_an_order_with_one_look_counts() -> None:
    for price, fills in ((100, []), (102, [Done("limit", "open", D(102), D(1))])):
        working = order("limit", True, price, end=OPEN_ONLY)
        walk = BarWalk(bar(102, 110, 90, 106), [Group(working)], LOW_FIRST)
        assert done(follow(walk)) == fills


def test_all_or_nothing() -> None:
    working = order("market", True, None, 3, terms=Terms(immediate=True, whole=True))
    walk = BarWalk(bar(100, 100, 100, 100, 2), [Group(working)], rules(), (D(2), D(2)))
    assert follow(walk) == []
    walk = BarWalk(bar(100, 100, 100, 100, 3), [Group(working)], rules(), (D(3), D(3)))
    assert done(follow(walk)) == [Done("market", "open", D(100), D(3))]


def test_what_must_not_take_is_passed_by_whatever_the_pool() -> None:
    for cap in (None, D(0), D(5)):
        working = order("limit", True, 101, 2, fresh=True, terms=Terms(maker_only=True))
        walk = BarWalk(bar(100, 100, 100, 100), [Group(working)], rules(), (cap, cap))
        hit = walk.next()
        assert hit is not None
        assert (hit.passed, hit.taker, hit.volume) == (True, True, D(2))
        assert walk.pools == (cap, cap)


def test_a_post_only_order_that_takes_on_both_paths_opens_nothing_to_compare() -> None:
    # It would take at the open and be stopped on one path only; but it does not happen at all.
    working = order("limit", True, 101, fresh=True, terms=Terms(maker_only=True))
    walk = BarWalk(bar(100, 106, 94, 100), [Group(working, D(95), D(105))], rules())
    hit = walk.next()
    assert hit is not None
    assert (hit.passed, hit.ambiguous) == (True, False)


def test_an_entry_is_not_ambiguous_because_a_position_beside_it_is() -> None:
    """The bar 91, 92, 90, 90. The entry fills at the open on either path. The trailing stop, 1
    away, stands at 91 once the high has been, and at 90 where the low comes first."""
    held = part(True, 85, 1)
    held.exits.append(trailing(False, 85, trail=1))
    entry = order("market", True)
    walk = BarWalk(bar(91, 92, 90, 90), [Group(entry, parts=[held])], rules(path="pessimistic"))
    flags = {(hit.working.kind, hit.price): hit.ambiguous for hit in follow(walk)}
    assert flags == {("market", D(91)): False, ("trailing_stop", D(90)): True}
