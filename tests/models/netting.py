"""Netting accounts on bars of one path: one position with lots, average cost, pooled margin. What a
case is: `tests.models.play`."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

from tests.models.bar_run import expect
from tests.models.common import Case
from tests.models.draws import smaller
from tests.models.margin import Margin
from tests.models.play import play

__all__ = ["draw", "expect", "play", "smaller"]

COUNTED = ("flat_per_trade", "flat_per_volume", "percent_of_notional")


def draw(seed: int) -> Case:
    """A scenario of orders on both sides of one pair, on an account that nets."""
    return Netting(Random(f"netting {seed}")).case()


class Netting(Margin):
    """Draws one case."""

    volumes, wild = 0.4, (2, 3, 5, 10)

    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self.places = rng.choice((0, 1, 2, 2, 2, 3, 5, 8))
        self.reducing = rng.random() < 0.4

    def case(self) -> Case:
        case = super().case()
        case["netting"] = True
        case["cash"] = {"main": case["cash"]["main"]}
        for command in case["commands"]:
            for name in ("account", "oco"):
                command[3].pop(name, None)
        return case

    def rules(self) -> dict[str, Any]:
        rules = super().rules()
        rules["path"] = "open_high_low_close"
        fees = rules["fees"]
        if self.chance(0.6):
            fee = {self.rng.choice(COUNTED): self.rng.choice(("0.01", "0.002", "0.3"))}
            if self.chance(0.3):
                fee["minimum"] = self.rng.choice(("0.3", "1"))
            fees["fill"] = fees["close"] = fee
        elif "fill" in fees and "close" in fees:
            del fees["close"]
        if self.chance(0.3):
            rules["participation"] = self.rng.choice(("0.5", "0.1", "none"))
        return rules

    def command(self, second: int) -> list[Any]:
        mark = self.mark(second)
        if not self.labels or self.chance(0.6):
            return self.opening(second, mark)
        label = self.rng.choice(self.labels)
        if self.chance(0.1):
            label += self.rng.choice((".0", ".1"))
        if self.chance(0.45):
            return self.closing(second, mark, label)
        kind = self.rng.choice(("cancel", "modify", "modify", "modify", "split", "split"))
        return [second, kind, label, getattr(self, kind)(second, mark)]

    def opening(self, second: int, mark: Decimal) -> list[Any]:
        second, verb, label, given = super().opening(second, mark)
        if self.chance(0.3):
            given["volume"] = str(3 * Decimal(given["volume"]))
        return [second, verb, label, given]
