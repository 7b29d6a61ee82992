"""Who imports whom: the table of rooms in docs/architecture.md is true."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _rooms() -> dict[str, str]:
    """What each room may import, as the table says it."""
    found: dict[str, str] = {}
    for line in (ROOT / "docs/architecture.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 3 and cells[0].startswith("`") and "/`" in cells[0]:
            found.update(dict.fromkeys(re.findall(r"`(\w+)/`", cells[0]), cells[2]))
    return found


ROOMS = _rooms()


def imports(path: Path) -> Iterator[str]:
    """The modules of Dryport's that a file imports: ``ec2.published`` for ``from dryport.ec2 import published``."""
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.removeprefix("dryport.") for name in names if name.startswith("dryport."))


def test_every_folder_is_a_room() -> None:
    assert ROOMS.keys() == {path.parent.name for path in (ROOT / "dryport").glob("*/__init__.py")}


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_rooms_import_what_the_table_allows(room: str) -> None:
    if ROOMS[room] == "everything":
        return
    allowed = set(re.findall(r"`([\w.]+)`", ROOMS[room]))
    for path in (ROOT / "dryport" / room).rglob("*.py"):
        for name in imports(path):
            other, _, rest = name.partition(".")
            module = rest.partition(".")[0]
            ours = other == room or other not in ROOMS
            assert ours or not allowed.isdisjoint((other, module, f"{other}.{module}")), (path, name)


def test_no_handlers_are_imported_at_the_start() -> None:
    """They cost megabytes: each service's when somebody first asks for it."""
    script = "import sys, dryport.platform.rooms; print(*(m for m in sys.modules if '.api' in m and 'dryport' in m))"
    assert subprocess.check_output([sys.executable, "-c", script], text=True, cwd=ROOT).split() == []
