"""Bugs that make money of nothing, or lose it, and that all records agree about.

What is reserved, filled and told is the same wrong number everywhere, within a step of what the
formulas say: only who adds up what fills have moved can find it.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN
from typing import Any

from backtest.actors.venue.pair_book import PairBook
from backtest.actors.venue.venue import Venue
from backtest.money import ZERO, mul
from backtest.services.settlement.pool import Pool

__all__ = ["VALUE_PLANTS"]


def _takes_contracts(real: Any) -> Any:
    def init(self: Any, pair: Any, rules: Any) -> None:
        real(self, pair, rules)
        self.takes_spot = rules.spot_allowed

    return init


def _contracts_bought(real: Any) -> Any:
    def plan(venue: Any, branch: Any, wanted: Any, price: Any, **more: Any) -> Any:
        return real(venue, branch, wanted, mul(price, branch.book.pair.contract_size), **more)

    return plan


def _contracts_reserved(real: Any) -> Any:
    def reserve(self: Any, branch: Any, *more: Any) -> Any:
        worst = branch.reservation_price
        if branch.spot:
            branch.reservation_price = mul(worst, branch.book.pair.contract_size)
        try:
            return real(self, branch, *more)
        finally:
            branch.reservation_price = worst

    return reserve


def _alone(real: Any) -> Any:
    return lambda sums, *more: real(sums._replace(worth=ZERO, posted=ZERO), *more)


def _nearest(real: Any) -> Any:
    def sold(sums: Any, volume: Any, price: Any, maker: Any, fees: Any, *more: Any) -> Any:
        plan = real(sums, volume, price, maker, fees, *more)
        posted = plan.sums.worth.quantize(fees.step, ROUND_HALF_EVEN)
        if plan.uncovered or plan.sums.charged != fees.due(plan.sums.fees):
            return plan
        return plan._replace(amount=posted - sums.posted, sums=plan.sums._replace(posted=posted))

    return sold


def _closed_alone(real: Any) -> Any:
    return lambda self, *more, **given: real(
        self._replace(gained=ZERO, posted=ZERO), *more, **given
    )


VALUE_PLANTS: tuple[tuple[str, str, tuple[tuple[Any, str, Any], ...]], ...] = (
    (
        "contract-spot",
        "spot orders pay for contracts, and get the base",
        (
            (PairBook, "__init__", _takes_contracts),
            (Venue, "reserve", _contracts_reserved),
            ("actors.venue.fill_plans", "spot_plan", _contracts_bought),
        ),
    ),
    (
        "bought-alone",
        "each fill of a buy is rounded by itself",
        (("services.settlement.amounts", "spot_bought", _alone),),
    ),
    (
        "sold-alone",
        "each fill of a sell is rounded by itself",
        (("services.settlement.amounts", "spot_sold", _alone),),
    ),
    (
        "nearest-cent",
        "what a sell brings is rounded to the nearest",
        (("services.settlement.amounts", "spot_sold", _nearest),),
    ),
    (
        "closed-alone",
        "the PnL of each close is rounded by itself",
        ((Pool, "closing", _closed_alone), (Pool, "closed", _closed_alone)),
    ),
)
"""Name, what it does, and the changes: where (a class, or a module for a function), what, how."""
