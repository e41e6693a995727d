"""Why a stop-limit order did not fill on a bar, worked out by hand.

Every other reason is held against the walk itself in `tests/test_analysis/test_no_fill.py`.
"""

from __future__ import annotations

import pytest

from backtest.services.fills.no_fill import not_after_stop
from backtest.services.fills.path import Terms
from tests.test_services.walking import D, bar, order, rules

BAR = bar(100, 110, 90, 95)
HIGH_FIRST = D(100), D(110), D(90), D(95)
LOW_FIRST = D(100), D(90), D(110), D(95)


@pytest.mark.parametrize(
    ("stop", "limit", "high_first", "low_first"),
    [
        # Nothing reaches 111: there is nothing to say of what came after.
        (111, 112, None, None),
        # From 105 up the price is below 106 at once: it fills on either path.
        (105, 106, False, False),
        # After 105 it is at or below 92 only when the low comes after the high.
        (105, 92, False, True),
        # 89 is nowhere.
        (105, 89, True, True),
    ],
)
def test_the_limit_after_the_stop_of_a_buy(
    stop: int, limit: int, high_first: bool | None, low_first: bool | None
) -> None:
    working = order("stop_limit", True, stop, terms=Terms(limit=D(limit)))
    alone = [not_after_stop(working, [path], BAR, rules()) for path in (HIGH_FIRST, LOW_FIRST)]
    assert alone == [high_first, low_first]
    both = not_after_stop(working, [HIGH_FIRST, LOW_FIRST], BAR, rules())
    # With both possible it is told only if it does not hang on which of them it was.
    assert both is (high_first if high_first is low_first else None)
