"""Assets, pairs, accounts, brokers, agents, runs and fills."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_UP

import pytest

from backtest.errors import ConfigError, FieldError, FieldTypeError
from backtest.models import (
    HOUSE,
    Account,
    Agent,
    Asset,
    BacktestRun,
    Broker,
    Fill,
    OrderDirection,
    TradingPair,
)
from tests.generators import D, uid


def test_an_asset_counts_in_steps_of_its_precision() -> None:
    assert Asset("BTC").step == D("0.00000001")
    assert Asset("USD", 2).step == D("0.01")
    assert Asset("JPY", 0).step == D(1)


@pytest.mark.parametrize(
    ("code", "precision", "message"),
    [
        ("", 2, "code cannot be empty"),
        ("USD", -1, "precision must be non-negative"),
        ("USD", 31, "precision must be at most 30, but is 31"),
    ],
)
def test_an_asset_refuses_what_cannot_be(code: str, precision: int, message: str) -> None:
    with pytest.raises(FieldError) as caught:
        Asset(code, precision)
    assert str(caught.value) == message


def test_a_pair_without_rules_has_the_finest_grid() -> None:
    pair = TradingPair("BTCUSD", "BTC", "USD")
    assert (pair.base, pair.quote, pair.settlement) == (Asset("BTC"), Asset("USD"), Asset("USD"))
    assert pair.price_increment == pair.volume_increment == pair.least_volume == D("0.00000001")
    assert (pair.min_volume, pair.min_notional, pair.contract_size) == (None, D(0), D(1))


@pytest.mark.parametrize("code", ["BTCUSD", "BTC/USD", "BTC-USD"])
def test_a_code_that_ends_with_its_quote_tells_the_base(code: str) -> None:
    pair = TradingPair.from_code(code, "USD", price_increment=D("0.01"))
    assert (pair.code, pair.base.code, pair.quote.code) == (code, "BTC", "USD")
    assert pair.price_increment == D("0.01")


def test_a_quote_given_as_an_asset_keeps_its_precision() -> None:
    assert TradingPair.from_code("BTCUSD", Asset("USD", 2)).quote.precision == 2


@pytest.mark.parametrize("code", ["BTCEUR", "USD", "/USD", "USDBTC", ""])
def test_a_code_that_does_not_tell_is_an_error_that_says_how(code: str) -> None:
    with pytest.raises(ConfigError, match=r"Give both: TradingPair\("):
        TradingPair.from_code(code, "USD")


def test_rounding_helps_a_strategy_onto_the_grid() -> None:
    pair = TradingPair("BTCUSD", "BTC", "USD", price_increment=D("0.25"), volume_increment=D("0.1"))
    assert pair.round_price("100.30") == D("100.25")
    assert pair.round_price(D("100.125")) == D("100.00")  # half to even: 400 steps, not 401
    assert pair.round_price(D("100.30"), ROUND_UP) == D("100.50")
    assert pair.round_price(D("100.30"), ROUND_DOWN) == D("100.25")
    assert pair.round_volume("0.199") == D("0.1")
    assert pair.round_volume(3) == D(3)
    with pytest.raises(FieldTypeError, match=r"^price must be a Decimal, not the float"):
        pair.round_price(100.3)  # type: ignore[arg-type]


def test_the_notional_is_rounded_once_half_even_to_the_quote() -> None:
    pair = TradingPair("BTCUSD", "BTC", Asset("USD", 2))
    assert pair.notional(D("0.5"), D("0.01")) == D("0.00")  # 0.005: the even neighbour is 0.00
    assert pair.notional(D("1.5"), D("0.01")) == D("0.02")  # 0.015: the even neighbour is 0.02
    ten = TradingPair("X", "B", Asset("USD", 2), contract_size=D(10))
    assert ten.notional(D(2), D("1.5")) == D("30.00")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("code", "", "code cannot be empty"),
        ("price_increment", D(0), "price_increment must be positive"),
        ("volume_increment", D(-1), "volume_increment must be positive"),
        ("min_volume", D(0), "min_volume must be positive if set"),
        ("min_notional", D(-1), "min_notional must be non-negative"),
        ("contract_size", D(0), "contract_size must be positive"),
    ],
)
def test_a_pair_refuses_what_cannot_be(field: str, value: object, message: str) -> None:
    fields: dict[str, object] = {"code": "BTCUSD", "base": "BTC", "quote": "USD", field: value}
    with pytest.raises(FieldError) as caught:
        TradingPair(**fields)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_base_and_quote_are_assets_or_codes() -> None:
    with pytest.raises(FieldTypeError, match=r"^quote must be an Asset or its code, not 5"):
        TradingPair("BTCUSD", "BTC", 5)  # type: ignore[arg-type]
    assert TradingPair("BTCUSD", "BTC", "USD", min_volume=D(3)).least_volume == D(3)


def test_an_account_settles_in_dollars_unless_told_otherwise() -> None:
    account = Account(uid(1), "main")
    assert (account.settlement_asset, account.is_house) == ("USD", False)
    with pytest.raises(FieldError, match=r"^name cannot be empty"):
        Account(uid(1), "")
    with pytest.raises(FieldError, match=r"^settlement_asset cannot be empty"):
        Account(uid(1), "main", "")


def test_the_house_has_five_accounts() -> None:
    assert HOUSE == ("market", "clearing", "fees", "insurance", "world")


def test_brokers_and_agents_have_names() -> None:
    assert Broker(uid(1), "paper").name == "paper"
    assert Agent(uid(2), "sma", [uid(3)]).account_ids == (uid(3),)
    with pytest.raises(FieldError, match=r"^name cannot be empty"):
        Broker(uid(1), " ")
    with pytest.raises(FieldError, match=r"^name cannot be empty"):
        Agent(uid(1), "")


def test_a_run_has_a_seed_and_a_span() -> None:
    assert BacktestRun(uid(1), 7, 0, 10).end_ns == 10
    assert BacktestRun(uid(1), 7).start_ns is None
    with pytest.raises(FieldError, match=r"^end_ns must not lie before start_ns"):
        BacktestRun(uid(1), 7, 10, 9)
    with pytest.raises(FieldTypeError, match=r"^seed must be an int"):
        BacktestRun(uid(1), 7.0)  # type: ignore[arg-type]
    with pytest.raises(FieldTypeError, match=r"^start_ns must be an int"):
        BacktestRun(uid(1), 7, 0.5)  # type: ignore[arg-type]


def test_a_fill_is_frozen_and_says_all_there_is() -> None:
    fill = Fill(
        timestamp_ns=60,
        order_id=uid(1),
        root_id=uid(1),
        branch_id=uid(1),
        account_id=uid(2),
        agent_id=uid(3),
        pair="BTCUSD",
        direction=OrderDirection.SHORT,
        kind="stop_loss",
        order_kind="trading",
        price=D(99),
        volume=D(1),
        notional=D(99),
        fee=D("0.1"),
        fee_asset="USD",
        maker=False,
        ambiguous=True,
        bar_open_ns=0,
        point="low",
        closing_order_id=uid(4),
        realised_pnl=D(-1),
    )
    assert (fill.entry_id, fill.closing_order_id, fill.realised_pnl) == (None, uid(4), D(-1))
    with pytest.raises(AttributeError):
        fill.price = D(1)  # type: ignore[misc]
