"""The corners of models that no scenario comes by: what is refused, compared and printed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from backtest.errors import FieldError, FieldTypeError
from backtest.models import Account, Instructions, Tier, Tiers, TradingRules
from backtest.models.exit_policy import ExitsFromFill
from backtest.models.fill_policy import InQueueOrder
from backtest.models.trading_rules import _FLAGS
from backtest.services.margin.linear import liquidation_price
from backtest.testing import bar
from tests.harness import D

TIERS = [(500, "0.01", 20), (1000, "0.05", 10)]
"""With an end: a position may grow beyond it, and is then of the last bracket. Amounts 0 and 20."""


def test_an_account_s_netting_is_yes_or_no() -> None:
    with pytest.raises(FieldTypeError, match="netting must be True or False, not 1"):
        Account(UUID(int=1), "main", netting=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("label", [7, "", "  ", True])
def test_a_group_is_named_by_a_label(label: Any) -> None:
    with pytest.raises(FieldTypeError, match="oco must be a label"):
        Instructions(oco=label)


@pytest.mark.parametrize("flag", ["post_only", "reduce_only"])
def test_flags_of_instructions_are_flags(flag: str) -> None:
    with pytest.raises(FieldTypeError, match=flag):
        Instructions(**{flag: 1})  # type: ignore[arg-type]


def test_brackets_are_values() -> None:
    one, other = Tiers(TIERS), Tiers([Tier(D(500), D("0.01"), D(20)), *TIERS[1:]])
    assert one == other
    assert hash(one) == hash(other)
    assert one != Tiers(TIERS[:1])
    assert one != TIERS
    assert repr(one) == "Tiers([(500, 0.01, 20), (1000, 0.05, 10)])"
    assert len(one) == 2


def test_beyond_the_last_bound_counts_the_last_bracket() -> None:
    tiers = Tiers(TIERS)
    assert tiers.most == 1000
    assert tiers.at(D(5000)).rate == D("0.05")
    assert tiers.maintenance(D(2000)) == 80  # 2000 x 0.05 - 20


def test_a_position_beyond_the_last_bound_has_a_liquidation_price() -> None:
    # 20 at 100, margin 100: it ends at (2000 - 100 - 20) / (20 x 0.95) = 98.947..., 1978 of
    # notional, which is more than any bound
    price = liquidation_price(True, D(100), D(20), D(1), D(100), Tiers(TIERS), D("0.01"))
    assert price == D("98.94")


def test_the_whole_bar_and_what_comes_after_a_fill() -> None:
    assert InQueueOrder().high_first(bar(0, 1)) is True
    assert ExitsFromFill().same_bar("market", True, None, None, bar(0, 1)) is True
    assert isinstance(ExitsFromFill().plain(), dict)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"fills": 7}, "fills must be Fills"),
        ({"calendar": 7}, "calendar must be a Calendar or its name"),
    ],
)
def test_rules_that_are_of_the_wrong_kind(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises((FieldTypeError, FieldError), match=problem):
        TradingRules.from_mapping(fields)


@pytest.mark.parametrize("flag", _FLAGS)
def test_flags_of_rules_are_flags(flag: str) -> None:
    with pytest.raises(FieldTypeError, match=f"{flag} must be True or False, not 1"):
        TradingRules(**{flag: 1})  # type: ignore[arg-type]


def test_decimals_stay_decimals() -> None:
    assert type(Tiers(TIERS).at(D(1)).rate) is Decimal
