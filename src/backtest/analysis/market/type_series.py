"""What each type of agent bought, sold, won and lost over time: exact, from the tape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from backtest.analysis.market.samples import PairRecord
from backtest.money import ZERO, add, mul, sub

__all__ = ["TypeSample", "type_series"]


class TypeSample(NamedTuple):
    """One type of agent at one time, in one pair."""

    time_ns: int
    inventory: Decimal
    """What all its accounts had bought by then, less what they had sold."""
    pnl: Decimal
    """What they had won by trading at the last price, after charges, in the quote asset."""


def type_series(
    record: PairRecord, types: Mapping[str, str], times: Sequence[int]
) -> dict[str, list[TypeSample]]:
    """A sample of each type at each of ``times`` (ascending); what happened at a time counts.

    The PnL is what they received less what they paid, plus what they bought less what they sold at
    the last trade's price, less the charges. What they held in the beginning is left out: it gains
    and loses without a trade. It needs no account: spot and derivatives give the same, and all
    types together have lost the charges.
    """
    size = record.contract_size
    kinds = dict.fromkeys(types.values())
    held = dict.fromkeys(kinds, ZERO)
    cash = dict.fromkeys(kinds, ZERO)
    series: dict[str, list[TypeSample]] = {kind: [] for kind in kinds}
    trades, charges = record.trades, record.charges
    mark = ZERO
    at = charged = 0
    for time_ns in times:
        while at < len(trades) and trades[at].time_ns <= time_ns:
            trade = trades[at]
            mark = trade.price
            paid = mul(mul(mark, trade.volume), size)
            buyer, seller = types[trade.buyer], types[trade.seller]
            held[buyer] = add(held[buyer], trade.volume)
            cash[buyer] = sub(cash[buyer], paid)
            held[seller] = sub(held[seller], trade.volume)
            cash[seller] = add(cash[seller], paid)
            at += 1
        while charged < len(charges) and charges[charged].time_ns <= time_ns:
            charge = charges[charged]
            kind = types[charge.account]
            cash[kind] = sub(cash[kind], charge.amount)
            charged += 1
        for kind, samples in series.items():
            worth = mul(mul(held[kind], mark), size)
            samples.append(TypeSample(time_ns, held[kind], add(cash[kind], worth)))
    return series
