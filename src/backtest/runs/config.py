"""What a run is asked for, in the forms that people write: cash, pairs and rules."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import Any

from backtest.actors import FixedLatency, Latency, LinkLatencies, Network
from backtest.data.funding import read_funding
from backtest.errors import ConfigError, FieldError
from backtest.models import HOUSE, Asset, TradingPair, TradingRules
from backtest.money import ZERO, is_multiple, plain, setting_of
from backtest.profiles import profile as profile_called
from backtest.text_files import read_table
from backtest.times import duration_ns

__all__ = [
    "OF_DATA",
    "RuleBook",
    "cash_of",
    "check_precision",
    "latency_of",
    "pair_of",
    "read_rules",
    "rules_of",
]

_CASH = re.compile(r"\s*([0-9][0-9_.]*)\s*([A-Za-z][A-Za-z0-9.]*)\s*")
_PAIR_FIELDS = (
    "base",
    "quote",
    "price_increment",
    "volume_increment",
    "min_volume",
    "min_notional",
    "contract_size",
)
# `min_volume` and `min_notional` are both the pair's and the rules' to say; a file's word for a
# pair goes to the rules, which go before the pair's.
_TABLES = ("pairs", "assets", "accounts")
_OF_PAIR = tuple(name for name in _PAIR_FIELDS if not name.startswith("min_"))

_EXECUTIONS = frozenset({"fill", "close"})
"""The stages of fees that a commission stands for."""

OF_DATA = "data"
"""What a ``price_increment`` says that is to be the finest step of the data."""

Cash = dict[str, dict[str, Decimal]]


def cash_of(cash: Any, default_account: str = "main") -> Cash:
    """Opening balances by account and asset.

    ``cash`` is text (``"100000 USD"``), several of those, a mapping of asset to amount, or a
    mapping of account to any of these. Raises `ConfigError` for anything else.
    """
    if isinstance(cash, str):
        return {default_account: dict([_amount(cash)])}
    if isinstance(cash, Mapping):
        if not cash:
            raise ConfigError(
                "cash is empty: give an amount and an asset, '100000 USD' for example"
            )
        if any(_is_account(value) for value in cash.values()):
            return {_name(name): cash_of(value)["main"] for name, value in cash.items()}
        return {default_account: {str(k): _positive(v, str(k)) for k, v in cash.items()}}
    if isinstance(cash, Iterable):
        found: dict[str, Decimal] = {}
        for one in cash:
            asset, amount = _amount(one)
            if asset in found:
                raise ConfigError(f"cash in {asset} is given twice")
            found[asset] = amount
        if found:
            return {default_account: found}
    raise ConfigError(f"cash must be like '100000 USD', not {cash!r}")


def _is_account(value: Any) -> bool:
    if isinstance(value, str):
        return _CASH.fullmatch(value) is not None
    return isinstance(value, Mapping | list | tuple)


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise ConfigError(f"an account needs a name, not {name!r}")
    if name in HOUSE:
        raise ConfigError(f"{name!r} is a house account: choose another name for yours")
    return name


def _amount(text: Any) -> tuple[str, Decimal]:
    match = _CASH.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ConfigError(f"cash must be an amount and an asset, like '100000 USD', not {text!r}")
    if re.fullmatch(r"[eE][0-9]+.*", match[2]):
        raise ConfigError(f"write the amount of cash without an exponent: not {text!r}")
    return match[2], _positive(match[1], match[2])


def _positive(value: Any, asset: str) -> Decimal:
    amount = setting_of(value, f"cash in {asset}", largest=29)
    if amount < ZERO:
        raise ConfigError(f"cash in {asset} cannot be negative, is {plain(amount)}")
    return amount


class RuleBook:
    """Trading rules, assets and pair settings of a venue: for all pairs, and for some apart."""

    def __init__(
        self,
        default: TradingRules | None = None,
        by_pair: Mapping[str, TradingRules] | None = None,
        pairs: Mapping[str, Mapping[str, Any]] | None = None,
        assets: Mapping[str, Asset] | None = None,
        accounts: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.default = TradingRules() if default is None else default
        self.by_pair = dict(by_pair or {})
        self.pairs = dict(pairs or {})
        """Pair settings (base, quote, increments …) by code."""
        self.assets = dict(assets or {})
        self.accounts = {name: dict(options) for name, options in (accounts or {}).items()}
        """Options of accounts by name: what `Account` takes beside its id, name and asset."""

    def rules(self, code: str) -> TradingRules:
        """The rules of pair ``code``."""
        return self.by_pair.get(code, self.default)

    def asset(self, code: str) -> Asset:
        """The asset called ``code``, with the precision that was given for it."""
        return self.assets.get(code) or Asset(code)


def read_rules(rules: Any, profile: str | None = None) -> RuleBook:
    """A rule book from nothing, `TradingRules`, a mapping by pair, plain data, or a TOML file.

    A file's top level are `TradingRules` fields for all pairs; ``[pairs.CODE]`` holds base, quote,
    increments and rules of one pair; ``[assets.CODE]`` a ``precision``; ``[accounts.NAME]`` options
    of an `Account`, such as ``margin_mode``; ``profile``, for all pairs or one (or the argument),
    names the `backtest.profiles` whose settings hold where nothing else is said. Raises
    `ConfigError`.
    """
    if profile is not None:
        return _with_profile(rules, profile)
    if rules is None:
        return RuleBook()
    if isinstance(rules, RuleBook):
        return rules
    if isinstance(rules, TradingRules):
        return RuleBook(rules)
    if isinstance(rules, str | PathLike):
        return _read_file(Path(rules))
    if isinstance(rules, Mapping):
        if rules and all(isinstance(value, TradingRules) for value in rules.values()):
            return RuleBook(by_pair=rules)
        return _from_mapping(rules, "rules")
    raise ConfigError(
        f"rules must be TradingRules, a mapping or the path of a TOML file, not {rules!r}"
    )


def _with_profile(rules: Any, profile: str) -> RuleBook:
    if rules is None:
        return _from_mapping({"profile": profile}, "rules")
    if isinstance(rules, str | PathLike):
        return _from_mapping(
            {"profile": profile, **read_table(Path(rules), "rules file")}, str(rules)
        )
    if isinstance(rules, Mapping) and not any(
        isinstance(value, TradingRules) for value in rules.values()
    ):
        return _from_mapping({"profile": profile, **rules}, "rules")
    raise ConfigError(
        "a profile is the base of rules that are plain data; with TradingRules, make them of it: "
        f"rules=backtest.profiles.profile({profile!r}).rules(...)"
    )


def _read_file(path: Path) -> RuleBook:
    return _from_mapping(read_table(path, "rules file"), str(path))


def _from_mapping(table: Mapping[str, Any], where: str) -> RuleBook:
    general = {name: value for name, value in table.items() if name not in _TABLES}
    try:
        assets = {
            code: Asset(code, **settings)
            for code, settings in dict(table.get("assets", {})).items()
        }
        by_pair, pairs = {}, {}
        for code, settings in dict(table.get("pairs", {})).items():
            pairs[code] = {
                name: value if name in ("base", "quote") else _number(value, name)
                for name, value in settings.items()
                if name in _OF_PAIR
            }
            own = {name: value for name, value in settings.items() if name not in _OF_PAIR}
            by_pair[code] = TradingRules.from_mapping(_with_files({**_below(general, own), **own}))
        default = TradingRules.from_mapping(_with_files(general))
        return RuleBook(default, by_pair, pairs, assets, dict(table.get("accounts", {})))
    except (FieldError, TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error


def _below(general: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of all pairs, without the fees of executions where a pair has its own: whether
    they are called a commission, or by their stages."""
    settings = dict(general)
    fees = own.get("fees")
    if "commission" in own or (isinstance(fees, Mapping) and not _EXECUTIONS.isdisjoint(fees)):
        settings.pop("commission", None)
    if "commission" in own and isinstance(settings.get("fees"), Mapping):
        stages = settings["fees"].items()
        settings["fees"] = {name: fee for name, fee in stages if name not in _EXECUTIONS}
    return settings


