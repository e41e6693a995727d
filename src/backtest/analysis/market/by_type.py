"""What each type of agent did and what came of it, exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import frozen

from backtest.analysis.market.samples import AccountResult, MarketRecord
from backtest.money import ZERO, add, div, mul, plain, round_half_even

__all__ = ["TypeFigures", "by_type", "quantile"]

_PLACES = Decimal("0.000001")


@frozen(kw_only=True)
class TypeFigures:
    """The agents of one type together. Money is in the cash asset and exact, as the ledger has it;
    a mean or share is rounded half-even to six digits."""

    type: str
    accounts: int
    pnl: Decimal
    """What they all won or lost by trading, after fees; of agents whose result is known. What came
    of what they held in the beginning is in ``held_gain``: all types together lose the fees."""
    pnl_mean: Decimal | None
    pnl_worst: Decimal | None
    pnl_quarter: Decimal | None
    """A quarter of the agents did no better."""
    pnl_median: Decimal | None
    pnl_three_quarters: Decimal | None
    pnl_best: Decimal | None
    held_gain: Decimal
    winners: int
    """Accounts that won something."""
    fees: Decimal
    """Paid; a rebate counts against it."""
    liquidations: int
    trades: int
    """Trades in which one of them was a side; a trade among themselves counts twice."""
    maker_trades: int
    taker_trades: int
    volume: Decimal
    turnover: Decimal
    """Price times volume times contract size of those trades."""
    inventory: Mapping[str, Decimal]
    """What they bought together less what they sold, by pair."""

    @property
    def maker_share(self) -> Decimal | None:
        """Of the trades outside auctions, those in which theirs was the order that rested."""
        known = self.maker_trades + self.taker_trades
        return _quotient(Decimal(self.maker_trades), known) if known else None

    def plain(self) -> dict[str, Any]:
        """As JSON takes it: decimals as text."""
        told: dict[str, Any] = {}
        for name in _PLAIN:
            value = getattr(self, name)
            told[name] = plain(value) if isinstance(value, Decimal) else value
        told["inventory"] = {pair: plain(held) for pair, held in self.inventory.items()}
        return told


_PLAIN = (
    "accounts", "pnl", "pnl_mean", "pnl_worst", "pnl_quarter", "pnl_median", "pnl_three_quarters",
    "pnl_best", "held_gain", "winners", "fees", "liquidations", "trades", "maker_trades",
    "taker_trades", "maker_share", "volume", "turnover",
)  # fmt: skip


def quantile(ordered: Sequence[Decimal], numerator: int, denominator: int) -> Decimal | None:
    """The smallest of ``ordered`` below or at which that share of them lies; None of nothing.

    The nearest rank: always one of the values, so it is exact.
    """
    if not ordered:
        return None
    rank = -(-len(ordered) * numerator // denominator)
    return ordered[max(rank, 1) - 1]


def by_type(record: MarketRecord) -> dict[str, TypeFigures]:
    """The figures of each type, in the order in which the types first appear."""
    tallies = {kind: _Tally() for kind in record.types.values()}
    for kind in record.types.values():
        tallies[kind].accounts += 1
    for result in record.results:
        tallies[record.types[result.account]].results.append(result)
    for pair, of_pair in record.pairs.items():
        size = of_pair.contract_size
        for trade in of_pair.trades:
            volume = trade.volume
            turnover = mul(mul(trade.price, volume), size)
            aggressor = trade.aggressor
            for account, side, change in (
                (trade.buyer, "buy", volume),
                (trade.seller, "sell", volume.copy_negate()),
            ):
                tally = tallies[record.types[account]]
                tally.trades += 1
                tally.volume = add(tally.volume, volume)
                tally.turnover = add(tally.turnover, turnover)
                tally.hold(pair, change)
                if aggressor == side:
                    tally.taken += 1
                elif aggressor is not None:
                    tally.made += 1
    return {kind: tally.figures(kind) for kind, tally in tallies.items()}


class _Tally:
    """The sums of one type, while they are being made."""

    def __init__(self) -> None:
        self.accounts = self.trades = self.made = self.taken = 0
        self.volume = self.turnover = ZERO
        self.inventory: dict[str, Decimal] = {}
        self.results: list[AccountResult] = []

    def hold(self, pair: str, change: Decimal) -> None:
        self.inventory[pair] = add(self.inventory.get(pair, ZERO), change)

    def figures(self, kind: str) -> TypeFigures:
        pnls = sorted(one.pnl for one in self.results)
        total = fees = held = ZERO
        for pnl in pnls:
            total = add(total, pnl)
        for one in self.results:
            fees = add(fees, one.fees)
            held = add(held, one.held_gain)
        return TypeFigures(
            type=kind,
            accounts=self.accounts,
            pnl=total,
            pnl_mean=_quotient(total, len(pnls)) if pnls else None,
            pnl_worst=pnls[0] if pnls else None,
            pnl_quarter=quantile(pnls, 1, 4),
            pnl_median=quantile(pnls, 1, 2),
            pnl_three_quarters=quantile(pnls, 3, 4),
            pnl_best=pnls[-1] if pnls else None,
            held_gain=held,
            winners=sum(pnl > ZERO for pnl in pnls),
            fees=fees,
            liquidations=sum(one.liquidations for one in self.results),
            trades=self.trades,
            maker_trades=self.made,
            taker_trades=self.taken,
            volume=self.volume,
            turnover=self.turnover,
            inventory=dict(self.inventory),
        )


def _quotient(part: Decimal, whole: int) -> Decimal:
    return round_half_even(div(part, Decimal(whole)), _PLACES)
