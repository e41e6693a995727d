"""A strategy that never lets go is named: with its line, and the simulated time."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

import backtest
from backtest.actors.kernel.deadlock import stall_bound_of
from backtest.errors import Deadlock, InboxOverflow, Livelock, OrderFlood, Stubborn
from backtest.models import Bar
from backtest.strategies import Strategy

from .playing import market, play


class Polling(Strategy):
    async def on_bar(self, bar: Bar) -> None:
        while True:
            await anyio.lowlevel.checkpoint()


def test_a_storm_of_wake_ups_is_a_livelock_within_seconds() -> None:
    with pytest.raises(Livelock) as raised:
        play(Polling(), market(100, 100))
    assert raised.value.who == ("strategy/polling",)
    assert 100_000 <= raised.value.steps < 110_000
    assert "at 1970-01-01T00:01:00+00:00" in str(raised.value)


def test_a_crowd_may_do_its_work_at_one_time() -> None:
    assert stall_bound_of(None, 1, 1) == 100_000
    assert stall_bound_of(None, 10_000, 1) == 3_000_000
    assert stall_bound_of(None, 20, 5_000) == 10_004_000
    assert stall_bound_of(5_000, 10_000, 1) == 5_000


def test_a_flood_of_orders_names_who_sends_it() -> None:
    class Flooding(Strategy):
        def on_bar(self, bar: Bar) -> None:
            while True:
                self.buy("BTCUSD", "0.01", limit_price=1)

    with pytest.raises(OrderFlood, match=r"^strategy/flooding has sent 100000 commands") as raised:
        play(Flooding(), market(100, 100))
    assert isinstance(raised.value, InboxOverflow)


def test_who_swallows_cancellation_is_named_with_its_line() -> None:
    class Swallowing(Strategy):
        async def run(self) -> None:
            while True:
                try:
                    await self.sleep("1h")  # here it is
                except asyncio.CancelledError:
                    pass

    with pytest.raises(Stubborn) as raised:
        play(Swallowing(), market(100, 100))
    assert isinstance(raised.value, Deadlock)
    ((who, line),) = raised.value.waits
    assert who == "strategy/swallowing/run"
    assert line.startswith("test_going_on_for_ever.py line ")
    assert line.endswith('in run: await self.sleep("1h")  # here it is')


class Computing(Strategy):
    def on_bar(self, bar: Bar) -> None:
        if bar.open_ns:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
            until = time.monotonic() + 20
            while time.monotonic() < until:
                pass


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")
def test_ctrl_c_names_strategy_line_and_time() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as raised:
            backtest.run(Computing(), data=market(100, 100, 100), cash="10 USD")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    told = str(raised.value)
    assert told.startswith(
        "strategy/computing was at work at 1970-01-01T00:02:00+00:00: test_going_on_for_ever.py "
    )
    assert "in on_bar: " in told


def test_a_handler_of_the_users_own_is_left_alone() -> None:
    heard: list[int] = []

    class Sending(Strategy):
        def on_bar(self, bar: Bar) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        play(Sending(), market(100))
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]


MINE = """
from backtest.strategies import Strategy

class Mine(Strategy):
    def on_bar(self, bar):
        open("entered", "w").close()
        while True:
            pass
"""


def write_bars(folder: Path) -> None:
    (folder / "btc.csv").write_text(
        "timestamp,open,high,low,close\n1577836800,1,1,1,1\n1577836860,1,1,1,1\n"
    )


def entered(folder: Path) -> subprocess.Popen[str]:
    """A run of ``Mine`` in a process of its own, which is in its handler by now."""
    command = "run my.py:Mine --data btc.csv --pair BTCUSD --cash 10USD".split()
    process = subprocess.Popen(
        [sys.executable, "-m", "backtest", *command],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    for _ in range(600):
        if (folder / "entered").exists():
            break
        time.sleep(0.05)
    time.sleep(0.1)
    return process


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")
def test_the_command_line_says_so_too(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(MINE)
    write_bars(tmp_path)
    process = entered(tmp_path)
    try:
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130
    first, second = told.splitlines()[-2:]
    assert first == "error: interrupted: nothing was written"
    assert second.startswith(
        "  strategy/mine was at work at 2020-01-01T00:01:00+00:00: my.py line "
    )
    assert "in on_bar: " in second


def test_a_task_that_swallows_it_is_named() -> None:
    class Spawning(Strategy):
        async def run(self) -> None:
            self.task = asyncio.create_task(_stubborn(), name="mine")
            await self.sleep("1h")

    with pytest.raises(Stubborn, match=r"mine at test_going_on_for_ever.py line .*in _stubborn"):
        play(Spawning(), market(100, 100))


async def _stubborn() -> None:
    while True:
        try:
            await anyio.sleep(3600)
        except asyncio.CancelledError:
            pass


CATCHING = """
import asyncio
import anyio
from backtest.strategies import Strategy

