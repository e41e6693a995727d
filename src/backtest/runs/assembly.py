"""The parts that a run is assembled of, whatever its venue, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import field, frozen

from backtest.actors import AccountActor, Actor, MarketData, StrategyHost, System
from backtest.actors.protocol import Kind
from backtest.actors.venue.actor import VenueActor
from backtest.data import DataRange, events_of
from backtest.errors import DataError
from backtest.models import BacktestRun, TradingPair, TradingRules
from backtest.runs.config import cash_of
from backtest.runs.manifest import Manifest, versions
from backtest.runs.notices import notices_in_vain, notices_of_data, notices_of_unseen
from backtest.runs.participants import told_clashes
from backtest.runs.parties import Parties
from backtest.runs.sources import Source, counting
from backtest.services.valuation import Valuation
from backtest.strategies import Strategy

__all__ = ["Assembly", "ledger_of", "market_of"]


@frozen(kw_only=True)
class Assembly:
    """What `prepare` has made; the result and its manifest are drawn from it."""

    system: System
    run: BacktestRun
    manifest: Manifest
    ledger: AccountActor
    venue: VenueActor
    market: Actor
    """Who tells what happens outside, and when it ends."""
    hosts: Sequence[StrategyHost]
    parties: Parties
    owners: Mapping[str, tuple[str, ...]]
    """The names of the accounts that each strategy trades on."""
    strategies: Mapping[str, Strategy]
    pairs: Mapping[str, TradingPair]
    rules: Mapping[str, TradingRules]
    """The rules of each pair."""
    sources: Mapping[str, Source] = field(factory=dict)
    valuation: Valuation

    def enter(self) -> None:
        """Put the actors into the system."""
        for actor in (self.ledger, self.venue, self.market, *self.hosts):
            self.system.add(actor)

    def simulate(self) -> None:
        """Run to the end."""
        try:
            self.system.simulate()
        finally:  # an error may well come of it: 'NoneType' object is not callable
            notices = self.manifest.notices
            notices += told_clashes(self.strategies.values(), self.system.log, notices)

    def notices(
        self,
        hosts: Iterable[StrategyHost],
        kinds: Mapping[str, Collection[Kind]],
        trading: Iterable[str] = (),
    ) -> list[str]:
        """What a reader of the figures should know; what was not logged before is logged. ``hosts``
        are of whom it is told what they missed, of the ``kinds`` of market data by pair."""
        hosts = list(hosts)
        told = [*trading, *notices_of_unseen(hosts), *notices_in_vain(hosts, kinds)]
        for notice in told:
            self.system.log.warning("run.notice", notice=notice)
        return [*self.manifest.notices, *notices_of_data(self.sources), *told]

    def left(self) -> dict[str, Any]:
        """What every run leaves, by the names of `RunRecord`, when it is over."""
        # What the strategies did after the last bar, at its time, belongs to the run too.
        self.valuation.sample(self.system.now)
        self.manifest.complete()
        run, parties, venue = self.run, self.parties, self.venue
        return {
            "run": BacktestRun(run.run_id, run.seed, run.start_ns, self.system.now),
            "config": self.manifest.config,
            "cash_asset": self.valuation.cash,
            "pairs": self.pairs,
            "rules": self.rules,
            "accounts": {**parties.accounts, **parties.house},
            "strategies": self.strategies,
            "accounts_of": self.owners,
            "agents": parties.names,
            "ledger": self.ledger.ledger,
            "records": venue.venue.records,
            "valuation": self.valuation,
            "bars": venue.bars,
            "ticks": venue.ticks,
            "inputs": self.manifest.inputs,
            "sources": self.sources,
            "versions": versions(),
        }


def market_of(
    sources: Mapping[str, Any],
    within: DataRange,
    rules: Mapping[str, TradingRules],
    progress: Callable[[int], None] | None,
    note: Callable[[str], None],
) -> tuple[MarketData, int]:
    """Who tells what happens on the market ``within`` a range, and when that begins; ``note`` is
    told what there is to know of it."""
    events = events_of(sources, within, note)
    market = MarketData(events if progress is None else counting(events, progress))
    if market.first is None:
        raise DataError("there are no bars in the data")
    begin_ns = market.first.open_ns
    for code, one in rules.items():
        if one.funding is not None:
            one.funding.check_units(begin_ns, code)
    return market, begin_ns


def ledger_of(
    cash: Mapping[str, Mapping[str, Decimal]], insurance_fund: Mapping[str, Any]
) -> AccountActor:
    """Who keeps the money, with what there is to begin with."""
    opening = [(name, asset, sum_) for name, owned in cash.items() for asset, sum_ in owned.items()]
    fund = [
        (asset, cash_of({asset: sum_})["main"][asset]) for asset, sum_ in insurance_fund.items()
    ]
    return AccountActor(list(cash), opening, fund)
