"""One seed: a world built, run, watched to its end, and judged."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from decimal import localcontext
from fractions import Fraction
from typing import Any, NoReturn
from uuid import UUID

import attrs
import structlog

from backtest.actors import (
    AccountActor,
    Actor,
    BrokerActor,
    Envelope,
    MarketData,
    StrategyHost,
)
from backtest.actors.kernel.fiber import ARITHMETIC, HANDLE
from backtest.errors import BacktestError, Deadlock
from backtest.log import get_logger
from backtest.models import Agent
from backtest.money import plain
from backtest.services.ledger.ledger import journal_sha256
from backtest.services.valuation import Valuation
from backtest.testing.audit.counting import counted_worth
from backtest.testing.audit.oracle import InvariantBroken, Oracle

from .agents import Trader
from .bank import run_bank
from .chance import stream
from .faults import Faults, FaultySystem, InjectedCrash, with_faults
from .market import Market
from .outcome import Outcome
from .plan import AgentPlan, Plan
from .plans import draw_plan
from .relays import Pump, Sink
from .storage import run_storage
from .world import CASH

__all__ = ["World", "run_seed", "world_of"]


DOOM = 100
"""Steps within which the actor whose crash is to end the run must have got a message."""


class Liveness(InvariantBroken):
    """Something did not resolve once the faults were over."""


class World:
    """The system of a plan on market data, ready to run once; `world_of` makes one of any plan."""

    def __init__(self, plan: Plan, events: int, watched: bool = True) -> None:
        self.plan = plan
        self.events = events
        mortal = [one.name for one in plan.agents if one.style != "maker"]
        self.faults = Faults(plan.seed, plan.without, mortal, plan.step_ns)
        self.system = FaultySystem(plan.seed, self.faults)
        self.market: Any = self._make_market()
        self._doomed_at = self._calm = 0
        self.log = hashlib.sha256()
        self.trace = hashlib.sha256()
        self.traders: dict[str, Trader] = {}
        self._assemble()
        self.oracle: Oracle | None = Oracle(self.system) if watched else None

    def _make_market(self) -> Any:
        return Market(self.plan, self.faults, self._is_enough, self._is_resolved)

    def _assemble(self) -> None:
        plan, system, faults = self.plan, self.system, self.faults
        for sender, target, latency in plan.latencies:
            system.set_latency(sender, target, latency)
        source = self._source()
        system.begin_at(self.market.begin_ns)
        agents = {}
        for place, one in enumerate(plan.agents):
            owned = tuple(plan.accounts[name] for name in one.accounts)
            ids = tuple(account.account_id for account in owned)
            agents[one.name] = (Agent(UUID(int=200 + place), one.name, ids), owned)
        valuation = Valuation(CASH, list(plan.pairs.values()))
        account = with_faults(AccountActor, faults)
        self.account: Any = system.add(account(list(plan.accounts), plan.opening, plan.insurance))
        self.broker: Any = system.add(self._venue(agents, valuation))
        system.add(source)
        host = with_faults(StrategyHost, faults)
        wary = faults.plan.is_lossy
        for one in plan.agents:
            trader = self._trader(attrs.evolve(one, wary=one.wary or wary))
            self.traders[one.name] = trader
            system.add(host(one.name, trader, inbox_bound=one.inbox, latency=one.latency))
        self._relay()

    def _source(self) -> Actor:
        """Who sends what happens on the market."""
        data = MarketData(self.market.events())
        assert data.first is not None
        return data

    def _venue(self, agents: Mapping[str, Any], valuation: Valuation) -> Actor:
        plan = self.plan
        pairs = {code: (pair, plan.rules[code]) for code, pair in plan.pairs.items()}
        broker = with_faults(BrokerActor, self.faults)
        return broker(UUID(int=1), UUID(int=2), pairs, agents, valuation)

    def _trader(self, one: AgentPlan) -> Trader:
        step = self.plan.step_ns // 10**9
        return Trader(plan=one, phase=lambda: self.market.phase, step=step)

    def _relay(self) -> None:
        """Let messages pass beside it all, now and then."""
        plan, faults = self.plan, self.faults
        chance = stream(plan.seed, "relays")
        bound, pace = chance.choice([1, 2, 16, 1024]), plan.step_ns
        if chance.random() < 0.5 and "relays" not in plan.without:
            self.system.add(with_faults(Sink, faults)(bound, pace, stream(plan.seed, "sink")))
            self.system.add(Pump(faults, pace, stream(plan.seed, "pump")))

    # -- asked by the market -----------------------------------------------------------------------

    def _is_enough(self) -> bool:
        if self._doomed_at and not self.faults.doomed:
            return True
        enough = self.system.statistics().handled >= self.events
        if enough and self.faults.plan.fatal and not self.faults.doomed:
            self.market.phase = "doomed"
            self.faults.doomed = True
            self._doomed_at = self.market.steps
        if self.faults.doomed and self.market.steps > self._doomed_at + DOOM:
            self.faults.doomed = False  # nothing reaches that actor any more
            return True
        return enough and not self.faults.doomed

    def _is_resolved(self) -> bool:
        """Whether nothing is left, and nobody is at anything, for some steps now."""
        busy = self.unresolved() or self.broker.fiber.waiting is not HANDLE
        self._calm = 0 if busy or self.broker.fiber.inbox else self._calm + 1
        return self._calm > 3

    def unresolved(self) -> list[str]:
        """What is pending or open of agents that live: in words."""
        gone = self.faults.crashed
        alive = {
            trader.agent_id: name
            for name, trader in self.traders.items()
            if name not in gone and hasattr(trader, "_client")
        }
        found = []
        for order in self.broker.venue.records.orders:
            status = order.status.name
            if status == "PENDING" or (status == "FILLED" and hasattr(order, "leverage")):
                owner = alive.get(order.agent_id)
                if owner is not None:
                    found.append(f"{owner}: {order.id} is {status}")
        return found

    # -- running -----------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Run to the end; what came of it. Raises nothing but an interruption."""
        invariant = problem = ""
        ended = "resolved"
        tracer, observer, oracle = self.system.tracer, self.system.observer, self.oracle
        if tracer is not None and observer is not None and oracle is not None:

            def trace(envelope: Envelope) -> None:
                self._note(envelope)
                tracer(envelope)

            def check(envelope: Envelope) -> None:
                oracle.messages.lost = self.faults.dropped
                observer(envelope)

            self.system.observer = check

            self.system.tracer = trace
        with _captured(self.log):
            self.system.log = get_logger("backtest.kernel")
            try:
                self.system.simulate()
            except InjectedCrash as crash:
                ended = "crashed"
                if not self.faults.doomed:
                    ended, invariant, problem = "failed", "InjectedCrash", str(crash)
            except InvariantBroken as broken:
                ended, invariant, problem = "failed", broken.invariant, str(broken)
            except Exception as error:
                if self.faults.doomed and _caused_by_crash(error):
                    ended = "crashed"
                elif self._ends_late(error):
                    pass  # the last market event's entries were on their way when the data ended
                else:
                    ended, invariant = "failed", type(error).__name__
                    problem = "\n".join([str(error), *getattr(error, "__notes__", ())])
            if not invariant:
                try:
                    self._finish(ended)
                except InvariantBroken as broken:
                    ended, invariant, problem = "failed", broken.invariant, str(broken)
        return self._outcome(ended, invariant, problem)

    def _ends_late(self, error: Exception) -> bool:
        """Whether the venue was waiting for an entry that travels when the data ended.

        With latency to the account actor that is how a run ends on whose last market event
        something is charged: the venue has not come to the end of its data, and says so.
        """
        late = any("account" in one[:2] for one in self.plan.latencies)
        waits = isinstance(error, Deadlock) and error.waits == (("broker", "account"),)
        return late and waits and self.market.tail > 4

    def _finish(self, ended: str) -> None:
        if self.oracle is not None:
            self.oracle.finish()
        if ended == "resolved" and not self.faults.crashed:
            self._check_views()
            self._check_equity()
        left = self.unresolved()
        if ended == "resolved" and left:
            raise Liveness("liveness", f"{len(left)} left: {left[0]}", self.system.now, None)

    def _check_views(self) -> None:
        """What every strategy sees is what there is."""
        live = self.account.ledger.balances()
        for name, trader in self.traders.items():
            for (account, asset), both in trader.seen_balances().items():
                if live[account].get(asset, both) != both:
                    self._fail("view", f"{name} sees {both} {asset} on {account}")
            if any(trader.seen_positions().values()) and not self.unresolved():
                self._fail("view", f"{name} sees positions that are closed")

    def _check_equity(self) -> None:
        """The equity that the venue tells is what is owned, at the last prices."""
        venue = self.broker.venue
        amounts: dict[str, Fraction] = {}
        for account, assets in self.account.ledger.balances().items():
            if account in venue.sharers:
                for asset, both in assets.items():
                    owned = Fraction(both[0]) + Fraction(both[1])
                    amounts[asset] = amounts.get(asset, Fraction(0)) + owned
        prices = {code: book.last for code, book in venue.books.items()}
        equity = counted_worth(amounts, CASH, self.plan.pairs.values(), prices)
        told = venue.valuation.equity()
        if not self.unresolved() and abs(Fraction(told) - equity) > equity / 10**40:
            self._fail("equity", f"it is {float(equity)}, the venue says {told}")

    def _fail(self, invariant: str, problem: str) -> NoReturn:
        raise InvariantBroken(invariant, problem, self.system.now, None)

    def _note(self, envelope: Envelope) -> None:
        self.trace.update(
            f"{envelope.time}|{envelope.priority}|{envelope.id}|{envelope.channel.sender}>"
            f"{envelope.channel.target.name}|{type(envelope.payload).__name__}\n".encode()
        )

    def _outcome(self, ended: str, invariant: str, problem: str) -> Outcome:
        records = self.broker.venue.records
        kinds: dict[str, int] = {}
        reasons: dict[str, int] = {}
        for event in records.events:
            kinds[event.kind.name] = kinds.get(event.kind.name, 0) + 1
            if event.reason is not None:
                name = event.reason.name
                reasons[name] = reasons.get(name, 0) + 1
        return Outcome(
            seed=self.plan.seed,
            events=self.system.statistics().handled,
            sha256=self._digest(ended, problem),
            ended=ended,
            invariant=invariant,
            problem=problem,
            fired=dict(self.faults.fired),
            crashes=dict(self.faults.crashes),
            simulated_ns=self.market.steps * self.plan.step_ns,
            orders=len(records.orders),
            fills=len(records.fills),
            entries=len(self.account.ledger.entries),
            checks=0 if self.oracle is None else self.oracle.checks,
            kinds=kinds,
            reasons=reasons,
        )

    def _digest(self, ended: str, problem: str) -> str:
        digest = self.log.copy()
        orders = self.broker.venue.records.orders
        try:
            digest.update(journal_sha256(self.account.ledger.rows(), orders).encode())
        except BacktestError:
            if not problem:
                raise
            return digest.hexdigest()  # an order that cannot be made is part of the problem
        for event in self.broker.venue.records.events:
            told = [event.time, event.message, event.kind.name, event.branch, event.order_number]
            told += [event.entry, event.cause, event.sender, event.detail, event.asked]
            told.append("" if event.volume is None else plain(event.volume))
            digest.update("|".join(str(one) for one in told).encode())
        for order in orders:
            digest.update(
                f"{order.id}|{order.status.name}|{order.volume}|{order.fill_price}|"
                f"{order.create_timestamp}|{order.fill_timestamp}|{order.cancel_timestamp}".encode()
            )
        digest.update(f"{ended}|{problem}|{self.system.now}|{self.faults.fired}".encode())
        return digest.hexdigest()


