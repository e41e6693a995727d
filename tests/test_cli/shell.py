"""The command line as a user calls it: another process, in a folder of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from backtest.data import synthetic_bars, write_csv

__all__ = ["STRATEGIES", "Outcome", "backtest_command", "make_home"]

STRATEGIES = """\
from decimal import Decimal

from backtest.strategies import Strategy


class Mine(Strategy):
    pair: str = "BTCUSD"
    every: int = 5
    size: Decimal = Decimal("0.01")
    trouble: str = ""

    async def on_bar(self, bar):
        self.seen = getattr(self, "seen", 0) + 1
        if self.seen == 7 and self.trouble:
            self.make_trouble()
        if self.seen % self.every == 0 and self.balance("USD").available > 2000:
            await self.buy(self.pair, self.size)

    def make_trouble(self):
        if self.trouble == "forever":
            open("entered", "w").close()
            while True:
                pass
        if self.trouble == "rejected":
            return self.buy("NOPE", 1).accepted()
        raise RuntimeError("out of ideas")
"""


class Outcome(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


def make_home(folder: Path) -> Path:
    """A user's folder: bars of two pairs, a strategy, and a folder called ``strategies``."""
    write_csv(folder / "btc.csv", synthetic_bars("BTCUSD", 200, seed=3, price=30_000))
    write_csv(folder / "eth.csv", synthetic_bars("ETHUSD", 200, seed=3, price=2_000))
    (folder / "my.py").write_text(STRATEGIES)
    (folder / "strategies").mkdir()
    (folder / "strategies" / "__init__.py").write_text("OWNER = 'the user'\n")
    return folder


def backtest_command(folder: Path, *arguments: str, **environment: str) -> Outcome:
    """``python -m backtest ARGUMENTS`` in ``folder``."""
    done = subprocess.run(
        [sys.executable, "-m", "backtest", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)
