"""The runner: it assembles the actors of a run, runs them, and gives back the result."""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta, tzinfo
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import anyio.to_thread
from attrs import define, evolve, field

from backtest.actors import (
    AccountActor,
    BrokerActor,
    Envelope,
    FixedLatency,
    Latency,
    LinkLatencies,
    MarketData,
    SimulatedClock,
    StrategyHost,
    System,
)
from backtest.actors.ids import IdSource
from backtest.actors.system import STALL_BOUND
from backtest.again import book_on_path, restored, snapshot
from backtest.analysis.result import RunResult
from backtest.config import RuleBook, cash_of, pair_of, read_rules
from backtest.data import BarSource, SeveralSources, TickSource, merge, open_data, parts_of
from backtest.errors import ConfigError, DataError, NotRepeatable
from backtest.models import (
    HOUSE,
    Account,
    Agent,
    BacktestRun,
    Bar,
    FeeStage,
    MarketEvent,
    Quote,
    Trade,
    TradingPair,
    TradingRules,
)
from backtest.models.fill_policy import policy_text
from backtest.money import is_multiple, plain
from backtest.services.valuation import Valuation
from backtest.strategies import Strategy
from backtest.times import duration_ns

__all__ = ["BacktestRunner", "run", "run_async"]

Source = BarSource | TickSource | SeveralSources
_ACCOUNT_OPTIONS = ("margin_mode", "collateral", "netting")


