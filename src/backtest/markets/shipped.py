"""The scenarios that come with the package, and how one is found by what a user says."""

from __future__ import annotations

from importlib import resources
from os import PathLike, fspath
from pathlib import Path

from backtest.errors import ConfigError
from backtest.markets.reading import read_scenario, scenario_of
from backtest.markets.scenario import Scenario
from backtest.markets.strict import meant
from backtest.runs.target import module_of

__all__ = ["SHIPPED", "load", "shipped"]

SHIPPED = ("reference-day", "flash-crash", "liquidation-cascade", "latency-race")
"""Their names."""


def shipped(name: str) -> Scenario:
    """The scenario of that name. Raises `ConfigError` for one that is not shipped."""
    if name not in SHIPPED:
        raise ConfigError(
            f"no scenario is called {name!r}{meant(name, SHIPPED)}; shipped: {', '.join(SHIPPED)}"
        )
    return scenario_of(source_of(name), f"{name}.toml", Path())


def source_of(name: str) -> str:
    """The TOML of the shipped scenario of that name: to begin one's own with."""
    file = resources.files("backtest.markets") / "scenarios" / f"{name}.toml"
    return file.read_text(encoding="utf-8")


def load(source: str | PathLike[str]) -> Scenario:
    """The scenario called ``source``: a shipped one by name, a TOML file, or ``file.py:name``."""
    text = fspath(source)
    if text in SHIPPED:
        return shipped(text)
    if text.endswith(".toml"):
        return read_scenario(text)
    module, colon, name = text.rpartition(":")
    if text.endswith(".py"):
        module, colon, name = text, ":", ""
    if not colon:
        hint = f"; is it {text}.toml?" if Path(f"{text}.toml").is_file() else meant(text, SHIPPED)
        raise ConfigError(
            f"there is no scenario {text!r}{hint}; it is one of {', '.join(SHIPPED)}, a TOML file, "
            "or 'my.py:scenario'"
        )
    return _of_python(module, name)


def _of_python(source: str, name: str) -> Scenario:
    """What the module calls ``name``: a scenario, or a function that makes one; without a name, the
    only one there is."""
    known = {
        one: value for one, value in vars(module_of(source)).items() if isinstance(value, Scenario)
    }
    if not name:
        if len(known) != 1:
            told = f"there are {', '.join(known)}" if known else "it defines no Scenario"
            raise ConfigError(f"which scenario of {source}? {told}: say {source}:NAME")
        return next(iter(known.values()))
    found = getattr(module_of(source), name, None)
    if callable(found) and not isinstance(found, type):
        found = found()
    if not isinstance(found, Scenario):
        told = ", ".join(known) or "none"
        raise ConfigError(f"there is no scenario {name!r} in {source}; scenarios there: {told}")
    return found
