"""The data plane on this machine: plans become HAProxy's configurations, targets its runtime commands."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from dryport.elb.dataplane import configuration, counters, flows, haproxy, health, slots
from dryport.elb.dataplane.plan import Balancer, Health, Kind, TargetGroup
from dryport.elb.dataplane.slots import Slots
from dryport.host.client import HostError
from dryport.host.messages import Carrier

_SERVERS = "show servers state"


class Host(Protocol):
    """What it asks of the host driver."""

    async def ensure_balancer(self, carrier: Carrier) -> None: ...
    async def delete_balancer(self, balancer_id: str) -> None: ...
    async def balancers(self) -> Sequence[str]: ...
    async def ask_balancer(self, balancer_id: str, commands: Sequence[str]) -> Sequence[str]: ...
    async def end_flows(self, balancer_id: str, targets: Sequence[tuple[str, int]]) -> None: ...
    async def take_log(self, balancer_id: str, after: int, least: int) -> tuple[bytes, int]: ...


def balancer_id(arn: str) -> str:
    """What a balancer is called on the machine: 16 hexadecimal digits."""
    return hashlib.sha256(arn.encode()).hexdigest()[:16]


def namespace(platform_id: str, arn: str) -> str:
    """The name of a balancer's network namespace; ``platform_id`` is ``Config.id``."""
    return f"dp{platform_id}-lb-{balancer_id(arn)}"


class HaproxyPlane:
    """A ``DataPlane`` on the host driver. It remembers nothing: what a target's slot is HAProxy says itself."""

    def __init__(self, host: Host, platform_id: str) -> None:
        self._host = host
        self._platform_id = platform_id

    async def apply(self, balancer: Balancer, files: Mapping[str, bytes]) -> None:
        """Make the balancer so. Raises NotCarried, HostError; then it goes on as it was."""
        number = balancer_id(balancer.arn)
        running = number in await self._host.balancers()
        present = await self._slots(number) if running else {}
        wanted = configuration.assign(balancer, present)
        carrier = Carrier(
            id=number,
            namespace=namespace(self._platform_id, balancer.arn),
            config=configuration.render(balancer, wanted),
            flows=flows.of(balancer),
            files=configuration.files(balancer, files),
            weights=haproxy.weights(balancer),
        )
        await self._host.ensure_balancer(carrier)
        now = await self._slots(number)
        letting_go = _backends(balancer, lambda group: group.end_deregistered)
        commands = [command for name in letting_go for command in slots.endings(name, now.get(name, ()), wanted[name])]
        commands += [
            command
            for name, each in wanted.items()
            for command in slots.commands(name, now.get(name) or (None,) * len(each), each)
        ]
        if commands:
            await self._host.ask_balancer(number, commands)
        if over := flows.over(balancer, present, wanted):
            await self._host.end_flows(number, over)

    async def _slots(self, number: str) -> dict[str, Slots]:
        return slots.read((await self._host.ask_balancer(number, [_SERVERS]))[0])

    async def records(self, arn: str, after: int, least: int) -> tuple[bytes, int]:
        """What it noted of requests behind a place, where that is as much as ``least``, and where that ends.

        Raises HostError."""
        return await self._host.take_log(balancer_id(arn), after, least)

    async def remove(self, arn: str) -> None:
        """End the balancer, if there is one. Raises HostError."""
        await self._host.delete_balancer(balancer_id(arn))

    async def counters(self, balancer: Balancer) -> counters.Reading:
        """What the balancer has counted. Raises HostError."""
        info, stat = await self._host.ask_balancer(balancer_id(balancer.arn), ["show info", "show stat"])
        return counters.read(info, stat)

    async def health(
        self, balancer: Balancer, before: Mapping[str, Mapping[str, Health]]
    ) -> dict[str, dict[str, Health]]:
        """By target group's ARN and ``Target.key``; nothing of targets that it has not been told of, nor while it does
        not run. ``before`` is what was known. One that passes its first check is served at once. Of a classic balancer
        by its own ARN and by address: an instance is as well as the worst of what is led to it. Raises HostError."""
        number = balancer_id(balancer.arn)
        try:
            servers, stat = await self._host.ask_balancer(number, [_SERVERS, "show stat"])
        except HostError:
            if number in await self._host.balancers():
                raise
            return {}
        if balancer.kind is Kind.CLASSIC:
            known_by_address, places = before.get(balancer.arn, {}), slots.read(servers)
            adoptions = list(health.adoptions(stat, places, known_by_address))
            if adoptions:
                await self._host.ask_balancer(number, adoptions)
            return {balancer.arn: health.together(stat, places, known_by_address)}
        names = haproxy.backends(balancer)
        known = {names[arn]: each for arn, each in before.items() if arn in names}
        known |= {each.name: before.get(each.group.arn, {}) for each in haproxy.zonal(balancer)}
        present = slots.read(servers)
        promotions = list(health.promotions(stat, present, known))
        if promotions:
            await self._host.ask_balancer(number, promotions)
            stat = (await self._host.ask_balancer(number, ["show stat"]))[0]
        checks = {names[each.arn]: each.health_check for each in balancer.groups}
        checks |= {each.name: each.group.health_check for each in haproxy.zonal(balancer)}
        patience = {name: check.interval * check.unhealthy for name, check in checks.items()}
        reported = health.report(stat, present, known, patience)
        letting_go = _backends(balancer, lambda group: group.end_unhealthy)
        ending = {name: each for name, each in reported.items() if name in letting_go}
        if over := list(health.endings(ending, present, known)):
            await self._host.ask_balancer(number, over)
        return {arn: reported[name] for arn, name in names.items() if name in reported}


def _backends(balancer: Balancer, holds: Callable[[TargetGroup], bool]) -> set[str]:
    """The names of the backends, those of zones too, of target groups of which something holds."""
    names = haproxy.backends(balancer)
    found = {names[each.arn] for each in balancer.groups if holds(each)}
    return found | {each.name for each in haproxy.zonal(balancer) if holds(each.group)}
