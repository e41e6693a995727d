"""What the oracle asks where agents trade with each other (I1, I2, I22).

* every fill has another side, in the same entry: one price, as much bought as sold
* what the one pays the other gets: no house account takes a side; fees go to ``fees``, PnL goes
  through ``clearing``. Of a spot trade each side is rounded by itself: the rest, a step at most, is
  fees', and never negative in sum
* the open volume of a pair is zero net, at all times
* ``clearing`` is the PnL of all open positions, to a step of the asset for each close since nothing
  was open and never less, and empty when nothing is
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, NoReturn

from backtest.analysis.verify.lines import derived_id

from .chains import ChainAudit
from .units import Units, shown, units, whole

__all__ = ["BetweenAudit"]

_FEES = frozenset(("FEE_CREATE", "FEE_FILL", "FEE_CLOSE", "FEE_CANCEL", "FEE_OVERNIGHT"))
_SIDES = frozenset(("FILL_BUY", "FILL_SELL", "SPOT_EXCHANGE"))

_KEPT = _FEES | {"ADJUSTMENT"}
"""What may come to fees: those, and what rounding leaves."""
_CLEARED = frozenset(("CLOSE_PNL", "FEE_OVERNIGHT", "ADJUSTMENT"))
"""What may go through clearing: funding does, from longs to shorts or back."""

_NOISE = Fraction(1, 10**18)
"""Averages, of which orders tell what their positions have cost, are rounded to 24 places."""

Key = tuple[str, str]


class BetweenAudit:
    """Follows entries and fills of an exchange; ``chains`` are the oracle's."""

    def __init__(
        self, exchange: Any, chains: ChainAudit, fail: Callable[[str, str], NoReturn]
    ) -> None:
        self.entries: list[Any] = []
        """New ledger entries; put them here before `check`."""
        self._exchange = exchange
        self._venue = exchange.venue
        self._dealt = 0
        """How much of the tape was looked at."""
        self._chains = chains
        self._fail = fail
        self._fills = 0
        self._rests: dict[str, Units] = {}
        """By pair: what rounding has left to fees."""
        self._closes: dict[str, int] = {}
        """By asset: how many closes were rounded since no position was open."""
        self._pairs: dict[str, list[str]] = {}
        """The pairs that are settled in an asset."""
        self._steps: dict[str, Fraction] = {}
        for code, book in self._venue.books.items():
            quote = book.pair.quote
            self._pairs.setdefault(quote.code, []).append(code)
            self._steps[quote.code] = Fraction(1, 10**quote.precision)

    def check(self, money: Mapping[Key, tuple[Units, Units]]) -> None:
        """Look at what is new; ``money`` is the oracle's."""
        fills = self._venue.records.fills
        told: dict[str, list[Any]] = {}
        while self._fills < len(fills):
            fill = fills[self._fills]
            self._fills += 1
            told.setdefault(str(fill.entry_id), []).append(fill)
        for entry in self.entries:
            self._check_house(entry)
            own = told.pop(derived_id(self._venue.run_id, f"entry/{entry.number}"), None)
            if own is not None:
                self._check_trade(entry, own)
                self._check_tape(entry, own)
        self.entries.clear()
        for entry_id, own in told.items():
            self._fail("I22", f"{_told(own[0])} is of entry {entry_id}, which was not posted now")
        self._check_open(money)

    def _check_house(self, entry: Any) -> None:
        """No house account takes a side, whatever the entry is about."""
        for account, asset, kind, available, _ in entry.legs:
            if account == "market":
                self._fail("I22", f"entry {entry.number} ({entry.why}) has the market on a side")
            if account == "clearing" and kind.name not in _CLEARED:
                self._fail("I22", f"entry {entry.number} moves {kind.name} {asset} of clearing")
            if account == "fees" and kind.name not in _KEPT:
                self._fail("I22", f"entry {entry.number} moves {kind.name} {available} of fees")

    def _check_trade(self, entry: Any, fills: list[Any]) -> None:
        bought = [fill for fill in fills if fill.direction.sign > 0]
        sold = [fill for fill in fills if fill.direction.sign < 0]
        first = fills[0]
        if not (bought and sold):
            self._fail("I22", f"{_told(first)} has no other side")
        for fill in fills:
            if (fill.price, fill.pair, fill.order_kind) != (
                first.price, first.pair, first.order_kind,
            ):  # fmt: skip
                self._fail("I22", f"{_told(fill)} is no trade with {_told(first)}")
        volumes = [sum(units(fill.volume) for fill in side) for side in (bought, sold)]
        if volumes[0] != volumes[1]:
            self._fail(
                "I22", f"{shown(volumes[0])} was bought and {shown(volumes[1])} sold in one trade"
            )
        worth = [sum(units(fill.notional) for fill in side) for side in (bought, sold)]
        book = self._venue.books[first.pair]
        step = self._steps[book.quote]
        spot = first.order_kind == "spot"
        rounded = step if spot else len(fills) * step / 2 if len(fills) > 2 else 0
        if abs(whole(worth[0] - worth[1])) > rounded:
            self._fail("I22", f"{shown(worth[0])} was paid for what was sold for {shown(worth[1])}")
        kept = self._check_sides(entry)
        if kept != ({book.quote: worth[0] - worth[1]} if spot and worth[0] != worth[1] else {}):
            self._fail("I22", f"entry {entry.number} leaves another rest to fees than its sides do")
        for asset, rest in kept.items():
            self._rests[first.pair] = self._rests.get(first.pair, 0) + rest
            if self._rests[first.pair] < 0:
                told = shown(self._rests[first.pair])
                self._fail("I22", f"rounding has cost fees {told} {asset} on {first.pair}")
        closes = sum(fill.realised_pnl is not None for fill in fills)
        self._closes[book.quote] = self._closes.get(book.quote, 0) + closes

    def _check_tape(self, entry: Any, fills: list[Any]) -> None:
        """The tape has the trade, and who came to whom is who pays the taker's fee."""
        tape = self._exchange.trades_log
        if self._dealt == len(tape) or tape[self._dealt].entry != entry.number:
            self._fail("I22", f"entry {entry.number} is no trade of the tape at its place")
        trade = tape[self._dealt]
        self._dealt += 1
        bought = sum(units(fill.volume) for fill in fills if fill.direction.sign > 0)
        if (units(trade.price), units(trade.volume)) != (units(fills[0].price), bought):
            self._fail("I22", f"the tape has {trade}, the fills {_told(fills[0])}")
        for fill in fills:
            took = trade.aggressor == ("buy" if fill.direction.sign > 0 else "sell")
            if fill.maker is took:
                self._fail("I22", f"{_told(fill)}: maker is {fill.maker}, and it took: {took}")

    def _check_sides(self, entry: Any) -> dict[str, Units]:
        """What the one pays the other gets, to the last digit, but for what rounding leaves to
        fees: which that is."""
        sums: dict[tuple[str, str], Units] = {}
        kept: dict[str, Units] = {}
        for account, asset, kind, available, unavailable in entry.legs:
            name = kind.name
            group = "fees" if name in _FEES else "sides" if name in _SIDES else name
            if group == "sides" and account in ("fees", "clearing", "insurance", "world"):
                self._fail("I22", f"entry {entry.number} has {account} on a side")
            if group == "CLOSE_PNL" and account in ("fees", "insurance", "world"):
                self._fail("I22", f"entry {entry.number} settles a PnL with {account}")
            if group == "fees" and account in ("clearing", "insurance", "world"):
                self._fail("I22", f"entry {entry.number} pays a fee to {account}")
            change = units(available) + units(unavailable)
            if account == "fees" and name == "ADJUSTMENT":
                group, kept[asset] = "sides", change
            sums[group, asset] = sums.get((group, asset), 0) + change
        for (group, asset), total in sums.items():
            if total:
                self._fail("I22", f"entry {entry.number}: {group} sum to {shown(total)} {asset}")
        return kept

    def _check_open(self, money: Mapping[Key, tuple[Units, Units]]) -> None:
        opened, counts = self._chains.open, self._chains.open_count
        for asset, codes in self._pairs.items():
            owed: Units = 0
            count = 0
            for code in codes:
                volume, paid = opened.get(code, (0, 0))
                if volume:
                    self._fail("I1", f"the open volume of {code} is {shown(volume)} net")
                # Volumes are even, so the PnL in all is the same at every mark: less what was paid.
                owed -= paid
                count += counts.get(code, 0)
            held = money.get(("clearing", asset), (0, 0))
            if held[1]:
                self._fail("I1", f"clearing has {shown(held[1])} {asset} in reserve")
            if not count:
                self._closes[asset] = 0
            # Each close is rounded down, so what rounding leaves is never negative.
            bound = self._closes.get(asset, 0) * self._steps[asset]
            if not -_NOISE <= whole(held[0] - owed) <= bound:
                self._fail(
                    "I1",
                    f"clearing has {shown(held[0])} {asset}, positions are {shown(owed)} ahead, "
                    f"and rounding explains {float(bound)}",
                )


def _told(fill: Any) -> str:
    return f"fill of {fill.volume} {fill.pair} at {fill.price} ({fill.kind}, {fill.order_id})"
