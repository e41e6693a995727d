"""What an account alone would come to on a path: its orders and positions as copies, walked."""

from __future__ import annotations

from copy import copy
from decimal import Decimal
from typing import Any, Protocol

from attrs import evolve

from backtest.money import ZERO, add, div, mul, sub
from backtest.services.fills.bar_walk import BarWalk
from backtest.services.fills.outcome import Fills, opened
from backtest.services.fills.path import Group, Hit, OpenPart, Working
from backtest.services.margin.cross import Stake, Standing

__all__ = ["OPENS", "Rehearsal", "Watch"]

OPENS = object()
"""Among what becomes of a group: how much of an order that closes the other side opens."""


class Watch(Protocol):
    """An account whose orders and positions on the pair take one path, as the walk sees it: one of
    cross margin, or one with orders that close the other side."""

    calls: bool
    """Whether it is called for margin as a whole (cross margin)."""
    groups: list[Group]
    """Its orders and positions on the pair."""
    working: Working
    """What a hit carries that calls it."""

    def standing(self) -> Standing:
        """Where it stands now; the keys of positions are their `OpenPart`."""

    def stake(self, part: OpenPart) -> Stake:
        """An open part as a stake."""

    def weight(self) -> Decimal:
        """What a unit of the pair's base counts as collateral."""


