"""The links between a strategy and the venue: how long they take."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from backtest.actors.kernel.actor import agent_name
from backtest.actors.kernel.latency import Latency, LinkLatencies, Network
from backtest.actors.kernel.message import MARKET_TO_STRATEGY, ORDER_EVENT
from backtest.actors.protocol import BROKER
from backtest.errors import ConfigError

if TYPE_CHECKING:
    from backtest.actors.kernel.system import System

__all__ = ["charge_links"]


def charge_links(system: System, name: str, latency: Latency | LinkLatencies | Network) -> None:
    """Charge ``latency`` to the links between the strategy in the actor ``name`` and the venue.

    A network holds between agents from then on, too; `ConfigError` where there is another.
    """
    if isinstance(latency, LinkLatencies):
        if latency.orders is not None:
            system.set_latency(name, BROKER, latency.orders)
        for priority, one in (
            (MARKET_TO_STRATEGY, latency.market_data),
            (ORDER_EVENT, latency.order_events),
        ):
            if one is not None:
                system.set_latency(BROKER, name, one, priority)
        return
    there: Latency | None = cast(Latency, latency)
    back = there
    if hasattr(latency, "between"):  # `isinstance` takes 30 µs for a protocol: too long, an agent
        network = cast(Network, latency)
        if system.network not in (None, network):
            raise ConfigError("there is one network: give all agents the same")
        system.network = network
        agent = agent_name(name)
        there = network.between(system.seed, agent, BROKER)
        back = network.between(system.seed, BROKER, agent)
    system.set_latency(name, BROKER, there)
    system.set_latency(BROKER, name, back)
