"""The loops that make load balancers real.

``Balancers`` looks at one at a time: its interfaces, then what it carries. ``Checks`` asks what their health checks
find. ``Drains`` lets targets go that have drained, ``Terminations`` those whose instance is no more. ``Convergence``
follows the connection to the host driver.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any, Protocol

from msgspec.structs import replace

from dryport.acm import model as acm_model
from dryport.aws.errors import ServiceError
from dryport.control.clock import Clock
from dryport.control.context import Context
from dryport.control.controller import Controller
from dryport.ec2 import model as ec2_model
from dryport.elb import certificates, interfaces, model, plans, published
from dryport.elb.classic import plans as classic
from dryport.elb.dataplane import plan
from dryport.elb.dataplane.plan import DataPlane, Health
from dryport.elb.doorway import DOOR, Doorway
from dryport.elb.driver import balancer_id
from dryport.elb.model import LoadBalancer, Target
from dryport.host.client import HostError, HostUnavailable
from dryport.store import Change, Reader, Store, Transaction
from dryport.store.sealing import Sealer

_KNOCK = 0.1  # seconds between attempts to reach the host driver
_LOOK = 0.5  # seconds between looks at the targets' health
log = logging.getLogger("dryport.elb")


class Host(Protocol):
    """The connection to the host driver."""

    lost: asyncio.Event

    async def connect(self) -> None: ...
    async def balancers(self) -> Sequence[str]: ...
    async def delete_balancer(self, balancer_id: str) -> None: ...


class Balancers(Controller):
    """Keyed by the balancer's ARN."""

    tables = (
        model.LOAD_BALANCERS,
        model.LISTENERS,
        model.RULES,
        model.TARGET_GROUPS,
        model.TARGETS,
        ec2_model.NETWORK_INTERFACES,
        acm_model.CERTIFICATES,
    )

    def __init__(self, context: Context, plane: DataPlane, sealer: Sealer) -> None:
        super().__init__(context.store, context.clock)
        self._random: Random = context.random
        self._platform_id = context.config.id
        self._plane = plane
        self._sealer = sealer
        self.carried: dict[str, plan.Balancer] = {}

    def existing(self) -> Iterable[str]:
        return [each.arn for each in self.store.reader.all(model.LOAD_BALANCERS)]

    def keys(self, change: Change[Any]) -> Iterable[str]:
        item = change.new or change.old
        match item:
            case model.Listener():
                return (item.load_balancer,)
            case model.Rule():
                return (balancer_of_rule(item.arn),)
            case model.TargetGroup():
                return published.load_balancers(self.store.reader, item.arn)
            case model.Target():
                return () if _only_health(change) else published.load_balancers(self.store.reader, item.group)
            case acm_model.Certificate():
                return published.users_of_certificate(self.store.reader, item.arn)
            case ec2_model.NetworkInterface():
                return (item.owner,) if item.requester_id == ec2_model.BALANCERS else ()
            case _:
                return (change.key,)

    async def reconcile(self, key: str) -> float | None:
        stored = self.store.reader.get(model.LOAD_BALANCERS, key)
        try:
            if stored is None or stored.state == model.DELETING:
                await self._remove(key)
            elif await self._connect(stored):
                await self._carry(key)
        except HostUnavailable:
            return None  # Convergence brings every balancer back once the driver answers
        return None

    async def _remove(self, key: str) -> None:
        self.carried.pop(key, None)
        await self._plane.remove(key)
        await self.store.transact(lambda tx: interfaces.forget(tx, key))

    async def _connect(self, stored: LoadBalancer) -> bool:
        """Whether its interfaces are all there, in use, and as they should be."""
        if interfaces.settled(self.store.reader, stored):
            return interfaces.plugged(self.store.reader, stored)
        now = self.clock.time()
        try:
            await self.store.transact(
                lambda tx: interfaces.settle(tx, self._random, now, self._platform_id, stored.arn)
            )
        except ServiceError as error:
            await self._fail(stored.arn, str(error))
        return False  # what was just written has it looked at again

    async def _carry(self, key: str) -> None:
        reader = self.store.reader
        stored = reader.get(model.LOAD_BALANCERS, key)
        if stored is None:
            return
        try:
            wanted = plans.of(reader, stored)
            listeners = reader.find(model.LISTENERS, "load_balancer", key)
            shown = [arn for listener in listeners for arn in listener.certificates]
            files = certificates.files(reader, self._sealer, shown)
            await self._plane.apply(wanted, files)
        except plan.NotCarried as error:
            await self._fail(key, f"{error} is not carried")
            return
        self.carried[key] = wanted
        if stored.state != model.ACTIVE:
            await self.store.transact(lambda tx: _become(tx, key, model.ACTIVE, ""))

    async def _fail(self, key: str, reason: str) -> None:
        log.error("%s: %s", key, reason)
        found = self.store.reader.get(model.LOAD_BALANCERS, key)
        if found is not None and found.state == model.PROVISIONING:
            await self.store.transact(lambda tx: _become(tx, key, model.FAILED, reason))


def _become(tx: Transaction, key: str, state: str, reason: str) -> None:
    found = tx.get(model.LOAD_BALANCERS, key)
    if found is not None and found.state not in (state, model.DELETING):
        tx.put(model.LOAD_BALANCERS, replace(found, state=state, reason=reason))


