"""The health of container instances, as their agents tell it. Pure.

Source: PublishInstanceStatusRequest of the agent protocol; "ContainerInstanceHealthStatus" in the API reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from dryport.ecs.model import InstanceHealth, Json

_STATUSES = ("OK", "IMPAIRED", "INSUFFICIENT_DATA", "INITIALIZING")
_WORST_FIRST = ("IMPAIRED", "INSUFFICIENT_DATA", "INITIALIZING", "OK")
_BEFORE_A_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def results(statuses: Iterable[Mapping[str, Any]]) -> list[Json]:
    """An agent's statuses as AWS's ``InstanceHealthCheckResult``; what is none of AWS's statuses is left out.

    Times are the agent's, in seconds.
    """
    found = []
    for each in statuses:
        kind, state = each.get("type"), each.get("status")
        if not isinstance(kind, str) or state not in _STATUSES:
            continue
        result: Json = {"type": _BEFORE_A_CAPITAL.sub("_", kind).upper(), "status": state}
        if isinstance(each.get("statusReason"), str) and each["statusReason"]:
            result["statusReason"] = each["statusReason"]
        for member in ("lastUpdated", "lastStatusChange"):
            if isinstance(each.get(member), int | float):
                result[member] = round(float(each[member]), 3)
        found.append(result)
    return found


def status(health: InstanceHealth | None) -> Json:
    """AWS's ``ContainerInstanceHealthStatus``; INITIALIZING until the agent has said something."""
    details = health.results if health is not None else []
    states = {each["status"] for each in details}
    overall = next((each for each in _WORST_FIRST if each in states), "INITIALIZING")
    return {"overallStatus": overall, "details": details}
