"""The data files of a run: of which pair each is, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backtest.errors import ConfigError
from backtest.spelling import suggestion

__all__ = ["HOW", "by_pair", "data_files", "how_read"]

HOW = ("bar", "stamp", "tz", "decimal")
"""What is told of how a file is read."""
_CHOICES = {"stamp": ("open", "close"), "decimal": (".", ",")}
_OPTION = re.compile(r"(.*),(\w+)=([^,=]*|,)", re.DOTALL)
_OTHER_WORDS = {"timezone": "tz", "zone": "tz", "length": "bar", "timeframe": "bar"}

DataFile = dict[str, Any]
"""``pair`` and ``file``, and of `HOW` what was said."""


def data_files(
    files: Sequence[str], pairs: Sequence[str], how: Mapping[str, Sequence[str]]
) -> list[DataFile]:
    """What ``--data [PAIR=]FILE[,tz=ZONE,bar=LENGTH…]``, ``--pair`` and the options of `HOW` say.

    An option that is given once is of all files that do not say it themselves; else it is given
    once for each. Raises `ConfigError` for what does not fit together.
    """
    told = [_split(text) for text in files]
    if pairs:
        if len(pairs) != len(files):
            raise ConfigError(
                f"{len(files)} --data and {len(pairs)} --pair are given: give one --pair for each "
                "--data, in the same order"
            )
        named = [
            {"pair": pair, "file": text, **own}
            for pair, (text, own) in zip(pairs, told, strict=True)
        ]
    else:
        named = [{**_named(text), **own} for text, own in told]
    for name, given in how.items():
        if given and len(given) not in (1, len(named)):
            raise ConfigError(
                f"{len(named)} --data and {len(given)} --{name} are given: give --{name} once, or "
                "once for each --data, in the same order"
            )
        for number, one in enumerate(named if given else []):
            one.setdefault(name, given[0] if len(given) == 1 else given[number])
    return named


def _named(text: str) -> DataFile:
    pair, equals, file = text.partition("=")
    if not equals or not pair or not file:
        raise ConfigError(f"which pair is the data of? Add --pair CODE, or --data CODE={text}")
    return {"pair": pair, "file": file}


def _split(text: str) -> tuple[str, DataFile]:
    """A file, and what is said behind it of how it is read."""
    how: DataFile = {}
    rest = text
    while (match := _OPTION.fullmatch(rest)) is not None:
        if Path(rest).is_file() or Path(rest.partition("=")[2]).is_file():
            break  # a file whose name looks like that
        name = match[2]
        if name not in HOW:
            meant = suggestion(name, HOW, _OTHER_WORDS)
            told = f"did you mean {meant}?" if meant else f"there are {', '.join(HOW)}"
            raise ConfigError(f"--data {text}: {name} is nothing that is said of a file; {told}")
        if name in how:
            raise ConfigError(f"--data {text}: {name} is said twice")
        how[name] = match[3]
        rest = match[1]
    return rest, how


def by_pair(files: Sequence[DataFile]) -> dict[str, Any]:
    """The names of the files by pair, a list where there are several. Raises `ConfigError` for one
    that is not there."""
    data: dict[str, list[str]] = {}
    for one in files:
        name = one["file"]
        if not Path(name).is_file():
            what = "is a folder, not a file" if Path(name).is_dir() else "does not exist"
            raise ConfigError(f"the data file {name} {what}")
        data.setdefault(one["pair"], []).append(name)
    return {pair: names[0] if len(names) == 1 else names for pair, names in data.items()}


def how_read(files: Sequence[DataFile]) -> dict[str, Any]:
    """Each of `HOW` as the runner takes it: one for all files, or a list by pair."""
    settings: dict[str, Any] = {}
    for name in HOW:
        values = [_value(name, one) for one in files]
        if all(value == values[0] for value in values):
            if values[0] is not None:
                settings[name] = values[0]
            continue
        each: dict[str, list[Any]] = {}
        for one, value in zip(files, values, strict=True):
            each.setdefault(one["pair"], []).append(value)
        settings[name] = each
    return settings


def _value(name: str, one: DataFile) -> Any:
    """What is said; None for nothing, which is what a length of "auto" says, too."""
    value = one.get(name)
    if value is not None and value not in _CHOICES.get(name, (value,)):
        known = " or ".join(_CHOICES[name])
        raise ConfigError(f"{name} of {one['file']} must be {known}, not {value!r}")
    return None if name == "bar" and value == "auto" else value
