"""Isolated margin on bars whose path is certain: leverage, maintenance, liquidation, what falls due
while positions are held, close fees, insurance. What a case is: `tests.models.play`."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

from tests.models.bar_run import expect
from tests.models.bars import Draw
from tests.models.common import Case
from tests.models.draws import smaller
from tests.models.play import play

__all__ = ["draw", "expect", "play", "smaller"]


def draw(seed: int) -> Case:
    """A scenario of positions with high leverage on bars that move far."""
    return Margin(Random(f"margin {seed}")).case()


class Margin(Draw):
    """Draws one case."""

    volumes, wild = 0.0, (4, 8, 12, 20)

    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self.spot = False
        self.places = rng.choice((2, 2, 8))
        self.reducing = rng.random() < 0.15

    def rules(self) -> dict[str, Any]:
        rng = self.rng
        rules = {
            name: value
            for name, value in super().rules().items()
            if name in ("path", "fees", "slippage", "slippage_beyond_bar")
        }
        if self.chance(0.4):
            rules["maintenance_rate"] = rng.choice(("0.005", "0.01", "0.03"))
        elif self.chance(0.5):
            rules["maintenance_tiers"] = [["150", "0.005"], ["400", "0.01"], [None, "0.03"]]
        if self.chance(0.1):
            rules["max_leverage"] = "10"
        fees = rules.setdefault("fees", {})
        if self.chance(0.3):
            base = rng.choice(("percent_of_notional", "percent_of_margin", "flat_per_volume"))
            fees["overnight_filled"] = {base: rng.choice(("0.001", "0.02", "-0.01"))}
            rules["rollover_ns"] = rng.choice((0, 30)) * 10**9
        if self.chance(0.35):
            every = rng.choice(("20s", "40s", "60s", "60s", "120s", "180s", "90s"))
            rules["funding"] = {"rate": rng.choice(("0.001", "0.01", "-0.005")), "every": every}
        return rules

    def pair(self) -> dict[str, Any]:
        pair = super().pair()
        if self.chance(0.15):
            pair["contract"] = self.rng.choice(("0.1", "10", "0.01"))
        return pair

    def opening(self, second: int, mark: Decimal) -> list[Any]:
        rng = self.rng
        second, verb, label, given = super().opening(second, mark)
        if verb == "buy":
            verb = "long"
        given["leverage"] = rng.choice(("1", "3", "5", "10", "10", "20", "20", "30"))
        return [second, verb, label, given]
