"""What a run is made of, as plain data: what is kept beside its result, so it can be repeated."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from attrs import define, field

from backtest.actors import Latency, LinkLatencies, Network
from backtest.data import SeveralSources, TickSource, parts_of
from backtest.errors import FieldTypeError
from backtest.models import Account, Fee, FeeStage, TradingPair, TradingRules
from backtest.models.fill_policy import policy_text
from backtest.money import plain
from backtest.runs.content import Contents
from backtest.runs.sources import Source
from backtest.source_code import is_ours, version_of

__all__ = ["Manifest", "latency_text", "manifest", "reading_text", "rules_text", "versions"]

_READING = {"bar": None, "stamp": "open", "tz": "UTC", "decimal": "."}
"""How data is read where nothing is said."""


@define
class Manifest:
    """The configuration of a run, known before it begins."""

    config: dict[str, Any]
    notices: list[str]
    """What it cannot tell, in words."""
    late: dict[str, Source] = field(factory=dict)
    """By pair, what can be read only once: its hash is known when the run is over."""

    def complete(self) -> None:
        """The run is over: put in what is known now only."""
        for code, source in self.late.items():
            self.config["data"][code] |= _hashes(source)
        self.late.clear()

    @property
    def inputs(self) -> dict[str, str]:
        """The SHA-256 of each pair's input."""
        return {code: one["sha256"] for code, one in self.config["data"].items()}


def manifest(
    *,
    seed: int,
    strategies: Mapping[str, Any],
    about: Mapping[str, Mapping[str, Any]],
    cash: Mapping[str, Mapping[str, Decimal]],
    accounts: Mapping[str, Account],
    pairs: Mapping[str, TradingPair],
    rules: Mapping[str, TradingRules],
    sources: Mapping[str, Source],
    settings: Mapping[str, Any],
    latency: Any,
) -> Manifest:
    """The configuration of a run. The data is hashed here, before anything has happened.

    ``about`` is what there is to tell of each strategy, beside what it is, ``settings`` what there
    is to tell of the whole, both as plain data; ``latency`` is what was given as such.
    """
    contents = Contents()
    told = {
        name: {**contents.strategy(one, name), **about[name]} for name, one in strategies.items()
    }
    late = {code: one for code, one in sources.items() if _is_spent(one)}
    for code in late:
        contents.note(
            f"the data of {code} can be read only once: its hash is known when the run is over, "
            "and is not in the run's id"
        )
    config = {
        "seed": seed,
        "strategies": told,
        "cash": {
            account: {asset: plain(amount) for asset, amount in owned.items()}
            for account, owned in cash.items()
        },
        "accounts": {name: _account_text(account) for name, account in accounts.items()},
        "pairs": {code: _pair_text(pair) for code, pair in pairs.items()},
        "rules": {code: rules_text(one) for code, one in rules.items()},
        "data": {
            code: {**_data_text(one), **({"once": True} if code in late else _hashes(one))}
            for code, one in sources.items()
        },
        **settings,
        **_given_text(contents, rules, latency),
    }
    return Manifest({**config, "sources": contents.sources}, contents.notices, late)


def _given_text(
    contents: Contents, rules: Mapping[str, TradingRules], latency: Any
) -> dict[str, Any]:
    """What users have written of policies, latencies and calendars, as plain data."""
    given: dict[str, Any] = {"latency": latency}
    for code, one in rules.items():
        given[f"fills of {code}"] = one.fills
        if not is_ours(type(one.calendar).__module__):  # ours go by their names
            given[f"calendar of {code}"] = one.calendar
    return contents.foreign(given)


def _account_text(account: Account) -> dict[str, Any]:
    """The options of an account as plain data."""
    return {
        "margin_mode": account.margin_mode,
        "netting": account.netting,
        "collateral": {asset: plain(weight) for asset, weight in account.collateral.items()},
    }


def versions() -> dict[str, str]:
    """The versions of Python and of what the engine needs."""
    packages = ("backtest-actors", "anyio", "attrs", "structlog")
    return {"python": platform.python_version(), **{name: version_of(name) for name in packages}}


def _is_spent(source: Source) -> bool:
    """Whether ``source``, or a part of it, gives its events only once: hashing would use it up."""
    return any(isinstance(part, Iterator) for part in parts_of(source))


def _data_text(source: Source) -> dict[str, Any]:
    """What ``source`` holds and how it was read, where that was said, as plain data."""
    if isinstance(source, SeveralSources):
        return {"sources": [_data_text(one) for one in source.parts]}
    held = {"kind": source.kind} if isinstance(source, TickSource) else {"bar_ns": source.bar_ns}
    reading: Mapping[str, Any] = getattr(source, "reading", {})
    return {**held, **{name: how for name, how in reading.items() if how != _READING[name]}}


def reading_text(given: Any, left_out: str) -> Any:
    """How data is read, for all of it, by pair, or source by source, as plain data."""
    if isinstance(given, Mapping):
        return {
            getattr(code, "code", code): reading_text(one, left_out) for code, one in given.items()
        }
    if isinstance(given, list | tuple):
        return [reading_text(one, left_out) for one in given]
    return left_out if given is None else str(given)


def _hashes(source: Source) -> dict[str, Any]:
    """The SHA-256 of ``source``, and of its parts."""
    if isinstance(source, SeveralSources):
        parts = [{**_data_text(one), **_hashes(one)} for one in source.parts]
        return {"sources": parts, "sha256": source.digest()}
    return {"sha256": source.digest()}


def latency_text(latency: Any) -> Any:
    """How long messages take, as it was given, as plain data."""
    if isinstance(latency, LinkLatencies):
        latency = {link: one for link, one in latency._asdict().items() if one is not None}
    if isinstance(latency, Mapping):
        return {link: latency_text(one) for link, one in latency.items()}
    if latency is None or isinstance(latency, bool | int | str):
        return latency
    if not isinstance(latency, Latency | Network):
        return str(latency)
    try:
        return policy_text(latency)
    except FieldTypeError:  # made of a function, which has no name to tell: see ``given``
        return type(latency).__name__


def _pair_text(pair: TradingPair) -> dict[str, Any]:
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
