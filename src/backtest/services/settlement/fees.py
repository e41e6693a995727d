"""Fees: what an order's fills cost it so far, and what one charge by itself comes to.

A fee that an order pays for its fills is worked out over all of them, exactly, brought between its
minimum and its maximum, and rounded up once with the others: against the account, and a rebate
(a negative rate) toward zero. A fill pays what that exceeds what was charged before. So however an
order is cut into fills, it has paid in the end what one fill would have.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from attrs import evolve

from backtest.models.fee import Fee, FeeKind
from backtest.money import ZERO, add, mul, round_up

__all__ = ["FeeSums", "FeeTable", "fee_amount", "proportional"]

FeeSums = tuple[Decimal | None, ...]
"""What each fee of a table comes to so far, unrounded and unbounded; None for one that did not
apply yet, the empty tuple for nothing at all."""

_OF_NOTIONAL = FeeKind.PERCENT_OF_NOTIONAL
_OF_MARGIN = FeeKind.PERCENT_OF_MARGIN
_OF_VOLUME = FeeKind.FLAT_PER_VOLUME
_HALF = Decimal("0.5")


class FeeTable:
    """What an order's fills cost on one pair: those that open (or buy, or sell) and those that
    close.

    A fee that stands at both stages is one fee: flat, minimum and maximum hold for one order over
    all its fills, whether they open or close.
    """

    __slots__ = ("_closing", "_fees", "_opening", "_rates", "by_margin", "may_exceed", "step")

    def __init__(self, opening: Iterable[Fee], closing: Iterable[Fee], step: Decimal) -> None:
        self.step = step
        fees = [fee for fee in opening if fee.kind is not FeeKind.NONE]
        self._opening = tuple(enumerate(fees))
        places: list[tuple[int, Fee]] = []
        for fee in closing:
            if fee.kind is FeeKind.NONE:
                continue
            taken = [place for place, _ in places]
            same = [place for place, one in self._opening if one == fee and place not in taken]
            if not same:
                fees.append(fee)
                same = [len(fees) - 1]
            places.append((same[0], fee))
        self._closing = tuple(places)
        self._fees = tuple(fees)
        self.by_margin = any(fee.kind is _OF_MARGIN for fee in fees)
        """Whether the margin of a fill matters."""
        self._rates = _rates(fees)
        """Of taker and maker, where one plain share of the notional is all there is."""
        total = ZERO
        for _, fee in self._opening:
            total = add(total, max(fee.rate, fee.maker_rate or ZERO))
        self.may_exceed = total > _HALF or any(
            fee.kind is not _OF_NOTIONAL or fee.minimum for _, fee in self._opening
        )
        """Whether what a sale costs may be more than what it brings: not where it is a share of at
        most a half, and it brings one step of the asset or more."""

    def charges(self, closes: bool) -> bool:
        """Whether anything is charged for fills that close, or for all others."""
        return bool(self._closing if closes else self._opening)

    def added(
        self,
        sums: FeeSums,
        closes: bool,
        volume: Decimal,
        worth: Decimal,
        margin: Decimal,
        maker: bool,
    ) -> FeeSums:
        """``sums`` after a fill of ``volume`` that was ``worth`` so much, both exact.

        ``maker`` picks ``maker_rate`` where there is one. A fee that is flat per order comes with
        the first fill.
        """
        applied = self._closing if closes else self._opening
        if not applied:
            return sums
        rates = self._rates
        if rates is not None:
            amount = mul(rates[maker], worth)
            return (add(sums[0], amount) if sums else amount,)  # type: ignore[arg-type]
        new: list[Decimal | None] = list(sums) if sums else [None] * len(self._fees)
        for place, fee in applied:
            before = new[place]
            amount = _raw(fee, volume, worth, margin, maker)
            if before is None:
                new[place] = amount
            elif fee.kind is not FeeKind.FLAT_PER_TRADE:
                new[place] = add(before, amount)
        return tuple(new)

    def due(self, sums: FeeSums) -> Decimal:
        """What an order has to have paid, rounded up to ``step`` once."""
        if not sums:
            return ZERO
        if self._rates is not None:
            return round_up(sums[0], self.step)  # type: ignore[arg-type]
        total = ZERO
        for fee, amount in zip(self._fees, sums, strict=True):
            if amount is not None:
                total = add(total, _bounded(fee, amount))
        return round_up(total, self.step)


def _rates(fees: list[Fee]) -> tuple[Decimal, Decimal] | None:
    if len(fees) != 1 or fees[0].kind is not _OF_NOTIONAL:
        return None
    (fee,) = fees
    if fee.minimum is not None or fee.maximum is not None:
        return None
    return fee.rate, fee.rate if fee.maker_rate is None else fee.maker_rate


def fee_amount(
    fees: tuple[Fee, ...],
    *,
    volume: Decimal,
    worth: Decimal,
    margin: Decimal,
    step: Decimal,
) -> Decimal:
    """What one charge comes to that no fill brings: at create, cancel or overnight.

    Each of ``fees`` is brought between its minimum and its maximum; the sum is rounded up to
    ``step``, once: against the account, and an income toward zero. ``volume`` in base units,
    ``worth`` (exact) and ``margin`` in the asset that pays.
    """
    total = ZERO
    for fee in fees:
        if fee.kind is not FeeKind.NONE:
            total = add(total, _bounded(fee, _raw(fee, volume, worth, margin, False)))
    return round_up(total, step)


def proportional(fees: tuple[Fee, ...]) -> tuple[Fee, ...]:
    """``fees`` as far as they grow with an order: what is flat, or a minimum, was paid for."""
    return tuple(
        evolve(fee, minimum=None) for fee in fees if fee.kind is not FeeKind.FLAT_PER_TRADE
    )


def _raw(fee: Fee, volume: Decimal, worth: Decimal, margin: Decimal, maker: bool) -> Decimal:
    kind = fee.kind
    rate = fee.maker_rate if maker and fee.maker_rate is not None else fee.rate
    if kind is _OF_NOTIONAL:
        return mul(rate, worth)
    if kind is _OF_VOLUME:
        return mul(rate, volume)
    if kind is _OF_MARGIN:
        return mul(rate, margin)
    return rate


def _bounded(fee: Fee, amount: Decimal) -> Decimal:
    if fee.minimum is not None and amount < fee.minimum:
        return fee.minimum
    if fee.maximum is not None and amount > fee.maximum:
        return fee.maximum
    return amount
