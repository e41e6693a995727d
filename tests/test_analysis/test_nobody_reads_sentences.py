"""What events say is for people: programs read their fields, and no sentence is taken apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import backtest

ROOT = Path(backtest.__file__).parent
ROOMS = ("analysis", "testing/audit")
SENTENCES = frozenset({"description", "detail"})
"""The fields and columns that hold sentences."""
MAY_SHOW = {
    "analysis/explain/explain.py": "prints them",
    "analysis/report/refusals.py": "prints them",
    "analysis/page/sections.py": "shows the first of each refusal",
    "analysis/tables/tables.py": "writes them to files",
    "analysis/verify/journal.py": "compares them with those that fills make",
    "analysis/verify/kinds.py": "compares those of an entry",
}
PARSERS = frozenset(
    {
        "casefold", "count", "endswith", "find", "index", "lower", "partition", "removeprefix",
        "removesuffix", "replace", "rfind", "rindex", "rpartition", "rsplit", "split",
        "splitlines", "startswith", "strip", "upper",
    }
)  # fmt: skip
REGULAR = frozenset({"findall", "finditer", "fullmatch", "match", "search", "sub"})


def named(node: ast.AST) -> str | None:
    """The sentence that an expression is: ``event.detail`` or ``event["detail"]``."""
    if isinstance(node, ast.Attribute) and node.attr in SENTENCES:
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        text = node.slice.value
        return text if isinstance(text, str) and text in SENTENCES else None
    return None


def taken_apart(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Where a sentence is cut, searched or compared: line, and which."""
    for node in ast.walk(tree):
        found: list[ast.AST] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in PARSERS:
                found.append(node.func.value)
            if node.func.attr in REGULAR:
                found += node.args
        elif isinstance(node, ast.Subscript):
            found.append(node.value)
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            # With a sentence that is made anew it may be compared.
            if any(isinstance(one, ast.Constant | ast.Name) for one in sides) or any(
                isinstance(one, ast.In | ast.NotIn) for one in node.ops
            ):
                found += sides
        for one in found:
            name = named(one)
            if name is not None:
                yield node.lineno, name  # type: ignore[attr-defined]


def modules() -> Iterator[tuple[str, ast.Module]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def test_no_sentence_is_taken_apart() -> None:
    found = [(where, *what) for where, tree in modules() for what in taken_apart(tree)]
    assert found == []


def test_who_reads_a_sentence_at_all_shows_it() -> None:
    readers = {where for where, tree in modules() if any(named(node) for node in ast.walk(tree))}
    assert readers <= MAY_SHOW.keys()


@pytest.mark.parametrize(
    "line",
    [
        'event["detail"].startswith("keeps")',
        'event.detail.partition("; order ")[2]',
        'event.detail[:5] == "keeps"',
        '"stop_loss" in event["detail"]',
        're.search("at ([0-9]+)", event.detail)',
        '_TRADE.search(event["detail"])',
        'leg["description"].partition(": ")[2]',
        'event.detail == "it was late"',
    ],
)
def test_the_search_finds_what_is_taken_apart(line: str) -> None:
    assert list(taken_apart(ast.parse(line)))


@pytest.mark.parametrize(
    "line", ['print(event["detail"], event.detail)', 'leg.description != f"{words}: {why}"']
)
def test_the_search_lets_sentences_be_shown_and_compared_with_those_made(line: str) -> None:
    assert not list(taken_apart(ast.parse(line)))
