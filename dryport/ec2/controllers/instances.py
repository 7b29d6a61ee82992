"""Has the host driver make real what is stored of an instance: boots, stops, deletes it.

An instance boots once its interfaces are plugged in, its volumes are there and the metadata service knows it. Whether
it then goes on running is for ``ends`` to see.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from dryport.control.context import Context
from dryport.control.controller import Controller
from dryport.ec2 import (
    addressing,
    attachments,
    instance_types,
    lifecycle,
    model,
    profiles,
    published,
    releases,
    volumes,
)
from dryport.ec2.controllers.metadata import InstanceMetadata
from dryport.ec2.controllers.volumes import disk
from dryport.ec2.drivers import InstanceDriver
from dryport.ec2.model import Instance, NetworkInterface
from dryport.host import messages
from dryport.host.client import HostError, HostUnavailable
from dryport.store import Change, Reader, Transaction

_ATTEMPTS = 3  # before an instance that cannot be booted is given up
_AWAY, _AGAIN = 2.0, 0.5  # seconds until a driver that is away, or that could not, is asked again
_BOOTS = 4  # at the same time: more of them only wait for each other
# What an error of the host driver says where the machine has no room for an instance.
_NO_ROOM = ("NoDevice", "MemoryError", "Cannot allocate memory", "No space left on device")
log = logging.getLogger("dryport.ec2")


class Instances(Controller):
    """Keyed by instance."""

    tables = (model.INSTANCES, model.NETWORK_INTERFACES, model.VOLUMES)
    concurrency = 256  # most of them wait for a shutdown

    def __init__(self, context: Context, driver: InstanceDriver, metadata: InstanceMetadata) -> None:
        super().__init__(context.store, context.clock)
        self._context = context
        self._driver = driver
        self._metadata = metadata
        self._boots = asyncio.Semaphore(_BOOTS)
        self._attempts: dict[str, int] = {}

    def existing(self) -> Iterable[str]:
        return [each.id for each in self.store.reader.all(model.INSTANCES)]

    def keys(self, change: Change[Any]) -> Iterable[str]:
        if change.table.name == model.INSTANCES.name:
            return (change.key,)
        sides = [each for each in (change.old, change.new) if each is not None]
        if change.table.name == model.VOLUMES.name:
            return {each.attachment.instance_id for each in sides if each.attachment is not None}
        return {each.instance_id for each in sides if each.instance_id}

    async def reconcile(self, key: str) -> float | None:
        instance = self.store.reader.get(model.INSTANCES, key)
        if instance is None:
            return None
        try:
            match instance.state:
                case lifecycle.PENDING | lifecycle.RUNNING:
                    return await self._run(instance)
                case lifecycle.STOPPING:
                    await self._stop(instance)
                case lifecycle.SHUTTING_DOWN:
                    await self._terminate(instance)
                case lifecycle.TERMINATED:
                    return await self._dispose(instance)
        except HostUnavailable:
            return _AWAY
        return None

    async def _run(self, instance: Instance) -> float | None:
        if instance.parking:
            if not instance.parked:
                await self._driver.stop_instance(instance.id)
                await self._change(instance, lambda found: replace(found, parked=found.parking))
            return None
        await self._connect(instance)
        if instance.boot == instance.booted:
            return None
        interfaces = attachments.of_instance(self.store.reader, instance.id)
        failed = [each for each in interfaces if each.device == "failed"]
        if failed:
            await self._give_up(instance, lifecycle.INTERNAL_ERROR, f"{failed[0].id}: {failed[0].device_error}")
            return None
        lost = [each.id for each in _own_volumes(self.store.reader, instance.id) if each.state == "error"]
        if lost:
            await self._give_up(instance, lifecycle.INTERNAL_ERROR, f"{lost[0]} could not be made")
            return None
        if any(each.device != "plugged" for each in interfaces) or not _has_volumes(self.store.reader, instance.id):
            return None  # their changes bring us back
        await self._metadata.tell(instance.vpc_id)
        return await self._boot(instance)

    async def _connect(self, instance: Instance) -> None:
        """Want its interfaces plugged in, and have its role's key there before it asks."""
        reader, now = self.store.reader, self.clock.time()
        waiting = any(each.device == "detached" for each in attachments.of_instance(reader, instance.id))
        if not waiting and profiles.renewal(reader, instance.id, now) != 0.0:
            return

        def work(tx: Transaction) -> None:
            found = tx.get(model.INSTANCES, instance.id)
            if found is not None and found.state in (lifecycle.PENDING, lifecycle.RUNNING):
                attachments.plug_in(tx, found, published.namespace(self._context.config.id, found.id))
                profiles.ensure_key(tx, self._context.random, found, now)

        await self.store.transact(work)

    async def _boot(self, instance: Instance) -> float | None:
        wanted = describe(self.store.reader, instance, self._context)
        try:
            # A reboot begins with a shutdown, which takes its time and no processor.
            async with self._boots if instance.state == lifecycle.PENDING else contextlib.nullcontext():
                await self._driver.ensure_instance(wanted)
        except HostUnavailable:
            raise
        except HostError as error:
            attempts = self._attempts[instance.id] = self._attempts.get(instance.id, 0) + 1
            log.warning("instance %s does not boot: %s", instance.id, error)
            if attempts < _ATTEMPTS:
                return _AGAIN
            room = any(word in str(error) for word in _NO_ROOM)
            code = lifecycle.NO_CAPACITY if room else lifecycle.INTERNAL_ERROR
            await self._give_up(instance, code, str(error))
            return None
        self._attempts.pop(instance.id, None)
        await self.store.transact(lambda tx: _came_up(tx, instance, {each.volume_id for each in wanted.disks}))
        return None

    async def _give_up(self, instance: Instance, code: str, detail: str) -> None:
        self._attempts.pop(instance.id, None)
        await self._change(instance, lambda found: lifecycle.failed(found, code, detail))

    async def _stop(self, instance: Instance) -> None:
        await self._driver.stop_instance(instance.id, force=instance.force)

        def work(tx: Transaction) -> None:
            found = tx.get(model.INSTANCES, instance.id)
            if found is not None and found.state == lifecycle.STOPPING:
                tx.put(model.INSTANCES, lifecycle.stopped(found))
                attachments.unplug(tx, found.id)

        await self.store.transact(work)

    async def _terminate(self, instance: Instance) -> None:
        if lifecycle.has_run(instance) and not instance.force:
            await self._driver.stop_instance(instance.id)
        console = await self._console(instance.id)
        await self._driver.delete_instance(instance.id)

        def work(tx: Transaction) -> None:
            found = tx.get(model.INSTANCES, instance.id)
            if found is not None and found.state == lifecycle.SHUTTING_DOWN:
                tx.put(model.INSTANCES, lifecycle.terminated(found, self.clock.time()))
                releases.let_go(tx, found.id)
                if console is not None:
                    tx.put(model.FINAL_CONSOLES, console)

        await self.store.transact(work)

    async def _console(self, instance_id: str) -> model.FinalConsole | None:
        with contextlib.suppress(HostError):  # there is none of one that never came up
            said = await self._driver.console(instance_id)
            return model.FinalConsole(instance_id=instance_id, output=said.output, at=said.at)
        return None

    async def _dispose(self, instance: Instance) -> float | None:
        """Leave nothing on the machine. An interface that was being plugged in has made its namespace anew."""
        if not instance.disposed:
            await self._driver.delete_instance(instance.id)
            await self.store.transact(lambda tx: releases.let_go(tx, instance.id))
            if self.store.reader.count(model.NETWORK_INTERFACES, "instance", instance.id):
                return None  # comes back once they are gone
            await self._driver.delete_instance(instance.id)
            await self._change(instance, lambda found: replace(found, disposed=True))
        left = (instance.terminated_at or 0.0) + lifecycle.VISIBLE_SECONDS - self.clock.time()
        if left > 0:
            return left
        await self.store.transact(lambda tx: releases.forget(tx, instance.id))
        return None

    async def _change(self, instance: Instance, change: Any) -> None:
        """Change a row that is still in the state that the change was decided in."""

        def work(tx: Transaction) -> None:
            found = tx.get(model.INSTANCES, instance.id)
            if found is not None and found.state == instance.state and found.boot == instance.boot:
                tx.put(model.INSTANCES, change(found))

        await self.store.transact(work)