@define(kw_only=True)
class BacktestRunner:
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
        bar, stamp, tz, stream: how ``data`` is read; see `backtest.data.open_data`.
        seed: the root of every id and random stream.
        latency: between strategies and the venue, both ways: a length of time or a `Latency`; or
            by link: ``{"orders": "20ms", "market_data": "5ms", "order_events": "10ms"}``.
        insurance_fund: what the insurance account starts with, by asset.
        inbox_bound: messages that may wait for a strategy.
        stall_bound: steps at one simulated time beyond which the run ends with a `Livelock`.
        progress: called with the number of bars now and then.

    Raises `ConfigError` and `DataError` for what cannot be run, and what a strategy raises.
    """

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
    bar: int | str | timedelta | None = None
    stamp: str = "open"
    tz: str | tzinfo | None = None
    stream: bool = False
    seed: int = 0
    latency: (
        Latency
        | LinkLatencies
        | Mapping[str, Latency | str | int | float | timedelta]
        | str
        | int
        | float
        | timedelta
        | None
    ) = None
    insurance_fund: Mapping[str, Any] = field(factory=dict)
    inbox_bound: int = 100_000
    stall_bound: int = STALL_BOUND
    progress: Callable[[int], None] | None = None
    observer: Callable[[System, Envelope], None] | None = None
    tracer: Callable[[Envelope], None] | None = None
    system: System = field(init=False)
    _parts: Any = field(init=False, default=None)
    _given: Any = field(init=False, default=None)
    _opened: Any = field(init=False, default=None)

    def run(self) -> RunResult:
        """Run to the end of the data. Not inside a running event loop: there, `run_async`."""
        self.prepare()
        _refuse_running_loop()
        self.system.simulate()
        return self.result()

    async def run_async(self) -> RunResult:
        """The same from inside a running loop: the simulation runs in a thread of its own."""
        self.prepare()
        await anyio.to_thread.run_sync(self.system.simulate)
        return self.result()

    # -- assembling --------------------------------------------------------------------------------

    def prepare(self) -> System:
        """Read the configuration, open the data and assemble the actors; nothing runs yet."""
        if self._parts is not None:
            raise ConfigError("this runner has run already: make a new one, with new strategies")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise ConfigError(f"seed must be a whole number, not {self.seed!r}")
        cash = cash_of(self.cash)
        book = read_rules(self.rules, self.profile)
        strategies = _named(self.strategies)
        self._given = {name: snapshot(strategy) for name, strategy in strategies.items()}
        assets = list(dict.fromkeys(asset for owned in cash.values() for asset in owned))
        if self._opened is None:
            self._opened = self._open(assets, book)
        sources, pairs = self._opened
        rules = {code: book.rules(code) for code in pairs}
        for code in (*book.by_pair, *book.pairs):
            if code not in pairs:
                raise ConfigError(f"the rules name pair {code!r}, which is not in the data")
        _check_precision(cash, pairs, book)
        system = self.system = System(self.seed, SimulatedClock())
        system.stall_bound = self.stall_bound
        ids = IdSource(system.random_for("ids"))
        run_id, broker_id = ids.draw(), ids.draw()
        options = self._account_options(cash, book)
        accounts = {
            name: Account(ids.draw(), name, next(iter(cash[name])), **options.get(name, {}))
            for name in cash
        }
        house = {name: Account(ids.draw(), name, assets[0], is_house=True) for name in HOUSE}
        owners = {name: self._accounts_of(name, accounts) for name in strategies}
        agents = {}
        for name, owned in owners.items():
            own = tuple(accounts[one] for one in owned)
            agent = Agent(ids.draw(), name, tuple(one.account_id for one in own))
            agents[f"strategy/{name}"] = (agent, own)
        valuation = Valuation(assets[0], list(pairs.values()))
        parts = [part for source in sources.values() for part in parts_of(source)]
        market = MarketData(self._counted(merge(parts)))
        first = market.first
        if first is None:
            raise DataError("there are no bars in the data")
        several = [code for code, source in sources.items() if len(parts_of(source)) > 1]
        system.now = system.clock.ns = first.open_ns  # type: ignore[attr-defined]
        opening = [
            (name, asset, sum_) for name, owned in cash.items() for asset, sum_ in owned.items()
        ]
        fund = [
            (asset, cash_of({asset: sum_})["main"][asset])
            for asset, sum_ in self.insurance_fund.items()
        ]
        ledger = system.add(AccountActor(list(accounts), opening, fund))
        trading = {code: (pair, rules[code]) for code, pair in pairs.items()}
        broker = system.add(BrokerActor(broker_id, run_id, trading, agents, valuation, several))
        system.add(market)
        for name, strategy in strategies.items():
            host = StrategyHost(
                f"strategy/{name}",
                strategy,
                inbox_bound=self.inbox_bound,
                latency=self._latency(),
            )
            system.add(host)
        if self.observer is not None:
            observer = self.observer
            system.observer = lambda envelope: observer(system, envelope)
        system.tracer = self.tracer
        self._parts = {
            "run": BacktestRun(run_id, self.seed, first.open_ns),
            "ledger": ledger,
            "broker": broker,
            "accounts": {**accounts, **house},
            "owners": owners,
            "agents": {
                agent.agent_id: name.removeprefix("strategy/")
                for name, (agent, _) in agents.items()
            },
            "strategies": strategies,
            "pairs": pairs,
            "book": book,
            "rules": rules,
            "cash": cash,
            "sources": sources,
            "valuation": valuation,
        }
        return system

    def _open(
        self, cash_assets: list[str], book: RuleBook
    ) -> tuple[dict[str, Source], dict[str, TradingPair]]:
        if isinstance(self.data, Mapping):
            if self.pair is not None:
                raise ConfigError(
                    "give the pairs as the keys of data, or one pair beside it, not both"
                )
            wanted = dict(self.data)
        elif self.pair is None:
            first = self.data[0] if _is_several(self.data) else self.data
            code = getattr(first, "pair", None)
            if not isinstance(code, str):
                raise ConfigError("which pair is the data of? Give pair='BTCUSD'")
            wanted = {code: self.data}
        else:
            wanted = {self.pair: self.data}
        if not wanted:
            raise ConfigError("there is no data: give at least one pair")
        sources: dict[str, Source] = {}
        pairs = {}
        for key, data in wanted.items():
            pair = pair_of(key, cash_assets, book)
            pairs[pair.code] = pair
            if isinstance(data, SeveralSources):
                data = data.parts
            if _is_several(data):
                opened = [self._source(one, pair) for one in data]
                sources[pair.code] = opened[0] if len(opened) == 1 else SeveralSources(opened)
            else:
                sources[pair.code] = self._source(data, pair)
        return sources, pairs

    def _source(self, data: Any, pair: TradingPair) -> BarSource | TickSource:
        return open_data(data, pair, bar=self.bar, stamp=self.stamp, tz=self.tz, stream=self.stream)

    def _account_options(
        self, cash: Mapping[str, Any], book: RuleBook
    ) -> dict[str, dict[str, Any]]:
        """What `Account` takes beside its id, name and asset, by account."""
        for name in book.accounts:
            if name not in cash:
                raise ConfigError(
                    f"the rules name account {name!r}, but cash is given for: {', '.join(cash)}"
                )
        general: dict[str, Any] = {}
        if self.margin_mode is not None:
            general["margin_mode"] = self.margin_mode
        if self.collateral:
            general["collateral"] = self.collateral
        options = {name: {**general, **book.accounts.get(name, {})} for name in cash}
        for name in self._netting(cash):
            options[name].setdefault("netting", True)
        for name, own in options.items():
            for option in own:
                if option not in _ACCOUNT_OPTIONS:
                    raise ConfigError(
                        f"no option of account {name!r} is called {option!r}; known: "
                        f"{', '.join(_ACCOUNT_OPTIONS)}"
                    )
        return options

    def _accounts_of(self, name: str, accounts: Mapping[str, Account]) -> tuple[str, ...]:
        given = self.accounts.get(name)
        if given is None:
            if name in accounts:
                return (name,)
            if len(accounts) == 1:
                return tuple(accounts)
            raise ConfigError(
                f"which of the accounts {', '.join(accounts)} does strategy {name!r} trade on? "
                f"Give accounts={{{name!r}: ...}}"
            )
        owned = (given,) if isinstance(given, str) else tuple(given)
        for one in owned:
            if one not in accounts:
                raise ConfigError(
                    f"strategy {name!r} is to trade on account {one!r}, but cash is given for: "
                    f"{', '.join(accounts)}"
                )
        return owned

    def _netting(self, accounts: Iterable[str]) -> list[str]:
        """The accounts that net."""
        known = list(accounts)
        if isinstance(self.netting, bool):
            return known if self.netting else []
        wanted = [self.netting] if isinstance(self.netting, str) else list(self.netting)
        for one in wanted:
            if one not in known:
                raise ConfigError(
                    f"account {one!r} is to net, but cash is given for: {', '.join(known)}"
                )
        return wanted

    def _latency(self) -> Latency | LinkLatencies | None:
        latency = self.latency
        if latency is None or isinstance(latency, Latency | LinkLatencies):
            return latency
        if not isinstance(latency, Mapping):
            return FixedLatency(duration_ns(latency, "latency"))
        for link in latency:
            if link not in LinkLatencies._fields:
                known = ", ".join(LinkLatencies._fields)
                raise ConfigError(f"no link is called {link!r}; known: {known}")
        return LinkLatencies(
            **{
                link: one
                if isinstance(one, Latency)
                else FixedLatency(duration_ns(one, f"latency of {link}"))
                for link, one in latency.items()
            }
        )

    def _counted(self, events: Iterator[MarketEvent]) -> Iterable[MarketEvent]:
        return events if self.progress is None else _counting(events, self.progress)

    # -- the result --------------------------------------------------------------------------------

    def result(self) -> RunResult:
        """What the run has come to; `run` gives it, so only who runs the system himself asks."""
        parts = self._parts
        run = parts["run"]
        broker: BrokerActor = parts["broker"]
        # What the strategies did after the last bar, at its time, belongs to the run too.
        parts["valuation"].sample(self.system.now)
        sources: Mapping[str, Source] = parts["sources"]
        inputs = {code: source.digest() for code, source in sources.items()}
        return RunResult(
            run=BacktestRun(run.run_id, run.seed, run.start_ns, self.system.now),
            config=self._config(inputs),
            cash_asset=parts["valuation"].cash,
            pairs=parts["pairs"],
            rules=parts["rules"],
            accounts=parts["accounts"],
            strategies=parts["strategies"],
            accounts_of=parts["owners"],
            agents=parts["agents"],
            ledger=parts["ledger"].ledger,
            records=broker.venue.records,
            valuation=parts["valuation"],
            bars=broker.bars,
            ticks=broker.ticks,
            inputs=inputs,
            sources=sources,
            files=_files(self.data, sources),
            versions=_versions(),
            again=self._again,
        )

    def _again(self, path: str) -> RunResult:
        """The same run under another path policy: the same sources, read again from the start."""
        parts = self._parts
        for code, source in parts["sources"].items():
            if isinstance(source, Iterator):
                raise NotRepeatable(
                    "can be read only once, and the run is to be repeated: give a file, a "
                    "dataframe or a list",
                    source=f"the source of {code}",
                )
        runner = evolve(
            self,
            strategies={name: restored(one) for name, one in self._given.items()},
            rules=book_on_path(parts["book"], parts["rules"], path),
            profile=None,
            progress=None,
            observer=None,
            tracer=None,
        )
        runner._opened = self._opened
        bars = parts["broker"].bars
        try:
            runner.prepare()
        except DataError as error:
            raise NotRepeatable(f"cannot be read again: {error}", source="the data") from error
        result = runner._simulated()
        if result.bars != bars:
            raise NotRepeatable(
                f"gave {bars} bars the first time and {result.bars} the second: a source must give "
                "the same bars whenever it is read",
                source="the data",
            )
        return result

    def _simulated(self) -> RunResult:
        """Run what is prepared, in a thread of its own where an event loop is running."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self.system.simulate()
        else:
            with ThreadPoolExecutor(1) as thread:
                thread.submit(self.system.simulate).result()
        return self.result()

    def _config(self, inputs: Mapping[str, str]) -> dict[str, Any]:
        parts = self._parts
        return {
            "seed": self.seed,
            "strategies": {
                name: {
                    "class": f"{type(strategy).__module__}.{type(strategy).__qualname__}",
                    "parameters": {k: _plain(v) for k, v in strategy.parameters.items()},
                    "accounts": list(parts["owners"][name]),
                }
                for name, strategy in parts["strategies"].items()
            },
            "cash": {
                account: {asset: plain(amount) for asset, amount in owned.items()}
                for account, owned in parts["cash"].items()
            },
            "accounts": {
                name: {
                    "margin_mode": account.margin_mode,
                    "netting": account.netting,
                    "collateral": {asset: plain(w) for asset, w in account.collateral.items()},
                }
                for name, account in parts["accounts"].items()
                if not account.is_house
            },
            "pairs": {code: _pair_text(pair) for code, pair in parts["pairs"].items()},
            "rules": {code: rules_text(rules) for code, rules in parts["rules"].items()},
            "data": {
                code: {**_data_text(source), "sha256": inputs[code]}
                for code, source in parts["sources"].items()
            },
            "stamp": self.stamp,
            "tz": str(self.tz) if self.tz is not None else "UTC",
            "latency": _latency_text(self.latency),
            "insurance_fund": {asset: str(amount) for asset, amount in self.insurance_fund.items()},
        }


