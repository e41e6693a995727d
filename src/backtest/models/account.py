"""Accounts: who owns balances."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal
from uuid import UUID

from attrs import field, frozen

from backtest.errors import FieldError, FieldTypeError
from backtest.models._frozen_map import FrozenMap
from backtest.models._show import shown
from backtest.models._validate import check_texts
from backtest.money import ONE, ZERO, setting_of

__all__ = ["HOUSE", "Account", "MarginMode"]

HOUSE: Final = ("market", "clearing", "fees", "insurance", "world")
"""The ledger's own accounts: the other side of what agents' accounts do. They may go below zero."""

MarginMode = Literal["isolated", "cross"]
MARGIN_MODES: Final = ("isolated", "cross")


def _weights(value: Any) -> FrozenMap[str, Decimal]:
    if not isinstance(value, Mapping):
        raise FieldTypeError("collateral", f"must map assets to weights, not {value!r}")
    weights = {}
    for asset, weight in value.items():
        weights[asset] = setting_of(weight, f"collateral.{asset}")
        if not ZERO < weights[asset] <= ONE:
            raise FieldError(f"collateral.{asset}", f"must be above 0 and at most 1, is {weight}")
    return FrozenMap(weights)


@frozen(slots=False)
class Account:
    """An account of the ledger; agents' accounts never go below zero, house accounts may.

    ``settlement_asset`` is what a transaction without an ``asset_code`` is in. ``margin_mode`` says
    what stands behind a position: its own margin (``"isolated"``), or the whole account
    (``"cross"``). ``collateral`` maps further assets to the share of their last price that counts
    for a cross account; in this order they are sold when a loss cannot be paid otherwise.
    ``netting``: a fill first closes what is open on the other side, and only the rest opens a
    position; without it, each filled order is a position of its own.
    """

    account_id: UUID
    name: str
    settlement_asset: str = "USD"
    is_house: bool = False
    margin_mode: MarginMode = "isolated"
    collateral: FrozenMap[str, Decimal] = field(factory=dict, converter=_weights)
    netting: bool = False

    def __attrs_post_init__(self) -> None:
        check_texts(self.__dict__, ("name", "settlement_asset"))
        if not isinstance(self.netting, bool):
            raise FieldTypeError("netting", f"must be True or False, not {self.netting!r}")
        if self.margin_mode not in MARGIN_MODES:
            raise FieldError("margin_mode", f"must be isolated or cross, not {self.margin_mode!r}")
        if self.collateral and self.margin_mode != "cross":
            raise FieldError("collateral", "is for accounts with margin_mode='cross'")
        if self.settlement_asset in self.collateral:
            raise FieldError("collateral", f"cannot name {self.settlement_asset}: it counts whole")

    def __repr__(self) -> str:
        mode = None if self.margin_mode == "isolated" else self.margin_mode
        flags = "house" if self.is_house else None, "netting" if self.netting else None
        return shown(self, self.name, self.settlement_asset, mode, *flags, self.account_id)
