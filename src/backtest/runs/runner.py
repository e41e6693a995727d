"""The runner: it assembles the actors of a run, runs them, and gives back the result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from attrs import define, evolve, field

from backtest.actors import BrokerActor, StrategyHost, System
from backtest.analysis.result import RunResult
from backtest.data import BarSource, DataRange, TickSource, open_data, parts_of, range_of
from backtest.data.ranges import Moment, WarmupLength
from backtest.errors import ConfigError, DataError, NotRepeatable
from backtest.models import Account, BacktestRun, TradingPair
from backtest.receipt import run_id_of
from backtest.runs.any_runner import AnyRunner
from backtest.runs.assembly import Assembly, ledger_of, market_of
from backtest.runs.config import (
    RuleBook,
    cash_of,
    check_precision,
    latency_of,
    read_rules,
    rules_of,
)
from backtest.runs.manifest import latency_text, manifest, reading_text
from backtest.runs.notices import kinds_of, notices_of_trading
from backtest.runs.participants import (
    account_options,
    accounts_of,
    acquaint,
    check_owners,
    named,
    told_oddities,
)
from backtest.runs.parties import NIL, parties_of
from backtest.runs.rerun import book_on_path, refuse_spent, restored, snapshot
from backtest.runs.settings import APART_FROM_DATA, Latencies, Lengths, Zones
from backtest.runs.sources import cadences_of, files_of, opened
from backtest.services.valuation import Valuation
from backtest.strategies import Strategy

__all__ = ["BacktestRunner"]


@define(kw_only=True)
class BacktestRunner(AnyRunner[RunResult]):
    """A backtest described; `run` carries it out. One runner runs once, like its strategies.

    Args:
        strategies: one `Strategy`, several, or a mapping of names to them.
        data: what `backtest.data.open_data` takes (a path, a dataframe, bars, quotes, trades), for
            one ``pair``; a list of those where there are several of it (bars of two lengths, say,
            or bars and quotes); or a mapping of pair codes (or `TradingPair`) to that.
        pair: the pair of ``data``: a code or a `TradingPair`.
        cash: opening balances: ``"100000 USD"``, ``{"USD": "100000", "BTC": 2}``, or those by
            account name. The first asset is the one in which equity is expressed.
        accounts: which account (or accounts) each strategy trades on, by strategy name. Left out:
            the account of its name if there is one, else the only one there is.
        netting: accounts (or True for all) on which a fill first closes what is open on the other
            side; on the others each filled order is a position of its own. A rules file can say
            it, too, under ``[accounts.NAME]``.
        rules: `TradingRules` for all pairs, a mapping of them by pair, or the path of a TOML file.
        margin_mode: ``"isolated"`` (the default) or ``"cross"``, for all accounts; a rules file can
            say it for each of them, under ``[accounts.NAME]``.
        collateral: further assets that count for cross margin accounts, with their weights:
            ``{"BTC": "0.9"}``.
        profile: the fill rules of another engine, by name (`backtest.profiles`), for what ``rules``
            do not say.
        bar, stamp, tz, decimal, stream: how ``data`` is read; see `backtest.data.open_data`. The
            first four each for all data, by pair, or in a list, one for each of several sources of
            a pair.
        start, end: the part of the data that the run is about, ``end`` left out: a date, a time or
            a `datetime` (`backtest.data.range_of`). Left out: all of it.
        warmup: what the strategies see before ``start``, and may not trade on: ``"30d"``, or
            ``"200 bars"`` of each source.
        seed: the root of every id and random stream.
        latency: between strategies and the venue, both ways: a length of time or a `Latency`; or
            by link: ``{"orders": "20ms", "market_data": "5ms", "order_events": "10ms"}``; or a
            `DistanceLatency`, which holds among the strategies, too.
        insurance_fund: what the insurance account starts with, by asset.
        inbox_bound: messages that may wait for a strategy.
        stall_bound: steps at one simulated time beyond which the run ends with a `Livelock`;
            left out: 100 000, or more for a crowd.
        progress: called with the number of bars now and then.

    Raises `ConfigError` and `DataError` for what cannot be run, and what a strategy raises.
    """

    awaited = "await backtest.run_async(...)"

    strategies: Strategy | Sequence[Strategy] | Mapping[str, Strategy]
    data: Any
    cash: Any
    pair: str | TradingPair | None = None
    accounts: Mapping[str, str | Sequence[str]] = field(factory=dict)
    netting: bool | str | Sequence[str] = False
    rules: Any = None
    margin_mode: str | None = None
    collateral: Mapping[str, Any] = field(factory=dict)
    profile: str | None = None
    bar: Lengths = None
    stamp: str | Sequence[str | None] | Mapping[Any, Any] = "open"
    tz: Zones = None
    decimal: str | Sequence[str | None] | Mapping[Any, Any] = "."
    stream: bool = False
    start: Moment = None
    end: Moment = None
    warmup: WarmupLength = None
    seed: int = 0
    latency: Latencies = None
    insurance_fund: Mapping[str, Any] = field(factory=dict)
    progress: Callable[[int], None] | None = None
    _book: RuleBook = field(init=False)
    _given: Any = field(init=False, default=None)
    _opened: Any = field(init=False, default=None)

    # -- assembling --------------------------------------------------------------------------------

    def prepare(self) -> System:
        """Read the configuration, open the data and assemble the actors; nothing runs yet."""
        self._check()
        within = self._within()
        cash = cash_of(self.cash)
        book = read_rules(self.rules, self.profile)
        strategies = named(self.strategies)
        check_owners(self.accounts, strategies)
        assets = list(dict.fromkeys(asset for owned in cash.values() for asset in owned))
        sources, pairs = self._open(assets, book)
        acquaint(strategies.values(), pairs)
        self._given = {name: snapshot(strategy) for name, strategy in strategies.items()}
        rules = rules_of(book, pairs)
        check_precision(cash, pairs, book)
        bounds = self._begun(self.seed, len(strategies), len(pairs))
        accounts, owners = self._owned(cash, book, strategies)
        told = manifest(
            seed=self.seed,
            strategies=strategies,
            about={name: {"accounts": list(owned)} for name, owned in owners.items()},
            cash=cash,
            accounts=accounts,
            pairs=pairs,
            rules=rules,
            sources=sources,
            settings={**self._settings(), **_range_text(within), **bounds},
            latency=self.latency,
        )
        told.notices += told_oddities(strategies.values(), self.system.log)
        run_id = run_id_of(told.config)
        parties = parties_of(run_id, accounts, owners, assets[0])
        valuation = Valuation(assets[0], list(pairs.values()))
        market, begin_ns = market_of(sources, within, rules, self.progress, told.notices.append)
        self.system.begin_at(begin_ns)
        opens_ns = within.start_ns if within.warms_up else None
        if opens_ns is not None:
            begin_ns = opens_ns
            valuation.wait_until(opens_ns)
        trading = {code: (pair, rules[code]) for code, pair in pairs.items()}
        cadences = {code: cadences_of(source) for code, source in sources.items()}
        self._book = book
        return self._assembled(
            Assembly(
                system=self.system,
                run=BacktestRun(run_id, self.seed, begin_ns),
                manifest=told,
                ledger=ledger_of(cash, self.insurance_fund),
                venue=BrokerActor(
                    parties.venue_id, run_id, trading, parties.agents, valuation, cadences, opens_ns
                ),
                market=market,
                hosts=[
                    self._host(name, strategy, opens_ns) for name, strategy in strategies.items()
                ],
                parties=parties,
                owners=owners,
                strategies=strategies,
                pairs=pairs,
                rules=rules,
                sources=sources,
                valuation=valuation,
            )
        )

    def _check(self) -> None:
        super()._check()
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise ConfigError(f"seed must be a whole number, not {self.seed!r}")

    def _settings(self) -> dict[str, Any]:
        """What there is to tell of the whole run, as plain data."""
        return {
            "stamp": reading_text(self.stamp, "open"),
            "tz": reading_text(self.tz, "UTC"),
            "latency": latency_text(self.latency),
            "insurance_fund": {asset: str(sum_) for asset, sum_ in self.insurance_fund.items()},
        }

    def _within(self) -> DataRange:
        """The part of the data that the run is about; times without a zone are of the data's, where
        all of it is read in one."""
        tz = self.tz
        if isinstance(tz, Mapping) and isinstance(self.data, Mapping) and len(tz) < len(self.data):
            tz = None  # that of the others is UTC
        return range_of(self.start, self.end, self.warmup, _one_zone(tz))

    def _owned(
        self, cash: Mapping[str, Any], book: RuleBook, strategies: Mapping[str, Strategy]
    ) -> tuple[dict[str, Account], dict[str, tuple[str, ...]]]:
        """The accounts, without ids still, and the names of those that each strategy trades on."""
        options = account_options(
            cash,
            book,
            margin_mode=self.margin_mode,
            collateral=self.collateral,
            netting=self.netting,
        )
        accounts = {
            name: Account(NIL, name, next(iter(cash[name])), **options.get(name, {}))
            for name in cash
        }
        owners = {name: accounts_of(name, self.accounts.get(name), accounts) for name in strategies}
        return accounts, owners

    def _open(self, assets: list[str], book: RuleBook) -> tuple[dict[str, Any], dict[str, Any]]:
        if self._opened is None:
            settings = {
                "bar": self.bar,
                "stamp": self.stamp,
                "tz": self.tz,
                "decimal": self.decimal,
            }
            self._opened = opened(self.data, self.pair, assets, book, self._source, settings)
        sources, pairs = self._opened
        return sources, pairs

    def read_from(self, opened: Any) -> None:
        """Read the data that another run has ``opened``."""
        self._opened = opened

    def anew(self, strategies: Mapping[str, Strategy], **settings: Any) -> BacktestRunner:
        """Another run of the same kind, with fresh ``strategies`` and other ``settings``: a seed.

        The data is opened once for all of them, unless the settings say how to read it. Raises
        `NotRepeatable` for a second run of what can be read only once.
        """
        other = evolve(self, strategies=strategies, **settings)
        if settings.keys() <= APART_FROM_DATA:
            again = self._opened is not None
            cash = cash_of(self.cash)
            assets = list(dict.fromkeys(asset for owned in cash.values() for asset in owned))
            sources, _ = self._open(assets, read_rules(self.rules, self.profile))
            if again:
                refuse_spent(sources)
            other.read_from(self._opened)
        return other

    def end_ns(self) -> int | None:
        """When the data ends; None where that is known only when it does."""
        ends: list[int] = []
        for source in self.parts.sources.values():
            for part in parts_of(source):
                if not hasattr(part, "end_ns"):
                    return None
                ends.append(part.end_ns)
        end_ns = self._within().end_ns
        return max(ends) if end_ns is None else min(max(ends), end_ns)

    def _host(self, name: str, strategy: Strategy, start_ns: int | None) -> StrategyHost:
        return StrategyHost(
            f"strategy/{name}",
            strategy,
            inbox_bound=self.inbox_bound,
            latency=latency_of(self.latency),
            start_ns=start_ns,
        )

    def _source(
        self, data: Any, pair: TradingPair, how: Mapping[str, Any]
    ) -> BarSource | TickSource:
        return open_data(data, pair, stream=self.stream, **how)

    # -- the result --------------------------------------------------------------------------------

    def result(self) -> RunResult:
        parts = self.parts
        left, records = parts.left(), parts.venue.venue.records
        trading = notices_of_trading(parts.rules, records.orders, records.fills)
        return RunResult(
            **left,
            notices=parts.notices(parts.hosts, kinds_of(parts.sources), trading),
            files=files_of(self.data, parts.sources),
            again=self._again,
        )

    def _again(self, path: str) -> RunResult:
        """The same run under another path policy: the same sources, read again from the start."""
        parts = self.parts
        refuse_spent(parts.sources)
        runner = evolve(
            self,
            strategies={name: restored(one) for name, one in self._given.items()},
            rules=book_on_path(self._book, parts.rules, path),
            profile=None,
            progress=None,
            observer=None,
            tracer=None,
        )
        runner.read_from(self._opened)
        bars = parts.venue.bars
        try:
            runner.prepare()
        except DataError as error:
            raise NotRepeatable(f"cannot be read again: {error}", source="the data") from error
        result = runner.carry_out()
        if result.bars != bars:
            raise NotRepeatable(
                f"gave {bars} bars the first time and {result.bars} the second: a source must give "
                "the same bars whenever it is read",
                source="the data",
            )
        return result

    def carry_out(self) -> RunResult:
        """Run what is prepared, in a thread of its own where an event loop is running."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._simulate()
        else:
            with ThreadPoolExecutor(1) as thread:
                thread.submit(self._simulate).result()
        return self.result()


def _range_text(within: DataRange) -> dict[str, Any]:
    """The range of a run as plain data; nothing for all of the data."""
    return {} if within.is_everything else {"range": within.text()}


def _one_zone(tz: Any) -> Any:
    """The zone of all data; None, which is UTC, where it is read in several."""
    if isinstance(tz, Mapping):
        tz = list(tz.values())
    if not isinstance(tz, list | tuple):
        return tz
    zones = dict.fromkeys(str(_one_zone(one)) for one in tz)
    return _one_zone(tz[0]) if len(zones) == 1 else None
