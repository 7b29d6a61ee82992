"""What the operations share: refusals, look-up by id or ARN, tags, pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from dryport.aws import pages
from dryport.aws.errors import ServiceError
from dryport.efs import model
from dryport.efs.model import AccessPoint, FileSystem, MountTarget
from dryport.gateway.service import Call

T = TypeVar("T")
MAX_TAGS = 50  # a resource ("Amazon EFS quotas")
_PAGE = 100


def refusal(code: str, message: str, **members: str) -> ServiceError:
    """An error as EFS makes them: the code is in the body too."""
    return ServiceError(code, message, 400, ErrorCode=code, **members)


def plain_id(text: str) -> str:
    """The id in what may be an ARN."""
    return text.rpartition("/")[2]


def file_system(call: Call, text: str, *, available: bool = False) -> FileSystem:
    """A file system of the caller's account and region, by id or ARN. Raises ServiceError.

    With ``available`` also one that is being made or deleted is refused.
    """
    found = call.tx.get(model.FILE_SYSTEMS, plain_id(text))
    if found is None or (found.account, found.region) != (call.account, call.region):
        raise refusal("FileSystemNotFound", f"File system '{plain_id(text)}' does not exist.")
    if available and found.state != "available":
        raise refusal(
            "IncorrectFileSystemLifeCycleState",
            f"The file system is in the '{found.state}' life cycle state. It must be 'available' for this operation.",
        )
    return found


def mount_target(call: Call, mount_target_id: str) -> MountTarget:
    """A mount target of the caller's account and region. Raises ServiceError."""
    found = call.tx.get(model.MOUNT_TARGETS, mount_target_id)
    if found is None or (found.account, found.region) != (call.account, call.region):
        raise refusal("MountTargetNotFound", f"Mount target '{mount_target_id}' does not exist.")
    return found


def access_point(call: Call, text: str) -> AccessPoint:
    """An access point of the caller's account and region, by id or ARN. Raises ServiceError."""
    found = call.tx.get(model.ACCESS_POINTS, plain_id(text))
    if found is None or (found.account, found.region) != (call.account, call.region):
        raise refusal("AccessPointNotFound", f"Access point '{plain_id(text)}' does not exist.")
    return found


def with_tags(old: Mapping[str, str], new: Iterable[Any]) -> dict[str, str]:
    """The old tags with the new ones (``Key``, ``Value``) on top. Raises ServiceError where there are too many."""
    tags = {**old, **{tag["Key"]: tag["Value"] for tag in new}}
    if len(tags) > MAX_TAGS:
        raise refusal("BadRequest", f"A resource cannot have more than {MAX_TAGS} tags.")
    return tags


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as EFS lists them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def named(tags: Mapping[str, str]) -> dict[str, str]:
    """The ``Name`` member of what has a tag of that key."""
    return {"Name": tags["Name"]} if "Name" in tags else {}


def by_marker(items: Sequence[T], request: Mapping[str, Any]) -> tuple[Sequence[T], dict[str, str]]:
    """A page by ``MaxItems`` and ``Marker``, and the members that tell of it. Raises ServiceError."""
    marker = request.get("Marker")
    shown, more = _page(items, marker, request.get("MaxItems"), "Marker")
    members = {"Marker": marker} if marker is not None else {}
    return shown, members | ({"NextMarker": more["NextToken"]} if more else {})


def by_token(items: Sequence[T], request: Mapping[str, Any]) -> tuple[Sequence[T], dict[str, str]]:
    """A page by ``MaxResults`` and ``NextToken``, and the member that tells of more. Raises ServiceError."""
    return _page(items, request.get("NextToken"), request.get("MaxResults"), "NextToken")


def _page(items: Sequence[T], token: str | None, most: int | None, name: str) -> tuple[Sequence[T], dict[str, str]]:
    limit = min(most or _PAGE, _PAGE)
    return pages.page(items, token, limit, refusal("BadRequest", f"The value of {name} is not valid."))
