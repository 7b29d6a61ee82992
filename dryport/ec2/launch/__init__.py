"""Launching instances: from RunInstances' parameters to what is stored of them. Plain functions on a transaction."""

from __future__ import annotations

import hashlib
from random import Random
from typing import Any

import msgspec

from dryport.aws.errors import ServiceError
from dryport.aws.identifiers import resource_id
from dryport.ec2 import images, lifecycle, model, profiles
from dryport.ec2.instance_types import InstanceType
from dryport.ec2.launch import disks, network, options
from dryport.ec2.launch.caller import Caller
from dryport.ec2.model import Image, Instance, ProfileAssociation
from dryport.store import Reader, Transaction

__all__ = ["Caller", "launch"]

Request = dict[str, Any]
Tags = dict[str, dict[str, str]]
_QUOTA = 1152  # processors of an account in a region ("Amazon EC2 service quotas")
_MOST = 1000  # instances of one request
_LONGEST_TOKEN = 64


def launch(tx: Transaction, random: Random, caller: Caller, request: Request, tags: Tags, now: float) -> list[Instance]:
    """Store the instances that a request asks for; those that it made before where it comes again.

    ``request`` holds RunInstances' parameters, ``tags`` those of new resources by their type. Raises ServiceError.
    """
    token = request.get("ClientToken", "")
    if len(token) > _LONGEST_TOKEN:
        raise ServiceError("InvalidParameterValue", "ClientToken exceeds the maximum length of 64 characters")
    digest = _digest(request) if token else ""
    earlier = tx.find(model.INSTANCES, "token", model.token(caller.account, caller.region, token) or "")
    if earlier and token:
        if earlier[0].request_digest != digest:
            raise ServiceError(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
            )
        return earlier
    if "ImageId" not in request:
        raise ServiceError("MissingParameter", "The request must contain the parameter ImageId")
    options.check_values(request)
    image = images.launchable(tx, caller.account, caller.region, request["ImageId"])
    kind = options.instance_type(request, image)
    cards = network.plan(tx, random, caller, request, kind)
    devices = disks.plan(tx, caller, image, request.get("BlockDeviceMappings", []))
    template = _instance(tx, caller, request, image, kind)
    count = _count(tx, caller, request, template, cards)
    reservation = resource_id(random, "r")
    return [
        _put(
            tx,
            random,
            caller,
            msgspec.structs.replace(
                template,
                id=resource_id(random, "i"),
                reservation_id=reservation,
                launch_index=index,
                tags=tags.get("instance", {}),
                created_at=now,
                launched_at=now,
                client_token=token,
                request_digest=digest,
            ),
            (cards, devices, image, request.get("IamInstanceProfile")),
            tags,
        )
        for index in range(count)
    ]


def _digest(request: Request) -> str:
    return hashlib.sha256(msgspec.json.encode(request, order="deterministic")).hexdigest()


def _count(tx: Reader, caller: Caller, request: Request, template: Instance, cards: list[network.Card]) -> int:
    """How many to launch: as many as there is room for, of ``MaxCount``. Raises ServiceError below ``MinCount``."""
    least, most = int(request["MinCount"]), int(request["MaxCount"])
    if least < 1 or most < 1 or least > most or most > _MOST:
        wrong, value = ("minCount", least) if not 1 <= least <= most else ("maxCount", most)
        raise ServiceError(
            "InvalidParameterValue",
            f"Value ({value}) for parameter {wrong} is invalid. The minimum must be at least 1 and no more than the "
            f"maximum, which is at most {_MOST}.",
        )
    if most > 1 and any(card.existing is not None or card.addresses.named for card in cards):
        raise ServiceError(
            "InvalidParameterCombination",
            "A network interface or private IP address may only be specified when launching a single instance.",
        )
    left = (_QUOTA - _used(tx, caller)) // template.vcpus
    if left < least:
        raise ServiceError(
            "VcpuLimitExceeded",
            f"You have requested more vCPU capacity than your current vCPU limit of {_QUOTA} allows for the instance "
            "bucket that the specified instance type belongs to. Please visit "
            "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.",
        )
    room = network.most(tx, cards)
    if room < least:
        raise ServiceError(
            "InsufficientFreeAddressesInSubnet",
            f"There are not enough free addresses in subnet '{cards[0].subnet.id}' to satisfy the requested number of "
            "instances.",
        )
    return min(most, left, room)


