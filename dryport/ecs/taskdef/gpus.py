"""``resourceRequirements``: the GPUs of a container.

Source: "ResourceRequirement", Amazon ECS API reference.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dryport.aws.errors import unsupported_parameter
from dryport.ecs.taskdef.refusal import invalid_container

_NUMBER = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


def check(operation: str, name: str, requirements: Sequence[Mapping[str, Any]]) -> None:
    """Refuse what a container named ``name`` cannot require. Raises ServiceError (ClientException, NotImplemented)."""
    if len({requirement["type"] for requirement in requirements}) != len(requirements):
        raise invalid_container(name, "A type of resource can be required once only.")
    for requirement in requirements:
        kind, value = requirement["type"], requirement.get("value", "")
        if kind != "GPU" or value == "ALL":
            raise unsupported_parameter("ecs", operation, f"resourceRequirements with {kind} {value}")
        if not _NUMBER.fullmatch(value):
            raise invalid_container(name, f"'{value}' is no number of GPUs.")


def count(container: Mapping[str, Any]) -> int:
    """How many GPUs a container, as it was checked, requires."""
    return sum(int(each["value"]) for each in container.get("resourceRequirements") or () if each["type"] == "GPU")
