"""Fees: each kind and rounding, makers, bounds, and what an order's fills come to together."""

from __future__ import annotations

import decimal
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.errors import FieldError
from backtest.models.fee import Fee, FeeKind
from backtest.services.settlement.fees import FeeSums, FeeTable, fee_amount, proportional

D = Decimal
CENT = D("0.01")
SHARE = FeeKind.PERCENT_OF_NOTIONAL
FLAT = FeeKind.FLAT_PER_TRADE


def charged(*fees: Fee, maker: bool = False, step: Decimal = CENT) -> Decimal:
    """The fee of one fill of 1.5 units, worth 75 000, with a margin of 7 500."""
    table = FeeTable(fees, (), step)
    return table.due(table.added((), False, D("1.5"), D(75000), D(7500), maker))


def once(*fees: Fee, step: Decimal = CENT) -> Decimal:
    """The same as a charge by itself."""
    return fee_amount(fees, volume=D("1.5"), worth=D(75000), margin=D(7500), step=step)


def fee(kind: FeeKind, rate: str, maker_rate: str | None = None, **bounds: str) -> Fee:
    low = None if maker_rate is None else D(maker_rate)
    return Fee(kind, D(rate), low, **{name: D(bound) for name, bound in bounds.items()})


def test_no_fees_cost_nothing() -> None:
    assert charged() == once() == D(0)


@pytest.mark.parametrize(
    ("kind", "rate", "amount"),
    [
        (FeeKind.FLAT_PER_VOLUME, "2.50", "3.75"),  # 1.5 x 2.50
        (FeeKind.FLAT_PER_TRADE, "2.50", "2.50"),
        (FeeKind.PERCENT_OF_NOTIONAL, "0.001", "75.00"),  # 75 000 x 0.1 %
        (FeeKind.PERCENT_OF_MARGIN, "0.001", "7.50"),  # 7 500 x 0.1 %
        (FeeKind.NONE, "5", "0"),
    ],
)
def test_each_kind(kind: FeeKind, rate: str, amount: str) -> None:
    assert charged(fee(kind, rate)) == once(fee(kind, rate)) == D(amount)


def test_a_fee_is_rounded_up_against_the_account() -> None:
    # 75 000 x 0.0000015 = 0.1125 -> 0.12; half-even would give 0.11
    assert charged(fee(SHARE, "0.0000015")) == D("0.12")
    # 1.5 x 0.00001 = 0.000015 -> one whole cent
    assert charged(fee(FeeKind.FLAT_PER_VOLUME, "0.00001")) == D("0.01")


def test_a_rebate_is_rounded_toward_zero() -> None:
    rebate = fee(SHARE, "0.001", "-0.0000015")
    # 75 000 x -0.0000015 = -0.1125 -> -0.11: the account gets less, not more
    assert charged(rebate, maker=True) == D("-0.11")
    assert charged(rebate, maker=False) == D("75.00")
    assert once(fee(SHARE, "-0.0000015")) == D("-0.11")


def test_a_maker_pays_the_rate_when_no_maker_rate_is_given() -> None:
    assert charged(fee(SHARE, "0.001"), maker=True) == D("75.00")
    assert charged(fee(SHARE, "0.001", "0"), maker=True) == D(0)


def test_several_fees_are_rounded_once() -> None:
    # 0.1125 + 0.1125 = 0.225 -> 0.23; each by itself would be 0.12 + 0.12
    tiny = fee(SHARE, "0.0000015")
    assert charged(tiny, tiny) == once(tiny, tiny) == D("0.23")


def test_the_step_is_that_of_the_asset() -> None:
    tiny = fee(SHARE, "0.0000015")
    assert charged(tiny, step=D("0.0001")) == D("0.1125")
    assert charged(tiny, step=D(1)) == D(1)


def test_the_callers_decimal_context_does_not_matter() -> None:
    with decimal.localcontext() as context:
        context.prec = 2
        context.rounding = decimal.ROUND_FLOOR
        # 75 000 x 0.0012345 = 92.5875 -> 92.59
        assert charged(fee(SHARE, "0.0012345")) == once(fee(SHARE, "0.0012345")) == D("92.59")


