"""What a task's proxy is to do, as the control plane sends it with the task."""

from __future__ import annotations

import msgspec

from dryport.agent.payload import Task

TYPE = "serviceconnectdetail"
_PROPERTY = "DryportProxy"
TEST = "/test"  # behind a service's name: where its test traffic goes


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where somebody is reached, and his weight among the others of the service (1 to 256)."""

    address: str
    port: int
    weight: int = 1


Reached = dict[str, list[Place]]  # by service


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """What ingress and egress have in common. Timeouts are seconds, 0 for none."""

    service: str
    port: int
    listener: int
    protocol: str = "tcp"  # tcp, http, http2, grpc
    idle: int = 0
    per_request: int = 0


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What marks a request as test traffic: a header, with a value where one is named."""

    name: str
    value: str | None = None


class Ingress(Way, frozen=True, kw_only=True):
    """What comes for a port of a container; ``intercepted``: also what is sent to that port."""

    name: str
    container: str
    discovery: str = ""
    intercepted: bool = False


class Egress(Way, frozen=True, kw_only=True):
    """What goes to an alias: its ``port`` at ``address``."""

    alias: str
    address: str
    discovery: str = ""
    test: Header | None = None


class Ways(msgspec.Struct, frozen=True, kw_only=True):
    """All that a task's proxy does; ``reached`` is as of the task's beginning."""

    container: str = ""
    ingress: list[Ingress] = []
    egress: list[Egress] = []
    reached: Reached = {}


def of(task: Task) -> Ways | None:
    """A task's proxy, ``None`` where it has none. Raises ValueError (msgspec's too) where it cannot be read."""
    for attachment in task.attachments or ():
        if attachment.attachment_type == TYPE:
            properties = {each.name: each.value for each in attachment.attachment_properties}
            if _PROPERTY not in properties:
                raise ValueError("the Service Connect attachment does not say what the proxy is to do")
            found = msgspec.json.decode(properties[_PROPERTY], type=Ways)
            return msgspec.structs.replace(found, container=properties.get("ContainerName", ""))
    return None
