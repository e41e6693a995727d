"""The market runner: it assembles the actors of a market, runs them, and gives back the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, time
from os import PathLike
from time import perf_counter
from typing import Any, Never
from uuid import UUID

from attrs import define, evolve, field, fields

from backtest.actors import Envelope, SessionActor, StrategyHost, System
from backtest.actors.exchange.actor import ExchangeActor
from backtest.actors.protocol import Kind
from backtest.errors import ConfigError
from backtest.ids import IdSource
from backtest.markets.hours import phases
from backtest.markets.latencies import latencies_of, latency_text
from backtest.markets.participants import Member, cast_of, filled
from backtest.markets.population import FILLED
from backtest.markets.record import depth_interval
from backtest.markets.result import MarketResult
from backtest.markets.scenario import Scenario
from backtest.markets.shipped import load
from backtest.models import HOUSE, Account, Agent, BacktestRun
from backtest.money import plain
from backtest.receipt import run_id_of
from backtest.runs.any_runner import AnyRunner
from backtest.runs.assembly import Assembly, ledger_of
from backtest.runs.config import RuleBook, cash_of, check_precision
from backtest.runs.manifest import manifest
from backtest.runs.participants import named, told_oddities
from backtest.runs.parties import NIL, Parties
from backtest.runs.run import takes_what
from backtest.services.fundamental import Fundamental
from backtest.services.valuation import Valuation
from backtest.strategies import Strategy
from backtest.strategies.keywords import unknown_keyword
from backtest.strategies.parameters import parameters_of

__all__ = ["MarketRunner", "run_market", "run_market_async"]


@define(kw_only=True)
class MarketRunner(AnyRunner[MarketResult]):
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

    awaited = "await backtest.markets.run_market_async(...)"

    scenario: Scenario | str | PathLike[str]
    strategies: Any = ()
    cash: Any = None
    seed: int | None = None
    agents: int | None = None
    until: datetime | time | str | None = None
    latency: Any = None
    progress: Callable[[int, int], None] | None = None
    exchange: ExchangeActor = field(init=False)
    members: dict[str, Member] = field(init=False, factory=dict)
    """The agents by name, once `prepare` has made them."""
    _scenario: Scenario = field(init=False)
    _worths: dict[str, Fundamental | None] = field(init=False, factory=dict)
    _wall_s: float = field(init=False, default=0.0)
    _joined: list[str] = field(init=False, factory=list)
    """The names of the strategies of the user's."""

    def _simulate(self) -> None:
        began = perf_counter()
        super()._simulate()
        self._wall_s = perf_counter() - began

    # -- assembling --------------------------------------------------------------------------------

    def prepare(self) -> System:
        """Make the agents, their accounts and the exchange; nothing runs yet."""
        self._check()
        scenario = self._scenario = self._settled()
        seed, start, until = scenario.seed, scenario.start_ns, scenario.until_ns
        self._worths = {one.code: one.worth(seed, start) for one in scenario.pairs}
        self.members = {one.name: one for one in cast_of(scenario, seed, self._worths)}
        self._join(scenario)
        pairs = {one.code: one.pair for one in scenario.pairs}
        rules = {one.code: one.rules for one in scenario.pairs}
        strategies = {name: one.strategy for name, one in self.members.items()}
        cash = {name: one.cash for name, one in self.members.items()}
        check_precision(cash, pairs, RuleBook())
        asset = scenario.pairs[0].pair.settlement.code
        bounds = self._begun(seed, len(self.members), len(pairs))
        self.system.begin_at(start)
        accounts = self._accounts(asset, scenario.netting)
        told = manifest(
            seed=seed,
            strategies=strategies,
            about=self._about(),
            cash=cash,
            accounts=accounts,
            pairs=pairs,
            rules=rules,
            sources={},
            settings={**self._settings(), **bounds},
            latency=scenario.latency,
        )
        told.notices += told_oddities(strategies.values(), self.system.log)
        run_id = run_id_of(told.config)
        parties = _parties(run_id, accounts, asset)
        valuation = Valuation(asset, list(pairs.values()))
        specs = {one.code: one.spec(start) for one in scenario.pairs}
        exchange = ExchangeActor(parties.venue_id, run_id, specs, parties.agents, valuation)
        exchange.publication.depth_every = depth_interval(start, until)
        self.exchange = exchange
        day = [
            change for one in scenario.pairs for change in phases(one.code, one.hours, start, until)
        ]
        return self._assembled(
            Assembly(
                system=self.system,
                run=BacktestRun(run_id, seed, start),
                manifest=told,
                ledger=ledger_of(cash, scenario.insurance_fund),
                venue=exchange,
                market=SessionActor(start, until, day, progress=self._told()),
                hosts=[self._host(name, member) for name, member in self.members.items()],
                parties=parties,
                owners={name: (name,) for name in self.members},
                strategies=strategies,
                pairs=pairs,
                rules=rules,
                valuation=valuation,
            )
        )

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

    def _accounts(self, asset: str, netting: bool) -> dict[str, Account]:
        """The accounts of the agents by name, without ids still."""
        return {
            name: Account(
                NIL,
                name,
                next(iter(member.cash), asset),
                margin_mode=member.margin_mode,  # type: ignore[arg-type]
                netting=netting,
            )
            for name, member in self.members.items()
        }

    def _about(self) -> dict[str, dict[str, Any]]:
        """What there is to tell of each agent, as plain data."""
        return {
            name: {
                "accounts": [name],
                "population": one.population,
                "latency": latency_text(one.latency),
                "computation_ns": one.computation,
            }
            for name, one in self.members.items()
        }

    def _settings(self) -> dict[str, Any]:
        """What there is to tell of the whole market, as plain data."""
        scenario = self._scenario
        fund = {asset: plain(amount) for asset, amount in scenario.insurance_fund.items()}
        return {
            "stamp": "open",
            "tz": "UTC",
            "latency": latency_text(scenario.latency),
            "insurance_fund": fund,
            "market": scenario.text(),
        }

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
        parts, scenario, exchange = self.parts, self._scenario, self.exchange
        # Of who was not looking only the strategies that joined are told: a crowd may well be busy.
        hosts = [one for one in parts.hosts if one.name.removeprefix("strategy/") in self._joined]
        kinds: list[Kind] = ["bars", "quotes", "trades"]
        return MarketResult(
            **parts.left(),
            notices=parts.notices(hosts, dict.fromkeys(parts.pairs, kinds)),
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


def _parties(run_id: UUID, accounts: Mapping[str, Account], cash: str) -> Parties:
    """Give everybody an id, each agent after its account; the house keeps its books in ``cash``."""
    ids = IdSource(run_id, "party")
    venue_id = ids.draw()
    known, agents = {}, {}
    for name, one in accounts.items():
        account = known[name] = evolve(one, account_id=ids.draw())
        agents[f"strategy/{name}"] = (Agent(ids.draw(), name, (account.account_id,)), (account,))
    house = {name: Account(ids.draw(), name, cash, is_house=True) for name in HOUSE}
    return Parties(venue_id, known, house, agents)


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
