"""What a venue of quotes and trades answers to commands, by the rules alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from tests.models.answers import AnyOf, refusal
from tests.models.common import Unclear
from tests.models.purse import NONE, Order, steps
from tests.models.tick_venue import Venue

__all__ = ["Desk", "parts_of"]


class Desk:
    """Takes commands one at a time, and answers ``"ok"`` or with the reason of a refusal."""

    def __init__(self, venue: Venue, least_volume: Fraction, least_notional: Fraction) -> None:
        self.venue, self.purse, self.terms = venue, venue.purse, venue.terms
        self.least_volume, self.least_notional = least_volume, least_notional

    # -- new orders --------------------------------------------------------------------------------

    def create(self, order: Order) -> str | AnyOf:
        venue = self.venue
        last = venue.price_for(order.buy)
        if last is None and order.limit is None and order.stop is None and order.trail is None:
            return "NO_PRICE_YET"
        if order.trail is not None and order.stop is None:
            if last is None:
                return "NO_PRICE_YET"
            order.stop = Fraction(0 if not order.buy else 10**9)
            venue.trail(order, last)
        self.value(order, order.volume)
        reasons = set(self.problems(order, order.volume))
        partners = [one for one in venue.orders if order.label and one.label == order.label]
        if any(one.filled for one in partners):
            reasons.add("ONE_CANCELS_OTHER")
        fee = self.terms.create
        if not reasons or reasons == {"MIN_NOTIONAL"}:
            asset = "BTC" if order.spot and not order.buy else "USD"
            need = {asset: self.purse.needed(order, order.volume)}
            need["USD"] = need.get("USD", NONE) + fee
            if any(self.purse.free[code] < sum_ for code, sum_ in need.items()):
                reasons.add("INSUFFICIENT_FUNDS")
        if reasons:
            return refusal(reasons)
        self.purse.free["USD"] -= fee
        assert self.purse.hold(order, order.volume)
        if not order.spot:
            venue.positions.append(order)
        venue.orders.append(order)
        self.accept(order)
        return "ok"

    def value(self, order: Order, leaves: Fraction) -> None:
        """The worst price of an order, and whose fee it will pay, as at this moment."""
        venue, terms = self.venue, self.terms
        last = venue.price_for(order.buy)
        first = order.stop if order.waits_for_stop else last
        marketable = order.limit is not None and self.reaches(order, first)
        if order.limit is not None:
            worst = order.limit
        elif order.stop is not None:
            worst = steps(order.stop * (1 + terms.buffer), terms.tick, up=True)
        elif not order.spot and not order.buy:
            worst = last
        else:
            quote = venue.standing()
            pool = quote.pools[order.buy] if quote is not None else None
            suffices = pool is not None and pool.most(leaves, terms.lot) == leaves
            worst = last if suffices else steps(last * (1 + terms.buffer), terms.tick, up=True)
        if not order.spot and not order.buy and last is not None:
            worst = max(worst, last)
        order.worst = worst
        order.makes = order.limit is not None and not marketable

    def reaches(self, order: Order, price: Fraction | None) -> bool:
        if price is None:
            return False
        return bool(price <= order.limit if order.buy else price >= order.limit)

    def problems(self, order: Order, volume: Fraction) -> Iterable[str]:
        """Every rule that the order breaks, money aside."""
        terms, venue = self.terms, self.venue
        if volume % terms.lot:
            yield "VOLUME_INCREMENT"
        if any(one is not None and one % terms.tick for one in (order.limit, order.stop)):
            yield "PRICE_INCREMENT"
        if volume < self.least_volume:
            yield "MIN_VOLUME"
        price = order.limit or order.stop or venue.price_for(order.buy)
        if volume * price < self.least_notional or self.purse.is_dust(order, price):
            yield "MIN_NOTIONAL"
        if order.post_only:
            if order.force in ("IOC", "FOK") or order.limit is None:
                yield "INVALID_ACTION"
            elif order.waits_for_stop:
                if (order.limit >= order.stop) if order.buy else (order.limit <= order.stop):
                    yield "WOULD_TAKE"
            elif self.reaches(order, venue.price_for(order.buy)):
                yield "WOULD_TAKE"
        near = order.limit or order.stop or venue.mark
        if venue.passed(order, near):
            yield "PROTECTION_SIDE"
        if self.purse.sells_for_nothing(order, order.leaves, price):
            yield "INSUFFICIENT_FUNDS"
        if order.expires is not None and order.expires <= venue.now:
            yield "EXPIRED"

    def accept(self, order: Order) -> None:
        """Take a place in the queue, and meet what stands."""
        venue = self.venue
        venue.places += 1
        order.place = venue.places
        order.seen = False
        quote = venue.standing()
        if not order.waits_for_stop and order.limit is not None:
            order.fresh = self.reaches(order, venue.price_for(order.buy))
        if quote is None:
            return
        price = quote.prices[order.buy]
        venue.trigger(order, price)
        if order.waits_for_stop:
            return
        venue.meet(order, price, quote.pools[order.buy])
        order.fresh, order.seen = False, True
        venue.first_opportunity_over(order)
        venue.protect(quote.prices, quote.pools)

    # -- changes -----------------------------------------------------------------------------------

    def cancel(self, order: Order, volume: Fraction | None) -> str | AnyOf:
        if not order.alive:
            closes = [one for one in order.exits if one.kind == "close"]
            for one in closes:
                self.venue.end(one, "REQUESTED")
            return "ok" if closes else "ALREADY_DONE"
        if volume is None or volume == order.leaves:
            self.venue.end(order, "REQUESTED")
            return "ok"
        if volume > order.leaves or volume % self.terms.lot:
            return AnyOf(("INVALID_VOLUME", "VOLUME_INCREMENT", "STALE"))
        order.volume -= volume
        order.cancelled += volume
        order.reason = "REQUESTED"
        self.purse.hold(order, order.leaves)
        return "ok"

    def modify(self, order: Order, changes: dict[str, Fraction]) -> str | AnyOf:
        if not order.alive:
            return "ALREADY_DONE"
        for name in ("limit", "stop"):
            if name in changes and getattr(order, name) is None:
                return "INVALID_ACTION"
        if "stop" in changes and order.triggered:
            return "INVALID_ACTION"
        if changes.get("volume", order.volume) <= order.filled:
            self.venue.end(order, "MODIFIED_AWAY")
            return "ok"
        old = (order.volume, order.limit, order.stop, order.worst, order.makes)
        for name, value in changes.items():
            setattr(order, name, value)
        if (order.volume, order.limit, order.stop) == old[:3]:
            raise Unclear("a modify that changes nothing")
        moved = (order.limit, order.stop) != old[1:3] or order.volume > old[0]
        if moved:
            self.value(order, order.leaves)
        reasons = set(self.problems(order, order.volume)) if moved else set()
        near = order.limit or order.stop or self.venue.price_for(order.buy)
        if self.purse.is_dust(order, near):
            reasons.add("MIN_NOTIONAL")
        if not reasons and not self.purse.hold(order, order.leaves):
            reasons.add("INSUFFICIENT_FUNDS")
        if reasons:
            order.volume, order.limit, order.stop, order.worst, order.makes = old
            return refusal(reasons)
        if moved:
            self.accept(order)
        return "ok"

    def split(
        self, order: Order, volumes: list[Fraction], limits: list[Fraction] | None
    ) -> tuple[str | AnyOf, list[Order]]:
        if not order.alive:
            if order.open:
                raise Unclear("splits of positions are not asked here")
            return "ALREADY_DONE", []
        if limits is not None and order.limit is None:
            return "INVALID_ACTION", []
        parts = parts_of(order, volumes, limits)
        for part in parts:
            if part.limit != order.limit:
                self.value(part, part.volume)
        reasons = {reason for part in parts for reason in self.problems(part, part.volume)}
        if all(part.limit == order.limit for part in parts):
            reasons.discard("WOULD_TAKE")  # what keeps its place has been tested when it came
        if sum(volumes) != order.leaves:
            reasons.add("STALE")
        if reasons:
            return refusal(reasons), []
        whole = order.leaves
        order.volume = order.filled
        self.purse.hold(order, NONE)
        for number, part in enumerate(parts):
            if not self.purse.hold(part, part.volume):
                for other in parts[:number]:
                    self.purse.hold(other, NONE)
                order.volume += whole
                assert self.purse.hold(order, whole)
                return "INSUFFICIENT_FUNDS", []
        self.venue.end(order, None)
        for part in parts:
            self.venue.orders.append(part)
            if not part.spot:
                self.venue.positions.append(part)
        for part in parts:
            if part.limit != order.limit:
                self.accept(part)
        return "ok", parts

    def close(
        self, position: Order, volume: Fraction | None, limit: Fraction | None
    ) -> str | AnyOf:
        """Close all or a part of what an order has opened."""
        if not position.open:
            return "ALREADY_DONE"
        volume = position.open if volume is None else volume
        reasons = set()
        if volume > position.open:
            reasons |= {"INVALID_VOLUME", "STALE"}
        if volume % self.terms.lot:
            reasons.add("VOLUME_INCREMENT")
        if limit is not None and limit % self.terms.tick:
            reasons.add("PRICE_INCREMENT")
        if reasons:
            return refusal(reasons)
        closing = Order("", False, not position.buy, volume, limit, closes=position)
        position.exits.append(closing)
        self.venue.orders.append(closing)
        self.accept(closing)
        return "ok"


def parts_of(order: Order, volumes: list[Fraction], limits: list[Fraction] | None) -> list[Order]:
    """The parts of a split: as the order, with nothing exchanged and a place behind one another."""
    return [
        replace(
            order,
            name=f"{order.name}{at + 1}",
            volume=volume,
            limit=order.limit if limits is None else limits[at],
            place=order.place + Fraction(at, 1000),
            filled=NONE,
            cancelled=NONE,
            exact=NONE,
            posted=NONE,
            fees_exact=[],
            fees=NONE,
            reserve=NONE,
            reason=None,
            fills=0,
            open=NONE,
            cost=NONE,
            margin=NONE,
            exits=[],
        )
        for at, volume in enumerate(volumes)
    ]
