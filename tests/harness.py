"""A market scripted bar by bar, strategies scripted line by line, and the oracle always on.

::

    async def script(me):
        await me.next()                          # the first bar's close
        order = await me.buy("BTCUSD", 2)
        await me.next()
        assert order.is_filled

    world = play([bar(0, 100), bar(1, 101)], script)
    assert world.journal() == [...]
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from backtest.actors import (
    AccountActor,
    BrokerActor,
    EventKind,
    MarketData,
    OrderEvent,
    StrategyHost,
    System,
)
from backtest.errors import OrderRejected, RejectReason
from backtest.models import Account, Agent, Asset, Bar, TradingPair, TradingRules
from backtest.services.ledger import Row, journal_sha256
from backtest.services.valuation import Valuation
from backtest.strategies import Strategy
from backtest.testing.oracle import Oracle

__all__ = [
    "DAY",
    "HOUR",
    "D",
    "M",
    "Me",
    "World",
    "bar",
    "pair_of",
    "play",
    "refused",
    "rules",
    "text",
]

D = Decimal
M = 60 * 10**9
"""A minute, the length of a bar here."""
HOUR = 60 * M
DAY = 24 * HOUR
HOUSE = ("market", "clearing", "fees", "insurance", "world")


def bar(
    number: int,
    open: int | str,
    high: int | str | None = None,
    low: int | str | None = None,
    close: int | str | None = None,
    volume: int | str | None = None,
    *,
    pair: str = "BTCUSD",
    length: int = M,
    start: int | None = None,
) -> Bar:
    """Bar ``number`` of a row of bars; one price alone makes a flat bar. No volume: no cap."""
    begin = number * length if start is None else start
    top, bottom, last = (D(open if one is None else one) for one in (high, low, close))
    size = None if volume is None else D(volume)
    return Bar(pair, begin, begin + length, D(open), top, bottom, last, size)


def rules(**settings: Any) -> TradingRules:
    """Rules from plain values: ``rules(fees={"fill": {"percent_of_notional": "0.001"}})``."""
    return TradingRules.from_mapping(settings)


class Me(Strategy):
    """A strategy that does what ``script`` says, and remembers every order event."""

    script: Callable[[Any], Awaitable[None]]

    def on_start(self) -> None:
        self.heard: list[OrderEvent] = []
        self.has_finished = False
        self.stream: AsyncIterator[Bar] = self.bars("BTCUSD")

    async def next(self, count: int = 1) -> Bar:
        """Wait for the next bar of BTCUSD (``count`` bars)."""
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


class World:
    """What became of a run."""

    def __init__(self, system: System, names: Mapping[str, UUID], oracle: Oracle) -> None:
        self.system = system
        self.oracle = oracle
        self.names = {account_id: name for name, account_id in names.items()}
        account: Any = system.actors["account"]
        broker: Any = system.actors["broker"]
        self.ledger = account.ledger
        self.venue = broker.venue
        self.records = broker.venue.records
        self.strategies: dict[str, Me] = {}

    def balance(self, asset: str = "USD", account: str = "main") -> tuple[Decimal, Decimal]:
        """Available and unavailable."""
        both: tuple[Decimal, Decimal] = self.ledger.balance(account, asset)
        return both

    def rows(self) -> list[Row]:
        return list(self.ledger.rows())

    def journal(self, account: str | None = "main", *, opening: bool = False) -> list[str]:
        """The transactions of an account, one line each: ``FILL_BUY USD 0 -100``.

        For ``account=None`` all accounts, house included, with the name in front.
        """
        lines = []
        for row in self.rows():
            if (account is None or row.account == account) and (opening or row.order_id):
                line = f"{row.kind.name} {row.asset} {text(row.available)} {text(row.unavailable)}"
                lines.append(line if account is not None else f"{row.account} {line}")
        return lines

    def entries(self, account: str = "main") -> list[list[str]]:
        """The same by entry."""
        found: dict[int, list[str]] = {}
        for row in self.rows():
            if row.account == account and row.order_id:
                line = f"{row.kind.name} {row.asset} {text(row.available)} {text(row.unavailable)}"
                found.setdefault(row.entry, []).append(line)
        return list(found.values())

    def fills(self) -> list[str]:
        """The fills, one line each: ``entry LONG 2 @ 101 open``, with ``fee``, ``maker`` and
        ``ambiguous`` where there is such a thing."""
        lines = []
        for one in self.records.fills:
            line = f"{one.kind} {one.direction.name} {text(one.volume)} @ {text(one.price)}"
            line += f" {one.point}"
            line += f" fee {text(one.fee)}" if one.fee else ""
            line += " maker" if one.maker else ""
            lines.append(line + (" ambiguous" if one.ambiguous else ""))
        return lines

    def orders(self) -> list[str]:
        """The orders in their last state: ``LONG 2 FILLED``, with the reason of an end."""
        lines = []
        for one in self.records.orders:
            line = f"{one.direction.name} {text(one.volume)} {one.status.name}"
            line += f" {one.end_reason}" if one.end_reason else ""
            closed = getattr(one, "closing_reason", None)
            lines.append(line + (f" {closed}" if closed else ""))
        return lines

    @property
    def equity(self) -> Decimal:
        equity: Decimal = self.venue.valuation.equity()
        return equity

    @property
    def counted_equity(self) -> Decimal:
        """The equity counted again: balances and open positions at the last prices, in USD."""
        books = self.venue.books
        prices = {"USD": D(1)}
        for _ in books:
            for book in books.values():
                if book.last is not None and book.pair.quote.code in prices:
                    prices[book.pair.base.code] = book.last * prices[book.pair.quote.code]
        total = D(0)
        for account, assets in self.ledger.balances().items():
            if account not in HOUSE:
                total += sum(
                    (sum(b) * prices.get(asset, D(0)) for asset, b in assets.items()), D(0)
                )
        for one in self.records.orders:
            if one.status.name == "FILLED" and hasattr(one, "leverage"):
                book = books[one.trading_pair_code]
                moved = (book.last - one.fill_price) * one.volume * one.contract_size
                total += moved * one.direction.sign * prices[book.pair.quote.code]
        return total

    @property
    def sha256(self) -> str:
        return journal_sha256(self.rows())


def text(value: Decimal) -> str:
    """``value`` in plain digits without trailing zeros; a number has one spelling."""
    if not value:
        return "0"
    digits = format(value, "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def play(
    bars: Iterable[Bar],
    *scripts: Callable[[Any], Awaitable[None]],
    cash: Mapping[str, Any] | None = None,
    rules: TradingRules | Mapping[str, TradingRules] | None = None,
    pairs: Sequence[TradingPair] = (),
    own: Sequence[Sequence[str]] = (),
    insurance: Sequence[tuple[str, Decimal]] = (),
    seed: int = 7,
    prepare: Callable[[System], None] | None = None,
    kinds: Sequence[type[Strategy]] = (),
    finishes: bool = True,
) -> World:
    """Run ``scripts`` (strategies ``s0``, ``s1``, ...) against ``bars``, the oracle watching.

    ``cash`` is by asset (of the account ``main``; 1000 USD if left out), or by account and asset;
    ``own`` the accounts of each script (all of ``main`` if left out). ``pairs`` is BTCUSD with
    increments 0.01 (price) and 0.001 (volume) and cents unless given. Every script must come to its
    end (a wait that is in vain would skip its assertions) unless ``finishes`` is False.
    """
    world = assemble(bars, scripts, cash, rules, pairs or (pair_of(),), own, insurance, seed, kinds)
    if prepare is not None:
        prepare(world.system)
    world.system.simulate()
    world.oracle.finish()
    assert world.oracle.checks > 0
    for one in world.strategies.values():
        assert not finishes or getattr(one, "has_finished", True), "a script waited in vain"
    assert world.equity == world.counted_equity
    return world


def pair_of(code: str = "BTCUSD", precision: int = 2, **settings: Any) -> TradingPair:
    """A pair quoted in USD with cents, price increment 0.01 and volume increment 0.001."""
    values = {"price_increment": D("0.01"), "volume_increment": D("0.001")}
    for name, value in settings.items():
        values[name] = D(value)
    return TradingPair.from_code(code, Asset("USD", precision), **values)


def assemble(
    bars: Iterable[Bar],
    scripts: Sequence[Callable[[Any], Awaitable[None]]],
    cash: Mapping[str, Any] | None,
    rules: TradingRules | Mapping[str, TradingRules] | None,
    pairs: Sequence[TradingPair],
    own: Sequence[Sequence[str]],
    insurance: Sequence[tuple[str, Decimal]],
    seed: int,
    kinds: Sequence[type[Strategy]],
) -> World:
    given: Mapping[str, Any] = {"USD": "1000"} if cash is None else cash
    by_account: dict[str, Mapping[str, Any]] = dict(given)
    if not any(isinstance(value, Mapping) for value in given.values()):
        by_account = {"main": given}
    system = System(seed)
    market = MarketData(bars)
    assert market.first is not None
    system.clock.ns = system.now = market.first.open_ns  # type: ignore[attr-defined]
    accounts = {name: Account(UUID(int=100 + place), name) for place, name in enumerate(by_account)}
    opening = [
        (name, asset, D(amount))
        for name, owned in by_account.items()
        for asset, amount in owned.items()
    ]
    agents, strategies = {}, {}
    made: list[Any] = [Me(script=script) for script in scripts] + [kind() for kind in kinds]
    for place, strategy in enumerate(made):
        owned = tuple(accounts[one] for one in (own[place] if own else ("main",)))
        ids = tuple(one.account_id for one in owned)
        agents[f"s{place}"] = (Agent(UUID(int=200 + place), f"s{place}", ids), owned)
        strategies[f"s{place}"] = strategy
    trading = {}
    for pair in pairs:
        rule = rules.get(pair.code) if isinstance(rules, Mapping) else rules
        trading[pair.code] = (pair, rule or TradingRules())
    valuation = Valuation("USD", list(pairs))
    system.add(AccountActor(list(by_account), opening, insurance))
    system.add(BrokerActor(UUID(int=1), UUID(int=2), trading, agents, valuation))
    system.add(market)
    for name, strategy in strategies.items():
        system.add(StrategyHost(name, strategy))
    world = World(system, {n: one.account_id for n, one in accounts.items()}, Oracle(system))
    world.strategies = strategies
    return world


async def refused(me: Any, what: Callable[[], Any], reason: RejectReason) -> OrderRejected:
    """``what()`` is refused for ``reason``, and money, orders and journal are as they were."""
    ledger = me._host.system.actors["account"].ledger
    before = (len(ledger.entries), ledger.balances(), len(me.open_orders()))
    with pytest.raises(OrderRejected) as caught:
        await what()
    assert caught.value.reason is reason
    assert caught.value.detail
    assert (len(ledger.entries), ledger.balances(), len(me.open_orders())) == before
    return caught.value