def _used(reader: Reader, caller: Caller) -> int:
    """The processors of the account's instances that are up."""
    found = reader.find(model.INSTANCES, "scope", model.scope(caller.account, caller.region))
    return sum(each.vcpus for each in found if each.state in (lifecycle.PENDING, lifecycle.RUNNING))


def _instance(reader: Reader, caller: Caller, request: Request, image: Image, kind: InstanceType) -> Instance:
    """What all instances of a launch have in common. Raises ServiceError."""
    key = options.key_pair(reader, caller, request)
    if "IamInstanceProfile" in request:
        profiles.find(reader, caller.account, caller.region, request["IamInstanceProfile"])
    wanted = options.processors(request, kind)
    capacity = request.get("CapacityReservationSpecification", {})
    return Instance(
        id="",
        account=caller.account,
        region=caller.region,
        reservation_id="",
        launch_index=0,
        image_id=image.id,
        architecture=image.architecture,
        root_device_name=image.root_device_name,
        instance_type=kind.name,
        core_count=wanted.cores,
        threads_per_core=wanted.threads,
        subnet_id="",
        vpc_id="",
        availability_zone="",
        private_ip="",
        key_name=key.name if key is not None else "",
        public_key=key.public_key if key is not None else "",
        user_data=options.user_data(request),
        boot_mode=image.boot_mode,
        metadata=options.metadata_options(reader, caller, request, image),
        shutdown_terminates=options.shutdown_terminates(request.get("InstanceInitiatedShutdownBehavior", "stop")),
        disable_api_termination=request.get("DisableApiTermination", False),
        disable_api_stop=request.get("DisableApiStop", False),
        ebs_optimized=options.ebs_optimized(request, kind),
        cpu_credits=options.credits(request, kind),
        capacity_preference=capacity.get("CapacityReservationPreference", "open"),
        auto_recovery=request.get("MaintenanceOptions", {}).get("AutoRecovery", "default") == "default",
    )


def _put(
    tx: Transaction,
    random: Random,
    caller: Caller,
    instance: Instance,
    has: tuple[list[network.Card], list[model.BlockDevice], Image, dict[str, str] | None],
    tags: Tags,
) -> Instance:
    """Store one instance with its interfaces, volumes and profile."""
    cards, devices, image, profile = has
    now = instance.launched_at
    primary = network.make(tx, random, caller, cards, instance.id, tags.get("network-interface", {}), now)
    made = msgspec.structs.replace(
        instance,
        subnet_id=primary.subnet_id,
        vpc_id=primary.vpc_id,
        availability_zone=primary.availability_zone,
        private_ip=primary.private_ip,
    )
    disks.make(tx, random, made, image, devices, tags.get("volume", {}))
    if profile is not None:
        associate(tx, random, made, profiles.find(tx, caller.account, caller.region, profile), now)
    tx.put(model.INSTANCES, made)
    return made


def associate(
    tx: Transaction, random: Random, instance: Instance, profile: profiles.Profile, now: float
) -> ProfileAssociation:
    """Give an instance a profile; whichever it had before is to be removed first."""
    made = ProfileAssociation(
        id=resource_id(random, "iip-assoc"),
        account=instance.account,
        region=instance.region,
        instance_id=instance.id,
        profile_arn=profile.arn,
        associated_at=now,
    )
    tx.put(model.PROFILE_ASSOCIATIONS, made)
    return made
