"""Account settings: which there are, what they may be, what holds where none is set; of clusters too. Pure.

Source: "Access Amazon ECS features with account settings", developer guide.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from dryport.aws import arn
from dryport.aws.errors import ServiceError, unsupported_parameter


class Setting(NamedTuple):
    """What a setting may be, and what it is unless set; ``beyond`` are values of AWS's that nothing acts on."""

    values: tuple[str, ...]
    default: str
    beyond: tuple[str, ...] = ()
    managed: bool = False  # by AWS: read only


def check(service: str, operation: str, name: str, value: str) -> None:
    """Refuse what a setting of SETTINGS cannot be. Raises ServiceError."""
    setting = SETTINGS[name]
    if value in setting.beyond:
        raise unsupported_parameter(service, operation, f"{name}={value}")
    if value not in setting.values:
        raise ServiceError("InvalidParameterException", "Invalid setting 'value'")


_LONG: Final = Setting(("enabled",), "enabled")  # the short formats are gone since April 2021
SETTINGS: Final[dict[str, Setting]] = {
    # There are no trunk interfaces, no CloudWatch metrics, no hosts that are retired, no IAM that could refuse a tag.
    "awsvpcTrunking": Setting(("disabled",), "disabled", beyond=("enabled",)),
    "containerInsights": Setting(("disabled",), "disabled", beyond=("enabled", "enhanced")),
    "containerInstanceLongArnFormat": _LONG,
    "defaultLogDriverMode": Setting(("blocking", "non-blocking"), "non-blocking"),
    "fargateEventWindows": Setting(("disabled",), "disabled", beyond=("enabled",)),
    "fargateFIPSMode": Setting(("disabled",), "disabled", beyond=("enabled",)),
    "fargateTaskRetirementWaitPeriod": Setting(("7",), "7", beyond=("0", "14")),
    "guardDutyActivate": Setting((), "off", managed=True),
    "serviceLongArnFormat": _LONG,
    "tagResourceAuthorization": Setting(("on",), "on", beyond=("off",)),
    "taskLongArnFormat": _LONG,
}


def holder(principal_arn: str) -> str:
    """Whose settings hold for a principal: a session has its role's."""
    parsed = arn.parse(principal_arn)
    if parsed is None or parsed.service != "sts" or not parsed.resource.startswith("assumed-role/"):
        return principal_arn
    return arn.make("iam", "", parsed.account, f"role/{parsed.resource.split('/')[1]}")
