"""Who acts: the kernel (clock, channels, actors, the system that delivers) and the cast."""

from __future__ import annotations

from backtest.actors.account import ACCOUNT, AccountActor
from backtest.actors.actor import Actor, Life
from backtest.actors.broker import BROKER, BrokerActor
from backtest.actors.channel import Channel, ChannelStatistics
from backtest.actors.clock import Clock, RealClock, SimulatedClock
from backtest.actors.latency import FixedLatency, Latency, LinkLatencies, UniformLatency
from backtest.actors.market_data import MarketData
from backtest.actors.message import Envelope
from backtest.actors.protocol import BalanceUpdate, EventKind, OrderEvent, Welcome
from backtest.actors.records import EventRecord, Records
from backtest.actors.session import Phase, SessionActor
from backtest.actors.signal import Signal
from backtest.actors.stepwise import Stepwise
from backtest.actors.strategy_host import Handlers, StrategyHost
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
    "DeadLetter",
    "Directive",
    "Envelope",
    "EventKind",
    "EventRecord",
    "FixedLatency",
    "Handlers",
    "Latency",
    "Life",
    "LinkLatencies",
    "MarketData",
    "Message",
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
