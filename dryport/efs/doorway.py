"""Mounts that people ask for on an instance: ``mount -t efs`` there comes here (``instance/mount_efs.py``).

The instance says who it is by its identity document. Whether it may mount is decided as it is for tasks; then the host
driver has the file system appear in the instance, and the helper there mounts it where it was asked to.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from dryport.ec2 import published as ec2
from dryport.efs import mounting
from dryport.efs.model import AccessPoint
from dryport.gateway.http import Exchange
from dryport.host.client import HostError
from dryport.store import Reader, Store

PATH = "/_dryport/mounts"  # no bucket's name
_LONGEST = 64 << 10  # bytes


class MountDriver(Protocol):
    """Has file systems appear in instances. Raises ``host.client.HostError``."""

    async def mount_file_system(self, instance_id: str, file_system_id: str) -> None:
        """Have a file system appear in a running instance; idempotent."""
        ...


class Wanted(msgspec.Struct, rename="camel"):
    """What an instance asks for, with its identity document and its signature."""

    document: str
    signature: str
    file_system_id: str
    access_point_id: str = ""


class Answer(msgspec.Struct, rename="camel", omit_defaults=True):
    """What is to be mounted: a directory of the file system, made as ``creation_info`` says where it is not there.

    Or ``message`` and exit ``code`` of the mount helper, where it may not.
    """

    path: str = "/"
    creation_info: tuple[int, int, str] | None = None  # owner, group, permissions
    message: str = ""
    code: int = 0


class Doorway:
    """Answers the instances' mount helpers."""

    def __init__(self, store: Store, driver: MountDriver) -> None:
        self._store = store
        self._driver = driver

    async def handle(self, exchange: Exchange) -> None:
        """One mount."""
        if int(exchange.headers.get("content-length") or _LONGEST + 1) > _LONGEST:
            _respond(exchange, 400, Answer(message="the request is too long", code=1))
            return
        try:
            wanted = msgspec.json.decode(await exchange.body(), type=Wanted)
        except msgspec.MsgspecError as error:
            _respond(exchange, 400, Answer(message=str(error), code=1))
            return
        try:
            instance_id, answer = self._decide(self._store.reader, wanted)
            await self._driver.mount_file_system(instance_id, wanted.file_system_id)
        except mounting.Refused as refused:
            _respond(exchange, 403, Answer(message=refused.message, code=refused.code))
        except HostError as error:
            _respond(exchange, 503, Answer(message=f"mount.nfs4: {error}", code=32))
        else:
            _respond(exchange, 200, answer)

    def _decide(self, reader: Reader, wanted: Wanted) -> tuple[str, Answer]:
        try:
            instance = ec2.identified(reader, wanted.document, wanted.signature)
        except (msgspec.MsgspecError, ValueError, KeyError, TypeError):
            instance = None
        interface = ec2.primary_interface(reader, instance.id) if instance is not None else None
        if instance is None or interface is None:
            raise mounting.Refused("the instance is not known by its identity document", 1)
        point = mounting.decide(reader, interface, wanted.file_system_id, wanted.access_point_id).access_point
        return instance.id, Answer() if point is None else _through(point)


def _through(point: AccessPoint) -> Answer:
    if point.posix_user is not None:
        # Whoever writes would have to be that user: a mount of an instance has all of its users.
        raise mounting.Refused(
            f"access points with a POSIX user, as {point.id} has, are mounted by tasks only, not by instances", 1
        )
    info = point.creation_info
    made = (info.owner_uid, info.owner_gid, info.permissions) if info is not None else None
    return Answer(path=point.path, creation_info=made)


def _respond(exchange: Exchange, status: int, answer: Answer) -> None:
    body = msgspec.json.encode(answer)
    exchange.respond(status, [("content-type", "application/json"), ("content-length", str(len(body)))], body)