# -- over several fills ----------------------------------------------------------------------------


def paid(table: FeeTable, *fills: tuple[bool, str, bool]) -> list[Decimal]:
    """What each fill pays: whether it closes, what it is worth (at a price of 1, margin half of
    it), whether it made."""
    sums: FeeSums = ()
    before, amounts = D(0), []
    for closes, worth, maker in fills:
        sums = table.added(sums, closes, D(worth), D(worth), D(worth) / 2, maker)
        due = table.due(sums)
        amounts.append(due - before)
        before = due
    return amounts


OPENS = (False, "1.00", False)
CLOSES = (True, "1.00", False)


def amounts(*texts: str) -> list[Decimal]:
    return [D(text) for text in texts]


def test_an_order_pays_what_all_its_fills_cost_less_what_it_paid() -> None:
    """0.1 % of 1.00 each: 0.001 up to 0.01, which pays for nine more fills."""
    table = FeeTable([fee(SHARE, "0.001")], (), CENT)
    assert paid(table, *[OPENS] * 11) == amounts("0.01", *["0.00"] * 9, "0.01")


def test_a_rebate_in_dust_comes_when_it_is_a_whole_step() -> None:
    """0.4 of a cent each: 0.004 and 0.008 down to nothing, 0.012 to a cent, 0.016, 0.020 to two."""
    table = FeeTable([fee(SHARE, "0.001", "-0.004")], (), CENT)
    makes = (False, "1.00", True)
    assert paid(table, *[makes] * 5) == amounts("0.00", "0.00", "-0.01", "0.00", "-0.01")


def test_what_was_taken_pays_for_what_is_given_back() -> None:
    """Taking costs 0.006, making gives 0.004: 0.006 up to 0.01; 0.002 still; -0.002 nothing."""
    table = FeeTable([fee(SHARE, "0.006", "-0.004")], (), CENT)
    makes = (False, "1.00", True)
    assert paid(table, OPENS, makes, makes) == amounts("0.01", "0.00", "-0.01")


def test_a_minimum_holds_for_the_order_and_not_for_each_fill() -> None:
    """1 % of 40 is 0.40, of 80 is 0.80, of 120 is 1.20: a minimum of 1 is paid with the first."""
    table = FeeTable([fee(SHARE, "0.01", minimum="1")], (), CENT)
    forty = (False, "40", False)
    assert paid(table, forty, forty, forty) == amounts("1.00", "0.00", "0.20")


def test_a_maximum_holds_for_the_order() -> None:
    table = FeeTable([fee(SHARE, "0.01", maximum="1")], (), CENT)
    forty = (False, "40", False)
    assert paid(table, forty, forty, forty, forty) == amounts("0.40", "0.40", "0.20", "0.00")


def test_a_flat_fee_comes_with_the_first_fill() -> None:
    table = FeeTable([fee(FLAT, "1", "0.50"), fee(SHARE, "0.01")], (), CENT)
    made = (False, "1.00", True)
    assert paid(table, OPENS, OPENS) == amounts("1.01", "0.01")
    assert paid(table, made, OPENS) == amounts("0.51", "0.01")


def test_the_same_fee_at_both_stages_is_one_fee_of_the_order() -> None:
    """An order that closes the other side and opens its own pays one flat fee, one minimum."""
    for one in (fee(FLAT, "1"), fee(SHARE, "0.01", minimum="1")):
        table = FeeTable([one], [one], CENT)
        assert paid(table, CLOSES, OPENS) == paid(table, OPENS, CLOSES) == amounts("1.00", "0.00")


def test_different_fees_at_the_stages_are_two() -> None:
    table = FeeTable([fee(FLAT, "1")], [fee(FLAT, "2")], CENT)
    assert paid(table, CLOSES, OPENS, CLOSES) == amounts("2.00", "1.00", "0.00")


