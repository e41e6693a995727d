"""``market``: a market of agents, from a scenario to a report."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from backtest.analysis.market.page import check_page, plotly_js
from backtest.analysis.tables.files import check_target
from backtest.analysis.tables.tables import ALL_COLUMNS
from backtest.cli.failure import StrategyFailed
from backtest.cli.mistakes import awaiting, mistakes, outcome
from backtest.cli.running import Writing, written
from backtest.cli.terminal import say
from backtest.errors import ConfigError
from backtest.markets import SHIPPED, MarketResult, MarketRunner
from backtest.markets.shipped import load, shipped
from backtest.money import plain
from backtest.times import from_ns

__all__ = ["market"]


def market(arguments: Namespace) -> int:
    """Run a scenario, write what was asked for, print the report or the JSON object."""
    if arguments.list:
        for name in SHIPPED:
            scenario = shipped(name)
            told = " ".join(scenario.description.split())
            say(f"{name}: {scenario.agents} agents. {told}")
        return 0
    if arguments.scenario is None:
        raise ConfigError(f"which scenario? One of {', '.join(SHIPPED)}, a TOML file or my.py:name")
    if arguments.page is not None:
        plotly_js()  # says what is missing before the run, not after it
        check_page(arguments.page, force=arguments.force)
    if arguments.out is not None:
        names = tuple(ALL_COLUMNS)
        check_target(arguments.out, arguments.format, force=arguments.force, names=names)
    runner = MarketRunner(
        scenario=load(arguments.scenario),
        agents=arguments.agents,
        seed=arguments.seed,
        until=arguments.until,
    )
    with awaiting() as forgotten, _progress(quiet=arguments.quiet) as runner.progress:
        try:
            result = runner.run()
        except (Exception, SystemExit) as error:
            for name, member in runner.members.items():
                place = (f"in strategy/{name} at ", f"in strategy/{name}/")
                if any(note.startswith(place) for note in getattr(error, "__notes__", ())):
                    module = sys.modules.get(type(member.strategy).__module__)
                    raise StrategyFailed(error, getattr(module, "__file__", None)) from error
            raise
    return _show(result, arguments, mistakes(result, forgotten))


def _show(result: MarketResult, arguments: Namespace, faults: Sequence[str]) -> int:
    verification = result.verify()
    writing = Writing()
    folder = writing.of(lambda: written(result, arguments))
    page = None
    if arguments.page is not None:
        page = writing.of(lambda: result.page(arguments.page, force=arguments.force))
    if arguments.json:
        say(json.dumps(_object(result, verification.ok), indent=2, ensure_ascii=False))
    else:
        say(result.report())
        rate = f"{result.wall_s:.1f} s, {result.messages_per_s:,} messages/s"
        say(f"{result.messages:,} messages in {rate}")
        say(str(verification).splitlines()[-1].capitalize())
        if folder is not None:
            say(f"Written to {folder}: check it with 'python -m backtest verify {folder}'")
        if page is not None:
            say(f"The page is {page}: open it in a browser")
    code = outcome(verification, faults)
    writing.raise_for_failure()
    return code


def _object(result: MarketResult, verified: bool) -> dict[str, Any]:
    """What ``--json`` prints: counts and money, amounts as text."""
    return {
        **result.plain(),
        "orders": len(result.records.orders),
        "fills": len(result.records.fills),
        "transactions": result.ledger.transactions,
        "cash_asset": result.cash_asset,
        "prices": {code: plain(price) for code, price in result.valuation.prices.items()},
        "types": {name: figures.plain() for name, figures in result.by_type().items()},
        "verified": verified,
        "journal_sha256": result.journal_sha256,
        "receipt": result.receipt,
    }


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """What the runner calls with the simulated time and the messages so far; None if ``quiet`` or
    standard error is no terminal. Plain text, rewritten in place: it needs nothing installed."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    began = last = perf_counter()

    def told(now: int, messages: int) -> None:
        nonlocal last
        moment = perf_counter()
        if moment - last < 0.1:
            return
        last = moment
        rate = messages / (moment - began)
        line = f"\r{from_ns(now):%Y-%m-%d %H:%M:%S}  {messages:,} messages, {rate:,.0f}/s"
        print(f"{line:<70}", end="", file=sys.stderr, flush=True)

    try:
        yield told
    finally:
        print("\r" + " " * 70 + "\r", end="", file=sys.stderr, flush=True)
