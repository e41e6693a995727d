"""What a market of agents leaves behind, as plain values: all that this package needs of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from attrs import field, frozen

from backtest.errors import ConfigError
from backtest.models import MarketTrade
from backtest.money import ONE, ZERO, sub

__all__ = [
    "AccountResult",
    "BestQuote",
    "Charge",
    "DepthSample",
    "Liquidation",
    "MarketRecord",
    "PairRecord",
]


class BestQuote(NamedTuple):
    """The best bid and ask from ``time_ns`` on; None: nobody bids, or offers."""

    time_ns: int
    bid: Decimal | None
    ask: Decimal | None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None


class DepthSample(NamedTuple):
    """The book at ``time_ns``: ``(price, volume)`` of each level, best first."""

    time_ns: int
    bids: Sequence[tuple[Decimal, Decimal]]
    asks: Sequence[tuple[Decimal, Decimal]]


class Charge(NamedTuple):
    """What an account paid, in the quote asset, beside what it traded; received: negative.

    Fees, overnight fees, funding, and what the insurance account bore for it.
    """

    time_ns: int
    account: str
    amount: Decimal


class Liquidation(NamedTuple):
    """A position of an account in ``pair``, or a part of it, was taken from it at ``price``."""

    time_ns: int
    pair: str
    account: str
    price: Decimal
    position: int
    """The number of the position: a book takes a large one in parts, at several prices."""


class AccountResult(NamedTuple):
    """What became of one agent's account, in the cash asset: exact, as the ledger has it."""

    account: str
    start_equity: Decimal
    final_equity: Decimal
    fees: Decimal
    liquidations: int = 0
    held_gain: Decimal = ZERO
    """Of the change of its equity, what came of holding what it held in the beginning."""

    @property
    def pnl(self) -> Decimal:
        """What it won by trading, or lost (negative), after fees."""
        return sub(sub(self.final_equity, self.start_equity), self.held_gain)


@frozen(kw_only=True, eq=False)
class PairRecord:
    """What happened in one pair. All sequences are in the order of time."""

    pair: str
    trades: Sequence[MarketTrade]
    quotes: Sequence[BestQuote] = ()
    """Every change of the best bid or ask. Fewer will do for pictures, not for the impact."""
    depth: Sequence[DepthSample] = ()
    fundamental: Sequence[tuple[int, Decimal]] = ()
    """The value that the oracle gave at some times; empty where there is none."""
    liquidations: Sequence[Liquidation] = ()
    halts: Sequence[tuple[int, int]] = ()
    """From when until when trading stood still, by the price bands."""
    charges: Sequence[Charge] = ()
    reference_price: Decimal | None = None
    """The mark before the first trade."""
    quote_asset: str = ""
    contract_size: Decimal = ONE
    price_increment: Decimal | None = None


@frozen(kw_only=True, eq=False)
class MarketRecord:
    """What happened in a market of agents: its pairs, who was there, and what became of them.

    Raises `ConfigError` when the span is empty or a trade names an account that nobody has.
    """

    start_ns: int
    end_ns: int
    pairs: Mapping[str, PairRecord]
    types: Mapping[str, str]
    """The type of agent that each account belongs to: ``{"noise-17": "noise"}``."""
    results: Sequence[AccountResult] = ()
    cash_asset: str = ""
    sessions: Sequence[tuple[int, int]] = ()
    """From when until when there was trading, where not all the time: other hours are left out of
    pictures and returns."""
    title: str = "Market of agents"
    notes: Mapping[str, str] = field(factory=dict)
    """Further lines for the head of the page: the seed, hashes, whether it was verified."""

    def __attrs_post_init__(self) -> None:
        if self.end_ns <= self.start_ns:
            raise ConfigError(
                f"a market must end after it begins: {self.start_ns} to {self.end_ns} ns"
            )
        for record in self.pairs.values():
            for trade in record.trades:
                for account in (trade.buyer, trade.seller):
                    if account not in self.types:
                        raise ConfigError(
                            f"a trade of {record.pair} names the account {account!r}, which has "
                            "no type: give types={account: type} for every account"
                        )
        for result in self.results:
            if result.account not in self.types:
                raise ConfigError(
                    f"there is a result of the account {result.account!r}, which has no type"
                )
