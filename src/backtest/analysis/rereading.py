"""The market data of a finished run, read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import file_digest
from pathlib import Path
from typing import Any

from backtest.data import EVERYTHING, SeveralSources, events_of, open_data, range_of
from backtest.errors import BacktestError
from backtest.models import Asset, TradingPair
from backtest.money import decimal_of

__all__ = ["market_events", "reopened"]


def market_events(
    sources: Mapping[str, Any], inputs: Mapping[str, str], config: Mapping[str, Any]
) -> tuple[Iterable[Any] | None, str]:
    """All market events in the order in which the venue got them; or None, and why.

    ``inputs`` are the hashes of what the run was made on: data that has changed since is not used.
    ``config`` says which part of it the run was about.
    """
    if not sources or set(sources) != set(inputs):
        return None, "the market data of the run is not at hand"
    for code, source in sources.items():
        if source.digest() != inputs[code]:
            return None, f"the market data of {code} is not what the run was made on"
    within = range_of(**config["range"]) if "range" in config else EVERYTHING
    return events_of(sources, within), ""


def reopened(
    facts: Mapping[str, Any], given: Mapping[str, Sequence[str]]
) -> tuple[Iterable[Any] | None, str]:
    """The market events of a run that was written to files; or None, and why.

    ``given`` are data files by pair; for the others the names that the run was given are tried.
    """
    config, known = facts["config"], facts.get("files", {})
    sources: dict[str, Any] = {}
    for code, data in config["data"].items():
        names = given.get(code) or known.get(code)
        if not names:
            return None, f"give the data of {code}, --data {code}=FILE"
        for name in names:
            if not Path(name).is_file():
                return None, f"there is no file {name}: give the data of {code}, --data {code}=FILE"
        try:
            parts = [_opened(name, code, data, config) for name in names]
            sources[code] = parts[0] if len(parts) == 1 else SeveralSources(parts)
        except BacktestError as error:
            return None, str(error)
    return market_events(sources, facts["receipt"]["input_sha256"], config)


def _opened(name: str, code: str, data: Mapping[str, Any], config: Any) -> Any:
    """One file of a pair, read as it was read then."""
    text = config["pairs"][code]
    pair = TradingPair(
        code,
        Asset(text["base"], int(text["base_precision"])),
        Asset(text["quote"], int(text["quote_precision"])),
        decimal_of(text["price_increment"], "price_increment"),
        decimal_of(text["volume_increment"], "volume_increment"),
    )
    how = {**_of_all(config), **_of_one(name, data)}
    return open_data(
        name,
        pair,
        bar=how.get("bar"),
        stamp=how["stamp"],
        tz=how["tz"],
        decimal=how.get("decimal", "."),
        stream=True,
    )


def _of_all(config: Mapping[str, Any]) -> dict[str, Any]:
    """How all files were read, where they were read alike."""
    left_out = {"stamp": "open", "tz": "UTC"}
    return {
        name: config[name] if isinstance(config[name], str) else default
        for name, default in left_out.items()
    }


def _of_one(name: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """How this file was read: of several of its pair, it is the one with the same content."""
    if "sources" not in data:
        return data
    with Path(name).open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return next((one for one in data["sources"] if one["sha256"] == digest), {})
