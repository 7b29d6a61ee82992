"""What a request to a forwarded service needs. Pure.

The reference says which action an operation is and what its resources are called; which members name them it does not
say. What is found of a resource is used: an ARN that fits the type, or members that are called as the parts of its ARN.
Where that is not enough the resource stays partly unknown (``*``, not exact), and policies are read with caution; so
they are where they ask for keys that are not known. An operation that is no action may be called by a root user alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from dryport.forwarding.actions import Action, Reference
from dryport.iam.authorization import Requirement, Resource, Scope
from dryport.iam.authorization.requirements import tags_of

_PLACE = re.compile(r"\$\{([^}]+)\}")
_PLAIN = re.compile(r"[A-Za-z0-9_.+=@-]+\Z")  # what stands in an ARN as it stands in the request
_FIXED = ("Partition", "Region", "Account")
_ENDINGS = ("name", "id", "arn")
_ROLE = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:role/.+\Z")
_TAGS = ("tags", "tagset", "taglist")
# Operations that are one action or several of other names. Source: the services' pages of the reference.
_ACTIONS: dict[tuple[str, str], tuple[str, ...]] = {
    ("dynamodb", "TransactGetItems"): ("GetItem",),
    ("dynamodb", "TransactWriteItems"): ("ConditionCheckItem", "DeleteItem", "PutItem", "UpdateItem"),
    ("kms", "ReEncrypt"): ("ReEncryptFrom", "ReEncryptTo"),
    ("lambda", "GetLayerVersionByArn"): ("GetLayerVersion",),
    ("lambda", "Invoke"): ("InvokeFunction",),
    ("lambda", "InvokeWithResponseStream"): ("InvokeFunction",),
    ("sns", "PublishBatch"): ("Publish",),
    ("sqs", "ChangeMessageVisibilityBatch"): ("ChangeMessageVisibility",),
    ("sqs", "DeleteMessageBatch"): ("DeleteMessage",),
    ("sqs", "SendMessageBatch"): ("SendMessage",),
}
# Further members that name a part of an ARN. Of an address (QueueUrl) what is behind its last slash counts.
_NAMES: dict[tuple[str, str], tuple[str, ...]] = {
    ("route53", "Id"): ("HostedZoneId", "Id"),
    ("sns", "TopicName"): ("Name", "TargetArn"),
    ("sqs", "QueueName"): ("QueueUrl",),
}


# Members that go behind the ARN of a type.
_QUALIFIERS: dict[tuple[str, str], str] = {("lambda", "function"): "Qualifier"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: IAM's prefix of the service, the operation, the input, where it acts, and its HTTP line.

    ``account`` is the upstream's, where that is known: what names in ARNs are filled with.
    """

    prefix: str
    operation: str
    given: Mapping[str, Any]
    scope: Scope
    account: str
    method: str = "POST"
    path: str = "/"


def requirements(asked: Asked, reference: Reference) -> tuple[Requirement, ...] | None:
    """What a request needs; ``None`` where nobody but a root user may send it."""
    if asked.prefix == "apigateway":  # whose actions are HTTP's methods
        arn = f"arn:{asked.scope.partition}:apigateway:{asked.scope.region}::{asked.path}"
        found = [Requirement(f"apigateway:{asked.method}", (Resource(arn, True),), {}, _ANY_KEY)]
    else:
        names = _ACTIONS.get((asked.prefix, asked.operation), (asked.operation,))
        actions = [reference.actions.get(name.lower()) for name in names]
        if None in actions:
            return None
        found = [_requirement(asked, reference, one) for one in actions if one is not None]
    roles = dict.fromkeys(_roles(asked.given))
    if roles:
        passed = tuple(Resource(role, True) for role in roles)
        found.append(Requirement("iam:PassRole", passed, {}, ("iam:PassedToService", "iam:AssociatedResourceArn")))
    return tuple(found)


_ANY_KEY = ("aws:ResourceTag/${TagKey}", "aws:RequestTag/${TagKey}", "aws:TagKeys", "apigateway:Request/")


def _requirement(asked: Asked, reference: Reference, action: Action) -> Requirement:
    known = _tags(asked.given)
    every = [
        *action.keys,
        *(key for name in action.types if name in reference.types for key in reference.types[name].keys),
    ]
    others = [key for key in every if not key.lower().startswith(("aws:requesttag/", "aws:tagkeys"))]
    others.append("aws:ResourceTag/${TagKey}")
    if known is None:
        others += ["aws:RequestTag/${TagKey}", "aws:TagKeys"]
    resources = tuple(dict.fromkeys(_resources(asked, reference, action)))
    return Requirement(
        f"{asked.prefix}:{action.name}",
        resources,
        known or {},
        tuple(dict.fromkeys(others)),
        account=asked.scope.account,
    )


