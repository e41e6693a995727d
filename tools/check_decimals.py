"""Find decimal arithmetic that would go by the caller's decimal context.

    python tools/check_decimals.py

An operator between two `Decimal` values rounds as the thread's context says, which is the caller's.
What the package works out must not change with that, so it calls `backtest.money`. This runs mypy
against stubs in which `Decimal` has no arithmetic, no rounding ``abs``, and no method that takes
its context from the thread: each use is a type error, and is reported. What is untyped is not seen;
``tests/test_scenarios/test_decimal_contexts.py`` runs it all in a hostile context instead.

Strategies and test helpers are free: a strategy's own arithmetic runs in Python's default context.
Exit code 1 when anything is reported.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

__all__ = ["FREE", "main", "pinned_stub"]

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".mypy_cache"
FREE = (
    "src/backtest/strategies/",
    "strategies/",
    "src/backtest/testing/",
    "src/backtest/cli/demo.py",  # its strategy
    "src/backtest/data/_numbers.py",  # under `localcontext(READING)`
)
"""Where `Decimal` operators are right."""

_OPERATORS = "abs add divmod floordiv mod mul neg pos pow round sub truediv".split()
_GONE = frozenset(
    [f"__{side}{name}__" for name in _OPERATORS for side in ("", "r")]
    + "remainder_near fma to_integral_exact to_integral sqrt exp ln log10 logb".split()
    + "scaleb shift rotate next_minus next_plus next_toward max min compare".split()
)
_STRICT = {
    "quantize": "self, exp: _Decimal, rounding: str, context: Context",
    "to_integral_value": "self, rounding: str, context: Context",
    "normalize": "self, context: Context",
}
"""Methods that are right with a context of their own."""


def pinned_stub(stub: str) -> str:
    """The stub of `decimal` without what goes by the thread's context."""
    lines: list[str] = []
    inside = False
    for line in stub.splitlines():
        opens = re.match(r"class (\w+)", line)
        if opens:
            inside = opens[1] == "Decimal"
        method = re.match(r"    def (\w+)\(", line) if inside else None
        if method and method[1] in _GONE:
            while lines and lines[-1].strip().startswith("@"):
                lines.pop()
            continue
        if method and method[1] in _STRICT:
            line = f"    def {method[1]}({_STRICT[method[1]]}) -> Decimal: ..."
        lines.append(line)
    return "\n".join(lines) + "\n"


def _typeshed() -> Path:
    """A copy of mypy's stubs with a pinned `decimal`, made once per version of mypy."""
    import mypy  # here: the tests of `pinned_stub` run without it

    made = CACHE / f"pinned-typeshed-{version('mypy')}"
    stub = made / "stdlib" / "decimal.pyi"
    theirs = Path(mypy.__file__).parent / "typeshed"
    if not made.exists():
        shutil.copytree(theirs, made)
    pinned = pinned_stub((theirs / "stdlib" / "decimal.pyi").read_text(encoding="utf-8"))
    if stub.read_text(encoding="utf-8") != pinned:
        stub.write_text(pinned, encoding="utf-8")
    return made


def _problems() -> Iterator[str]:
    asked = [sys.executable, "-m", "mypy", "--custom-typeshed-dir", str(_typeshed())]
    asked += ["--cache-dir", str(CACHE / "pinned"), "--no-error-summary", "src"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.stderr:
        yield done.stderr.strip()
    for line in done.stdout.splitlines():
        file = line.partition(":")[0]
        stub = file.endswith(".pyi") or "typeshed" in file
        if ": error:" in line and not stub and not file.startswith(FREE):
            yield line


def main() -> int:
    """Look, and tell."""
    found = list(_problems())
    for line in found:
        print(line)
    if found:
        print(f"\n{len(found)} places go by the caller's decimal context: use backtest.money")
        return 1
    print("no decimal arithmetic goes by the caller's context")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
