"""The walk along a bar's path: every group at once, rank by rank, sharing the bar's volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from heapq import heapify, heappop, heappush
from typing import Any

from attrs import define

from backtest.errors import FieldError
from backtest.models.bar import Bar
from backtest.money import ZERO, sub, to_step
from backtest.services.fills.choice import (
    Paths,
    choose,
    choose_jointly,
    mark,
    mark_partners,
    opens_contest,
)
from backtest.services.fills.events import (
    STOPS,
    Event,
    Points,
    acting_exits,
    lane_events,
    level_after,
    path_key,
    price_of,
    reachable,
)
from backtest.services.fills.outcome import Fills
from backtest.services.fills.path import (
    NOT_ON_THIS_BAR,
    Group,
    Hit,
    OpenPart,
    Point,
    Working,
    protection_passed,
)
from backtest.services.fills.rules import PathRules, checked_first

__all__ = ["HIGH_FIRST", "LOW_FIRST", "BarWalk"]

HIGH_FIRST: tuple[Point, ...] = ("open", "high", "low", "close")
LOW_FIRST: tuple[Point, ...] = ("open", "low", "high", "close")


@define(eq=False)
class _Lane:
    """The coming events of one open part, or of one-cancels-other entries, the next one last."""

    part: OpenPart | None
    events: list[Event]
    stopped: bool
    groups: Mapping[Working, Group] | None = None
    """Of one-cancels-other entries: whose they are."""
    head: Event | None = None
    """The next one, once it is queued."""
    group: Group | None = None
    points: Points | None = None
    is_over: bool = False
    """Whether another lane has taken its place."""


class BarWalk:
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
        "_buy_pool",
        "_contested",
        "_dropped",
        "_fixed",
        "_heap",
        "_lanes",
        "_paths",
        "_rules",
        "_sell_pool",
        "_serial",
        "forked",
        "inside",
        "trailed",
        "triggered",
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
        self.triggered: list[Working] = []
        self.trailed: list[Working] = []
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
        self._dropped: set[Working] = set()
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

    @property
    def pools(self) -> tuple[Decimal | None, Decimal | None]:
        """What is left for buys and for sells; None: no cap."""
        return self._buy_pool, self._sell_pool

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
        if 0 < event.rank < 3:
            self.inside += 1
        if lane is not None:
            if lane.is_over:
                return None
            lane.head = None
            if lane.events:
                later = lane.events.pop()
                self._push(
                    later,
                    lane,
                    group if lane.groups is None else lane.groups[later.working],
                    points,
                )
        if event.is_trigger:
            self._trigger(event, lane)
            return None
        return self._attempt(event, lane, group, points)

    def report(self, hit: Hit, volume: Decimal, part: OpenPart | None = None) -> None:
        """What really filled of ``hit`` (0 for a refusal): taken off pool, leaves and part here.

        ``part``: the OpenPart that an entry opened; its exits act on the rest of the path (of their
        ``start`` only 4 is looked at). Raises `FieldError` for more than the hit's volume.
        """
        if not ZERO <= volume <= hit.volume:
            raise FieldError("volume", f"must be within 0 and the hit's {hit.volume}, not {volume}")
        working = hit.working
        if working.kind != "liquidation":
            if working.buy:
                if self._buy_pool is not None:
                    self._buy_pool = sub(self._buy_pool, volume)
            elif self._sell_pool is not None:
                self._sell_pool = sub(self._sell_pool, volume)
        working.volume = sub(working.volume, volume)
        if hit.part is not None:
            hit.part.volume = sub(hit.part.volume, volume)
        if part is not None and part.exits and part not in self._lanes:
            since = (hit.rank, hit.reached)
            bar, rules = self._bar, self._rules
            exits = acting_exits(hit.group, working, part.exits, bar, rules)
            events = lane_events(exits, hit.points, bar, rules, since)
            self._trail(part.exits, events, hit.points, hit.rank)
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

    def drop(self, working: Working) -> None:
        """``working`` takes no further part in this walk (it was cancelled, its part is closed)."""
        self._dropped.add(working)

    def _trigger(self, event: Event, lane: _Lane | None) -> None:
        """The stop of a stop-limit order is reached: it is a limit order from here on."""
        working = event.working
        if working in self._dropped:
            return
        if lane is not None and lane.part is not None and lane.part.volume <= ZERO:
            return
        working.to_limit()
        self.triggered.append(working)

    def _trail(
        self,
        exits: Sequence[Working],
        events: Sequence[Event],
        points: Points,
        since: int | None = None,
    ) -> None:
        """Move the trailing stops among ``exits`` that the path does not reach."""
        for working in exits:
            if working.terms is None or working.kind != "trailing_stop" or working.triggered:
                continue
            if working.blocked or working.start >= NOT_ON_THIS_BAR:
                continue
            if any(event.working is working for event in events):
                continue
            level = level_after(working, points, self._rules, since)
            if level != working.price:
                working.price = level
                self.trailed.append(working)

    def _attempt(
        self, event: Event, lane: _Lane | None, group: Group, points: Points
    ) -> Hit | None:
        """The hit that ``event`` comes to now, if it is still to happen and there is volume."""
        working = event.working
        if working in self._dropped:
            return None
        kind = working.kind
        volume = working.volume
        part = None
        if lane is not None and lane.part is not None:
            part = lane.part
            if lane.stopped and kind != "liquidation" and kind != "stop_loss":
                return None
            if kind == "liquidation" or part.volume < volume:
                volume = part.volume
            lane.stopped = lane.stopped or kind == "stop_loss"
        if volume <= ZERO:
            return None
        if not working.triggered and kind in STOPS:
            working.triggered = True
            if event.level is not None:
                working.price = event.level
            self.triggered.append(working)
        terms = working.terms
        takes = terms is not None and terms.maker_only and event.taker
        if kind != "liquidation" and not takes:
            left = self._buy_pool if working.buy else self._sell_pool
            if left is not None and left < volume:
                volume = to_step(left, self._rules.volume_increment)
                if volume <= ZERO:
                    return None
                if terms is not None and terms.whole:
                    working.lacked = volume
                    return None
        price = event.price
        if self._rules.slippage_policy is not None:
            price = price_of(event, volume, self._bar, self._rules)
        passed = takes or (
            part is None
            and self._rules.guards
            and protection_passed(working.buy, price, group.stop_loss, group.take_profit)
        )
        otherwise = None
        if event.ambiguous:
            high, low = self._contested[group]
            otherwise = low if points is self._paths[True] else high
        names = HIGH_FIRST if points[1] == self._bar.high else LOW_FIRST
        return Hit(
            group,
            working,
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
        bar, rules = self._bar, self._rules
        entry = group.entry
        enters = entry is not None and reachable(entry, bar, rules)
        contested = not self._shortcut
        acts = enters
        if enters and entry.terms is not None:  # type: ignore[union-attr]
            contested = contested or entry.turns  # type: ignore[union-attr]
        fresh = [entry] if entry is not None and entry.fresh else []
        live_parts = False
        for part in group.parts:
            live = 0
            for working in part.exits:
                if working.fresh:
                    fresh.append(working)
                if reachable(working, bar, rules):
                    live += 1
                    contested = contested or (working.terms is not None and working.turns)
            acts = acts or live > 0
            live_parts = live_parts or live > 0
            contested = contested or live > 1
        if acts:
            if entry is not None and enters and not contested:
                points = self._paths[self._first(entry.buy)]
                contested = live_parts or opens_contest(group, entry, points, bar, rules)
            both = None
            forks = False
            high_first = self._first(group.buys)
            points = self._paths[high_first]
            if contested and not rules.in_queue_order:
                worse = self._fixed is None
                points, high, low, forks = choose(group, self._paths, high_first, worse, bar, rules)
                both = self._contested[group] = high, low
                self.forked = self.forked or high != low
            if entry is not None and enters:
                self._add_entry(group, entry, points, forks)
            for part in group.parts:
                events = lane_events(part.exits, points, bar, rules)
                if both is not None:
                    mark(events, [event.working for event in events], both)
                self._trail(part.exits, events, points)
                self._add_lane(part, events, group, points)
        for working in fresh:
            working.fresh = working.start >= NOT_ON_THIS_BAR

    def _add_partners(self, group: Group) -> None:
        """One-cancels-other orders: one path for all, on which the price decides who fills."""
        bar, rules = self._bar, self._rules
        points, high, low = choose_jointly(
            group.partners,
            self._paths,
            self._first(group.buys),
            self._fixed is None,
            bar,
            rules,
        )
        owners = {one.entry: one for one in group.partners if one.entry is not None}
        events = lane_events(list(owners), points, bar, rules)
        if not rules.in_queue_order:
            nothing: Fills = {}
            for one in group.partners:
                self._contested[one] = high.get(one, nothing), low.get(one, nothing)
            if mark_partners(events, high, low, points is self._paths[True]):
                self.forked = True
        self._trail(list(owners), events, points)
        if events:
            events.reverse()
            event = events.pop()
            lane = _Lane(None, events, False, owners)
            self._push(event, lane, owners[event.working], points, sort=False)
        for entry in owners:
            entry.fresh = entry.fresh and entry.start >= NOT_ON_THIS_BAR

    def _add_entry(
        self,
        group: Group,
        entry: Working,
        points: Points,
        ambiguous: bool = False,
    ) -> None:
        events = lane_events((entry,), points, self._bar, self._rules)
        if entry.terms is not None:
            self._trail((entry,), events, points)
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
        item = (
            rank,
            later,
            price,
            working.sequence,
            self._serial,
            event,
            lane,
            group,
            points,
        )
        if sort:
            heappush(self._heap, item)
        else:
            self._heap.append(item)

    def _first(self, buys: bool) -> bool:
        """Whether the high comes first where the outcome does not say: for sellers and shorts."""
        return not buys if self._fixed is None else self._fixed
