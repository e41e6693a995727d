"""Small markets and a stage for strategies: what the tests of this folder share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import structlog
import structlog.testing

import backtest
from backtest import RunResult
from backtest.models import Bar
from backtest.strategies import Strategy
from backtest.times import MINUTE

D = Decimal

__all__ = ["D", "Story", "logged", "market", "play"]


def market(*bars: Any, pair: str = "BTCUSD", volume: Any = None, minutes: int = 1) -> list[Bar]:
    """Bars from 1970 on: a close (each opens at the close before, no wicks) or ``(o, h, l, c)``.

    Bar *i* closes *i* + 1 minutes after 1970, so ``self.now_ns // MINUTE`` counts closed bars.
    """
    made: list[Bar] = []
    length = minutes * MINUTE
    for number, one in enumerate(bars):
        if isinstance(one, tuple):
            o, h, low, c = (D(str(price)) for price in one)
        else:
            c = D(str(one))
            o = made[-1].close if made else c
            h, low = max(o, c), min(o, c)
        traded = None if volume is None else D(str(volume))
        begins = number * length
        made.append(Bar(pair, begins, begins + length, o, h, low, c, traded))
    return made


def play(strategy: Any, data: Any, cash: Any = "1000 USD", **settings: Any) -> RunResult:
    """Run ``strategy``, and see that the run can prove itself, whatever the strategy did."""
    if isinstance(data, list):
        settings.setdefault("pair", data[0].pair)
    result = backtest.run(strategy, data=data, cash=cash, **settings)
    result.verify().raise_for_problems()
    return result


class Story(Strategy):
    """A strategy that notes what it saw, with the minute at which it did."""

    def tell(self, *what: Any) -> None:
        self.__dict__.setdefault("story", []).append((self.minute, *what))

    @property
    def minute(self) -> float:
        """Minutes since 1970: whole at the close of a bar."""
        minute = self.now_ns / MINUTE
        return int(minute) if minute == int(minute) else minute

    @property
    def told(self) -> list[Any]:
        """All that was noted."""
        return list(self.__dict__.get("story", []))


@contextmanager
def logged() -> Iterator[list[Any]]:
    """What is logged meanwhile. structlog is as it was afterwards: without a configuration of its
    own, which `capture_logs` alone would leave behind."""
    was_configured = structlog.is_configured()
    try:
        with structlog.testing.capture_logs() as logs:
            yield logs
    finally:
        if not was_configured:
            structlog.reset_defaults()
