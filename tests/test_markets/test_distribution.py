"""Parameters that are drawn for each agent: exact, on a grid, and as given where out of range."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest

from backtest.errors import BacktestError, ConfigError
from backtest.markets.distribution import (
    Distribution,
    choice,
    distribution_of,
    exponential,
    lognormal,
    normal,
    uniform,
)


def _many(one: Distribution, count: int = 2_000) -> list[Decimal]:
    random = Random(5)
    return [one.draw(random) for _ in range(count)]


def test_uniform_takes_every_step_from_the_lowest_to_the_highest() -> None:
    assert sorted(set(_many(uniform(1, 6)))) == [Decimal(one) for one in range(1, 7)]
    quarters = [Decimal(one) / 4 for one in range(4, 9)]
    assert sorted(set(_many(uniform(1, 2, step="0.25")))) == quarters


def test_the_step_of_uniform_is_the_finest_digit_that_is_written() -> None:
    assert uniform("0.5", "1.25").step == Decimal("0.01")
    assert uniform(10, 1000).step == 1
    # 1E+3 is a thousand, and its finest digit that counts is the one before the point.
    assert uniform("1E+3", "2E+3").step == 1


def test_uniform_never_leaves_its_range_where_the_step_does_not_divide_it() -> None:
    assert sorted(set(_many(uniform(0, 1, step="0.4")))) == [
        Decimal(0), Decimal("0.4"), Decimal("0.8"),
    ]  # fmt: skip


def test_the_mean_is_about_what_was_asked_for() -> None:
    # The standard error of 2 000 draws is at most 20 / 44.7 = 0.45.
    for one in (normal(100, 20), exponential(20), uniform(0, 40)):
        mean: Decimal = sum(_many(one), Decimal(0)) / 2_000
        wanted = Decimal(100 if one.name == "normal" else 20)
        assert abs(mean - wanted) < 2
    drawn = sorted(_many(lognormal(50, "0.5")))
    assert abs(drawn[1_000] - 50) < 3
    assert drawn[0] > 0


def test_what_is_out_of_range_is_brought_to_its_edge() -> None:
    drawn = _many(normal(0, 10, at_least=-1, at_most="2.5"))
    assert (min(drawn), max(drawn)) == (Decimal(-1), Decimal("2.5"))


def test_normal_is_on_its_grid() -> None:
    assert all(one % Decimal("0.05") == 0 for one in _many(normal(1, 1, step="0.05")))


def test_lengths_of_time_are_text_that_is_read_exactly() -> None:
    drawn = uniform("1ms", "2ms").draw(Random(1))
    assert drawn.endswith("ns")
    assert 1_000_000 <= int(drawn.removesuffix("ns")) <= 2_000_000
    assert all(int(one.removesuffix("ns")) >= 0 for one in map(str, _many(normal("1s", "5s"))))
    assert lognormal("1ms", "0.3").is_time


def test_choice_takes_one_of_its_values_as_it_is() -> None:
    assert {str(one) for one in _many(choice("a", "b"))} == {"a", "b"}


def test_one_seed_gives_one_sequence() -> None:
    for one in (uniform(1, 9), normal(1, 1), exponential(3), lognormal(2, 1), choice(1, 2, 3)):
        assert _many(one, 50) == _many(one, 50)


def test_a_table_says_the_same() -> None:
    assert distribution_of({"uniform": [1, 10], "step": 3}, "size") == uniform(1, 10, step=3)
    assert distribution_of({"exponential": 5}, "size") == exponential(5)
    assert distribution_of({"choice": ["a", "b"]}, "size") == choice("a", "b")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({}, "size must be a value or one distribution"),
        ({"uniform": [1, 2], "normal": [1, 2]}, "size must be a value or one distribution"),
        ({"choice": []}, "size.choice must be a list of values, and takes nothing else"),
        ({"choice": [1], "step": 1}, "size.choice must be a list of values"),
        ({"normal": [1, -2]}, "size.normal's standard deviation cannot be negative, is -2"),
        ({"exponential": -1}, "size.exponential cannot have negative parameters: [-1]"),
        ({"lognormal": [-1, 1]}, "size.lognormal cannot have negative parameters"),
        ({"uniform": ["1s", 2]}, "size.uniform must have lengths of time throughout, not 2"),
        ({"uniform": [1, 2], "step": 0}, "size.uniform.step must be above zero, not 0"),
        ({"uniform": [0.5, 2]}, "size.uniform must be a Decimal, not the float 0.5"),
        ({"uniform": ["NaN", 2]}, "size.uniform must be a finite number, not NaN"),
    ],
)
def test_what_is_no_distribution_is_refused(table: dict[str, object], told: str) -> None:
    with pytest.raises(BacktestError) as caught:
        distribution_of(table, "size")
    assert str(caught.value).startswith(told)


def test_floats_are_refused_in_code_too() -> None:
    with pytest.raises(BacktestError, match=r"write Decimal\('0.1'\)"):
        uniform(0.1, 2)
    with pytest.raises(ConfigError, match="has no option 'most'; did you mean 'at_most'"):
        normal(1, 1, most=3)
