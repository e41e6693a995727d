"""Loggers: structlog's, on standard error and from warnings up, unless the user configured it."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

__all__ = ["get_logger"]


def get_logger(name: str) -> Any:
    """A logger that obeys the user's structlog configuration, or, without one, stays quiet and off
    standard output (which belongs to the report), and never reads the wall clock."""
    if structlog.is_configured():
        return structlog.get_logger(name)
    return structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.KeyValueRenderer(key_order=["level", "event", "logger"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        cache_logger_on_first_use=False,
    ).bind(logger=name)
