"""``verify DIR`` and ``explain DIR ORDER_ID``."""

from __future__ import annotations

from argparse import Namespace

from backtest.analysis.explain.explain import explain as told
from backtest.analysis.rereading import reopened
from backtest.analysis.tables.files import RunFiles, read_run
from backtest.analysis.verify.verify import verify_run
from backtest.cli.terminal import say
from backtest.errors import ConfigError

__all__ = ["explain", "verify"]


def verify(arguments: Namespace) -> int:
    """Print each check; 0 when all passed."""
    given = _given(read_run(arguments.directory), arguments.data)
    verification = verify_run(arguments.directory, given)
    say(verification)
    return 0 if verification.ok else 1


def explain(arguments: Namespace) -> int:
    """Print the story of the order."""
    run = read_run(arguments.directory)
    bars, no_bars = reopened(run.facts, _given(run, arguments.data))
    say(told(run, arguments.order, bars, no_bars), end="")
    return 0


def _given(run: RunFiles, data: list[str]) -> dict[str, list[str]]:
    """Data files by pair, as ``--data`` gave them."""
    given: dict[str, list[str]] = {}
    for text in data:
        code, equals, name = text.partition("=")
        pairs = list(run.facts["config"]["data"])
        if not equals and len(pairs) == 1:
            code, name = pairs[0], text
        if code not in pairs or not name:
            raise ConfigError(
                f"--data {text}: say which pair it is the data of, --data {pairs[0]}={text}"
            )
        given.setdefault(code, []).append(name)
    return given
