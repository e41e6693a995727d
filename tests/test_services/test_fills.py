"""The bar path by hand. Bars are written O/H/L/C; a path is the prices walked.

Unless said otherwise: increments 0.01 and 1, touch, no slippage, no cap, the pessimistic path.
"""

from __future__ import annotations

import decimal
from typing import Any

import pytest

from backtest.errors import FieldError
from backtest.models.bar import Bar
from backtest.models.trading_pair import TradingPair
from backtest.models.trading_rules import TradingRules
from backtest.services.fills.walk import (
    BarWalk,
    Group,
    Hit,
    PathRules,
    Working,
    eligibility,
    pool,
    protection_passed,
    slipped,
)

from .walking import CENT, D, Done, bar, done, follow, name_of, opened, order, part, rules


def walked(on: Bar, *groups: Group, cap: Any = None, **more: Any) -> list[Done]:
    p = None if cap is None else D(cap)
    return done(follow(BarWalk(on, groups, rules(**more), (p, p))))


def alone(on: Bar, working: Working, **more: Any) -> list[Done]:
    return walked(on, Group(working), **more)


def filled(kind: str, point: str, price: Any, volume: Any = 1) -> list[Done]:
    return [Done(kind, point, D(price), D(volume))]


BAR = bar(100, 105, 95, 102)
"""100 -> 95 -> 105 -> 102 for buyers and longs, 100 -> 105 -> 95 -> 102 for sellers and shorts."""


# --- the table of section 6 -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("working", "expected"),
    [
        # a market order takes the open, whichever side
        (order("market", True), filled("market", "open", 100)),
        (order("market", False), filled("market", "open", 100)),
        # limit buy: low 95 <= 97 -> at 97; exactly the low; below the low: nothing
        (order("limit", True, 97), filled("limit", "low", 97)),
        (order("limit", True, 95), filled("limit", "low", 95)),
        (order("limit", True, "94.99"), []),
        # gapped: open 100 <= 101 -> the open; open = limit is the open as well
        (order("limit", True, 101), filled("limit", "open", 100)),
        (order("limit", True, 100), filled("limit", "open", 100)),
        # limit sell: the mirror image
        (order("limit", False, 103), filled("limit", "high", 103)),
        (order("limit", False, 105), filled("limit", "high", 105)),
        (order("limit", False, "105.01"), []),
        (order("limit", False, 99), filled("limit", "open", 100)),
        # stop buy: high 105 >= 103 -> at 103; open 100 >= 99 -> the open
        (order("stop", True, 103), filled("stop", "high", 103)),
        (order("stop", True, 105), filled("stop", "high", 105)),
        (order("stop", True, "105.01"), []),
        (order("stop", True, 99), filled("stop", "open", 100)),
        # stop sell
        (order("stop", False, 97), filled("stop", "low", 97)),
        (order("stop", False, "94.99"), []),
        (order("stop", False, 101), filled("stop", "open", 100)),
    ],
)
def test_one_order_on_a_bar(working: Working, expected: list[Done]) -> None:
    assert alone(BAR, working) == expected


@pytest.mark.parametrize(
    ("long", "exits", "expected"),
    [
        # a stop-loss of a long is a stop sell: 97 on the way down; gapped: the open
        (True, {"stop_loss": 97}, filled("stop_loss", "low", 97)),
        (True, {"stop_loss": 101}, filled("stop_loss", "open", 100)),
        (True, {"stop_loss": 94}, []),
        # a take-profit of a long is a limit sell; gapped: the better open
        (True, {"take_profit": 104}, filled("take_profit", "high", 104)),
        (True, {"take_profit": 99}, filled("take_profit", "open", 100)),
        (True, {"take_profit": 106}, []),
        # the short side mirrored
        (False, {"stop_loss": 103}, filled("stop_loss", "high", 103)),
        (False, {"stop_loss": 99}, filled("stop_loss", "open", 100)),
        (False, {"take_profit": 96}, filled("take_profit", "low", 96)),
        (False, {"take_profit": 101}, filled("take_profit", "open", 100)),
        # a liquidation fills like a stop at its price, the open if gapped
        (True, {"liquidation": 96}, filled("liquidation", "low", 96)),
        (True, {"liquidation": 101}, filled("liquidation", "open", 100)),
        (False, {"liquidation": 104}, filled("liquidation", "high", 104)),
    ],
)
def test_one_exit_on_a_bar(long: bool, exits: dict[str, Any], expected: list[Done]) -> None:
    assert walked(BAR, Group(None, parts=[part(long, 100, **exits)])) == expected


# --- who comes first on the path ------------------------------------------------------------------


def test_stop_loss_and_take_profit_in_one_bar_pessimistic() -> None:
    # Long 1 from 100, SL 97, TP 104. High first: TP at 104, +4. Low first: SL at 97, -3 -> taken.
    long = Group(None, parts=[part(True, 100, stop_loss=97, take_profit=104)])
    assert walked(BAR, long) == filled("stop_loss", "low", 97)
    # Short 1 from 100, SL 104, TP 97. Low first: TP, +3. High first: SL at 104, -4 -> taken.
    short = Group(None, parts=[part(False, 100, stop_loss=104, take_profit=97)])
    assert walked(BAR, short) == filled("stop_loss", "high", 104)


@pytest.mark.parametrize(
    ("path", "kind", "point", "price"),
    [
        ("open_high_low_close", "take_profit", "high", 104),
        ("open_low_high_close", "stop_loss", "low", 97),
        ("pessimistic", "stop_loss", "low", 97),
        # open 100: high 105 and low 95 are equally near, so the low first
        ("adaptive", "stop_loss", "low", 97),
    ],
)
def test_named_paths(path: str, kind: str, point: str, price: int) -> None:
    group = Group(None, parts=[part(True, 100, stop_loss=97, take_profit=104)])
    assert walked(BAR, group, path=path) == filled(kind, point, price)


