"""The loops that have the host driver make real what is stored of networks.

``Networks`` looks at a VPC at a time: its namespace, its rules, and the interfaces to plug in; rules are in force
before an interface is reported as plugged. ``Departures`` unplugs what was deleted. ``Convergence`` keeps the
connection to the driver, and after each new one removes what nobody knows and has everything told again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from random import Random
from typing import Any

from msgspec.structs import replace

from dryport.aws.identifiers import resource_id
from dryport.control.clock import Clock
from dryport.control.config import DEFAULT_REGION
from dryport.control.context import Context
from dryport.control.controller import Controller
from dryport.ec2 import addressing, attachments, firewall, model, nat, published
from dryport.ec2.drivers import NetworkDriver
from dryport.ec2.model import NetworkInterface
from dryport.host.client import HostError, HostUnavailable
from dryport.host.messages import Guest, Names, Port, Ruleset, Vpc
from dryport.store import Change, Reader, Store, Transaction

_ATTEMPTS = 4  # before interfaces that cannot be plugged are given up
_LEAVING = ("unplugging", "detaching")  # states of interfaces
_FIRST_WAIT, _LAST_WAIT = 0.05, 2.0  # seconds between attempts to reach the driver
log = logging.getLogger("dryport.ec2")


class _Told:
    """What the driver was told of a VPC, and when."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.vpc: Vpc | None = None
        self.ruleset: Ruleset | None = None
        self.names: Names | None = None
        self.plugged: set[str] = set()
        self.secondary: dict[str, list[str]] = {}  # addresses, of interfaces that have any


