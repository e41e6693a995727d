"""Which rows of a table of several symbols belong to a pair."""

from __future__ import annotations

from collections.abc import Iterable

from backtest.errors import DataError

__all__ = ["choose_symbol", "no_rows"]


def _bare(code: str) -> str:
    return "".join(letter for letter in code.upper() if letter.isalnum())


def choose_symbol(
    symbol: str | None, seen: Iterable[str], pair: str, has_column: bool, source: str
) -> str | None:
    """The symbol whose rows to take; None for all rows.

    An explicit ``symbol`` is taken as it is (`DataError` when the table has no such column).
    Otherwise, of those ``seen``: the only one, or the one that is the pair's code but for case and
    separators; a `DataError` that lists them when neither settles it.
    """
    if symbol is not None:
        if not has_column:
            raise DataError(
                f"has no symbol column in which to look for {symbol!r}: leave out symbol",
                source=source,
            )
        return symbol
    names = sorted(set(seen))
    if len(names) <= 1:
        return None
    fitting = [name for name in names if _bare(name) == _bare(pair)]
    if len(fitting) == 1:
        return fitting[0]
    shown = ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
    raise DataError(
        f"holds several symbols ({shown}), and which is {pair} cannot be told: pass symbol=...",
        source=source,
    )


def no_rows(symbol: str | None, source: str, what: str = "bar") -> DataError:
    """The error of a table without a row (of the chosen symbol)."""
    lack = "has a header but no rows" if symbol is None else f"has no row of symbol {symbol!r}"
    return DataError(f"{lack}: give at least one {what}", source=source)
