"""The links between a strategy and the venue: how long they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backtest.errors import ConfigError

from .actor import agent_name
from .latency import Latency, LinkLatencies, Network
from .message import MARKET_TO_STRATEGY, ORDER_EVENT
from .venue_actor import BROKER

if TYPE_CHECKING:
    from .system import System

__all__ = ["charge_links"]


def charge_links(system: System, name: str, latency: Latency | LinkLatencies | Network) -> None:
    """Charge ``latency`` to the links between the strategy in the actor ``name`` and the venue.

    A network holds between agents from then on, too; `ConfigError` where there is another.
    """
    if isinstance(latency, Network):
        if system.network not in (None, latency):
            raise ConfigError("there is one network: give all agents the same")
        system.network = latency
        agent = agent_name(name)
        there, back = (agent, BROKER), (BROKER, agent)
        system.set_latency(name, BROKER, latency.between(system.seed, *there))
        system.set_latency(BROKER, name, latency.between(system.seed, *back))
        return
    if not isinstance(latency, LinkLatencies):
        system.set_latency(name, BROKER, latency)
        system.set_latency(BROKER, name, latency)
        return
    if latency.orders is not None:
        system.set_latency(name, BROKER, latency.orders)
    for priority, one in (
        (MARKET_TO_STRATEGY, latency.market_data),
        (ORDER_EVENT, latency.order_events),
    ):
        if one is not None:
            system.set_latency(BROKER, name, one, priority)
