"""Where on a bar's path a condition is met, and at what price it executes there."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from attrs import define

from backtest.models.bar import Bar
from backtest.money import ZERO, add, sub
from backtest.services.fills.path import NOT_ON_THIS_BAR, Group, Terms, Working, trailed
from backtest.services.fills.rules import PathRules, slipped

__all__ = [
    "AT_ONE_PRICE",
    "STOPS",
    "Event",
    "Points",
    "acting_exits",
    "event_of",
    "lane_events",
    "path_key",
    "price_of",
    "reachable",
    "trail",
]

Points = tuple[Decimal, Decimal, Decimal, Decimal]
"""The prices of a path by rank."""

AT_ONE_PRICE = {
    "market": 0,
    "stop": 0,
    "stop_limit": 0,
    "trailing_stop": 0,
    "stop_loss": 2,
    "liquidation": 3,
    "limit": 4,
    "take_profit": 4,
}


_IN_QUEUE = {"market": 0, "stop_loss": 1, "liquidation": 2}
"""In queue order a close at the market goes before the protections, at the open."""


STOPS = frozenset({"stop", "stop_loss", "trailing_stop"})
"""Kinds that are market orders once the price has reached them."""


@define(eq=False)
class Event:
    """A condition met: on which rank, at which price of the path, and what it executes at.

    ``limit`` is the limit price of what executes as a limit order; ``level`` where a trailing stop
    stood when the price reached it. ``is_trigger``: nothing executes, the stop of a stop-limit
    order is reached; ``then`` is what it does on the rest of the path as a limit order.
    """

    working: Working
    rank: int
    reached: Decimal
    price: Decimal
    taker: bool
    ambiguous: bool = False
    limit: Decimal | None = None
    level: Decimal | None = None
    is_trigger: bool = False
    then: Event | None = None
    market: Decimal | None = None
    """The market's price that slippage was added to: policies may look at the volume that fills."""


def reachable(working: Working, bar: Bar, rules: PathRules) -> bool:
    """Whether ``working`` can act on ``bar`` at all, in whichever order the extremes come."""
    if working.blocked or working.start >= NOT_ON_THIS_BAR or working.volume <= ZERO:
        return False
    price = working.price
    if price is None or working.triggered or working.kind == "trailing_stop":
        return True  # the level of a trailing stop moves: where it now stands says little
    if working.is_limit and rules.penetration and not _must_rest(working):
        price = (sub if working.buy else add)(price, rules.penetration)
    if working.rises:
        return (bar.close if working.start else bar.high) >= price
    return (bar.close if working.start else bar.low) <= price


def _must_rest(working: Working) -> bool:
    """Whether it ends where it is marketable at first, however far a fill would have to go."""
    return working.fresh and working.terms is not None and working.terms.maker_only


def event_of(
    working: Working, rank: int, at: Decimal, points: Points, bar: Bar, rules: PathRules
) -> Event | None:
    """When and at what price ``working`` acts if it becomes active at price ``at`` of ``rank``.

    A condition already met there acts there, at that price; else it acts where the price reaches
    it, at its own. None when the rest of the path does not reach it.
    """
    price = working.price
    if price is None or working.triggered:
        return _taken(working, rank, at, at, bar, rules)
    if working.is_limit:
        return _limit_event(working, price, rank, at, points, rules, working.fresh, working.end)
    if working.terms is not None:
        if working.kind == "trailing_stop":
            return _trailing_event(working, price, working.terms, rank, at, points, bar, rules)
        if working.kind == "stop_limit":
            return _stop_limit_event(working, price, working.terms, rank, at, points, rules)
    rises = working.rises
    if (at >= price) if rises else (at <= price):
        policy = rules.stop_policy
        market = at if policy is None else policy.gap(working.kind, price, at)
        return _taken(working, rank, at, market, bar, rules)
    for later in range(rank or 1, working.end):
        if (points[later] >= price) if rises else (points[later] <= price):
            return _taken(working, later, price, price, bar, rules)
    return None


def _taken(
    working: Working,
    rank: int,
    reached: Decimal,
    market: Decimal,
    bar: Bar,
    rules: PathRules,
    level: Decimal | None = None,
) -> Event:
    """A fill at the market's price, made worse by the slippage."""
    if not rules.slips:
        return Event(working, rank, reached, market, True, False, None, level)
    fill = slipped(market, working.buy, bar, rules, working.volume)
    return Event(working, rank, reached, fill, True, level=level, market=market)


def price_of(event: Event, volume: Decimal, bar: Bar, rules: PathRules) -> Decimal:
    """The price of ``event`` when ``volume`` of it fills: policies may slip by volume."""
    if rules.slippage_policy is None or event.market is None or volume == event.working.volume:
        return event.price
    return slipped(event.market, event.working.buy, bar, rules, volume)


def acting_exits(
    group: Group, entry: Working, exits: Sequence[Working], bar: Bar, rules: PathRules
) -> Sequence[Working]:
    """Those of a new part's ``exits`` that act on the bar on which ``entry`` opened it."""
    policy = rules.delays_exits
    if policy is None or policy.same_bar(
        entry.kind, entry.buy, group.stop_loss, group.take_profit, bar
    ):
        return exits
    return [one for one in exits if one.kind == "liquidation"]


