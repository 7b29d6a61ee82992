"""Keeps the metadata service told of every instance, and the keys of their roles fresh. Keyed by VPC."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from dryport.control.context import Context
from dryport.control.controller import Controller
from dryport.ec2 import instance_types, keymaker, lifecycle, model, profiles, published
from dryport.ec2.drivers import InstanceDriver
from dryport.ec2.metadata import Connection, Facts, Role, compile_metadata
from dryport.ec2.model import Instance, SigningKey
from dryport.host.client import HostError, HostUnavailable
from dryport.host.messages import Metadata
from dryport.iam import credentials as iam
from dryport.store import Change, Reader, Transaction

_AWAY, _AGAIN = 2.0, 0.5  # seconds until a driver that is away, or that could not, is asked again
_UP = (lifecycle.PENDING, lifecycle.RUNNING, lifecycle.STOPPING, lifecycle.SHUTTING_DOWN)
log = logging.getLogger("dryport.ec2")
CERTIFICATE = "instance-identity.pem"  # in the state directory, for whoever verifies identity documents


class InstanceMetadata(Controller):
    """Tells the host driver of a VPC's instances whenever something that they are told has changed."""

    tables = (
        model.INSTANCES,
        model.NETWORK_INTERFACES,
        model.PROFILE_ASSOCIATIONS,
        model.ROLE_KEYS,
        model.VOLUMES,
        model.VPCS,
    )

    def __init__(self, context: Context, driver: InstanceDriver) -> None:
        super().__init__(context.store, context.clock)
        self._context = context
        self._driver = driver
        self._told: dict[str, tuple[int, dict[str, Metadata]]] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._making_key = asyncio.Lock()

    def existing(self) -> Iterable[str]:
        return {each.vpc_id for each in self.store.reader.all(model.INSTANCES) if each.state in _UP}

    def keys(self, change: Change[Any]) -> Iterable[str]:
        sides = [each for each in (change.old, change.new) if each is not None]
        reader = self.store.reader
        match sides[0]:
            case model.Vpc() | model.Instance():
                return {getattr(each, "vpc_id", each.id) for each in sides}
            case model.NetworkInterface():
                return {each.vpc_id for each in sides if each.instance_id or _of_task(each)}
            case model.Volume():
                ids = {each.attachment.instance_id for each in sides if each.attachment is not None}
            case _:
                ids = {each.instance_id for each in sides}
        found = (reader.get(model.INSTANCES, each) for each in ids)
        return {each.vpc_id for each in found if each is not None}

    async def reconcile(self, key: str) -> float | None:
        again = await self._renew(key)
        try:
            await self.tell(key)
        except HostError as error:  # it is away, or has not made the VPC yet
            log.debug("metadata of %s: %s", key, error)
            return _AWAY if isinstance(error, HostUnavailable) else _AGAIN
        return again

    async def _renew(self, vpc_id: str) -> float | None:
        """Renew the keys that are due; seconds until the next one is."""
        reader, now = self.store.reader, self.clock.time()
        up = [each for each in reader.find(model.INSTANCES, "vpc", vpc_id) if each.state in _UP]
        due = {each.id: profiles.renewal(reader, each.id, now) for each in up}

        def work(tx: Transaction) -> None:
            for each in up:
                if due[each.id] == 0.0:
                    profiles.ensure_key(tx, self._context.random, each, now)

        if 0.0 in due.values():
            await self.store.transact(work)
            return 0.0
        return min((each for each in due.values() if each is not None), default=None)

    async def tell(self, vpc_id: str) -> None:
        """Have the metadata service know what is stored now. Raises HostError."""
        async with self._locks[vpc_id]:
            wanted: dict[str, Metadata] = {}
            if any(each.state in _UP for each in self.store.reader.find(model.INSTANCES, "vpc", vpc_id)):
                key = await self._signing_key()
                wanted = describe(self.store.reader, vpc_id, key, partial(published.namespace, self._context.config.id))
            elif not self._told.get(vpc_id, (0, {}))[1]:
                return
            await self._driver.connect()
            now = (self._driver.epoch, wanted)
            if self._told.get(vpc_id) != now:
                self._told.pop(vpc_id, None)
                if self.store.reader.get(model.VPCS, vpc_id) is not None:
                    await self._driver.set_metadata(vpc_id, wanted)
                self._told[vpc_id] = now

    async def _signing_key(self) -> SigningKey:
        """This Dryport's key, made when it is first needed."""
        async with self._making_key:
            found = self.store.reader.get(model.SIGNING_KEYS, "identity")
            if found is None:
                made = await keymaker.identity_key()
                found = SigningKey(p=made.p, q=made.q, certificate=made.certificate)
                await self.store.transact(lambda tx: tx.put(model.SIGNING_KEYS, found))
            path = self._context.config.state_dir / CERTIFICATE
            if not path.exists():
                path.write_text(found.certificate)
            return found


def describe(reader: Reader, vpc_id: str, key: SigningKey, namespace_of: Callable[[str], str]) -> dict[str, Metadata]:
    """What the metadata service is to say in a VPC, by instance, whose network namespace ``namespace_of`` names."""
    up = [each for each in reader.find(model.INSTANCES, "vpc", vpc_id) if each.state in _UP]
    of_tasks: defaultdict[str, list[str]] = defaultdict(list)
    for interface in reader.find(model.NETWORK_INTERFACES, "vpc", vpc_id):
        if _of_task(interface):
            of_tasks[interface.namespace].append(interface.private_ip)
    found = ((each.id, _facts(reader, each, key, of_tasks.get(namespace_of(each.id), []))) for each in up)
    return {each: compile_metadata(facts) for each, facts in found if facts is not None}


def _of_task(interface: model.NetworkInterface) -> bool:
    """Whether it is a task's, on an instance."""
    return bool(interface.owner and interface.namespace)


def _facts(reader: Reader, instance: Instance, key: SigningKey, task_addresses: list[str]) -> Facts | None:
    vpc = reader.get(model.VPCS, instance.vpc_id)
    connections = _connections(reader, instance.id)
    kind = instance_types.get(instance.instance_type)
    if vpc is None or not connections or connections[0].interface.device != "plugged":
        return None
    volumes = reader.find(model.VOLUMES, "instance", instance.id)
    return Facts(
        instance=instance,
        vpc=vpc,
        connections=connections,
        devices=[each.attachment.device for each in volumes if each.attachment is not None and not each.root],
        system="nitro" if kind is not None and kind.hypervisor != "xen" else "xen-on-nitro",
        signing_key=key,
        role=_role(reader, instance.id),
        task_addresses=task_addresses,
    )


def _connections(reader: Reader, instance_id: str) -> list[Connection]:
    found = []
    for each in published.seen_at(reader, instance_id):
        subnet = reader.get(model.SUBNETS, each.subnet_id)
        groups = [reader.get(model.SECURITY_GROUPS, group_id) for group_id in each.group_ids]
        if subnet is not None:
            found.append(Connection(each, subnet, [group for group in groups if group is not None]))
    return found


def _role(reader: Reader, instance_id: str) -> Role | None:
    profile = profiles.associated(reader, instance_id)
    key = reader.get(model.ROLE_KEYS, instance_id)
    credential = iam.find(reader, key.access_key_id) if key is not None else None
    if profile is None or key is None or credential is None or key.role_arn != profile.role_arn:
        return None
    return Role(profile, key, credential)
