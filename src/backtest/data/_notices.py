"""What was mended in the data of a source, and what of it was not taken as it stands."""

from __future__ import annotations

from collections.abc import Sequence

from backtest.log import get_logger
from backtest.times import format_ns

__all__ = ["Notices"]


class Notices:
    """Logs a warning once for each kind of thing, and keeps it in words for the run's report.

    ``name`` is the source's, for the log; ``pair`` its pair, for the report, which must not differ
    because a file lies elsewhere.
    """

    def __init__(self, name: str, pair: str) -> None:
        self._name = name
        self._pair = pair
        self._widened = self._uncrossed = False
        self.told: list[str] = []
        """The sentences, in the order in which they came up."""

    def widened(self, time: int, what: str) -> None:
        """High or low of the row of ``time`` were moved out to its open or close."""
        if self._widened:
            return
        self._widened = True
        self.told.append(
            f"the bar of {self._pair} at {format_ns(time)} was widened to take in its open and "
            f"close ({what}); others likewise"
        )
        get_logger("backtest.data").warning(
            "data.widened", source=self._name, time=format_ns(time), bar=what, others="likewise"
        )

    def uncrossed(self, time: int, what: str) -> None:
        """Bid and ask of the row of ``time`` were exchanged."""
        if self._uncrossed:
            return
        self._uncrossed = True
        self.told.append(
            f"the quote of {self._pair} at {format_ns(time)} was crossed by the noise of floats "
            f"({what}); others likewise"
        )
        get_logger("backtest.data").warning(
            "data.uncrossed", source=self._name, time=format_ns(time), quote=what, others="likewise"
        )

    def not_for(self, kind: str, settings: Sequence[str]) -> None:
        """``settings`` were given for a source of ``kind``, and concern bars alone."""
        told = (
            f"{' and '.join(settings)} say nothing of {self._pair}, of which there are {kind}: "
            f"they are for bars (which self.bars({self._pair!r}, length=..., resample={kind!r}) "
            "makes)"
        )
        self.told.append(told)
        get_logger("backtest.data").warning("data.not_for", source=self._name, notice=told)

    def no_volume(self, what: str, names: Sequence[str]) -> None:
        """The columns ``names`` of volumes, or sizes, hold nothing but zeros: they are not read."""
        shown, one = " and ".join(map(repr, names)), len(names) == 1
        told = (
            f"the {what} column {shown} of {self._pair} holds zeros only and counts"
            if one
            else f"the {what} columns {shown} of {self._pair} hold zeros only and count"
        ) + " as left out: volume does not limit fills"
        self.told.append(told)
        get_logger("backtest.data").warning("data.no_volume", source=self._name, notice=told)
