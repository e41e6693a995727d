"""A stage for the kernel's tests: actors made of one function, and a system that plays them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from backtest.actors import Actor, Envelope, SimulatedClock, Supervision, System

__all__ = ["MS", "SECOND", "US", "Echo", "Script", "Sink", "elapsed", "keys_of", "play"]

US = 1_000
MS = 1_000_000
SECOND = 1_000_000_000


class Script(Actor):
    """An actor whose life is the function it is given."""

    def __init__(
        self,
        name: str,
        life: Callable[[Any], Awaitable[Any]],
        *,
        bound: int = 100_000,
        rule: Supervision | None = None,
    ) -> None:
        super().__init__(name)
        self.inbox_bound = bound
        if rule is not None:
            self.supervision = rule
        self.life_of = life
        self.log: list[Any] = []

    async def run(self) -> None:
        await self.life_of(self)

    def note(self, *what: Any) -> None:
        """Remember ``what`` with the time at which it was, in nanoseconds."""
        self.log.append((self.system.now, *what))


class Sink(Actor):
    """Keeps what it gets, with the time."""

    def __init__(self, name: str = "sink", *, bound: int = 100_000) -> None:
        super().__init__(name)
        self.inbox_bound = bound
        self.got: list[tuple[int, Any]] = []

    def handle(self, envelope: Envelope) -> None:
        self.got.append((self.system.now, envelope.payload))


class Echo(Actor):
    """Answers with what it is asked."""

    def handle(self, envelope: Envelope) -> None:
        self.answer(envelope, envelope.payload)


def play(*actors: Actor, seed: int = 1, start_ns: int = 0, **latencies: Any) -> System:
    """Simulate the actors to the end; ``a__b=latency`` for the link from a to b."""
    system = System(seed, SimulatedClock(start_ns))
    for actor in actors:
        system.add(actor)
    for link, latency in latencies.items():
        sender, target = link.split("__")
        system.set_latency(sender, target, latency)
    system.simulate()
    return system


def keys_of(system: System) -> list[tuple[int, int, int]]:
    """The keys of all messages as they are delivered from now on."""
    keys: list[tuple[int, int, int]] = []

    def trace(envelope: Envelope) -> None:
        assert envelope.sent <= envelope.time == system.now
        keys.append((envelope.time, envelope.priority, envelope.id))

    system.tracer = trace
    return keys


def elapsed(run: Callable[[Any], Awaitable[Any]], start_ns: int = 0) -> int:
    """Simulated nanoseconds that ``run`` takes as the only actor."""
    took: list[int] = []

    async def life(self: Script) -> None:
        begin = self.system.now
        await run(self)
        took.append(self.system.now - begin)

    play(Script("only", life), start_ns=start_ns)
    return took[0]
