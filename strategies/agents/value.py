"""An agent with a view of what the asset is worth."""

from __future__ import annotations

from decimal import Decimal

from backtest.errors import FieldError
from backtest.models import Depth
from backtest.money import add, decimal_of, mul, sub
from backtest.services.draws import normal
from backtest.services.fundamental import Fundamental
from backtest.strategies.handle import Number
from backtest.times import duration_ns

from .agent import Agent, Duration, middle_of, seconds_of
from .sizes import drawn_size

__all__ = ["ValueAgent"]

_HALF = Decimal("0.5")


class ValueAgent(Agent):
    """Sees the fundamental value through noise, keeps a belief about it, and trades toward it.

    It wakes at random, cancels what it has pending, observes the value with an error, and joins
    what it sees to what it believed, each by its precision. Between two observations the belief
    moves as the value does: back toward the mean, less certain by the hour. That is the exact
    filter for a mean-reverting value (R. E. Kalman, 1960), and what the value agents of D. Byrd,
    M. Hybinette and T. Balch, "ABIDES", 2020, do in discrete time. With x the deviation from the
    mean in shares of it, a = e^(−κΔ), q the variance that Δ adds and r the variance of the noise::

        x⁻ = a x          p⁻ = a² p + q          k = p⁻ / (p⁻ + r)
        x  = x⁻ + k (observed − x⁻)              p  = (1 − k)² p⁻ + k² r

    The value can do what its equation does not know (`Fundamental.shocks`): so k is never less than
    ``alertness``, and a shock is believed after some observations even if nothing like it was to be
    expected.

    Above the middle of the market it buys, below it sells: with probability ``aggression`` at the
    other side's best price, as long as that is no worse than its belief; else it leaves a limit
    order up to ``reach`` spreads behind the better of its belief and that price. When that price is
    better than its belief by more than the noise it is in a hurry: it takes up to half way to its
    belief, and the more, the better the price is: up to ``rush`` times its size.

    Parameters, beside those of `Agent`: the ``fundamental``; ``noise``, the standard deviation of
    an observation in shares of the mean; ``alertness``; ``every``, the mean time between wake-ups;
    ``size``, ``sizes`` as in `ZeroIntelligence`; ``aggression``; ``reach``; ``rush``; ``horizon``:
    it trades on what it expects the value to be so long from now.
    """

    fundamental: Fundamental | None = None
    noise: float = 0.002
    every: Duration = "60s"
    size: Number = 5
    sizes: str = "exponential"
    alertness: float = 0.1
    aggression: float = 0.5
    reach: float = 2.0
    rush: float = 10.0
    horizon: Duration = 0

    def on_start(self) -> None:
        super().on_start()
        if self.fundamental is None:
            raise FieldError("fundamental", "is missing: give a backtest.services Fundamental")
        self.oracle: Fundamental = self.fundamental
        self.pause = seconds_of(self.every, "every")
        self.mean_size = decimal_of(self.size, "size")
        self.ahead = duration_ns(self.horizon, "horizon")
        self.scale = float(self.oracle.mean)
        # Everybody knows what it was worth when the market opened.
        self.belief = self.oracle.deviation(self.oracle.start)
        self.doubt = 0.0
        """The variance of the belief."""
        self.believed_at = min(self.oracle.start, self.now_ns)
        self.wake_at_random(self.pause)

    def on_timer(self, name: str) -> None:
        self.wake_at_random(self.pause)
        self.withdraw_resting()
        self.look()

    def act(self, depth: Depth) -> None:
        now = self.now_ns
        error = self.noise * normal(self.random)
        self.update(now, self.oracle.deviation(now) + error)
        size = drawn_size(self.sizes, self.mean_size, self.traded.least_volume, self.random)
        value = self.expected()
        middle = middle_of(depth)
        if middle is None:
            buy = self.random.random() < 0.5
        else:
            buy = value > middle
        crosses = self.random.random() < self.aggression
        share = self.random.random()
        urgency = self.urgency(buy, value, depth)
        if urgency > 1.0:
            size = mul(size, Decimal(repr(min(urgency, self.rush))))
            self.place(buy, size, self.hasty(buy, value, depth))
        else:
            self.place(buy, size, self.price(buy, crosses, value, depth, share))

    def urgency(self, buy: bool, value: Decimal, depth: Depth) -> float:
        """How much better than its belief the other side's best price is, in standard deviations
        of an observation; 0 where it is worse, or where nobody is."""
        other = depth.best_ask if buy else depth.best_bid
        if other is None or not self.noise:
            return 0.0
        gain = float(sub(value, other) if buy else sub(other, value))
        return max(gain, 0.0) / (self.noise * self.scale)

    def hasty(self, buy: bool, value: Decimal, depth: Depth) -> Decimal:
        """The limit of an urgent order: half way from the other side's best price to its belief."""
        other = depth.best_ask if buy else depth.best_bid
        return value if other is None else mul(add(other, value), _HALF)

    def update(self, now: int, observed: float) -> None:
        """Bring the belief up to ``now``, when the deviation ``observed`` was seen."""
        passed = max(0, now - self.believed_at)
        memory = self.oracle.memory(passed)
        before = memory * self.belief
        doubt = memory * memory * self.doubt + self.oracle.variance(passed)
        error = self.noise * self.noise
        total = doubt + error
        # Without any doubt and any noise both are the value itself.
        gain = max(doubt / total if total else 1.0, self.alertness)
        self.belief = before + gain * (observed - before)
        # For the best gain this is (1 - gain) doubt; it is right for a larger one, too.
        self.doubt = (1.0 - gain) * (1.0 - gain) * doubt + gain * gain * error
        self.believed_at = now

    def expected(self) -> Decimal:
        """What it believes the value to be at its horizon."""
        believed = self.scale * (1.0 + self.belief * self.oracle.memory(self.ahead))
        return Decimal(repr(max(believed, 0.0)))

    def price(
        self, buy: bool, crosses: bool, value: Decimal, depth: Depth, share: float
    ) -> Decimal:
        """The limit of its order; ``share`` of the way to ``reach`` spreads when it rests."""
        tick = self.traded.price_increment
        other = depth.best_ask if buy else depth.best_bid
        spread = add(tick, tick)
        if depth.spread is not None:
            spread = max(depth.spread, spread)
        if other is None:
            best = value
        elif buy:
            if crosses and other <= value:
                return other
            best = min(value, sub(other, tick))
        else:
            if crosses and other >= value:
                return other
            best = max(value, add(other, tick))
        away = mul(spread, Decimal(repr(self.reach * share)))
        return sub(best, away) if buy else add(best, away)
