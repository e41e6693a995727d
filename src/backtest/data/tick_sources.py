"""What a source of quotes or trades is, and the simplest one: ticks in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Protocol, runtime_checkable

from backtest.data._assemble import pair_code
from backtest.errors import ConfigError, DataError
from backtest.models.quote import Quote
from backtest.models.trade import Trade
from backtest.models.trading_pair import TradingPair
from backtest.money import plain
from backtest.times import format_ns

__all__ = ["MemoryTicks", "Tick", "TickSource", "check_kind", "tick_digest"]

Tick = Quote | Trade
KINDS: dict[str, type[Quote] | type[Trade]] = {"quotes": Quote, "trades": Trade}


@runtime_checkable
class TickSource(Protocol):
    """Quotes, or trades, of one pair in order of time, to be read as often as one likes.

    Each ``__iter__`` begins at the first again. Times never go back; several may be at one time.
    """

    @property
    def pair(self) -> str:
        """The pair's code, which every tick carries."""

    @property
    def kind(self) -> str:
        """``"quotes"`` or ``"trades"``."""

    def __iter__(self) -> Iterator[Tick]:
        """The ticks, oldest first."""

    def digest(self) -> str:
        """SHA-256 (hex) of the input: of a file's bytes, else of the ticks' `tick_digest`."""


def check_kind(kind: str) -> str:
    """``kind`` when it is "quotes" or "trades", else a `ConfigError`."""
    if kind not in KINDS:
        raise ConfigError(f"kind must be 'quotes' or 'trades', not {kind!r}")
    return kind


def tick_digest(ticks: Iterable[Tick]) -> str:
    """SHA-256 of the ticks as text, a line each: ``pair,time_ns,bid,ask,bid_size,ask_size`` or
    ``pair,time_ns,price,volume,aggressor``.

    Numbers are written without exponent and trailing zeros, so that equal ticks give equal digests.
    """
    digest = sha256()
    for tick in ticks:
        if isinstance(tick, Quote):
            values = [tick.bid, tick.ask, tick.bid_size, tick.ask_size]
            last = ""
        else:
            values = [tick.price, tick.volume]
            last = f",{tick.aggressor or ''}"
        numbers = ",".join("" if value is None else plain(value) for value in values)
        digest.update(f"{tick.pair},{tick.time_ns},{numbers}{last}\n".encode())
    return digest.hexdigest()


class MemoryTicks:
    """A source that holds its quotes, or its trades, in a list.

    Args: ``ticks`` in order of time; ``pair`` the code they must carry; ``kind`` what they are
    (None: what the first one is); ``name`` for messages. Raises `DataError` for anything but ticks
    of that kind and pair, for none at all, and for ticks out of order.
    """

    def __init__(
        self,
        ticks: Iterable[Tick],
        pair: str | TradingPair,
        kind: str | None = None,
        *,
        name: str = "ticks in memory",
        digest: str | None = None,
        rounded: bool = False,
    ) -> None:
        self.pair = pair_code(pair)
        self.name = name
        self.rounded = rounded
        self.reading: Mapping[str, str | None] = {}
        self.notices: Sequence[str] = ()
        """How they were read, as plain data, where they were read from somewhere."""
        self._digest = digest
        self._ticks = list(ticks)
        if not self._ticks:
            raise DataError("there are no ticks: give at least one", source=name)
        if kind is None:
            kind = "quotes" if isinstance(self._ticks[0], Quote) else "trades"
        self.kind = check_kind(kind)
        if digest is None:
            self._check(self._ticks)

    def _check(self, ticks: Sequence[Tick]) -> None:
        cls = KINDS[self.kind]
        last: int | None = None
        for index, tick in enumerate(ticks):
            if not isinstance(tick, cls):
                raise DataError(
                    f"item {index} is a {type(tick).__name__}, not a {cls.__name__}: give quotes "
                    "and trades sources of their own",
                    source=self.name,
                )
            if tick.pair != self.pair:
                raise DataError(
                    f"item {index} is of {tick.pair}, not of {self.pair}: give each pair a source "
                    "of its own",
                    source=self.name,
                )
            if last is not None and tick.time_ns < last:
                raise DataError(
                    f"item {index} is of {format_ns(tick.time_ns)}, before the one before it "
                    f"({format_ns(last)}): sort them by time",
                    source=self.name,
                )
            last = tick.time_ns

    def __iter__(self) -> Iterator[Tick]:
        return iter(self._ticks)

    def __len__(self) -> int:
        return len(self._ticks)

    @property
    def end_ns(self) -> int:
        """The time of the last one."""
        return self._ticks[-1].close_ns

    def __repr__(self) -> str:
        return f"<{len(self)} {self.kind} of {self.pair} from {self.name}>"

    def digest(self) -> str:
        """SHA-256 of the file that the ticks were loaded from, else their `tick_digest`."""
        if self._digest is None:
            self._digest = tick_digest(self._ticks)
        return self._digest
