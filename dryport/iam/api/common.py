"""What IAM's operations share: pages, errors, tags, and finding identities."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from dryport.aws import pages
from dryport.aws.errors import ServiceError
from dryport.gateway.service import Call
from dryport.iam import linked
from dryport.iam.model import IDENTITIES, Identity, identity_key

T = TypeVar("T")
Request = Mapping[str, Any]
_PAGE = 100
_TAGS = 50  # Source: "IAM and AWS STS quotas", IAM user guide
_SPACE = re.compile(r"\s")


def page(items: Sequence[T], request: Request) -> tuple[Sequence[T], dict[str, Any]]:
    """A page of ``MaxItems`` items behind ``Marker``, and the members that say whether there are more."""
    refusal = ServiceError("ValidationError", "Invalid Marker.", 400)
    found, more = pages.page(items, request.get("Marker"), request.get("MaxItems", _PAGE), refusal)
    token = more.get("NextToken")
    return found, {"IsTruncated": False} if token is None else {"IsTruncated": True, "Marker": token}


def invalid_input(message: str) -> ServiceError:
    """The refusal of an input that its model allows."""
    return ServiceError("InvalidInput", message, 400)


def no_such_entity(message: str) -> ServiceError:
    """The refusal of what is not there."""
    return ServiceError("NoSuchEntity", message, 404)


def exists(message: str) -> ServiceError:
    """The refusal of a second one of the same name."""
    return ServiceError("EntityAlreadyExists", message, 409)


def conflict(message: str) -> ServiceError:
    """The refusal to delete what is still in use."""
    return ServiceError("DeleteConflict", f"Cannot delete entity, must {message} first.", 409)


def limit(quota: str, most: int) -> ServiceError:
    """The refusal of one too many."""
    return ServiceError("LimitExceeded", f"Cannot exceed quota for {quota}: {most}", 409)


def get(call: Call, kind: str, name: str) -> Identity:
    """A user, group or role of the account. Raises ServiceError (NoSuchEntity)."""
    found = call.tx.get(IDENTITIES, identity_key(call.account, kind, name))
    if found is None:
        raise no_such_entity(f"The {kind} with name {name} cannot be found.")
    return found


def changeable(call: Call, kind: str, name: str) -> Identity:
    """What ``get`` gives, where it may be changed: a service-linked role may not. Raises ServiceError."""
    found = get(call, kind, name)
    if kind == "role" and linked.is_linked(found):
        message = (
            f"Cannot perform the operation on the protected role '{found.name}' - this role is only modifiable by AWS"
        )
        raise ServiceError("UnmodifiableEntity", message, 400)
    return found


def put(call: Call, one: Identity) -> None:
    """Keep a changed identity: what changed acts with the next request."""
    call.tx.put(IDENTITIES, one)


def listed(call: Call, kind: str, request: Request) -> list[Identity]:
    """The identities of a kind below ``PathPrefix``, in the order of their names."""
    prefix = request.get("PathPrefix", "/")
    found = [i for i in call.tx.find(IDENTITIES, "kind", f"{call.account}/{kind}") if i.path.startswith(prefix)]
    return sorted(found, key=lambda one: one.name.lower())


def length(document: str) -> int:
    """The characters of a policy that count against its quota: white space does not."""
    return len(_SPACE.sub("", document))


def tags_of(request: Request, before: Mapping[str, str] | None = None, *, exact: bool = False) -> dict[str, str]:
    """Tags with those of a request; ``exact`` where keys that differ in case are two. Raises ServiceError."""
    given = [(tag["Key"], tag["Value"]) for tag in request.get("Tags", ())]
    folded = str if exact else str.lower
    if len({folded(key) for key, _ in given}) < len(given):
        hint = "" if exact else " Please note that Tag keys are case insensitive."
        raise invalid_input(f"Duplicate tag keys found.{hint}")
    kept = dict(before or {})
    for key, value in given:
        if key.lower().startswith("aws:"):
            raise invalid_input("Tag keys beginning with aws: are reserved for system use.")
        for old in [name for name in kept if folded(name) == folded(key)]:
            del kept[old]
        kept[key] = value
    if len(kept) > _TAGS:
        raise ServiceError("LimitExceeded", f"The number of tags has reached the maximum limit of {_TAGS}.", 409)
    return kept


def without(tags: Mapping[str, str], keys: Iterable[str], *, exact: bool = False) -> dict[str, str]:
    """Tags but for some; ``exact`` as for ``tags_of``."""
    folded = str if exact else str.lower
    gone = {folded(key) for key in keys}
    return {key: value for key, value in tags.items() if folded(key) not in gone}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as they are answered."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
