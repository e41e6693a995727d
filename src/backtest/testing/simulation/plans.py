"""What a seed decides: a world on data, or a market of agents."""

from __future__ import annotations

from .exchange_plan import draw_exchange, is_exchange
from .plan import Plan
from .world import draw_history

__all__ = ["draw_plan"]


def draw_plan(seed: int, without: frozenset[str] = frozenset()) -> Plan:
    """The world of ``seed``. ``without`` leaves things out (``agent:1``, ``pair:ETHBTC``,
    ``latency``, ``fault:drop``): all that is left stays as it is. Every fifth seed is a market in
    which agents trade with each other: ``exchange`` leaves those out, ``history`` all others."""
    if is_exchange(seed, without):
        return draw_exchange(seed, without)
    return draw_history(seed, without)
