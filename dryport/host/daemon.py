"""The host driver: ``python -m dryport.host.daemon --state-dir DIR``.

Listens on ``<state>/run/host.sock`` (mode 0600) for the verbs of ``messages``. It keeps no state of its own: what is
there is in the kernel, and what should be there the control plane tells again after each connection. Killing it
leaves every network working, except that nobody resolves names until it is back.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

import msgspec

from dryport.control import config as settings
from dryport.host import messages, namespaces, processes
from dryport.host.balancers.driver import BalancerDriver
from dryport.host.dns import NameServer, Upstreams, Zone, machine_resolvers
from dryport.host.instances.provider import Provider
from dryport.host.local_zones import LocalZone, by_name
from dryport.host.machine import Machine
from dryport.host.messages import Answer, Metadata, Networks, PrivateZone, Request, Result, Ruleset, Verb, Vpc
from dryport.host.metadata import tokens
from dryport.host.metadata.server import MetadataServer
from dryport.host.metadata.tokens import Tokens
from dryport.host.storage.driver import Storage
from dryport.host.storage.volumes import Volumes
from dryport.host.vpc import VpcNetwork

_UPLINKS = range(2, 255)
_LONGEST_LINE = 64 << 20  # bytes: a ruleset with 100,000 members
log = logging.getLogger("dryport.host")


class Host:
    """What the daemon does for each verb. Different VPCs at the same time, one VPC in order."""

    def __init__(self, config: settings.Config, machine: Machine, upstreams: Upstreams = machine_resolvers) -> None:
        self._config = config
        self._machine = machine
        self._upstreams = upstreams
        self._prefix = f"dp{config.id}-"
        self._vpcs: dict[str, VpcNetwork] = {}
        self._name_servers: dict[str, tuple[Vpc, NameServer]] = {}
        volumes = Volumes(config.state_dir)
        self.instances = Provider(config, volumes)
        self.storage = Storage(config, self.instances, volumes)
        self._zones: dict[str, dict[str, LocalZone]] = {}  # by VPC and id; a VPC may come after its zones
        self._metadata: dict[str, MetadataServer] = {}
        self.balancers = BalancerDriver(config.balancer_dir, self._prefix)
        self._making = asyncio.Lock()  # numbers of uplinks are given one by one

    def _network(self, vpc_id: str) -> VpcNetwork:
        found = self._vpcs.get(vpc_id)
        if found is None:
            found = self._vpcs[vpc_id] = VpcNetwork(self._prefix + vpc_id, self._machine, self._config.port)
        return found

    async def do(self, verb: Verb) -> Result | None:
        """Do what a verb says. Raises what the kernel says against it."""
        match verb:
            case messages.EnsureVpc(vpc=vpc):
                await self._ensure_vpc(vpc)
            case messages.DeleteVpc(vpc_id=vpc_id):
                await self._delete_vpc(vpc_id)
            case messages.Plug(port=port):
                if port.namespace.startswith(f"{self._prefix}i-") or self.balancers.is_namespace(port.namespace):
                    await asyncio.to_thread(namespaces.create, port.namespace)
                await self._network(port.vpc_id).plug(port)
            case messages.Unplug(vpc_id=vpc_id, interface_id=interface_id):
                if namespaces.exists(self._prefix + vpc_id):
                    await self._network(vpc_id).unplug(interface_id)
            case messages.SetFirewall(vpc_id=vpc_id, ruleset=ruleset):
                await self._set_firewall(vpc_id, ruleset)
            case messages.SetNames(vpc_id=vpc_id, names=names):
                if vpc_id in self._name_servers:
                    self._name_servers[vpc_id][1].zone.names = names
            case messages.SetZone(vpc_id=vpc_id, zone_id=zone_id, zone=zone):
                self._set_zone(vpc_id, zone_id, zone)
            case messages.ListNetworks():
                return await self.list()
            case messages.Teardown():
                await self.teardown()
            case _:
                return await self._do_for_instances(verb)
        return None

    def _set_zone(self, vpc_id: str, zone_id: str, zone: PrivateZone | None) -> None:
        zones = self._zones.setdefault(vpc_id, {})
        zones.pop(zone_id, None)
        if zone is not None:
            zones[zone_id] = LocalZone(zone)
        elif not zones:
            del self._zones[vpc_id]
        if vpc_id in self._name_servers:
            self._name_servers[vpc_id][1].zone.zones = by_name(zones.values())

    async def _do_for_instances(self, verb: Verb) -> Result | None:
        match verb:
            case messages.EnsureInstance(instance=instance):
                await self.instances.ensure(instance)
            case messages.StopInstance(instance_id=instance_id, force=force):
                await self.instances.stop(instance_id, force)
            case messages.DeleteInstance(instance_id=instance_id):
                await self.instances.delete(instance_id)
            case messages.ListInstances():
                return self.instances.list()
            case messages.AwaitEnd(running=running):
                return await self.instances.await_end(running)
            case messages.SetMetadata(vpc_id=vpc_id, instances=instances):
                await self._set_metadata(vpc_id, instances)
            case messages.ReadConsole(instance_id=instance_id):
                return self.instances.console(instance_id)
            case (
                messages.EnsureBalancer()
                | messages.DeleteBalancer()
                | messages.ListBalancers()
                | messages.AskBalancer()
                | messages.EndFlows()
                | messages.TakeLog()
            ):
                return await self.balancers.do(verb)
            case _:
                return await self.storage.do(verb)
        return None

    async def _ensure_vpc(self, vpc: Vpc) -> None:
        async with self._making:
            free = sorted(set(_UPLINKS) - await self._machine.uplinks())
            await self._network(vpc.id).ensure(vpc, free)
            await self._serve_names(vpc)

    async def _serve_names(self, vpc: Vpc) -> None:
        present, server = self._name_servers.get(vpc.id, (None, None))
        if server is not None and present is not None:
            if (present.dns, present.resolver, present.domain) == (vpc.dns, vpc.resolver, vpc.domain):
                return
            await server.close()
            del self._name_servers[vpc.id]
        if vpc.dns:
            server = NameServer(Zone(vpc.domain), self._upstreams)
            server.zone.zones = by_name(self._zones.get(vpc.id, {}).values())
            await server.start(self._prefix + vpc.id, vpc)
            self._name_servers[vpc.id] = (vpc, server)

    async def _set_firewall(self, vpc_id: str, ruleset: Ruleset) -> None:
        await self._network(vpc_id).set_firewall(ruleset)
        if vpc_id in self._name_servers:
            self._name_servers[vpc_id][1].zone.addresses = set(ruleset.members)

    async def _set_metadata(self, vpc_id: str, instances: dict[str, Metadata]) -> None:
        """Answer these instances. Raises FileNotFoundError where the VPC was not ensured."""
        async with self._making:
            server = self._metadata.get(vpc_id)
            if server is None and instances:
                server = MetadataServer(Tokens(tokens.key(self._config.run_dir / "metadata.key")))
                await server.start(self._prefix + vpc_id)
                self._metadata[vpc_id] = server
            if server is not None:
                server.know(instances)
                await self._network(vpc_id).set_hosts(server.instances)

    async def _delete_vpc(self, vpc_id: str) -> None:
        async with self._making:
            if vpc_id in self._metadata:
                await self._metadata.pop(vpc_id).close()
            if vpc_id in self._name_servers:
                await self._name_servers.pop(vpc_id)[1].close()
            await self._network(vpc_id).delete()
            del self._vpcs[vpc_id]

    async def list(self) -> Networks:
        """Every VPC of this Dryport and the interfaces plugged into it."""
        ids = [name.removeprefix(self._prefix) for name in namespaces.names(self._prefix + "vpc-")]
        found = await asyncio.gather(*(self._network(vpc_id).interfaces() for vpc_id in ids))
        return Networks(vpcs=dict(zip(ids, found, strict=True)))

    async def teardown(self) -> None:
        """Remove everything of this Dryport from the machine, and set up the machine's own side no more."""
        await self.balancers.teardown()
        await self.instances.teardown()
        await self.storage.teardown()
        for vpc_id in (await self.list()).vpcs:
            await self._delete_vpc(vpc_id)
        await self._machine.teardown()

    async def close(self) -> None:
        """Let go of everything; the networks stay."""
        for _, names in self._name_servers.values():
            await names.close()
        for metadata in self._metadata.values():
            await metadata.close()
        for network in self._vpcs.values():
            await network.close()
        await self.balancers.close()
        await self.instances.close()
        await self.storage.close()
        await self._machine.close()


