"""What is stored of parameters. Times are seconds since the epoch."""

from __future__ import annotations

import msgspec

from dryport.aws import arn
from dryport.store import Reader, Table


class Parameter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A parameter: its name, as it was given, and the number of its latest version."""

    account: str
    region: str
    name: str
    latest: int
    tags: dict[str, str] = {}

    @property
    def key(self) -> str:
        return key(self.account, self.region, self.name)

    @property
    def arn(self) -> str:
        return arn_of(self.account, self.region, self.name)


class Version(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version of a parameter: its ``value``, or where the type is ``SecureString`` what it is ``sealed`` in."""

    parameter: str  # the parameter's key
    number: int
    type: str  # String, StringList, SecureString
    modified_at: float
    modified_by: str
    value: str = ""
    sealed: bytes = b""
    tier: str = "Standard"  # Standard, Advanced
    data_type: str = "text"
    description: str | None = None
    allowed_pattern: str | None = None
    key_id: str | None = None
    labels: list[str] = []


def arn_of(account: str, region: str, name: str) -> str:
    """A parameter's ARN; the slash that a hierarchy begins with is the ARN's own."""
    return arn.make("ssm", region, account, f"parameter/{name.removeprefix('/')}")


def scope(account: str, region: str) -> str:
    """The index value for the parameters of an account in a region."""
    return f"{account}/{region}"


def key(account: str, region: str, name: str) -> str:
    """A parameter's key. Not its ARN: ``a`` and ``/a`` share one."""
    return f"{account}/{region}:{name}"


def version_key(parameter: str, number: int) -> str:
    """The key of a version, given its parameter's; also the place that its value is sealed for."""
    return f"{parameter}:{number}"


PARAMETERS = Table(
    "ssm.parameter", Parameter, key=lambda p: p.key, indexes={"scope": lambda p: scope(p.account, p.region)}
)
VERSIONS = Table(
    "ssm.version",
    Version,
    key=lambda v: version_key(v.parameter, v.number),
    indexes={"parameter": lambda v: v.parameter},
)


def latest(reader: Reader, parameter: Parameter) -> Version:
    """The latest version of a parameter that is there."""
    version = reader.get(VERSIONS, version_key(parameter.key, parameter.latest))
    if version is None:
        raise LookupError(f"{parameter.arn} has lost its version {parameter.latest}")
    return version