def test_the_same_fee_twice_at_each_stage_is_two() -> None:
    one = fee(FLAT, "1")
    table = FeeTable([one, one], [one, one], CENT)
    assert paid(table, CLOSES, OPENS) == amounts("2.00", "0.00")
    table = FeeTable([one], [one, one], CENT)
    assert paid(table, OPENS, CLOSES) == amounts("1.00", "1.00")


def test_fees_of_both_stages_are_rounded_once() -> None:
    """0.102 and 0.204: 0.204 up to 0.21, then 0.306 up to 0.31."""
    table = FeeTable([fee(SHARE, "0.001")], [fee(SHARE, "0.001")], CENT)
    assert paid(table, (True, "204", False), (False, "102", False)) == amounts("0.21", "0.10")


def test_a_stage_without_fees_costs_nothing() -> None:
    table = FeeTable([fee(SHARE, "0.01")], (), CENT)
    assert paid(table, CLOSES, OPENS) == amounts("0", "0.01")
    assert (table.charges(False), table.charges(True)) == (True, False)


def test_a_charge_by_itself_has_its_bounds() -> None:
    assert once(fee(SHARE, "0.0000015", minimum="1")) == D("1.00")
    assert once(fee(SHARE, "0.01", maximum="9.995")) == D("10.00")


def test_what_grows_with_an_order_has_no_flat_part_and_no_minimum() -> None:
    share = fee(SHARE, "0.0000015", minimum="1", maximum="9")
    assert proportional((fee(FLAT, "2"), share)) == (fee(SHARE, "0.0000015", maximum="9"),)


def test_a_minimum_above_the_maximum_is_refused() -> None:
    with pytest.raises(FieldError, match=r"^minimum must not be above the maximum 1, is 2"):
        fee(SHARE, "0.01", minimum="2", maximum="1")
    with pytest.raises(FieldError, match=r"^minimum"):
        fee(SHARE, "0.01", minimum="-1")


def test_whether_a_sale_may_cost_more_than_it_brings() -> None:
    for one in (
        fee(FLAT, "1"),
        fee(FeeKind.FLAT_PER_VOLUME, "1"),
        fee(SHARE, "0.6"),
        fee(SHARE, "0.1", "0.6"),
        fee(SHARE, "0.01", minimum="1"),
    ):
        assert FeeTable([one], (), CENT).may_exceed
    assert not FeeTable([fee(SHARE, "0.5")], [fee(FLAT, "1")], CENT).may_exceed
    assert not FeeTable([fee(SHARE, "0.01", "-0.01", maximum="1")], (), CENT).may_exceed


rates = st.decimals(D("-0.01"), D("0.05"), places=5)
bounds = st.none() | st.decimals(D(0), D(3), places=3)


@st.composite
def bounded(draw: st.DrawFn) -> Fee:
    least, most = draw(bounds), draw(bounds)
    if least is not None and most is not None and least > most:
        least, most = most, least
    kind = draw(st.sampled_from([SHARE, FeeKind.FLAT_PER_VOLUME, FLAT, FeeKind.PERCENT_OF_MARGIN]))
    return Fee(kind, abs(draw(rates)), None, least, most)


@given(
    st.lists(bounded(), max_size=3),
    st.lists(st.decimals(D("0.001"), D(100), places=3), min_size=1, max_size=8),
    st.booleans(),
)
def test_however_an_order_is_cut_it_pays_what_one_fill_would(
    fees: list[Fee], parts: list[Decimal], maker: bool
) -> None:
    table = FeeTable(fees, (), CENT)
    sums: FeeSums = ()
    for part in parts:
        before = table.due(sums)
        sums = table.added(sums, False, part, part * 7, part * 2, maker)
        assert table.due(sums) >= before  # without a rebate nothing is ever given back
    whole = sum(parts)
    assert table.due(sums) == table.due(
        table.added((), False, D(whole), D(whole * 7), D(whole * 2), maker)
    )
