"""Random whole systems, each from one seed: what `backtest.testing.simulate` runs."""

from __future__ import annotations

from .outcome import Outcome
from .plan import Plan
from .plans import draw_plan
from .run import World, run_seed, world_of

__all__ = ["Outcome", "Plan", "World", "draw_plan", "run_seed", "world_of"]
