"""How much of a pair a strategy is to have: volumes from shares of its equity."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from backtest.models import Fee, FeeStage, TradingPair, TradingRules
from backtest.money import ONE, ZERO, add, floor_quotient, mul, sub, to_step
from backtest.services.margin.linear import required_margin
from backtest.services.settlement.fees import FeeTable, fee_amount

from .position import PositionView
from .worth import Worth

__all__ = ["Aim", "Place", "wanted_volumes"]

_ROUNDS = 60
_MINUS = Decimal(-1)


class Aim(NamedTuple):
    """What is wanted of one pair: one of the three, negative for a short."""

    share: Decimal | None = None
    """Of the account's equity."""
    volume: Decimal | None = None
    value: Decimal | None = None
    """In the quote asset of the pair."""

    @property
    def sign(self) -> int:
        """1, -1, or 0 for nothing."""
        size = next(one for one in self if one is not None)
        return (size > ZERO) - (size < ZERO)


class Place(NamedTuple):
    """Where a strategy stands in one pair of one account."""

    pair: TradingPair
    rules: TradingRules
    spot: bool
    leverage: Decimal
    price: Decimal
    """At which it counts what it is to have."""
    held: Decimal
    """What it has, with what is pending that counts: negative when short."""
    brings: Decimal = ZERO
    """What closing all of it brings, where one order closes and opens: of an account that nets."""

    def parts(self, wanted: Decimal) -> tuple[Decimal, Decimal]:
        """What is closed (or sold), and what is opened (or bought), to get to ``wanted``: both
        signed, on the grid, and so that it has no more than that in the end."""
        sign = ONE if self.held > ZERO or (not self.held and wanted > ZERO) else _MINUS
        there, left = mul(self.held, sign), mul(wanted, sign)
        if left >= there:
            return ZERO, mul(self.pair.round_volume(sub(left, there)), sign)
        gap = sub(there, max(left, ZERO))
        closed = self.pair.round_volume(gap)
        if closed and closed < gap and add(closed, self._step) <= there:
            closed = add(closed, self._step)
        opened = self.pair.round_volume(left.copy_abs()) if left < ZERO else ZERO
        return mul(closed, sign).copy_negate(), mul(opened, sign).copy_negate()

    @property
    def _step(self) -> Decimal:
        return self.pair.volume_increment

    def fee(self, wanted: Decimal) -> Decimal:
        """What getting there costs at most, at its price: the fees of creating and filling."""
        closed, opened = self.parts(wanted)
        return add(self._fee(closed.copy_abs(), not self.spot), self._fee(opened.copy_abs(), False))

    def freed(self, position: PositionView) -> Decimal:
        """What closing all of ``position`` brings at the last price, less the fee."""
        won = to_step(add(position.margin, position.unrealised_pnl), self.pair.quote.step)
        return sub(max(ZERO, won), self._fee(position.volume.copy_abs(), True))

    def _fee(self, volume: Decimal, closes: bool) -> Decimal:
        """The fees of an order at its price, in the quote asset."""
        if not volume:
            return ZERO
        rules, step = self.rules, self.pair.quote.step
        worth, margin = self.pair.worth(volume, self.price), ZERO
        if not self.spot:
            margin = required_margin(
                rules,
                volume=volume,
                price=self.price,
                contract_size=self.pair.contract_size,
                leverage=self.leverage,
                step=step,
            )
        fees = FeeTable(rules.fees_at(FeeStage.FILL), rules.fees_at(FeeStage.CLOSE), step)
        due = fees.due(fees.added((), closes, volume, worth, margin, False))
        create: tuple[Fee, ...] = () if closes else rules.fees_at(FeeStage.CREATE)
        return add(due, fee_amount(create, volume=volume, worth=worth, margin=margin, step=step))

    def at_most(self, worth: Decimal) -> Decimal:
        """The largest volume on the grid that is worth no more, toward zero where negative."""
        price = mul(self.price, self.pair.contract_size)
        volume = floor_quotient(worth.copy_abs(), price, self._step)
        return volume if worth > ZERO else volume.copy_negate()


def wanted_volumes(
    aims: Mapping[str, Aim], places: Mapping[str, Place], equity: Decimal, worth: Worth
) -> dict[str, Decimal]:
    """The volume that each pair is to have.

    A share is of the equity that is left when the fees of getting there are paid, those of all
    pairs together. So the volumes and the fees are worked out in turns, until they agree.
    """
    fees, wanted = ZERO, dict[str, Decimal]()
    before: Decimal | None = None
    for _ in range(_ROUNDS):
        wanted = _at(aims, places, max(ZERO, sub(equity, fees)), worth)
        due = ZERO
        for code, place in places.items():
            fee = place.fee(wanted[code])
            due = add(due, worth.of(place.pair.quote.code, fee) or ZERO)
        if due == fees or (due == before and due < fees):
            break
        fees, before = due, fees
    return wanted


def _at(
    aims: Mapping[str, Aim], places: Mapping[str, Place], equity: Decimal, worth: Worth
) -> dict[str, Decimal]:
    found = {}
    for code, place in places.items():
        aim = aims[code]
        if aim.volume is not None:
            volume = place.pair.round_volume(aim.volume.copy_abs())
            found[code] = volume.copy_sign(aim.volume) if volume else ZERO
            continue
        value = aim.value
        if value is None:
            assert aim.share is not None
            value = worth.into(place.pair.quote.code, mul(equity, aim.share)) or ZERO
        found[code] = place.at_most(value)
    return found
