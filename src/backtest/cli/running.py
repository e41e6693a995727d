"""``run``: a strategy of the user's on data of the user's."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backtest.analysis.metrics import plain_summary
from backtest.analysis.result import RunResult
from backtest.analysis.tables.files import check_target
from backtest.cli.failure import StrategyFailed
from backtest.cli.mistakes import awaiting, mistakes, outcome
from backtest.cli.parameters import make, parameters_from
from backtest.cli.progress import progress
from backtest.cli.terminal import say
from backtest.errors import ConfigError
from backtest.money import plain
from backtest.runs.runner import BacktestRunner
from backtest.runs.target import strategy_class
from backtest.strategies import Strategy
from backtest.times import format_ns

__all__ = ["Writing", "carry_out", "run", "show", "written"]


def run(arguments: Namespace) -> int:
    """Run, write what was asked for, print the report or the JSON object."""
    if arguments.out is not None:
        files = [text.rpartition("=")[2] for text in arguments.data] + arguments.data
        check_target(arguments.out, arguments.format, force=arguments.force, inputs=files)
    named_files = _named_files(arguments.data, arguments.pair)
    data = _by_pair(named_files)
    cash, named = _cash(arguments.cash)
    cls = strategy_class(arguments.strategy)
    strategy = make(cls, parameters_from(cls, arguments.parameters, list(data)))
    name = cls.__name__.lower()
    runner = BacktestRunner(
        strategies={name: strategy},
        data=data,
        cash=cash,
        accounts={name: list(cash)} if named else {},
        netting=arguments.netting,
        rules=arguments.rules,
        margin_mode=arguments.margin,
        collateral=_collateral(arguments.collateral),
        profile=arguments.profile,
        bar=_each("--bar", [_length(one) for one in arguments.bar], named_files),
        stamp=_each("--stamp", arguments.stamp, named_files) or "open",
        tz=_each("--tz", arguments.tz, named_files),
        decimal=_each("--decimal", arguments.decimal, named_files) or ".",
        stream=arguments.stream,
        seed=arguments.seed,
        latency=_latency(arguments.latency),
    )
    with awaiting() as forgotten:
        result = carry_out(runner, {name: strategy}, quiet=arguments.quiet)
    if arguments.paths:
        result.path_interval()
    return show(result, arguments, mistakes(result, forgotten))


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
    if arguments.json:
        say(json.dumps(_object(result, verification.ok), indent=2, ensure_ascii=False))
    else:
        say(result.report())
        say(str(verification).splitlines()[-1].capitalize())
        if folder is not None:
            say(f"Written to {folder}: check it with 'python -m backtest verify {folder}'")
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


# -- arguments -------------------------------------------------------------------------------------


def _named_files(files: list[str], pairs: list[str]) -> list[tuple[str, str]]:
    """Each file with its pair, as ``--pair`` or ``PAIR=FILE`` say."""
    if pairs:
        if len(pairs) != len(files):
            raise ConfigError(
                f"{len(files)} --data and {len(pairs)} --pair are given: give one --pair for each "
                "--data, in the same order"
            )
        named = list(zip(pairs, files, strict=True))
    else:
        named = []
        for text in files:
            pair, equals, file = text.partition("=")
            if not equals or not pair or not file:
                raise ConfigError(
                    f"which pair is the data of? Add --pair CODE, or --data CODE={text}"
                )
            named.append((pair, file))
    for _, file in named:
        if not Path(file).is_file():
            what = "is a folder, not a file" if Path(file).is_dir() else "does not exist"
            raise ConfigError(f"the data file {file} {what}")
    return named


def _by_pair(named: list[tuple[str, str]]) -> dict[str, Any]:
    """Files by pair, a list where there are several."""
    data: dict[str, list[str]] = {}
    for pair, file in named:
        data.setdefault(pair, []).append(file)
    return {pair: files[0] if len(files) == 1 else files for pair, files in data.items()}


def _each(option: str, given: list[Any], named: list[tuple[str, str]]) -> Any:
    """A setting of all files, or of each by pair, as the runner takes it; None: not given."""
    if len(given) <= 1:
        return given[0] if given else None
    if len(given) != len(named):
        raise ConfigError(
            f"{len(named)} --data and {len(given)} {option} are given: give {option} once, or once "
            "for each --data, in the same order"
        )
    settings: dict[str, list[Any]] = {}
    for (pair, _), one in zip(named, given, strict=True):
        settings.setdefault(pair, []).append(one)
    return settings


def _length(text: str) -> str | None:
    return None if text == "auto" else text


def _latency(given: list[str]) -> Any:
    """What `backtest.run` takes as latency: of all links, or by link."""
    named: dict[str, str] = {}
    for text in given:
        link, _, length = text.rpartition("=")
        if link in named or (named and not (link and all(named))):
            raise ConfigError("give --latency once, or once for each link: orders=20ms")
        named[link] = length
    return named.get("", named or None)


def _collateral(given: list[str]) -> dict[str, str]:
    """Weights by asset."""
    weights = {}
    for text in given:
        asset, equals, weight = text.partition("=")
        if not equals or not asset or not weight:
            raise ConfigError(f"--collateral takes ASSET=WEIGHT, BTC=0.9 say, not {text!r}")
        weights[asset] = weight
    return weights


def _cash(given: list[str]) -> tuple[Any, bool]:
    """What `backtest.run` takes as cash, and whether accounts are named."""
    named: dict[str, list[str]] = {}
    plain_amounts = []
    for text in given:
        account, colon, amount = text.rpartition(":")
        if colon:
            if not account.strip():
                raise ConfigError(
                    f"--cash takes ACCOUNT:AMOUNT, the account's name is missing in {text!r}"
                )
            named.setdefault(account.strip(), []).append(amount)
        else:
            plain_amounts.append(text)
    if named and plain_amounts:
        raise ConfigError(
            f"some --cash name an account and {plain_amounts[0]!r} does not: name one for each"
        )
    return (named, True) if named else (plain_amounts, False)
