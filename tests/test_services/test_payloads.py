"""What may be said from agent to agent: nothing that anybody could change afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import attrs
import pytest

from backtest.errors import FieldTypeError
from backtest.models import OrderDirection, Quote, TradingRules
from backtest.models._frozen_map import FrozenMap
from backtest.services.payloads import check_payload
from tests.generators import D


class Named(NamedTuple):
    price: Any
    size: Any = 1


@attrs.frozen
class Frozen:
    what: Any


@attrs.frozen(slots=False)
class FrozenWithDict:
    what: Any


@attrs.define
class Mutable:
    what: Any = 1


@attrs.define(slots=False)
class MutableWithDict:
    what: Any = 1


@dataclass(frozen=True)
class FrozenData:
    what: Any


@dataclass
class MutableData:
    what: Any = 1


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        7,
        0.5,
        "news",
        b"news",
        D("1.5"),
        UUID(int=1),
        datetime(1970, 1, 1, tzinfo=UTC),
        OrderDirection.LONG,
        (),
        (1, ("a", None)),
        frozenset((1, 2)),
        Named(D(99)),
        Frozen(Named(1)),
        FrozenWithDict((1, 2)),
        FrozenData(Frozen("x")),
        Quote("BTCUSD", 0, D(1), D(2)),
        FrozenMap({"a": (1, 2)}),
        TradingRules(),
    ],
)
def test_what_may_be_said(value: Any) -> None:
    check_payload(value)
    check_payload(value)  # what was found out about its class holds the next time, too


@pytest.mark.parametrize(
    ("value", "where", "kind"),
    [
        ([1], "payload", "list"),
        ({"a": 1}, "payload", "dict"),
        ({1}, "payload", "set"),
        (bytearray(b"x"), "payload", "bytearray"),
        (object(), "payload", "object"),
        (Mutable(), "payload", "Mutable"),
        (MutableWithDict(), "payload", "MutableWithDict"),
        (MutableData(), "payload", "MutableData"),
        ((1, [2]), "payload[1]", "list"),
        (Named(1, {}), "payload.size", "dict"),
        (Frozen([1]), "payload.what", "list"),
        (FrozenData((1, Frozen({}))), "payload.what[1].what", "dict"),
        (FrozenMap({"a": [1]}), "payload['a']", "list"),
        (frozenset((Frozen(object),)), "payload's Frozen(what=<class 'object'>).what", "type"),
    ],
)
def test_what_may_not(value: Any, where: str, kind: str) -> None:
    for _ in range(2):
        with pytest.raises(FieldTypeError) as caught:
            check_payload(value)
        assert str(caught.value).startswith(f"{where} is a {kind}, which can be changed after")


def test_it_leaves_no_trace() -> None:
    one = MutableWithDict(Decimal(1))
    with pytest.raises(FieldTypeError):
        check_payload(one)
    assert vars(one) == {"what": Decimal(1)}
