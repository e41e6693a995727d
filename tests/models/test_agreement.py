"""The product agrees with its reference models; the fuzz finds where something would not."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest

from tests.models import fuzz
from tests.models.common import Case, Model, Outcome, differences, shorter, with_field

SMALL, LONG, PARTS = 200, 20_000, 8


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", [one for one in fuzz.MODELS if one not in fuzz.WAITING])
def test_model_and_product_agree(name: str, part: int, soak: bool) -> None:
    each = (LONG if soak else SMALL) // PARTS
    tally = fuzz.fuzz(name, range(part * each, (part + 1) * each), most=1)
    if tally.disagreements:
        model = fuzz.model_named(name)
        case = fuzz.shrink(model, model.draw(tally.disagreements[0].seed))
        pytest.fail(f"seed {tally.disagreements[0].seed}\n{fuzz.show(name, case)}")
    assert tally.agreed > each // 2


def draw(seed: int) -> Case:
    return {"numbers": [seed, 3, seed + 1, 4, 5]}


def expect(case: Case) -> Outcome:
    return {"sum": sum(case["numbers"])}


def play(case: Case) -> Outcome:
    return {"sum": sum(one for one in case["numbers"] if one != 4)}


def smaller(case: Case) -> Iterator[Case]:
    for numbers in shorter(case["numbers"]):
        yield with_field(case, "numbers", numbers)


TOY = cast(Model, SimpleNamespace(draw=draw, expect=expect, play=play, smaller=smaller))


def test_a_difference_is_found_and_shrunk_to_what_makes_it() -> None:
    assert fuzz.check(TOY, draw(1)) == [(".sum", 15, 11)]
    assert fuzz.shrink(TOY, draw(1)) == {"numbers": [4]}


def test_an_exception_of_the_product_is_a_difference() -> None:
    broken = cast(Model, SimpleNamespace(expect=expect, play=lambda case: 1 / 0))
    places = [place for place, _, _ in fuzz.check(broken, draw(1))]
    assert places == [".sum", ".error"]


def test_differences_say_where() -> None:
    found = differences({"a": [1, {"b": 2}], "c": 3}, {"a": [1, {"b": 4}, 5], "c": 3})
    assert list(found) == [(".a[1].b", 2, 4), (".a[2:]", [], [5])]
