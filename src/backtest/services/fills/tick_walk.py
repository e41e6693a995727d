"""Fills against a quote or a trade: one point, at which every condition is met or is not."""

from __future__ import annotations

from collections.abc import Container, Sequence
from decimal import Decimal
from heapq import heappop, heappush
from typing import Any

from backtest.models.bar import Bar, trusted_bar
from backtest.models.market_event import MarketEvent, Tick
from backtest.models.quote import Quote
from backtest.money import ZERO, add, sub
from backtest.services.fills.events import (
    AT_ONE_PRICE,
    Event,
    Points,
    acting_exits,
    event_of,
)
from backtest.services.fills.hits import Hits, Lane
from backtest.services.fills.path import Group, Hit, OpenPart, Working, trailed
from backtest.services.fills.queue_ahead import QueueAhead
from backtest.services.fills.rules import PathRules
from backtest.services.fills.tick_prices import flat_bar, meets, point_of

__all__ = ["TickWalk"]

_NO_BAR = trusted_bar("", 0, 0, ZERO, ZERO, ZERO, ZERO, None)


class TickWalk(Hits):
    """One tick met by many groups; used like `BarWalk`: `next` gives hits, `report` what filled.

    Of a quote buys meet the ask and sells the bid; of a trade both meet its price. Hits come in
    order: market orders and what triggered by acceptance, then limits by better price, then by
    acceptance; of one part's exits the stop-loss before the liquidation before the take-profit.

    A resting limit fills at its own price, a marketable one (``fresh``) at the tick's, as a taker.
    `Working.start` and `Working.end` are not looked at: a tick that comes after the acceptance
    counts.
    """

    forked = False
    """Nothing hangs on the order of extremes."""
    inside = 0

    __slots__ = (
        "_before",
        "_buy_at",
        "_buy_bar",
        "_heap",
        "_is_trade",
        "_lanes",
        "_made",
        "_only",
        "_queue",
        "_quoted",
        "_rooms",
        "_sell_at",
        "_sell_bar",
        "_serial",
        "_tick",
        "opened",
    )

    def __init__(
        self,
        tick: Tick,
        groups: Sequence[Group],
        rules: PathRules,
        pools: tuple[Decimal | None, Decimal | None] = (None, None),
        queue: QueueAhead | None = None,
        *,
        before: MarketEvent | None = None,
        quoted: bool = False,
        only: Container[Working] | None = None,
    ) -> None:
        """``pools``: the volume there is for buys and for sells; None: no cap. ``rules`` with
        ``slippage_beyond_bar``: a tick has no range to stay in. ``queue``: what stands ahead of
        resting limits; None: nothing. ``before``: what was in force until now; a new limit that it
        did not meet was posted, and rests. ``quoted``: the tick is a trade of a market that is
        quoted, too, and meets nothing but resting limits. ``only``: what is new to a quote that
        stands; the rest of the groups has met it before. A trailing stop among it begins where it
        stands, and follows the quotes that come.
        """
        self.triggered = []
        self.trailed = []
        self.opened: list[OpenPart] = []
        """The parts that entries have opened, in order."""
        self._tick = tick
        self._is_trade = not isinstance(tick, Quote)
        self._rules = rules
        self._buy_pool, self._sell_pool = pools
        if isinstance(tick, Quote):
            self._buy_at, self._sell_at = tick.ask, tick.bid
        else:
            self._buy_at = self._sell_at = tick.price
        # What policies are asked about; without them nobody looks at it.
        self._buy_bar = self._sell_bar = _NO_BAR
        if rules.slippage_policy is not None or rules.delays_exits is not None:
            self._buy_bar, self._sell_bar = flat_bar(tick, True), flat_bar(tick, False)
        self._queue = queue
        self._before, self._quoted, self._only = before, quoted, only
        self._rooms: dict[Working, Decimal] = {}
        self._made = {True: ZERO, False: ZERO}
        """What resting limits have had of this tick, by whether they buy (with a queue)."""
        self._heap: list[tuple[Any, ...]] = []
        self._lanes: dict[OpenPart, Lane] = {}
        self._serial = 0
        self._dropped = set()
        for group in groups:
            for one in group.partners or (group,):
                if one.entry is not None:
                    for event in self._events((one.entry,)):
                        self._push(event, None, one)
                for part in one.parts:
                    self._add_lane(part, self._events(part.exits), one)
        self._only = None  # what a hit opens is new, too

    def next(self) -> Hit | None:
        """The next execution, or None when the tick is done.

        A hit neither reported nor dropped counts as refused: nothing filled, and it does not come
        again on this tick.
        """
        heap = self._heap
        while heap:
            *_, event, lane, group = heappop(heap)
            if lane is not None:
                if lane.is_over:
                    continue
                if lane.events:
                    self._push(lane.events.pop(), lane, group)
            if event.is_trigger:
                self._trigger(event, lane)
                continue
            if self._has_moved(event.working):
                continue
            hit = self._attempt(event, lane, group, (event.reached,) * 4)
            if hit is not None:
                return hit
        return None

    def report(self, hit: Hit, volume: Decimal, part: OpenPart | None = None) -> None:
        """What really filled of ``hit`` (0 for a refusal): taken off pool, leaves and part here.

        ``part``: the OpenPart that an entry opened; its exits are tested at once, on the side that
        they would meet. Raises `FieldError` for more than the hit's volume.
        """
        super().report(hit, volume, part)
        working = hit.working
        if working in self._rooms:
            self._made[working.buy] = add(self._made[working.buy], volume)

    def _open(self, part: OpenPart, hit: Hit) -> None:
        if part in self._lanes:
            return
        self.opened.append(part)
        if part.exits:
            bar = self._asked_of(hit.working)
            exits = acting_exits(hit.group, hit.working, part.exits, bar, self._rules)
            for exit in exits:
                exit.fresh = exit.is_limit  # one that is marketable already takes
            self._add_lane(part, self._events(exits), hit.group)

    def renew(self, part: OpenPart, group: Group, hit: Hit) -> None:
        """By ``hit`` the liquidation price of ``part``, which is in ``group``, may have changed: a
        price that the tick has reached acts at once."""
        liquidation = next((one for one in part.exits if one.kind == "liquidation"), None)
        if liquidation is None or part.volume <= ZERO or self._quoted:
            return
        event = self._event_of(liquidation)
        if event is None:
            return
        lane = self._lanes.get(part)
        if lane is not None:
            if any(one.working is liquidation for one in lane.events):
                return
        self._lanes[part] = own = Lane(part, [], part.is_stopped)
        self._push(event, own, group)

    def _has_moved(self, working: Working) -> bool:
        """Whether it is a liquidation price that a fill at this very tick has moved away."""
        if working.kind != "liquidation" or working in self._dropped:
            return False
        return self._event_of(working) is None

    # -- what is met -------------------------------------------------------------------------------

    def _events(self, workings: Sequence[Working]) -> list[Event]:
        """What of ``workings`` the tick meets, the exits of one part in their order."""
        events = []
        only = self._only
        for working in workings:
            if working.blocked or working.volume <= ZERO:
                continue
            if only is not None and working not in only:
                continue
            if working.fresh and working.is_limit and self._is_posted(working):
                working.fresh = False
            if self._quoted and (working.fresh or not working.is_limit):
                continue
            event = self._event_of(working)
            working.fresh = False
            if working.is_limit and self._queue is not None:
                took = event is not None and event.taker
                room = self._queue.arrive(working, self._tick, took=took)
                if room is not None:
                    self._rooms[working] = room
            if event is not None:
                events.append(event)
                if event.then is not None:
                    events.append(event.then)
        if len(events) > 1:
            events.sort(key=_order)
        return events

    def _event_of(self, working: Working) -> Event | None:
        at, bar = self._buy_at, self._buy_bar
        if not working.buy:
            at, bar = self._sell_at, self._sell_bar
        # The one price is a path on which nothing moves.
        event = event_of(working, 0, at, (at,) * 4, bar, self._rules)
        if event is None:
            trails = working.kind == "trailing_stop" and working.terms is not None
            if trails and self._only is None:
                self._trail(working, at)
            return None
        if self._queue is not None and event.taker and event.limit == at and self._is_trade:
            event.taker = False  # that somebody traded there does not say that one could take there
        if working.is_limit and not event.taker:
            assert working.price is not None
            event.price = working.price  # whoever came down to it, or up, met it there
        return event

    def _is_posted(self, working: Working) -> bool:
        """Whether a new limit found nothing to meet when it came, and so has rested since."""
        before, price = self._before, working.price
        if before is None or price is None:
            return False
        at = meets(before, working.buy)
        return at > price if working.buy else at < price

    def _trail(self, working: Working, at: Decimal) -> None:
        """Let a trailing stop that is not reached follow the price."""
        assert working.terms is not None
        assert working.price is not None
        follows = trailed(working.buy, at, working.terms, self._rules.price_increment)
        level = (min if working.buy else max)(working.price, follows)
        if level != working.price:
            working.price = level
            self.trailed.append(working)

    def _asked_of(self, working: Working) -> Bar:
        return self._buy_bar if working.buy else self._sell_bar

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
        working = event.working
        return Hit(
            group,
            working,
            part,
            price,
            volume,
            0,
            point_of(self._tick, working.buy),
            event.taker,
            False,
            passed,
            event.reached,
            points,
        )

    def _left(self, working: Working) -> Decimal | None:
        """The volume that is left for ``working``; None: no cap."""
        left = self._buy_pool if working.buy else self._sell_pool
        room = self._rooms.get(working)
        if room is None:
            return left
        room = max(ZERO, sub(room, self._made[working.buy]))
        return room if left is None else min(left, room)

    def _add_lane(self, part: OpenPart, events: list[Event], group: Group) -> None:
        if part.volume <= ZERO:
            return
        lane = self._lanes[part] = Lane(part, events, part.is_stopped)
        if events:
            events.reverse()
            self._push(events.pop(), lane, group)

    def _push(self, event: Event, lane: Lane | None, group: Group) -> None:
        """Queue ``event``: market and stops before limits, better price, acceptance."""
        self._serial += 1
        limit = event.limit
        price = ZERO
        if limit is not None:
            price = limit.copy_negate() if event.working.buy else limit
        item = (limit is not None, price, event.working.sequence, self._serial)
        heappush(self._heap, (*item, event, lane, group))


def _order(event: Event) -> tuple[int, Decimal, int]:
    """The order of one part's exits at one point: by kind, then better limit, then acceptance."""
    working, limit = event.working, event.limit
    if limit is None:
        return AT_ONE_PRICE[working.kind], ZERO, working.sequence
    return 4, limit.copy_negate() if working.buy else limit, working.sequence
