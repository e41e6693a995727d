"""Values as plain data, by what they hold: strategies and their parameters, policies, latencies.

Two values that may make a run differ give different data, and the same value gives the same data in
every process and on every Python. Whatever code is met on the way is noted, and where something
cannot be seen through, a notice says so.
"""

from __future__ import annotations

import copyreg
import json
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from functools import partial
from hashlib import sha256
from math import isfinite
from pathlib import PurePath
from types import (
    BuiltinFunctionType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any
from uuid import UUID

from backtest.runs.functions import defaults_of, names_in, place_of, stands_with
from backtest.source_code import (
    Origin,
    bytecode,
    functions_of,
    is_ours,
    is_standard,
    module_name,
    origin_of,
    whose,
)
from backtest.strategies.parameters import parameters_of

__all__ = ["Contents", "class_name"]

_LONG = 2_000
"""Beyond so many characters a value goes by its hash."""
_MOST = 200_000
"""How many values are looked at for one run."""
_CODE = (type, FunctionType, MethodType, BuiltinFunctionType, partial, ModuleType)
"""What is told by its code."""
_PLAIN = (int, float, str, bytes, Decimal, bool, type(None))
_WRITTEN: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (Decimal, str),
    (float, repr),
    (datetime, datetime.isoformat),
    (date, date.isoformat),
    (time, time.isoformat),
    (timedelta, str),
    (Fraction, str),
    (UUID, str),
    (PurePath, PurePath.as_posix),
    (complex, repr),
    (range, repr),
    (tzinfo, str),
    (bytes, bytes.hex),
    (bytearray, bytearray.hex),
)
"""What has one spelling."""


