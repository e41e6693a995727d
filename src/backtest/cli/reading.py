"""``verify DIR`` and ``explain DIR ORDER_ID``."""

from __future__ import annotations

from argparse import Namespace

from backtest.analysis.explain import explain as told
from backtest.analysis.files import read_run
from backtest.analysis.rereading import reopened
from backtest.analysis.verify import verify_run
from backtest.errors import ConfigError

__all__ = ["explain", "verify"]


def verify(arguments: Namespace) -> int:
    """Print each check; 0 when all passed."""
    verification = verify_run(arguments.directory)
    print(verification)
    return 0 if verification.ok else 1


def explain(arguments: Namespace) -> int:
    """Print the story of the order."""
    run = read_run(arguments.directory)
    given: dict[str, list[str]] = {}
    for text in arguments.data:
        code, equals, name = text.partition("=")
        pairs = list(run.facts["config"]["data"])
        if not equals and len(pairs) == 1:
            code, name = pairs[0], text
        if code not in pairs or not name:
            raise ConfigError(
                f"--data {text}: say which pair it is the data of, --data {pairs[0]}={text}"
            )
        given.setdefault(code, []).append(name)
    bars, no_bars = reopened(run.facts, given)
    print(told(run, arguments.order, bars, no_bars), end="")
    return 0
