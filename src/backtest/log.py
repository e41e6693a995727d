"""Loggers: structlog's, by way of the standard library's, unless the user configured structlog."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

import structlog

__all__ = ["get_logger"]


def get_logger(name: str) -> Any:
    """A logger that obeys the user's structlog configuration, or, without one, ``logging``'s.

    Then it is ``logging.getLogger(name)`` that takes the messages, as one line of text each. Where
    ``logging`` is not configured either, that has warnings go to standard error (standard output
    belongs to the report), and nothing below. No message tells the real time.
    """
    if structlog.is_configured():
        return structlog.get_logger(name)
    return structlog.wrap_logger(
        logging.getLogger(name),
        processors=[structlog.stdlib.filter_by_level, structlog.processors.format_exc_info, _line],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _line(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    """The event's name, and what is told with it: ``order.rejected reason='UNKNOWN_PAIR'``."""
    name, trace = event.pop("event"), event.pop("exception", None)
    told = " ".join([str(name), *(f"{key}={value!r}" for key, value in event.items())])
    return told if trace is None else f"{told}\n{trace}"
