"""A whole simulation in one call: scripted bars, scripted strategies, and the oracle watching."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from backtest.actors import (
    AccountActor,
    Actor,
    BrokerActor,
    EventKind,
    MarketData,
    OrderEvent,
    StrategyHost,
    System,
)
from backtest.errors import ConfigError, OrderRejected, RejectReason
from backtest.ids import id_of
from backtest.models import Account, Agent, Bar, MarketEvent, TradingPair, TradingRules
from backtest.money import decimal_of
from backtest.services.cadence import Cadence
from backtest.services.valuation import Valuation
from backtest.strategies import Strategy

from .audit.oracle import Oracle
from .making import pair_of
from .world import World

__all__ = [
    "Script",
    "Scripted",
    "assemble",
    "assets_of",
    "conclude",
    "pairs_for",
    "play",
    "refused",
]

Script = Callable[[Any], Awaitable[None]]
"""``async def script(me)``: what a strategy does, line by line; ``me`` is a `Scripted`."""


class Scripted(Strategy):
    """A strategy that does what ``script`` says, and remembers every order event."""

    script: Script
    pair: str = "BTCUSD"

    def on_start(self) -> None:
        self.heard: list[OrderEvent] = []
        self.has_finished = False
        self.stream: AsyncIterator[Bar] = self.bars(self.pair)

    async def next(self, count: int = 1) -> Bar:
        """Wait for the next bar of its pair (``count`` bars)."""
        for _ in range(count - 1):
            await anext(self.stream)
        return await anext(self.stream)

    def on_order(self, event: OrderEvent) -> None:
        self.heard.append(event)

    async def run(self) -> None:
        try:
            await self.script(self)
        except StopAsyncIteration:
            raise AssertionError("the script asked for more bars than there are") from None
        self.has_finished = True

    def told(self, *kinds: EventKind) -> list[tuple[str, str | None]]:
        """Kind and reason of the order events so far, of ``kinds`` or of all."""
        return [
            (one.kind.value, None if one.reason is None else one.reason.value)
            for one in self.heard
            if not kinds or one.kind in kinds
        ]


def play(
    bars: Iterable[MarketEvent],
    *scripts: Script | Strategy,
    cash: Mapping[str, Any] | None = None,
    rules: TradingRules | Mapping[str, TradingRules] | None = None,
    pairs: Sequence[TradingPair] = (),
    own: Sequence[Sequence[str]] = (),
    insurance: Sequence[tuple[str, Decimal]] = (),
    seed: int = 7,
    prepare: Callable[[System], None] | None = None,
    kinds: Sequence[type[Strategy]] = (),
    finishes: bool = True,
    accounts: Mapping[str, Mapping[str, Any]] | None = None,
) -> World:
    """Run ``scripts`` (or strategies) against ``bars``, the oracle watching; what became of it.

    Quotes and trades may be among the bars; of one time the finer first.

    ``cash`` is by asset (of the account ``main``; 1000 of the first pair's quote asset, or USD, if
    left out), or by account and asset; ``own`` the accounts of each strategy (``main``, or else the
    first, if left out). ``pairs`` are those of the bars, as `pair_of` makes them, quoted in the
    cash asset that their code ends with, unless given. Equity is in the first cash asset that is
    some pair's quote. ``kinds`` are
    classes of strategies that join, too; ``prepare`` is called with the system before it runs.
    ``accounts`` are options of `Account` by name: ``{"main": {"margin_mode": "cross"}}``.

    Raises what the run raises, `InvariantBroken` among it, and `AssertionError` when a script did
    not come to its end: a wait in vain would skip what it asserts (``finishes=False`` allows it).
    """
    market = MarketData(bars)
    if market.first is None:
        raise ConfigError("there are no bars to play: give at least one")
    strategies: list[Strategy | Script] = [*scripts, *(kind() for kind in kinds)]
    listed = bars if isinstance(bars, Sequence) else [market.first]
    codes = list(dict.fromkeys(one.pair for one in listed))
    pairs = pairs or pairs_for(codes, cash)
    world = assemble(
        market, strategies, cash, rules, pairs, own, insurance, seed, market.first.open_ns, accounts
    )
    if isinstance(bars, Sequence):
        for code in codes:
            by_length: dict[int, list[Bar]] = {}
            for one in bars:
                if one.pair == code and isinstance(one, Bar):
                    by_length.setdefault(one.length, []).append(one)
            cadences = [Cadence.of(by_length[length]) for length in sorted(by_length)]
            world.venue.books[code].expect(cadences)
    return conclude(world, prepare, finishes)


def conclude(
    world: World, prepare: Callable[[System], None] | None = None, finishes: bool = True
) -> World:
    """Run an assembled world and check it when it is over."""
    if prepare is not None:
        prepare(world.system)
    world.system.simulate()
    if not world.oracle.checks:
        raise AssertionError("the oracle saw nothing: `prepare` took the observer away")
    world.oracle.finish()
    for name, one in world.strategies.items():
        if finishes and not getattr(one, "has_finished", True):
            raise AssertionError(f"the script of {name} waited in vain")
    if world.equity != world.counted_equity:
        raise AssertionError(f"equity is {world.equity}, counted {float(world.counted_equity)}")
    return world


def assemble(
    market: Actor,
    scripts: Sequence[Script | Strategy],
    cash: Mapping[str, Any] | None = None,
    rules: TradingRules | Mapping[str, TradingRules] | None = None,
    pairs: Sequence[TradingPair] = (),
    own: Sequence[Sequence[str]] = (),
    insurance: Sequence[tuple[str, Decimal]] = (),
    seed: int = 7,
    start_ns: int = 0,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> World:
    """The actors of a simulation, with ``market`` as the source of its market events; not run."""
    pairs = pairs or (pair_of(),)
    by_account = _by_account({pairs[0].quote.code: "1000"} if cash is None else cash)
    quotes = [pair.quote.code for pair in pairs]
    equity = next((one for one in assets_of(by_account) if one in quotes), quotes[0])
    codes = [pair.code for pair in pairs]
    system = System(seed)
    system.begin_at(start_ns)
    accounts = {
        name: Account(UUID(int=100 + place), name, **{"settlement_asset": equity, **more})
        for place, name in enumerate(by_account)
        for more in [(options or {}).get(name, {})]
    }
    opening = [
        (name, asset, decimal_of(amount, "cash"))
        for name, owned in by_account.items()
        for asset, amount in owned.items()
    ]
    agents, strategies = {}, {}
    default = "main" if "main" in accounts else next(iter(accounts))
    for place, one in enumerate(scripts):
        listens = "BTCUSD" if "BTCUSD" in codes else codes[0]
        strategy = one if isinstance(one, Strategy) else Scripted(script=one, pair=listens)
        owned = tuple(accounts[name] for name in (own[place] if own else (default,)))
        ids = tuple(account.account_id for account in owned)
        agents[f"s{place}"] = (Agent(UUID(int=200 + place), f"s{place}", ids), owned)
        strategies[f"s{place}"] = strategy
    trading = {}
    for pair in pairs:
        rule = rules.get(pair.code) if isinstance(rules, Mapping) else rules
        trading[pair.code] = (pair, rule or TradingRules())
    system.add(AccountActor(list(by_account), opening, insurance))
    valuation = Valuation(equity, list(pairs))
    system.add(BrokerActor(UUID(int=1), id_of(f"{seed}"), trading, agents, valuation))
    system.add(market)
    for name, strategy in strategies.items():
        system.add(StrategyHost(name, strategy))
    world = World(system, {n: one.account_id for n, one in accounts.items()}, Oracle(system))
    world.strategies.update(strategies)
    return world


def _by_account(cash: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """``cash`` by account and asset: that of ``main`` where it is by asset."""
    return cash if any(isinstance(one, Mapping) for one in cash.values()) else {"main": cash}


def assets_of(cash: Mapping[str, Any] | None) -> list[str]:
    """The assets of ``cash``, in their order."""
    return [asset for owned in _by_account(cash or {}).values() for asset in owned]


def pairs_for(codes: Sequence[str], cash: Mapping[str, Any] | None) -> list[TradingPair]:
    """The pairs called ``codes``, each quoted in the first cash asset that its code ends with."""
    made = []
    for code in codes:
        quote = next((one for one in assets_of(cash) if code.endswith(one) and code != one), "USD")
        made.append(pair_of(code, quote=quote))
    return made


async def refused(me: Any, what: Callable[[], Any], reason: RejectReason) -> OrderRejected:
    """``what()`` is refused for ``reason``, and money, orders and journal are as they were."""
    ledger = me._host.system.actors["account"].ledger
    before = (len(ledger.entries), ledger.balances(), len(me.open_orders()))
    try:
        await what()
    except OrderRejected as refusal:
        if refusal.reason is not reason:
            raise AssertionError(f"refused for {refusal.reason}, not for {reason}") from refusal
        if not refusal.detail:
            raise AssertionError(f"{reason} comes without a sentence") from refusal
        if (len(ledger.entries), ledger.balances(), len(me.open_orders())) != before:
            raise AssertionError(f"refused for {reason}, and yet something changed") from refusal
        return refusal
    raise AssertionError(f"the venue did not refuse what it should for {reason}")