def _number(value: Any, name: str) -> Any:
    is_data = name == "price_increment" and value == OF_DATA
    return value if is_data else setting_of(value, name)


def _with_files(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """``funding = {file = "rates.csv"}`` read from the file that it names, and the profile's
    settings put under the others."""
    if "profile" in settings:
        own = {name: value for name, value in settings.items() if name != "profile"}
        settings = {**profile_called(settings["profile"]).settings, **own}
    funding = settings.get("funding")
    if isinstance(funding, Mapping) and "file" in funding:
        if len(funding) > 1:
            raise ConfigError("funding takes a file, or a rate, every and at; not both")
        return {**settings, "funding": read_funding(funding["file"])}
    return settings


def pair_of(pair: str | TradingPair, cash_assets: Iterable[str], book: RuleBook) -> TradingPair:
    """The trading pair called ``pair``: its settings from the rule book, its quote from there, from
    a separator in the code (``BTC/USD``), or from the cash asset that the code ends with.

    An increment that the data is to say is left out.
    """
    if isinstance(pair, TradingPair):
        return pair
    settings = dict(book.pairs.get(pair, {}))
    if settings.get("price_increment") == OF_DATA:
        del settings["price_increment"]
    base, quote = settings.pop("base", None), settings.pop("quote", None)
    if base is None or quote is None:
        base, quote = _parts(pair, tuple(cash_assets), base, quote)
    return TradingPair(pair, book.asset(base), book.asset(quote), **settings)


def _parts(
    code: str, cash_assets: tuple[str, ...], base: str | None, quote: str | None
) -> tuple[str, str]:
    for separator in "/-_:":
        if code.count(separator) == 1:
            left, right = code.split(separator)
            if left and right:
                return base or left, quote or right
    for asset in (quote,) if quote else cash_assets:
        if code.endswith(asset) and code != asset:
            return base or code.removesuffix(asset), asset
    why = f"it does not end with the cash asset ({', '.join(cash_assets)})"
    if not cash_assets:
        why = "nobody has any cash (cash = '10000 USD'), whose asset its code could end with"
    raise ConfigError(
        f"cannot tell the quote asset of pair {code!r}: {why}. Write it as BASE/QUOTE, or name "
        f"base and quote under [pairs.{code}] in the rules file, or give TradingPair({code!r}, "
        "base=..., quote=...)"
    )


def check_precision(
    cash: Mapping[str, Mapping[str, Decimal]], pairs: Mapping[str, TradingPair], book: RuleBook
) -> None:
    """Refuse an asset that has two precisions, and opening balances with more digits than that."""
    known = dict(book.assets)
    said = dict.fromkeys(known, "the rules")
    for pair in pairs.values():
        for one in (pair.base, pair.quote):
            before = known.setdefault(one.code, one)
            if before.precision != one.precision:
                raise ConfigError(
                    f"{one.code} has {before.precision} digits after the point by "
                    f"{said[one.code]}, and {one.precision} by pair {pair.code}: an asset has one "
                    f"precision; give its pairs Asset({one.code!r}, {before.precision}), say"
                )
            said.setdefault(one.code, f"pair {pair.code}")
    for account, owned in cash.items():
        for code, amount in owned.items():
            asset = known.get(code) or book.asset(code)
            if not is_multiple(amount, asset.step):
                raise ConfigError(
                    f"{account}'s cash of {plain(amount)} {code} has more digits than {code}: "
                    f"{asset.precision} after the point"
                )


def latency_of(latency: Any) -> Latency | LinkLatencies | Network | None:
    """The latency between strategies and the venue: a length of time or a `Latency`, for all links
    or by link; or a `Network`, which holds between strategies, too. Raises `ConfigError` for a link
    that there is not."""
    if latency is None or isinstance(latency, Latency | LinkLatencies | Network):
        return latency
    if not isinstance(latency, Mapping):
        return FixedLatency(duration_ns(latency, "latency"))
    for link in latency:
        if link not in LinkLatencies._fields:
            known = ", ".join(LinkLatencies._fields)
            raise ConfigError(f"no link is called {link!r}; known: {known}")
    return LinkLatencies(
        **{
            link: one
            if isinstance(one, Latency)
            else FixedLatency(duration_ns(one, f"latency of {link}"))
            for link, one in latency.items()
        }
    )


def rules_of(book: RuleBook, pairs: Mapping[str, Any]) -> dict[str, TradingRules]:
    """The rules of each pair. Raises `ConfigError` where there are some for another one."""
    rules = {code: book.rules(code) for code in pairs}
    for code in (*book.by_pair, *book.pairs):
        if code not in pairs:
            raise ConfigError(f"the rules name pair {code!r}, which is not in the data")
    return rules
