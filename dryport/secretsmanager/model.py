"""What is stored of secrets. Times are seconds since the epoch."""

from __future__ import annotations

import string
from random import Random

import msgspec

from dryport.aws import arn
from dryport.store import Reader, Table


class Secret(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A secret. ``stages`` says which version each staging label is attached to."""

    arn: str
    account: str
    region: str
    name: str
    created_at: float
    changed_at: float
    accessed_at: float | None = None  # midnight of the day
    deletion_at: float | None = None  # when it may be deleted for good; None: it is not marked for deletion
    description: str | None = None
    kms_key_id: str | None = None  # as it was given; None: the default key
    stages: dict[str, str] = {}
    tags: dict[str, str] = {}


class SecretVersion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version of a secret: its ``sealed`` value, which is text unless ``binary``."""

    secret: str  # the secret's ARN
    id: str
    created_at: float
    sealed: bytes
    binary: bool = False
    accessed_at: float | None = None


def new_arn(random: Random, account: str, region: str, name: str) -> str:
    """A secret's ARN: its name, a hyphen and six random characters."""
    suffix = "".join(random.choice(string.ascii_letters + string.digits) for _ in range(6))
    return arn.make("secretsmanager", region, account, f"secret:{name}-{suffix}")


def scope(account: str, region: str) -> str:
    """The index value for the secrets of an account in a region."""
    return f"{account}/{region}"


def version_key(secret_arn: str, version_id: str) -> str:
    """The key of a version; also the place that its value is sealed for."""
    return f"{secret_arn}:{version_id}"


SECRETS = Table(
    "secretsmanager.secret",
    Secret,
    key=lambda s: s.arn,
    indexes={
        "scope": lambda s: scope(s.account, s.region),
        "name": lambda s: f"{scope(s.account, s.region)}/{s.name}",
        "marked": lambda s: None if s.deletion_at is None else "marked",
    },
)
VERSIONS = Table(
    "secretsmanager.version",
    SecretVersion,
    key=lambda v: version_key(v.secret, v.id),
    indexes={"secret": lambda v: v.secret},
)


def named(reader: Reader, account: str, region: str, name: str) -> Secret | None:
    """The secret of this name, marked for deletion or not, or ``None``."""
    return next(iter(reader.find(SECRETS, "name", f"{scope(account, region)}/{name}")), None)


def find(reader: Reader, account: str, region: str, identifier: str) -> Secret | None:
    """The secret of a name, an ARN, or an ARN without its hyphen and six last characters; ``None`` without one."""
    parsed = arn.parse(identifier)
    if parsed is None:
        return named(reader, account, region, identifier)
    if (parsed.service, parsed.region, parsed.account) != ("secretsmanager", region, account):
        return None
    return reader.get(SECRETS, identifier) or named(reader, account, region, parsed.resource.removeprefix("secret:"))
