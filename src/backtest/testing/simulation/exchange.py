"""A simulated market: agents that trade with each other, watched after every message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from backtest.actors import Actor
from backtest.actors.exchange.actor import ExchangeActor
from backtest.actors.kernel.fiber import HANDLE
from backtest.services.valuation import Valuation

from .agents import Trader
from .chance import stream
from .crowd import Conductor, Crowd, Maker
from .exchange_plan import MAKER
from .faults import with_faults
from .plan import AgentPlan
from .run import World

__all__ = ["ExchangeWorld"]


class ExchangeWorld(World):
    """The market of a plan, ready to run once."""

    def _make_market(self) -> Any:
        plan = self.plan
        chance = stream(plan.seed, "conductor")
        return Conductor(plan, self.faults, chance, self._is_enough, self._is_resolved)

    def _source(self) -> Actor:
        conductor: Actor = self.market
        return conductor

    def _venue(self, agents: Mapping[str, Any], valuation: Valuation) -> Actor:
        exchange = with_faults(ExchangeActor, self.faults)
        return exchange(UUID(int=1), UUID(int=2), self.plan.specs, agents, valuation)

    def _trader(self, one: AgentPlan) -> Trader:
        kind = Maker if one.name == MAKER else Crowd
        return kind(
            plan=one,
            phase=self._phase if kind is Crowd else lambda: self.market.phase,
            step=self.plan.step_ns // 10**9,
            reference={code: spec.reference_price for code, spec in self.plan.specs.items()},
            crosses=any(self.plan.accounts[name].margin_mode == "cross" for name in one.accounts),
        )

    def _relay(self) -> None:
        """No message passes beside a market."""

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