class Networks(Controller):
    """Keyed by VPC."""

    tables = (
        model.NETWORK_INTERFACES,
        model.SECURITY_GROUP_RULES,
        model.SECURITY_GROUPS,
        model.ROUTE_TABLES,
        model.INTERNET_GATEWAYS,
        model.NAT_GATEWAYS,
        model.PREFIX_LISTS,
        model.SUBNETS,
        model.VPCS,
    )

    def __init__(self, store: Store, clock: Clock, random: Random, driver: NetworkDriver) -> None:
        super().__init__(store, clock)
        self._random = random
        self._driver = driver
        self._told: dict[str, _Told] = {}
        self._attempts: dict[str, int] = {}
        self.warm: set[str] = set()  # VPCs to make before anything is plugged into them

    def keys(self, change: Change[Any]) -> Iterable[str]:
        item = change.new or change.old
        match item:
            case model.Vpc():
                return (item.id,)
            case model.SecurityGroupRule():
                group = self.store.reader.get(model.SECURITY_GROUPS, item.group_id)
                return (group.vpc_id,) if group is not None else ()
            case model.PrefixList():
                return published.users_of_prefix_list(self.store.reader, item.id)
            case model.InternetGateway():
                return {each.vpc_id for each in (change.old, change.new) if each is not None and each.vpc_id}
            case _:
                return (item.vpc_id,) if item is not None else ()

    async def reconcile(self, key: str) -> float | None:
        try:
            await self._reconcile(key)
        except HostUnavailable:
            return None  # Convergence brings every VPC back once the driver answers
        except HostError as error:
            self._told.pop(key, None)
            self._attempts[key] = self._attempts.get(key, 0) + 1
            if self._attempts[key] >= _ATTEMPTS:
                await self._give_up(key, str(error))
            raise
        self._attempts.pop(key, None)
        return await self._settle_gateways(key)

    async def _settle_gateways(self, key: str) -> float | None:
        """The rules are in force: bring the VPC's NAT gateways to where they were going."""
        now = self.clock.time()
        waiting = nat.waiting(self.store.reader, key, now)
        if waiting:
            await self.store.transact(lambda tx: nat.settle(tx, key, now))
        return nat.forgotten_in(self.store.reader, key, now)

    async def _reconcile(self, key: str) -> None:
        reader = self.store.reader
        vpc = reader.get(model.VPCS, key)
        if vpc is None:
            self._told.pop(key, None)
            self.warm.discard(key)
            await self._driver.delete_vpc(key)
            return
        if key not in self.warm and not reader.count(model.NETWORK_INTERFACES, "vpc", key):
            return
        await self._driver.connect()
        told = self._told.get(key)
        if told is None or told.epoch != self._driver.epoch:
            told = self._told[key] = _Told(self._driver.epoch)
            told.plugged = set((await self._driver.list()).vpcs.get(key, ()))
        wanted = describe(self.store.reader, vpc)
        if told.vpc != wanted:
            await self._driver.ensure_vpc(wanted)
            told.vpc = wanted
        await self._give_public_addresses(key)
        await self._plug(vpc, told)

    async def _plug(self, vpc: model.Vpc, told: _Told) -> None:
        reader = self.store.reader
        interfaces = reader.find(model.NETWORK_INTERFACES, "vpc", vpc.id)
        ruleset = rules_of(reader, vpc.id, interfaces)
        names = names_of(vpc, interfaces, reader.find(model.SUBNETS, "vpc", vpc.id))
        # One that was made since addresses were given comes with the next look, which its making has asked for.
        present = [each for each in interfaces if each.device == "plugged" or _is_ready(each)]
        told.plugged.intersection_update(each.id for each in interfaces)
        # A link that is there may be half made: only what was reported as plugged is taken as such.
        missing = [
            each
            for each in present
            if each.id not in told.plugged
            or each.device == "wanted"
            or told.secondary.get(each.id, []) != each.secondary_ips
        ]
        results = await asyncio.gather(
            self._set_rules(vpc.id, ruleset, names, told),
            *(self._driver.plug(_port(reader, each)) for each in missing),
            return_exceptions=True,
        )
        failures = {}
        for each, result in zip(missing, results[1:], strict=True):
            if isinstance(result, HostUnavailable):
                raise result
            if isinstance(result, HostError):
                failures[each.id] = str(result)
            elif isinstance(result, BaseException):
                raise result
            else:
                told.plugged.add(each.id)
                told.secondary[each.id] = each.secondary_ips
        if isinstance(results[0], BaseException):
            raise results[0]
        wanted = [each.id for each in present if each.device == "wanted" or each.id in failures]
        if wanted:
            await self.store.transact(lambda tx: _report(tx, wanted, failures))

    async def _set_rules(self, vpc_id: str, ruleset: Ruleset, names: Names, told: _Told) -> None:
        if told.ruleset != ruleset:
            told.ruleset = None
            await self._driver.set_firewall(vpc_id, ruleset)
            told.ruleset = ruleset
        if told.names != names:
            await self._driver.set_names(vpc_id, names)
            told.names = names

    async def _give_public_addresses(self, vpc_id: str) -> None:
        """Give addresses to the interfaces that want one, before they are plugged in."""

        def waiting(reader: Reader) -> list[NetworkInterface]:
            found = reader.find(model.NETWORK_INTERFACES, "vpc", vpc_id)
            return [each for each in found if each.device == "wanted" and not _is_ready(each)]

        def give(tx: Transaction) -> None:
            for interface in waiting(tx):
                address = published.free_public_address(tx, self._random)
                if address is None:
                    failed = replace(interface, device="failed", device_error="every public address is in use")
                    tx.put(model.NETWORK_INTERFACES, failed)
                    continue
                association = resource_id(self._random, "eipassoc")
                tx.put(model.NETWORK_INTERFACES, replace(interface, public_ip=address, association_id=association))

        if waiting(self.store.reader):
            await self.store.transact(give)

    async def _give_up(self, vpc_id: str, error: str) -> None:
        found = self.store.reader.find(model.NETWORK_INTERFACES, "vpc", vpc_id)
        wanted = [each.id for each in found if each.device == "wanted"]
        if wanted:
            await self.store.transact(lambda tx: _report(tx, wanted, dict.fromkeys(wanted, error)))


def _is_ready(interface: NetworkInterface) -> bool:
    """Whether an interface can be plugged in: it is wanted, and has the public address that it wants."""
    return interface.device == "wanted" and bool(interface.public_ip or not interface.wants_public_ip)


