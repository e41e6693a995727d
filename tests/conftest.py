"""What every test gets: repeatable Hypothesis runs, and the long tests only where asked for."""

from __future__ import annotations

import os
import signal

import pytest
import structlog
from hypothesis import HealthCheck, settings

pytest_plugins = ["backtest.testing.plugin"]

# No deadline, no check of speed: a test must not depend on how fast the machine is.
settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("brief", settings.get_profile("repeatable"), max_examples=10)
settings.register_profile(
    "soak",
    deadline=None,
    max_examples=5_000,
    stateful_step_count=200,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_configure() -> None:
    # A shell lets what it starts in the background ignore Ctrl-C, which some tests press.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the tests marked soak, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--soak"):
        return
    for item in items:
        if item.get_closest_marker("soak") is not None:
            item.add_marker(pytest.mark.skip(reason="takes minutes to hours: make soak"))


@pytest.fixture(scope="session")
def soak(request: pytest.FixtureRequest) -> bool:
    """Whether this is the long run: ``seeds = 20_000 if soak else 200``."""
    return bool(request.config.getoption("--soak"))


@pytest.fixture(autouse=True)
def _default_log() -> None:
    """Every test begins with structlog as it comes: `capture_logs` of another leaves it configured,
    and then nothing goes to `logging` any more."""
    structlog.reset_defaults()
