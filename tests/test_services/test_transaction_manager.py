"""Every row of the ledger's table (semantics, section 3), leg by leg."""

from __future__ import annotations

from decimal import Decimal

import pytest

from backtest.services.ledger import entries as legs_of
from backtest.services.ledger.entries import Leg
from backtest.services.ledger.ledger import Ledger
from tests.harness import D, text

A, Q, B = "main", "USD", "BTC"


def _lines(legs: list[Leg]) -> list[str]:
    """``main RESERVE_MARGIN USD -10 10``; and the legs must be such as the ledger takes."""
    for asset in {leg[1] for leg in legs}:
        assert sum(leg[3] + leg[4] for leg in legs if leg[1] == asset) == 0
    return [f"{leg[0]} {leg[2].name} {leg[1]} {text(leg[3])} {text(leg[4])}" for leg in legs]


def test_money_from_the_world() -> None:
    assert _lines(legs_of.deposit(A, Q, D(7))) == [
        "main ADJUSTMENT USD 7 0",
        "world ADJUSTMENT USD -7 0",
    ]
    assert _lines(legs_of.deposit(A, Q, D(-7)))[0] == "main ADJUSTMENT USD -7 0"


class TestOrders:
    def test_created(self) -> None:
        assert _lines(legs_of.create_order(A, Q, D(10))) == ["main RESERVE_MARGIN USD -10 10"]
        assert _lines(legs_of.create_order(A, B, D(10), D("0.5"), Q)) == [
            "main RESERVE_MARGIN BTC -10 10",
            "main FEE_CREATE USD -0.5 0",
            "fees FEE_CREATE USD 0.5 0",
        ]

    def test_created_without_a_reserve(self) -> None:
        assert legs_of.create_order(A, Q, D(0)) == []
        assert _lines(legs_of.create_order(A, Q, D(0), D(1)))[0] == "main FEE_CREATE USD -1 0"

    def test_less_than_one_is_more_than_nothing(self) -> None:
        cents = D("0.01")
        assert _lines(legs_of.change_reserve(A, Q, D(1), D(1) + cents)) == [
            "main RESERVE_MARGIN USD -0.01 0.01"
        ]
        assert _lines(legs_of.change_reserve(A, Q, D(1) + cents, D(1))) == [
            "main RETURN_MARGIN USD 0.01 -0.01"
        ]
        bought = _lines(legs_of.fill_spot_buy(A, B, Q, D(1), D(10), D(0), D(10) + cents))
        assert bought[-1] == "main RETURN_MARGIN USD 0.01 -0.01"
        bought = _lines(legs_of.fill_spot_buy(A, B, Q, D(1), D(10), D(0), D(10) - cents))
        assert bought[0] == "main RESERVE_MARGIN USD -0.01 0.01"

    def test_a_fee_is_in_the_reserves_asset_unless_told_otherwise(self) -> None:
        assert _lines(legs_of.create_order(A, B, D(1), D(2)))[1] == "main FEE_CREATE BTC -2 0"
        assert _lines(legs_of.change_reserve(A, B, D(1), D(1), D(2))) == [
            "main FEE_CREATE BTC -2 0",
            "fees FEE_CREATE BTC 2 0",
        ]
        assert _lines(legs_of.release(A, B, D(0), D(2)))[0] == "main FEE_CANCEL BTC -2 0"
        assert _lines(legs_of.release(A, B, D(0), D(2), uncovered=D(1)))[:2] == [
            "main ADJUSTMENT BTC 1 0",
            "insurance ADJUSTMENT BTC -1 0",
        ]

    def test_a_reserve_changed(self) -> None:
        assert _lines(legs_of.change_reserve(A, Q, D(10), D(12))) == [
            "main RESERVE_MARGIN USD -2 2"
        ]
        assert _lines(legs_of.change_reserve(A, Q, D(12), D(10))) == ["main RETURN_MARGIN USD 2 -2"]
        assert _lines(legs_of.change_reserve(A, Q, D(10), D(10))) == []
        assert _lines(legs_of.change_reserve(A, B, D(10), D(12), D(1), Q)) == [
            "main RESERVE_MARGIN BTC -2 2",
            "main FEE_CREATE USD -1 0",
            "fees FEE_CREATE USD 1 0",
        ]

    def test_released(self) -> None:
        assert _lines(legs_of.release(A, Q, D(10))) == ["main RETURN_MARGIN USD 10 -10"]
        assert _lines(legs_of.release(A, Q, D(0))) == []
        assert _lines(legs_of.release(A, B, D(10), D(3), Q, D(1))) == [
            "main RETURN_MARGIN BTC 10 -10",
            "main ADJUSTMENT USD 1 0",
            "insurance ADJUSTMENT USD -1 0",
            "main FEE_CANCEL USD -3 0",
            "fees FEE_CANCEL USD 3 0",
        ]


