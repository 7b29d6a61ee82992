"""Machine images: finding them, and what their owners say of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.ec2 import images, model
from dryport.ec2.api import filters
from dryport.ec2.api.service import DONE, Request, operation, with_tags
from dryport.ec2.api.sharing import shared
from dryport.ec2.model import BlockDevice, Image
from dryport.gateway.service import Call, Output


def describe_device(device: BlockDevice) -> dict[str, Any]:
    """A block device mapping as EC2 answers it."""
    ebs: dict[str, Any] = {"DeleteOnTermination": device.delete_on_termination}
    if device.iops is not None:
        ebs["Iops"] = device.iops
    if device.snapshot_id:
        ebs["SnapshotId"] = device.snapshot_id
    ebs |= {"VolumeSize": device.size, "VolumeType": device.volume_type}
    if device.throughput is not None:
        ebs["Throughput"] = device.throughput
    return {"Ebs": {**ebs, "Encrypted": False}, "DeviceName": device.device_name}


def describe(image: Image, account: str) -> dict[str, Any]:
    """An image as DescribeImages has it for an account; only its owner sees tags and launch history."""
    described: dict[str, Any] = {
        "PlatformDetails": "Linux/UNIX",
        "UsageOperation": "RunInstances",
        "BlockDeviceMappings": [describe_device(each) for each in image.block_devices],
        "EnaSupport": True,
        "Hypervisor": "xen",
        "Name": image.name,
        "RootDeviceName": image.root_device_name,
        "RootDeviceType": "ebs",
        "SriovNetSupport": "simple",
        "VirtualizationType": "hvm",
        "DeregistrationProtection": image.deregistration_protection,
        "FreeTierEligible": True,
        "ImageId": image.id,
        "ImageLocation": f"{image.owner_alias or image.account}/{image.name}",
        "State": image.state,
        "OwnerId": image.account,
        "CreationDate": filters.iso(image.created_at),
        "Public": image.public,
        "Architecture": image.architecture,
        "ImageType": "machine",
    }
    optional = {
        "Description": image.description,
        "ImageOwnerAlias": image.owner_alias,
        "BootMode": image.boot_mode,
        "ImdsSupport": image.imds_support,
        "SourceInstanceId": image.source_instance_id,
        "SourceImageId": image.source_image_id,
        "SourceImageRegion": image.source_image_region,
        "PublicSsmParameterName": image.ssm_parameter,
    }
    described |= {name: value for name, value in optional.items() if value}
    if image.deprecated_at is not None:
        described["DeprecationTime"] = filters.iso(image.deprecated_at)
    if image.state_reason:
        described["StateReason"] = {"Code": "Client.InvalidImage", "Message": image.state_reason}
    return with_tags(described, image) if image.account == account else described


_FILTERS: filters.Fields[Image] = {
    "architecture": lambda i: [i.architecture],
    "block-device-mapping.delete-on-termination": lambda i: [d.delete_on_termination for d in i.block_devices],
    "block-device-mapping.device-name": lambda i: [d.device_name for d in i.block_devices],
    "block-device-mapping.snapshot-id": lambda i: [d.snapshot_id for d in i.block_devices if d.snapshot_id],
    "block-device-mapping.volume-size": lambda i: [d.size for d in i.block_devices],
    "block-device-mapping.volume-type": lambda i: [d.volume_type for d in i.block_devices],
    "block-device-mapping.encrypted": lambda i: [False for _ in i.block_devices],
    "boot-mode": lambda i: [i.boot_mode or None],
    "creation-date": lambda i: [filters.iso(i.created_at)],
    "description": lambda i: [i.description or None],
    "ena-support": lambda i: [True],
    "free-tier-eligible": lambda i: [True],
    "hypervisor": lambda i: ["xen"],
    "image-allowed": lambda i: [],
    "image-id": lambda i: [i.id],
    "image-type": lambda i: ["machine"],
    "is-public": lambda i: [i.public],
    "kernel-id": lambda i: [],
    "manifest-location": lambda i: [f"{i.owner_alias or i.account}/{i.name}"],
    "name": lambda i: [i.name],
    "owner-alias": lambda i: [i.owner_alias or None],
    "owner-id": lambda i: [i.account],
    "platform": lambda i: [],
    "product-code": lambda i: [],
    "product-code.type": lambda i: [],
    "public-ssm-parameter-name": lambda i: [i.ssm_parameter or None],
    "ramdisk-id": lambda i: [],
    "root-device-name": lambda i: [i.root_device_name],
    "root-device-type": lambda i: ["ebs"],
    "source-image-id": lambda i: [i.source_image_id or None],
    "source-image-region": lambda i: [i.source_image_region or None],
    "source-instance-id": lambda i: [i.source_instance_id or None],
    "state": lambda i: [i.state],
    "state-reason-code": lambda i: ["Client.InvalidImage" if i.state_reason else None],
    "state-reason-message": lambda i: [i.state_reason or None],
    "sriov-net-support": lambda i: ["simple"],
    "tag-key": filters.tags,
    "virtualization-type": lambda i: ["hvm"],
}


def _named(call: Call, ids: list[str]) -> list[Image]:
    for each in ids:
        images.check_id(each)
    found = {each: images.find(call.tx, call.region, each) for each in ids}
    missing = [each for each, image in found.items() if image is None or not images.may_see(image, call.account)]
    if missing:
        raise images.not_found(*missing)
    return [image for image in found.values() if image is not None]


def _owned(call: Call, found: list[Image], owners: list[str]) -> list[Image]:
    """Those of the owners, who are named by account or alias; ``self`` is the caller."""
    wanted = {call.account if owner == "self" else owner for owner in owners}
    return [each for each in found if each.account in wanted or (each.owner_alias and each.owner_alias in wanted)]


def _executable(call: Call, found: list[Image], users: list[str]) -> list[Image]:
    """Those that the users were allowed explicitly to launch; ``all`` means public ones."""
    wanted = {call.account if user == "self" else user for user in users}
    return [each for each in found if (each.public and "all" in wanted) or wanted & set(each.launch_accounts)]


@operation("DescribeImages")
def describe_images(call: Call, request: Request) -> Output:
    ids = list(dict.fromkeys(request.get("ImageIds", [])))
    found = _named(call, ids) if ids else images.visible(call.tx, call.account, call.region)
    if request.get("Owners"):
        found = _owned(call, found, request["Owners"])
    if request.get("ExecutableUsers"):
        found = _executable(call, found, request["ExecutableUsers"])
    if not ids:
        found = [each for each in found if _is_listed(call, request, each)]
    found = filters.apply(request, found, _FILTERS)
    return filters.page(request, "Images", found, lambda each: describe(each, call.account), "ImageIds")


def _is_listed(call: Call, request: Request, image: Image) -> bool:
    if image.state == "disabled":
        return image.account == call.account and bool(request.get("IncludeDisabled"))
    deprecated = image.deprecated_at is not None and image.deprecated_at <= call.now
    return image.account == call.account or not deprecated or bool(request.get("IncludeDeprecated"))


def own(call: Call, image_id: str) -> Image:
    """An image of the caller's. Raises ServiceError."""
    image = images.get(call.tx, call.account, call.region, image_id)
    if image.account != call.account:
        raise ServiceError("AuthFailure", f"Not authorized for image:{image_id}", status=403)
    return image