def _report(tx: Transaction, interface_ids: list[str], failures: dict[str, str]) -> None:
    for interface_id in interface_ids:
        interface = tx.get(model.NETWORK_INTERFACES, interface_id)
        if interface is None or interface.device not in ("wanted", "plugged"):
            continue  # deleted meanwhile
        if interface_id in failures:
            changed = replace(interface, device="failed", device_error=failures[interface_id])
        else:
            changed = replace(interface, device="plugged", device_error="")
        tx.put(model.NETWORK_INTERFACES, changed)


def _port(reader: Reader, interface: NetworkInterface) -> Port:
    hosted = interface.instance_id or interface.requester_id == model.BALANCERS
    net = reader.get(model.SUBNETS, interface.subnet_id) if hosted else None
    guest = None
    if net is not None:
        gateway = addressing.gateway(net.cidr_block)
        guest = Guest(index=interface.device_index, subnet=net.cidr_block, gateway=gateway)
    return Port(
        vpc_id=interface.vpc_id,
        interface_id=interface.id,
        mac=interface.mac_address,
        address=interface.private_ip,
        namespace=interface.namespace,
        secondary=interface.secondary_ips,
        guest=guest,
    )


def describe(reader: Reader, vpc: model.Vpc) -> Vpc:
    """A VPC as the host driver is told of it."""
    return Vpc(
        id=vpc.id,
        cidr=vpc.cidr_block,
        subnets=[subnet.cidr_block for subnet in reader.find(model.SUBNETS, "vpc", vpc.id)],
        resolver=addressing.resolver(vpc.cidr_block),
        domain=addressing.internal_domain(vpc.region),
        dns=vpc.enable_dns_support,
    )


def rules_of(reader: Reader, vpc_id: str, interfaces: list[NetworkInterface]) -> Ruleset:
    """A VPC's rule set as it should be now."""
    used = {group_id for interface in interfaces for group_id in interface.group_ids}
    rules = {each: reader.find(model.SECURITY_GROUP_RULES, "group", each) for each in sorted(used)}
    gateways = reader.keys(model.INTERNET_GATEWAYS, "vpc", vpc_id)
    subnets = reader.find(model.SUBNETS, "vpc", vpc_id)
    tables = reader.find(model.ROUTE_TABLES, "vpc", vpc_id)
    lists = _prefix_lists(reader, rules.values(), tables)
    internet = firewall.internet_routes(subnets, tables, gateways, lists)
    translated = firewall.nat_routes(subnets, tables, reader.find(model.NAT_GATEWAYS, "vpc", vpc_id), internet, lists)
    return firewall.compile_rules(rules, interfaces, internet, translated, lists)


def _prefix_lists(
    reader: Reader, rules: Iterable[Iterable[model.SecurityGroupRule]], tables: Iterable[model.RouteTable]
) -> dict[str, list[str]]:
    """The blocks of the prefix lists that rules and routes name."""
    named = {rule.prefix_list_id for each in rules for rule in each if rule.prefix_list_id is not None}
    named |= {route.destination for table in tables for route in table.routes if route.destination.startswith("pl-")}
    found = (reader.get(model.PREFIX_LISTS, each) for each in sorted(named))
    return {each.id: [entry.cidr for entry in each.entries] for each in found if each is not None}


def names_of(vpc: model.Vpc, interfaces: list[NetworkInterface], subnets: list[model.Subnet]) -> Names:
    """The names of public addresses, which lead to the private ones inside their VPC, and those that interfaces have.

    An interface's own names are known in its availability zone, those of load balancers' everywhere in the VPC.
    """
    if not vpc.enable_dns_hostnames:
        return Names()
    public = {each.public_ip: each.private_ip for each in interfaces if each.public_ip}
    nearest: dict[str, dict[str, list[str]]] = {}
    for each in interfaces:
        blocks = [net.cidr_block for net in subnets if net.availability_zone == each.availability_zone]
        for name in each.names if each.device != "unplugging" and each.requester_id != model.BALANCERS else ():
            for block in blocks:
                nearest.setdefault(name, {}).setdefault(block, []).append(each.private_ip)
    records = {addressing.public_dns_name(key, vpc.region): [value] for key, value in public.items()}
    for each in interfaces:
        for name in each.names if each.requester_id == model.BALANCERS and each.device == "plugged" else ():
            records.setdefault(name, []).append(each.private_ip)
    return Names(records=records, nearest=nearest)