def run(strategies: Any, **settings: Any) -> RunResult:
    """Run a backtest: ``backtest.run(Crossing(fast=5), data="btc.csv", pair="BTCUSD",
    cash="100000 USD", seed=7)``. The settings are those of `BacktestRunner`."""
    return BacktestRunner(strategies=strategies, **settings).run()


async def run_async(strategies: Any, **settings: Any) -> RunResult:
    """`run` for use inside a running event loop (a notebook, a server, an async test)."""
    return await BacktestRunner(strategies=strategies, **settings).run_async()


def _refuse_running_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise ConfigError("an event loop is running here: use await backtest.run_async(...) instead")


def _check_precision(
    cash: Mapping[str, Mapping[str, Decimal]], pairs: Mapping[str, TradingPair], book: RuleBook
) -> None:
    """Refuse opening balances that have more digits than their asset."""
    known = {one.code: one for pair in pairs.values() for one in (pair.base, pair.quote)}
    for account, owned in cash.items():
        for code, amount in owned.items():
            asset = known.get(code) or book.asset(code)
            if not is_multiple(amount, asset.step):
                raise ConfigError(
                    f"{account}'s cash of {amount} {code} has more digits than {code}: "
                    f"{asset.precision} after the point"
                )


def _named(strategies: Any) -> dict[str, Strategy]:
    """The strategies by name; a class name in lower case where none was given."""
    if isinstance(strategies, Strategy):
        strategies = [strategies]
    if isinstance(strategies, Mapping):
        named = dict(strategies)
    else:
        named = {}
        for strategy in strategies:
            name = stem = type(strategy).__name__.lower()
            number = 1
            while name in named:
                number += 1
                name = f"{stem}-{number}"
            named[name] = strategy
    if not named:
        raise ConfigError("there is no strategy to run")
    for name, strategy in named.items():
        if isinstance(strategy, type):
            raise ConfigError(
                f"{strategy.__name__} is a class: give an instance, {strategy.__name__}()"
            )
        if not isinstance(strategy, Strategy):
            raise ConfigError(f"{name} is not a Strategy but a {type(strategy).__name__}")
        if hasattr(strategy, "_host"):
            raise ConfigError(f"strategy {name!r} has run already: make a new one for each run")
    if len(set(named.values())) < len(named):  # strategies compare by identity
        raise ConfigError("the same strategy object is given twice: make one for each name")
    return named


