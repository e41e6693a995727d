"""Margin, profit and liquidation of linear contracts, and what pending orders reserve.

Amounts are in the settlement (quote) asset; ``step`` is that asset's smallest unit (`Asset.step`).
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from backtest.errors import FieldError
from backtest.models.lifecycle import OrderDirection
from backtest.models.orders import TradingOrder
from backtest.models.tiers import Tier, Tiers
from backtest.models.trading_pair import TradingPair
from backtest.models.trading_rules import LeverageKind, TradingRules
from backtest.money import ONE, ZERO, add, div, mul, round_half_even, round_up, sub, to_step

__all__ = [
    "exact_margin",
    "flat_margin",
    "initial_margin",
    "liquidation_level",
    "liquidation_price",
    "liquidation_price_of",
    "maintenance",
    "margin_basis",
    "realised_pnl",
    "required_margin",
    "unrealised_pnl",
    "worst_price_buy",
    "worst_price_sell",
]


def initial_margin(
    volume: Decimal, price: Decimal, contract_size: Decimal, leverage: Decimal, step: Decimal
) -> Decimal:
    """``volume x price x contract_size / leverage``, rounded up."""
    return round_up(_by_leverage(volume, price, contract_size, leverage), step)


def _by_leverage(
    volume: Decimal, price: Decimal, contract_size: Decimal, leverage: Decimal
) -> Decimal:
    notional = mul(mul(volume, price), contract_size)
    return notional if leverage == ONE else div(notional, leverage)


def flat_margin(volume: Decimal, margin_per_volume: Decimal, step: Decimal) -> Decimal:
    """``volume x margin_per_volume``, rounded up: the margin where leverage is flat per volume."""
    return round_up(mul(volume, margin_per_volume), step)


def margin_basis(rules: TradingRules, worth: Decimal, volume: Decimal) -> Decimal:
    """What the margin of ``volume`` contracts is worked out from, exactly: what they are
    ``worth``, which a leverage divides, or the margin itself where that is flat per volume."""
    if rules.leverage_kind is not LeverageKind.FLAT_MARGIN_PER_VOLUME:
        return worth
    if rules.margin_per_volume is None:
        raise FieldError("margin_per_volume", "must be set for FLAT_MARGIN_PER_VOLUME")
    return mul(volume, rules.margin_per_volume)


def required_margin(
    rules: TradingRules,
    *,
    volume: Decimal,
    price: Decimal,
    contract_size: Decimal,
    leverage: Decimal,
    step: Decimal,
) -> Decimal:
    """The margin that ``rules`` ask for, rounded up: by leverage, flat per volume, or the whole
    notional."""
    exact = exact_margin(
        rules, volume=volume, price=price, contract_size=contract_size, leverage=leverage
    )
    return round_up(exact, step)


def exact_margin(
    rules: TradingRules,
    *,
    volume: Decimal,
    price: Decimal,
    contract_size: Decimal,
    leverage: Decimal,
) -> Decimal:
    """The same unrounded, of which fees on margin are a share."""
    if rules.leverage_kind is LeverageKind.FLAT_MARGIN_PER_VOLUME:
        if rules.margin_per_volume is None:
            raise FieldError("margin_per_volume", "must be set for FLAT_MARGIN_PER_VOLUME")
        return mul(volume, rules.margin_per_volume)
    if rules.leverage_kind is LeverageKind.NONE:
        leverage = ONE
    return _by_leverage(volume, price, contract_size, leverage)


def unrealised_pnl(
    direction_sign: int, fill: Decimal, mark: Decimal, volume: Decimal, contract_size: Decimal
) -> Decimal:
    """``(mark - fill) x volume x contract_size``, negated for a short (sign -1); not rounded."""
    moved = sub(mark, fill) if direction_sign > 0 else sub(fill, mark)
    return mul(mul(moved, volume), contract_size)


def realised_pnl(
    direction_sign: int,
    fill: Decimal,
    close: Decimal,
    volume: Decimal,
    contract_size: Decimal,
    step: Decimal,
) -> Decimal:
    """The PnL of one close, rounded half-even to ``step``."""
    return round_half_even(unrealised_pnl(direction_sign, fill, close, volume, contract_size), step)


def maintenance(
    volume: Decimal, mark: Decimal, contract_size: Decimal, rate: Decimal | Tiers
) -> Decimal:
    """What a position must have: notional at the mark x ``rate``, or by brackets; not rounded."""
    notional = mul(mul(volume, mark), contract_size)
    return mul(notional, rate) if isinstance(rate, Decimal) else rate.maintenance(notional)


def liquidation_price(
    long: bool,
    fill: Decimal,
    volume: Decimal,
    contract_size: Decimal,
    margin: Decimal,
    rate: Decimal | Tiers,
    price_increment: Decimal,
) -> Decimal | None:
    """The price at which an isolated position is liquidated; None when no positive price can.

    Long: ``(f v c - margin - a) / (v c (1 - r))``, rounded down to the price increment (None when
    that is not above zero: leverage 1). Short: ``(f v c + margin + a) / (v c (1 + r))``, rounded
    up. ``rate`` is r (a is 0 then), or `Tiers`: r and a of the bracket in which the price itself
    puts the notional. Raises `FieldError` for a rate of 1 or more.
    """
    size = mul(volume, contract_size)
    return liquidation_level(long, mul(fill, size), size, margin, rate, price_increment)


def liquidation_level(
    long: bool,
    cost: Decimal,
    size: Decimal,
    margin: Decimal,
    rate: Decimal | Tiers,
    price_increment: Decimal,
) -> Decimal | None:
    """The same for a position whose fills have cost so much (price x volume x contract size), and
    whose ``size`` is volume x contract size."""
    left = sub(cost, margin)
    if long and left <= ZERO:
        return None
    amount = ZERO
    if isinstance(rate, Tiers):
        tier = _tier_at_the_end(long, cost, margin, rate)
        rate, amount = tier.rate, tier.amount
    if long:
        if rate >= ONE:
            raise FieldError("maintenance_rate", f"must be below 1, not {rate}")
        exact = div(sub(left, amount), mul(size, sub(ONE, rate)))
        price = to_step(exact, price_increment, ROUND_FLOOR)
        return price if price > ZERO else None
    exact = div(add(add(cost, margin), amount), mul(size, add(ONE, rate)))
    return to_step(exact, price_increment, ROUND_CEILING)


def liquidation_price_of(
    position: TradingOrder, pair: TradingPair, rules: TradingRules
) -> Decimal | None:
    """The price at which an open isolated ``position`` is liquidated, as the venue has it."""
    if position.fill_price is None:
        raise FieldError("position", f"must be open, but {position.id} is {position.status.name}")
    return liquidation_price(
        position.direction is OrderDirection.LONG,
        position.fill_price,
        position.volume,
        position.contract_size,
        position.margin_reserved,
        rules.maintenance,
        pair.price_increment,
    )


def _tier_at_the_end(long: bool, notional: Decimal, margin: Decimal, tiers: Tiers) -> Tier:
    """The bracket in which a position will be when its margin no longer suffices.

    What is left beyond maintenance rises with the notional for a long and falls for a short, and
    has no jumps: the first bracket at whose end it has changed its sign holds the zero.
    """
    last = None
    for last in tiers:
        end = last.up_to
        if end is None:
            break
        gain = sub(end, notional) if long else sub(notional, end)
        left = add(sub(add(margin, gain), mul(end, last.rate)), last.amount)
        if left >= ZERO if long else left <= ZERO:
            break
    assert last is not None  # there is at least one
    return last


def _buffered(price: Decimal, buffer: Decimal, pair: TradingPair) -> Decimal:
    raised = mul(price, add(ONE, buffer))
    return to_step(raised, pair.price_increment, ROUND_CEILING)


def worst_price_buy(
    limit: Decimal | None,
    stop: Decimal | None,
    last: Decimal | None,
    buffer: Decimal,
    pair: TradingPair,
) -> Decimal:
    """The price that a buy reserves for.

    A limit's own price; a stop's x (1 + ``buffer``); for a market order the last price x
    (1 + ``buffer``); the last two rounded up to the price increment.
    """
    if limit is not None:
        return limit
    if stop is not None:
        return _buffered(stop, buffer, pair)
    if last is None:
        raise FieldError("last", "must be known to reserve for a market order")
    return _buffered(last, buffer, pair)


def worst_price_sell(
    limit: Decimal | None,
    stop: Decimal | None,
    last: Decimal | None,
    buffer: Decimal,
    pair: TradingPair,
) -> Decimal:
    """The price that a short trading order reserves margin for (more price is more margin).

    The higher of its limit (or its stop x (1 + ``buffer``), rounded up) and the last price; for a
    market order the last price.
    """
    own = limit
    if own is None and stop is not None:
        own = _buffered(stop, buffer, pair)
    if own is None:
        if last is None:
            raise FieldError("last", "must be known to reserve for a market order")
        return last
    return own if last is None or last <= own else last
