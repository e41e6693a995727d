"""Trading rules and fees: defaults, checks, and reading them from plain data."""

from __future__ import annotations

import pickle
import tomllib
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from backtest.errors import ConfigError, FieldError, FieldTypeError
from backtest.models import (
    Fee,
    FeeKind,
    FeeStage,
    LeverageKind,
    OrderDirection,
    TradingRules,
)
from backtest.models.fill_policy import Adaptive
from backtest.models.fills import Fills
from tests.generators import D

PERCENT = FeeKind.PERCENT_OF_NOTIONAL


def test_without_rules_nothing_is_charged_and_everything_is_allowed() -> None:
    rules = TradingRules()
    assert all(rules.fees_at(stage) == () for stage in FeeStage)
    assert rules.leverage_kind is LeverageKind.MULTIPLIER
    assert rules.max_leverage is None
    assert rules.allowed_directions == {OrderDirection.LONG, OrderDirection.SHORT}
    assert (rules.participation, rules.market_buffer) == (D(1), D("0.05"))
    assert (rules.maintenance_rate, rules.slippage, rules.slippage_rate) == (D(0), D(0), D(0))
    assert (rules.path, rules.fill_on) == ("pessimistic", "next_open")
    assert (rules.penetration_ticks, rules.rollover_ns) == (0, 0)
    assert rules.spot_allowed
    assert rules.trading_allowed
    assert not rules.slippage_beyond_bar


def test_the_fees_are_a_frozen_copy() -> None:
    given = {FeeStage.FILL: (Fee(PERCENT, D("0.001")),)}
    rules = TradingRules(fees=given)
    given[FeeStage.CLOSE] = (Fee(PERCENT, D(1)),)
    assert rules.fees_at(FeeStage.CLOSE) == ()
    assert dict(rules.fees) == {FeeStage.FILL: (Fee(PERCENT, D("0.001")),)}
    with pytest.raises(TypeError):
        rules.fees[FeeStage.FILL] = ()  # type: ignore[index]


def test_rules_can_be_compared_hashed_and_pickled() -> None:
    rules = TradingRules(fees={FeeStage.FILL: [Fee(PERCENT, D("0.001"))]})
    assert pickle.loads(pickle.dumps(rules)) == rules
    assert len({rules, TradingRules(fees=dict(rules.fees))}) == 1
    assert rules != TradingRules()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_leverage": D("0.5")}, "max_leverage must be at least 1, is 0.5"),
        ({"maintenance_rate": D(-1)}, "maintenance_rate must be non-negative"),
        ({"maintenance_rate": D(1)}, "maintenance_rate must be below 1, is 1"),
        ({"participation": D(0)}, "participation must be positive if set"),
        ({"slippage": D(-1)}, "slippage must be non-negative"),
        ({"slippage_rate": D(-1)}, "slippage_rate must be non-negative"),
        ({"market_buffer": D(-1)}, "market_buffer must be non-negative"),
        ({"penetration_ticks": -1}, "penetration_ticks must be non-negative"),
        ({"min_volume": D(0)}, "min_volume must be positive if set"),
        ({"min_margin": D(-1)}, "min_margin must be non-negative"),
        (
            {"leverage_kind": LeverageKind.FLAT_MARGIN_PER_VOLUME},
            "margin_per_volume must be set for FLAT_MARGIN_PER_VOLUME",
        ),
    ],
)
def test_rules_that_cannot_be_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldError) as caught:
        TradingRules(**fields)
    assert str(caught.value) == message


def test_names_of_paths_and_moments_are_checked() -> None:
    with pytest.raises(FieldError, match=r"^path must be one of pessimistic, .*, not 'best'"):
        TradingRules(path="best")
    with pytest.raises(FieldError, match=r"^queue must be one of touch, conservative, not 'no'"):
        TradingRules(queue="no")
    with pytest.raises(FieldError, match=r"^fill_on must be one of next_open, .*, not 'now'"):
        TradingRules(fill_on="now")
    with pytest.raises(FieldError, match=r"^rollover_ns must be a time of day"):
        TradingRules(rollover_ns=86_400_000_000_000)