def _is_several(data: Any) -> bool:
    """Whether ``data`` are several sources of one pair, not one list of bars or ticks."""
    if not isinstance(data, list | tuple) or not data:
        return False
    return not any(isinstance(one, Bar | Quote | Trade) for one in data)


def _data_text(source: Source) -> dict[str, Any]:
    """What ``source`` holds, as plain data."""
    if isinstance(source, SeveralSources):
        return {"sources": [{**_data_text(one), "sha256": one.digest()} for one in source.parts]}
    return {"kind": source.kind} if isinstance(source, TickSource) else {"bar_ns": source.bar_ns}


def _files(data: Any, sources: Mapping[str, Source]) -> dict[str, list[str]]:
    """The names of data files by pair, as they were given."""
    given = list(data.values()) if isinstance(data, Mapping) else [data]
    files: dict[str, list[str]] = {}
    for code, one in zip(sources, given, strict=True):
        several = list(one) if _is_several(one) else [one]
        if all(isinstance(name, str | os.PathLike) for name in several):
            files[code] = [os.fspath(name) for name in several]
    return files


def _counting(
    events: Iterator[MarketEvent], progress: Callable[[int], None]
) -> Iterator[MarketEvent]:
    count = 0
    for count, event in enumerate(events, 1):
        if count & 0x3FFF == 0:
            progress(count)
        yield event
    progress(count)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("backtest-actors", "anyio", "attrs", "structlog"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value) if not hasattr(value, "draw") else type(value).__name__


