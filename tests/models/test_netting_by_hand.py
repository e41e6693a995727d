"""What netting accounts and positions of several fills come to, worked out by hand: the model on
bars against numbers in comments. A lot of 1, ticks and money of 0.01 where nothing else is said.
"""

from __future__ import annotations

from decimal import Decimal as D

from tests.models.bar_run import expect
from tests.models.by_hand import (
    FEE,
    PNL,
    PRICE,
    VOLUME,
    answers,
    close,
    column,
    long,
    money,
    run,
    short,
)

TWO = (long(1, "a", "1"), long(2, "b", "1"))
"""On bars of 100, 100 and 95: 1 at 100 and 1 at 95."""


# -- adding ----------------------------------------------------------------------------------------


def test_two_orders_are_one_position_with_one_level() -> None:
    found = run([100, 100, 95, 95], *TWO)
    # margin 10.00 + 9.50; (100 + 95 - 19.50) / 2 = 87.75
    assert money(found, 3) == [D("980.50"), D("19.50")]
    assert found["levels"][3] == {"a": [D("87.75"), D(1)], "b": [D("87.75"), D(1)]}


def test_a_lot_that_closes_takes_the_average_and_its_share_of_the_margin() -> None:
    found = run([100, 100, 95, 90, 90], *TWO, close(3, "a"))
    # average 97.50: 90 - 97.50 = -7.50; margin back 19.50 / 2; (97.50 - 9.75) / 1 = 87.75
    assert column(found, "close", PNL) == [D("-7.50")]
    assert money(found, 4) == [D("982.75"), D("9.75")]
    assert found["levels"][4] == {"b": [D("87.75"), D(1)]}
    assert found["equity"] == 985  # 1000 + (90 - 100) + (90 - 95)


def test_a_whole_position_is_liquidated_and_what_it_lacks_is_the_insurances() -> None:
    found = run([100, 100, 95, (90, 90, 80, 80)], *TWO)
    # 2 x 87.75 - 195 = -19.50: all of the margin
    assert column(found, "liquidation", PRICE) == [D("87.75")]
    assert column(found, "liquidation", PNL) == [D("-19.50")]
    assert (money(found, 3), found["insurance"]) == ([D("980.50"), D(0)], D(0))
    found = run([100, 100, 95, 80], *TWO)
    # 2 x 80 - 195 = -35, of which 19.50 are there
    assert column(found, "liquidation", PNL) == [D(-35)]
    assert (money(found, 3), found["insurance"]) == ([D("980.50"), D(0)], D("-15.50"))


def test_adding_moves_the_level_inside_the_bar() -> None:
    found = run(
        [100, 100, (100, 100, 91, 92)],
        long(1, "a", "1"),
        long(2, "b", "4", limit_price="92", leverage="50"),
    )
    # 1 at 100 (10.00, level 90), 4 at 92 (7.36): (468 - 17.36) / 5 = 90.128, down 90.12
    assert found["levels"][2]["a"] == [D("90.12"), D(5 - 4)]
    found = run(
        [100, 100, (100, 100, 91, 92)],
        long(1, "a", "1"),
        long(2, "b", "8", limit_price="92", leverage="100"),
        rules={"maintenance_rate": "0.01"},
    )
    # 8 at 92 (7.36): 9 for 836 with 17.36; (836 - 17.36) / (9 x 0.99) = 91.8788, down 91.87
    assert column(found, "liquidation", PRICE) == [D("91.87")]
    found = run(
        [100, 100, (100, 100, 91, 92)],
        long(1, "a", "1", leverage="4"),
        long(2, "b", "8", limit_price="92", leverage="100"),
        rules={"maintenance_rate": "0.04"},
    )
    # (836 - 25 - 7.36) / (9 x 0.96) = 93.01: the price is 92 already
    assert column(found, "liquidation", PRICE) == [D(92)]


# -- reducing --------------------------------------------------------------------------------------


def test_an_opposite_order_closes_in_parts_and_rounding_gives_nothing_away() -> None:
    found = run(
        [100, 100, 101, 101, 101, 101],
        long(1, "a", "1"),
        long(2, "b", "2"),
        *(short(number, name, "1") for number, name in ((3, "c"), (4, "d"), (5, "e"))),
    )
    # 302 for 3; margin 10.00 + 20.20. A third of 1.00 each: 0.33, 0.66 - 0.33, 1.00 - 0.66.
    assert column(found, "netting", PNL) == [D("0.33"), D("0.33"), D("0.34")]
    # Back: 30.20 / 3 = 10.0666, down; 20.14 / 2 = 10.07; the rest
    assert money(found, 3) == [D("980.19"), D("20.14")]
    assert money(found, 4) == [D("990.59"), D("10.07")]
    assert money(found, 5) == [D("1001.00"), D(0)]
    assert found["orders"]["c"] == [D(1), D(0), D(0), None]


