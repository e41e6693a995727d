"""Maintenance tiers: the larger the position, the larger the share of it that must be there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import frozen

from backtest.errors import FieldError, FieldTypeError
from backtest.models._validate import NON_NEGATIVE, POSITIVE_IF_SET, check_numbers
from backtest.money import ONE, ZERO, add, mul, setting_of, sub

__all__ = ["Tier", "Tiers", "tiers_of"]

_NUMBERS = (
    ("up_to", POSITIVE_IF_SET),
    ("rate", NON_NEGATIVE),
    ("max_leverage", POSITIVE_IF_SET),
    ("amount", NON_NEGATIVE),
)
_NAMES = ("up_to", "rate", "max_leverage")


@frozen(slots=False)
class Tier:
    """One bracket: a notional up to ``up_to`` (None: any) is maintained at ``rate``.

    ``amount`` is what is taken off, so that maintenance does not jump where a bracket begins;
    `Tiers` works it out.
    """

    up_to: Decimal | None
    rate: Decimal
    max_leverage: Decimal | None = None
    amount: Decimal = ZERO

    def __attrs_post_init__(self) -> None:
        check_numbers(self.__dict__, _NUMBERS)
        if self.rate >= ONE:
            raise FieldError("maintenance_tiers", f"must have rates below 1, not {self.rate}")
        if self.max_leverage is not None and self.max_leverage < ONE:
            raise FieldError(
                "maintenance_tiers", f"must have a max_leverage of at least 1: {self.max_leverage}"
            )


class Tiers:
    """Brackets by rising notional. Immutable.

    Maintenance = notional x rate - amount, where ``amount`` of the first bracket is 0 and of each
    next one that of the bracket before + the bound between them x the difference of their rates
    (Binance: "maintenance amount" of the leverage and margin brackets; Bybit: "MM deduction" of the
    risk limits). So maintenance is continuous, and each part of a notional pays its own rate.

    >>> brackets = Tiers([(50_000, "0.004"), (250_000, "0.005"), (None, "0.01")])
    >>> brackets.maintenance(Decimal(60_000))       # 50 000 x 0.004 + 10 000 x 0.005
    Decimal('250.000')
    """

    __slots__ = ("_tiers",)

    def __init__(self, tiers: Iterable[Any]) -> None:
        made: list[Tier] = []
        amount = ZERO
        for number, given in enumerate(tiers):
            tier = _read(given, number)
            if made:
                before = made[-1]
                if before.up_to is None or (tier.up_to is not None and tier.up_to <= before.up_to):
                    raise FieldError(
                        "maintenance_tiers", "must have rising bounds; only the last may have none"
                    )
                if tier.rate < before.rate:
                    raise FieldError("maintenance_tiers", "cannot have falling rates")
                amount = add(amount, mul(before.up_to, sub(tier.rate, before.rate)))
            made.append(Tier(tier.up_to, tier.rate, tier.max_leverage, amount))
        if not made:
            raise FieldError("maintenance_tiers", "must have at least one bracket")
        self._tiers = tuple(made)

    def __iter__(self) -> Iterator[Tier]:
        return iter(self._tiers)

    def __len__(self) -> int:
        return len(self._tiers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tiers) and other._tiers == self._tiers

    def __hash__(self) -> int:
        return hash(self._tiers)

    def __repr__(self) -> str:
        rows = ", ".join(f"({one.up_to}, {one.rate}, {one.max_leverage})" for one in self._tiers)
        return f"Tiers([{rows}])"

    @property
    def most(self) -> Decimal | None:
        """The largest notional that may be opened; None for any."""
        return self._tiers[-1].up_to

    def at(self, notional: Decimal) -> Tier:
        """The bracket of ``notional``: a bound belongs to the bracket below it, and what is beyond
        the last bound (a position may grow there) to the last bracket."""
        for tier in self._tiers:
            if tier.up_to is None or notional <= tier.up_to:
                return tier
        return self._tiers[-1]

    def maintenance(self, notional: Decimal) -> Decimal:
        """What a position worth ``notional`` must have; not rounded."""
        tier = self.at(notional)
        return sub(mul(notional, tier.rate), tier.amount)


def tiers_of(value: Any) -> Tiers | None:
    """`Tiers` of what people write: nothing, `Tiers`, or a list of ``(up_to, rate, max_leverage)``
    (or tables with these names), ``max_leverage`` optional, ``up_to`` of the last None."""
    if value is None or isinstance(value, Tiers):
        return value
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise FieldTypeError(
            "maintenance_tiers", f"must be a list of (up_to, rate, max_leverage), not {value!r}"
        )
    return Tiers(value)


def _read(given: Any, number: int) -> Tier:
    if isinstance(given, Tier):
        return given
    if isinstance(given, Mapping):
        unknown = [name for name in given if name not in _NAMES]
        if unknown:
            known = ", ".join(_NAMES)
            raise FieldError("maintenance_tiers", f"know no {unknown[0]!r}; known: {known}")
        row: Sequence[Any] = [given.get(name) for name in _NAMES]
    elif isinstance(given, Sequence) and not isinstance(given, str) and 2 <= len(given) <= 3:
        row = given
    else:
        raise FieldTypeError(
            "maintenance_tiers", f"must hold (up_to, rate, max_leverage), not {given!r}"
        )
    where = f"maintenance_tiers[{number}]"
    numbers = [
        None if one is None or one == "none" else setting_of(one, f"{where}.{name}")
        for name, one in zip(_NAMES, row, strict=False)
    ]
    if numbers[1] is None:
        raise FieldError(where, "must have a rate")
    return Tier(numbers[0], numbers[1], numbers[2] if len(numbers) > 2 else None)
