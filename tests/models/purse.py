"""What one account has, by the rules alone: reserves, fills, fees and positions in fractions.

Every amount is a `Fraction`, rounded only where the rules say so: against the account, and
cumulatively over all that one order has exchanged, paid, or closed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil, floor
from typing import Any

from tests.models.common import Unclear

__all__ = ["Fee", "Order", "Purse", "Terms", "steps"]

NONE = Fraction(0)
LOTS = "fills of one order are positions of their own still"


def steps(value: Fraction, step: Fraction, up: bool) -> Fraction:
    """``value`` as a multiple of ``step``, upward or downward."""
    return (ceil if up else floor)(value / step) * step


@dataclass
class Fee:
    """One fee of a stage: a share of the notional, an amount per volume, or one per order."""

    kind: str
    taker: Fraction
    maker: Fraction
    least: Fraction | None = None
    most: Fraction | None = None

    def exact(self, volume: Fraction, price: Fraction, maker: bool) -> Fraction:
        """What a fill adds to it, unrounded."""
        rate = self.maker if maker else self.taker
        return {"share": volume * price * rate, "volume": volume * rate, "order": NONE}[self.kind]

    def total(self, exact: Fraction) -> Fraction:
        """What an order owes of it that has come to ``exact``: within its bounds."""
        if self.kind == "order":
            exact = self.taker
        if self.least is not None:
            exact = max(exact, self.least)
        if self.most is not None:
            exact = min(exact, self.most)
        return exact


@dataclass
class Terms:
    """What the pair and its venue say: increments, the least step of the quote asset, and fees."""

    step: Fraction
    lot: Fraction
    tick: Fraction
    buffer: Fraction
    fees: list[Fee] = field(default_factory=list)
    closes_pay: bool = True
    create: Fraction = NONE
    slippage: Fraction = NONE
    maintenance: Fraction = NONE


@dataclass
class Order:
    """One branch: what was asked, what has come of it so far, and the position that it opened."""

    name: str
    spot: bool
    buy: bool
    volume: Fraction
    limit: Any = None
    stop: Any = None
    """Fractions, where it has them."""
    force: str = "GTC"
    expires: int | None = None
    post_only: bool = False
    leverage: Fraction = Fraction(1)
    owner: str = ""
    trail: Any = None
    label: str | None = None
    stop_loss: Any = None
    take_profit: Any = None
    kind: str = "close"
    """Of an order that closes: what its fills are called."""
    closes: Order | None = None
    place: Fraction = NONE
    triggered: bool = False
    fresh: bool = False
    """A limit that was marketable when it came and has met nothing yet."""
    seen: bool = False
    """Whether its first opportunity is over."""
    filled: Fraction = NONE
    cancelled: Fraction = NONE
    exact: Fraction = NONE
    posted: Fraction = NONE
    fees_exact: list[Fraction] = field(default_factory=list)
    fees: Fraction = NONE
    reserve: Fraction = NONE
    worst: Fraction = NONE
    makes: bool = False
    """Whether its reserve counts on the maker's rate."""
    reason: str | None = None
    alive: bool = True
    fills: int = 0
    open: Fraction = NONE
    cost: Fraction = NONE
    margin: Fraction = NONE
    pnl_exact: Fraction = NONE
    pnl: Fraction = NONE
    exits: list[Order] = field(default_factory=list)

    @property
    def leaves(self) -> Fraction:
        return self.volume - self.filled if self.alive else NONE

    @property
    def is_market(self) -> bool:
        """Whether it takes any price now."""
        return self.limit is None and (self.stop is None or self.triggered)

    @property
    def waits_for_stop(self) -> bool:
        return self.stop is not None and not self.triggered


