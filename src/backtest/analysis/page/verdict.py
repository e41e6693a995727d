"""What the page opens with: one sentence, and what was not verified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import frozen

from backtest.analysis.record import RunRecord
from backtest.analysis.report.path_interval import PathInterval
from backtest.analysis.text import grouped, signed
from backtest.analysis.verify.verification import Verification
from backtest.analysis.worth import Confidence
from backtest.money import ZERO, round_half_even

__all__ = ["FEW", "Doubt", "cents", "not_verified", "title_of", "verdict"]

FEW = 30
"""With fewer trades that are over, what one more brought would change the picture."""
_CENT = Decimal("0.01")


def cents(value: Decimal | None, *, sign: bool = False, none: str = "–") -> str:
    """A figure with two digits, rounded half-even; ``none`` where it is not defined."""
    if value is None:
        return none
    return grouped(round_half_even(value, _CENT), sign=sign)


def title_of(record: RunRecord) -> str:
    """What ran on what."""
    names = dict.fromkeys(type(one).__name__ for one in record.strategies.values())
    return f"{', '.join(names)} on {', '.join(record.pairs)}"


def verdict(record: RunRecord, figures: Mapping[str, Any]) -> str:
    """What came of the run in one sentence, beside doing nothing but hold."""
    cash = figures["cash_asset"]
    gained = figures["return_percent"]
    profit = figures["profit"]
    word = "gained" if profit > ZERO else "lost" if profit < ZERO else "neither gained nor lost"
    share = "" if gained is None else f" ({signed(round_half_even(gained, _CENT))} %)"
    much = f" {cents(profit.copy_abs())} {cash}{share}" if profit else ""
    parts = [f"It {word}{much} in {_days(figures['days'])}"]
    held = figures["buy_and_hold"]["return_percent"]
    if held is not None:
        parts.append(f"where buying and holding the same data came to {cents(held, sign=True)} %")
    fall = f"with a deepest fall of {cents(figures['max_drawdown_percent'])} %"
    over = f"{figures['trades']:,} trade{'' if figures['trades'] == 1 else 's'}"
    return f"{', '.join(parts)}, {fall} and {over} that {_are(figures['trades'])} over."


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _days(days: Decimal | None) -> str:
    if days is None:
        return "no time"
    short = round_half_even(days, Decimal("0.1"))
    return f"{grouped(short, 0)} day{'' if short == 1 else 's'}"


@frozen
class Doubt:
    """One thing that the figures of the page do not rest on."""

    what: str
    more: tuple[str, ...] = ()
    """Details, one by one."""
    bad: bool = False
    """Whether it was looked at and found wrong."""


def not_verified(
    record: RunRecord,
    figures: Mapping[str, Any],
    verification: Verification,
    interval: PathInterval | None,
    chance: Confidence,
) -> list[Doubt]:
    """What was found wrong, then what was not looked at or cannot be known."""
    doubts = []
    if not verification.ok:
        doubts.append(
            Doubt("The run does not add up", verification.problems or ("no reason given",), True)
        )
    doubts += _of_chance(figures, chance)
    if interval is None:
        ambiguous = figures["ambiguous_fills"]
        told = "No fill is flagged ambiguous" if not ambiguous else f"{ambiguous:,} fills are"
        told += "." if not ambiguous else " flagged ambiguous."
        doubts.append(
            Doubt(
                "Which extreme of a bar came first, high or low, is a guess; how much hangs on "
                f"it was not asked (result.path_interval(), or --paths). {told}"
            )
        )
    doubts.append(
        Doubt(
            "Prices between fills, and what hangs on them, were not compared with the data "
            "(result.verify(data=True), or python -m backtest verify DIR)."
        )
    )
    if figures["unpriced_assets"]:
        owned = ", ".join(figures["unpriced_assets"])
        doubts.append(Doubt(f"Without a price, and so not counted: {owned}."))
    if record.notices:
        doubts.append(Doubt("What the run's id cannot tell, and what of the data was not taken as "
                            "it stands", tuple(record.notices)))  # fmt: skip
    if verification.unproven:
        doubts.append(Doubt("What the files of a run cannot prove", verification.unproven))
    return doubts


def _of_chance(figures: Mapping[str, Any], chance: Confidence) -> Sequence[Doubt]:
    found = []
    trades = figures["trades"]
    if trades < FEW:
        found.append(
            Doubt(f"{trades:,} trades are over: with fewer than {FEW} no figure of them tells luck "
                  "from skill.")
        )  # fmt: skip
    if chance.not_annualised:
        found.append(Doubt(f"Nothing is annualised: {chance.not_annualised}."))
    elif chance.sharpe is not None and chance.sharpe.low <= 0 <= chance.sharpe.high:
        low, high = chance.sharpe.low, chance.sharpe.high
        found.append(
            Doubt(
                f"Chance is not excluded: the Sharpe ratio lies between {low:.2f} and {high:.2f} "
                "in 95 % of histories put together anew from the daily returns, and 0 is within."
            )
        )
    return found
