"""What is traded in a market: a pair, its rules, and how its exchange deals with it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal

from attrs import evolve, field, fields, frozen

from backtest.actors.exchange.market import MarketSpec
from backtest.errors import ConfigError
from backtest.markets.hours import Hours, hours_of
from backtest.markets.strict import known_keys
from backtest.models import TradingPair, TradingRules
from backtest.money import ONE, ZERO, is_multiple, plain, setting_of
from backtest.runs.config import RuleBook, pair_of
from backtest.services.fundamental import Fundamental
from backtest.times import DAY, duration_ns

__all__ = ["SELF_TRADE", "Instrument", "SelfTrade"]

Kind = Literal["trading", "spot"]
KINDS_OF_ORDERS: Final[tuple[Kind, ...]] = ("trading", "spot")

SelfTrade = Literal["cancel_newest", "cancel_oldest", "cancel_both"]
SELF_TRADE: Final[tuple[SelfTrade, ...]] = ("cancel_newest", "cancel_oldest", "cancel_both")

_WORTH = ("mean", "initial")
_PLAIN = ("step", "name", "shocks", "start", "seed")
_OF_WORTH = tuple(one.name for one in fields(Fundamental) if one.init)


def _pair(value: Any) -> TradingPair:
    if isinstance(value, TradingPair):
        return value
    if not isinstance(value, str):
        raise ConfigError(f"pair must be a TradingPair or its code, not {value!r}")
    return pair_of(value, ("USD",), RuleBook())


def _increment(value: Any) -> Decimal | None:
    return None if value is None else setting_of(value, "increment")


def _rules(value: Any) -> TradingRules:
    if isinstance(value, TradingRules):
        return value
    if isinstance(value, Mapping):
        return TradingRules.from_mapping(value)
    raise ConfigError(f"rules must be TradingRules or a table of them, not {value!r}")


def _price(value: Any) -> Decimal:
    return setting_of(value, "reference_price")


def _share(value: Any) -> Decimal | None:
    return None if value is None else setting_of(value, "band")


def _halt(value: Any) -> int:
    return duration_ns(value, "halt")


def _bar(value: Any) -> int:
    return duration_ns(value, "bar")


def _hours(value: Any) -> Hours | None:
    return hours_of(value, "hours")


@frozen(kw_only=True)
class Instrument:
    """One pair of a market.

    Args:
        pair: a `TradingPair`, or its code (``"ABM/USD"``, with the finest increments).
        price_increment, volume_increment: the tick and the lot, for a pair that is given by its
            code.
        reference_price: at what it is marked before the first trade, and around what the band lies.
        rules: fees, leverage, margin: `TradingRules` or a table of them.
        kind: what orders meet in it: ``"trading"`` (long and short, on margin) or ``"spot"`` (what
            is sold must be owned). One book takes one kind: who is long needs somebody short.
        self_trade: whose order goes when one agent would trade with itself: ``"cancel_newest"``,
            ``"cancel_oldest"`` or ``"cancel_both"``.
        band: how far the price may go from the reference, as a share of it (``"0.1"``), before
            trading halts; None: as far as it likes.
        halt: for how long it then halts; what was collected meanwhile meets at one price.
        bar: the length of the bars that are made of its trades, for agents that want bars.
        hours: auctions, opening and close of each day (`Hours`, or a table); None: always open.
        fundamental: what it is worth: a `Fundamental`, or a table of its arguments, which then
            takes its seed and its start from the run, and its mean from the reference price.
    """

    pair: TradingPair = field(converter=_pair)
    reference_price: Decimal = field(converter=_price)
    price_increment: Decimal | None = field(default=None, converter=_increment)
    volume_increment: Decimal | None = field(default=None, converter=_increment)
    rules: TradingRules = field(factory=TradingRules, converter=_rules)
    kind: Kind = "trading"
    self_trade: SelfTrade = "cancel_newest"
    band: Decimal | None = field(default=None, converter=_share)
    halt: int = field(default=300, converter=_halt)
    bar: int = field(default=60, converter=_bar)
    hours: Hours | None = field(default=None, converter=_hours)
    fundamental: Fundamental | Mapping[str, Any] | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("price_increment", "volume_increment"):
            if getattr(self, name) is not None:
                object.__setattr__(self, "pair", evolve(self.pair, **{name: getattr(self, name)}))
        code, price = self.pair.code, self.reference_price
        if price <= ZERO:
            raise ConfigError(f"{code}: reference_price must be above zero, is {plain(price)}")
        if not is_multiple(price, self.pair.price_increment):
            raise ConfigError(
                f"{code}: reference_price {plain(price)} is no multiple of the price increment "
                f"{plain(self.pair.price_increment)}"
            )
        if self.kind not in KINDS_OF_ORDERS:
            raise ConfigError(f"{code}: kind must be trading or spot, not {self.kind!r}")
        spot = self.kind == "spot"
        allowed = self.rules.spot_allowed if spot else self.rules.trading_allowed
        if not allowed:
            raise ConfigError(f"{code}: kind is {self.kind}, and the rules do not allow that")
        if spot and self.pair.contract_size != ONE:
            raise ConfigError(
                f"{code}: kind is spot, and contract_size "
                f"{plain(self.pair.contract_size)}: spot orders "
                "exchange the base itself, so it must be 1"
            )
        rules = evolve(self.rules, spot_allowed=spot, trading_allowed=not spot)
        object.__setattr__(self, "rules", rules)
        if self.self_trade not in SELF_TRADE:
            raise ConfigError(
                f"{code}: self_trade must be one of {', '.join(SELF_TRADE)}, "
                f"not {self.self_trade!r}"
            )
        if self.band is not None and not ZERO < self.band < ONE:
            raise ConfigError(f"{code}: band must be a share between 0 and 1, is {self.band}")
        if self.halt <= 0:
            raise ConfigError(f"{code}: halt must be longer than nothing")
        if self.bar <= 0:
            raise ConfigError(f"{code}: bar must be longer than nothing")
        self.worth(0, 0)  # a table that describes none is refused here and now

    def spec(self, start: int) -> MarketSpec:
        """The same, as the exchange takes it that begins at ``start``, in nanoseconds."""
        hours = self.hours
        return MarketSpec(
            pair=self.pair,
            rules=self.rules,
            reference_price=self.reference_price,
            self_trade=self.self_trade,
            band=self.band,
            halt_ns=self.halt,
            bar_ns=self.bar,
            phase="continuous" if hours is None else hours.phase_at(start % DAY),
        )

    @property
    def code(self) -> str:
        """The code of the pair."""
        return self.pair.code

    def worth(self, seed: int, start: int) -> Fundamental | None:
        """Its fundamental value in a run of that seed that starts then; None where it has none."""
        given = self.fundamental
        if given is None or isinstance(given, Fundamental):
            return given
        if not isinstance(given, Mapping):
            raise ConfigError(f"{self.code}: fundamental must be a table, not {given!r}")
        known_keys(given, _OF_WORTH, f"{self.code}: fundamental")
        settings = {
            name: value if name in _WORTH or name in _PLAIN else _float(value)
            for name, value in given.items()
        }
        settings.setdefault("mean", self.reference_price)
        settings.setdefault("name", f"fundamental/{self.code}")
        return Fundamental(**{"seed": seed, "start": start, **settings})

    def text(self) -> dict[str, Any]:
        """How the exchange deals with it, as plain data."""
        given = self.fundamental
        return {
            "reference_price": str(self.reference_price),
            "kind": self.kind,
            "self_trade": self.self_trade,
            "band": None if self.band is None else str(self.band),
            "halt_ns": self.halt,
            "bar_ns": self.bar,
            "hours": None if self.hours is None else self.hours.text(),
            "fundamental": {name: str(one) for name, one in given.items()}
            if isinstance(given, Mapping)
            else None
            if given is None
            else repr(given),
        }


def _float(value: Any) -> Any:
    """A share or a rate, of which nothing is booked: a plain float is good enough."""
    return float(value) if isinstance(value, Decimal | int) else value
