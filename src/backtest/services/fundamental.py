"""What an asset is worth, where no history says it: a mean-reverting value with jumps."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from math import isfinite, sqrt
from random import Random
from typing import Any

from attrs import field, frozen

from backtest.errors import ConfigError, FieldError
from backtest.models.trading_pair import TradingPair
from backtest.money import div, setting_of
from backtest.services.draws import decay, exponential, growth, normal, stream
from backtest.times import DAY, duration_ns, to_ns

__all__ = ["Fundamental", "Shock"]

Shock = tuple[float | int | str | timedelta, float]
"""How long after the start, and how far in shares of the mean: ``("2h", -0.05)`` is minus 5 %."""

_NUMBERS = (
    "volatility",
    "reversion",
    "unrest",
    "unrest_reversion",
    "jumps",
    "jump_size",
    "jump_spread",
)
_MOST_STEPS = 20_000_000
_FLOOR = 0.01


def _start_ns(start: datetime | int) -> int:
    return to_ns(start, "start") if isinstance(start, datetime) else start


def _price(value: Decimal | int | str) -> Decimal:
    return setting_of(value, "mean")


def _maybe(value: Decimal | int | str | None) -> Decimal | None:
    return None if value is None else setting_of(value, "initial")


class _Path:
    """What was drawn so far; it only ever grows, and always by the same numbers."""

    __slots__ = (
        "arrivals",
        "at_step",
        "jump",
        "jumps_until",
        "mood",
        "moods",
        "noise",
        "shocks",
        "values",
    )

    def __init__(self, seed: int, name: str, initial: float, shocks: list[tuple[int, float]]):
        self.noise: Random = stream(seed, f"{name}/noise")
        self.arrivals: Random = stream(seed, f"{name}/jumps")
        self.moods: Random = stream(seed, f"{name}/unrest")
        self.mood = normal(self.moods)
        """How unrestful the last step was, in standard deviations."""
        self.values = array("d", [initial])
        """The deviation at each step."""
        self.at_step: dict[int, list[tuple[int, float]]] = {}
        """Jumps by the step after which they came: nanoseconds since the start, and how far."""
        self.jumps_until = 0
        """When the last drawn jump is (it may be later than the last step)."""
        self.jump = 0.0
        """How far that one goes."""
        self.shocks = shocks
        """Those given, latest first."""


@frozen(kw_only=True)
class Fundamental:
    """The value of an asset at any moment: a function of the seed and the time, and of no one else.

    The deviation from the mean, x, is an Ornstein–Uhlenbeck process with jumps,
    dx = −κ x dt + σ dW + dJ, and the value is mean × (1 + x). It is drawn by its exact transition
    (G. E. Uhlenbeck and L. S. Ornstein 1930; D. T. Gillespie 1996), x(t + Δ) = x(t) e^(−κΔ) +
    N(0, σ²(1 − e^(−2κΔ))/(2κ)), on a grid of ``step``, and held between; a jump is there at its
    very time. Agents that look at a mean-reverting value with rare large shocks are those of
    D. Byrd, M. Hybinette and T. Balch, "ABIDES", 2019 (the sparse mean-reverting oracle with its
    "megashocks"). There, who asks and when changes what is drawn; here it changes nothing.

    Args:
        mean: what it comes back to, in quote.
        volatility: σ, in shares of the mean per square root of a day (of 24 hours).
        reversion: κ, per day: a deviation halves in 0.69/κ days. 0: a random walk.
        unrest: the standard deviation of the logarithm of σ, which then is no constant but moves by
            a mean-reverting process of its own, with σ² as its mean square: wild times follow wild
            times, as in real markets (S. J. Taylor, 1982). 0: constant.
        unrest_reversion: how fast it does, per day: 24 is a memory of an hour.
        jumps: how many jumps come per day (a Poisson process).
        jump_size: their mean absolute size, in shares of the mean; up and down are as likely.
        jump_spread: the standard deviation of that size.
        shocks: jumps at given times: ``[("4h", -0.05)]``.
        initial: the value at the start; left out: the mean.
        start: when it begins, aware `datetime` or nanoseconds; earlier it is the initial value.
        step: the grid.
        seed, name: of the random streams.

    The value never falls below a hundredth of the mean. The first time that a moment is asked for,
    all steps up to it are drawn (about 2 µs each); afterwards an answer takes constant time.

    >>> value = Fundamental(mean=100, volatility=0.02, reversion=2.0, seed=7)
    >>> late, early = value.at(3_600_000_000_000), value.at(60_000_000_000)
    >>> again = Fundamental(mean=100, volatility=0.02, reversion=2.0, seed=7)
    >>> again.at(60_000_000_000) == early and again.at(3_600_000_000_000) == late
    True
    """

    mean: Decimal = field(converter=_price)
    volatility: float = 0.02
    reversion: float = 1.0
    unrest: float = 0.0
    unrest_reversion: float = 24.0
    jumps: float = 0.0
    jump_size: float = 0.01
    jump_spread: float = 0.0
    shocks: Sequence[Shock] = field(default=(), converter=tuple)
    initial: Decimal | None = field(default=None, converter=_maybe)
    start: int = field(default=0, converter=_start_ns)
    step: float | int | str | timedelta = "1s"
    seed: int = 0
    name: str = "fundamental"
    _step_ns: int = field(init=False, repr=False, eq=False)
    _scale: float = field(init=False, repr=False, eq=False)
    _keep: float = field(init=False, repr=False, eq=False)
    _spread: float = field(init=False, repr=False, eq=False)
    _mood: tuple[float, float] = field(init=False, repr=False, eq=False)
    _path: _Path = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if self.mean <= 0:
            raise FieldError("mean", f"must be positive, not {self.mean}")
        for name in _NUMBERS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise FieldError(name, f"must be a number, not {value!r}")
            if not isfinite(value) or value < 0:
                raise FieldError(name, f"must be finite and non-negative, not {value!r}")
        step_ns = duration_ns(self.step, "step")
        if not step_ns:
            raise FieldError("step", "must be longer than nothing")
        initial = 0.0 if self.initial is None else float(div(self.initial, self.mean)) - 1.0
        shocks = [(duration_ns(after, "shocks"), float(size)) for after, size in self.shocks]
        path = _Path(self.seed, self.name, initial, sorted(shocks, reverse=True))
        put = object.__setattr__
        put(self, "_step_ns", step_ns)
        put(self, "_scale", float(self.mean))
        put(self, "_keep", decay(self.reversion * step_ns / DAY))
        put(self, "_spread", sqrt(self.variance(step_ns, jumps=False)))
        memory = decay(self.unrest_reversion * step_ns / DAY)
        put(self, "_mood", (memory, sqrt(1.0 - memory * memory)))
        put(self, "_path", path)
        self._next_jump()

    def __deepcopy__(self, memo: Any) -> Fundamental:
        """Itself: it is a value, and what it has drawn is the same in every copy."""
        return self

    # -- asking ------------------------------------------------------------------------------------

    def at(self, time_ns: int) -> float:
        """The value at ``time_ns`` (nanoseconds since 1970)."""
        return max(self._scale * (1.0 + self.deviation(time_ns)), self._scale * _FLOOR)

    def price(self, time_ns: int, pair: TradingPair) -> Decimal:
        """The value at ``time_ns`` on the price increments of ``pair``, at least one."""
        price = pair.round_price(Decimal(repr(self.at(time_ns))))
        return max(price, pair.price_increment)

    def deviation(self, time_ns: int) -> float:
        """x: how far the value is from the mean at ``time_ns``, in shares of the mean."""
        elapsed = time_ns - self.start
        path = self._path
        if elapsed <= 0:
            return path.values[0]
        number = elapsed // self._step_ns
        if number >= len(path.values):
            self._draw(number)
        value = path.values[number]
        if number == len(path.values) - 1:
            self._jumps_before((number + 1) * self._step_ns)
        for when, size in path.at_step.get(number, ()):
            if when <= elapsed:
                value += size
        return value

    # -- what is known of it -----------------------------------------------------------------------

    def memory(self, duration_ns: int) -> float:
        """e^(−κΔ): what is left of a deviation after a while, in expectation."""
        return decay(self.reversion * duration_ns / DAY)

    def variance(self, duration_ns: int, jumps: bool = True) -> float:
        """The variance of x after a while, when it is known now; with that of the jumps."""
        days = duration_ns / DAY
        rate = self.volatility * self.volatility
        if jumps:
            rate += self.jumps * (self.jump_size**2 + self.jump_spread**2)
        if not self.reversion:
            return rate * days
        return rate * (1.0 - decay(2.0 * self.reversion * days)) / (2.0 * self.reversion)

    # -- drawing -----------------------------------------------------------------------------------

    def _draw(self, until: int) -> None:
        """Draw all steps up to the one numbered ``until``."""
        if until > _MOST_STEPS:
            raise ConfigError(
                f"the fundamental value is asked for {until} steps after its start: give start=, "
                "the time at which the market begins, or a longer step="
            )
        path = self._path
        values, noise, step = path.values, path.noise, self._step_ns
        keep, spread = self._keep, self._spread
        unrest, (memory, fresh) = self.unrest, self._mood
        self._jumps_before(until * step)
        for number in range(len(values), until + 1):
            move = spread * normal(noise)
            if unrest:
                path.mood = path.mood * memory + fresh * normal(path.moods)
                # Less the square of it, so that the variance is on average what it is without.
                move *= growth(unrest * path.mood - unrest * unrest)
            value = values[-1] * keep + move
            for when, size in path.at_step.get(number - 1, ()):
                value += size * self.memory(number * step - when)
            values.append(value)

    def _jumps_before(self, end: int) -> None:
        """See that all jumps before ``end`` (since the start) are known."""
        path = self._path
        while path.jumps_until < end:
            self._add(path.jumps_until, path.jump)
            self._next_jump()
        while path.shocks and path.shocks[-1][0] < end:
            self._add(*path.shocks.pop())

    def _add(self, when: int, size: float) -> None:
        self._path.at_step.setdefault(when // self._step_ns, []).append((when, size))

    def _next_jump(self) -> None:
        path = self._path
        if not self.jumps:
            path.jumps_until = _NEVER
            return
        path.jumps_until += 1 + int(exponential(path.arrivals) * DAY / self.jumps)
        sign = 1.0 if path.arrivals.random() < 0.5 else -1.0
        path.jump = sign * (self.jump_size + self.jump_spread * normal(path.arrivals))


_NEVER = 1 << 200
