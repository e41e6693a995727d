"""What a run is asked for: on the command line, in a run file, or in both."""

from __future__ import annotations

import os
import re
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backtest.cli.data_files import HOW, data_files
from backtest.cli.parameters import make, parameters_from
from backtest.cli.run_file import read_run_file, relocated, run_file_text
from backtest.errors import ConfigError
from backtest.money import plain
from backtest.runs.target import strategy_class
from backtest.spelling import suggestion
from backtest.strategies import Strategy

__all__ = ["ConfigFile", "latency_of", "quoted", "request_of", "strategies_of"]

_SCALARS = (
    "seed", "start", "end", "warmup", "accounts", "netting", "margin", "profile", "stream", "paths",
    "out", "format", "json", "rules",
)  # fmt: skip
_OUTPUTS = frozenset({"out", "format", "json", "paths", "stream"})
"""What changes nothing of a run: where its result goes, and how its data come."""
_NAME = re.compile(r"[A-Za-z_][\w-]*")
_NAMED = re.compile(rf"({_NAME.pattern})=(.+)")

Request = dict[str, Any]
"""The settings of a run as a run file has them; what is not said is not there."""


def request_of(arguments: Namespace) -> Request:
    """What the arguments ask for; they go before what the run file among them says."""
    files = [one for one in arguments.strategies if one.endswith(".toml")]
    if len(files) > 1:
        raise ConfigError(f"one run file at a time: {' and '.join(files)} are two")
    request = read_run_file(files[0]) if files else {}
    _take(request, arguments)
    for name, told in (("strategies", "[[strategies]]"), ("data", "[[data]]"), ("cash", "cash")):
        if not request.get(name):
            raise ConfigError(f"{files[0]} has no {told}, and the command line gives none")
    if request.get("accounts") not in (None, "own", "shared"):
        raise ConfigError(f"accounts must be 'own' or 'shared', not {request['accounts']!r}")
    return request


def _take(request: Request, arguments: Namespace) -> None:
    """Put into ``request`` what the command line says."""
    targets = [one for one in arguments.strategies if not one.endswith(".toml")]
    if targets:
        request["strategies"] = [_strategy(text) for text in targets]
    for name in _SCALARS:
        given = getattr(arguments, name)
        if given is not None:
            request[name] = given
    if arguments.data:
        how = {name: getattr(arguments, name) for name in HOW}
        request["data"] = data_files(arguments.data, arguments.pair, how)
    elif arguments.pair or any(getattr(arguments, name) for name in HOW):
        raise ConfigError("--pair, --bar, --stamp, --tz and --decimal are of --data: give it, too")
    if arguments.cash:
        request["cash"] = _cash(arguments.cash)
    if arguments.collateral:
        request["collateral"] = _collateral(arguments.collateral)
    if arguments.latency:
        request["latency"] = latency_of(arguments.latency)


class ConfigFile:
    """The run file that ``--save-config`` is to write: looked at before the run, written after.

    Raises `ConfigError` where another file is, unless it is by ``force``.
    """

    def __init__(self, request: Request, file: str, *, force: bool) -> None:
        folder = os.path.dirname(file) or "."
        moved = relocated(request, lambda name: os.path.relpath(name, folder))
        self._file, self._text = Path(file), run_file_text({"seed": 0, **moved})
        if not self._file.parent.is_dir():
            raise ConfigError(f"--save-config {file}: there is no folder {folder}")
        if self._file.exists() and not force and self._file.read_bytes() != self._text.encode():
            raise ConfigError(
                f"{file} is there and says something else: give another name, or --force to "
                "replace it"
            )

    def write(self) -> None:
        """Write it; names of files are relative to its folder."""
        self._file.write_text(self._text, encoding="utf-8")


def quoted(request: Request) -> str:
    """The run file of ``request`` for a receipt: what was run, not where the result went."""
    about = {"seed": 0} | {key: value for key, value in request.items() if key not in _OUTPUTS}
    return run_file_text(about)


# -- strategies ------------------------------------------------------------------------------------


def _strategy(text: str) -> dict[str, Any]:
    """``[NAME=]FILE.py:Class`` as a run file has it."""
    match = _NAMED.fullmatch(text)
    if match is None or Path(text).exists():
        return {"strategy": text}
    return {"strategy": match[2], "name": match[1]}