def run_seed(
    seed: int, events: int, without: frozenset[str] = frozenset(), watched: bool = True
) -> Outcome:
    """Draw the world of ``seed``, run it for ``events`` messages and to its end, and judge it; then
    the bank beside it, and what is left of its books. ``without`` as in `draw_plan`, and ``bank``
    or ``storage``."""
    with localcontext(ARITHMETIC):
        outcome = world_of(draw_plan(seed, without), events, watched).run()
        if "bank" not in without and outcome.is_good:
            outcome = _with_bank(outcome, events, without)
        return outcome


def _with_bank(outcome: Outcome, events: int, without: frozenset[str]) -> Outcome:
    """``outcome``, and what came of the bank of that seed."""
    digest = hashlib.sha256(outcome.sha256.encode())
    with _captured(digest):
        bank = run_bank(outcome.seed, events, without)
    digest.update(bank.sha256.encode())
    invariant, problem, writes = bank.invariant, bank.problem, 0
    if "storage" not in without and not invariant:
        stored = run_storage(outcome.seed, bank.journal)
        invariant, problem = "storage" if stored.problem else "", stored.problem
        writes = stored.calls
        digest.update(stored.told.encode())
    return attrs.evolve(
        outcome,
        sha256=digest.hexdigest(),
        ended="failed" if invariant else outcome.ended,
        invariant=invariant,
        problem=problem,
        fired={kind: count + bank.fired[kind] for kind, count in outcome.fired.items()},
        checks=outcome.checks + bank.checks,
        transfers=bank.entries,
        writes=writes,
    )


def world_of(plan: Plan, events: int, watched: bool = True) -> World:
    """The system of a plan: a world on data, or a market."""
    if plan.specs:
        from .exchange import ExchangeWorld

        return ExchangeWorld(plan, events, watched)
    return World(plan, events, watched)


def _caused_by_crash(error: BaseException | None) -> bool:
    seen = 0
    while error is not None and seen < 20:
        if isinstance(error, InjectedCrash):
            return True
        error = error.__cause__ or error.__context__
        seen += 1
    return False


@contextmanager
def _captured(digest: Any) -> Iterator[None]:
    """The log goes into ``digest`` while this lasts, and nowhere else."""

    def take(_: Any, method: str, event: MutableMapping[str, Any]) -> str:
        digest.update(f"{method}|{sorted(event.items(), key=lambda one: one[0])}\n".encode())
        raise structlog.DropEvent

    before = structlog.get_config() if structlog.is_configured() else None
    structlog.configure(
        processors=[take],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.reset_defaults()
        if before is not None:
            structlog.configure(**before)
