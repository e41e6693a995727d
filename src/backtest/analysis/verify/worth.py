"""What assets are worth in cash, worked out again in whole numbers, for the checks.

As `backtest.services.conversion` promises it, but not by its code: first how many pairs each asset
is away from cash, then from the asset on, always to the neighbour that is nearer.
"""

from __future__ import annotations

from collections.abc import Mapping

from backtest.analysis.tables.exact import ONE_UNIT, exact_product
from backtest.analysis.verify.lines import Material

__all__ = ["reachable", "worth"]

Prices = Mapping[str, int]
"""Prices in units, by pair; only of pairs that have one."""


def worth(material: Material, amounts: Mapping[str, int], prices: Prices) -> int:
    """What ``amounts`` by asset, in units, are worth in the cash asset; what has no price counts
    nothing."""
    away = _distances(material, prices)
    return sum(_worth(material, asset, units, prices, away) for asset, units in amounts.items())


def _worth(
    material: Material, asset: str, units: int, prices: Prices, away: Mapping[str, int]
) -> int:
    cash = material.facts["cash_asset"]
    if not units or asset not in away or asset == cash:
        return units if asset == cash else 0
    above, below, at = units, 1, asset
    steps = 0
    while at != cash:
        onward = min(
            other for other in _neighbours(material, at, prices) if away.get(other) == away[at] - 1
        )
        code, is_direct = _pair_between(material, at, onward, prices)
        if is_direct:
            above, below = above * prices[code], below * ONE_UNIT
        else:
            above, below = above * ONE_UNIT, below * prices[code]
        at, steps = onward, steps + 1
    if steps == 1 and is_direct:
        return exact_product(units, prices[code])
    step = _step(material, cash)
    return above // (below * step) * step


def reachable(material: Material, prices: Prices) -> frozenset[str]:
    """The assets that have a worth in the cash asset."""
    return frozenset(_distances(material, prices))


def _neighbours(material: Material, asset: str, prices: Prices) -> list[str]:
    """The assets that pairs with a price trade ``asset`` for, on either side."""
    found = []
    for code in prices:
        pair = material.pairs[code]
        if asset in (pair.base, pair.quote):
            found.append(pair.quote if pair.base == asset else pair.base)
    return found


def _distances(material: Material, prices: Prices) -> dict[str, int]:
    """How many pairs each asset is away from cash."""
    away = {material.facts["cash_asset"]: 0}
    coming = list(away)
    for asset in coming:
        for other in _neighbours(material, asset, prices):
            if other not in away:
                away[other] = away[asset] + 1
                coming.append(other)
    return away


def _pair_between(material: Material, asset: str, onward: str, prices: Prices) -> tuple[str, bool]:
    """The pair by which ``asset`` is valued in ``onward``, and whether it is the direct one."""
    ways = [
        (material.pairs[code].base != asset, code)
        for code in prices
        if {material.pairs[code].base, material.pairs[code].quote} == {asset, onward}
    ]
    is_inverse, code = min(ways)
    return code, not is_inverse


def _step(material: Material, asset: str) -> int:
    """The smallest amount of ``asset``, in units."""
    digits = [
        int(pair[f"{side}_precision"])
        for pair in material.facts["config"]["pairs"].values()
        for side in ("base", "quote")
        if pair[side] == asset
    ]
    return ONE_UNIT // int(10 ** max(digits))
