"""Profiles: the fill rules of other engines, by name.

A profile is a set of `TradingRules` settings under which a run fills as another engine would. The
names and what was measured of each are in docs/profiles.md; ``make conformance`` runs the engines
themselves, on the same bars with the same strategies, and compares every fill.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from backtest.errors import ConfigError
from backtest.models import TradingRules

__all__ = ["PROFILES", "Profile", "profile"]


def _fixed(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(settings))


@frozen
class Profile:
    """The rules of one engine.

    ``name``      what it is asked for by.
    ``engine``    the engine and the version that was compared.
    ``settings``  fields of `TradingRules`, as `TradingRules.from_mapping` takes them.
    """

    name: str
    engine: str
    settings: Mapping[str, Any] = field(converter=_fixed, hash=False)

    def rules(self, **more: Any) -> TradingRules:
        """Trading rules with the profile's settings; what ``more`` says (fees, say) goes before.

        >>> profile("backtrader").rules(fees={"fill": {"percent_of_notional": "0.001"}}).path
        'queue_order'
        """
        return TradingRules.from_mapping({**self.settings, **more})


_ALL = (
    Profile(
        "backtrader",
        "backtrader 1.9.78.123",
        {
            # Market orders at the next open; every order looks at the whole bar in the order in
            # which it was sent; the children of a bracket are live from the bar after the entry.
            "fill_on": "next_open",
            "path": "queue_order",
            "exits_from": "next_bar",
            "passed_entry": "fill",
            "participation": "none",
        },
    ),
    Profile(
        "backtesting.py",
        "backtesting.py 0.6.6",
        {
            # The same, but protections act on the bar of a market entry, the stop-loss first.
            "fill_on": "next_open",
            "path": "queue_order",
            "exits_from": "clear",
            "passed_entry": "fill",
            "participation": "none",
        },
    ),
    Profile(
        "backtesting.py-on-close",
        "backtesting.py 0.6.6 with trade_on_close",
        {
            # Entries start from the close before the bar, so their stops know no gap.
            "fill_on": "this_close",
            "path": "queue_order",
            "exits_from": "clear",
            "passed_entry": "fill",
            "stop_gap": "order_stop",
            "participation": "none",
        },
    ),
    Profile(
        "nautilus-bar",
        "NautilusTrader 1.221.0, bar execution",
        {
            # Market orders fill at the close at which they are sent; a bar is four ticks, open,
            # high, low, close; limits and stops fill at their own price also where it gapped.
            "fill_on": "this_close",
            "path": "open_high_low_close",
            "limit_gap": "limit",
            "stop_gap": "stop",
            "passed_entry": "fill",
            "participation": "none",
        },
    ),
    Profile(
        "nautilus-bar-adaptive",
        "NautilusTrader 1.221.0, bar execution with bar_adaptive_high_low_ordering",
        {
            "fill_on": "this_close",
            "path": "adaptive",
            "limit_gap": "limit",
            "stop_gap": "stop",
            "passed_entry": "fill",
            "participation": "none",
        },
    ),
)

PROFILES: Mapping[str, Profile] = MappingProxyType({one.name: one for one in _ALL})
"""Every profile by its name."""


def profile(name: str) -> Profile:
    """The profile called ``name``. Raises `ConfigError` for one that is not known."""
    found = PROFILES.get(name)
    if found is None:
        raise ConfigError(f"no profile is called {name!r}; known: {', '.join(PROFILES)}")
    return found
