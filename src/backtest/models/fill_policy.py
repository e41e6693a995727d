"""Fill policies: named, replaceable answers to what a bar leaves open.

Here are those about time and volume; `price_policy` and `exit_policy` have the others.

Each kind of policy is a `Protocol` of one method, so an object of your own will do; give it to
``TradingRules(fills=Fills(...))``. A policy is *pure*: its answer depends on its arguments and on
what it was made with, never on what it was asked before, or runs would not repeat. The built-in
ones are frozen values; most are what a plain name or number of `TradingRules` means, and are
turned into that (``Fills(path=Adaptive())`` and ``path="adaptive"`` give equal rules).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

from attrs import field, frozen

from backtest.errors import FieldError, FieldTypeError
from backtest.models.bar import Bar
from backtest.money import ONE, ZERO, mul, setting_of, sub, to_step

__all__ = [
    "Adaptive",
    "Eligibility",
    "InQueueOrder",
    "NextClose",
    "NextOpen",
    "OpenHighLowClose",
    "OpenLowHighClose",
    "Participation",
    "PathPolicy",
    "Pessimistic",
    "ThisClose",
    "Unlimited",
    "VolumePolicy",
    "policy_text",
]


# -- when an order may begin to fill ---------------------------------------------------------------


@runtime_checkable
class Eligibility(Protocol):
    """From which price of a bar on an order takes part."""

    def start(self, kind: str, accepted_ns: int, bar: Bar) -> int:
        """0: from the open; 3: at the close only; 4: not on this bar.

        ``kind`` is the order's (``"market"``, ``"limit"``, ``"stop"`` …), ``accepted_ns`` when the
        venue accepted it. An answer that would let it fill at a price before its acceptance is
        replaced by the first one that does not: look-ahead cannot be asked for.
        """


@frozen
class NextOpen:
    """A market order fills at the first open after its acceptance."""

    def start(self, kind: str, accepted_ns: int, bar: Bar) -> int:
        return 0

    def plain(self) -> dict[str, Any]:
        return {"fill_on": "next_open"}


@frozen
class ThisClose:
    """A market order fills at the close at which it was decided."""

    def start(self, kind: str, accepted_ns: int, bar: Bar) -> int:
        return 0

    def plain(self) -> dict[str, Any]:
        return {"fill_on": "this_close"}


@frozen
class NextClose:
    """A market order fills at the first close after its acceptance."""

    def start(self, kind: str, accepted_ns: int, bar: Bar) -> int:
        return 3 if kind == "market" else 0

    def plain(self) -> dict[str, Any]:
        return {"fill_on": "next_close"}


# -- in which order a bar's prices came ------------------------------------------------------------


@runtime_checkable
class PathPolicy(Protocol):
    """Which of a bar's extremes came first."""

    def high_first(self, bar: Bar) -> bool | None:
        """True: the high; False: the low; None: for each order by itself, whichever is worse."""


@frozen
class Pessimistic:
    """For each order or position by itself, the order of the extremes that leaves it worth less."""

    def high_first(self, bar: Bar) -> bool | None:
        return None

    def plain(self) -> dict[str, Any]:
        return {"path": "pessimistic"}


@frozen
class OpenHighLowClose:
    """The high first."""

    def high_first(self, bar: Bar) -> bool | None:
        return True

    def plain(self) -> dict[str, Any]:
        return {"path": "open_high_low_close"}


@frozen
class OpenLowHighClose:
    """The low first."""

    def high_first(self, bar: Bar) -> bool | None:
        return False

    def plain(self) -> dict[str, Any]:
        return {"path": "open_low_high_close"}


@frozen
class Adaptive:
    """The extreme that is nearer to the open first; the low where both are equally near."""

    def high_first(self, bar: Bar) -> bool | None:
        return sub(bar.high, bar.open) < sub(bar.open, bar.low)

    def plain(self) -> dict[str, Any]:
        return {"path": "adaptive"}


@frozen
class InQueueOrder:
    """No path: each order looks at the whole bar, one after the other, in order of acceptance.

    So do backtrader and backtesting.py. Of a position's exits the stop-loss comes first.
    """

    def high_first(self, bar: Bar) -> bool | None:
        return True

    def plain(self) -> dict[str, Any]:
        return {"path": "queue_order"}


# -- how much of a bar's volume there is for us ----------------------------------------------------


@runtime_checkable
class VolumePolicy(Protocol):
    """What buyers together, and again sellers together, can have of a bar.

    It is shared in the order of the queue: rank by rank along the path, market orders before
    limits, limits by better price, then by acceptance.
    """

    def pool(self, bar: Bar, volume_increment: Decimal) -> Decimal | None:
        """The volume for one side; None: no cap. What is off the increment cannot be filled."""


def _share(value: Any) -> Decimal:
    share = setting_of(value, "share")
    if share <= ZERO:
        raise FieldError("share", f"must be positive, is {share}")
    return share


@frozen
class Participation:
    """A share of the bar's volume (0.1 is a tenth), rounded down to the increment."""

    share: Decimal = field(default=ONE, converter=_share)

    def pool(self, bar: Bar, volume_increment: Decimal) -> Decimal | None:
        if bar.volume is None:
            return None
        return to_step(mul(bar.volume, self.share), volume_increment)

    def plain(self) -> dict[str, Any]:
        return {"participation": self.share}


@frozen
class Unlimited:
    """No cap, whatever the bar's volume."""

    def pool(self, bar: Bar, volume_increment: Decimal) -> Decimal | None:
        return None

    def plain(self) -> dict[str, Any]:
        return {"participation": None}


# -- names -----------------------------------------------------------------------------------------


def policy_text(policy: object) -> str:
    """A policy as text for receipts, hashes and reports: ``VolumeShare(limit=0.025, impact=0.1)``.

    An attrs class or dataclass is named with its fields, a class with a ``__repr__`` of its own by
    that, any other by module and name. Raises `FieldTypeError` for a text that holds an address,
    which would be another one in each run.
    """
    cls = type(policy)
    fields: Any = getattr(cls, "__attrs_attrs__", None)
    names = list(getattr(cls, "__dataclass_fields__", ()))
    if fields is not None:
        names = [one.name for one in fields]
    if fields is not None or names:
        told = ", ".join(f"{name}={getattr(policy, name)}" for name in names)
        text = f"{cls.__name__}({told})"
    elif cls.__repr__ is not object.__repr__:
        text = repr(policy)
    else:
        text = f"{cls.__module__}.{cls.__qualname__}"
    if " at 0x" in text:
        raise FieldTypeError(
            "fills", f"cannot name {cls.__name__} in a receipt: give it a __repr__ without address"
        )
    return text
