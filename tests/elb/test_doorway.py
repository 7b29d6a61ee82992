"""The door where other programs of the machine have its ports."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dryport.control.clock import SystemClock
from dryport.elb.dataplane.door import Entry
from dryport.elb.doorway import DOOR, Doorway
from dryport.host.client import HostError
from dryport.host.messages import Carrier
from dryport.store.sqlite import SqliteStore


class Machine:
    """A host driver of a machine where ports are taken."""

    def __init__(self, *taken: int) -> None:
        self.taken = set(taken)
        self.door: Carrier | None = None

    async def ensure_balancer(self, carrier: Carrier) -> None:
        for port in carrier.ports:
            if port in self.taken:
                raise HostError(f"PortTaken: 127.0.0.1:{port}")
        self.door = carrier

    async def delete_balancer(self, balancer_id: str) -> None:
        assert balancer_id == DOOR
        self.door = None

    def ports(self) -> list[int] | None:
        """At which there is a door; None where there is none."""
        return None if self.door is None else self.door.ports

    async def balancers(self) -> Sequence[str]:
        return [DOOR] if self.door is not None else []

    async def ask_balancer(self, balancer_id: str, commands: Sequence[str]) -> Sequence[str]:
        raise AssertionError("nobody asks the door")

    async def end_flows(self, balancer_id: str, targets: Sequence[tuple[str, int]]) -> None:
        raise AssertionError("the door leads no flows")

    async def take_log(self, balancer_id: str, after: int, least: int) -> tuple[bytes, int]:
        raise AssertionError("the door notes nothing")


async def test_ports_that_others_have_are_left_to_them_until_they_are_free(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "control.db")
    machine = Machine(80, 443)
    doorway = Doorway(store, SystemClock(), machine)
    wanted = [Entry("a.elb.localhost", "HTTP", port, ["198.18.1.1"]) for port in (80, 443, 8080)]
    assert await doorway.open(wanted) is not None  # to be looked at again
    assert machine.ports() == [8080]
    assert await doorway.open(wanted[:2]) is not None
    assert machine.ports() is None
    machine.taken.clear()
    assert await doorway.open(wanted) is None
    assert machine.ports() == [80, 443, 8080]
    await store.close()
