"""The fill policies of a venue, bundled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

from attrs import fields, frozen

from backtest.errors import ConfigError, FieldError, FieldTypeError
from backtest.models.exit_policy import (
    ExitPolicy,
    ExitsFromFill,
    ExitsFromNextBar,
    ExitsUnlessUnclear,
)
from backtest.models.fill_policy import (
    Adaptive,
    Eligibility,
    InQueueOrder,
    NextClose,
    NextOpen,
    OpenHighLowClose,
    OpenLowHighClose,
    Participation,
    PathPolicy,
    Pessimistic,
    ThisClose,
    Unlimited,
    VolumePolicy,
    policy_text,
)
from backtest.models.price_policy import (
    GapAtMarket,
    GapAtStop,
    LimitPolicy,
    Penetrate,
    StopPolicy,
    Touch,
)
from backtest.models.slippage import (
    FixedSlippage,
    NoSlippage,
    PercentSlippage,
    SlippagePolicy,
    VolumeShareSlippage,
)

__all__ = ["Fills"]


@frozen
class Fills:
    """How orders fill: a policy for each question, None where the plain fields of `TradingRules`
    answer it.

    ``eligibility``  `NextOpen`, `ThisClose`, `NextClose`          (``fill_on``)
    ``path``         `Pessimistic`, `OpenHighLowClose`, `OpenLowHighClose`, `Adaptive`,
                     `InQueueOrder`                                (``path``)
    ``limits``       `Touch`, `Penetrate`                          (``penetration_ticks``,
                     ``limit_gap``)
    ``stops``        `GapAtMarket`, `GapAtStop`                    (``stop_gap``)
    ``volume``       `Participation`, `Unlimited`                  (``participation``)
    ``slippage``     `NoSlippage`, `FixedSlippage`, `PercentSlippage` (``slippage``,
                     ``slippage_rate``), `VolumeShareSlippage`
    ``exits``        `ExitsFromFill`, `ExitsFromNextBar`, `ExitsUnlessUnclear` (``exits_from``)

    Objects of your own are taken for any of them. Raises `FieldTypeError` for what is none.

    >>> from backtest.models import TradingRules
    >>> TradingRules(fills=Fills(path=Adaptive())) == TradingRules(path="adaptive")
    True
    """

    eligibility: Eligibility | None = None
    path: PathPolicy | None = None
    limits: LimitPolicy | None = None
    volume: VolumePolicy | None = None
    slippage: SlippagePolicy | None = None
    exits: ExitPolicy | None = None
    stops: StopPolicy | None = None

    def __attrs_post_init__(self) -> None:
        for name, (protocol, method) in _KINDS.items():
            policy = getattr(self, name)
            if policy is None:
                continue
            if isinstance(policy, type):
                raise FieldTypeError(
                    f"fills.{name}", f"must be an object, not a class: {policy.__name__}(...)"
                )
            if not callable(getattr(policy, method, None)):
                raise FieldTypeError(
                    f"fills.{name}",
                    f"must be {protocol}, an object with a method {method}, not {policy!r}",
                )
            policy_text(policy)

    def plain(self) -> dict[str, Any]:
        """The fields of `TradingRules` that say the same as its built-in policies."""
        found: dict[str, Any] = {}
        for name in _KINDS:
            policy: Any = getattr(self, name)
            if type(policy) in _PLAIN:
                found.update(policy.plain())
        return found

    def special(self) -> Fills | None:
        """The policies that no plain field can say; None when there are none."""
        left = {
            name: policy
            for name in _KINDS
            if (policy := getattr(self, name)) is not None and type(policy) not in _PLAIN
        }
        return Fills(**left) if left else None

    def text(self) -> dict[str, str]:
        """The policies by kind, as text."""
        return {
            name: policy_text(getattr(self, name))
            for name in _KINDS
            if getattr(self, name) is not None
        }

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Fills:
        """Policies from plain data, as a TOML file gives it: a name, or a table of one name.

        ``{"path": "adaptive", "slippage": {"volume_share": {"limit": "0.1", "impact": "0.2"}}}``.
        Objects are taken as they are. Raises `ConfigError` for a name that is not known.
        """
        known = [one.name for one in fields(cls)]
        made: dict[str, Any] = {}
        for kind, value in mapping.items():
            if kind not in known:
                raise ConfigError(f"no fill policy is called {kind!r}; known: {', '.join(known)}")
            made[kind] = _read(kind, value)
        return cls(**made)


_KINDS = {
    "eligibility": ("an Eligibility", "start"),
    "path": ("a PathPolicy", "high_first"),
    "limits": ("a LimitPolicy", "beyond"),
    "volume": ("a VolumePolicy", "pool"),
    "slippage": ("a SlippagePolicy", "slip"),
    "exits": ("an ExitPolicy", "same_bar"),
    "stops": ("a StopPolicy", "gap"),
}

# A policy's name, and the field that a bare value fills: {"percent": "0.001"}.
_NAMES: dict[str, dict[str, tuple[Callable[..., Any], str | None]]] = {
    "eligibility": {
        "next_open": (NextOpen, None),
        "this_close": (ThisClose, None),
        "next_close": (NextClose, None),
    },
    "path": {
        "pessimistic": (Pessimistic, None),
        "open_high_low_close": (OpenHighLowClose, None),
        "open_low_high_close": (OpenLowHighClose, None),
        "adaptive": (Adaptive, None),
        "queue_order": (InQueueOrder, None),
    },
    "limits": {"touch": (Touch, "gap"), "penetrate": (Penetrate, "ticks")},
    "volume": {"participation": (Participation, "share"), "unlimited": (Unlimited, None)},
    "slippage": {
        "none": (NoSlippage, None),
        "fixed": (FixedSlippage, "amount"),
        "percent": (PercentSlippage, "rate"),
        "volume_share": (VolumeShareSlippage, None),
    },
    "exits": {
        "fill": (ExitsFromFill, None),
        "next_bar": (ExitsFromNextBar, None),
        "clear": (ExitsUnlessUnclear, None),
    },
    "stops": {"gap_at_market": (GapAtMarket, None), "gap_at_stop": (GapAtStop, "exits")},
}

_NEEDED = Parameter.empty

# The exact types: a subclass of one of them may answer otherwise.
_PLAIN = frozenset(
    make for named in _NAMES.values() for make, _ in named.values() if hasattr(make, "plain")
)


def _read(kind: str, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, str):
        name, settings = value, None
    elif isinstance(value, Mapping):
        if len(value) != 1:
            raise ConfigError(f"fills.{kind} must name one policy, not {len(value)}")
        ((name, settings),) = value.items()
    else:
        return value
    known = _NAMES[kind]
    if name not in known:
        raise ConfigError(
            f"fills.{kind} has no policy called {name!r}; known: {', '.join(known)}, "
            "or an object of your own"
        )
    make, bare = known[name]
    if settings is None:
        settings = {}
    elif not isinstance(settings, Mapping):
        if bare is None:
            raise ConfigError(f"fills.{kind}.{name} takes a table, not {settings!r}")
        settings = {bare: settings}
    return _with_settings(make, settings, f"fills.{kind}.{name}")


def _with_settings(make: Any, settings: Mapping[str, Any], where: str) -> Any:
    """What ``make`` makes of ``settings``, each of which it must know."""
    wanted = signature(make).parameters
    names = list(wanted)
    missing = [one for one in names if one not in settings and wanted[one].default is _NEEDED]
    if missing:
        raise ConfigError(f"{where} lacks the setting {missing[0]!r}")
    unknown = [one for one in settings if one not in names]
    if unknown:
        takes = f"known: {', '.join(names)}" if names else "it takes none"
        raise ConfigError(f"{where} has no setting {unknown[0]!r}; {takes}")
    try:
        return make(**settings)
    except TypeError as error:
        if isinstance(error, FieldTypeError | FieldError):
            raise
        raise ConfigError(f"{where}: {error}") from None
