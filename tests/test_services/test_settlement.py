"""What fills come to, worked out by hand: rounding is cumulative, and against the account."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.models.fee import Fee, FeeKind
from backtest.services.settlement.amounts import (
    NOTHING,
    Spot,
    Sums,
    buy_reserve,
    close_fee,
    is_dust,
    opened,
    opening_reserve,
    spot_bought,
    spot_sold,
)
from backtest.services.settlement.fees import FeeTable
from backtest.services.settlement.pool import EMPTY

D = Decimal
CENT = D("0.01")
FREE = FeeTable((), (), CENT)
TENTH = FeeTable([Fee(FeeKind.PERCENT_OF_NOTIONAL, D("0.001"))], (), CENT)
LEAST = FeeTable([Fee(FeeKind.PERCENT_OF_NOTIONAL, D("0.001"), None, D(1))], (), CENT)


def steps(precision: int) -> Decimal:
    return D(1).scaleb(-precision)


def buys(
    fills: list[tuple[str, str]], fees: FeeTable = FREE, whole: str = "100", worst: str = "2"
) -> list[Spot]:
    """Fills of one buy of ``whole`` (volume and price each), with all the money there could be."""
    sums, leaves, plans = NOTHING, D(whole), []
    for volume, price in fills:
        rest = leaves - D(volume)
        plan = spot_bought(
            sums,
            D(volume),
            D(price),
            False,
            fees,
            D(10) ** 9,
            lambda _, after, rest=rest: (  # type: ignore[misc]
                buy_reserve(after, rest, D(worst), False, fees) if rest else D(0)
            ),
            D("0.001"),
            False,
        )
        sums, leaves = plan.sums, rest
        plans.append(plan)
    return plans


def sales(fills: list[tuple[str, str]], fees: FeeTable = FREE, free: str = "0") -> list[Spot]:
    sums, plans = NOTHING, []
    leaves = sum((D(volume) for volume, _ in fills), D(0))
    for volume, price in fills:
        plan = spot_sold(sums, D(volume), D(price), False, fees, D(free), leaves)
        sums, leaves = plan.sums, leaves - D(volume)
        plans.append(plan)
    return plans


# -- spot ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("precision", "paid", "got"),
    [
        # Ten fills of 0.004 at 1.00, of which each is worth 0.004.
        (0, "1 0 0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0 0 0"),
        # 0.004 up to 0.01, 0.008, 0.012 up to 0.02, 0.016, 0.020, 0.024 up to 0.03 ...
        (2, "0.01 0 0.01 0 0 0.01 0 0.01 0 0", "0 0 0.01 0 0.01 0 0 0.01 0 0.01"),
        (8, " ".join(["0.004"] * 10), " ".join(["0.004"] * 10)),
        (18, " ".join(["0.004"] * 10), " ".join(["0.004"] * 10)),
    ],
)
def test_ten_fills_in_dust(precision: int, paid: str, got: str) -> None:
    fees = FeeTable((), (), steps(precision))
    bought = [plan.amount for plan in buys([("0.004", "1")] * 10, fees)]
    assert bought == [D(one) for one in paid.split()]
    sold = [plan.amount for plan in sales([("0.004", "1")] * 10, fees)]
    assert sold == [D(one) for one in got.split()]


def test_fills_at_several_prices_are_added_up_exactly() -> None:
    """0.333 at 1.01, 1.02 and 1.03: 0.33633, 0.67599, 1.01898."""
    fills = [("0.333", "1.01"), ("0.333", "1.02"), ("0.333", "1.03")]
    assert [plan.amount for plan in buys(fills)] == [D("0.34"), D("0.34"), D("0.34")]
    assert [plan.amount for plan in sales(fills)] == [D("0.33"), D("0.34"), D("0.34")]


def test_the_reserve_of_a_buy_is_for_all_of_it_less_what_was_posted() -> None:
    """10 at 1.003 are 10.03; fees of 0.1 % on that 0.01003, up to 0.02. After 3 at 1.001, which are
    3.003, posted 3.01 and charged 0.01 (0.003003 up): 3.003 + 7 x 1.003 = 10.024, up to 10.03, less
    3.01; fees 0.010024 up to 0.02, less 0.01."""
    assert buy_reserve(NOTHING, D(10), D("1.003"), False, TENTH) == D("10.05")
    (plan,) = buys([("3", "1.001")], TENTH)
    assert (plan.amount, plan.fee) == (D("3.01"), D("0.01"))
    assert buy_reserve(plan.sums, D(7), D("1.003"), False, TENTH) == D("7.03")


def test_the_reserve_has_the_unpaid_minimum() -> None:
    """A minimum of 1, of which the first fill pays all."""
    assert buy_reserve(NOTHING, D(10), D(100), False, LEAST) == D(1001)
    (plan,) = buys([("1", "100")], LEAST)
    assert plan.fee == 1
    assert buy_reserve(plan.sums, D(9), D(100), False, LEAST) == D(900)


def test_a_rebate_does_not_make_a_reserve_negative() -> None:
    table = FeeTable([Fee(FeeKind.PERCENT_OF_NOTIONAL, D(0), D("-2"))], (), CENT)
    assert buy_reserve(NOTHING, D(1), D(1), True, table) == 0


def test_a_buy_fills_as_far_as_the_money_goes() -> None:
    """With 2.01 there are 2.004 at 1.003: 2.010012 is too much, 2.003 x 1.003 = 2.009009 is not."""
    plan = spot_bought(
        NOTHING, D(3), D("1.003"), False, FREE, D("2.01"), lambda *_: D(0), D("0.001"), False
    )
    assert (plan.volume, plan.amount) == (D("2.003"), D("2.01"))
    whole = spot_bought(
        NOTHING, D(3), D("1.003"), False, FREE, D("2.01"), lambda *_: D(0), D("0.001"), True
    )
    assert (whole.volume, whole.sums) == (D(0), NOTHING)


def test_what_a_sale_cannot_pay_stays_due_and_the_last_leaves_it_to_the_insurance() -> None:
    """A minimum of 1; three sales bring 0.40 each: 0.40 are paid, 0.40, and the rest of 0.20."""
    assert [plan.fee for plan in sales([("0.4", "1")] * 3, LEAST)] == [
        D("0.40"),
        D("0.40"),
        D("0.20"),
    ]
    two = sales([("0.4", "1")] * 2, LEAST)
    # 0.40 and 0.40 of the minimum of 1: 0.20 are left
    assert [(plan.fee, plan.uncovered) for plan in two] == [
        (D("0.40"), D(0)),
        (D("0.60"), D("0.20")),
    ]
    assert [plan.fee for plan in sales([("0.4", "1")] * 2, LEAST, free="5")] == [D(1), D(0)]


def test_dust_is_what_comes_to_less_than_a_step() -> None:
    assert is_dust(True, NOTHING, D("0.009"), D(1), CENT)
    assert not is_dust(True, NOTHING, D("0.01"), D(1), CENT)
    # of a buy all of it counts
    assert not is_dust(True, Sums(D("0.006"), CENT, (), D(0)), D("0.004"), D(1), CENT)
    # of a sell what it adds: 0.014 posted as 0.01, 0.005 more make 0.019, 0.006 make 0.02
    sold = Sums(D("0.014"), CENT, (), D(0))
    assert is_dust(False, sold, D("0.005"), D(1), CENT)
    assert not is_dust(False, sold, D("0.006"), D(1), CENT)


# -- positions -------------------------------------------------------------------------------------


def pnls(closes: list[tuple[str, str]], sign: int = 1, precision: int = 2) -> list[Decimal]:
    """The PnL of each close of a position filled at 100, by volume and price."""
    pool, found = EMPTY.filled(D(1), D(100), D(10), D(1)), []
    for volume, price in closes:
        pool = pool.closing(sign > 0, D(price), D(volume), D(1), steps(precision), isolated=True)
        taken = pool.closed(sign > 0, D(price), D(volume), D(1), steps(precision))
        pool = taken.rest
        found.append(taken.pnl)
    return found


@pytest.mark.parametrize(
    ("precision", "gained", "lost"),
    [
        (0, "0 0 1", "-1 0 0"),
        (2, "0.33 0.33 0.34", "-0.34 -0.33 -0.33"),
        (8, "0.333 0.333 0.334", "-0.333 -0.333 -0.334"),
    ],
)
def test_a_position_closed_in_thirds(precision: int, gained: str, lost: str) -> None:
    """0.333, 0.333 and 0.334 of 1, each a dollar higher or lower than it was filled."""
    up = [("0.333", "101"), ("0.333", "101"), ("0.334", "101")]
    down = [("0.333", "99"), ("0.333", "99"), ("0.334", "99")]
    assert pnls(up, 1, precision) == pnls(down, -1, precision) == [D(x) for x in gained.split()]
    assert pnls(down, 1, precision) == pnls(up, -1, precision) == [D(x) for x in lost.split()]


def test_a_close_is_charged_by_the_sums_of_the_order_that_closes() -> None:
    both = FeeTable((), [Fee(FeeKind.FLAT_PER_TRADE, D(2))], CENT)
    first, sums = close_fee(NOTHING, D(1), D(100), D(10), False, both)
    second, _ = close_fee(sums, D(1), D(100), D(10), False, both)
    assert (first, second) == (D(2), D(0))


def _margin(volume: Decimal, price: Decimal, before: Decimal) -> tuple[Decimal, Decimal]:
    basis = before + volume * price
    return basis, (basis / 8).quantize(CENT, ROUND_CEILING)


def _exact_margin(volume: Decimal, price: Decimal) -> Decimal:
    return volume * price / 8


def test_a_fee_on_margin_is_of_the_exact_margin() -> None:
    """Twice 0.1 at 1 with a leverage of 8: 0.0125 of margin each, 100 % of which is 0.0125, up to
    0.02, and 0.025, up to 0.03. So is the margin of both."""
    table = FeeTable([Fee(FeeKind.PERCENT_OF_MARGIN, D(1))], (), CENT)
    sums, fees, margins = NOTHING, [], []
    for _ in range(2):
        plan = opened(
            sums, D("0.1"), D(1), False, table, D(9), lambda *_: D(0), _margin, _exact_margin, D(1),
            None, D("0.001"), False,
        )  # fmt: skip
        sums = plan.sums
        fees.append(plan.fee)
        margins.append(plan.margin)
    assert margins == [D("0.02"), D("0.01")]
    assert fees == [D("0.02"), D("0.01")]
    assert opening_reserve(sums, D(1), D("0.15"), D(1), D("0.125"), False, table) == D("0.24")


# -- whatever the fills ----------------------------------------------------------------------------

volumes = st.lists(st.decimals(D("0.001"), D(3), places=3), min_size=1, max_size=10)
prices = st.decimals(D("0.001"), D("2"), places=3)
precisions = st.sampled_from([0, 2, 3, 8])
tables = st.builds(
    Fee,
    st.sampled_from([FeeKind.PERCENT_OF_NOTIONAL, FeeKind.FLAT_PER_TRADE, FeeKind.FLAT_PER_VOLUME]),
    st.decimals(D(0), D("0.1"), places=4),
    st.none(),
    st.none() | st.decimals(D(0), D("0.05"), places=3),
    st.none() | st.decimals(D("0.05"), D(1), places=3),
)


@given(volumes, prices, precisions, tables)
def test_an_order_in_parts_pays_and_gets_what_one_fill_would(
    parts: list[Decimal], price: Decimal, precision: int, fee: Fee
) -> None:
    fees = FeeTable([fee], (), steps(precision))
    whole = str(sum(parts))
    bought = buys([(str(part), str(price)) for part in parts], fees, whole)
    (one,) = buys([(whole, str(price))], fees, whole)
    assert sum(plan.amount for plan in bought) == one.amount
    assert sum(plan.fee for plan in bought) == one.fee
    sold = sales([(str(part), str(price)) for part in parts], fees, free="1000")
    (one,) = sales([(whole, str(price))], fees, free="1000")
    assert sum(plan.amount for plan in sold) == one.amount
    assert sum(plan.fee for plan in sold) == one.fee


@given(st.lists(st.tuples(volumes.map(lambda v: v[0]), prices), min_size=1, max_size=8), precisions)
def test_no_sequence_of_fills_gains_by_rounding(
    fills: list[tuple[Decimal, Decimal]], precision: int
) -> None:
    step = steps(precision)
    fees = FeeTable((), (), step)
    told = [(str(volume), str(price)) for volume, price in fills]
    exact, paid, got = D(0), D(0), D(0)
    for (volume, price), buy, sale in zip(fills, buys(told, fees), sales(told, fees), strict=True):
        exact += volume * price
        paid += buy.amount
        got += sale.amount
        assert exact <= paid < exact + step
        assert exact - step < got <= exact


@given(
    st.lists(st.tuples(volumes.map(lambda v: v[0]), prices), min_size=1, max_size=8),
    precisions,
    tables,
)
def test_no_fill_at_the_worst_price_or_better_needs_more_than_its_share(
    fills: list[tuple[Decimal, Decimal]], precision: int, fee: Fee
) -> None:
    """With nothing available but the reserve, all fills; and in the end nothing is reserved."""
    fees = FeeTable([fee], (), steps(precision))
    leaves = sum((volume for volume, _ in fills), D(0))
    sums = NOTHING
    reserved = buy_reserve(sums, leaves, D(2), False, fees)
    for volume, price in fills:
        rest = leaves - volume

        def keeps(some: Decimal, after: Sums, leaves: Decimal = leaves) -> Decimal:
            left = leaves - some
            return buy_reserve(after, left, D(2), False, fees) if left else D(0)

        plan = spot_bought(sums, volume, price, False, fees, reserved, keeps, D("0.001"), False)
        assert plan.volume == volume
        assert plan.kept == keeps(volume, plan.sums)
        assert plan.amount + plan.fee + plan.kept <= reserved
        sums, leaves, reserved = plan.sums, rest, plan.kept
    assert reserved == 0


@given(
    st.lists(st.tuples(volumes.map(lambda v: v[0]), prices), min_size=1, max_size=8),
    precisions,
    st.sampled_from([1, -1]),
)
def test_closes_come_to_the_whole_rounded_down_once(
    closes: list[tuple[Decimal, Decimal]], precision: int, sign: int
) -> None:
    told = [(str(volume), str(price)) for volume, price in closes]
    exact = sum(((price - 100) * volume * sign for volume, price in closes), D(0))
    assert sum(pnls(told, sign, precision)) == exact.quantize(steps(precision), ROUND_FLOOR)
