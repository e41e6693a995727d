"""Parameters that differ from agent to agent: drawn once for each, from a stream of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random
from typing import Any, Final

from attrs import frozen

from backtest.errors import ConfigError
from backtest.markets.strict import meant
from backtest.money import ZERO, add, div, exponent, mul, setting_of, sub, to_step
from backtest.services import draws
from backtest.times import duration_ns

__all__ = [
    "DISTRIBUTIONS",
    "Distribution",
    "choice",
    "distribution_of",
    "exponential",
    "lognormal",
    "normal",
    "uniform",
]

_LENGTH = re.compile(r"\s*\d+\s*[a-zµ]+\s*")
_FINE = Decimal("0.000001")

_SHAPES: Final = {
    "choice": "a list of values",
    "exponential": "the mean",
    "lognormal": "[median, sigma of the logarithm]",
    "normal": "[mean, standard deviation]",
    "uniform": "[lowest, highest]",
}
DISTRIBUTIONS: Final = tuple(_SHAPES)
"""The names of the distributions there are."""
_OPTIONS = ("step", "at_least", "at_most")


@frozen
class Distribution:
    """From which one value is drawn for each agent: exact numbers on a grid, or lengths of time.

    Make one by `uniform`, `normal`, `lognormal`, `exponential` or `choice`. What is drawn is a
    `Decimal` on the grid of ``step`` between ``at_least`` and ``at_most``; of lengths of time
    (``uniform("30s", "90s")``), text such as ``"41500000000ns"``.

    >>> uniform(1, 6).draw(Random(3))
    Decimal('2')
    """

    name: str
    arguments: tuple[Any, ...]
    """Numbers (or nanoseconds, where ``is_time``); of a choice, the values."""
    step: Decimal
    at_least: Decimal | None = None
    at_most: Decimal | None = None
    is_time: bool = False

    def draw(self, random: Random) -> Any:
        """The next value."""
        if self.name == "choice":
            return self.arguments[random.randrange(len(self.arguments))]
        value = self._number(random)
        if self.at_least is not None and value < self.at_least:
            value = self.at_least
        if self.at_most is not None and value > self.at_most:
            value = self.at_most
        return f"{int(value)}ns" if self.is_time else value

    def _number(self, random: Random) -> Decimal:
        if self.name == "uniform":
            # Drawn as a whole number of steps: no float comes near it.
            low, high = self.arguments
            steps = int(div(sub(high, low), self.step))
            return add(low, mul(Decimal(random.randint(0, steps)), self.step))
        first = float(self.arguments[0])
        if self.name == "exponential":
            drawn = draws.exponential(random) * first
        elif self.name == "normal":
            drawn = first + float(self.arguments[1]) * draws.normal(random)
        else:
            power = float(self.arguments[1]) * draws.normal(random)
            fall = draws.decay(abs(power))
            drawn = first * fall if power < 0 else first / fall
        return to_step(Decimal(repr(drawn)), self.step, ROUND_HALF_EVEN)

    def text(self) -> Any:
        """The same as plain data, for the manifest of a run."""
        if self.name == "choice":
            return {"choice": [str(one) for one in self.arguments]}
        told: dict[str, Any] = {self.name: [str(one) for one in self.arguments]}
        for option in _OPTIONS:
            value = getattr(self, option)
            if value is not None:
                told[option] = str(value)
        if self.is_time:
            told["unit"] = "ns"
        return told


def uniform(low: Any, high: Any, **options: Any) -> Distribution:
    """Every multiple of ``step`` from ``low`` to ``high`` alike; the step is the finest digit of
    the two unless given."""
    return _made("uniform", (low, high), options)


def normal(mean: Any, deviation: Any, **options: Any) -> Distribution:
    """Around ``mean``, with that standard deviation."""
    return _made("normal", (mean, deviation), options)


def lognormal(median: Any, sigma: Any, **options: Any) -> Distribution:
    """Above zero; its logarithm is normal with deviation ``sigma``."""
    return _made("lognormal", (median, sigma), options)


def exponential(mean: Any, **options: Any) -> Distribution:
    """Above zero, with that mean: times between arrivals, say."""
    return _made("exponential", (mean,), options)


def choice(*values: Any) -> Distribution:
    """One of ``values``, all alike."""
    return _made("choice", values, {})


def distribution_of(table: Mapping[str, Any], field: str) -> Distribution:
    """The distribution that a table such as ``{uniform = [1, 10], step = "0.5"}`` describes.

    Raises `ConfigError` for anything else.
    """
    named = [name for name in table if name in _SHAPES]
    if len(named) != 1:
        hint = next((hit for name in table if (hit := meant(name, _SHAPES))), "")
        raise ConfigError(
            f"{field} must be a value or one distribution ({', '.join(_SHAPES)}), "
            f"not {dict(table)!r}{hint}"
        )
    name = named[0]
    given = table[name]
    arguments = tuple(given) if isinstance(given, list | tuple) else (given,)
    options = {key: value for key, value in table.items() if key != name}
    return _made(name, arguments, options, field)


def _made(
    name: str, arguments: Sequence[Any], options: Mapping[str, Any], field: str = ""
) -> Distribution:
    field = f"{field}.{name}" if field else name
    if name == "choice":
        if not arguments or options:
            raise ConfigError(f"{field} must be {_SHAPES[name]}, and takes nothing else")
        return Distribution(name, tuple(arguments), ZERO)
    if len(arguments) != (1 if name == "exponential" else 2):
        raise ConfigError(f"{field} must be {_SHAPES[name]}, not {list(arguments)!r}")
    is_time = any(_is_length(one) for one in arguments)
    bounds = _bounds(options, field)
    numbers = _numbers(name, arguments, is_time, field)
    step = bounds.pop("step", None)
    least, most = bounds.get("at_least"), bounds.get("at_most")
    if least is not None and most is not None and least > most:
        raise ConfigError(f"{field}: at_least {least} is above at_most {most}")
    if step is None:
        step = Decimal(1) if is_time else _grid(numbers) if name == "uniform" else _FINE
    if step <= ZERO:
        raise ConfigError(f"{field}.step must be above zero, not {step}")
    _check_numbers(name, numbers, arguments, field)
    if is_time and name == "normal":
        bounds.setdefault("at_least", ZERO)  # no length of time is negative
    return Distribution(name, tuple(numbers), step, is_time=is_time, **bounds)


def _bounds(options: Mapping[str, Any], field: str) -> dict[str, Decimal]:
    for key in options:
        if key not in _OPTIONS:
            known = ", ".join(_OPTIONS)
            raise ConfigError(
                f"{field} has no option {key!r}{meant(key, _OPTIONS)}; known: {known}"
            )
    return {
        key: _number(value, f"{field}.{key}") for key, value in options.items() if value is not None
    }


def _numbers(name: str, arguments: Sequence[Any], is_time: bool, field: str) -> list[Decimal]:
    numbers = []
    for place, one in enumerate(arguments):
        timed = is_time and not (name == "lognormal" and place == 1)
        if timed and not _is_length(one):
            raise ConfigError(f"{field} must have lengths of time throughout, not {one!r}")
        numbers.append(_number(one, field))
    return numbers


def _check_numbers(
    name: str, numbers: Sequence[Decimal], arguments: Sequence[Any], field: str
) -> None:
    if name == "uniform" and numbers[0] > numbers[1]:
        raise ConfigError(
            f"{field} must be {_SHAPES[name]}: {arguments[0]} is above {arguments[1]}"
        )
    if name == "normal" and numbers[1] < ZERO:
        raise ConfigError(f"{field}'s standard deviation cannot be negative, is {arguments[1]}")
    if name in ("exponential", "lognormal") and min(numbers) < ZERO:
        raise ConfigError(f"{field} cannot have negative parameters: {list(arguments)!r}")


def _is_length(value: Any) -> bool:
    return isinstance(value, str) and _LENGTH.fullmatch(value.lower()) is not None


def _number(value: Any, field: str) -> Decimal:
    if _is_length(value):
        return Decimal(duration_ns(value, field))
    return setting_of(value, field)


def _grid(numbers: Sequence[Decimal]) -> Decimal:
    """One in the finest digit that is written in any of ``numbers``."""
    finest = min(int(one.as_tuple().exponent) for one in numbers)
    return exponent(max(-finest, 0))
