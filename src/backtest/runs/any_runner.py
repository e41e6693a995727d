"""What every runner does, whatever its venue: it runs what it has assembled, once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from attrs import define, field

from backtest.actors import Envelope, SimulatedClock, System
from backtest.actors.kernel.deadlock import stall_bound_of
from backtest.analysis.result import RunResult
from backtest.errors import ConfigError
from backtest.runs.assembly import Assembly
from backtest.runs.in_thread import refuse_running_loop, run_in_thread
from backtest.runs.participants import check_bounds

__all__ = ["AnyRunner"]

R = TypeVar("R", bound=RunResult)


@define(kw_only=True)
class AnyRunner(ABC, Generic[R]):
    """A run described; `run` carries it out. One runner runs once, like its strategies."""

    awaited: ClassVar[str]
    """What to await instead of `run` where an event loop is running."""

    inbox_bound: int = 100_000
    stall_bound: int | None = None
    observer: Callable[[System, Envelope], None] | None = None
    tracer: Callable[[Envelope], None] | None = None
    system: System = field(init=False)
    _parts: Assembly | None = field(init=False, default=None)

    def run(self) -> R:
        """Run to the end. Not inside a running event loop: there, `run_async`."""
        self.prepare()
        refuse_running_loop(self.awaited)
        self._simulate()
        return self.result()

    async def run_async(self) -> R:
        """The same from inside a running loop: the simulation runs in a thread of its own."""
        self.prepare()
        await run_in_thread(self.system, self._simulate)
        return self.result()

    @abstractmethod
    def prepare(self) -> System:
        """Assemble the actors; nothing runs yet."""

    @abstractmethod
    def result(self) -> R:
        """What the run has come to; `run` gives it, so only who runs the system himself asks."""

    @property
    def parts(self) -> Assembly:
        """What `prepare` has made."""
        assert self._parts is not None, "prepare it first"
        return self._parts

    def _simulate(self) -> None:
        self.parts.simulate()

    def _check(self) -> None:
        if self._parts is not None:
            raise ConfigError("this runner has run already: make a new one, with new strategies")
        check_bounds(self.inbox_bound, self.stall_bound)

    def _begun(self, seed: int, strategies: int, pairs: int) -> dict[str, int]:
        """Begin with a system, still empty; the bounds of the run, for its manifest."""
        system = self.system = System(seed, SimulatedClock())
        system.stall_bound = stall_bound_of(self.stall_bound, strategies, pairs)
        return {"inbox_bound": self.inbox_bound, "stall_bound": system.stall_bound}

    def _assembled(self, parts: Assembly) -> System:
        """The system with its actors in it, watched by whoever is to watch."""
        parts.enter()
        if self.observer is not None:
            observer, system = self.observer, self.system
            system.observer = lambda envelope: observer(system, envelope)
        self.system.tracer = self.tracer
        self._parts = parts
        return self.system
