"""Properties of the bar path, and its agreement with the tick-by-tick model in ``ticking``."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.models.bar import Bar
from backtest.services.fills.walk import (
    OPEN_ONLY,
    WHOLE_BAR,
    BarWalk,
    Group,
    Hit,
    OpenPart,
    PathRules,
    Terms,
    Working,
    WorkingKind,
)
from tests.effort import examples

from .ticking import Condition, Market, Position, Problem, Result
from .walking import D, Named, name_of, rules

Prices = tuple[int, int, int, int]
"""open, high, low, close"""

prices = st.integers(85, 115)


@st.composite
def ohlc(draw: st.DrawFn) -> Prices:
    low = draw(st.integers(90, 105))
    high = draw(st.integers(low, 110))
    return draw(st.integers(low, high)), high, low, draw(st.integers(low, high))


starts = st.sampled_from([0, 0, 0, 0, 3, 4])
volumes = st.integers(1, 5)


@st.composite
def turning(draw: st.DrawFn, one: Condition) -> Condition:
    """``one`` with a limit, a distance to trail at, and maybe one look at the market only."""
    one.limit, one.trail = draw(prices), draw(st.integers(1, 8))
    one.once = one.kind in ("market", "limit", "stop_limit") and draw(st.integers(0, 2)) == 0
    return one


@st.composite
def exits_of(draw: st.DrawFn, name: str, long: bool, volume: int) -> list[Condition]:
    made = []
    for kind in ("stop_loss", "take_profit", "liquidation"):
        if draw(st.booleans()):
            whole = volume if draw(st.booleans()) else draw(volumes)
            made.append(Condition(f"{name} {kind}", kind, not long, draw(prices), whole))
    for number in range(draw(st.integers(0, 2))):
        kind = draw(st.sampled_from(["market", "limit", "stop", "stop_limit", "trailing_stop"]))
        close = Condition(f"{name} close {number}", kind, not long, draw(prices), draw(volumes))
        made.append(draw(turning(close)))
    for number, one in enumerate(made):
        one.start = draw(starts)
        one.sequence = number
    return made


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    long = draw(st.booleans())
    entry = None
    if draw(st.booleans()):
        kind = draw(
            st.sampled_from(["market", "limit", "limit", "stop", "stop_limit", "trailing_stop"])
        )
        entry = Condition("entry", kind, long, draw(prices), draw(volumes), draw(starts), 50)
        entry = draw(turning(entry))
    positions = []
    for number in range(draw(st.integers(0 if entry else 1, 2))):
        name, volume = f"part {number}", draw(volumes)
        exits = draw(exits_of(name, long, volume))
        positions.append(Position(name, long, volume, draw(prices), exits))
    maybe = st.none() | prices
    return Problem(entry, draw(maybe), draw(maybe), draw(st.none() | st.integers(1, 8)), positions)


def working_of(one: Condition) -> Working:
    price = None if one.kind == "market" else D(one.price)
    kind = cast("WorkingKind", one.kind)
    working = Named(one.name, kind, one.buy, price, D(one.volume), one.start, one.sequence)
    if one.once or kind in ("stop_limit", "trailing_stop"):
        limit = D(one.limit) if kind == "stop_limit" else None
        trail = D(one.trail) if kind == "trailing_stop" else None
        working.terms = Terms(limit, trail, immediate=one.once)
        working.end = OPEN_ONLY if one.once and kind != "stop_limit" else WHOLE_BAR
    return working


def group_of(problem: Problem) -> Group:
    """The group that ``problem`` describes, margins without bound."""
    liquidation = None
    entry = problem.entry
    if problem.liquidation is not None and entry is not None:
        away = D(-problem.liquidation if entry.buy else problem.liquidation)

        def liquidation(price: Decimal, volume: Decimal) -> Decimal:
            return price + away

    return Group(
        None if entry is None else working_of(entry),
        None if entry is None or problem.stop_loss is None else D(problem.stop_loss),
        None if entry is None or problem.take_profit is None else D(problem.take_profit),
        liquidation,
        [
            OpenPart(
                one.long,
                D(one.volume),
                D(one.entry_price),
                D(1000),
                [working_of(each) for each in one.exits],
            )
            for one in problem.positions
        ],
    )


def bar_of(values: Prices) -> Bar:
    return Bar("X", 60, 120, *(D(value) for value in values))


def opened(hit: Hit) -> OpenPart:
    group = hit.group
    wanted = {"stop_loss": group.stop_loss, "take_profit": group.take_profit}
    if group.liquidation is not None:
        wanted["liquidation"] = group.liquidation(hit.price, hit.volume)
    exits = [
        Named(f"new {kind}", kind, not hit.working.buy, price, hit.volume)
        for kind, price in wanted.items()
        if price is not None
    ]
    return OpenPart(hit.working.buy, hit.volume, hit.price, D(1000), exits)


def follow(walk: BarWalk) -> list[Hit]:
    hits = []
    while (hit := walk.next()) is not None:
        if hit.passed:
            walk.drop(hit.working)
            continue
        hits.append(hit)
        walk.report(hit, hit.volume, opened(hit) if hit.part is None else None)
    return hits


Fact = tuple[str, str, int, int, int]


def facts(hits: list[Hit]) -> list[Fact]:
    return sorted(
        (name_of(hit.working), hit.working.kind, hit.rank, int(hit.price), int(hit.volume))
        for hit in hits
    )


def modelled(problem: Problem, values: Prices, high_first: bool, slip: int, pen: int) -> Result:
    open_, high, low, close = values
    points = (open_, high, low, close) if high_first else (open_, low, high, close)
    return Market(deepcopy(problem), points, slip, pen).run()


def path_rules(path: str, slip: int, pen: int) -> PathRules:
    return rules(path=path, slippage=D(slip), penetration_ticks=pen, price_increment=D(1))


slips = st.integers(0, 3)
penetrations = st.integers(0, 2)


@settings(max_examples=examples(125, soak=8000), deadline=None)
@given(problems(), ohlc(), st.booleans(), slips, penetrations)
def test_a_named_path_agrees_with_the_model(
    problem: Problem, values: Prices, high_first: bool, slip: int, pen: int
) -> None:
    path = "open_high_low_close" if high_first else "open_low_high_close"
    group = group_of(problem)
    walk = BarWalk(bar_of(values), [group], path_rules(path, slip, pen))
    result = modelled(problem, values, high_first, slip, pen)
    assert facts(follow(walk)) == sorted(result.fills)
    if group.entry is not None and group.entry.kind == "trailing_stop":
        assert group.entry.triggered is (result.level is None)
        assert result.level is None or result.level == group.entry.price


@settings(max_examples=examples(125, soak=8000), deadline=None)
@given(problems(), ohlc(), slips, penetrations)
def test_the_pessimistic_path_is_the_worse_one_and_flags_what_differs(
    problem: Problem, values: Prices, slip: int, pen: int
) -> None:
    high = modelled(problem, values, True, slip, pen)
    low = modelled(problem, values, False, slip, pen)
    long = problem.entry.buy if problem.entry else problem.positions[0].long
    high_first = high.value < low.value or (high.value == low.value and not long)
    mine, other = (high, low) if high_first else (low, high)
    walk = BarWalk(bar_of(values), [group_of(problem)], path_rules("pessimistic", slip, pen))
    hits = follow(walk)
    assert facts(hits) == sorted(mine.fills)
    elsewhere = {(name, price, volume) for name, _, _, price, volume in other.fills}
    for hit in hits:
        same = (name_of(hit.working), int(hit.price), int(hit.volume)) in elsewhere
        assert hit.ambiguous is not same


class General(BarWalk):
    """Every group evaluated on both paths, whatever it holds."""

    _shortcut = False


def spread(hits: list[Hit]) -> list[tuple[object, ...]]:
    return [
        (name_of(hit.working), hit.rank, hit.point, hit.price, hit.volume, hit.taker, hit.ambiguous)
        for hit in hits
    ]


def _levels(walk: BarWalk) -> list[tuple[object, Decimal | None]]:
    return sorted(((name_of(one), one.price) for one in walk.trailed), key=str)


@st.composite
def many(draw: st.DrawFn) -> list[Problem]:
    """Several groups, the plain ones (one order each) as common as the others."""
    drawn = []
    for number in range(draw(st.integers(1, 4))):
        problem = draw(problems())
        if problem.entry is not None and draw(st.booleans()):
            problem = Problem(problem.entry, None, None, None, [])
        for one in [problem.entry, *(one for p in problem.positions for one in p.exits)]:
            if one is not None:
                one.name = f"{number} {one.name}"
                one.sequence += draw(st.integers(0, 20)) * 10
        drawn.append(problem)
    return drawn


pools = st.tuples(*[st.none() | st.integers(0, 8).map(Decimal)] * 2)
paths = st.sampled_from(["pessimistic", "open_high_low_close", "open_low_high_close", "adaptive"])


@settings(max_examples=examples(100, soak=6000), deadline=None)
@given(many(), ohlc(), paths, pools, slips, penetrations)
def test_the_short_path_gives_what_the_general_one_gives(
    drawn: list[Problem],
    values: Prices,
    path: str,
    cap: tuple[Decimal | None, Decimal | None],
    slip: int,
    pen: int,
) -> None:
    bar, how = bar_of(values), path_rules(path, slip, pen)
    short = BarWalk(bar, [group_of(one) for one in drawn], how, cap)
    general = General(bar, [group_of(one) for one in drawn], how, cap)
    again = BarWalk(bar, [group_of(one) for one in drawn], how, cap)
    got = spread(follow(short))
    assert got == spread(follow(general))
    assert got == spread(follow(again))
    assert short.pools == general.pools
    assert [name_of(one) for one in short.triggered] == [name_of(one) for one in general.triggered]
    assert _levels(short) == _levels(general) == _levels(again)


@settings(max_examples=examples(100, soak=6000), deadline=None)
@given(many(), ohlc(), paths, pools, slips, penetrations)
def test_what_holds_for_every_walk(
    drawn: list[Problem],
    values: Prices,
    path: str,
    cap: tuple[Decimal | None, Decimal | None],
    slip: int,
    pen: int,
) -> None:
    bar, groups = bar_of(values), [group_of(one) for one in drawn]
    held = [(part, part.volume) for group in groups for part in group.parts]
    walk = BarWalk(bar, groups, path_rules(path, slip, pen), cap)
    hits = follow(walk)
    used = {True: D(0), False: D(0)}
    assert [hit.rank for hit in hits] == sorted(hit.rank for hit in hits)
    for hit in hits:
        working = hit.working
        assert hit.volume > 0
        assert bar.low <= hit.price <= bar.high
        if working.is_limit and working.price is not None:
            worse = hit.price > working.price if working.buy else hit.price < working.price
            assert not worse
        if working.kind != "liquidation":
            used[working.buy] += hit.volume
    for left, before, buy in zip(walk.pools, cap, (True, False), strict=True):
        if before is not None and left is not None:
            assert left == before - used[buy] >= 0
    for part, volume in held:
        closed = sum((hit.volume for hit in hits if hit.part is part), D(0))
        assert closed <= volume
        assert part.volume == volume - closed
    counts = [id(hit.working) for hit in hits]
    assert len(counts) == len(set(counts))
    for one in walk.triggered:
        assert one.kind == "limit" or (
            one.triggered and one.kind in ("stop", "stop_loss", "trailing_stop")
        )
    for one in walk.trailed:
        assert one.kind == "trailing_stop"
        assert not one.triggered


def mirrored(problem: Problem) -> Problem:
    """``problem`` seen in a mirror at price 100: buyers are sellers, 97 is 103."""
    copy = deepcopy(problem)
    conditions = [one for position in copy.positions for one in position.exits]
    if copy.entry is not None:
        conditions.append(copy.entry)
    for one in conditions:
        one.buy = not one.buy
        one.price, one.limit = 200 - one.price, 200 - one.limit
    for position in copy.positions:
        position.long = not position.long
        position.entry_price = 200 - position.entry_price
    copy.stop_loss = None if copy.stop_loss is None else 200 - copy.stop_loss
    copy.take_profit = None if copy.take_profit is None else 200 - copy.take_profit
    return copy


@settings(max_examples=examples(100, soak=6000), deadline=None)
@given(many(), ohlc(), pools, slips, penetrations)
def test_a_mirrored_problem_gives_mirrored_hits(
    drawn: list[Problem],
    values: Prices,
    cap: tuple[Decimal | None, Decimal | None],
    slip: int,
    pen: int,
) -> None:
    how = path_rules("pessimistic", slip, pen)
    here = follow(BarWalk(bar_of(values), [group_of(one) for one in drawn], how, cap))
    open_, high, low, close = values
    image = bar_of((200 - open_, 200 - low, 200 - high, 200 - close))
    groups = [group_of(mirrored(one)) for one in drawn]
    there = follow(BarWalk(image, groups, how, (cap[1], cap[0])))
    name = {"open": "open", "close": "close", "high": "low", "low": "high"}
    reflected = sorted(
        (
            name_of(hit.working),
            hit.rank,
            name[hit.point],
            200 - hit.price,
            hit.volume,
            hit.ambiguous,
        )
        for hit in there
    )
    assert reflected == sorted(
        (name_of(hit.working), hit.rank, hit.point, hit.price, hit.volume, hit.ambiguous)
        for hit in here
    )
