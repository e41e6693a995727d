"""Which interpreters a machine has, and what is said where the demo differs between them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tools import demo_hash, interpreters

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the interpreters here are scripts of sh")


def _interpreter(path: Path, says: str) -> Path:
    """A file that starts, and says that it is this version; or that there is none, as pyenv's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{says}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def _only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This folder is all that there is to look in."""
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("PYENV_ROOT", raising=False)


def test_all_that_the_classifiers_name_newest_first() -> None:
    told = interpreters.supported()
    assert HERE in told
    assert told.index("3.13") < told.index("3.12") < told.index("3.11")
    # By number and not by letter, for which 3.9 came before 3.10.
    numbers = [tuple(map(int, one.split("."))) for one in told]
    assert numbers == sorted(numbers, reverse=True)


def test_a_name_is_not_an_interpreter(tmp_path: Path) -> None:
    shims, there = tmp_path / "shims", tmp_path / "bin"
    _interpreter(shims / "python3.13", 'echo "python3.13: command not found" >&2; exit 127')
    _interpreter(shims / "python3.12", "echo 3.11")
    (shims / "python3.11").mkdir()
    own = _interpreter(there / "python3.11", "echo 3.11")
    path = os.pathsep.join([str(shims), str(there), str(tmp_path / "none")])
    assert interpreters.find({"PATH": path, "HOME": str(tmp_path)}) == {"3.11": own}


def test_those_of_pyenv_are_found_behind_its_names(tmp_path: Path) -> None:
    _interpreter(tmp_path / "shims" / "python3.13", "exit 127")
    # The tenth patch is later than the ninth; what is still being built is none.
    for patch in ("3.13.9", "3.13.10", "3.12.1"):
        _interpreter(
            tmp_path / ".pyenv" / "versions" / patch / "bin" / "python", f"echo {patch[:4]}"
        )
    (tmp_path / ".pyenv" / "versions" / "3.13.11").mkdir()
    (tmp_path / ".pyenv" / "versions" / "3.13.0rc1").mkdir()
    found = interpreters.find({"PATH": str(tmp_path / "shims"), "HOME": str(tmp_path)})
    assert [path.parent.parent.name for path in found.values()] == ["3.13.10", "3.12.1"]
    assert list(found) == ["3.13", "3.12"]


def test_what_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = _interpreter(tmp_path / "bin" / "python3.12", "echo 3.12")
    _only(own.parent, monkeypatch)
    assert interpreters.main([]) == 0
    said = capsys.readouterr().out.splitlines()
    assert f"Python 3.12: {own}" in said
    assert "Python 3.11: not on this machine" in said
    assert interpreters.main(["--newest"]) == 0
    assert capsys.readouterr().out == f"{own}\n"


def test_no_interpreter_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _only(tmp_path, monkeypatch)
    assert interpreters.main(["--newest"]) == 1
    assert capsys.readouterr().out == ""


def test_what_differs_between_two_is_named_with_who_says_what() -> None:
    one, other = {"journal": "a" * 64, "fills.csv": "f"}, {"journal": "b" * 64, "fills.csv": "f"}
    assert demo_hash.differences({"3.13": one, "3.12": dict(one)}) == []
    assert demo_hash.differences({"3.13": one, "3.12": other, "3.11": one}) == [
        "journal: aaaaaaaaaaaa on 3.13, 3.11; bbbbbbbbbbbb on 3.12"
    ]
    assert demo_hash.differences({"3.13": one, "3.12": {"journal": "a" * 64}}) == [
        "fills.csv: f on 3.13; missing on 3.12"
    ]


def test_the_marks_of_a_run_are_its_hash_and_those_of_its_tables(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"receipt": {"journal_sha256": "abc"}}))
    (tmp_path / "fills.csv").write_bytes(b"")
    assert demo_hash.marks(tmp_path) == {
        "journal": "abc",
        # SHA-256 of nothing.
        "fills.csv": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    }
