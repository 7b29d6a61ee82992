"""How services differ in saying that an input breaks its model's constraints."""

from __future__ import annotations

from dataclasses import dataclass

from dryport.gateway.models import ServiceModel


@dataclass(frozen=True, slots=True)
class Policy:
    """``code`` is the error's code; ``style`` the form of its message (``coral`` or ``ecr``)."""

    code: str = "ValidationException"
    style: str = "coral"


_POLICIES = {
    "ecr": Policy("InvalidParameterException", "ecr"),
    "ecs": Policy("InvalidParameterException"),
    "logs": Policy("InvalidParameterException"),
    "secretsmanager": Policy("ValidationException"),
}


def policy(model: ServiceModel) -> Policy:
    """The policy of a service."""
    known = _POLICIES.get(model.name)
    if known is not None:
        return known
    return Policy("ValidationError") if "query" in model.protocols else Policy()
