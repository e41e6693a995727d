"""The check of the documents finds dead links and failing blocks, and knows what to leave out."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_docs", ROOT / "tools" / "check_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


tool = _load()

PAGE = """\
# A page

<!-- setup
x = 1
-->

```python
y = x + 1
```

```python
z = y + 1
```

<!-- not run: shows a shape -->
```python
nonsense(
```

```console
$ make demo
```

```python
assert (x, y, z) == (1, 2, 3)
```
"""


def _page(folder: Path, text: str) -> Path:
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    return page


def test_blocks_come_in_order_with_their_lines_and_without_what_is_left_out() -> None:
    # Counted in PAGE: the setup's code is on line 4, the others begin on 8, 12 and 25.
    assert [(block.line, block.code) for block in tool.blocks(PAGE)] == [
        (4, "x = 1"),
        (8, "y = x + 1"),
        (12, "z = y + 1"),
        (25, "assert (x, y, z) == (1, 2, 3)"),
    ]


def test_what_is_left_out_is_one_block_only() -> None:
    text = "<!-- not run: why -->\n```python\na\n```\n```python\nb\n```\n"
    assert [block.code for block in tool.blocks(text)] == ["b"]
    text = "<!-- not run: why -->\n```console\na\n```\n```python\nb\n```\n"
    assert [block.code for block in tool.blocks(text)] == ["b"]


def test_a_good_page_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main([str(_page(tmp_path, PAGE))]) == 0
    assert "4 blocks, good" in capsys.readouterr().out


@pytest.mark.parametrize(
    "code", ["assert False", "1 / 0", "import warnings\nwarnings.warn('old', stacklevel=1)", "("]
)
def test_a_block_that_fails_fails_the_page_at_its_own_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    page = _page(tmp_path, f"text\n\n```python\nx = 1\n{code}\n```\n")
    assert tool.main([str(page)]) == 1
    # The fence is on line 3, x on line 4, so the code ends on 4 plus its number of lines.
    line = 4 + len(code.splitlines())
    assert f'page.md", line {line}' in capsys.readouterr().out


def test_anchors_are_made_as_on_github() -> None:
    text = "# What works, and what not\n## `run` it\n## Twice\n## Twice\n```\n# no heading\n```\n"
    assert tool.anchors(text) == {"what-works-and-what-not", "run-it", "twice", "twice-1"}


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    page = _page(
        tmp_path,
        "# Here\n"
        "[good](page.md) [good](#here) [good](page.md#here) [far](https://example.org/x)\n"
        "[bad](gone.md)\n"
        "![bad](picture.png) [bad](#there)\n"
        "`[code](gone.md)`\n"
        "[ref]: gone-too.md\n"
        "```\n[inside](gone.md)\n```\n",
    )
    assert [problem.partition("page.md:")[2] for problem in tool.broken_links(page)] == [
        "3: gone.md: there is no such file",
        "4: picture.png: there is no such file",
        "4: #there: there is no such heading",
        "6: gone-too.md: there is no such file",
    ]
