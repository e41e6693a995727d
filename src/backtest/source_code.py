"""Where code comes from: what stands for a class or a function in a receipt.

For code of a module's file that is the hash of the whole file: what a strategy does hangs on the
functions and numbers beside it, too. Line ends do not count. Our own package goes by its version,
and the standard library by nothing at all. Code typed into a notebook goes by its cell. Where there
is no source, or the file has changed since it was loaded, it is the bytecode, with a notice.
"""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache, cached_property, partialmethod
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple

__all__ = [
    "OURS",
    "Origin",
    "Stamp",
    "functions_of",
    "is_ours",
    "is_standard",
    "module_name",
    "origin_of",
    "stamp_of",
    "version_of",
    "whose",
]

OURS = "backtest"
_WRITTEN_IN_PYTHON = 1 << 9
"""The flag of a class that was made while the program ran (Py_TPFLAGS_HEAPTYPE)."""
_LIBRARY = sysconfig.get_path("stdlib")
_SHARED = ("<string>", "<stdin>")
"""What all code is called that was executed without a name: since Python 3.13 tracebacks have lines
for them, those of ``python -c``, whoever's code it was."""
Stamp = tuple[int, int]
"""When a file was changed last, in nanoseconds, and its size."""
_seen: dict[str, tuple[Any, Stamp | None]] = {}
"""By name of module, the module and the stamp of its file when it was asked for first."""


class Origin(NamedTuple):
    """What stands for a piece of code."""

    name: str
    """The module; for code that is in no file, module and name."""
    digest: str
    """SHA-256, or ``version 1.2.3`` for our own."""
    notice: str = ""
    """What to know about it."""


def origin_of(code: type | FunctionType) -> Origin | None:
    """What stands for a class or a function; None for the standard library's."""
    module = whose(code)
    if is_standard(code):
        return None
    if is_ours(module):
        return Origin(OURS, f"version {version_of('backtest-actors')}")
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None)
    written = _written_in(code)
    name = module_name(module)
    names = getattr(loaded, "__dict__", None)
    if file is not None and (written is None or _same_file(written, file)):
        digest = _of_file(file) or _of_lines(file, names)
        if digest is not None and not _has_changed(code, module, loaded):
            return Origin(name, digest)
        why = "its file is not what was loaded"
    else:
        digest = None if written is None else _of_lines(written, names)
        if digest is not None:
            return Origin(f"{name}.{code.__qualname__}", digest)
        why = "it has no source"
    return _compiled(f"{name}.{code.__qualname__}", code, why)


def whose(code: Any) -> str:
    """The module that a class or function was defined in; a function's own, whatever it wraps."""
    if isinstance(code, FunctionType):
        return str(code.__globals__.get("__name__") or code.__module__ or "builtins")
    return str(getattr(code, "__module__", None) or "builtins")


def is_ours(module: str) -> bool:
    """Whether a module is of this package."""
    return module.partition(".")[0] == OURS


def is_standard(code: Any) -> bool:
    """Whether a class or function is of Python's own library."""
    module = whose(code)
    if module == "builtins":  # what was executed without a module says so, too
        return isinstance(code, type) and not code.__flags__ & _WRITTEN_IN_PYTHON
    if module.partition(".")[0] not in sys.stdlib_module_names:
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is None or Path(file).is_relative_to(_LIBRARY)  # a user's may have such a name


def module_name(module: str) -> str:
    """How a module is called in a receipt: a script by its file, however it was started."""
    loaded = sys.modules.get(module)
    if module in ("__main__", "__mp_main__"):
        spec = getattr(loaded, "__spec__", None)
        if spec is not None:
            return str(spec.name)
        file = getattr(loaded, "__file__", None)
        return "__main__" if file is None else Path(file).stem
    file = getattr(loaded, "__strategy_file__", None)
    return module if file is None else Path(file).stem


def functions_of(cls: type) -> Iterator[tuple[str, FunctionType]]:
    """The functions that a class was written with, by name; not those made for it."""
    for name, value in vars(cls).items():
        for function in _functions_in(value):
            if not _is_generated(cls, name, function):
                yield name, function


