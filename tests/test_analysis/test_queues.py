"""The plain book that records are replayed into: it says what cannot have happened."""

from __future__ import annotations

import pytest

from backtest.analysis.explain.queues import OutOfLine, Queues


def four() -> Queues:
    """Bids: 10 at 100 of a, then 5 of b; 7 at 99 of c. An ask: 3 at 102 of d."""
    queues = Queues()
    queues.rest("a", "ann", True, 100, 10)
    queues.rest("b", "bob", True, 100, 5)
    queues.rest("c", "cat", True, 99, 7)
    queues.rest("d", "dan", False, 102, 3)
    return queues


def test_levels_are_the_orders_that_stand_there() -> None:
    queues = four()
    assert list(queues.depth(True)) == [(100, 15, 2), (99, 7, 1)]
    assert list(queues.depth(False)) == [(102, 3, 1)]
    assert (queues.best(True), queues.best(False)) == (100, 102)
    assert not queues.is_crossed()
    assert [place.key for place in queues.line(True)] == ["a", "b", "c"]


def test_the_first_in_line_is_met_first() -> None:
    queues = four()
    queues.met("a", 100, 4, "eve")
    queues.met("a", 100, 6, "eve")
    queues.met("b", 100, 5, "eve")
    queues.met("c", 99, 1, "eve")
    assert list(queues.depth(True)) == [(99, 6, 1)]


@pytest.mark.parametrize(
    ("key", "price", "owner", "problem"),
    [
        ("b", 100, "eve", "order b at 100 was met, and order a at 100 stood before it"),
        ("c", 99, "eve", "order c at 99 was met, and order a at 100 stood before it"),
        ("a", 101, "eve", "order a rests at 100 and was met at 101"),
        ("a", 100, "ann", "ann traded with itself, by order a"),
        ("x", 100, "eve", "order x does not stand in line"),
    ],
)
def test_what_is_out_of_line_is_refused(key: str, price: int, owner: str, problem: str) -> None:
    with pytest.raises(OutOfLine, match=problem):
        four().met(key, price, 1, owner)


def test_a_decrease_keeps_the_place_and_coming_back_loses_it() -> None:
    queues = four()
    queues.reduce("a", 4)
    queues.rename("a", "a2")
    assert queues.first(True) is queues.place("a2")
    queues.leave("a2")
    queues.rest("a2", "ann", True, 100, 6)
    assert [place.key for place in queues.line(True)] == ["b", "a2", "c"]
    assert queues.ahead("a2") == (0, 5)
    assert queues.ahead("c") == (11, 0)


def test_parts_stand_where_the_whole_stood() -> None:
    queues = four()
    queues.divide("a", {"a1": 3, "a2": 7})
    assert [(place.key, place.volume) for place in queues.line(True)] == [
        ("a1", 3), ("a2", 7), ("b", 5), ("c", 7),
    ]  # fmt: skip
    queues.divide("c", {})
    assert list(queues.depth(True)) == [(100, 15, 3)]
    with pytest.raises(OutOfLine, match="order b has 5 left, and is split into"):
        queues.divide("b", {"b1": 3, "b2": 3})


def test_a_volume_that_is_not_there_cannot_go() -> None:
    with pytest.raises(OutOfLine, match="order d has 3 left, and 4 of it went"):
        four().reduce("d", 4)


def test_a_crossed_book_is_seen() -> None:
    queues = four()
    queues.rest("e", "eve", False, 100, 1)
    assert queues.is_crossed()
