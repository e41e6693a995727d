"""Run the peers beside `backtest`, compare every fill, and write the table of agreement.

    python conformance/run.py [--data FILE.csv ...] [--bars 3000] [--home DIR]
                              [--only PROFILE] [--strategy NAME]

Each peer runs in an environment of its own under ``--home``, made with pip when it is not there.
The table goes into docs/profiles.md between its markers; ``--check`` compares it instead of writing
it. Further files of bars (columns timestamp or datetime, open, high, low, close) are run too, and
their rows printed, not written. ``--only`` and ``--strategy`` run some profiles and strategies, and
keep the lines of the others. ``--rows`` writes what the tests hold our side to.
Exit code 1 when anything differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import data  # noqa: E402
import decisions  # noqa: E402
import flow  # noqa: E402
import ours  # noqa: E402

DOCS = HERE.parent / "docs" / "profiles.md"
BEGIN, END = "<!-- conformance: begin -->", "<!-- conformance: end -->"
SETS = {"calm": (1, 20), "gaps": (2, 60), "wild": (3, 250)}
"""Name of the made-up market to seed, and the largest gap in cents."""
SHORT = 150, *SETS["gaps"]
"""Bars, seed and gap of the market of the random flow in the tests."""
ROWS = HERE / "rows"
"""What the engines made of it: a file for each profile."""


STRATEGIES = (*decisions.STRATEGIES, flow.NAME)


class Peer(NamedTuple):
    """How an engine is run for a profile."""

    venv: str
    packages: tuple[str, ...]
    script: str
    arguments: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    """Strategies that the engine cannot express."""


PEERS = {
    "backtrader": Peer("backtrader", ("backtrader==1.9.78.123",), "peer_backtrader.py"),
    "backtesting.py": Peer("backtesting", ("backtesting==0.6.6",), "peer_backtesting.py"),
    "backtesting.py-on-close": Peer(
        "backtesting", ("backtesting==0.6.6",), "peer_backtesting.py", ("close",)
    ),
    "nautilus-bar": Peer(
        "nautilus",
        ("nautilus_trader==1.221.0",),
        "peer_nautilus.py",
        (),
        ("bracket-stop",),
    ),
    "nautilus-bar-adaptive": Peer(
        "nautilus",
        ("nautilus_trader==1.221.0",),
        "peer_nautilus.py",
        ("adaptive",),
        ("bracket-stop",),
    ),
}


class Row(NamedTuple):
    """One comparison."""

    profile: str
    strategy: str
    market: str
    bars: int
    fills: int
    differing: int
    equity: float
    difference: float
    first: str
    """The first fill that differs, for people."""

    @property
    def agrees(self) -> bool:
        return not self.differing and abs(self.difference) < 0.005


def interpreter(home: Path, peer: Peer) -> Path:
    """The Python of the peer's environment, made when it is missing."""
    place = home / peer.venv
    python = place / "bin" / "python"
    done = place / ".installed"
    if not done.exists() or done.read_text() != " ".join(peer.packages):
        print(f"making an environment for {', '.join(peer.packages)}", file=sys.stderr)
        venv.create(place, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *peer.packages], check=True)
        done.write_text(" ".join(peer.packages))
    return python


def ask(python: Path, peer: Peer, path: Path, strategy: str) -> dict[str, Any]:
    """The peer's fills and equity."""
    command = [str(python), peer.script, str(path), strategy, decisions.FEE, *peer.arguments]
    told = subprocess.run(command, cwd=HERE, capture_output=True, text=True)
    if told.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{told.stderr}")
    found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return found


def compare(
    name: str, strategy: str, market: str, rows: list[data.Row], theirs: dict[str, Any]
) -> Row:
    """Fill by fill: bar, side, price to the cent, volume; and the final equity."""
    mine = ours.run(rows, strategy, decisions.FEE, name)
    left, right = (normal(one["fills"]) for one in (theirs, mine))
    unequal = [
        place
        for place in range(max(len(left), len(right)))
        if left[place : place + 1] != right[place : place + 1]
    ]
    first = ""
    if unequal:
        place = unequal[0]
        first = f"{left[place : place + 1]} there, {right[place : place + 1]} here"
    return Row(
        name,
        strategy,
        market,
        len(rows),
        len(left),
        len(unequal),
        theirs["equity"],
        mine["equity"] - theirs["equity"],
        first,
    )


def normal(fills: list[list[Any]]) -> list[tuple[Any, ...]]:
    """Prices to the cent. Fills of the random flow name their order, and go by bar and order: two
    orders that fill on one bar do so apart from each other."""
    rows = [
        (bar, side, round(price, 2), float(size), *number)
        for bar, side, price, size, *number in fills
    ]
    return sorted(rows, key=lambda row: (row[0], row[4:], row[:4])) if rows[0][4:] else rows


