"""How a venue answers who reads the depth."""

from __future__ import annotations

from backtest.actors.kernel.actor import Actor
from backtest.actors.kernel.message import COMMAND, MARKET_TO_STRATEGY, Envelope
from backtest.actors.protocol import Snapshot
from backtest.errors import BacktestError
from backtest.models import Depth

__all__ = ["give_depth"]


def give_depth(venue: Actor, question: Envelope, depth: Depth | BacktestError) -> None:
    """Answer a `ReadDepth`: to who waits for it, or by a `Snapshot` to who does not.

    It travels as market data does, with its latency and behind what was sent before it. Where
    nothing takes time the answer is there at once, like that to any other question.
    """
    back = venue.link(question.channel.sender)
    if question.reply is not None:
        venue.answer(question, depth, MARKET_TO_STRATEGY if back.is_slow else COMMAND)
    elif isinstance(depth, Depth):
        back.post(Snapshot(depth), MARKET_TO_STRATEGY)
    else:
        raise depth
