"""Asks the functions of lifecycle hooks, and notes what they answer: keyed by the service's ARN.

A function that was asked by a control plane that is killed is asked again by the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from dryport.control.context import Context
from dryport.control.controller import Controller
from dryport.ecs.invoking import Invoker, NotInvoked
from dryport.ecs.services import hooks, stages
from dryport.ecs.services.model import FUNCTIONS, IN_PROGRESS, SERVICES, Functions, Hook, Service
from dryport.store import Change, Transaction


class Hooks(Controller):
    """One pass asks all functions of a service that are due."""

    tables = (SERVICES,)

    def __init__(self, context: Context, invoker: Invoker) -> None:
        super().__init__(context.store, context.clock)
        self._invoker = invoker

    async def run(self) -> None:
        """Run until cancelled."""
        there = Functions(configured=self._invoker.configured)
        if self.store.reader.get(FUNCTIONS, there.name) != there:  # what handlers go by
            await self.store.transact(lambda tx: tx.put(FUNCTIONS, there))
        try:
            await super().run()
        finally:
            await self._invoker.close()

    def existing(self) -> Iterable[str]:
        return [each.arn for each in self.store.reader.all(SERVICES) if waiting(each)]

    def keys(self, change: Change[Any]) -> Iterable[str]:
        return (change.key,) if change.new is not None and waiting(change.new) else ()

    async def reconcile(self, key: str) -> float | None:
        service = self.store.reader.get(SERVICES, key)
        if service is None:
            return None
        now = self.clock.time()
        open_hooks = waiting(service)
        due = [hook for hook in open_hooks if hook.next_at <= now]
        if due:
            await asyncio.gather(*(self._ask(service, hook) for hook in due))
            return 0.0
        return min((hook.next_at - now for hook in open_hooks), default=None)

    async def _ask(self, service: Service, hook: Hook) -> None:
        try:
            body = await self._invoker.invoke(hook.role_arn, hook.target_arn, hooks.payload(service, hook))
            answered = hooks.answered(hook, body, self.clock.time())
        except NotInvoked as error:
            answered = replace(hook, status=stages.FAILED, reason=str(error))
        await self.store.transact(lambda tx: _note(tx, service.arn, answered))


def waiting(service: Service) -> list[Hook]:
    """The hooks of a service whose functions have not come to an end."""
    primary = service.deployments[0] if service.deployments else None
    if primary is None or primary.progress is None or primary.rollout_state != IN_PROGRESS:
        return []
    found = stages.current(primary.progress)
    return [hook for hook in found if (hook.target_type, hook.status) == (stages.LAMBDA, stages.IN_PROGRESS)]


def _note(tx: Transaction, service_arn: str, answered: Hook) -> None:
    service = tx.get(SERVICES, service_arn)
    if service is None or all(hook.id != answered.id for hook in waiting(service)):
        return  # nobody waits for it any more
    primary = service.primary
    assert primary.progress is not None  # somebody waits
    noted = [answered if hook.id == answered.id else hook for hook in primary.progress.hooks]
    primary = replace(primary, progress=replace(primary.progress, hooks=noted))
    tx.put(SERVICES, replace(service, deployments=[primary, *service.deployments[1:]]))
