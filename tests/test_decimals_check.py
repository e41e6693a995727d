"""The check of decimal arithmetic sees operators and methods that go by the thread's context."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
STUB = """
class Other:
    def __add__(self, value: int, /) -> int: ...
class Decimal:
    def __add__(self, value: _Decimal, /) -> Decimal: ...
    def __radd__(self, value: _Decimal, /) -> Decimal: ...
    def __lt__(self, value: _ComparableNum, /) -> bool: ...
    @overload
    def __round__(self) -> int: ...
    @overload
    def __round__(self, ndigits: int, /) -> Decimal: ...
    def copy_abs(self) -> Decimal: ...
    def sqrt(self, context: Context | None = None) -> Decimal: ...
    def quantize(self, exp: _Decimal, rounding: str | None = None) -> Decimal: ...
class Context:
    def sqrt(self, x: _Decimal, /) -> Decimal: ...
"""


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check", ROOT / "tools" / "check_decimals.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_stub_is_without_arithmetic_of_the_threads_context() -> None:
    assert _load().pinned_stub(STUB).strip().splitlines() == [
        "class Other:",
        "    def __add__(self, value: int, /) -> int: ...",
        "class Decimal:",
        "    def __lt__(self, value: _ComparableNum, /) -> bool: ...",
        "    def copy_abs(self) -> Decimal: ...",
        "    def quantize(self, exp: _Decimal, rounding: str, context: Context) -> Decimal: ...",
        "class Context:",
        "    def sqrt(self, x: _Decimal, /) -> Decimal: ...",
    ]
