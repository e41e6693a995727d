"""A run as a TOML file: all that the command line can say, to be run again and to be kept."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from backtest.analysis.tables.files import FORMATS
from backtest.cli.data_files import HOW
from backtest.errors import ConfigError
from backtest.money import plain
from backtest.spelling import suggestion
from backtest.text_files import read_table

__all__ = ["KEYS", "read_run_file", "relocated", "run_file_text"]

KEYS = (
    "seed", "start", "end", "warmup", "cash", "accounts", "netting", "margin", "collateral",
    "latency", "profile", "stream", "paths", "out", "format", "json", "strategies", "data", "rules",
    "pairs", "assets",
)  # fmt: skip
"""What a run file may say at its top; the rest of a command line is about this call alone."""
_OF_STRATEGY = ("strategy", "name", "accounts", "parameters")
_OF_DATA = ("pair", "file", *HOW)
_FLAGS = frozenset({"stream", "paths", "json"})
_TEXTS = frozenset({"strategy", "name", *_OF_DATA})
_OTHER_WORDS = {
    "capital": "cash", "balance": "cash", "initialcash": "cash", "from": "start", "begin": "start",
    "to": "end", "until": "end", "strategy": "strategies", "files": "data", "file": "data",
    "commission": "rules", "fees": "rules", "marginmode": "margin", "output": "out",
    "outputs": "out", "set": "parameters", "params": "parameters", "class": "strategy",
    "timezone": "tz", "zone": "tz", "path": "file", "symbol": "pair", "account": "accounts",
}  # fmt: skip
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def read_run_file(path: str) -> dict[str, Any]:
    """What the run file at ``path`` asks for; names of files in it are relative to its folder, and
    come back relative to the current one.

    Raises `ConfigError` for a file that is none, and for keys that nobody knows.
    """
    table = read_table(Path(path), "run file")
    _check(table, KEYS, path)
    for name, keys in (("strategies", _OF_STRATEGY), ("data", _OF_DATA)):
        listed = table.get(name, [])
        if isinstance(listed, str) or not isinstance(listed, list):
            raise ConfigError(f"{path}: {name} is a list of tables: write [[{name}]]")
        for one in listed:
            if not isinstance(one, dict):
                raise ConfigError(f"{path}: {name} is a list of tables: write [[{name}]]")
            _check(one, keys, f"{path}, [[{name}]]")
            if keys[0] not in one or (name == "data" and "file" not in one):
                missing = keys[0] if keys[0] not in one else "file"
                raise ConfigError(f"{path}: a table of [[{name}]] has no {missing}")
    for name in ("pairs", "assets"):
        if name in table:
            table["rules"] = _with_table(table.get("rules"), name, table.pop(name), path)
    folder = os.path.dirname(path)
    return relocated(_plain(table), lambda name: os.path.join(folder, name))


def _check(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    names = list(known)
    for key, value in table.items():
        if key not in names:
            raise ConfigError(f"{where}: nobody knows {key!r}; {_meant(key, names)}")
        if key in _FLAGS and not isinstance(value, bool):
            raise ConfigError(f"{where}: {key} must be true or false, not {value!r}")
        if key in _TEXTS and not isinstance(value, str):
            raise ConfigError(f"{where}: {key} must be text, not {value!r}")
    if table.get("netting") is not None and not isinstance(table["netting"], bool | str | list):
        raise ConfigError(f"{where}: netting must be true, false or names of accounts")
    if table.get("format", FORMATS[0]) not in FORMATS:
        known_forms = " or ".join(FORMATS)
        raise ConfigError(f"{where}: format must be {known_forms}, not {table['format']!r}")


def _meant(key: str, names: list[str]) -> str:
    """What was meant by a key that nobody knows at its place."""
    meant = suggestion(key, names, _OTHER_WORDS)
    if meant is None:
        near = suggestion(key, _OTHER_WORDS)
        meant = None if near is None else _OTHER_WORDS[near]
    if meant in names:
        return f"did you mean {meant}?"
    for title, keys in (("strategies", _OF_STRATEGY), ("data", _OF_DATA)):
        if key in keys:
            return f"it is said of each of [[{title}]]"
    return f"there are {', '.join(names)}"


def _with_table(rules: Any, name: str, given: Any, path: str) -> dict[str, Any]:
    """The rules with the settings of pairs, or of assets, that stand beside them."""
    if isinstance(rules, str):
        raise ConfigError(
            f"{path}: rules = {rules!r} is a file of its own: write [{name}] into that, or the "
            "rules into this one, under [rules]"
        )
    inside = dict(rules or {})
    if name in inside:
        raise ConfigError(f"{path}: [{name}] and [rules.{name}] are both there: give one of them")
    return {**inside, name: given}


def _plain(value: Any) -> Any:
    """Times as text: it is the zone of the data that says what they mean."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return value.isoformat() if isinstance(value, date | time) else value


def relocated(settings: Mapping[str, Any], to: Callable[[str], str]) -> dict[str, Any]:
    """``settings`` with each name of a file made relative by ``to``; absolute ones stay."""

    def moved(name: Any) -> Any:
        return name if not isinstance(name, str) or Path(name).is_absolute() else to(name)

    found = dict(settings)
    if "out" in found:
        found["out"] = moved(found["out"])
    if "data" in found:
        found["data"] = [{**one, "file": moved(one["file"])} for one in found["data"]]
    if "strategies" in found:
        found["strategies"] = [
            {**one, "strategy": moved(one["strategy"])} if _is_file(one["strategy"]) else one
            for one in found["strategies"]
        ]
    if "rules" in found:
        rules = found["rules"]
        found["rules"] = _rules_moved(rules, moved) if isinstance(rules, dict) else moved(rules)
    return found


def _rules_moved(table: Mapping[str, Any], moved: Callable[[Any], Any]) -> dict[str, Any]:
    """The rules with the files of funding rates moved, for all pairs and for each."""
    rules = dict(table)
    funding = rules.get("funding")
    if isinstance(funding, dict) and "file" in funding:
        rules["funding"] = {**funding, "file": moved(funding["file"])}
    if isinstance(rules.get("pairs"), dict):
        rules["pairs"] = {
            code: _rules_moved(one, moved) if isinstance(one, dict) else one
            for code, one in rules["pairs"].items()
        }
    return rules


def _is_file(strategy: Any) -> bool:
    """Whether a strategy is that of a file, not of a module."""
    return isinstance(strategy, str) and re.search(r"\.py(:|$)", strategy) is not None


# -- writing ---------------------------------------------------------------------------------------


def run_file_text(settings: Mapping[str, Any]) -> str:
    """``settings`` as the text of a run file, in the order of `KEYS`."""
    lines: list[str] = []
    _table({key: settings[key] for key in KEYS if key in settings}, "", lines)
    return "\n".join(lines).lstrip("\n") + "\n"


def _table(table: Mapping[str, Any], prefix: str, lines: list[str]) -> None:
    inner: list[tuple[str, Any]] = []
    for key, value in table.items():
        if isinstance(value, Mapping) or _is_tables(value):
            inner.append((key, value))
        else:
            lines.append(f"{_key(key)} = {_value(value)}")
    for key, value in inner:
        name = f"{prefix}{_key(key)}"
        several = _is_tables(value)
        for one in value if several else [value]:
            lines += ["", f"[[{name}]]" if several else f"[{name}]"]
            _table(one, f"{name}.", lines)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return _text(plain(value))
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(_value(one) for one in value)}]"
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items())
        return f"{{ {inside} }}"
    return _text(str(value))


def _text(text: str) -> str:
    """A basic string; JSON escapes the same, but for the character 127."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