def test_types_are_checked() -> None:
    with pytest.raises(FieldTypeError, match=r"^spot_allowed must be True or False"):
        TradingRules(spot_allowed=1)  # type: ignore[arg-type]
    with pytest.raises(FieldTypeError, match=r"^slippage must be a Decimal, not the float"):
        TradingRules(slippage=0.5)  # type: ignore[arg-type]
    with pytest.raises(FieldTypeError, match=r"^fees must be one of FeeStage.CREATE"):
        TradingRules(fees={"fill": ()})  # type: ignore[dict-item]
    with pytest.raises(FieldTypeError, match=r"^fees must hold Fee values"):
        TradingRules(fees={FeeStage.FILL: [D(1)]})  # type: ignore[list-item]
    with pytest.raises(FieldTypeError, match=r"^allowed_directions must be one of"):
        TradingRules(allowed_directions=["LONG"])  # type: ignore[list-item]
    with pytest.raises(FieldTypeError, match=r"^fills must be Fills\(...\) or a table, not 'open'"):
        TradingRules.from_mapping({"fills": "open"})
    with pytest.raises(FieldTypeError, match=r"^kind must be one of FeeKind.NONE"):
        Fee("percent", D(1))  # type: ignore[arg-type]


def test_only_makers_and_the_night_may_have_negative_rates() -> None:
    maker = Fee(PERCENT, D("0.001"), D("-0.0002"))
    night = Fee(PERCENT, D("-0.0001"))
    rules = TradingRules(fees={FeeStage.FILL: [maker], FeeStage.OVERNIGHT_FILLED: [night]})
    assert rules.fees_at(FeeStage.OVERNIGHT_FILLED) == (night,)
    with pytest.raises(FieldError, match=r"^fees cannot be negative .*stage FILL"):
        TradingRules(fees={FeeStage.FILL: [night]})
    with pytest.raises(FieldError, match=r"^fees can know makers only at fill and close"):
        TradingRules(fees={FeeStage.CREATE: [maker]})


TOML = """
max_leverage = 20
maintenance_rate = 0.005
participation = "none"
allowed_directions = ["long"]
leverage_kind = "multiplier"
path = "adaptive"

[fees]
fill = { percent_of_notional = "0.001", maker = "0.0005" }
close = [ { percent_of_margin = 0.01 }, { flat_per_trade = 1 } ]
overnight_filled = { flat_per_volume = "-0.2" }
"""


def test_a_toml_file_gives_rules() -> None:
    rules = TradingRules.from_mapping(tomllib.loads(TOML, parse_float=Decimal))
    assert (rules.max_leverage, rules.maintenance_rate) == (D(20), D("0.005"))
    assert rules.participation is None
    assert rules.allowed_directions == {OrderDirection.LONG}
    assert rules.path == "adaptive"
    assert rules.fees_at(FeeStage.FILL) == (Fee(PERCENT, D("0.001"), D("0.0005")),)
    assert rules.fees_at(FeeStage.CLOSE) == (
        Fee(FeeKind.PERCENT_OF_MARGIN, D("0.01")),
        Fee(FeeKind.FLAT_PER_TRADE, D(1)),
    )
    assert rules.fees_at(FeeStage.OVERNIGHT_FILLED) == (Fee(FeeKind.FLAT_PER_VOLUME, D("-0.2")),)


def test_several_kinds_in_one_table_are_several_fees() -> None:
    rules = TradingRules.from_mapping(
        {"fees": {"fill": {"flat_per_trade": 1, "percent_of_notional": "0.01"}}}
    )
    assert [fee.kind for fee in rules.fees_at(FeeStage.FILL)] == [FeeKind.FLAT_PER_TRADE, PERCENT]


def test_fees_and_members_given_as_values_are_kept() -> None:
    fee = Fee(PERCENT, D(1))
    rules = TradingRules.from_mapping(
        {"fees": {FeeStage.FILL: fee, "close": [fee]}, "allowed_directions": OrderDirection.SHORT}
    )
    assert rules.fees_at(FeeStage.FILL) == rules.fees_at(FeeStage.CLOSE) == (fee,)
    assert rules.allowed_directions == {OrderDirection.SHORT}


