"""Volumes that grow, or become another type."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dryport.aws.errors import ServiceError
from dryport.ec2 import model, volume_types
from dryport.ec2.api import filters
from dryport.ec2.api.service import Request, get, operation, select
from dryport.ec2.model import Volume, VolumeFigures, VolumeModification
from dryport.gateway.service import Call, Output

_DAY = 86_400.0  # seconds
_MOST_A_DAY = 4
_LARGEST_PAGE = 500
_PROVISIONED = ("gp3", "io1", "io2")


@operation("ModifyVolume", unsupported=("MultiAttachEnabled",))
def modify_volume(call: Call, request: Request) -> Output:
    """A larger size is there within a moment, also in a running instance; the file system on it is its owner's."""
    volume: Volume = get(call, "vol", request["VolumeId"])
    recent = [at for at in volume.modified_at if at > call.now - _DAY]
    _check(volume, recent)
    target = _target(volume, request)
    modification = VolumeModification(original=volume.figures, target=target, started_at=call.now)
    modified = replace(
        volume,
        size=target.size,
        volume_type=target.volume_type,
        iops=target.iops,
        throughput=target.throughput,
        modification=modification,
        modified_at=[*recent, call.now],
    )
    call.tx.put(model.VOLUMES, modified)
    return {"VolumeModification": describe(modified)}


def _check(volume: Volume, recent: list[float]) -> None:
    if volume.state not in ("available", "in-use"):
        raise ServiceError("IncorrectState", f"Volume '{volume.id}' is in the '{volume.state}' state.")
    if volume.modification is not None and volume.modification.state == "modifying":
        raise ServiceError(
            "IncorrectModificationState", f"Volume {volume.id} is already being modified; wait until it is completed."
        )
    if len(recent) >= _MOST_A_DAY:
        raise ServiceError(
            "VolumeModificationRateExceeded",
            f"You've reached the maximum modification rate per volume limit. Volume {volume.id} can be modified again "
            f"at {filters.iso(recent[-_MOST_A_DAY] + _DAY)}.",
        )


def _target(volume: Volume, request: Request) -> VolumeFigures:
    """What a volume is to become. Raises ServiceError."""
    if not any(name in request for name in ("Size", "VolumeType", "Iops", "Throughput")):
        raise ServiceError(
            "MissingParameter", "The request must contain the parameter size, volumeType, iops or throughput"
        )
    size, kind = request.get("Size", volume.size), request.get("VolumeType", volume.volume_type)
    if size < volume.size:
        raise ServiceError("InvalidParameterValue", "New size cannot be smaller than existing size")
    iops, throughput = request.get("Iops"), request.get("Throughput")
    if kind == volume.volume_type and kind in _PROVISIONED:
        iops = volume.iops if iops is None else iops
        throughput = volume.throughput if throughput is None else throughput
    elif kind in ("io1", "io2") and iops is None:
        iops = 3_000
    return volume_types.figures(kind, size, iops, throughput)


def describe(volume: Volume) -> dict[str, Any]:
    """A volume's last modification as EC2 answers it."""
    modification = volume.modification
    assert modification is not None
    described: dict[str, Any] = {
        "VolumeId": volume.id,
        "ModificationState": modification.state,
        "TargetMultiAttachEnabled": False,
        "OriginalMultiAttachEnabled": False,
        "Progress": 100 if modification.state == "completed" else 0,
        "StartTime": modification.started_at,
    }
    for name, figures in (("Target", modification.target), ("Original", modification.original)):
        described |= {f"{name}Size": figures.size, f"{name}VolumeType": figures.volume_type}
        if figures.iops is not None:
            described[f"{name}Iops"] = figures.iops
        if figures.throughput is not None:
            described[f"{name}Throughput"] = figures.throughput
    if modification.ended_at is not None:
        described["EndTime"] = modification.ended_at
    if modification.message:
        described["StatusMessage"] = modification.message
    return described


_FILTERS: filters.Fields[dict[str, Any]] = {
    "modification-state": filters.at("ModificationState"),
    "original-iops": filters.at("OriginalIops"),
    "original-size": filters.at("OriginalSize"),
    "original-volume-type": filters.at("OriginalVolumeType"),
    "originalMultiAttachEnabled": filters.at("OriginalMultiAttachEnabled"),
    "start-time": lambda m: [filters.moment(m["StartTime"])],
    "target-iops": filters.at("TargetIops"),
    "target-size": filters.at("TargetSize"),
    "target-volume-type": filters.at("TargetVolumeType"),
    "targetMultiAttachEnabled": filters.at("TargetMultiAttachEnabled"),
    "volume-id": filters.at("VolumeId"),
}


@operation("DescribeVolumesModifications", unsupported=("IncludeManagedResources",))
def describe_volumes_modifications(call: Call, request: Request) -> Output:
    volumes: list[Volume] = select(call, "vol", request.get("VolumeIds"))
    modified = [each for each in volumes if each.modification is not None]
    if request.get("VolumeIds") and len(modified) < len(volumes):
        never = next(each for each in volumes if each.modification is None)
        raise ServiceError(
            "InvalidVolumeModification.NotFound", f"Modification for volume '{never.id}' does not exist."
        )
    found = filters.apply(request, [describe(each) for each in modified], _FILTERS)
    return filters.page(
        request, "VolumesModifications", found, lambda each: each, "VolumeIds", smallest=1, largest=_LARGEST_PAGE
    )
