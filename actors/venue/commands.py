"""Commands at the venue: whose they are, who carries them out, and what is answered."""

from __future__ import annotations

from collections.abc import Awaitable
from uuid import UUID

from backtest.actors.kernel.message import Envelope
from backtest.actors.protocol import Amend, Create, Verb
from backtest.errors import BacktestError, OrderRejected, RejectReason
from backtest.models import DecisionAction

from .accept import Acceptance
from .branch import Branch
from .cancel import Cancellation
from .client import Client
from .close import CloseOrders
from .financing import Financing
from .modify import Modification
from .position import Closing
from .split import Splitting
from .spot_exits import SpotExits
from .translation import message_of
from .venue import Venue

__all__ = ["AtThisClose", "Commands"]


class AtThisClose:
    """The broker to itself: fill this market order at the close that has just been."""

    __slots__ = ("what",)

    def __init__(self, what: Branch | Closing) -> None:
        self.what = what


class Commands:
    """Takes commands one at a time, each once; answers those that are refused."""

    def __init__(
        self, venue: Venue, cancellation: Cancellation, exits: SpotExits, financing: Financing
    ) -> None:
        self._venue = venue
        self._financing = financing
        self._acceptance = Acceptance(venue, exits)
        self._cancellation = cancellation
        self._modification = Modification(venue, cancellation)
        self._closes = CloseOrders(venue)
        self._exits = exits
        self._splitting = Splitting(venue, exits)

    async def create(self, envelope: Envelope, ask: Create) -> None:
        """Accept or refuse a new order."""
        client = self.client_of(envelope)
        if ask[0] > 0 and not client.is_new(ask[0]):
            self.refuse_again(client, ask[0])
            return
        order_id = self._venue.ids.draw()  # a refused order has an id, too
        try:
            branch = await self._acceptance.create(client, ask, order_id)
        except OrderRejected as refusal:
            self._venue.publisher.refuse(
                client, ask.command, refusal.reason, refusal.detail, None, order_id, order_id
            )
            return
        if branch.book.fills_at_close and branch.kind == "market":
            self._at_this_close(branch)

    async def amend(self, envelope: Envelope, ask: Amend) -> None:
        """Cancel, modify, split or close what is there, or refuse to."""
        client = self.client_of(envelope)
        if ask[0] > 0 and not client.is_new(ask[0]):
            self.refuse_again(client, ask[0])
            return
        branch = None
        try:
            branch = self._find(client, ask.order_id)
            if branch.book.charges:
                await self._financing.charge_order(branch, ask.verb is Verb.SPLIT)
            verb = ask.verb
            if ask.close and verb is Verb.MODIFY:
                self._closes.modify(branch, ask)
            elif ask.close and verb is Verb.CANCEL:
                self._closes.cancel(branch, ask)
            elif verb is Verb.CANCEL:
                await self._cancellation.cancel(
                    branch, ask.volume, RejectReason.REQUESTED, client.request, ask.command
                )
            elif verb is Verb.MODIFY:
                if branch.part is not None:
                    await self._exits.modify(branch, ask)
                else:
                    await self._modification.modify(branch, ask)
            elif verb is Verb.SPLIT:
                await self._splitting.split(branch, ask)
            else:
                closing = self._closes.accept(branch, ask)
                if branch.book.fills_at_close and closing.kind == "market":
                    self._at_this_close(closing)
        except OrderRejected as refusal:
            self._venue.publisher.refuse(
                client, ask.command, refusal.reason, refusal.detail, branch, ask.order_id
            )

    def act(self, envelope: Envelope, action: DecisionAction) -> Awaitable[None] | None:
        """The same for a command in the words of a `DecisionAction`."""
        client = self.client_of(envelope)
        given = action.command_id
        if given is not None and not (isinstance(given, int) and given > 0):
            if not client.is_new_id(given):
                self.refuse_again(client, given)
                return None
        try:
            ask = message_of(action, client.accounts)
        except OrderRejected as refusal:
            command = action.command_id if isinstance(action.command_id, int) else 0
            self._venue.publisher.refuse(
                client, command, refusal.reason, refusal.detail, None, action.order_id
            )
            return None
        if isinstance(ask, Create):
            return self.create(envelope, ask)
        return self.amend(envelope, ask)

    def refuse_again(self, client: Client, command: UUID | int) -> None:
        """A command that came before has no second effect; its own answer stays what it was."""
        detail = f"command {command} came before: it has one effect"
        self._venue.publisher.refuse(client, 0, RejectReason.DUPLICATE_COMMAND, detail, None)

    def client_of(self, envelope: Envelope) -> Client:
        """Whose message it is."""
        client = self._venue.clients.get(envelope[3].sender)
        if client is None:
            raise BacktestError(f"no agent called {envelope.channel.sender!r} may trade here")
        return client

    def _find(self, client: Client, order_id: UUID | None) -> Branch:
        known = self._venue.branch_of
        branch = None if order_id is None else known.get(order_id.int)
        if branch is not None and branch.client is client:
            return branch
        if order_id is None or order_id.int not in known:
            raise OrderRejected(
                RejectReason.UNKNOWN_ORDER, f"there is no order {order_id} here", order_id
            )
        if branch is None:
            raise OrderRejected(RejectReason.ALREADY_DONE, "this order is done", order_id)
        raise OrderRejected(
            RejectReason.NOT_YOURS, f"this order belongs to {branch.client.name}", order_id
        )

    def _at_this_close(self, what: Branch | Closing) -> None:
        actor = self._venue.actor
        actor.link(actor.name).post(AtThisClose(what))
