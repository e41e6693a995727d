"""A run proves itself; whatever is changed in its files is found."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from decimal import Decimal as D
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import backtest
from backtest.analysis.result import RunResult
from backtest.analysis.tables.tables import COLUMNS
from backtest.analysis.verify.lines import derived_id
from backtest.analysis.verify.verify import verify_run
from backtest.errors import DataError, VerificationFailed
from backtest.models import Bar
from backtest.models._fast import derive
from backtest.strategies import Strategy
from tests.test_analysis.runs import busy_run, hourly, small_run

Rows = list[dict[str, str]]


class Once(Strategy):
    """Buys one at the first bar."""

    def on_bar(self, bar: Bar) -> None:
        if self.last_price("BTCUSD") and not self.open_orders() and not self.balance("BTC").total:
            self.buy("BTCUSD", 1)


@pytest.fixture(scope="module")
def busy() -> RunResult:
    return busy_run()


@pytest.fixture(scope="module")
def written(busy: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return busy.write(tmp_path_factory.mktemp("runs") / "busy")


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "run"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return small_run().write(tmp_path / "small")


# -- a run that is in order ------------------------------------------------------------------------


def test_the_busy_run_has_everything_that_is_to_be_checked(busy: RunResult) -> None:
    statuses = busy.summary["orders_by_status"]
    assert all(statuses[one] > 5 for one in ("FILLED", "CANCELLED", "CLOSED", "REPLACED"))
    assert all(fees for fees in busy.summary["fees"].values())
    kinds = {event.kind.value for event in busy.records.events}
    assert {"split", "modified", "closing", "liquidated", "charged", "rejected"} <= kinds
    assert {fill.kind for fill in busy.fills} >= {"entry", "close", "stop_loss", "take_profit"}


def test_a_run_verifies_in_memory_and_from_its_files(busy: RunResult, written: Path) -> None:
    in_memory, from_files = busy.verify(), verify_run(written)
    assert in_memory.ok, str(in_memory)
    assert bool(in_memory)
    assert from_files.ok, str(from_files)
    in_memory.raise_for_problems()
    names = [check.name for check in from_files.checks]
    assert names == ["the files are as they were written", *(c.name for c in in_memory.checks)]
    assert len(set(names)) == len(names) > 10
    assert "all" in str(in_memory).splitlines()[-1]


def test_parquet_verifies_like_csv(busy: RunResult, tmp_path: Path) -> None:
    assert verify_run(busy.write(tmp_path / "run", "parquet")).ok


# -- a result in memory that is not in order -------------------------------------------------------


def test_a_live_balance_that_the_journal_does_not_give_is_found() -> None:
    run = small_run()
    run.ledger._balances["main"]["USD"] = (D("1007.35"), D(0))
    verification = run.verify()
    assert not verification.ok
    failed = [check.name for check in verification.checks if not check.ok]
    assert "the journal folds to the balances" in failed
    with pytest.raises(VerificationFailed, match=r"1007\.35") as caught:
        verification.raise_for_problems()
    assert caught.value.problems == verification.problems
    assert f"{len(failed)} of {len(verification.checks)} checks failed" in str(verification)


def test_a_reserve_that_nobody_holds_is_found() -> None:
    run = small_run()
    run.records.orders[0] = derive(run.records.orders[0], reserved=D(1))
    failed = {check.name for check in run.verify().checks if not check.ok}
    assert "orders are in order" in failed


# -- files that were changed -----------------------------------------------------------------------


def rows_of(folder: Path, table: str) -> Rows:
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def store(folder: Path, table: str, rows: Rows) -> None:
    with (folder / f"{table}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS[table], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def facts_of(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return facts


HASHED = (
    "timestamp",
    "account",
    "asset_code",
    "transaction_type",
    "available_balance_change",
    "unavailable_balance_change",
)


def rename(folder: Path, old: str, new: UUID) -> None:
    """Give all entries the ids that they have in a run called ``new``."""
    count = max(int(row["entry"]) for row in rows_of(folder, "transactions"))
    names = {
        derived_id(UUID(old), f"entry/{number}"): derived_id(new, f"entry/{number}")
        for number in range(1, count + 2)
    }
    for table in COLUMNS:
        rows = rows_of(folder, table)
        for row in rows:
            if "entry_id" in row:
                row["entry_id"] = names.get(row["entry_id"], row["entry_id"])
        store(folder, table, rows)


def cover(folder: Path, facts: dict[str, Any] | None = None) -> None:
    """Make all hashes right again, as somebody would who knows the program: the journal's, the
    configuration's, those of the files and that of run.json itself."""
    facts = facts_of(folder) if facts is None else facts
    receipt = facts["receipt"]
    parts: dict[str, list[str]] = {}
    for row in rows_of(folder, "orders"):
        parts.setdefault(row["branch_id"], []).append(row["order_id"])
    numbers = {
        part: f"{number}.{place}"
        for number, own in enumerate(parts.values(), 1)
        for place, part in enumerate(own, 1)
    }
    lines = []
    for row in rows_of(folder, "transactions"):
        kept = [row[name] for name in HASHED]
        number = numbers.get(row["order_id"], "?") if row["order_id"] else ""
        lines.append("|".join([number, *kept]) + "\n")
    receipt["journal_sha256"] = hashlib.sha256("".join(lines).encode()).hexdigest()
    config = hashlib.sha256(json.dumps(facts["config"], separators=(",", ":")).encode())
    if receipt["config_sha256"] != config.hexdigest():
        receipt["config_sha256"] = config.hexdigest()
        run_id = UUID(bytes=config.digest()[:16], version=4)
        rename(folder, receipt["run_id"], run_id)
        receipt["run_id"] = str(run_id)
    for table, told in facts["tables"].items():
        content = (folder / told["file"]).read_bytes()
        told["sha256"] = hashlib.sha256(content).hexdigest()
        told["rows"] = len(rows_of(folder, table))
    facts.pop("sha256", None)
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    facts["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "run.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")


def test_covering_up_nothing_leaves_a_run_that_verifies(folder: Path) -> None:
    cover(folder)
    assert verify_run(folder).ok


@pytest.mark.parametrize("table", COLUMNS)
def test_a_changed_cell_of_any_column_is_found(small: Path, table: str) -> None:
    path = small / f"{table}.csv"
    original = path.read_bytes()
    for column in COLUMNS[table]:
        rows = rows_of(small, table)
        row = next((one for one in rows if one[column] not in ("", "0")), rows[0])
        row[column] = row[column] + "1" if row[column] else "1"
        store(small, table, rows)
        assert not verify_run(small).ok, column
        path.write_bytes(original)
    assert verify_run(small).ok


def plus(text: str, amount: str = "0.01") -> str:
    return format((D(text) + D(amount)).normalize(), "f")


def first(rows: Rows, **wanted: str) -> dict[str, str]:
    return next(row for row in rows if all(row[name] == value for name, value in wanted.items()))


Tamper = Callable[[Rows], Rows | None]


def transactions() -> Iterator[tuple[str, Tamper]]:
    def amount(rows: Rows) -> None:
        rows[40]["available_balance_change"] = plus(rows[40]["available_balance_change"])

    def both_legs(rows: Rows) -> None:
        # Balanced: the account pays a cent more, the fees receive it.
        leg = first(rows, transaction_type="FEE_FILL", account="fees")
        other = rows[rows.index(leg) - 1]
        leg["available_balance_change"] = plus(leg["available_balance_change"])
        name = "available" if other["available_balance_change"] != "0" else "unavailable"
        other[f"{name}_balance_change"] = plus(other[f"{name}_balance_change"], "-0.01")

    def shifted(rows: Rows) -> None:
        # From available to reserve: every sum stays as it is.
        leg = first(rows, transaction_type="RESERVE_MARGIN")
        leg["available_balance_change"] = plus(leg["available_balance_change"], "-0.01")
        leg["unavailable_balance_change"] = plus(leg["unavailable_balance_change"])

    def dropped(rows: Rows) -> Rows:
        return rows[:30] + rows[31:]

    def dropped_entry(rows: Rows) -> Rows:
        entry = first(rows, transaction_type="CLOSE_PNL")["entry"]
        kept = [row for row in rows if row["entry"] != entry]
        for number, row in enumerate(kept, 1):
            row["sequence"] = str(number)
        return kept

    def dropped_tail(rows: Rows) -> Rows:
        return [row for row in rows if row["entry"] != rows[-1]["entry"]]

    def doubled(rows: Rows) -> Rows:
        return [*rows[:20], dict(rows[19]), *rows[20:]]

    def swapped(rows: Rows) -> Rows:
        return [*rows[:20], rows[21], rows[20], *rows[22:]]

    def swapped_entries(rows: Rows) -> Rows:
        one, two = rows[50]["entry"], str(int(rows[50]["entry"]) + 1)
        block = [row for row in rows if row["entry"] == two]
        place = rows.index(first(rows, entry=one))
        rest = [row for row in rows if row["entry"] != two]
        return [*rest[:place], *block, *rest[place:]]

    def account(rows: Rows) -> None:
        rows[40]["account"] = "c" if rows[40]["account"] != "c" else "a"

    def asset(rows: Rows) -> None:
        rows[40]["asset_code"] = "EUR"

    def kind(rows: Rows) -> None:
        for row in rows:
            if row["transaction_type"] == "FEE_CANCEL":
                row["transaction_type"] = "FEE_CREATE"

    def time(rows: Rows) -> None:
        rows[40]["timestamp"] = "2019-12-31T00:00:00+00:00"

    def order(rows: Rows) -> None:
        leg = first(rows, transaction_type="CLOSE_PNL")
        other = next(row for row in rows if row["order_id"] not in ("", leg["order_id"]))
        for row in rows:
            if row["entry"] == leg["entry"]:
                row["order_id"] = other["order_id"]

    def spelled(rows: Rows) -> None:
        rows[0]["available_balance_change"] += ".0"

    def nonsense(rows: Rows) -> None:
        rows[40]["unavailable_balance_change"] = "lots"

    def deposit(rows: Rows) -> None:
        # Balanced, and nothing hangs on it: but more came in than was paid in.
        rows[0]["available_balance_change"] = plus(rows[0]["available_balance_change"], "100")
        rows[1]["available_balance_change"] = plus(rows[1]["available_balance_change"], "-100")

    for tamper in (
        amount, both_legs, shifted, dropped, dropped_entry, dropped_tail, doubled, swapped,
        swapped_entries, account, asset, kind, time, order, spelled, nonsense, deposit,
    ):  # fmt: skip
        yield "transactions", tamper


def orders() -> Iterator[tuple[str, Tamper]]:
    def volume(rows: Rows) -> None:
        row = first(rows, status="CANCELLED")
        row["volume"] = row["cancel_volume"] = plus(row["volume"])

    def status(rows: Rows) -> None:
        first(rows, status="CANCELLED", end_reason="REQUESTED")["status"] = "PENDING"

    def reserved(rows: Rows) -> None:
        row = first(rows, status="PENDING")
        row["reserved"] = plus(row["reserved"])

    def reserved_when_done(rows: Rows) -> None:
        first(rows, status="CLOSED")["reserved"] = "0.01"

    def margin(rows: Rows) -> None:
        row = first(rows, status="FILLED", order_kind="trading")
        row["margin_reserved"] = plus(row["margin_reserved"])

    def price(rows: Rows) -> None:
        row = first(rows, status="FILLED", order_kind="spot")
        row["fill_price"] = plus(row["fill_price"])

    def net(rows: Rows) -> None:
        row = first(rows, status="CLOSED")
        row["net_pnl"] = plus(row["net_pnl"])

    def fee(rows: Rows) -> None:
        row = first(rows, status="CANCELLED")
        row["fee_create"] = plus(row["fee_create"])

    def root(rows: Rows) -> None:
        row = next(row for row in rows if row["parent_id"])
        row["root_id"] = row["order_id"]

    def orphan(rows: Rows) -> None:
        row = next(row for row in rows if row["parent_id"])
        row["parent_id"] = "00000000-0000-4000-8000-000000000000"

    def dropped(rows: Rows) -> Rows:
        return [row for row in rows if row is not first(rows, status="CLOSED")]

    def doubled(rows: Rows) -> Rows:
        return [*rows, dict(rows[-1])]

    def reordered(rows: Rows) -> Rows:
        return [rows[1], rows[0], *rows[2:]]

    def limit(rows: Rows) -> None:
        row = first(rows, order_type="limit", status="FILLED", direction="LONG")
        row["limit_price"] = plus(row["fill_price"], "-0.01")

    def reason(rows: Rows) -> None:
        first(rows, closing_reason="stop_loss")["closing_reason"] = "take_profit"

    for tamper in (
        volume, status, reserved, reserved_when_done, margin, price, net, fee, root, orphan,
        dropped, doubled, reordered, limit, reason,
    ):  # fmt: skip
        yield "orders", tamper


def fills() -> Iterator[tuple[str, Tamper]]:
    def changed(name: str) -> Tamper:
        def tamper(rows: Rows) -> None:
            row = next(row for row in rows if row[name] not in ("", "0"))
            row[name] = plus(row[name])

        tamper.__name__ = name
        return tamper

    def side(rows: Rows) -> None:
        rows[0]["direction"] = "SHORT" if rows[0]["direction"] == "LONG" else "LONG"

    def dropped(rows: Rows) -> Rows:
        return rows[:10] + rows[11:]

    def doubled(rows: Rows) -> Rows:
        return [*rows[:10], *rows[9:]]

    def reordered(rows: Rows) -> Rows:
        return [rows[1], rows[0], *rows[2:]]

    def certain(rows: Rows) -> None:
        rows[0]["ambiguous"] = "true" if rows[0]["ambiguous"] == "false" else "false"

    def entry(rows: Rows) -> None:
        rows[3]["entry_id"] = rows[4]["entry_id"]

    for name in ("price", "volume", "notional", "fee", "realised_pnl"):
        yield "fills", changed(name)
    for tamper in (side, dropped, doubled, reordered, certain, entry):
        yield "fills", tamper


def others() -> Iterator[tuple[str, Tamper]]:
    def balance(rows: Rows) -> None:
        rows[-1]["available_balance"] = plus(rows[-1]["available_balance"])

    def dropped(rows: Rows) -> Rows:
        return rows[:-1]

    def reordered(rows: Rows) -> Rows:
        return [*rows[:10], rows[11], rows[10], *rows[12:]]

    def kind(rows: Rows) -> None:
        first(rows, kind="cancelled")["kind"] = "modified"

    def volume(rows: Rows) -> None:
        row = first(rows, kind="accepted")
        row["volume"] = plus(row["volume"])

    def unfounded(rows: Rows) -> None:
        first(rows, kind="rejected")["reason"] = ""

    def equity(rows: Rows) -> None:
        rows[-1]["equity"] = plus(rows[-1]["equity"])

    def inner_equity(rows: Rows) -> None:
        # Statistics are of the ends of days; what lies between only the data tells.
        at_night = next(row for row in rows[1:] if "T00:00:00" in row["timestamp"])
        at_night["equity"] = plus(at_night["equity"], "5")

    for tamper in (balance, dropped, reordered):
        yield "balances", tamper
    for tamper in (dropped, reordered, kind, volume, unfounded):
        yield "events", tamper
    for tamper in (equity, inner_equity, dropped, reordered):
        yield "equity", tamper


TAMPERS = [*transactions(), *orders(), *fills(), *others()]


@pytest.mark.parametrize(
    ("table", "tamper"), TAMPERS, ids=[f"{t}-{f.__name__}" for t, f in TAMPERS]
)
def test_a_change_is_found_even_when_all_hashes_are_made_right_again(
    folder: Path, table: str, tamper: Tamper
) -> None:
    rows = rows_of(folder, table)
    before = [dict(row) for row in rows]
    rows = tamper(rows) or rows
    assert rows != before, "the tamper did nothing"
    store(folder, table, rows)
    cover(folder)
    verification = verify_run(folder)
    assert verification.checks[0].ok, "the cover-up was meant to hide it from the hashes"
    assert not verification.ok


FACTS: list[tuple[str, Callable[[dict[str, Any]], None]]] = [
    ("cash", lambda facts: facts["config"]["cash"]["a"].update(USD="3001")),
    ("insurance", lambda facts: facts["config"].update(insurance_fund={"USD": "51"})),
    ("contract", lambda facts: facts["config"]["pairs"]["BTCUSD"].update(contract_size="2")),
    ("balance", lambda facts: facts["balances"]["a"]["USD"].update(available="1")),
    ("house", lambda facts: facts["balances"]["fees"]["USD"].update(available="1")),
    ("lost", lambda facts: facts["balances"].pop("b")),
    ("price", lambda facts: facts["prices"]["last"].update(BTCUSD="1")),
    ("first price", lambda facts: facts["prices"]["first"].update(BTCUSD="1")),
    ("equity", lambda facts: facts["summary"].update(final_equity="1000000")),
    ("profit", lambda facts: facts["summary"].update(profit="1")),
    ("fills", lambda facts: facts["summary"].update(fills=0)),
    ("fees", lambda facts: facts["summary"]["fees"].update(fill={})),
    ("sharpe", lambda facts: facts["summary"].update(sharpe="3")),
    ("drawdown", lambda facts: facts["summary"].update(max_drawdown="0.01")),
    ("seed", lambda facts: facts["receipt"].update(seed=6)),
    ("run", lambda facts: facts["receipt"].update(run_id="00000000-0000-4000-8000-000000000000")),
    ("input", lambda facts: facts["receipt"]["input_sha256"].update(BTCUSD="0" * 64)),
    ("summary", lambda facts: facts.pop("summary")),
    ("receipt", lambda facts: facts["receipt"].pop("run_id")),
]


@pytest.mark.parametrize("change", [change for _, change in FACTS], ids=[name for name, _ in FACTS])
def test_a_change_in_run_json_is_found_with_or_without_its_hash(
    folder: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    facts = facts_of(folder)
    change(facts)
    (folder / "run.json").write_text(json.dumps(facts))
    assert not verify_run(folder).ok
    cover(folder, facts)
    verification = verify_run(folder)
    assert verification.checks[0].ok
    assert not verification.ok


@pytest.mark.parametrize("table", COLUMNS)
def test_a_missing_file_is_found(folder: Path, table: str) -> None:
    (folder / f"{table}.csv").unlink()
    verification = verify_run(folder)
    assert not verification.ok
    assert f"{table}.csv is missing" in str(verification)


def test_a_cut_file_and_a_torn_line_are_found(folder: Path) -> None:
    path = folder / "transactions.csv"
    content = path.read_bytes()
    for cut in (len(content) // 2, len(content) - 1, 10, 0):
        path.write_bytes(content[:cut])
        assert not verify_run(folder).ok


def test_a_problem_says_where_and_what(folder: Path) -> None:
    rows = rows_of(folder, "orders")
    rows[7]["volume"] = "many"
    store(folder, "orders", rows)
    assert "orders, row 8: 'many' is not a number" in str(verify_run(folder))


def test_what_is_no_run_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such folder"):
        verify_run(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"it has no run\.json"):
        verify_run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        verify_run(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(DataError, match="not the file of a run"):
        verify_run(tmp_path)
    (tmp_path / "run.json").write_text('{"kind": "backtest run", "version": 9, "format": "csv"}')
    with pytest.raises(DataError, match="version 9"):
        verify_run(tmp_path)


def test_a_latency_finer_than_a_datetime_leaves_a_run_that_verifies() -> None:
    # Orders carry datetimes, which end at the microsecond; events and fills have nanoseconds.
    result = backtest.run(
        Once(),
        data=hourly("BTCUSD", *[("100", "100", "100", "100")] * 3),
        pair="BTCUSD",
        cash="1000 USD",
        latency="1234567ns",
    )
    assert len(result.fills) == 1
    # There and back: the bar to the strategy, its order to the venue.
    assert result.records.events[0].time % 1_000_000_000 == 2 * 1_234_567
    assert result.verify().ok, result.verify().problems
