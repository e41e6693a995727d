"""The walk along a bar with accounts that go by one path; those of cross margin are called."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from decimal import Decimal
from heapq import heapify, heappop, heappush
from typing import Any, Protocol

from attrs import define, evolve

from backtest.models.bar import Bar
from backtest.money import ONE, ZERO, add, div, mul, sub
from backtest.services.fills.bar_walk import HIGH_FIRST, LOW_FIRST, BarWalk
from backtest.services.fills.events import Points, path_key, reachable
from backtest.services.fills.outcome import Fills, opened
from backtest.services.fills.path import Group, Hit, OpenPart, Working
from backtest.services.fills.rules import PathRules
from backtest.services.margin.cross import Stake, Standing

__all__ = ["CrossWalk", "Watch"]

_OPENS = object()
"""Among what becomes of a group: how much of an order that closes the other side opens."""

_AFTER = frozenset({"liquidation", "take_profit"})
"""Exits that come after a call at the same price; orders, closes among them, go before it."""


class Watch(Protocol):
    """An account whose orders and positions on the pair take one path, as the walk sees it: one of
    cross margin, or one with orders that close the other side."""

    calls: bool
    """Whether it is called for margin as a whole (cross margin)."""
    groups: list[Group]
    """Its orders and positions on the pair."""
    working: Working
    """What a hit carries that calls it: its `Working.key` is the owner's own."""

    def standing(self) -> Standing:
        """Where it stands now; the keys of positions are their `OpenPart`."""

    def is_spot(self, entry: Working) -> bool:
        """Whether ``entry`` is a spot order."""

    def nets(self, entry: Working) -> bool:
        """Whether ``entry`` closes what is open on the other side before it opens anything."""

    def reduces(self, entry: Working) -> bool:
        """Whether it opens nothing at all (reduce-only)."""

    def stake(self, part: OpenPart) -> Stake:
        """An open part as a stake."""

    def weight(self) -> Decimal:
        """What a unit of the pair's base counts as collateral."""


@define(eq=False)
class _Follower:
    """How far along its path an account has come, and what it would come to on either path."""

    watch: Watch | _Rehearsal
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
        if high.get(_OPENS) != low.get(_OPENS):
            return True
        return not any(type(one) is str for one in (high if self.high_first else low))

    def otherwise(self, group: Group) -> Fills:
        """What becomes of ``group`` on the path that was not taken."""
        fills = self.both[1 if self.high_first else 0].get(group, {})
        return {key: what for key, what in fills.items() if key is not _OPENS}


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
        watches: Sequence[Watch | _Rehearsal],
    ) -> None:
        super().__init__(bar, groups, rules, pools)
        self._followers: dict[Group, _Follower] = {}
        for watch in watches:
            self._add_watch(watch)
        heapify(self._heap)

    def _add_watch(self, watch: Watch | _Rehearsal) -> None:
        before = self._fixed
        if self._acts(watch):
            if isinstance(watch, _Rehearsal):
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
        high, calls_high = _outcome(watch, self._bar, self._rules, True, both[0])
        low, calls_low = _outcome(watch, self._bar, self._rules, False, both[1])
        high_first = self._fixed
        if high_first is None:
            buys = watch.groups[0].buys if watch.groups else True
            high_first = not buys if high == low else high < low
        self.forked = self.forked or both[0] != both[1] or calls_high != calls_low
        points = self._paths[high_first]
        return _Follower(watch, points, both, (calls_high, calls_low), high_first, points[0])

    def _acts(self, watch: Watch | _Rehearsal) -> bool:
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


# -- what the account alone would come to ----------------------------------------------------------


@define(eq=False)
class _Rehearsal:
    """A watch of copies: what happens to it happens to nobody."""

    watch: Watch
    now: Standing
    groups: list[Group]
    working: Working
    high_first: bool

    @property
    def calls(self) -> bool:
        return self.watch.calls

    def standing(self) -> Standing:
        return self.now


