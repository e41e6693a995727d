"""Whether a position has to be liquidated, said directly: the product compares prices."""

from __future__ import annotations

from decimal import Decimal

from backtest.models.tiers import Tiers
from backtest.money import add
from backtest.services.margin.linear import maintenance, unrealised_pnl

__all__ = ["is_liquidatable"]


def is_liquidatable(
    direction_sign: int,
    fill: Decimal,
    mark: Decimal,
    volume: Decimal,
    contract_size: Decimal,
    margin: Decimal,
    rate: Decimal | Tiers,
) -> bool:
    """``margin + unrealised PnL <= maintenance``, tested unrounded."""
    level = add(margin, unrealised_pnl(direction_sign, fill, mark, volume, contract_size))
    return level <= maintenance(volume, mark, contract_size, rate)
