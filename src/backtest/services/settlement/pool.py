"""A position in numbers: volume, cost and margin of all its fills together.

A close takes its share of cost and margin by volume, the last part the remainder. So it does not
matter which fill opened what is closed: PnL = proceeds - share of the cost, negated for shorts.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from backtest.money import ZERO, add, div, exponent, mul, round_down, round_half_even, sub
from backtest.services.orders.parts import apportion

__all__ = ["EMPTY", "Pool", "Taken"]

_FINE = exponent(24)
"""A share, or an average, may have no end. What is cut off stays in what is left of the cost."""
_NOISE = exponent(20)
"""Shares that sum to something round are so but for the last digits."""


class Pool(NamedTuple):
    """What is open of a position. Immutable."""

    volume: Decimal
    cost: Decimal
    """The sum of fill price x volume x contract size."""
    margin: Decimal
    price: Decimal | None
    """The price of all its fills; None where they filled at several."""
    gained: Decimal = ZERO
    """What its closes came to so far, exactly."""
    posted: Decimal = ZERO
    """What was posted of that."""
    going: Decimal = ZERO
    """What the fill at hand is still to close: it may close several of its orders, one by one."""
    costing: Decimal = ZERO
    """The cost of that."""
    returning: Decimal = ZERO
    """What of the margin is to come back with it."""
    earning: Decimal = ZERO
    """The PnL of it."""

    def filled(
        self, volume: Decimal, price: Decimal, margin: Decimal, contract_size: Decimal
    ) -> Pool:
        """The same with ``volume`` more, filled at ``price``."""
        cost = mul(mul(volume, price), contract_size)
        one = self.price if not self.volume or self.price == price else None
        return self._replace(
            volume=add(self.volume, volume),
            cost=add(self.cost, cost),
            margin=add(self.margin, margin),
            price=one if self.volume else price,
        )

    def average(self, contract_size: Decimal) -> Decimal:
        """The price at which it was opened, by volume."""
        if self.price is not None:
            return self.price
        return round_half_even(div(self.cost, mul(self.volume, contract_size)), _FINE)

    def share(self, volume: Decimal, contract_size: Decimal) -> Decimal:
        """The cost of ``volume`` of it."""
        if self.price is not None:
            return mul(mul(self.price, volume), contract_size)
        if volume == self.volume:
            return self.cost
        return round_half_even(div(mul(self.cost, volume), self.volume), _FINE)

    def closing(
        self,
        long: bool,
        price: Decimal,
        volume: Decimal,
        contract_size: Decimal,
        step: Decimal,
        *,
        isolated: bool,
        liquidates: bool = False,
    ) -> Pool:
        """The same for a fill at ``price`` that closes ``volume``.

        PnL is worked out over all closes, exactly, and rounded down once: a close posts that less
        what was posted before. The margin that returns rounds down. A loss beyond it is taken from
        the rest of the margin, where the position is ``isolated``. A part of one that is
        liquidated gives back no more than it has lost.
        """
        cost = self.share(volume, contract_size)
        gained = add(self.gained, _gain(long, price, volume, contract_size, cost))
        earning = sub(_booked(gained, step), self.posted)
        margin, left = apportion(self.margin, volume, self.volume, step, down=True)
        if liquidates and left and volume != self.volume:
            margin, left = ZERO, self.margin
        beyond = add(margin, earning).copy_negate()
        if isolated and beyond > ZERO:
            margin = add(margin, min(beyond, left))
        return self._replace(going=volume, costing=cost, returning=margin, earning=earning)

    def closed(
        self, long: bool, price: Decimal, volume: Decimal, contract_size: Decimal, step: Decimal
    ) -> Taken:
        """What ``volume`` of what is `closing` takes of the position.

        Its share of cost and margin by volume; but of the margin what it has lost, if that is
        more, and no more than leaves enough for what the rest will have lost.
        """
        cost = self.costing
        if volume != self.going:
            cost = round_half_even(div(mul(cost, volume), self.going), _FINE)
        gained = add(self.gained, _gain(long, price, volume, contract_size, cost))
        posted = _booked(gained, step)
        pnl = sub(posted, self.posted)
        earning = sub(self.earning, pnl)
        margin, _ = apportion(self.returning, volume, self.going, step)
        if volume != self.going:
            margin = min(margin, add(self.returning, min(ZERO, earning)))
            margin = max(margin, min(pnl.copy_negate(), self.returning), ZERO)
        margin = min(margin, self.margin)
        rest = Pool(
            sub(self.volume, volume),
            sub(self.cost, cost),
            sub(self.margin, margin),
            self.price,
            gained,
            posted,
            sub(self.going, volume),
            sub(self.costing, cost),
            sub(self.returning, margin),
            earning,
        )
        return Taken(cost, margin, pnl, rest)

    def divided(
        self, volumes: Sequence[Decimal], contract_size: Decimal, step: Decimal
    ) -> list[Pool]:
        """Positions of ``volumes``, which sum to this one's; each takes its share of what those
        before it left, so that cost and margin are this one's exactly."""
        parts: list[Pool] = []
        left = self
        for volume in volumes:
            cost = left.share(volume, contract_size)
            margin, rest = apportion(left.margin, volume, left.volume, step)
            parts.append(Pool(volume, cost, margin, self.price))
            left = left._replace(
                volume=sub(left.volume, volume), cost=sub(left.cost, cost), margin=rest
            )
        return parts


def _gain(
    long: bool, price: Decimal, volume: Decimal, contract_size: Decimal, cost: Decimal
) -> Decimal:
    worth = mul(mul(price, volume), contract_size)
    return sub(worth, cost) if long else sub(cost, worth)


def _booked(gained: Decimal, step: Decimal) -> Decimal:
    """What of a gain is booked: rounded down, but for what the shares were cut off by."""
    return round_down(round_half_even(gained, _NOISE), step)


class Taken(NamedTuple):
    """What a close takes of a position."""

    cost: Decimal
    margin: Decimal
    pnl: Decimal
    rest: Pool


EMPTY = Pool(ZERO, ZERO, ZERO, None)
"""A position before its first fill."""