def _outcome(
    watch: Watch, bar: Bar, rules: PathRules, high_first: bool, told: dict[Group, Fills]
) -> tuple[Decimal, object]:
    """What the account alone comes to, with no cap on volume and before fees: its equity at the
    close (with cross margin never below zero), and where it was called. Fills are put into
    ``told``, by group."""
    now = watch.standing()
    origin: dict[object, Any] = {}
    copies: dict[OpenPart, OpenPart] = {}
    groups = [_copy_group(group, origin, copies) for group in watch.groups]
    for stake in now.stakes:
        stake.key = copies.get(stake.key, stake.key)
    act = _Rehearsal(watch, now, groups, copy(watch.working), high_first)
    walk = CrossWalk(bar, (), rules, (None, None), (act,))
    spot = ZERO
    bought: dict[OpenPart | None, None] = {}
    calls: list[Any] = []
    while (hit := walk.next()) is not None:
        working, volume = hit.working, hit.volume
        if working is act.working:
            calls.append((hit.reached, _rehearse_call(act, walk, hit.reached)))
            continue
        if hit.passed:
            walk.drop(working)
            continue
        opens = volume
        if hit.part is None and watch.nets(working):
            opens, volume = _net(act, walk, hit, origin, told)
            if volume <= ZERO:
                walk.drop(working)
                continue
            told.setdefault(origin[hit.group], {})[_OPENS] = hit.price, opens
        told.setdefault(origin[hit.group], {})[origin.get(working, working.kind)] = (
            hit.price,
            volume,
        )
        if hit.part is None:
            _cancel_partners(groups, hit.group, walk)
            if opens <= ZERO:
                walk.drop(working)
                continue
        is_spot = hit.part in bought or watch.is_spot(working)
        if hit.part is not None and not is_spot:
            _reduce(act, hit.part, volume, hit.price)
            walk.report(hit, volume)
            continue
        if is_spot:
            worth, units = mul(volume, hit.price), mul(volume, watch.weight())
            # What the base is worth beyond its weight is the account's as well.
            rest = mul(sub(volume, units), bar.close)
            change = add if working.buy else sub
            now.units, spot = change(now.units, units), change(spot, rest)
            now.money = (sub if working.buy else add)(now.money, worth)
            exits = None
            if hit.part is None and (hit.group.stop_loss or hit.group.take_profit):
                # A bracket: what it buys is sold again by an exit.
                exits = opened(hit.group, working, hit.price)
                bought[exits] = None
            walk.report(hit, volume, exits)
            continue
        part = opened(hit.group, working, hit.price)
        part.volume = opens
        origin[part] = hit.group
        now.stakes.append(watch.stake(part))
        walk.report(hit, opens, part)
    value = add(now.equity(bar.close), spot)
    for _, gone in calls:
        for part, price, volume in gone:
            if part in origin:
                told.setdefault(origin[origin[part]], {})["liquidation"] = (price, volume)
    if watch.calls and value < ZERO:
        value = ZERO
    return value, [(at, len(gone)) for at, gone in calls]


def _net(
    act: _Rehearsal,
    walk: BarWalk,
    hit: Hit,
    origin: dict[object, Any],
    told: dict[Group, Fills],
) -> tuple[Decimal, Decimal]:
    """Let an order close what is open on the other side, oldest first: how much of it then opens a
    position, and how much of it fills at all."""
    working, watch = hit.working, act.watch
    parts: list[OpenPart] = [
        stake.key for stake in act.now.stakes if stake.key.long is not working.buy
    ]
    left, reduces = hit.volume, watch.reduces(working)
    if reduces and working.terms is not None and working.terms.whole:
        there = ZERO
        for part in parts:
            there = add(there, part.volume)
        if there < left:
            return ZERO, ZERO
    for part in parts:
        volume = min(left, part.volume)
        if volume <= ZERO:
            continue
        fills = told.setdefault(origin[origin[part]], {})
        before = fills.get("netting", (hit.price, ZERO))[1]
        fills["netting"] = (hit.price, add(before, volume))
        _reduce(act, part, volume, hit.price)
        walk.report(evolve(hit, part=part, volume=volume), volume)
        left = sub(left, volume)
    if reduces:
        return ZERO, sub(hit.volume, left)
    return left, hit.volume