def balancer_of_rule(rule_arn: str) -> str:
    """The ARN of the load balancer that a rule is of, by the rule's."""
    return rule_arn.replace(":listener-rule/", ":loadbalancer/").rsplit("/", 2)[0]


def _only_health(change: Change[Target]) -> bool:
    """Whether a target is to be carried as it was."""
    if change.old is None or change.new is None:
        return False
    return (change.old.state == model.DRAINING) == (change.new.state == model.DRAINING)


class Checks:
    """Writes down what becomes of targets' health."""

    def __init__(self, store: Store, clock: Clock, plane: DataPlane, balancers: Balancers) -> None:
        self._store = store
        self._clock = clock
        self._plane = plane
        self._balancers = balancers

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            carried = [each for each in self._balancers.carried.values() if any(group.targets for group in each.groups)]
            await asyncio.gather(*(self._look_at(each) for each in carried))
            await self._clock.sleep(_LOOK)

    async def _look_at(self, balancer: plan.Balancer) -> None:
        known = _known(self._store.reader, balancer)
        before = {group: {key: health for key, (_, health) in each.items()} for group, each in known.items()}
        try:
            found = await self._plane.health(balancer, before)
        except HostError as error:
            log.debug("%s: %s", balancer.arn, error)
            return
        changed = {
            known[group][key][0].key: health
            for group, each in found.items()
            for key, health in each.items()
            if key in known.get(group, {}) and health != known[group][key][1]
        }
        if changed:
            await self._store.transact(lambda tx: _note(tx, changed))


def _known(reader: Reader, balancer: plan.Balancer) -> dict[str, dict[str, tuple[Target, Health]]]:
    """The targets of a balancer that do not drain, with their health, by group and ``plan.Target.key``; of a classic
    one by its own ARN and their address."""
    found: dict[str, dict[str, tuple[Target, Health]]] = {}
    stored = reader.get(model.LOAD_BALANCERS, balancer.arn)
    if stored is not None and stored.classic is not None:
        for each in reader.find(model.TARGETS, "group", stored.arn):
            for place, _ in classic.places(reader, stored, each) if each.state != model.DRAINING else ():
                found.setdefault(stored.arn, {})[place] = (each, _health(each))
        return found
    for carried in balancer.groups:
        group = reader.get(model.TARGET_GROUPS, carried.arn)
        for each in reader.find(model.TARGETS, "group", carried.arn) if group is not None else ():
            address = plans.address(reader, group, each) if group is not None else None
            if address is not None and each.state != model.DRAINING:
                found.setdefault(carried.arn, {})[f"{address}:{each.port}"] = (each, _health(each))
    return found


def _health(target: Target) -> Health:
    return Health(state=target.state, reason=target.reason, description=target.description)


def _note(tx: Transaction, changed: Mapping[str, Health]) -> None:
    for key, health in changed.items():
        found = tx.get(model.TARGETS, key)
        if found is not None and found.state != model.DRAINING and health.state != model.DRAINING:
            state, reason, description = health.state, health.reason, health.description
            tx.put(model.TARGETS, replace(found, state=state, reason=reason, description=description))


class Drains(Controller):
    """Keyed by target: one that has drained is a target no more."""

    tables = (model.TARGETS,)

    def existing(self) -> Iterable[str]:
        return [each.key for each in self.store.reader.all(model.TARGETS) if each.gone_at is not None]

    def keys(self, change: Change[Any]) -> Iterable[str]:
        return (change.key,) if change.new is not None and change.new.gone_at is not None else ()

    async def reconcile(self, key: str) -> float | None:
        found = self.store.reader.get(model.TARGETS, key)
        if found is None or found.gone_at is None:
            return None
        left = found.gone_at - self.clock.time()
        if left > 0 and published.load_balancers(self.store.reader, found.group):
            return left
        await self.store.transact(lambda tx: _gone(tx, key, found.gone_at))
        return None


def _gone(tx: Transaction, key: str, gone_at: float | None) -> None:
    found = tx.get(model.TARGETS, key)
    if found is not None and found.gone_at == gone_at:
        tx.delete(model.TARGETS, key)


class Terminations(Controller):
    """Keyed by instance: one that is terminated is a target no more."""

    tables = (ec2_model.INSTANCES,)

    def keys(self, change: Change[Any]) -> Iterable[str]:
        gone = change.new is None or change.new.state in ("shutting-down", "terminated")
        return (change.key,) if gone and self.store.reader.keys(model.TARGETS, "id", change.key) else ()

    async def reconcile(self, key: str) -> float | None:
        def forget(tx: Transaction) -> None:
            for each in tx.keys(model.TARGETS, "id", key):
                tx.delete(model.TARGETS, each)

        await self.store.transact(forget)
        return None


class Convergence:
    """Follows the connection to the host driver: what nobody knows is removed, everything else told again."""

    def __init__(self, store: Store, clock: Clock, host: Host, balancers: Balancers, doorway: Doorway) -> None:
        self._store = store
        self._clock = clock
        self._host = host
        self._balancers = balancers
        self._doorway = doorway

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            try:
                await self._host.connect()
                known = {balancer_id(each.arn) for each in self._store.reader.all(model.LOAD_BALANCERS)}
                for stray in set(await self._host.balancers()) - known - {DOOR}:
                    await self._host.delete_balancer(stray)
            except HostError:
                await self._clock.sleep(_KNOCK)
                continue
            for key in self._balancers.existing():
                self._balancers.enqueue(key)
            self._doorway.enqueue(DOOR)
            await self._host.lost.wait()
