"""Where money went and what was left of it: who got the fees, what was free, whether it adds up."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from attrs import define, frozen

from backtest.analysis.page.over_time import POINTS, number
from backtest.analysis.page.packing import differences, milliseconds
from backtest.analysis.record import RunRecord
from backtest.models import TransactionType
from backtest.money import ZERO, add

__all__ = ["Headroom", "Receipts", "fee_receipts", "headroom_of", "reconciled"]

_FEES = tuple(kind for kind in TransactionType if kind.value.startswith("FEE_"))
_DRAWN = 4
"""Accounts whose free money is drawn, the first of them."""


@frozen(kw_only=True)
class Receipts:
    """What one account of the house received in fees of one stage, less what it gave."""

    stage: str
    account: str
    asset: str
    amount: Decimal


def fee_receipts(record: RunRecord) -> list[Receipts]:
    """Who got the fees, by stage: what agents paid is what these received, to the last digit."""
    house = {name for name, account in record.accounts.items() if account.is_house}
    got: dict[tuple[str, str, str], Decimal] = {}
    for entry in record.ledger.entries:
        for account, asset, kind, available, unavailable in entry.legs:
            if kind in _FEES and account in house:
                key = (kind.value.removeprefix("FEE_").lower(), account, asset)
                got[key] = add(got.get(key, ZERO), add(available, unavailable))
    return [
        Receipts(stage=stage, account=account, asset=asset, amount=amount)
        for (stage, account, asset), amount in sorted(got.items())
    ]


@define
class Headroom:
    """How much of an asset an account had free to trade with, after each entry that changed it."""

    account: str
    asset: str
    lowest: Decimal
    """The least that was available, and"""
    lowest_ns: int
    """when that was first so."""
    highest_held: Decimal
    """The most that was in reserve."""
    highest_held_ns: int
    points: list[tuple[int, Decimal, Decimal]]
    """Each moment with what was available and what was in reserve."""

    @property
    def least_share(self) -> Decimal | None:
        """The smallest share that was available; None where there never was anything."""
        shares = [
            free / (free + held)  # a picture's number, not money
            for free, held in ((float(one), float(two)) for _, one, two in self.points)
            if free + held > 0
        ]
        return Decimal(str(round(min(shares), 6))) if shares else None

    def plain(self) -> dict[str, Any]:
        """Available as a share of the balance, the least of each bucket, as the page draws it."""
        step = max(1, -(-len(self.points) // POINTS))
        times, shares = [], []
        for begin in range(0, len(self.points), step):
            part = self.points[begin : begin + step]
            known = [
                float(free) / (float(free) + float(held)) for _, free, held in part if free or held
            ]
            times.append(milliseconds(part[-1][0]))
            shares.append(number(min(known)) if known else None)
        return {"name": f"{self.account}, {self.asset}", "t": differences(times), "free": shares}


def headroom_of(record: RunRecord) -> list[Headroom]:
    """Of each agent's account and asset that orders or positions ever held a part of in reserve."""
    house = {name for name, account in record.accounts.items() if account.is_house}
    now: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    found: dict[tuple[str, str], Headroom] = {}
    for entry in record.ledger.entries:
        touched: dict[tuple[str, str], None] = {}
        for account, asset, _, available, unavailable in entry.legs:
            if account not in house:
                key = (account, asset)
                free, held = now.get(key, (ZERO, ZERO))
                now[key] = (add(free, available), add(held, unavailable))
                touched[key] = None
        for key in touched:
            free, held = now[key]
            one = found.get(key)
            if one is None:
                account, asset = key
                one = Headroom(account, asset, free, entry.time, held, entry.time, [])
                found[key] = one
            if free < one.lowest:
                one.lowest, one.lowest_ns = free, entry.time
            if held > one.highest_held:
                one.highest_held, one.highest_held_ns = held, entry.time
            one.points.append((entry.time, free, held))
    return [one for one in found.values() if one.highest_held > ZERO]


def reconciled(record: RunRecord) -> list[tuple[str, str, Decimal, Decimal]]:
    """Per account and asset, what all its transactions come to, and the balance the ledger has at
    the end: account, asset, sum, balance."""
    sums: dict[tuple[str, str], Decimal] = {}
    for entry in record.ledger.entries:
        for account, asset, _, available, unavailable in entry.legs:
            key = (account, asset)
            sums[key] = add(sums.get(key, ZERO), add(available, unavailable))
    return [
        (account, asset, sums.get((account, asset), ZERO), add(*both))
        for account, assets in record.ledger.balances().items()
        for asset, both in assets.items()
    ]
