"""What each type of agent held, and what it had won or lost, over time: exact, from the tape."""

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
    """What all its accounts hold together; short is negative."""
    pnl: Decimal
    """What they had won by then at the last price, after charges, in the quote asset."""


def type_series(
    record: PairRecord, types: Mapping[str, str], times: Sequence[int]
) -> dict[str, list[TypeSample]]:
    """A sample of each type at each of ``times`` (ascending); what happened at a time counts.

    The PnL is what they received less what they paid, plus what they hold at the last trade's price
    (before the first: the reference price, or that of the first trade), less what they held in the
    beginning at the first of those prices, less the charges. It needs no account: spot and
    derivatives give the same. All types together have what left the market as charges, negated.
    """
    first = record.reference_price
    if first is None:
        first = record.trades[0].price if record.trades else ZERO
    size = record.contract_size
    kinds = dict.fromkeys(types.values())
    held = dict.fromkeys(kinds, ZERO)
    cash = dict.fromkeys(kinds, ZERO)
    for account, opening in record.opening.items():
        kind = types[account]
        held[kind] = add(held[kind], opening)
        cash[kind] = sub(cash[kind], mul(mul(opening, first), size))
    series: dict[str, list[TypeSample]] = {kind: [] for kind in kinds}
    trades, charges = record.trades, record.charges
    mark = first
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
