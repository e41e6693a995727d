"""When things arrive: Poisson and Hawkes processes, as endless rising times in nanoseconds."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from random import Random

from backtest.errors import FieldError
from backtest.services.draws import decay, exponential
from backtest.times import SECOND

__all__ = ["hawkes", "poisson"]


def poisson(rate: float, random: Random, start_ns: int = 0) -> Iterator[int]:
    """The times after ``start_ns`` of a Poisson process with ``rate`` arrivals per second.

    In t seconds there are rate × t on average, with as much variance.

    >>> from itertools import islice
    >>> times = list(islice(poisson(0.5, Random(7)), 3))
    >>> times == sorted(times) and all(isinstance(time, int) for time in times)
    True
    """
    _check("rate", rate, above=True)
    mean = SECOND / rate
    now = start_ns
    while True:
        now += max(1, round(mean * exponential(random)))
        yield now


def hawkes(
    rate: float, excitation: float, memory: float, random: Random, start_ns: int = 0
) -> Iterator[int]:
    """The times after ``start_ns`` of a process in which each arrival brings on others.

    Args:
        rate: arrivals per second on average, in the long run.
        excitation: n, how many others each arrival brings on by itself, below 1 (0: Poisson).
        memory: 1/β in seconds: how long an arrival is felt.

    The intensity is λ(t) = μ + Σ n β e^(−β (t − tᵢ)) over the arrivals so far, with μ = (1 − n) ×
    rate (A. G. Hawkes, "Spectra of some self-exciting and mutually exciting point processes",
    1971). Over times much longer than ``memory`` the number of arrivals has the mean rate × t and
    the variance rate × t / (1 − n)². It is drawn by thinning (Y. Ogata, "On Lewis' simulation
    method for point processes", 1981): between arrivals λ falls, so the next is sought as if it
    stayed, and kept with the probability to which it has fallen. It begins unexcited.
    """
    _check("rate", rate, above=True)
    _check("excitation", excitation)
    _check("memory", memory, above=True)
    if excitation >= 1:
        raise FieldError("excitation", f"must be below 1, or it explodes, not {excitation!r}")
    base = (1.0 - excitation) * rate
    jump = excitation / memory
    excited, now = 0.0, start_ns
    while True:
        bound = base + excited
        gap = exponential(random) / bound
        now += max(1, round(gap * SECOND))
        excited *= decay(gap / memory)
        if random.random() * bound <= base + excited:
            excited += jump
            yield now


def _check(name: str, value: float, above: bool = False) -> None:
    if not isfinite(value) or value < 0 or (above and not value):
        raise FieldError(name, f"must be {'positive' if above else 'not negative'}, not {value!r}")
