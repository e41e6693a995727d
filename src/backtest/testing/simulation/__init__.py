"""Random whole systems, each from one seed: what `backtest.testing.simulate` runs."""

from __future__ import annotations

from .plans import draw_plan
from .run import Outcome, World, run_seed, world_of
from .world import Plan

__all__ = ["Outcome", "Plan", "World", "draw_plan", "run_seed", "world_of"]
