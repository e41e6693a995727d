"""Every figure of every file, changed one by one: found, or said to be beyond proof."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

import backtest
from backtest.analysis.rereading import market_events
from backtest.analysis.result import RunResult
from backtest.analysis.tables.tables import ALL_COLUMNS
from backtest.analysis.verify.unproven import UNPROVEN
from backtest.analysis.verify.verification import Verification
from backtest.analysis.verify.verify import verify_run, verify_tables
from backtest.models import Asset, Bar, TradingPair
from backtest.strategies import Strategy
from tests.test_analysis.forging import Forged, cells, changed, leaves
from tests.test_analysis.runs import busy_run, hourly, small_run
from tests.test_markets.crowd import CROWD

Verify = Callable[[Forged], Verification]


def alone(run: Forged) -> Verification:
    """From the files alone."""
    return verify_tables(run)


def with_data(result: RunResult) -> Verify:
    """From the files and the bars."""

    def verify(run: Forged) -> Verification:
        market, why = market_events(result.sources, result.inputs, result.config)
        return verify_tables(run, market, why)

    return verify


def doubtful(followed: bool) -> set[str]:
    """The places that are said to be beyond proof in a run without replaced orders."""
    return {
        place
        for one in UNPROVEN
        if not (followed and one.without_data) and not one.status
        for place in one.places
    }


def missed(run: Forged, verify: Verify, every: bool) -> dict[str, list[tuple[Any, ...]]]:
    """The columns of which a forgery is not found, with the forgeries."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    receipt = run.facts["receipt"]["journal_sha256"]
    for table, name, text, row, at, forgery in cells(run, every):
        row[at] = forgery
        if table in ("orders", "transactions"):
            run.cover()
        if verify(run).ok:
            found.setdefault(f"{table}.{name}", []).append((row[0], text, forgery))
        row[at] = text
        run.facts["receipt"]["journal_sha256"] = receipt
    assert verify(run).ok, "every forgery was taken back"
    return found


def missed_facts(run: Forged, verify: Verify) -> list[str]:
    """The keys of run.json of which a forgery is not found."""
    facts, found = run.facts, []
    for path, _ in list(leaves(facts)):
        for forged in changed(facts, path):
            run.facts = forged
            if verify(run).ok:
                found.append(".".join(map(str, path)))
    run.facts = facts
    return found


@pytest.fixture(scope="module")
def small() -> RunResult:
    return small_run()


@pytest.fixture(scope="module")
def changed_run() -> Forged:
    """Orders that were cancelled, modified, split, and filled in parts."""
    return Forged(busy_run(seed=5, bars=14).tables)


@pytest.mark.parametrize("followed", [False, True], ids=["files alone", "with the data"])
def test_a_forged_cell_is_found_or_stands_among_what_cannot_be_proven(
    small: RunResult, soak: bool, followed: bool
) -> None:
    verify = with_data(small) if followed else alone
    found = missed(Forged(small.tables), verify, soak)
    assert {one: told for one, told in found.items() if one not in doubtful(followed)} == {}


@pytest.mark.parametrize("followed", [False, True], ids=["files alone", "with the data"])
def test_a_forged_key_of_run_json_is_found_or_stands_among_what_cannot_be_proven(
    small: RunResult, followed: bool
) -> None:
    verify = with_data(small) if followed else alone
    beyond = doubtful(followed)
    found = missed_facts(Forged(small.tables), verify)
    assert [one for one in found if not any(f"{one}.".startswith(f"{at}.") for at in beyond)] == []


def test_the_figures_that_are_looked_at_first_are_proven_by_the_data(small: RunResult) -> None:
    figures = {"equity.equity", "orders.create_price", "summary.max_drawdown"}
    assert figures <= doubtful(False) - doubtful(True)
    run, verify = Forged(small.tables), with_data(small)
    # After the second bar: 795.79 USD and 2 BTC at 108. Now a cent more.
    assert run.table["equity"][0] == ["2024-01-01T02:00:00+00:00", "1011.79"]
    run.table["equity"][0][1] = "1011.8"
    assert "a row of equity is 2024-01-01T02:00:00+00:00,1011.8" in str(verify(run))
    run = Forged(small.tables)
    bet = run.table["orders"][1]
    assert bet[20] == "108"  # the close before the bet
    bet[20] = "107"
    assert "was made is 107, should be 108" in str(verify(run))
    assert alone(run).ok
    assert "equity while something is held" in str(alone(run))
    assert "equity while something is held" not in str(verify(Forged(small.tables)))


def test_who_was_maker_is_told_by_what_was_paid(small: RunResult) -> None:
    run = Forged(small.tables)
    entry = run.table["fills"][0]
    assert entry[16] == "false"
    entry[16] = "true"
    assert "takes, and is told to be a maker's" in str(alone(run))


