"""Values as plain data: what may make a run differ differs, and looks the same everywhere."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from enum import Enum
from fractions import Fraction
from functools import partial
from pathlib import PurePosixPath
from random import Random
from typing import Any, NamedTuple

import attrs
import pytest
from gymnasium.spaces import Discrete

import backtest
from backtest.actors import CubicLatency, DistanceLatency, FixedLatency
from backtest.gym import ActWith, history_env
from backtest.models import Asset, TradingRules
from backtest.models.fills import Fills
from backtest.runs.content import Contents
from backtest.strategies import Strategy
from backtest.testing import bar

HERE = __name__


def value(one: Any) -> Any:
    contents = Contents()
    told = contents.value(one, "it")
    assert contents.notices == []
    return told


class Side(Enum):
    LEFT = 1


class Point(NamedTuple):
    x: int


@dataclass
class Rule:
    level: int
    seen: list[int] = field(default_factory=list)

    def act(self) -> int:
        return self.level


@attrs.frozen
class Pair:
    one: Any
    other: Any


class Slotted:
    __slots__ = ("x",)

    def __init__(self, x: int) -> None:
        self.x = x


class Bag(dict[str, int]):
    pass


def add(x: int, *, step: int = 1) -> int:
    return x + step


def adder(step: int) -> Any:
    return lambda x: x + step


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (None, None),
        (True, True),
        (1, 1),
        ("1", "1"),
        (1.5, 1.5),
        (float("inf"), {"float": "inf"}),
        (D("1.50"), {"Decimal": "1.50"}),
        ([1, "a"], [1, "a"]),
        ((1, 2), {"tuple": [1, 2]}),
        ({"b": 1, "a": 2}, {"dict": [["b", 1], ["a", 2]]}),
        ({3, 1, 2}, {"set": [1, 2, 3]}),
        (frozenset("ba"), {"frozenset": ["a", "b"]}),
        (Side.LEFT, {"enum": f"{HERE}.Side.LEFT"}),
        (datetime(2024, 1, 2, tzinfo=UTC), {"datetime": "2024-01-02T00:00:00+00:00"}),
        (timedelta(minutes=1), {"timedelta": "0:01:00"}),
        (Fraction(1, 3), {"Fraction": "1/3"}),
        (PurePosixPath("a/b"), {"PurePath": "a/b"}),
        (b"\x01", {"bytes": "01"}),
        (len, {"builtin": "len"}),
        (FixedLatency(7), {"repr": "FixedLatency(7)"}),
        (Asset("USD", 2), {"ours": "Asset", "fields": {"code": "USD", "precision": 2}}),
    ],
)
def test_plain_values(one: Any, told: Any) -> None:
    assert value(one) == told


FUNCTIONS = [lambda x: x + 1, lambda x: x + 2]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, "1"),
        (1, True),
        (1, 1.0),
        (D(1), "1"),
        ([1], (1,)),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),  # whoever iterates sees another order
        (Rule(1), Rule(2)),
        (Rule(1), Rule),
        (Pair(1, 2), Pair(2, 1)),
        (Point(1), Point(2)),
        (Point(1), (1,)),
        (Slotted(1), Slotted(2)),
        (Bag(a=1), Bag(a=2)),
        (Bag(a=1), {"a": 1}),
        (Random(1), Random(2)),
        (FUNCTIONS[0], FUNCTIONS[1]),  # of one line
        (adder(1), adder(2)),  # of one source
        (add, adder),
        (partial(add, step=1), partial(add, step=2)),
        (partial(add, step=1), add),
        (Rule(1).act, Rule(2).act),
        (re.compile("a"), re.compile("b")),
        (list(range(5_000)), list(range(1, 5_001))),
        ([].append, [1].append),
    ],
)
def test_what_may_differ_differs(one: Any, other: Any) -> None:
    assert json.dumps(value(one)) != json.dumps(value(other))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rule(3),
        lambda: Pair(Rule(1), {"a": Slotted(2)}),
        lambda: adder(3),
        lambda: partial(add, step=2),
        lambda: Random(5),
        lambda: Bag(a=1),
        lambda: {frozenset("abc"), frozenset("def")},
    ],
)
def test_equals_are_told_alike(make: Any) -> None:
    assert value(make()) == value(make())


def test_a_value_may_hold_itself() -> None:
    rule = Rule(1)
    rule.seen = [rule]  # type: ignore[list-item]
    assert value(rule) == value(rule)


def test_a_long_value_goes_by_its_hash() -> None:
    told = value(list(range(5_000)))
    assert told.keys() == {"sha256", "of"}
    assert told["of"] == "list"


def test_arrays_and_tables_go_by_their_content() -> None:
    numpy, pandas = pytest.importorskip("numpy"), pytest.importorskip("pandas")
    assert value(numpy.arange(3)) == value(numpy.arange(3)) != value(numpy.arange(4))
    assert value(numpy.float64(1)) != value(numpy.float32(1))
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    assert value(frame) == value(frame.copy())
    assert value(frame) != value(frame.rename(columns={"a": "c"}))
    assert value(frame["a"]) != value(frame["b"])


def test_what_cannot_be_seen_through_is_named_and_said() -> None:
    contents = Contents()
    assert contents.value(threading.Lock(), "gate of me") == {"object": "_thread.lock"}
    (notice,) = contents.notices
    assert notice.startswith("gate of me is or holds a _thread.lock, which cannot be looked into")


class Idle(Strategy):
    gate: Any = None


def test_a_run_says_so_and_goes_on() -> None:
    result = backtest.run(
        Idle(gate=threading.Lock()), data=[bar(0, 100)], pair="BTCUSD", cash="9 USD"
    )
    assert len(result.receipt["notices"]) == 1
    assert "gate of idle is or holds a _thread.lock" in result.report()
    assert result.verify().ok


# -- what users write beside strategies ------------------------------------------------------------


@attrs.frozen
class Half:
    """A volume policy of one's own."""

    share: D = D("0.5")

    def pool(self, bar: Any, volume_increment: D) -> D | None:
        return None if bar.volume is None else bar.volume * self.share


def config(**settings: Any) -> Any:
    return backtest.run(Idle(), data=[bar(0, 100)], pair="BTCUSD", cash="9 USD", **settings).config


def test_policies_of_ones_own_are_in_the_receipt_with_their_source() -> None:
    told = config(rules=TradingRules(fills=Fills(volume=Half())))
    assert "Half" in str(told["given"]["fills of BTCUSD"])
    assert HERE in told["sources"]
    assert "given" not in config()


def test_a_latency_says_all_that_it_is_made_of() -> None:
    far = DistanceLatency({"broker": 0}, spread=1, jitter=CubicLatency)
    assert "given" not in config(latency=far)
    told = [
        config(latency=DistanceLatency({"broker": 0}, spread=1, jitter=law))["given"]
        for law in (lambda ns: FixedLatency(ns), lambda ns: FixedLatency(ns + 1))
    ]
    assert told[0] != told[1]


def test_an_environment_says_that_its_actions_are_not_in_the_id() -> None:
    act = ActWith(Discrete(2), lambda learner, action: None)
    env = history_env([bar(n, 100) for n in range(3)], "100 USD", pair="BTCUSD", act=act)
    env.reset(seed=1)
    env.close()
    (notice,) = env.result().receipt["notices"]
    assert notice.startswith("learner decides outside the run")
