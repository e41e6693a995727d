"""The hosted CI, the hooks of pre-commit and `.ci/run` call make targets that there are."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from typing import Any

import pytest

from tests.tree import ROOT, needs_the_sources
from tools import interpreters

pytestmark = needs_the_sources

_CALL = re.compile(r"^(?:make|step) +([a-z][a-z-]*)(?: |$)")


def _targets() -> set[str]:
    """Those of the Makefile that say what they are for: what `make help` shows."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))


def _yaml(name: str) -> Any:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def _hosted() -> dict[str, Any]:
    jobs: dict[str, Any] = _yaml(".github/workflows/ci.yml")["jobs"]
    return jobs


def _commands(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def _called(commands: list[str]) -> list[str]:
    """The targets that these call; every one must call one."""
    found = [_CALL.match(command) for command in commands]
    assert all(found), commands
    return [one[1] for one in found if one]


def _local() -> list[str]:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    return _called([line for line in lines if line.startswith("step ")])


def test_every_target_of_the_makefile_is_phony_and_explained() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == _targets()


def test_what_is_called_is_there() -> None:
    hosted = [name for job in _hosted().values() for name in _called(_commands(job))]
    repos = _yaml(".pre-commit-config.yaml")["repos"]
    hooks = [hook["entry"] for repo in repos for hook in repo["hooks"]]
    assert hooks
    for name in [*hosted, *_called(hooks), *_local()]:
        assert name in _targets(), name


def test_the_hosted_ci_asks_for_all_that_a_change_needs() -> None:
    hosted = {name for job in _hosted().values() for name in _called(_commands(job))}
    assert hosted >= set(_local())


def test_the_matrix_is_what_the_package_says_it_is_for() -> None:
    jobs = _hosted()
    tried = jobs["tests"]["strategy"]["matrix"]["python"]
    assert sorted(tried, reverse=True) == sorted(interpreters.supported(), reverse=True)
    (several,) = (
        step["with"]["python-version"]
        for step in jobs["same-on-all"]["steps"]
        if step.get("uses", "").startswith("actions/setup-python@")
    )
    assert several.split() == tried
    least = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert least["project"]["requires-python"] == f">={tried[0]}"


def test_skips_are_printed_with_their_reasons() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "-ra" in project["tool"]["pytest"]["ini_options"]["addopts"]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not here")
def test_what_the_wheel_goes_without_is_there() -> None:
    # pytest does not mind a name to ignore that is none.
    told = subprocess.run(
        ["make", "--dry-run", "wheel"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    left_out = re.findall(r"--ignore=(\S+)", told.stdout)
    assert len(left_out) > 20
    assert [name for name in left_out if not (ROOT / name).exists()] == []
