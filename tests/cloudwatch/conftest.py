"""CloudWatch behind the real gateway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dryport.cloudwatch.room import room
from tests.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    running = Served(tmp_path, [room])
    yield running
    running.stop()


@pytest.fixture
def cloudwatch(served: Served) -> Any:
    return served.client("cloudwatch")
