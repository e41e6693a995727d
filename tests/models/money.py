"""Money in the models: rounding, purses, and fees that are summed up exactly and rounded once."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any, NamedTuple

__all__ = ["EXACT", "ZERO", "Fee", "Meter", "Purse", "down", "fee_of", "on_grid", "to_grid", "up"]

EXACT = Context(prec=80)
ZERO = Decimal(0)


def up(amount: Decimal | Fraction, places: int) -> Decimal:
    """``amount`` rounded towards more: what an account pays."""
    if isinstance(amount, Fraction):
        return Decimal(ceil(amount * 10**places)).scaleb(-places)
    return amount.quantize(Decimal(1).scaleb(-places), ROUND_CEILING, EXACT)


def down(amount: Decimal | Fraction, places: int) -> Decimal:
    """``amount`` rounded towards less: what an account gets."""
    if isinstance(amount, Fraction):
        return Decimal(floor(amount * 10**places)).scaleb(-places)
    return amount.quantize(Decimal(1).scaleb(-places), ROUND_FLOOR, EXACT)


def to_grid(value: Decimal | Fraction, step: Decimal, higher: bool) -> Decimal:
    """The nearest multiple of ``step`` that is not below (``higher``), or not above ``value``."""
    if isinstance(value, Fraction):
        return (ceil if higher else floor)(value / Fraction(step)) * step
    whole = value // step * step
    return whole + step if higher and whole != value else whole


def on_grid(value: Decimal, step: Decimal) -> bool:
    """Whether ``value`` is a multiple of ``step``."""
    return value % step == 0


class Purse:
    """What one account has of each asset: available, and set apart."""

    def __init__(self, cash: dict[str, str]) -> None:
        self.free = {asset: Decimal(amount) for asset, amount in cash.items()}
        self.held = dict.fromkeys(cash, ZERO)
        self.insured = ZERO
        """What the insurance has paid for it, in quote."""

    def hold(self, asset: str, amount: Decimal) -> None:
        """Set ``amount`` apart (negative: give it back)."""
        self.free[asset] = self.free.get(asset, ZERO) - amount
        self.held[asset] = self.held.get(asset, ZERO) + amount

    def get(self, asset: str, amount: Decimal) -> None:
        """Take in ``amount`` (negative: pay it)."""
        self.free[asset] = self.free.get(asset, ZERO) + amount


class Fee(NamedTuple):
    """What a stage costs: an amount an order or a unit of volume, or a share of the notional."""

    kind: str
    rate: Decimal
    maker: Decimal
    least: Decimal | None = None
    most: Decimal | None = None


def fee_of(rules: Any, stage: str) -> Fee | None:
    """The fee of a stage in rules as plain data."""
    table = rules.get("fees", {}).get(stage)
    if table is None:
        return None
    table = dict(table)
    least, most = (table.pop(name, None) for name in ("minimum", "maximum"))
    maker = table.pop("maker", None)
    ((kind, rate),) = table.items()
    return Fee(
        kind,
        Decimal(rate),
        Decimal(rate if maker is None else maker),
        None if least is None else Decimal(least),
        None if most is None else Decimal(most),
    )


class Meter:
    """The fee of one order over all its fills: summed up exactly, clamped, rounded up once."""

    def __init__(self, fee: Fee | None, places: int) -> None:
        self.fee = fee
        self.places = places
        self.exact = ZERO
        self.charged = ZERO
        self.used = False

    def _with(self, volume: Decimal, notional: Decimal, maker: bool) -> Decimal:
        fee = self.fee
        assert fee is not None
        rate = fee.maker if maker else fee.rate
        if fee.kind == "flat_per_trade":
            return fee.rate
        if fee.kind == "flat_per_volume":
            return self.exact + rate * volume
        return self.exact + rate * notional

    def owed(self, volume: Decimal, notional: Decimal, maker: bool) -> Decimal:
        """What is due when so much more has filled, beyond what was charged."""
        if self.fee is None or (not volume and not self.used):
            return ZERO
        total = self._with(volume, notional, maker)
        if self.fee.least is not None:
            total = max(total, self.fee.least)
        if self.fee.most is not None:
            total = min(total, self.fee.most)
        return up(total, self.places) - self.charged

    def charge(self, volume: Decimal, notional: Decimal, maker: bool) -> Decimal:
        """So much more has filled: what is due, taken as charged."""
        owed = self.owed(volume, notional, maker)
        if self.fee is not None:
            self.exact, self.used = self._with(volume, notional, maker), True
        self.charged += owed
        return owed
