"""``run``: from a file and some bars to a report, an object, a folder."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from tests.test_cli.shell import STRATEGIES, backtest_command, make_home

BASIC = ("--data", "btc.csv", "--pair", "BTCUSD", "--cash", "10000USD")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("home"))


def test_the_report_is_printed_and_nothing_else(home: Path) -> None:
    done = backtest_command(home, "run", "my.py:Mine", *BASIC, "--seed", "4")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Mine(pair=BTCUSD, every=5, size=0.01, trouble=)\n")
    for part in ("Summary", "Fees by stage", "Balances", "Receipt"):
        assert part in done.out
    assert re.search(r"^ *seed +4$", done.out, re.MULTILINE)
    assert "Verified: all" in done.out


def test_json_is_one_object_with_the_promised_keys(home: Path) -> None:
    done = backtest_command(home, "run", "my.py", *BASIC, "--set", "every=50", "--json")
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    # Every 50th of 200 bars decides to buy; the last one's order has no bar left to fill on.
    assert (told["bars"], told["orders"], told["fills"]) == (200, 4, 3)
    # A deposit of two legs, four reserves, three fills of four legs and a return each (the buffer).
    assert told["transactions"] == 2 + 4 + 3 * 5
    assert told["verified"] is True
    assert len(told["journal_sha256"]) == 64
    assert told["balances"]["main"]["BTC"] == {"available": "0.03", "unavailable": "0"}
    assert float(told["balances"]["main"]["USD"]["unavailable"]) > 0
    assert told["summary"]["final_equity"] == told["final_equity"]
    assert told["receipt"]["journal_sha256"] == told["journal_sha256"]


def test_out_writes_what_json_says_and_verify_and_explain_read_it(home: Path) -> None:
    done = backtest_command(home, "run", "my.py:Mine", *BASIC, "--out", "results", "--json")
    told = json.loads(done.out)
    for name, key in (("orders", "orders"), ("fills", "fills"), ("transactions", "transactions")):
        with (home / "results" / f"{name}.csv").open(newline="") as file:
            assert len(list(csv.DictReader(file))) == told[key]
    done = backtest_command(home, "verify", "results")
    assert done.code == 0
    assert done.out.splitlines()[-1].startswith("verified: all")
    with (home / "results" / "orders.csv").open(newline="") as file:
        order = next(csv.DictReader(file))["order_id"]
    done = backtest_command(home, "explain", "results", order)
    assert done.code == 0
    assert done.out.startswith(f"Order {order}\n  buy 0.01 BTCUSD, market")
    done = backtest_command(home, "explain", "results", "no-such-order")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("error: there is no order 'no-such-order' in this run")


def test_a_changed_file_does_not_verify(home: Path) -> None:
    backtest_command(home, "run", "my.py:Mine", *BASIC, "--out", "changed")
    path = home / "changed" / "transactions.csv"
    path.write_text(path.read_text().replace(",10000,", ",10001,"))
    done = backtest_command(home, "verify", "changed")
    assert done.code == 1
    assert "FAIL every entry sums to zero per asset: entry 1 sums to 1 USD" in done.out


def test_parquet(home: Path) -> None:
    done = backtest_command(home, "run", "my.py", *BASIC, "--out", "pq", "--format", "parquet")
    assert done.code == 0
    assert (home / "pq" / "fills.parquet").exists()
    assert backtest_command(home, "verify", "pq").code == 0


def test_several_pairs_in_order_or_by_name(home: Path) -> None:
    cash = ("--cash", "10000 USD", "--seed", "9", "--json")
    in_order = backtest_command(
        home, "run", "my.py", "--data", "btc.csv", "--pair", "BTCUSD",
        "--data", "eth.csv", "--pair", "ETHUSD", *cash,
    )  # fmt: skip
    by_name = backtest_command(
        home, "run", "my.py", "--data", "BTCUSD=btc.csv", "--data", "ETHUSD=eth.csv", *cash
    )
    assert in_order.code == 0
    assert json.loads(in_order.out)["bars"] == 400
    assert in_order.out == by_name.out


def test_several_accounts_and_assets(home: Path) -> None:
    done = backtest_command(
        home, "run", "my.py", "--data", "btc.csv", "--pair", "BTCUSD", "--json",
        "--cash", "trading:10000USD", "--cash", "savings:500 USD", "--cash", "savings:1BTC",
    )  # fmt: skip
    balances = json.loads(done.out)["balances"]
    assert list(balances) == ["trading", "savings"]
    assert balances["savings"]["BTC"] == {"available": "1", "unavailable": "0"}
    assert balances["trading"]["BTC"]["available"] != "0"


def test_the_pair_of_a_strategy_follows_the_only_pair_there_is(home: Path) -> None:
    arguments = ("--data", "eth.csv", "--pair", "ETHUSD", "--cash", "10000USD")
    done = backtest_command(home, "run", "my.py", *arguments)
    assert done.code == 0
    assert done.out.startswith("Mine(pair=ETHUSD")


def test_rules_bars_and_streams(home: Path) -> None:
    (home / "rules.toml").write_text('[fees]\nfill = { percent_of_notional = "0.001" }\n')
    arguments = ("--rules", "rules.toml", "--bar", "1m", "--stamp", "open", "--tz", "UTC")
    loaded = backtest_command(home, "run", "my.py", *BASIC, *arguments, "--json")
    streamed = backtest_command(home, "run", "my.py", *BASIC, *arguments, "--json", "--stream")
    assert loaded.code == 0
    assert float(json.loads(loaded.out)["summary"]["fees"]["fill"]["USD"]) > 0
    assert loaded.out == streamed.out


def test_a_dotted_module_and_the_library(home: Path) -> None:
    mine = backtest_command(home, "run", "my:Mine", *BASIC, "--json")
    assert mine.code == 0
    library = backtest_command(
        home, "run", "backtest.strategies:SmaCross", *BASIC, "--set", "volume=0.01", "--json"
    )
    assert library.code == 0
    assert json.loads(library.out)["verified"] is True


def test_a_file_elsewhere_with_neighbours_beside_a_folder_called_strategies(
    home: Path, tmp_path: Path
) -> None:
    code = STRATEGIES.replace("from decimal", "import helper\nimport strategies\nfrom decimal")
    (home / "other.py").write_text(code)
    (home / "helper.py").write_text("assert __import__('strategies').OWNER == 'the user'\n")
    arguments = ("--data", str(home / "btc.csv"), *BASIC[2:])
    done = backtest_command(tmp_path, "run", str(home / "other.py"), *arguments, "--out", "out")
    assert (done.code, done.err) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_one_seed_gives_the_same_bytes_whatever_the_hash_seed(home: Path) -> None:
    seen: dict[str, set[bytes]] = {}
    for hash_seed in ("0", "1", "random"):
        folder = f"bytes-{hash_seed}"
        done = backtest_command(
            home, "run", "my.py", *BASIC, "--out", folder, "--json", PYTHONHASHSEED=hash_seed
        )
        seen.setdefault("stdout", set()).add(done.out.encode())
        for path in (home / folder).iterdir():
            seen.setdefault(path.name, set()).add(path.read_bytes())
    assert len(seen) == 9  # standard output, run.json and seven tables
    assert all(len(contents) == 1 for contents in seen.values())


def test_margin_of_the_whole_account_and_what_counts_for_it(home: Path) -> None:
    own = ("--cash", "1BTC", "--margin", "cross", "--collateral", "BTC=0.9", "--out", "crossed")
    done = backtest_command(home, "run", "my.py", *BASIC, *own)
    assert (done.code, done.err) == (0, "")
    told = json.loads((home / "crossed" / "run.json").read_text())["config"]["accounts"]["main"]
    assert (told["margin_mode"], told["collateral"]) == ("cross", {"BTC": "0.9"})


def test_collateral_without_a_weight_is_refused(home: Path) -> None:
    done = backtest_command(home, "run", "my.py", *BASIC, "--collateral", "BTC")
    assert done.code != 0
    assert "--collateral takes ASSET=WEIGHT" in done.err


def test_quotes_are_run_as_they_are_and_bars_beside_them(home: Path) -> None:
    rows = [f"20200101 17{n // 60:02d}{n % 60:02d}000,{100 + n},{101 + n},0" for n in range(120)]
    (home / "quotes.csv").write_text("\n".join(rows) + "\n")
    (home / "minutes.csv").write_text(
        "time,open,high,low,close\n2020-01-01 22:00,1,1,1,1\n2020-01-01 22:01,1,1,1,1\n"
    )
    (home / "quoted.py").write_text(
        "from backtest.strategies import Strategy\n\n\n"
        "class Quoted(Strategy):\n"
        '    pair: str = "BTCUSD"\n'
        "    seen: int = 0\n\n"
        "    def on_quote(self, quote):\n"
        "        self.seen += 1\n"
        "        if self.seen == 10:\n"
        "            self.buy(self.pair, 1)\n"
    )
    given = ("--data", "quotes.csv", "--pair", "BTCUSD", "--cash", "10000USD", "--json")
    done = backtest_command(home, "run", "quoted.py", *given)
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    # Decided on the tenth quote, 109 / 110, and bought at once at its ask.
    assert (told["bars"], told["ticks"], told["fills"]) == (0, 120, 1)
    assert told["balances"]["main"]["USD"]["available"] == "9890"
    zone = ("--tz", "Etc/GMT+5", "--out", "quoted")
    more = ("--data", "minutes.csv", "--pair", "BTCUSD")
    done = backtest_command(home, "run", "quoted.py", *given, *more, "--bar", "1m", *zone)
    told = json.loads(done.out)
    assert (told["bars"], told["ticks"], told["fills"]) == (2, 120, 1)
    assert backtest_command(home, "verify", "quoted").code == 0
    done = backtest_command(home, "explain", "quoted", "1")
    assert "at the ask of the quote of 2020-01-01 22:00:09" in done.out


MONTHLY = """\
from backtest.strategies import Strategy


