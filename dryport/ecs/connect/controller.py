"""Lets go of the Cloud Map services that no deployment of an ECS service asks for any more, keyed by the latter."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from dryport.control.controller import Controller
from dryport.ecs.connect import cloud_map
from dryport.ecs.services.model import SERVICES
from dryport.store import Change, Transaction

_AGAIN = 30.0  # seconds: somebody else's instances may be there for as long as he likes


class Releases(Controller):
    """One pass looks at one service."""

    tables = (SERVICES,)

    def existing(self) -> Iterable[str]:
        return [each.arn for each in self.store.reader.all(SERVICES) if each.connect_services]

    def keys(self, change: Change[Any]) -> Iterable[str]:
        return (change.key,) if change.new is not None and change.new.connect_services else ()

    async def reconcile(self, key: str) -> float | None:
        service = self.store.reader.get(SERVICES, key)
        if service is None or not cloud_map.unclaimed(self.store.reader, service):
            return None
        return _AGAIN if await self.store.transact(lambda tx: _pass(tx, key)) else None


def _pass(tx: Transaction, key: str) -> bool:
    """Whether something is left that should go."""
    service = tx.get(SERVICES, key)
    if service is None:
        return False
    gone = [each for each in cloud_map.unclaimed(tx, service) if cloud_map.delete(tx, each)]
    left = [each for each in service.connect_services if each not in gone]
    if gone:
        service = replace(service, connect_services=left)
        tx.put(SERVICES, service)
    return bool(cloud_map.unclaimed(tx, service))
