"""``run``: a strategy of the user's on data of the user's."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backtest.analysis.market.page import check_page, plotly_js
from backtest.analysis.metrics import plain_summary
from backtest.analysis.page.page import WHAT
from backtest.analysis.result import RunResult
from backtest.analysis.tables.files import check_target
from backtest.cli.data_files import by_pair, how_read
from backtest.cli.failure import StrategyFailed
from backtest.cli.mistakes import awaiting, mistakes, outcome
from backtest.cli.progress import progress
from backtest.cli.request import ConfigFile, quoted, request_of, strategies_of
from backtest.cli.terminal import say
from backtest.errors import ConfigError
from backtest.money import plain
from backtest.runs.config import cash_of
from backtest.runs.runner import BacktestRunner
from backtest.strategies import Strategy
from backtest.times import format_ns

__all__ = ["Writing", "carry_out", "run", "show", "written"]

_AS_THEY_ARE = (
    "netting", "rules", "collateral", "profile", "stream", "start", "end", "warmup", "seed",
    "latency",
)  # fmt: skip
"""What the runner takes as a run file has it."""


def run(arguments: Namespace) -> int:
    """Run, write what was asked for, print the report or the JSON object."""
    request = request_of(arguments)
    arguments.out, arguments.json = request.get("out"), request.get("json", False)
    arguments.format = request.get("format", "csv")
    if arguments.out is not None:
        files = [one["file"] for one in request["data"]]
        check_target(arguments.out, arguments.format, force=arguments.force, inputs=files)
    if arguments.page is not None:
        plotly_js(WHAT)  # or MissingExtra, before the run
        check_page(arguments.page, force=arguments.force)
    data = by_pair(request["data"])
    strategies = strategies_of(request, arguments.parameters)
    cash = cash_of(request["cash"])
    if request.get("accounts") == "own":
        cash = _apart(cash, list(strategies))
    runner = BacktestRunner(
        strategies=strategies,
        data=data,
        cash=cash,
        accounts=_owners(request, list(strategies), list(cash)),
        margin_mode=request.get("margin"),
        **{name: request[name] for name in _AS_THEY_ARE if name in request},
        **how_read(request["data"]),
    )
    config = None
    if arguments.save_config is not None:
        config = ConfigFile(request, arguments.save_config, force=arguments.force)
    with awaiting() as forgotten:
        result = carry_out(runner, strategies, quiet=arguments.quiet)
    result.run_file = quoted(request)
    if config is not None:
        config.write()
    if request.get("paths"):
        result.path_interval()
    return show(result, arguments, mistakes(result, forgotten))


def _apart(cash: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The cash once for each strategy, in an account of its name."""
    if list(cash) != ["main"]:
        raise ConfigError(
            f"cash is given for the accounts {', '.join(cash)}, and each strategy is to have its "
            "own: give amounts alone, --cash 10000USD, or leave out --accounts own"
        )
    return dict.fromkeys(names, cash["main"])


def _owners(request: Mapping[str, Any], names: Sequence[str], accounts: list[str]) -> Any:
    """The accounts of each strategy: those that are said, all for one that is alone, else that of
    its name, else the one there is."""
    owners = {one["name"]: one["accounts"] for one in request["strategies"] if "accounts" in one}
    if len(names) == 1:
        return {names[0]: accounts} | owners
    for name in names:
        if name not in owners and name not in accounts and len(accounts) > 1:
            raise ConfigError(
                f"which of the accounts {', '.join(accounts)} does strategy {name!r} trade on? "
                f"Call the account like it, --cash {name}:10000USD, or it like an account, "
                f"{accounts[0]}=FILE.py:Class"
            )
    return owners


def carry_out(
    runner: BacktestRunner, strategies: Mapping[str, Strategy], *, quiet: bool = False
) -> RunResult:
    """Run with progress; what a strategy raises comes as `StrategyFailed`, with its file."""
    with progress("backtest", quiet=quiet) as runner.progress:
        try:
            return runner.run()
        except (Exception, SystemExit) as error:
            for name, strategy in strategies.items():
                if any(_is_of(note, name) for note in getattr(error, "__notes__", ())):
                    module = sys.modules.get(type(strategy).__module__)
                    raise StrategyFailed(error, getattr(module, "__file__", None)) from error
            if isinstance(error, SystemExit):
                # Whoever asked to leave, the run has not come to its end: that is a failure.
                raise StrategyFailed(error, None) from error
            raise


def _is_of(note: str, name: str) -> bool:
    return note.startswith((f"in strategy/{name} at ", f"in strategy/{name}/"))


def show(result: RunResult, arguments: Namespace, faults: Sequence[str]) -> int:
    """Write and print what was asked for, and the strategy's ``faults``; 1 when there are any or
    the run does not verify, else 0."""
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
        say(str(verification).splitlines()[-1].capitalize())
        if folder is not None:
            say(f"Written to {folder}: check it with 'python -m backtest verify {folder}'")
        if page is not None:
            say(f"The page is {page}: open it in a browser")
    code = outcome(verification, faults)
    writing.raise_for_failure()
    return code


class Writing:
    """Writes what was asked for; a failure waits until the report has been printed."""

    def __init__(self) -> None:
        self._failure: Exception | None = None

    def of(self, write: Callable[[], Path | None]) -> Path | None:
        """What ``write`` gives; None when it fails."""
        try:
            return write()
        except Exception as error:
            self._failure = self._failure or error
            return None

    def raise_for_failure(self) -> None:
        """Raises what went wrong first, if anything did."""
        if self._failure is not None:
            raise self._failure


def written(result: RunResult, arguments: Namespace) -> Path | None:
    """The folder that the run was written to, as the user called it, if he asked for one."""
    if arguments.out is None:
        return None
    result.write(arguments.out, arguments.format, force=arguments.force)
    return Path(arguments.out)


def _object(result: RunResult, verified: bool) -> dict[str, Any]:
    """What ``--json`` prints: counts and money, amounts as text."""
    return {
        "bars": result.bars,
        "ticks": result.ticks,
        "orders": len(result.records.orders),
        "fills": len(result.records.fills),
        "transactions": result.ledger.transactions,
        "final_equity": plain(result.final_equity),
        "cash_asset": result.cash_asset,
        "balances": {
            account: {
                asset: {kind: plain(amount) for kind, amount in both.items()}
                for asset, both in assets.items()
            }
            for account, assets in result.balances.items()
        },
        "journal_sha256": result.journal_sha256,
        "verified": verified,
        "summary": plain_summary(result.summary),
        "refusals": [
            {
                "reason": one.reason.value,
                "count": one.count,
                "first": format_ns(one.time),
                "strategy": one.strategy,
                "detail": one.detail,
            }
            for one in result.refusals
        ],
        **({} if result.interval is None else {"paths": result.interval.plain()}),
        "receipt": result.receipt,
    }
