"""Fees of one stage: each kind, each rounding, makers and firsts."""

from __future__ import annotations

import decimal
from decimal import Decimal

import pytest

from backtest.models.fee import Fee, FeeKind
from backtest.services.fees import fee_amount

CENT = Decimal("0.01")


def charged(*fees: Fee, maker: bool = False, first: bool = True, step: Decimal = CENT) -> Decimal:
    """The fee on 1.5 units, a notional of 75 000 and a margin of 7 500."""
    return fee_amount(
        fees,
        volume=Decimal("1.5"),
        notional=Decimal(75000),
        margin=Decimal(7500),
        maker=maker,
        first=first,
        step=step,
    )


def fee(kind: FeeKind, rate: str, maker_rate: str | None = None) -> Fee:
    return Fee(kind, Decimal(rate), None if maker_rate is None else Decimal(maker_rate))


def test_no_fees_cost_nothing() -> None:
    assert charged() == Decimal(0)


@pytest.mark.parametrize(
    ("kind", "rate", "amount"),
    [
        (FeeKind.NONE, "5", "0"),
        (FeeKind.FLAT_PER_VOLUME, "2.50", "3.75"),  # 1.5 x 2.50
        (FeeKind.FLAT_PER_TRADE, "2.50", "2.50"),
        (FeeKind.PERCENT_OF_NOTIONAL, "0.001", "75.00"),  # 75 000 x 0.1 %
        (FeeKind.PERCENT_OF_MARGIN, "0.001", "7.50"),  # 7 500 x 0.1 %
    ],
)
def test_each_kind(kind: FeeKind, rate: str, amount: str) -> None:
    assert charged(fee(kind, rate)) == Decimal(amount)


def test_a_fee_is_rounded_up_against_the_account() -> None:
    # 75 000 x 0.0000015 = 0.1125 -> 0.12; half-even would give 0.11
    assert charged(fee(FeeKind.PERCENT_OF_NOTIONAL, "0.0000015")) == Decimal("0.12")
    # 1.5 x 0.00001 = 0.000015 -> one whole cent
    assert charged(fee(FeeKind.FLAT_PER_VOLUME, "0.00001")) == Decimal("0.01")


def test_a_rebate_is_rounded_toward_zero() -> None:
    rebate = fee(FeeKind.PERCENT_OF_NOTIONAL, "0.001", "-0.0000015")
    # 75 000 x -0.0000015 = -0.1125 -> -0.11: the account gets less, not more
    assert charged(rebate, maker=True) == Decimal("-0.11")
    assert charged(rebate, maker=False) == Decimal("75.00")


def test_a_maker_pays_the_rate_when_no_maker_rate_is_given() -> None:
    assert charged(fee(FeeKind.PERCENT_OF_NOTIONAL, "0.001"), maker=True) == Decimal("75.00")
    free = fee(FeeKind.PERCENT_OF_NOTIONAL, "0.001", "0")
    assert charged(free, maker=True) == Decimal(0)


def test_flat_per_order_is_charged_with_the_first_fill_only() -> None:
    flat = fee(FeeKind.FLAT_PER_TRADE, "1")
    share = fee(FeeKind.PERCENT_OF_NOTIONAL, "0.001")
    assert charged(flat, share, first=True) == Decimal("76.00")
    assert charged(flat, share, first=False) == Decimal("75.00")
    assert charged(flat, first=False) == Decimal(0)


def test_several_fees_are_rounded_each() -> None:
    # 0.1125 + 0.1125 = 0.225 -> 0.23 if summed first; each rounded up: 0.12 + 0.12
    tiny = fee(FeeKind.PERCENT_OF_NOTIONAL, "0.0000015")
    assert charged(tiny, tiny) == Decimal("0.24")


def test_the_step_is_that_of_the_asset() -> None:
    tiny = fee(FeeKind.PERCENT_OF_NOTIONAL, "0.0000015")
    assert charged(tiny, step=Decimal("0.0001")) == Decimal("0.1125")
    assert charged(tiny, step=Decimal(1)) == Decimal(1)


def test_the_callers_decimal_context_does_not_matter() -> None:
    with decimal.localcontext() as context:
        context.prec = 2
        context.rounding = decimal.ROUND_FLOOR
        assert charged(fee(FeeKind.PERCENT_OF_NOTIONAL, "0.0012345")) == Decimal("92.59")
        # 75 000 x 0.0012345 = 92.5875 -> 92.59
