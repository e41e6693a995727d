"""Agents: who decides."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from attrs import field, frozen

from backtest.models._show import shown
from backtest.models._validate import check_texts

__all__ = ["Agent"]


def _ids(value: Iterable[UUID]) -> tuple[UUID, ...]:
    return tuple(value)


@frozen(slots=False)
class Agent:
    """A strategy of a run and the accounts it may trade with."""

    agent_id: UUID
    name: str
    account_ids: tuple[UUID, ...] = field(default=(), converter=_ids)

    def __attrs_post_init__(self) -> None:
        check_texts(self.__dict__, ("name",))

    def __repr__(self) -> str:
        return shown(self, self.name, f"{len(self.account_ids)} accounts", self.agent_id)
