"""The market maker of M. Avellaneda and S. Stoikov."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from backtest.errors import FieldError
from backtest.money import ONE, ZERO, add, decimal_of, div, mul, sub
from backtest.strategies.handle import Number
from backtest.times import DAY, duration_ns

from .agent import Duration
from .market_maker import MarketMaker, Rung

__all__ = ["AvellanedaStoikov"]

_LN = Context(prec=28).ln
_TWO = Decimal(2)
_LATEST = Decimal("0.05")
"""The weight of the latest look in a measured volatility."""


class AvellanedaStoikov(MarketMaker):
    """Quotes around the price at which it would not care to hold more or less.

    M. Avellaneda, S. Stoikov, "High-frequency trading in a limit order book", 2008. With the middle
    price s, its inventory q (in units of ``size``), risk aversion γ, volatility σ and the time
    τ = T − t that is left, the reservation price and the optimal spread are ::

        r = s − q γ σ² τ                    δᵃ + δᵇ = γ σ² τ + (2/γ) ln(1 + γ/k)

    and it bids r − (δᵃ + δᵇ)/2 and asks r + (δᵃ + δᵇ)/2, rounded outward to the price increment,
    never nearer to each other than one. k says how fast orders get rarer with their distance from
    the middle: they arrive at a rate in proportion to e^(−kδ).

    Parameters, beside those of `MarketMaker` (of which ``spread`` and ``skew`` are not used):
    ``gamma``; ``k``, per unit of price; ``volatility`` σ, in units of price per square root of a
    day (None: measured from the middle prices that it sees, the latest weighing 5 %); ``horizon``
    T, at whose end it begins anew. τ is in days.
    """

    gamma: Number = "0.1"
    k: Number = "1.5"
    volatility: Number | None = None
    horizon: Duration = "1d"
    levels: int = 1

    def on_start(self) -> None:
        super().on_start()
        self.aversion = decimal_of(self.gamma, "gamma")
        depth = decimal_of(self.k, "k")
        if self.aversion <= 0 or depth <= 0:
            raise FieldError("gamma", "and k must be positive")
        self.length = duration_ns(self.horizon, "horizon")
        if not self.length:
            raise FieldError("horizon", "must be longer than nothing")
        self.rent = mul(div(_TWO, self.aversion), _LN(add(ONE, div(self.aversion, depth))))
        """(2/γ) ln(1 + γ/k): the part of the spread that depends on nothing else."""
        self.began = self.now_ns
        given = None if self.volatility is None else decimal_of(self.volatility, "volatility")
        self.variance = ZERO if given is None else mul(given, given)
        """σ², per day."""
        self.seen_price: Decimal | None = None
        self.seen_ns = self.now_ns

    def ladder(self, middle: Decimal) -> dict[Rung, None]:
        if self.volatility is None:
            self.measure(middle)
        traded = self.traded
        tick = traded.price_increment
        passed = (self.now_ns - self.began) % self.length
        risk = mul(mul(self.aversion, self.variance), div(Decimal(self.length - passed), _DAY))
        fair = sub(middle, mul(div(self.inventory, self.base_size), risk))
        half = div(add(risk, self.rent), _TWO)
        best_bid = traded.round_price(sub(fair, half), ROUND_FLOOR)
        best_ask = max(traded.round_price(add(fair, half), ROUND_CEILING), add(best_bid, tick))
        found: dict[Rung, None] = {}
        for level in range(self.levels):
            away = mul(tick, Decimal(level * self.step))
            if sub(best_bid, away) > 0:
                found[True, sub(best_bid, away)] = None
            found[False, max(add(best_ask, away), tick)] = None
        return found

    def measure(self, middle: Decimal) -> None:
        """Take ``middle`` into the measured variance per day."""
        if self.seen_price is not None and self.now_ns > self.seen_ns:
            move = sub(middle, self.seen_price)
            days = div(Decimal(self.now_ns - self.seen_ns), _DAY)
            change = sub(div(mul(move, move), days), self.variance)
            self.variance = add(self.variance, mul(_LATEST, change))
        self.seen_price, self.seen_ns = middle, self.now_ns


_DAY = Decimal(DAY)
