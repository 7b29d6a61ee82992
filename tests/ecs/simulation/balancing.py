"""Load balancing of the simulation: target groups with a listener, and what their health checks find."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec.structs import replace

from dryport.control.config import DEFAULT_ACCOUNT, DEFAULT_REGION
from dryport.ec2 import published as ec2
from dryport.elb import published as elb
from dryport.elb.model import (
    DRAINING,
    LISTENERS,
    TARGET_GROUPS,
    TARGETS,
    HealthCheck,
    Json,
    Listener,
    Target,
    TargetGroup,
)
from dryport.elb.names import default_rule_arn
from dryport.store import Transaction
from tests.ecs.simulation.agents import Machine
from tests.ecs.simulation.plane import Plane

_PREFIX = f"arn:aws:elasticloadbalancing:{DEFAULT_REGION}:{DEFAULT_ACCOUNT}"
_DELAYS = (0, 1, 5, 30)  # seconds


async def make_group(plane: Plane, name: str) -> str:
    """A target group of instances that a balancer leads to; its ARN."""
    group = _group(plane, name)
    await _put(plane, [group], _listener(name, [{"Type": "forward", "TargetGroupArn": group.arn}]))
    return group.arn


async def make_pair(plane: Plane, name: str, *, network: bool = False) -> tuple[str, str, str]:
    """Two target groups that take turns behind a listener, which leads to the first one; and its rule's ARN.

    A network load balancer's has no rules, only its own ARN, and does not know the second one, which another leads to.
    """
    pair = [_group(plane, f"{name}-{each}", "TCP" if network else "HTTP") for each in "ab"]
    if network:
        led, other = (
            _listener(each.name, [{"Type": "forward", "TargetGroupArn": each.arn}], network=True) for each in pair
        )
        await _put(plane, pair, led, other)
        return pair[0].arn, pair[1].arn, led.arn
    weights = [{"TargetGroupArn": group.arn, "Weight": weight} for group, weight in zip(pair, (1, 0), strict=True)]
    listener = _listener(name, [{"Type": "forward", "ForwardConfig": {"TargetGroups": weights}}])
    await _put(plane, pair, listener)
    return pair[0].arn, pair[1].arn, default_rule_arn(listener.arn)


def _group(plane: Plane, name: str, protocol: str = "HTTP") -> TargetGroup:
    vpc_id = ec2.default_subnets(plane.store.reader, DEFAULT_ACCOUNT, DEFAULT_REGION)[0].vpc_id
    return TargetGroup(
        arn=f"{_PREFIX}:targetgroup/{name}/0", name=name, account=DEFAULT_ACCOUNT, region=DEFAULT_REGION,
        target_type="instance", protocol=protocol, port=80, vpc_id=vpc_id,
        health_check=HealthCheck(protocol=protocol, path="/"), created_at=0.0,
        attributes={"deregistration_delay.timeout_seconds": str(plane.random.choice(_DELAYS))},
    )  # fmt: skip


def _listener(name: str, actions: list[Json], *, network: bool = False) -> Listener:
    kind = "net" if network else "app"
    return Listener(
        arn=f"{_PREFIX}:listener/{kind}/front/0/{name}",
        load_balancer=f"{_PREFIX}:loadbalancer/{kind}/front/0",
        protocol="TCP" if network else "HTTP",
        port=80,
        actions=actions,
    )


async def _put(plane: Plane, groups: list[TargetGroup], *listeners: Listener) -> None:
    def work(tx: Transaction) -> None:
        for group in groups:
            tx.put(TARGET_GROUPS, group)
        for listener in listeners:
            tx.put(LISTENERS, listener)

    await plane.write(work)


class Checks:
    """Finds targets healthy or not, some time after they are."""

    def __init__(self, plane: Plane, machines: Sequence[Machine]) -> None:
        self._plane = plane
        self._machines = machines
        self._anew = False
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to check."""
        self._running = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """End it."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def forget(self) -> None:
        """The balancer starts anew and knows of nobody."""
        self._anew = True

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._plane.random.uniform(0.2, 4.0))
            await self._plane.write(self._look)

    def _look(self, tx: Transaction) -> None:
        led = {arn for listener in tx.all(LISTENERS) for arn in elb.weights(tx, listener.arn) or {}}
        for each in list(tx.all(TARGETS)):
            if each.state == DRAINING:
                continue
            found = self._find(each) if each.group in led else replace(each, state="unused")
            if found.state != each.state:
                tx.put(TARGETS, found)
        self._anew = False

    def _find(self, target: Target) -> Target:
        if self._anew:
            return replace(target, state="initial", reason="", description="")
        well = any(each.id == target.id and not each.gone and each.answers(target.port) for each in self._machines)
        state = "healthy" if well else "unhealthy"
        return replace(target, state=state, reason="", description="" if well else "Health checks failed")
