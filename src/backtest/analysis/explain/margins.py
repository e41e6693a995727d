"""The margins of a chain's positions in its replay, and where they are liquidated."""

from __future__ import annotations

from decimal import Decimal

from backtest.analysis.explain.chain import Chain
from backtest.analysis.explain.waits import Line
from backtest.models import LeverageKind
from backtest.money import ZERO, add
from backtest.services.margin.linear import liquidation_price

__all__ = ["Margins", "from_margin"]


class Margins:
    """What positions hold as margin, told by what they had at the end and what was charged."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._charges: dict[str, Decimal] = {}
        """What charges will take out of the margin of a position, by the id of its order."""

    def expect(self, event: Line) -> None:
        """Note, before the replay, what a charge takes out of a position's margin."""
        for leg in self._chain.legs.get(event["entry"], []):
            old = self._charges.get(event["order_id"], ZERO)
            self._charges[event["order_id"]] = add(old, from_margin(leg))

    def of(self, order: Line) -> Decimal:
        """What the position of ``order`` held as margin when it began."""
        charged = self._charges.get(order["order_id"], ZERO)
        margin = add(Decimal(order["margin_reserved"] or 0), charged)
        rest = self._chain.rest_of(order) if order["status"] == "CLOSED" else None
        return margin if rest is None else add(margin, self.of(self._chain.orders[rest]))

    def can_end(self, order: Line) -> bool:
        """Whether a new position could be liquidated: a fully paid long without maintenance
        cannot."""
        rules = self._chain.rules.rules
        flat = rules.leverage_kind is LeverageKind.FLAT_MARGIN_PER_VOLUME
        kept = rules.maintenance_rate or rules.maintenance_tiers is not None
        paid = Decimal(order["leverage"]) == 1 and not flat
        return not (order["direction"] == "LONG" and paid and not kept)

    def liquidation(
        self, long: bool, price: Decimal, volume: Decimal, margin: Decimal
    ) -> Decimal | None:
        """The price at which a position is liquidated that holds ``margin``; None: at none."""
        rules, pair = self._chain.rules.rules, self._chain.rules.pair
        return liquidation_price(
            long,
            price,
            volume,
            pair.contract_size,
            margin,
            rules.maintenance,
            pair.price_increment,
        )


def from_margin(leg: Line) -> Decimal:
    """What a transaction of a charge took out of a position's margin."""
    if leg["transaction_type"] != "RETURN_MARGIN":
        return ZERO
    return Decimal(leg["unavailable_balance_change"]).copy_negate()