def _is_generated(cls: type, name: str, function: FunctionType) -> bool:
    """Whether attrs, a dataclass or a named tuple has made a method of fields in the source."""
    made = getattr(function, "__wrapped__", function)  # a strategy's constructor is wrapped
    written = function.__code__.co_filename
    if getattr(made, "__code__", function.__code__).co_filename.startswith("<attrs generated"):
        return True
    if whose(function).partition(".")[0] in ("attr", "attrs"):
        return True
    is_of_fields = "__dataclass_fields__" in vars(cls) or "_fields" in vars(cls)
    is_odd = written == "<string>" or is_standard(function)
    return is_of_fields and is_odd and name.startswith("_")


def _functions_in(value: Any) -> Iterator[FunctionType]:
    if isinstance(value, FunctionType):
        yield value
    elif isinstance(value, staticmethod | classmethod):
        yield from _functions_in(value.__func__)
    elif isinstance(value, property):
        for one in (value.fget, value.fset, value.fdel):
            yield from _functions_in(one)
    elif isinstance(value, cached_property | partialmethod):
        yield from _functions_in(value.func)


def stamp_of(module: str) -> Stamp | None:
    """When the file of a module was changed last; None where there is none."""
    file = getattr(sys.modules.get(module), "__file__", None)
    try:
        found = os.stat(file) if file is not None else None
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_size)


@cache
def version_of(package: str) -> str:
    """The version of a package: read once a process, for it takes longer than a short run."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


# -- files -----------------------------------------------------------------------------------------


def _written_in(code: type | FunctionType) -> str | None:
    """The file, or what stands for one, that code was compiled from; None: nothing says it."""
    if isinstance(code, FunctionType):
        return code.__code__.co_filename
    for _, function in functions_of(code):
        if whose(function) == code.__module__:
            return function.__code__.co_filename
    return None


def _same_file(one: str, other: str) -> bool:
    if one == other:
        return True
    # The file of a script is absolute, what its functions say of it need not be.
    return not one.startswith("<") and os.path.realpath(one) == os.path.realpath(other)


def _of_file(file: str) -> str | None:
    try:
        found = os.stat(file)
        return _file_hash(file, (found.st_mtime_ns, found.st_size))
    except OSError:
        return None


@cache
def _file_hash(file: str, stamp: Stamp) -> str:
    """The hash of a Python file; ``stamp`` keeps those apart that it had at different times."""
    return _hash(Path(file).read_bytes().removeprefix(b"\xef\xbb\xbf"))


def _of_lines(file: str, names: dict[str, Any] | None) -> str | None:
    """The hash of what tracebacks would show of a file: cells of notebooks, modules in archives."""
    if file in _SHARED:
        return None
    lines = linecache.getlines(file, names)
    return _hash("".join(lines)) if lines else None


def _hash(text: str | bytes) -> str:
    """Of a text whatever its line ends."""
    written = text.encode() if isinstance(text, str) else text
    return sha256(written.replace(b"\r\n", b"\n").replace(b"\r", b"\n")).hexdigest()


def _has_changed(code: type | FunctionType, module: str, loaded: Any) -> bool:
    """Whether the file is another one than when the code was loaded, as far as is known."""
    now = stamp_of(module)
    if isinstance(code, type) and "_file_stamp" in vars(code):
        return bool(now != vars(code)["_file_stamp"])
    known = _seen.get(module)
    if known is None or known[0] is not loaded:
        known = _seen[module] = (loaded, now)
    return known[1] != now


# -- bytecode --------------------------------------------------------------------------------------


def _compiled(name: str, code: type | FunctionType, why: str) -> Origin:
    functions = [("", code)] if isinstance(code, FunctionType) else list(functions_of(code))
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    text = "\n".join(f"{one} {bytecode(function.__code__)}" for one, function in functions)
    notice = (
        f"{name} goes by its bytecode, as {why}: another Python has another one, and the run "
        "another id"
    )
    return Origin(name, _hash(f"{python}\n{name}\n{text}"), notice)


def bytecode(code: CodeType) -> str:
    """What a piece of compiled code does, as text: the same in every process of one Python."""
    constants = ", ".join(_constant(one) for one in code.co_consts)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    return f"({code.co_code.hex()} {names} {counts} {code.co_exceptiontable.hex()} [{constants}])"


def _constant(value: Any) -> str:
    if isinstance(value, CodeType):
        return bytecode(value)
    if isinstance(value, frozenset):  # its own order follows the seed of hashes
        return "{" + ", ".join(sorted(map(_constant, value))) + "}"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_constant, value)) + ")"
    return f"{type(value).__name__} {value!r}"
