"""``verify DIR`` and ``explain DIR ORDER_ID``."""

from __future__ import annotations

from argparse import Namespace

from backtest.analysis.explain import explain as told
from backtest.analysis.files import read_run
from backtest.analysis.verify import verify_run

__all__ = ["explain", "verify"]


def verify(arguments: Namespace) -> int:
    """Print each check; 0 when all passed."""
    verification = verify_run(arguments.directory)
    print(verification)
    return 0 if verification.ok else 1


def explain(arguments: Namespace) -> int:
    """Print the story of the order."""
    print(told(read_run(arguments.directory), arguments.order), end="")
    return 0
