"""How much an account can buy: the largest spot order that would be accepted."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal

from backtest.models import FeeStage, OrderDirection, TradingPair, TradingRules
from backtest.money import ONE, ZERO, add, div, mul, sub, to_step
from backtest.services.fees import FeeTable, fee_amount
from backtest.services.margin import worst_price_buy
from backtest.services.settlement import NOTHING, buy_reserve, is_dust

__all__ = ["affordable"]

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

    def needed(volume: Decimal) -> Decimal:
        reserve = buy_reserve(NOTHING, volume, worst, maker, fees)
        worth = pair.worth(volume, worst)
        fee = fee_amount(create, volume=volume, worth=worth, margin=ZERO, step=step)
        return add(reserve, fee)

    increment = pair.volume_increment
    most = min(to_step(div(available, worst), increment, ROUND_FLOOR), sub(_BELOW, increment))
    low, high = 0, int(div(most, increment))  # in increments; the reserve grows with the volume
    while low < high:
        middle = (low + high + 1) // 2
        if needed(mul(increment, Decimal(middle))) <= available:
            low = middle
        else:
            high = middle - 1
    volume = mul(increment, Decimal(low))
    return volume if _is_taken(pair, rules, volume, limit or last or ZERO, worst) else ZERO


def _is_taken(
    pair: TradingPair, rules: TradingRules, volume: Decimal, price: Decimal, worst: Decimal
) -> bool:
    """Whether the venue takes an order of so little."""
    least = pair.least_volume if rules.min_volume is None else rules.min_volume
    notional = pair.min_notional if rules.min_notional is None else rules.min_notional
    return (
        volume > ZERO
        and volume >= least
        and pair.worth(volume, price) >= notional
        and not is_dust(True, NOTHING, volume, worst, pair.quote.step)
        and OrderDirection.LONG in rules.allowed_directions
        and rules.spot_allowed
        and pair.contract_size == ONE
    )
