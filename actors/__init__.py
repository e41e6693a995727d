"""Who acts: the kernel (clock, channels, actors, the system that delivers) and the cast."""

from __future__ import annotations

from .account import AccountActor
from .broker.actor import BrokerActor
from .exchange.actor import ExchangeActor
from .exchange.market import MarketSpec
from .exchange.session import Phase, SessionActor
from .feed import MarketData
from .host.host import StrategyHost
from .host.interface import Handlers
from .kernel.actor import Actor, Life
from .kernel.channel import Channel
from .kernel.clock import Clock, RealClock, SimulatedClock
from .kernel.distance import DistanceLatency
from .kernel.latency import (
    CubicLatency,
    ExponentialLatency,
    FixedLatency,
    JitteredLatency,
    Latency,
    LinkLatencies,
    LogNormalLatency,
    Network,
    UniformLatency,
)
from .kernel.message import Envelope
from .kernel.pubsub import Message, TopicActor
from .kernel.signal import Signal
from .kernel.statistics import ChannelStatistics
from .kernel.stepping import Stepwise
from .kernel.stream import Stream
from .kernel.supervision import Directive, Supervision
from .kernel.system import NEVER, DeadLetter, System
from .protocol import ACCOUNT, BROKER, BalanceUpdate, EventKind, OrderEvent, Welcome
from .venue.records import EventRecord, Records

__all__ = [
    "ACCOUNT",
    "BROKER",
    "NEVER",
    "AccountActor",
    "Actor",
    "BalanceUpdate",
    "BrokerActor",
    "Channel",
    "ChannelStatistics",
    "Clock",
    "CubicLatency",
    "DeadLetter",
    "Directive",
    "DistanceLatency",
    "Envelope",
    "EventKind",
    "EventRecord",
    "ExchangeActor",
    "ExponentialLatency",
    "FixedLatency",
    "Handlers",
    "JitteredLatency",
    "Latency",
    "Life",
    "LinkLatencies",
    "LogNormalLatency",
    "MarketData",
    "MarketSpec",
    "Message",
    "Network",
    "OrderEvent",
    "Phase",
    "RealClock",
    "Records",
    "SessionActor",
    "Signal",
    "SimulatedClock",
    "Stepwise",
    "StrategyHost",
    "Stream",
    "Supervision",
    "System",
    "TopicActor",
    "UniformLatency",
    "Welcome",
]
