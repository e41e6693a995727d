"""Topics: what agents say to each other, beside their orders."""

from __future__ import annotations

from typing import Any, NamedTuple

from backtest.errors import BacktestError

from .actor import Actor
from .channel import Channel
from .message import MARKET_TO_STRATEGY, Envelope

__all__ = ["TOPICS", "Listen", "Message", "Publish", "TopicActor"]

TOPICS = "topics"
"""The name of the actor that knows who listens to what."""


class Listen(NamedTuple):
    """To the topics: whoever sends this hears what is said on ``topic``, or no longer does."""

    topic: str
    on: bool = True


class Publish(NamedTuple):
    """To the topics: tell everybody who listens to ``topic``, but for who sends this."""

    topic: str
    payload: Any
    """Immutable."""
    sender: str
    """By what name the others know who says it."""


class Message(NamedTuple):
    """What an agent hears from another."""

    topic: str
    payload: Any
    sender: str
    """The name of the agent that said it."""


class TopicActor(Actor):
    """Knows who listens to what, and passes on what is said.

    Each listener's copy travels on the link from who said it to who listens, with that link's
    latency: what is said on one topic by one agent arrives in the order in which it was said. It
    is as urgent as market data, and counts toward the bound of the listener's inbox.
    """

    handles_inside = False

    def __init__(self) -> None:
        super().__init__(TOPICS)
        self._listeners: dict[str, dict[str, None]] = {}
        """By topic the names of the actors that listen, in the order in which they began."""

    def handle(self, envelope: Envelope) -> None:
        said, sender = envelope[4], envelope[3].sender
        if type(said) is Publish:
            message = Message(*said)
            for listener in tuple(self._listeners.get(said.topic, ())):
                if listener != sender:
                    self._link(sender, listener).post(message, MARKET_TO_STRATEGY)
        elif type(said) is Listen:
            listeners = self._listeners.setdefault(said.topic, {})
            if said.on:
                listeners[sender] = None
            else:
                listeners.pop(sender, None)
        else:
            raise BacktestError(f"the topics do not understand {said!r}")

    def _link(self, sender: str, listener: str) -> Channel:
        # Not a link of its own: the time that it takes is that between the two of them.
        channel = self.system.channel(sender, listener)
        channel.forgives = self._forget
        return channel

    def _forget(self, channel: Channel) -> None:
        """A listener was stopped by its rule: it listens to nothing any more."""
        for listeners in self._listeners.values():
            listeners.pop(channel.target.name, None)
