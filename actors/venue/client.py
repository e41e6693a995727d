"""One agent at the venue: who it is, where its messages go, which accounts are its own."""

from __future__ import annotations

from collections.abc import Hashable
from uuid import UUID

from backtest.actors.kernel.channel import Channel
from backtest.models import Agent

__all__ = ["Client"]


class Client:
    """One agent at the venue: who it is, where its messages go, which accounts are its own."""

    __slots__ = (
        "account_ids",
        "accounts",
        "agent",
        "channel",
        "name",
        "newest",
        "request",
        "seen",
        "skipped",
    )

    def __init__(
        self, name: str, agent: Agent, accounts: dict[UUID, str], channel: Channel
    ) -> None:
        self.name = name
        self.agent = agent
        self.accounts = accounts
        """Account ids to names, the default account first."""
        self.account_ids = {account: account_id for account_id, account in accounts.items()}
        self.channel = channel
        self.request = f"asked for by {name}"
        """Why something was cancelled that its owner cancelled."""
        self.newest = 0
        """The highest number of a command so far."""
        self.skipped: list[tuple[int, int]] = []
        """Ranges of lower numbers that have not come."""
        self.seen: set[Hashable] = set()
        """Ids of commands that are no numbers."""

    def is_new(self, command: int) -> bool:
        """Whether ``command``, a positive number, comes for the first time; from now on it does
        not. Numbers rise but for what a line delays or repeats, so few need to be remembered."""
        newest = self.newest
        if command > newest:
            if command > newest + 1:
                self.skipped.append((newest + 1, command - 1))
            self.newest = command
            return True
        for place, (first, last) in enumerate(self.skipped):
            if first <= command <= last:
                parts = ((first, command - 1), (command + 1, last))
                self.skipped[place : place + 1] = [one for one in parts if one[0] <= one[1]]
                return True
        return False

    def is_new_id(self, command: Hashable) -> bool:
        """The same for an id that is no positive number."""
        if command in self.seen:
            return False
        self.seen.add(command)
        return True