class Mine(Strategy):
    how: str = "run"

    async def run(self):
        if self.how == "task":
            self.task = asyncio.create_task(self.work())
        elif self.how == "run":
            await self.work()
        elif self.how == "generator":
            async for _ in self.numbers():
                pass

    async def on_bar(self, bar):
        if self.how == "handler":
            await self.work()

    async def work(self):
        while True:
            try:
                await anyio.sleep(60)
            except BaseException:
                pass

    async def numbers(self):
        while True:
            try:
                await self.sleep(60)
                yield 1
            except BaseException:
                pass
"""


@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("run", "strategy/mine/run at my.py line 25, in work: await anyio.sleep(60)"),
        ("task", "at my.py line 25, in work: await anyio.sleep(60)"),
        ("generator", "strategy/mine/run at my.py line 15, in run: async for _ in self.numbers():"),
        ("handler", "strategy/mine at my.py line 25, in work: await anyio.sleep(60)"),
    ],
)
def test_a_process_ends_though_a_strategy_catches_whatever_is_raised(
    tmp_path: Path, how: str, line: str
) -> None:
    """Not even the end of the interpreter, which closes what is suspended, waits for it."""
    (tmp_path / "my.py").write_text(CATCHING)
    write_bars(tmp_path)
    command = f"run my.py:Mine --data btc.csv --pair BTCUSD --cash 10USD --set how={how}"
    done = subprocess.run(
        [sys.executable, "-m", "backtest", *command.split()],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: the run is over, and nothing can happen any more")
    assert f"{line}, and refuses to be cancelled" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_who_is_cancelled_by_its_task_group_in_vain_is_named() -> None:
    class Grouping(Strategy):
        async def run(self) -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(_shameless)

    with pytest.raises(Stubborn, match=r"_shameless at .* await anyio.sleep\(60\), and refuses"):
        play(Grouping(), market(100, 100), stall_bound=1_000)
    gc.collect()


async def _shameless() -> None:
    while True:
        try:
            await anyio.sleep(60)
        except BaseException:
            pass


def test_who_iterates_anew_when_the_data_have_ended_is_named() -> None:
    class Anew(Strategy):
        async def run(self) -> None:
            while True:
                async for _ in self.bars("BTCUSD"):
                    pass

    class Same(Strategy):
        async def run(self) -> None:
            bars = self.bars("BTCUSD")
            while True:
                async for _ in bars:
                    pass

    for strategy in (Anew(), Same()):
        with pytest.raises(Livelock) as raised:
            play(strategy, market(100, 100), stall_bound=1_000)
        assert raised.value.who == (f"strategy/{type(strategy).__name__.lower()}/run",)


SHAMELESS = """
from backtest.strategies import Strategy

class Mine(Strategy):
    def on_bar(self, bar):
        while True:
            try:
                open("entered", "w").close()
            except BaseException:
                pass
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")
def test_a_second_ctrl_c_ends_the_process_though_the_first_was_caught(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(SHAMELESS)
    write_bars(tmp_path)
    process = entered(tmp_path)
    try:
        for _ in range(200):
            process.send_signal(signal.SIGINT)
            time.sleep(0.1)
            if process.poll() is not None:
                break
        _, told = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130
    first, second = told.splitlines()[-2:]
    assert first.startswith("error: interrupted")
    assert second.startswith("  strategy/mine was at work at 2020-01-01T00:01:00+00:00: my.py line")
