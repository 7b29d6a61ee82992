"""S3 behind the real gateway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dryport.s3.room import room
from tests.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    running = Served(tmp_path, [room])
    yield running
    running.stop()


@pytest.fixture
def s3(served: Served) -> Any:
    return served.client("s3", s3={"addressing_style": "path"})


@pytest.fixture
def bucket(s3: Any) -> str:
    s3.create_bucket(Bucket="things")
    return "things"
