"""What the package logs goes by way of the standard library, unless structlog is configured."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
import structlog

from backtest.log import get_logger


def test_caplog_sees_it_as_one_line(caplog: pytest.LogCaptureFixture) -> None:
    get_logger("backtest.kernel").bind(actor="broker").warning("actor.stop", error="100 % sure")
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("backtest.kernel", "WARNING")
    assert record.getMessage() == "actor.stop actor='broker' error='100 % sure'"


def test_the_levels_are_those_of_logging(caplog: pytest.LogCaptureFixture) -> None:
    log = get_logger("backtest.strategy")
    log.info("unheard")
    with caplog.at_level(logging.INFO, "backtest"):
        log.info("heard")
        log.debug("unheard")
    assert caplog.messages == ["heard"]


def test_an_exception_comes_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("of no use")
    except ValueError:
        get_logger("backtest.strategy").exception("failed", at=3)
    first, *_, last = caplog.messages[0].splitlines()
    assert (first, last) == ("failed at=3", "ValueError: of no use")


def test_a_configured_structlog_is_obeyed(caplog: pytest.LogCaptureFixture) -> None:
    with structlog.testing.capture_logs() as caught:
        structlog.configure(**structlog.get_config())
        get_logger("backtest.strategy").warning("hello", n=1)
    assert caught == [{"event": "hello", "n": 1, "log_level": "warning"}]
    assert not caplog.records


def test_without_any_configuration_warnings_go_to_standard_error() -> None:
    code = (
        "from backtest.log import get_logger\n"
        "log = get_logger('backtest.strategy')\n"
        "log.info('unheard')\n"
        "log.warning('order.rejected', reason='LEVERAGE')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "order.rejected reason='LEVERAGE'\n")