def _resources(asked: Asked, reference: Reference, action: Action) -> Iterable[Resource]:
    """The resources of an action: those that are named, of each type; all that may be meant where none is."""
    types = {name: reference.types[name].arn for name in action.types if name in reference.types}
    if not types:
        return [Resource("*", not action.types)]
    found: list[Resource] = []
    whole: list[tuple[set[str], list[Resource]]] = []
    for name, template in types.items():
        named = _named(asked, name, template)
        if named:
            whole.append((_parts(template), named))
        elif _may_be_named(asked, name):
            found.append(Resource(_fill(template, asked, {}), False))
    for parts, named in whole:
        # An index says which table it is of.
        if not any(parts < others and all(one.exact for one in more) for others, more in whole):
            found += named
    return found or [Resource(_fill(template, asked, {}), False) for template in types.values()]


def _named(asked: Asked, kind: str, template: str) -> list[Resource]:
    """The resources of a type that a request names: by ARN, or by members that are called as the parts of one."""
    pattern, parts = _pattern(template), _parts(template)
    values = {part: list(_members(asked, kind if len(parts) == 1 else part, part)) for part in parts}
    arns_given = [one for listed in values.values() for one in listed if one.startswith("arn:")]
    found = [Resource(one, "*" not in one and pattern.fullmatch(one) is not None) for one in dict.fromkeys(arns_given)]
    plain = {part: [one for one in listed if not one.startswith("arn:")] for part, listed in values.items()}
    if parts and all(plain.values()):
        for chosen in product(*plain.values()):
            exact = all(map(_PLAIN.match, chosen))
            found.append(
                Resource(_fill(template, asked, dict(zip(plain, chosen, strict=True)) if exact else {}), exact)
            )
    found = [_qualified(asked, kind, one) for one in found]
    return [one if one.exact else Resource(_fill(template, asked, {}), False) for one in found]


def _qualified(asked: Asked, kind: str, one: Resource) -> Resource:
    """With the alias or the version that a request names besides."""
    qualifier = asked.given.get(_QUALIFIERS.get((asked.prefix, kind), ""))
    if not isinstance(qualifier, str):
        return one
    return Resource(f"{one.arn}:{qualifier}", one.exact and _PLAIN.match(qualifier) is not None)


def _parts(template: str) -> set[str]:
    return {name for name in _PLACE.findall(template) if name not in _FIXED}


def _members(asked: Asked, kind: str, part: str) -> Iterator[str]:
    """What a request says of a part of an ARN, in whatever member may name it."""
    stems = {_stem(part), kind.replace(" ", "").replace("-", "")}
    wanted = {f"{stem}{ending}{plural}" for stem in stems for ending in ("", *_ENDINGS) for plural in ("", "s")}
    wanted |= {part.lower(), "arn", "resource", "resourcearn"}
    wanted |= {name.lower() for name in _NAMES.get((asked.prefix, part), ())}
    for name, value in asked.given.items():
        if name.lower() in wanted:
            for text in [value] if isinstance(value, str) else value if isinstance(value, list) else ():
                if isinstance(text, str):
                    yield text.rstrip("/").rpartition("/")[2] if name.endswith("Url") else text


def _may_be_named(asked: Asked, kind: str) -> bool:
    """Whether a member that is not understood may name a resource of a type."""
    stem = kind.replace(" ", "").replace("-", "")
    return any(stem in name.lower() for name in asked.given)


def _stem(part: str) -> str:
    """``TableName`` without its ending, in lower case."""
    stem = part.lower()
    for ending in _ENDINGS:
        if stem.endswith(ending) and len(stem) > len(ending):
            return stem.removesuffix(ending)
    return stem


def _fill(template: str, asked: Asked, values: Mapping[str, str]) -> str:
    standing = {"Partition": asked.scope.partition, "Region": asked.scope.region, "Account": asked.account}
    filled = _PLACE.sub(lambda place: values.get(place[1]) or standing.get(place[1]) or "*", template)
    return re.sub(r"\*+", "*", filled)


def _pattern(template: str) -> re.Pattern[str]:
    """What ARNs of a type look like; the account is the upstream's, whichever it is."""
    text, at = "", 0
    for place in _PLACE.finditer(template):
        text += re.escape(template[at : place.start()])
        text += "[^:]*" if place[1] in _FIXED else ".+"
        at = place.end()
    return re.compile(text + re.escape(template[at:]))


def _texts(value: Any) -> Iterator[str]:
    """Every text of an input, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def _roles(given: Mapping[str, Any]) -> Iterator[str]:
    return (text for text in _texts(given) if _ROLE.match(text))


def _tags(given: Mapping[str, Any]) -> dict[str, str | tuple[str, ...]] | None:
    """The keys of the tags that a request brings; ``None`` where they stand in no place that is known."""
    named = [value for name, value in given.items() if name.lower() in _TAGS]
    if any("tag" in name.lower() for name in given) and not named:
        return None
    return tags_of(named[0]) if named else {}