def test_adaptive_goes_to_the_nearer_extreme_first() -> None:
    group = Group(None, parts=[part(True, 100, stop_loss=97, take_profit=104)])
    # 105 - 100 = 5 is nearer than 100 - 94 = 6: the high first
    assert walked(bar(100, 105, 94, 102), group, path="adaptive") == filled(
        "take_profit", "high", 104
    )


def test_an_unknown_path_is_refused() -> None:
    with pytest.raises(FieldError, match=r"^path must be a known path"):
        BarWalk(BAR, [], rules(path="optimistic"))


def test_stop_loss_and_liquidation_both_passed_at_the_open() -> None:
    # Gap down through both SL 97 and liquidation 95: open 90 -> the stop-loss, at the open
    group = Group(None, parts=[part(True, 100, stop_loss=97, liquidation=95)])
    assert walked(bar(90, 96, 89, 92), group) == filled("stop_loss", "open", 90)


def test_stop_loss_before_liquidation_and_the_other_way_round() -> None:
    # 100 -> 95: the SL at 98 is reached before the liquidation at 96
    near = Group(None, parts=[part(True, 100, stop_loss=98, liquidation=96)])
    assert walked(BAR, near) == filled("stop_loss", "low", 98)
    # the liquidation at 98 is reached before the SL at 96
    far = Group(None, parts=[part(True, 100, stop_loss=96, liquidation=98)])
    assert walked(BAR, far) == filled("liquidation", "low", 98)
    # the same for a short on the way up
    short = Group(None, parts=[part(False, 100, stop_loss=104, liquidation=102)])
    assert walked(BAR, short) == filled("liquidation", "high", 102)


def test_at_an_equal_price_the_stop_loss_goes_before_the_liquidation() -> None:
    group = Group(None, parts=[part(True, 100, liquidation=97, stop_loss=97)])
    assert walked(BAR, group) == filled("stop_loss", "low", 97)


def test_a_market_close_goes_before_a_gapped_stop_loss() -> None:
    # Both act at the open 100. The close takes 1 of 3, the stop-loss the 2 that are left.
    close = order("market", False, None, 1, sequence=9)
    group = Group(None, parts=[part(True, 110, 3, closes=[close], stop_loss=105)])
    assert walked(BAR, group) == [
        Done("market", "open", D(100), D(1)),
        Done("stop_loss", "open", D(100), D(2)),
    ]


def test_a_limit_close_and_a_take_profit_never_close_more_than_the_part() -> None:
    # Long 3: limit close of 2 at 103, then TP of all at 104: 2 + 1
    close = order("limit", False, 103, 2)
    group = Group(None, parts=[part(True, 100, 3, closes=[close], take_profit=104)])
    assert walked(BAR, group) == [
        Done("limit", "high", D(103), D(2)),
        Done("take_profit", "high", D(104), D(1)),
    ]
    # the TP nearer: it closes all, the limit finds nothing
    close = order("limit", False, 104, 2)
    group = Group(None, parts=[part(True, 100, 3, closes=[close], take_profit=103)])
    assert walked(BAR, group) == filled("take_profit", "high", 103, 3)


def test_limit_closes_at_the_open_go_by_better_price_then_by_acceptance() -> None:
    # Open 100 passes the sells at 99, 98 and 98 (accepted later): 98, 98, 99, all at the open
    closes = [
        order("limit", False, 99, 1, name="a", sequence=1),
        order("limit", False, 98, 1, name="b", sequence=3),
        order("limit", False, 98, 1, name="c", sequence=2),
    ]
    walk = BarWalk(BAR, [Group(None, parts=[part(True, 90, 3, closes=closes)])], rules())
    hits = follow(walk)
    assert [name_of(hit.working) for hit in hits] == ["c", "b", "a"]
    assert {hit.price for hit in hits} == {D(100)}


# --- entries with protections ---------------------------------------------------------------------


def test_an_entry_at_the_open_is_stopped_on_the_same_bar() -> None:
    # Market long at 100, SL 96: 100 -> 95 reaches it in either order of the extremes
    group = Group(order("market", True), stop_loss=D(96))
    assert walked(BAR, group) == [
        Done("market", "open", D(100), D(1)),
        Done("stop_loss", "low", D(96), D(1)),
    ]


def test_an_entry_on_a_segment_is_stopped_on_its_remainder() -> None:
    # Limit long at 98, SL 96: entered at 98 on the way down to 95, stopped at 96 on the same way
    group = Group(order("limit", True, 98), stop_loss=D(96))
    hits = follow(BarWalk(BAR, [group], rules()))
    assert done(hits) == [
        Done("limit", "low", D(98), D(1)),
        Done("stop_loss", "low", D(96), D(1)),
    ]
    assert [hit.rank for hit in hits] == [1, 1]


def test_an_entry_on_a_segment_does_not_see_what_lies_behind_it() -> None:
    # Stop long at 103, TP 104, SL 101; O/L/H/C 100 -> 95 -> 105 -> 102 and 100 -> 105 -> 95 -> 102.
    # Either way entry 103 then TP 104 on the same way up. The SL 101 was passed before the entry.
    group = Group(order("stop", True, 103), stop_loss=D(101), take_profit=D(104))
    assert walked(BAR, group) == [
        Done("stop", "high", D(103), D(1)),
        Done("take_profit", "high", D(104), D(1)),
    ]


def test_an_entry_on_the_second_segment_is_stopped_on_the_way_to_the_close() -> None:
    # Low first: 100 -> 95 -> 105 -> 96. Stop long at 104, SL 97: the way 105 -> 96 passes 97.
    # High first: 100 -> 105 (entry) -> 95 (stopped at 97 on the way). Same price either way.
    group = Group(order("stop", True, 104), stop_loss=D(97))
    hits = follow(BarWalk(bar(100, 105, 95, 96), [group], rules()))
    assert done(hits) == [
        Done("stop", "high", D(104), D(1)),
        Done("stop_loss", "close", D(97), D(1)),
    ]
    assert [hit.rank for hit in hits] == [2, 3]
    assert [hit.ambiguous for hit in hits] == [False, False]


