"""What every venue does, whoever trades there and against whom: who it knows, how it welcomes."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from backtest.actors.kernel.actor import Actor
from backtest.actors.kernel.channel import Channel
from backtest.actors.kernel.message import Envelope
from backtest.actors.protocol import ACCOUNT, BROKER, Balances, ReadBalances, Welcome
from backtest.errors import RejectReason
from backtest.models import Account, Agent, DecisionAction, TradingPair, TradingRules

from .client import Client
from .commands import Commands
from .venue import Venue

__all__ = ["VenueActor"]


class VenueActor(Actor):
    """A venue: takes commands one at a time, and tells strategies what came of them.

    ``agents`` are the strategies that may trade here, by the name of their actor, with their
    accounts (the default one first).
    """

    handles_inside = False

    publishes = False
    """Whether it sends market data to subscribers only (`Hello.wants`, `Subscribe`)."""

    venue: Venue
    _commands: Commands

    def __init__(self, agents: Mapping[str, tuple[Agent, tuple[Account, ...]]]) -> None:
        super().__init__(BROKER)
        self._agents = agents
        self._listeners: list[Channel] = []
        self._opening: dict[str, Balances] = {}
        """By account what it starts with, for the first welcome of its strategies."""
        self._pairs: Mapping[str, TradingPair] = {}
        self._rules: Mapping[str, TradingRules] = {}
        """What every welcome says: one table for all."""
        self.bars = 0
        """Bars processed."""
        self.ticks = 0
        """Quotes and trades processed."""

    async def started(self) -> None:
        venue = self.venue
        balances = await self.link(ACCOUNT).request(ReadBalances())
        if venue.clients:
            venue.learn(balances)  # restarted: all else is as it was
            return
        venue.attach()
        self._pairs = {code: book.pair for code, book in venue.books.items()}
        self._rules = {code: book.rules for code, book in venue.books.items()}
        opening: dict[str, dict[tuple[str, str], tuple[Decimal, Decimal]]] = {}
        for key, both in balances.items():
            opening.setdefault(key[0], {})[key] = both
        self._opening.update(opening)
        for name, (agent, accounts) in self._agents.items():
            client = Client(
                name, agent, {one.account_id: one.name for one in accounts}, self.link(name)
            )
            client.channel.forgives = self._forget
            venue.clients[name] = client
            for one in accounts:
                venue.publisher.attend(client, one.name)
                if one.netting:
                    venue.netting.add(one.name)
                    venue.pooled.add(one.name)
            self._listeners.append(client.channel)
        venue.learn(balances)
        venue.valuation.begin(self.events.now)

    def _forget(self, channel: Channel) -> None:
        """A strategy was stopped by its rule: the others go on, its orders stay as they are."""
        self._listeners = [one for one in self._listeners if one is not channel]

    def lost(self, envelope: Envelope, error: BaseException) -> None:
        """A command that broke the broker is refused, unless its answer was given before."""
        command = getattr(envelope.payload, "command", None)
        if type(envelope.payload) is DecisionAction:
            command = envelope.payload.command_id
        client = self.venue.clients.get(envelope.channel.sender)
        events = self.venue.records.events
        if client is None or not isinstance(command, int):
            return
        if not events or events[-1].message != envelope.id:
            asked = getattr(envelope.payload, "order_id", None)
            self.venue.publisher.refuse(
                client,
                command,
                RejectReason.VENUE_FAILED,
                f"the venue failed: {error!r}",
                None,
                asked,
            )
        # What was told before it broke is true: nothing is held back for ever.
        self.venue.publisher.release()

    def _welcome(self, envelope: Envelope) -> None:
        venue = self.venue
        client = self._commands.client_of(envelope)
        welcome = Welcome(
            self._pairs,
            tuple(client.accounts.items()),
            self._balances_of(client),
            client.agent.agent_id,
            venue.broker_id,
            venue.run_id,
            self._rules,
            {
                account_id: venue.cross[name]
                for account_id, name in client.accounts.items()
                if name in venue.cross
            },
            self.publishes,
            tuple(
                account_id for account_id, name in client.accounts.items() if name in venue.netting
            ),
            venue.valuation.cash,
        )
        self.answer(envelope, welcome)

    def _balances_of(self, client: Client) -> Balances:
        """What the accounts of ``client`` have now."""
        money, names = self.venue.money, client.accounts.values()
        if all(name in self._opening for name in names):
            # The first welcome of one of ten thousand: never look through the others' money.
            return {key: money[key] for name in names for key in self._opening.pop(name)}
        own = set(names)
        return {key: both for key, both in money.items() if key[0] in own}
