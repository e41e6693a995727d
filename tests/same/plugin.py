"""A pytest plugin that writes down what the runs that tests make come to.

    pytest -p tests.same.plugin --same-runs FOLDER tests/test_scenarios

A run is called by the test that makes it, or by the fixture where that outlives a test. Tests that
Hypothesis draws are left out: what it draws follows the source of the test, and of the product.
Each process writes a file of its own into the folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from .watching import Watch, watching

__all__ = ["Recorder"]


class Recorder:
    """Names the runs, and writes them down at the end."""

    def __init__(self, folder: Path, wanted: str | None) -> None:
        self.folder = folder
        self.watch = Watch(wanted)
        self._stack = ExitStack()
        self._stack.enter_context(watching(self.watch))

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [one for one in items if not _is_drawn(one)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        for made in _caches(getattr(item, "module", None)):
            made.cache_clear()  # so that a test makes the same runs, whoever came before it
        before = self.watch.begin(item.nodeid)
        try:
            return (yield)
        finally:
            self.watch.end(before)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, Any, Any]:
        if fixturedef.scope == "function":
            return (yield)
        index = getattr(request, "param_index", 0)
        before = self.watch.begin(f"{fixturedef.baseid}::{fixturedef.argname}[{index}]")
        try:
            return (yield)
        finally:
            self.watch.end(before)

    def pytest_sessionfinish(self) -> None:
        self._stack.close()
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        found = {"runs": self.watch.runs(), "kept": self.watch.kept}
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{worker}.json").write_text(json.dumps(found), encoding="utf-8")


def _is_drawn(item: pytest.Item) -> bool:
    """Whether others draw what it does: Hypothesis, or Gymnasium's checker, which has no seed."""
    test = getattr(item, "obj", None)
    by_checker = getattr(test, "__name__", "") == "test_gymnasiums_checker_finds_nothing"
    return by_checker or bool(getattr(test, "is_hypothesis_test", False))


def _caches(module: ModuleType | None) -> Iterator[Any]:
    for value in vars(module).values() if module is not None else ():
        if hasattr(value, "cache_clear") and value.__module__ == getattr(module, "__name__", ""):
            yield value


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--same-runs", metavar="FOLDER", help="write what runs come to into FOLDER")
    parser.addoption("--same-rows", metavar="NAME", help="and the rows of the run called NAME")


def pytest_configure(config: pytest.Config) -> None:
    folder = config.getoption("--same-runs")
    if folder is not None and not (config.getoption("numprocesses", None) and not _is_worker()):
        config.pluginmanager.register(Recorder(Path(folder), config.getoption("--same-rows")))


def _is_worker() -> bool:
    return "PYTEST_XDIST_WORKER" in os.environ