def test_an_entry_whose_stop_only_one_path_reaches_takes_that_path() -> None:
    # Stop long 104, SL 98, close 102. Low first: entered on 95 -> 105, never stopped: -2 at 102.
    # High first: entered on 100 -> 105, stopped at 98 on 105 -> 95: -6 -> taken.
    group = Group(order("stop", True, 104), stop_loss=D(98))
    hits = follow(BarWalk(BAR, [group], rules()))
    assert done(hits) == [
        Done("stop", "high", D(104), D(1)),
        Done("stop_loss", "low", D(98), D(1)),
    ]
    assert [hit.ambiguous for hit in hits] == [False, True]


def test_an_entry_that_one_path_rewards_is_not_rewarded() -> None:
    # Limit long 96, TP 104, close 102. Low first: 96 then TP 104: +8.
    # High first: 100 -> 105 -> 95 enters at 96, no TP on 95 -> 102: marked +6 -> taken.
    group = Group(order("limit", True, 96), take_profit=D(104))
    hits = follow(BarWalk(BAR, [group], rules()))
    assert done(hits) == [Done("limit", "low", D(96), D(1))]
    # The entry itself happens on both; that its position survives the bar does not.
    assert [(hit.rank, hit.ambiguous) for hit in hits] == [(2, True)]


def test_a_short_entry_mirrors_a_long_one() -> None:
    # Mirror about 100: bar 100/105/95/98, stop short 96, SL 102: -6 on the low-first path -> taken.
    group = Group(order("stop", False, 96), stop_loss=D(102))
    assert walked(bar(100, 105, 95, 98), group) == [
        Done("stop", "low", D(96), D(1)),
        Done("stop_loss", "high", D(102), D(1)),
    ]


def test_an_entry_is_liquidated_on_the_same_bar() -> None:
    # Market long 2 at 100, leverage 25: margin 4 a unit, liquidation at 96 (r = 0), low 95
    group = Group(
        order("market", True, None, 2),
        liquidation=lambda price, volume: price - 4,
        margin=lambda price, volume: 4 * volume,
    )
    assert walked(BAR, group) == [
        Done("market", "open", D(100), D(2)),
        Done("liquidation", "low", D(96), D(2)),
    ]


def test_an_entry_that_cannot_be_liquidated_just_enters() -> None:
    group = Group(order("market", True), liquidation=lambda price, volume: None)
    assert walked(BAR, group) == filled("market", "open", 100)
    # out of reach on the short side: 120 > 105
    group = Group(order("market", False), liquidation=lambda price, volume: price + 20)
    assert walked(BAR, group) == filled("market", "open", 100)


def test_an_entry_beyond_its_own_stop_loss_does_not_happen() -> None:
    # Limit long 98 with SL 96, but the bar opens at 95: a fill at 95 is beyond 96
    group = Group(order("limit", True, 98), stop_loss=D(96))
    walk = BarWalk(bar(95, 99, 94, 98), [group], rules())
    hit = walk.next()
    assert hit is not None
    assert (hit.price, hit.passed) == (D(95), True)
    walk.drop(hit.working)
    assert walk.next() is None


@pytest.mark.parametrize(
    ("long", "price", "stop_loss", "take_profit", "passed"),
    [
        (True, 96, 96, None, True),
        (True, 97, 96, 110, False),
        (True, 110, None, 110, True),
        (False, 104, 104, None, True),
        (False, 103, 104, 90, False),
        (False, 90, None, 90, True),
        (True, 96, None, None, False),
    ],
)
def test_protection_passed(
    long: bool, price: int, stop_loss: int | None, take_profit: int | None, passed: bool
) -> None:
    below = None if stop_loss is None else D(stop_loss)
    above = None if take_profit is None else D(take_profit)
    assert protection_passed(long, D(price), below, above) is passed


def test_a_stop_loss_that_slippage_put_above_the_market_acts_at_once() -> None:
    # Market long at 100 + 2 = 102 with SL 101: not beyond its stop, but the market stands at 100,
    # so the stop acts at the open: 100 - 2 = 98.
    group = Group(order("market", True), stop_loss=D(101))
    assert walked(BAR, group, slippage=D(2)) == [
        Done("market", "open", D(102), D(1)),
        Done("stop_loss", "open", D(98), D(1)),
    ]


# --- eligibility ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "accepted", "before", "fill_on", "start"),
    [
        # the bar opens at 60 and closes at 120
        ("market", 59, True, "next_open", 0),
        ("market", 60, True, "next_open", 0),
        ("market", 61, True, "next_open", 4),
        ("market", 60, True, "this_close", 0),
        ("market", 61, True, "this_close", 4),
        ("market", 60, True, "next_close", 3),
        ("market", 120, True, "next_close", 3),
        ("market", 120, False, "next_close", 4),
        ("market", 121, True, "next_close", 4),
        ("limit", 60, True, "next_open", 0),
        ("limit", 61, True, "next_open", 3),
        ("limit", 120, True, "next_close", 3),
        ("limit", 120, False, "next_open", 4),
        ("stop", 121, True, "next_open", 4),
        ("stop_loss", 60, False, "next_open", 0),
    ],
)
def test_eligibility(kind: str, accepted: int, before: bool, fill_on: str, start: int) -> None:
    assert eligibility(kind, accepted, before, BAR, fill_on) == start