class Departures(Controller):
    """Keyed by interface: unplug what was deleted or detached, then let its address go, or it be free."""

    tables = (model.NETWORK_INTERFACES,)

    def __init__(self, store: Store, clock: Clock, driver: NetworkDriver) -> None:
        super().__init__(store, clock)
        self._driver = driver

    def existing(self) -> Iterable[str]:
        for state in _LEAVING:
            yield from self.store.reader.keys(model.NETWORK_INTERFACES, "device", state)

    def keys(self, change: Change[Any]) -> Iterable[str]:
        leaving = change.new is not None and change.new.device in _LEAVING
        return (change.key,) if leaving else ()

    async def reconcile(self, key: str) -> float | None:
        interface = self.store.reader.get(model.NETWORK_INTERFACES, key)
        if interface is None or interface.device not in _LEAVING:
            return None
        try:
            await self._driver.unplug(interface.vpc_id, interface.id)
        except HostUnavailable:
            return _LAST_WAIT
        await self.store.transact(lambda tx: _departed(tx, key))
        return None


def _departed(tx: Transaction, interface_id: str) -> None:
    interface = tx.get(model.NETWORK_INTERFACES, interface_id)
    if interface is not None and interface.device == "unplugging":
        tx.delete(model.NETWORK_INTERFACES, interface_id)
    elif interface is not None and interface.device == "detaching":
        tx.put(model.NETWORK_INTERFACES, attachments.released(interface))


class Convergence:
    """Keeps the driver in reach; after each new connection everything is compared and told again."""

    def __init__(self, context: Context, driver: NetworkDriver, networks: Networks, public_network: str) -> None:
        self._context = context
        self._public_network = public_network
        self._driver = driver
        self._networks = networks

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            await self._begin()
            await self._keep_converging()
        finally:
            await self._driver.close()

    async def _keep_converging(self) -> None:
        wait = _FIRST_WAIT
        while True:
            try:
                await self._driver.connect()
                await self._remove_strays()
            except HostError as error:
                if wait == _LAST_WAIT:
                    log.debug("the host driver is away: %s", error)
                await self._context.clock.sleep(wait)
                wait = min(_LAST_WAIT, wait * 2)
                continue
            wait = _FIRST_WAIT
            for vpc in list(self._context.store.reader.all(model.VPCS)):
                self._networks.enqueue(vpc.id)
            await self._driver.lost.wait()

    async def _begin(self) -> None:
        """Say where public addresses come from, and have the network made that the first task will most likely use."""
        account = self._context.config.account

        def ensure(tx: Transaction) -> str | None:
            published.ensure_region(tx, self._context.random, account, DEFAULT_REGION)
            tx.put(model.PUBLIC_NETWORKS, model.PublicNetwork(block=self._public_network))
            default = published.default_vpc(tx, account, DEFAULT_REGION)
            return default.id if default is not None else None

        vpc_id = await self._context.store.transact(ensure)
        if vpc_id is not None:
            self._networks.warm.add(vpc_id)

    async def _remove_strays(self) -> None:
        for vpc_id, interface_ids in (await self._driver.list()).vpcs.items():
            reader = self._context.store.reader
            if reader.get(model.VPCS, vpc_id) is None:
                await self._driver.delete_vpc(vpc_id)
                continue
            known = set(reader.keys(model.NETWORK_INTERFACES, "vpc", vpc_id))
            await asyncio.gather(*(self._driver.unplug(vpc_id, each) for each in interface_ids if each not in known))
