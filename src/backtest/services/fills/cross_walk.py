"""The walk along a bar with accounts that go by one path; those of cross margin are called."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from heapq import heapify, heappop, heappush
from typing import Any

from attrs import define

from backtest.models.bar import Bar
from backtest.money import ONE, ZERO
from backtest.services.fills.bar_walk import HIGH_FIRST, LOW_FIRST, BarWalk
from backtest.services.fills.events import Points, path_key, reachable
from backtest.services.fills.outcome import Fills
from backtest.services.fills.path import Group, Hit
from backtest.services.fills.rehearsal import OPENS, Rehearsal, Watch
from backtest.services.fills.rules import PathRules

__all__ = ["CrossWalk", "Watch"]

_AFTER = frozenset({"liquidation", "take_profit"})
"""Exits that come after a call at the same price; orders, closes among them, go before it."""


@define(eq=False)
class _Follower:
    """How far along its path an account has come, and what it would come to on either path."""

    watch: Watch | Rehearsal
    points: Points
    both: tuple[dict[Group, Fills], dict[Group, Fills]]
    """By group, for high first and for low first."""
    calls: tuple[object, object]
    """Where it would be called, on high first and on low first."""
    high_first: bool
    at: Decimal
    rank: int = 0

    def due(self, rank: int, reached: Decimal, goes_before: bool) -> tuple[int, Decimal] | None:
        """Where on the way to ``reached`` the account is called: rank and price; None: nowhere.

        ``goes_before``: what happens at ``reached`` goes before a call at that very point.
        """
        if not self.watch.calls:
            return None
        low, high = self.watch.standing().triggers(self.at)
        if low is None and high is None:
            return None
        found = None
        if (low is not None and self.at <= low) or (high is not None and self.at >= high):
            found = self.rank, self.at
        else:
            for later in range(self.rank, rank + 1):
                end = reached if later == rank else self.points[later]
                if low is not None and end <= low:
                    found = later, low
                    break
                if high is not None and end >= high:
                    found = later, high
                    break
        if found is None or (goes_before and found[1] == reached and found[0] >= rank):
            return None
        return found

    def differs(self, group: Group, key: object) -> bool:
        """Whether what became of ``key`` is not the same on both paths.

        Nor is an entry the same whose position is closed on the other path only: one that is closed
        on this path, too, is flagged where it is closed.
        """
        high, low = (fills.get(group, {}) for fills in self.both)
        if high.get(key) != low.get(key):
            return True
        if high == low or key is not group.entry:
            return False
        if high.get(OPENS) != low.get(OPENS):
            return True
        return not any(type(one) is str for one in (high if self.high_first else low))

    def otherwise(self, group: Group) -> Fills:
        """What becomes of ``group`` on the path that was not taken."""
        fills = self.both[1 if self.high_first else 0].get(group, {})
        return {key: what for key, what in fills.items() if key is not OPENS}


class CrossWalk(BarWalk):
    """A `BarWalk` on which each of the ``watches`` goes by one path, and may be called for margin.

    The account is the group: all its orders and positions on the pair take one path, and what
    happens to them within a rank happens in the order in which the price gets there.
    A hit whose working is that of a `Watch` calls the account: carry it out, then ask for the next.
    """

    __slots__ = ("_followers",)

    def __init__(
        self,
        bar: Bar,
        groups: Sequence[Group],
        rules: PathRules,
        pools: tuple[Decimal | None, Decimal | None],
        watches: Sequence[Watch | Rehearsal],
    ) -> None:
        super().__init__(bar, groups, rules, pools)
        self._followers: dict[Group, _Follower] = {}
        for watch in watches:
            self._add_watch(watch)
        heapify(self._heap)

    def _add_watch(self, watch: Watch | Rehearsal) -> None:
        before = self._fixed
        if self._acts(watch):
            if isinstance(watch, Rehearsal):
                points = self._paths[watch.high_first]
                follower = _Follower(watch, points, ({}, {}), (0, 0), watch.high_first, points[0])
            else:
                follower = self._rehearse(watch)
            points, self._fixed = follower.points, follower.high_first
            for group in watch.groups:
                for one in group.partners or (group,):
                    self._followers[one] = follower
            for rank in range(4):
                self._serial += 1
                # After everything else of its rank.
                self._heap.append((rank, 2, ZERO, 0, self._serial, None, None, follower, points))
        for group in watch.groups:
            self._add_group(group)
        self._fixed = before

    def _rehearse(self, watch: Watch) -> _Follower:
        """Which path the account takes, and what it comes to on either."""
        both: tuple[dict[Group, Fills], dict[Group, Fills]] = ({}, {})
        high, calls_high = self._outcome(watch, True, both[0])
        low, calls_low = self._outcome(watch, False, both[1])
        high_first = self._fixed
        if high_first is None:
            buys = watch.groups[0].buys if watch.groups else True
            high_first = not buys if high == low else high < low
        self.forked = self.forked or both[0] != both[1] or calls_high != calls_low
        points = self._paths[high_first]
        return _Follower(watch, points, both, (calls_high, calls_low), high_first, points[0])

    def _outcome(
        self, watch: Watch, high_first: bool, told: dict[Group, Fills]
    ) -> tuple[Decimal, object]:
        """What the account alone comes to on a path, with no cap on volume and before fees."""
        alone = Rehearsal(watch, high_first, told)
        walk = CrossWalk(self._bar, (), self._rules, (None, None), (alone,))
        return alone.outcome(walk, self._bar.close)

    def _acts(self, watch: Watch | Rehearsal) -> bool:
        """Whether anything can happen to the account on this bar."""
        bar, rules = self._bar, self._rules
        for group in watch.groups:
            for one in group.partners or (group,):
                if one.entry is not None and reachable(one.entry, bar, rules):
                    return True
                if any(reachable(exit, bar, rules) for part in one.parts for exit in part.exits):
                    return True
        if not watch.calls:
            return False
        low, high = watch.standing().triggers(bar.open)
        return (low is not None and bar.low <= low) or (high is not None and bar.high >= high)

    def next(self) -> Hit | None:
        heap = self._heap
        while heap:
            item = heappop(heap)
            if item[6] is not None and item[6].is_over:
                continue
            event, of = item[5], item[7]
            follower = of if event is None else self._followers.get(of)
            if follower is not None:
                if event is not None and not self._rules.in_queue_order:
                    item = self._earliest(item, follower)
                    event = item[5]
                rank = item[0] if event is None else event.rank
                reached = follower.points[rank] if event is None else event.reached
                due = None
                if event is None or not self._rules.in_queue_order:
                    due = follower.due(rank, reached, event is not None and _goes_before(item))
                if due is not None:
                    heappush(heap, item)
                    follower.rank, follower.at = due
                    return self._call(follower)
                follower.rank, follower.at = rank, reached
                if event is None:
                    continue
            hit = self._take(item)
            if hit is not None:
                if follower is not None:
                    self._judge(hit, follower)
                return hit
        return None

    def _earliest(self, item: tuple[Any, ...], follower: _Follower) -> tuple[Any, ...]:
        """Of what is due at this rank for the account, what the price reaches first; the rest goes
        back."""
        rank, points, found = item[0], follower.points, item
        for other in self._heap:
            if (
                other[0] == rank
                and other[5] is not None
                and (other[6] is None or not other[6].is_over)
                and self._followers.get(other[7]) is follower
                and _order(other, points) < _order(found, points)
            ):
                found = other
        if found is not item:
            self._heap.remove(found)
            self._heap.append(item)
            heapify(self._heap)
        return found

    def _judge(self, hit: Hit, follower: _Follower) -> None:
        """Say whether the account's path decides of ``hit``."""
        key: object = hit.working
        if hit.working is not hit.group.entry and all(hit.part is not p for p in hit.group.parts):
            key = hit.working.kind  # an exit of a part that this bar opened
        hit.ambiguous = follower.differs(hit.group, key)
        hit.otherwise = follower.otherwise(hit.group) if hit.ambiguous else None

    def _call(self, follower: _Follower) -> Hit:
        names = HIGH_FIRST if follower.high_first else LOW_FIRST
        working = follower.watch.working
        return Hit(
            Group(None),
            working,
            None,
            follower.at,
            ONE,
            follower.rank,
            names[follower.rank],
            True,
            follower.calls[0] != follower.calls[1],
            False,
            follower.at,
            follower.points,
        )


def _goes_before(item: tuple[Any, ...]) -> bool:
    """Whether an event at the price of a call goes before it: an order or a stop-loss does."""
    return item[5].working.kind not in _AFTER


def _order(item: tuple[Any, ...], points: Points) -> tuple[Any, ...]:
    """When what was queued happens to its account: at one price orders come first, of these limits
    last; then stop-losses, then the rest."""
    event = item[5]
    rank, along, kind, limit, sequence = path_key(event, points)
    if _goes_before(item):
        kind = -1
        # One that was reached on an earlier bar is a market order since.
        if event.working.kind != "stop_loss" or event.working.triggered:
            kind = -3 if event.limit is None else -2
    return rank, along, kind, limit, sequence, item[4]
