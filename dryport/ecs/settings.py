"""Account settings: which there are, what they may be, what holds where none is set. Pure.

Source: "Access Amazon ECS features with account settings", developer guide.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from dryport.aws import arn


class Setting(NamedTuple):
    """One account setting: what it may be set to, and what it is unless set."""

    values: tuple[str, ...]
    default: str
    managed: bool = False  # by AWS: read only


_SWITCH: Final = ("enabled", "disabled")
_LONG: Final = Setting(("enabled",), "enabled")  # the short formats are gone since April 2021
SETTINGS: Final[dict[str, Setting]] = {
    "awsvpcTrunking": Setting(_SWITCH, "disabled"),
    "containerInsights": Setting(("enabled", "disabled", "enhanced"), "disabled"),
    "containerInstanceLongArnFormat": _LONG,
    "defaultLogDriverMode": Setting(("blocking", "non-blocking"), "non-blocking"),
    "fargateFIPSMode": Setting(("disabled",), "disabled"),
    "fargateTaskRetirementWaitPeriod": Setting(("0", "7", "14"), "7"),
    "guardDutyActivate": Setting((), "off", managed=True),
    "serviceLongArnFormat": _LONG,
    "tagResourceAuthorization": Setting(("on", "off"), "on"),
    "taskLongArnFormat": _LONG,
}


def holder(principal_arn: str) -> str:
    """Whose settings hold for a principal: a session has its role's."""
    parsed = arn.parse(principal_arn)
    if parsed is None or parsed.service != "sts" or not parsed.resource.startswith("assumed-role/"):
        return principal_arn
    return arn.make("iam", "", parsed.account, f"role/{parsed.resource.split('/')[1]}")