class Rehearsal:
    """A watch of copies on one path: what happens to it happens to nobody.

    There is no cap on volume, and nothing costs a fee. Fills are put into ``told``, by group.
    """

    def __init__(self, watch: Watch, high_first: bool, told: dict[Group, Fills]) -> None:
        self.watch = watch
        self.calls = watch.calls
        self.high_first = high_first
        self.now = watch.standing()
        self._told = told
        self._origin: dict[object, Any] = {}
        """Of which group, order or part something here is the copy."""
        copies: dict[OpenPart, OpenPart] = {}
        self.groups = [_copy_group(group, self._origin, copies) for group in watch.groups]
        for stake in self.now.stakes:
            stake.key = copies.get(stake.key, stake.key)
        self.working = watch.working.twin()
        self._bought: dict[OpenPart | None, None] = {}
        """The exits of what spot brackets bought."""
        self._spot = ZERO
        """What bases are worth beyond their weight as collateral."""

    def standing(self) -> Standing:
        return self.now

    def outcome(self, walk: BarWalk, close: Decimal) -> tuple[Decimal, object]:
        """The equity at the ``close`` (with cross margin never below zero), and where the account
        was called; ``walk`` is of this."""
        calls: list[tuple[Decimal, list[Any]]] = []
        while (hit := walk.next()) is not None:
            if hit.working is self.working:
                calls.append((hit.reached, self._call(walk, hit.reached)))
            elif hit.passed:
                walk.drop(hit.working)
            else:
                self._fill(hit, walk, close)
        value = add(self.now.equity(close), self._spot)
        for _, gone in calls:
            for part, price, volume in gone:
                if part in self._origin:
                    self._of(self._origin[part])["liquidation"] = (price, volume)
        if self.calls and value < ZERO:
            value = ZERO
        return value, [(at, len(gone)) for at, gone in calls]

    def _of(self, group: Group) -> Fills:
        """What has become of the group that ``group`` is the copy of."""
        return self._told.setdefault(self._origin[group], {})

    def _fill(self, hit: Hit, walk: BarWalk, close: Decimal) -> None:
        """Let ``hit`` fill: of an order what closes the other side, then what opens; or an exit."""
        working, watch, part = hit.working, self.watch, hit.part
        opens = volume = hit.volume
        if part is None and working.nets:
            opens, volume = self._net(walk, hit)
            if volume <= ZERO:
                walk.drop(working)
                return
            self._of(hit.group)[OPENS] = hit.price, opens
        self._of(hit.group)[self._origin.get(working, working.kind)] = (hit.price, volume)
        if part is None:
            self._cancel_partners(hit.group, walk)
            if opens <= ZERO:
                walk.drop(working)
                return
        if part in self._bought or working.spot:
            self._exchange(hit, volume, walk, close)
        elif part is not None:
            self._reduce(part, volume, hit.price)
            walk.report(hit, volume)
        else:
            made = opened(hit.group, working, hit.price)
            made.volume = opens
            self._origin[made] = hit.group
            self.now.stakes.append(watch.stake(made))
            walk.report(hit, opens, made)

    def _exchange(self, hit: Hit, volume: Decimal, walk: BarWalk, close: Decimal) -> None:
        """Buy or sell the base itself."""
        now, working = self.now, hit.working
        worth, units = mul(volume, hit.price), mul(volume, self.watch.weight())
        # What the base is worth beyond its weight is the account's as well.
        rest = mul(sub(volume, units), close)
        change = add if working.buy else sub
        now.units, self._spot = change(now.units, units), change(self._spot, rest)
        now.money = (sub if working.buy else add)(now.money, worth)
        exits = None
        if hit.part is None and (hit.group.stop_loss or hit.group.take_profit):
            # A bracket: what it buys is sold again by an exit.
            exits = opened(hit.group, working, hit.price)
            self._bought[exits] = None
        walk.report(hit, volume, exits)

    def _net(self, walk: BarWalk, hit: Hit) -> tuple[Decimal, Decimal]:
        """Let an order close what is open on the other side, oldest first: how much of it then
        opens a position, and how much of it fills at all."""
        working = hit.working
        parts: list[OpenPart] = [
            stake.key for stake in self.now.stakes if stake.key.long is not working.buy
        ]
        left, reduces = hit.volume, working.reduces
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
            fills = self._of(self._origin[part])
            before = fills.get("netting", (hit.price, ZERO))[1]
            fills["netting"] = (hit.price, add(before, volume))
            self._reduce(part, volume, hit.price)
            walk.report(evolve(hit, part=part, volume=volume), volume)
            left = sub(left, volume)
        if reduces:
            return ZERO, sub(hit.volume, left)
        return left, hit.volume

    def _cancel_partners(self, filled: Group, walk: BarWalk) -> None:
        """An order of ``filled`` filled: its one-cancels-other partners do not."""
        for group in self.groups:
            if any(one is filled for one in group.partners):
                for one in group.partners:
                    if one is not filled and one.entry is not None:
                        walk.drop(one.entry)

    def _call(self, walk: BarWalk, price: Decimal) -> list[Any]:
        """Cancel the orders and close positions, worst first, until the account is no longer
        called: what went, at which price, and how much of it."""
        for group in self.groups:
            for one in group.partners or (group,):
                if one.entry is not None:
                    walk.drop(one.entry)
        gone: list[Any] = []
        while self.now.level(price) <= ZERO:
            worst = self.now.worst(price)
            if worst is None:
                break
            while (best := self.now.best(price)) is not None and not self.now.bears(worst, price):
                # A loss that cannot be paid is paid from what the others have won.
                self._close_position(best, price, gone)
            self._close_position(worst, price, gone)
        return gone

    def _close_position(self, key: OpenPart, price: Decimal, gone: list[Any]) -> None:
        """Close the position of ``key``, with all its lots."""
        pools = [stake.pool for stake in self.now.stakes if stake.key is key]
        lots = [one.key for one in self.now.stakes if pools and one.pool is pools[0] is not None]
        for part in lots or [key]:
            self._close(part, price, gone)

    def _close(self, part: OpenPart, price: Decimal, gone: list[Any]) -> None:
        """Close one lot, on this pair or another."""
        for one in self.now.elsewhere:
            if one.key is part:
                self.now.money = add(self.now.money, one.pnl)
                self.now.elsewhere.remove(one)
                return
        if all(one.key is not part for one in self.now.stakes):
            return  # closed already; if on another pair, it is no copy and must stay as it is
        gone.append((part, price, part.volume))
        self._reduce(part, part.volume, price)
        part.volume = ZERO

    def _reduce(self, part: OpenPart, volume: Decimal, price: Decimal) -> None:
        """Let ``volume`` of ``part`` (still whole) be closed at ``price``."""
        now = self.now
        for place, stake in enumerate(now.stakes):  # pragma: no branch - what is open is a stake
            if stake.key is part:
                gain = stake.pnl(price)
                rest = part.twin()
                rest.volume = sub(part.volume, volume)
                if rest.volume > ZERO:
                    left = self.watch.stake(rest)
                    left.key = part
                    now.stakes[place] = left
                    gain = sub(gain, left.pnl(price))
                else:
                    del now.stakes[place]
                if not self.calls and part.margin >= ZERO:
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
        made.entry = group.entry.twin()
        origin[made.entry] = group.entry
    made.partners = [_copy_group(one, origin, copies) for one in group.partners]
    made.parts = []
    for part in group.parts:
        twin = part.twin()
        copies[part] = twin
        origin[twin] = made
        twin.exits = [one.twin() for one in part.exits]
        for own, one in zip(twin.exits, part.exits, strict=True):
            origin[own] = one
        made.parts.append(twin)
    return made