def test_a_forged_tape_is_found(tmp_path: Path, soak: bool) -> None:
    market = evolve(CROWD, duration="10s").run()
    run = Forged(market.tables)
    trades = run.table["tape"]
    assert len(trades) > 3
    found: dict[str, list[Any]] = {}
    for table, name, text, row, at, forgery in cells(run, soak):
        if table == "tape":
            row[at] = forgery
            if alone(run).ok:
                found.setdefault(name, []).append((text, forgery))
            row[at] = text
    assert found == {}
    assert alone(run).ok
    for forged in (trades[:-1], [*trades, trades[-1]], trades[::-1], []):
        run.table["tape"] = forged
        assert not alone(run).ok
    (folder := market.write(tmp_path / "run")).joinpath("tape.csv").unlink()
    assert "tape.csv is missing" in str(verify_run(folder))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("CANCELLED", "cancel_timestamp"), "the time of event "),
        (("REPLACED", "replaced_timestamp"), "the time of event "),
        (("child", "create_timestamp"), "the creation of order "),
        (("part", "branch_id"), ", as no event tells"),
        (("any", "direction"), "is neither LONG nor SHORT but "),
    ],
)
def test_what_became_of_orders_is_told_by_their_parents_and_events(
    changed_run: Forged, change: tuple[str, str], told: str
) -> None:
    which, column = change
    names = ALL_COLUMNS["orders"]
    rows = [dict(zip(names, row, strict=True)) for row in changed_run.table["orders"]]
    status = {row["order_id"]: row["status"] for row in rows}
    at = next(
        at
        for at, row in enumerate(rows)
        if which in (row["status"], "any")
        or (which == "child" and row["parent_id"])
        or (
            which == "part"
            and row["branch_id"] == row["order_id"]
            and status.get(row["parent_id"]) == "REPLACED"
        )
    )
    row, place = changed_run.table["orders"][at], names.index(column)
    before, receipt = row[place], changed_run.facts["receipt"]["journal_sha256"]
    row[place] = {
        "branch_id": rows[at]["parent_id"],
        "direction": "LONGx",
        "create_timestamp": "2020-01-01T00:30:00+00:00",
    }.get(column, "2020-01-01T14:00:00+00:00")
    changed_run.cover()
    try:
        assert told in str(alone(changed_run))
    finally:
        row[place] = before
        changed_run.facts["receipt"]["journal_sha256"] = receipt


def test_a_notional_on_margin_is_what_its_fill_rounds_to(changed_run: Forged) -> None:
    assert alone(changed_run).ok
    names = ALL_COLUMNS["fills"]
    kind, place = names.index("order_kind"), names.index("notional")
    row = next(row for row in changed_run.table["fills"] if row[kind] == "trading")
    # 1.24 at 296.5: 367.66
    assert row[place] == "367.66"
    row[place] = "367.65"
    try:
        assert "the notional of the fill of order" in str(alone(changed_run))
    finally:
        row[place] = "367.66"


def test_what_is_beside_a_run_is_said_not_to_be_proven(small: RunResult, tmp_path: Path) -> None:
    folder = small.write(tmp_path / "run")
    (folder / "tape.csv").write_text("time,price\n")
    verification = verify_run(folder)
    assert verification.ok
    assert "not proven: what else is in the folder: tape.csv" in str(verification).splitlines()


class Adds(Strategy):
    """Buys one, then two more, and sells two of the three: at 100, 110 and 120."""

    def on_bar(self, bar: Bar) -> None:
        self.seen = getattr(self, "seen", 0) + 1
        if self.seen < 3:
            self.long("BTCUSD", self.seen, leverage=2)
        elif self.seen == 3:
            self.short("BTCUSD", 2, leverage=2)


@pytest.fixture(scope="module")
def netted() -> Forged:
    """One position of two orders, of which the older is closed and half of the younger."""
    prices = ("100", "100", "110", "120", "120")
    bars = hourly("BTCUSD", *((price, price, price, price) for price in prices))
    pair = TradingPair("BTCUSD", "BTC", Asset("USD", 2))
    return Forged(backtest.run(Adds(), data={pair: bars}, cash="1000 USD", netting=True).tables)


# The three have cost 320, 106.666... each. Two are sold for 240 and have cost 213.333...: 26.666...
# are won, of which the first posts 13.33, and the second 13.33 more: 26.66 in all.
_AVERAGE = "106.666666666666666666666667"


@pytest.mark.parametrize(
    ("table", "place", "column", "text", "forgery", "told"),
    [
        ("orders", 0, "fill_price", _AVERAGE, "100", "the fill price of order"),
        ("orders", 1, "fill_price", _AVERAGE, "110", "the fill price of order"),
        ("orders", -1, "fill_price", _AVERAGE, "106.66666666", "the fill price of order"),
        ("orders", 0, "gross_pnl", "13.33", "13.34", "the PnL of the fill of order"),
        ("fills", 2, "realised_pnl", "13.33", "20", "the PnL of the fill of order"),
        ("fills", 3, "realised_pnl", "13.33", "13.34", "the PnL of the fill of order"),
        ("orders", -1, "margin_reserved", "53.34", "53.33", "main in BTCUSD has "),
    ],
)
def test_what_one_position_of_several_fills_has_is_proven(
    netted: Forged, table: str, place: int, column: str, text: str, forgery: str, told: str
) -> None:
    assert alone(netted).ok, str(alone(netted))
    row, at = netted.table[table][place], ALL_COLUMNS[table].index(column)
    assert row[at] == text
    row[at] = forgery
    receipt = netted.facts["receipt"]["journal_sha256"]
    netted.cover()
    try:
        assert told in str(alone(netted))
    finally:
        row[at] = text
        netted.facts["receipt"]["journal_sha256"] = receipt


def test_the_final_equity_is_that_of_the_cost_of_what_is_open(netted: Forged) -> None:
    # 26.66 won; of the one that is open 120 - 106.666...
    assert netted.facts["summary"]["final_equity"] == "1039.993333333333333333333333"
