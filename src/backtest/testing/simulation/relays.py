"""Two actors that put a bounded channel under pressure: a fast sender and a slow receiver."""

from __future__ import annotations

from collections.abc import Awaitable
from random import Random

from backtest.actors import Actor, Envelope
from backtest.errors import BacktestError, Undeliverable

from .faults import Faults

__all__ = ["Pump", "Sink"]


class Parcel:
    """A numbered message."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


class Sink(Actor):
    """Takes parcels slowly; ``bound`` of them may wait. Raises when one is out of order."""

    def __init__(self, bound: int, pace_ns: int, chance: Random) -> None:
        super().__init__("sink")
        self.inbox_bound = bound
        self.taken = 0
        self._last = 0
        self._pace = pace_ns
        self._chance = chance

    def handle(self, envelope: Envelope) -> Awaitable[None] | None:
        number = envelope.payload.number
        if number <= self._last:
            raise BacktestError(f"parcel {number} came after parcel {self._last}")
        self._last = number
        self.taken += 1
        return self._dawdle() if self._chance.random() < 0.5 else None

    async def _dawdle(self) -> None:
        await self.system.sleep_until(self.system.now + self._chance.randrange(self._pace))


class Pump(Actor):
    """Sends bursts of parcels to the sink, waiting for room where there is none."""

    def __init__(self, faults: Faults, pace_ns: int, chance: Random) -> None:
        super().__init__("pump")
        self.sent = 0
        self._faults = faults
        self._pace = pace_ns
        self._chance = chance

    async def run(self) -> None:
        sink = self.link("sink")
        while self._faults.active:
            await self.system.sleep_until(self.system.now + self._pace)
            for _ in range(self._chance.randrange(6)):
                if sink.target.load >= sink.target.bound:
                    self._faults.fired["queue_full"] += 1
                self.sent += 1
                try:
                    await sink.send(Parcel(self.sent))
                except Undeliverable:
                    return  # the sink has crashed for good