@pytest.mark.parametrize(
    ("mapping", "error", "message"),
    [
        ({"fee": {}}, ConfigError, "no trading rule is called 'fee'; did you mean 'fees'?"),
        ({"best": 1}, ConfigError, "no trading rule is called 'best'; known: fees, leverage_kind"),
        (
            {"paticipation": 1},
            ConfigError,
            "no trading rule is called 'paticipation'; did you mean 'participation'?",
        ),
        ({"slippage": 0.1}, FieldTypeError, "slippage must be a Decimal, not the float"),
        ({"slippage": "much"}, FieldError, "slippage must be a number, not 'much'"),
        ({"leverage_kind": "big"}, FieldError, "leverage_kind must be one of none, flat_margin"),
        ({"allowed_directions": ["up"]}, FieldError, "allowed_directions must be one of long"),
        ({"fees": 5}, FieldTypeError, "fees must map a stage to its fees, not int"),
        ({"fees": {"start": {}}}, FieldError, "fees must be one of create, fill, close"),
        ({"fees": {"fill": "0.1"}}, FieldTypeError, "fees.fill must be a table or a list"),
        ({"fees": {"fill": ["0.1"]}}, FieldTypeError, "fees.fill must be a table such as"),
        ({"fees": {"fill": {"half": "1"}}}, FieldError, "fees.fill must be one of none, flat_per"),
        ({"fees": {"fill": {"maker": "1"}}}, FieldError, "fees.fill must name one kind of fee"),
        (
            {"fees": {"fill": {"percent_of_notional": "x"}}},
            FieldError,
            "fees.fill.percent_of_notional must be a number",
        ),
    ],
)
def test_data_that_cannot_be_read_says_where(
    mapping: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        TradingRules.from_mapping(mapping)
    assert str(caught.value).startswith(message)


def test_a_frozen_map_shows_what_it_holds() -> None:
    assert repr(TradingRules().fees) == "FrozenMap({})"
    assert len(TradingRules().fees) == 0


def test_fill_policies_in_a_mapping_may_be_made_already() -> None:
    made = Fills(path=Adaptive())
    assert TradingRules.from_mapping({"fills": made}) == TradingRules(fills=made)
    assert TradingRules.from_mapping({"fills": None}) == TradingRules()


class TestCommission:
    """The shorthand for the fees of every execution."""

    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            ("0.001", Fee(FeeKind.PERCENT_OF_NOTIONAL, D("0.001"))),
            (D("0.001"), Fee(FeeKind.PERCENT_OF_NOTIONAL, D("0.001"))),
            (
                {"maker": "0.0005", "taker": "0.001"},
                Fee(FeeKind.PERCENT_OF_NOTIONAL, D("0.001"), D("0.0005")),
            ),
            ({"flat_per_trade": 2}, Fee(FeeKind.FLAT_PER_TRADE, D(2))),
            (Fee(FeeKind.FLAT_PER_VOLUME, D(3)), Fee(FeeKind.FLAT_PER_VOLUME, D(3))),
        ],
    )
    def test_it_is_charged_for_opening_and_for_closing(self, given: Any, meant: Fee) -> None:
        rules = TradingRules(commission=given)
        assert rules.fees_at(FeeStage.FILL) == rules.fees_at(FeeStage.CLOSE) == (meant,)
        assert rules == TradingRules.from_mapping({"commission": given})
        assert evolve(rules, path="adaptive").fees == rules.fees

    def test_it_may_be_several_fees(self) -> None:
        rules = TradingRules(commission=[{"flat_per_trade": 1}, {"percent_of_notional": "0.01"}])
        assert [fee.rate for fee in rules.fees_at(FeeStage.CLOSE)] == [1, D("0.01")]

    def test_other_stages_stand_beside_it(self) -> None:
        rules = TradingRules.from_mapping(
            {"commission": "0.001", "fees": {"cancel": {"flat_per_trade": 1}}}
        )
        assert set(rules.fees) == {FeeStage.FILL, FeeStage.CLOSE, FeeStage.CANCEL}

    @pytest.mark.parametrize("stage", ["fill", "close"])
    def test_a_fee_for_the_same_beside_it_is_refused(self, stage: str) -> None:
        with pytest.raises(FieldError, match=f"fees.{stage} says otherwise: give one"):
            TradingRules.from_mapping(
                {"commission": "0.001", "fees": {stage: {"flat_per_trade": 1}}}
            )

    @pytest.mark.parametrize("given", [0.001, "much", True, {"maker": "0.1"}, "-0.1"])
    def test_what_it_cannot_be_names_it(self, given: Any) -> None:
        with pytest.raises((FieldError, FieldTypeError)):
            TradingRules(commission=given)
