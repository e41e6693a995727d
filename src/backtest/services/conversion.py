"""What an amount of one asset is worth in another, at the last prices of pairs.

There is one answer, whatever the order in which pairs are given or get their first price. An asset
is valued by its direct pair with the target if that has a price, else by the inverse of one, else
along the way of fewest pairs; of several such ways along the one whose asset codes come first. A
step of a way goes by a direct pair before an inverse one, and by the pair whose code comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from backtest.models import TradingPair
from backtest.money import ONE, floor_quotient, mul, whole_mul

__all__ = ["Conversion", "direct_pairs"]

Prices = Mapping[str, Decimal]
"""Prices by pair code: only of pairs that have one."""


def direct_pairs(asset: str, target: str, pairs: Iterable[TradingPair]) -> list[str]:
    """The codes of the pairs that trade ``asset`` for ``target``, the one to go by first."""
    return sorted(
        pair.code for pair in pairs if (pair.base.code, pair.quote.code) == (asset, target)
    )


class Conversion:
    """Values amounts in the asset ``target`` by ``pairs``.

    By its direct pair an amount is worth exactly its product with the price. On any other way
    numerators and denominators are multiplied exactly and divided once, and the worth is rounded
    down to the target's precision: a share that no decimal can write ends somewhere.
    """

    __slots__ = ("_direct", "_pairs", "_step", "_ways", "target")

    def __init__(self, target: str, pairs: Iterable[TradingPair]) -> None:
        self.target = target
        self._pairs = {pair.code: pair for pair in sorted(pairs, key=lambda pair: pair.code)}
        self._direct: dict[str, tuple[str, ...]] = {}
        for code, pair in self._pairs.items():
            if pair.quote.code == target:
                self._direct[pair.base.code] = (*self._direct.get(pair.base.code, ()), code)
        steps = [
            asset.step
            for pair in self._pairs.values()
            for asset in (pair.base, pair.quote)
            if asset.code == target
        ]
        self._step = min(steps, default=ONE)
        self._ways: dict[frozenset[str], dict[str, tuple[str, ...]]] = {}

    def direct(self, asset: str, prices: Prices) -> str | None:
        """The direct pair of ``asset`` and the target that has a price; None without one."""
        for code in self._direct.get(asset, ()):
            if code in prices:
                return code
        return None

    def is_priced(self, asset: str, prices: Prices) -> bool:
        """Whether ``asset`` can be valued."""
        return self.worth(asset, ONE, prices) is not None

    def worth(self, asset: str, amount: Decimal, prices: Prices) -> Decimal | None:
        """What ``amount`` of ``asset`` is worth in the target at ``prices``; None: not known."""
        if asset == self.target:
            return amount
        code = self.direct(asset, prices)
        if code is not None:
            return mul(amount, prices[code])
        way = self._known_ways(prices).get(asset)
        if way is None:
            return None
        numerator, denominator = amount, ONE
        for code in way:
            if self._pairs[code].base.code == asset:
                numerator, asset = whole_mul(numerator, prices[code]), self._pairs[code].quote.code
            else:
                denominator, asset = (
                    whole_mul(denominator, prices[code]),
                    self._pairs[code].base.code,
                )
        return floor_quotient(numerator, denominator, self._step)

    def _known_ways(self, prices: Prices) -> dict[str, tuple[str, ...]]:
        """The way of each asset to the target, as the codes of its pairs, by pairs with a price."""
        priced = frozenset(prices)
        ways = self._ways.get(priced)
        if ways is None:
            ways = self._ways[priced] = self._find_ways(priced)
        return ways

    def _find_ways(self, priced: frozenset[str]) -> dict[str, tuple[str, ...]]:
        # Outward from the target, one pair further each round: whatever a round reaches, it reaches
        # by the fewest pairs. The way onward of the asset whose codes come first is taken.
        routes: dict[str, tuple[str, ...]] = {self.target: (self.target,)}
        ways: dict[str, tuple[str, ...]] = {self.target: ()}
        hops = self._hops(priced)
        reached = {self.target}
        while reached:
            found: dict[str, tuple[str, ...]] = {}
            for (asset, onward), code in hops.items():
                if onward in reached and asset not in ways:
                    route = (asset, *routes[onward])
                    if asset not in found or route < routes[asset]:
                        routes[asset], found[asset] = route, (code, *ways[onward])
            ways.update(found)
            reached = set(found)
        return ways

    def _hops(self, priced: frozenset[str]) -> dict[tuple[str, str], str]:
        """The pair by which one asset is valued in another: the direct one before the inverse."""
        direct: dict[tuple[str, str], str] = {}
        inverse: dict[tuple[str, str], str] = {}
        for code, pair in self._pairs.items():
            if code in priced:
                direct.setdefault((pair.base.code, pair.quote.code), code)
                inverse.setdefault((pair.quote.code, pair.base.code), code)
        return {**inverse, **direct}