_ATTRIBUTES: dict[str, Callable[[Image], dict[str, Any]]] = {
    "description": lambda i: {"Description": {"Value": i.description} if i.description else {}},
    "kernel": lambda i: {"KernelId": {}},
    "ramdisk": lambda i: {"RamdiskId": {}},
    "launchPermission": lambda i: {"LaunchPermissions": _permissions(i)},
    "productCodes": lambda i: {"ProductCodes": []},
    "blockDeviceMapping": lambda i: {"BlockDeviceMappings": [_without_encryption(each) for each in i.block_devices]},
    "sriovNetSupport": lambda i: {"SriovNetSupport": {"Value": "simple"}},
    "bootMode": lambda i: {"BootMode": {"Value": i.boot_mode} if i.boot_mode else {}},
    "tpmSupport": lambda i: {"TpmSupport": {}},
    "uefiData": lambda i: {"UefiData": {}},
    "lastLaunchedTime": lambda i: {"LastLaunchedTime": {}},
    "imdsSupport": lambda i: {"ImdsSupport": {"Value": i.imds_support} if i.imds_support else {}},
    "deregistrationProtection": lambda i: {"DeregistrationProtection": {"Value": i.deregistration_protection}},
}


def _permissions(image: Image) -> list[dict[str, str]]:
    everybody = [{"Group": "all"}] if image.public else []
    return everybody + [{"UserId": account} for account in image.launch_accounts]


def _without_encryption(device: BlockDevice) -> dict[str, Any]:
    described = describe_device(device)
    del described["Ebs"]["Encrypted"]
    return described


@operation("DescribeImageAttribute")
def describe_image_attribute(call: Call, request: Request) -> Output:
    image = own(call, request["ImageId"])
    return {"ImageId": image.id, **_ATTRIBUTES[request["Attribute"]](image)}