class Purse:
    """The balances of the account, and the money of its orders."""

    def __init__(self, terms: Terms, usd: Fraction, btc: Fraction) -> None:
        self.terms = terms
        self.free = defaultdict(Fraction, USD=usd, BTC=btc)
        self.held: dict[str, Fraction] = defaultdict(Fraction)

    # -- reserves ----------------------------------------------------------------------------------

    def needed(self, order: Order, leaves: Fraction) -> Fraction:
        """What must be reserved for ``leaves`` of an order at its worst price."""
        if order.closes is not None or not leaves:
            return NONE
        if order.spot and not order.buy:
            return leaves
        share = leaves * order.worst
        total = order.exact + (share if order.spot else share / order.leverage)
        exchange = steps(total, self.terms.step, up=True) - order.posted
        fee = self.fee_due(order, leaves, order.worst, order.makes) - order.fees
        return max(NONE, exchange + max(NONE, fee))

    def hold(self, order: Order, leaves: Fraction) -> bool:
        """Bring the reserve to what ``leaves`` need; False if that is not there."""
        asset = "BTC" if order.spot and not order.buy else "USD"
        more = self.needed(order, leaves) - order.reserve
        if more > self.free[asset]:
            return False
        order.reserve += more
        self.free[asset] -= more
        self.held[asset] += more
        return True

    def covered(self, order: Order) -> Fraction:
        """How much of the leaves the reserve, and what is available, still cover."""
        money = order.reserve + self.free["USD"]
        return self.most_lots(order.leaves, lambda left: self.needed(order, left) <= money)

    def cut(self, order: Order) -> bool:
        """A fill took what was reserved for the leaves: those that are covered no more end. False:
        none is covered, and nothing is done."""
        left = self.covered(order)
        if left:
            order.cancelled += order.leaves - left
            order.volume -= order.leaves - left
            order.reason = "INSUFFICIENT_FUNDS"
            self.hold(order, order.leaves)
        return bool(left)

    def most_lots(self, most: Fraction, fits: Callable[[Fraction], bool]) -> Fraction:
        """The most of ``most``, in whole increments, that fits; all of it, or 0."""
        low, high = 0, floor(most / self.terms.lot) + 1
        while low + 1 < high:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(middle * self.terms.lot) else (low, middle)
        return low * self.terms.lot

    # -- fees --------------------------------------------------------------------------------------

    def fees_of(self, order: Order) -> list[Fee]:
        return [] if order.closes is not None and not self.terms.closes_pay else self.terms.fees

    def fee_due(self, order: Order, volume: Fraction, price: Fraction, maker: bool) -> Fraction:
        """All that the order has paid once ``volume`` more has filled: the sum, rounded once."""
        fees = self.fees_of(order)
        so_far = order.fees_exact or [NONE] * len(fees)
        owed = sum(
            (
                fee.total(exact + fee.exact(volume, price, maker))
                for fee, exact in zip(fees, so_far, strict=True)
            ),
            NONE,
        )
        return steps(owed, self.terms.step, up=True)

    def is_dust(self, order: Order, price: Fraction) -> bool:
        """Whether the leaves of a spot order bring less than one step, or no step more."""
        if not order.spot:
            return False
        total = order.exact + order.leaves * (order.worst if order.buy else price)
        if order.buy:
            return total < self.terms.step
        return steps(total, self.terms.step, up=False) <= order.posted

    def sells_for_nothing(self, order: Order, volume: Fraction, price: Fraction) -> bool:
        """Whether the fees of a spot sell would be more than it brings and what is available."""
        brings = steps(order.exact + volume * price, self.terms.step, up=False) - order.posted
        fee = self.fee_due(order, volume, price, order.makes) - order.fees
        return order.spot and not order.buy and fee > brings + self.free["USD"]

    def charge(self, order: Order, volume: Fraction, price: Fraction, maker: bool) -> Fraction:
        """Note the fee of a fill; what it comes to."""
        due = self.fee_due(order, volume, price, maker) - order.fees
        fees = self.fees_of(order)
        so_far = order.fees_exact or [NONE] * len(fees)
        order.fees_exact = [
            exact + fee.exact(volume, price, maker) for fee, exact in zip(fees, so_far, strict=True)
        ]
        order.fees += due
        return due

    # -- fills -------------------------------------------------------------------------------------

    def price_of_margin(
        self, order: Order, volume: Fraction, price: Fraction, maker: bool
    ) -> Fraction:
        """The price that a fill's margin is worked out at: its own, but where that is better than
        the reserve's, needs more, and more is not available."""
        if order.spot or order.buy or price <= order.worst:
            return price
        after = replace(order, filled=order.filled + volume, fees_exact=list(order.fees_exact))
        fee = self.charge(after, volume, price, maker)
        after.exact += volume * price / order.leverage
        after.posted = steps(after.exact, self.terms.step, up=True)
        needs = after.posted - order.posted + fee + self.needed(after, after.leaves)
        return price if needs <= order.reserve + self.free["USD"] else order.worst

    def cost(self, order: Order, volume: Fraction, price: Fraction, maker: bool) -> Fraction:
        """What a fill of a buy, or of a trading order, takes out of the quote asset."""
        share = volume * self.price_of_margin(order, volume, price, maker)
        total = order.exact + (share if order.spot else share / order.leverage)
        exchange = steps(total, self.terms.step, up=True) - order.posted
        return exchange + self.fee_due(order, volume, price, maker) - order.fees

    def affordable(self, order: Order, most: Fraction, price: Fraction, maker: bool) -> Fraction:
        """How much of ``most`` the account can pay for, in whole increments."""
        if order.closes is not None or (order.spot and not order.buy):
            return most
        money = order.reserve + self.free["USD"]
        return self.most_lots(most, lambda part: self.cost(order, part, price, maker) <= money)

    def fill(self, order: Order, volume: Fraction, price: Fraction, maker: bool) -> Fraction:
        """Book a fill; its fee. The reserve of what is left must be brought in line after it."""
        if order.closes is not None:
            return self.close(order.closes, volume, price, maker, order)
        step = self.terms.step
        share = volume * self.price_of_margin(order, volume, price, maker)
        order.exact += share if order.spot else share / order.leverage
        exchanged = steps(order.exact, step, up=order.buy or not order.spot) - order.posted
        order.posted += exchanged
        fee = self.charge(order, volume, price, maker)
        order.filled += volume
        if order.spot and not order.buy:
            order.reserve -= volume
            self.held["BTC"] -= volume
            self.free["USD"] += exchanged - fee
            if self.free["USD"] < 0:
                raise Unclear("a fee beyond proceeds and available stays due")
            return fee
        # Out of the reserve as far as it goes; the rest, and what is over, is `hold`'s to settle.
        taken = min(order.reserve, exchanged + fee)
        order.reserve -= taken
        self.held["USD"] -= taken
        self.free["USD"] -= exchanged + fee - taken
        if order.spot:
            self.free["BTC"] += volume
        else:
            self.held["USD"] += exchanged
            order.margin += exchanged
            order.open += volume
            order.fills += 1
            order.cost += volume * price
        return fee

    # -- positions ---------------------------------------------------------------------------------

    def close(
        self, position: Order, volume: Fraction, price: Fraction, maker: bool, closing: Order
    ) -> Fraction:
        """Close a part of a position; the fee."""
        if position.fills > 1:
            raise Unclear(LOTS)
        last = volume == position.open
        share = position.margin * volume / position.open
        back = position.margin if last else steps(share, self.terms.step, up=False)
        cost = position.cost * volume / position.open
        position.pnl_exact += (volume * price - cost) * (1 if position.buy else -1)
        pnl = steps(position.pnl_exact, self.terms.step, up=False) - position.pnl
        fee = self.charge(closing, volume, price, maker)
        closing.filled += volume
        if back + pnl < 0 and not last:
            raise Unclear("a loss beyond its share of the margin, of a part")
        position.open -= volume
        position.cost -= cost
        position.margin -= back
        position.pnl += pnl
        self.held["USD"] -= back
        self.free["USD"] += max(NONE, back + pnl) - fee
        if self.free["USD"] < 0:
            raise Unclear("a close fee that available cannot pay")
        return fee

    def liquidate(self, position: Order, price: Fraction) -> Fraction:
        """Close all of it at ``price``; the fee, which what remains of the margin pays."""
        if position.fills > 1:
            raise Unclear(LOTS)
        gross = (position.open * price - position.cost) * (1 if position.buy else -1)
        pnl = steps(position.pnl_exact + gross, self.terms.step, up=False) - position.pnl
        back = max(NONE, position.margin + pnl)
        closing = Order("", False, not position.buy, position.open, closes=position)
        fee = self.charge(closing, position.open, price, False)
        self.held["USD"] -= position.margin
        self.free["USD"] += max(NONE, back - fee)
        position.open = position.cost = position.margin = NONE
        return fee

    def doom(self, position: Order) -> Fraction | None:
        """The price at which a position is liquidated, on the grid; None if no price is."""
        terms = self.terms
        if position.buy:
            price = (position.cost - position.margin) / (position.open * (1 - terms.maintenance))
            return steps(price, terms.tick, up=False) if price > 0 else None
        price = (position.cost + position.margin) / (position.open * (1 + terms.maintenance))
        return steps(price, terms.tick, up=True)
