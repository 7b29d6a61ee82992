"""Access points: a directory of a file system as its root, and who does all that is done through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dryport.aws.identifiers import resource_id
from dryport.efs import model
from dryport.efs.api.common import access_point, by_token, file_system, named, refusal, tag_list, with_tags
from dryport.efs.model import AccessPoint, CreationInfo, PosixUser
from dryport.gateway.service import Call, Output, Service

if TYPE_CHECKING:
    from types_boto3_efs import type_defs as shapes

_MOST = 10_000  # of a file system ("Amazon EFS quotas")


def register(service: Service) -> None:
    """Add the operations of this module."""
    service.operation("CreateAccessPoint")(create)
    service.operation("DescribeAccessPoints")(describe_all)
    service.operation("DeleteAccessPoint")(delete)


def describe(each: AccessPoint, state: str = "available") -> dict[str, Any]:
    """An access point as DescribeAccessPoints has it."""
    root: dict[str, Any] = {"Path": each.path}
    if each.creation_info is not None:
        root["CreationInfo"] = {
            "OwnerUid": each.creation_info.owner_uid,
            "OwnerGid": each.creation_info.owner_gid,
            "Permissions": each.creation_info.permissions,
        }
    described: dict[str, Any] = {
        "ClientToken": each.client_token,
        **named(each.tags),
        "Tags": tag_list(each.tags),
        "AccessPointId": each.id,
        "AccessPointArn": each.arn,
        "FileSystemId": each.file_system_id,
        "RootDirectory": root,
        "OwnerId": each.account,
        "LifeCycleState": state,
    }
    if each.posix_user is not None:
        user: dict[str, Any] = {"Uid": each.posix_user.uid, "Gid": each.posix_user.gid}
        if each.posix_user.secondary_gids is not None:
            user["SecondaryGids"] = each.posix_user.secondary_gids
        described["PosixUser"] = user
    return described


def create(call: Call, request: shapes.CreateAccessPointRequestTypeDef) -> Output:
    token = request["ClientToken"]
    earlier = call.tx.find(model.ACCESS_POINTS, "token", model.token(call.account, call.region, token))
    if earlier:
        raise refusal(
            "AccessPointAlreadyExists",
            f"Access point '{earlier[0].id}' already exists with client token '{token}'",
            AccessPointId=earlier[0].id,
        )
    system = file_system(call, request["FileSystemId"], available=True)
    if call.tx.count(model.ACCESS_POINTS, "file_system", system.id) >= _MOST:
        raise refusal("AccessPointLimitExceeded", f"A file system cannot have more than {_MOST} access points.")
    user, root = request.get("PosixUser"), request.get("RootDirectory", {})
    info = root.get("CreationInfo")
    made = AccessPoint(
        id=resource_id(call.random, "fsap"),
        account=call.account,
        region=call.region,
        file_system_id=system.id,
        client_token=token,
        posix_user=_user(user) if user is not None else None,
        path=root.get("Path", "/"),
        creation_info=_info(info) if info is not None else None,
        tags=with_tags({}, request.get("Tags", [])),
    )
    call.tx.put(model.ACCESS_POINTS, made)
    return describe(made, "creating")


def _user(user: Any) -> PosixUser:
    return PosixUser(uid=user["Uid"], gid=user["Gid"], secondary_gids=user.get("SecondaryGids"))


def _info(info: Any) -> CreationInfo:
    return CreationInfo(owner_uid=info["OwnerUid"], owner_gid=info["OwnerGid"], permissions=info["Permissions"])


def describe_all(call: Call, request: shapes.DescribeAccessPointsRequestTypeDef) -> Output:
    if "AccessPointId" in request and "FileSystemId" in request:
        raise refusal("BadRequest", "'AccessPointId' and 'FileSystemId' cannot be specified together.")
    if "AccessPointId" in request:
        found = [access_point(call, request["AccessPointId"])]
    elif "FileSystemId" in request:
        found = call.tx.find(model.ACCESS_POINTS, "file_system", file_system(call, request["FileSystemId"]).id)
    else:
        found = call.tx.find(model.ACCESS_POINTS, "scope", model.scope(call.account, call.region))
    shown, pages = by_token(sorted(found, key=lambda each: each.id), request)
    return {"AccessPoints": [describe(each) for each in shown], **pages}


def delete(call: Call, request: shapes.DeleteAccessPointRequestTypeDef) -> Output:
    call.tx.delete(model.ACCESS_POINTS, access_point(call, request["AccessPointId"]).id)
    return {}
