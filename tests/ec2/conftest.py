"""EC2 behind the real gateway."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dryport.ec2.room import room, room_on
from dryport.ssm.room import room as ssm_room
from tests.ec2.machine import Machine
from tests.ec2.volumes import Volumes
from tests.served import Served

PLAIN = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


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


@pytest.fixture(scope="module")
def machine() -> Machine:
    return Machine()


@pytest.fixture(scope="module")
def simulated(machine: Machine) -> Iterator[Served]:
    """EC2 on a machine of the tests' own."""
    state_dir = Path(tempfile.mkdtemp(prefix="dryport-volumes-"))
    made = Served(state_dir, [lambda context: room_on(context, machine), ssm_room])
    yield made
    made.stop()
    shutil.rmtree(state_dir)


@pytest.fixture(scope="module")
def volumes(simulated: Served) -> Volumes:
    image = simulated.client("ssm").get_parameter(Name=PLAIN)["Parameter"]["Value"]
    return Volumes(simulated.client("ec2"), image)


@pytest.fixture
def vpc(ec2: Any) -> Iterator[str]:
    """An empty VPC, 10.0.0.0/16."""
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    yield vpc_id
