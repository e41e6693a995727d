"""Accounts: who owns balances."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from attrs import frozen

from backtest.models._validate import check_texts

__all__ = ["HOUSE", "Account"]

HOUSE: Final = ("market", "clearing", "fees", "insurance", "world")
"""The ledger's own accounts: the other side of what agents' accounts do. They may go below zero."""


@frozen(slots=False)
class Account:
    """An account of the ledger; agents' accounts never go below zero, house accounts may.

    ``settlement_asset`` is what a transaction without an ``asset_code`` is in.
    """

    account_id: UUID
    name: str
    settlement_asset: str = "USD"
    is_house: bool = False

    def __attrs_post_init__(self) -> None:
        check_texts(self.__dict__, ("name", "settlement_asset"))
