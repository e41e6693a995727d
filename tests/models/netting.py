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
        usd = self.rng.choice(("40", "100", "100", "300", "1000", "1000"))
        case["cash"] = {"main": {"USD": usd, "BTC": "5"}}
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
        if self.chance(0.4):
            given["volume"] = str(self.rng.choice((3, 5)) * Decimal(given["volume"]))
        if second == self.bars[0][0] and not {"limit_price", "stop_price"} & given.keys():
            given["limit_price"] = self.near(mark, -4, 4)
            given.pop("trail", None)
            given.pop("trail_percent", None)
        if self.chance(0.5):
            for name in ("time_in_force", "expires", "stop_loss", "take_profit"):
                given.pop(name, None)
        if self.chance(0.3) and "reduce_only" not in given:
            price = Decimal(given.get("limit_price", given.get("stop_price", mark)))
            side = 1 if verb in ("buy", "long") else -1
            given["stop_loss"] = self.near(price, *sorted((-side, -8 * side)))
            given["take_profit"] = self.near(price, *sorted((side, 8 * side)))
        return [second, verb, label, given]
