"""Several sources of one pair: ticks and bars of more than one length, finest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256

from backtest.data.merge import merge
from backtest.data.sources import BarSource
from backtest.data.tick_sources import TickSource
from backtest.errors import DataError
from backtest.models.market_event import MarketEvent

__all__ = ["SeveralSources", "parts_of"]

Source = BarSource | TickSource


class SeveralSources:
    """All that there is of one pair, as one stream: by close time, and at one time the finer first.

    Quotes are finer than trades, trades than bars, short bars than long ones. Raises `DataError`
    for sources of several pairs, and for two of one kind (of bars: of one length).
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self.parts: list[Source] = sorted(sources, key=_coarseness)
        if not self.parts:
            raise DataError("there is no source: give at least one")
        self.pair = self.parts[0].pair
        for finer, coarser in zip(self.parts, self.parts[1:], strict=False):
            if finer.pair != coarser.pair:
                raise DataError(
                    f"holds {coarser.pair}, not {self.pair}: give each pair sources of its own",
                    source=getattr(coarser, "name", None),
                )
            if _coarseness(finer) == _coarseness(coarser):
                what = getattr(coarser, "kind", "bars of the same length")
                raise DataError(
                    f"holds {what} of {self.pair}, as another source does: put them in one file",
                    source=getattr(coarser, "name", None),
                )

    def __repr__(self) -> str:
        return f"<{len(self.parts)} sources of {self.pair}>"

    def __iter__(self) -> Iterator[MarketEvent]:
        return merge(self.parts)

    def digest(self) -> str:
        """SHA-256 (hex) of the parts' digests, a line each, finest first."""
        lines = "".join(f"{part.digest()}\n" for part in self.parts)
        return sha256(lines.encode()).hexdigest()


def parts_of(source: Source | SeveralSources) -> list[Source]:
    """The sources that ``source`` is made of: itself, if it is one."""
    return source.parts if isinstance(source, SeveralSources) else [source]


def _coarseness(source: Source) -> tuple[int, int]:
    if isinstance(source, TickSource):
        return 0, 0 if source.kind == "quotes" else 1
    return 1, source.bar_ns
