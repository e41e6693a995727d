"""What the venue keeps of an account whose positions stand behind each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from backtest.errors import ConfigError
from backtest.models import Account, TradingPair
from backtest.money import ONE
from backtest.services.conversion import direct_pairs

__all__ = ["CrossAccount", "collateral_pair", "cross_accounts"]


class CrossAccount:
    """A cross margin account: its name, its settlement asset, what else counts for it."""

    __slots__ = ("asset", "collateral", "is_raising", "name", "weights")

    def __init__(self, account: Account, pairs: Mapping[str, TradingPair]) -> None:
        self.name = account.name
        self.asset = account.settlement_asset
        self.collateral = tuple(
            (asset, collateral_pair(asset, self.asset, pairs), weight)
            for asset, weight in account.collateral.items()
        )
        """Asset, the pair that prices it, and its weight: in the order of sale."""
        self.weights = {code: weight for _, code, weight in self.collateral}
        self.is_raising = False
        """Whether positions are being closed to raise money."""


def cross_accounts(
    accounts: Iterable[Account], pairs: Mapping[str, TradingPair]
) -> dict[str, CrossAccount]:
    """The cross margin accounts among ``accounts``, by name."""
    return {one.name: CrossAccount(one, pairs) for one in accounts if one.margin_mode == "cross"}


def collateral_pair(asset: str, settlement: str, pairs: Mapping[str, TradingPair]) -> str:
    """The code of the pair that says what ``asset`` is worth in ``settlement``: the direct one, in
    which it can be sold, too, as a pair of contracts cannot."""
    spot = [pair for pair in pairs.values() if pair.contract_size == ONE]
    direct = direct_pairs(asset, settlement, spot)
    if direct:
        return direct[0]
    raise ConfigError(
        f"{asset} cannot be collateral: no pair of the data trades it for {settlement} (with a "
        "contract_size of 1)"
    )