class Monthly(Strategy):
    def on_start(self):
        self.subscribe("BTCUSD", length="1M")

    async def on_bar(self, bar):
        if bar.close > bar.open:
            await self.buy("BTCUSD", 1)
"""


def test_each_file_may_be_read_in_its_own_way(home: Path) -> None:
    """Days that go up on 31 January, and a month by its last day: it is told on 1 February."""
    (home / "monthly.py").write_text(MONTHLY)
    days = [
        f"2020-0{month}-{day:02}" for month, end in ((1, 31), (2, 5)) for day in range(1, end + 1)
    ]
    rows = [f"{day},{p},{p},{p},{p}\n" for day in days for p in (100 + (day >= "2020-01-31"),)]
    (home / "days.csv").write_text("date,open,high,low,close\n" + "".join(rows))
    (home / "months.csv").write_text("date,open,high,low,close\n2020-01-31,100,101,100,101\n")
    files = ("--data", "BTCUSD=days.csv", "--data", "BTCUSD=months.csv", "--cash", "1000USD")
    how = ("--bar", "auto", "--bar", "1M", "--stamp", "open", "--stamp", "close")
    done = backtest_command(home, "run", "monthly.py", *files, *how, "--out", "monthly", "--json")
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    assert (told["bars"], told["fills"], told["verified"]) == (37, 1, True)
    assert told["balances"]["main"]["USD"]["available"] == "899"
    with (home / "monthly" / "fills.csv").open(newline="") as file:
        (fill,) = csv.DictReader(file)
    assert fill["timestamp"].startswith("2020-02-02")  # bought at the open of the day after
    # What was said of each file is kept with the run: it is read again in the same way.
    done = backtest_command(home, "explain", "monthly", "1")
    assert (done.code, "2020-02-02" in done.out) == (0, True)
    done = backtest_command(
        home, "run", "monthly.py", *files, "--bar", "1d", "--bar", "1M", "--tz", "UTC"
    )
    assert done.code == 0
    done = backtest_command(home, "run", "monthly.py", *files, *how, "--stamp", "open")
    assert done.code == 1
    assert (
        "2 --data and 3 --stamp are given: give --stamp once, or once for each --data" in done.err
    )


def test_a_length_that_cannot_be_told_is_an_error_that_names_the_option(home: Path) -> None:
    opens = ("09:30", "10:00", "11:00", "12:00")
    rows = "".join(f"2020-01-02 {time},1,1,1,1\n" for time in opens)
    (home / "hours.csv").write_text("time,open,high,low,close\n" + rows)
    given = ("--data", "hours.csv", "--pair", "BTCUSD", "--cash", "1000USD")
    done = backtest_command(home, "run", "my.py", *given)
    assert done.code == 1
    assert "1h 2 times (to 2020-01-02T11:00:00+00:00, row 3), 30m once" in done.err
    assert "give it, bar='1h' (--bar 1h)" in done.err
    assert backtest_command(home, "run", "my.py", *given, "--bar", "1h").code == 0
