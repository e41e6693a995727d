"""How a condition that is met becomes a hit, and what a fill takes: the same on bars and ticks."""

from __future__ import annotations

from decimal import Decimal

from attrs import define

from backtest.errors import FieldError
from backtest.models.bar import Bar
from backtest.money import ZERO, sub, to_step
from backtest.services.fills.events import STOPS, Event, Points, price_of
from backtest.services.fills.path import Group, Hit, OpenPart, Working, protection_passed
from backtest.services.fills.rules import PathRules

__all__ = ["Hits", "Lane"]


@define(eq=False)
class Lane:
    """The coming events of one open part, the next one last."""

    part: OpenPart | None
    events: list[Event]
    stopped: bool
    is_over: bool = False
    """Whether another lane has taken its place."""


class Hits:
    """What every walk does with what is met. A walk says where it is met, and how hits look."""

    __slots__ = ("_buy_pool", "_dropped", "_rules", "_sell_pool", "trailed", "triggered")

    # Walks are made for every bar and tick: each sets these itself, which saves a call.
    _buy_pool: Decimal | None
    _sell_pool: Decimal | None
    _dropped: set[Working]
    _rules: PathRules
    trailed: list[Working]
    triggered: list[Working]

    @property
    def pools(self) -> tuple[Decimal | None, Decimal | None]:
        """What is left for buys and for sells; None: no cap."""
        return self._buy_pool, self._sell_pool

    def drop(self, working: Working) -> None:
        """``working`` takes no further part in this walk (it was cancelled, its part is closed)."""
        self._dropped.add(working)

    def report(self, hit: Hit, volume: Decimal, part: OpenPart | None = None) -> None:
        """What really filled of ``hit`` (0 for a refusal): taken off pool, leaves and part here.

        ``part``: the OpenPart that an entry opened; its exits act from there on. Raises
        `FieldError` for more than the hit's volume.
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
        if part is not None:
            self._open(part, hit)

    def _trigger(self, event: Event, lane: Lane | None) -> None:
        """The stop of a stop-limit order is reached: it is a limit order from here on."""
        working = event.working
        if working in self._dropped:
            return
        if lane is not None and lane.part is not None and lane.part.volume <= ZERO:
            return
        working.to_limit()
        self.triggered.append(working)

    def _attempt(self, event: Event, lane: Lane | None, group: Group, points: Points) -> Hit | None:
        """The hit that ``event`` comes to now, if it is still to happen and there is volume."""
        working = event.working
        if working in self._dropped:
            return None
        kind = working.kind
        part = None if lane is None else lane.part
        volume = working.volume if part is None else _closes(working, part, lane)  # type: ignore[arg-type]
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
            left = self._left(working)
            if left is not None and left < volume:
                volume = to_step(left, self._rules.volume_increment)
                if volume <= ZERO:
                    return None
                if terms is not None and terms.whole:
                    working.lacked = volume
                    return None
        price = event.price
        if self._rules.slippage_policy is not None:
            price = price_of(event, volume, self._asked_of(working), self._rules)
        passed = takes or (
            part is None
            and self._rules.guards
            and protection_passed(working.buy, price, group.stop_loss, group.take_profit)
        )
        return self._hit(event, group, part, price, volume, passed, points)

    def _left(self, working: Working) -> Decimal | None:
        """The volume that is left for ``working``; None: no cap."""
        return self._buy_pool if working.buy else self._sell_pool

    def _asked_of(self, working: Working) -> Bar:
        """The bar of which policies are asked about ``working``."""
        raise NotImplementedError

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
        """The hit itself."""
        raise NotImplementedError

    def _open(self, part: OpenPart, hit: Hit) -> None:
        """``hit`` has opened ``part``, and with it its exits."""
        raise NotImplementedError


def _closes(working: Working, part: OpenPart, lane: Lane) -> Decimal:
    """What an exit closes of its part now: once its stop-loss is reached, that alone closes it,
    unless it is liquidated."""
    kind, volume = working.kind, working.volume
    if lane.stopped and kind != "liquidation" and kind != "stop_loss":
        return ZERO
    lane.stopped = lane.stopped or kind == "stop_loss"
    return part.volume if kind == "liquidation" or part.volume < volume else volume
