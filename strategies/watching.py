"""How a strategy watches the market: prices, iterators over market data, and order books."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, overload

from backtest.actors import StrategyHost
from backtest.actors.protocol import Kind
from backtest.errors import ConfigError, FieldError, FieldTypeError
from backtest.models import Bar, BarLength, Depth, Quote, Trade
from backtest.services.calendars import calendar_of

from .client import OrderClient
from .feeding import IndicatorFeed
from .keywords import known_words

if TYPE_CHECKING:
    from backtest.actors import Stream

__all__ = ["Watching"]

Length = int | str | timedelta | None
"""How the length of bars is given; None: bars of any."""
_RESAMPLED: dict[str, Kind] = {"bars": "bars", "quotes": "quotes", "trades": "trades"}


class Watching:
    """The part of `Strategy` that watches the market; write strategies from `Strategy`, not from
    this."""

    _host: StrategyHost
    _client: OrderClient

    def last_price(self, pair: str) -> Decimal | None:
        """The last price of ``pair`` that the strategy was given, at which the venue marks: a bar's
        close, a trade's price, the middle of a quote; None before that."""
        return self._client.holdings.last.get(pair)

    @overload
    def history(
        self, pair: str, n: int, column: None = None, *, length: Length = None
    ) -> list[Bar]: ...
    @overload
    def history(
        self,
        pair: str,
        n: int,
        column: str,
        *,
        length: Length = None,
        exact: Literal[False] = False,
    ) -> list[float]: ...
    @overload
    def history(
        self, pair: str, n: int, column: str, *, length: Length = None, exact: Literal[True]
    ) -> list[Decimal | None]: ...
    def history(
        self,
        pair: str,
        n: int,
        column: str | None = None,
        *,
        length: Length = None,
        exact: bool = False,
    ) -> list[Any]:
        """The last ``n`` bars of ``pair`` that the strategy was given, oldest first, with the one
        at hand; fewer where there were fewer.

        With a ``column`` (``"open"``, ``"high"``, ``"low"``, ``"close"``, ``"volume"``) that number
        of each: floats, or with ``exact`` decimals. A volume that is not known is ``nan``, or None.
        ``length`` takes bars of that length only, as `bars` does. Bars are kept where the class
        mentions `history` by name, 10 000 of each pair; ``history_bars = 500`` in the class keeps
        so many. Raises `FieldError` for more than are kept, `ConfigError` where none are.
        """
        self._client.holdings.pair_of(pair)
        ns = None if length is None else BarLength.of(length, "length").ns
        if column is None:
            return self._client.history.bars(pair, n, ns)
        return self._client.history.column(pair, n, ns, column, exact)

    @known_words
    def use(
        self,
        indicator: Any,
        pair: str,
        *,
        column: str | None = None,
        length: Length = None,
        exact: bool = False,
    ) -> IndicatorFeed:
        """Feed ``indicator`` from now on with each bar of ``pair``, before `on_bar` is called:
        one of talipp's, or any object with ``add(value)``.

        It gets the ``column`` of each bar as a float, ``"close"`` unless told otherwise; with
        ``"bar"`` whole bars (which those of talipp's get that take ``OHLCV``); with ``exact``
        decimals, or the `Bar` itself. What `history` has kept comes first. Call it in `on_start`;
        what it gives has the ``value``, once it ``is_ready``. Bars of the warm-up count.
        """
        self._client.holdings.pair_of(pair)
        ns = None if length is None else BarLength.of(length, "length").ns
        return self._client.history.use(IndicatorFeed(indicator, pair, column, exact), ns)

    @known_words
    def bars(
        self,
        pair: str,
        *,
        length: int | str | timedelta | None = None,
        conflate: bool = False,
        resample: str | None = None,
    ) -> AsyncIterator[Bar]:
        """The bars of ``pair`` from now on; ends with the data.

        ``length`` (``"1h"``, ``"1M"``, nanoseconds) takes those of that length only, where there
        are several; ``"1d"`` is also a day of 23 hours, ``"1M"`` a month of any length.
        With ``resample`` they are made here of the pair's shorter ``"bars"``, ``"quotes"`` (their
        middle) or ``"trades"``, by the pair's calendar: each comes when an event at or after its
        close proves it complete. Bars are kept while the loop body waits; ``conflate`` keeps only
        the latest.
        """
        self._client.holdings.pair_of(pair)
        wanted = None if length is None else BarLength.of(length, "length")
        stream: Stream[Bar]
        if resample is None:
            ns = None if wanted is None else wanted.ns
            stream = self._host.streams.bar_stream(pair, conflate, ns)
            return stream
        of: Kind | None = _RESAMPLED.get(resample)
        if of is None:
            raise ConfigError(f"resample must be 'bars', 'quotes' or 'trades', not {resample!r}")
        if wanted is None:
            raise ConfigError("bars that are made by resample need a length: '1h', say")
        calendar = calendar_of(self._client.holdings.rules[pair].calendar)
        stream = self._host.streams.resampled(pair, conflate, wanted, of, calendar)
        return stream

    @known_words
    def quotes(self, pair: str, *, conflate: bool = False) -> AsyncIterator[Quote]:
        """The quotes of ``pair`` from now on; as `bars`."""
        self._client.holdings.pair_of(pair)
        stream: Stream[Quote] = self._host.streams.tick_stream(Quote, pair, conflate)
        return stream

    @known_words
    def trades(self, pair: str, *, conflate: bool = False) -> AsyncIterator[Trade]:
        """The market's trades of ``pair`` from now on; as `bars`."""
        self._client.holdings.pair_of(pair)
        stream: Stream[Trade] = self._host.streams.tick_stream(Trade, pair, conflate)
        return stream

    @known_words
    def depths(
        self, pair: str, *, levels: int = 10, conflate: bool = False
    ) -> AsyncIterator[Depth]:
        """The best ``levels`` of the order book of ``pair`` (0: all), anew with each change of the
        book; as `bars`. On historical data a `Depth` of one level a side with each quote."""
        stream: Stream[Depth] = self._host.streams.depth_stream(
            pair, conflate, _levels(levels), self._client.holdings.pair_of(pair).price_increment
        )
        return stream

    async def depth(self, pair: str, levels: int = 1) -> Depth:
        """The order book of ``pair``: its best ``levels`` (0: all), asked of the venue.

        Question and answer take the time of their links; the answer says how it stood when the
        venue was asked. On historical data: the last quote, one level a side, or no level at all;
        ``last`` is the price at which the venue marks.
        """
        if pair not in self._client.holdings.pairs:
            self._client.holdings.pair_of(pair)
        return await self._host.read_depth(pair, _levels(levels))

    def ask_depth(self, pair: str, levels: int = 1) -> None:
        """`depth` for who does not wait, a plain handler say: the answer comes to `on_snapshot`."""
        self._client.holdings.pair_of(pair)
        self._host.ask_depth(pair, _levels(levels))

    def subscribe(
        self, pair: str, *, length: int | str | timedelta | None = None, conflate: bool = False
    ) -> None:
        """Get market data of the subscribed pairs only (without a call: of all).

        ``length`` takes of the pair's bars those of that length only, as `bars` does; subscribe
        again for another.
        ``conflate`` keeps only the latest event of a kind while a handler is busy.
        """
        self._client.holdings.pair_of(pair)
        ns = None if length is None else BarLength.of(length, "length").ns
        self._host.subscribe(pair, conflate, ns)


def _levels(levels: int) -> int:
    if type(levels) is not int:
        raise FieldTypeError("levels", f"must be an int, not {type(levels).__name__}")
    if levels < 0:
        raise FieldError("levels", f"must be non-negative (0: all), not {levels}")
    return levels
