"""How an order is to be handled: how long it lives, and what it must not do."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import Enum

from attrs import frozen

from backtest.errors import FieldError, FieldTypeError
from backtest.models._show import called
from backtest.models._validate import POSITIVE_IF_SET, check_member, check_numbers, check_times

__all__ = ["PLAIN", "Instructions", "TimeInForce", "check_instructions"]


class TimeInForce(Enum):
    """How long an order lives."""

    GTC = "GTC"
    """Good till cancelled."""
    GTD = "GTD"
    """Good till a moment: `Instructions.expires_at`."""
    DAY = "DAY"
    """Good till the end of the session (of the UTC day, where a pair has no calendar)."""
    IOC = "IOC"
    """Immediate or cancel: what does not fill at its first opportunity is cancelled."""
    FOK = "FOK"
    """Fill or kill: all of it at its first opportunity, or nothing."""


_NUMBERS = (("trail", POSITIVE_IF_SET), ("trail_percent", POSITIVE_IF_SET))


@frozen(slots=False)
class Instructions:
    """What an order's owner asks for beside price and volume. Frozen.

    ``expires_at`` is set with ``GTD`` and with nothing else. ``post_only``: it must not take
    liquidity. ``reduce_only``: it closes what is open on the other side and opens nothing.
    ``trail`` (a distance in price) or ``trail_percent`` (2 means 2 %) make it a trailing stop.
    ``oco`` is a label: orders of one strategy on one account that share it are one-cancels-other.

    Raises `FieldError` or `FieldTypeError`; the message begins with the field.
    """

    time_in_force: TimeInForce = TimeInForce.GTC
    expires_at: datetime | None = None
    post_only: bool = False
    reduce_only: bool = False
    trail: Decimal | None = None
    trail_percent: Decimal | None = None
    oco: str | None = None

    def __attrs_post_init__(self) -> None:
        values = self.__dict__
        check_member(self.time_in_force, "time_in_force", TimeInForce)
        check_times(values, (), optional=("expires_at",))
        check_numbers(values, _NUMBERS)
        for name in ("post_only", "reduce_only"):
            if not isinstance(values[name], bool):
                raise FieldTypeError(name, f"must be True or False, not {values[name]!r}")
        if (self.time_in_force is TimeInForce.GTD) is (self.expires_at is None):
            raise FieldError("expires_at", "goes with GTD, and GTD with it")
        if self.trail is not None and self.trail_percent is not None:
            raise FieldError("trail_percent", "cannot be combined with trail")
        if self.trail_percent is not None and self.trail_percent >= 100:
            raise FieldError("trail_percent", f"must be below 100 (%), but is {self.trail_percent}")
        label: object = self.oco
        if label is not None and not (isinstance(label, str) and label.strip()):
            raise FieldTypeError("oco", f"must be a label (str), not {label!r}")

    def __repr__(self) -> str:
        return called(self)

    @property
    def is_trailing(self) -> bool:
        """Whether they make a trailing stop."""
        return self.trail is not None or self.trail_percent is not None


PLAIN = Instructions()
"""Good till cancelled, and nothing else: what an order has that asks for nothing."""


def check_instructions(value: object) -> None:
    """Refuse what is no `Instructions`."""
    if not isinstance(value, Instructions):
        raise FieldTypeError("instructions", f"must be Instructions(...), not {value!r}")