@operation(
    "ModifyImageAttribute",
    unsupported=(
        "LaunchPermission.Add.OrganizationArn",
        "LaunchPermission.Add.OrganizationalUnitArn",
        "LaunchPermission.Remove.OrganizationArn",
        "LaunchPermission.Remove.OrganizationalUnitArn",
        "OrganizationArns",
        "OrganizationalUnitArns",
        "ProductCodes",
    ),
)
def modify_image_attribute(call: Call, request: Request) -> Output:
    """One attribute, either by a member of its name or by ``Attribute`` and ``Value``."""
    image = own(call, request["ImageId"])
    attribute = request.get("Attribute") or next(
        (name[:1].lower() + name[1:] for name in ("Description", "ImdsSupport", "LaunchPermission") if name in request),
        "",
    )
    value = request.get(attribute[:1].upper() + attribute[1:], {}).get("Value") or request.get("Value")
    match attribute:
        case "description":
            image = replace(image, description=value or "")
        case "imdsSupport" if value == "v2.0":
            image = replace(image, imds_support=value)
        case "launchPermission":
            image = _with_permissions(image, *_permission_changes(request))
        case "":
            raise ServiceError("InvalidParameterCombination", "No attributes specified.")
        case _:
            raise ServiceError("InvalidParameterValue", f"Value ({value}) for parameter {attribute} is invalid.")
    call.tx.put(model.IMAGES, image)
    return None


def _permission_changes(request: Request) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """The permissions to add, and those to remove."""
    named = request.get("LaunchPermission", {})
    add, remove = list(named.get("Add", [])), list(named.get("Remove", []))
    listed = [{"UserId": each} for each in request.get("UserIds", [])]
    listed += [{"Group": each} for each in request.get("UserGroups", [])]
    if listed and "OperationType" not in request:
        raise ServiceError("MissingParameter", "The request must contain the parameter operationType")
    (add if request.get("OperationType") == "add" else remove).extend(listed)
    if not add and not remove:
        raise ServiceError("InvalidParameterCombination", "No attributes specified.")
    for each in (*add, *remove):
        user = each.get("UserId")
        if user is not None and not re.fullmatch(r"\d{12}", user):
            raise ServiceError(
                "InvalidAMIAttributeItemValue", f'Invalid attribute item value "{user}" for userId item type.'
            )
        if each.get("Group", "all") != "all":
            raise ServiceError(
                "InvalidAMIAttributeItemValue",
                f'Invalid attribute item value "{each["Group"]}" for userGroup item type.',
            )
    return add, remove


def _with_permissions(image: Image, add: list[dict[str, str]], remove: list[dict[str, str]]) -> Image:
    public, accounts = shared(image.public, image.launch_accounts, add, remove)
    return replace(image, public=public, launch_accounts=accounts)


@operation("ResetImageAttribute")
def reset_image_attribute(call: Call, request: Request) -> Output:
    """Launch permissions are all that can be reset: nobody but the owner."""
    image = own(call, request["ImageId"])
    call.tx.put(model.IMAGES, replace(image, public=False, launch_accounts=[]))
    return None


@operation("EnableImageDeprecation")
def enable_image_deprecation(call: Call, request: Request) -> Output:
    image, at = own(call, request["ImageId"]), request["DeprecateAt"]
    if at <= call.now:
        raise ServiceError("InvalidParameterValue", f"The deprecation date {filters.iso(at)} is in the past.")
    call.tx.put(model.IMAGES, replace(image, deprecated_at=at // 60 * 60))
    return DONE


@operation("DisableImageDeprecation")
def disable_image_deprecation(call: Call, request: Request) -> Output:
    call.tx.put(model.IMAGES, replace(own(call, request["ImageId"]), deprecated_at=None))
    return DONE


@operation("EnableImageDeregistrationProtection", unsupported=("WithCooldown",))
def enable_image_deregistration_protection(call: Call, request: Request) -> Output:
    image = own(call, request["ImageId"])
    call.tx.put(model.IMAGES, replace(image, deregistration_protection="enabled-without-cooldown"))
    return {"Return": "enabled-without-cooldown"}


@operation("DisableImageDeregistrationProtection")
def disable_image_deregistration_protection(call: Call, request: Request) -> Output:
    call.tx.put(model.IMAGES, replace(own(call, request["ImageId"]), deregistration_protection="disabled"))
    return {"Return": "disabled"}


@operation("DisableImage")
def disable_image(call: Call, request: Request) -> Output:
    """Nobody can launch it, and it is shared with nobody, until it is enabled."""
    image = own(call, request["ImageId"])
    if image.state not in ("available", "disabled"):
        raise ServiceError("IncorrectState", f"The image '{image.id}' is not in the 'available' state")
    call.tx.put(model.IMAGES, replace(image, state="disabled", public=False, launch_accounts=[]))
    return DONE


@operation("EnableImage")
def enable_image(call: Call, request: Request) -> Output:
    image = own(call, request["ImageId"])
    if image.state not in ("available", "disabled"):
        raise ServiceError("IncorrectState", f"The image '{image.id}' is not in the 'disabled' state")
    call.tx.put(model.IMAGES, replace(image, state="available"))
    return DONE
