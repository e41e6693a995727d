"""Spot and trading orders of every kind on bars whose path is certain: one pair, one or two
accounts. What a case is: `tests.models.play`."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

from tests.models.bar_run import expect
from tests.models.common import Case
from tests.models.draws import bars_from, smaller
from tests.models.play import BAR, SECOND, play

__all__ = ["draw", "expect", "play", "smaller"]

PATHS = ("open_high_low_close", "open_low_high_close", "adaptive")


def draw(seed: int) -> Case:
    """A scenario: 5 to 12 bars, 1 to 8 commands, mostly such as are taken."""
    return Draw(Random(f"bars {seed}")).case()


class Draw:
    """Draws one case."""

    volumes = 0.15
    """How often bars have volumes where positions are drawn: of several fills little is said."""
    wild = (2, 3, 5, 8)
    """How far prices go, in steps."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.tick = Decimal(rng.choice(("0.5", "0.5", "1", "0.01")))
        self.lot = Decimal(rng.choice(("1", "0.1", "0.1", "0.001")))
        self.places = rng.choice((0, 2, 2, 2, 8))
        self.spot = rng.random() < 0.55
        self.reducing = not self.spot and rng.random() < 0.3
        """Such orders and closes at one point: which goes first is settled with netting."""
        self.labels: list[str] = []
        self.closes = 0

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def case(self) -> Case:
        rng = self.rng
        rules = self.rules()
        near = any(stage.startswith("overnight") for stage in rules.get("fees", {}))
        start = 86_400 - 3 * BAR if near or self.chance(0.15) else 0
        with_volume = self.chance(0.75 if self.spot else self.volumes)
        loose = "slippage" not in rules and "maintenance_rate" not in rules
        self.bars = bars_from(rng, start, (self.tick, self.lot), self.wild, loose, with_volume)
        pair = self.pair()
        cash = {"main": {"USD": rng.choice(("1000", "1000", "300", "100000")), "BTC": "5"}}
        if self.chance(0.1):
            cash["side"] = {"USD": "500", "BTC": "2"}
        self.accounts = list(cash)
        times = sorted(self.time() for _ in range(rng.randint(1, 8)))
        commands = [self.command(second) for second in times]
        return {"pair": pair, "rules": rules, "cash": cash, "bars": self.bars, "commands": commands}

    def pair(self) -> dict[str, Any]:
        pair = {"price": str(self.tick), "volume": str(self.lot), "quote": self.places}
        if self.chance(0.05):
            pair["min_volume"] = str(2 * self.lot)
        return pair

    def rules(self) -> dict[str, Any]:
        rng = self.rng
        rules: dict[str, Any] = {"path": rng.choice(PATHS)}
        fees: dict[str, Any] = {}
        if self.chance(0.5):
            fee = {"percent_of_notional": rng.choice(("0.001", "0.0025", "0.01"))}
            if self.chance(0.5):
                fee["maker"] = rng.choice(("0.0005", "0", "-0.0002"))
            if self.chance(0.2):
                fee["minimum"] = rng.choice(("0.3", "1"))
            if self.chance(0.15):
                fee["maximum"] = rng.choice(("1", "1.5"))
            fees["fill"] = fee
        elif self.chance(0.3):
            fees["fill"] = {rng.choice(("flat_per_trade", "flat_per_volume")): "0.7"}
        if not self.spot and self.chance(0.5):
            fees["close"] = rng.choice((fees.get("fill"), {"flat_per_trade": "0.3"})) or {}
            if not fees["close"]:
                del fees["close"]
        if self.chance(0.15):
            fees["create"] = {"flat_per_trade": "0.25"}
        if self.chance(0.15):
            fees["cancel"] = {"flat_per_trade": "0.2"}
        if self.chance(0.08):
            base = rng.choice(("percent_of_notional", "flat_per_volume", "flat_per_trade"))
            fees["overnight_pending"] = {base: rng.choice(("0.01", "0.3", "-0.02"))}
            rules["rollover_ns"] = rng.choice((0, 15, 45)) * SECOND
        if fees:
            rules["fees"] = fees
        if self.chance(0.25):
            rules["slippage"] = str(rng.choice((1, 2)) * self.tick)
        if self.chance(0.1):
            rules["slippage_rate"] = "0.003"
            rules.setdefault("slippage", "0")
        if "slippage" in rules and self.chance(0.3):
            rules["slippage_beyond_bar"] = True
        if self.chance(0.15):
            rules["penetration_ticks"] = rng.choice((1, 2))
        if self.chance(0.3):
            rules["participation"] = rng.choice(("0.5", "0.1", "none"))
        if self.chance(0.12):
            rules["fill_on"] = rng.choice(("this_close", "next_close"))
        if self.chance(0.2):
            rules["market_buffer"] = rng.choice(("0", "0.01", "0.1"))
        return rules

    # -- commands ----------------------------------------------------------------------------------

    def time(self) -> int:
        """Mostly the close of a bar, sometimes inside one, or before all."""
        row = self.rng.choice(self.bars[:-1])
        if self.chance(0.12):
            return int(row[0] + 30)
        return int(self.bars[0][0] if self.chance(0.05) else row[0] + BAR)

    def mark(self, second: int) -> Decimal:
        """The last close before, or the first open."""
        past = [row for row in self.bars if row[0] + BAR <= second]
        price = Decimal(past[-1][4] if past else self.bars[0][1])
        return price // self.tick * self.tick

    def near(self, mark: Decimal, low: int, high: int) -> str:
        """A price so many ticks from ``mark``; with small ticks, of a bar's usual steps."""
        step = max(self.tick, Decimal("0.5"))
        return str(mark + step * self.rng.randint(low, high))

    def size(self, mark: Decimal) -> str:
        """Some lots, worth a part of the cash."""
        worth = self.rng.choice((50, 100, 200, 400, 400))
        most = max(int(worth / mark / self.lot), 1)
        return str(self.lot * self.rng.randint(1, min(max(most, 2), 40)))

    def command(self, second: int) -> list[Any]:
        mark = self.mark(second)
        if not self.labels or self.chance(0.5):
            return self.opening(second, mark)
        label = self.rng.choice(self.labels)
        if self.chance(0.1):
            label += self.rng.choice((".x0", ".0", ".1"))
        if not self.spot and not self.reducing and self.chance(0.55):
            return self.closing(second, mark, label)
        kind = self.rng.choice(("cancel", "cancel", "modify", "modify", "modify", "split"))
        return [second, kind, label, getattr(self, kind)(second, mark)]

    def cancel(self, second: int, mark: Decimal) -> dict[str, Any]:
        return {} if self.chance(0.6) else {"volume": str(self.lot)}

    def modify(self, second: int, mark: Decimal) -> dict[str, Any]:
        which = self.rng.randint(0, 1 if not self.spot and self.chance(0.5) else 6)
        if which == 0:
            return {"stop_loss": self.near(mark, -8, -1)}
        if which == 1:
            return {"take_profit": self.near(mark, 1, 8)}
        if which == 2:
            return {"stop_price": self.near(mark, -6, 6)}
        if which == 3:
            return {"volume": self.size(mark)}
        if which == 4:
            return {"limit_price": self.near(mark, -6, 6), "volume": self.size(mark)}
        if which == 5 and self.chance(0.6):
            if self.chance(0.5):
                return {"expires": second + self.rng.choice((60, 90, 120))}
            return {"trail": str(self.tick * self.rng.randint(1, 8))}
        return {"limit_price": self.near(mark, -6, 6)}

    def split(self, second: int, mark: Decimal) -> dict[str, Any]:
        volumes = [str(self.lot * self.rng.randint(1, 3)) for _ in range(2)]
        given: dict[str, Any] = {"volumes": volumes}
        if self.chance(0.3):
            given["limit_prices"] = [self.near(mark, -6, 6) for _ in volumes]
        return given

    def closing(self, second: int, mark: Decimal, label: str) -> list[Any]:
        if self.closes and self.chance(0.15):
            return [second, "cancel_close", f"close{self.rng.randrange(self.closes)}", {}]
        given: dict[str, Any] = {"as": f"close{self.closes}"}
        self.closes += 1
        if self.chance(0.4):
            given["volume"] = str(self.lot * self.rng.randint(1, 3))
        which = self.rng.randint(0, 7)
        if which < 3:
            given["limit_price"] = self.near(mark, -5, 8)
        elif which == 3:
            given["stop_price"] = self.near(mark, -6, 6)
        elif which == 4:
            given["trail"] = str(self.tick * self.rng.randint(2, 8))
        return [second, "close", label, given]

    def opening(self, second: int, mark: Decimal) -> list[Any]:
        rng = self.rng
        if self.spot:
            verb = rng.choice(("buy", "buy", "buy", "sell", "sell"))
        else:
            verb = rng.choice(("long", "short", "long", "short", "buy"))
        label = chr(ord("a") + len(self.labels))
        self.labels.append(label)
        side = 1 if verb in ("buy", "long") else -1
        given: dict[str, Any] = {"volume": self.size(mark)}
        if verb in ("long", "short") and self.chance(0.6):
            given["leverage"] = rng.choice(("2", "3", "5"))
        kind = rng.choice(
            ("market", "market", "limit", "limit", "limit", "stop", "stop_limit", "trail")
        )
        if kind == "limit":
            given["limit_price"] = self.near(mark, -4, 4)
        if kind in ("stop", "stop_limit"):
            given["stop_price"] = self.near(mark, -2, 5) if side > 0 else self.near(mark, -5, 2)
        if kind == "stop_limit":
            given["limit_price"] = self.near(Decimal(given["stop_price"]), -3, 3)
        if kind == "trail":
            which = rng.choice(("trail", "trail_percent"))
            given[which] = str(self.tick * rng.randint(1, 8)) if which == "trail" else "2"
        self.terms(second, mark, verb, side, kind, given)
        if len(self.accounts) > 1 and self.chance(0.5):
            given["account"] = "side"
        return [second, verb, label, given]

    def terms(
        self, second: int, mark: Decimal, verb: str, side: int, kind: str, given: dict[str, Any]
    ) -> None:
        """Time in force, protections, flags, groups."""
        rng = self.rng
        price = Decimal(given.get("limit_price", given.get("stop_price", mark)))
        if self.chance(0.25) and not (verb == "sell" and kind != "market"):
            away = side if verb != "sell" else -side
            if self.chance(0.8):
                given["stop_loss"] = self.near(price, *sorted((-away, -10 * away)))
            if self.chance(0.8):
                given["take_profit"] = self.near(price, *sorted((away, 10 * away)))
            if verb == "sell":
                return
        if self.chance(0.35):
            tif = rng.choice(("IOC", "FOK", "DAY", "GTD", "GTD"))
            if tif == "GTD":
                given["expires"] = second + rng.choice((60, 120, 180, 200))
            else:
                given["time_in_force"] = tif
        if (
            kind == "limit"
            and self.chance(0.15)
            and given.get("time_in_force") not in ("IOC", "FOK")
        ):
            given["post_only"] = True
        if self.reducing and verb in ("long", "short") and self.chance(0.4):
            given["reduce_only"] = True
            given.pop("stop_loss", None)
            given.pop("take_profit", None)
        elif self.chance(0.12):
            given["oco"] = "either"
