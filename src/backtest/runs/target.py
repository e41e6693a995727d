"""Find the strategy that the user means: in a file, or in a module."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType

from backtest.errors import ConfigError
from backtest.strategies import Strategy

__all__ = ["module_of", "strategy_class"]


def strategy_class(target: str) -> type[Strategy]:
    """The class that ``FILE.py:Class`` or ``package.module:Class`` names.

    A file is loaded by its path under a name of its own, so that no installed module, and no
    folder beside it, takes its place; its folder comes first on the path, so that it can import
    its neighbours. Raises `ConfigError` that says what is there instead.
    """
    source, name = _parts(target)
    module = module_of(source)
    found = _strategies_in(module)
    if name is None:
        if len(found) == 1:
            return next(iter(found.values()))
        found = found or _strategies_in(module, own=False)
        if not found:
            raise ConfigError(f"there is no strategy in {source}: define a class Mine(Strategy)")
        raise ConfigError(
            f"which strategy of {source}? There is {_list(found)}: say {source}:{next(iter(found))}"
        )
    chosen = getattr(module, name, None)
    if chosen is None:
        hint = f"there are {_list(found)}" if found else "it defines no strategy"
        raise ConfigError(f"there is no class {name!r} in {source}; {hint}")
    if not (isinstance(chosen, type) and issubclass(chosen, Strategy)):
        raise ConfigError(
            f"{name} in {source} is not a strategy: it must be a class that inherits from "
            "backtest.strategies.Strategy"
        )
    return chosen


def module_of(source: str) -> ModuleType:
    """The module that ``FILE.py`` or ``package.module`` names. Raises `ConfigError`."""
    return _from_file(source) if source.endswith(".py") else _from_module(source)


def _parts(target: str) -> tuple[str, str | None]:
    if target.endswith(".py"):
        return target, None
    source, colon, name = target.rpartition(":")
    if not colon:
        return target, None
    if not source or not name.isidentifier():
        raise ConfigError(
            f"the strategy must be like my.py:Mine or package.module:Mine, not {target!r}"
        )
    return source, name


def _list(found: dict[str, type[Strategy]]) -> str:
    return ", ".join(found)


def _strategies_in(module: ModuleType, *, own: bool = True) -> dict[str, type[Strategy]]:
    """Strategies that the module itself defines, or (not ``own``) knows, in its order."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, Strategy)
        and value is not Strategy
        and (not own or value.__module__ == module.__name__)
        and not name.startswith("_")
        and not inspect.isabstract(value)
    }


def _from_file(source: str) -> ModuleType:
    path = Path(source).resolve()
    if not path.is_file():
        raise ConfigError(f"there is no file {source}")
    _importable(path.parent)
    name = f"strategy_file_{path.stem}"
    while getattr(sys.modules.get(name), "__file__", str(path)) != str(path):
        name += "_"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{source} cannot be loaded as a Python file")
    module = importlib.util.module_from_spec(spec)
    module.__dict__["__strategy_file__"] = str(path)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigError(f"{source} cannot be loaded: {_why(error, str(path))}") from error
    return module


def _from_module(source: str) -> ModuleType:
    if "/" in source or os.sep in source or Path(source).is_file():
        raise ConfigError(
            f"{source} must be a Python file, with a name that ends with .py, or a module"
        )
    _importable(Path.cwd())
    try:
        return importlib.import_module(source)
    except ModuleNotFoundError as error:
        if error.name is not None and (source == error.name or source.startswith(f"{error.name}.")):
            hint = f"; is it the file {source}.py?" if Path(f"{source}.py").is_file() else ""
            raise ConfigError(f"there is no module {source!r}{hint}") from None
        raise ConfigError(f"{source} cannot be imported: {error}") from error
    except Exception as error:
        raise ConfigError(f"{source} cannot be imported: {_why(error, None)}") from error


def _importable(folder: Path) -> None:
    text = str(folder)
    if text not in sys.path:
        sys.path.insert(0, text)


def _why(error: Exception, path: str | None) -> str:
    if isinstance(error, SyntaxError):
        place = f"line {error.lineno}" if error.lineno else "it"
        return f"{place}: {type(error).__name__}: {error.msg}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if path is None or frame.filename == path
    ]
    place = f"line {frames[-1].lineno}: " if frames and path is not None else ""
    return f"{place}{type(error).__name__}: {error}"
