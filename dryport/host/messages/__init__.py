"""What the control plane asks of the host driver, and what it answers: one JSON object a line over a unix socket.

Every request may be made again; it then changes nothing. Requests carry an ``id`` and may be sent without waiting;
answers come in any order.
"""

from __future__ import annotations

from dryport.host.messages.balancers import (
    AskBalancer,
    Balancers,
    Carrier,
    DeleteBalancer,
    EndFlows,
    EnsureBalancer,
    Flow,
    ListBalancers,
    LogPart,
    Replies,
    TakeLog,
    Way,
)
from dryport.host.messages.base import Message
from dryport.host.messages.instances import (
    AwaitEnd,
    Console,
    DeleteInstance,
    Disk,
    EnsureInstance,
    Instance,
    Instances,
    InstanceState,
    Interface,
    ListInstances,
    Metadata,
    ReadConsole,
    SetMetadata,
    StopInstance,
)
from dryport.host.messages.networks import (
    DeleteVpc,
    EnsureVpc,
    Group,
    Guest,
    ListNetworks,
    Names,
    Networks,
    Plug,
    Port,
    PrivateZone,
    RecordSet,
    Rule,
    Ruleset,
    SetFirewall,
    SetNames,
    SetZone,
    Teardown,
    Unplug,
    Vpc,
)
from dryport.host.messages.storage import (
    AttachDisk,
    CopySnapshot,
    DeleteFileSystem,
    DeleteSnapshot,
    DeleteVolume,
    DetachDisk,
    EnsureFileSystem,
    EnsureVolume,
    FileSystemSize,
    MeasureFileSystem,
    MountFileSystem,
    MountVolume,
    SaveSnapshot,
    UnmountFileSystem,
    UnmountVolume,
)

Verb = (
    EnsureVpc
    | DeleteVpc
    | Plug
    | Unplug
    | SetFirewall
    | SetNames
    | SetZone
    | ListNetworks
    | Teardown
    | EnsureInstance
    | StopInstance
    | DeleteInstance
    | SetMetadata
    | ListInstances
    | AwaitEnd
    | ReadConsole
    | EnsureVolume
    | DeleteVolume
    | SaveSnapshot
    | CopySnapshot
    | DeleteSnapshot
    | AttachDisk
    | DetachDisk
    | MountVolume
    | UnmountVolume
    | EnsureFileSystem
    | DeleteFileSystem
    | MountFileSystem
    | UnmountFileSystem
    | MeasureFileSystem
    | EnsureBalancer
    | DeleteBalancer
    | ListBalancers
    | AskBalancer
    | EndFlows
    | TakeLog
)
Result = Networks | Instances | Console | FileSystemSize | Balancers | Replies | LogPart


class Request(Message, frozen=True, kw_only=True):
    id: int
    verb: Verb


class Answer(Message, frozen=True, kw_only=True):
    """``error`` is empty where the verb was done; ``result`` is what those that ask get."""

    id: int
    error: str = ""
    result: Result | None = None


__all__ = [
    "Answer",
    "AskBalancer",
    "AttachDisk",
    "AwaitEnd",
    "Balancers",
    "Carrier",
    "Console",
    "CopySnapshot",
    "DeleteBalancer",
    "DeleteFileSystem",
    "DeleteInstance",
    "DeleteSnapshot",
    "DeleteVolume",
    "DeleteVpc",
    "DetachDisk",
    "Disk",
    "EndFlows",
    "EnsureBalancer",
    "EnsureFileSystem",
    "EnsureInstance",
    "EnsureVolume",
    "EnsureVpc",
    "FileSystemSize",
    "Flow",
    "Group",
    "Guest",
    "Instance",
    "InstanceState",
    "Instances",
    "Interface",
    "ListBalancers",
    "ListInstances",
    "ListNetworks",
    "LogPart",
    "MeasureFileSystem",
    "Message",
    "Metadata",
    "MountFileSystem",
    "MountVolume",
    "Names",
    "Networks",
    "Plug",
    "Port",
    "PrivateZone",
    "ReadConsole",
    "RecordSet",
    "Replies",
    "Request",
    "Result",
    "Rule",
    "Ruleset",
    "SaveSnapshot",
    "SetFirewall",
    "SetMetadata",
    "SetNames",
    "SetZone",
    "StopInstance",
    "TakeLog",
    "Teardown",
    "UnmountFileSystem",
    "UnmountVolume",
    "Unplug",
    "Verb",
    "Vpc",
    "Way",
]
