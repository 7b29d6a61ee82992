"""The loop that brings access logs into their buckets.

What HAProxy wrote is taken from where the last delivery ended; the object and that place are stored together, so that
nothing is delivered twice or left out, whatever is killed meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

from msgspec.structs import replace

from dryport.control.context import Context
from dryport.ec2 import published as ec2
from dryport.elb import model
from dryport.elb.access_logs import files, lines, permission
from dryport.elb.controllers import Balancers
from dryport.elb.dataplane.plan import Balancer
from dryport.elb.model import ACCESS_LOGS, AccessLog, LoadBalancer
from dryport.host.client import HostError
from dryport.s3 import published as s3
from dryport.store import Reader, StoreUnavailable, Transaction

_LOOK = 2.0  # seconds
_MUCH = 16 << 20  # bytes that are delivered before their interval ends
log = logging.getLogger("dryport.elb")


class Plane(Protocol):
    """What it asks of the data plane."""

    async def records(self, arn: str, after: int, least: int) -> tuple[bytes, int]: ...


class Delivery:
    """Every balancer whose log is wanted."""

    def __init__(self, context: Context, plane: Plane, balancers: Balancers) -> None:
        self._context, self._plane, self._balancers = context, plane, balancers
        self._store, self._clock = context.store, context.clock

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep(_LOOK)

    async def look(self) -> None:
        """Deliver what is due."""
        for balancer in [each for each in self._balancers.carried.values() if each.access_log]:
            try:
                await self._look_at(balancer)
            except HostError as error:  # its host process starts again
                log.debug("%s: %s", balancer.arn, error)
            except (StoreUnavailable, OSError) as error:
                log.warning("%s: its access log is delivered later: %s", balancer.arn, error)

    async def _look_at(self, balancer: Balancer) -> None:
        stored = self._store.reader.get(model.LOAD_BALANCERS, balancer.arn)
        target = wanted(stored) if stored is not None else None
        if stored is None or target is None:
            return
        now = self._clock.time()
        end = now - now % target.interval
        row = self._store.reader.get(ACCESS_LOGS, stored.arn) or AccessLog(arn=stored.arn, until=end)
        if row.tested != target.place and stored.type != model.NETWORK:
            key, said = files.test_file(stored, target.prefix, now)
            row = replace(row, tested=target.place)
            await self._write(stored, target, {key: said}, row)
        due = row.until < end
        while True:
            content, position = await self._plane.records(stored.arn, row.position, 1 if due else _MUCH)
            if position == row.position and not content:
                break
            row = replace(row, position=position)
            objects = await self._objects(balancer, stored, content, (target.prefix, end if due else now))
            await self._write(stored, target, objects, row)
        if due:
            row = replace(row, until=end)
            await self._store.transact(lambda tx: _note(tx, row))

    async def _objects(
        self, balancer: Balancer, stored: LoadBalancer, content: bytes, where: tuple[str, float]
    ) -> dict[str, bytes]:
        """Files by their keys, one an address of the balancer's; ``where`` has a prefix and the end of the interval."""
        shown, found = addresses(self._store.reader, stored), {}
        for node, entries in (await asyncio.to_thread(_lines, balancer, stored, content)).items():
            key = files.file(stored, *where, shown.get(node, node), self._context.random)
            found[key] = await asyncio.to_thread(files.content, stored, entries)
        return found

    async def _write(self, stored: LoadBalancer, target: Target, objects: Mapping[str, bytes], row: AccessLog) -> None:
        """Store objects, where that is allowed, and what is known now."""
        root = self._context.config.state_dir / "s3"
        now = self._clock.time()
        allowed = permission.may(self._store.reader, stored, target.bucket, target.prefix)
        if not allowed:
            log.warning("%s: its access log cannot be written to the bucket %s", stored.arn, target.bucket)
            objects = {}
        written = [(key, await s3.write(root, self._context.random, content)) for key, content in objects.items()]

        def work(tx: Transaction) -> None:
            for key, file in written:
                s3.put(tx, self._context.random, now, target.bucket, key, file)
            _note(tx, row)

        await self._store.transact(work)


class Target(model.Record, frozen=True, kw_only=True):
    """Where a balancer's log goes, and every how many seconds."""

    bucket: str
    prefix: str
    interval: int

    @property
    def place(self) -> str:
        """What shows whether it has changed."""
        return f"{self.bucket}/{self.prefix}"


def wanted(stored: LoadBalancer) -> Target | None:
    """Where a balancer's log goes; ``None`` where none is wanted."""
    if stored.attributes.get("access_logs.s3.enabled") != "true":
        return None
    minutes = int(stored.attributes.get("access_logs.minutes", 60)) if stored.classic is not None else 5
    return Target(
        bucket=stored.attributes.get("access_logs.s3.bucket", ""),
        prefix=stored.attributes.get("access_logs.s3.prefix", ""),
        interval=minutes * 60,
    )


def addresses(reader: Reader, stored: LoadBalancer) -> dict[str, str]:
    """How files call the balancer's addresses: by the public ones where it has such."""
    found = {}
    for each in stored.zones:
        interface = ec2.network_interface(reader, each.interface_id)
        found[each.address] = (interface.public_ip if interface is not None else None) or each.address
    return found


def _lines(balancer: Balancer, stored: LoadBalancer, content: bytes) -> dict[str, list[str]]:
    return lines.entries(balancer, files.resource_id(stored), lines.read(content))


def _note(tx: Transaction, row: AccessLog) -> None:
    if tx.get(model.LOAD_BALANCERS, row.arn) is not None:
        tx.put(ACCESS_LOGS, row)