class Connections:
    """Requests in, answers out, each request served as soon as it is read."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._decoder = msgspec.json.Decoder(Request)
        self._encoder = msgspec.json.Encoder()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, until it ends it."""
        running: dict[asyncio.Task[None], Verb] = {}
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while line := await reader.readline():
                try:
                    request = self._decoder.decode(line)
                except msgspec.MsgspecError as error:
                    log.error("refused a request: %s", error)
                    break
                task = asyncio.create_task(self._answer(request, writer))
                running[task] = request.verb
                task.add_done_callback(running.pop)
        for task, verb in running.items():
            if isinstance(verb, messages.AwaitEnd):
                task.cancel()  # nobody waits any more
        if running:
            await asyncio.wait(running)
        writer.close()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        try:
            answer = Answer(id=request.id, result=await self._host.do(request.verb))
        except Exception as error:
            log.warning("%s: %r", type(request.verb).__name__, error)
            answer = Answer(id=request.id, error=f"{type(error).__name__}: {error}")
        if not writer.is_closing():
            writer.write(self._encoder.encode(answer) + b"\n")


async def serve(config: settings.Config, upstreams: Upstreams = machine_resolvers) -> None:
    """Serve until SIGTERM or SIGINT."""
    config.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    host = Host(config, await Machine.open(config), upstreams)
    await host.storage.open()
    await host.instances.open()
    await host.balancers.open()
    path = config.run_dir / "host.sock"
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(Connections(host).serve, path, limit=_LONGEST_LINE)
    finally:
        os.umask(before)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    log.info("listening on %s", path)
    await stopped.wait()
    server.close()
    path.unlink(missing_ok=True)
    await host.close()


def main() -> None:
    """The process."""
    parser = argparse.ArgumentParser(description="Dryport's host driver")
    parser.add_argument("--state-dir", type=Path, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO)
    if os.geteuid() != 0:
        sys.exit("dryport's host driver makes network namespaces and firewall rules: run it as root")
    processes.set_precedence(os.getpid(), processes.LAST)
    asyncio.run(serve(settings.load(arguments.state_dir)))


if __name__ == "__main__":
    main()
