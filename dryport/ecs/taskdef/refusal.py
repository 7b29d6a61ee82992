"""The refusals of a task definition."""

from __future__ import annotations

from dryport.aws.errors import ServiceError


def refusal(message: str) -> ServiceError:
    """A ClientException, as ECS answers to most of what is wrong with a task definition."""
    return ServiceError("ClientException", message)


def invalid_container(name: str, message: str) -> ServiceError:
    """The refusal of one container's setting."""
    return refusal(f"Invalid setting for container '{name}'. {message}")