def _cancel_partners(groups: Sequence[Group], filled: Group, walk: BarWalk) -> None:
    """An order of ``filled`` filled: its one-cancels-other partners do not."""
    for group in groups:
        if any(one is filled for one in group.partners):
            for one in group.partners:
                if one is not filled and one.entry is not None:
                    walk.drop(one.entry)


def _rehearse_call(act: _Rehearsal, walk: BarWalk, price: Decimal) -> list[Any]:
    for group in act.groups:
        for one in group.partners or (group,):
            if one.entry is not None:
                walk.drop(one.entry)
    gone: list[Any] = []
    while act.now.level(price) <= ZERO:
        worst = act.now.worst(price)
        if worst is None:
            break
        while (best := act.now.best(price)) is not None and not act.now.bears(worst, price):
            # A loss that cannot be paid is paid from what the others have won.
            _rehearse_position(act, best, price, gone)
        _rehearse_position(act, worst, price, gone)
    return gone


def _rehearse_position(act: _Rehearsal, key: OpenPart, price: Decimal, gone: list[Any]) -> None:
    """Close the position of ``key``, with all its lots."""
    pools = [stake.pool for stake in act.now.stakes if stake.key is key]
    lots = [one.key for one in act.now.stakes if pools and one.pool is pools[0] is not None]
    for part in lots or [key]:
        _rehearse_close(act, part, price, gone)


def _rehearse_close(act: _Rehearsal, part: OpenPart, price: Decimal, gone: list[Any]) -> None:
    for one in act.now.elsewhere:
        if one.key is part:
            act.now.money = add(act.now.money, one.pnl)
            act.now.elsewhere.remove(one)
            return
    if all(one.key is not part for one in act.now.stakes):
        return  # closed already; if on another pair, it is no copy and must stay as it is
    gone.append((part, price, part.volume))
    _reduce(act, part, part.volume, price)
    part.volume = ZERO


def _reduce(act: _Rehearsal, part: OpenPart, volume: Decimal, price: Decimal) -> None:
    """Let ``volume`` of ``part`` (still whole) be closed at ``price``."""
    now = act.now
    for place, stake in enumerate(now.stakes):  # pragma: no branch - what is open is a stake
        if stake.key is part:
            gain = stake.pnl(price)
            rest = copy(part)
            rest.volume = sub(part.volume, volume)
            if rest.volume > ZERO:
                left = act.watch.stake(rest)
                left.key = part
                now.stakes[place] = left
                gain = sub(gain, left.pnl(price))
            else:
                del now.stakes[place]
            if not act.calls and part.margin >= ZERO:
                # An isolated position never loses more than its margin.
                worst = div(mul(part.margin, volume), part.volume)
                gain = max(gain, worst.copy_negate())
                part.margin = sub(part.margin, worst)
            now.money = add(now.money, gain)
            return


def _copy_group(group: Group, origin: dict[object, Any], copies: dict[OpenPart, OpenPart]) -> Group:
    made = copy(group)
    origin[made] = group
    if group.entry is not None:
        made.entry = copy(group.entry)
        origin[made.entry] = group.entry
    made.partners = [_copy_group(one, origin, copies) for one in group.partners]
    made.parts = []
    for part in group.parts:
        twin = copy(part)
        copies[part] = twin
        origin[twin] = made
        twin.exits = [copy(one) for one in part.exits]
        for own, one in zip(twin.exits, part.exits, strict=True):
            origin[own] = one
        made.parts.append(twin)
    return made
