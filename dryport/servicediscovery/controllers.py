"""The loops that have the VPCs' name servers answer what private namespaces hold.

``Zones`` looks at a namespace at a time: its operations are done once the name server of its VPC knows. What that was
told lasts for as long as the host driver does: ``Convergence`` has everything told again when another one is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import takewhile
from typing import Any, Protocol

from msgspec.structs import replace

from dryport.control.clock import Clock
from dryport.control.controller import Controller
from dryport.ec2 import model as ec2_model
from dryport.ec2 import published as ec2
from dryport.host.client import HostError, HostUnavailable
from dryport.host.messages import PrivateZone
from dryport.servicediscovery import model, records
from dryport.servicediscovery.model import Namespace, Operation
from dryport.store import Change, Reader, Store, Transaction

_AWAY = 0.5  # seconds until a driver that is away is tried again
_KNOCK = 0.05  # seconds between attempts to reach it: zones are best told before a new driver has name servers
_REMEMBERED = 30 * 86_400.0  # seconds for which operations are
_NO_ZONE = "CANNOT_CREATE_HOSTED_ZONE"


class ZoneDriver(Protocol):
    """Has name servers answer. Verbs are idempotent and raise ``host.client.HostError``.

    ``epoch`` grows whenever the other side may have forgotten what it was told; ``lost`` is set while it is away.
    """

    epoch: int
    lost: asyncio.Event

    async def connect(self) -> None:
        """Reach the other side. Raises HostUnavailable."""
        ...

    async def set_zone(self, vpc_id: str, zone_id: str, zone: PrivateZone | None) -> None:
        """Have a VPC's name server answer a zone, with nothing else in it; ``None``: no more."""
        ...


class Zones(Controller):
    """Keyed by namespace."""

    tables = (model.NAMESPACES, model.SERVICES, model.INSTANCES, model.OPERATIONS, ec2_model.VPCS)

    def __init__(self, store: Store, clock: Clock, driver: ZoneDriver) -> None:
        super().__init__(store, clock)
        self._driver = driver
        self._told: dict[str, tuple[int, PrivateZone | None]] = {}  # with the driver's epoch

    def existing(self) -> Iterable[str]:
        return [each.id for each in self.store.reader.all(model.NAMESPACES)]

    def keys(self, change: Change[Any]) -> Iterable[str]:
        item = change.new or change.old
        match item:
            case ec2_model.Vpc():
                return self.store.reader.keys(model.NAMESPACES, "vpc", item.id)
            case model.Instance():
                service = self.store.reader.get(model.SERVICES, item.service_id)
                return (service.namespace_id,) if service is not None else ()
            case model.Operation():
                return (item.namespace_id,) if item.open else ()
            case model.Service():
                return (item.namespace_id,)
            case _:
                return (change.key,)

    async def reconcile(self, key: str) -> float | None:
        reader = self.store.reader
        namespace = reader.get(model.NAMESPACES, key)
        if namespace is None:
            self._told.pop(key, None)
            return None
        refusal = refusal_of(reader, namespace) if namespace.state == "creating" else ""
        waiting = reader.keys(model.OPERATIONS, "open", key)
        if namespace.type == model.PRIVATE and not refusal:
            try:
                await self._tell(namespace, zone_of(reader, namespace))
            except HostUnavailable:
                return _AWAY
        if waiting or namespace.state != "active":
            now = self.clock.time()
            await self.store.transact(lambda tx: _done(tx, namespace, waiting, refusal, now))
        return None

    async def _tell(self, namespace: Namespace, zone: PrivateZone | None) -> None:
        await self._driver.connect()
        if self._told.get(namespace.id) == (self._driver.epoch, zone):
            return
        self._told.pop(namespace.id, None)
        epoch = self._driver.epoch
        await self._driver.set_zone(namespace.vpc_id, namespace.zone_id, zone)
        self._told[namespace.id] = (epoch, zone)

    def look_again(self) -> None:
        """Have everything told again that may have been forgotten."""
        for key in self.existing():
            self.enqueue(key)


class Convergence:
    """Follows the connection to the host driver."""

    def __init__(self, clock: Clock, driver: ZoneDriver, zones: Zones) -> None:
        self._clock = clock
        self._driver = driver
        self._zones = zones

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await self._driver.connect()
            except HostError:
                await self._clock.sleep(_KNOCK)
                continue
            self._zones.look_again()
            await self._driver.lost.wait()


def zone_of(reader: Reader, namespace: Namespace) -> PrivateZone | None:
    """What the name server of a namespace's VPC is to answer; ``None`` where it is to know nothing of it."""
    vpc = ec2.vpc(reader, namespace.account, namespace.region, namespace.vpc_id)
    if namespace.state == "deleting" or vpc is None or not vpc.enable_dns_hostnames:
        return None
    services = reader.find(model.SERVICES, "namespace", namespace.id)
    instances = {each.id: reader.find(model.INSTANCES, "service", each.id) for each in services}
    return records.zone(namespace, services, instances)


def refusal_of(reader: Reader, namespace: Namespace) -> str:
    """Why a namespace cannot be made, as Route 53 says it; "" where it can."""
    if namespace.type != model.PRIVATE:
        return ""
    vpc_id, region = namespace.vpc_id, namespace.region
    if ec2.vpc(reader, namespace.account, region, vpc_id) is None:
        return (
            f"The VPC ID {vpc_id} in region {region} is invalid. "
            "(Service: AmazonRoute53; Status Code: 400; Error Code: InvalidVPCId)"
        )
    for other in reader.find(model.NAMESPACES, "vpc", vpc_id):  # the oldest first
        if other.id == namespace.id:
            break
        if other.name.lower() == namespace.name.lower() and other.state != "deleting":
            return (
                f"The VPC {vpc_id} in region {region} has already been associated with the hosted zone "
                f"{other.zone_id} with the same domain name. "
                "(Service: AmazonRoute53; Status Code: 400; Error Code: ConflictingDomainExists)"
            )
    return ""


def _done(tx: Transaction, seen: Namespace, operation_ids: list[str], refusal: str, now: float) -> None:
    """What was asked before the name server was told is done now, or refused."""
    namespace = tx.get(model.NAMESPACES, seen.id)
    if namespace is None or namespace.state != seen.state:
        return  # the change has it looked at again
    for each in operation_ids:
        found = tx.get(model.OPERATIONS, each)
        if found is not None and found.open:
            tx.put(model.OPERATIONS, _over(found, refusal, now))
    if namespace.state == "deleting" or refusal:
        tx.delete(model.NAMESPACES, namespace.id)
    elif namespace.state == "creating":
        tx.put(model.NAMESPACES, replace(namespace, state="active"))
    old = takewhile(lambda each: each.created_at < now - _REMEMBERED, tx.all(model.OPERATIONS))
    for each in [operation.id for operation in old if not operation.open]:
        tx.delete(model.OPERATIONS, each)


def _over(operation: Operation, refusal: str, now: float) -> Operation:
    if refusal:
        return replace(operation, status=model.FAIL, error_code=_NO_ZONE, error_message=refusal, updated_at=now)
    return replace(operation, status=model.SUCCESS, updated_at=now)