@pytest.mark.parametrize(
    ("working", "expected"),
    [
        # accepted inside the bar: only the close 102 counts, and it is the price
        (order("market", True, start=3), filled("market", "close", 102)),
        (order("limit", True, 103, start=3), filled("limit", "close", 102)),
        (order("limit", True, 102, start=3), filled("limit", "close", 102)),
        (order("limit", True, 101, start=3), []),
        (order("limit", False, 101, start=3), filled("limit", "close", 102)),
        (order("limit", False, 103, start=3), []),
        (order("stop", True, 101, start=3), filled("stop", "close", 102)),
        (order("stop", True, 103, start=3), []),
        (order("stop", False, 103, start=3), filled("stop", "close", 102)),
        (order("stop", False, 101, start=3), []),
        # not on this bar, or blocked, or nothing left
        (order("market", True, start=4), []),
        (order("limit", True, 103, start=4), []),
        (order("limit", True, 103, blocked=True), []),
        (order("limit", True, 103, 0), []),
    ],
)
def test_close_only_and_not_on_this_bar(working: Working, expected: list[Done]) -> None:
    assert alone(BAR, working) == expected


def test_an_entry_at_the_close_has_no_remainder_to_be_stopped_on() -> None:
    group = Group(order("market", True, start=3), stop_loss=D(96), take_profit=D(104))
    assert walked(BAR, group) == filled("market", "close", 102)


def test_an_exit_set_inside_the_bar_looks_at_the_close_only() -> None:
    exits = [
        order("stop_loss", False, 103, start=3),
        order("liquidation", False, 97, blocked=True),
    ]
    group = Group(None, parts=[part(True, 100, closes=exits)])
    assert walked(BAR, group) == filled("stop_loss", "close", 102)


# --- volume ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("volume", "participation", "expected"),
    [
        (None, "1", None),
        ("7", None, None),
        ("0", None, None),
        ("0", "1", "0"),
        ("7", "1", "7"),
        ("7.9", "0.5", "3"),  # 3.95 down to whole units
    ],
)
def test_the_pool_of_a_bar(
    volume: str | None, participation: str | None, expected: str | None
) -> None:
    got = pool(
        None if volume is None else D(volume),
        None if participation is None else D(participation),
        D(1),
    )
    assert got == (None if expected is None else D(expected))


def test_a_market_order_takes_what_there_is_and_keeps_the_rest() -> None:
    working = order("market", True, None, 10)
    walk = BarWalk(BAR, [Group(working)], rules(), (D(4), D(9)))
    assert done(follow(walk)) == filled("market", "open", 100, 4)
    assert working.volume == D(6)
    assert walk.pools == (D(0), D(9))


def test_buys_and_sells_have_a_pool_each() -> None:
    buy, sell = order("market", True, None, 4), order("market", False, None, 4)
    assert walked(BAR, Group(buy), Group(sell), cap=3) == [
        Done("market", "open", D(100), D(3)),
        Done("market", "open", D(100), D(3)),
    ]


def test_the_pool_goes_to_market_orders_then_to_better_limits_then_by_acceptance() -> None:
    # At the open 100, 10 to be had by buyers: the market order takes 4 although accepted last, the
    # limit at 102 takes 3 before the one at 101 accepted first of all; 2 + 1 of the two at 101.
    groups = [
        Group(order("limit", True, 101, 3, name="later", sequence=2)),
        Group(order("limit", True, 101, 2, name="early", sequence=1)),
        Group(order("limit", True, 102, 3, name="better", sequence=3)),
        Group(order("market", True, None, 4, name="market", sequence=4)),
    ]
    hits = follow(BarWalk(BAR, groups, rules(), (D(10), D(10))))
    assert [(name_of(hit.working), hit.volume) for hit in hits] == [
        ("market", D(4)),
        ("better", D(3)),
        ("early", D(2)),
        ("later", D(1)),
    ]


def test_the_pool_is_used_rank_by_rank() -> None:
    # Buyers go low first: the limit at 97 (rank 1) before the stop at 103 (rank 2), though a stop
    # goes before a limit at one point. 5 to be had: 4 and 1.
    stop, limit = order("stop", True, 103, 4, sequence=1), order("limit", True, 97, 4, sequence=2)
    walk = BarWalk(BAR, [Group(stop), Group(limit)], rules(), (D(5), D(5)))
    assert done(follow(walk)) == [
        Done("limit", "low", D(97), D(4)),
        Done("stop", "high", D(103), D(1)),
    ]


def test_what_the_pool_gives_is_rounded_down_to_the_volume_increment() -> None:
    working = order("market", True, None, 10)
    walk = BarWalk(BAR, [Group(working)], rules(), (D("3.7"), None))
    assert done(follow(walk)) == filled("market", "open", 100, 3)


def test_a_bar_without_volume_fills_nothing_but_liquidations() -> None:
    groups = [
        Group(order("market", True)),
        Group(order("limit", True, 101)),
        Group(None, parts=[part(True, 100, take_profit=99)]),
        Group(None, parts=[part(True, 110, 7, liquidation=101)]),
    ]
    assert walked(BAR, *groups, cap=0) == filled("liquidation", "open", 100, 7)


def test_liquidations_leave_the_pool_to_others() -> None:
    # Both at the open; the liquidation of 7 is first by acceptance, the market sell gets all 5
    doomed = Group(None, parts=[part(True, 110, 7, liquidation=101)])
    seller = Group(order("market", False, None, 6, sequence=1))
    assert walked(BAR, doomed, seller, cap=5) == [
        Done("liquidation", "open", D(100), D(7)),
        Done("market", "open", D(100), D(5)),
    ]