def _limit_event(
    working: Working,
    price: Decimal,
    rank: int,
    at: Decimal,
    points: Points,
    rules: PathRules,
    takes: bool,
    end: int,
) -> Event | None:
    """A limit at ``price``; one marketable where it becomes active takes, if ``takes``."""
    buy = working.buy
    trigger = price
    if rules.penetration:
        trigger = sub(price, rules.penetration) if buy else add(price, rules.penetration)
    marketable = at <= price if buy else at >= price
    fill = at if marketable and rules.gap_improves else price
    taker = takes and marketable
    if taker and working.terms is not None and working.terms.maker_only:
        return Event(working, rank, at, fill, True, limit=price)  # it would take: no fill at all
    if (at <= trigger) if buy else (at >= trigger):
        return Event(working, rank, at, fill, taker, limit=price)
    for later in range(rank or 1, end):
        if (points[later] <= trigger) if buy else (points[later] >= trigger):
            return Event(working, later, trigger, fill, taker, limit=price)
    return None


def _stop_limit_event(
    working: Working,
    stop: Decimal,
    terms: Terms,
    rank: int,
    at: Decimal,
    points: Points,
    rules: PathRules,
) -> Event | None:
    """The stop is reached, and from that point of the path on it is a limit order."""
    rises = working.rises
    reached = at
    if not ((at >= stop) if rises else (at <= stop)):
        for later in range(rank or 1, working.end):
            if (points[later] >= stop) if rises else (points[later] <= stop):
                rank, reached = later, stop
                break
        else:
            return None
    end = 0 if terms.immediate else working.end
    assert terms.limit is not None
    then = _limit_event(working, terms.limit, rank, reached, points, rules, True, end)
    if then is not None and then.taker and then.reached == reached:
        then.price = _at_stop(then, stop, rules)
    return Event(working, rank, reached, reached, True, is_trigger=True, then=then)


def _at_stop(event: Event, stop: Decimal, rules: PathRules) -> Decimal:
    """What a limit gives that is in the market where its stop is reached: there the market stands
    at the stop. A gap that has passed the stop gives what it gives of stops, within the limit."""
    if event.reached == stop:
        return stop
    if rules.stop_policy is None:
        return event.price
    assert event.limit is not None
    given = rules.stop_policy.gap("stop", stop, event.reached)
    return min(given, event.limit) if event.working.buy else max(given, event.limit)


def _trailing_event(
    working: Working,
    level: Decimal,
    terms: Terms,
    rank: int,
    at: Decimal,
    points: Points,
    bar: Bar,
    rules: PathRules,
) -> Event | None:
    """A stop whose level follows the price, moving at the end of each segment of the path."""
    rises, buy = working.rises, working.buy
    if (at >= level) if rises else (at <= level):
        return _taken(working, rank, at, at, bar, rules, level)
    if rank == 0:
        level = _ratchet(buy, level, at, terms, rules)
    for later in range(rank or 1, working.end):
        point = points[later]
        if (point >= level) if rises else (point <= level):
            return _taken(working, later, level, level, bar, rules, level)
        level = _ratchet(buy, level, point, terms, rules)
    return None


def _ratchet(buy: bool, level: Decimal, price: Decimal, terms: Terms, rules: PathRules) -> Decimal:
    """``level``, or where it follows ``price`` to: a sell's only rises, a buy's only falls."""
    follows = trailed(buy, price, terms, rules.price_increment)
    return min(level, follows) if buy else max(level, follows)


def _level_after(
    working: Working, points: Points, rules: PathRules, since: int | None = None
) -> Decimal:
    """Where a trailing stop stands after a path on which it did not trigger.

    ``since``: the rank on which the part was opened that it is an exit of; None: before the bar.
    """
    level, terms = working.price, working.terms
    assert level is not None
    assert terms is not None
    first = working.start if since is None else since
    for point in points[first : working.end]:
        level = _ratchet(working.buy, level, point, terms, rules)
    return level


def trail(
    moved: list[Working],
    workings: Sequence[Working],
    events: Sequence[Event],
    points: Points,
    rules: PathRules,
    since: int | None = None,
) -> None:
    """Move the trailing stops among ``workings`` that the path does not reach, and list them."""
    for working in workings:
        if working.terms is None or working.kind != "trailing_stop" or working.triggered:
            continue
        if working.blocked or working.start >= NOT_ON_THIS_BAR:
            continue
        if any(event.working is working for event in events):
            continue
        level = _level_after(working, points, rules, since)
        if level != working.price:
            working.price = level
            moved.append(working)


def lane_events(
    exits: Sequence[Working],
    points: Points,
    bar: Bar,
    rules: PathRules,
    since: tuple[int, Decimal] | None = None,
) -> list[Event]:
    """The events of one part's exits in the order of the path; equal prices by rank of their kind.

    ``since`` is the rank and price at which the part was opened on this bar; None: before the bar.
    """
    events = []
    for working in exits:
        if working.blocked or working.start >= NOT_ON_THIS_BAR or working.volume <= ZERO:
            continue
        rank, at = (working.start, points[working.start]) if since is None else since
        event = event_of(working, rank, at, points, bar, rules)
        if event is not None:
            events.append(event)
            if event.then is not None:
                events.append(event.then)
    if len(events) > 1:
        if rules.in_queue_order:
            events.sort(key=_queue_key)
        else:
            events.sort(key=lambda event: path_key(event, points))
    return events


def _queue_key(event: Event) -> tuple[int, int, int]:
    working = event.working
    return _IN_QUEUE.get(working.kind, 3), working.sequence, event.rank


def path_key(event: Event, points: Points) -> tuple[int, Decimal, int, Decimal, int]:
    rank = event.rank
    working = event.working
    falls = rank > 0 and points[rank] < points[rank - 1]
    limit, kind = ZERO, AT_ONE_PRICE[working.kind]
    if event.limit is not None:
        limit, kind = event.limit.copy_negate() if working.buy else event.limit, 4
    along = event.reached.copy_negate() if falls else event.reached
    return rank, along, kind, limit, working.sequence