def test_opposite_fills_take_the_oldest_lot_and_its_protection_goes_with_it() -> None:
    found = run(
        [100, 100, 100, 100, (100, 100, 94, 95)],
        long(1, "a", "1", stop_loss="97"),
        long(2, "b", "2", stop_loss="95"),
        short(3, "c", "2"),
    )
    # a is gone, and one of b: its stop-loss closes what is left of it
    assert found["levels"][3] == {"b": [D("90"), D(1)]}
    assert column(found, "stop_loss", PRICE) == [D(95)]
    assert column(found, "stop_loss", VOLUME) == [D(1)]


def test_the_oldest_lot_is_the_fill_that_came_first() -> None:
    # a fills 1 on the first bar; then b, bought at a better limit, before the rest of a
    found = run(
        [100, (100, 100, 100, 100, 1), (100, 100, 100, 100, 2), (100, 100, 100, 100, 2)],
        long(1, "a", "2", limit_price="100"),
        long(2, "b", "1", limit_price="101"),
        short(3, "c", "2"),
    )
    assert [row[1] for row in found["fills"] if row[2] == "entry"] == ["a", "b", "a"]
    assert found["levels"][3] == {"a": [D("90"), D(1)]}


def test_a_limit_that_reduces_reserves_nothing_and_what_exceeds_it_does() -> None:
    found = run(
        [100, 100, 100, 100],
        long(1, "a", "3"),
        short(2, "b", "2", limit_price="110"),
        short(3, "c", "2", limit_price="110"),
    )
    # b takes 2 of the 3; c has 1 to close and reserves for the other: 110 / 10
    assert money(found, 2) == [D(970), D(30)]
    assert found["final"]["main USD"] == [D(959), D(41)]


def test_reduce_only_closes_what_is_there_and_the_rest_is_cancelled() -> None:
    found = run(
        [100, 100, 100, (100, 106, 100, 105)],
        long(1, "a", "2"),
        short(3, "b", "5", limit_price="105", reduce_only=True),
    )
    assert column(found, "netting", PNL) == [D(10)]
    assert found["ends"] == {"b": [["REDUCE_ONLY", D(3)]]}
    assert found["final"]["main USD"] == [D(1010), D(0)]


def test_reduce_only_keeps_what_volume_alone_left_open() -> None:
    found = run(
        [100, 100, (105, 105, 105, 105, 1)],
        long(1, "a", "2"),
        short(2, "b", "5", limit_price="105", reduce_only=True),
    )
    # 2 are there: 3 are too many, 1 has filled, 1 waits for the next bar's volume
    assert found["ends"] == {"b": [["REDUCE_ONLY", D(3)]]}
    assert found["orders"]["b"] == [D(1), D(1), D(0), "REDUCE_ONLY"]


def test_a_close_that_came_first_gets_the_volume_first() -> None:
    found = run(
        [100, 100, (100, 100, 100, 100, 2), (100, 100, 100, 100, 2)],
        long(1, "a", "2"),
        close(2, "a"),
        short(2, "b", "2", reduce_only=True),
    )
    assert [(row[1], row[2], row[VOLUME]) for row in found["fills"][1:]] == [("a", "close", D(2))]
    assert found["ends"] == {"b": [["REDUCE_ONLY", D(2)]]}


# -- reversing -------------------------------------------------------------------------------------

NINE = long(1, "a", "9", leverage="1")
"""At 100: 900 of margin, 100 available."""


def test_a_reversal_is_accepted_against_what_it_frees() -> None:
    found = run([100, 100, 100, 100], NINE, short(2, "b", "18", leverage="1"))
    # 900 for the other 9: 100 available + 900 margin + 0
    assert answers(found) == ["ok", "ok"]
    assert money(found, 2) == [D(100), D(900)]
    assert found["levels"][2] == {"b": [D(200), D(9)]}
    assert found["orders"]["b"] == [D(18), D(0), D(9), None]
    found = run([100, 100, 100, 100], NINE, short(2, "b", "20", leverage="1"))
    assert answers(found) == ["ok", "INSUFFICIENT_FUNDS"]  # 1100 > 1000


