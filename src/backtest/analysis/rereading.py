"""The market data of a finished run, read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from backtest.data import BarSource, merge, open_bars
from backtest.errors import BacktestError
from backtest.models import Asset, TradingPair
from backtest.money import decimal_of

__all__ = ["market_events", "reopened"]


def market_events(
    sources: Mapping[str, Any], inputs: Mapping[str, str]
) -> tuple[Iterable[Any] | None, str]:
    """All market events in the order in which the venue got them; or None, and why.

    ``inputs`` are the hashes of what the run was made on: data that has changed since is not used.
    """
    if not sources or set(sources) != set(inputs):
        return None, "the market data of the run is not at hand"
    for code, source in sources.items():
        if source.digest() != inputs[code]:
            return None, f"the market data of {code} is not what the run was made on"
    if not all(isinstance(source, BarSource) for source in sources.values()):
        return None, "that is known for runs on bars of one length only"
    return merge(list(sources.values())), ""


def reopened(
    facts: Mapping[str, Any], given: Mapping[str, str]
) -> tuple[Iterable[Any] | None, str]:
    """The market events of a run that was written to files; or None, and why.

    ``given`` are data files by pair; for the others the names that the run was given are tried.
    """
    config, known = facts["config"], facts.get("files", {})
    sources: dict[str, Any] = {}
    for code, data in config["data"].items():
        if "bar_ns" not in data:
            return None, "that is known for runs on bars of one length only"
        name = given.get(code) or known.get(code)
        if name is None:
            return None, f"give the data of {code}, --data {code}=FILE"
        if not Path(name).is_file():
            return None, f"there is no file {name}: give the data of {code}, --data {code}=FILE"
        text = config["pairs"][code]
        pair = TradingPair(
            code,
            Asset(text["base"], int(text["base_precision"])),
            Asset(text["quote"], int(text["quote_precision"])),
            decimal_of(text["price_increment"], "price_increment"),
            decimal_of(text["volume_increment"], "volume_increment"),
        )
        try:
            sources[code] = open_bars(
                name, pair, bar=data["bar_ns"], stamp=config["stamp"], tz=config["tz"], stream=True
            )
        except BacktestError as error:
            return None, str(error)
    return market_events(sources, facts["receipt"]["input_sha256"])