def _has_volumes(reader: Reader, instance_id: str) -> bool:
    return all(each.state == "in-use" for each in _own_volumes(reader, instance_id))


def _own_volumes(reader: Reader, instance_id: str) -> list[model.Volume]:
    """Those that a boot waits for: not those of tasks."""
    found = volumes.of_instance(reader, instance_id)
    return [each for each in found if each.attachment is not None and not each.attachment.resource]


def _came_up(tx: Transaction, booted: Instance, disks: set[str]) -> None:
    """Note a boot, and that it had these volumes beside the root volume."""
    instance = tx.get(model.INSTANCES, booted.id)
    if instance is None:
        return
    up = lifecycle.came_up(instance, booted.boot)
    if up is instance:
        return
    tx.put(model.INSTANCES, up)
    for volume in tx.find(model.VOLUMES, "instance", instance.id):
        had = volume.root or volume.id in disks
        if had and volume.attachment is not None and volume.attachment.state == "attaching":
            attached = replace(volume.attachment, state="attached")
            tx.put(model.VOLUMES, replace(volume, attachment=attached))


def describe(reader: Reader, instance: Instance, context: Context) -> messages.Instance:
    """An instance as the host driver is told of it. Raises LookupError without a primary interface or root volume."""
    interfaces = attachments.of_instance(reader, instance.id)
    vpc, subnet = reader.get(model.VPCS, instance.vpc_id), reader.get(model.SUBNETS, instance.subnet_id)
    kind = instance_types.get(instance.instance_type)
    root = next((each for each in volumes.of_instance(reader, instance.id) if each.root), None)
    if not interfaces or vpc is None or subnet is None or kind is None or root is None:
        raise LookupError(f"instance {instance.id} has lost what it was launched with")
    primary, config = interfaces[0], context.config
    return messages.Instance(
        id=instance.id,
        boot=instance.boot,
        vpc_id=instance.vpc_id,
        namespace=published.namespace(context.config.id, instance.id),
        interface=_interface(primary, subnet, vpc),
        root=root.id,
        base=root.base or "plain",
        hostname=primary.private_dns_name,
        vcpus=float(instance.vcpus),
        memory=kind.memory,
        gpus=kind.gpu_count,
        user_data=instance.user_data,
        authorized_keys=[f"{instance.public_key} {instance.key_name}"] if instance.key_name else [],
        disks=_disks(reader, instance.id),
        environment={
            "AWS_ENDPOINT_URL": config.endpoint_in_vpc,
            "AWS_REGION": instance.region,
            "AWS_DEFAULT_REGION": instance.region,
        },
    )


def _interface(interface: NetworkInterface, subnet: model.Subnet, vpc: model.Vpc) -> messages.Interface:
    return messages.Interface(
        mac=interface.mac_address,
        address_cidr=f"{interface.private_ip}/{subnet.cidr_block.partition('/')[2]}",
        gateway=addressing.gateway(subnet.cidr_block),
        resolver=addressing.resolver(vpc.cidr_block),
        domain=addressing.internal_domain(vpc.region),
    )


def _disks(reader: Reader, instance_id: str) -> list[messages.Disk]:
    """The volumes that a boot brings: not those that are being taken away."""
    return [
        disk(each.id, each.attachment)
        for each in volumes.of_instance(reader, instance_id)
        if each.attachment is not None
        and each.attachment.state in ("attaching", "attached")
        and each.state == "in-use"
        and not each.root
    ]