def test_a_reversal_counts_pnl_at_the_last_mark_less_the_close_fee() -> None:
    fees = {"fees": {"close": {"percent_of_notional": "0.01"}}}
    found = run([100, (100, 110, 100, 110), 110], NINE, short(2, "b", "18", leverage="1"))
    # 990 for 9 at 110: 100 + 900 + 90
    assert answers(found) == ["ok", "ok"]
    found = run([100, (100, 110, 100, 110)], NINE, short(2, "b", "19", leverage="1"), rules=fees)
    # 1100 for 10: 100 + 900 + 90 - 9.90
    assert answers(found) == ["ok", "INSUFFICIENT_FUNDS"]
    found = run(
        [100, (100, 110, 100, 110), 110], NINE, short(2, "b", "18", leverage="1"), rules=fees
    )
    # 990 for 9; 1080.10 are there
    assert money(found, 2) == [D("90.10"), D(990)]


def test_what_a_reversal_cannot_open_is_cancelled() -> None:
    # 9 at 100, leverage 10: margin 90, available 10; a short of 19 needs 100 for its other 10
    given = long(1, "a", "9"), short(2, "b", "19")
    found = run([100, 100, 95], *given, usd="100")
    # at 95 the close brings 90 - 45, beside the 10 reserved: 55, and 9.50 each is 5
    assert answers(found) == ["ok", "ok"]
    assert found["orders"]["b"] == [D(14), D(0), D(5), "INSUFFICIENT_FUNDS"]
    assert found["ends"] == {"b": [["INSUFFICIENT_FUNDS", D(5)]]}
    assert money(found, 2) == [D("7.50"), D("47.50")]
    all_or_none = short(2, "b", "19", time_in_force="FOK")
    found = run([100, 100, 95], given[0], all_or_none, usd="100")
    assert found["ends"] == {"b": [["INSUFFICIENT_FUNDS", D(19)]]}
    assert found["levels"][2] == {"a": [D("90"), D(9)]}
    assert money(found, 2) == [D(10), D(90)]


def test_the_other_side_begins_anew() -> None:
    found = run([100, 100, 110, 105], long(1, "a", "2"), short(2, "b", "3"), long(3, "c", "1"))
    # 2 close at 110: 20; 1 opens at 110 with 11.00, level 121; closed at 105: 5
    assert column(found, "netting", PNL) == [D(20), D(5)]
    assert found["levels"][2] == {"b": [D(121), D(1)]}
    assert found["final"]["main USD"] == [D(1025), D(0)]


# -- fees ------------------------------------------------------------------------------------------


def test_a_minimum_holds_for_what_an_order_closes_and_opens_together() -> None:
    fee = {"percent_of_notional": "0.001", "minimum": "1"}
    found = run(
        [100, 100, 100, 110],
        long(1, "a", "1"),
        long(2, "b", "1"),
        short(3, "c", "3"),
        rules={"fees": {"fill": fee, "close": fee}},
    )
    # 0.10 each, at least 1; 0.22 for what closes, at least 1; 0.33 for all, which is less
    assert column(found, "entry", FEE) == [D(1), D(1), D(0)]
    assert column(found, "netting", FEE) == [D(1)]


def test_a_flat_fee_is_that_of_an_order_and_a_close_of_its_own_pays_its_own() -> None:
    fee = {"flat_per_trade": "0.50"}
    found = run(
        [100, 100, 100, 100, 100],
        *TWO,
        close(3, "b"),
        short(4, "c", "2"),
        rules={"fees": {"fill": fee, "close": fee}},
    )
    assert column(found, "close", FEE) == [D("0.50")]
    assert column(found, "netting", FEE) == [D("0.50")]
    assert column(found, "entry", FEE) == [D("0.50"), D("0.50"), D(0)]


def test_a_fee_that_available_cannot_pay_is_taken_from_what_remains_open() -> None:
    # 10 at 100, all 100 are margin; 1 closed at 92: 10 - 8 = 2, and of 20 that leaves 18
    found = run(
        [100, 100, (92, 92, 92, 92)],
        long(1, "a", "10"),
        close(2, "a", volume="1"),
        usd="100",
        rules={"market_buffer": "0", "fees": {"close": {"flat_per_trade": "20"}}},
    )
    # 90 - 18 = 72: (900 - 72) / 9 = 92 is reached at once; all of it is lost, and the fee
    assert column(found, "close", FEE) == [D(20)]
    assert column(found, "liquidation", PRICE) == [D(92)]
    assert column(found, "liquidation", PNL) == [D(-72)]
    assert (money(found, 2), found["insurance"]) == ([D(0), D(0)], D(-20))


