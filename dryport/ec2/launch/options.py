"""What else a launch may say: its type's processors, user data, key pair, metadata, behaviour."""

from __future__ import annotations

import base64
import binascii
from typing import Any, NamedTuple

from dryport.aws.errors import ServiceError, unsupported_parameter
from dryport.ec2 import instance_types, model
from dryport.ec2.instance_types import InstanceType
from dryport.ec2.launch.caller import Caller
from dryport.ec2.model import Image, KeyPair, MetadataDefaults, MetadataOptions
from dryport.store import Reader

Request = dict[str, Any]
DEFAULT_TYPE = "m1.small"
_LONGEST_USER_DATA = 16_384  # bytes
# Values that ask for nothing: others of these members are refused by name.
_ONLY: dict[tuple[str, str], tuple[Any, ...]] = {
    ("Placement", "Tenancy"): ("default",),
    ("MetadataOptions", "HttpProtocolIpv6"): ("disabled",),
    ("PrivateDnsNameOptions", "HostnameType"): ("ip-name",),
    ("PrivateDnsNameOptions", "EnableResourceNameDnsARecord"): (False,),
    ("PrivateDnsNameOptions", "EnableResourceNameDnsAAAARecord"): (False,),
    ("NetworkPerformanceOptions", "BandwidthWeighting"): ("default",),
    ("CapacityReservationSpecification", "CapacityReservationPreference"): ("open", "none"),
    ("InstanceMarketOptions", "MarketType"): ("on-demand",),
    ("Monitoring", "Enabled"): (False,),
}


def check_values(request: Request, operation: str = "RunInstances") -> None:
    """Refuse by name what a launch asks for and Dryport does not act on. Raises ServiceError."""
    for (group, member), allowed in _ONLY.items():
        value = request.get(group, {}).get(member)
        if value is not None and value not in allowed:
            raise unsupported_parameter("ec2", operation, f"{group}.{member}={value}")


def instance_type(request: Request, image: Image) -> InstanceType:
    """The type that is asked for, which can run the image. Raises ServiceError."""
    name = request.get("InstanceType", DEFAULT_TYPE)
    kind = instance_types.get(name)
    if kind is None:
        raise ServiceError("InvalidParameterValue", f"Invalid value '{name}' for InstanceType.")
    if image.architecture not in kind.architectures:
        raise ServiceError(
            "InvalidParameterValue",
            f"The architecture '{kind.architectures[-1]}' of the specified instance type does not match the "
            f"architecture '{image.architecture}' of the specified AMI. Specify an instance type and an AMI that have "
            "matching architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to "
            "discover the architecture of the instance type or AMI.",
        )
    if not kind.runs_here:
        raise ServiceError(
            "Unsupported", f"The instance type {name} is not supported: this machine's processor cannot run it."
        )
    return kind


class Processors(NamedTuple):
    """Cores, and hardware threads of each."""

    cores: int
    threads: int


def processors(request: Request, kind: InstanceType) -> Processors:
    """The processors of ``CpuOptions``, or the type's. Raises ServiceError."""
    given = request.get("CpuOptions", {})
    if not given:
        return Processors(kind.cores, kind.threads_per_core)
    if not {"CoreCount", "ThreadsPerCore"} <= given.keys():
        raise ServiceError(
            "InvalidParameterCombination", "You must specify both CoreCount and ThreadsPerCore in the CPU options."
        )
    wanted = Processors(given["CoreCount"], given["ThreadsPerCore"])
    if wanted.cores not in (kind.valid_cores or [kind.cores]):
        raise _not_valid("CoreCount", wanted.cores, kind)
    if wanted.threads not in (kind.valid_threads_per_core or [kind.threads_per_core]):
        raise _not_valid("ThreadsPerCore", wanted.threads, kind)
    return wanted


def _not_valid(member: str, value: int, kind: InstanceType) -> ServiceError:
    return ServiceError("InvalidParameterValue", f"{member} {value} is not valid for instance type {kind.name}.")


def user_data(request: Request) -> bytes:
    """What ``UserData`` holds in base64. Raises ServiceError."""
    return decode_user_data(request.get("UserData", ""))


