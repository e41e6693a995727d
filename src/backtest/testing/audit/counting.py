"""What assets are worth, counted again in fractions by another way than the product's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from backtest.models import Asset, TradingPair

__all__ = ["counted_worth"]


def counted_worth(
    amounts: Mapping[str, Fraction],
    cash: str,
    pairs: Iterable[TradingPair],
    prices: Mapping[str, Decimal | None],
) -> Fraction:
    """What ``amounts`` by asset are worth in ``cash``; what has no price counts nothing.

    By the direct pair exactly; else along the way of fewest pairs, that of the first asset codes,
    rounded down to the precision of ``cash``.
    """
    known = [pair for pair in pairs if prices.get(pair.code) is not None]
    step = min(
        (Fraction(one.step) for one in _assets(known) if one.code == cash),
        default=Fraction(1),
    )
    total = Fraction(0)
    for asset, route in _routes(cash, known).items():
        worth = amounts.get(asset, Fraction(0))
        is_direct = True
        for here, onward in pairwise(route):
            price, is_direct = _rate(here, onward, known, prices)
            worth *= price
        total += worth if len(route) < 3 and is_direct else worth // step * step
    return total


def _assets(pairs: Iterable[TradingPair]) -> list[Asset]:
    return [asset for pair in pairs for asset in (pair.base, pair.quote)]


def _routes(cash: str, pairs: list[TradingPair]) -> dict[str, tuple[str, ...]]:
    """From each asset to ``cash``, assets by code: shortened until nothing is to be gained."""
    routes: dict[str, tuple[str, ...]] = {cash: (cash,)}
    before = None
    while routes != before:
        before = dict(routes)
        for pair in pairs:
            both = pair.base.code, pair.quote.code
            for here, onward in (both, both[::-1]):
                if onward in routes and here not in routes[onward]:
                    route = (here, *routes[onward])
                    known = routes.get(here)
                    if known is None or (len(route), route) < (len(known), known):
                        routes[here] = route
    return routes


def _rate(
    asset: str, onward: str, pairs: list[TradingPair], prices: Mapping[str, Decimal | None]
) -> tuple[Fraction, bool]:
    """What one unit of ``asset`` is worth in ``onward``, and whether a direct pair says so."""
    direct = [pair.code for pair in pairs if (pair.base.code, pair.quote.code) == (asset, onward)]
    if direct:
        return Fraction(prices[min(direct)] or 0), True
    inverse = [pair.code for pair in pairs if (pair.base.code, pair.quote.code) == (onward, asset)]
    return 1 / Fraction(prices[min(inverse)] or 0), False