def _latency_text(latency: Any) -> Any:
    if isinstance(latency, LinkLatencies):
        latency = {link: one for link, one in latency._asdict().items() if one is not None}
    if isinstance(latency, Mapping):
        return {link: _latency_text(one) for link, one in latency.items()}
    return policy_text(latency) if isinstance(latency, Latency) else _plain(latency)


def _pair_text(pair: TradingPair) -> dict[str, Any]:
    return {
        "base": pair.base.code,
        "base_precision": pair.base.precision,
        "quote": pair.quote.code,
        "quote_precision": pair.quote.precision,
        "price_increment": plain(pair.price_increment),
        "volume_increment": plain(pair.volume_increment),
        "min_volume": plain(pair.least_volume),
        "min_notional": plain(pair.min_notional),
        "contract_size": plain(pair.contract_size),
    }


def rules_text(rules: TradingRules) -> dict[str, Any]:
    """Trading rules as plain data."""
    text: dict[str, Any] = {}
    for name, value in rules.__dict__.items():
        if name == "fees":
            text[name] = {
                stage.value: [
                    [
                        fee.kind.value,
                        plain(fee.rate),
                        None if fee.maker_rate is None else plain(fee.maker_rate),
                    ]
                    for fee in rules.fees_at(stage)
                ]
                for stage in FeeStage
                if rules.fees_at(stage)
            }
        elif name == "maintenance_tiers":
            text[name] = value and [
                [None if one is None else plain(one) for one in (t.up_to, t.rate, t.max_leverage)]
                for t in value
            ]
        elif name == "funding":
            text[name] = value and value.as_data()
        elif name == "fills":
            text[name] = {} if value is None else value.text()
        elif name == "allowed_directions":
            text[name] = sorted(one.value for one in value)
        elif hasattr(value, "as_tuple"):
            text[name] = plain(value)
        elif hasattr(value, "value"):
            text[name] = value.value
        elif name == "calendar" and not isinstance(value, str):
            text[name] = value.name
        else:
            text[name] = value
    return text
