"""What only the store knows of a request's resources: a definition's latest revision, a secret's whole ARN, a path.

What cannot be known stays a wildcard, and is decided with caution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dryport.aws import arn as arns
from dryport.aws.arn import Arn
from dryport.iam import credentials
from dryport.iam.authorization import Gist, Requirement, Resource, Scope, gist, required, table
from dryport.iam.model import (
    IDENTITIES,
    POLICIES,
    PROFILES,
    PROVIDERS,
    Credential,
    CustomerPolicy,
    Identity,
    InstanceProfile,
    Provider,
    identity_key,
)
from dryport.store import Reader

_MOST = 1024  # requests whose needs are remembered
_REMEMBERED: dict[tuple[str, str, Scope, Gist], tuple[Requirement, ...]] = {}
_REVISION_TAIL = ":*"
_SUFFIX_TAIL = "-*"
_OF_IDENTITIES = ("iam:PermissionsBoundary", "iam:ResourceTag/${TagKey}")
_PASS = "iam:PassRole"
_LASTING = ("ecs", "logs", "ssm")  # services whose resources have no policies of their own
_ECS_STARTS = ("RunTask", "StartTask", "CreateService", "UpdateService")


@dataclass(frozen=True, slots=True)
class Asking:
    """A request whose resources are looked for."""

    reader: Reader
    credential: Credential
    service: str
    operation: str
    given: Mapping[str, Any]
    scope: Scope


def requirements(asking: Asking) -> tuple[Requirement, ...]:
    """What a request needs, its resources as far as they are known."""
    if asking.service == "ec2" and asking.operation == "RunInstances":
        asking = replace(asking, given=_launch_parameters(asking))
    rows = _required(asking)
    found = [_resolved(asking, row) for row in rows]
    found += _roles_of_definition(asking)
    return tuple(found)


def deciding(service: str, operation: str, wholly: Callable[[str], bool]) -> tuple[bytes, ...] | None:
    """What of a JSON body decides, where a caller may do the rest to everything (``wholly``); ``None`` where all does.

    An ARN may be another account's; a role that is named has to be passed.
    """
    rows = table(service).operations.get(operation, ()) if service in _LASTING else ()
    if not rows or (operation in _ECS_STARTS and not wholly(_PASS)):
        return None
    found = [b"arn:", b"\\u"]  # and what is written so that it cannot be seen
    for row in rows:
        if wholly(row.action):
            continue
        if not row.if_named:
            return None
        found += [path.rpartition(".")[2].encode() for one in row.on for path in _paths(one)]
    return tuple(found)


def _paths(on: str) -> list[str]:
    return on.partition(":")[2].removesuffix("?").split("|")


def lasting(service: str, operation: str, requirements: Iterable[Requirement]) -> bool:
    """Whether requirements are those of the same request at any time: nothing was looked up in the store."""
    if service not in _LASTING or operation in _ECS_STARTS:
        return False
    found = (one.arn for row in requirements for one in row.resources)
    looked_up = operation != "RegisterTaskDefinition" and any(":task-definition/" in arn for arn in found)
    return not looked_up and not any(row.action == _PASS for row in requirements)


def gist_of(service: str, operation: str, given: Mapping[str, Any]) -> Gist | None:
    """What of a request decides; ``None`` where that cannot be told."""
    if service not in _LASTING:
        return None
    try:
        return gist(service, operation, given)
    except (TypeError, ValueError):
        return None


def _required(asking: Asking) -> tuple[Requirement, ...]:
    """``required``, remembered: clients ask about the same again and again."""
    service, operation, given, scope = asking.service, asking.operation, asking.given, asking.scope
    decides = gist_of(service, operation, given)
    if decides is None:
        return required(service, operation, given, scope)
    key = service, operation, scope, decides
    known = _REMEMBERED.get(key)
    if known is None:
        if len(_REMEMBERED) >= _MOST:
            _REMEMBERED.clear()
        known = _REMEMBERED[key] = required(service, operation, given, scope)
    return known


def _launch_parameters(asking: Asking) -> Mapping[str, Any]:
    """Of what instances are made: a launch template's image, subnet and role count as the request's own."""
    from dryport.ec2 import published

    return published.launch_parameters(asking.reader, asking.scope.account, asking.scope.region, asking.given)


def _resolved(asking: Asking, row: Requirement) -> Requirement:
    resources = tuple(dict.fromkeys(_resource(asking, one) for one in row.resources))
    keys: dict[str, str | tuple[str, ...]] = {}
    unknown: list[str] = []
    for key, value in row.keys.items():
        if isinstance(value, str) and value.startswith("arn:"):
            known = _resource(asking, Resource(value, "*" not in value))
            if not known.exact:
                unknown.append(key)
                continue
            value = known.arn
        keys[key] = value
    others = [name for name in (*row.others, *unknown) if name not in _OF_IDENTITIES]
    if asking.service == "iam":
        keys = _of_identity(asking, resources) | keys
        others = [name for name in others if not name.startswith("aws:ResourceTag/")]
    return Requirement(row.action, resources, keys, tuple(others))


def _of_identity(asking: Asking, resources: tuple[Resource, ...]) -> dict[str, str | tuple[str, ...]]:
    """The keys that an identity, or a customer's policy, gives to the requests about it."""
    found: Identity | CustomerPolicy | Provider | InstanceProfile | None = None
    for one in resources:
        parts = arns.parse(one.arn)
        if parts is not None:
            kind, _, name = parts.resource.partition("/")
            name = name.rpartition("/")[2]
            found = asking.reader.get(IDENTITIES, identity_key(parts.account, kind, name))
            found = found or asking.reader.get(POLICIES, one.arn) or asking.reader.get(PROVIDERS, one.arn)
            if kind == "instance-profile":
                found = found or asking.reader.get(PROFILES, identity_key(parts.account, kind, name))
    if found is None:
        return {}
    keys: dict[str, str | tuple[str, ...]] = {
        f"{prefix}:resourcetag/{key.lower()}": value for key, value in found.tags.items() for prefix in ("aws", "iam")
    }
    if isinstance(found, Identity) and found.boundary is not None:
        keys["iam:permissionsboundary"] = found.boundary
    return keys