def strategies_of(request: Request, given: list[str]) -> dict[str, Strategy]:
    """The strategies by name; ``given`` are the ``--set`` of the command line, which go before what
    the file says, and into ``request``.

    ``NAME.fast=10`` is a parameter of one strategy, ``fast=10`` of each that has it. Raises
    `ConfigError` for what none of them has.
    """
    listed = request["strategies"]
    classes = [strategy_class(_text(one["strategy"])) for one in listed]
    names = _names(listed, classes)
    own = _parted(given, names, classes)
    pairs = list(dict.fromkeys(one["pair"] for one in request["data"]))
    made: dict[str, Strategy] = {}
    for one, name, cls in zip(listed, names, classes, strict=True):
        said = one.get("parameters", {})
        if not isinstance(said, Mapping):
            raise ConfigError(f"parameters of {name} are a table: {{ fast = 10 }}, not {said!r}")
        set_ = dict(text.partition("=")[::2] for text in own[name])
        kept = [f"{key}={_said(value)}" for key, value in said.items() if key not in set_]
        parameters = parameters_from(cls, [*kept, *own[name]], pairs)
        made[name] = make(cls, parameters)
        one["name"] = name
        if set_:
            one["parameters"] = {**said, **set_}
    return made


def _names(listed: list[dict[str, Any]], classes: list[type[Strategy]]) -> list[str]:
    """The names as they are given; else the class's in lower case, numbered where it is taken."""
    taken = [one["name"] for one in listed if "name" in one]
    for name in taken:
        if _NAME.fullmatch(name) is None:
            raise ConfigError(
                f"a strategy cannot be called {name!r}: a name is of letters, digits, _ and -, and "
                "begins with a letter"
            )
        if taken.count(name) > 1:
            raise ConfigError(f"two strategies are called {name!r}: give each its own name")
    names = []
    for one, cls in zip(listed, classes, strict=True):
        name = stem = cls.__name__.lower()
        number = 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        names.append(one.get("name", name))
        taken.append(names[-1])
    return names


def _parted(
    given: list[str], names: list[str], classes: list[type[Strategy]]
) -> dict[str, list[str]]:
    """What of ``--set`` is for which strategy."""
    own: dict[str, list[str]] = {name: [] for name in names}
    for text in given:
        key, equals, value = text.partition("=")
        name, dot, parameter = key.strip().rpartition(".")
        if dot:
            if name not in own:
                meant = suggestion(name, names)
                told = f"did you mean {meant}?" if meant else f"there are {', '.join(names)}"
                raise ConfigError(f"--set {text}: no strategy is called {name!r}; {told}")
            own[name].append(f"{parameter}{equals}{value}")
            continue
        having = [
            one
            for one, cls in zip(names, classes, strict=True)
            if any(field.name == parameter for field in _fields(cls))
        ]
        for one in having or names:  # where none has it, the first says what it has
            own[one].append(text)
    for name, texts in own.items():
        keys = [text.partition("=")[0].strip() for text in texts]
        for key in keys:
            if key and keys.count(key) > 1:
                raise ConfigError(f"parameter {key!r} of {name} is set twice")
    return own


def _fields(cls: Any) -> Any:
    return cls.__attrs_attrs__


def _said(value: Any) -> str:
    """A parameter of a file as the command line would say it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | Mapping):
        raise ConfigError(f"a parameter is a number, a text or true or false, not {value!r}")
    return plain(value) if hasattr(value, "as_tuple") else str(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"a strategy is like 'my.py:Mine', not {value!r}")
    return value


# -- the rest --------------------------------------------------------------------------------------


def latency_of(given: list[str]) -> Any:
    """What `backtest.run` takes as latency: of all links, or by link."""
    named: dict[str, str] = {}
    for text in given:
        link, _, length = text.rpartition("=")
        if link in named or (named and not (link and all(named))):
            raise ConfigError("give --latency once, or once for each link: orders=20ms")
        named[link] = length
    return named.get("", named or None)


def _collateral(given: list[str]) -> dict[str, str]:
    """Weights by asset."""
    weights = {}
    for text in given:
        asset, equals, weight = text.partition("=")
        if not equals or not asset or not weight:
            raise ConfigError(f"--collateral takes ASSET=WEIGHT, BTC=0.9 say, not {text!r}")
        weights[asset] = weight
    return weights


def _cash(given: list[str]) -> Any:
    """What `backtest.run` takes as cash: amounts, or those by account."""
    named: dict[str, list[str]] = {}
    plain_amounts = []
    for text in given:
        account, colon, amount = text.rpartition(":")
        if colon:
            if not account.strip():
                raise ConfigError(
                    f"--cash takes ACCOUNT:AMOUNT, the account's name is missing in {text!r}"
                )
            named.setdefault(account.strip(), []).append(amount)
        else:
            plain_amounts.append(text)
    if named and plain_amounts:
        raise ConfigError(
            f"some --cash name an account and {plain_amounts[0]!r} does not: name one for each"
        )
    return named or plain_amounts