def test_a_loss_beyond_its_share_is_taken_from_the_rest_of_the_margin() -> None:
    found = run(
        [100, 100, (100, 100, 91, 91)],
        long(1, "a", "3", limit_price="100"),
        close(2, "a", volume="1", stop_price="92"),
        rules={"slippage": "3", "slippage_beyond_bar": True},
    )
    # at 89: -11, and the share is 10; 1 of the other 20: (200 - 19) / 2 = 90.50
    assert column(found, "close", PNL) == [D(-11)]
    assert money(found, 2) == [D(970), D(19)]
    assert found["levels"][2] == {"a": [D("90.50"), D(2)]}


# -- maintenance and charges -----------------------------------------------------------------------


def test_tiers_go_by_the_pooled_notional() -> None:
    tiers = {"maintenance_tiers": [["150", "0.005"], ["400", "0.01"], [None, "0.03"]]}
    found = run([100, 100, 100], long(1, "a", "1"), rules=tiers)
    # (100 - 10) / 0.995 = 90.4522
    assert found["levels"][1] == {"a": [D("90.45"), D(1)]}
    found = run([100, 100, 100], long(1, "a", "1"), long(2, "b", "1"), rules=tiers)
    # 0.01 less 150 x 0.005 = 0.75: (200 - 20 - 0.75) / (2 x 0.99) = 90.5303
    assert found["levels"][2] == {"a": [D("90.53"), D(1)], "b": [D("90.53"), D(1)]}
    found = run([100, 100, 100], short(1, "a", "1"), short(2, "b", "1"), rules=tiers)
    # (200 + 20 + 0.75) / (2 x 1.01) = 109.2822, up
    assert found["levels"][2]["a"] == [D("109.29"), D(1)]


def test_funding_is_paid_once_on_all_that_is_open() -> None:
    found = run(
        [100, 100, 95, 95, 95],
        *TWO,
        rules={"funding": {"rate": "0.0037", "every": "180s"}},
    )
    # at 180 s on the mark of 95: 190 x 0.0037 = 0.703, up; each by itself would pay 0.36
    assert money(found, 3) == [D("979.79"), D("19.50")]


def test_a_flat_fee_of_the_night_is_paid_once() -> None:
    # the third bar ends at midnight
    found = expect(
        {
            "pair": {"price": "0.01", "volume": "1", "quote": 2},
            "rules": {
                "path": "open_high_low_close",
                "fees": {"overnight_filled": {"flat_per_trade": "3"}},
                "rollover_ns": 0,
            },
            "cash": {"main": {"USD": "1000", "BTC": "0"}},
            "bars": [[86_400 + at, *["100"] * 4, None] for at in (-180, -120, -60, 0)],
            "commands": [
                [86_280, "long", "a", {"volume": "1", "leverage": "10"}],
                [86_340, "long", "b", {"volume": "1", "leverage": "10"}],
            ],
            "netting": True,
        }
    )
    assert money(found, 3) == [D("977.00"), D("20.00")]


# -- protections and splits ------------------------------------------------------------------------


def test_a_protection_closes_its_own_lot_at_the_average() -> None:
    found = run(
        [100, 100, 96, (96, 96, 94, 96), (96, 105, 96, 105)],
        long(1, "a", "1", take_profit="104"),
        long(2, "b", "1", stop_loss="95"),
    )
    # 196 for 2: 95 - 98, then 104 - 98; margin 10.00 + 9.60, halves of 9.80
    assert [(row[1], row[PRICE], row[PNL]) for row in found["fills"][2:]] == [
        ("b", D(95), D(-3)),
        ("a", D(104), D(6)),
    ]
    assert money(found, 3) == [D("987.20"), D("9.80")]
    assert found["final"]["main USD"] == [D(1003), D(0)]


def test_a_split_divides_a_lot_and_not_the_margin() -> None:
    found = run(
        ["100.01", "100.01", "100.01", "100.01", (100, 104, 100, 104)],
        long(1, "a", "3", take_profit="104"),
        (2, "split", "a", {"volumes": ["1", "2"]}),
        close(3, "a.0"),
        (4, "modify", "a.1", {"take_profit": "103"}),
    )
    # 300.03 / 10, up: 30.01; back 10.0033, down, then the rest
    assert money(found, 1) == [D("969.99"), D("30.01")]
    assert money(found, 2) == [D("969.99"), D("30.01")]
    assert money(found, 3) == [D("979.99"), D("20.01")]
    # 2 x 103 - 200.02
    assert [(row[1], row[PRICE], row[PNL]) for row in found["fills"][2:]] == [
        ("a.1", D(103), D("5.98"))
    ]
    assert found["final"]["main USD"] == [D("1005.98"), D(0)]


