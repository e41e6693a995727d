"""The market runner: it assembles the actors of a market, runs them, and gives back the result."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time
from os import PathLike
from time import perf_counter
from typing import Any, Never

from attrs import define, evolve, field, fields

from backtest.actors import (
    AccountActor,
    Envelope,
    SessionActor,
    SimulatedClock,
    StrategyHost,
    System,
)
from backtest.actors.exchange.actor import ExchangeActor
from backtest.actors.kernel.deadlock import stall_bound_of
from backtest.actors.protocol import Kind
from backtest.errors import ConfigError
from backtest.ids import IdSource
from backtest.markets.hours import phases
from backtest.markets.latencies import latencies_of
from backtest.markets.manifest import market_manifest
from backtest.markets.participants import Member, cast_of, filled
from backtest.markets.population import FILLED
from backtest.markets.record import depth_interval
from backtest.markets.result import MarketResult
from backtest.markets.scenario import Scenario
from backtest.markets.shipped import load
from backtest.models import HOUSE, Account, Agent, BacktestRun
from backtest.receipt import run_id_of
from backtest.runs.config import RuleBook, cash_of, check_precision
from backtest.runs.in_thread import refuse_running_loop, run_in_thread
from backtest.runs.manifest import Manifest, versions
from backtest.runs.notices import notices_in_vain, notices_of_unseen
from backtest.runs.participants import check_bounds, named, told_clashes, told_oddities
from backtest.runs.run import takes_what
from backtest.services.fundamental import Fundamental
from backtest.services.valuation import Valuation
from backtest.strategies import Strategy
from backtest.strategies.keywords import unknown_keyword
from backtest.strategies.parameters import parameters_of

__all__ = ["MarketRunner", "run_market", "run_market_async"]


@define(kw_only=True)
class MarketRunner:
    """A market about to be run; `run` carries it out. One runner runs once.

    Args:
        scenario: a `Scenario`, the name of a shipped one, a TOML file, or ``file.py:name``.
        strategies: of yours, which join the crowd: one, several, or a mapping of names to them.
        cash: what each of yours starts with (``"10000 USD"``), or by the name of the strategy; left
            out: what the scenario gives each agent.
        seed, agents, until: in place of the scenario's own: see `Scenario.scaled`, `Scenario.ends`.
        latency: of your strategies' links, in place of the scenario's.
        inbox_bound: messages that may wait for an agent.
        stall_bound: steps at one simulated time beyond which the run ends with a `Livelock`;
            left out: 100 000, or more for a crowd.
        progress: called now and then with the simulated time and the number of messages so far.

    Raises `ConfigError` for what cannot be run, and what an agent raises.
    """

    scenario: Scenario | str | PathLike[str]
    strategies: Any = ()
    cash: Any = None
    seed: int | None = None
    agents: int | None = None
    until: datetime | time | str | None = None
    latency: Any = None
    inbox_bound: int = 100_000
    stall_bound: int | None = None
    progress: Callable[[int, int], None] | None = None
    observer: Callable[[System, Envelope], None] | None = None
    tracer: Callable[[Envelope], None] | None = None
    system: System = field(init=False)
    exchange: ExchangeActor = field(init=False)
    ledger: AccountActor = field(init=False)
    members: dict[str, Member] = field(init=False, factory=dict)
    """The agents by name, once `prepare` has made them."""
    accounts: dict[str, Account] = field(init=False, factory=dict)
    """Theirs and those of the house, by name."""
    _run: BacktestRun | None = field(init=False, default=None)
    _scenario: Scenario = field(init=False)
    _manifest: Manifest = field(init=False)
    _agents: dict[str, tuple[Agent, tuple[Account, ...]]] = field(init=False, factory=dict)
    _valuation: Valuation = field(init=False)
    _worths: dict[str, Fundamental | None] = field(init=False, factory=dict)
    _wall_s: float = field(init=False, default=0.0)
    _joined: list[str] = field(init=False, factory=list)
    """The names of the strategies of the user's."""

    def run(self) -> MarketResult:
        """Run to the end. Not inside a running event loop: there, `run_async`."""
        self.prepare()
        refuse_running_loop("await backtest.markets.run_market_async(...)")
        self._simulate()
        return self.result()

    async def run_async(self) -> MarketResult:
        """The same from inside a running loop: the simulation runs in a thread of its own."""
        self.prepare()
        await run_in_thread(self.system, self._simulate)
        return self.result()

    def _simulate(self) -> None:
        began = perf_counter()
        try:
            self.system.simulate()
        finally:
            agents, notices = self.members.values(), self._manifest.notices
            notices += told_clashes((one.strategy for one in agents), self.system.log, notices)
        self._wall_s = perf_counter() - began

    # -- assembling --------------------------------------------------------------------------------

    def prepare(self) -> System:
        """Make the agents, their accounts and the exchange; nothing runs yet."""
        if self._run is not None:
            raise ConfigError("this runner has run already: make a new one, with new strategies")
        check_bounds(self.inbox_bound, self.stall_bound)
        scenario = self._scenario = self._settled()
        seed, start, until = scenario.seed, scenario.start_ns, scenario.until_ns
        system = self.system = System(seed, SimulatedClock())
        system.begin_at(start)
        self._worths = {one.code: one.worth(seed, start) for one in scenario.pairs}
        self.members = {one.name: one for one in cast_of(scenario, seed, self._worths)}
        self._join(scenario)
        pairs = {one.code: one.pair for one in scenario.pairs}
        cash = {name: one.cash for name, one in self.members.items()}
        check_precision(cash, pairs, RuleBook())
        asset = scenario.pairs[0].pair.settlement.code
        system.stall_bound = stall_bound_of(self.stall_bound, len(self.members), len(pairs))
        bounds = {"inbox_bound": self.inbox_bound, "stall_bound": system.stall_bound}
        told = self._manifest = market_manifest(scenario, self.members, bounds)
        told.notices += told_oddities([one.strategy for one in self.members.values()], system.log)
        run_id = run_id_of(told.config)
        ids = IdSource(run_id, "party")
        venue_id = ids.draw()
        self._open_accounts(ids, asset, scenario.netting)
        valuation = self._valuation = Valuation(asset, list(pairs.values()))
        specs = {one.code: one.spec(start) for one in scenario.pairs}
        opening = [(name, code, sum_) for name, own in cash.items() for code, sum_ in own.items()]
        fund = list(scenario.insurance_fund.items())
        self.ledger = AccountActor(list(self.members), opening, fund)
        agents = {f"strategy/{name}": one for name, one in self._agents.items()}
        self.exchange = ExchangeActor(venue_id, run_id, specs, agents, valuation)
        self.exchange.publication.depth_every = depth_interval(start, until)
        day = [
            change for one in scenario.pairs for change in phases(one.code, one.hours, start, until)
        ]
        session = SessionActor(start, until, day, progress=self._told())
        for actor in (self.ledger, self.exchange, session):
            system.add(actor)
        for name, member in self.members.items():
            system.add(self._host(name, member))
        if self.observer is not None:
            observer = self.observer
            system.observer = lambda envelope: observer(system, envelope)
        system.tracer = self.tracer
        self._run = BacktestRun(run_id, seed, start)
        return system

    def end_ns(self) -> int:
        """When it ends, in nanoseconds, once it is prepared."""
        return self._scenario.until_ns

    def _settled(self) -> Scenario:
        """The scenario with what was asked for in place of its own."""
        scenario = self.scenario if isinstance(self.scenario, Scenario) else load(self.scenario)
        if self.until is not None:
            # Said as it is, so that the manifest tells the moment and not a way to find it.
            end = scenario.ends(self.until)
            scenario = evolve(scenario, until=None, duration=f"{end - scenario.start_ns}ns")
        if self.seed is not None:
            scenario = evolve(scenario, seed=self.seed)
        if self.agents is not None:
            scenario = scenario.scaled(self.agents)
        return scenario

    def _join(self, scenario: Scenario) -> None:
        """Let the strategies of the user's take part, with the money that they were given."""
        if not self.strategies:
            if not self.members:
                raise ConfigError("there are no agents: the scenario has none, and none joins it")
            return
        joining = named(self.strategies)
        self._joined = list(joining)
        if self.cash is None:
            money = dict.fromkeys(joining, scenario.cash)
        else:
            given = cash_of(self.cash, "")
            money = {name: given.get(name, given.get("")) for name in joining}
        for name, strategy in joining.items():
            owned = money[name]
            if owned is None:
                raise ConfigError(f"strategy {name!r} has no cash: give cash='10000 USD'")
            if name in self.members:
                raise ConfigError(f"strategy {name!r} is called like an agent: rename it")
            self._acquaint(strategy)
            self.members[name] = Member(
                name=name,
                strategy=strategy,
                population=name,
                cash=owned,
                margin_mode=scenario.margin_mode,
                latency=latencies_of(self.latency) or scenario.latency,
                computation=0,
            )

    def _acquaint(self, strategy: Strategy) -> None:
        """Tell a strategy the pair, where there is one only, and what that is worth."""
        kind = type(strategy)
        defaults = {one.name: one.default for one in fields(kind) if one.init}  # type: ignore[arg-type]
        # A default counts as not said: the market knows better.
        given = {
            name: value
            for name, value in parameters_of(strategy).items()
            if name not in FILLED or value != defaults[name]
        }
        for name, value in filled(kind, given, self._scenario.pairs, self._worths).items():
            if given.get(name) is not value:
                setattr(strategy, name, value)

    def _open_accounts(self, ids: IdSource, asset: str, netting: bool) -> None:
        for name, member in self.members.items():
            account = Account(
                ids.draw(),
                name,
                next(iter(member.cash), asset),
                margin_mode=member.margin_mode,  # type: ignore[arg-type]
                netting=netting,
            )
            self.accounts[name] = account
            agent = Agent(ids.draw(), name, (account.account_id,))
            self._agents[name] = (agent, (account,))
        for name in HOUSE:
            self.accounts[name] = Account(ids.draw(), name, asset, is_house=True)

    def _host(self, name: str, member: Member) -> StrategyHost:
        return StrategyHost(
            f"strategy/{name}",
            member.strategy,
            inbox_bound=self.inbox_bound,
            latency=member.latency,
            computation=member.computation,
        )

    def _told(self) -> Callable[[int], None] | None:
        progress = self.progress
        if progress is None:
            return None
        return lambda now: progress(now, self.system.events.sequence)

    # -- the result --------------------------------------------------------------------------------

    def result(self) -> MarketResult:
        """What the run has come to; `run` gives it, so only who runs the system himself asks."""
        run, scenario, exchange = self._run, self._scenario, self.exchange
        assert run is not None, "prepare it first"
        self._valuation.sample(self.system.now)
        return MarketResult(
            run=BacktestRun(run.run_id, run.seed, run.start_ns, self.system.now),
            config=self._manifest.config,
            notices=self._notices(),
            cash_asset=self._valuation.cash,
            pairs={one.code: one.pair for one in scenario.pairs},
            rules={one.code: one.rules for one in scenario.pairs},
            accounts=self.accounts,
            strategies={name: one.strategy for name, one in self.members.items()},
            accounts_of={name: (name,) for name in self.members},
            agents={agent.agent_id: name for name, (agent, _) in self._agents.items()},
            ledger=self.ledger.ledger,
            records=exchange.venue.records,
            valuation=self._valuation,
            bars=0,
            inputs={},
            versions=versions(),
            scenario=scenario,
            populations={name: one.population for name, one in self.members.items()},
            trades=exchange.trades_log,
            quotes=exchange.publication.quotes,
            fundamentals=self._worths,
            depths=exchange.publication.depths,
            halts={code: book.halted for code, book in exchange.books.items()},
            messages=self.system.statistics().handled,
            wall_s=self._wall_s,
        )

    def _notices(self) -> list[str]:
        """What a reader of the figures should know; what was not logged before is logged. Of who
        was not looking only the strategies that joined are told: a crowd may well be busy."""
        actors = self.system.actors
        hosts = [
            host
            for name in self._joined
            if isinstance(host := actors[f"strategy/{name}"], StrategyHost)
        ]
        kinds: list[Kind] = ["bars", "quotes", "trades"]
        there = dict.fromkeys((one.code for one in self._scenario.pairs), kinds)
        told = notices_of_unseen(hosts) + notices_in_vain(hosts, there)
        for notice in told:
            self.system.log.warning("run.notice", notice=notice)
        return [*self._manifest.notices, *told]


