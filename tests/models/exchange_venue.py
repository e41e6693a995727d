"""An order book where agents meet, by the rules alone: price, then time; spot, in plain lists."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from tests.models.answers import AnyOf, refusal
from tests.models.common import Unclear
from tests.models.purse import NONE, Order, Purse, Terms, steps
from tests.models.tick_desk import parts_of

__all__ = ["Exchange"]


class Exchange:
    """One book; takes commands one at a time, each with all that follows from it."""

    def __init__(
        self, purses: dict[str, Purse], terms: Terms, self_trade: str, reference: Fraction
    ) -> None:
        self.purses, self.terms, self.self_trade = purses, terms, self_trade
        self.last = reference
        self.now = 0
        self.places = NONE
        self.resting: list[Order] = []
        self.stops: list[Order] = []
        self.reached: list[Order] = []
        self.trades: list[list[Any]] = []
        self.fills: list[list[Any]] = []

    # -- the book ----------------------------------------------------------------------------------

    def side(self, buy: bool) -> list[Order]:
        """One side of the book, the best first."""
        there = [one for one in self.resting if one.buy is buy]
        return sorted(there, key=lambda one: (-one.limit if buy else one.limit, one.place))

    def meets(self, order: Order, other: Order) -> bool:
        if order.limit is None:
            return True
        return bool(other.limit <= order.limit if order.buy else other.limit >= order.limit)

    def touches(self, order: Order, price: Fraction) -> bool:
        """Whether a price reaches the stop."""
        return bool(price >= order.stop if order.buy else price <= order.stop)

    def levels(self, buy: bool) -> list[list[Any]]:
        """Price, volume and number of orders of each price."""
        found: dict[Fraction, list[Any]] = {}
        for one in self.side(buy):
            level = found.setdefault(one.limit, [one.limit, NONE, 0])
            level[1] += one.leaves
            level[2] += 1
        return list(found.values())

    # -- commands ----------------------------------------------------------------------------------

    def create(self, order: Order) -> Any:
        self.value(order)
        reasons = set(self.problems(order))
        purse = self.purses[order.owner]
        if reasons <= {"MIN_NOTIONAL"} and not purse.hold(order, order.volume):
            reasons.add("INSUFFICIENT_FUNDS")
        if reasons:
            purse.hold(order, NONE)
            return refusal(reasons)
        self.enter(order)
        return "ok"

    def problems(self, order: Order) -> Any:
        terms = self.terms
        price = order.limit or order.stop or self.last
        if order.volume % terms.lot:
            yield "VOLUME_INCREMENT"
        if any(one is not None and one % terms.tick for one in (order.limit, order.stop)):
            yield "PRICE_INCREMENT"
        if self.purses[order.owner].is_dust(order, price):
            yield "MIN_NOTIONAL"
        if self.purses[order.owner].sells_for_nothing(order, order.leaves, price):
            yield "INSUFFICIENT_FUNDS"
        if (
            order.post_only
            and not order.waits_for_stop
            and any(self.meets(order, one) for one in self.side(not order.buy))
        ):
            yield "WOULD_TAKE"

    def value(self, order: Order) -> None:
        """The worst price of an order, and whose fee it will pay, as at this moment."""
        against = self.side(not order.buy)
        if order.limit is not None:
            order.worst = order.limit
        elif order.waits_for_stop:
            order.worst = steps(order.stop * (1 + self.terms.buffer), self.terms.tick, up=True)
        else:
            worse = max([self.last, *(one.limit for one in against[:1])])
            order.worst = steps(worse * (1 + self.terms.buffer), self.terms.tick, up=True)
        if order.waits_for_stop:
            first = order.stop
            takes = order.limit is None or (
                first <= order.limit if order.buy else first >= order.limit
            )
        else:
            takes = order.limit is None or any(self.meets(order, one) for one in against)
        order.makes = not takes

    def cancel(self, order: Order, volume: Fraction | None) -> Any:
        if not order.alive:
            return "ALREADY_DONE"
        if volume is None or volume == order.leaves:
            self.end(order, "REQUESTED")
            return "ok"
        if volume > order.leaves or volume % self.terms.lot:
            return AnyOf(("INVALID_VOLUME", "VOLUME_INCREMENT", "STALE"))
        order.volume -= volume
        order.cancelled += volume
        order.reason = "REQUESTED"
        purse = self.purses[order.owner]
        purse.hold(order, order.leaves)
        if purse.is_dust(order, order.limit or order.stop or self.last):
            self.end(order, "MIN_NOTIONAL")
        return "ok"

    def modify(self, order: Order, changes: dict[str, Fraction]) -> Any:
        if not order.alive:
            return "ALREADY_DONE"
        for name in ("limit", "stop"):
            if name in changes and getattr(order, name) is None:
                return "INVALID_ACTION"
        if "stop" in changes and order.triggered:
            return "INVALID_ACTION"
        if changes.get("volume", order.volume) <= order.filled:
            self.end(order, "MODIFIED_AWAY")
            return "ok"
        old = (order.volume, order.limit, order.stop, order.worst, order.makes)
        for name, value in changes.items():
            setattr(order, name, value)
        if (order.volume, order.limit, order.stop) == old[:3]:
            raise Unclear("a modify that changes nothing")
        moved = (order.limit, order.stop) != old[1:3] or order.volume > old[0]
        there = self.stops if order in self.stops else self.resting
        there.remove(order)
        if moved:
            self.value(order)
        reasons = set(self.problems(order)) if moved else set()
        if self.purses[order.owner].is_dust(order, order.limit or order.stop or self.last):
            reasons.add("MIN_NOTIONAL")
        if not reasons and not self.purses[order.owner].hold(order, order.leaves):
            reasons.add("INSUFFICIENT_FUNDS")
        if reasons:
            order.volume, order.limit, order.stop, order.worst, order.makes = old
        if reasons or not moved:
            there.append(order)
        else:
            self.enter(order)
        return refusal(reasons) if reasons else "ok"

    def split(
        self, order: Order, volumes: list[Fraction], limits: list[Fraction] | None
    ) -> tuple[Any, list[Order]]:
        if not order.alive:
            return "ALREADY_DONE", []
        if limits is not None and order.limit is None:
            return "INVALID_ACTION", []
        parts = parts_of(order, volumes, limits)
        for part in parts:
            if part.limit != order.limit:
                self.value(part)
        reasons = {reason for part in parts for reason in self.problems(part)}
        if sum(volumes) != order.leaves:
            reasons.add("STALE")
        if reasons:
            return refusal(reasons), []
        purse, whole = self.purses[order.owner], order.leaves
        order.volume = order.filled
        purse.hold(order, NONE)
        for number, part in enumerate(parts):
            if not purse.hold(part, part.volume):
                for other in parts[:number]:
                    purse.hold(other, NONE)
                order.volume += whole
                assert purse.hold(order, whole)
                return "INSUFFICIENT_FUNDS", []
        there = self.stops if order in self.stops else self.resting
        self.end(order, None)
        there.extend(part for part in parts if part.limit == order.limit)
        for part in parts:
            if part.limit != order.limit:
                self.enter(part)
        return "ok", parts

    def close(self, order: Order, volume: Fraction | None, limit: Fraction | None) -> Any:
        """A spot market has no positions."""
        return "ALREADY_DONE"

    def expire(self, now: int) -> None:
        for order in [*self.resting, *self.stops]:
            if order.expires is not None and order.expires <= now:
                self.end(order, "EXPIRED")

    # -- matching ----------------------------------------------------------------------------------

    def enter(self, order: Order) -> None:
        """Take what is there, rest with what is left; then comes in what the trades reached."""
        self.places += 1
        order.place = self.places
        if order.waits_for_stop and not self.touches(order, self.last):
            self.stops.append(order)
            return
        order.triggered = order.stop is not None
        self.take(order)
        while self.reached:
            stop = self.reached.pop(0)
            if stop.alive:
                self.places += 1
                stop.place = self.places
                self.take(stop)

    def take(self, order: Order) -> None:
        if order.force == "FOK" and self.there_for(order) < order.leaves:
            self.end(order, "FILL_OR_KILL")
            return
        before = len(self.trades)
        for other in self.side(not order.buy):
            if not order.leaves or not self.meets(order, other):
                break
            if other.owner == order.owner:
                if self.self_trade != "cancel_newest":
                    self.end(other, "SELF_TRADE")
                if self.self_trade != "cancel_oldest":
                    self.end(order, "SELF_TRADE")
                continue
            self.trade(order, other)
        if order.alive and order.leaves:
            self.rest(order)
        for trade in self.trades[before:]:
            self.reach(trade[1])

    def there_for(self, order: Order) -> Fraction:
        """How much it could take, before it came to an order of its own that ends it."""
        total = NONE
        for other in self.side(not order.buy):
            if not self.meets(order, other):
                break
            if other.owner != order.owner:
                total += other.leaves
            elif self.self_trade != "cancel_oldest":
                break
        return total

    def trade(self, order: Order, other: Order) -> None:
        price, wanted = other.limit, min(order.leaves, other.leaves)
        volume = self.purses[order.owner].affordable(order, wanted, price, False)
        if volume:
            buyer, seller = (order, other) if order.buy else (other, order)
            aggressor = "buy" if order.buy else "sell"
            self.trades.append([self.now, price, volume, buyer.owner, seller.owner, aggressor])
            self.last = price
            for one in (order, other):
                fee = self.purses[one.owner].fill(one, volume, price, one is other)
                self.fills.append([self.now, one.name, price, volume, fee, one is other])
        if volume < wanted:
            self.end(order, "INSUFFICIENT_FUNDS")
        for one in (order, other):
            self.settle(one)

    def settle(self, order: Order) -> None:
        if not order.alive:
            return
        if not order.leaves:
            self.end(order, None)
        elif not self.purses[order.owner].hold(order, order.leaves):
            if not self.purses[order.owner].cut(order):
                self.end(order, "INSUFFICIENT_FUNDS")
        elif not order.buy:
            total = order.exact + order.leaves * order.worst
            if steps(total, self.terms.step, up=False) <= order.posted:
                self.end(order, "MIN_NOTIONAL")

    def rest(self, order: Order) -> None:
        if order.force in ("IOC", "FOK"):
            reason = {"IOC": "IMMEDIATE_OR_CANCEL", "FOK": "FILL_OR_KILL"}[order.force]
            names = (reason, "NO_LIQUIDITY") if order.limit is None else (reason,)
            self.end(order, refusal(names))
        elif order.limit is None:
            self.end(order, "NO_LIQUIDITY")
        else:
            self.resting.append(order)

    def reach(self, price: Fraction) -> None:
        """The stops that one trade reaches come in by their prices, then by age."""
        found = [one for one in self.stops if self.touches(one, price)]
        found.sort(key=lambda one: (one.stop if one.buy else -one.stop, one.place))
        for one in found:
            self.stops.remove(one)
            one.triggered = True
            self.reached.append(one)

    def end(self, order: Order, reason: Any) -> None:
        """Nothing of it is pending any more: what is left is cancelled for ``reason``."""
        if not order.alive:
            return
        if order.leaves:
            order.cancelled += order.leaves
            order.reason = reason
        order.alive = False
        self.purses[order.owner].hold(order, NONE)
        for there in (self.resting, self.stops):
            if order in there:
                there.remove(order)