def write_rows(python: Path, peer: Peer, profile: str, path: Path) -> None:
    """Keep the peer's fills of the random flow on a short market, for the tests."""
    data.write(path, data.make(*SHORT))
    theirs = ask(python, peer, path, flow.NAME)
    fills = ",\n".join(json.dumps(fill) for fill in normal(theirs["fills"]))
    text = f'{{"equity": {round(theirs["equity"], 2)}, "fills": [\n{fills}\n]}}\n'
    ROWS.mkdir(exist_ok=True)
    (ROWS / f"{profile}.json").write_text(text)


def table(rows: list[Row], before: str) -> str:
    """A line for each profile and strategy, over all made-up markets; one that was not run stands
    as it stood ``before``."""
    stood = {tuple(line.split("|")[1:3]): line for line in before.splitlines()}
    lines = [
        "| profile | strategy | fills compared | fills that differ | final equity differs by |",
        "|---|---|---|---|---|",
    ]
    for profile, peer in PEERS.items():
        for strategy in STRATEGIES:
            some = [row for row in rows if (row.profile, row.strategy) == (profile, strategy)]
            if strategy in peer.lacks:
                lines.append(f"| `{profile}` | {strategy} | – | – | – |")
            elif some:
                fills, differing = sum(one.fills for one in some), sum(o.differing for o in some)
                worst = max(abs(round(one.difference, 2)) for one in some)
                lines.append(
                    f"| `{profile}` | {strategy} | {fills:,} | {differing:,} | {worst:.2f} |"
                )
            elif (line := stood.get((f" `{profile}` ", f" {strategy} "))) is not None:
                lines.append(line)
    return "\n".join(lines)


def compared(home: Path, wanted: list[tuple[str, str]], markets: dict[str, Path]) -> Iterator[Row]:
    """A row for each profile, strategy and market, told as it is found. The peer of the next one
    runs while ours runs on this one."""
    pythons = {profile: interpreter(home, PEERS[profile]) for profile, _ in wanted}
    with ThreadPoolExecutor(max_workers=1) as pool:
        asked = [
            (profile, strategy, market,
             pool.submit(ask, pythons[profile], PEERS[profile], path, strategy))
            for profile, strategy in wanted
            for market, path in markets.items()
            if strategy != flow.NAME or market in SETS  # its distances are those of the made-up
        ]  # fmt: skip
        try:
            for profile, strategy, market, answer in asked:
                rows = data.read(markets[market])
                row = compare(profile, strategy, market, rows, answer.result())
                print(
                    f"{profile:<22} {strategy:<14} {market:<10} {row.fills:>6} fills, "
                    f"{row.differing} differ, equity {row.equity:.2f}, by {row.difference:.2f}"
                    + (f"; first: {row.first}" if row.first else ""),
                    flush=True,
                )
                yield row
        finally:
            pool.shutdown(cancel_futures=True)


def tell(rows: list[Row], check: bool) -> bool:
    """Write the table into the documentation, or say whether it stands there."""
    text = DOCS.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    before, _, tail = rest.partition(END)
    made = f"{head}{BEGIN}\n\n{table(rows, before)}\n\n{END}{tail}"
    if not check:
        DOCS.write_text(made, encoding="utf-8")
    elif made != text:
        print(f"{DOCS.name} does not hold this table: run without --check", file=sys.stderr)
        return False
    return True


def asked_for() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare fills with other engines.")
    parser.add_argument("--data", action="append", default=[], metavar="FILE.csv")
    parser.add_argument("--bars", type=int, default=3000)
    parser.add_argument("--home", type=Path, default=HERE / ".venvs")
    parser.add_argument("--only", action="append", default=[], metavar="PROFILE")
    parser.add_argument("--strategy", action="append", default=[], metavar="NAME")
    parser.add_argument("--rows", action="store_true", help="write conformance/rows, no more")
    parser.add_argument("--check", action="store_true")
    return parser.parse_args()


def main() -> int:
    arguments = asked_for()
    wanted = [
        (profile, strategy)
        for profile in arguments.only or PEERS
        for strategy in ([flow.NAME] if arguments.rows else arguments.strategy or STRATEGIES)
        if strategy not in PEERS[profile].lacks
    ]
    with tempfile.TemporaryDirectory() as folder:
        if arguments.rows:
            for profile, _ in wanted:
                peer = PEERS[profile]
                python = interpreter(arguments.home, peer)
                write_rows(python, peer, profile, Path(folder) / "short.csv")
            return 0
        markets = {}
        for market, (seed, gap) in SETS.items():
            markets[market] = Path(folder) / f"{market}.csv"
            data.write(markets[market], data.make(arguments.bars, seed, gap))
        for file in map(Path, arguments.data):
            markets[file.name] = Path(folder) / f"real-{file.name}"
            data.write(markets[file.name], data.read(file))
        found = list(compared(arguments.home, wanted, markets))
    told = tell([row for row in found if row.market in SETS], arguments.check)
    return 0 if told and all(row.agrees for row in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