def run_market(
    scenario: Scenario | str | PathLike[str],
    *joining: Any,
    strategies: Any = (),
    cash: Any = None,
    seed: int | None = None,
    agents: int | None = None,
    until: datetime | time | str | None = None,
    latency: Any = None,
    inbox_bound: int = 100_000,
    stall_bound: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    observer: Callable[[System, Envelope], None] | None = None,
    tracer: Callable[[Envelope], None] | None = None,
    **unknown: Never,
) -> MarketResult:
    """Run a market: ``run_market("reference-day", Mine(), cash="10000 USD", until="10:00")``.

    Strategies of yours join the crowd, each with an account of its own; a mapping gives them
    names. The settings are those of `MarketRunner`.
    """
    return _runner({**locals(), **unknown}).run()


@takes_what(run_market)
async def run_market_async(
    scenario: Scenario | str | PathLike[str], *joining: Any, **settings: Any
) -> MarketResult:
    """`run_market` for use inside a running event loop (a notebook, a server, an async test)."""
    return await _runner({"scenario": scenario, "joining": joining, **settings}).run_async()


def _runner(settings: dict[str, Any]) -> MarketRunner:
    """A runner with ``settings``; an error that says which was meant where one is unknown."""
    settings.pop("unknown", None)
    joining, by_name = settings.pop("joining"), settings.pop("strategies", ())
    strange = settings.keys() - {one.name for one in fields(MarketRunner) if one.init}
    if strange:
        raise unknown_keyword(sorted(strange), run_market)
    if joining and by_name:
        raise ConfigError("strategies are given twice: by position and by name")
    given = joining or by_name
    if isinstance(given, tuple) and len(given) == 1 and not isinstance(given[0], Strategy):
        given = given[0]  # a list or a mapping of them
    return MarketRunner(strategies=given, **settings)
