"""More agents, or fewer, in the same proportions."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from backtest.errors import ConfigError
from backtest.markets.population import Population

__all__ = ["scaled"]


def scaled(populations: Sequence[Population], agents: int) -> tuple[Population, ...]:
    """``populations`` with ``agents`` agents in all, shared out by largest remainders.

    Those that are ``fixed`` keep their number, and so do empty ones; none of the others goes below
    one. At equal remainders the earlier population gets the agent. Raises `ConfigError` where that
    cannot be.
    """
    if isinstance(agents, bool) or not isinstance(agents, int):
        raise ConfigError(f"agents must be a whole number, not {agents!r}")
    kept = sum(one.count for one in populations if one.fixed)
    moving = [place for place, one in enumerate(populations) if not one.fixed and one.count]
    if sum(one.count for one in populations) == agents:
        return tuple(populations)
    to_share = agents - kept
    if not moving or to_share < len(moving):
        told = ", ".join(f"{one.count} {one.name}" for one in populations)
        least = kept + len(moving)
        raise ConfigError(
            f"{agents} agents are too few: there must be {least} at least (the scenario has {told})"
            if moving
            else f"the scenario has {kept} agents, all of them fixed: it cannot have {agents}"
        )
    counts = _shared([populations[place].count for place in moving], to_share)
    changed = dict(zip(moving, counts, strict=True))
    return tuple(
        evolve(one, count=changed[place]) if place in changed else one
        for place, one in enumerate(populations)
    )


def _shared(counts: Sequence[int], to_share: int) -> list[int]:
    """``to_share`` in the proportions of ``counts``, at least one for each."""
    total = sum(counts)
    shares = [max(1, count * to_share // total) for count in counts]
    by_rest = sorted(
        range(len(counts)), key=lambda place: (-(counts[place] * to_share % total), place)
    )
    while sum(shares) < to_share:
        for place in by_rest[: to_share - sum(shares)]:
            shares[place] += 1
    while sum(shares) > to_share:  # the ones that were lifted to one are taken from the largest
        largest = max(range(len(shares)), key=lambda place: (shares[place], -place))
        shares[largest] -= 1
    return shares
