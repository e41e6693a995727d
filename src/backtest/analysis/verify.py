"""Verify a run: from memory, or from the files that it was written to.

The checks read the run's tables as text and add them up again in whole numbers; they call neither
the ledger nor the order services whose work they judge.
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import TypeVar

from backtest.analysis import check_facts, check_orders
from backtest.analysis.check_journal import Journal, journal_checks
from backtest.analysis.files import read_run
from backtest.analysis.lines import Material
from backtest.analysis.tables import COLUMNS, Tables
from backtest.analysis.verification import Finding, Verification, checked

__all__ = ["verify_run", "verify_tables"]

T = TypeVar("T")


def verify_tables(tables: Tables) -> Verification:
    """Everything that a run's tables can prove (semantics, section 12)."""
    material = Material(tables)
    checks = [
        checked("the configuration is the receipt's", _with(check_facts.configuration, material))
    ]
    walked: list[Journal] = []
    checks.append(checked("the tables can be read", _along(_walk, material, walked)))
    if not walked:
        return Verification(tuple(checks))
    journal = walked[0]
    checks += journal_checks(journal)
    for name, look in (
        ("the journal's hash is the receipt's", check_facts.journal_hash),
        ("money is conserved", check_facts.money),
        ("reserves and margins are explained", check_orders.reserves),
        ("PnL and fees are their transactions", check_orders.trades),
        ("the summary follows from the tables", check_facts.summary),
    ):
        checks.append(checked(name, _along(look, material, journal)))
    for name, read in (
        ("orders are in order", check_orders.orders),
        ("volumes of chains are conserved", check_orders.chains),
        ("fills agree with their orders", check_orders.fills),
    ):
        checks.append(checked(name, _with(read, material)))
    checks.append(
        checked(
            "events agree with orders and fills", _along(check_orders.events, material, journal)
        )
    )
    return Verification(tuple(checks))


def verify_run(directory: str | PathLike[str]) -> Verification:
    """Verify a run from the files in ``directory`` alone.

    ``run.json`` is compared, never trusted. Raises `DataError` when there is no run to be read.
    """
    files = read_run(directory)

    def look(finding: Finding) -> str:
        for problem in files.problems():
            finding.wrong(problem)
        return f"{len(COLUMNS)} tables and run.json"

    first = checked("the files are as they were written", look)
    return Verification((first, *verify_tables(files).checks))


def _walk(material: Material, walked: list[Journal], finding: Finding) -> str:
    """Parse everything and walk the journal; a malformed number ends it here."""
    counts = len(material.orders) + len(material.fills) + len(material.events)
    journal = Journal(material)
    journal.walk()
    walked.append(journal)
    return f"{counts + journal.rows} rows of orders, fills, events and transactions"


def _with(look: Callable[[Material, Finding], str], material: Material) -> Callable[[Finding], str]:
    return lambda finding: look(material, finding)


def _along(
    look: Callable[[Material, T, Finding], str], material: Material, with_: T
) -> Callable[[Finding], str]:
    return lambda finding: look(material, with_, finding)
