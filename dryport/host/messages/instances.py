"""EC2 instances as Linux hosts on this machine: what one is made of, and what is asked about it."""

from __future__ import annotations

from dryport.host.messages.base import Message


class Interface(Message, frozen=True, kw_only=True):
    """The primary interface: found by its MAC in the instance's network namespace, where it becomes ``eth0``."""

    mac: str
    address_cidr: str  # 172.31.0.9/20
    gateway: str
    resolver: str
    domain: str


class Disk(Message, frozen=True, kw_only=True):
    """A volume that is attached. ``device`` is the name that the instance knows it by (``/dev/sdf``)."""

    volume_id: str
    device: str


class Instance(Message, frozen=True, kw_only=True):
    """A host to run. The same ``boot`` means the same run of it: a higher one boots it again.

    ``root`` is its root volume, which has been made; ``base`` is the image that this goes back to, which says what the
    instance starts: ``ecs`` Docker and the agent, ``plain`` neither. ``memory`` is MiB. ``environment`` goes to
    ``/etc/environment``. ``user_data`` is executed at the first boot only.
    """

    id: str
    boot: int
    vpc_id: str
    namespace: str  # its network namespace, by name
    interface: Interface
    root: str
    base: str
    hostname: str
    vcpus: float
    memory: int
    gpus: int = 0
    user_data: bytes = b""
    authorized_keys: list[str] = []
    disks: list[Disk] = []
    environment: dict[str, str] = {}


class Metadata(Message, frozen=True, kw_only=True):
    """What the instance metadata service answers to one instance.

    ``tree`` holds the leaves by their path below ``/latest/`` (``meta-data/instance-id``,
    ``dynamic/instance-identity/document``, ``meta-data/iam/security-credentials/ROLE``); directories follow from it.
    A path that ends with a slash gives that directory's own listing (``meta-data/public-keys/``: ``0=my-key``).
    ``hop_limit`` is the IP TTL of answers to ``PUT /latest/api/token``.
    """

    address: str  # the private address that the instance asks from
    more_addresses: list[str] = []  # those of its other interfaces, which its tasks have
    enabled: bool = True
    tokens_required: bool = False
    hop_limit: int = 1
    tree: dict[str, str] = {}
    user_data: bytes | None = None


class EnsureInstance(Message, frozen=True, kw_only=True, tag="ensure_instance"):
    """Have it run. Answered once its init runs; refused where one of its volumes is not there."""

    instance: Instance


class StopInstance(Message, frozen=True, kw_only=True, tag="stop_instance"):
    """Shut it down, by force after a while or at once. Nothing where it does not run."""

    instance_id: str
    force: bool = False


class DeleteInstance(Message, frozen=True, kw_only=True, tag="delete_instance"):
    """Kill what runs of it and remove its network namespace and what is remembered of it; its volumes stay."""

    instance_id: str


class SetMetadata(Message, frozen=True, kw_only=True, tag="set_metadata"):
    """Have a VPC's metadata service know exactly these instances, by id."""

    vpc_id: str
    instances: dict[str, Metadata]


class ListInstances(Message, frozen=True, kw_only=True, tag="list_instances"):
    pass


class AwaitEnd(Message, frozen=True, kw_only=True, tag="await_end"):
    """Answered with the instances as they are once one of those named no longer runs."""

    running: list[str]


class ReadConsole(Message, frozen=True, kw_only=True, tag="read_console"):
    """The last 64 KiB of its console."""

    instance_id: str


class InstanceState(Message, frozen=True, kw_only=True):
    """``running`` is false for one that is remembered but has ended; ``ready`` once its boot is complete.

    ``boot`` is 0 where nothing is known of a run since the machine's start or the last ``dryport down``: it may be
    booted with its number again.
    ``ended_by``: ``shutdown`` where it ended by itself, ``killed`` where it was killed, "" while it runs.
    """

    boot: int
    running: bool
    ready: bool = False
    pid: int = 0
    ended_by: str = ""


class Instances(Message, frozen=True, kw_only=True, tag="instances"):
    """What is really there, by instance id."""

    instances: dict[str, InstanceState] = {}


class Console(Message, frozen=True, kw_only=True, tag="console"):
    output: bytes
    at: float  # of the last line, seconds since the epoch
