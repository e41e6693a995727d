"""The parties of a run: the venue, the house, the agents and their accounts, with their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from attrs import evolve, frozen

from backtest.ids import IdSource
from backtest.models import HOUSE, Account, Agent

__all__ = ["NIL", "Parties", "parties_of"]

NIL = UUID(int=0)
"""Of accounts, until the run's id is known."""


@frozen
class Parties:
    """Who is known to the venue of a run."""

    venue_id: UUID
    accounts: Mapping[str, Account]
    """Those of the strategies, by name."""
    house: Mapping[str, Account]
    agents: Mapping[str, tuple[Agent, tuple[Account, ...]]]
    """By the names of their actors, with the accounts that each trades on."""

    @property
    def names(self) -> dict[UUID, str]:
        """The names of the strategies by agent id."""
        return {
            agent.agent_id: name.removeprefix("strategy/")
            for name, (agent, _) in self.agents.items()
        }


def parties_of(
    run_id: UUID,
    accounts: Mapping[str, Account],
    owners: Mapping[str, Sequence[str]],
    cash: str,
) -> Parties:
    """Give everybody an id, always in the same order; ``owners`` says who trades on what, and the
    house keeps its books in ``cash``."""
    ids = IdSource(run_id, "party")
    venue_id = ids.draw()
    known = {name: evolve(one, account_id=ids.draw()) for name, one in accounts.items()}
    house = {name: Account(ids.draw(), name, cash, is_house=True) for name in HOUSE}
    agents = {}
    for name, owned in owners.items():
        own = tuple(known[one] for one in owned)
        agent = Agent(ids.draw(), name, tuple(one.account_id for one in own))
        agents[f"strategy/{name}"] = (agent, own)
    return Parties(venue_id, known, house, agents)