def test_a_stop_that_finds_no_volume_is_triggered_and_fills_at_the_next_open() -> None:
    stop = order("stop", True, 103, 5)
    walk = BarWalk(BAR, [Group(stop)], rules(), (D(0), D(0)))
    assert follow(walk) == []
    assert walk.triggered == [stop]
    assert stop.triggered
    # next bar: 98/99/90/91 never sees 103 again; a triggered stop is a market order: 98
    walk = BarWalk(bar(98, 99, 90, 91), [Group(stop)], rules(), (D(3), D(3)))
    assert done(follow(walk)) == filled("stop", "open", 98, 3)
    assert (walk.triggered, stop.volume) == ([], D(2))


def test_a_stop_that_fills_in_part_is_triggered_too() -> None:
    stop = order("stop", True, 103, 5)
    walk = BarWalk(BAR, [Group(stop)], rules(), (D(2), D(2)))
    assert done(follow(walk)) == filled("stop", "high", 103, 2)
    assert walk.triggered == [stop]


def test_after_a_stop_loss_has_triggered_only_a_liquidation_still_acts() -> None:
    # Long 3 from 100, SL 98, TP 104, no volume at all. Pessimistic: low first (-2 against +4).
    # 100 -> 95: the SL triggers at 98 and finds nothing. 95 -> 105: the TP does not act.
    held = part(True, 100, 3, stop_loss=98, take_profit=104)
    walk = BarWalk(BAR, [Group(None, parts=[held])], rules(), (D(0), D(0)))
    assert follow(walk) == []
    assert [one.kind for one in walk.triggered] == ["stop_loss"]
    assert held.is_stopped
    # Next bar opens at 105, beyond the TP: still the stop-loss, as a market order; 2 of 3.
    second = bar(105, 106, 95, 100)
    walk = BarWalk(second, [Group(None, parts=[held])], rules(), (D(2), D(2)))
    assert done(follow(walk)) == filled("stop_loss", "open", 105, 2)
    # Third bar, no volume again, but the price reaches a liquidation at 90.
    held.exits.append(order("liquidation", False, 90))
    walk = BarWalk(bar(95, 96, 89, 95), [Group(None, parts=[held])], rules(), (D(0), D(0)))
    assert done(follow(walk)) == filled("liquidation", "low", 90, 1)
    assert held.volume == D(0)


def test_a_triggered_stop_loss_keeps_even_a_market_close_from_acting() -> None:
    # Both at the open; the stop-loss of 2 is all that acts, on this bar as on the one it triggered
    exits = [
        order("market", False, None, 3, sequence=1),
        order("stop_loss", False, 90, 2, sequence=2, triggered=True),
    ]
    for path in ("pessimistic", "open_high_low_close"):
        group = Group(None, parts=[part(True, 100, 3, closes=exits)])
        assert walked(BAR, group, path=path) == filled("stop_loss", "open", 100, 2)
        exits[1].volume = D(2)


def test_the_paths_are_compared_with_a_triggered_stop_loss_in_mind() -> None:
    # Long 3 from 100; its triggered stop-loss of 1 acts at the open: 0. The limit close at 104 does
    # not act any more, so on both paths 2 are liquidated at 96, and nothing is ambiguous.
    exits = [
        order("limit", False, 104, 2),
        order("stop_loss", False, 90, 1, triggered=True),
        order("liquidation", False, 96),
    ]
    hits = follow(BarWalk(BAR, [Group(None, parts=[part(True, 100, 3, closes=exits)])], rules()))
    assert done(hits) == [
        Done("stop_loss", "open", D(100), D(1)),
        Done("liquidation", "low", D(96), D(2)),
    ]
    assert [hit.ambiguous for hit in hits] == [False, False]


def test_a_triggered_stop_loss_that_must_wait_still_keeps_the_others_from_acting() -> None:
    # It may not act on this bar at all; the limit close at 104 does not act either, on no path
    exits = [
        order("stop_loss", False, 90, 2, triggered=True, start=4),
        order("limit", False, 104, 2),
        order("liquidation", False, 96),
    ]
    hits = follow(BarWalk(BAR, [Group(None, parts=[part(True, 100, 2, closes=exits)])], rules()))
    assert done(hits) == filled("liquidation", "low", 96, 2)
    assert not hits[0].ambiguous


def test_the_paths_are_compared_with_the_exits_that_a_stop_loss_silences() -> None:
    # Long 3 from 100, SL 98 for 1, limit close of 1 at 104, bar 100/105/95/105.
    # Low first: 1 at 98: -2; the limit is silent; 2 marked at 105: +10; together 8.
    # High first: 1 at 104: +4; 1 at 98: -2; 1 marked at 105: +5; together 7 -> taken.
    exits = [order("stop_loss", False, 98, 1), order("limit", False, 104, 1)]
    assert walked(
        bar(100, 105, 95, 105), Group(None, parts=[part(True, 100, 3, closes=exits)])
    ) == [
        Done("limit", "high", D(104), D(1)),
        Done("stop_loss", "low", D(98), D(1)),
    ]


def test_a_stop_loss_short_of_volume_leaves_the_rest_to_the_liquidation() -> None:
    # Long 5 from 100: SL 98 gets 2 from the pool, the other 3 are liquidated at 96 on the same way
    held = part(True, 100, 5, stop_loss=98, liquidation=96)
    assert walked(BAR, Group(None, parts=[held]), cap=2) == [
        Done("stop_loss", "low", D(98), D(2)),
        Done("liquidation", "low", D(96), D(3)),
    ]


def test_a_part_of_an_entry_is_all_that_its_protections_close() -> None:
    # Market long 5 gets 2 of the pool; its SL 96 has 2 to close, not 5
    entry = order("market", True, None, 5)
    walk = BarWalk(BAR, [Group(entry, stop_loss=D(96))], rules(), (D(2), None))
    assert done(follow(walk)) == [
        Done("market", "open", D(100), D(2)),
        Done("stop_loss", "low", D(96), D(2)),
    ]
    assert entry.volume == D(3)


# --- reports --------------------------------------------------------------------------------------


