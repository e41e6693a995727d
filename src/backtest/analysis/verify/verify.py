"""Verify a run: from memory, or from the files that it was written to.

The checks read the run's tables as text and add them up again in whole numbers; they call neither
the ledger nor the order services whose work they judge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from os import PathLike
from typing import Any, TypeVar

from backtest.analysis.rereading import reopened
from backtest.analysis.tables.files import read_run
from backtest.analysis.tables.tables import Tables, names_of
from backtest.analysis.trades.excursions import Excursions
from backtest.analysis.verify import (
    events as check_events,
)
from backtest.analysis.verify import (
    facts as check_facts,
)
from backtest.analysis.verify import (
    orders as check_orders,
)
from backtest.analysis.verify import (
    sums as check_sums,
)
from backtest.analysis.verify.columns import causes, columns
from backtest.analysis.verify.data import against_the_data, unfit
from backtest.analysis.verify.journal import Journal, journal_checks
from backtest.analysis.verify.lines import Material
from backtest.analysis.verify.tape import tape
from backtest.analysis.verify.trades import RoundTrips
from backtest.analysis.verify.unproven import doubts
from backtest.analysis.verify.verification import Finding, Verification, checked
from backtest.analysis.verify.volumes import chains

__all__ = ["verify_run", "verify_tables"]

T = TypeVar("T")


NOT_GIVEN = "it was not given"


def verify_tables(
    tables: Tables, market: Iterable[Any] | None = None, no_market: str = NOT_GIVEN
) -> Verification:
    """Everything that a run's tables can prove, and the data where it is given.

    ``market`` are the market events in the order in which the venue got them, or None, and
    ``no_market`` says why.
    """
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
        ("reserves and margins are explained", check_sums.reserves),
        ("PnL and fees are their transactions", check_sums.trades),
        ("the summary follows from the tables", check_facts.summary),
    ):
        checks.append(checked(name, _along(look, material, journal)))
    for name, read in (
        ("orders are in order", check_orders.orders),
        ("volumes of chains are conserved", chains),
        ("fills agree with their orders", check_orders.fills),
        ("columns agree with one another", columns),
    ):
        checks.append(checked(name, _with(read, material)))
    checks.append(checked("entries are caused as events tell", _along(causes, material, journal)))
    trips = RoundTrips(material)
    checks.append(checked("trades follow from fills and transactions", trips.look))
    if "market" in material.facts["config"]:
        checks.append(checked("the tape is what was filled", _with(tape, material)))
    followed, no_market = False, unfit(material) or no_market
    if market is not None and not unfit(material):
        seen = Excursions(trips.trades)
        look = partial(against_the_data, material, seen.over(market))
        checks.append(checked("the data gives prices, times and equity", look))
        followed = checks[-1].ok
        checks.append(
            checked("the data gives how far prices went", partial(trips.excursions, seen))
        )
    checks.append(
        checked(
            "events agree with orders and fills", _along(check_events.events, material, journal)
        )
    )
    told = [one.what for one in doubts(followed)]
    if not followed:
        told.append(f"anything against the data: {no_market}")
    return Verification(tuple(checks), tuple(told))


def verify_run(
    directory: str | PathLike[str], data: Mapping[str, Sequence[str]] | None = None
) -> Verification:
    """Verify a run from the files in ``directory``, and the data that it was made from.

    ``data`` are files by pair; for others the names that the run was given are tried, and files
    with another hash are not used. ``run.json`` is compared, never trusted. Raises `DataError`
    when there is no run to be read.
    """
    files = read_run(directory)

    def look(finding: Finding) -> str:
        for problem in files.problems():
            finding.wrong(problem)
        return f"{len(names_of(files.facts))} tables and run.json"

    first = checked("the files are as they were written", look)
    try:
        market, no_market = reopened(files.facts, data or {})
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        market, no_market = None, f"run.json does not tell what it was ({error})"
    rest = verify_tables(files, market, no_market)
    besides = ", ".join(files.besides())
    told = (*rest.unproven, f"what else is in the folder: {besides}") if besides else rest.unproven
    return Verification((first, *rest.checks), told)


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
