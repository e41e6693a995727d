"""The files of a run: complete, the same each time, and whole or not there."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

import backtest
from backtest.analysis.result import RunResult
from backtest.analysis.tables.files import check_target, read_run
from backtest.analysis.tables.tables import COLUMNS, Row
from backtest.analysis.verify.verify import verify_run
from backtest.data import write_csv
from backtest.errors import ConfigError, DataError
from backtest.storage import Draft
from backtest.strategies import Strategy
from tests.test_analysis.runs import busy_run, hourly, small_run

FILES = {"run.json", *(f"{name}.csv" for name in COLUMNS)}


@pytest.fixture(scope="module")
def small() -> RunResult:
    return small_run()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_tables_have_the_columns_that_were_asked_for() -> None:
    # The command line's users rely on these, in whatever company.
    assert {
        "timestamp", "sequence", "entry_id", "account", "asset_code", "transaction_type",
        "available_balance_change", "unavailable_balance_change", "order_id", "description",
    } <= set(COLUMNS["transactions"])  # fmt: skip
    assert {
        "timestamp", "order_id", "root_id", "pair", "direction", "price", "volume", "fee",
        "ambiguous",
    } <= set(COLUMNS["fills"])  # fmt: skip


def test_the_transactions_of_the_small_run(small: RunResult, tmp_path: Path) -> None:
    folder = small.write(tmp_path / "run")
    assert names(folder) == FILES
    with (folder / "transactions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == small.ledger.transactions
    # The deposit, then the reserve of the first buy: 2 x 100 x 1.05 = 210, fee 0.21.
    short = [
        (
            row["timestamp"],
            row["sequence"],
            row["entry"],
            row["account"],
            row["asset_code"],
            row["transaction_type"],
            row["available_balance_change"],
            row["unavailable_balance_change"],
        )
        for row in rows[:4]
    ]
    assert short[:3] == [
        ("2024-01-01T00:00:00+00:00", "1", "1", "main", "USD", "ADJUSTMENT", "1000", "0"),
        ("2024-01-01T00:00:00+00:00", "2", "1", "world", "USD", "ADJUSTMENT", "-1000", "0"),
        (
            "2024-01-01T01:00:00+00:00",
            "3",
            "2",
            "main",
            "USD",
            "RESERVE_MARGIN",
            "-210.21",
            "210.21",
        ),
    ]
    # The fill: 204.00 paid, 2 BTC received, the market's legs, 0.21 fee, the rest returned.
    first_fill = rows[3]["entry"]
    legs = [
        (row["account"], row["asset_code"], row["transaction_type"],
         row["available_balance_change"], row["unavailable_balance_change"])
        for row in rows if row["entry"] == first_fill
    ]  # fmt: skip
    assert legs == [
        ("main", "USD", "FILL_BUY", "0", "-204"),
        ("main", "BTC", "SPOT_EXCHANGE", "2", "0"),
        ("market", "USD", "FILL_BUY", "204", "0"),
        ("market", "BTC", "SPOT_EXCHANGE", "-2", "0"),
        ("main", "USD", "FEE_FILL", "0", "-0.21"),
        ("fees", "USD", "FEE_FILL", "0.21", "0"),
        ("main", "USD", "RETURN_MARGIN", "6", "-6"),
    ]


def test_balances_are_those_after_each_entry(small: RunResult, tmp_path: Path) -> None:
    folder = small.write(tmp_path / "run")
    with (folder / "balances.csv").open(newline="") as file:
        rows = [
            (row["asset_code"], row["available_balance"], row["unavailable_balance"])
            for row in csv.DictReader(file)
        ]
    assert rows[0] == ("USD", "1000", "0")
    assert rows[1] == ("USD", "789.79", "210.21")
    assert rows[2:4] == [("USD", "795.79", "0"), ("BTC", "2", "0")]
    assert ("USD", "1007.34", "0") == rows[-1] or ("USD", "1007.34", "0") == rows[-2]


def test_lines_end_with_one_newline_and_numbers_have_no_exponent(tmp_path: Path) -> None:
    folder = busy_run().write(tmp_path / "run")
    for name in names(folder):
        content = (folder / name).read_bytes()
        assert b"\r" not in content
        assert content.endswith(b"\n")
        assert b"E-" not in content
        assert b"E+" not in content


class Idle(Strategy):
    pass


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_every_table_is_there_with_its_header_even_when_it_is_empty(
    tmp_path: Path, form: str
) -> None:
    bars = hourly("BTCUSD", ("100", "110", "90", "105"))
    run = backtest.run(Idle(), data=bars, pair="BTCUSD", cash="0 USD")
    files = read_run(run.write(tmp_path / "run", form))
    for name in COLUMNS:
        assert list(files.rows(name)) == []
    if form == "csv":
        assert (tmp_path / "run" / "fills.csv").read_text() == ",".join(COLUMNS["fills"]) + "\n"
    assert verify_run(tmp_path / "run").ok


def test_two_runs_write_the_same_bytes(tmp_path: Path) -> None:
    for form in ("csv", "parquet"):
        one = busy_run().write(tmp_path / f"{form}-one", form)
        two = busy_run().write(tmp_path / f"{form}-two", form)
        assert names(one) == names(two)
        for name in sorted(names(one)):
            assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_parquet_holds_the_same_text_as_csv(tmp_path: Path) -> None:
    run = busy_run()
    one = read_run(run.write(tmp_path / "csv"))
    two = read_run(run.write(tmp_path / "parquet", "parquet"))
    for name in COLUMNS:
        assert list(one.rows(name)) == list(two.rows(name)) != []


def test_parquet_has_typed_columns_and_exact_amounts(small: RunResult, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    small.write(tmp_path / "run", "parquet")
    table = pq.read_table(tmp_path / "run" / "transactions.parquet")
    assert table.schema.field("timestamp").type == pa.timestamp("ns", tz="UTC")
    assert table.schema.field("sequence").type == pa.int64()
    assert table.schema.field("available_balance_change").type == pa.string()
    assert table.column("available_balance_change")[2].as_py() == "-210.21"
    assert table.column("order_id")[0].as_py() is None


def test_run_json_tells_what_was_run(small: RunResult, tmp_path: Path) -> None:
    facts = json.loads((small.write(tmp_path / "run") / "run.json").read_text())
    assert facts["receipt"] == small.receipt
    assert facts["config"]["cash"] == {"main": {"USD": "1000"}}
    assert facts["summary"]["final_equity"] == "1007.34"
    assert facts["balances"]["main"]["USD"] == {"available": "1007.34", "unavailable": "0"}
    assert facts["tables"]["fills"]["rows"] == 5


# -- where to write, and where not -----------------------------------------------------------------


def test_a_previous_run_is_replaced_whole(small: RunResult, tmp_path: Path) -> None:
    small.write(tmp_path / "run", "parquet")
    small.write(tmp_path / "run", "csv")
    assert names(tmp_path / "run") == FILES
    assert names(tmp_path) == {"run"}


def test_folders_on_the_way_are_made(small: RunResult, tmp_path: Path) -> None:
    assert verify_run(small.write(tmp_path / "a" / "b" / "c")).ok


def test_an_empty_folder_is_used(small: RunResult, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert verify_run(small.write(tmp_path / "run")).ok
    assert names(tmp_path) == {"run"}


def test_a_folder_with_other_things_is_refused_unless_forced(
    small: RunResult, tmp_path: Path
) -> None:
    mine = tmp_path / "thesis.txt"
    mine.write_text("years of work")
    with pytest.raises(ConfigError, match=r"holds 'thesis.txt' and is not a run of ours.*--force"):
        small.write(tmp_path)
    assert names(tmp_path) == {"thesis.txt"}
    small.write(tmp_path, force=True)
    assert names(tmp_path) == {"thesis.txt", *FILES}
    assert mine.read_text() == "years of work"


def test_a_folder_is_ours_by_its_run_json_and_not_by_the_names_of_its_files(
    small: RunResult, tmp_path: Path
) -> None:
    target = tmp_path / "data"
    target.mkdir()
    for name in ("orders.csv", "fills.csv"):
        (target / name).write_text("mine")
    with pytest.raises(ConfigError, match=r"holds 'fills.csv' and is not a run of ours"):
        small.write(target)
    # What calls itself run.json and is another program's makes it no run, either.
    (target / "run.json").write_text('{"kind": "training run"}')
    with pytest.raises(ConfigError, match="is not a run of ours"):
        small.write(target)
    assert names(target) == {"orders.csv", "fills.csv", "run.json"}
    assert {(target / name).read_text() for name in ("orders.csv", "fills.csv")} == {"mine"}


def test_a_run_json_cannot_name_files_of_others_as_its_own(
    small: RunResult, tmp_path: Path
) -> None:
    folder = small.write(tmp_path / "run")
    (tmp_path / "mine").write_text("mine")
    (folder / "notes").write_text("mine")
    facts = json.loads((folder / "run.json").read_text())
    facts["tables"] |= {"a": {"file": "../mine"}, "b": {"file": "notes"}}
    (folder / "run.json").write_text(json.dumps(facts))
    small.write(folder)
    assert names(folder) == {"notes", *FILES}
    assert {(tmp_path / "mine").read_text(), (folder / "notes").read_text()} == {"mine"}


def test_a_file_of_another_run_beside_this_one_stays(small: RunResult, tmp_path: Path) -> None:
    # The run there is of Parquet files: the table beside it is the user's.
    folder = small.write(tmp_path / "run", "parquet")
    (folder / "fills.csv").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds 'fills.csv', which the run there did not write"):
        small.write(folder)
    small.write(folder, "parquet")
    assert (folder / "fills.csv").read_text() == "mine"
    small.write(folder, force=True)
    assert names(folder) == FILES
    assert verify_run(folder).ok


@pytest.mark.parametrize("force", [False, True])
def test_the_runs_own_input_is_never_replaced(tmp_path: Path, force: bool) -> None:
    # The input is called as a table; a link to it by another name is the same file.
    target = tmp_path / "data"
    target.mkdir()
    write_csv(target / "orders.csv", hourly("BTCUSD", *[("100", "110", "90", "105")] * 2))
    (tmp_path / "link.csv").symlink_to(target / "orders.csv")
    before = (target / "orders.csv").read_bytes()
    for data in (target / "orders.csv", tmp_path / "link.csv"):
        run = backtest.run(Idle(), data=str(data), pair="BTCUSD", cash="0 USD")
        with pytest.raises(ConfigError, match=r"orders.csv is data of this run"):
            run.write(target, force=force)
    assert (target / "orders.csv").read_bytes() == before
    assert names(target) == {"orders.csv"}


def test_a_link_to_a_folder_stays_a_link(small: RunResult, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o750)
    (tmp_path / "run").symlink_to(tmp_path / "real")
    for _ in range(2):
        assert small.write(tmp_path / "run") == tmp_path / "real"
        assert (tmp_path / "run").is_symlink()
        assert (tmp_path / "real").stat().st_mode & 0o777 == 0o750
    assert names(tmp_path) == {"real", "run"}


def test_what_is_in_the_way_is_told_before_anything_is_touched(
    small: RunResult, tmp_path: Path
) -> None:
    (tmp_path / "run" / "fills.csv").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"fills.csv is a folder, and in the way"):
        small.write(tmp_path / "run", force=True)
    assert names(tmp_path / "run") == {"fills.csv"}
    assert check_target(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert names(tmp_path) == {"run"}, "asking leaves nothing behind"


def test_partial_folders_of_dead_processes_are_swept(small: RunResult, tmp_path: Path) -> None:
    dead, alien = tmp_path / ".run.1.partial", tmp_path / ".run.2.partial"
    for folder in (dead, alien):
        folder.mkdir()
        (folder / "orders.csv").write_text("half")
    (alien / "thesis.txt").write_text("mine")
    (tmp_path / ".ran.1.partial").mkdir()  # of another target
    with Draft(tmp_path, "run") as alive:
        (alive.path / "orders.csv").write_text("being written")
        small.write(tmp_path / "run")
        assert names(alive.path) == {"orders.csv"}
    assert names(tmp_path) == {"run", ".ran.1.partial", ".run.2.partial"}
    assert names(alien) == {"thesis.txt"}


def test_notes_beside_a_previous_run_stay(small: RunResult, tmp_path: Path) -> None:
    folder = small.write(tmp_path / "run", "parquet")
    (folder / "notes.txt").write_text("mine")
    small.write(folder)
    assert names(folder) == {"notes.txt", *FILES}
    assert verify_run(folder).ok


def test_what_is_no_folder_is_refused(
    small: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        small.write(tmp_path / "file")
    with pytest.raises(ConfigError, match="cannot write to"):
        small.write(tmp_path / "file" / "below")
    with pytest.raises(ConfigError, match="csv or parquet"):
        small.write(tmp_path / "run", "xlsx")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="the current one"):
        small.write(".")


class Failing:
    """Tables of which the third cannot be read to its end."""

    def __init__(self, run: RunResult) -> None:
        self.facts = run.tables.facts
        self._run = run

    def rows(self, name: str) -> Iterator[Row]:
        for number, row in enumerate(self._run.tables.rows(name)):
            if name == "balances" and number == 3:
                raise OSError(28, "No space left on device")
            yield row


@pytest.mark.parametrize("before", [False, True])
def test_a_failure_leaves_nothing_half_written(
    small: RunResult, tmp_path: Path, before: bool
) -> None:
    from backtest.analysis.tables.files import write_run

    target = tmp_path / "run"
    if before:
        small.write(target)
    content = {name: (target / name).read_bytes() for name in names(target)} if before else None
    with pytest.raises(ConfigError, match="No space left on device"):
        write_run(Failing(small), target)
    assert names(tmp_path) == ({"run"} if before else set())
    if content is not None:
        assert {name: (target / name).read_bytes() for name in names(target)} == content


def test_a_line_that_is_none_is_told_with_file_and_line(small: RunResult, tmp_path: Path) -> None:
    folder = small.write(tmp_path / "run")
    path = folder / "fills.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], "a,b\n", *lines[2:]]))
    with pytest.raises(DataError, match=r"fills\.csv:3: has 2 fields"):
        list(read_run(folder).rows("fills"))


def test_dataframes_hold_decimals_and_moments(small: RunResult) -> None:
    frames = small.to_pandas()
    assert set(frames) == set(COLUMNS)
    fills = frames["fills"]
    assert list(fills["price"]) == [D(102), D(110), D(115), D(112), D(95)]
    assert fills["fee"].sum() == D("0.66")
    assert str(fills["timestamp"].dtype) == "datetime64[ns, UTC]"
    assert fills["timestamp"][0].isoformat() == "2024-01-01T02:00:00+00:00"
    assert list(fills["ambiguous"]) == [False] * 5
    assert list(frames["orders"]["order_number"]) == [1, 2, 3, 4]
    assert frames["equity"]["equity"].iloc[-1] == D("1007.34")


@pytest.mark.parametrize("target", [None, 5, b"run"])
def test_what_names_no_folder_is_refused(small: RunResult, target: Any) -> None:
    with pytest.raises(ConfigError, match="a run is written into a folder, 'results' say, not "):
        small.write(target)
