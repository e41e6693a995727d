"""``--set``: text becomes what the strategy says its parameters are."""

from __future__ import annotations

from decimal import Decimal as D
from enum import Enum
from typing import Any, Optional

import attrs
import pytest

from backtest.cli.parameters import make, parameters_from
from backtest.errors import ConfigError
from backtest.models import OrderDirection
from backtest.strategies import SmaCross, Strategy


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Many(Strategy):
    pair: str = "BTCUSD"
    count: int = 3
    size: D = D(1)
    eager: bool = False
    note: str = ""
    limit: D | None = None
    older: Optional[int] = None  # noqa: UP045 - written so in many files
    volume: D | int | str = "0.1"
    colour: Colour = Colour.RED
    side: OrderDirection = OrderDirection.LONG
    bare: Any = 5
    levels: tuple[int, ...] = (1, 2)
    share: float = 0.5
    made: list[int] = attrs.field(factory=list)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("count=10", 10),
        ("count= -2 ", -2),
        ("size=0.10", D("0.10")),
        ("size=1e-3", D("0.001")),
        ("eager=yes", True),
        ("eager=FALSE", False),
        ("note=a=b c", "a=b c"),
        ("note=", ""),
        ("limit=5", D(5)),
        ("limit=none", None),
        ("older=4", 4),
        ("older=None", None),
        ("volume=0.25", D("0.25")),
        ("volume=tenth", "tenth"),
        ("colour=blue", Colour.BLUE),
        ("side=short", OrderDirection.SHORT),
        ("bare=7", 7),
    ],
)
def test_text_becomes_the_annotated_type(text: str, value: object) -> None:
    found = parameters_from(Many, [text], ["BTCUSD"])
    name = text.partition("=")[0]
    assert found == {name: value}
    assert type(found[name]) is type(value)
    assert getattr(make(Many, found), name) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("count=1.5", "count must be a whole number"),
        ("size=big", "size must be a number"),
        ("size=inf", "size must be a finite number"),
        ("eager=perhaps", "eager must be true or false"),
        ("limit=soon", "limit must be a number"),
        ("colour=green", "colour must be one of RED, BLUE"),
        ("levels=1,2", "levels is of type tuple"),
        ("made=1", "made is of type list"),
        ("share=0.7", r"share: Decimal = Decimal\('0.7'\)"),
        ("size", "NAME=VALUE"),
        ("=3", "NAME=VALUE"),
        ("speed=3", "Many has no parameter 'speed'; it has: pair"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_way_out(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parameters_from(Many, [text], ["BTCUSD"])


class Plain(Strategy):
    pass


class Needy(Strategy):
    pair: str
    size: D


def test_a_strategy_without_parameters_says_so() -> None:
    with pytest.raises(ConfigError, match="Plain has no parameter 'x'; it has none"):
        parameters_from(Plain, ["x=1"], ["BTCUSD"])


def test_what_has_no_default_must_be_given_but_for_the_only_pair() -> None:
    with pytest.raises(ConfigError, match="needs a value for 'size'"):
        parameters_from(Needy, [], ["ETHUSD"])
    with pytest.raises(ConfigError, match="needs a value for 'pair'"):
        parameters_from(Needy, ["size=1"], ["ETHUSD", "BTCUSD"])
    assert parameters_from(Needy, ["size=1"], ["ETHUSD"]) == {"pair": "ETHUSD", "size": D(1)}


def test_a_given_pair_is_never_replaced() -> None:
    assert parameters_from(Many, [], ["ETHUSD"]) == {"pair": "ETHUSD"}
    assert parameters_from(Many, ["pair=BTCUSD"], ["ETHUSD"]) == {"pair": "BTCUSD"}
    assert parameters_from(Many, [], ["ETHUSD", "BTCUSD"]) == {}


class Strict(Strategy):
    size: int = attrs.field(default=1, validator=attrs.validators.gt(0))


def test_a_strategy_that_refuses_its_parameters_is_quoted() -> None:
    with pytest.raises(ConfigError, match=r"cannot make Strict\(size=0\): ValueError"):
        make(Strict, {"size": 0})


def test_the_library_takes_its_parameters() -> None:
    found = parameters_from(SmaCross, ["fast=5", "slow=20", "volume=0.5"], ["BTCUSD"])
    assert make(SmaCross, found).parameters["volume"] == D("0.5")
