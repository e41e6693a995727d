"""The account actor: the only owner of transactions and balances."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from backtest.errors import BacktestError, LedgerError
from backtest.money import ZERO
from backtest.services.ledger.entries import INSURANCE, deposit
from backtest.services.ledger.ledger import Ledger

from .kernel.actor import Actor
from .kernel.message import Envelope
from .protocol import ACCOUNT, Post, Posted, ReadBalances

__all__ = ["AccountActor"]

_new = tuple.__new__


class AccountActor(Actor):
    """Posts entries, answers with the balances they touched, refuses what breaks a rule.

    ``opening`` are the deposits with which the run starts: account, asset, amount. The
    ``insurance_fund`` is paid into the house account of that name the same way.
    """

    handles_inside = False

    def __init__(
        self,
        accounts: Sequence[str],
        opening: Sequence[tuple[str, str, Decimal]],
        insurance_fund: Sequence[tuple[str, Decimal]] = (),
    ) -> None:
        super().__init__(ACCOUNT)
        self.ledger = Ledger(accounts)
        self._opening = tuple(opening)
        self._insurance_fund = tuple(insurance_fund)

    async def started(self) -> None:
        if self.ledger.entries:
            return  # restarted: what was paid in is there already
        for account, asset, amount in self._opening:
            self._deposit(account, asset, amount, "opening balance")
        for asset, amount in self._insurance_fund:
            self._deposit(INSURANCE, asset, amount, "insurance fund")

    def _deposit(self, account: str, asset: str, amount: Decimal, why: str) -> None:
        if amount != ZERO:
            legs = deposit(account, asset, amount)
            self.ledger.post(legs, time=self.events.now, order_id=None, cause=0, why=why)

    def handle(self, envelope: Envelope) -> None:
        self.answer(envelope, self.respond(envelope.payload, envelope.cause))

    def respond(self, payload: Any, cause: int) -> Any:
        """Post an entry, or tell all balances; a rule that is broken is given back as the error."""
        if type(payload) is Post:
            ledger = self.ledger
            try:
                # No await between reading and swapping: `Ledger.post` is one plain call.
                touched = ledger.post(
                    payload[0],
                    time=self.events.now,
                    order_id=payload[1],
                    cause=cause,
                    why=payload[2],
                    parts=payload[3],
                )
            except LedgerError as refusal:
                return refusal
            return _new(Posted, (len(ledger.entries), touched))
        if type(payload) is ReadBalances:
            return {
                (account, asset): both
                for account, assets in self.ledger.balances().items()
                for asset, both in assets.items()
            }
        raise BacktestError(f"the account actor does not understand {payload!r}")
