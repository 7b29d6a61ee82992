"""The types of EBS volumes: their limits and defaults. Pure.

Source: API reference of CreateVolume and ModifyVolume; "Amazon EBS volume types", EBS user guide.
"""

from __future__ import annotations

from typing import NamedTuple

from dryport.aws.errors import ServiceError
from dryport.ec2.model import VolumeFigures

DEFAULT = "gp2"
_GP2_IOPS = (100, 16_000)  # the least and the most; between them 3 a GiB
_GP2_IOPS_A_GIB = 3
_THROUGHPUT = (125, 2_000)  # MiB/s of gp3
_MOST_THROUGHPUT_AN_IOPS = 0.25


class VolumeType(NamedTuple):
    """A type. Sizes are GiB; ``iops`` is the range of what can be provisioned, ``ratio`` the most of it a GiB."""

    smallest: int
    largest: int
    iops: tuple[int, int] | None = None
    ratio: int = 0
    default_iops: int | None = None  # without one it has to be said
    boots: bool = True


TYPES = {
    "gp2": VolumeType(1, 16_384),
    "gp3": VolumeType(1, 65_536, (3_000, 80_000), 500, 3_000),
    "io1": VolumeType(4, 16_384, (100, 64_000), 50),
    "io2": VolumeType(4, 65_536, (100, 256_000), 1_000),
    "st1": VolumeType(125, 16_384, boots=False),
    "sc1": VolumeType(125, 16_384, boots=False),
    "standard": VolumeType(1, 1_024),
}


def figures(kind: str, size: int, iops: int | None = None, throughput: int | None = None) -> VolumeFigures:
    """A volume's figures from what was asked for. Raises ServiceError for what AWS does not make."""
    limits = TYPES.get(kind)
    if limits is None:
        raise ServiceError("InvalidParameterValue", f"Value ({kind}) for parameter volumeType is invalid.")
    if size < limits.smallest:
        raise _invalid(f"Volume of {size}GiB is too small for volume type {kind}; minimum is {limits.smallest}GiB.")
    if size > limits.largest:
        raise _invalid(f"Volume of {size}GiB is too large for volume type {kind}; maximum is {limits.largest}GiB.")
    if kind == "gp2" and iops is None:
        least, most = _GP2_IOPS
        made: int | None = max(least, min(most, _GP2_IOPS_A_GIB * size))
    else:
        made = _provisioned(kind, limits, size, iops)
    return VolumeFigures(volume_type=kind, size=size, iops=made, throughput=_throughput(kind, made, throughput))


def _provisioned(kind: str, limits: VolumeType, size: int, iops: int | None) -> int | None:
    if limits.iops is None:
        if iops is not None:
            raise ServiceError(
                "InvalidParameterCombination", f"The parameter iops is not supported for {kind} volumes."
            )
        return None
    wanted = limits.default_iops if iops is None else iops
    if wanted is None:
        raise ServiceError("MissingParameter", f"The parameter iops must be specified for {kind} volumes.")
    least, most = limits.iops
    if wanted < least:
        raise _invalid(f"Volume iops of {wanted} is too low; minimum is {least}.")
    if wanted > most:
        raise _invalid(f"Volume iops of {wanted} is too high; maximum is {most}.")
    if wanted > max(limits.ratio * size, limits.default_iops or 0):
        raise _invalid(f"Iops to volume size ratio of {wanted / size:.6f} is too high; maximum is {limits.ratio:.6f}.")
    return wanted


def _throughput(kind: str, iops: int | None, throughput: int | None) -> int | None:
    if kind != "gp3":
        if throughput is not None:
            raise ServiceError(
                "InvalidParameterCombination", f"The parameter throughput is not supported for {kind} volumes."
            )
        return None
    least, most = _THROUGHPUT
    if throughput is None:
        return least
    if throughput < least:
        raise _invalid(f"Throughput of {throughput} is too low; minimum is {least}.")
    if throughput > most:
        raise _invalid(f"Throughput of {throughput} is too high; maximum is {most}.")
    if throughput > (iops or 0) * _MOST_THROUGHPUT_AN_IOPS:
        raise _invalid(
            f"Throughput (MiBps) to iops ratio of {throughput / (iops or 1):.6f} is too high; maximum is "
            f"{_MOST_THROUGHPUT_AN_IOPS:.6f}."
        )
    return throughput


def _invalid(text: str) -> ServiceError:
    return ServiceError("InvalidParameterValue", text)
