"""Parameters: what is given for them from Python is looked at as closely as from a command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

import backtest
from backtest.errors import BacktestError, ConfigError, FieldError, FieldTypeError
from backtest.models import Bar
from backtest.strategies import SmaCross, Strategy

from .playing import D, market, play


class Side(Enum):
    LEFT = "left"
    RIGHT = "right"


class Typed(Strategy):
    """One parameter of each kind."""

    pair: str = "BTCUSD"
    fast: int = 5
    drop: Decimal = D("0.02")
    loud: bool = False
    share: float = 0.5
    side: Side = Side.LEFT
    limit: Decimal | None = None
    maybe: Decimal = None  # type: ignore[assignment]
    volume: Decimal | int | str = "0.1"
    weights: Mapping[str, Decimal] = {}
    steps: Sequence[int] = ()
    anything: Any = None

    def on_bar(self, bar: Bar) -> None:
        pass


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fast": "5"}, "fast must be a whole number, not '5' (str)"),
        ({"fast": 5.0}, "fast must be a whole number, not 5.0 (float)"),
        ({"fast": True}, "fast must be a whole number, not True (bool)"),
        ({"fast": None}, "fast must be a whole number, not None (NoneType)"),
        ({"drop": 0.02}, "drop must be exact, and 0.02 is a float: give Decimal('0.02')"),
        ({"loud": 1}, "loud must be True or False, not 1 (int)"),
        ({"loud": "yes"}, "loud must be True or False, not 'yes' (str)"),
        ({"share": D("0.5")}, "share must be a number, not Decimal('0.5') (Decimal)"),
        ({"share": True}, "share must be a number, not True (bool)"),
        ({"side": "LEFT"}, "side must be one of Side.LEFT, Side.RIGHT, not 'LEFT' (str)"),
        ({"limit": 0.5}, "limit must be exact, and 0.5 is a float: give Decimal('0.5')"),
        ({"volume": 0.1}, "volume must be exact, and 0.1 is a float: give Decimal('0.1')"),
        ({"weights": [1]}, "weights must be a Mapping, not [1] (list)"),
        ({"steps": 3}, "steps must be a Sequence, not 3 (int)"),
    ],
    ids=str,
)
def test_a_value_of_the_wrong_type_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(FieldTypeError) as raised:
        Typed(**given)
    assert str(raised.value) == said


@pytest.mark.parametrize("text", ["x", "", "NaN", "1e"])
def test_text_that_is_no_number_is_refused_for_a_decimal(text: str) -> None:
    with pytest.raises(BacktestError, match=r"^drop "):
        Typed(drop=text)  # type: ignore[arg-type]


def test_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(FieldError, match=r"^drop must be a finite number, not NaN$"):
        Typed(drop=D("NaN"))


def test_what_fits_is_taken_and_is_exact() -> None:
    one = Typed(
        fast=7,
        drop=2,  # type: ignore[arg-type]
        share=1,
        side=Side.RIGHT,
        limit="0.25",  # type: ignore[arg-type]
        volume=3,
        weights={"BTCUSD": D(1)},
        steps=[1, 2],
        anything=object,
    )
    # As from the command line, where 2 for a Decimal is Decimal("2"): so 2 / 3 is no float.
    assert (one.drop, type(one.drop)) == (D(2), Decimal)
    assert (one.limit, one.volume) == (D("0.25"), 3)
    assert one.maybe is None


def test_a_default_of_the_wrong_type_is_refused_too() -> None:
    class Floating(Strategy):
        drop: Decimal = 0.02  # type: ignore[assignment]

    with pytest.raises(FieldTypeError, match=r"^drop must be exact, and 0.02 is a float"):
        Floating()


def test_an_annotation_for_type_checkers_only_leaves_the_others_alone() -> None:
    class Odd(Strategy):
        first: NoSuchThing = None  # type: ignore[name-defined]  # noqa: F821
        fast: int = 5

    Odd(first=3)
    with pytest.raises(FieldTypeError, match=r"^fast must be a whole number"):
        Odd(fast="5")  # type: ignore[arg-type]


class TestNames:
    def test_an_unknown_one_says_what_was_meant(self) -> None:
        with pytest.raises(FieldTypeError) as raised:
            Typed(fats=3)  # type: ignore[call-arg]
        assert str(raised.value) == "fats is no parameter of Typed; did you mean 'fast'?"

    def test_an_unknown_one_that_is_like_nothing_lists_them(self) -> None:
        class Small(Strategy):
            fast: int = 5

        class Empty(Strategy):
            pass

        with pytest.raises(FieldTypeError, match=r"^zzz is no parameter of Small; it has: fast$"):
            Small(zzz=3)  # type: ignore[call-arg]
        with pytest.raises(FieldTypeError, match=r"^zzz is no parameter of Empty; it has: none$"):
            Empty(zzz=3)  # type: ignore[call-arg]

    def test_one_without_annotation_says_how_to_write_it(self) -> None:
        class Bare(Strategy):
            fast = 5

        with pytest.raises(FieldTypeError) as raised:
            Bare(fast=7)  # type: ignore[call-arg]
        assert str(raised.value) == (
            "fast is no parameter of Bare; it has no annotation: write fast: int = 5"
        )

    def test_a_subclass_changes_a_default_without_annotation(self) -> None:
        class Base(Strategy):
            fast: int = 5
            slow: int = 20

        class Quick(Base):
            fast = 2

        assert Quick().parameters == {"fast": 2, "slow": 20}
        assert Quick(fast=3, slow=4).parameters == {"fast": 3, "slow": 4}
        with pytest.raises(FieldTypeError, match=r"^fast must be a whole number"):
            Quick(fast="3")  # type: ignore[arg-type]

        class Crossing(SmaCross):
            fast = 3

        assert Crossing().parameters["fast"] == 3


class TestThePair:
    def test_is_that_of_the_data_where_the_class_has_another_by_default(self) -> None:
        class One(Typed):
            pass

        one = One()
        play(one, market(1, 2, 3, pair="ETHUSD"))
        assert one.pair == "ETHUSD"

    def test_is_as_it_was_given(self) -> None:
        one = Typed(pair="LTCUSD")
        play(one, market(1, 2, 3, pair="ETHUSD"))
        assert one.pair == "LTCUSD"  # and the first order for it says that there is no such pair

    def test_stays_where_there_are_several(self) -> None:
        one = Typed()
        data = {pair: market(1, 2, pair=pair) for pair in ("ETHUSD", "LTCUSD")}
        backtest.run(one, data=data, cash="10 USD")
        assert one.pair == "BTCUSD"


def test_the_command_line_says_what_was_meant(tmp_path: Path) -> None:
    from backtest.cli.parameters import parameters_from

    class Bare(Strategy):
        slow: int = 20
        fast = 5

    with pytest.raises(ConfigError, match=r"^Bare has no parameter 'slw'; did you mean 'slow'"):
        parameters_from(Bare, ["slw=3"], [])
    with pytest.raises(ConfigError, match=r"'fast'; it has no annotation: write fast: int = 5"):
        parameters_from(Bare, ["fast=3"], [])
