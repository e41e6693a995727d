"""Check the documents: every link resolves, every Python block runs.

    python tools/check_docs.py [FILE.md ...]

Links: a relative one must lead to a file or folder of the tree, and its ``#fragment`` to a heading
of that document. Links to other sites are not followed: the check needs no network.

Blocks: those fenced as ``python`` run in the order of the page, all of one page in one namespace
and one process, with warnings as errors, in an empty folder. Around a block a page may say

    <!-- setup                      code that readers need not see; runs in its place
    <!-- not run: REASON -->        the next block is left out

A page that fails is reported with its own line numbers. Exit code 1 when anything is wrong.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

__all__ = ["Block", "anchors", "blocks", "broken_links", "main", "pages"]

ROOT = Path(__file__).resolve().parent.parent
PAGE_SECONDS = 300

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})\s*(.*)$")
_LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_REFERENCE = re.compile(r"^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?(?:\s|$)")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
_NOT_RUN = re.compile(r"<!--\s*not run:\s*(\S.*?)\s*-->")


@dataclass(frozen=True)
class Block:
    """Code of a page; ``line`` is the number of its first line there."""

    line: int
    code: str


def pages() -> list[Path]:
    """The documents of the project."""
    found = {*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changelog.d/README.md")}
    return sorted(found)


def _lines(text: str) -> Iterator[tuple[int, str, str | None]]:
    """``(number, line, info)`` of each line; ``info`` is the fence's info string inside a block."""
    fence, info = "", None
    for number, line in enumerate(text.splitlines(), 1):
        match = _FENCE.match(line)
        if info is None and match:
            fence, info = match[1], match[2].strip()
        elif info is not None and match and match[1].startswith(fence) and not match[2]:
            info = None
        else:
            yield number, line, info


def blocks(text: str) -> list[Block]:
    """The blocks of a page that run, hidden ones included, in the order of the page."""
    found: list[Block] = []
    code: list[str] = []
    start, hidden, left_out, number = 0, False, False, 0

    def close() -> None:
        nonlocal code, left_out
        if code and not left_out:
            found.append(Block(start, "\n".join(code)))
        if code:
            code, left_out = [], False

    previous = 0
    for number, line, info in _lines(text):
        if hidden:
            if "-->" in line:
                hidden = False
                close()
            else:
                code.append(line)
        elif info is not None and info.split()[:1] in (["python"], ["py"]):
            if not code or number != previous + 1:
                close()
                start = number
            code.append(line)
        else:
            close()
            if info is not None:
                left_out = False
            elif line.strip() == "<!-- setup":
                hidden, start = True, number + 1
            elif _NOT_RUN.search(line):
                left_out = True
        previous = number
    close()
    return found


def anchors(text: str) -> set[str]:
    """The fragments that the headings of a page make, as GitHub makes them."""
    seen: dict[str, int] = {}
    for _, line, info in _lines(text):
        match = _HEADING.match(line) if info is None else None
        if match is None:
            continue
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match[1]).lower()
        slug = re.sub(r"[^\w\- ]", "", title).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        if count:
            seen[f"{slug}-{count}"] = 1
    return set(seen)


def broken_links(page: Path) -> list[str]:
    """A sentence for each link of ``page`` that leads nowhere."""
    found: list[str] = []
    for number, line, info in _lines(page.read_text(encoding="utf-8")):
        if info is not None:
            continue
        line = re.sub(r"`[^`]*`", "", line)
        reference = _REFERENCE.match(line)
        for target in [*_LINK.findall(line), *([reference[1]] if reference else [])]:
            if re.match(r"(https?|mailto):", target):
                continue
            problem = _problem(page, unquote(target))
            if problem:
                found.append(f"{_name(page)}:{number}: {target}: {problem}")
    return found


def _problem(page: Path, target: str) -> str:
    path, _, fragment = target.partition("#")
    goal = (page.parent / path).resolve() if path else page
    if not goal.is_relative_to(ROOT) and page.is_relative_to(ROOT):
        return "leads out of the tree"
    if not goal.exists():
        return "there is no such file"
    if fragment and goal.suffix == ".md" and fragment not in anchors(goal.read_text("utf-8")):
        return "there is no such heading"
    return ""


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix() if page.is_relative_to(ROOT) else str(page)


def run_blocks(page: Path) -> None:
    """Run the blocks of ``page`` here, in a namespace that takes itself for ``__main__``."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module  # attrs and pickle look classes up there
    for block in blocks(page.read_text(encoding="utf-8")):
        # Empty lines before it give the code the page's own line numbers.
        code = compile("\n" * (block.line - 1) + block.code, str(page), "exec")
        exec(code, module.__dict__)


def _failure(page: Path) -> str:
    """Run the blocks of ``page`` in a process and a folder of their own; what went wrong, or ''."""
    with tempfile.TemporaryDirectory(prefix="check-docs-") as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-W", "error", __file__, "--here", str(page)],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": "", "PYTHONIOENCODING": "utf-8"},
                capture_output=True,
                text=True,
                encoding="utf-8",
                timeout=PAGE_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return f"{_name(page)}: its blocks ran for more than {PAGE_SECONDS} s"
    return "" if done.returncode == 0 else f"{_name(page)}: a block fails\n{done.stderr}"


def _check(page: Path) -> tuple[int, list[str]]:
    """How many blocks ``page`` has, and what is wrong with it."""
    count = len(blocks(page.read_text(encoding="utf-8")))
    failure = _failure(page) if count else ""
    return count, [*broken_links(page), *([failure] if failure else [])]


def main(arguments: list[str]) -> int:
    """Check the pages named, or all; the exit code."""
    if arguments[:1] == ["--here"]:
        run_blocks(Path(arguments[1]))
        return 0
    asked = [Path(name).resolve() for name in arguments] or pages()
    problems: list[str] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for page, (count, wrong) in zip(asked, pool.map(_check, asked), strict=True):
            problems += wrong
            print(f"{_name(page)}: {count} blocks, {'wrong' if wrong else 'good'}")
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
