"""What a run can prove about itself: the checks, and what they found."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from backtest.errors import VerificationFailed

__all__ = ["Check", "Finding", "Verification", "checked"]

_SHOWN = 5
"""Problems told of one check; of more, the number."""


@frozen(kw_only=True)
class Check:
    """One thing that was looked at, and what was found."""

    name: str
    ok: bool
    outcome: str
    """What was found: a sentence, when it is in order; else the first problem."""
    problems: tuple[str, ...] = ()
    """Everything wrong, the first few in words and the rest as a number."""

    def __str__(self) -> str:
        return f"{'ok  ' if self.ok else 'FAIL'} {self.name}: {self.outcome}"


@frozen
class Verification:
    """The checks of a run, in order. True when all are in order."""

    checks: tuple[Check, ...]
    unproven: tuple[str, ...] = ()
    """What these checks cannot tell, in words; of a run that could not be read, nothing."""

    @property
    def ok(self) -> bool:
        """Whether every check found everything in order."""
        return all(check.ok for check in self.checks)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, each with the name of its check."""
        return tuple(f"{check.name}: {one}" for check in self.checks for one in check.problems)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = []
        for check in self.checks:
            lines.append(str(check))
            lines += [f"       {problem}" for problem in check.problems[1:]]
        lines += [f"not proven: {one}" for one in self.unproven]
        failed = sum(not check.ok for check in self.checks)
        count = len(self.checks)
        lines.append(
            f"{failed} of {count} checks failed"
            if failed
            else f"verified: all {count} checks passed"
        )
        return "\n".join(lines)

    def raise_for_problems(self) -> None:
        """Raises `VerificationFailed`, with all problems, unless everything is in order."""
        if not self.ok:
            raise VerificationFailed(self.problems)


class Finding:
    """What one check finds while it looks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.right = ""
        """What to say when nothing is wrong."""
        self._problems: list[str] = []
        self._more = 0

    def wrong(self, problem: str) -> None:
        """Note a problem."""
        if len(self._problems) < _SHOWN:
            self._problems.append(problem)
        else:
            self._more += 1

    def differ(self, what: str, found: object, expected: object) -> None:
        """Note that ``what`` is not as it should be, if it is not."""
        if found != expected:
            self.wrong(f"{what} is {found}, should be {expected}")

    def done(self) -> Check:
        """The check that came of it."""
        problems = self._problems
        if not problems:
            return Check(name=self.name, ok=True, outcome=self.right)
        if self._more:
            problems = [*problems, f"and {self._more} more"]
        return Check(name=self.name, ok=False, outcome=problems[0], problems=tuple(problems))


def checked(name: str, look: Callable[[Finding], str]) -> Check:
    """The check called ``name``: ``look`` notes what is wrong and says what was right.

    What cannot be read cannot be in order: an error while looking is a problem, too.
    """
    finding = Finding(name)
    try:
        finding.right = look(finding)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        finding.wrong(f"cannot be checked: {_told(error)}")
    return finding.done()


def _told(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    return str(error) or type(error).__name__