class TestSpot:
    @pytest.mark.parametrize(
        ("fee", "share", "more"),
        [
            # the share is what it costs
            ("0", "100", []),
            ("1", "101", ["main FEE_FILL USD 0 -1", "fees FEE_FILL USD 1 0"]),
            # 105 were reserved, 101 are needed
            (
                "1",
                "105",
                [
                    "main FEE_FILL USD 0 -1",
                    "fees FEE_FILL USD 1 0",
                    "main RETURN_MARGIN USD 4 -4",
                ],
            ),
            ("0", "105", ["main RETURN_MARGIN USD 5 -5"]),
        ],
    )
    def test_bought(self, fee: str, share: str, more: list[str]) -> None:
        legs = legs_of.fill_spot_buy(A, B, Q, D(2), D(100), Decimal(fee), Decimal(share))
        assert _lines(legs) == [
            "main FILL_BUY USD 0 -100",
            "main SPOT_EXCHANGE BTC 2 0",
            "market FILL_BUY USD 100 0",
            "market SPOT_EXCHANGE BTC -2 0",
            *more,
        ]

    def test_bought_for_more_than_was_reserved(self) -> None:
        # 98 reserved, 100 + 1 needed: 3 more are reserved first
        assert _lines(legs_of.fill_spot_buy(A, B, Q, D(2), D(100), D(1), D(98))) == [
            "main RESERVE_MARGIN USD -3 3",
            "main FILL_BUY USD 0 -100",
            "main SPOT_EXCHANGE BTC 2 0",
            "market FILL_BUY USD 100 0",
            "market SPOT_EXCHANGE BTC -2 0",
            "main FEE_FILL USD 0 -1",
            "fees FEE_FILL USD 1 0",
        ]

    def test_sold(self) -> None:
        sold = [
            "main FILL_SELL BTC 0 -2",
            "main SPOT_EXCHANGE USD 100 0",
            "market FILL_SELL BTC 2 0",
            "market SPOT_EXCHANGE USD -100 0",
        ]
        assert _lines(legs_of.fill_spot_sell(A, B, Q, D(2), D(100), D(0))) == sold
        assert _lines(legs_of.fill_spot_sell(A, B, Q, D(2), D(100), D(1))) == [
            *sold,
            "main FEE_FILL USD -1 0",
            "fees FEE_FILL USD 1 0",
        ]

    def test_collateral_is_sold_out_of_what_is_available(self) -> None:
        sold = [
            "main FILL_SELL BTC -2 0",
            "main SPOT_EXCHANGE USD 100 0",
            "market FILL_SELL BTC 2 0",
            "market SPOT_EXCHANGE USD -100 0",
        ]
        assert _lines(legs_of.sell_collateral(A, B, Q, D(2), D(100), D(0))) == sold
        fee = ["main FEE_FILL USD -1 0", "fees FEE_FILL USD 1 0"]
        assert _lines(legs_of.sell_collateral(A, B, Q, D(2), D(100), D(1))) == sold + fee