def first(walk: BarWalk) -> Hit:
    hit = walk.next()
    assert hit is not None
    return hit


def test_a_reduced_or_refused_hit_does_not_come_again_on_the_bar() -> None:
    working = order("limit", True, 97, 5)
    walk = BarWalk(BAR, [Group(working)], rules(), (D(9), D(9)))
    walk.report(first(walk), D(2))
    assert (working.volume, walk.pools) == (D(3), (D(7), D(9)))
    assert walk.next() is None
    refused = order("limit", True, 97, 5)
    walk = BarWalk(BAR, [Group(refused)], rules())
    walk.report(first(walk), D(0))
    assert (walk.next(), refused.volume) == (None, D(5))


def test_a_hit_that_is_not_reported_counts_as_refused() -> None:
    # The market close of 1 is not reported: the stop-loss still finds all 3
    close = order("market", False, None, 1)
    held = part(True, 110, 3, closes=[close], stop_loss=105)
    walk = BarWalk(BAR, [Group(None, parts=[held])], rules())
    assert first(walk).working is close
    assert first(walk).volume == D(3)


@pytest.mark.parametrize("volume", ["-1", "5.5"])
def test_more_than_the_hit_cannot_be_reported(volume: str) -> None:
    walk = BarWalk(BAR, [Group(order("limit", True, 97, 5))], rules())
    hit = first(walk)
    with pytest.raises(FieldError, match=r"^volume must be within 0 and the hit's 5"):
        walk.report(hit, D(volume))


def test_a_dropped_order_takes_no_further_part() -> None:
    one = order("limit", True, 97, name="one")
    other = order("limit", True, 96, name="other")
    walk = BarWalk(BAR, [Group(one), Group(other)], rules())
    walk.report(first(walk), D(1))
    walk.drop(other)
    assert walk.next() is None


def test_groups_without_anything_are_passed_over() -> None:
    assert walked(BAR, Group(None)) == []
    assert Group(None).buys
    emptied = part(True, 100, stop_loss=97)
    emptied.volume = D(0)
    assert walked(BAR, Group(None, parts=[emptied])) == []
    for more in ({}, {"take_profit": 104}):
        held = part(True, 100, stop_loss=97, **more)
        assert walked(BAR, Group(None, parts=[emptied, held])) == filled("stop_loss", "low", 97)


def test_entry_and_open_part_of_one_order() -> None:
    # Limit long 98 for 4 of which 6 are open from 98, SL 96: 4 more at 98, then 6 and 4 stopped
    held = part(True, 98, 6, stop_loss=96)
    group = Group(order("limit", True, 98, 4, sequence=5), stop_loss=D(96), parts=[held])
    got = walked(BAR, group)
    assert sorted(got) == [
        Done("limit", "low", D(98), D(4)),
        Done("stop_loss", "low", D(96), D(4)),
        Done("stop_loss", "low", D(96), D(6)),
    ]


# --- makers and takers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("working", "taker"),
    [
        (order("market", True), True),
        (order("stop", True, 103), True),
        (order("limit", True, 97), False),
        (order("limit", True, 97, fresh=True), False),
        # marketable at the open: it takes on its first bar; one that rested was gapped through
        (order("limit", True, 101, fresh=True), True),
        (order("limit", True, 101), False),
        (order("limit", False, 99, fresh=True), True),
    ],
)
def test_who_takes(working: Working, taker: bool) -> None:
    (hit,) = follow(BarWalk(BAR, [Group(working)], rules()))
    assert hit.taker is taker


def test_a_limit_is_fresh_on_its_first_bar_only() -> None:
    plain, guarded = order("limit", True, 90, fresh=True), order("limit", True, 90, fresh=True)
    late = order("limit", True, 90, fresh=True, start=4)
    close = order("limit", False, 110, fresh=True)
    groups = [
        Group(plain),
        Group(guarded, stop_loss=D(80)),
        Group(late),
        Group(None, parts=[part(True, 100, closes=[close])]),
    ]
    assert walked(BAR, *groups) == []
    assert (plain.fresh, guarded.fresh, late.fresh, close.fresh) == (False, False, True, False)


# --- penetration ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("working", "expected"),
    [
        # 2 ticks of 0.01: a buy at 95.02 needs 95.00, which is the low; one at 95.01 needs 94.99
        (order("limit", True, "95.02"), filled("limit", "low", "95.02")),
        (order("limit", True, "95.01"), []),
        (order("limit", False, "104.98"), filled("limit", "high", "104.98")),
        (order("limit", False, "104.99"), []),
        # at the open: beyond by 2 ticks -> the open
        (order("limit", True, "100.02"), filled("limit", "open", 100)),
        # the open is better but not by 2 ticks: fills when the price gets there, at the open
        (order("limit", True, "100.01"), filled("limit", "low", 100)),
        (order("limit", False, "99.99"), filled("limit", "high", 100)),
        # stops need no penetration
        (order("stop", True, 105), filled("stop", "high", 105)),
    ],
)
def test_penetration_by_two_ticks(working: Working, expected: list[Done]) -> None:
    assert alone(BAR, working, penetration_ticks=2) == expected


def test_a_take_profit_is_a_limit_for_penetration() -> None:
    near = Group(None, parts=[part(True, 100, take_profit="104.99")])
    assert walked(BAR, near, penetration_ticks=2) == []
    below = Group(None, parts=[part(True, 100, take_profit="104.98")])
    assert walked(BAR, below, penetration_ticks=2) == filled("take_profit", "high", "104.98")