def _resource(asking: Asking, one: Resource) -> Resource:
    parts = arns.parse(one.arn)
    if parts is None:
        return one
    look = _LOOKS.get(parts.service)
    found = look(asking, parts, one) if look is not None else None
    return one if found is None else Resource(found, True)


def _ecs(asking: Asking, parts: Arn, one: Resource) -> str | None:
    from dryport.ecs import published

    kind, _, name = parts.resource.partition("/")
    if kind == "task-definition":
        if asking.operation == "RegisterTaskDefinition":
            return one.arn  # what is only being made is called "*", as by AWS
        family = name.removesuffix(_REVISION_TAIL)
        if ":" in family or "*" in family:
            return None
        return published.latest_revision(asking.reader, parts.account, parts.region, family)
    if kind == "cluster" and name == "*":
        return str(parts._replace(resource="cluster/default"))
    if kind == "service" and "/" not in name and one.exact:  # an ARN of the old form, without its cluster
        cluster = str(asking.given.get("cluster") or "default").rpartition("/")[2]
        return str(parts._replace(resource=f"service/{cluster}/{name}"))
    return None


def _secret(asking: Asking, parts: Arn, one: Resource) -> str | None:
    from dryport.secretsmanager import published

    if asking.operation == "CreateSecret":
        return None
    name = one.arn if one.exact else parts.resource.removeprefix("secret:").removesuffix(_SUFFIX_TAIL)
    return published.secret_arn(asking.reader, parts.account, parts.region, name)


def _iam(asking: Asking, parts: Arn, one: Resource) -> str | None:
    kind, _, name = parts.resource.partition("/")
    if kind == "instance-profile":
        profile = asking.reader.get(PROFILES, identity_key(parts.account, kind, name.rpartition("/")[2]))
        if asking.service != "iam":
            return _role_in(asking, parts, profile)  # passing it is passing its role
        if profile is not None:
            return profile.arn
    if kind == "oidc-provider":
        return str(parts._replace(resource=f"{kind}/{name.removeprefix('https://').rstrip('/')}"))
    if asking.operation == "GetAccessKeyLastUsed":
        key = credentials.find(asking.reader, str(asking.given.get("AccessKeyId")))
        return key.principal_arn if key is not None and key.account == parts.account else None
    if kind == "user" and name == "*" and asking.operation not in _LISTS:
        return asking.credential.principal_arn  # who names nobody means himself
    found = asking.reader.get(IDENTITIES, identity_key(parts.account, kind, name))
    if found is not None:
        return found.arn
    path = asking.given.get("Path") if asking.operation.startswith("Create") else None
    return str(parts._replace(resource=f"{kind}{path}{name}")) if path else None


def _role_in(asking: Asking, parts: Arn, profile: InstanceProfile | None) -> str:
    """The role of an instance profile; one that is not stored holds the role of its name."""
    held = asking.reader.find(IDENTITIES, "id", profile.role) if profile is not None and profile.role else []
    if held:
        return held[0].arn
    name = parts.resource.rpartition("/")[2]
    role = asking.reader.get(IDENTITIES, identity_key(parts.account, "role", name))
    return role.arn if role is not None else str(parts._replace(resource=f"role/{name}"))


def _ecr(asking: Asking, parts: Arn, one: Resource) -> str | None:
    """A repository of the registry that a request names."""
    registry = asking.given.get("registryId")
    if not one.exact or not registry or registry == parts.account or asking.operation == "CreateRepository":
        return None
    return str(parts._replace(account=registry))


_LISTS = ("ListUsers", "ListGroups", "GetAccountAuthorizationDetails")
_LOOKS = {"ecr": _ecr, "ecs": _ecs, "secretsmanager": _secret, "iam": _iam}


def _roles_of_definition(asking: Asking) -> Iterator[Requirement]:
    """Who starts a task hands on the roles of its definition, but for those that he gives in its place."""
    if asking.service != "ecs" or asking.operation not in _ECS_STARTS or not asking.given.get("taskDefinition"):
        return
    from dryport.ecs import published

    scope = asking.scope
    named = str(asking.given["taskDefinition"])
    family, _, revision = named.rpartition("task-definition/")[2].partition(":")
    arn = arns.make("ecs", scope.region, scope.account, f"task-definition/{family}:{revision}")
    if not revision:
        arn = published.latest_revision(asking.reader, scope.account, scope.region, family) or arn
    definition = published.task_definition(asking.reader, arn)
    overrides = asking.given.get("overrides") or {}
    for member in ("taskRoleArn", "executionRoleArn"):
        role = definition.body.get(member) if definition is not None else None
        if role and not overrides.get(member):
            passed = {"iam:passedtoservice": "ecs-tasks.amazonaws.com"}
            yield Requirement("iam:PassRole", (_role(asking, role),), passed, ())


def _role(asking: Asking, named: str) -> Resource:
    if named.startswith("arn:"):
        return Resource(named, True)
    scope = asking.scope
    return Resource(f"arn:{scope.partition}:iam::{scope.account}:role/{named}", True)
