"""Cloud Map behind the real gateway, its zones told to a driver of the tests'."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dryport.ec2.room import room as ec2_room
from dryport.host.client import HostUnavailable
from dryport.host.messages import PrivateZone
from dryport.servicediscovery.room import room_on
from tests.served import Served


class Driver:
    """Knows what it was told, by VPC and zone, until it is killed; ``away`` while nobody reaches it."""

    def __init__(self) -> None:
        self.epoch = 1
        self.lost = asyncio.Event()
        self.zones: dict[tuple[str, str], PrivateZone] = {}
        self.away = False

    async def connect(self) -> None:
        if self.away:
            raise HostUnavailable("away")
        self.lost.clear()

    async def set_zone(self, vpc_id: str, zone_id: str, zone: PrivateZone | None) -> None:
        await self.connect()
        self.zones.pop((vpc_id, zone_id), None)
        if zone is not None:
            self.zones[vpc_id, zone_id] = zone

    async def die(self) -> None:
        """Forget everything, and be another one."""
        self.zones.clear()
        self.epoch += 1
        self.lost.set()


@pytest.fixture(scope="module")
def driver() -> Driver:
    return Driver()


@pytest.fixture(scope="module")
def served(driver: Driver) -> Iterator[Served]:
    state_dir = Path(tempfile.mkdtemp(prefix="dryport-cloudmap-"))
    made = Served(state_dir, [ec2_room, lambda context: room_on(context, driver)])
    yield made
    made.stop()
    shutil.rmtree(state_dir)


@pytest.fixture(scope="module")
def cloudmap(served: Served) -> Any:
    return served.client("servicediscovery")


@pytest.fixture(scope="module")
def vpc_id(served: Served) -> str:
    found = served.client("ec2").describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])
    return str(found["Vpcs"][0]["VpcId"])


def finished(cloudmap: Any, call: Callable[..., Any], **request: Any) -> dict[str, Any]:
    """The operation that a call began, once it is over."""
    operation_id = call(**request)["OperationId"]
    while True:
        found = cloudmap.get_operation(OperationId=operation_id)["Operation"]
        if found["Status"] not in ("SUBMITTED", "PENDING"):
            return dict(found)


def namespace(cloudmap: Any, name: str, vpc: str | None = None) -> str:
    """The id of a new namespace, private where there is a VPC."""
    if vpc is None:
        done = finished(cloudmap, cloudmap.create_http_namespace, Name=name)
    else:
        done = finished(cloudmap, cloudmap.create_private_dns_namespace, Name=name, Vpc=vpc)
    assert done["Status"] == "SUCCESS", done
    return str(done["Targets"]["NAMESPACE"])