def decode_user_data(encoded: str | bytes) -> bytes:
    """User data from base64, with or without line breaks. Raises ServiceError."""
    try:
        text = encoded.encode("ascii") if isinstance(encoded, str) else encoded
        decoded = base64.b64decode(b"".join(text.split()), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise ServiceError("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data") from None
    return check_user_data(decoded)


def check_user_data(decoded: bytes) -> bytes:
    """Raises ServiceError where user data is too long."""
    if len(decoded) > _LONGEST_USER_DATA:
        raise ServiceError("InvalidParameterValue", "User data is limited to 16384 bytes")
    return decoded


def key_pair(reader: Reader, caller: Caller, request: Request) -> KeyPair | None:
    """The key pair that ``KeyName`` names. Raises ServiceError."""
    name = request.get("KeyName")
    if name is None:
        return None
    found = reader.find(model.KEY_PAIRS, "name", f"{model.scope(caller.account, caller.region)}/{name}")
    if not found:
        raise ServiceError("InvalidKeyPair.NotFound", f"The key pair '{name}' does not exist")
    return found[0]


def metadata_options(reader: Reader, caller: Caller, request: Request, image: Image) -> MetadataOptions:
    """What the launch says, else what the account's defaults say, else the image, else EC2. Raises ServiceError.

    Source: "Order of precedence for instance metadata options", EC2 user guide.
    """
    place = model.scope(caller.account, caller.region)
    account = reader.get(model.METADATA_DEFAULTS, place) or MetadataDefaults(
        account=caller.account, region=caller.region
    )
    modern = image.imds_support == "v2.0"
    usual = MetadataOptions(
        enabled=True if account.enabled is None else account.enabled,
        tokens_required=modern if account.tokens_required is None else account.tokens_required,
        hop_limit=account.hop_limit or (2 if modern else 1),
        tags=bool(account.tags),
    )
    return changed_metadata(usual, request.get("MetadataOptions", {}))


def changed_metadata(options: MetadataOptions, given: Request) -> MetadataOptions:
    """Options with what a request says of them. Raises ServiceError."""
    if not 1 <= given.get("HttpPutResponseHopLimit", 1) <= 64:
        raise ServiceError(
            "InvalidParameterValue",
            f"Value ({given['HttpPutResponseHopLimit']}) for parameter HttpPutResponseHopLimit is invalid. It must be "
            "between 1 and 64.",
        )
    return MetadataOptions(
        enabled=given.get("HttpEndpoint", "enabled" if options.enabled else "disabled") == "enabled",
        tokens_required=given.get("HttpTokens", "required" if options.tokens_required else "optional") == "required",
        hop_limit=given.get("HttpPutResponseHopLimit", options.hop_limit),
        tags=given.get("InstanceMetadataTags", "enabled" if options.tags else "disabled") == "enabled",
    )


def credits(request: Request, kind: InstanceType) -> str:
    """The credit option of a burstable type, "" of others. Raises ServiceError."""
    given = request.get("CreditSpecification", {}).get("CpuCredits")
    if not kind.burstable:
        if given is not None:
            raise ServiceError(
                "InvalidParameterCombination", f"The parameter CreditSpecification is not supported for {kind.name}."
            )
        return ""
    return check_credits(given or ("standard" if kind.name.startswith("t2.") else "unlimited"))


def check_credits(value: str) -> str:
    """Raises ServiceError for what is no credit option."""
    if value not in ("standard", "unlimited"):
        raise ServiceError("InvalidParameterValue", f"Invalid value '{value}' for CpuCredits.")
    return value


def ebs_optimized(request: Request, kind: InstanceType) -> bool:
    """Whether that was asked for. Raises ServiceError where the type cannot be."""
    wanted = bool(request.get("EbsOptimized"))
    if wanted and not kind.ebs_optimizable:
        raise ServiceError(
            "InvalidParameterCombination",
            "EBS-optimized instances are not supported for your requested configuration. Please check the "
            "documentation for supported configurations.",
        )
    return wanted


def shutdown_terminates(value: str) -> bool:
    """Whether a shutdown from inside terminates. Raises ServiceError."""
    if value not in ("stop", "terminate"):
        raise ServiceError(
            "InvalidParameterValue",
            f"Value ({value}) for parameter instanceInitiatedShutdownBehavior is invalid. Unknown shutdown behavior.",
        )
    return value == "terminate"
