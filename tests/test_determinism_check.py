"""The determinism check finds what is planted, lets pass what is right, and the tree is clean."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.tree import ROOT, needs_the_sources


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "check_determinism", ROOT / "tools" / "check_determinism.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


tool = _load()


def names(source: str) -> list[str]:
    return [finding.name for finding in tool.find(source)]


PLANTED = {
    # the wall clock, under every name it can be given
    "import time\nnow = time.time()": "time.time",
    "import time\nnow = time.time_ns()": "time.time_ns",
    "import time as t\nnow = t.monotonic()": "time.monotonic",
    "import time\nclock = time.perf_counter": "time.perf_counter",
    "from time import monotonic_ns": "time.monotonic_ns",
    "def nap():\n    import time\n    time.sleep(1)": "time.sleep",
    "import datetime\nx = datetime.datetime.now()": "datetime.datetime.now",
    "from datetime import UTC, datetime\nx = datetime.now(UTC)": "datetime.datetime.now",
    "from datetime import datetime as dt\nx = dt.utcnow()": "datetime.datetime.utcnow",
    "from datetime import datetime\nx = datetime.today()": "datetime.datetime.today",
    "from datetime import date\nx = date.today()": "datetime.date.today",
    # randomness that no seed reaches
    "import random\nx = random.random()": "random.random",
    "import random\nrandom.seed(7)": "random.seed",
    "import random\nrandom.shuffle(items)": "random.shuffle",
    "from random import gauss": "random.gauss",
    "import random\nx = random.Random()": "random.Random",
    "import random\nx = random.SystemRandom()": "random.SystemRandom",
    "import numpy as np\nx = np.random.normal()": "numpy.random.normal",
    "import numpy as np\nx = np.random.default_rng()": "numpy.random.default_rng",
    "import os\nx = os.urandom(8)": "os.urandom",
    "import secrets\nx = secrets.token_hex()": "secrets.token_hex",
    "from secrets import randbits": "secrets.randbits",
    # ids that are new in every run
    "import uuid\nx = uuid.uuid4()": "uuid.uuid4",
    "from uuid import uuid1": "uuid.uuid1",
    "import uuid\nfrom attrs import field\nid = field(factory=uuid.uuid4)": "uuid.uuid4",
    # addresses and salted hashes
    "key = id(order)": "id",
    "orders.sort(key=id)": "id",
    "class Order:\n    id: int\n    def key(self):\n        return id(self)": "id",
    "bucket = hash(name) % 8": "hash",
    # the order of a set
    "for name in {'a', 'b'}:\n    pass": "set order",
    "for name in set(names):\n    pass": "set order",
    "for name in frozenset(names):\n    pass": "set order",
    "x = [n for n in set(names)]": "set order",
    "x = {n: 1 for n in {m for m in names}}": "set order",
    "x = list(set(names))": "set order",
    "x = ','.join({'a', 'b'})": "set order",
    "x = [*set(names)]": "set order",
    "x = sum({0.1, 0.2})": "set order",
    "for n in set(a) | b:\n    pass": "set order",
    "for n in set(a).union(b):\n    pass": "set order",
    "def f(names: set[str]):\n    for n in names:\n        pass": "set order",
    "def f():\n    names = set()\n    for n in names:\n        pass": "set order",
    "class A:\n    n: frozenset[str]\n    def f(self):\n        return list(self.n)": "set order",
    (
        "class A:\n    def __init__(self):\n        self.names: set[str] = set()\n"
        "    def f(self):\n        for n in self.names:\n            pass"
    ): "set order",
    "def f():\n    names = set()\n    return names.pop()": "set.pop",
    # the order of a folder
    "import os\nx = os.listdir('.')": "os.listdir",
    "from pathlib import Path\nfor f in Path('.').iterdir():\n    pass": "iterdir",
}


@pytest.mark.parametrize(("source", "name"), PLANTED.items())
def test_finds_what_is_planted(source: str, name: str) -> None:
    assert name in names(source)


RIGHT = [
    "import random\ndef stream(seed: int):\n    return random.Random(seed).random()",
    "from random import Random\nx = Random(7)",
    "import random\ndef f(stream: random.Random):\n    return stream.random()",
    "import numpy as np\nx = np.random.default_rng(7)",
    "class A:\n    def f(self):\n        return self.random.random()",
    "from uuid import UUID\nx = UUID(int=1)",
    "from datetime import UTC, datetime\nx = datetime.fromtimestamp(0, UTC)",
    "import anyio\nasync def f():\n    await anyio.sleep(1)\n    return anyio.current_time()",
    "class A:\n    def f(self):\n        return self.clock.now()",
    "def f(id):\n    return id",
    "class Order:\n    id: int\n    other = id",
    "def f(order):\n    return g(id=order.id)",
    "class A:\n    def __hash__(self):\n        return hash(self.x)",
    "for n in sorted(set(names)):\n    pass",
    "for n in sorted({m for m in set(names)}):\n    pass",
    "x = sorted(n.lower() for n in set(names))",
    "x = {*set(names), 'b'}",
    "x = any(n for n in set(names))",
    "x = len(set(names))",
    "x = 'a' in {'a', 'b'}",
    "for n in dict.fromkeys(names):\n    pass",
    "def f(a: set[str]):\n    return len(a)\ndef g(a: list[str]):\n    return list(a)",
    "import os\nx = sorted(os.listdir('.'))",
    "from pathlib import Path\nx = sorted(Path('.').iterdir())",
    "# time.time() and uuid4() in a comment\nx = 'random.random()'",
]


@pytest.mark.parametrize("source", RIGHT)
def test_lets_pass_what_is_right(source: str) -> None:
    assert names(source) == []


def test_says_where_and_what_to_do() -> None:
    (finding,) = tool.find("import time\n\nnow = time.time()\n", "actors/x.py")
    assert str(finding) == ("actors/x.py:3: time.time: reads the wall clock: ask the actor's clock")


def test_an_allowance_covers_one_name_in_one_file() -> None:
    source = "import time\na = time.time()\nb = time.monotonic()\n"
    allowed = tool.Allowance("a.py", "time.time", "shown to a person only")
    bad, unused = tool.check([("a.py", source), ("b.py", source)], [allowed])
    # a.py keeps line 3; b.py keeps both.
    assert [(f.file, f.line) for f in bad] == [("a.py", 3), ("b.py", 2), ("b.py", 3)]
    assert unused == []


def test_an_allowance_that_ends_in_a_dot_covers_a_module() -> None:
    source = "import time\na = time.time()\nb = time.monotonic()\n"
    bad, _ = tool.check([("a.py", source)], [tool.Allowance("a.py", "time.", "the real clock")])
    assert bad == []


def test_an_allowance_out_of_use_is_reported() -> None:
    allowed = tool.Allowance("a.py", "time.time", "was needed once")
    assert tool.check([("a.py", "x = 1\n")], [allowed]) == ([], [allowed])


def test_every_allowance_has_a_reason() -> None:
    assert [a for a in tool.ALLOWED if len(a.reason.split()) < 3] == []


def test_the_command_exits_1_for_a_planted_file_and_0_for_a_clean_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planted, clean = tmp_path / "planted.py", tmp_path / "clean.py"
    planted.write_text("from uuid import uuid4\n")
    clean.write_text("from uuid import UUID\n")
    assert tool.main([str(planted)]) == 1
    assert "planted.py:1: uuid.uuid4" in capsys.readouterr().out
    assert tool.main([str(clean)]) == 0


def test_symlinked_folders_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.py").write_text("x = 1\n")
    (tmp_path / "linked").symlink_to("real")
    assert len(list(tool.sources([tmp_path]))) == 1


@needs_the_sources
def test_the_tree_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main([]) == 0, capsys.readouterr().out
