"""Fees: what one stage of an order's life costs."""

from __future__ import annotations

from decimal import Decimal

from backtest.models.fee import Fee, FeeKind
from backtest.money import ZERO, add, mul, round_up

__all__ = ["fee_amount"]


def fee_amount(
    fees: tuple[Fee, ...],
    *,
    volume: Decimal,
    notional: Decimal,
    margin: Decimal,
    maker: bool,
    first: bool,
    step: Decimal,
) -> Decimal:
    """The sum of the fees of one stage, each rounded up to ``step``: against the account.

    A rebate (a negative rate) is rounded toward zero, which is up as well. ``volume`` in base
    units, ``notional`` and ``margin`` in the asset that pays; ``maker`` picks ``maker_rate`` where
    there is one; a fee that is flat per order (`FLAT_PER_TRADE`) is charged only when ``first``:
    with the branch's first fill (and with its only create, close or cancel).
    """
    if not fees:
        return ZERO
    total = ZERO
    for fee in fees:
        kind = fee.kind
        rate = fee.maker_rate if maker and fee.maker_rate is not None else fee.rate
        if kind is FeeKind.PERCENT_OF_NOTIONAL:
            amount = mul(rate, notional)
        elif kind is FeeKind.FLAT_PER_VOLUME:
            amount = mul(rate, volume)
        elif kind is FeeKind.PERCENT_OF_MARGIN:
            amount = mul(rate, margin)
        elif kind is FeeKind.FLAT_PER_TRADE and first:
            amount = rate
        else:
            continue
        total = add(total, round_up(amount, step))
    return total
