"""Who acts: the kernel (clock, channels, actors, the system that delivers) and the cast."""

from __future__ import annotations

from backtest.actors.account import AccountActor
from backtest.actors.actor import Actor, Life
from backtest.actors.broker import BrokerActor
from backtest.actors.channel import Channel, ChannelStatistics
from backtest.actors.clock import Clock, RealClock, SimulatedClock
from backtest.actors.distance import DistanceLatency
from backtest.actors.exchange import ExchangeActor
from backtest.actors.hosted import Handlers
from backtest.actors.latency import (
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
from backtest.actors.market_book import MarketSpec
from backtest.actors.market_data import MarketData
from backtest.actors.message import Envelope
from backtest.actors.protocol import ACCOUNT, BROKER, BalanceUpdate, EventKind, OrderEvent, Welcome
from backtest.actors.records import EventRecord, Records
from backtest.actors.session import Phase, SessionActor
from backtest.actors.signal import Signal
from backtest.actors.stepwise import Stepwise
from backtest.actors.strategy_host import StrategyHost
from backtest.actors.stream import Stream
from backtest.actors.supervision import Directive, Supervision
from backtest.actors.system import NEVER, DeadLetter, System
from backtest.actors.topics import Message, TopicActor

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