# --- slippage -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("working", "expected"),
    [
        # 0.5 against the trader: market and stops, never limits
        (order("market", True), filled("market", "open", "100.5")),
        (order("market", False), filled("market", "open", "99.5")),
        (order("stop", True, 103), filled("stop", "high", "103.5")),
        (order("stop", False, 97), filled("stop", "low", "96.5")),
        (order("stop", True, 99), filled("stop", "open", "100.5")),
        (order("limit", True, 97), filled("limit", "low", 97)),
        (order("limit", True, 101), filled("limit", "open", 100)),
        # 104.8 + 0.5 = 105.3 is outside the bar: 105; likewise 95
        (order("stop", True, "104.8"), filled("stop", "high", 105)),
        (order("stop", False, "95.2"), filled("stop", "low", 95)),
    ],
)
def test_slippage(working: Working, expected: list[Done]) -> None:
    assert alone(BAR, working, slippage=D("0.5")) == expected


def test_slippage_of_exits() -> None:
    def exits(long: bool, **prices: Any) -> list[Done]:
        return walked(BAR, Group(None, parts=[part(long, 100, **prices)]), slippage=D("0.5"))

    assert exits(True, stop_loss=97) == filled("stop_loss", "low", "96.5")
    assert exits(False, stop_loss=103) == filled("stop_loss", "high", "103.5")
    assert exits(True, liquidation=97) == filled("liquidation", "low", "96.5")
    assert exits(True, take_profit=104) == filled("take_profit", "high", 104)


def test_slippage_beyond_the_bar_when_asked() -> None:
    more = {"slippage": D("0.5"), "slippage_beyond_bar": True}
    assert alone(BAR, order("stop", True, "104.8"), **more) == filled("stop", "high", "105.3")
    assert alone(BAR, order("stop", False, "95.2"), **more) == filled("stop", "low", "94.7")


def test_a_price_never_slips_to_zero() -> None:
    assert slipped(D(1), False, BAR, rules(slippage=D(2), slippage_beyond_bar=True)) == D("0.01")


def test_slippage_as_a_rate_is_rounded_against_the_trader() -> None:
    # 103.333 x 0.0005 = 0.0516665: buy 103.3846665 -> 103.39, sell 103.2813335 -> 103.28
    half = rules(slippage_rate=D("0.0005"))
    assert slipped(D("103.333"), True, BAR, half) == D("103.39")
    assert slipped(D("103.333"), False, BAR, half) == D("103.28")
    # to increments of 0.25: 103.50 and 103.25
    quarter = rules(slippage_rate=D("0.0005"), price_increment=D("0.25"))
    assert slipped(D("103.333"), True, BAR, quarter) == D("103.50")
    assert slipped(D("103.333"), False, BAR, quarter) == D("103.25")
    # both: 100 + 0.1 + 0.05
    both = rules(slippage=D("0.1"), slippage_rate=D("0.0005"))
    assert slipped(D(100), True, BAR, both) == D("100.15")


# --- ambiguity ------------------------------------------------------------------------------------


def flags(on: Bar, group: Group, **more: Any) -> list[tuple[str, bool]]:
    hits = follow(BarWalk(on, [group], rules(**more)))
    return [(hit.working.kind, hit.ambiguous) for hit in hits]


@pytest.mark.parametrize("path", ["pessimistic", "open_high_low_close", "adaptive"])
def test_a_choice_between_stop_loss_and_take_profit_is_ambiguous(path: str) -> None:
    group = Group(None, parts=[part(True, 100, stop_loss=97, take_profit=104)])
    ((_, ambiguous),) = flags(BAR, group, path=path)
    assert ambiguous


def test_one_side_alone_is_not_ambiguous() -> None:
    assert flags(BAR, Group(None, parts=[part(True, 100, stop_loss=97, take_profit=110)])) == [
        ("stop_loss", False)
    ]
    assert flags(BAR, Group(None, parts=[part(True, 100, stop_loss=97, liquidation=96)])) == [
        ("stop_loss", False)
    ]


def test_what_happens_at_the_open_is_not_ambiguous() -> None:
    group = Group(None, parts=[part(True, 100, stop_loss=101, take_profit=104)])
    assert flags(BAR, group) == [("stop_loss", False)]


def test_a_stop_loss_of_another_volume_on_the_other_path_is_ambiguous() -> None:
    # Long 3 from 100, limit close of 1 at 104, SL 97. High first: 1 at 104, 2 at 97: +4 - 6 = -2.
    # Low first: 3 at 97: -9 -> taken; on the other path the stop-loss closes 2, not 3.
    close = order("limit", False, 104, 1)
    group = Group(None, parts=[part(True, 100, 3, closes=[close], stop_loss=97)])
    assert walked(BAR, group) == filled("stop_loss", "low", 97, 3)
    close = order("limit", False, 104, 1)
    group = Group(None, parts=[part(True, 100, 3, closes=[close], stop_loss=97)])
    assert flags(BAR, group, path="open_high_low_close") == [("limit", True), ("stop_loss", True)]


def test_a_liquidation_that_only_want_of_volume_brought_about_is_as_ambiguous_as_its_stop() -> None:
    # SL 98 and liquidation 96 alone: the same on both paths, so is what is left to the liquidation
    held = part(True, 100, 5, stop_loss=98, liquidation=96)
    walk = BarWalk(BAR, [Group(None, parts=[held])], rules(), (D(2), D(2)))
    assert [hit.ambiguous for hit in follow(walk)] == [False, False]
    # with a TP at 104 in reach the stop-loss is ambiguous, and so is the liquidation behind it
    held = part(True, 100, 5, stop_loss=98, liquidation=96, take_profit=104)
    walk = BarWalk(BAR, [Group(None, parts=[held])], rules(), (D(2), D(2)))
    assert [hit.ambiguous for hit in follow(walk)] == [True, True]


# --- the pessimistic choice -----------------------------------------------------------------------


