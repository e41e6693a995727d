"""The parameters of agents, as the types that their classes say."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import NOTHING, fields

from backtest.errors import BacktestError, ConfigError
from backtest.markets.distribution import DISTRIBUTIONS, Distribution
from backtest.markets.strict import meant
from backtest.money import ONE, is_multiple, setting_of
from backtest.strategies import Strategy

__all__ = ["Parameters"]

_NUMBERS = (Decimal, int, float)


class Parameters:
    """What a kind of agent can be told: names, types, and what has no default."""

    def __init__(self, kind: type[Strategy]) -> None:
        self.kind = kind
        self.fields = {one.name: one for one in fields(kind) if one.init}  # type: ignore[arg-type]
        try:
            hints = typing.get_type_hints(kind)
        except Exception:  # an annotation that exists for a type checker only: nothing is known
            hints = {}
        self._kinds = {name: _kinds(hints.get(name)) for name in self.fields}

    def check(self, given: Mapping[str, Any], filled: tuple[str, ...] = ()) -> None:
        """Raise `ConfigError` for what cannot be told, and for what has to be and is not.

        ``filled`` are names that somebody else sees to.
        """
        for name, value in given.items():
            if name not in self.fields:
                told = meant(name, self.fields) or f"; it has: {', '.join(self.fields) or 'none'}"
                raise ConfigError(f"{self.kind.__name__} has no parameter {name!r}{told}")
            if not isinstance(value, Distribution):
                self.typed(name, value)
        for name, one in self.fields.items():
            if one.default is NOTHING and name not in given and name not in filled:
                raise ConfigError(f"{self.kind.__name__} needs a value for {name!r}")

    def typed(self, name: str, value: Any) -> Any:
        """``value`` as what parameter ``name`` holds. Raises `ConfigError` where it cannot be."""
        kinds = self._kinds[name]
        if not kinds or value is None:
            return value
        if isinstance(value, bool):
            if bool in kinds:
                return value
            raise self._refusal(name, value)
        if isinstance(value, Decimal):
            return self._number(name, value)
        if isinstance(value, int):
            return value if int in kinds else self._number(name, Decimal(value))
        if isinstance(value, float):
            if float in kinds:
                return value
            if Decimal in kinds:
                raise ConfigError(f"{name} must be exact: write {str(value)!r}, as text")
            raise self._refusal(name, value)
        if isinstance(value, str):
            return self._text(name, value)
        if isinstance(value, Mapping):
            return self._table(name, value)
        return value

    def _number(self, name: str, value: Decimal) -> Any:
        kinds = self._kinds[name]
        if Decimal in kinds:
            return value
        if int in kinds and is_multiple(value, ONE):
            return int(value)
        if float in kinds:
            return float(value)
        raise self._refusal(name, value)

    def _text(self, name: str, value: str) -> Any:
        kinds = self._kinds[name]
        if str in kinds or not any(isinstance(kind, type) for kind in kinds):
            return value
        if not any(kind in _NUMBERS for kind in kinds):
            return value  # of a kind of its own, which may well read text
        try:
            return self._number(name, setting_of(value, name))
        except BacktestError:
            raise self._refusal(name, value) from None

    def _table(self, name: str, value: Mapping[str, Any]) -> Any:
        kinds = self._kinds[name]
        if not any(isinstance(kind, type) and issubclass(kind, Mapping) for kind in kinds):
            raise ConfigError(
                f"{name} must be a value or one distribution ({', '.join(DISTRIBUTIONS)}), "
                f"not {dict(value)!r}"
            )
        # Weights and the like: nothing in a table is money, and float is what they are reckoned in.
        return {key: float(one) if isinstance(one, Decimal) else one for key, one in value.items()}

    def _refusal(self, name: str, value: Any) -> ConfigError:
        told = " or ".join(getattr(kind, "__name__", str(kind)) for kind in self._kinds[name])
        shown = value if isinstance(value, Decimal) else repr(value)
        return ConfigError(f"{name} must be {told}, not {shown}")


def _kinds(hint: Any) -> list[Any]:
    """The types of an annotation, unions taken apart; nothing where it says nothing."""
    if hint is None or hint is Any:
        return []
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return [one for part in typing.get_args(hint) for one in _kinds(part)]
    return [hint if origin is None else origin]
