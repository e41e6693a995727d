"""Trading rules: what a venue charges, allows and assumes for a pair."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, TypeVar

from attrs import field, fields, frozen

from backtest.errors import ConfigError, FieldError, FieldTypeError
from backtest.models._frozen_map import FrozenMap
from backtest.models._show import called
from backtest.models._validate import (
    NON_NEGATIVE,
    NON_NEGATIVE_IF_SET,
    POSITIVE_IF_SET,
    check_count,
    check_member,
    check_numbers,
)
from backtest.models.fee import Fee, FeeKind, FeeStage
from backtest.models.fills import Fills
from backtest.models.funding import Funding, funding_of
from backtest.models.lifecycle import OrderDirection
from backtest.models.tiers import Tiers, tiers_of
from backtest.money import ONE, ZERO, setting_of
from backtest.spelling import suggestion
from backtest.times import DAY, age_ns

__all__ = ["LeverageKind", "TradingRules"]


class LeverageKind(Enum):
    """How the margin of a trading order follows from its volume."""

    NONE = "NONE"
    """No leverage: the margin is the notional."""
    FLAT_MARGIN_PER_VOLUME = "FLAT_MARGIN_PER_VOLUME"
    MULTIPLIER = "MULTIPLIER"


E = TypeVar("E", bound=Enum)

PATHS = ("pessimistic", "open_high_low_close", "open_low_high_close", "adaptive", "queue_order")
FILL_ON = ("next_open", "this_close", "next_close")
QUEUES = ("touch", "conservative")
QUOTES = ("standing", "next")
_CHOICES = (
    ("path", PATHS),
    ("fill_on", FILL_ON),
    ("queue", QUEUES),
    ("quotes", QUOTES),
    ("limit_gap", ("open", "limit")),
    ("stop_gap", ("open", "stop", "order_stop")),
    ("passed_entry", ("cancel", "fill")),
    ("exits_from", ("fill", "next_bar", "clear")),
)

# What the plain fields call that which a policy of a kind decides.
_PLAIN_OF = {
    "eligibility": ("fill_on",),
    "path": ("path",),
    "limits": ("penetration_ticks", "limit_gap"),
    "volume": ("participation",),
    "slippage": ("slippage", "slippage_rate"),
    "exits": ("exits_from",),
    "stops": ("stop_gap",),
}

_NUMBERS = (
    ("max_leverage", POSITIVE_IF_SET),
    ("margin_per_volume", POSITIVE_IF_SET),
    ("maintenance_rate", NON_NEGATIVE),
    ("min_volume", POSITIVE_IF_SET),
    ("min_notional", NON_NEGATIVE_IF_SET),
    ("min_margin", NON_NEGATIVE_IF_SET),
    ("market_buffer", NON_NEGATIVE),
    ("participation", POSITIVE_IF_SET),
    ("slippage", NON_NEGATIVE),
    ("slippage_rate", NON_NEGATIVE),
)
_FLAGS = ("slippage_beyond_bar", "spot_allowed", "trading_allowed")
_EXECUTIONS = (FeeStage.FILL, FeeStage.CLOSE)
_OVERNIGHT = (FeeStage.OVERNIGHT_PENDING, FeeStage.OVERNIGHT_FILLED)


def _freeze_fees(
    value: Mapping[FeeStage, Iterable[Fee]],
) -> FrozenMap[FeeStage, tuple[Fee, ...]]:
    return FrozenMap({stage: tuple(charged) for stage, charged in value.items()})


def _read_age(value: Any) -> int | None:
    return None if value is None or value == "none" else age_ns(value, "quote_max_age")


def _freeze_directions(value: Iterable[OrderDirection]) -> frozenset[OrderDirection]:
    return frozenset(value)


@frozen(slots=False)
class TradingRules:
    """What a venue charges, allows and assumes for one pair. Frozen; without arguments: no rules.

    ``participation`` (a share of a bar's volume, ``None``: no limit), ``market_buffer``,
    ``maintenance_rate`` and ``slippage_rate`` are fractions; ``slippage`` is in units of price;
    ``penetration_ticks`` is how many price increments the market must pass a limit (0: touch);
    ``rollover_ns`` is the UTC time of day of overnight charges. ``min_volume`` and
    ``min_notional``, where given, go before the pair's. ``maintenance_tiers``, rows of ``(notional
    up to, rate, max_leverage)`` (see `Tiers`), take the place of the flat ``maintenance_rate``.
    ``funding`` is when longs pay shorts, and how much (see `Funding`).
    ``commission`` is the shorthand for the fees of every execution, opening and closing: a share of
    the notional (``Decimal("0.001")``), ``{"maker": …, "taker": …}``, a fee as ``fees`` has it, or
    several. It becomes ``fees`` at fill and at close, which cannot be given beside it.
    ``passed_entry`` says whether an entry that would fill at or beyond its own stop-loss or
    take-profit is cancelled or fills all the same. ``fills`` takes the fill policies as
    objects, your own among them (`Fills`); the built-in ones become the plain fields that say
    the same, and are not kept there.
    ``queue`` is for quotes and trades: ``"touch"``, a resting limit fills when the market reaches
    it, or ``"conservative"``, when what stood ahead of it at its price has traded as well.
    ``quotes`` says what new market and marketable orders meet where a market is quoted: the quote
    that stands (``"standing"``), at once, or the ``"next"`` one. ``quote_max_age`` is how long a
    quote stands at most (``"5s"``, a `timedelta`, or nanoseconds; ``None``: until something ends
    it).
    ``max_open_orders`` is how many orders an account may have pending of the pair, and how many to
    close its positions there (``None``: no bound).
    ``calendar`` says what a day is, to ``DAY`` orders and overnight charges: ``"always_open"``
    (days of UTC), the name of an exchange (``"XNYS"``), or a `Calendar` of your own.

    >>> rules = TradingRules(commission="0.001")
    >>> rules.fees_at(FeeStage.CLOSE)[0].rate
    Decimal('0.001')
    """

    fees: FrozenMap[FeeStage, tuple[Fee, ...]] = field(factory=dict, converter=_freeze_fees)
    leverage_kind: LeverageKind = LeverageKind.MULTIPLIER
    max_leverage: Decimal | None = None
    margin_per_volume: Decimal | None = None
    maintenance_rate: Decimal = ZERO
    allowed_directions: frozenset[OrderDirection] = field(
        default=frozenset(OrderDirection), converter=_freeze_directions
    )
    min_volume: Decimal | None = None
    min_notional: Decimal | None = None
    min_margin: Decimal | None = None
    market_buffer: Decimal = Decimal("0.05")
    participation: Decimal | None = ONE
    slippage: Decimal = ZERO
    slippage_rate: Decimal = ZERO
    slippage_beyond_bar: bool = False
    penetration_ticks: int = 0
    path: str = "pessimistic"
    fill_on: str = "next_open"
    rollover_ns: int = 0
    spot_allowed: bool = True
    trading_allowed: bool = True
    maintenance_tiers: Tiers | None = field(default=None, converter=tiers_of)
    funding: Funding | None = field(default=None, converter=funding_of)
    limit_gap: str = "open"
    exits_from: str = "fill"
    stop_gap: str = "open"
    passed_entry: str = "cancel"
    fills: Fills | None = None
    queue: str = "touch"
    calendar: Any = "always_open"
    quotes: str = "standing"
    quote_max_age: int | None = field(default=None, converter=_read_age)
    commission: Any = None
    max_open_orders: int | None = 10_000

    def __attrs_post_init__(self) -> None:
        values = self.__dict__
        if self.commission is not None:
            self._take_commission()
        if self.fills is not None:
            self._take_policies(self.fills)
        for stage, charged in self.fees.items():
            check_member(stage, "fees", FeeStage)
            for fee in charged:
                _check_fee(stage, fee)
        check_member(self.leverage_kind, "leverage_kind", LeverageKind)
        for direction in self.allowed_directions:
            check_member(direction, "allowed_directions", OrderDirection)
        check_numbers(values, _NUMBERS)
        for name in _FLAGS:
            if not isinstance(values[name], bool):
                raise FieldTypeError(name, f"must be True or False, not {values[name]!r}")
        check_count(self.penetration_ticks, "penetration_ticks")
        check_count(self.rollover_ns, "rollover_ns")
        if self.max_open_orders is not None:
            check_count(self.max_open_orders, "max_open_orders", least=1)
        if not isinstance(self.calendar, str) and not hasattr(self.calendar, "day_end"):
            raise FieldTypeError(
                "calendar", f"must be a Calendar or its name, not {self.calendar!r}"
            )
        self._check_limits()

    def _take_commission(self) -> None:
        """Turn the commission into the fees that it stands for."""
        given = [stage.value.lower() for stage in _EXECUTIONS if stage in self.fees]
        if given:
            raise FieldError(
                "commission",
                f"is for every execution, and fees.{given[0]} says otherwise: give one of them",
            )
        charged = _read_commission(self.commission, "commission")
        self.__dict__["fees"] = _freeze_fees({**self.fees, **dict.fromkeys(_EXECUTIONS, charged)})
        self.__dict__["commission"] = None

    def _take_policies(self, given: Fills) -> None:
        """Turn the policies that are plain names into those; keep the others in ``fills``."""
        if not isinstance(given, Fills):
            raise FieldTypeError("fills", f"must be Fills(...), not {given!r}")
        values = self.__dict__
        special = given.special()
        told = given.plain()
        decided = dict(told)
        for kind in {} if special is None else special.text():
            decided.update(dict.fromkeys(_PLAIN_OF[kind]))
        for name, value in decided.items():
            if values[name] not in (getattr(fields(TradingRules), name).default, value):
                raise FieldError(
                    name, f"is {values[name]!r} and a policy in fills says otherwise: give one"
                )
        values.update(told)
        values["fills"] = special

    def _check_limits(self) -> None:
        if self.rollover_ns >= DAY:
            raise FieldError(
                "rollover_ns", f"must be a time of day, below {DAY}, is {self.rollover_ns}"
            )
        if self.maintenance_rate >= ONE:
            raise FieldError("maintenance_rate", f"must be below 1, is {self.maintenance_rate}")
        if self.maintenance_tiers is not None and self.maintenance_rate:
            raise FieldError("maintenance_tiers", "cannot stand beside maintenance_rate: give one")
        if self.max_leverage is not None and self.max_leverage < ONE:
            raise FieldError("max_leverage", f"must be at least 1, is {self.max_leverage}")
        if self.leverage_kind is LeverageKind.FLAT_MARGIN_PER_VOLUME and not self.margin_per_volume:
            raise FieldError("margin_per_volume", "must be set for FLAT_MARGIN_PER_VOLUME")
        for name, choices in _CHOICES:
            value = getattr(self, name)
            if value not in choices:
                raise FieldError(name, f"must be one of {', '.join(choices)}, not {value!r}")

    def __repr__(self) -> str:
        return called(self)

    @property
    def maintenance(self) -> Decimal | Tiers:
        """What must be maintained: a flat share of the notional, or brackets."""
        tiers = self.maintenance_tiers
        return self.maintenance_rate if tiers is None else tiers

    def fees_at(self, stage: FeeStage) -> tuple[Fee, ...]:
        """The fees charged at ``stage``, in the order given; empty when there are none."""
        fees: tuple[Fee, ...] = self.fees.get(stage, ())
        return fees

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> TradingRules:
        """Rules from plain data, as a TOML file gives it: the fields by name, all of them optional.

        Numbers are text, integers or `Decimal` (read TOML with ``parse_float=Decimal``); ``fees``
        maps a stage to a table or a list of tables such as
        ``{percent_of_notional = "0.001", maker = "0.0005", minimum = "1", maximum = "20"}`` (of
        which only the first is needed). Raises `ConfigError` for a name that
        is not known, `FieldError` or `FieldTypeError` for a value that cannot be.
        """
        known = [one.name for one in fields(cls)]
        settings: dict[str, Any] = {}
        for name, value in mapping.items():
            if name not in known:
                meant = suggestion(name, known)
                told = f"did you mean {meant!r}?" if meant else f"known: {', '.join(known)}"
                raise ConfigError(f"no trading rule is called {name!r}; {told}")
            settings[name] = _READERS[name](value, name) if name in _READERS else value
        return cls(**settings)


def _check_fee(stage: FeeStage, fee: Fee) -> None:
    if not isinstance(fee, Fee):
        raise FieldTypeError("fees", f"must hold Fee values, not {fee!r}")
    where = f"(stage {stage.value})"
    if fee.rate < ZERO and stage not in _OVERNIGHT:
        raise FieldError("fees", f"cannot be negative but for maker_rate and overnight {where}")
    if fee.maker_rate is not None and stage is not FeeStage.FILL and stage is not FeeStage.CLOSE:
        raise FieldError("fees", f"can know makers only at fill and close {where}")


def _read_number(value: Any, name: str) -> Decimal | None:
    return None if value is None or value == "none" else setting_of(value, name)


def _read_bound(value: Any, name: str) -> Any:
    return None if value == "none" else value


def _read_leverage(value: Any, name: str) -> LeverageKind:
    return _member(LeverageKind, value, name)


def _read_directions(value: Any, name: str) -> frozenset[OrderDirection]:
    listed = [value] if isinstance(value, str | OrderDirection) else value
    return frozenset(_member(OrderDirection, one, name) for one in listed)


def _read_fills(value: Any, name: str) -> Fills | None:
    if value is None or isinstance(value, Fills):
        return value
    if not isinstance(value, Mapping):
        raise FieldTypeError(name, f"must be Fills(...) or a table, not {value!r}")
    return Fills.from_mapping(value)


def _read_fees(value: Any, name: str) -> dict[FeeStage, tuple[Fee, ...]]:
    if not isinstance(value, Mapping):
        raise FieldTypeError(name, f"must map a stage to its fees, not {type(value).__name__}")
    read: dict[FeeStage, tuple[Fee, ...]] = {}
    for stage, charged in value.items():
        tables = [charged] if isinstance(charged, Mapping | Fee) else charged
        if isinstance(tables, str) or not isinstance(tables, Iterable):
            raise FieldTypeError(
                f"{name}.{stage}", f"must be a table or a list of them, not {tables!r}"
            )
        known = _member(FeeStage, stage, name)
        read[known] = tuple(fee for table in tables for fee in _read_fee(table, f"{name}.{stage}"))
    return read


def _read_commission(value: Any, name: str) -> tuple[Fee, ...]:
    """A share of the notional, ``{"maker": …, "taker": …}``, or what a stage of ``fees`` takes."""
    if isinstance(value, Mapping) and "taker" in value:
        rates = dict(value)
        value = {FeeKind.PERCENT_OF_NOTIONAL.value.lower(): rates.pop("taker"), **rates}
    elif not isinstance(value, Mapping | Fee) and (
        isinstance(value, str) or not isinstance(value, Iterable)
    ):
        value = Fee(FeeKind.PERCENT_OF_NOTIONAL, setting_of(value, name))
    tables = [value] if isinstance(value, Mapping | Fee) else value
    return tuple(fee for table in tables for fee in _read_fee(table, name))


def _read_fee(table: Any, name: str) -> Iterable[Fee]:
    if isinstance(table, Fee):
        return (table,)
    if not isinstance(table, Mapping):
        raise FieldTypeError(
            name, f'must be a table such as {{percent_of_notional = "0.001"}}, not {table!r}'
        )
    rates = dict(table)
    given = ((word, key, rates.pop(word, None)) for word, key in _FEE_TERMS)
    terms = {
        key: setting_of(value, f"{name}.{word}") for word, key, value in given if value is not None
    }
    if terms and len(rates) != 1:
        words = ", ".join(word for word, key in _FEE_TERMS if key in terms)
        raise FieldError(
            name, f"must name one kind of fee beside {words}; use a list of tables for more"
        )
    return [
        Fee(_member(FeeKind, kind, name), setting_of(rate, f"{name}.{kind}"), **terms)
        for kind, rate in rates.items()
    ]


_FEE_TERMS = (("maker", "maker_rate"), ("minimum", "minimum"), ("maximum", "maximum"))
"""What a table says of a fee beside its kind and rate."""


def _member(kind: type[E], value: object, name: str) -> E:
    """The member of ``kind`` that ``value`` is or names, in upper or lower case."""
    if isinstance(value, kind):
        return value
    members = kind.__members__
    if str(value).upper() not in members:
        raise FieldError(name, f"must be one of {', '.join(members).lower()}, not {value!r}")
    return members[str(value).upper()]


_READERS: dict[str, Any] = {
    **{name: _read_number for name, _ in _NUMBERS},
    "fees": _read_fees,
    "fills": _read_fills,
    "leverage_kind": _read_leverage,
    "max_open_orders": _read_bound,
    "allowed_directions": _read_directions,
}
