"""What is traded as one pair, and by which rules: what fees, margin and liquidation come to."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from attrs import evolve

from backtest.models import Fee, FeeStage, LeverageKind, TradingPair, TradingRules
from backtest.money import ONE, ZERO, div, mul, round_up, sub
from backtest.services.calendars import calendar_of
from backtest.services.fills.walk import PathRules
from backtest.services.margin.linear import (
    exact_margin,
    liquidation_level,
    margin_basis,
    required_margin,
    worst_price_buy,
    worst_price_sell,
)
from backtest.services.settlement.fees import FeeTable, fee_amount, proportional
from backtest.services.settlement.pool import Pool

from .position import Position

__all__ = ["Instrument"]


class Instrument:
    """A pair and the venue's rules for it: nothing here changes."""

    __slots__ = (
        "base",
        "calendar",
        "charges",
        "charges_create",
        "code",
        "day_end",
        "eligibility",
        "fees",
        "fees_cancel",
        "fees_create",
        "fees_filled",
        "fees_more",
        "fees_pending",
        "fills_at_close",
        "is_strict",
        "least_notional",
        "least_volume",
        "maintenance",
        "one_sided",
        "pair",
        "path",
        "quote",
        "rules",
        "step",
        "takes_spot",
        "tick_path",
        "volume_policy",
    )

    def __init__(self, pair: TradingPair, rules: TradingRules) -> None:
        self.code = pair.code
        self.pair = pair
        self.rules = rules
        self.path = PathRules.of(rules, pair)
        own = rules.fills
        self.eligibility = None if own is None else own.eligibility
        self.volume_policy = None if own is None else own.volume
        self.base, self.quote = pair.base.code, pair.quote.code
        self.step = pair.quote.step
        """The smallest amount of the quote asset, in which fees, margin and PnL are paid."""
        self.least_volume = pair.least_volume if rules.min_volume is None else rules.min_volume
        self.least_notional = (
            pair.min_notional if rules.min_notional is None else rules.min_notional
        )
        self.one_sided = len(rules.allowed_directions) < 2
        self.takes_spot = rules.spot_allowed and pair.contract_size == ONE
        """Whether spot orders may be had: what is exchanged is the base itself, not contracts."""
        self.is_strict = bool(self.one_sided or self.least_notional or not self.takes_spot)
        """Whether more than the least volume is asked of plain spot orders."""
        self.fills_at_close = rules.fill_on == "this_close"
        self.maintenance = rules.maintenance
        """What positions must maintain: a rate, or tiers."""
        self.fees = FeeTable(rules.fees_at(FeeStage.FILL), rules.fees_at(FeeStage.CLOSE), self.step)
        """What fills cost, that open and that close."""
        self.fees_create = rules.fees_at(FeeStage.CREATE)
        self.fees_more = proportional(self.fees_create)
        """What it costs to make an order larger."""
        self.charges_create = bool(self.fees_create) or rules.min_margin is not None
        """Whether the margin of a new order is tested, or anything charged for it."""
        self.fees_cancel = rules.fees_at(FeeStage.CANCEL)
        self.fees_pending = rules.fees_at(FeeStage.OVERNIGHT_PENDING)
        self.fees_filled = rules.fees_at(FeeStage.OVERNIGHT_FILLED)
        self.tick_path = evolve(self.path, slippage_beyond_bar=True)
        """The path rules for quotes and trades, which have no range to stay in."""
        self.calendar = calendar_of(rules.calendar)
        self.day_end: Callable[[int], int] = self.calendar.day_end
        """When a ``DAY`` order expires that is sent at a time, both in nanoseconds."""
        self.charges = bool(self.fees_pending or self.fees_filled or rules.funding is not None)
        """Whether anything is charged as time passes."""

    def worst_price(
        self, buy: bool, limit: Decimal | None, stop: Decimal | None, now: Decimal | None
    ) -> Decimal:
        """The price that an order reserves for which would meet the market at ``now``."""
        worst = worst_price_buy if buy else worst_price_sell
        return worst(limit, stop, now, self.rules.market_buffer, self.pair)

    def fee(
        self, fees: tuple[Fee, ...], volume: Decimal, price: Decimal, margin: Decimal
    ) -> Decimal:
        """What one charge of ``fees``, those of a stage at which nothing fills, comes to for
        ``volume`` at ``price``."""
        if not fees:
            return ZERO
        worth = self.pair.worth(volume, price)
        return fee_amount(fees, volume=volume, worth=worth, margin=margin, step=self.step)

    def margin(self, volume: Decimal, price: Decimal, leverage: Decimal) -> Decimal:
        """The margin of ``volume`` contracts at ``price``."""
        return required_margin(
            self.rules,
            volume=volume,
            price=price,
            contract_size=self.pair.contract_size,
            leverage=leverage,
            step=self.step,
        )

    def exact_margin(self, volume: Decimal, price: Decimal, leverage: Decimal) -> Decimal:
        """The same unrounded."""
        return exact_margin(
            self.rules,
            volume=volume,
            price=price,
            contract_size=self.pair.contract_size,
            leverage=leverage,
        )

    def margin_basis(self, volume: Decimal, price: Decimal) -> Decimal:
        """What the margin of ``volume`` contracts at ``price`` is worked out from: their worth, or
        where it is flat per volume, itself. Exact, and so good for sums."""
        return margin_basis(self.rules, self.pair.worth(volume, price), volume)

    def margin_on(self, basis: Decimal, leverage: Decimal) -> Decimal:
        """The margin that comes of such a sum."""
        if leverage != ONE and self.rules.leverage_kind is LeverageKind.MULTIPLIER:
            basis = div(basis, leverage)
        return round_up(basis, self.step)

    def can_liquidate(self, long: bool, leverage: Decimal) -> bool:
        """Whether a position could be liquidated: a fully paid long without maintenance cannot."""
        rules = self.rules
        paid = leverage == 1 and rules.leverage_kind is not LeverageKind.FLAT_MARGIN_PER_VOLUME
        kept = rules.maintenance_rate or rules.maintenance_tiers is not None
        return not (long and paid and not kept)

    def pnl(self, position: Position, price: Decimal) -> Decimal:
        """What a position has won or lost at ``price``, not rounded."""
        pool = position.pool
        worth = self.pair.worth(pool.volume, price)
        return sub(worth, pool.cost) if position.long else sub(pool.cost, worth)

    def liquidation(self, long: bool, pool: Pool) -> Decimal | None:
        """The price at which a position is liquidated; None for never."""
        size = mul(pool.volume, self.pair.contract_size)
        return liquidation_level(
            long, pool.cost, size, pool.margin, self.maintenance, self.pair.price_increment
        )
