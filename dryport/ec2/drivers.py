"""What the network controllers ask of the machine: ``host.client.HostClient``, or something else in a simulation."""

from __future__ import annotations

import asyncio
from typing import Protocol

from dryport.host.messages import Names, Networks, Port, Ruleset, Vpc


class NetworkDriver(Protocol):
    """Makes networks real. Every verb is idempotent and raises ``host.client.HostError``.

    ``epoch`` grows whenever the other side may have forgotten what it was told; ``lost`` is set while it is away.
    """

    epoch: int
    lost: asyncio.Event

    async def connect(self) -> None:
        """Reach the other side. Raises HostUnavailable."""
        ...

    async def ensure_vpc(self, vpc: Vpc) -> None:
        """Make a VPC's network, or change it to what it should be."""
        ...

    async def delete_vpc(self, vpc_id: str) -> None:
        """Remove a VPC's network with everything plugged into it."""
        ...

    async def plug(self, port: Port) -> None:
        """Plug an interface into its VPC, which must have been ensured."""
        ...

    async def unplug(self, vpc_id: str, interface_id: str) -> None:
        """Remove an interface, wherever its near end is."""
        ...

    async def set_firewall(self, vpc_id: str, ruleset: Ruleset) -> None:
        """Put all of a VPC's packet rules in force at once."""
        ...

    async def set_names(self, vpc_id: str, names: Names) -> None:
        """Have a VPC's name server know exactly these names beside those of its interfaces."""
        ...

    async def list(self) -> Networks:
        """What is really there."""
        ...

    async def close(self) -> None:
        """Let go of the other side."""
        ...
