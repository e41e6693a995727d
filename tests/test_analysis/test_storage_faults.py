"""Whatever cuts the writing of a run short, no file is lost and no half result is left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import backtest
from tests.test_analysis.runs import hourly, small_run
from tests.test_analysis.test_files import Idle

PROGRAM = Path(__file__).with_name("storage_trials.py")


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked and killed")
def test_kills_and_faults_of_storage_leave_the_old_run_or_the_new_one(
    tmp_path: Path, soak: bool
) -> None:
    bars = hourly("BTCUSD", ("100", "110", "90", "105"))
    old = backtest.run(Idle(), data=bars, pair="BTCUSD", cash="7 USD").write(tmp_path / "old")
    new = small_run().write(tmp_path / "new")
    program = [sys.executable, str(PROGRAM), str(tmp_path), str(old), str(new)]
    done = subprocess.run(
        [*program, "0", "500" if soak else "90"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
