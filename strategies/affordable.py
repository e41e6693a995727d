"""How much an account can buy, or go long or short: the largest order that would be accepted."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_FLOOR, Decimal

from backtest.models import FeeStage, LeverageKind, OrderDirection, TradingPair, TradingRules
from backtest.money import ONE, ZERO, add, div, mul, sub, to_step
from backtest.services.margin.linear import (
    exact_margin,
    required_margin,
    worst_price_buy,
    worst_price_sell,
)
from backtest.services.settlement.amounts import NOTHING, buy_reserve, is_dust, opening_reserve
from backtest.services.settlement.fees import FeeTable, fee_amount

__all__ = ["affordable", "affordable_on_margin", "is_enough", "largest"]

_BELOW = Decimal(10**15)
"""No volume of so much is accepted."""


def affordable(
    pair: TradingPair,
    rules: TradingRules,
    available: Decimal,
    last: Decimal | None,
    limit: Decimal | None,
) -> Decimal:
    """The largest volume that a spot buy at ``limit`` (None: at the market, which is at ``last``)
    may have, with ``available`` of the quote asset; 0 where no order would be accepted.

    It is what the venue reserves that counts: at the limit, or at the last price and the rules'
    ``market_buffer`` on top of it, with the fees of creating and filling.
    """
    if limit is None and last is None:
        return ZERO
    worst = worst_price_buy(limit, None, last, rules.market_buffer, pair)
    step = pair.quote.step
    fees = FeeTable(rules.fees_at(FeeStage.FILL), rules.fees_at(FeeStage.CLOSE), step)
    create = rules.fees_at(FeeStage.CREATE)
    maker = limit is not None and last is not None and limit < last

    def can(volume: Decimal) -> bool:
        reserve = buy_reserve(NOTHING, volume, worst, maker, fees)
        worth = pair.worth(volume, worst)
        fee = fee_amount(create, volume=volume, worth=worth, margin=ZERO, step=step)
        return add(reserve, fee) <= available

    volume = largest(pair, div(available, worst), can)
    return volume if _is_taken(pair, rules, volume, limit or last or ZERO, worst) else ZERO


def affordable_on_margin(
    pair: TradingPair,
    rules: TradingRules,
    available: Decimal,
    last: Decimal | None,
    limit: Decimal | None,
    leverage: Decimal,
    long: bool,
) -> Decimal:
    """The same of an order that opens a position: its margin is what is reserved, and the leverage
    is one that the rules and their tiers allow for so much."""
    if limit is None and last is None:
        return ZERO
    most = ONE if rules.leverage_kind is LeverageKind.NONE else rules.max_leverage
    if leverage < ONE or (most is not None and leverage > most) or not rules.trading_allowed:
        return ZERO
    worst_price = worst_price_buy if long else worst_price_sell
    worst = worst_price(limit, None, last, rules.market_buffer, pair)
    price, step, size = limit or last or ZERO, pair.quote.step, pair.contract_size
    fees = FeeTable(rules.fees_at(FeeStage.FILL), rules.fees_at(FeeStage.CLOSE), step)
    create, tiers = rules.fees_at(FeeStage.CREATE), rules.maintenance_tiers
    maker = limit is not None and last is not None and (limit < last if long else limit > last)

    def margin_of(volume: Decimal, exact: bool = False) -> Decimal:
        terms = {"volume": volume, "price": worst, "contract_size": size, "leverage": leverage}
        if exact:
            return exact_margin(rules, **terms)
        return required_margin(rules, step=step, **terms)

    def can(volume: Decimal) -> bool:
        if tiers is not None:
            notional = pair.worth(volume, price)
            if tiers.most is not None and notional > tiers.most:
                return False
            highest = tiers.at(notional).max_leverage
            if highest is not None and leverage > highest:
                return False
        margin, worth = margin_of(volume), pair.worth(volume, worst)
        reserve = opening_reserve(
            NOTHING, volume, margin, worth, margin_of(volume, True), maker, fees
        )
        fee = fee_amount(create, volume=volume, worth=worth, margin=margin, step=step)
        return add(reserve, fee) <= available

    of_one = margin_of(ONE, True)
    volume = largest(pair, div(available, of_one) if of_one else _BELOW, can)
    least = rules.min_margin
    side = OrderDirection.LONG if long else OrderDirection.SHORT
    taken = is_enough(pair, rules, volume, price) and side in rules.allowed_directions
    if taken and least is not None:
        taken = margin_of(volume) >= least
    return volume if taken else ZERO


def largest(pair: TradingPair, bound: Decimal, can: Callable[[Decimal], bool]) -> Decimal:
    """The largest volume on the grid up to ``bound`` that ``can`` be had: where one can, all that
    are smaller can."""
    increment = pair.volume_increment
    most = min(to_step(bound, increment, ROUND_FLOOR), sub(_BELOW, increment))
    low, high = 0, int(div(most, increment))  # in increments; the reserve grows with the volume
    while low < high:
        middle = (low + high + 1) // 2
        if can(mul(increment, Decimal(middle))):
            low = middle
        else:
            high = middle - 1
    return mul(increment, Decimal(low))


def is_enough(pair: TradingPair, rules: TradingRules, volume: Decimal, price: Decimal) -> bool:
    """Whether it is no less than the venue takes."""
    least = pair.least_volume if rules.min_volume is None else rules.min_volume
    notional = pair.min_notional if rules.min_notional is None else rules.min_notional
    return volume > ZERO and volume >= least and pair.worth(volume, price) >= notional


def _is_taken(
    pair: TradingPair, rules: TradingRules, volume: Decimal, price: Decimal, worst: Decimal
) -> bool:
    """Whether the venue takes a spot order of so little."""
    return (
        is_enough(pair, rules, volume, price)
        and not is_dust(True, NOTHING, volume, worst, pair.quote.step)
        and OrderDirection.LONG in rules.allowed_directions
        and rules.spot_allowed
        and pair.contract_size == ONE
    )
