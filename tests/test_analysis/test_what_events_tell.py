"""What events tell is in columns, which agree with orders and fills; sentences are made from it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal as D
from uuid import UUID

import pytest

from backtest.actors.protocol import EventKind, Facts
from backtest.actors.venue.event_sentences import sentence
from backtest.analysis.result import RunResult
from backtest.analysis.tables.tables import ALL_COLUMNS, items
from backtest.analysis.verify.verify import verify_tables
from backtest.errors import RejectReason
from tests.test_analysis.forging import Forged
from tests.test_analysis.runs import busy_run

KIND, ORDER = (ALL_COLUMNS["events"].index(name) for name in ("kind", "order_id"))
ONE, TWO = UUID(int=1), UUID(int=2)


@pytest.fixture(scope="module")
def busy() -> RunResult:
    return busy_run()


def at(column: str) -> int:
    return ALL_COLUMNS["events"].index(column)


def rows(run: Forged, kind: str, column: str) -> Iterator[list[str]]:
    """The events of a kind that have something in ``column``."""
    return (row for row in run.table["events"] if row[KIND] == kind and row[at(column)])


@pytest.mark.parametrize(
    ("kind", "column", "forgery", "words"),
    [
        ("split", "parts", "0.001; 0.001", "has parts of 0.001; 0.001, which are not the"),
        ("split", "parts", "", "has no parts"),
        ("closing", "closing_orders", str(TWO), "for which no event asked"),
        ("closing", "quantity", "", "has no quantity"),
        ("closing", "condition", "stop_limit", "asks for a close of kind 'stop_limit', which has"),
        ("triggered", "condition", "moon", "tells of an unknown condition, 'moon'"),
        ("modified", "keeps_place", "", "and does not tell of it"),
        ("modified", "keeps_place", "true", "keeps its place with other prices"),
        ("closing", "point", "high", "has point, which is of other events"),
    ],
)
def test_a_forged_column_is_found(
    busy: RunResult, kind: str, column: str, forgery: str, words: str
) -> None:
    run = Forged(busy.tables)
    chosen = [row for row in run.table["events"] if row[KIND] == kind]
    found = [row for row in chosen if row[at(column)]] or chosen
    assert found, f"the run has no event {kind}"
    for row in found:
        row[at(column)] = forgery
    assert words in str(verify_tables(run))


def test_parts_of_a_split_are_listed_in_their_order(busy: RunResult) -> None:
    run = Forged(busy.tables)
    for row in rows(run, "split", "parts"):
        parts = [D(part) for part in items(row[at("parts")])]
        assert len(parts) > 1
        assert sum(parts) == D(row[at("volume")])
        assert row[at("detail")] == "into " + " + ".join(items(row[at("parts")]))


@pytest.mark.parametrize(
    ("kind", "reason", "facts", "said", "words"),
    [
        (EventKind.MODIFIED, None, Facts(True), "", "keeps its place in the queue"),
        (
            EventKind.MODIFIED,
            None,
            Facts(False, level=D("90.50")),
            "",
            "goes to the end of the queue; trailing stop at 90.5",
        ),
        (EventKind.SPLIT, None, Facts(parts=(D(1), D("2.50"))), "", "into 1 + 2.5"),
        (
            EventKind.CLOSING,
            None,
            Facts(
                closing_orders=(ONE, TWO),
                condition="stop_limit",
                price=D(99),
                limit_price=D(98),
                quantity=D(3),
            ),
            "",
            f"close 3 by a stop_limit at 99 with limit 98; order {ONE} + {TWO}",
        ),
        (
            EventKind.CLOSE_CANCELLED,
            RejectReason.REQUESTED,
            Facts(closing_orders=(ONE,)),
            "cancel",
            f"cancel; order {ONE}",
        ),
        (
            EventKind.CANCELLED,
            RejectReason.FILL_OR_KILL,
            Facts(quantity=D("0.70")),
            "",
            "not all of it could fill at its first opportunity: the volume there was 0.7",
        ),
        (
            EventKind.CANCELLED,
            RejectReason.REDUCE_ONLY,
            Facts(price=D(101), point="high"),
            "",
            "at 101, at the high, there was no more than that to close",
        ),
        (
            EventKind.TRIGGERED,
            None,
            Facts(condition="limit", price=D(98), quantity=D(2)),
            "",
            "the stop was reached, it is a limit order at 98 from here on; 2 is left to fill",
        ),
        (
            EventKind.ACCEPTED,
            None,
            Facts(level=D(90), expires=0),
            "",
            "trailing stop at 90; good till 1970-01-01T00:00:00+00:00",
        ),
        (EventKind.CANCELLED, RejectReason.EXPIRED, Facts(), "it was late", "it was late"),
    ],
)
def test_sentences_are_made_from_facts(
    kind: EventKind, reason: RejectReason | None, facts: Facts, said: str, words: str
) -> None:
    assert sentence(kind, reason, facts, said) == words
