"""Brokers: the venues of a run."""

from __future__ import annotations

from uuid import UUID

from attrs import frozen

from backtest.models._show import shown
from backtest.models._validate import check_texts

__all__ = ["Broker"]


@frozen(slots=False)
class Broker:
    """A venue that takes orders and matches them."""

    broker_id: UUID
    name: str

    def __attrs_post_init__(self) -> None:
        check_texts(self.__dict__, ("name",))

    def __repr__(self) -> str:
        return shown(self, self.name, self.broker_id)
