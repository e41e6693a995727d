"""The walk along a bar's path: every group at once, rank by rank, sharing the bar's volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from heapq import heapify, heappop, heappush
from typing import Any

from attrs import define

from backtest.models.bar import Bar
from backtest.money import ZERO
from backtest.services.fills.choice import (
    Paths,
    choose,
    choose_jointly,
    mark,
    mark_partners,
    opens_contest,
)
from backtest.services.fills.events import (
    Event,
    Points,
    acting_exits,
    lane_events,
    path_key,
    reachable,
    trail,
)
from backtest.services.fills.hits import Hits, Lane
from backtest.services.fills.outcome import Fills
from backtest.services.fills.path import (
    NOT_ON_THIS_BAR,
    Group,
    Hit,
    OpenPart,
    Point,
    Working,
)
from backtest.services.fills.rules import PathRules, checked_first

__all__ = ["HIGH_FIRST", "LOW_FIRST", "BarWalk"]

HIGH_FIRST: tuple[Point, ...] = ("open", "high", "low", "close")
LOW_FIRST: tuple[Point, ...] = ("open", "low", "high", "close")


@define(eq=False)
class _Lane(Lane):
    """Of an open part, or of one-cancels-other entries."""

    groups: Mapping[Working, Group] | None = None
    """Of one-cancels-other entries: whose they are."""
    head: Event | None = None
    """The next one, once it is queued."""
    group: Group | None = None
    points: Points | None = None


class BarWalk(Hits):
    """One bar walked by many groups: `next` gives hits in order, `report` says what filled.

    ::

        p = pool(bar.volume, trading_rules.participation, pair.volume_increment)
        walk = BarWalk(bar, groups, rules, (p, p))
        while (hit := walk.next()) is not None:
            ...                                   # carry it out
            walk.report(hit, filled, part)        # part: the OpenPart that an entry opened
        walk.triggered                            # stops that triggered on this bar, in order
        walk.trailed                              # trailing stops whose level moved
        walk.pools                                # what is left for buys and for sells

    Hits come rank by rank; within a rank market orders and triggered stops first, by acceptance,
    then limits by better price, then by acceptance; the exits of one part in the order of its path.
    """

    __slots__ = (
        "_bar",
        "_contested",
        "_fixed",
        "_heap",
        "_lanes",
        "_paths",
        "_serial",
        "forked",
        "inside",
    )

    _shortcut = True
    """False (in tests) evaluates every group on both paths, whatever it holds."""

    def __init__(
        self,
        bar: Bar,
        groups: Sequence[Group],
        rules: PathRules,
        pools: tuple[Decimal | None, Decimal | None] = (None, None),
    ) -> None:
        """``pools``: the volume there is for buys and for sells; None: no cap."""
        self.triggered = []
        self.trailed = []
        self.forked = False
        """Whether some group alone would come to something else on the other path."""
        self.inside = 0
        """How many conditions were met between open and close so far: the order of the extremes
        decides which came first."""
        self._bar = bar
        self._rules = rules
        self._buy_pool, self._sell_pool = pools
        self._heap: list[tuple[Any, ...]] = []
        self._serial = 0
        self._dropped = set()
        self._contested: dict[Group, tuple[Fills, Fills]] = {}
        self._lanes: dict[OpenPart, _Lane] = {}
        chooses = rules.chooses
        self._fixed = rules.high_first if chooses is None else checked_first(chooses, bar)
        # Indexed by "the high comes first".
        self._paths: Paths = (
            (bar.open, bar.low, bar.high, bar.close),
            (bar.open, bar.high, bar.low, bar.close),
        )
        shortcut = self._shortcut
        for group in groups:
            entry = group.entry
            if (
                shortcut
                and entry is not None
                and entry.terms is None
                and not group.parts
                and group.stop_loss is None
                and group.take_profit is None
                and group.liquidation is None
            ):
                if reachable(entry, bar, rules):
                    self._add_entry(group, entry, self._paths[self._first(entry.buy)])
                if entry.fresh and entry.start < NOT_ON_THIS_BAR:
                    entry.fresh = False
            else:
                self._add_group(group)
        if len(self._heap) > 1:
            heapify(self._heap)

    def next(self) -> Hit | None:
        """The next execution, or None when the bar is done.

        A hit neither reported nor dropped counts as refused: nothing filled, and it does not come
        again on this bar.
        """
        heap = self._heap
        while heap:
            hit = self._take(heappop(heap))
            if hit is not None:
                return hit
        return None

    def _take(self, item: tuple[Any, ...]) -> Hit | None:
        """Let what was queued happen; the hit that it comes to, if any."""
        *_, event, lane, group, points = item
        if lane is not None and lane.is_over:
            return None
        if 0 < event.rank < 3:
            self.inside += 1
        if lane is not None:
            lane.head = None
            if lane.events:
                later = lane.events.pop()
                own = group if lane.groups is None else lane.groups[later.working]
                self._push(later, lane, own, points)
        if event.is_trigger:
            self._trigger(event, lane)
            return None
        return self._attempt(event, lane, group, points)

    def _open(self, part: OpenPart, hit: Hit) -> None:
        """The exits of ``part`` act on the rest of the path; of their ``start`` only 4 is looked
        at."""
        if not part.exits or part in self._lanes:
            return
        since = (hit.rank, hit.reached)
        bar, rules = self._bar, self._rules
        exits = acting_exits(hit.group, hit.working, part.exits, bar, rules)
        events = lane_events(exits, hit.points, bar, rules, since)
        trail(self.trailed, part.exits, events, hit.points, rules, hit.rank)
        both = self._contested.get(hit.group)
        if both is not None:
            mark(events, [event.working.kind for event in events], both)
        self._add_lane(part, events, hit.group, hit.points)

    def renew(self, part: OpenPart, group: Group, hit: Hit) -> None:
        """By ``hit`` the liquidation price of ``part``, which walks in ``group``, may have changed:
        the rest of the path is with the new one."""
        lane = self._lanes.get(part)
        liquidation = next((one for one in part.exits if one.kind == "liquidation"), None)
        coming: list[Event] = []
        points, before = hit.points, None
        if lane is not None:
            assert lane.points is not None
            points = lane.points
            coming = [*reversed(lane.events)]
            if lane.head is not None:
                coming.insert(0, lane.head)
            before = next((one for one in coming if one.working.kind == "liquidation"), None)
        if liquidation is None or part.volume <= ZERO:
            new = None
        elif before is not None and before.reached == liquidation.price:
            return  # it is what it was
        else:
            since = (hit.rank, hit.reached)
            found = lane_events((liquidation,), points, self._bar, self._rules, since)
            new = found[0] if found else None
        if before is None and new is None:
            return
        coming = [one for one in coming if one is not before]
        if new is not None:
            both = self._contested.get(group)
            if before is not None:
                new.ambiguous = before.ambiguous
            elif both is not None:
                mark([new], [new.working], both)
            coming.append(new)
            if len(coming) > 1 and not self._rules.in_queue_order:
                coming.sort(key=lambda event: path_key(event, points))
        stopped = part.is_stopped
        if lane is not None:
            lane.is_over, stopped, group = True, lane.stopped, lane.group or group
        self._add_lane(part, coming, group, points, stopped)

    def _asked_of(self, working: Working) -> Bar:
        return self._bar

    def _hit(
        self,
        event: Event,
        group: Group,
        part: OpenPart | None,
        price: Decimal,
        volume: Decimal,
        passed: bool,
        points: Points,
    ) -> Hit:
        otherwise = None
        if event.ambiguous:
            high, low = self._contested[group]
            otherwise = low if points is self._paths[True] else high
        names = HIGH_FIRST if points[1] == self._bar.high else LOW_FIRST
        return Hit(
            group,
            event.working,
            part,
            price,
            volume,
            event.rank,
            names[event.rank],
            event.taker,
            event.ambiguous,
            passed,
            event.reached,
            points,
            otherwise,
        )

    def _add_group(self, group: Group) -> None:
        """The general way: parts, protections, and where it matters both orders of the extremes."""
        if group.partners:
            self._add_partners(group)
            return
        entry = group.entry
        fresh = [entry] if entry is not None and entry.fresh else []
        if entry is not None and not reachable(entry, self._bar, self._rules):
            entry = None
        acts, contested = self._look_at_exits(group, fresh)
        if acts or entry is not None:
            self._add_acting(group, entry, acts, contested or not self._shortcut)
        for working in fresh:
            working.fresh = working.start >= NOT_ON_THIS_BAR

    def _look_at_exits(self, group: Group, fresh: list[Working]) -> tuple[bool, bool]:
        """Whether any exit of the group can act on the bar, and whether the order of the extremes
        may decide between those of one part; new ones go to ``fresh``."""
        bar, rules = self._bar, self._rules
        acts = contested = False
        for part in group.parts:
            live = 0
            for working in part.exits:
                if working.fresh:
                    fresh.append(working)
                if reachable(working, bar, rules):
                    live += 1
                    contested = contested or (working.terms is not None and working.turns)
            acts = acts or live > 0
            contested = contested or live > 1
        return acts, contested

    def _add_acting(
        self, group: Group, entry: Working | None, exits_act: bool, contested: bool
    ) -> None:
        """What the bar can reach of a group takes its path; ``entry``: None where it cannot."""
        bar, rules, paths = self._bar, self._rules, self._paths
        if entry is not None and not contested:
            contested = (
                exits_act
                or (entry.terms is not None and entry.turns)
                or opens_contest(group, entry, paths[self._first(entry.buy)], bar, rules)
            )
        both = None
        forks = False
        high_first = self._first(group.buys)
        points = paths[high_first]
        if contested and not rules.in_queue_order:
            worse = self._fixed is None
            points, high, low, forks = choose(group, paths, high_first, worse, bar, rules)
            both = self._contested[group] = high, low
            self.forked = self.forked or high != low
        if entry is not None:
            self._add_entry(group, entry, points, forks)
        for part in group.parts:
            events = lane_events(part.exits, points, bar, rules)
            if both is not None:
                mark(events, [event.working for event in events], both)
            trail(self.trailed, part.exits, events, points, rules)
            self._add_lane(part, events, group, points)

    def _add_partners(self, group: Group) -> None:
        """One-cancels-other orders: one path for all, on which the price decides who fills."""
        bar, rules = self._bar, self._rules
        high_first, worse = self._first(group.buys), self._fixed is None
        points, high, low = choose_jointly(
            group.partners, self._paths, high_first, worse, bar, rules
        )
        owners = {one.entry: one for one in group.partners if one.entry is not None}
        events = lane_events(list(owners), points, bar, rules)
        if not rules.in_queue_order:
            nothing: Fills = {}
            for one in group.partners:
                self._contested[one] = high.get(one, nothing), low.get(one, nothing)
            if mark_partners(events, high, low, points is self._paths[True]):
                self.forked = True
        trail(self.trailed, list(owners), events, points, rules)
        if events:
            events.reverse()
            event = events.pop()
            lane = _Lane(None, events, False, groups=owners)
            self._push(event, lane, owners[event.working], points, sort=False)
        for entry in owners:
            entry.fresh = entry.fresh and entry.start >= NOT_ON_THIS_BAR

    def _add_entry(
        self, group: Group, entry: Working, points: Points, ambiguous: bool = False
    ) -> None:
        events = lane_events((entry,), points, self._bar, self._rules)
        if entry.terms is not None:
            trail(self.trailed, (entry,), events, points, self._rules)
        for event in events:
            event.ambiguous = ambiguous
            self._push(event, None, group, points, sort=False)

    def _add_lane(
        self,
        part: OpenPart,
        events: list[Event],
        group: Group,
        points: Points,
        stopped: bool | None = None,
    ) -> None:
        if part.volume <= ZERO:
            return
        if stopped is None:
            stopped = part.is_stopped
        lane = self._lanes[part] = _Lane(part, events, stopped, group=group, points=points)
        if events:
            events.reverse()
            self._push(events.pop(), lane, group, points)

    def _push(
        self, event: Event, lane: _Lane | None, group: Group, points: Points, sort: bool = True
    ) -> None:
        """Queue ``event``: rank, then market and stops before limits, better price, acceptance."""
        working = event.working
        self._serial += 1
        if lane is not None:
            lane.head = event
        price, limit = ZERO, event.limit
        if limit is not None:
            price = limit.copy_negate() if working.buy else limit
        rank, later = event.rank, limit is not None
        if self._rules.in_queue_order:
            rank, later, price = 0, False, ZERO
        item = (rank, later, price, working.sequence, self._serial, event, lane, group, points)
        if sort:
            heappush(self._heap, item)
        else:
            self._heap.append(item)

    def _first(self, buys: bool) -> bool:
        """Whether the high comes first where the outcome does not say: for sellers and shorts."""
        return not buys if self._fixed is None else self._fixed
