"""What the venue says: order events and refusals, on record and to those whom they concern."""

from __future__ import annotations

from collections.abc import Container, Mapping
from decimal import Decimal
from uuid import UUID

from backtest.actors.kernel.actor import Actor
from backtest.actors.kernel.channel import Channel
from backtest.actors.kernel.message import ORDER_EVENT
from backtest.actors.protocol import (
    NO_FACTS,
    Balances,
    BalanceUpdate,
    Changes,
    EventKind,
    Facts,
    OrderEvent,
)
from backtest.errors import RejectReason
from backtest.models import (
    Fill,
)
from backtest.money import plain
from backtest.services.orders.revision import Revision

from .branch import Branch
from .client import Client
from .event_sentences import sentence
from .pending_closes import closes_of
from .records import EventRecord, Records

__all__ = ["Publisher"]

_new = tuple.__new__
_OF_CLOSES = frozenset(
    {
        EventKind.CLOSING,
        EventKind.CLOSE_CANCELLED,
        EventKind.CLOSED,
        EventKind.LIQUIDATED,
        EventKind.TRIGGERED,
        EventKind.TRAILED,
    }
)
"""Events after which other closes may be pending than before."""
_NONE: Mapping[tuple[str, str], tuple[Decimal, Decimal]] = {}


class Publisher:
    """Records what happens to orders, and sends it to their owners and to sharers of accounts."""

    def __init__(
        self,
        actor: Actor,
        records: Records,
        pooled: Container[str],
        sharers: dict[str, list[Client]],
    ) -> None:
        self._actor = actor
        self._records = records
        self._pooled = pooled
        """The accounts whose positions are one for all who trade on them: with cross margin, or
        netting."""
        self._sharers = sharers
        """Desks by the account they trade on."""
        self._shared: set[str] = set()
        """The accounts of several clients."""
        self.told: list[tuple[Branch, tuple[tuple[int, Revision], ...]]] | None
        """What was told of since somebody looked: branches, and what came of a split; None where
        nobody looks."""
        self.told = None
        self.held: list[tuple[Channel, OrderEvent | BalanceUpdate]] | None = None
        """What is to be sent once all that a command does is done; None where each is sent at
        once."""

    def attend(self, client: Client, account: str) -> None:
        """``client`` trades on ``account``: it hears what happens to it."""
        sharing = self._sharers.setdefault(account, [])
        sharing.append(client)
        if len(sharing) > 1:
            self._shared.add(account)

    def tell(
        self,
        kind: EventKind,
        branch: Branch,
        order: Revision | None,
        *,
        positions: Changes = (),
        fill: Fill | None = None,
        reason: RejectReason | None = None,
        detail: str = "",
        command: int = 0,
        children: tuple[tuple[int, Revision], ...] = (),
        balances: Balances = _NONE,
        level: Decimal | None = None,
        close: int = 0,
        facts: Facts = NO_FACTS,
    ) -> None:
        """Record an order event and send it to the owner; sharers of the account get balances.

        ``detail`` is what only the caller knows how to say; the rest is said from the ``facts``.
        """
        if facts is not NO_FACTS or (reason is not None and not detail):
            detail = sentence(kind, reason, facts, detail)
        client, now = branch.client, self._actor.events.now
        if self.told is not None:
            self.told.append((branch, children))
        self._record(
            now,
            kind,
            branch.number,
            order,
            reason,
            detail,
            self._records.entry if balances else 0,
            None,
            None if fill is None else fill.executed_ns,
            facts,
        )
        event = _new(
            OrderEvent,
            (
                kind,
                now,
                branch.number,
                branch.id,
                order,
                branch.order,
                positions,
                fill,
                reason,
                detail,
                command,
                children,
                balances,
                level,
                False,
                close,
                closes_of(branch) if kind in _OF_CLOSES else None,
                facts,
                branch.stop_price is not None,
            ),
        )
        if self.held is None:
            client.channel.post(event, ORDER_EVENT)
        else:
            self.held.append((client.channel, event))
        if branch.account in self._shared:
            changes = positions if branch.account in self._pooled else ()
            if balances or changes:
                self.share(client, branch.account, balances, changes)

    def _record(
        self,
        now: int,
        kind: EventKind,
        branch: int,
        order: Revision | None,
        reason: RejectReason | None,
        detail: str,
        entry: int,
        asked: UUID | None,
        executed: int | None,
        facts: Facts,
    ) -> None:
        """Put an event on record, with the message that is being handled as its cause."""
        actor = self._actor
        heard = actor.fiber.handling
        self._records.events.append(
            _new(
                EventRecord,
                (
                    now,
                    heard[2],  # type: ignore[index]
                    kind,
                    branch,
                    0 if order is None else order.number,
                    reason,
                    detail,
                    entry,
                    heard[5],  # type: ignore[index]
                    heard[3].sender,  # type: ignore[index]
                    None if order is None else order.volume,
                    asked,
                    actor.bars + actor.ticks,  # type: ignore[attr-defined]
                    executed,
                    facts,
                ),
            )
        )

    def look_at(self, branch: Branch) -> None:
        """Something of ``branch`` is another now, though nothing is told of it."""
        if self.told is not None:
            self.told.append((branch, ()))

    def tell_uncovered(
        self,
        branch: Branch,
        order: Revision,
        uncovered: Decimal,
        asset: str,
        what: str,
    ) -> None:
        """Tell of what the account could not pay, and the insurance account bore."""
        if uncovered:
            self.tell(
                EventKind.BANKRUPTCY,
                branch,
                order,
                detail=f"{plain(uncovered)} {asset} of {what} borne by the insurance account",
            )

    def share(
        self,
        client: Client | None,
        account: str,
        balances: Balances,
        positions: Changes = (),
    ) -> None:
        """Tell the other strategies on the account what its balances are now, and of an account
        whose positions are one for all its ``positions`` that changed."""
        sharing = self._sharers[account]
        if len(sharing) > 1 or client is None:
            for other in sharing:
                if other is not client:
                    self._send(other.channel, BalanceUpdate(balances, positions))

    def _send(self, channel: Channel, event: OrderEvent | BalanceUpdate) -> None:
        if self.held is None:
            channel.post(event, ORDER_EVENT)
        else:
            self.held.append((channel, event))

    def release(self) -> None:
        """Send what was held back: a command is answered by the last of the events that it led to,
        so that who awaited it sees all that it did. What comes is held back as before."""
        held = self.held
        if not held:
            return
        self.held = []
        if len(held) > 1:
            last: dict[Channel, int] = {}
            for place, (channel, event) in enumerate(held):
                if type(event) is OrderEvent:
                    last[channel] = place
            asker: Channel | None = None
            for place, (channel, event) in enumerate(held):
                if type(event) is not OrderEvent:
                    continue
                if event.command:
                    asker = channel
                if channel is asker and place < last[channel]:
                    held[place] = (channel, event._replace(later=True))
        for channel, event in held:
            channel.post(event, ORDER_EVENT)

    def refuse(
        self,
        client: Client,
        command: int,
        reason: RejectReason,
        detail: str,
        branch: Branch | None,
        asked: UUID | None = None,
        order_id: UUID | None = None,
    ) -> None:
        """Record a refusal (of a command that named ``asked``) and send it to the one who asked.

        ``order_id`` is the id that a refused new order would have had.
        """
        number = 0 if branch is None else branch.number
        order = None if branch is None else branch.order
        about = order
        if about is None and branch is not None and branch.lot is not None:
            about = branch.lot.opened[-1].order
        now = self._actor.events.now
        kind = EventKind.REJECTED
        self._record(now, kind, number, about, reason, detail, 0, asked, None, NO_FACTS)
        self._send(
            client.channel,
            OrderEvent(
                kind,
                now,
                number,
                order_id if branch is None else branch.id,
                order,
                order,
                (),
                None,
                reason,
                detail,
                command,
                (),
                _NONE,
            ),
        )
