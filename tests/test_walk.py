"""The counter of what an order passes, from the call to the handler of the fill."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.tree import ROOT, needs_the_sources

pytestmark = needs_the_sources


def _told(*arguments: str) -> list[str]:
    command = [sys.executable, str(ROOT / "tools" / "walk.py"), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_it_counts_both_venues() -> None:
    for line, venue in zip(_told(), ("broker", "exchange"), strict=True):
        name, _, figures = line.partition(": ")
        frames, files = (int(word) for word in figures.split() if word.isdigit())
        assert name == venue
        assert frames > files > 5


@pytest.mark.parametrize(
    ("venue", "fills"),
    [("broker", "actors/broker/execution.py"), ("exchange", "actors/exchange/matching.py")],
)
def test_it_names_every_stop_from_the_call_to_the_fill(venue: str, fills: str) -> None:
    title, *stops = _told("--list", venue)
    files = [stop.split()[0] for stop in stops]
    assert title.split()[1] == str(len(stops))
    assert files[0].startswith("strategies/")
    assert files.index("actors/venue/accept.py") < files.index(fills)
    assert files.index(fills) < len(files) - 1 - files[::-1].index("actors/host/host.py")


def test_the_page_names_the_stops_in_their_order() -> None:
    page = (ROOT / "docs" / "walk.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE)
    passed = iter([line.split()[-1] for line in _told("--list", "broker")[1:]])
    assert len(named) > 30
    # Each is passed after the one before it.
    assert [stop for stop in named if stop not in passed] == []
