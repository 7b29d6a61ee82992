"""Instances, and what belongs to them alone: their key pairs, profiles, role credentials, consoles."""

from __future__ import annotations

from dryport.ec2.model.base import Record, Resource, scope, scope_of, token
from dryport.store import Table


class MetadataOptions(Record, frozen=True, kw_only=True):
    """How the instance metadata service answers an instance. ``hop_limit`` is 1 to 64."""

    enabled: bool = True
    tokens_required: bool = False
    hop_limit: int = 1
    tags: bool = False


class MetadataDefaults(Record, frozen=True, kw_only=True):
    """What an account's launches in a region have of these where they say nothing; ``None``: no preference."""

    account: str
    region: str
    enabled: bool | None = None
    tokens_required: bool | None = None
    hop_limit: int | None = None
    tags: bool | None = None


class Instance(Resource, frozen=True, kw_only=True):
    """An instance. ``state``: pending, running, shutting-down, terminated, stopping, stopped.

    ``boot`` is the number of the run that is wanted, ``booted`` of the last one that came up; ``ready`` once the run's
    boot is complete. ``force`` wants it down without an orderly shutdown. ``parking`` is set while the platform goes
    down, ``parked`` once it is shut down for that: it boots again with the platform. ``disposed`` once nothing of a
    terminated one is left on the machine. Its groups and
    public address are those of its primary interface (NETWORK_INTERFACES, index ``instance``, device index 0).
    """

    reservation_id: str
    launch_index: int
    image_id: str
    architecture: str
    root_device_name: str
    instance_type: str
    core_count: int
    threads_per_core: int
    subnet_id: str
    vpc_id: str
    availability_zone: str
    private_ip: str
    state: str = "pending"
    boot: int = 1
    booted: int = 0
    ready: bool = False
    force: bool = False
    parking: bool = False
    parked: bool = False
    disposed: bool = False
    state_code: str = "pending"
    state_message: str = "pending"
    transition_reason: str = ""
    created_at: float = 0.0
    launched_at: float = 0.0  # of its last start
    terminated_at: float | None = None
    key_name: str = ""
    public_key: str = ""  # of the key pair, as OpenSSH writes it
    user_data: bytes = b""
    boot_mode: str = ""
    metadata: MetadataOptions = MetadataOptions()
    shutdown_terminates: bool = False
    disable_api_termination: bool = False
    disable_api_stop: bool = False
    ebs_optimized: bool = False
    cpu_credits: str = ""
    capacity_preference: str = "open"
    auto_recovery: bool = True
    client_token: str = ""
    request_digest: str = ""  # of the launch that had this token

    @property
    def vcpus(self) -> int:
        """How many processors it has."""
        return self.core_count * self.threads_per_core


class KeyPair(Resource, frozen=True, kw_only=True):
    """A key pair's public half, as OpenSSH writes it without a comment. ``key_type``: rsa, ed25519."""

    name: str
    key_type: str
    public_key: str
    fingerprint: str
    created_at: float


class ProfileAssociation(Record, frozen=True, kw_only=True):
    """An instance and its instance profile, by the profile's ARN."""

    id: str
    account: str
    region: str
    instance_id: str
    profile_arn: str
    associated_at: float


class RoleKey(Record, frozen=True, kw_only=True):
    """The credentials that an instance has of its profile's role, times in seconds since the epoch."""

    instance_id: str
    role_arn: str
    access_key_id: str
    issued_at: float
    expires: float


class FinalConsole(Record, frozen=True, kw_only=True):
    """The console of an instance that is terminated, for as long as that can be seen."""

    instance_id: str
    output: bytes
    at: float


class SigningKey(Record, frozen=True, kw_only=True):
    """What this Dryport signs identity documents with: an RSA key's two primes in hexadecimal, a certificate in PEM.

    The key's public exponent is 65537.
    """

    p: str
    q: str
    certificate: str

    @property
    def modulus(self) -> int:
        """The public part of the key."""
        return int(self.p, 16) * int(self.q, 16)


INSTANCES = Table(
    "ec2.instance",
    Instance,
    key=lambda i: i.id,
    indexes={
        "scope": scope_of,
        "state": lambda i: i.state,
        "vpc": lambda i: i.vpc_id if i.state != "terminated" else None,
        "reservation": lambda i: i.reservation_id,
        "unfinished": lambda i: None if i.disposed else "yes",
        "token": lambda i: token(i.account, i.region, i.client_token),
    },
)
KEY_PAIRS = Table(
    "ec2.key_pair",
    KeyPair,
    key=lambda k: k.id,
    indexes={"scope": scope_of, "name": lambda k: f"{scope(k.account, k.region)}/{k.name}"},
)
PROFILE_ASSOCIATIONS = Table(
    "ec2.profile_association",
    ProfileAssociation,
    key=lambda a: a.id,
    indexes={"scope": lambda a: scope(a.account, a.region), "instance": lambda a: a.instance_id},
)
ROLE_KEYS = Table("ec2.role_key", RoleKey, key=lambda k: k.instance_id)
FINAL_CONSOLES = Table("ec2.final_console", FinalConsole, key=lambda c: c.instance_id)
METADATA_DEFAULTS = Table("ec2.metadata_defaults", MetadataDefaults, key=lambda d: scope(d.account, d.region))
SIGNING_KEYS = Table("ec2.signing_key", SigningKey, key=lambda k: "identity")