class Contents:
    """Looks through the values of one run, and notes on the way what code it is made of."""

    def __init__(self) -> None:
        self.sources: dict[str, str] = {}
        """By module (or piece of code that is in none): SHA-256 of its source, or its version."""
        self.notices: list[str] = []
        """What the data cannot tell, in words."""
        self._within: list[Any] = []
        """What is being looked at, from the outermost: a value may hold itself."""
        self._classes: dict[type, str | None] = {}
        self._left = _MOST
        self._where = ""

    # -- strategies --------------------------------------------------------------------------------

    def strategy(self, strategy: Any, name: str) -> dict[str, Any]:
        """A strategy called ``name``: its class, parameters, and whatever else it was given."""
        kind = type(strategy)
        parameters = parameters_of(strategy)
        told: dict[str, Any] = {
            "class": class_name(kind),
            "parameters": {
                key: self.value(value, f"{key} of {name}") for key, value in parameters.items()
            },
        }
        more = {
            key: self.value(value, f"{key} of {name}")
            for key, value in vars(strategy).items()
            if key not in parameters
        }
        if more:
            told["attributes"] = more
        self._where = f"the class of {name}"
        surroundings = self.code(kind)
        if surroundings is not None:
            told["surroundings_sha256"] = surroundings
        if getattr(kind, "decides_outside", False):
            self.note(f"{name} decides outside the run: what it did is not in the run's id")
        return told

    def code(self, kind: type) -> str | None:
        """Note where a class and its bases were written; the hash of what they take from there.

        That is what the same source may have been given differently: variables of a function around
        it, defaults, attributes of the class, plain globals. None: nothing.
        """
        if kind not in self._classes:
            self._classes[kind] = None  # a method may well hold its class
            taken: dict[str, Any] = {}
            for base in kind.__mro__:
                if not is_standard(base):
                    self._note_origin(origin_of(base))
                    if not is_ours(base.__module__):
                        taken |= self._taken(base)
            self._classes[kind] = _hash(taken) if taken else None
        return self._classes[kind]

    def _taken(self, kind: type) -> dict[str, Any]:
        taken: dict[str, Any] = {}
        for name, value in vars(kind).items():
            if isinstance(value, _PLAIN) and not (name.startswith("__") or name == "_file_stamp"):
                taken[f"{kind.__qualname__}.{name}"] = self._look(value)
        for name, function in functions_of(kind):
            if whose(function) != kind.__module__ or not stands_with(function, kind):
                self._note_origin(origin_of(function))
            around = self._around(function)
            if around:
                taken[f"{kind.__qualname__}.{name}()"] = around
        return taken

    def _around(self, function: FunctionType) -> dict[str, Any]:
        """What a function takes from where it was made, by name."""
        found: dict[str, Any] = {}
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        for name, cell in cells:
            if name != "__class__":
                try:
                    found[name] = self._look(cell.cell_contents)
                except ValueError:  # nothing was assigned to it yet
                    found[name] = {"unset": True}
        for name, value in defaults_of(function):
            if not isinstance(value, type(None)):
                found[f"{name}="] = self._look(value)
        is_typed_in = getattr(sys.modules.get(whose(function)), "__file__", None) is None
        for name in sorted(names_in(function.__code__)):
            value = function.__globals__.get(name)
            if isinstance(value, _PLAIN) and value is not None and not name.startswith("__"):
                found[f"global {name}"] = self._look(value)
            elif is_typed_in and isinstance(value, FunctionType | type):
                found[f"global {name}"] = self._look(value)
        return found

    # -- values ------------------------------------------------------------------------------------

    def value(self, value: Any, where: str) -> Any:
        """``value`` as JSON takes it; ``where`` it stands, for notices."""
        self._where = where
        told = self._look(value)
        if isinstance(told, dict | list) and len(_json(told)) > _LONG:
            return {"sha256": _hash(told), "of": type(value).__qualname__}
        return told

    def _look(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float and isfinite(value):
            return value
        for known, write in _WRITTEN:
            if kind is known or (isinstance(value, known) and known in (tzinfo, PurePath)):
                return {known.__name__: write(value)}
        if any(value is one for one in self._within):
            return {"again": len(self._within)}
        self._left -= 1
        if self._left <= 0:
            return self._unseen(value, "holds too much to be looked through")
        self._within.append(value)
        try:
            return self._inside(value, kind)
        except RecursionError:
            return self._unseen(value, "is too deep to be looked through")
        finally:
            self._within.pop()

    def _inside(self, value: Any, kind: type) -> Any:
        if kind is list:
            return [self._look(one) for one in value]
        if kind in (tuple, deque):
            return {kind.__name__: [self._look(one) for one in value]}
        if kind in (set, frozenset):
            return {kind.__name__: sorted((self._look(one) for one in value), key=_json)}
        if kind in (dict, MappingProxyType):
            return {"dict": self._pairs(value)}
        if isinstance(value, _CODE):
            return self._code_of(value)
        if isinstance(value, Enum):
            self.code(kind)
            return {"enum": f"{class_name(kind)}.{value.name}"}
        package = kind.__module__.partition(".")[0]
        if package == "numpy" and hasattr(value, "tobytes"):
            return self._array(value)
        if package == "pandas" and hasattr(value, "iloc"):
            return self._frame(value)
        if is_ours(kind.__module__):
            return self._of_ours(value, kind)
        return self._object(value, kind)

    def _code_of(self, value: Any) -> Any:
        """Of a class, a function, or whatever else is called: by its code."""
        if isinstance(value, type):
            return {"class": class_name(value), **_if_any(code_sha256=self.code(value))}
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, MethodType):
            return {"method": value.__name__, "of": self._look(value.__self__)}
        if isinstance(value, BuiltinFunctionType):
            owner = value.__self__
            of = {} if owner is None or isinstance(owner, ModuleType) else self._look(owner)
            return {"builtin": value.__qualname__, **_if_any(of=of or None)}
        if isinstance(value, partial):
            return {
                "partial": [self._look(one) for one in (value.func, value.args, value.keywords)]
            }
        return {"module": value.__name__}

    def _pairs(self, value: Mapping[Any, Any]) -> list[Any]:
        return [[self._look(key), self._look(one)] for key, one in value.items()]

    def _function(self, function: FunctionType) -> dict[str, Any]:
        """A function: where it stands in its source, and what it takes from around it."""
        origin = origin_of(function)
        self._note_origin(origin)
        told: dict[str, Any] = {
            "function": f"{module_name(whose(function))}.{function.__qualname__}"
        }
        if origin is None:
            return told
        place: Any = place_of(function.__code__)
        if place is None or origin.notice:
            place = bytecode(function.__code__)
        return {**told, "sha256": _hash([place, self._around(function)])}

    def _of_ours(self, value: Any, kind: type) -> Any:
        """A value of this package: by its fields, or, as it names all its parts, by its text; and
        what others made of it."""
        fields = getattr(kind, "__attrs_attrs__", None)
        if fields is not None:
            parts = {one.name: self._look(getattr(value, one.name)) for one in fields if one.init}
            return {"ours": kind.__qualname__, "fields": parts}
        if isinstance(value, Mapping):
            return {"dict": self._pairs(value)}
        if not any("__repr__" in vars(base) for base in kind.__mro__ if base is not object):
            return self._object(value, kind)
        foreign = [self._look(one) for one in _foreign(value)]
        return {"repr": repr(value), **_if_any(holds=foreign or None)}

    def _object(self, value: Any, kind: type) -> Any:
        """Any other object: its class and its state, as they would be written to make it anew."""
        try:
            reduce = copyreg.dispatch_table.get(kind)
            made = value.__reduce_ex__(4) if reduce is None else reduce(value)
        except Exception:  # whatever the value's own __reduce__ or __getstate__ raises
            return self._unseen(value, "cannot be looked into")
        told = {"object": class_name(kind), **_if_any(code_sha256=self.code(kind))}
        if isinstance(made, str):
            return {**told, "global": made}
        maker, arguments, state, *items = (*made, None)[:5]
        if maker.__module__ != "copyreg":
            told["made_by"] = self._look(maker)
        told["given"] = [self._look(one) for one in arguments if one is not kind]
        if state:
            told["state"] = self._look(state)
        told["items"] = [self._look(list(one)) for one in items if one is not None]
        return told

    def _array(self, value: Any) -> Any:
        if value.dtype.hasobject:
            return {"array": value.dtype.str, "items": self._look(value.tolist())}
        digest = sha256(value.tobytes()).hexdigest()
        return {"array": value.dtype.str, "shape": list(value.shape), "sha256": digest}

    def _frame(self, value: Any) -> Any:
        """A table or a column of pandas."""
        from pandas.util import hash_pandas_object

        try:
            digest = sha256(hash_pandas_object(value).to_numpy().tobytes()).hexdigest()
        except TypeError:
            return self._unseen(value, "holds what cannot be hashed")
        named = value.columns if hasattr(value, "columns") else [value.name]
        return {"frame": [str(one) for one in named], "sha256": digest}

    def foreign(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """``{"given": …}`` of those ``values``, by where they stand, that users have written:
        policies, calendars, latencies. Mostly there are none, and nothing is given."""
        told = {
            where: self.value(value, where)
            for where, value in values.items()
            if _is_foreign(value) or next(_foreign(value), None) is not None
        }
        return {"given": told} if told else {}

    # -- notes -------------------------------------------------------------------------------------

    def note(self, notice: str) -> None:
        """Say something that the data cannot tell."""
        if notice not in self.notices:
            self.notices.append(notice)

    def _unseen(self, value: Any, why: str) -> dict[str, Any]:
        name = class_name(type(value))
        self.note(
            f"{self._where} is or holds a {name}, which {why}: only its type is in the run's id"
        )
        return {"object": name}

    def _note_origin(self, origin: Origin | None) -> None:
        if origin is None:
            return
        known = self.sources.setdefault(origin.name, origin.digest)
        if known != origin.digest:  # two of one name, of two notebook cells say
            self.sources[origin.name] = sha256(f"{known}{origin.digest}".encode()).hexdigest()
        if origin.notice:
            self.note(origin.notice)


def class_name(kind: type) -> str:
    """A class by module and name, however the module was started."""
    return f"{module_name(kind.__module__)}.{kind.__qualname__}"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _hash(value: Any) -> str:
    return sha256(_json(value).encode()).hexdigest()


def _if_any(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _is_foreign(value: Any) -> bool:
    """Whether a value is a function, class or object that is neither ours nor the library's."""
    if isinstance(value, FunctionType | type):
        return not is_ours(value.__module__)
    kind = type(value)
    return isinstance(value, partial) or not (is_ours(kind.__module__) or is_standard(kind))


def _foreign(value: Any) -> Iterator[Any]:
    """What there is of that kind in a value of ours, or in a mapping of such."""
    held = _state(value) if is_ours(type(value).__module__) else ()
    items = tuple(value.values()) if isinstance(value, Mapping) else value
    for one in (*held, *(items if isinstance(items, tuple) else ())):
        if _is_foreign(one):
            yield one
        else:
            yield from _foreign(one)


def _state(value: Any) -> Iterator[Any]:
    """The values of the attributes of an object."""
    yield from getattr(value, "__dict__", {}).values()
    for base in type(value).__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                yield getattr(value, name)
