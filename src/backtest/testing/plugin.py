"""A pytest plugin: the fixture `simulation` and the marker ``seeds``.

It is off unless a suite asks for it, in the ``conftest.py`` at its top::

    pytest_plugins = ["backtest.testing.plugin"]

or on the command line, ``pytest -p backtest.testing.plugin``. (An entry point would be imported by
every pytest of the environment, also by the suites of other projects.)
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from backtest.errors import MissingExtra

from .market import tick_by_tick
from .stage import play
from .world import World

try:
    import pytest
except ImportError:  # pragma: no cover - this suite runs under it
    raise MissingExtra("pytest", "testing", "backtest.testing.plugin") from None

__all__ = ["Simulation", "simulation"]

_MARKER = (
    "seeds(n): run the test with seed = 0, 1, ..., n - 1; --backtest-seeds=N runs N instead, "
    "--backtest-seed=K the one seed K alone"
)


class Simulation:
    """What the fixture `simulation` gives: call it like `backtest.testing.play`.

    ``worlds`` are the simulations of this test so far; when the test fails, what became of the last
    one (orders, fills, journal) is part of the report.
    """

    def __init__(self) -> None:
        self.worlds: list[World] = []

    def __call__(self, *args: Any, **settings: Any) -> World:
        """Run strategies or scripts on scripted bars: `backtest.testing.play`."""
        self.worlds.append(play(*args, **settings))
        return self.worlds[-1]

    def tick_by_tick(self, *args: Any, **settings: Any) -> World:
        """Run a script that moves the market itself: `backtest.testing.tick_by_tick`."""
        self.worlds.append(tick_by_tick(*args, **settings))
        return self.worlds[-1]


@pytest.fixture
def simulation() -> Simulation:
    """Simulations with the oracle on: ``world = simulation(bars, strategy, cash=...)``."""
    return Simulation()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("backtest")
    group.addoption("--backtest-seeds", type=int, metavar="N", help="seeds of each seeds test")
    group.addoption("--backtest-seed", type=int, metavar="K", help="this seed alone")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("seeds")
    if marker is None:
        return
    where = metafunc.definition.nodeid
    count = marker.args[0] if len(marker.args) == 1 and not marker.kwargs else None
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise pytest.UsageError(f"{where}: write @pytest.mark.seeds(n) with a whole number n >= 1")
    if "seed" not in metafunc.fixturenames:
        raise pytest.UsageError(f"{where}: a test marked seeds takes an argument called seed")
    one = metafunc.config.getoption("--backtest-seed")
    wanted = metafunc.config.getoption("--backtest-seeds")
    seeds = range(count if wanted is None else wanted) if one is None else [one]
    metafunc.parametrize("seed", seeds, ids=[f"seed={seed}" for seed in seeds])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when != "call" or not report.failed:
        return report
    given: Any = getattr(item, "funcargs", {})
    if item.get_closest_marker("seeds") is not None:
        base = item.nodeid.partition("[")[0]
        seed = given.get("seed")
        line = f"seed {seed} fails; again: pytest '{base}' --backtest-seed={seed}"
        report.sections.append(("backtest seed", line))
    for one in given.values():
        if isinstance(one, Simulation) and one.worlds:
            report.sections.append(("backtest: the last simulation", one.worlds[-1].text()))
    return report