class TestPositions:
    def test_opened(self) -> None:
        assert _lines(legs_of.fill_trading(A, Q, D(10), D(8), D(1))) == [
            "main RETURN_MARGIN USD 2 -2",
            "main FEE_FILL USD -1 0",
            "fees FEE_FILL USD 1 0",
        ]
        assert _lines(legs_of.fill_trading(A, Q, D(8), D(10), D(0))) == [
            "main RESERVE_MARGIN USD -2 2"
        ]
        # Every fill has its entry, also where nothing moves.
        assert _lines(legs_of.fill_trading(A, Q, D(8), D(8), D(0))) == [
            "main RETURN_MARGIN USD 0 0"
        ]
        assert len(legs_of.fill_trading(A, Q, D(8), D(8), D(1))) == 2

    def test_charged(self) -> None:
        assert _lines(legs_of.charge(A, Q, D(3))) == [
            "main FEE_OVERNIGHT USD -3 0",
            "market FEE_OVERNIGHT USD 3 0",
        ]
        assert _lines(legs_of.charge(A, Q, D(-3)))[0] == "main FEE_OVERNIGHT USD 3 0"
        assert _lines(legs_of.charge(A, Q, D(3), from_margin=D(2), uncovered=D(1))) == [
            "main RETURN_MARGIN USD 2 -2",
            "main ADJUSTMENT USD 1 0",
            "insurance ADJUSTMENT USD -1 0",
            "main FEE_OVERNIGHT USD -3 0",
            "market FEE_OVERNIGHT USD 3 0",
        ]

    def test_closed(self) -> None:
        assert _lines(legs_of.close_position(A, Q, D(10), D(4), D(1))) == [
            "main RETURN_MARGIN USD 10 -10",
            "main CLOSE_PNL USD 4 0",
            "market CLOSE_PNL USD -4 0",
            "main FEE_CLOSE USD -1 0",
            "fees FEE_CLOSE USD 1 0",
        ]
        assert _lines(legs_of.close_position(A, Q, D(0), D(0), D(0))) == [
            "main CLOSE_PNL USD 0 0",
            "market CLOSE_PNL USD 0 0",
        ]

    def test_liquidated_or_against_an_agent(self) -> None:
        assert _lines(
            legs_of.close_position(A, Q, D(10), D(-13), D(1), D(4), legs_of.CLEARING)
        ) == [
            "main RETURN_MARGIN USD 10 -10",
            "main CLOSE_PNL USD -13 0",
            "clearing CLOSE_PNL USD 13 0",
            "main FEE_CLOSE USD -1 0",
            "fees FEE_CLOSE USD 1 0",
            "main ADJUSTMENT USD 4 0",
            "insurance ADJUSTMENT USD -4 0",
        ]

    def test_margin_taken_for_another(self) -> None:
        assert _lines(legs_of.take_margin(A, Q, D(5))) == ["main RETURN_MARGIN USD 5 -5"]


def test_the_house_accounts_are_those_of_the_ledger() -> None:
    house = [legs_of.MARKET, legs_of.CLEARING, legs_of.FEES, legs_of.INSURANCE, legs_of.WORLD]
    assert house == Ledger().accounts


def test_no_caller_s_decimal_context_rounds_anything() -> None:
    long = D("1234567890123456789012345678901234567890.12345678")
    for legs in (
        legs_of.deposit(A, Q, long),
        legs_of.create_order(A, Q, long, long),
        legs_of.change_reserve(A, Q, long, D(1)),
        legs_of.fill_spot_buy(A, B, Q, long, long, long, D(1)),
        legs_of.close_position(A, Q, long, long, long, long),
    ):
        _exact(legs)


def _exact(legs: list[Leg]) -> None:
    ledger = Ledger([A])
    start = legs_of.deposit(A, Q, D("9" * 45)) + legs_of.deposit(A, B, D("9" * 45))
    ledger.post(start, time=0, order_id=None, cause=0, why="start")
    more = legs_of.create_order(A, Q, D("9" * 44))
    ledger.post(more, time=0, order_id=None, cause=0, why="more")
    ledger.post(legs, time=0, order_id=None, cause=0, why="long")
    assert ledger.fold() == ledger.balances()


class TestBetweenAgents:
    """Without a counterparty the other side's legs are in the same entry: no leg of a house."""

    def test_a_purchase_and_a_sale_make_one_entry(self) -> None:
        # 3 coins at 10; the buyer had reserved 31 and pays a fee of 0.5, the seller one of 0.3.
        bought = legs_of.fill_spot_buy("a", B, Q, D(3), D(30), D("0.5"), D(31), None)
        sold = legs_of.fill_spot_sell("b", B, Q, D(3), D(30), D("0.3"), None)
        assert _lines(bought + sold) == [
            "a FILL_BUY USD 0 -30",
            "a SPOT_EXCHANGE BTC 3 0",
            "a FEE_FILL USD 0 -0.5",
            "fees FEE_FILL USD 0.5 0",
            "a RETURN_MARGIN USD 0.5 -0.5",
            "b FILL_SELL BTC 0 -3",
            "b SPOT_EXCHANGE USD 30 0",
            "b FEE_FILL USD -0.3 0",
            "fees FEE_FILL USD 0.3 0",
        ]

    def test_what_rounding_left_in_clearing_goes_to_the_fees(self) -> None:
        assert _lines(legs_of.sweep(Q, D("0.01"))) == [
            "clearing ADJUSTMENT USD -0.01 0",
            "fees ADJUSTMENT USD 0.01 0",
        ]
        assert _lines(legs_of.sweep(Q, D("-0.02")))[1] == "fees ADJUSTMENT USD -0.02 0"
