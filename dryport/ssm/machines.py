"""What is stored of hybrid activations and of the machines that joined by them. Times are seconds since the epoch.

Source: "Setting up Systems Manager for hybrid and multicloud environments", Systems Manager user guide.
"""

from __future__ import annotations

import hashlib
import hmac
import string
from random import Random

import msgspec

from dryport.ssm.model import scope
from dryport.store import Reader, Table, Transaction

CODE_LENGTH = 20
DEFAULT_SECONDS = 24 * 3600.0  # an activation's life
MAX_SECONDS = 30 * 24 * 3600.0
ONLINE_SECONDS = 300.0  # a machine that was heard of within this time is online
_CODE_ALPHABET = string.ascii_letters + string.digits


class Activation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What machines join with. Its code is shown once, and kept as a hash only (it is random: no guess finds it)."""

    id: str
    account: str
    region: str
    code_hash: bytes
    iam_role: str  # a role's name, after its path if it has one
    limit: int
    expires: float
    created_at: float
    registrations: int = 0
    description: str = ""
    instance_name: str = ""
    tags: dict[str, str] = {}

    def admits(self, code: str) -> bool:
        """Whether this is the activation's code; takes the same time whatever it is."""
        return hmac.compare_digest(hash_of(code), self.code_hash)


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What a machine says of itself, and the address from which it calls."""

    computer_name: str = ""
    ip_address: str = ""
    platform_name: str = ""
    platform_version: str = ""
    agent_version: str = ""


class ManagedInstance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A machine that joined. It proves who it is with the key (Ed25519) whose public half is ``public_key``."""

    id: str
    account: str
    region: str
    activation_id: str
    iam_role: str
    public_key: bytes
    registered_at: float
    heard_at: float
    name: str = ""
    facts: Facts = Facts()
    tags: dict[str, str] = {}

    def online(self, now: float) -> bool:
        """Whether it was heard of lately."""
        return now - self.heard_at < ONLINE_SECONDS


ACTIVATIONS = Table(
    "ssm.activation", Activation, key=lambda a: a.id, indexes={"scope": lambda a: scope(a.account, a.region)}
)
MANAGED_INSTANCES = Table(
    "ssm.managed_instance",
    ManagedInstance,
    key=lambda m: m.id,
    indexes={"scope": lambda m: scope(m.account, m.region), "public_key": lambda m: m.public_key.hex()},
)


def new_code(random: Random) -> str:
    """An activation's code. ``random`` must be a cryptographic source."""
    return "".join(random.choice(_CODE_ALPHABET) for _ in range(CODE_LENGTH))


def hash_of(code: str) -> bytes:
    """What is kept of a code."""
    return hashlib.sha256(code.encode()).digest()


def of(reader: Reader, account: str, region: str, instance_id: str) -> ManagedInstance | None:
    """A machine of this account and region."""
    found = reader.get(MANAGED_INSTANCES, instance_id)
    return found if found is not None and (found.account, found.region) == (account, region) else None


def forget(tx: Transaction, machine: ManagedInstance) -> None:
    """The machine is managed no more."""
    tx.delete(MANAGED_INSTANCES, machine.id)
