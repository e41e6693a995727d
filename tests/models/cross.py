"""Cross margin on bars of one path: one account behind all its positions on one pair. What a case
is: `tests.models.play`."""

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


def draw(seed: int) -> Case:
    """A scenario of several positions on an account that stands behind them all."""
    return Cross(Random(f"cross {seed}")).case()


class Cross(Margin):
    """Draws one case."""

    volumes, wild = 0.1, (4, 8, 12, 20)

    def case(self) -> Case:
        case = super().case()
        case["cross"] = True
        usd = self.rng.choice(("10", "20", "40", "40", "100"))
        case["cash"] = {"main": {"USD": usd, "BTC": "5"}}
        for command in case["commands"]:
            for name in ("account", "oco"):
                command[3].pop(name, None)
        return case

    def rules(self) -> dict[str, Any]:
        rules = super().rules()
        rules["path"] = "open_high_low_close"
        return rules

    def command(self, second: int) -> list[Any]:
        if len(self.labels) < 3 and self.chance(0.7):
            return self.opening(second, self.mark(second))
        return super().command(second)

    def opening(self, second: int, mark: Decimal) -> list[Any]:
        second, verb, label, given = super().opening(second, mark)
        given["leverage"] = self.rng.choice(("10", "20", "30"))
        if second == self.bars[0][0] and not {"limit_price", "stop_price"} & given.keys():
            given["limit_price"] = self.near(mark, -4, 4)
            given.pop("trail", None)
            given.pop("trail_percent", None)
        if self.chance(0.5):
            given["volume"] = str(self.rng.choice((2, 3)) * Decimal(given["volume"]))
        if self.chance(0.5):
            for name in ("time_in_force", "expires", "stop_loss", "take_profit"):
                given.pop(name, None)
        return [second, verb, label, given]
