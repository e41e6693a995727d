"""Random draws that are the same on every machine: exponential, normal, and the decay of time.

Nothing here calls the C library's logarithm, exponential or cosine, whose last bits differ between
platforms. The draws are exact in distribution, made of uniform numbers, comparisons and the four
operations, which IEEE 754 fixes to the last bit; so one seed gives one history everywhere.
"""

from __future__ import annotations

from hashlib import sha256
from random import Random

from backtest.errors import FieldError

__all__ = ["decay", "exponential", "growth", "normal", "stream"]

_DEGREE = 13
"""Of the Taylor polynomial: the first term left out is 0.5¹⁴/14!, below the last bit of 1."""
_VANISHED = 746.0
"""e to the minus this is below the smallest float."""


def stream(seed: int, name: str) -> Random:
    """The random stream called ``name``: the same for a seed, whatever other streams there are."""
    return Random(int.from_bytes(sha256(f"{seed}/{name}".encode()).digest(), "big"))


def exponential(random: Random) -> float:
    """Exponentially distributed with mean 1, by comparisons alone.

    J. von Neumann, "Various techniques used in connection with random digits", 1951: a number is
    taken when the run of falling numbers that it begins ends after an odd count; each one refused
    adds 1. It costs 4.3 uniform numbers on average.
    """
    draw = random.random
    whole = 0.0
    while True:
        first = last = draw()
        taken = True
        while (following := draw()) < last:
            last = following
            taken = not taken
        if taken:
            return whole + first
        whole += 1.0


def normal(random: Random) -> float:
    """Normally distributed with mean 0 and variance 1.

    An exponential x is kept with probability exp(−(x − 1)²/2), which a second exponential decides;
    then it is distributed as the absolute value of a normal number (H. Kahn, "Applications of Monte
    Carlo", RAND, 1954).
    """
    while True:
        size = exponential(random)
        miss = size - 1.0
        if exponential(random) > 0.5 * miss * miss:
            return size if random.random() < 0.5 else -size


def decay(x: float) -> float:
    """e to the power of minus ``x``, for ``x`` ≥ 0; right to 12 digits.

    Halved until it is at most one half, a Taylor polynomial, squared as often.
    """
    if not x >= 0.0:
        raise FieldError("x", f"must be non-negative, not {x!r}")
    if x > _VANISHED:
        return 0.0
    halvings = 0
    while x > 0.5:
        x *= 0.5
        halvings += 1
    value = 1.0
    for term in range(_DEGREE, 0, -1):
        value = 1.0 - x * value / term
    for _ in range(halvings):
        value *= value
    return value


def growth(x: float) -> float:
    """e to the power of ``x``, of either sign; right to 12 digits. Beyond 700 it stays there."""
    return decay(-x) if x < 0.0 else 1.0 / decay(min(x, 700.0))
