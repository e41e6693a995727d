"""A simulated market: agents that trade with each other, watched after every message."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import attrs

from backtest.actors import AccountActor, StrategyHost
from backtest.actors.exchange.actor import ExchangeActor
from backtest.actors.kernel.fiber import HANDLE
from backtest.models import Agent
from backtest.services.valuation import Valuation

from .chance import stream
from .crowd import Conductor, Crowd, Maker
from .exchange_plan import MAKER
from .faults import with_faults
from .run import World
from .world import CASH

__all__ = ["ExchangeWorld"]


class ExchangeWorld(World):
    """The market of a plan, ready to run once."""

    def _make_market(self) -> Any:
        plan = self.plan
        chance = stream(plan.seed, "conductor")
        return Conductor(plan, self.faults, chance, self._is_enough, self._is_resolved)

    def _assemble(self) -> None:
        plan, system, faults = self.plan, self.system, self.faults
        for sender, target, latency in plan.latencies:
            system.set_latency(sender, target, latency)
        agents = {}
        for place, one in enumerate(plan.agents):
            owned = tuple(plan.accounts[name] for name in one.accounts)
            ids = tuple(account.account_id for account in owned)
            agents[one.name] = (Agent(UUID(int=200 + place), one.name, ids), owned)
        system.begin_at(self.market.begin_ns)
        valuation = Valuation(CASH, list(plan.pairs.values()))
        account = with_faults(AccountActor, faults)
        self.account = system.add(account(list(plan.accounts), plan.opening, plan.insurance))
        exchange = with_faults(ExchangeActor, faults)
        self.broker = system.add(exchange(UUID(int=1), UUID(int=2), plan.specs, agents, valuation))
        system.add(self.market)
        host = with_faults(StrategyHost, faults)
        wary = faults.plan.is_lossy
        for one in plan.agents:
            kind = Maker if one.name == MAKER else Crowd
            trader = kind(
                plan=attrs.evolve(one, wary=one.wary or wary),
                phase=self._phase if kind is Crowd else lambda: self.market.phase,
                step=plan.step_ns // 10**9,
                reference={code: spec.reference_price for code, spec in plan.specs.items()},
            )
            self.traders[one.name] = trader
            system.add(host(one.name, trader, inbox_bound=one.inbox, latency=one.latency))

    def unresolved(self) -> list[str]:
        """As of all worlds; what the maker has open against an agent that is gone stays open."""
        found = super().unresolved()
        gone = {
            trader.agent_id
            for name, trader in self.traders.items()
            if name in self.faults.crashed and hasattr(trader, "_client")
        }
        for order in self.broker.venue.records.orders:
            if order.agent_id in gone and order.status.name in ("FILLED", "PENDING"):
                return [one for one in found if not one.startswith(f"{MAKER}: ")]
        return found

    def _phase(self) -> str:
        """What the crowd is told: it is over for all of them when the maker goes."""
        return "liveness" if self.market.phase == "farewell" else str(self.market.phase)

    def _is_resolved(self) -> bool:
        """Whether nothing is left but what the maker has, which goes last."""
        busy = self.broker.fiber.waiting is not HANDLE or self.broker.fiber.inbox
        left = self.unresolved()
        if not busy and self.market.phase == "liveness":
            if all(one.startswith(f"{MAKER}: ") for one in left):
                self.market.phase = "farewell"
            return False
        self._calm = 0 if busy or left else self._calm + 1
        return self._calm > 3