def test_parts_of_a_split_stand_where_the_lot_stood() -> None:
    found = run(
        [100, 100, 100, 100, 100],
        long(1, "a", "3"),
        long(2, "b", "1"),
        (3, "split", "a", {"volumes": ["2", "1"]}),
        short(4, "c", "3"),
    )
    assert found["levels"][4] == {"b": [D(90), D(1)]}


# -- one order, several fills, on a hedging account ------------------------------------------------


def test_all_fills_of_an_order_have_one_margin_rounded_once() -> None:
    parts = [("1.00", "1.00", "1.00", "1.00", "0.004")] * 5
    found = run(["1.00", *parts], long(1, "a", "0.02", leverage="1"), volume="0.004", netting=False)
    # 0.004, 0.008, 0.012, 0.016, 0.020, each rounded up
    held = [D("0.01"), D("0.01"), D("0.02"), D("0.02"), D("0.02")]
    assert [found["levels"][at]["a"][1] for at in (1, 5)] == [D("0.004"), D("0.02")]
    assert column(found, "entry", VOLUME) == [D("0.004")] * 5
    assert found["final"]["main USD"] == [1000 - held[-1], held[-1]]


def test_closes_count_on_over_the_fills_of_an_order() -> None:
    # 7 on bars of 2 and then more: two closes of 2 leave 3, and a flat fee is paid by each once
    found = run(
        [100, (100, 100, 100, 100, 2), (102, 102, 102, 102, 9), 103, 104],
        long(1, "a", "7"),
        close(3, "a", volume="2"),
        close(4, "a", volume="2"),
        netting=False,
        rules={"fees": {"close": {"flat_per_trade": "1"}}},
    )
    # 200 + 510 for 7: 206 - 202.8571 = 3.142857, down; 414 - 405.714285 = 8.2857, less 3.14
    assert column(found, "close", PNL) == [D("3.14"), D("5.14")]
    assert column(found, "close", FEE) == [D(1), D(1)]
    assert found["orders"]["a"] == [D(7), D(0), D(3), None]
    # margin 71.00: 20.2857 down; 50.72 x 2 / 5 = 20.288 down
    # 929 + 20.28 + 3.14 - 1 + 20.28 + 5.14 - 1
    assert money(found, 4) == [D("975.84"), D("30.44")]


def test_a_protection_of_several_fills_is_one_closing_order() -> None:
    found = run(
        [100, (100, 100, 100, 100, 2), (99, 99, 99, 99, 9), (99, 99, 94, 94, 9)],
        long(1, "a", "3", stop_loss="95"),
        netting=False,
        rules={"fees": {"close": {"flat_per_trade": "1"}}},
    )
    # 299 for 3: 285 - 299
    assert column(found, "stop_loss", PNL) == [D(-14)]
    assert column(found, "stop_loss", FEE) == [D(1)]


def test_an_order_that_filled_in_parts_can_be_split() -> None:
    found = run(
        [100, (100, 100, 100, 100, 2), (103, 103, 103, 103, 9), 103, 103],
        long(1, "a", "3"),
        (3, "split", "a", {"volumes": ["1", "2"]}),
        close(4, "a.0"),
        netting=False,
    )
    # 303 for 3 with 30.30: each part has the average of 101 and its share of the margin
    assert found["levels"][3] == {"a.0": [D("90.90"), D(1)], "a.1": [D("90.90"), D(2)]}
    assert column(found, "close", PNL) == [D(2)]
    assert money(found, 4) == [D("981.80"), D("20.20")]


def test_the_level_follows_the_rounding_of_a_partial_close() -> None:
    # 8 x 0.1 at 98: 78.4 / 20 = 3.92, up 4; an eighth of it is 0.5, down 0
    found = run(
        [98, 98, 98],
        short(1, "a", "8", leverage="20"),
        close(2, "a", volume="1"),
        netting=False,
        quote=0,
        contract="0.1",
    )
    # (68.6 + 4) / 0.7 = 103.714, up
    assert found["levels"][2] == {"a": [D("103.72"), D(7)]}
