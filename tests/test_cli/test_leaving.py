"""A strategy that leaves by `sys.exit` has not come to the end of its run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

STRATEGY = """
import sys
from backtest.strategies import Strategy

class Leaves(Strategy):
    def on_bar(self, bar):
        sys.exit(0)
"""
BARS = "timestamp,open,high,low,close\n1577836800,1,1,1,1\n1577836860,1,1,1,1\n"


def test_sys_exit_in_a_strategy_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(STRATEGY)
    (tmp_path / "btc.csv").write_text(BARS)
    command = "run my.py:Leaves --data btc.csv --pair BTCUSD --cash 10USD --json --out out".split()
    done = subprocess.run(
        [sys.executable, "-m", "backtest", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "strategy 'leaves' raised SystemExit" in done.stderr
    assert not (tmp_path / "out").exists()
