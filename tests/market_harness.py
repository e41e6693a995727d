"""A small market for tests: strategies that trade with each other, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import evolve, frozen

from backtest.actors import AccountActor, OrderEvent, StrategyHost, System
from backtest.actors.exchange.actor import ExchangeActor
from backtest.actors.exchange.market import MarketSpec
from backtest.actors.exchange.session import Phase, SessionActor
from backtest.ids import IdSource, id_of
from backtest.models import Account, Agent, Asset, TradingPair, TradingRules
from backtest.services.valuation import Valuation
from backtest.strategies import Strategy
from backtest.testing.audit.oracle import Oracle
from backtest.times import HOUR, SECOND
from tests.harness import D

__all__ = ["START", "Does", "Market", "market_pair", "play_market"]

START = 10 * HOUR
"""When markets open in these tests."""


def market_pair(
    code: str = "BTCUSD", tick: str = "0.01", lot: str = "1", size: str = "1"
) -> TradingPair:
    """A pair with cents and whole units, whose amounts are easy to work out by hand."""
    return TradingPair(
        code,
        Asset(code[:3], 2),
        Asset(code[3:], 2),
        price_increment=D(tick),
        volume_increment=D(lot),
        contract_size=D(size),
    )


@frozen
class Market:
    """What a market came to."""

    system: System
    exchange: ExchangeActor
    account: AccountActor

    def balance(self, name: str, asset: str = "USD") -> tuple[Decimal, Decimal]:
        """Available and unavailable."""
        return self.account.ledger.balances()[name].get(asset, (D(0), D(0)))

    @property
    def trades(self) -> list[tuple[Decimal, Decimal, str, str]]:
        """Price, volume, buyer and seller of each trade."""
        return [(one.price, one.volume, one.buyer, one.seller) for one in self.exchange.trades_log]


def play_market(
    strategies: Mapping[str, Strategy],
    cash: Mapping[str, Mapping[str, str | int]],
    *,
    pair: TradingPair | None = None,
    rules: TradingRules | None = None,
    price: str = "100",
    until: int = 60 * SECOND,
    phases: Sequence[tuple[int, str]] = (),
    netting: bool = True,
    insurance: str = "0",
    spot: bool = False,
    whole_every: int = 1,
    seed: int = 1,
    depth_every: int = 0,
    shared: Mapping[str, Sequence[str]] | None = None,
    cross: Collection[str] = (),
    hedging: Collection[str] = (),
    more: Sequence[MarketSpec] = (),
    prepare: Callable[[System], None] | None = None,
    **spec: Any,
) -> Market:
    """Let ``strategies`` trade for a minute; each has the account of its name, and those of others
    that are ``shared`` with it. ``cross`` names those with cross margin, ``hedging`` those that do
    not net; ``more`` are markets beside the first. ``prepare`` is given the system before it
    begins."""
    system = System(seed)
    one = market_pair() if pair is None else pair
    market = MarketSpec(
        pair=one,
        rules=evolve(rules or TradingRules(), spot_allowed=spot, trading_allowed=not spot),
        reference_price=D(price),
        **spec,
    )
    run_id = id_of(f"{seed}")
    ids = IdSource(run_id, "party")
    accounts = {
        name: Account(
            ids.draw(),
            name,
            next(iter(owned)),
            margin_mode="cross" if name in cross else "isolated",
            netting=netting and name not in hedging,
        )
        for name, owned in cash.items()
    }
    agents = {}
    for name in strategies:
        own = tuple(accounts[one] for one in (name, *(shared or {}).get(name, ())))
        agent = Agent(ids.draw(), name, tuple(account.account_id for account in own))
        agents[f"strategy/{name}"] = (agent, own)
    markets = {spec.pair.code: spec for spec in (market, *more)}
    valuation = Valuation(one.quote.code, [spec.pair for spec in markets.values()])
    opening = [(name, asset, D(sum_)) for name, own in cash.items() for asset, sum_ in own.items()]
    system.begin_at(START)
    ledger = AccountActor(list(accounts), opening, [("USD", D(insurance))])
    exchange = ExchangeActor(ids.draw(), run_id, markets, agents, valuation)
    exchange.publication.depth_every = depth_every
    day = [(START + at, Phase(one.code, phase)) for at, phase in phases]  # type: ignore[arg-type]
    session = SessionActor(START, START + until, day)
    for actor in (ledger, exchange, session):
        system.add(actor)
    for name, strategy in strategies.items():
        system.add(StrategyHost(f"strategy/{name}", strategy))
    if prepare is not None:
        prepare(system)
    # All invariants, after every message; all of the accounts at each so many where they are many.
    oracle = Oracle(system, whole_every=whole_every)
    system.simulate()
    oracle.finish()
    return Market(system, exchange, ledger)


class Does(Strategy):
    """An agent that does what a coroutine says, and keeps what it was told of its orders."""

    script: Any = None

    def on_start(self) -> None:
        self.heard: list[OrderEvent] = []

    def on_order(self, event: OrderEvent) -> None:
        self.heard.append(event)

    async def run(self) -> None:
        await self.script(self)

    @property
    def kinds(self) -> list[str]:
        """What happened to its orders, in order."""
        return [event.kind.value for event in self.heard]
