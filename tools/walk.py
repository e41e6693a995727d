"""Count what an order passes on its way: from the strategy's call to the handler of its fill.

    python tools/walk.py                    both venues: frames of ours, and files
    python tools/walk.py --list exchange    every frame by name, in order

A frame is a call of a Python function of this package, or a coroutine or generator of it that is
resumed. On the broker one bar of waiting is included; on the exchange the order crosses what rests.
What the user's own strategy does is not counted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import backtest
import backtest.actors
import backtest.strategies
from backtest.actors import EventKind, OrderEvent
from backtest.markets import Instrument, Population, Scenario, run_market
from backtest.models import Asset, Bar, TradingPair
from backtest.strategies import Strategy

__all__ = ["WALKS", "Stop", "Walk", "main"]

# The most specific first: an editable install has the last two in folders of their own.
PLACES = {
    str(Path(place).resolve()): name
    for name, package in (
        ("actors/", backtest.actors),
        ("strategies/", backtest.strategies),
        ("", backtest),
    )
    for place in package.__path__
}
MINUTE = 60 * 10**9
PAIR = TradingPair(
    "BTCUSD", "BTC", Asset("USD", 2), price_increment=Decimal("0.01"), volume_increment=Decimal(1)
)


class Stop(NamedTuple):
    """One frame of ours."""

    file: str
    name: str


class Walk:
    """Notes the frames of ours from `begin` to `end`."""

    def __init__(self) -> None:
        self.stops: list[Stop] = []
        self._files: dict[str, str | None] = {}

    def begin(self) -> None:
        """Note from here on; a second time nothing."""
        if not self.stops:
            sys.setprofile(self._note)

    def end(self) -> None:
        """Note no more."""
        sys.setprofile(None)

    @property
    def files(self) -> list[str]:
        """The files, in the order of the first visit."""
        return list(dict.fromkeys(stop.file for stop in self.stops))

    def _note(self, frame: FrameType, event: str, _argument: object) -> None:
        if event != "call":
            return
        path = frame.f_code.co_filename
        if path not in self._files:
            self._files[path] = _ours(path)
        file = self._files[path]
        if file is not None:
            self.stops.append(Stop(file, frame.f_code.co_qualname))


def _ours(path: str) -> str | None:
    """A file by its place in the package; None for one of others."""
    real = str(Path(path).resolve())
    for place, name in PLACES.items():
        if real.startswith(f"{place}/"):
            return name + real[len(place) + 1 :]
    return None


class Buys(Strategy):
    """Sends one order, and is done when its fill has come."""

    pair: str = "BTCUSD"
    walk: Any = None
    limit_price: Any = None
    after: int = 1

    def on_start(self) -> None:
        self.sent = False
        self.set_timer("send", every=self.after)

    async def on_timer(self, name: str) -> None:
        if not self.sent:
            self.sent = True
            self.walk.begin()
            order = self.long if self.limit_price else self.buy
            await order(self.pair, 1, limit_price=self.limit_price)

    def on_order(self, event: OrderEvent) -> None:
        if event.kind is EventKind.FILLED:
            self.walk.end()


class Rests(Strategy):
    """Offers what the other buys."""

    pair: str = "BTCUSD"

    async def run(self) -> None:
        await self.short(self.pair, 1, limit_price=100)


def on_broker(walk: Walk) -> None:
    """A market order to buy, filled at the next open."""
    bars = [Bar("BTCUSD", at * MINUTE, (at + 1) * MINUTE, *[Decimal(100)] * 4) for at in range(4)]
    backtest.run(Buys(walk=walk, after=90), data=bars, pair=PAIR, cash="1000 USD")


def on_exchange(walk: Walk) -> None:
    """A limit order to buy that crosses an offer."""
    scenario = Scenario(
        name="walk",
        pairs=Instrument(pair=PAIR, reference_price=100),
        populations=[Population("noise", 1, parameters={"every": "1h", "size": 1})],
        cash="1000 USD",
        until="00:01",
    )
    buyer = Buys(walk=walk, limit_price=100, after=10)
    run_market(scenario, strategies={"rests": Rests(), "buys": buyer}, cash="1000 USD")


WALKS: dict[str, Callable[[Walk], None]] = {"broker": on_broker, "exchange": on_exchange}
"""The walks by the name of their venue."""


def walked(venue: str) -> Walk:
    """The walk of one order at that venue."""
    walk = Walk()
    try:
        WALKS[venue](walk)
    finally:
        walk.end()
    return walk


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--list", choices=WALKS, metavar="VENUE", help="every frame, in order")
    asked = parser.parse_args(arguments)
    for venue in [asked.list] if asked.list else WALKS:
        walk = walked(venue)
        print(f"{venue}: {len(walk.stops)} frames in {len(walk.files)} files")
        if asked.list:
            for stop in walk.stops:
                print(f"  {stop.file:40} {stop.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
