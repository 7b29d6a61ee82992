"""EC2 behind the real gateway."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dryport.ec2.room import room
from tests.served import Served


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    state_dir = Path(tempfile.mkdtemp(prefix="dryport-ec2-"))
    made = Served(state_dir, [room])
    yield made
    made.stop()
    shutil.rmtree(state_dir)


@pytest.fixture(scope="module")
def ec2(served: Served) -> Any:
    return served.client("ec2")


@pytest.fixture
def vpc(ec2: Any) -> Iterator[str]:
    """An empty VPC, 10.0.0.0/16."""
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    yield vpc_id
