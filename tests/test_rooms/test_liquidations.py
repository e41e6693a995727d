"""Liquidations: (positions, rules, bar) -> what goes, at which price, and who pays."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.harness import bar, pair_of
from tests.room import Room, long, short
from tests.test_rooms.test_fills import NETS, both, net, posted, room, standing

D = Decimal
TIERS = {
    "maintenance_tiers": [
        {"up_to": "150", "rate": "0.01"},
        {"rate": "0.02"},
    ]
}


@pytest.mark.parametrize(
    ("side", "rules", "level"),
    [
        # 2 at 100 with 20: (200 - 20) / 2 and (200 + 20) / 2
        (long, {}, "90"),
        (short, {}, "110"),
        # ... / (2 x 0.99) = 90.909 down, ... / (2 x 1.01) = 108.910.. up
        (long, {"maintenance_rate": "0.01"}, "90.9"),
        (short, {"maintenance_rate": "0.01"}, "108.92"),
        # At either level it is worth more than 150: 2 %, less 1.5 (1 % of 150, that is) of amount.
        # (180 - 1.5) / 1.96 = 91.071.., (220 + 1.5) / 2.04 = 108.578..
        (long, TIERS, "91.07"),
        (short, TIERS, "108.58"),
    ],
)
def test_at_which_price_a_position_is_liquidated(
    side: Any, rules: dict[str, Any], level: str
) -> None:
    made = room(rules)
    made.do(side(2, limit=100, leverage=10))
    made.bar(bar(1, 100))
    assert standing(made)[0][-1] == level


def test_tiers_go_by_all_of_the_position() -> None:
    """1 at 100 is worth less than 150 at its level: (100 - 10) / 0.99 = 90.909; with 1 at 95 more
    it is in the second: (195 - 19.5 - 1.5) / 1.96 = 88.775.."""
    made = room(TIERS, accounts=NETS)
    made.do(long(1, limit=100, leverage=10))
    made.bar(bar(1, 100))
    assert standing(made) == [("long", "1", "100", "10", "90.9")]
    made.do(long(1, limit=95, leverage=10))
    made.bar(bar(2, 95))
    assert standing(made) == [("long", "2", "195", "19.5", "88.77")]


def test_all_lots_go_at_once_in_one_entry() -> None:
    """At 87.75 the 2 have lost 19.5: 87.75 - 97.5 each."""
    made = net()
    before = len(made.ledger.entries)
    assert made.bar(bar(3, 95, 95, 85, 90)) == [
        "RETURN_MARGIN USD 9.75 -9.75",
        "CLOSE_PNL USD -9.75 0",
        "RETURN_MARGIN USD 9.75 -9.75",
        "CLOSE_PNL USD -9.75 0",
        "LIQUIDATED",
        "LIQUIDATED",
    ]
    assert len(made.ledger.entries) == before + 1
    assert made.positions() == []
    assert made.house("insurance") == 0
    fills = made.venue.records.fills[-2:]
    assert [(one.price, one.volume) for one in fills] == [both("87.75", 1)] * 2


def test_volume_does_not_limit_a_liquidation() -> None:
    made = net()
    made.bar(bar(3, 95, 95, 85, 90, volume="0.001"))
    assert made.positions() == []


def test_a_gap_beyond_is_the_insurances() -> None:
    """At 80 the 2 have lost 35 of 19.5."""
    made = net()
    made.bar(bar(3, 80))
    assert made.house("insurance") == D("-15.5")
    assert made.money() == both(D("980.5"), 0)


def test_what_was_to_close_its_lots_closes_nothing_any_more() -> None:
    """A limit close of the first lot, a stop close of the second, both in vain."""
    made = net()
    first, second = (lot.branch for lot in made.positions()[0].lots)
    made.close(first, limit_price=120)
    made.close(second, stop_price=80)
    lines = made.bar(bar(3, 95, 95, 70, 90))
    assert [line for line in lines if "USD" not in line] == [
        "LIQUIDATED",
        "CLOSE_CANCELLED ALREADY_DONE",
        "LIQUIDATED",
        "CLOSE_CANCELLED ALREADY_DONE",
    ]
    assert made.bar(bar(4, 70, 130, 60, 90)) == []


def test_a_stop_loss_of_a_lot_moves_the_level_of_the_rest_inside_the_bar() -> None:
    """1 at 100 with a stop-loss at 93, 1 at 95, each close costs 10, 0.5 is available. At 93 the
    first has lost 4.5 (97.5 is the average) and brings 5.25; 4.25 of its fee come from the margin
    of the other, which is liquidated at 97.5 - 5.5 then."""
    made = room({"fees": {"close": {"flat_per_trade": "10"}}}, cash="20", accounts=NETS)
    made.do(long(1, limit=100, leverage=10, stop_loss=93))
    made.bar(bar(1, 100))
    made.do(long(1, limit=95, leverage=10))
    made.bar(bar(2, 95))
    lines = made.bar(bar(3, 95, 95, 91, 94))
    # There the other has lost all that it has: its own fee is the insurance's.
    assert lines == [
        "RETURN_MARGIN USD 14 -14",
        "CLOSE_PNL USD -4.5 0",
        "FEE_CLOSE USD -10 0",
        "RETURN_MARGIN USD 5.5 -5.5",
        "CLOSE_PNL USD -5.5 0",
        "FEE_CLOSE USD -10 0",
        "ADJUSTMENT USD 10 0",
        "CLOSED",
        "LIQUIDATED",
        "BANKRUPTCY",
    ]
    assert made.money() == both(0, 0)
    assert made.house("insurance") == -10


@pytest.mark.parametrize(
    ("fee", "back", "insured"),
    [
        # 3 at 100 (30 of margin) in lots of 1 and 2, liquidated at 90.9 for 272.7: PnL -27.3.
        # What is left of 2.7 after the fee returns.
        ({"percent_of_notional": "0.005"}, "1.33", "0"),  # 1.3635, up: 1.37
        ({"flat_per_trade": "2.7"}, "0", "0"),
        ({"flat_per_trade": "3"}, "0", "-0.3"),
        ({"percent_of_notional": "0.02"}, "0", "-2.76"),  # 5.454 up, for 2.7
    ],
)
def test_the_fee_of_a_liquidation_is_paid_from_its_margin_alone(
    fee: dict[str, str], back: str, insured: str
) -> None:
    made = room({"fees": {"close": fee}, "maintenance_rate": "0.01"}, accounts=NETS)
    for number, volume in ((1, 1), (2, 2)):
        made.do(long(volume, limit=100, leverage=10))
        made.bar(bar(number, 100))
    assert made.money() == both(970, 30)
    made.bar(bar(3, 100, 100, 90, 95))
    assert made.money() == both(970 + D(back), 0)
    assert made.house("insurance") == D(insured)


def test_what_one_lot_leaves_pays_for_the_next_before_the_insurance() -> None:
    """In whole dollars: 0.6, 0.9 and 0.5 at 100 have 20; at 90.72 they have lost 18.56, or 19, and
    1 is left, for a fee of 0.36, or 1. Lot by lot PnL is -6, -8 and -5 (5.57, 13.92, 18.56), margin
    6, 8 and 6, the fee 1, 0 and 0: the first has nothing for it, the last has 1."""
    made = Room(
        {"fees": {"close": {"percent_of_notional": "0.002"}}, "maintenance_rate": "0.008"},
        accounts=NETS,
        pairs=[pair_of(precision=0)],
    )
    made.at(100)
    for number, volume in enumerate(("0.6", "0.9", "0.5"), 1):
        made.do(long(volume, limit=100, leverage=10))
        made.bar(bar(number, 100))
    assert standing(made) == [("long", "2", "200", "20", "90.72")]
    lines = made.bar(bar(4, 100, 100, 90, 95))
    assert posted(lines, "FEE", "ADJ") == ["FEE_CLOSE USD -1 0"]
    assert made.money() == both(980, 0)
    assert made.house("insurance") == 0


def test_a_liquidation_of_several_lots_is_charged_as_one_order() -> None:
    made = net(fees={"close": {"flat_per_trade": "1"}}, maintenance_rate="0.01")
    lines = made.bar(bar(3, 95, 95, 85, 90))
    assert posted(lines, "FEE") == ["FEE_CLOSE USD -1 0"]
