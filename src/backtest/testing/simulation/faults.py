"""Faults at the boundary of actors, all from the seed: on links, in handlers, in the data.

Nothing is patched: links are made by a `FaultySystem`, whose channels may misbehave, and actors are
of a class that `with_faults` derives. What a link may do to a message depends on what it promises:
commands, and bars to strategies, travel on links that are declared lossy; order events, requests
and their answers never get lost, doubled or out of order, they are only late.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

import attrs

from backtest.actors import Actor, Channel, Directive, Envelope, Supervision, System
from backtest.actors.kernel.fiber import Fiber
from backtest.actors.kernel.latency import FixedLatency, Latency
from backtest.actors.kernel.message import COMMAND
from backtest.actors.kernel.signal import Signal
from backtest.actors.protocol import (
    Amend,
    BalanceUpdate,
    Create,
    Hello,
    OrderEvent,
    Post,
    ReadBalances,
)
from backtest.models import Bar, DecisionAction, TransactionType

from .chance import draw_weighted, stream

__all__ = ["KINDS", "PATIENT", "Faults", "FaultySystem", "InjectedCrash", "with_faults"]

KINDS = (
    "delay",
    "duplicate",
    "reorder",
    "drop",
    "crash_before",
    "crash_after",
    "hang",
    "crash_loop",
    "queue_full",
    "bar_gap",
    "bar_duplicate",
)
"""Every kind of fault there is."""

_EVENTS = frozenset((OrderEvent, BalanceUpdate))
_COMMANDS = frozenset((Create, Amend, DecisionAction))
_RATES = {
    "delay": (2, 10),
    "duplicate": (2, 20),
    "reorder": (3, 20),
    "drop": (3, 20),
    "crash_before": (1, 3),
    "crash_after": (1, 3),
    "hang": (1, 5),
    "crash_loop": (1, 2),
    "bar_gap": (5, 60),
    "bar_duplicate": (5, 30),
}
"""Of a thousand chances, how often each kind strikes in a world that has it: least and most."""
_LINK = ("drop", "reorder", "duplicate")
_MS = 1_000_000
PATIENT = Supervision(directive=Directive.RESTART, max_restarts=1_000_000)
A = TypeVar("A", bound=Actor)


class InjectedCrash(Exception):
    """Raised in an actor on purpose."""


@attrs.frozen(kw_only=True)
class FaultPlan:
    """What may go wrong in one world."""

    rates: dict[str, int]
    supervision: dict[str, Supervision]
    """The rule of every actor that may crash."""
    fatal: str
    """The actor whose crash ends this run after the safety phase; empty for none."""

    @property
    def is_lossy(self) -> bool:
        """Whether a command may get lost, on its way or with the broker."""
        return "drop" in self.rates or "broker" in self.supervision


class Faults:
    """Decides, from the seed, when which fault strikes, and counts those that did.

    ``without`` switches kinds off: ``fault:drop``, or ``fault`` for all of them.
    """

    def __init__(
        self, seed: int, without: frozenset[str], agents: Sequence[str], step_ns: int
    ) -> None:
        self.active = True
        self.doomed = False
        """Whether the next message of the actor whose crash is fatal ends the run."""
        self.fired = dict.fromkeys(KINDS, 0)
        self.crashes: dict[str, int] = {}
        """Crashes by the supervision rule that dealt with them."""
        self.dropped = 0
        """Messages that were sent and will never be delivered."""
        self.crashed: dict[str, None] = {}
        """Actors that have crashed at some time."""
        self.plan = _draw(seed, without, agents)
        self._step = step_ns
        self._dice = stream(seed, "faults/dice")
        self._looping: dict[str, int] = {}

    def cease(self) -> None:
        """The liveness phase begins: no fault strikes any more."""
        self.active = False

    def strikes(self, kind: str) -> bool:
        """Whether a fault of this kind strikes now."""
        rate = self.plan.rates.get(kind)
        if not rate or not self.active or self._dice.randrange(1000) >= rate:
            return False
        self.fired[kind] += 1
        return True

    def lateness(self) -> int:
        """How late something is, in nanoseconds."""
        return self._dice.choice([_MS, 50 * _MS, self._step // 2, self._step, 3 * self._step])

    def on_link(self, channel: Channel, payload: Any) -> str | None:
        """What befalls a message on its way; None for nothing."""
        kind = type(payload)
        if kind in _COMMANDS or (kind is Bar and channel.sender == "broker"):
            for fault in _LINK:
                if self.strikes(fault):
                    return fault
        return "delay" if self.strikes("delay") else None

    def in_handler(self, actor: Actor) -> str | None:
        """What befalls an actor as it handles a message; None for nothing."""
        name = actor.name
        if self.doomed and name == self.plan.fatal:
            return self._crash(actor, self._dice.choice(["crash_before", "crash_after"]))
        if not self.active:
            return None
        if name in self.plan.supervision:
            if self._looping.get(name):
                self._looping[name] -= 1
                return self._crash(actor, "crash_before")
            for kind in ("crash_before", "crash_after", "crash_loop"):
                if self.strikes(kind):
                    if kind == "crash_loop":
                        self._looping[name] = self._dice.randrange(2, 10)
                        return self._crash(actor, "crash_before")
                    self.fired[kind] -= 1
                    return self._crash(actor, kind)
        return "hang" if self.strikes("hang") else None

    def _crash(self, actor: Actor, kind: str) -> str:
        self.fired[kind] += 1
        self.crashed[actor.name] = None
        rule = actor.supervision.directive.value
        self.crashes[rule] = self.crashes.get(rule, 0) + 1
        return kind


def _draw(seed: int, without: frozenset[str], agents: Sequence[str]) -> FaultPlan:
    chance = stream(seed, "faults")
    calm = chance.random() < 0.15
    rates = {}
    for kind, (low, high) in _RATES.items():
        share, rate = chance.random(), chance.randint(low, high)
        if share < 0.5 and not (calm or "fault" in without or f"fault:{kind}" in without):
            rates[kind] = rate
    supervision = {"sink": PATIENT}
    for name in agents:
        rule = draw_weighted(chance, [(Directive.RESTART, 4), (Directive.STOP, 1), (None, 5)])
        if rule is Directive.RESTART:
            supervision[name] = PATIENT
        elif rule is Directive.STOP:
            supervision[name] = Supervision(directive=rule)
    # Who asks an actor that fails, fails with it: where the account restarts the broker does.
    for core in draw_weighted(chance, [((), 8), (("broker",), 1), (("broker", "account"), 1)]):
        supervision[core] = PATIENT
    fatal = chance.choice(["broker", "account", *agents]) if chance.random() < 0.1 else ""
    if calm or "fault" in without or "fault:fatal" in without:
        fatal = ""
    if fatal:
        for name in (fatal, "account") if fatal == "broker" else (fatal,):
            supervision.pop(name, None)
    return FaultPlan(rates=rates, supervision=supervision, fatal=fatal)


# -- links -----------------------------------------------------------------------------------------


class FaultyChannel(Channel):
    """A link on which messages may be late, lost, doubled, or overtaken."""

    __slots__ = ("faults",)

    def __init__(
        self,
        system: System,
        sender: str,
        target: Fiber,
        latency: Latency | None,
        faults: Faults,
    ) -> None:
        super().__init__(system, sender, target, latency)
        self.faults = faults
        # A question in place would bypass `post`.
        self.is_slow = True

    def set_latency(self, latency: Latency | None) -> None:
        super().set_latency(latency)
        self.is_slow = True

    def post(self, payload: Any, priority: int = COMMAND, reply: Signal | None = None) -> int:
        faults = self.faults
        if not faults.active:
            return super().post(payload, priority, reply)
        fault = faults.on_link(self, payload)
        if fault is None:
            return super().post(payload, priority, reply)
        if fault == "drop":
            self.sent += 1
            faults.dropped += 1
            number = self.events.sequence = self.events.sequence + 1
            return number
        if fault == "delay":
            # Whatever is sent later on this link comes later still.
            if self.latency is None:
                self.latency = FixedLatency(0)
            self._last = max(self._last, self.system.now + faults.lateness())
            return super().post(payload, priority, reply)
        if fault == "duplicate":
            super().post(payload, priority, reply)
            return super().post(payload, priority, reply)
        # It loses its place: what is sent after it may come before it.
        return self.post_at(self.system.now + faults.lateness(), payload, priority)


class FaultySystem(System):
    """A system whose links are `FaultyChannel` where the plan has faults for links."""

    def __init__(self, seed: int, faults: Faults) -> None:
        self.faults = faults
        self._faulty = any(kind in faults.plan.rates for kind in (*_LINK, "delay"))
        super().__init__(seed)

    def make_channel(self, sender: str, target: Fiber, latency: Latency | None) -> Channel:
        if not self._covers(sender, target.name):
            return super().make_channel(sender, target, latency)
        return FaultyChannel(self, sender, target, latency, self.faults)

    def _is_prompt(self, sender: str, target: str) -> bool:
        if self._covers(sender, target) or self._covers(target, sender):
            return False
        return super()._is_prompt(sender, target)

    def _covers(self, sender: str, target: str) -> bool:
        return self._faulty and sender != target and "broker" in (sender, target)


def _is_spared(payload: Any) -> bool:
    """Whether no actor fails over this message.

    Joining is no part of the simulation: an agent that is not let in cannot begin. And a fill that
    nets is several entries: where the account actor loses the one that closes, and both it and the
    broker are restarted, the order says that it closed and the position is open still. That is a
    known limit of restarting those two, not something to find again.
    """
    kind = type(payload)
    if kind is Post:
        return any(leg[2] is TransactionType.CLOSE_PNL for leg in payload.legs)
    return kind is Hello or kind is ReadBalances


# -- actors ----------------------------------------------------------------------------------------


def with_faults(kind: type[A], faults: Faults) -> type[A]:
    """``kind`` with a wrapper around `handle` in which ``faults`` strike."""
    base: Any = kind

    class Faulty(base):  # type: ignore[misc]
        def attach(self) -> None:
            super().attach()
            rule = faults.plan.supervision.get(self.name)
            if rule is not None:
                self.supervision = rule

        def handle(self, envelope: Envelope) -> Awaitable[None] | None:
            fault = None if _is_spared(envelope.payload) else faults.in_handler(self)
            if fault is None:
                pending: Awaitable[None] | None = super().handle(envelope)
                return pending
            if fault == "hang" and type(envelope.payload) in _EVENTS:
                # A strategy may be slow, its books are not: they are kept as events arrive.
                faults.fired[fault] -= 1
                return super().handle(envelope)  # type: ignore[no-any-return]
            if fault == "crash_before":
                raise InjectedCrash(f"{self.name} before message {envelope.id}")
            if fault == "hang":
                return self._hang(envelope)
            pending = super().handle(envelope)
            if pending is None:
                raise InjectedCrash(f"{self.name} after message {envelope.id}")
            return self._crash_after(pending, envelope)

        async def _hang(self, envelope: Envelope) -> None:
            await self.system.sleep_until(self.system.now + faults.lateness())
            pending = super().handle(envelope)
            if pending is not None:
                await pending

        async def _crash_after(self, pending: Awaitable[None], envelope: Envelope) -> None:
            await pending
            raise InjectedCrash(f"{self.name} after message {envelope.id}")

    Faulty.__name__ = Faulty.__qualname__ = f"Faulty{kind.__name__}"
    return Faulty
