"""Numbers and columns for people: what reports and stories are set in."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from backtest.money import plain
from backtest.times import moment

__all__ = ["columns", "grouped", "moment", "money_column", "signed"]


def grouped(value: Decimal, places: int = 2, *, sign: bool = False) -> str:
    """``value`` with thousands apart and at least ``places`` digits after the point; never rounded.

    ``sign`` writes a plus before what is above zero.
    """
    whole, _, part = plain(value.copy_abs()).partition(".")
    text = f"{int(whole):,}"
    part = part.ljust(places, "0")
    if part:
        text += f".{part}"
    if value < 0:
        return f"-{text}"
    return f"+{text}" if sign and value > 0 else text


def signed(value: Decimal, places: int = 2) -> str:
    """`grouped` with its sign."""
    return grouped(value, places, sign=True)


def money_column(values: Sequence[Decimal], *, sign: bool = False) -> list[str]:
    """``values`` with the same number of digits after the point, right-aligned."""
    places = 2
    for value in values:
        places = max(places, len(plain(value).partition(".")[2]))
    texts = [grouped(value, places, sign=sign) for value in values]
    width = max(map(len, texts), default=0)
    return [text.rjust(width) for text in texts]


def columns(rows: Sequence[Sequence[str]], indent: str = "  ", gap: str = "  ") -> list[str]:
    """Lines of cells below each other; trailing spaces are cut off."""
    if not rows:
        return []
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        (
            indent + gap.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
