"""What is stored of identity."""

from __future__ import annotations

import msgspec

from dryport.store import Table


class Credential(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An access key: a long-term one, or with ``session_token`` and ``expires`` a temporary one.

    ``principal_arn`` is who the key signs for, ``role_arn`` the role behind a session. ``expires`` and
    ``created`` are in seconds since the epoch. An ``inactive`` key is refused as one that is not there.
    """

    access_key_id: str
    secret_access_key: str
    account: str
    principal_arn: str
    user_id: str
    session_token: str | None = None
    role_arn: str | None = None
    expires: float | None = None
    created: float | None = None
    inactive: bool = False
    owner: str | None = None  # what a session was issued for, a task's ARN: they go together
    identity: str | None = None  # the unique id of the stored user or role whose policies bind it
    # What AssumeRole was given: policies that limit the session (a document, and ARNs), tags, those of them that go on
    # to further sessions, and whom the session is for.
    limits: tuple[str, ...] | None = None
    tags: dict[str, str] = {}
    transitive: tuple[str, ...] = ()
    source_identity: str | None = None
    provider: str | None = None  # the ARN of the identity provider whose token a session was given for


CREDENTIALS = Table(
    "iam.credential",
    Credential,
    key=lambda c: c.access_key_id,
    indexes={"owner": lambda c: c.owner, "account": lambda c: c.account, "identity": lambda c: c.identity},
)


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account beside the first one. ``created`` is in seconds since the epoch."""

    id: str
    name: str
    created: float


ACCOUNTS = Table("iam.account", Account, key=lambda a: a.id, indexes={"name": lambda a: a.name})


class LastUse(msgspec.Struct, frozen=True):
    """When an access key, or a role (its unique id), was last used, in seconds since the epoch; for what and where."""

    subject: str
    time: float
    service: str
    region: str


LAST_USES = Table("iam.last_use", LastUse, key=lambda use: use.subject)


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A user, a group or a role: ``kind`` says which.

    ``attached`` are the ARNs of managed policies, ``inline`` documents by name. ``groups`` are a user's, by their ids.
    A role has ``trust``, the policy that says who may assume it, and the most seconds of a session.
    """

    kind: str
    account: str
    partition: str
    name: str
    path: str
    id: str
    created: float
    tags: dict[str, str] = {}
    attached: tuple[str, ...] = ()
    inline: dict[str, str] = {}
    boundary: str | None = None
    groups: tuple[str, ...] = ()
    trust: str = ""
    max_session: int = 3600
    description: str | None = None

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:{self.partition}:iam::{self.account}:{self.kind}{self.path}{self.name}"


class Deletion(msgspec.Struct, frozen=True):
    """What became of the deletion of a service-linked role. ``usage`` are the resources that need it, by region."""

    id: str
    account: str
    role_arn: str
    usage: dict[str, tuple[str, ...]] = {}


class Provider(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An OpenID Connect provider. ``url`` is without its scheme; ``clients`` are the audiences that tokens may have."""

    arn: str
    account: str
    url: str
    clients: tuple[str, ...] = ()
    thumbprints: tuple[str, ...] = ()
    created: float
    tags: dict[str, str] = {}


class ServerCertificate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A server certificate; ``body`` and ``chain`` are PEM, ``key`` is sealed for its ARN. Times are in seconds."""

    account: str
    name: str
    path: str
    id: str
    uploaded: float
    expires: float
    body: str
    chain: str = ""
    key: bytes = b""
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:aws:iam::{self.account}:server-certificate{self.path}{self.name}"


SERVER_CERTIFICATES = Table(
    "iam.server_certificate",
    ServerCertificate,
    key=lambda one: f"{one.account}/{one.name}",
    indexes={"account": lambda one: one.account, "arn": lambda one: one.arn},
)


class Alias(msgspec.Struct, frozen=True):
    """What an account is called."""

    account: str
    alias: str


class Report(msgspec.Struct, frozen=True):
    """An account's credential report, CSV; ``time`` in seconds since the epoch."""

    account: str
    time: float
    content: str


PROVIDERS = Table(
    "iam.oidc_provider",
    Provider,
    key=lambda one: one.arn,
    indexes={"account": lambda one: one.account, "url": lambda one: f"{one.account}/{one.url}"},
)
ALIASES = Table("iam.account_alias", Alias, key=lambda one: one.account, indexes={"alias": lambda one: one.alias})
REPORTS = Table("iam.credential_report", Report, key=lambda one: one.account)
DELETIONS = Table("iam.deletion", Deletion, key=lambda one: one.id)


class InstanceProfile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An instance profile. ``role`` is the unique id of the role in it."""

    account: str
    partition: str
    name: str
    path: str
    id: str
    created: float
    role: str | None = None
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"arn:{self.partition}:iam::{self.account}:instance-profile{self.path}{self.name}"


class PolicyVersion(msgspec.Struct, frozen=True):
    """A version of a customer's managed policy, ``v<number>``."""

    number: int
    document: str
    created: float

    @property
    def id(self) -> str:
        """As the API calls it."""
        return f"v{self.number}"


class CustomerPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A customer's managed policy. ``default`` is the number of the version that acts, ``last`` the highest given."""

    arn: str
    account: str
    name: str
    path: str
    id: str
    created: float
    updated: float
    versions: tuple[PolicyVersion, ...]
    default: int = 1
    last: int = 1
    description: str | None = None
    tags: dict[str, str] = {}

    @property
    def document(self) -> str:
        """What acts."""
        return next(version.document for version in self.versions if version.number == self.default)


def identity_key(account: str, kind: str, name: str) -> str:
    """The key of an identity: names differ by more than case."""
    return f"{account}/{kind}/{name.lower()}"


IDENTITIES = Table(
    "iam.identity",
    Identity,
    key=lambda i: identity_key(i.account, i.kind, i.name),
    indexes={
        "kind": lambda i: f"{i.account}/{i.kind}",
        "id": lambda i: i.id,
        "group": lambda i: i.groups,
        "policy": lambda i: [f"{i.account}/{arn}" for arn in i.attached],
        "boundary": lambda i: None if i.boundary is None else f"{i.account}/{i.boundary}",
    },
)
POLICIES = Table("iam.policy", CustomerPolicy, key=lambda p: p.arn, indexes={"account": lambda p: p.account})
PROFILES = Table(
    "iam.instance_profile",
    InstanceProfile,
    key=lambda p: identity_key(p.account, "instance-profile", p.name),
    indexes={"account": lambda p: p.account, "role": lambda p: p.role},
)
