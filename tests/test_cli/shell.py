"""The command line as a user calls it: another process, in a folder of the test's own."""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import tempfile
from functools import cache
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
    """``python -m backtest ARGUMENTS`` in ``folder``, as a process of its own."""
    if environment or os.name != "posix" or "COVERAGE_PROCESS_CONFIG" in os.environ:
        return _started(folder, arguments, environment)
    return _forked(folder, arguments)


def _started(folder: Path, arguments: tuple[str, ...], environment: dict[str, str]) -> Outcome:
    """With an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "backtest", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


_PATIENCE_S = 120
_PARENT = """
import encodings.utf_8_sig, gc, json, os, runpy, sys
import backtest.cli.command, backtest.cli.demo, backtest.cli.market, backtest.cli.reading
import backtest.cli.running, backtest.markets.report, backtest.strategies.agents

gc.collect()
gc.freeze()
for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(asked["folder"])
        for number, name in enumerate((os.devnull, asked["out"], asked["err"])):
            opened = os.open(name, os.O_WRONLY if number else os.O_RDONLY)
            os.dup2(opened, number)
            os.close(opened)
        sys.stdin = open(0)
        sys.path[0], sys.argv[1:] = asked["folder"], asked["arguments"]
        os.environ.clear()
        os.environ.update(asked["environment"])
        runpy.run_module("backtest", run_name="__main__", alter_sys=True)
        sys.exit()
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""
"""It has imported what the commands import, and forks for each: that takes a second and more less.
What it has imported is frozen, or each child would go through all of it when it ends."""


@cache
def _parent() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"},
    )
    atexit.register(process.kill)
    return process


def _forked(folder: Path, arguments: tuple[str, ...]) -> Outcome:
    """Forked off an interpreter that has imported us, and has done nothing else."""
    parent = _parent()
    assert parent.stdin is not None
    assert parent.stdout is not None
    with tempfile.TemporaryDirectory() as name:
        out, err = Path(name, "out"), Path(name, "err")
        out.touch()
        err.touch()
        asked = {
            "folder": str(folder),
            "arguments": arguments,
            "environment": dict(os.environ),
            "out": str(out),
            "err": str(err),
        }
        print(json.dumps(asked), file=parent.stdin, flush=True)
        ready, _, _ = select.select([parent.stdout], [], [], _PATIENCE_S)
        if not ready:
            raise TimeoutError(f"backtest {' '.join(arguments)} is still at it: {err.read_text()}")
        return Outcome(int(parent.stdout.readline()), out.read_text(), err.read_text())
