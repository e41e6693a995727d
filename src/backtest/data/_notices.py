"""What was mended in the data of a source, told once."""

from __future__ import annotations

from backtest.log import get_logger
from backtest.times import format_ns

__all__ = ["Notices"]


class Notices:
    """Logs a warning for the first row of a source that was mended; others are like it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._told = False

    def widened(self, time: int, what: str) -> None:
        """High or low of the row of ``time`` were moved out to its open or close."""
        if not self._told:
            self._told = True
            get_logger("backtest.data").warning(
                "data.widened", source=self._name, time=format_ns(time), bar=what, others="likewise"
            )
