"""Every figure of every file, changed one by one: found, or said to be beyond proof."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from backtest.analysis.rereading import market_events
from backtest.analysis.result import RunResult
from backtest.analysis.verify.unproven import UNPROVEN
from backtest.analysis.verify.verification import Verification
from backtest.analysis.verify.verify import verify_run, verify_tables
from tests.test_analysis.forging import Forged, cells, changed, leaves
from tests.test_analysis.runs import small_run
from tests.test_markets.crowd import CROWD

Verify = Callable[[Forged], Verification]


def alone(run: Forged) -> Verification:
    """From the files alone."""
    return verify_tables(run)


def with_data(result: RunResult) -> Verify:
    """From the files and the bars."""

    def verify(run: Forged) -> Verification:
        market, why = market_events(result.sources, result.inputs)
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


def test_what_is_beside_a_run_is_said_not_to_be_proven(small: RunResult, tmp_path: Path) -> None:
    folder = small.write(tmp_path / "run")
    (folder / "tape.csv").write_text("time,price\n")
    verification = verify_run(folder)
    assert verification.ok
    assert "not proven: what else is in the folder: tape.csv" in str(verification).splitlines()
