"""Scenario files: TOML in, a `Scenario` out, and every key must be known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Final, TypeVar

from attrs import fields

from backtest.errors import BacktestError, ConfigError
from backtest.markets.instrument import Instrument
from backtest.markets.kinds import KINDS
from backtest.markets.population import Population
from backtest.markets.scenario import Scenario
from backtest.markets.strict import known_keys
from backtest.models import TradingPair, TradingRules
from backtest.runs.config import OF_DATA, RuleBook, cash_of, check_precision, pair_of, read_rules
from backtest.runs.target import strategy_class
from backtest.text_files import read_table, read_text, table_of

__all__ = ["read_scenario", "scenario_of"]

T = TypeVar("T")

_OF_SCENARIO: Final = (
    "name", "description", "start", "until", "duration", "seed", "cash", "latency", "computation",
    "insurance_fund", "netting", "margin_mode",
)  # fmt: skip
_TABLES: Final = ("rules", "assets", "pairs", "populations")
_OF_MARKET: Final = (
    "reference_price", "kind", "self_trade", "band", "halt", "bar", "hours", "fundamental",
)  # fmt: skip
_OF_PAIR: Final = (
    "base", "quote", "price_increment", "volume_increment", "min_volume", "min_notional",
    "contract_size",
)  # fmt: skip
_RULES: Final = tuple(one.name for one in fields(TradingRules))
_OF_ASSET: Final = ("precision",)
_OF_POPULATION: Final = (
    "agent", "count", "parameters", "cash", "leverage", "latency", "computation", "margin_mode",
    "fixed",
)  # fmt: skip


def read_scenario(path: str | PathLike[str]) -> Scenario:
    """The scenario in the TOML file ``path``; agents in files of yours are found from its folder.

    Numbers are text, whole numbers or decimals, which are read exactly as they are written. Raises
    `ConfigError` that names the file and the key for whatever cannot be.
    """
    file = Path(path)
    return scenario_of(read_text(file, "scenario"), str(file), file.parent)


def scenario_of(text: str, where: str, folder: Path) -> Scenario:
    """The scenario that ``text`` describes; ``where`` it is from is told in every error."""
    table = table_of(text, where)
    known_keys(table, (*_OF_SCENARIO, *_TABLES), where)
    settings = {name: value for name, value in table.items() if name in _OF_SCENARIO}
    settings.setdefault("name", Path(where).stem)
    pairs = _tables(table, "pairs", where)
    assets = _tables(table, "assets", where)
    book = _told(where, partial(_book, table.get("rules", {}), assets, pairs, folder))
    populations = [
        _told(f"{where}: [populations.{name}]", partial(_population, name, one, folder))
        for name, one in _tables(table, "populations", where).items()
    ]
    if not pairs:
        raise ConfigError(f"{where} has no pair: add a table [pairs.ABMUSD]")
    cash = _told(where, partial(_cash_assets, settings, populations))
    instruments = [
        _told(f"{where}: [pairs.{code}]", partial(_instrument, code, one, cash, book))
        for code, one in pairs.items()
    ]

    def made() -> Scenario:
        scenario = Scenario(pairs=instruments, populations=populations, **settings)
        owned = {one.name: one.cash or scenario.cash or {} for one in populations}
        check_precision(owned, {one.code: one.pair for one in instruments}, book)
        return scenario

    return _told(where, made)


def _told(where: str, make: Callable[[], T]) -> T:
    """What ``make`` makes; an error of it says ``where``."""
    try:
        return make()
    except (BacktestError, TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error


def _tables(table: Mapping[str, Any], name: str, where: str) -> dict[str, Mapping[str, Any]]:
    """The tables below ``[name]``."""
    found = table.get(name, {})
    if not isinstance(found, Mapping):
        raise ConfigError(f"{where}: {name} must be tables such as [{name}.NAME], not {found!r}")
    for key, one in found.items():
        if not isinstance(one, Mapping):
            raise ConfigError(f"{where}: [{name}] must hold tables, {key} is {one!r}")
    return dict(found)


def _book(
    rules: Any, assets: Mapping[str, Any], pairs: Mapping[str, Any], folder: Path
) -> RuleBook:
    """The rules and assets, as a rules file says them."""
    if isinstance(rules, str):
        rules = read_table(folder / rules, "rules file")
    if not isinstance(rules, Mapping):
        raise ConfigError(f"rules must be a table or the name of a rules file, not {rules!r}")
    general = dict(rules)
    for name in ("pairs", "accounts"):
        if name in general:
            raise ConfigError(f"[rules] cannot hold {name!r}: a scenario says that in tables apart")
    known_keys(general, (*_RULES, "profile", "assets"), "[rules]")
    assets = {**general.pop("assets", {}), **assets}
    for code, asset in assets.items():
        known_keys(asset, _OF_ASSET, f"[assets.{code}]")
    by_pair = {}
    for code, one in pairs.items():
        known_keys(one, (*_OF_MARKET, *_OF_PAIR, *_RULES, "profile"), f"[pairs.{code}]")
        by_pair[code] = {name: value for name, value in one.items() if name not in _OF_MARKET}
    # `read_rules` is where the doors for money are: no number comes in another way.
    return read_rules({**general, "assets": assets, "pairs": by_pair})


def _cash_assets(settings: Mapping[str, Any], populations: list[Population]) -> list[str]:
    """The assets in which anybody has cash: a pair's code may end with one of them."""
    common = settings.get("cash")
    owned = [cash_of(common)["main"]] if common is not None else []
    owned += [one.cash for one in populations if one.cash is not None]  # type: ignore[misc]
    return list(dict.fromkeys(asset for one in owned for asset in one))


def _instrument(code: str, table: Mapping[str, Any], cash: list[str], book: RuleBook) -> Instrument:
    if "reference_price" not in table:
        raise ConfigError("needs reference_price: at what it is marked before the first trade")
    if book.pairs.get(code, {}).get("price_increment") == OF_DATA:
        raise ConfigError("price_increment = 'data' is for markets of data: here, give the tick")
    pair: TradingPair = pair_of(code, cash, book)
    settings = {name: value for name, value in table.items() if name in _OF_MARKET}
    return Instrument(pair=pair, rules=book.rules(code), **settings)


def _population(name: str, table: Mapping[str, Any], folder: Path) -> Population:
    known_keys(table, _OF_POPULATION, "it")
    settings = dict(table)
    agent = settings.pop("agent", name if name in KINDS else None)
    if agent is None:
        raise ConfigError(
            f"needs agent: what they are, one of {', '.join(KINDS)} or yours as 'my.py:Class'"
        )
    if not isinstance(agent, str):
        raise ConfigError(f"agent must be the name of one, not {agent!r}")
    if agent not in KINDS and (":" in agent or agent.endswith(".py")):
        source = agent if agent.endswith(".py") else agent.rpartition(":")[0]
        target = str(folder / agent) if source.endswith(".py") else agent
        population = Population(strategy_class(target), name=name, **settings)
    else:
        population = Population(agent, name=name, **settings)
        population.check(population.kind)
    return population
