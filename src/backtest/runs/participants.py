"""Who takes part in a run: strategies by name, accounts with their options, who trades on which."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from attrs import fields, has

from backtest.errors import ConfigError
from backtest.models import Account
from backtest.runs.config import RuleBook
from backtest.strategies import Strategy
from backtest.strategies.clashes import clashes
from backtest.strategies.handlers import oddities

__all__ = [
    "account_options",
    "accounts_of",
    "acquaint",
    "check_bounds",
    "check_owners",
    "named",
    "told_clashes",
    "told_oddities",
]

_ACCOUNT_OPTIONS = ("margin_mode", "collateral", "netting")


def check_bounds(inbox_bound: object, stall_bound: object) -> None:
    """Raise `ConfigError` for bounds of an inbox, or of steps, that are none."""
    for name, bound in (("inbox_bound", inbox_bound), ("stall_bound", stall_bound)):
        if name == "stall_bound" and bound is None:
            continue
        if isinstance(bound, bool) or not isinstance(bound, int) or bound < 1:
            raise ConfigError(f"{name} must be a whole number from 1 on, not {bound!r}")


def check_owners(accounts: Mapping[str, Any], strategies: Mapping[str, Strategy]) -> None:
    """Raise `ConfigError` where ``accounts`` are given for a strategy that there is not."""
    for name in accounts:
        if name not in strategies:
            raise ConfigError(
                f"accounts are given for {name!r}, and no strategy is called that: there are "
                f"{', '.join(strategies)}"
            )


def named(strategies: Any) -> dict[str, Strategy]:
    """The strategies by name; a class name in lower case where none was given."""
    if isinstance(strategies, Strategy | type):
        strategies = [strategies]
    if isinstance(strategies, Mapping):
        found = dict(strategies)
    else:
        if not isinstance(strategies, Iterable):
            raise ConfigError(
                f"strategies must be a Strategy, several, or a mapping of names to them, not "
                f"{strategies!r}"
            )
        found = {}
        for strategy in strategies:
            name = stem = type(strategy).__name__.lower()
            number = 1
            while name in found:
                number += 1
                name = f"{stem}-{number}"
            found[name] = strategy
    if not found:
        raise ConfigError("there is no strategy to run")
    for name, strategy in found.items():
        if isinstance(strategy, type):
            raise ConfigError(
                f"{strategy.__name__} is a class: give an instance, {strategy.__name__}()"
            )
        if not isinstance(strategy, Strategy):
            raise ConfigError(f"{name} is not a Strategy but a {type(strategy).__name__}")
        if hasattr(strategy, "_host"):
            raise ConfigError(f"strategy {name!r} has run already: make a new one for each run")
    if len(set(found.values())) < len(found):  # strategies compare by identity
        raise ConfigError("the same strategy object is given twice: make one for each name")
    return found


def told_oddities(strategies: Collection[Strategy], log: Any) -> list[str]:
    """What looks like a handler and is none, in the classes of ``strategies``: logged, and told for
    the notices of the result. Raises `ConfigError` for a class that would do nothing."""
    told = []
    kinds: dict[Any, None] = dict.fromkeys(type(one) for one in strategies)
    for kind in kinds:
        for oddity in oddities(kind):
            log.warning("strategy.odd", told=oddity)
            told.append(oddity)
    return told + told_clashes(strategies, log, ())


def told_clashes(strategies: Iterable[Strategy], log: Any, before: Iterable[str]) -> list[str]:
    """Attributes of strategies that hide ours, logged once for each class, and told for the notices
    of the result; not what was told ``before``."""
    by_kind: dict[Any, dict[str, None]] = {}
    for one in strategies:
        by_kind.setdefault(type(one), {}).update(dict.fromkeys(clashes(one)))
    told = []
    for kind, names in by_kind.items():
        for name in names:
            clash = (
                f"{kind.__name__} uses the name {name!r} for something of its own, which hides "
                f"Strategy.{name}: rename yours if you need that"
            )
            if clash not in before:
                log.warning("strategy.odd", told=clash)
                told.append(clash)
    return told


def acquaint(strategies: Iterable[Strategy], pairs: Iterable[str]) -> None:
    """Give the run's pair to strategies with a parameter called ``pair``, where there is only one
    and theirs is still the default of their class, which is another."""
    known = list(pairs)
    if len(known) != 1:
        return
    for strategy in strategies:
        kind: Any = type(strategy)
        field = getattr(fields(kind), "pair", None) if has(kind) else None
        if field is None or not field.init:
            continue
        held = vars(strategy)
        if held.get("pair") not in known and held.get("pair") == field.default:
            held["pair"] = known[0]


def accounts_of(
    name: str, given: str | Sequence[str] | None, accounts: Mapping[str, Account]
) -> tuple[str, ...]:
    """The accounts that strategy ``name`` trades on; ``given`` is what was asked for it."""
    if given is None:
        if name in accounts:
            return (name,)
        if len(accounts) == 1:
            return tuple(accounts)
        raise ConfigError(
            f"which of the accounts {', '.join(accounts)} does strategy {name!r} trade on? "
            f"Give accounts={{{name!r}: ...}}"
        )
    owned = (given,) if isinstance(given, str) else tuple(given)
    for one in owned:
        if one not in accounts:
            raise ConfigError(
                f"strategy {name!r} is to trade on account {one!r}, but cash is given for: "
                f"{', '.join(accounts)}"
            )
    return owned


def account_options(
    cash: Mapping[str, Any],
    book: RuleBook,
    *,
    margin_mode: str | None,
    collateral: Mapping[str, Any],
    netting: bool | str | Sequence[str],
) -> dict[str, dict[str, Any]]:
    """What `Account` takes beside its id, name and asset, by account."""
    for name in book.accounts:
        if name not in cash:
            raise ConfigError(
                f"the rules name account {name!r}, but cash is given for: {', '.join(cash)}"
            )
    general: dict[str, Any] = {}
    if margin_mode is not None:
        general["margin_mode"] = margin_mode
    if collateral:
        general["collateral"] = collateral
    options = {name: {**general, **book.accounts.get(name, {})} for name in cash}
    for name in _netting(netting, cash):
        options[name].setdefault("netting", True)
    for name, own in options.items():
        for option in own:
            if option not in _ACCOUNT_OPTIONS:
                raise ConfigError(
                    f"no option of account {name!r} is called {option!r}; known: "
                    f"{', '.join(_ACCOUNT_OPTIONS)}"
                )
    return options


def _netting(netting: bool | str | Sequence[str], accounts: Iterable[str]) -> list[str]:
    """The accounts that net."""
    known = list(accounts)
    if isinstance(netting, bool):
        return known if netting else []
    wanted = [netting] if isinstance(netting, str) else list(netting)
    for one in wanted:
        if one not in known:
            raise ConfigError(
                f"account {one!r} is to net, but cash is given for: {', '.join(known)}"
            )
    return wanted
