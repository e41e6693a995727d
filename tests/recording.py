"""A pytest plugin that writes down which order kinds a run of tests has seen come to what.

    pytest -p tests.recording --record-orders FILE

Whatever the scenario tests play on the stage of `backtest.testing` is looked at when it is over:
each order by its kind, the data it met and what became of it. Only what a test that passed has
shown counts. Other tests are left alone. Workers of xdist hand what they saw to the one that
writes. `tools/order_table.py` makes the table of the documents of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import backtest.actors.venue.accept as acceptance
import backtest.testing.stage as stage
from backtest.actors import MarketData
from backtest.errors import OrderRejected
from backtest.models import SpotOrder

__all__ = ["Recorder"]

Seen = tuple[str, str, str, str]
"""Spot or trading, kind, data, outcome."""

_ENDS = {
    "REQUESTED": "cancelled",
    "EXPIRED": "expired",
    "IMMEDIATE_OR_CANCEL": "ioc",
    "FILL_OR_KILL": "fok",
    "ONE_CANCELS_OTHER": "group",
    "WOULD_TAKE": "post_only",
    "REDUCE_ONLY": "reduce_only",
    "INSUFFICIENT_FUNDS": "no_money",
    "PROTECTION_PASSED": "protection",
}
_KEY = "orders-seen"
"""Where a worker puts what it saw."""
_DATA: dict[tuple[str, ...], str] = {("Bar",): "bars", ("Quote",): "quotes", ("Trade",): "trades"}


class Recorder:
    """What the tests have shown, by test."""

    def __init__(self, target: Path, scenarios: Path) -> None:
        self.target = target
        self.scenarios = scenarios
        self.seen: dict[str, set[Seen]] = {}
        self.refused: set[tuple[str, str, str]] = set()
        self._shown: dict[str, dict[str, None]] = {}
        self._events: dict[str, dict[str, None]] = {}
        self._patch = pytest.MonkeyPatch()
        self._now: set[Seen] = set()

    # -- looking -----------------------------------------------------------------------------------

    def watch(self) -> None:
        """Look at every stage until the test is over."""
        market, create = MarketData, acceptance.Acceptance.create
        recorder = self

        class Market(market):  # type: ignore[misc, valid-type]
            def __init__(self, events: Any, *more: Any, **named: Any) -> None:
                recorder._events = {}
                recorder.refused = set()
                super().__init__(recorder._noting(events), *more, **named)

        async def created(self: Any, desk: Any, ask: Any, order_id: Any) -> Any:
            try:
                return await create(self, desk, ask, order_id)
            except OrderRejected as refusal:
                reason = "post_only" if refusal.reason.value == "WOULD_TAKE" else "refused"
                flavour = "spot" if ask[3] else "trading"
                recorder.refused.add((f"{flavour} {ask[4]}", str(ask[2]), reason))
                raise

        old = stage.conclude

        def conclude(world: Any, *more: Any, **named: Any) -> Any:
            result = old(world, *more, **named)
            recorder._now |= set(recorder._outcomes(world))
            return result

        self._patch.setattr(stage, "MarketData", Market)
        self._patch.setattr(stage, "conclude", conclude)
        self._patch.setattr(acceptance.Acceptance, "create", created)

    def _noting(self, events: Any) -> Iterator[Any]:
        for event in events:
            self._events.setdefault(event.pair, {})[type(event).__name__] = None
            yield event

    def _data(self, pair: str) -> str:
        kinds = tuple(sorted(self._events.get(pair, {})))
        return _DATA.get(kinds, "several")

    # -- what became of orders ---------------------------------------------------------------------

    def _outcomes(self, world: Any) -> Iterator[Seen]:
        records = world.records
        for kind, pair, outcome in sorted(self.refused):
            flavour, _, name = kind.partition(" ")
            yield flavour, name, self._data(pair), outcome
        by_id = {order.id: order for order in records.orders}
        filled: dict[Any, int] = {}
        for fill in records.fills:
            key = fill.closing_order_id or (fill.branch_id, fill.kind)
            filled[key] = filled.get(key, 0) + 1
        closings = dict(_closings(records))
        for fill in records.fills:
            data = self._data(fill.pair)
            count = filled[fill.closing_order_id or (fill.branch_id, fill.kind)]
            kind = fill.kind
            if kind == "entry":
                kind = _kind(by_id[fill.order_id])
            elif kind == "close":
                kind = f"close by {closings[str(fill.closing_order_id)]}"
            yield fill.order_kind, kind, data, "filled" if count == 1 else "in_parts"
        for order in records.orders:
            flavour = "spot" if isinstance(order, SpotOrder) else "trading"
            data = self._data(order.trading_pair_code)
            end = _ENDS.get(order.end_reason or "")
            if order.status.name == "CANCELLED" and end is not None:
                yield flavour, _kind(order), data, end
        for event in records.events:
            if event.kind.value in ("modified", "split") and event.order_number:
                order = records.orders[event.order_number - 1]
                replaced = by_id[order.parent_id] if event.kind.value == "modified" else order
                if replaced.fill_timestamp is None:
                    flavour = "spot" if isinstance(order, SpotOrder) else "trading"
                    data = self._data(order.trading_pair_code)
                    yield flavour, _kind(order), data, event.kind.value
        yield from self._waiting(world)

    def _waiting(self, world: Any) -> Iterator[Seen]:
        for book in world.venue.books.values():
            data = self._data(book.code)
            for branch in book.branches.values():
                flavour = "spot" if branch.spot else "trading"
                if branch.part is not None:
                    for leg in branch.part.exits:
                        yield flavour, leg.kind, data, "waits"
                else:
                    yield flavour, _kind(branch), data, "waits"
            for lot in (one for position in book.positions for one in position.lots):
                for closing in lot.exits:
                    kind = closing.role
                    if kind == "close":
                        kind = f"close by {closing.kind}"
                    yield "trading", kind, data, "waits"

    # -- tests -------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._now = set()
        if item.path.is_relative_to(self.scenarios):
            self.watch()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self) -> None:
        self._patch.undo()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed and self._now:
            self.seen[report.nodeid] = self._now

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        for test, seen in getattr(node, "workeroutput", {}).get(_KEY, {}).items():
            self.seen[test] = {(one[0], one[1], one[2], one[3]) for one in seen}

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        shown = {test: sorted(seen) for test, seen in sorted(self.seen.items())}
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[_KEY] = shown
        else:
            self.target.write_text(json.dumps(shown, indent=1) + "\n", encoding="utf-8")


def _kind(order: Any) -> str:
    """The kind of an order, as `Create` names it."""
    if order.instructions.is_trailing:
        return "trailing_stop"
    if getattr(order, "entry_order_id", None) is not None:
        return "exit"
    if order.limit_price is not None:
        return "limit" if order.stop_price is None else "stop_limit"
    return "market" if order.stop_price is None else "stop"


def _closings(records: Any) -> Iterator[tuple[str, str]]:
    """The orders that close positions, by id, and their kinds."""
    for event in records.events:
        if event.kind.value == "closing":
            for one in event.facts.closing_orders:
                yield str(one), event.facts.condition


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-orders", metavar="FILE", help="write what orders came to to FILE")


def pytest_configure(config: pytest.Config) -> None:
    target = config.getoption("--record-orders")
    if target is not None:
        recorder = Recorder(Path(target), config.rootpath / "tests" / "test_scenarios")
        config.pluginmanager.register(recorder, "order-recorder")
