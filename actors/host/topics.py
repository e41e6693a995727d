"""A strategy's side of the topics: what it listens to, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from backtest.actors.kernel.actor import agent_name
from backtest.actors.kernel.message import MARKET_TO_STRATEGY
from backtest.actors.kernel.pubsub import TOPICS, Listen, Message, Publish, TopicActor
from backtest.actors.kernel.stream import Stream
from backtest.errors import FieldTypeError, SimulationEnded, Undeliverable
from backtest.services.payloads import check_payload

if TYPE_CHECKING:
    from .host import StrategyHost

__all__ = ["Topics"]


class Topics:
    """Listens and speaks for one strategy; the actor of the topics joins when first it is needed.

    ``has_handler``: whether the strategy hears by a handler, too. Then it listens for ever, else as
    long as somebody may read what it hears.
    """

    __slots__ = ("_has_handler", "_host", "_listens", "_streams", "closed")

    def __init__(self, host: StrategyHost, has_handler: bool) -> None:
        self._host = host
        self._has_handler = has_handler
        self._listens: set[str] = set()
        self._streams: dict[str, list[ref[Stream[Message]]]] = {}
        self.closed = host.is_over

    def clear(self) -> None:
        """Nobody reads the iterators any more."""
        self._streams.clear()

    def listen(self, topic: str, conflate: bool) -> Stream[Message]:
        """From now on hear what is said on ``topic``; a stream of it."""
        _check_topic(topic)
        host = self._host
        stream: Stream[Message] = Stream(host.system, host.name, host.inbox_bound, conflate)
        if self.closed:
            stream.close()
            return stream
        self._streams.setdefault(topic, []).append(ref(stream))
        if topic not in self._listens:
            self._listens.add(topic)
            self._tell(Listen(topic))
        return stream

    def publish(self, topic: str, payload: Any, to: str | None) -> None:
        """Say ``payload`` to all who listen to ``topic``, or to the agent called ``to`` alone."""
        _check_topic(topic)
        check_payload(payload)
        host = self._host
        if self.closed:
            raise SimulationEnded("the run has ended: nobody can be told anything any more")
        sender = agent_name(host.name)
        if to is None:
            self._tell(Publish(topic, payload, sender))
        else:
            link = host.link(self._actor_called(to))
            host.send(link, Message(topic, payload, sender), MARKET_TO_STRATEGY)

    def hear(self, message: Message) -> None:
        """Give ``message`` to the iterators over its topic."""
        references = self._streams.get(message.topic)
        if not references:
            return
        streams = [stream for reference in references if (stream := reference()) is not None]
        for stream in streams:
            stream.push(message)
        if len(streams) < len(references):
            self._streams[message.topic] = [ref(stream) for stream in streams]
            if not (streams or self._has_handler):
                self._listens.discard(message.topic)
                self._tell(Listen(message.topic, False))

    def close(self) -> None:
        """The run is over: every iteration ends."""
        self.closed = True
        for references in self._streams.values():
            for reference in references:
                stream = reference()
                if stream is not None:
                    stream.close()

    def _tell(self, what: Listen | Publish) -> None:
        host = self._host
        if TOPICS not in host.system.actors:
            host.system.add(TopicActor())
        host.send(host.link(TOPICS), what)

    def _actor_called(self, agent: str) -> str:
        """The name of the actor in which ``agent`` lives."""
        actors = self._host.system.actors
        for name in (agent, f"strategy/{agent}"):
            if name in actors and actors[name].is_agent:
                return name
        known = ", ".join(agent_name(name) for name, one in actors.items() if one.is_agent)
        raise Undeliverable(
            f"{agent_name(self._host.name)} knows no agent {agent!r}; there are: {known}"
        )


def _check_topic(topic: str) -> None:
    if not isinstance(topic, str):
        raise FieldTypeError("topic", f"must be text (str), not {type(topic).__name__}")
