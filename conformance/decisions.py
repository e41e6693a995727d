"""What the strategies decide, in whole cents, the same for every engine.

A driver asks at each bar's close: `decide(close, held, busy)`, with what is held (0 or 1) and
whether a market or bracket order is under way; it cancels what rests before it does what it is
told. Nothing is decided at the first bar, which backtesting.py leaves out. Standard library only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

STRATEGIES = (
    "sma",
    "limit",
    "stop",
    "bracket",
    "short-bracket",
    "bracket-limit",
    "bracket-stop",
)
CASH = 1_000_000
FEE = "0.001"


class Do(NamedTuple):
    """One order of volume 1; prices in cents."""

    side: str
    """``buy`` or ``sell``."""
    kind: str
    """``market``, ``limit`` or ``stop``."""
    price: int | None = None
    stop_loss: int | None = None
    take_profit: int | None = None


class Brain:
    """Sees every close, decides from the second on."""

    def __init__(self) -> None:
        self.seen = 0

    def decide(self, close: int, held: int, busy: bool) -> Do | None:
        self.seen += 1
        do = self.choose(close, held, busy)
        return None if self.seen == 1 else do

    def choose(self, close: int, held: int, busy: bool) -> Do | None:
        return None


class Sma(Brain):
    """Hold while the mean of 10 closes is above that of 30. Market orders."""

    def __init__(self) -> None:
        super().__init__()
        self.closes: deque[int] = deque(maxlen=30)

    def choose(self, close: int, held: int, busy: bool) -> Do | None:
        self.closes.append(close)
        if len(self.closes) < 30 or busy:
            return None
        fast, slow = sum(list(self.closes)[-10:]) * 3, sum(self.closes)
        if fast > slow and not held:
            return Do("buy", "market")
        return Do("sell", "market") if fast < slow and held else None


class Limits(Brain):
    """Buy 0.2 % below the close, sell 0.2 % above it; new orders at each bar."""

    def choose(self, close: int, held: int, busy: bool) -> Do | None:
        if held:
            return Do("sell", "limit", close * 1002 // 1000)
        return Do("buy", "limit", close * 998 // 1000)


class Stops(Brain):
    """Buy 0.2 % above the close, sell 0.2 % below it; new orders at each bar."""

    def choose(self, close: int, held: int, busy: bool) -> Do | None:
        if held:
            return Do("sell", "stop", close * 998 // 1000)
        return Do("buy", "stop", close * 1002 // 1000)


class Brackets(Brain):
    """When flat, buy, with a stop-loss 0.7 % below and a take-profit 0.7 % above; or short."""

    def __init__(self, kind: str = "market", side: str = "buy") -> None:
        super().__init__()
        self.kind, self.side = kind, side

    def choose(self, close: int, held: int, busy: bool) -> Do | None:
        if held or busy:
            return None
        price = {"market": close, "limit": close * 999 // 1000, "stop": close * 1001 // 1000}
        at = price[self.kind]
        stop_loss, take_profit = at * 993 // 1000, at * 1007 // 1000
        if self.side == "sell":
            stop_loss, take_profit = take_profit, stop_loss
        return Do(
            self.side, self.kind, None if self.kind == "market" else at, stop_loss, take_profit
        )


def make(name: str) -> Brain:
    known: dict[str, Callable[[], Brain]] = {
        "sma": Sma,
        "limit": Limits,
        "stop": Stops,
        "bracket": Brackets,
        "short-bracket": lambda: Brackets(side="sell"),
        "bracket-limit": lambda: Brackets("limit"),
        "bracket-stop": lambda: Brackets("stop"),
    }
    return known[name]()
