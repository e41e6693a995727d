"""Instructions: what goes together, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from backtest.errors import FieldError, FieldTypeError
from backtest.models import PLAIN, Instructions, TimeInForce
from backtest.models.instructions import check_instructions

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def test_plain_is_good_till_cancelled_and_nothing_else() -> None:
    assert PLAIN.time_in_force is TimeInForce.GTC
    assert not PLAIN.is_trailing
    assert Instructions() == PLAIN


def test_gtd_and_its_moment_go_together() -> None:
    assert Instructions(TimeInForce.GTD, NOON).expires_at == NOON


@pytest.mark.parametrize("distance", [{"trail": Decimal(5)}, {"trail_percent": Decimal(2)}])
def test_a_distance_makes_a_trailing_stop(distance: dict[str, Any]) -> None:
    assert Instructions(**distance).is_trailing


@pytest.mark.parametrize(
    ("given", "error", "field"),
    [
        ({"time_in_force": "GTC"}, FieldTypeError, "time_in_force"),
        ({"time_in_force": TimeInForce.GTD}, FieldError, "expires_at"),
        ({"expires_at": NOON}, FieldError, "expires_at"),
        ({"time_in_force": TimeInForce.DAY, "expires_at": NOON}, FieldError, "expires_at"),
        ({"time_in_force": TimeInForce.GTD, "expires_at": 5}, FieldTypeError, "expires_at"),
        ({"post_only": 1}, FieldTypeError, "post_only"),
        ({"reduce_only": "yes"}, FieldTypeError, "reduce_only"),
        ({"trail": 1.5}, FieldTypeError, "trail"),
        ({"trail": Decimal(0)}, FieldError, "trail"),
        ({"trail_percent": Decimal(100)}, FieldError, "trail_percent"),
        ({"trail": Decimal(1), "trail_percent": Decimal(1)}, FieldError, "trail_percent"),
        ({"oco": ""}, FieldTypeError, "oco"),
        ({"oco": 7}, FieldTypeError, "oco"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    given: dict[str, Any], error: type[Exception], field: str
) -> None:
    with pytest.raises(error, match=f"^{field}"):
        Instructions(**given)


def test_what_are_no_instructions_is_refused() -> None:
    check_instructions(PLAIN)
    with pytest.raises(
        FieldTypeError, match=r"^instructions must be Instructions\(...\), not 'GTC'"
    ):
        check_instructions("GTC")
