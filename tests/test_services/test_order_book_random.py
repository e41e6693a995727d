"""The order book beside a reference book of plain lists, over random operations."""

from __future__ import annotations

import pytest

from tests.book_operations import compare_books


@pytest.mark.parametrize("ticks", [0, 3, 12, 200])
def test_agrees_with_the_reference_book(soak: bool, ticks: int) -> None:
    operations = 250_000 if soak else 12_500
    seen = compare_books(ticks + 1, operations, 1_000 if soak else 25, ticks=ticks)
    # Each thing that can happen did, often: the agreement is about something.
    assert min(seen.values()) > operations // 200, seen