def test_a_liquidation_loses_at_most_the_margin_when_paths_are_compared() -> None:
    # Long 2 from 106, limit close of all at 104, liquidation 99, slippage 4.
    # High first: closed at 104: 2 x -2 = -4. Low first: liquidated at 99 - 4 = 95: 2 x -11 = -22.
    def held(margin: int) -> Group:
        close = order("limit", False, 104, 2)
        return Group(None, parts=[part(True, 106, 2, margin, liquidation=99, closes=[close])])

    assert walked(BAR, held(50), slippage=D(4)) == filled("liquidation", "low", 95, 2)
    # With a margin of 3 the liquidation costs 3, less than 4: the high first
    assert walked(BAR, held(3), slippage=D(4)) == filled("limit", "high", 104, 2)


@pytest.mark.parametrize("margin", [1, None])
def test_the_margin_of_an_entry_bounds_its_loss(margin: int | None) -> None:
    # Stop long 1 at 104, slippage 3: executes at 105 (clamped); liquidation 98; bar 100/105/95/102.
    # Low first: entered on 95 -> 105, marked at 102: -3. High first: entered on 100 -> 105,
    # liquidated on 105 -> 95 at 98 - 3 = 95: -10, but with a margin of 1 only -1.
    group = Group(
        order("stop", True, 104),
        liquidation=lambda price, volume: D(98),
        margin=None if margin is None else lambda price, volume: D(1),
    )
    hits = follow(BarWalk(BAR, [group], rules(slippage=D(3))))
    entered = Done("stop", "high", D(105), D(1))
    if margin is None:
        assert done(hits) == [entered, Done("liquidation", "low", D(95), D(1))]
        assert [(hit.rank, hit.ambiguous) for hit in hits] == [(1, False), (2, True)]
    else:
        assert done(hits) == [entered]
        # The entry itself happens on both; that its position survives the bar does not.
        assert [(hit.rank, hit.ambiguous) for hit in hits] == [(2, True)]


def test_an_entry_that_slippage_put_beyond_its_liquidation_is_liquidated_at_once() -> None:
    # Stop long at 103, executed at 105 (clamped), liquidation 1 below: 104. The market stands at
    # 103 and so the liquidation acts there: 103 - 3 = 100. The same on both paths.
    group = Group(order("stop", True, 103, 2), liquidation=lambda price, volume: price - 1)
    hits = follow(BarWalk(bar(100, 105, 95, 105), [group], rules(slippage=D(3))))
    assert done(hits) == [
        Done("stop", "high", D(105), D(2)),
        Done("liquidation", "high", D(100), D(2)),
    ]
    assert [(hit.rank, hit.ambiguous) for hit in hits] == [(2, False), (2, False)]


def test_equal_values_go_high_first_for_sellers_and_shorts_low_first_otherwise() -> None:
    def rank(group: Group) -> int:
        (hit,) = follow(BarWalk(BAR, [group], rules()))
        return hit.rank

    assert rank(Group(order("limit", True, 97))) == 1
    assert rank(Group(order("stop", True, 103))) == 2
    assert rank(Group(order("limit", False, 103))) == 1
    assert rank(Group(order("stop", False, 97))) == 2
    assert rank(Group(None, parts=[part(True, 100, take_profit=104)])) == 2
    assert rank(Group(None, parts=[part(False, 100, take_profit=96)])) == 2


def test_each_group_takes_its_own_order_of_the_extremes() -> None:
    # Long 1 from 100 and short 1 from 100, both SL 4 away and TP 3 away: each is stopped
    long = Group(None, parts=[part(True, 100, stop_loss=96, take_profit=103)])
    short = Group(None, parts=[part(False, 100, stop_loss=104, take_profit=97)])
    assert sorted(walked(BAR, long, short)) == [
        Done("stop_loss", "high", D(104), D(1)),
        Done("stop_loss", "low", D(96), D(1)),
    ]


def test_the_contract_size_does_not_change_the_choice() -> None:
    group = Group(None, parts=[part(True, 100, stop_loss=97, take_profit=104)])
    assert walked(BAR, group, contract_size=D(50)) == filled("stop_loss", "low", 97)


# --- the rest -------------------------------------------------------------------------------------


def test_path_rules_of_a_pair_under_rules() -> None:
    pair = TradingPair(
        "XUSD", "X", "USD", price_increment=CENT, volume_increment=D("0.1"), contract_size=D(5)
    )
    made = PathRules.of(
        TradingRules(path="adaptive", penetration_ticks=3, slippage=D(1), slippage_rate=D("0.1")),
        pair,
    )
    assert (made.path, made.penetration, made.slips) == ("adaptive", D("0.03"), True)
    assert (made.volume_increment, made.price_increment) == (D("0.1"), CENT)
    assert (made.slippage, made.slippage_rate, made.slippage_beyond_bar) == (D(1), D("0.1"), False)
    assert made.contract_size == D(5)
    assert not PathRules.of(TradingRules(), pair).slips


def test_a_flat_bar_has_one_price() -> None:
    flat = bar(100, 100, 100, 100)
    group = Group(order("limit", True, 100), stop_loss=D(99), take_profit=D(101))
    assert walked(flat, group) == filled("limit", "open", 100)


def test_the_callers_decimal_context_does_not_matter() -> None:
    with decimal.localcontext() as context:
        context.prec = 2
        group = Group(order("stop", True, "103.37"), stop_loss=D("101.23"))
        got = walked(bar(100, 105, "95.11", 102), group, slippage=D("0.123"))
    # 103.37 + 0.123 = 103.493 -> 103.50; high first, stopped: 101.23 - 0.123 = 101.107 -> 101.10
    assert got == [
        Done("stop", "high", D("103.50"), D(1)),
        Done("stop_loss", "low", D("101.10"), D(1)),
    ]


def test_a_part_without_exits_may_be_reported() -> None:
    walk = BarWalk(BAR, [Group(order("market", True), stop_loss=D(97))], rules())
    hit = first(walk)
    assert opened(hit) is not None
    walk.report(hit, hit.volume, part(True, 100))
    assert walk.next() is None
