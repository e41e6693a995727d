"""What a run was made of, as plain data: what is kept beside its result, so it can be repeated."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from backtest.actors import Latency, LinkLatencies, Network
from backtest.assembly import Assembly
from backtest.data import SeveralSources, TickSource
from backtest.inputs import Source
from backtest.models import Fee, FeeStage, TradingPair, TradingRules
from backtest.models.fill_policy import policy_text
from backtest.money import plain

__all__ = ["manifest", "pair_text", "rules_text", "versions"]

_READING = {"bar": None, "stamp": "open", "tz": "UTC"}
"""How data is read where nothing is said."""


def manifest(
    parts: Assembly,
    inputs: Mapping[str, str],
    *,
    stamp: Any,
    tz: Any,
    latency: Any,
    insurance_fund: Mapping[str, Any],
) -> dict[str, Any]:
    """The configuration of a run; ``inputs`` are the digests of its data by pair."""
    return {
        "seed": parts.run.seed,
        "strategies": {
            name: {
                "class": f"{type(strategy).__module__}.{type(strategy).__qualname__}",
                "parameters": {k: _plain(v) for k, v in strategy.parameters.items()},
                "accounts": list(parts.owners[name]),
            }
            for name, strategy in parts.strategies.items()
        },
        "cash": {
            account: {asset: plain(amount) for asset, amount in owned.items()}
            for account, owned in parts.cash.items()
        },
        "accounts": {
            name: {
                "margin_mode": account.margin_mode,
                "netting": account.netting,
                "collateral": {asset: plain(w) for asset, w in account.collateral.items()},
            }
            for name, account in parts.accounts.items()
            if not account.is_house
        },
        "pairs": {code: pair_text(pair) for code, pair in parts.pairs.items()},
        "rules": {code: rules_text(rules) for code, rules in parts.rules.items()},
        "data": {
            code: {**_data_text(source), "sha256": inputs[code]}
            for code, source in parts.sources.items()
        },
        "stamp": _reading_text(stamp, "open"),
        "tz": _reading_text(tz, "UTC"),
        "latency": _latency_text(latency),
        "insurance_fund": {asset: str(amount) for asset, amount in insurance_fund.items()},
    }


def versions() -> dict[str, str]:
    """The versions of Python and of what the engine needs."""
    packages = ("backtest-actors", "anyio", "attrs", "structlog")
    return {"python": platform.python_version(), **{name: _version(name) for name in packages}}


@cache
def _version(name: str) -> str:
    """The version of a package: read once a process, for it takes longer than a short run."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _data_text(source: Source) -> dict[str, Any]:
    """What ``source`` holds and how it was read, where that was said, as plain data."""
    if isinstance(source, SeveralSources):
        return {"sources": [{**_data_text(one), "sha256": one.digest()} for one in source.parts]}
    held = {"kind": source.kind} if isinstance(source, TickSource) else {"bar_ns": source.bar_ns}
    reading: Mapping[str, Any] = getattr(source, "reading", {})
    return {**held, **{name: how for name, how in reading.items() if how != _READING[name]}}


def _reading_text(given: Any, left_out: str) -> Any:
    """How data is read, for all of it, by pair, or source by source, as plain data."""
    if isinstance(given, Mapping):
        return {
            getattr(code, "code", code): _reading_text(one, left_out) for code, one in given.items()
        }
    if isinstance(given, list | tuple):
        return [_reading_text(one, left_out) for one in given]
    return left_out if given is None else str(given)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value) if not hasattr(value, "draw") else type(value).__name__


def _latency_text(latency: Any) -> Any:
    if isinstance(latency, LinkLatencies):
        latency = {link: one for link, one in latency._asdict().items() if one is not None}
    if isinstance(latency, Mapping):
        return {link: _latency_text(one) for link, one in latency.items()}
    return policy_text(latency) if isinstance(latency, Latency | Network) else _plain(latency)


def pair_text(pair: TradingPair) -> dict[str, Any]:
    """A trading pair as plain data."""
    return {
        "base": pair.base.code,
        "base_precision": pair.base.precision,
        "quote": pair.quote.code,
        "quote_precision": pair.quote.precision,
        "price_increment": plain(pair.price_increment),
        "volume_increment": plain(pair.volume_increment),
        "min_volume": plain(pair.least_volume),
        "min_notional": plain(pair.min_notional),
        "contract_size": plain(pair.contract_size),
    }


def _bounds_text(fee: Fee) -> list[str | None]:
    """The least and the most of a fee that has either."""
    bounds = (fee.minimum, fee.maximum)
    if bounds == (None, None):
        return []
    return [None if one is None else plain(one) for one in bounds]


def rules_text(rules: TradingRules) -> dict[str, Any]:
    """Trading rules as plain data."""
    text: dict[str, Any] = {}
    for name, value in rules.__dict__.items():
        if name == "fees":
            text[name] = {
                stage.value: [
                    [
                        fee.kind.value,
                        plain(fee.rate),
                        None if fee.maker_rate is None else plain(fee.maker_rate),
                        *_bounds_text(fee),
                    ]
                    for fee in rules.fees_at(stage)
                ]
                for stage in FeeStage
                if rules.fees_at(stage)
            }
        elif name == "maintenance_tiers":
            text[name] = value and [
                [None if one is None else plain(one) for one in (t.up_to, t.rate, t.max_leverage)]
                for t in value
            ]
        elif name == "funding":
            text[name] = value and value.as_data()
        elif name == "fills":
            text[name] = {} if value is None else value.text()
        elif name == "allowed_directions":
            text[name] = sorted(one.value for one in value)
        elif hasattr(value, "as_tuple"):
            text[name] = plain(value)
        elif hasattr(value, "value"):
            text[name] = value.value
        elif name == "calendar" and not isinstance(value, str):
            text[name] = value.name
        else:
            text[name] = value
    return text
