"""The machine's own side of the networks: the platform's address, the VPCs' uplinks, what may pass between them.

Everything is named after the Dryport's id, so that several share a machine; ``teardown`` removes every trace.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from pyroute2 import NetlinkError

from dryport.control.config import Config
from dryport.host.worker import Worker, already_there

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_MACHINE_MAC = "02:64:70:00:00:01"
_LAST_METRIC = 0xF0000000  # any other route to the same block goes before
_CHAINS = (("INPUT", "-i"), ("FORWARD", "-i"), ("FORWARD", "-o"))
VPC_MAC = "02:64:70:00:00:02"

# Blocks that no packet of a VPC is carried to beyond the machine (RFC 6890): other people's private networks, this
# machine's neighbours' metadata services, the benchmark block that public addresses here are taken from.
_NOT_INTERNET = (
    "0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, "
    "192.168.0.0/16, 198.18.0.0/15, 224.0.0.0/3"
)

_TABLE = """\
table inet {table}
delete table inet {table}
table inet {table} {{
  chain incoming {{
    type filter hook input priority -10; policy accept;
    iifname != {{ "lo", "{links}" }} ip daddr {network} drop
    iifname != "{links}" accept
    ct state established,related accept
    ip daddr {platform} tcp dport {port} accept
    drop
  }}
  chain forwarded {{
    type filter hook forward priority -10; policy accept;
    iifname "{links}" goto from_vpc
    oifname "{links}" goto to_vpc
  }}
  chain from_vpc {{
    tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
    ip saddr != {network} drop
    ct state established,related accept
    oifname "{links}" accept
    ip daddr {{ {not_internet} }} drop
    meta nfproto ipv4 accept
    drop
  }}
  chain to_vpc {{
    tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
    ct state established,related accept
    drop
  }}
  chain after_routing {{
    type nat hook postrouting priority srcnat; policy accept;
    iifname "{links}" oifname != {{ "lo", "{links}" }} ip saddr {network} masquerade
  }}
}}
"""


class Machine:
    """The root namespace. Use ``open``; all else may then be called any number of times."""

    def __init__(self, config: Config, worker: Worker) -> None:
        self._config = config
        self._worker = worker
        self._name = f"dp{config.id}"
        self._network = IPv4Network(config.public_network)
        self._saved = config.run_dir / "host.json"
        self.namespace = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    @classmethod
    async def open(cls, config: Config) -> Machine:
        """Set up the platform's address, the guard rules and forwarding."""
        machine = cls(config, await Worker.start(""))
        await machine._worker.run(machine._set_up)
        return machine

    @property
    def platform_address(self) -> str:
        """Where the platform's endpoint answers for the VPCs."""
        return str(self._network[1])

    def uplink_address(self, number: int) -> str:
        """The address of a VPC's end of its uplink."""
        return str(self._network[number])

    def uplink_number(self, address: str) -> int:
        """The inverse of ``uplink_address``."""
        return int.from_bytes(socket.inet_aton(address)) - int(self._network.network_address)

    def _set_up(self) -> None:
        ip = self._worker.ip
        with already_there():
            ip.addr("add", index=socket.if_nametoindex("lo"), address=self.platform_address, prefixlen=32)
        with already_there():
            ip.route("add", type="unreachable", dst=str(self._network), priority=_LAST_METRIC)
        self._worker.nft.run(
            _TABLE.format(
                table=self._name,
                links=f"{self._name}u*",
                network=self._network,
                platform=self.platform_address,
                port=self._config.port,
                not_internet=_NOT_INTERNET,
            )
        )
        self._pass_other_firewalls()
        self._forward()

    def _forward(self) -> None:
        """Turn forwarding on, remembering whether it was off."""
        if _FORWARDING.read_text().strip() == "0":
            self._saved.write_text(json.dumps({"ip_forward": "0"}))
            _FORWARDING.write_text("1")

    def _pass_other_firewalls(self) -> None:
        """Let the uplinks' packets pass chains whose policy is to drop (Docker's FORWARD); ours decide about them."""
        for chain, direction in _CHAINS:
            if not self._iptables("-C", chain, direction):
                self._iptables("-I", chain, direction)

    def _iptables(self, action: str, chain: str, direction: str) -> bool:
        program = shutil.which("iptables", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if program is None:
            return False
        arguments = [program, "-w", action, chain, direction, f"{self._name}u+", "-j", "ACCEPT"]
        return subprocess.run(arguments, capture_output=True, check=False).returncode == 0

    async def connect(self, number: int, namespace: int) -> None:
        """Make the uplink of this number, its far end ``uplink`` in the namespace of a file descriptor."""

        def work() -> None:
            ip = self._worker.ip
            name = f"{self._name}u{number}"
            peer: dict[str, Any] = {"ifname": "uplink", "address": VPC_MAC, "net_ns_fd": namespace}
            ip.link("add", kind="veth", ifname=name, address=_MACHINE_MAC, peer=peer)
            index = socket.if_nametoindex(name)
            for family in ("ipv4/conf/{}/send_redirects", "ipv4/conf/{}/accept_redirects"):
                Path("/proc/sys/net", family.format(name)).write_text("0")
            with contextlib.suppress(OSError):
                Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("1")
            ip.link("set", index=index, state="up")
            address = self.uplink_address(number)
            ip.neigh("replace", dst=address, lladdr=VPC_MAC, ifindex=index, state="permanent")
            ip.route("replace", dst=f"{address}/32", oif=index, scope="link", prefsrc=self.platform_address)

        await self._worker.run(work)

    async def disconnect(self, number: int) -> None:
        """Remove an uplink; its routes go with it."""

        def work() -> None:
            with contextlib.suppress(OSError):
                self._worker.ip.link("del", index=socket.if_nametoindex(f"{self._name}u{number}"))

        await self._worker.run(work)

    async def uplinks(self) -> set[int]:
        """The numbers of the uplinks that there are."""
        prefix = f"{self._name}u"
        names = await self._worker.run(socket.if_nameindex)
        numbers = (name.removeprefix(prefix) for _, name in names if name.startswith(prefix))
        return {int(number) for number in numbers if number.isdigit()}

    async def set_public(self, number: int, addresses: set[str]) -> None:
        """Lead exactly these public addresses into the VPC of an uplink."""

        def work() -> None:
            ip = self._worker.ip
            index = socket.if_nametoindex(f"{self._name}u{number}")
            via = self.uplink_address(number)
            present = {r.get_attr("RTA_DST") for r in ip.get_routes(family=socket.AF_INET, oif=index)} - {via}
            for address in present - addresses:
                with contextlib.suppress(NetlinkError):
                    ip.route("del", dst=f"{address}/32", oif=index)
            for address in addresses - present:
                route = {"gateway": via, "oif": index, "flags": ["onlink"], "prefsrc": self.platform_address}
                ip.route("replace", dst=f"{address}/32", **route)

        await self._worker.run(work)

    async def teardown(self) -> None:
        """Remove everything of this Dryport from the root namespace."""
        await self._worker.run(self._remove)

    def _remove(self) -> None:
        ip = self._worker.ip
        for index, name in socket.if_nameindex():
            if name.startswith(self._name):
                with contextlib.suppress(NetlinkError):
                    ip.link("del", index=index)
        with contextlib.suppress(NetlinkError):
            ip.route("del", type="unreachable", dst=str(self._network), priority=_LAST_METRIC)
        with contextlib.suppress(NetlinkError):
            ip.addr("del", index=socket.if_nametoindex("lo"), address=self.platform_address, prefixlen=32)
        self._worker.nft.run(f"table inet {self._name}\ndelete table inet {self._name}")
        for chain, direction in _CHAINS:
            while self._iptables("-D", chain, direction):
                pass
        if self._saved.exists():
            _FORWARDING.write_text(json.loads(self._saved.read_text())["ip_forward"])
            self._saved.unlink()

    async def close(self) -> None:
        """End the thread; what was set up stays."""
        await self._worker.close()
        os.close(self.namespace)
