"""The market data of a run: opened, by pair."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import evolve

from backtest.data import BarSource, SeveralSources, TickSource, parts_of
from backtest.data.increments import finest_step, usual_increment
from backtest.errors import ConfigError
from backtest.models import Bar, MarketEvent, Quote, Trade, TradingPair
from backtest.runs.config import OF_DATA, RuleBook, pair_of
from backtest.services.cadence import Cadence

__all__ = ["Source", "cadences_of", "counting", "files_of", "opened"]

Source = BarSource | TickSource | SeveralSources


def opened(
    data: Any,
    pair: str | TradingPair | None,
    cash_assets: list[str],
    book: RuleBook,
    open_one: Callable[[Any, TradingPair, Mapping[str, Any]], BarSource | TickSource],
    settings: Mapping[str, Any],
) -> tuple[dict[str, Source], dict[str, TradingPair]]:
    """The sources of ``data`` and its pairs, by code; ``open_one`` opens one source of a pair.

    ``settings`` say how: each one for all sources, by pair, or in a list, one for each source of a
    pair.
    """
    if isinstance(data, Mapping):
        if pair is not None:
            raise ConfigError("give the pairs as the keys of data, or one pair beside it, not both")
        wanted = dict(data)
    elif pair is None:
        # Bars, quotes and trades name their pair, and so do sources.
        first = data[0] if isinstance(data, list | tuple) and data else data
        code = getattr(first, "pair", None)
        if not isinstance(code, str):
            raise ConfigError("which pair is the data of? Give pair='BTCUSD'")
        wanted = {code: data}
    else:
        wanted = {pair: data}
    if not wanted:
        raise ConfigError("there is no data: give at least one pair")
    sources: dict[str, Source] = {}
    pairs = {}
    for key, given in wanted.items():
        made = pair_of(key, cash_assets, book)
        pairs[made.code] = made
        if isinstance(given, SeveralSources):
            given = given.parts
        if _is_several(given):
            each = _settings_of(settings, made.code, len(given))
            parts = [open_one(one, made, how) for one, how in zip(given, each, strict=True)]
            sources[made.code] = parts[0] if len(parts) == 1 else SeveralSources(parts)
        else:
            (how,) = _settings_of(settings, made.code, 1)
            sources[made.code] = open_one(given, made, how)
        if not isinstance(key, TradingPair):
            pairs[made.code] = _on_grid(made, book, sources[made.code])
    _check_codes(settings, pairs)
    return sources, pairs


def _on_grid(pair: TradingPair, book: RuleBook, source: Source) -> TradingPair:
    """``pair`` with the price increment of its data, where none was given or just that was."""
    given = book.pairs.get(pair.code, {}).get("price_increment")
    if given is not None and given != OF_DATA:
        return pair
    step = usual_increment(source) if given is None else finest_step(source)
    return pair if step == pair.price_increment else evolve(pair, price_increment=step)


def cadences_of(source: Source) -> tuple[Cadence, ...]:
    """How the bars of each of its parts follow each other, finest first."""
    bars = [part for part in parts_of(source) if not isinstance(part, TickSource)]
    return tuple(getattr(part, "cadence", None) or Cadence(part.bar_ns) for part in bars)


def _settings_of(settings: Mapping[str, Any], code: str, count: int) -> list[dict[str, Any]]:
    """The settings of each of the ``count`` sources of a pair."""
    each: list[dict[str, Any]] = [{} for _ in range(count)]
    for name, value in settings.items():
        if isinstance(value, Mapping):
            value = {_code(key): one for key, one in value.items()}.get(code)
        values = [value] * count
        if isinstance(value, list | tuple):
            if len(value) != count:
                raise ConfigError(
                    f"{name} has {len(value)} values, and {code} has {count} sources: give one "
                    "value for all, or one for each"
                )
            values = list(value)
        for one, how in zip(values, each, strict=True):
            if one is not None:
                how[name] = one
    return each


def _check_codes(settings: Mapping[str, Any], pairs: Mapping[str, TradingPair]) -> None:
    for name, value in settings.items():
        for key in value if isinstance(value, Mapping) else ():
            if _code(key) not in pairs:
                raise ConfigError(f"{name} names pair {_code(key)!r}, which is not in the data")


def _code(key: object) -> object:
    return key.code if isinstance(key, TradingPair) else key


def files_of(data: Any, sources: Mapping[str, Source]) -> dict[str, list[str]]:
    """The names of data files by pair, as they were given."""
    given = list(data.values()) if isinstance(data, Mapping) else [data]
    files: dict[str, list[str]] = {}
    for code, one in zip(sources, given, strict=True):
        several = list(one) if _is_several(one) else [one]
        if all(isinstance(name, str | os.PathLike) for name in several):
            files[code] = [os.fspath(name) for name in several]
    return files


def counting(
    events: Iterator[MarketEvent], progress: Callable[[int], None]
) -> Iterator[MarketEvent]:
    """``events``; ``progress`` is called with how many there were, now and then."""
    count = 0
    for count, event in enumerate(events, 1):
        if count & 0x3FFF == 0:
            progress(count)
        yield event
    progress(count)


def _is_several(data: Any) -> bool:
    """Whether ``data`` are several sources of one pair, not one list of bars or ticks."""
    if not isinstance(data, list | tuple) or not data:
        return False
    return not any(isinstance(one, Bar | Quote | Trade) for one in data)
